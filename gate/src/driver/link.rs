//! One connection's task: bytes from quinn to the core, commands from the core to quinn.

use crate::values::{ConnectionId, GateInput};
use bytes::Bytes;
use everwake_protocol::client::CloseCode;
use everwake_protocol::cluster::{FromDispatcher, ToDispatcher, ToGame, ToGate};
use everwake_protocol::limits::KEEP_ALIVE_MS;
use everwake_protocol::wire::WireError;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Largest piece of a stream that the core gets at once.
const CHUNK: usize = 16 * 1024;
/// How long a client may take to confirm what was written before its connection is closed.
const CONFIRM: Duration = Duration::from_secs(1);

/// A round trip is told when it changed by this share,
const ROUND_TRIP_CHANGE: f32 = 0.1;
/// and by this much.
const ROUND_TRIP_CHANGE_MS: f32 = 1.0;

/// To the driver.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "they are moved once or twice and never kept")]
pub(super) enum FromLink {
    /// The handshake is done.
    Established(ConnectionId, quinn::Connection),
    /// For the core.
    Input(GateInput),
}

/// From the driver. The core has at most one write under way, so few wait. Boxed where they wait: a channel
/// holds room for 32 from the start, and there is one for each connection.
#[derive(Debug)]
pub(super) enum Command {
    Write(Vec<Bytes>),
    /// Close when everything that was written has arrived.
    Close(CloseCode, String),
}

/// What the driver keeps of a connection.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) commands: mpsc::UnboundedSender<Box<Command>>,
    pub(super) quic: Option<quinn::Connection>,
}

type Inputs = mpsc::Sender<FromLink>;

// An idle connection consists of this and of what quinn keeps.
const _: () = assert!(future_bytes(serve) <= 2_400);

const fn future_bytes<A, B, C, D, F>(_: fn(A, B, C, D) -> F) -> usize {
    size_of::<F>()
}

/// Serves a connection until it is gone, and says so.
pub(super) async fn serve(
    connection: ConnectionId,
    incoming: quinn::Incoming,
    inputs: Inputs,
    mut commands: mpsc::UnboundedReceiver<Box<Command>>,
) {
    let mut timed_out = false;
    if let Some(quic) = shake_hands(incoming, &mut commands).await
        && tell(&inputs, || FromLink::Established(connection, quic.clone())).await
    {
        let (give_stream, take_stream) = oneshot::channel();
        let work = async {
            tokio::join!(
                read(connection, &quic, &inputs, give_stream),
                datagrams(connection, &quic, &inputs),
                round_trips(connection, &quic, &inputs),
                obey(connection, &quic, &inputs, commands, take_stream),
            );
            quic.closed().await
        };
        let reason = tokio::select! {
            reason = quic.closed() => reason,
            reason = work => reason,
        };
        timed_out = matches!(reason, quinn::ConnectionError::TimedOut);
    }
    // If the driver is gone nobody needs to know.
    tell(&inputs, || FromLink::Input(GateInput::Gone { connection, timed_out })).await;
}

/// Tells the driver, or says that it is gone. Room is waited for first, and the message is made once there is
/// some: an idle connection would else have room for one in each of the places that tell something.
async fn tell(inputs: &Inputs, message: impl FnOnce() -> FromLink) -> bool {
    let Ok(room) = inputs.reserve().await else { return false };
    room.send(message());
    true
}

async fn shake_hands(
    incoming: quinn::Incoming,
    commands: &mut mpsc::UnboundedReceiver<Box<Command>>,
) -> Option<quinn::Connection> {
    let address = incoming.remote_address();
    let connecting = incoming.accept().ok()?;
    tokio::select! {
        result = connecting => match result {
            Ok(quic) => Some(quic),
            Err(error) => {
                tracing::debug!(%address, "handshake failed: {error}");
                None
            }
        },
        // The core gave the handshake up.
        _ = commands.recv() => None,
    }
}

