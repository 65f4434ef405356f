//! What one game fetches from another, in parts: components and records of modules.
//!
//! Whoever wants something asks for a few parts ahead and for more as they come, so whoever has it keeps nothing
//! for those who fetch, and nothing large is ever in one piece on the way.

use super::limits::{PART_BYTES_MAX, PARTS_MAX, RECORD_BYTES_MAX};
use super::{GameCore, GameOutput};
use crate::cargo::peer::{Blob, Peer};
use crate::guest::VersionHash;
use crate::wasm::limits::COMPONENT_BYTES_MAX;
use bytes::Bytes;
use everwake_protocol::cluster::Incarnation;

/// Something on its way here.
#[derive(Debug)]
pub(super) struct Fetch {
    from: Incarnation,
    bytes: Vec<u8>,
    /// Of all of it; none before the first part.
    total: Option<u64>,
    /// Up to this byte it is asked for.
    asked: u64,
}

/// Why something was not fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FetchError {
    /// The other one has it no more.
    #[error("`{0}` has it no more")]
    NotThere(String),
    /// The other one is dead.
    #[error("`{0}` is dead")]
    Dead(String),
    /// More than allowed.
    #[error("{total} bytes are too many; the limit is {limit}")]
    TooLarge {
        /// How many.
        total: u64,
        /// How many are allowed.
        limit: usize,
    },
    /// Parts that do not fit together.
    #[error("its parts do not fit together")]
    Parts,
}

impl Blob {
    fn bytes_max(self) -> usize {
        match self {
            Blob::Component(_) => COMPONENT_BYTES_MAX,
            Blob::Record(_) => RECORD_BYTES_MAX,
        }
    }
}

impl Fetch {
    /// Takes a part; what is missing then: where the next parts begin that are to be asked for.
    fn take(&mut self, blob: Blob, offset: u64, total: u64, bytes: &[u8]) -> Result<Vec<u64>, FetchError> {
        let limit = blob.bytes_max();
        if total > limit as u64 {
            return Err(FetchError::TooLarge { total, limit });
        }
        let end = offset + bytes.len() as u64;
        let fits = offset == self.bytes.len() as u64
            && *self.total.get_or_insert(total) == total
            && end <= total
            && (bytes.len() == PART_BYTES_MAX || end == total)
            && !bytes.is_empty();
        if !fits {
            return Err(FetchError::Parts);
        }
        self.bytes.extend_from_slice(bytes);
        let ahead = (end + (PARTS_MAX * PART_BYTES_MAX) as u64).min(total);
        let mut wanted = Vec::new();
        while self.asked < ahead {
            wanted.push(self.asked);
            self.asked += PART_BYTES_MAX as u64;
        }
        Ok(wanted)
    }

    fn is_whole(&self) -> bool {
        self.total == Some(self.bytes.len() as u64)
    }
}

impl GameCore {
    /// Fetches something, unless it comes already.
    pub(super) fn fetch(&mut self, from: Incarnation, blob: Blob) {
        if self.fetches.contains_key(&blob) {
            return;
        }
        let fetch = Fetch { from, bytes: Vec::new(), total: None, asked: PART_BYTES_MAX as u64 };
        self.fetches.insert(blob, fetch);
        self.say(from, Peer::Want { blob, offset: 0 });
    }

    /// Another game fetches.
    pub(super) fn wanted(&mut self, from: Incarnation, blob: Blob, offset: u64) {
        let all = match blob {
            Blob::Component(version) => self.shelf.get(&version).map(|shelved| shelved.bytes.clone()),
            Blob::Record(id) => self.records.get(&id).map(|(_, bytes)| bytes.clone()),
        };
        let all = all.unwrap_or_default();
        let first = usize::try_from(offset).unwrap_or(usize::MAX).min(all.len());
        let bytes = all.slice(first..first.saturating_add(PART_BYTES_MAX).min(all.len()));
        let total = all.len() as u64;
        self.say(from, Peer::Part { blob, offset, total, bytes });
    }

    /// A part of what this game fetches.
    pub(super) fn part_came(
        &mut self,
        from: Incarnation,
        blob: Blob,
        offset: u64,
        total: u64,
        bytes: &Bytes,
    ) {
        let Some(fetch) = self.fetches.get_mut(&blob).filter(|fetch| fetch.from == from) else { return };
        let taken = match total {
            0 => Err(FetchError::NotThere(String::new())),
            total => fetch.take(blob, offset, total, bytes),
        };
        match taken {
            Ok(_) if fetch.is_whole() => {
                let bytes = self.fetches.remove(&blob).map(|fetch| Bytes::from(fetch.bytes));
                self.fetched(blob, bytes.unwrap_or_default());
            }
            Ok(wanted) => {
                for offset in wanted {
                    self.say(from, Peer::Want { blob, offset });
                }
            }
            Err(error) => {
                self.fetches.remove(&blob);
                let error = match error {
                    FetchError::NotThere(_) => FetchError::NotThere(self.game_name(from)),
                    other => other,
                };
                self.not_fetched(blob, &error);
            }
        }
    }

