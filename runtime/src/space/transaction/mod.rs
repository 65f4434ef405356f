//! The host's side of a running event: every function of `wit/`, over one open transaction.
//!
//! The space itself is lent to the guest. Attributes, poses, timers and the like are changed at
//! once and noted for undoing, so that the event sees its own doings; whatever others could notice
//! is staged until the commit. Each file has the functions of one interface of `wit/`.

pub(super) mod attributes;
mod calls;
mod clients;
mod key_value;
mod log;
mod services;
mod spaces;
mod ticks;
mod timers;
mod watches;

use super::entity::{Entity, Slot};
use super::running::{Staged, Step};
use super::state::Space;
use crate::guest::{
    Audience, ClientInfo, Continuation, EventKind, GuestError, Imports, LoadedState, LogLevel, Member,
    Misuse, Neighbour, Part, Place,
};
use crate::limits;
use crate::message::{Body, Class, Pending};
use crate::versions::{MethodKey, TypeTable};
use bytes::Bytes;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::Comparison;
use everwake_protocol::limits::{ARGS_BYTES_MAX, CONTEXT_BYTES_MAX};
use everwake_protocol::{EntityId, Id, cbor};

impl Imports for Space {
    fn load(&mut self, entity: EntityId) -> Option<LoadedState> {
        attributes::load(self, entity)
    }
    fn patch(&mut self, entity: EntityId, changes: &[u8]) -> Result<(), Misuse> {
        let done = attributes::patch(self, entity, changes);
        self.note_misuse(done)
    }
    fn spawn(
        &mut self,
        type_index: u32,
        attributes: &[u8],
        at: Pose,
    ) -> Result<Result<EntityId, GuestError>, Misuse> {
        let done = attributes::spawn(self, type_index, attributes, at);
        self.note_misuse(done)
    }
    fn destroy(&mut self, entity: EntityId) -> Result<(), GuestError> {
        attributes::destroy(self, entity)
    }
    fn create(
        &mut self,
        type_index: u32,
        args: Bytes,
        at: Place,
        then: Continuation,
    ) -> Result<(), GuestError> {
        attributes::create(self, type_index, args, at, &then)
    }

    fn call(&mut self, part: Part, then: Continuation) -> Result<(), GuestError> {
        calls::call(self, part, &then)
    }
    fn send(&mut self, sender: EntityId, part: Part, bounce: Option<(u32, Bytes)>) -> Result<(), GuestError> {
        calls::send(self, sender, part, bounce)
    }
    fn post(&mut self, sender: EntityId, part: Part) -> Result<(), GuestError> {
        calls::post(self, sender, part)
    }
    fn gather(&mut self, parts: Vec<Part>, then: Continuation) -> Result<(), GuestError> {
        calls::gather(self, parts, &then)
    }
    fn caller(&mut self) -> Option<EntityId> {
        self.running.frame.caller
    }
    fn answer(&mut self, value: Bytes) -> Result<(), GuestError> {
        calls::answer(self, value)
    }
    fn refuse(&mut self, code: String, detail: Bytes) -> Result<(), GuestError> {
        calls::refuse(self, &code, detail)
    }
    fn defer(&mut self) -> Result<Id, GuestError> {
        calls::defer(self)
    }
    fn reply(&mut self, owner: EntityId, deferred: Id, value: Bytes) -> Result<(), GuestError> {
        calls::reply(self, owner, deferred, value)
    }
    fn reply_refused(
        &mut self,
        owner: EntityId,
        deferred: Id,
        code: String,
        detail: Bytes,
    ) -> Result<(), GuestError> {
        calls::reply_refused(self, owner, deferred, &code, detail)
    }

    fn watch(
        &mut self,
        owner: EntityId,
        target: EntityId,
        method: u32,
        context: Bytes,
    ) -> Result<Id, GuestError> {
        watches::watch(self, owner, target, method, context)
    }
    fn unwatch(&mut self, owner: EntityId, watch: Id) {
        watches::unwatch(self, owner, watch);
    }

