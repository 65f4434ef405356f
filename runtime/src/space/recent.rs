//! The last seconds of a space, always at hand: what it was like, what came in since, what was done.
//!
//! Time is cut into periods. A period begins between two drains when nothing waits, with what is not an
//! entity, copied; of an entity what it was like is copied when it is about to change. What came in is
//! noted, and the records of events are kept as long as a period needs them. Whoever asks gets the space as it
//! was when the oldest period began, and everything since: a recording like any other.
//!
//! Limited by time, entries and bytes, and by what all spaces of a process may keep together. A space in which more happens than fits keeps nothing for a while:
//! copying what will not be there when somebody asks would slow it down just when it is busy.

use super::budget::{PastBudget, Share};
use super::commit::{Commit, InstanceChange};
use super::core::SpaceCore;
use super::images::Album;
use super::snapshot::{EntitySnapshot, SpaceSnapshot};
use super::state::Space;
use super::weight;
use crate::limits::{RECENT_BYTES_MAX, RECENT_ENTRIES_MAX, RECENT_MS, RECENT_PERIOD_MS, RECENT_REST_MS};
use crate::message::{Body, Input};
use crate::versions::ModuleVersion;
use bytes::Bytes;
use everwake_protocol::EntityId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The last seconds of a space.
#[derive(Clone, Debug)]
pub struct Past {
    /// Version that ran when it began.
    pub version: Arc<ModuleVersion>,
    /// The space as it was, but for its entities.
    head: SpaceSnapshot,
    /// Those, in the order of entering.
    entities: Vec<Arc<EntitySnapshot>>,
    /// What happened since, in order.
    pub happened: Vec<Happened>,
    /// UTC ms when it began.
    pub from_ms: u64,
    /// UTC ms of the last drain.
    pub until_ms: u64,
}

impl Past {
    /// The space as it was, whole. Copies entities; the space itself does not wait for that.
    pub(crate) fn snapshot(&self) -> SpaceSnapshot {
        let entities = self.entities.iter().map(|entity| EntitySnapshot::clone(entity)).collect();
        SpaceSnapshot { entities, ..self.head.clone() }
    }
}

/// See [`super::commit::Recorder`].
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "they are the methods of `Recorder`, by name")]
pub enum Happened {
    Drain { now_ms: u64 },
    Input(Arc<Input>),
    Look,
    Commit(Box<Commit>),
    Instance(InstanceChange),
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Recent {
    /// Oldest first. The images of the last one are still being taken.
    periods: VecDeque<Period>,
    /// Of what all spaces may keep.
    share: Share,
    /// It was too much: UTC ms when to try again.
    rests_until_ms: u64,
}

#[derive(Debug)]
struct Period {
    began_ms: u64,
    version: Arc<ModuleVersion>,
    head: SpaceSnapshot,
    album: Album,
    entries: Vec<Entry>,
    /// Of all of it, but for the images of the last period.
    bytes: usize,
}

#[derive(Debug)]
enum Entry {
    Drain {
        now_ms: u64,
    },
    Input(Arc<Input>),
    Look,
    /// A record by its sequence.
    Commit(u64),
    Instance(InstanceChange),
}

impl Recent {
    pub(super) fn new(budget: PastBudget) -> Self {
        Recent { periods: VecDeque::new(), share: Share::of(budget), rests_until_ms: 0 }
    }

    fn clear(&mut self) {
        self.periods.clear();
        self.share.resize(0);
    }

    fn note(&mut self, entry: Entry, bytes: usize) {
        if let Some(period) = self.periods.back_mut() {
            period.bytes += size_of::<Entry>() + bytes;
            period.entries.push(entry);
        }
    }

    pub(super) fn drains(&mut self, now_ms: u64) {
        self.note(Entry::Drain { now_ms }, 0);
    }

    pub(super) fn takes(&mut self, input: &Input) {
        if !self.periods.is_empty() {
            let input = Arc::new(unshared(input));
            let bytes = input.bytes();
            self.note(Entry::Input(input), bytes);
        }
    }

    pub(super) fn looks(&mut self) {
        self.note(Entry::Look, 0);
    }

    pub(super) fn commits(&mut self, commit: &Commit) {
        if !self.periods.is_empty() {
            self.note(Entry::Commit(commit.sequence), weight::commit(commit));
        }
    }

    pub(super) fn instance(&mut self, change: InstanceChange) {
        self.note(Entry::Instance(change), 0);
    }

    /// Whether a period has lasted long enough.
    fn is_due(&self, now_ms: u64) -> bool {
        match self.periods.back() {
            Some(last) => last.began_ms + RECENT_PERIOD_MS <= now_ms && !last.entries.is_empty(),
            None => now_ms >= self.rests_until_ms,
        }
    }

    /// Lets go of periods that are older than anybody asks for; of all, if they are too much.
    fn make_room(&mut self, now_ms: u64, image_bytes: usize) {
        let horizon = now_ms.saturating_sub(RECENT_MS);
        while self.periods.get(1).is_some_and(|second| second.began_ms <= horizon) {
            self.periods.pop_front();
        }
        if self.is_too_much(image_bytes) {
            return self.clear();
        }
        // Others may keep so much that there is no room for all of ours: the oldest goes.
        while !self.share.resize(self.bytes() + image_bytes) {
            if self.periods.len() <= 1 {
                return self.clear();
            }
            self.periods.pop_front();
        }
    }

