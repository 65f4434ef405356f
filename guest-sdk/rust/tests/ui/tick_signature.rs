use everwake::*;

#[entity(tick = "2 Hz")]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    #[tick]
    fn think(&mut self, often: u32) {
        self.open = often > 0;
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
