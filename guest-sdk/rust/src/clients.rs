//! Clients: what is called on them, who they are, how they change hands. It does not know
//! which client methods there are; `#[client_methods]` writes those.

use crate::bindings::everwake::game::{clients as wit, types};
use crate::calls::Callable;
use crate::context::Context;
use crate::entity::{Entity, InModule};
use crate::host;
use crate::id::{Id, Ref};
use crate::manifest::{ClientMethod, Definitions};
use crate::poison;

/// The methods that clients of a type implement; `#[client_methods]` makes one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of client methods",
    note = "write `#[client_methods] pub trait {Self} {{ fn said(text: String); }}`"
)]
pub trait ClientMethods: Sized {
    /// Its methods, in order.
    fn describe(definitions: &mut Definitions) -> Vec<ClientMethod>;
    /// The methods, called on these clients.
    fn to(clients: Clients) -> Self;
}

/// Of a type whose clients have no methods.
#[derive(Clone, Copy, Debug)]
pub struct NoClient;

impl ClientMethods for NoClient {
    fn describe(_: &mut Definitions) -> Vec<ClientMethod> {
        Vec::new()
    }

    fn to(_: Clients) -> Self {
        Self
    }
}

/// Some clients, to call methods on.
#[derive(Clone, Debug)]
pub struct Clients(To);

#[derive(Clone, Debug)]
enum To {
    Mirrors(Id, wit::Audience),
    All(Filter, u32),
}

impl Clients {
    /// For `#[client_methods]`.
    #[doc(hidden)]
    pub fn call(&self, method: u32, args: &[u8]) {
        poison::check(match &self.0 {
            To::Mirrors(entity, audience) => host::clients::call((*entity).into(), *audience, method, args),
            To::All(filter, type_index) => host::clients::broadcast(
                &filter.key,
                filter.compare,
                &filter.value,
                *type_index,
                method,
                args,
            ),
        });
    }
}

/// An entity whose clients can be called: the struct at hand, or a [`Ref`].
#[diagnostic::on_unimplemented(message = "`{Self}` is not an entity with clients")]
pub trait HasClients {
    /// What can be called on them.
    type Client: ClientMethods;
    /// Whose clients they are.
    fn entity(&self, cx: &Context) -> Id;
}

impl<T: InModule> HasClients for T {
    type Client = T::Client;

    fn entity(&self, cx: &Context) -> Id {
        cx.owner::<T>()
    }
}

impl<T: Entity> HasClients for Ref<T> {
    type Client = T::Client;

    fn entity(&self, _: &Context) -> Id {
        self.id()
    }
}

/// Which clients a broadcast is for: by a text that [`Context::set_filter`] gave them.
#[derive(Clone, Debug)]
pub struct Filter {
    key: String,
    compare: wit::Comparison,
    value: String,
}

impl Filter {
    /// Every client of the module.
    pub fn everyone() -> Self {
        Self::new("", wit::Comparison::Equal, "")
    }

    fn new(key: &str, compare: wit::Comparison, value: &str) -> Self {
        Self { key: key.into(), compare, value: value.into() }
    }

    /// Those whose text under `key` is `value`.
    pub fn equal(key: &str, value: &str) -> Self {
        Self::new(key, wit::Comparison::Equal, value)
    }

    /// Those whose text under `key` is another one.
    pub fn not_equal(key: &str, value: &str) -> Self {
        Self::new(key, wit::Comparison::NotEqual, value)
    }

    /// Those whose text under `key` comes before `value`, by bytes.
    pub fn less(key: &str, value: &str) -> Self {
        Self::new(key, wit::Comparison::Less, value)
    }

    /// Those whose text under `key` is `value` or comes before it.
    pub fn less_or_equal(key: &str, value: &str) -> Self {
        Self::new(key, wit::Comparison::LessOrEqual, value)
    }

    /// Those whose text under `key` comes after `value`.
    pub fn greater(key: &str, value: &str) -> Self {
        Self::new(key, wit::Comparison::Greater, value)
    }

    /// Those whose text under `key` is `value` or comes after it.
    pub fn greater_or_equal(key: &str, value: &str) -> Self {
        Self::new(key, wit::Comparison::GreaterOrEqual, value)
    }
}

/// Who a client is.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientInfo {
    /// The session, new for each connection.
    pub session: Id,
    /// Address as text.
    pub address: String,
    /// From the client's greeting: hostile text.
    pub token: String,
    /// The client program's version: hostile text.
    pub version: String,
    /// Language tag: hostile text.
    pub locale: String,
    /// Round trip in ms when it was last measured.
    pub round_trip_ms: f32,
}

/// The hand-over of the own client to another entity; see [`give_to`].
#[must_use = "the client stays until `cx.call(..)` gets it"]
pub struct Give {
    giver: Id,
    taker: Id,
    replace: bool,
}

impl Give {
    /// A client that the taker has already is replaced; else the hand-over fails.
    pub fn replacing(mut self) -> Self {
        self.replace = true;
        self
    }
}

impl Callable for Give {
    type Answer = ();

    fn start(self, then: &types::Continuation) -> Result<(), types::Error> {
        let giver = if self.giver.is_nil() { then.owner } else { self.giver.into() };
        host::clients::give(giver, self.taker.into(), self.replace, then)
    }
}

/// Gives the client of the entity that takes the answer to another one, anywhere in the cluster.
pub fn give_to<T: Entity>(taker: Ref<T>) -> Give {
    Give { giver: Id::NIL, taker: taker.id(), replace: false }
}

impl Context {
    /// The own client of an entity: `cx.client(self).said("hello")`.
    pub fn client<W: HasClients>(&self, who: &W) -> W::Client {
        self.mirrors(who, wit::Audience::OwnClient)
    }

    /// All clients that see an entity, its own one included.
    pub fn all_clients<W: HasClients>(&self, who: &W) -> W::Client {
        self.mirrors(who, wit::Audience::AllClients)
    }

    /// All clients that see an entity, but not its own one.
    pub fn others<W: HasClients>(&self, who: &W) -> W::Client {
        self.mirrors(who, wit::Audience::OtherClients)
    }

    fn mirrors<W: HasClients>(&self, who: &W, audience: wit::Audience) -> W::Client {
        W::Client::to(Clients(To::Mirrors(who.entity(self), audience)))
    }

    /// The clients of the whole deployment whose entity is a `T`, by their filter texts.
    pub fn broadcast<T: InModule>(&self, filter: Filter) -> T::Client {
        T::Client::to(Clients(To::All(filter, T::INDEX)))
    }

    /// Who the client of an entity is, as of the last commit.
    pub fn client_info(&self, who: &impl HasClients) -> Option<ClientInfo> {
        let info = host::clients::client_of(who.entity(self).into())?;
        Some(ClientInfo {
            session: info.session.into(),
            address: info.address,
            token: info.token,
            version: info.version,
            locale: info.locale,
            round_trip_ms: info.round_trip_ms,
        })
    }

    /// Sets a text by which broadcasts select an entity's client; none removes it.
    pub fn set_filter(&self, who: &impl HasClients, key: &str, value: Option<&str>) {
        poison::check(host::clients::set_filter(who.entity(self).into(), key, value));
    }

    /// Closes an entity's client.
    pub fn kick(&self, who: &impl HasClients, reason: &str) {
        poison::check(host::clients::kick(who.entity(self).into(), reason));
    }

    /// Gives the client of an entity of this space to another one, anywhere.
    pub fn give_client<T: Entity>(&self, giver: &impl HasClients, taker: Ref<T>) -> Give {
        Give { giver: giver.entity(self), taker: taker.id(), replace: false }
    }
}
