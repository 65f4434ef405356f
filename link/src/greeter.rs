//! Reads the first frame of a connection that a listener took, before it is known whose it is.

use crate::frame::{Decoder, Frame, FrameError};
use crate::handshake::{self, HandshakeError, Hello};
use crate::names::{PeerName, Role};
use bytes::Bytes;

/// Waits for one greeting. Whoever drives it gives it [`crate::limits::GREETING_MS`] and no more.
#[derive(Debug)]
pub struct Greeter {
    us: PeerName,
    allowed: Vec<Role>,
    certified: Option<PeerName>,
    decoder: Decoder,
}

/// A greeting of a peer that may link, and what came behind it.
#[derive(Debug)]
pub struct Greeted {
    /// The greeting.
    pub hello: Box<Hello>,
    /// For [`crate::Input::Accepted`].
    pub decoder: Decoder,
}

impl Greeter {
    /// Takes peers of the roles in `allowed`; with TLS only the one that its certificate names.
    pub fn new(us: PeerName, allowed: &[Role], certified: Option<PeerName>) -> Greeter {
        Greeter { us, allowed: allowed.to_vec(), certified, decoder: Decoder::new() }
    }

    /// Takes bytes of the connection. None as long as the greeting is not whole. After an error the connection
    /// is closed; what [`HandshakeError::refusal`] gives is written before.
    pub fn handle(&mut self, bytes: Bytes) -> Result<Option<Greeted>, HandshakeError> {
        self.decoder.push(bytes);
        let wrong = |error| HandshakeError::Frame { us: self.us.clone(), error };
        match self.decoder.pop().map_err(wrong)? {
            None => Ok(None),
            Some(Frame::Hello(hello)) => {
                self.check(&hello)?;
                Ok(Some(Greeted { hello, decoder: std::mem::take(&mut self.decoder) }))
            }
            Some(_) => Err(wrong(FrameError::Field("greeting"))),
        }
    }

    fn check(&self, hello: &Hello) -> Result<(), HandshakeError> {
        handshake::check(&self.us, hello, self.certified.as_ref())?;
        if self.allowed.contains(&hello.peer.role()) {
            return Ok(());
        }
        let words: Vec<&str> = self.allowed.iter().map(|role| role.word()).collect();
        let (us, them) = (self.us.clone(), hello.peer.clone());
        Err(HandshakeError::Role { us, them, allowed: words.join(" and ") })
    }
}
