//! The task of one link: waits for one of few things to happen, tells the core, and does what the core wants.

use super::{Accepted, ConnectError, DialConfig, Stream, connect};
use crate::core::{ConnectionId, Core, Event, Input, Output};
use crate::frame::Lane;
use crate::handle::{self, Command, TaskSide};
use crate::limits::{COMMANDS_AT_ONCE, READ_BYTES};
use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

/// Every reason for which the task wakes.
enum Happened {
    Read(io::Result<usize>),
    Wrote(io::Result<()>),
    Commands,
    Dialed(Result<(Stream, connect::Certified), ConnectError>),
    Time,
    OwnerGone,
}

type Dialing = Pin<Box<dyn Future<Output = Result<(Stream, connect::Certified), ConnectError>> + Send>>;

struct Task {
    core: Core,
    side: TaskSide,
    start: Instant,
    dialer: Option<DialConfig>,
    dialing: Option<(ConnectionId, Dialing)>,
    /// The present one; for a moment also one that is about to take its place, or to be refused.
    connections: Vec<Open>,
    accepted: u64,
    commands: Vec<Command>,
    events: Vec<Event>,
    owner_gone: bool,
    last_words_ms: u64,
}

/// A connection and what is to be written to it.
struct Open {
    id: ConnectionId,
    stream: Stream,
    read: BytesMut,
    writes: VecDeque<Bytes>,
    /// Written, but perhaps still with TLS.
    unflushed: bool,
}

/// Drives a link until it has ended.
pub(super) async fn run(core: Core, side: TaskSide, dialer: Option<DialConfig>) {
    let last_words_ms = dialer.as_ref().map_or(crate::limits::CLOSE_MS, |dialer| dialer.limits.close_ms);
    let mut task = Task {
        core,
        side,
        start: Instant::now(),
        dialer,
        dialing: None,
        connections: Vec::new(),
        accepted: 0,
        commands: Vec::new(),
        events: Vec::new(),
        owner_gone: false,
        last_words_ms,
    };
    while !task.core.is_closed() {
        let happened = task.wait().await;
        let before = handle::waiting(&task.core);
        task.react(happened).await;
        task.feed(Input::Flush);
        let events = std::mem::take(&mut task.events);
        if !task.side.settle(before, &task.core, events) && !task.owner_gone {
            task.owner_gone = true;
            task.feed(Input::Close);
        }
    }
    task.side.end();
}

impl Task {
    async fn wait(&mut self) -> Happened {
        let wake = self.core.next_wake_ms().map(|ms| self.start + Duration::from_millis(ms));
        let dialing = self.dialing.as_mut();
        let connection = self.connections.first_mut();
        let (reader, writer) = match connection {
            Some(open) => {
                let Open { stream, read, writes, unflushed, .. } = open;
                if read.capacity() - read.len() < READ_BYTES / 4 {
                    read.reserve(READ_BYTES);
                }
                (Some((&mut stream.reader, read)), Some((&mut stream.writer, writes, unflushed)))
            }
            None => (None, None),
        };
        tokio::select! {
            read = async { match reader {
                Some((reader, buffer)) => reader.read_buf(buffer).await,
                None => std::future::pending().await,
            }} => Happened::Read(read),
            wrote = async { match writer {
                Some((writer, writes, unflushed)) if *unflushed || !writes.is_empty() => {
                    write_some(writer, writes, unflushed).await
                }
                _ => std::future::pending().await,
            }} => Happened::Wrote(wrote),
            count = self.side.commands.recv_many(&mut self.commands, COMMANDS_AT_ONCE), if !self.owner_gone => match count {
                0 => Happened::OwnerGone,
                _ => Happened::Commands,
            },
            dialed = async { match dialing {
                Some((_, dialing)) => dialing.await,
                None => std::future::pending().await,
            }} => Happened::Dialed(dialed),
            () = async { match wake {
                Some(wake) => tokio::time::sleep_until(wake).await,
                None => std::future::pending().await,
            }} => Happened::Time,
            () = self.side.events.closed(), if !self.owner_gone => Happened::OwnerGone,
        }
    }

