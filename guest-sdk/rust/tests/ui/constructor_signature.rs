use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    fn new(&mut self, open: bool) -> Self {
        Self { open }
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
