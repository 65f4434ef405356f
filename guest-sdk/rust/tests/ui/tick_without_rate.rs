use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    #[tick]
    fn think(&mut self, _: &mut Tick) {
        self.open = true;
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
