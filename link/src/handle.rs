//! What an owner holds of a link that a task drives: one half sends, the other takes what comes.
//!
//! All that waits between the halves and the core is counted in the shares of the core's queue, once.

use crate::core::{Core, Event, Outgoing, Refused};
use crate::credit::cost;
use crate::frame::{Class, PerLane};
use crate::limits::{EVENTS_MAX, Limits};
use crate::names::PeerName;
use crate::queue::Waiting;
use crate::tcp::Accepted;
use bytes::Bytes;
use everwake_protocol::cluster::Incarnation;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Both halves.
#[derive(Debug)]
pub struct Link {
    /// Sends; may be cloned.
    pub sender: Sender,
    /// Takes what comes.
    pub receiver: Receiver,
}

/// Sends on a link, from any thread. When all are dropped, or the [`Receiver`] is, the link closes.
#[derive(Clone, Debug)]
pub struct Sender {
    peer: PeerName,
    limits: Limits,
    commands: mpsc::UnboundedSender<Command>,
    gauge: Arc<Gauge>,
}

/// Takes what comes from a link. Whoever has it must not stop taking because it cannot send.
#[derive(Debug)]
pub struct Receiver {
    events: mpsc::Receiver<Vec<Event>>,
    taken: std::vec::IntoIter<Event>,
    commands: mpsc::WeakUnboundedSender<Command>,
    gauge: Arc<Gauge>,
}

/// A message that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct SendError {
    /// As given.
    pub message: Outgoing,
    /// Why.
    #[source]
    pub why: Refused,
}

impl Sender {
    /// Sends to a life of the peer, or gives the message back at once. It may come back later too, as
    /// [`Event::Refused`], if that life is gone. Messages of one thread and one lane keep their order.
    pub fn send(&self, to: Incarnation, class: Class, payload: Bytes) -> Result<(), SendError> {
        let message = Outgoing { to, class, payload };
        let (len, max) = (message.payload.len(), class.payload_bytes_max());
        if len > max {
            return Err(SendError { message, why: Refused::TooLarge { len, max } });
        }
        if !self.gauge.admit(class, len, &self.limits) {
            return Err(SendError { message, why: Refused::Overloaded });
        }
        self.commands.send(Command::Send(message)).map_err(|error| match error.0 {
            Command::Send(message) => {
                self.gauge.release(class, Waiting { bytes: len, count: 1 });
                SendError { message, why: Refused::Closed }
            }
            // Nothing else was sent.
            _ => SendError { message: Outgoing { to, class, payload: Bytes::new() }, why: Refused::Closed },
        })
    }

    /// Lets the link end: what waits is sent for up to [`Limits::close_ms`], the rest comes back. The receiver
    /// gets [`Event::Closed`] at the end.
    pub fn close(&self) {
        // A link that has ended is closed.
        let _ = self.commands.send(Command::Close);
    }

    /// The process at the other end.
    pub fn peer(&self) -> &PeerName {
        &self.peer
    }

    pub(crate) fn commands(&self) -> &mpsc::UnboundedSender<Command> {
        &self.commands
    }
}

impl Receiver {
    /// The next event. None after the link has ended.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.taken.next() {
                return Some(event);
            }
            self.taken = self.recv_batch().await?.into_iter();
        }
    }

    /// All events that the link has told together; at least one. With that their messages count as taken, and
    /// the peer is granted as much again.
    pub async fn recv_batch(&mut self) -> Option<Vec<Event>> {
        let events = self.events.recv().await?;
        let mut taken = PerLane::default();
        for event in &events {
            match event {
                Event::Message { class, payload } => *taken.of_mut(class.lane()) += cost(payload.len()),
                Event::Refused { message, .. } => {
                    let waiting = Waiting { bytes: message.payload.len(), count: 1 };
                    self.gauge.release(message.class, waiting);
                }
                _ => {}
            }
        }
        if taken != PerLane::default()
            && let Some(commands) = self.commands.upgrade()
        {
            // A link that has ended grants nothing.
            let _ = commands.send(Command::Consumed(taken));
        }
        Some(events)
    }
}

/// What a link's task is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    Send(Outgoing),
    Consumed(PerLane<u64>),
    Accepted(Box<Accepted>),
    Close,
}

