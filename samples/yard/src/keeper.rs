//! The yard itself, and who makes it.

use crate::{Monster, Walker, somewhere};
use everwake::*;

const MONSTERS: u32 = 200;
const WALKERS: u32 = 50;

/// Makes the first yard when the game starts, others when they are asked for, and says where they are.
#[service(shards = 1)]
pub struct Keeper {
    /// By the label of the game that each is on; the first one is on any game, and has none.
    yards: Map<String, Ref<Yard>>,
    waiting: Map<String, List<Reply<Ref<Yard>>>>,
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
        self.make(cx, String::new());
    }

    /// The yard on a game with this label, made if it is not there.
    #[rpc(server)]
    fn yard(&mut self, cx: &mut Context, label: String, reply: Reply<Ref<Yard>>) {
        if let Some(yard) = self.yards.get(&label) {
            return reply.ok(cx, *yard);
        }
        if !self.waiting.contains_key(&label) {
            self.make(cx, label.clone());
        }
        self.waiting.entry(label).or_default().push(reply);
    }

    fn on_yard(&mut self, cx: &mut Context, label: String, yard: Result<Ref<Yard>, CallError>) {
        let waiting = self.waiting.remove(&label).unwrap_or_default();
        if let Ok(yard) = yard {
            cx.watch(yard, on!(Self::on_gone), label.clone());
            self.yards.insert(label, yard);
        }
        for reply in waiting.iter() {
            match &yard {
                Ok(yard) => reply.ok(cx, *yard),
                Err(error) => reply.err(cx, error.to_string()),
            }
        }
    }

    /// Its game has died. Whoever wants it next has it made again.
    fn on_gone(&mut self, _: &mut Context, label: String, _: Gone) {
        self.yards.remove(&label);
    }
}

impl Keeper {
    fn make(&mut self, cx: &mut Context, label: String) {
        let place = if label.is_empty() { Place::Anywhere } else { Place::Label(label.clone()) };
        self.waiting.insert(label.clone(), List::default());
        cx.call(create::<Yard>(label.clone(), place)).then(on!(Self::on_yard), label);
    }
}

/// The space that everything happens in.
#[space]
pub struct Yard {
    label: String,
}

#[methods]
impl Yard {
    fn new(_: &mut Context, label: String) -> Self {
        Self { label }
    }

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

impl Yard {
    /// Of the game that it is on; empty if any would do.
    pub fn label(&self) -> String {
        self.label.clone()
    }
}
