//! The imports of `wit/`, by name and signature, over the running event of a mock world.

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

fn pose(pose: WitPose) -> Result<Pose, Error> {
    let pose = Pose::from(pose);
    if [pose.x, pose.y, pose.z, pose.yaw].iter().all(|part| part.is_finite()) {
        return Ok(pose);
    }
    Err(Error::BadArguments("a pose that is not finite".into()))
}

pub(crate) mod entities {
    use super::*;
    pub(crate) use wit::entities::Place;

    pub(crate) fn load(entity: WitId) -> Option<wit::entities::State> {
        with(|tx| {
            let entity = tx.here(entity.into()).ok()?;
            let attributes = entity.attributes.write();
            Some(wit::entities::State { revision: entity.revision, type_index: entity.type_index, attributes })
        })
    }

    pub(crate) fn patch(entity: WitId, changes: &[u8]) {
        let id = Id::from(entity);
        with(|tx| {
            let manifest = std::rc::Rc::clone(&tx.state.manifest);
            let Ok(entity) = tx.here(id) else { panic!("patch of an entity that is not here") };
            let Some(about) = manifest.types.get(entity.type_index as usize) else { return };
            if let Err(bad) = entity.attributes.patch(&about.attributes, changes) {
                panic!("the host refuses a patch of {}: {bad}", about.name);
            }
            let hex: String = changes.iter().map(|byte| format!("{byte:02x}")).collect();
            tx.note(Group::Patch, format!("patch {id} {hex}"));
        });
    }

    pub(crate) fn spawn(type_index: u32, attributes: &[u8], at: WitPose) -> Result<WitId, Error> {
        with(|tx| {
            let space = tx.space.ok_or_else(|| Error::NotAllowed("spawn outside of a space".into()))?;
            if tx.state.kind_of(type_index) != Some(wit::manifests::TypeKind::Entity) {
                return Err(Error::NotFound);
            }
            let at = pose(at)?;
            let id = tx.state.mint();
            tx.state.insert(id, type_index, Some(space), at);
            tx.spawned.push(id);
            let manifest = std::rc::Rc::clone(&tx.state.manifest);
            let (Some(entity), Some(about)) = (tx.state.entities.get_mut(&id), manifest.types.get(type_index as usize)) else {
                return Err(Error::NotFound);
            };
            if let Err(bad) = entity.attributes.patch(&about.attributes, attributes) {
                panic!("the host refuses the attributes of a {}: {bad}", about.name);
            }
            tx.note(Group::Spawn, format!("spawn {id} {}", about.name));
            Ok(id.into())
        })
    }

    pub(crate) fn destroy(entity: WitId) -> Result<(), Error> {
        let id = Id::from(entity);
        with(|tx| {
            tx.here(id)?;
            if !tx.doomed.contains(&id) {
                tx.doomed.push(id);
                tx.intents.retain(|(entity, ..)| *entity != id);
            }
            Ok(())
        })
    }

    pub(crate) fn create(type_index: u32, args: &[u8], at: &Place, then: &Continuation) -> Result<(), Error> {
        with(|tx| {
            checked(tx, then)?;
            fits(args, ARGS_BYTES_MAX, "arguments")?;
            let kind = tx.state.kind_of(type_index).ok_or(Error::NotFound)?;
            let space = match (at, kind) {
                (Place::InSpace(space), wit::manifests::TypeKind::Entity) => Some(Id::from(*space)),
                (_, wit::manifests::TypeKind::Entity | wit::manifests::TypeKind::Space) => None,
                _ => return Err(Error::NotFound),
            };
            let id = tx.state.mint();
            tx.staged.push(Staged::Create { id, type_index, args: args.to_vec(), space, then: then.clone() });
            Ok(())
        })
    }
}

pub(crate) mod calls {
    use super::*;

    fn message(tx: &Transaction, from: Id, target: WitId, type_index: u32, method: u32, args: &[u8]) -> Result<state::Call, Error> {
        fits(args, ARGS_BYTES_MAX, "arguments")?;
        let about = tx.state.type_of(type_index).ok_or(Error::NotFound)?;
        if about.methods.get(method as usize).is_none() {
            return Err(Error::NotFound);
        }
        let (target, args) = (target.into(), args.to_vec());
        Ok(state::Call { target, type_index, method, args, origin: 1, caller: Some(from), reply: None, bounce: None })
    }

