use everwake::*;

#[entity]
pub struct Door {
    open: bool,
}

#[methods]
impl Door {
    #[rpc(server)]
    #[handler(was = "shove")]
    fn push(&mut self) {
        self.open = true;
    }

    #[handler(renamed = "on_close")]
    fn on_shut(&mut self, _: &mut Context, _: (), _: Fired) {
        self.open = false;
    }
}

module! { name: "doors", types: [Door] }

fn main() {}
