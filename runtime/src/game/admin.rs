//! What operators may ask of a game process, and what they are told.
//!
//! Who may ask is the admin API's business; here every request is allowed, and those that change
//! the game become facts for the audit.

use super::glance::Looked;
use super::json;
use super::limits::{OPERATOR_MS_MAX, OPERATORS_MAX};
use super::publish::{Asker, PublishOptions};
use super::report::{
    Fact, GameGlance, ProbationReport, PublicationReport, VersionEntry, VersionState, full_hash,
};
use super::{Counters, GameCore, GameOutput, SpaceKind, Ticket};
use crate::cargo::peer::Ask;
use crate::guest::Origin;
use crate::manifest::Method;
use crate::message::{Body, Input};
use crate::versions::{MethodTable, Structure};
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::outcome::{Certainty, Outcome, code};
use serde::Serialize;
use std::sync::Arc;

/// What an operator asks.
#[derive(Clone, Debug)]
pub enum AdminRequest {
    /// Load a component, and make it head if nothing stands against it.
    Publish {
        /// The component.
        bytes: Bytes,
        /// The publisher's note.
        note: String,
        /// What the publisher agrees to.
        options: PublishOptions,
    },
    /// Load a component, and say what publishing it would do.
    Plan {
        /// The component.
        bytes: Bytes,
        /// What the publisher would agree to.
        options: PublishOptions,
    },
    /// Make an earlier version head.
    Rollback {
        /// Of this module; none: the only one.
        module: Option<String>,
        /// Beginning of a hash, a label, or a generation; none: the last one that passed.
        to: Option<String>,
        /// Go back though that loses changes.
        irreversible: bool,
    },
    /// The generations, newest first.
    Versions {
        /// Of this module; none: of all.
        module: Option<String>,
    },
    /// Everything at a glance.
    Status,
    /// Take nothing new, and let go what can go; or no more of it; or say how that stands.
    Drain {
        /// None: as it is.
        on: Option<bool>,
    },
    /// One entity, or a space with its members.
    Inspect {
        /// An entity, a space, or a shard.
        id: EntityId,
    },
    /// Call a method of an entity as an operator.
    Call {
        /// Who asks, for the audit.
        who: String,
        /// Target.
        entity: EntityId,
        /// Name of the method.
        method: String,
        /// One JSON array with the arguments, or an object by parameter names.
        args: serde_json::Value,
    },
}

/// What an operator is told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdminAnswer {
    /// To `Publish`, `Plan` and `Rollback`.
    Publication(Box<PublicationReport>),
    /// To `Versions`.
    Versions(Vec<VersionEntry>),
    /// To `Status`.
    Status(Box<Status>),
    /// To `Drain`.
    Drain(super::report::DrainReport),
    /// To `Inspect`.
    View(serde_json::Value),
    /// To `Call`: what the method answered.
    Value(serde_json::Value),
    /// To `Call`: it did not.
    Failed {
        /// Names the error.
        code: String,
        /// More of it.
        detail: serde_json::Value,
        /// Whether it may have happened: `not-run`, `unknown` or `refused`.
        certainty: &'static str,
    },
    /// The request makes no sense.
    Bad(String),
}

/// A game process at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// UTC ms.
    pub now_ms: u64,
    /// In the order in which they were started.
    pub modules: Vec<ModuleStatus>,
    /// By id.
    pub spaces: Vec<SpaceStatus>,
    /// Spaces that are not listed, because there are too many.
    pub spaces_left_out: usize,
    /// Entities that the directory knows.
    pub entities: usize,
    /// Clients.
    pub sessions: usize,
    /// Counted since the start.
    pub counters: Counters,
    /// In a cluster: all games, by name. Everything else here is of this one alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub games: Vec<GameGlance>,
}

/// A module at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct ModuleStatus {
    /// Its name.
    pub name: String,
    /// The author's label of head.
    pub label: String,
    /// Hash of head, in full.
    pub version: String,
    /// Generation of head.
    pub generation: u32,
    /// What became of head so far.
    pub state: Option<VersionState>,
    /// How head stands, if it is watched.
    pub probation: Option<ProbationReport>,
    /// True if a swap went wrong half-way.
    pub mixed: bool,
    /// Clients that play it.
    pub sessions: usize,
    /// Spaces and shards.
    pub spaces: usize,
    /// Live entities by type.
    pub entities: std::collections::BTreeMap<String, usize>,
    /// Rows of its key-value map.
    pub key_value_rows: usize,
    /// Bytes of its key-value map.
    pub key_value_bytes: usize,
    /// Handlers that trapped or were cut since the start.
    pub crashes: u64,
    /// The last swap's pauses.
    pub pause: Option<super::report::Pauses>,
}

