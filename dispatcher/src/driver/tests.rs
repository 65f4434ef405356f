//! Two members and a dispatcher over real sockets; the dispatcher ends and comes back.

use super::*;
use crate::member::{Member, MemberConfig, MemberEvent, MemberInput, MemberOutput, Say};
use bytes::Bytes;
use everwake_protocol::Id;
use everwake_protocol::cluster::{Envelope, Incarnation, MessageId, Target};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// No test waits longer for anything that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

fn life(start: u32, random: u64) -> Incarnation {
    Incarnation { start, random }
}

struct Process {
    member: Member<Bytes>,
    life: Incarnation,
    links: Uplinks,
    inputs: mpsc::Receiver<Vec<MemberInput<Bytes>>>,
    origin: Instant,
    arrived: Vec<Bytes>,
    members: usize,
}

impl Process {
    fn new(name: &str, random: u64, address: SocketAddr) -> Process {
        let (peer, life): (PeerName, _) = (name.parse().unwrap(), life(1, random));
        let dispatcher: PeerName = "dispatcher/d".parse().unwrap();
        let (links, inputs) = connect(UplinkConfig {
            us: Identity { peer, incarnation: life },
            dispatchers: vec![(dispatcher.clone(), address.to_string())],
            security: Security::Loopback,
            limits: Limits { backoff_max_ms: 50, ..Limits::default() },
            seed: random,
        })
        .unwrap();
        let member = Member::new(MemberConfig::new(life, vec![dispatcher]));
        let (origin, arrived) = (Instant::now(), Vec::new());
        Process { member, life, links, inputs, origin, arrived, members: 0 }
    }

    fn handle(&mut self, input: MemberInput<Bytes>) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let (mut out, now_ms) = (Vec::new(), self.origin.elapsed().as_millis() as u64);
            self.member.handle(now_ms, input, &mut out);
            for output in out {
                match output {
                    MemberOutput::Send { dispatcher, to, message, .. } => {
                        self.links.send(dispatcher, to, message);
                    }
                    MemberOutput::Event(MemberEvent::ReportWanted { dispatcher }) => {
                        let (spaces, entities) = (Vec::new(), Vec::new());
                        inputs.push(MemberInput::Say(Say::Report { dispatcher, spaces, entities }));
                    }
                    MemberOutput::Event(MemberEvent::Deliver(envelope)) => {
                        self.arrived.push(envelope.payload)
                    }
                    MemberOutput::Event(MemberEvent::Members { members, .. }) => self.members = members.len(),
                    MemberOutput::Event(_) => {}
                }
            }
        }
    }

    fn say(&mut self, to: Incarnation, text: &'static str) {
        let message = MessageId { sender: Id::from_u128(0), epoch: 0, counter: 1 };
        let payload = Bytes::from_static(text.as_bytes());
        let envelope = Envelope::new(self.life, Target::Process(to), message, payload);
        self.handle(MemberInput::Say(Say::Carry(envelope)));
    }

    async fn round(&mut self) {
        let wait = Duration::from_millis(20);
        if let Ok(Some(batch)) = tokio::time::timeout(wait, self.inputs.recv()).await {
            batch.into_iter().for_each(|input| self.handle(input));
        }
        self.handle(MemberInput::Flush);
    }
}

async fn until(one: &mut Process, other: &mut Process, holds: impl Fn(&Process, &Process) -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds(one, other) {
        assert!(Instant::now() < until, "it does not come to that");
        one.round().await;
        other.round().await;
    }
}

async fn dispatcher(
    socket: TcpListener,
    start: u32,
) -> (oneshot::Sender<()>, tokio::task::JoinHandle<Result<(), StartError>>) {
    let name: PeerName = "dispatcher/d".parse().unwrap();
    let games = vec!["game/a".parse().unwrap()];
    let config = DispatcherConfig {
        router: RouterConfig::new(life(start, 7), name, games, Vec::new()),
        others: Vec::new(),
        security: Security::Loopback,
        limits: Limits::default(),
        seed: 1,
        board: LinkBoard::default(),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    (stop, tokio::spawn(serve(config, socket, async move { drop(stopped.await) })))
}

#[tokio::test]
async fn what_was_said_arrives_once_though_the_dispatcher_ends_between() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (stop, served) = dispatcher(socket, 1).await;
    let (mut game, mut gate) = (Process::new("game/a", 1, address), Process::new("gate/b", 2, address));
    until(&mut game, &mut gate, |game, gate| game.members == 2 && gate.members == 2).await;
    gate.say(game.life, "one");
    until(&mut game, &mut gate, |game, gate| game.arrived.len() == 1 && gate.member.kept().0 == 0).await;

    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
    for text in ["two", "three"] {
        gate.say(game.life, text);
    }
    assert_eq!(gate.member.kept().0, 2);
    let (_stop, _served) = dispatcher(TcpListener::bind(address).await.unwrap(), 2).await;
    until(&mut game, &mut gate, |game, gate| game.arrived.len() >= 3 && gate.member.kept().0 == 0).await;
    assert_eq!(game.arrived, ["one", "two", "three"].map(Bytes::from));
}
