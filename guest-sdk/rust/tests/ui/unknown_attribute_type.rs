use everwake::*;

pub struct Lock;

#[entity]
pub struct Door {
    lock: Lock,
    keys: std::collections::HashMap<String, u32>,
}

#[methods]
impl Door {}

module! { name: "doors", types: [Door] }

fn main() {}
