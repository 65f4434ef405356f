//! Ticks: the loop over the due entities, with one import for all poses and one for all
//! neighbours. It does not know how the host splits a tick; a handler must not depend on it.

use std::cell::OnceCell;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::context::Context;
use crate::entity::InModule;
use crate::failure::Error;
use crate::host;
use crate::id::{Id, Ref};
use crate::methods::{Args, TickForm};
use crate::poison;
use crate::resident::{Loaded, Taken};
use crate::spaces::Neighbour;
use crate::types::{Pose, Vec3};

/// The tick of one entity. Everything of [`Context`], and a body to move.
pub struct Tick<'a> {
    cx: &'a mut Context,
    shared: &'a mut Shared,
    at: usize,
}

/// The tick of all due entities at once, for simulation at native speed.
pub struct BulkTick<'a> {
    cx: &'a mut Context,
    shared: &'a mut Shared,
}

struct Shared {
    /// Asked for once somebody wants to know: a bulk step may do without.
    due: OnceCell<Vec<host::ticks::Member>>,
    poses: Vec<Pose>,
    moved: bool,
    dt: f32,
    lag: Duration,
    known: Vec<Known>,
}

/// One answer of `ticks.neighbours`, kept for the rest of the event.
struct Known {
    radius: f32,
    type_index: Option<u32>,
    offsets: Vec<u32>,
    found: Vec<Neighbour>,
}

impl Shared {
    fn due(&self) -> &[host::ticks::Member] {
        self.due.get_or_init(host::ticks::due)
    }

    fn neighbours(&mut self, radius: f32, type_index: Option<u32>) -> usize {
        let same =
            |known: &Known| known.radius.to_bits() == radius.to_bits() && known.type_index == type_index;
        if let Some(at) = self.known.iter().position(same) {
            return at;
        }
        let all = host::ticks::neighbours(radius, type_index);
        let found = all.found.into_iter().map(Neighbour::from).collect();
        self.known.push(Known { radius, type_index, offsets: all.offsets, found });
        self.known.len() - 1
    }

    /// Takes over what was moved by id.
    fn follow(&mut self, cx: &Context) {
        for (id, to) in cx.moved.borrow_mut().drain(..) {
            let at = self.due().iter().position(|member| Id::from(member.entity) == id);
            if let Some(pose) = at.and_then(|at| self.poses.get_mut(at)) {
                *pose = to;
            }
        }
    }

    fn of(&self, known: usize, at: usize) -> &[Neighbour] {
        let Some(known) = self.known.get(known) else { return &[] };
        let bounds = known.offsets.get(at).zip(known.offsets.get(at + 1));
        bounds.and_then(|(from, to)| known.found.get(*from as usize..*to as usize)).unwrap_or_default()
    }
}

impl Tick<'_> {
    /// The fixed step, in seconds.
    pub fn dt(&self) -> f32 {
        self.shared.dt
    }

    /// How late this tick is.
    pub fn lag(&self) -> Duration {
        self.shared.lag
    }

    /// Where the entity stands, moves of this tick included.
    pub fn pose(&self) -> Pose {
        self.shared.poses.get(self.at).copied().unwrap_or_default()
    }

    /// The place where it stands.
    pub fn position(&self) -> Vec3 {
        self.pose().place()
    }

    /// Moves the entity.
    pub fn move_to(&mut self, to: impl Into<Pose>) {
        if let Some(pose) = self.shared.poses.get_mut(self.at) {
            *pose = to.into();
            self.shared.moved = true;
        }
    }

    /// Goes straight towards a place, at `speed` metres a second, and looks that way; returns
    /// where it is now.
    pub fn step_towards(&mut self, goal: Vec3, speed: f32) -> Vec3 {
        let from = self.pose();
        let to = from.place().towards(goal, speed * self.dt());
        let way = to - from.place();
        let yaw = if way.x == 0.0 && way.z == 0.0 { from.yaw } else { way.x.atan2(way.z).to_degrees() };
        self.move_to(Pose { x: to.x, y: to.y, z: to.z, yaw });
        to
    }

    /// Everybody within `radius` metres, from one import for all due entities.
    pub fn all_neighbours(&mut self, radius: f32) -> &[Neighbour] {
        let known = self.shared.neighbours(radius, None);
        self.shared.of(known, self.at)
    }

    /// The `T`s within `radius` metres, from one import for all due entities.
    pub fn neighbours<T: InModule>(&mut self, radius: f32) -> impl Iterator<Item = (Ref<T>, Pose)> {
        let known = self.shared.neighbours(radius, Some(T::INDEX));
        self.shared.of(known, self.at).iter().map(|found| (Ref::new(found.entity), found.pose))
    }

    /// The nearest `T` within `radius` metres; of several the one that entered first.
    pub fn nearest<T: InModule>(&mut self, radius: f32) -> Option<(Ref<T>, Pose)> {
        let here = self.position();
        let mut best: Option<(f32, (Ref<T>, Pose))> = None;
        for found in self.neighbours::<T>(radius) {
            let distance = here.distance(found.1.place());
            if best.is_none_or(|(nearest, _)| distance < nearest) {
                best = Some((distance, found));
            }
        }
        best.map(|(_, found)| found)
    }
}

