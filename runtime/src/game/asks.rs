//! What operators ask of one game and another one answers: publications go by the one that leads, a look goes to all.

use super::GameCore;
use super::admin::AdminAnswer;
use super::limits::OPERATORS_MAX;
use super::peers::Lead;
use super::publish::{Asker, PublishOptions};
use super::report::{Fact, PublicationReport, full_hash};
use crate::cargo::peer::{Answer, Ask, Blob, Order, Peer};
use crate::guest::VersionHash;
use everwake_protocol::cluster::Incarnation;
use std::collections::BTreeMap;

/// Questions that are under way between games.
#[derive(Debug, Default)]
pub(super) struct Asks {
    /// Asked here, to be answered by the one that leads; by ticket.
    out: BTreeMap<u64, AskedOut>,
    /// Asked here or elsewhere before anybody leads.
    early: Vec<(Asker, Ask)>,
    /// Publications whose components are on their way here.
    incoming: Vec<(Asker, Ask)>,
}

#[derive(Debug)]
struct AskedOut {
    /// None: nobody waits for the answer, so it is asked again if there is none.
    admin: Option<u64>,
    /// The one that leads may want its component.
    ask: Ask,
    to: Incarnation,
}

impl Asks {
    pub(super) fn len(&self) -> usize {
        self.out.len() + self.early.len() + self.incoming.len()
    }
}

fn version_of(ask: &Ask) -> Option<VersionHash> {
    match ask {
        Ask::Publish { version, .. } => Some(*version),
        Ask::Rollback { .. } | Ask::Glance => None,
    }
}

impl GameCore {
    /// Components that somebody who asked needs yet.
    pub(super) fn named_by_asks(&self) -> impl Iterator<Item = VersionHash> {
        let uploads = self.asks.out.values().filter_map(|asked| version_of(&asked.ask));
        let later = self.asks.early.iter().chain(&self.asks.incoming);
        uploads.chain(later.filter_map(|(_, ask)| version_of(ask)))
    }

    /// A component is loaded here that an operator wants to publish.
    pub(super) fn ask_to_publish(
        &mut self,
        admin: u64,
        version: VersionHash,
        note: String,
        options: PublishOptions,
        plan: bool,
    ) {
        self.ask_leader(Asker::Operator(admin), Ask::Publish { version, note, options, plan });
    }

    /// Has it answered by the one that leads.
    pub(super) fn ask_leader(&mut self, asker: Asker, ask: Ask) {
        if self.asks.len() >= OPERATORS_MAX {
            return self.refuse_publication(
                asker,
                refused(format!("{OPERATORS_MAX} operators wait already")),
                true,
            );
        }
        if self.peers.leads() {
            return self.lead(asker, ask);
        }
        let leader = self.peers.following.filter(|_| self.is_in() && self.peers.lead == Lead::No);
        let admin = match asker {
            Asker::Operator(admin) => Some(admin),
            Asker::Nobody | Asker::Peer(..) => None,
        };
        match (leader, asker) {
            (Some(_), Asker::Peer(..)) => self.not_by_this_game(asker),
            (Some(to), _) => {
                let ticket = self.mint();
                self.asks.out.insert(ticket, AskedOut { admin, ask: ask.clone(), to });
                self.say(to, Peer::Ask { ticket, ask });
            }
            (None, Asker::Operator(_)) if !self.is_in() => self.wait_to_be_in(asker, ask),
            // Somebody takes over, and asks how everybody stands.
            _ => self.asks.early.push((asker, ask)),
        }
    }

    /// What the others run counts, and that is not known yet: whoever publishes need not wait for that.
    fn wait_to_be_in(&mut self, asker: Asker, ask: Ask) {
        let mut report = PublicationReport::default();
        let version = version_of(&ask).and_then(|version| Some((version, self.shelf.get(&version)?)));
        match (&ask, version) {
            (Ask::Publish { plan: false, .. }, Some((version, shelved))) => {
                report.module.clone_from(&shelved.checked.manifest().name);
                report.label.clone_from(&shelved.checked.manifest().label);
                report.version = full_hash(version);
                report.generation = 1;
                report.reversible = true;
                report.published = true;
                report.summary = "it is published when this game has joined the others".to_owned();
                self.asks.early.push((Asker::Nobody, ask));
                self.answer_publication(asker, Box::new(report));
            }
            _ => {
                report
                    .refusals
                    .push("this game has not joined the others yet\nhint: try again in a moment".to_owned());
                self.refuse_publication(asker, report, true);
            }
        }
    }

    /// Somebody leads, and this game is in: what has waited for that is asked now.
    pub(super) fn flush_early(&mut self) {
        if !self.is_in() || self.is_founding() {
            return;
        }
        for (asker, ask) in std::mem::take(&mut self.asks.early) {
            self.untidy = true;
            self.ask_leader(asker, ask);
        }
    }

    /// Another game has been asked something.
    pub(super) fn asked_by_peer(&mut self, from: Incarnation, ticket: u64, ask: Ask) {
        let asker = Asker::Peer(from, ticket);
        if matches!(ask, Ask::Glance) {
            let (glance, versions) = self.glance();
            return self
                .say(from, Peer::Answer { ticket, answer: Answer::Glance(Box::new(glance), versions) });
        }
        match self.peers.lead {
            Lead::Yes if self.asks.len() < OPERATORS_MAX => self.lead(asker, ask),
            Lead::Taking(_) if self.asks.len() < OPERATORS_MAX => self.asks.early.push((asker, ask)),
            _ => self.not_by_this_game(asker),
        }
    }