    pub(crate) fn call(target: WitId, type_index: u32, method: u32, args: &[u8], then: &Continuation) -> Result<(), Error> {
        with(|tx| {
            checked(tx, then)?;
            let call = message(tx, then.owner.into(), target, type_index, method, args)?;
            tx.staged.push(Staged::Call { call, then: Some((then.clone(), 0)) });
            Ok(())
        })
    }

    pub(crate) fn send(
        sender: WitId,
        target: WitId,
        type_index: u32,
        method: u32,
        args: &[u8],
        bounce: Option<&wit::calls::Bounce>,
    ) -> Result<(), Error> {
        with(|tx| {
            tx.speaks_for(sender.into())?;
            let mut call = message(tx, sender.into(), target, type_index, method, args)?;
            if let Some(bounce) = bounce {
                fits(&bounce.context, CONTEXT_BYTES_MAX, "context")?;
                call.bounce = Some((sender.into(), bounce.method, bounce.context.clone()));
            }
            tx.staged.push(Staged::Call { call, then: None });
            Ok(())
        })
    }

    pub(crate) fn post(sender: WitId, target: WitId, type_index: u32, method: u32, args: &[u8]) -> Result<(), Error> {
        send(sender, target, type_index, method, args, None)
    }

    pub(crate) fn gather(parts: &[wit::calls::Part], then: &Continuation) -> Result<(), Error> {
        with(|tx| {
            checked(tx, then)?;
            if parts.len() > 256 {
                return Err(Error::Limit("gather: 256 parts".into()));
            }
            let from = then.owner.into();
            let parts = parts
                .iter()
                .map(|part| message(tx, from, part.target, part.type_index, part.method, &part.args))
                .collect::<Result<_, _>>()?;
            tx.staged.push(Staged::Gather { parts, then: then.clone() });
            Ok(())
        })
    }

    pub(crate) fn caller() -> Option<WitId> {
        with(|tx| tx.caller.map(WitId::from))
    }

    fn settle(outcome: Vec<u8>) -> Result<(), Error> {
        with(|tx| {
            if !tx.is_call {
                return Ok(());
            }
            if std::mem::replace(&mut tx.answered, true) {
                return Err(Error::NotAllowed("a second answer".into()));
            }
            tx.answer = Some(outcome);
            Ok(())
        })
    }

    pub(crate) fn answer(value: &[u8]) -> Result<(), Error> {
        settle(state::done(value))
    }

    pub(crate) fn refuse(code: &str, detail: &[u8]) -> Result<(), Error> {
        settle(state::failed(2, code, detail))
    }

    pub(crate) fn defer() -> Result<WitId, Error> {
        with(|tx| {
            if std::mem::replace(&mut tx.answered, true) {
                return Err(Error::NotAllowed("a second answer".into()));
            }
            let id = tx.state.mint();
            tx.deferred = Some(id);
            Ok(id.into())
        })
    }

    fn settle_deferred(owner: WitId, deferred: WitId, outcome: Vec<u8>) -> Result<(), Error> {
        let (owner, deferred) = (Id::from(owner), Id::from(deferred));
        with(|tx| {
            tx.speaks_for(owner)?;
            let here = tx.deferred == Some(deferred);
            let known = tx.state.deferred.get(&deferred).is_some_and(|(of, _)| *of == owner);
            let again = tx.staged.iter().any(|staged| matches!(staged, Staged::Answer { deferred: other, .. } if *other == deferred));
            if !(here || known) || again {
                return Err(Error::NotFound);
            }
            tx.staged.push(Staged::Answer { deferred, outcome });
            Ok(())
        })
    }

    pub(crate) fn reply(owner: WitId, deferred: WitId, value: &[u8]) -> Result<(), Error> {
        settle_deferred(owner, deferred, state::done(value))
    }

    pub(crate) fn reply_refused(owner: WitId, deferred: WitId, code: &str, detail: &[u8]) -> Result<(), Error> {
        settle_deferred(owner, deferred, state::failed(2, code, detail))
    }
}

pub(crate) mod watches {
    use super::*;

