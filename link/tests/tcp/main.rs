//! Links over real sockets: order over cut connections, TLS, and what is refused.

mod kit;
mod order;
mod refusals;
mod secured;