async fn read(
    connection: ConnectionId,
    quic: &quinn::Connection,
    inputs: &Inputs,
    give_stream: oneshot::Sender<quinn::SendStream>,
) {
    let Ok((send, mut receive)) = quic.accept_bi().await else { return };
    let _ = give_stream.send(send);
    let stream = async {
        while let Ok(Some(chunk)) = receive.read_chunk(CHUNK, true).await {
            let bytes = chunk.bytes;
            if !tell(inputs, || FromLink::Input(GateInput::Received { connection, bytes })).await {
                return;
            }
        }
        tell(inputs, || FromLink::Input(GateInput::Finished { connection })).await;
    };
    let misuse = async {
        let what = tokio::select! {
            Ok(_) = quic.accept_bi() => "a second stream",
            Ok(_) = quic.accept_uni() => "a unidirectional stream",
            else => return,
        };
        tell(inputs, || FromLink::Input(GateInput::Misused { connection, what })).await;
    };
    tokio::join!(stream, misuse);
}

async fn datagrams(connection: ConnectionId, quic: &quinn::Connection, inputs: &Inputs) {
    while let Ok(bytes) = quic.read_datagram().await {
        if !tell(inputs, || FromLink::Input(GateInput::Datagram { connection, bytes })).await {
            return;
        }
    }
}

async fn round_trips(connection: ConnectionId, quic: &quinn::Connection, inputs: &Inputs) {
    let mut told: Option<f32> = None;
    loop {
        tokio::time::sleep(Duration::from_millis(KEEP_ALIVE_MS)).await;
        let ms = quic.rtt().as_secs_f32() * 1_000.0;
        // Each one wakes the entity's space: an idle client should not for nothing.
        if told.is_some_and(|told| (ms - told).abs() < (told * ROUND_TRIP_CHANGE).max(ROUND_TRIP_CHANGE_MS)) {
            continue;
        }
        told = Some(ms);
        if !tell(inputs, || FromLink::Input(GateInput::RoundTrip { connection, ms })).await {
            return;
        }
    }
}

async fn obey(
    connection: ConnectionId,
    quic: &quinn::Connection,
    inputs: &Inputs,
    mut commands: mpsc::UnboundedReceiver<Box<Command>>,
    take_stream: oneshot::Receiver<quinn::SendStream>,
) {
    let mut take_stream = Some(take_stream);
    let mut stream: Option<quinn::SendStream> = None;
    while let Some(command) = commands.recv().await {
        // The first write answers a greeting, which came on the stream.
        if let Some(mut take) = take_stream.take() {
            stream = take.try_recv().ok();
            if stream.is_none() {
                take_stream = Some(take);
            }
        }
        match *command {
            Command::Write(mut pieces) => {
                if let Some(stream) = &mut stream
                    && stream.write_all_chunks(&mut pieces).await.is_ok()
                {
                    tell(inputs, || FromLink::Input(GateInput::Written { connection })).await;
                } else {
                    quic.close((CloseCode::Protocol as u32).into(), b"the stream was stopped");
                }
            }
            Command::Close(code, reason) => {
                if let Some(stream) = &mut stream
                    && stream.finish().is_ok()
                {
                    // Boxed, so that connections that are not closing have no room for it.
                    let _ = Box::pin(tokio::time::timeout(CONFIRM, stream.stopped())).await;
                }
                quic.close((code as u32).into(), reason.as_bytes());
            }
        }
    }
}

/// A message as it comes out of a link between processes. Debug builds take that way
/// always, so that no message works only inside of one process.
pub(super) fn crossed_to_game(message: ToDispatcher<ToGame>) -> ToDispatcher<ToGame> {
    message.map(|payload| crossed(payload, ToGame::encode, ToGame::decode))
}

/// The same in the other direction.
pub(super) fn crossed_to_gate(message: FromDispatcher<ToGate, ToGame>) -> FromDispatcher<ToGate, ToGame> {
    match message {
        FromDispatcher::Deliver(envelope) => {
            FromDispatcher::Deliver(envelope.map(|payload| crossed(payload, ToGate::encode, ToGate::decode)))
        }
        other => other,
    }
}

fn crossed<T: PartialEq + std::fmt::Debug>(
    message: T,
    encode: impl FnOnce(&T, &mut Vec<u8>),
    decode: impl FnOnce(Bytes) -> Result<T, WireError>,
) -> T {
    if !cfg!(debug_assertions) {
        return message;
    }
    let mut bytes = Vec::new();
    encode(&message, &mut bytes);
    match decode(bytes.into()) {
        Ok(crossed) if crossed == message => crossed,
        Ok(crossed) => {
            tracing::error!(?message, ?crossed, "a message is over its limits: a link would cut it");
            crossed
        }
        Err(error) => {
            tracing::error!(?message, %error, "a message would not survive a link");
            message
        }
    }
}