    pub(crate) fn watch(owner: WitId, target: WitId, method: u32, context: &[u8]) -> Result<WitId, Error> {
        with(|tx| {
            tx.speaks_for(owner.into())?;
            fits(context, CONTEXT_BYTES_MAX, "context")?;
            let id = tx.state.mint();
            let watch = state::Watch { owner: owner.into(), target: target.into(), method, context: context.to_vec() };
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
            let timer = state::Timer { owner, method, context: context.to_vec(), next, repeat: repeat_ms as u64 };
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

pub(crate) mod ticks {
    use super::*;
    pub(crate) use wit::ticks::{Member, Neighbour, Neighbourhoods};

    pub(crate) fn due() -> Vec<Member> {
        with(|tx| {
            let due = tx.due.as_deref().unwrap_or_default();
            let member = |id: &Id| {
                let entity = tx.state.entities.get(id)?;
                Some(Member { entity: (*id).into(), revision: entity.revision, pose: entity.pose.into() })
            };
            due.iter().filter_map(member).collect()
        })
    }

    pub(crate) fn neighbours(radius: f32, type_index: Option<u32>) -> Neighbourhoods {
        with(|tx| {
            let mut all = Neighbourhoods { offsets: vec![0], found: Vec::new() };
            for id in tx.due.clone().unwrap_or_default() {
                let Some(center) = tx.state.entities.get(&id).map(|entity| entity.pose) else { continue };
                all.found.extend(super::spaces::within(tx, center, radius, type_index, Some(id)));
                all.offsets.push(all.found.len() as u32);
            }
            all
        })
    }

    pub(crate) fn move_all(poses: &[WitPose]) {
        with(|tx| {
            let due = tx.due.clone().unwrap_or_default();
            for (id, to) in due.iter().zip(poses) {
                let Ok(to) = pose(*to) else { panic!("a pose that is not finite") };
                if let Some(entity) = tx.state.entities.get_mut(id) {
                    entity.pose = to;
                }
            }
            tx.note(Group::Pose, format!("move {} of {}", poses.len(), due.len()));
        });
    }

    pub(crate) fn working_on(index: u32) {
        crate::mock::transaction::work_on(index as usize);
    }
}

pub(crate) mod spaces {
    use super::*;

    pub(crate) fn current() -> Option<WitId> {
        with(|tx| tx.space.map(WitId::from))
    }

    pub(crate) fn enter(entity: WitId, space: WitId, at: WitPose) -> Result<(), Error> {
        intend(entity.into(), Some(space.into()), pose(at)?)
    }

    pub(crate) fn leave(entity: WitId) -> Result<(), Error> {
        intend(entity.into(), None, Pose::default())
    }

    fn intend(entity: Id, to: Option<Id>, at: Pose) -> Result<(), Error> {
        with(|tx| {
            tx.speaks_for(entity)?;
            tx.intents.retain(|(other, ..)| *other != entity);
            tx.intents.push((entity, to, at));
            Ok(())
        })
    }

    pub(crate) fn members(type_index: Option<u32>) -> Vec<WitId> {
        with(|tx| {
            let Some(space) = tx.space else { return Vec::new() };
            let fits = |id: &Id| type_index.is_none() || tx.state.entities.get(id).map(|entity| entity.type_index) == type_index;
            tx.state.members(space).into_iter().filter(fits).map(WitId::from).collect()
        })
    }

    pub(crate) fn pose_of(entity: WitId) -> Option<WitPose> {
        with(|tx| tx.here(entity.into()).ok().filter(|entity| entity.space.is_some()).map(|entity| entity.pose.into()))
    }

    pub(crate) fn move_to(entity: WitId, to: WitPose) -> Result<(), Error> {
        let (id, to) = (Id::from(entity), pose(to)?);
        with(|tx| {
            tx.here(id)?.pose = to;
            tx.note(Group::Pose, format!("move {id} {} {} {} {}", to.x, to.y, to.z, to.yaw));
            Ok(())
        })
    }

    pub(crate) fn set_motion(entity: WitId, motion: &[u8]) -> Result<(), Error> {
        fits(motion, 16, "motion")?;
        with(|tx| {
            tx.here(entity.into())?.motion = motion.to_vec();
            Ok(())
        })
    }

    /// By ground distance, in the order they entered.
    pub(crate) fn within(
        tx: &Transaction,
        center: Pose,
        radius: f32,
        type_index: Option<u32>,
        but: Option<Id>,
    ) -> Vec<wit::ticks::Neighbour> {
        let Some(space) = tx.space else { return Vec::new() };
        let members = tx.state.members(space).into_iter().filter(|id| Some(*id) != but);
        let near = members.filter_map(|id| {
            let entity = tx.state.entities.get(&id)?;
            let (x, z) = (entity.pose.x - center.x, entity.pose.z - center.z);
            let fits = type_index.is_none_or(|type_index| type_index == entity.type_index);
            let found = wit::ticks::Neighbour { entity: id.into(), type_index: entity.type_index, pose: entity.pose.into() };
            (fits && x * x + z * z <= radius * radius).then_some(found)
        });
        near.collect()
    }

    pub(crate) fn near(center: WitPose, radius: f32, type_index: Option<u32>) -> Vec<wit::ticks::Neighbour> {
        with(|tx| within(tx, center.into(), radius, type_index, None))
    }

    pub(crate) fn set_layers(entity: WitId, sees: u32, seen_by: u32) -> Result<(), Error> {
        with(|tx| {
            tx.here(entity.into())?.layers = (sees, seen_by);
            Ok(())
        })
    }

    pub(crate) fn allow_client_moves(entity: WitId, allowed: bool) -> Result<(), Error> {
        with(|tx| {
            tx.here(entity.into())?.client_moves = allowed;
            Ok(())
        })
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
            let hash = key.iter().fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
            shard(tx, type_index, hash.checked_rem(shards).ok_or(Error::NotFound)?)
        })
    }

    pub(crate) fn by_number(type_index: u32, number: u32) -> Result<WitId, Error> {
        with(|tx| shard(tx, type_index, number))
    }
}

pub(crate) mod clients {
    use super::*;
    use wit::clients::{Audience, Comparison, Info};

    pub(crate) fn client_of(entity: WitId) -> Option<Info> {
        with(|tx| {
            let info = tx.client_here(entity.into()).ok()?.info.clone();
            Some(Info {
                session: info.session.into(),
                address: info.address,
                token: info.token,
                version: info.version,
                locale: info.locale,
                round_trip_ms: info.round_trip_ms,
            })
        })
    }

    pub(crate) fn give(giver: WitId, taker: WitId, replace: bool, then: &Continuation) -> Result<(), Error> {
        with(|tx| {
            checked(tx, then)?;
            tx.speaks_for(giver.into())?;
            tx.client_here(giver.into())?;
            tx.staged.push(Staged::Give { giver: giver.into(), taker: taker.into(), replace, then: then.clone() });
            Ok(())
        })
    }

    pub(crate) fn kick(entity: WitId, reason: &str) -> Result<(), Error> {
        fits(reason.as_bytes(), 256, "reason")?;
        with(|tx| {
            tx.client_here(entity.into())?;
            tx.staged.push(Staged::Kick { entity: entity.into() });
            Ok(())
        })
    }

    pub(crate) fn call(entity: WitId, to: Audience, method: u32, args: &[u8]) -> Result<(), Error> {
        fits(args, ARGS_BYTES_MAX, "arguments")?;
        with(|tx| {
            tx.speaks_for(entity.into())?;
            tx.staged.push(Staged::ToMirrors { entity: entity.into(), to, method, args: args.to_vec() });
            Ok(())
        })
    }

    pub(crate) fn set_filter(entity: WitId, key: &str, value: Option<&str>) -> Result<(), Error> {
        fits(key.as_bytes(), 64, "filter key")?;
        fits(value.unwrap_or_default().as_bytes(), 256, "filter value")?;
        with(|tx| {
            let filters = &mut tx.client_here(entity.into())?.filters;
            match value {
                Some(value) => filters.insert(key.into(), value.into()),
                None => filters.remove(key),
            };
            Ok(())
        })
    }

    pub(crate) fn broadcast(
        key: &str,
        compare: Comparison,
        value: &str,
        type_index: u32,
        method: u32,
        args: &[u8],
    ) -> Result<(), Error> {
        fits(args, ARGS_BYTES_MAX, "arguments")?;
        with(|tx| {
            let filter = (key.to_owned(), compare, value.to_owned());
            tx.staged.push(Staged::Broadcast { filter, type_index, method, args: args.to_vec() });
            Ok(())
        })
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