    fn start_timer(
        &mut self,
        owner: EntityId,
        method: u32,
        context: Bytes,
        delay_ms: f64,
        repeat_ms: f64,
        volatile: bool,
    ) -> Result<Id, GuestError> {
        timers::start(self, owner, method, context, (delay_ms, repeat_ms), volatile)
    }
    fn cancel_timer(&mut self, owner: EntityId, timer: Id) {
        timers::cancel(self, owner, timer);
    }

    fn due(&mut self) -> Vec<Member> {
        ticks::due(self)
    }
    fn poses(&mut self) -> Vec<f32> {
        ticks::poses(self)
    }
    fn neighbours(&mut self, radius: f32, type_index: Option<u32>) -> (Vec<u32>, Vec<Neighbour>) {
        ticks::neighbours(self, radius, type_index)
    }
    fn move_all(&mut self, poses: &[f32]) -> Result<(), Misuse> {
        let done = ticks::move_all(self, poses);
        self.note_misuse(done)
    }
    fn working_on(&mut self, index: u32) {
        self.running.working_on = Some(index);
    }

    fn current_space(&mut self) -> Option<EntityId> {
        self.is_real().then_some(self.config.id)
    }
    fn enter(&mut self, entity: EntityId, space: EntityId, at: Pose) -> Result<(), GuestError> {
        spaces::ask(self, entity, Some(space), at)
    }
    fn leave(&mut self, entity: EntityId) -> Result<(), GuestError> {
        if !self.is_real() {
            return Err(GuestError::NotAllowed("not in a space".into()));
        }
        spaces::ask(self, entity, None, Pose::default())
    }
    fn members(&mut self, type_index: Option<u32>) -> Vec<EntityId> {
        spaces::members(self, type_index)
    }
    fn pose_of(&mut self, entity: EntityId) -> Option<Pose> {
        spaces::pose_of(self, entity)
    }
    fn move_to(&mut self, entity: EntityId, to: Pose) -> Result<(), GuestError> {
        spaces::move_to(self, entity, to)
    }
    fn set_motion(&mut self, entity: EntityId, motion: &[u8]) -> Result<(), GuestError> {
        spaces::set_motion(self, entity, motion)
    }
    fn near(&mut self, center: Pose, radius: f32, type_index: Option<u32>) -> Vec<Neighbour> {
        spaces::near(self, center, radius, type_index)
    }
    fn set_layers(&mut self, entity: EntityId, sees: u32, seen_by: u32) -> Result<(), GuestError> {
        spaces::set_layers(self, entity, (sees, seen_by))
    }
    fn allow_client_moves(&mut self, entity: EntityId, allowed: bool) -> Result<(), GuestError> {
        spaces::allow_client_moves(self, entity, allowed)
    }

    fn service_by_key(&mut self, type_index: u32, key: &[u8]) -> Result<EntityId, GuestError> {
        services::by_key(self, type_index, key)
    }
    fn service_by_number(&mut self, type_index: u32, shard: u32) -> Result<EntityId, GuestError> {
        services::by_number(self, type_index, shard)
    }

    fn client_of(&mut self, entity: EntityId) -> Option<ClientInfo> {
        let slot = self.reach(entity).ok()?;
        Some(self.world.get(slot)?.body.client.as_ref()?.info.clone())
    }
    fn give(
        &mut self,
        giver: EntityId,
        taker: EntityId,
        replace: bool,
        then: Continuation,
    ) -> Result<(), GuestError> {
        clients::give(self, giver, taker, replace, &then)
    }
    fn kick(&mut self, entity: EntityId, reason: String) -> Result<(), GuestError> {
        clients::kick(self, entity, reason)
    }
    fn call_client(
        &mut self,
        entity: EntityId,
        to: Audience,
        method: u32,
        args: Bytes,
    ) -> Result<(), GuestError> {
        clients::call(self, entity, to, method, args)
    }
    fn set_filter(&mut self, entity: EntityId, key: String, value: Option<String>) -> Result<(), GuestError> {
        clients::set_filter(self, entity, key, value)
    }
    fn broadcast(
        &mut self,
        key: String,
        compare: Comparison,
        value: String,
        type_index: u32,
        method: u32,
        args: Bytes,
    ) -> Result<(), GuestError> {
        clients::broadcast(self, (key, compare, value), type_index, method, args)
    }

