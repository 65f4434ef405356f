use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    #[rpc(server)]
    fn push(&mut self) -> std::sync::mpsc::Sender<u32> {
        std::sync::mpsc::channel().0
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
