use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    #[rpc(server)]
    fn push(&mut self, cx: &mut Context) {
        cx.spawn::<Key>((), Pose::default());
    }
}

#[entity]
pub struct Key {
    teeth: u32,
}

#[methods]
impl Key {}

module! { name: "doors", types: [Door] }

fn main() {}