    fn kv_get(&mut self, key: String, then: Continuation) -> Result<(), GuestError> {
        key_value::get(self, key, &then)
    }
    fn kv_put(&mut self, key: String, value: Option<Bytes>, then: Continuation) -> Result<(), GuestError> {
        key_value::put(self, key, value, &then)
    }
    fn kv_get_or_put(&mut self, key: String, value: Bytes, then: Continuation) -> Result<(), GuestError> {
        key_value::get_or_put(self, key, value, &then)
    }
    fn kv_compare_and_set(
        &mut self,
        key: String,
        expected: Option<Bytes>,
        value: Option<Bytes>,
        then: Continuation,
    ) -> Result<(), GuestError> {
        key_value::compare_and_set(self, key, expected, value, &then)
    }
    fn kv_range(
        &mut self,
        first: String,
        end: String,
        most: u32,
        then: Continuation,
    ) -> Result<(), GuestError> {
        key_value::range(self, first, end, most, &then)
    }

    fn log_line(&mut self, level: LogLevel, message: String) {
        log::line(self, level, message);
    }
    fn panicked(&mut self, message: String) {
        log::panicked(self, message);
    }
}

/// What the functions of several interfaces check alike.
impl Space {
    /// An entity that the running event may touch directly.
    pub(super) fn reach(&self, entity: EntityId) -> Result<Slot, GuestError> {
        // Mostly it is about the event's own entity: no need to look it up.
        if let Some(slot) = self.running.frame.slot
            && entity == self.running.frame.entity
        {
            return Ok(slot);
        }
        let slot = self.world.slot(entity);
        if self.is_real() {
            return slot.ok_or(GuestError::NotFound);
        }
        match slot {
            Some(slot) if self.running.frame.slot == Some(slot) || self.spawned_now(slot) => Ok(slot),
            _ => Err(GuestError::NotAllowed("direct access from outside of a space".into())),
        }
    }

    fn spawned_now(&self, slot: Slot) -> bool {
        self.running.steps.iter().any(|step| matches!(step, Step::Spawned { slot: new } if *new == slot))
    }

    /// An entity in whose name the running event may ask for something.
    fn owner(&mut self, entity: EntityId) -> Result<(Slot, &mut Entity), GuestError> {
        let slot = self.reach(entity)?;
        match self.world.get_mut(slot) {
            Some(entity) if entity.doomed => Err(GuestError::NotAllowed("the entity is destroyed".into())),
            Some(entity) => Ok((slot, entity)),
            None => Err(GuestError::NotFound),
        }
    }

    fn table(&self, type_index: u32) -> Result<&TypeTable, GuestError> {
        self.version.types.get(type_index as usize).ok_or(GuestError::NotFound)
    }

    fn method_key(&self, type_index: u32, method: u32) -> Result<MethodKey, GuestError> {
        let methods = &self.table(type_index)?.methods;
        methods.get(method as usize).map(|method| method.key).ok_or(GuestError::NotFound)
    }

    /// Makes the entry that waits for an answer.
    fn wait(&mut self, then: &Continuation) -> Result<Id, GuestError> {
        let pending = self.pending(then)?;
        self.wait_for(then.owner, pending)
    }

    fn pending(&mut self, then: &Continuation) -> Result<Pending, GuestError> {
        let deadline_ms = match then.deadline_ms {
            0 => limits::DEADLINE_MS_DEFAULT,
            ms if ms > limits::DEADLINE_MS_MAX => return Err(limit("deadline of 3,600,000 ms")),
            ms => ms,
        };
        Ok(Pending {
            method: self.continuation(then.owner, then.method, &then.context)?,
            context: canonical(then.context.clone()),
            deadline_ms: self.now_ms.saturating_add(u64::from(deadline_ms)),
            gather: None,
            bounce: false,
        })
    }

    /// Checks what comes back with an answer, a timer or a watch.
    fn continuation(
        &mut self,
        owner: EntityId,
        method: u32,
        context: &[u8],
    ) -> Result<MethodKey, GuestError> {
        let (_, entity) = self.owner(owner)?;
        let type_index = entity.type_index;
        let key = self.method_key(type_index, method)?;
        if context.len() > CONTEXT_BYTES_MAX {
            return Err(limit("context of 4 KiB"));
        }
        one_item(context)?;
        Ok(key)
    }

