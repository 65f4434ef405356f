//! An avatar with fifteen attributes of the kinds that games use.

use crate::Field;
use everwake::*;

/// In the second schema gold is counted in copper.
const SCHEMA: u32 = if cfg!(feature = "copper") { 2 } else { 1 };
const COPPER_PER_GOLD: i64 = 100;

/// Something that an avatar carries.
#[attr_type]
pub struct Item {
    pub kind: String,
    pub count: u32,
    pub made: Made,
}

/// Where something comes from.
#[attr_type]
pub struct Made {
    pub place: Vec3,
    pub at: Time,
}

/// What an avatar is doing.
#[attr_type]
pub enum Mode {
    Idle,
    Chase { target: Ref<Avatar>, ready: Time },
    Dead { until: Time },
}

/// An avatar.
#[entity(schema = SCHEMA)]
pub struct Avatar {
    hp: i64,
    gold: i64,
    place: Vec3,
    friend: Ref<Avatar>,
    level: u32,
    name: String,
    title: String,
    mode: Mode,
    hand: Option<Item>,
    bag: Map<String, u32>,
    friends: List<Ref<Avatar>>,
    home: Vec3,
    deaths: u32,
    active: Time,
    #[attr(all_clients)]
    mana: i64,
}

#[methods]
impl Avatar {
    fn new(cx: &mut Context, number: u32) -> Self {
        Self { level: number % 60, home: Vec3::new(number as f32, 0.0, 1.5), ..Self::filled(cx) }
    }

    /// The empty handler.
    #[rpc(server)]
    fn nothing(&mut self, amount: i64) {
        let _ = amount;
    }

    /// The full handler: reads four attributes, writes three, sends one message.
    #[rpc(server)]
    fn full(&mut self, cx: &mut Context, amount: i64) {
        self.hp = (self.hp + amount) % 10_000;
        self.gold += amount;
        self.place = Vec3::new(self.place.x + 0.5, self.place.y, self.place.z + 0.25);
        cx.send(self.friend.nothing(amount));
    }

    /// The same with an attribute that clients see.
    #[rpc(server)]
    fn seen(&mut self, cx: &mut Context, amount: i64) {
        self.mana += amount;
        self.full(cx, amount);
    }

    /// Edits one entry of a map, the mode and a nested item.
    #[rpc(server)]
    fn trade(&mut self, cx: &mut Context, amount: i64) {
        *self.bag.entry("coins".into()).or_insert(0) += amount as u32;
        self.mode = match self.mode {
            Mode::Idle => Mode::Chase { target: self.friend, ready: cx.now() + secs(1) },
            _ => Mode::Idle,
        };
        if let Some(item) = &mut self.hand {
            item.count += 1;
        }
    }

    /// Calls the friend so many times in a row, through the mailbox.
    #[rpc(server)]
    fn pass(&mut self, cx: &mut Context, hops: u32, field: Ref<Field>) {
        self.hp += 1;
        if hops == 0 {
            cx.send(field.arrived());
        } else {
            cx.send(self.friend.pass(hops - 1, field));
        }
    }

    #[rpc(server)]
    fn befriend(&mut self, friend: Ref<Avatar>) {
        self.friend = friend;
    }

    #[rpc(server)]
    fn vanish(&mut self, cx: &mut Context) {
        cx.destroy_me();
    }

    /// Dies of a panic.
    #[rpc(server)]
    fn panics(&mut self, amount: i64) {
        self.gold += amount;
        panic!("{amount} is too much");
    }

    /// Never ends.
    #[rpc(server)]
    fn spins(&mut self, amount: i64) {
        let mut value = amount as u64;
        while std::hint::black_box(value) != 1 {
            value = value.wrapping_mul(3) | 2;
        }
    }

    /// Wants all memory there is.
    #[rpc(server)]
    fn hoards(&mut self, amount: i64) {
        let mut kept = Vec::new();
        loop {
            kept.push(std::hint::black_box(vec![amount as u8; 1 << 20]));
        }
    }

    #[migrate]
    fn migrate(from: u32, to: u32, state: &mut State) -> Result<(), Fail> {
        let gold: i64 = state.get("gold")?;
        state.set("gold", &if to > from { gold * COPPER_PER_GOLD } else { gold / COPPER_PER_GOLD });
        Ok(())
    }
}

impl Avatar {
    fn filled(cx: &Context) -> Self {
        let made = Made { place: Vec3::new(3.0, 0.5, -7.25), at: cx.now() };
        let words = ["coins", "apples", "arrows", "keys", "letters", "maps", "rings", "stones"];
        Self {
            hp: 100,
            gold: 25,
            place: Vec3::new(1.0, 0.0, 2.0),
            level: 7,
            name: "Adelheid".into(),
            title: "of the seven seas".into(),
            hand: Some(Item { kind: "sword".into(), count: 1, made }),
            bag: words.iter().map(|word| ((*word).to_owned(), 3)).collect(),
            home: Vec3::new(4.0, 0.0, 1.5),
            active: cx.now(),
            mana: 50,
            ..Self::default()
        }
    }
}