    fn bytes(&self) -> usize {
        self.periods.iter().map(|period| period.bytes).sum()
    }

    fn is_too_much(&self, image_bytes: usize) -> bool {
        let entries: usize = self.periods.iter().map(|period| period.entries.len()).sum();
        self.bytes() + image_bytes > RECENT_BYTES_MAX || entries > RECENT_ENTRIES_MAX
    }
}

impl Space {
    /// Before a drain: begins a period, if it is time and nothing waits.
    pub(super) fn remember(&mut self, now_ms: u64) {
        if !self.config.keeps_past || !self.mailbox.is_empty() || !self.recent.is_due(now_ms) {
            return;
        }
        let image_bytes = self.world.images.bytes().unwrap_or_default();
        let head = self.head();
        let album = self.world.images.begin(RECENT_BYTES_MAX / 2);
        if let Some(last) = self.recent.periods.back_mut() {
            last.album = album;
            last.bytes += image_bytes;
        }
        let bytes = size_of::<Period>() + head.sights.bytes();
        let period = Period {
            began_ms: now_ms,
            version: self.version.clone(),
            head,
            album: Album::default(),
            entries: Vec::new(),
            bytes,
        };
        self.recent.periods.push_back(period);
        self.keep_records();
    }

    /// After a drain: keeps within the limits.
    pub(super) fn forget_past(&mut self, now_ms: u64) {
        if self.recent.periods.is_empty() {
            return;
        }
        match self.world.images.bytes() {
            Some(bytes) => self.recent.make_room(now_ms, bytes),
            None => self.recent.clear(),
        }
        if self.recent.periods.is_empty() {
            self.recent.rests_until_ms = now_ms + RECENT_REST_MS;
            self.world.images.stop();
        }
        self.keep_records();
    }

    fn keep_records(&mut self) {
        let first = self.recent.periods.front().map(|period| period.head.commit + 1);
        self.commits.keep_from(first.unwrap_or(u64::MAX));
    }

    /// Whether there is anything of the last seconds.
    pub(super) fn keeps_past(&self) -> bool {
        !self.recent.periods.is_empty()
    }

    /// Nothing has happened for long: lets go of all of it. The next drain begins again.
    pub(super) fn drop_past(&mut self) {
        self.recent.clear();
        self.recent.periods.shrink_to_fit();
        self.world.images.stop();
        self.commits.keep_from(u64::MAX);
        self.commits.trim();
    }

    /// An entity as it was when the oldest period began; none if it was not there. Who has an image is shared;
    /// who has not changed since has none, and is copied.
    fn before(&self, entity: EntityId) -> Option<Arc<EntitySnapshot>> {
        let closed = self.recent.periods.iter().map(|period| &period.album);
        let mut albums = closed.chain([self.world.images.album()]);
        match albums.find_map(|album| album.get(&entity)) {
            Some(image) => image.clone(),
            None => self.world.by_id(entity).map(|entity| Arc::new(EntitySnapshot::of(entity))),
        }
    }
}

impl SpaceCore {
    /// The last seconds; none if there was too much to keep, or nothing yet. What came in and who has changed is
    /// shared; copied are the records, which the space still adds to, and who has not changed: to be called when
    /// somebody asks.
    #[must_use]
    pub fn past(&self) -> Option<Past> {
        let space = self.shared();
        let periods = &space.recent.periods;
        let first = periods.front()?;
        let here = space.world.iter().map(|(_, entity)| entity.id);
        let gone = periods.iter().flat_map(|period| period.album.keys());
        let gone = gone.chain(space.world.images.album().keys());
        let all: BTreeSet<EntityId> = here.chain(gone.copied()).collect();
        let entities: BTreeMap<u64, Arc<EntitySnapshot>> =
            all.into_iter().filter_map(|id| space.before(id)).map(|entity| (entity.order, entity)).collect();
        let happened = periods.iter().flat_map(|period| &period.entries);
        let happened = happened.filter_map(|entry| match entry {
            Entry::Drain { now_ms } => Some(Happened::Drain { now_ms: *now_ms }),
            Entry::Input(input) => Some(Happened::Input(input.clone())),
            Entry::Look => Some(Happened::Look),
            Entry::Commit(sequence) => {
                space.commits.record(*sequence).map(|commit| Happened::Commit(Box::new(commit.clone())))
            }
            Entry::Instance(change) => Some(Happened::Instance(*change)),
        });
        Some(Past {
            version: first.version.clone(),
            head: first.head.clone(),
            entities: entities.into_values().collect(),
            happened: happened.collect(),
            from_ms: first.began_ms,
            until_ms: space.now_ms,
        })
    }
}

/// An input that holds no part of a larger buffer: small arguments must not keep what the network read.
fn unshared(input: &Input) -> Input {
    let mut input = input.clone();
    let copied = |bytes: &mut Bytes| *bytes = Bytes::copy_from_slice(bytes);
    match &mut input {
        Input::Message(message) => {
            if let Body::Call { args, .. } = &mut message.body {
                copied(args);
            }
        }
        Input::Request { args, .. } | Input::Create { args, .. } => copied(args),
        Input::Moved { motion, .. } => copied(motion),
        _ => {}
    }
    input
}
