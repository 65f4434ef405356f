//! Two spaces, and who makes them.

use crate::Vandal;
use everwake::*;

/// Makes two lots when the game starts.
#[service(shards = 1)]
pub struct Warden {
    lots: List<Ref<Lot>>,
    guests: u32,
}

impl Warden {
    /// The one shard there is.
    pub fn only() -> Ref<Self> {
        Ref::shard(0).unwrap_or_default()
    }
}

#[methods]
impl Warden {
    fn on_create(&mut self, cx: &mut Context) {
        for _ in 0..2 {
            cx.call(create::<Lot>((), Place::Anywhere)).then(on!(Self::on_lot), ());
        }
    }

    fn on_lot(&mut self, _: &mut Context, _: (), lot: Result<Ref<Lot>, CallError>) {
        self.lots.extend(lot.ok());
    }

    /// A lot to be in, and the other one; those who ask get them in turns.
    #[rpc(server)]
    fn lot(&mut self) -> Result<(Ref<Lot>, Ref<Lot>), Fail> {
        let (Some(a), Some(b)) = (self.lots.first(), self.lots.get(1)) else {
            return Err("no lots yet".into());
        };
        self.guests += 1;
        Ok(if self.guests % 2 == 1 { (*a, *b) } else { (*b, *a) })
    }
}

/// A space whose hooks panic if they are told to.
#[space]
pub struct Lot {
    pub mine: String,
}

#[methods]
impl Lot {
    fn new(_: &mut Context) -> Self {
        Self::default()
    }

    fn on_member_enter(&mut self, _: &mut Context, _: Ref<Vandal>) {
        assert!(self.mine != "member-enter", "the mine in member-enter");
    }

    fn on_member_leave(&mut self, _: &mut Context, _: Ref<Vandal>) {
        assert!(self.mine != "member-leave", "the mine in member-leave");
    }
}
