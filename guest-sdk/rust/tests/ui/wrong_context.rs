use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    #[rpc(server)]
    fn push(&mut self, cx: &mut Context) {
        cx.after(secs(1), on!(Self::on_shut), "slowly".to_string());
        cx.call(kv::get::<u32>("door")).then(on!(Self::on_shut), 1);
    }

    fn on_shut(&mut self, _: &mut Context, _: u32, _: Fired) {
        self.open = false;
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