/// The task's side of the halves.
#[derive(Debug)]
pub(crate) struct TaskSide {
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) events: mpsc::Sender<Vec<Event>>,
    gauge: Arc<Gauge>,
    /// Messages that came from the owner in this round, by class.
    came: [Waiting; 3],
}

impl TaskSide {
    /// A message of the owner goes to the core.
    pub(crate) fn came(&mut self, message: &Outgoing) {
        let came = of_class(&mut self.came, message.class);
        came.count += 1;
        came.bytes += message.payload.len();
    }

    /// After a round: what left the core's queue makes room, and the owner gets its events. What came back makes
    /// room when the owner takes it. False if the owner is gone.
    pub(crate) fn settle(&mut self, before: [Waiting; 3], core: &Core, events: Vec<Event>) -> bool {
        let mut left = before;
        for class in Class::ALL {
            let (after, came) = (core.waiting(class), std::mem::take(of_class(&mut self.came, class)));
            let left = of_class(&mut left, class);
            left.count = (left.count + came.count).saturating_sub(after.count);
            left.bytes = (left.bytes + came.bytes).saturating_sub(after.bytes);
        }
        for event in &events {
            if let Event::Refused { message, .. } = event {
                let left = of_class(&mut left, message.class);
                left.count = left.count.saturating_sub(1);
                left.bytes = left.bytes.saturating_sub(message.payload.len());
            }
        }
        for class in Class::ALL {
            let left = *of_class(&mut left, class);
            if left != Waiting::default() {
                self.gauge.release(class, left);
            }
        }
        events.is_empty() || self.events.try_send(events).is_ok()
    }

    /// The link has ended: what was sent meanwhile comes back.
    pub(crate) fn end(mut self) {
        self.commands.close();
        let mut events = Vec::new();
        while let Ok(command) = self.commands.try_recv() {
            if let Command::Send(message) = command {
                events.push(Event::Refused { message, why: Refused::Closed });
            }
        }
        if !events.is_empty() {
            // An owner that is gone wants nothing back.
            let _ = self.events.try_send(events);
        }
    }
}

/// What waits in a core, by class.
pub(crate) fn waiting(core: &Core) -> [Waiting; 3] {
    Class::ALL.map(|class| core.waiting(class))
}

fn of_class(all: &mut [Waiting; 3], class: Class) -> &mut Waiting {
    let [ordinary, reserved, express] = all;
    match class {
        Class::Ordinary => ordinary,
        Class::Reserved => reserved,
        Class::Express => express,
    }
}

/// A link's halves and its task's side.
pub(crate) fn halves(peer: PeerName, limits: Limits) -> (Link, TaskSide) {
    let (command_sender, commands) = mpsc::unbounded_channel();
    let (events, event_receiver) = mpsc::channel(EVENTS_MAX);
    let gauge = Arc::new(Gauge::default());
    let receiver = Receiver {
        events: event_receiver,
        taken: Vec::new().into_iter(),
        commands: command_sender.downgrade(),
        gauge: gauge.clone(),
    };
    let sender = Sender { peer, limits, commands: command_sender, gauge: gauge.clone() };
    (Link { sender, receiver }, TaskSide { commands, events, gauge, came: Default::default() })
}

/// What waits of each class anywhere on this side of a link: given by an owner, and not yet written or taken back.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    // Nobody waits while holding it.
    waiting: Mutex<[Waiting; 3]>,
}

impl Gauge {
    fn admit(&self, class: Class, payload_bytes: usize, limits: &Limits) -> bool {
        self.change(class, |waiting| {
            let fits = waiting.has_room(payload_bytes, limits.share(class));
            if fits {
                waiting.bytes += payload_bytes;
                waiting.count += 1;
            }
            fits
        })
    }

    fn release(&self, class: Class, part: Waiting) {
        self.change(class, |waiting| {
            waiting.bytes = waiting.bytes.saturating_sub(part.bytes);
            waiting.count = waiting.count.saturating_sub(part.count);
        });
    }

    fn change<T>(&self, class: Class, change: impl FnOnce(&mut Waiting) -> T) -> T {
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        change(of_class(&mut all, class))
    }
}
