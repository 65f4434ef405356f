use everwake::*;

pub struct Jammed;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    #[rpc(server)]
    fn push(&mut self) -> Result<bool, Jammed> {
        Err(Jammed)
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
