//! A game with its own dispatcher, in one process with its gate: what `dev`, `up` and tests run.
//!
//! The game and the gate say the same to this dispatcher as they would to one of its own process, but nothing can
//! get lost between them, so nothing is kept and nothing is acknowledged.

use super::{GameConfig, GameCore, GameInput, GameOutput};
use crate::cargo::Cargo;
use everwake_dispatcher::limits::MEMBERS_MS;
use everwake_dispatcher::{Router, RouterConfig, RouterInput, RouterOutput};
use everwake_link::{PeerName, Role};
use everwake_protocol::cluster::{FromDispatcher, Incarnation, ToDispatcher, ToGame, ToGate};

/// The lives of the parts of one process.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// Of the game.
    pub game: Incarnation,
    /// Of the gate.
    pub gate: Incarnation,
}

/// Into a node.
#[derive(Debug)]
pub enum NodeInput {
    /// For the game.
    Game(GameInput),
    /// From the gate.
    Gate(ToDispatcher<ToGame>),
}

/// Out of a node.
#[derive(Debug)]
pub enum NodeOutput {
    /// From the game; never [`GameOutput::Dispatch`].
    Game(GameOutput),
    /// To the gate.
    Gate(FromDispatcher<ToGate, ToGame>),
}

/// See the head of this module.
#[derive(Debug)]
pub struct Node {
    lives: Lives,
    game: GameCore,
    router: Router<Cargo>,
    outputs: Vec<GameOutput>,
    routed: Vec<RouterOutput<Cargo>>,
}

impl Lives {
    /// Both from one random number.
    pub fn drawn(random: u64) -> Lives {
        let life = |random| Incarnation { start: 1, random };
        Lives { game: life(random), gate: life(random.wrapping_add(1)) }
    }
}

impl Node {
    /// An empty process: no module runs, the gate has no clients.
    pub fn new(config: GameConfig, lives: Lives, seed: [u8; 32]) -> Node {
        let [game, dispatcher, gate] = [Role::Game, Role::Dispatcher, Role::Gate].map(PeerName::only);
        let alone = RouterConfig::alone(lives.game, dispatcher, game.clone());
        let core = GameCore::new(config, lives.game, seed);
        let (outputs, routed) = (Vec::new(), Vec::new());
        let mut node = Node { lives, game: core, router: Router::new(alone), outputs, routed };
        for (peer, incarnation) in [(game, lives.game), (gate, lives.gate)] {
            node.route(0, RouterInput::Up { peer, incarnation, lost: true });
        }
        for message in node.game.report(|_| true) {
            node.route(0, RouterInput::From { incarnation: lives.game, message });
        }
        for message in [ToDispatcher::Report, ToDispatcher::Reported, ToDispatcher::Resent] {
            node.route(0, RouterInput::From { incarnation: lives.gate, message });
        }
        // So that each knows of the other from the first.
        node.route(MEMBERS_MS, RouterInput::Wake);
        node
    }

    /// Takes one input; appends everything that follows from it.
    pub fn handle(&mut self, now_ms: u64, input: NodeInput, out: &mut Vec<NodeOutput>) {
        match input {
            NodeInput::Game(GameInput::Wake) => {
                self.route(now_ms, RouterInput::Wake);
                self.play(now_ms, GameInput::Wake, out);
            }
            NodeInput::Game(input) => self.play(now_ms, input, out),
            NodeInput::Gate(message) => {
                let message = message.map(Cargo::Client);
                self.route(now_ms, RouterInput::From { incarnation: self.lives.gate, message });
            }
        }
        self.settle(now_ms, out);
    }

    /// When the node wants a [`GameInput::Wake`], UTC ms.
    pub fn next_wake_ms(&self) -> Option<u64> {
        [self.game.next_wake_ms(), self.router.next_wake_ms()].into_iter().flatten().min()
    }

    /// The game.
    pub fn game(&self) -> &GameCore {
        &self.game
    }

    /// Entities that the dispatcher knows, and how many envelopes wait in it.
    pub fn routed(&self) -> (usize, usize) {
        (self.router.entity_count(), self.router.parked().0)
    }

    /// Brings what the dispatcher says to those whom it is for, until nobody says anything any more.
    fn settle(&mut self, now_ms: u64, out: &mut Vec<NodeOutput>) {
        while !self.routed.is_empty() {
            for output in std::mem::take(&mut self.routed) {
                match output {
                    RouterOutput::Send { to, message } if to == self.lives.game => {
                        self.play(now_ms, GameInput::Dispatched(message), out);
                    }
                    RouterOutput::Send { message, .. } => {
                        out.extend(for_gate(message).map(NodeOutput::Gate));
                    }
                    // Nobody else is there.
                    RouterOutput::Peer { .. } | RouterOutput::Fact(_) => {}
                }
            }
        }
    }

    fn play(&mut self, now_ms: u64, input: GameInput, out: &mut Vec<NodeOutput>) {
        let mut outputs = std::mem::take(&mut self.outputs);
        self.game.handle(now_ms, input, &mut outputs);
        for output in outputs.drain(..) {
            match output {
                GameOutput::Dispatch(message) => {
                    self.route(now_ms, RouterInput::From { incarnation: self.lives.game, message });
                }
                output => out.push(NodeOutput::Game(output)),
            }
        }
        self.outputs = outputs;
    }

    fn route(&mut self, now_ms: u64, input: RouterInput<Cargo>) {
        self.router.handle(now_ms, input, &mut self.routed);
    }
}

/// What a gate is told; nothing else goes there.
fn for_gate(message: FromDispatcher<Cargo>) -> Option<FromDispatcher<ToGate, ToGame>> {
    let delivered = |cargo| match cargo {
        Cargo::Gate(to_gate) => Some(to_gate),
        _ => None,
    };
    let returned = |cargo| match cargo {
        Cargo::Client(to_game) => Some(to_game),
        _ => None,
    };
    message.try_map(delivered, returned)
}