    /// Nothing more comes from a game.
    pub(super) fn fetches_lost(&mut self, from: Incarnation) {
        let lost = self.fetches.extract_if(.., |_, fetch| fetch.from == from);
        let lost: Vec<Blob> = lost.map(|(blob, _)| blob).collect();
        let error = FetchError::Dead(self.game_name(from));
        for blob in lost {
            self.not_fetched(blob, &error);
        }
        self.records.retain(|_, (reader, _)| *reader != from);
    }

    fn fetched(&mut self, blob: Blob, bytes: Bytes) {
        match blob {
            Blob::Component(version) => self.load_fetched(version, bytes),
            Blob::Record(id) => self.record_came(id, &bytes),
        }
    }

    fn not_fetched(&mut self, blob: Blob, error: &FetchError) {
        match blob {
            Blob::Component(version) => {
                self.component_missing(version, &format!("the component is not fetched: {error}"));
            }
            Blob::Record(_) => self.joining_failed(&format!("a module's record is not fetched: {error}")),
        }
    }

    /// A component can be instantiated here from now on.
    pub(super) fn component_here(&mut self, version: VersionHash) {
        self.staged_component(version, Ok(()));
        self.incoming_component(version, Ok(()));
        self.advance_joining();
    }

    /// A component did not come, or is refused here.
    pub(super) fn component_missing(&mut self, version: VersionHash, why: &str) {
        self.staged_component(version, Err(why));
        self.incoming_component(version, Err(why));
        if self.joining.as_ref().is_some_and(|joining| joining.wants(version)) {
            self.joining_failed(why);
        }
    }

    /// Lets go of components that nothing names any more.
    pub(super) fn tidy_shelf(&mut self) {
        if !std::mem::take(&mut self.untidy) {
            return;
        }
        let named: std::collections::BTreeSet<VersionHash> = self
            .modules
            .values()
            .flat_map(|module| module.loaded.iter().copied())
            .chain(self.staged.values().map(|staged| staged.order.version))
            .chain(self.publications.values().map(|publication| publication.order.version))
            .chain(self.named_by_asks())
            .chain(self.joining.iter().flat_map(|joining| joining.versions()))
            .collect();
        let idle = self.shelf.extract_if(.., |version, _| !named.contains(version));
        let idle: Vec<VersionHash> = idle.map(|(version, _)| version).collect();
        for version in idle {
            for loading in self.jobs.values_mut() {
                loading.forgotten.insert(version);
            }
            self.out.push(GameOutput::Forget(version));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch() -> Fetch {
        let from = Incarnation { start: 1, random: 1 };
        Fetch { from, bytes: Vec::new(), total: None, asked: PART_BYTES_MAX as u64 }
    }

    #[test]
    fn parts_are_asked_for_ahead_and_no_more_than_there_are() {
        let blob = Blob::Component(VersionHash::default());
        let part = PART_BYTES_MAX as u64;
        let (total, whole) = (part * 6 + 5, vec![7; PART_BYTES_MAX]);
        let mut fetch = fetch();
        assert_eq!(fetch.take(blob, 0, total, &whole), Ok(vec![part, part * 2, part * 3, part * 4]));
        assert_eq!(fetch.take(blob, part, total, &whole), Ok(vec![part * 5]));
        assert_eq!(fetch.take(blob, part * 2, total, &whole), Ok(vec![part * 6]));
        for place in 3..6 {
            assert_eq!(fetch.take(blob, part * place, total, &whole), Ok(vec![]));
            assert!(!fetch.is_whole());
        }
        assert_eq!(fetch.take(blob, part * 6, total, &[7; 5]), Ok(vec![]));
        assert!(fetch.is_whole() && fetch.bytes.len() as u64 == total);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let blob = Blob::Record(everwake_protocol::Id::ZERO);
        let limit = RECORD_BYTES_MAX;
        let large = limit as u64 + 1;
        assert_eq!(fetch().take(blob, 0, large, &[1]), Err(FetchError::TooLarge { total: large, limit }));
        for (offset, total, bytes) in [(1, 9, &[1; 8][..]), (0, 9, &[1; 8]), (0, 9, &[]), (0, 9, &[1; 10])] {
            assert_eq!(
                fetch().take(blob, offset, total, bytes),
                Err(FetchError::Parts),
                "{offset} {bytes:?}"
            );
        }
        let mut changed = fetch();
        changed.take(blob, 0, large - 1, &vec![1; PART_BYTES_MAX]).unwrap();
        assert_eq!(changed.take(blob, PART_BYTES_MAX as u64, 1, &[1]), Err(FetchError::Parts));
    }
}
