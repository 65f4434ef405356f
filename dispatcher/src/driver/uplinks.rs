//! A game's or a gate's links to all dispatchers: what they tell becomes inputs of its [`crate::Member`], and what
//! the member sends goes by them.
//!
//! What a link gives back comes to the member a little later, and what a report would tell again only once and
//! when the link stands: an answer at once would be refused at once.

use super::{BATCHES_MAX, LinkBoard, has_lost, log};
use crate::limits::RETRY_MS;
use crate::member::MemberInput;
use crate::share::class_to;
use bytes::Bytes;
use everwake_link::tcp::{DialConfig, Security, StartError, dial};
use everwake_link::{Event, Identity, Limits, PeerName, Receiver, Refused, Sender};
use everwake_protocol::cluster::{FromDispatcher, Incarnation, ReturnReason, ToDispatcher};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What a process needs to reach its dispatchers.
#[derive(Clone, Debug)]
pub struct UplinkConfig {
    /// This process.
    pub us: Identity,
    /// All dispatchers of the cluster, and where each listens.
    pub dispatchers: Vec<(PeerName, String)>,
    /// How links are protected.
    pub security: Security,
    /// Of each link.
    pub limits: Limits,
    /// Any number; see [`DialConfig::seed`].
    pub seed: u64,
}

/// The sending halves. Any thread may have them. When they are dropped the links close.
#[derive(Debug)]
pub struct Uplinks {
    /// In the order of a member's places: by name.
    sides: Vec<(Sender, mpsc::UnboundedSender<Back>)>,
    board: LinkBoard,
}

/// What all links have for a member, in batches.
pub type MemberInputs = mpsc::Receiver<Vec<MemberInput<Bytes>>>;

/// A message that a link did not take.
struct Back {
    message: ToDispatcher<Bytes>,
    why: Refused,
}

/// Dials all dispatchers. What is for the member comes in batches, in order for each dispatcher; who takes it says
/// [`MemberInput::Flush`] after each round. Inside of a tokio runtime.
pub fn connect(config: UplinkConfig) -> Result<(Uplinks, MemberInputs), StartError> {
    let UplinkConfig { us, mut dispatchers, security, limits, seed } = config;
    dispatchers.sort_unstable();
    dispatchers.dedup_by(|one, other| one.0 == other.0);
    let (heard, inputs) = mpsc::channel(BATCHES_MAX);
    let (mut sides, board) = (Vec::new(), LinkBoard::default());
    for (peer, address) in dispatchers {
        let (us, security) = (us.clone(), security.clone());
        let link = dial(DialConfig { us, peer: peer.clone(), address, security, limits, seed })?;
        let (back, backs) = mpsc::unbounded_channel();
        sides.push((link.sender.clone(), back));
        board.expect(&peer);
        let side = Side {
            board: board.clone(),
            dispatcher: peer,
            sender: link.sender,
            is_wanted: true,
            is_up: false,
            report: None,
            others: Vec::new(),
        };
        tokio::spawn(side.run(link.receiver, backs, heard.clone()));
    }
    Ok((Uplinks { sides, board }, inputs))
}

impl Uplinks {
    /// Shows which links stand, also when this is gone.
    pub fn board(&self) -> LinkBoard {
        self.board.clone()
    }

    /// What a member wants to be sent. It never waits; what cannot go comes back among the member's inputs.
    pub fn send(&self, dispatcher: usize, to: Incarnation, message: ToDispatcher<Bytes>) {
        let Some((sender, back)) = self.sides.get(dispatcher) else { return };
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        if let Err(error) = sender.send(to, class_to(&message), bytes.into()) {
            // At the end of the process nobody wants it back.
            let _ = back.send(Back { message, why: error.why });
        }
    }

    /// Lets all links end: what waits is sent for a bounded time, and the receiver of inputs ends behind it.
    pub fn close(&self) {
        self.sides.iter().for_each(|(sender, _)| sender.close());
    }
}

