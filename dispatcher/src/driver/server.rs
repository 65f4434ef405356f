//! The task of a dispatcher: events of links to the router, what it says to links.

use super::{LinkBoard, has_lost, log};
use crate::router::{Fact, Router, RouterConfig, RouterInput, RouterOutput};
use crate::share::class_of;
use bytes::Bytes;
use everwake_link::{Class, Event, PeerName, Receiver, Refused, Role, Sender};
use everwake_protocol::cluster::{BetweenDispatchers, FromDispatcher, Incarnation, ToDispatcher};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A wait that is long enough when nothing is due.
const IDLE: Duration = Duration::from_secs(60);

pub(super) struct Server {
    router: Router<Bytes>,
    origin: Instant,
    /// Every peer that was ever met.
    links: HashMap<PeerName, Peer>,
    /// Whose each life is: the last one of each peer.
    lives: HashMap<Incarnation, PeerName>,
    outputs: Vec<RouterOutput<Bytes>>,
    /// What a link did not take at once. The router hears of it after all else that it said.
    unsent: VecDeque<RouterInput<Bytes>>,
    board: LinkBoard,
}

struct Peer {
    sender: Sender,
    life: Option<Incarnation>,
}

/// Brings a link's events to the one queue of the server, in order.
pub(super) async fn forward(
    peer: PeerName,
    mut receiver: Receiver,
    told: mpsc::Sender<(PeerName, Vec<Event>)>,
) {
    while let Some(batch) = receiver.recv_batch().await {
        if told.send((peer.clone(), batch)).await.is_err() {
            return;
        }
    }
}

impl Server {
    pub(super) fn new(config: RouterConfig, board: LinkBoard) -> Server {
        let mut server = Server {
            router: Router::new(config),
            origin: Instant::now(),
            links: HashMap::new(),
            lives: HashMap::new(),
            outputs: Vec::new(),
            unsent: VecDeque::new(),
            board,
        };
        // The time of its first input is the time of its start.
        server.wake();
        server
    }

    pub(super) fn add(&mut self, sender: Sender) {
        self.board.expect(sender.peer());
        self.links.insert(sender.peer().clone(), Peer { sender, life: None });
    }

    pub(super) fn heard(&mut self, peer: &PeerName, batch: Vec<Event>) {
        for event in batch {
            log(peer, &event);
            self.board.heard(peer, &event);
            if let Some(input) = self.input_of(peer, event) {
                self.handle(input);
            }
        }
    }

    pub(super) fn wake(&mut self) {
        self.handle(RouterInput::Wake);
    }

    pub(super) fn until_wake(&self) -> Duration {
        let now_ms = self.now_ms();
        let due_ms = self.router.next_wake_ms();
        due_ms.map_or(IDLE, |due_ms| Duration::from_millis(due_ms.saturating_sub(now_ms)).min(IDLE))
    }

    pub(super) fn close(&mut self) {
        self.links.values().for_each(|peer| peer.sender.close());
        self.links.clear();
    }

    fn input_of(&mut self, name: &PeerName, event: Event) -> Option<RouterInput<Bytes>> {
        let peer = self.links.get_mut(name)?;
        match event {
            Event::Up(up) => {
                let incarnation = up.incarnation;
                if let Some(before) = peer.life.replace(incarnation).filter(|before| *before != incarnation) {
                    self.lives.remove(&before);
                }
                self.lives.insert(incarnation, name.clone());
                Some(RouterInput::Up { peer: name.clone(), incarnation, lost: has_lost(&up) })
            }
            Event::Down(_) => Some(RouterInput::Down { peer: name.clone(), incarnation: peer.life? }),
            Event::Message { payload, .. } => {
                let incarnation = peer.life?;
                let decoded = match name.role() {
                    Role::Dispatcher => BetweenDispatchers::decode(payload)
                        .map(|message| RouterInput::FromPeer { incarnation, message }),
                    Role::Game | Role::Gate => ToDispatcher::decode(payload)
                        .map(|message| RouterInput::From { incarnation, message }),
                };
                if let Err(error) = &decoded {
                    tracing::error!(peer = %name, %error, "a message cannot be read, its link ends; hint: run the same release everywhere, and start this dispatcher again");
                    peer.sender.close();
                }
                decoded.ok()
            }
            Event::Refused { message, why } => unsent(name, message.to, message.payload, why),
            Event::Failed(_) | Event::Closed => None,
        }
    }

    fn handle(&mut self, input: RouterInput<Bytes>) {
        let mut outputs = std::mem::take(&mut self.outputs);
        self.router.handle(self.now_ms(), input, &mut outputs);
        loop {
            for output in outputs.drain(..) {
                self.perform(output);
            }
            // Bounded: what comes of it is not refusable, or is tried again at a later time.
            let Some(input) = self.unsent.pop_front() else { break };
            self.router.handle(self.now_ms(), input, &mut outputs);
        }
        self.outputs = outputs;
    }

    fn perform(&mut self, output: RouterOutput<Bytes>) {
        match output {
            RouterOutput::Send { to, message } => {
                let mut bytes = Vec::new();
                message.encode(&mut bytes);
                self.send(to, class_of(&message), bytes.into());
            }
            RouterOutput::Peer { to, message } => {
                let mut bytes = Vec::new();
                message.encode(&mut bytes);
                self.send(to, Class::Reserved, bytes.into());
            }
            RouterOutput::Fact(fact) => tell(&fact),
        }
    }

    fn send(&mut self, to: Incarnation, class: Class, payload: Bytes) {
        let sent = self.lives.get(&to).and_then(|name| Some((name, self.links.get(name)?)));
        let Some((name, peer)) = sent else { return };
        if let Err(error) = peer.sender.send(to, class, payload) {
            self.unsent.extend(unsent(name, to, error.message.payload, error.why));
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What a link gave back, for the router. Dispatchers tell each other all deaths whenever their link begins.
fn unsent(name: &PeerName, to: Incarnation, payload: Bytes, why: Refused) -> Option<RouterInput<Bytes>> {
    if let Refused::TooLarge { .. } = why {
        tracing::error!(peer = %name, %why, "a message does not go");
    }
    if name.role() == Role::Dispatcher {
        return None;
    }
    let message = FromDispatcher::decode(payload).ok()?;
    Some(RouterInput::Unsent { to, message, overloaded: why == Refused::Overloaded })
}

fn tell(fact: &Fact) {
    match fact {
        Fact::Joined { name, incarnation } => {
            tracing::info!(process = %name, start = incarnation.start, "has joined")
        }
        Fact::Dead { name, incarnation, why } => {
            let process = name.as_ref().map_or_else(|| "unknown".to_owned(), PeerName::to_string);
            tracing::warn!(process, start = incarnation.start, ?why, "a life is over");
        }
        Fact::Refused { name, incarnation } => {
            tracing::warn!(process = %name, start = incarnation.start, "a life that is over is refused");
        }
        Fact::Lost { name } => tracing::warn!(process = %name, "messages got lost; all send again"),
        Fact::Complete => tracing::info!("every game has reported, is dead or is absent"),
        Fact::Incomplete => tracing::info!("a game is missing: what is unknown waits"),
        Fact::Stale { from, entity } => {
            tracing::warn!(start = from.start, %entity, "a report contradicts a newer one");
        }
    }
}
