//! The running event of a mock world: what it reads is the world as it would be, what it asks
//! for is noted, to happen when it is over.

use std::cell::{Cell, RefCell};

use super::state::{Client, State};
use crate::bindings::everwake::game::{clients as wit, types};
use crate::id::Id;
use crate::types::Pose;

thread_local! {
    static RUNNING: RefCell<Option<Transaction>> = const { RefCell::new(None) };
    static WORKED_ON: Cell<Option<usize>> = const { Cell::new(None) };
}

/// One event, open.
pub(crate) struct Transaction {
    /// The world with the attributes, poses, timers and spawns of this event.
    pub(crate) state: State,
    pub(crate) entity: Id,
    pub(crate) space: Option<Id>,
    pub(crate) caller: Option<Id>,
    /// Whether there is a call to be answered.
    pub(crate) is_call: bool,
    pub(crate) answered: bool,
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) deferred: Option<Id>,
    pub(crate) due: Option<Vec<Id>>,
    pub(crate) spawned: Vec<Id>,
    pub(crate) staged: Vec<Staged>,
    pub(crate) intents: Vec<(Id, Option<Id>, Pose)>,
    pub(crate) doomed: Vec<Id>,
    /// What happened, by the group that it is told in.
    pub(crate) lines: Vec<(Group, String)>,
}

/// In which order noted effects take place; staged ones follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Patch,
    Timer,
    Pose,
    Spawn,
}

/// What takes place at the end, in call order.
pub(crate) enum Staged {
    Call { call: super::state::Call, then: Option<(types::Continuation, usize)> },
    Gather { parts: Vec<super::state::Call>, then: types::Continuation },
    Create { id: Id, type_index: u32, args: Vec<u8>, space: Option<Id>, then: types::Continuation },
    Answer { deferred: Id, outcome: Vec<u8> },
    Give { giver: Id, taker: Id, replace: bool, then: types::Continuation },
    Kick { entity: Id },
    ToMirrors { entity: Id, to: wit::Audience, method: u32, args: Vec<u8> },
    Broadcast { filter: (String, wit::Comparison, String), type_index: u32, method: u32, args: Vec<u8> },
    Store { request: Store, then: types::Continuation },
}

/// What is asked of the key-value store.
pub(crate) enum Store {
    Get(String),
    Put(String, Option<Vec<u8>>),
    GetOrPut(String, Vec<u8>),
    CompareAndSet(String, Option<Vec<u8>>, Option<Vec<u8>>),
    Range(String, String, u32),
}

impl Transaction {
    pub(crate) fn new(state: State, entity: Id) -> Self {
        let space = state.entities.get(&entity).and_then(|entity| entity.space);
        Self {
            state,
            entity,
            space,
            caller: None,
            is_call: false,
            answered: false,
            answer: None,
            deferred: None,
            due: None,
            spawned: Vec::new(),
            staged: Vec::new(),
            intents: Vec::new(),
            doomed: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// Whether an entity may be touched directly.
    pub(crate) fn reaches(&self, id: Id) -> bool {
        let Some(entity) = self.state.entities.get(&id) else { return false };
        id == self.entity || self.space.is_some() && entity.space == self.space
    }

    /// Whether something may be asked in the name of an entity.
    pub(crate) fn speaks_for(&self, id: Id) -> Result<(), types::Error> {
        if !self.reaches(id) {
            return Err(types::Error::NotAllowed("in the name of an entity that is not here".into()));
        }
        if self.doomed.contains(&id) {
            return Err(types::Error::NotAllowed("in the name of an entity that is destroyed".into()));
        }
        Ok(())
    }

    /// The entity, if it may be touched directly.
    pub(crate) fn here(&mut self, id: Id) -> Result<&mut super::state::Entity, types::Error> {
        if !self.reaches(id) {
            return Err(types::Error::NotFound);
        }
        self.state.entities.get_mut(&id).ok_or(types::Error::NotFound)
    }

    /// The client of an entity that is here.
    pub(crate) fn client_here(&mut self, id: Id) -> Result<&mut Client, types::Error> {
        self.here(id)?.client.as_mut().ok_or(types::Error::NotFound)
    }

    pub(crate) fn note(&mut self, group: Group, line: String) {
        self.lines.push((group, line));
    }
}

/// Runs `act` with `transaction` open; gives it back with what `act` returned, or none if it
/// panicked: a trap.
pub(crate) fn open<R>(
    transaction: Transaction,
    act: impl FnOnce() -> R,
) -> (Transaction, std::thread::Result<R>) {
    RUNNING.set(Some(transaction));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
    let Some(transaction) = RUNNING.take() else { panic!("an event lost its transaction") };
    (transaction, result)
}

/// Runs `act` with the open transaction.
pub(crate) fn with<R>(act: impl FnOnce(&mut Transaction) -> R) -> R {
    RUNNING.with_borrow_mut(|running| match running {
        Some(transaction) => act(transaction),
        None => panic!("there is no event here: use a `Context` inside of a handler, or `World::act`"),
    })
}

/// Notes which due entity of the running tick is being worked on.
pub(crate) fn work_on(at: usize) {
    WORKED_ON.set(Some(at));
}

/// The last one that was noted; it is then forgotten.
pub(crate) fn worked_on() -> Option<usize> {
    WORKED_ON.take()
}
