use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    #[rpc(server)]
    fn push(&mut self, who: &str) {
        self.open = !who.is_empty();
    }

    #[rpc(server)]
    fn look(&self) -> bool {
        self.open
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
