//! Gate and client over real QUIC on the loopback, with a scripted game behind the gate.

mod game;
mod hostile;
mod plays;