    async fn react(&mut self, happened: Happened) {
        match happened {
            Happened::Read(read) => self.read(read),
            Happened::Wrote(wrote) => self.wrote(wrote),
            Happened::Commands => {
                for command in std::mem::take(&mut self.commands) {
                    self.command(command);
                }
            }
            Happened::Dialed(dialed) => self.dialed(dialed),
            Happened::Time => {
                // After a pause of the whole process there may be much to read: the peer was not silent.
                if let Some(open) = self.connections.first_mut()
                    && let Ok(read) =
                        tokio::time::timeout(Duration::ZERO, open.stream.reader.read_buf(&mut open.read))
                            .await
                {
                    self.read(read);
                }
                self.feed(Input::Tick);
            }
            Happened::OwnerGone => {
                self.owner_gone = true;
                self.feed(Input::Close);
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Send(message) => {
                self.side.came(&message);
                self.feed(Input::Send(message));
            }
            Command::Consumed(taken) => {
                for (lane, cost) in [(Lane::Main, taken.main), (Lane::Express, taken.express)] {
                    self.feed(Input::Consumed { lane, cost });
                }
            }
            Command::Accepted(accepted) => {
                let Accepted { stream, hello, decoder, .. } = *accepted;
                self.accepted += 1;
                let connection = ConnectionId(self.accepted);
                self.connections.push(Open::new(connection, stream));
                self.feed(Input::Accepted { connection, hello, decoder });
            }
            Command::Close => self.feed(Input::Close),
        }
    }

    fn read(&mut self, read: io::Result<usize>) {
        let Some(open) = self.connections.first_mut() else { return };
        let connection = open.id;
        match read {
            Ok(0) | Err(_) => {
                self.connections.retain(|open| open.id != connection);
                self.feed(Input::Disconnected { connection });
            }
            Ok(_) => {
                let bytes = open.read.split().freeze();
                self.feed(Input::Received { connection, bytes });
            }
        }
    }

    fn wrote(&mut self, wrote: io::Result<()>) {
        let Some(open) = self.connections.first_mut() else { return };
        let connection = open.id;
        match wrote {
            Err(_) => {
                self.connections.retain(|open| open.id != connection);
                self.feed(Input::Disconnected { connection });
            }
            Ok(()) if open.writes.is_empty() && !open.unflushed => self.feed(Input::Written { connection }),
            Ok(()) => {}
        }
    }

    fn dialed(&mut self, dialed: Result<(Stream, connect::Certified), ConnectError>) {
        let Some((connection, _)) = self.dialing.take() else { return };
        match dialed {
            Ok((stream, certified)) => {
                self.connections.push(Open::new(connection, stream));
                self.feed(Input::Connected { connection, certified });
            }
            Err(error) => self.feed(Input::Unreachable { connection, why: error.to_string() }),
        }
    }

    fn feed(&mut self, input: Input) {
        let now_ms = self.start.elapsed().as_millis() as u64;
        let mut outputs = Vec::new();
        self.core.handle(now_ms, input, &mut outputs);
        for output in outputs {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Dial { connection } => {
                self.dialing =
                    self.dialer.clone().map(|config| (connection, Box::pin(connect::dial(config)) as _));
            }
            Output::Write { connection, batch } => {
                if let Some(open) = self.connections.iter_mut().find(|open| open.id == connection) {
                    open.writes.push_back(batch.to_bytes());
                }
            }
            Output::Disconnect { connection } => {
                self.dialing = self.dialing.take().filter(|(id, _)| *id != connection);
                if let Some(at) = self.connections.iter().position(|open| open.id == connection) {
                    let within = Duration::from_millis(self.last_words_ms);
                    tokio::spawn(last_words(self.connections.remove(at), within));
                }
            }
            Output::Event(event) => self.events.push(event),
        }
    }
}

impl Open {
    fn new(id: ConnectionId, stream: Stream) -> Open {
        Open { id, stream, read: BytesMut::new(), writes: VecDeque::new(), unflushed: false }
    }
}

/// One step of writing. Dropped in the middle, nothing is lost: what the socket took was taken off.
async fn write_some(
    writer: &mut (impl AsyncWrite + Unpin),
    writes: &mut VecDeque<Bytes>,
    unflushed: &mut bool,
) -> io::Result<()> {
    let Some(first) = writes.front_mut() else {
        writer.flush().await?;
        *unflushed = false;
        return Ok(());
    };
    if writer.write_buf(first).await? == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    *unflushed = true;
    if !first.has_remaining() {
        writes.pop_front();
    }
    if writes.is_empty() {
        writer.flush().await?;
        *unflushed = false;
    }
    Ok(())
}

/// Writes what was given to write, says that no more comes, and closes.
async fn last_words(mut open: Open, within: Duration) {
    let words = async {
        for bytes in &open.writes {
            open.stream.writer.write_all(bytes).await?;
        }
        open.stream.writer.shutdown().await
    };
    // Whoever does not listen misses them.
    let _ = tokio::time::timeout(within, words).await;
}
