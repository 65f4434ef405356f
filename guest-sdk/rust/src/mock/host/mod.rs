//! The imports of `wit/`, by name and signature, over the running event of a mock world.

pub(crate) mod calls;
pub(crate) mod clients;
pub(crate) mod entities;
pub(crate) mod spaces;
pub(crate) mod ticks;

use super::state;
use super::transaction::{Group, Staged, Store, Transaction, with};
use crate::bindings::everwake::game as wit;
use crate::id::Id;
use crate::types::Pose;
use wit::types::{Continuation, Error, Id as WitId, Pose as WitPose};

const ARGS_BYTES_MAX: usize = 64 * 1024;
const CONTEXT_BYTES_MAX: usize = 4 * 1024;
const DEADLINE_MS_MAX: u32 = 3_600_000;

fn fits(bytes: &[u8], most: usize, what: &str) -> Result<(), Error> {
    if bytes.len() > most { Err(Error::Limit(format!("{what}: {} bytes", bytes.len()))) } else { Ok(()) }
}

fn checked(tx: &Transaction, then: &Continuation) -> Result<(), Error> {
    if then.deadline_ms > DEADLINE_MS_MAX {
        return Err(Error::Limit("deadline".into()));
    }
    fits(&then.context, CONTEXT_BYTES_MAX, "context")?;
    tx.speaks_for(then.owner.into())
}

fn capable(tx: &Transaction, capability: &str) -> Result<(), Error> {
    if tx.state.manifest.capabilities.iter().any(|held| held == capability) {
        return Ok(());
    }
    Err(Error::NotAllowed(format!("the module lacks the capability `{capability}`")))
}

fn pose(pose: WitPose) -> Result<Pose, Error> {
    let pose = Pose::from(pose);
    if [pose.x, pose.y, pose.z, pose.yaw].iter().all(|part| part.is_finite()) {
        return Ok(pose);
    }
    Err(Error::BadArguments("a pose that is not finite".into()))
}

pub(crate) mod watches {
    use super::*;

    pub(crate) fn watch(owner: WitId, target: WitId, method: u32, context: &[u8]) -> Result<WitId, Error> {
        with(|tx| {
            tx.speaks_for(owner.into())?;
            fits(context, CONTEXT_BYTES_MAX, "context")?;
            let id = tx.state.mint();
            let watch = state::Watch {
                owner: owner.into(),
                target: target.into(),
                method,
                context: context.to_vec(),
            };
            tx.state.watches.insert(id, watch);
            Ok(id.into())
        })
    }

    pub(crate) fn unwatch(owner: WitId, watch: WitId) {
        let (owner, watch) = (Id::from(owner), Id::from(watch));
        with(|tx| {
            if tx.state.watches.get(&watch).is_some_and(|known| known.owner == owner) {
                tx.state.watches.remove(&watch);
            }
        });
    }
}

pub(crate) mod timers {
    use super::*;

    pub(crate) fn start(
        owner: WitId,
        method: u32,
        context: &[u8],
        delay_ms: f64,
        repeat_ms: f64,
        _volatile: bool,
    ) -> Result<WitId, Error> {
        with(|tx| {
            tx.speaks_for(owner.into())?;
            fits(context, CONTEXT_BYTES_MAX, "context")?;
            let possible = |ms: f64| ms.is_finite() && (0.0..=315_576_000_000.0).contains(&ms);
            if !possible(delay_ms) || !possible(repeat_ms) || repeat_ms > 0.0 && repeat_ms < 10.0 {
                return Err(Error::BadArguments("the times of a timer".into()));
            }
            let (id, owner) = (tx.state.mint(), Id::from(owner));
            let next = tx.state.now + delay_ms.ceil() as u64;
            let timer =
                state::Timer { owner, method, context: context.to_vec(), next, repeat: repeat_ms as u64 };
            tx.state.timers.insert(id, timer);
            tx.note(Group::Timer, format!("timer {owner} method {method} in {delay_ms} every {repeat_ms}"));
            Ok(id.into())
        })
    }

    pub(crate) fn cancel(owner: WitId, timer: WitId) {
        let (owner, timer) = (Id::from(owner), Id::from(timer));
        with(|tx| {
            if tx.state.timers.get(&timer).is_some_and(|known| known.owner == owner) {
                tx.state.timers.remove(&timer);
                tx.note(Group::Timer, format!("cancel {owner}"));
            }
        });
    }
}

pub(crate) mod services {
    use super::*;

    fn shard(tx: &Transaction, type_index: u32, number: u32) -> Result<WitId, Error> {
        tx.state.shards.get(&(type_index, number)).map(|id| (*id).into()).ok_or(Error::NotFound)
    }

    pub(crate) fn by_key(type_index: u32, key: &[u8]) -> Result<WitId, Error> {
        with(|tx| {
            let shards = tx.state.type_of(type_index).map_or(0, |about| about.shards);
            // FNV-1a: any spread will do that is the same in every run.
            let hash = key
                .iter()
                .fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
            shard(tx, type_index, hash.checked_rem(shards).ok_or(Error::NotFound)?)
        })
    }

    pub(crate) fn by_number(type_index: u32, number: u32) -> Result<WitId, Error> {
        with(|tx| shard(tx, type_index, number))
    }
}

pub(crate) mod key_value {
    use super::*;

    fn ask(request: Store, then: &Continuation) -> Result<(), Error> {
        let key = match &request {
            Store::Get(key) | Store::Put(key, _) | Store::GetOrPut(key, _) => key,
            Store::CompareAndSet(key, ..) | Store::Range(key, ..) => key,
        };
        fits(key.as_bytes(), 512, "key")?;
        with(|tx| {
            capable(tx, "key-value")?;
            checked(tx, then)?;
            tx.staged.push(Staged::Store { request, then: then.clone() });
            Ok(())
        })
    }

    pub(crate) fn get(key: &str, then: &Continuation) -> Result<(), Error> {
        ask(Store::Get(key.into()), then)
    }

    pub(crate) fn put(key: &str, value: Option<&[u8]>, then: &Continuation) -> Result<(), Error> {
        ask(Store::Put(key.into(), value.map(<[u8]>::to_vec)), then)
    }

    pub(crate) fn get_or_put(key: &str, value: &[u8], then: &Continuation) -> Result<(), Error> {
        ask(Store::GetOrPut(key.into(), value.to_vec()), then)
    }

    pub(crate) fn compare_and_set(
        key: &str,
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
        then: &Continuation,
    ) -> Result<(), Error> {
        ask(Store::CompareAndSet(key.into(), expected.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec)), then)
    }

    pub(crate) fn range(first: &str, end: &str, most: u32, then: &Continuation) -> Result<(), Error> {
        ask(Store::Range(first.into(), end.into(), most.min(1_000)), then)
    }
}

pub(crate) mod log {
    use super::*;

    /// Lines are for whoever reads the test's output; they stay when the event is undone.
    #[expect(clippy::print_stdout, reason = "the output of a test")]
    pub(crate) fn line(level: wit::log::Level, message: &str) {
        println!("{level:?} {message}");
    }

    pub(crate) fn panicked(_message: &str) {}
}
