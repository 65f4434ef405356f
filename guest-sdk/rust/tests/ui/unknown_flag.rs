use everwake::*;

#[entity(persistant)]
pub struct Door {
    #[attr(clients)]
    open: bool,
}

#[methods]
impl Door {
    #[rpc(everyone)]
    fn push(&mut self) {
        self.open = true;
    }
}

fn main() {}
