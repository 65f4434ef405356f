use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    fn on_create(&self) {}

    fn on_client_lost(&mut self, _: &mut Context, _: u32, who: Id) {
        self.open = who.is_nil();
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