    fn wait_for(&mut self, owner: EntityId, pending: Pending) -> Result<Id, GuestError> {
        let mut call = self.running.mint(self.config.id);
        if pending.gather.is_some() {
            call.0[3] &= !0x1ff;
        }
        let (slot, entity) = self.owner(owner)?;
        if entity.body.pending.len() >= limits::PENDING_PER_ENTITY_MAX {
            return Err(limit("256 pending calls of an entity"));
        }
        entity.body.pending.insert(call, pending);
        self.running.steps.push(Step::PendingAdded { slot, call });
        Ok(call)
    }

    /// Takes the room that `count` messages of `bytes` in all need.
    fn count_messages(&mut self, count: usize, bytes: usize) -> Result<(), GuestError> {
        if self.running.messages + count > limits::MESSAGES_PER_EVENT_MAX {
            return Err(limit("4,096 messages of an event"));
        }
        if self.running.message_bytes + bytes > limits::MESSAGE_BYTES_PER_EVENT_MAX {
            return Err(limit("16 MiB of messages of an event"));
        }
        self.running.messages += count;
        self.running.message_bytes += bytes;
        Ok(())
    }

    fn stage_message(&mut self, from: EntityId, target: EntityId, class: Class, body: Body) {
        let mut message = self.message(Some(from), target, body);
        message.class = class;
        self.stage(Staged::Message(message));
    }

    fn stage(&mut self, staged: Staged) {
        self.running.staged.push(staged);
    }

    fn in_tick(&self) -> bool {
        self.running.frame.kind == EventKind::Tick
    }

    fn capable(&self, capability: &str) -> Result<(), GuestError> {
        if self.version.manifest.capabilities.iter().any(|held| held == capability) {
            return Ok(());
        }
        Err(GuestError::NotAllowed(format!("the module lacks the capability `{capability}`")))
    }

    fn note_misuse<T>(&mut self, done: Result<T, Misuse>) -> Result<T, Misuse> {
        if let Err(misuse) = &done {
            self.running.misuse.get_or_insert_with(|| misuse.clone());
        }
        done
    }
}

pub(super) fn limit(name: &str) -> GuestError {
    GuestError::Limit(name.to_owned())
}

fn one_item(value: &[u8]) -> Result<(), GuestError> {
    cbor::check_item(value).map_err(|error| GuestError::BadArguments(error.to_string()))
}

/// Checks the arguments of a call and makes their NaNs canonical.
fn arguments(args: Bytes) -> Result<Bytes, GuestError> {
    if args.len() > ARGS_BYTES_MAX {
        return Err(limit("64 KiB of arguments"));
    }
    cbor::check_array(&args).map_err(|error| GuestError::BadArguments(error.to_string()))?;
    Ok(canonical(args))
}

/// One value of at most 64 KiB.
fn value(value: Bytes) -> Result<Bytes, GuestError> {
    if value.len() > ARGS_BYTES_MAX {
        return Err(limit("64 KiB of an answer"));
    }
    one_item(&value)?;
    Ok(canonical(value))
}

/// Makes NaNs canonical. The bytes are well-formed CBOR.
fn canonical(bytes: Bytes) -> Bytes {
    if !cbor::may_hold_nan(&bytes) {
        return bytes;
    }
    let mut own = bytes.try_into_mut().unwrap_or_else(|shared| shared.as_ref().into());
    cbor::canonicalize_nans(&mut own);
    own.freeze()
}

/// A pose without -0; an error if a value is not finite.
pub(super) fn checked_pose(pose: Pose) -> Result<Pose, GuestError> {
    let Pose { x, y, z, yaw } = pose;
    if ![x, y, z, yaw].iter().all(|value| value.is_finite()) {
        return Err(GuestError::BadArguments("a pose that is not finite".into()));
    }
    Ok(Pose { x: x + 0.0, y: y + 0.0, z: z + 0.0, yaw: yaw + 0.0 })
}