/// One dispatcher's task.
struct Side {
    board: LinkBoard,
    dispatcher: PeerName,
    sender: Sender,
    /// Its owner has not gone.
    is_wanted: bool,
    is_up: bool,
    /// Something that a report tells was not sent.
    report: Option<ToDispatcher<Bytes>>,
    /// What else was not sent.
    others: Vec<MemberInput<Bytes>>,
}

impl Side {
    async fn run(
        mut self,
        mut receiver: Receiver,
        mut backs: mpsc::UnboundedReceiver<Back>,
        heard: mpsc::Sender<Vec<MemberInput<Bytes>>>,
    ) {
        let mut due = Instant::now();
        loop {
            let waits = !self.others.is_empty() || (self.is_up && self.report.is_some());
            if !waits {
                due = Instant::now() + Duration::from_millis(RETRY_MS);
            }
            let batch = tokio::select! {
                events = receiver.recv_batch() => match events {
                    Some(events) => events.into_iter().filter_map(|event| self.input_of(event)).collect(),
                    None => return,
                },
                back = backs.recv(), if self.is_wanted => {
                    match back {
                        Some(Back { message, why }) => self.came_back(message, why),
                        None => {
                            self.is_wanted = false;
                            self.sender.close();
                        }
                    }
                    continue;
                }
                () = tokio::time::sleep_until(due), if waits => self.given_back(),
            };
            if heard.send(batch).await.is_err() {
                return;
            }
        }
    }

    fn input_of(&mut self, event: Event) -> Option<MemberInput<Bytes>> {
        let dispatcher = self.dispatcher.clone();
        log(&dispatcher, &event);
        self.board.heard(&dispatcher, &event);
        match event {
            Event::Up(up) => {
                self.is_up = true;
                let lost = has_lost(&up);
                if lost {
                    self.report = None;
                }
                Some(MemberInput::Up { dispatcher, incarnation: up.incarnation, lost })
            }
            Event::Down(_) => {
                self.is_up = false;
                Some(MemberInput::Down { dispatcher })
            }
            Event::Message { payload, .. } => match FromDispatcher::decode(payload) {
                Ok(message) => Some(MemberInput::Heard { dispatcher, message }),
                Err(error) => {
                    tracing::error!(%dispatcher, %error, "a message cannot be read, its link ends; hint: run the same release everywhere, and start this process again");
                    self.sender.close();
                    None
                }
            },
            Event::Refused { message, why } => {
                if let Ok(message) = ToDispatcher::decode(message.payload) {
                    self.came_back(message, why);
                }
                None
            }
            Event::Failed(_) | Event::Closed => None,
        }
    }

    fn came_back(&mut self, message: ToDispatcher<Bytes>, why: Refused) {
        let dispatcher = self.dispatcher.clone();
        match message {
            ToDispatcher::Carry(envelope) | ToDispatcher::Create { envelope, .. }
                if matches!(why, Refused::TooLarge { .. }) =>
            {
                tracing::error!(%dispatcher, %why, "a message does not go");
                // Sent again it would be as large.
                let reason = ReturnReason::Overloaded;
                let message = FromDispatcher::Return { envelope, reason, uncertain: false };
                self.others.push(MemberInput::Heard { dispatcher, message });
            }
            ToDispatcher::Carry(_)
            | ToDispatcher::Create { .. }
            | ToDispatcher::Acks { .. }
            | ToDispatcher::Ask { .. } => self.others.push(MemberInput::Unsent { dispatcher, message }),
            // The dispatcher's next life is reported to in any case.
            _ if why == Refused::OtherLife => {}
            message => self.report = Some(message),
        }
    }

    fn given_back(&mut self) -> Vec<MemberInput<Bytes>> {
        let mut inputs = std::mem::take(&mut self.others);
        if self.is_up
            && let Some(message) = self.report.take()
        {
            inputs.push(MemberInput::Unsent { dispatcher: self.dispatcher.clone(), message });
        }
        inputs
    }
}
