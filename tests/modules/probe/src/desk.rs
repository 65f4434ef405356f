//! The halls, and the service that makes them.

use crate::{Actor, Runner};
use everwake::*;

/// What an actor needs to know when its client comes: its number, its hall, and the other one.
pub type Places = (u32, Ref<Hall>, Ref<Hall>);

/// Makes two halls when the game starts.
#[service(shards = 1)]
pub struct Desk {
    halls: List<Ref<Hall>>,
    guests: u32,
    pub notes: List<String>,
}

impl Desk {
    /// The one shard there is.
    pub fn only() -> Ref<Self> {
        Ref::shard(0).unwrap_or_default()
    }
}

#[methods]
impl Desk {
    fn on_create(&mut self, cx: &mut Context) {
        cx.call(create::<Hall>("hall".to_owned(), Place::Anywhere)).then(on!(Self::on_hall), ());
    }

    /// One after the other: of two that are made at once either may be there first.
    fn on_hall(&mut self, cx: &mut Context, _: (), hall: Result<Ref<Hall>, CallError>) {
        self.halls.extend(hall.ok());
        if self.halls.len() == 1 {
            cx.call(create::<Hall>("other hall".to_owned(), Place::Anywhere)).then(on!(Self::on_hall), ());
        }
    }

    #[rpc(server)]
    fn places(&mut self) -> Result<Places, Fail> {
        let (Some(hall), Some(other)) = (self.halls.first(), self.halls.get(1)) else {
            return Err("the halls are not there yet".into());
        };
        self.guests += 1;
        Ok((self.guests, *hall, *other))
    }

    #[rpc(server)]
    fn note(&mut self, what: String) {
        self.notes.push(what);
    }
}

/// A space. The first one has inhabitants.
#[space]
pub struct Hall {
    #[attr(all_clients)]
    pub name: String,
    #[attr(all_clients)]
    pub value: i32,
}

#[methods]
impl Hall {
    fn new(_: &mut Context, name: String) -> Self {
        Self { name, value: 0 }
    }

    fn on_create(&mut self, cx: &mut Context) {
        if self.name == "hall" {
            cx.spawn::<Actor>("friend".into(), Pose::at(3.0, 0.0));
            cx.spawn::<Actor>("victim".into(), Pose::at(4.0, 0.0));
            cx.spawn::<Runner>("armed".into(), Pose::at(5.0, 0.0));
            cx.spawn::<Runner>("steady".into(), Pose::at(6.0, 0.0));
        }
    }
}