    fn not_by_this_game(&mut self, asker: Asker) {
        self.refuse_publication(
            asker,
            refused("publications do not go by this game\nhint: try again in a moment".to_owned()),
            true,
        );
    }

    /// This game leads.
    fn lead(&mut self, asker: Asker, ask: Ask) {
        match ask {
            Ask::Publish { version, note, options, plan } if self.shelf.contains_key(&version) => {
                let order = self.order(version, note.clone(), options);
                if options.first && self.is_publishing(&order.module) {
                    // Somebody else's file is first, if nothing stands against it.
                    return self.asks.early.push((asker, Ask::Publish { version, note, options, plan }));
                }
                self.weigh(asker, Order { plan, ..order });
            }
            Ask::Publish { version, .. } => {
                if let Asker::Peer(from, _) = asker {
                    self.asks.incoming.push((asker, ask));
                    self.fetch(from, Blob::Component(version));
                }
            }
            Ask::Rollback { module, to, irreversible } => {
                self.rollback(asker, module, to.as_deref(), irreversible)
            }
            Ask::Glance => {}
        }
    }

    /// A component that was fetched to be published is here, or will not come.
    pub(super) fn incoming_component(&mut self, version: VersionHash, result: Result<(), &str>) {
        let (its, others) = std::mem::take(&mut self.asks.incoming)
            .into_iter()
            .partition(|(_, ask)| version_of(ask) == Some(version));
        self.asks.incoming = others;
        for (asker, ask) in its {
            match (result, ask) {
                (Ok(()), ask) => self.lead(asker, ask),
                (Err(why), Ask::Publish { plan, .. }) => {
                    let mut report = PublicationReport { version: full_hash(version), ..Default::default() };
                    report.refusals.push(why.to_owned());
                    self.refuse_publication(asker, report, plan);
                }
                (Err(_), _) => {}
            }
        }
    }

    /// The one that leads has answered, or a game that was looked at.
    pub(super) fn answered_by_peer(&mut self, from: Incarnation, ticket: u64, answer: Answer) {
        self.untidy = true;
        match answer {
            Answer::Publication(report) => match self.asks.out.remove(&ticket).map(|asked| asked.admin) {
                Some(Some(admin)) => self.answer_admin(admin, AdminAnswer::Publication(report)),
                Some(None) => self.file_answered(&report),
                None => {}
            },
            Answer::Glance(glance, versions) => self.glanced(from, ticket, *glance, versions),
        }
    }

    /// What became of a file of this game's own.
    fn file_answered(&mut self, report: &PublicationReport) {
        if !report.refusals.is_empty() {
            let (module, reasons) = (report.module.clone(), report.refusals.clone());
            self.fact(Fact::Refused { module, reasons });
        } else if !report.published && report.from != report.version {
            let short = |hash: &str| hash.get(..12).unwrap_or_default().to_owned();
            let runs = format!("generation {} (`{}`)", report.generation, short(&report.from));
            let (module, version) = (report.module.clone(), short(&report.version));
            self.fact(Fact::FileLeftOut { module, version, runs });
        }
    }

    /// The one that leads cannot be reached.
    pub(super) fn ask_unreached(&mut self, ticket: u64) {
        if let Some(asked) = self.asks.out.remove(&ticket) {
            self.unanswered(asked, "the game that leads cannot be reached\nhint: try again in a moment");
        }
    }

    /// A game is dead: what it was asked, nobody answers.
    pub(super) fn asks_lost(&mut self, life: Incarnation) {
        let lost = self.asks.out.extract_if(.., |_, asked| asked.to == life);
        let lost: Vec<AskedOut> = lost.map(|(_, asked)| asked).collect();
        let is_of = |(asker, _): &(Asker, Ask)| matches!(asker, Asker::Peer(from, _) if *from == life);
        self.asks.incoming.retain(|waiting| !is_of(waiting));
        self.asks.early.retain(|waiting| !is_of(waiting));
        for asked in lost {
            let why = "the game that led is dead, and it is not known how it ended\n\
                       hint: what all had ready is finished, the rest given up; `everwake versions` says what runs";
            self.unanswered(asked, why);
        }
        self.glance_lost(life);
    }

    fn unanswered(&mut self, AskedOut { admin, ask, .. }: AskedOut, why: &str) {
        self.untidy = true;
        match admin {
            Some(admin) => self.refuse_publication(Asker::Operator(admin), refused(why), true),
            None => {
                self.asks.early.push((Asker::Nobody, ask));
                self.peers_again();
            }
        }
    }

    /// Tells whoever published.
    pub(super) fn answer_publication(&mut self, asker: Asker, report: Box<PublicationReport>) {
        match asker {
            // Refusals are told already.
            Asker::Nobody if report.refusals.is_empty() => self.file_answered(&report),
            Asker::Nobody => {}
            Asker::Operator(admin) => self.answer_admin(admin, AdminAnswer::Publication(report)),
            Asker::Peer(from, ticket) => {
                self.say(from, Peer::Answer { ticket, answer: Answer::Publication(report) });
            }
        }
    }
}

fn refused(why: impl Into<String>) -> PublicationReport {
    PublicationReport { refusals: vec![why.into()], ..PublicationReport::default() }
}
