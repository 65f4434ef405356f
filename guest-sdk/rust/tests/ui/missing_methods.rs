use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

module! { name: "doors", types: [Door] }

fn main() {}
