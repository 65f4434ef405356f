use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    #[rpc(server, all_clients)]
    fn push(&mut self) {
        self.open = true;
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
