//! The yard itself, and who makes it.

use crate::{Monster, Walker, somewhere};
use everwake::*;

const MONSTERS: u32 = 200;
const WALKERS: u32 = 50;

/// Makes the one yard when the game starts, and says where it is.
#[service(shards = 1)]
pub struct Keeper {
    yard: Option<Ref<Yard>>,
    waiting: List<Reply<Ref<Yard>>>,
}

impl Keeper {
    /// The one shard there is.
    pub fn only() -> Ref<Self> {
        Ref::shard(0).unwrap_or_default()
    }
}

#[methods]
impl Keeper {
    fn on_create(&mut self, cx: &mut Context) {
        cx.call(create::<Yard>((), Place::Anywhere)).then(on!(Self::on_yard), ());
    }

    #[rpc(server)]
    fn yard(&mut self, cx: &mut Context, reply: Reply<Ref<Yard>>) {
        match self.yard {
            Some(yard) => reply.ok(cx, yard),
            None => self.waiting.push(reply),
        }
    }

    fn on_yard(&mut self, cx: &mut Context, _: (), yard: Result<Ref<Yard>, CallError>) {
        let Ok(yard) = yard else { return self.on_create(cx) };
        self.yard = Some(yard);
        for reply in self.waiting.iter() {
            reply.ok(cx, yard);
        }
        self.waiting.clear();
    }
}

/// The space that everything happens in.
#[space]
pub struct Yard {}

#[methods]
impl Yard {
    fn on_create(&mut self, cx: &mut Context) {
        for number in 0..MONSTERS {
            let home = somewhere(cx);
            cx.spawn::<Monster>((number, home), Pose::at(home.x, home.z));
        }
        for number in 0..WALKERS {
            let place = somewhere(cx);
            cx.spawn::<Walker>(format!("walker {number}"), Pose::at(place.x, place.z));
        }
    }
}