/// A space at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct SpaceStatus {
    /// Its id.
    pub id: String,
    /// Whose.
    pub module: String,
    /// What for.
    pub kind: SpaceKind,
    /// Name of its type, if it has one that head knows: nil shards have none.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// Entities in it.
    pub entities: usize,
    /// Inputs that it has not taken yet.
    pub waiting: usize,
    /// Bytes of those.
    pub waiting_bytes: usize,
}

/// Spaces that one status lists.
const SPACES_SHOWN: usize = 1_000;

/// A method with the names and types of its parameters.
fn signature(method: &Method) -> String {
    let parameters: Vec<String> =
        method.parameters.iter().map(|it| format!("{}: {}", it.name, it.type_text)).collect();
    format!("{}({})", method.name, parameters.join(", "))
}

impl GameCore {
    pub(super) fn admin(&mut self, admin: u64, request: AdminRequest) {
        match request {
            AdminRequest::Publish { bytes, note, options } => {
                self.publish(admin, bytes, note, options, false)
            }
            AdminRequest::Plan { bytes, options } => self.publish(admin, bytes, String::new(), options, true),
            AdminRequest::Rollback { module, to, irreversible } => {
                let ask = Ask::Rollback { module, to, irreversible };
                self.ask_leader(Asker::Operator(admin), ask);
            }
            AdminRequest::Versions { module } => self.look(admin, Looked::Versions(module)),
            AdminRequest::Status => self.look(admin, Looked::Status),
            AdminRequest::Drain { on } => self.drain_asked(admin, on),
            AdminRequest::Inspect { id } => self.inspect(admin, id),
            AdminRequest::Call { who, entity, method, args } => self.call(admin, who, entity, &method, &args),
        }
    }

    /// This game at a glance.
    pub fn status(&self) -> Status {
        let (entities, spaces) = self.directory.sizes();
        let shown = self.directory.spaces().take(SPACES_SHOWN).map(|(id, row)| {
            let (waiting, waiting_bytes) = row.backlog();
            SpaceStatus {
                id: id.to_string(),
                module: row.module.clone(),
                kind: row.kind,
                type_name: self.type_name(&row.module, id).map(str::to_owned),
                entities: row.entities,
                waiting,
                waiting_bytes,
            }
        });
        Status {
            now_ms: self.now_ms,
            modules: self.modules.keys().filter_map(|name| self.module_status(name)).collect(),
            spaces: shown.collect(),
            spaces_left_out: spaces.saturating_sub(SPACES_SHOWN),
            entities,
            sessions: self.sessions.len(),
            counters: self.counters,
            games: Vec::new(),
        }
    }

    /// What a space is, as itself an entity.
    fn type_name(&self, module: &str, space: EntityId) -> Option<&str> {
        let head = &self.modules.get(module)?.head;
        let index = *head.type_by_id.get(&self.directory.location(space)?.type_id?)?;
        Some(&head.manifest.types.get(index as usize)?.name)
    }

    fn module_status(&self, name: &str) -> Option<ModuleStatus> {
        let module = self.modules.get(name)?;
        let head = &module.head;
        let type_name = |id: &u32| {
            let index = *head.type_by_id.get(id)?;
            head.manifest.types.get(index as usize).map(|kind| kind.name.clone())
        };
        let census = self.census(name);
        let (key_value_rows, key_value_bytes) = module.key_value.size();
        Some(ModuleStatus {
            name: name.to_owned(),
            label: head.manifest.label.clone(),
            version: full_hash(head.hash),
            generation: head.generation,
            state: module.head_state(),
            probation: self.probation_of(name),
            mixed: module.mixed,
            sessions: self.sessions.count(name),
            spaces: self.directory.spaces_of(name).len(),
            entities: census
                .iter()
                .map(|(id, count)| (type_name(id).unwrap_or_else(|| format!("#{id}")), *count))
                .collect(),
            key_value_rows,
            key_value_bytes,
            crashes: module.crashes,
            pause: module.head_pauses().1,
        })
    }

    fn inspect(&mut self, admin: u64, id: EntityId) {
        let Some(ticket) = self.operator_ticket(admin, None) else { return };
        let as_space = self.directory.space(id).is_some_and(|row| row.kind != SpaceKind::Service);
        if as_space {
            return self.hand(id, Input::Inspect { ticket, entity: None });
        }
        match self.directory.location(id).map(|at| at.space) {
            Some(space) => self.hand(space, Input::Inspect { ticket, entity: Some(id) }),
            None => self.ticket_answered(ticket, Outcome::not_run(code::GONE)),
        }
    }

