//! A visitor: somebody's own figure. It goes from yard to yard, whichever game each of them is on.

use crate::{Keeper, Yard, somewhere};
use everwake::*;

/// What a visitor's client is told.
#[client_methods]
pub trait VisitorClient {
    fn arrived(yard: String);
    fn stays(why: String);
}

/// What there is to know about a visitor.
#[attr_type]
pub struct Passport {
    pub yard: String,
    pub walks: u32,
    pub waves: u32,
}

/// A visitor.
#[entity(aoi = 15.0, client = VisitorClient)]
pub struct Visitor {
    #[attr(all_clients)]
    name: String,
    /// The label of the game that its yard is on.
    #[attr(client)]
    pub(crate) yard: String,
    /// How often it has come into a yard.
    #[attr(all_clients)]
    pub(crate) walks: u32,
    /// How often it has waved; everybody near sees it.
    #[attr(all_clients)]
    waves: u32,
}

#[methods]
impl Visitor {
    fn new(name: String) -> Self {
        Self { name, yard: String::new(), walks: 0, waves: 0 }
    }

    /// Goes to the yard on a game with this label. `arrived` says that it is there, `stays` that it is not.
    #[rpc(own_client)]
    fn walk(&mut self, cx: &mut Context, label: String) {
        cx.call(Keeper::only().yard(label)).within(secs(20)).then(on!(Self::on_yard), ());
    }

    /// Answers how often that was.
    #[rpc(own_client)]
    fn wave(&mut self) -> u32 {
        self.waves += 1;
        self.waves
    }

    #[rpc(own_client)]
    fn passport(&mut self) -> Passport {
        Passport { yard: self.yard.clone(), walks: self.walks, waves: self.waves }
    }

    /// It did not get its client.
    #[rpc(server)]
    fn vanish(&mut self, cx: &mut Context) {
        cx.destroy_me();
    }

    fn on_yard(&mut self, cx: &mut Context, _: (), yard: Result<Ref<Yard>, CallError>) {
        match yard {
            Ok(yard) => {
                let place = somewhere(cx);
                cx.enter(yard, Pose::at(place.x, place.z));
            }
            Err(error) => cx.client(self).stays(error.to_string()),
        }
    }

    fn on_enter_space(&mut self, cx: &mut Context) {
        self.walks += 1;
        self.yard = cx.space(|yard: &mut Yard, _| yard.label()).unwrap_or_default();
        cx.client(self).arrived(self.yard.clone());
    }

    fn on_enter_failed(&mut self, cx: &mut Context, _: Id, why: String) {
        cx.client(self).stays(why);
    }

    fn on_client_lost(&mut self, cx: &mut Context) {
        cx.destroy_me();
    }
}
