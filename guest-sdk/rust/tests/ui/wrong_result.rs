use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    #[rpc(server)]
    fn push(&mut self, cx: &mut Context, other: Ref<Door>) {
        cx.call(other.is_open()).then(on!(Self::on_answer), ());
    }

    #[rpc(server)]
    fn is_open(&mut self) -> bool {
        self.open
    }

    fn on_answer(&mut self, _: &mut Context, _: (), answer: Result<String, CallError>) {
        self.open = answer.is_ok();
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
