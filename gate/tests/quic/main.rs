//! Gate and client over real QUIC on the loopback, with a scripted game behind the gate.

// Marked as tests, as they are nothing else: the lints for code that runs do not hold here.
#[cfg(test)]
mod full;
#[cfg(test)]
mod game;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod mute;
#[cfg(test)]
mod plays;
#[cfg(test)]
mod reconnect;
