use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    fn new(open: bool) -> Option<Self> {
        Some(Self { open })
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
