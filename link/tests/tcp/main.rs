//! Links over real sockets: order over cut connections, TLS, and what is refused.

// Marked as tests, as they are nothing else: the lints for code that runs do not hold here.
#[cfg(test)]
mod kit;
#[cfg(test)]
mod order;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod secured;
