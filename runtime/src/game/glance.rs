//! A look at all games of a cluster: which runs what. Whoever is asked asks all others, and waits a little.

use super::GameCore;
use super::admin::AdminAnswer;
use super::limits::{GLANCE_MS_MAX, VERSIONS_TOLD_MAX};
use super::report::{GameGlance, ModuleGlance, Pauses, VersionAt, VersionEntry, full_hash};
use super::rollout::Rollout;
use crate::cargo::peer::{Ask, Peer};
use crate::guest::VersionHash;
use everwake_protocol::cluster::Incarnation;
use std::collections::BTreeMap;

/// An operator looks at all games.
#[derive(Debug)]
pub(super) struct Look {
    admin: u64,
    what: Looked,
    /// None from those that have not answered.
    games: BTreeMap<Incarnation, Option<(GameGlance, Vec<VersionAt>)>>,
    pub(super) until_ms: u64,
}

/// At what.
#[derive(Clone, Debug)]
pub(super) enum Looked {
    /// Everything at a glance.
    Status,
    /// The generations, of this module or of all.
    Versions(Option<String>),
}

impl GameCore {
    /// Answers an operator with what all games say.
    pub(super) fn look(&mut self, admin: u64, what: Looked) {
        let games = self.peers.known.keys().map(|life| (*life, None)).collect();
        let look = Look { admin, what, games, until_ms: self.now_ms + GLANCE_MS_MAX };
        let ticket = self.mint();
        for life in look.games.keys() {
            self.say(*life, Peer::Ask { ticket, ask: Ask::Glance });
        }
        self.looks.insert(ticket, look);
        self.looked(ticket);
    }

    /// A game has answered.
    pub(super) fn glanced(
        &mut self,
        from: Incarnation,
        ticket: u64,
        glance: GameGlance,
        versions: Vec<VersionAt>,
    ) {
        if let Some(game) = self.looks.get_mut(&ticket).and_then(|look| look.games.get_mut(&from)) {
            *game = Some((glance, versions));
        }
        self.looked(ticket);
    }

    /// A game is dead: it is not part of what is seen.
    pub(super) fn glance_lost(&mut self, life: Incarnation) {
        for ticket in self.looks.keys().copied().collect::<Vec<_>>() {
            if let Some(look) = self.looks.get_mut(&ticket) {
                look.games.remove(&life);
            }
            self.looked(ticket);
        }
    }

    pub(super) fn tend_looks(&mut self) {
        for ticket in self.looks.keys().copied().collect::<Vec<_>>() {
            self.looked(ticket);
        }
    }

    fn looked(&mut self, ticket: u64) {
        let now_ms = self.now_ms;
        let over = self
            .looks
            .get(&ticket)
            .is_some_and(|look| look.until_ms <= now_ms || look.games.values().all(Option::is_some));
        let look = if over { self.looks.remove(&ticket) } else { None };
        let Some(Look { admin, what, games, .. }) = look else { return };
        let own = self.glance();
        let silent = |life| GameGlance { name: self.game_name(life), ..GameGlance::default() };
        let others = games.into_iter().map(|(life, game)| game.unwrap_or_else(|| (silent(life), Vec::new())));
        let (mut games, versions): (Vec<GameGlance>, Vec<Vec<VersionAt>>) = others.chain([own]).unzip();
        games.sort_by(|one, other| one.name.cmp(&other.name));
        let answer = match what {
            Looked::Status => {
                let mut status = self.status();
                if self.peers.among {
                    status.games = games;
                }
                AdminAnswer::Status(Box::new(status))
            }
            Looked::Versions(module) => {
                AdminAnswer::Versions(self.all_versions(module.as_deref(), &versions.concat()))
            }
        };
        self.answer_admin(admin, answer);
    }

    fn all_versions(&self, module: Option<&str>, seen: &[VersionAt]) -> Vec<VersionEntry> {
        let wanted = |name: &&String| module.is_none_or(|module| module == *name);
        let names = self.modules.keys().filter(wanted);
        let mut versions: Vec<VersionEntry> = names.flat_map(|name| self.versions_of(name)).collect();
        if self.peers.among {
            for version in &mut versions {
                let its =
                    |at: &&VersionAt| at.module == version.module && at.generation == version.generation;
                version.games = seen.iter().filter(its).cloned().collect();
                version.games.sort_by(|one, other| one.game.cmp(&other.game));
                if !version.games.is_empty() {
                    version.spaces = version.games.iter().map(|at| at.spaces).sum();
                    version.crashes = version.games.iter().map(|at| at.crashes).sum();
                    version.pause = Pauses::slowest(version.games.iter().filter_map(|at| at.pause));
                }
            }
        }
        versions
    }

    /// What runs: each module with its generation and version, in the order in which they were started.
    pub fn heads(&self) -> Vec<(String, u32, VersionHash)> {
        let heads = self.modules.iter().map(|(name, module)| (name, &module.head));
        heads.map(|(name, head)| (name.clone(), head.generation, head.hash)).collect()
    }

    /// What is not as it stays: publications, what comes from other games, questions to them; for people. Empty once
    /// this game is one of the cluster's and has nothing to do for it.
    pub fn under_way(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut note = |is_so: bool, what: &str| {
            if is_so {
                found.push(what.to_owned());
            }
        };
        note(!self.is_in(), "it has not joined");
        note(self.peers.following.is_none(), "nobody leads");
        note(self.joining.is_some(), "it takes what runs");
        note(!self.jobs.is_empty(), "components are loaded");
        note(!self.fetches.is_empty(), "something is fetched");
        note(self.asks.len() > 0 || !self.looks.is_empty(), "other games are asked");
        for publication in self.publications.values() {
            let names = self.names_of_waiting(publication.order.mark);
            note(true, &format!("a publication waits in {:?} for {names}", publication.phase));
        }
        for staged in self.staged.values() {
            note(true, &format!("generation {} is ready or nearly so", staged.order.generation));
        }
        for (name, module) in &self.modules {
            note(!module.done, &format!("not all run the head of `{name}`"));
            note(module.rollout.is_some(), &format!("spaces of `{name}` go over"));
        }
        found
    }

    /// This game at a glance, and the newest generations as they are seen here.
    pub(super) fn glance(&self) -> (GameGlance, Vec<VersionAt>) {
        let glance = GameGlance {
            name: self.config.name.clone(),
            answers: true,
            rank: self.peers.rank,
            leads: self.peers.leads(),
            sessions: self.sessions.len(),
            entities: self.directory.sizes().0,
            modules: self.modules.keys().filter_map(|name| self.module_glance(name)).collect(),
        };
        let newest = self.modules.keys().flat_map(|name| {
            let versions = self.versions_of(name).into_iter().take(VERSIONS_TOLD_MAX);
            versions.map(|version| VersionAt {
                game: self.config.name.clone(),
                module: version.module,
                generation: version.generation,
                spaces: version.spaces,
                crashes: version.crashes,
                pause: version.pause,
            })
        });
        (glance, newest.collect())
    }

    fn module_glance(&self, name: &str) -> Option<ModuleGlance> {
        let module = self.modules.get(name)?;
        Some(ModuleGlance {
            name: name.to_owned(),
            label: module.head.manifest.label.clone(),
            version: full_hash(module.head.hash),
            generation: module.head.generation,
            swapping: module.rollout.as_ref().is_some_and(Rollout::is_under_way),
            mixed: module.mixed,
            sessions: self.sessions.count(name),
            spaces: self.directory.spaces_of(name).len(),
            entities: self.census(name).values().sum(),
            crashes: module.crashes,
            pause: module.head_pauses().1,
        })
    }
}
