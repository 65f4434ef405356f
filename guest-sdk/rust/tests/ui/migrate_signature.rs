use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    #[migrate]
    fn migrate(state: &mut State) {
        state.remove("open");
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
