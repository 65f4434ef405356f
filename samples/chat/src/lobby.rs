//! Who has which name, and which room is where.

use crate::{Avatar, Room};
use everwake::*;

/// Knows all names and rooms.
#[service(shards = 1)]
pub struct Lobby {
    names: Map<String, Ref<Avatar>>,
    rooms: Map<String, Ref<Room>>,
    /// Who waits for a room that is being made.
    waiting: Map<String, List<Reply<Ref<Room>>>>,
}

impl Lobby {
    /// The one shard there is.
    pub fn only() -> Ref<Self> {
        Ref::shard(0).unwrap_or_default()
    }
}

#[methods]
impl Lobby {
    /// Gives a name to an avatar for as long as it lives.
    #[rpc(server)]
    fn claim(&mut self, cx: &mut Context, name: String, avatar: Ref<Avatar>) -> Result<(), Refused> {
        if self.names.contains_key(&name) {
            return Err(Refused("name-taken".into()));
        }
        cx.watch(avatar, on!(Self::on_gone), name.clone());
        self.names.insert(name, avatar);
        Ok(())
    }

    /// Tells everybody something, for operators: `everwake call LOBBY announce 'a pause at noon'`.
    /// Answers how many names there are.
    #[rpc(operator)]
    pub fn announce(&mut self, cx: &mut Context, text: String) -> usize {
        cx.broadcast::<Avatar>(Filter::everyone()).notice(text);
        self.names.len()
    }

    fn on_gone(&mut self, _: &mut Context, name: String, _: Gone) {
        self.names.remove(&name);
    }

    /// The room of this name, made if it is not there.
    #[rpc(server)]
    fn room(&mut self, cx: &mut Context, name: String, reply: Reply<Ref<Room>>) {
        if let Some(room) = self.rooms.get(&name) {
            return reply.ok(cx, *room);
        }
        if let Some(waiting) = self.waiting.get_mut(&name) {
            return waiting.push(reply);
        }
        self.waiting.insert(name.clone(), [reply].into_iter().collect());
        cx.call(create::<Room>(name.clone(), Place::Anywhere)).then(on!(Self::on_room), name);
    }

    fn on_room(&mut self, cx: &mut Context, name: String, room: Result<Ref<Room>, CallError>) {
        let waiting = self.waiting.remove(&name).unwrap_or_default();
        if let Ok(room) = room {
            cx.watch(room, on!(Self::on_room_gone), name.clone());
            self.rooms.insert(name, room);
        }
        for reply in waiting.iter() {
            match room {
                Ok(room) => reply.ok(cx, room),
                Err(_) => reply.err(cx, "busy".into()),
            }
        }
    }

    /// Its game has died. Whoever wants it next has it made again, on another one.
    fn on_room_gone(&mut self, _: &mut Context, name: String, _: Gone) {
        self.rooms.remove(&name);
    }
}
