use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    #[rpc(server, limit = "5 per min")]
    fn push(&mut self) {
        self.open = true;
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
