use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    fn on_enter_space(&mut self, _: &mut Context, name: String) {
        self.open = name.is_empty();
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