    /// A space has shown itself.
    pub(super) fn inspected(&mut self, number: u64, view: serde_json::Value) {
        if let Some(Ticket::Operator { admin, .. }) = self.tickets.remove(&number) {
            self.answer_admin(admin, AdminAnswer::View(view));
        }
    }

    fn call(&mut self, admin: u64, who: String, entity: EntityId, method: &str, args: &serde_json::Value) {
        let encoded = self.method_of(entity, method).and_then(|table| {
            let args = json::encode_args(&table.parameters, args).map_err(|error| error.to_string())?;
            Ok((table.key, table.returns.clone(), args))
        });
        let (key, returns, args) = match encoded {
            Ok(encoded) => encoded,
            Err(reason) => return self.answer_admin(admin, AdminAnswer::Bad(reason)),
        };
        let Some(ticket) = self.operator_ticket(admin, Some(returns)) else { return };
        self.fact(Fact::Operator { who, what: method.to_owned(), entity: Some(entity.to_string()) });
        let body = Body::Call {
            method: key,
            args,
            origin: Origin::Operator,
            answer: crate::message::AnswerTo::Operator { ticket },
            deadline_ms: self.now_ms + OPERATOR_MS_MAX,
            bounce: None,
        };
        let message = self.message(entity, body);
        self.deliver(message);
    }

    fn method_of(&self, entity: EntityId, name: &str) -> Result<&MethodTable, String> {
        let at = self.directory.location(entity).ok_or("there is no such entity")?;
        let row = self.directory.space(at.space).ok_or("there is no such entity")?;
        let head = &self.modules.get(&row.module).ok_or("there is no such module")?.head;
        let type_id = at.type_id.ok_or("the entity is being made")?;
        let index = *head.type_by_id.get(&type_id).ok_or("head does not know the entity's type")? as usize;
        let (kind, table) = head
            .manifest
            .types
            .get(index)
            .zip(head.types.get(index))
            .ok_or("head does not know the entity's type")?;
        let method = kind.methods.iter().position(|method| method.name == name);
        let table = method.and_then(|index| table.methods.get(index));
        table.ok_or_else(|| {
            let known: Vec<String> = kind.methods.iter().map(signature).collect();
            format!("`{}` has no method `{name}`; it has:\n  {}", kind.name, known.join("\n  "))
        })
    }

    /// What an operator's call answered, or why it was not seen.
    pub(super) fn operator_answered(&mut self, admin: u64, returns: Option<&Structure>, outcome: Outcome) {
        let answer = match outcome {
            Outcome::Ok(value) => AdminAnswer::Value(match returns {
                Some(returns) => json::decode(returns, &value),
                None => json::decode_any(&value),
            }),
            Outcome::Err { certainty, code, detail } => AdminAnswer::Failed {
                code,
                detail: json::decode_any(&detail),
                certainty: match certainty {
                    Certainty::NotRun => "not-run",
                    Certainty::Unknown => "unknown",
                    Certainty::Refused => "refused",
                },
            },
        };
        self.answer_admin(admin, answer);
    }

    pub(super) fn answer_admin(&mut self, ticket: u64, answer: AdminAnswer) {
        self.out.push(GameOutput::Admin { ticket, answer: Box::new(answer) });
    }

    /// A ticket for an operator's request; none if too many wait already, which is answered here.
    fn operator_ticket(&mut self, admin: u64, returns: Option<Arc<Structure>>) -> Option<u64> {
        let open = self.tickets.values().filter(|ticket| matches!(ticket, Ticket::Operator { .. })).count();
        if open >= OPERATORS_MAX {
            self.operator_answered(admin, None, Outcome::not_run(code::OVERLOADED));
            return None;
        }
        let number = self.mint();
        let until_ms = self.now_ms + OPERATOR_MS_MAX;
        self.tickets.insert(number, Ticket::Operator { admin, until_ms, returns });
        Some(number)
    }

    pub(super) fn expire_tickets(&mut self) {
        let now_ms = self.now_ms;
        let late = self.tickets.extract_if(
            ..,
            |_, ticket| matches!(ticket, Ticket::Operator { until_ms, .. } if *until_ms <= now_ms),
        );
        let late: Vec<Ticket> = late.map(|(_, ticket)| ticket).collect();
        for ticket in late {
            if let Ticket::Operator { admin, .. } = ticket {
                self.operator_answered(admin, None, Outcome::unknown(code::DEADLINE));
            }
        }
    }
}
