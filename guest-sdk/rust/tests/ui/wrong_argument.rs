use everwake::*;

#[client_methods]
pub trait DoorClient {
    fn creaked(volume: u32);
}

#[entity(client = DoorClient)]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    #[rpc(server)]
    fn push(&mut self, cx: &mut Context, other: Ref<Door>, hard: bool) {
        self.open = hard;
        cx.post(other.push(other, 3));
        cx.client(self).creaked("very");
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
