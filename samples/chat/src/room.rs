//! A room: everybody in it hears what is said, in one order.

use crate::Avatar;
use everwake::*;

/// What everybody in a room is told.
#[client_methods]
pub trait RoomClient {
    /// `seq` rises by one with everything said in the room.
    fn said(room: String, who: String, text: String, seq: u64);
    fn joined(room: String, who: String);
    fn left(room: String, who: String);
}

/// A room.
#[space(client = RoomClient)]
pub struct Room {
    #[attr(all_clients)]
    name: String,
    /// What it is about, as whoever is in it has said last.
    #[attr(all_clients)]
    pub topic: String,
    said: u64,
}

#[methods]
impl Room {
    fn new(_: &mut Context, name: String) -> Self {
        Self { name, topic: String::new(), said: 0 }
    }

    fn on_member_enter(&mut self, cx: &mut Context, who: Ref<Avatar>) {
        let Ok(who) = cx.read(who, |avatar: &Avatar| avatar.name.clone()) else { return };
        cx.all_clients(self).joined(self.name.clone(), who);
    }

    fn on_member_leave(&mut self, cx: &mut Context, who: Ref<Avatar>) {
        let Ok(who) = cx.read(who, |avatar: &Avatar| avatar.name.clone()) else { return };
        cx.all_clients(self).left(self.name.clone(), who);
    }
}

impl Room {
    /// What the room is called.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// Tells everybody in the room; answers the number of it.
    pub fn speak(&mut self, cx: &mut Context, who: String, text: String) -> u64 {
        self.said += 1;
        cx.all_clients(self).said(self.name.clone(), who, crate::marked(text), self.said);
        self.said
    }
}
