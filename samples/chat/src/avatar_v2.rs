//! A person in the chat, second version: it has a mood, and everybody sees it; a handler has another
//! name, and the timers that wait for it know.

use crate::{Lobby, Room, VERSION};
use everwake::*;

/// Who has not called anything for this long is kicked.
const IDLE: std::time::Duration = mins(5);

/// What an avatar's client is told.
#[client_methods]
pub trait AvatarClient {
    fn notice(text: String);
}

/// What there is to see for a person.
#[attr_type]
pub struct Sight {
    pub name: String,
    pub room: String,
    pub topic: String,
}

/// A person in the chat.
#[entity(client = AvatarClient)]
pub struct Avatar {
    #[attr(all_clients)]
    pub name: String,
    /// The room that it is in; empty if none.
    #[attr(client)]
    room: String,
    active: Time,
    /// `calm`, or `loud` after a sentence with an exclamation mark.
    #[attr(all_clients, default = "calm".to_owned())]
    mood: String,
}

#[methods]
impl Avatar {
    fn new(cx: &mut Context, name: String) -> Self {
        Self { name, room: String::new(), active: cx.now(), mood: "calm".into() }
    }

    fn on_create(&mut self, cx: &mut Context) {
        cx.every(secs(20), on!(Self::on_silence), ());
    }

    /// Walks into a room, out of the one it is in. `joined` says that it is there.
    #[rpc(own_client, limit = "6000 per min")]
    fn join(&mut self, cx: &mut Context, room: String) -> Result<(), Refused> {
        self.active = cx.now();
        if room.is_empty() || room.chars().count() > 64 {
            return Err(Refused("bad-room".into()));
        }
        cx.call(Lobby::only().room(room)).then(on!(Self::on_room), ());
        Ok(())
    }

    /// Says something to everybody in the room; answers its number there.
    #[rpc(own_client, limit = "60000 per min")]
    fn say(&mut self, cx: &mut Context, text: String) -> Result<u64, Refused> {
        self.active = cx.now();
        if text.len() > 500 {
            return Err(Refused("too-long".into()));
        }
        #[cfg(feature = "trouble")]
        crate::trouble::hear(&text);
        self.mood = if text.ends_with('!') { "loud" } else { "calm" }.into();
        let name = format!("{} ({})", self.name, self.mood);
        cx.space(|room: &mut Room, cx| room.speak(cx, name, text)).map_err(|_| Refused("no-room".into()))
    }

    /// Says something to everybody everywhere.
    #[rpc(own_client, limit = "60 per min")]
    fn shout(&mut self, cx: &mut Context, text: String) {
        self.active = cx.now();
        let text = crate::marked(format!("{} shouts: {text}", self.name));
        cx.broadcast::<Self>(Filter::everyone()).notice(text);
    }

    /// Says what the room is about; everybody in it sees that.
    #[rpc(own_client, limit = "6000 per min")]
    fn topic(&mut self, cx: &mut Context, text: String) -> Result<(), Refused> {
        self.active = cx.now();
        if text.len() > 100 {
            return Err(Refused("too-long".into()));
        }
        cx.space(|room: &mut Room, _| room.topic = text).map_err(|_| Refused("no-room".into()))
    }

    /// Who it is, where it is, and what the room is about.
    #[rpc(own_client, limit = "6000 per min")]
    fn look(&mut self, cx: &mut Context) -> Sight {
        self.active = cx.now();
        let topic = cx.space(|room: &mut Room, _| room.topic.clone()).unwrap_or_default();
        Sight { name: self.name.clone(), room: self.room.clone(), topic }
    }

    /// Who is in the room, sorted by name.
    #[rpc(own_client, limit = "6000 per min")]
    fn who(&mut self, cx: &mut Context) -> List<String> {
        self.active = cx.now();
        let mut names = vec![self.name.clone()];
        for other in cx.members::<Self>() {
            names.extend(cx.read(other, |other: &Self| other.name.clone()));
        }
        names.sort();
        names.into()
    }

    #[rpc(own_client, limit = "6000 per min")]
    fn version(&mut self) -> String {
        format!("{VERSION} mood")
    }

    /// It did not get its name, or nobody needs it any more.
    #[rpc(server)]
    fn vanish(&mut self, cx: &mut Context) {
        cx.destroy_me();
    }

    fn on_room(&mut self, cx: &mut Context, _: (), room: Result<Ref<Room>, CallError>) {
        match room {
            Ok(room) => cx.enter(room, Pose::default()),
            Err(error) => cx.client(self).notice(format!("no way into the room: {error}")),
        }
    }

    fn on_enter_space(&mut self, cx: &mut Context) {
        self.room = cx.space(|room: &mut Room, _| room.name()).unwrap_or_default();
    }

    fn on_enter_failed(&mut self, cx: &mut Context, _: Id, why: String) {
        cx.client(self).notice(format!("no way into the room: {why}"));
    }

    fn on_leave_space(&mut self) {
        self.room = String::new();
    }

    /// The first version called it otherwise; its timers are running.
    #[handler(was = "on_check")]
    fn on_silence(&mut self, cx: &mut Context, _: (), _: Fired) {
        if cx.now().since(self.active) >= IDLE {
            cx.kick(self, "idle for five minutes");
        }
    }

    fn on_client_lost(&mut self, cx: &mut Context) {
        cx.destroy_me();
    }
}
