//! A way for TCP that can be cut: connections end and new ones are refused, or nothing passes and nobody is told.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Bytes that pass at once.
const PIECE_BYTES: usize = 16 * 1024;

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It passes.
    Open,
    /// Connections end, new ones are refused.
    Cut,
    /// Connections stand, nothing passes; new ones are taken and not answered.
    Hole,
}

/// Stands until it is dropped.
pub struct Gap(watch::Sender<Way>);

impl Gap {
    /// Must be called inside of a tokio runtime.
    pub fn open(listen: SocketAddr, target: SocketAddr) -> Gap {
        let way = watch::Sender::new(Way::Open);
        tokio::spawn(serve(listen, target, way.subscribe()));
        Gap(way)
    }

    pub fn set(&self, way: Way) {
        self.0.send_replace(way);
    }
}

async fn serve(listen: SocketAddr, target: SocketAddr, mut way: watch::Receiver<Way>) {
    while way.wait_for(|way| *way != Way::Cut).await.is_ok() {
        let Ok(listener) = TcpListener::bind(listen).await else {
            // Somebody else's connection may have the port for a moment.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        loop {
            tokio::select! {
                closed = async { way.wait_for(|way| *way == Way::Cut).await.is_err() } => {
                    if closed {
                        return;
                    }
                    break;
                }
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    tokio::spawn(join(stream, target, way.clone()));
                }
            }
        }
    }
}

/// Both directions of a connection, until one of them ends.
async fn join(near: TcpStream, target: SocketAddr, mut way: watch::Receiver<Way>) {
    if way.wait_for(|way| *way != Way::Hole).await.is_err() {
        return;
    }
    let Ok(far) = TcpStream::connect(target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = pump(near_in, far_out, way.clone()) => {}
        () = pump(far_in, near_out, way) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let now = *way.borrow_and_update();
        tokio::select! {
            changed = way.changed() => if changed.is_err() { return },
            read = from.read(&mut piece), if now == Way::Open => {
                let Ok(count @ 1..) = read else { return };
                let Some(bytes) = piece.get(..count) else { return };
                if to.write_all(bytes).await.is_err() {
                    return;
                }
            }
            () = std::future::ready(()), if now == Way::Cut => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says a byte and waits for it to come back; none if it does not.
    async fn echo(stream: &mut TcpStream) -> Option<u8> {
        stream.write_all(&[7]).await.ok()?;
        tokio::time::timeout(Duration::from_millis(300), stream.read_u8()).await.ok()?.ok()
    }

    #[tokio::test]
    async fn bytes_pass_are_held_and_are_cut_off() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = server.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let gap = Gap::open(listen, target);
        let mut stream = loop {
            match TcpStream::connect(listen).await {
                Ok(stream) => break stream,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        assert_eq!(echo(&mut stream).await, Some(7));
        gap.set(Way::Hole);
        assert_eq!(echo(&mut stream).await, None, "nothing passes a hole");
        gap.set(Way::Open);
        assert_eq!(stream.read_u8().await.unwrap(), 7, "what was held passes later");
        gap.set(Way::Cut);
        assert!(stream.read_u8().await.is_err(), "the connection has ended");
        while TcpStream::connect(listen).await.is_ok() {
            tokio::task::yield_now().await;
        }
        gap.set(Way::Open);
        let mut stream = loop {
            match TcpStream::connect(listen).await {
                Ok(stream) => break stream,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        assert_eq!(echo(&mut stream).await, Some(7));
    }
}