impl BulkTick<'_> {
    /// The fixed step, in seconds.
    pub fn dt(&self) -> f32 {
        self.shared.dt
    }

    /// How late this tick is.
    pub fn lag(&self) -> Duration {
        self.shared.lag
    }

    /// How many entities are due.
    pub fn len(&self) -> usize {
        self.shared.poses.len()
    }

    /// Whether nobody is due.
    pub fn is_empty(&self) -> bool {
        self.shared.poses.is_empty()
    }

    /// Who is due, in the order of [`poses`](Self::poses).
    pub fn due(&self) -> impl Iterator<Item = Id> {
        self.shared.due().iter().map(|member| member.entity.into())
    }

    /// Who is due at a place in that order.
    pub fn entity(&self, at: usize) -> Option<Id> {
        self.shared.due().get(at).map(|member| member.entity.into())
    }

    /// Where the due entities stand.
    pub fn poses(&self) -> &[Pose] {
        &self.shared.poses
    }

    /// Where the due entities stand, to be moved.
    pub fn poses_mut(&mut self) -> &mut [Pose] {
        self.shared.moved = true;
        &mut self.shared.poses
    }

    /// Everybody within `radius` metres of a due entity.
    pub fn neighbours(&mut self, at: usize, radius: f32) -> &[Neighbour] {
        let known = self.shared.neighbours(radius, None);
        self.shared.of(known, at)
    }

    /// Says which entity is being worked on: if the event dies, it runs again without it.
    pub fn working_on(&self, at: usize) {
        host::ticks::working_on(at as u32);
    }
}

impl Deref for Tick<'_> {
    type Target = Context;
    fn deref(&self) -> &Context {
        self.cx
    }
}

impl DerefMut for Tick<'_> {
    fn deref_mut(&mut self) -> &mut Context {
        self.cx
    }
}

impl Deref for BulkTick<'_> {
    type Target = Context;
    fn deref(&self) -> &Context {
        self.cx
    }
}

impl DerefMut for BulkTick<'_> {
    fn deref_mut(&mut self) -> &mut Context {
        self.cx
    }
}

/// Runs the tick event of a type.
pub(crate) fn run<T: InModule>(cx: &mut Context, args: Args<'_>) -> Result<(), Error> {
    let mut params = args.open()?;
    let (dt_ms, lag_ms) = (params.next::<f64>("dt")?, params.next::<f64>("lag")?);
    let flat = host::ticks::poses();
    let poses = flat.as_chunks().0.iter().map(|numbers| Pose::of_numbers(*numbers)).collect();
    let lag = Duration::from_millis(lag_ms.max(0.0) as u64);
    let mut shared = Shared {
        due: OnceCell::new(),
        poses,
        moved: false,
        dt: (dt_ms / 1_000.0) as f32,
        lag,
        known: Vec::new(),
    };
    match T::TICK {
        TickForm::Never => return Ok(()),
        TickForm::Bulk => T::bulk_tick(&mut BulkTick { cx, shared: &mut shared })?,
        TickForm::Each => {
            for at in 0..shared.poses.len() {
                run_one::<T>(cx, &mut shared, at)?;
                shared.follow(cx);
            }
        }
    }
    shared.follow(cx);
    if shared.moved {
        let flat: Vec<_> = shared.poses.iter().map(|pose| pose.numbers()).collect();
        host::ticks::move_all(flat.as_flattened());
    }
    Ok(())
}

fn run_one<T: InModule>(cx: &mut Context, shared: &mut Shared, at: usize) -> Result<(), Error> {
    let Some(member) = shared.due().get(at) else { return Ok(()) };
    let id: Id = member.entity.into();
    let revision = member.revision;
    host::ticks::working_on(at as u32);
    let Taken { loaded: mut resident, type_index, place } = cx.take_own(id, revision)?;
    cx.push_frame(id, type_index);
    let result = match resident.as_any().downcast_mut::<Loaded<T>>() {
        Some(loaded) => loaded.entity.tick(&mut Tick { cx, shared, at }),
        None => Err(Error::NotFound),
    };
    cx.pop_frame();
    cx.residents.put(place, resident);
    match poison::take() {
        Some(error) if result.is_ok() => Err(error),
        _ => result,
    }
}
