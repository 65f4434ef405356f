use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    #[rpc(server)]
    async fn push(&mut self) {
        self.open = true;
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
