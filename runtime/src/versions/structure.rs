//! Types with every name of a definition replaced by what it stands for.
//!
//! Bounded on the way: cycles, depth and size are refused, so that whoever walks a structure
//! needs no further guard.

pub use super::type_text::Scalar;
use super::type_text::{TypeText, TypeTextError};
use everwake_protocol::limits::CBOR_DEPTH_MAX;
use everwake_protocol::schema::{Definition, Shape};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Deepest nesting of CBOR that a type may have. Leaves room for what wraps a value: the array
/// of arguments, an outcome, a path.
pub const STRUCTURE_DEPTH_MAX: usize = 24;
/// Most parts of one resolved type. Stops definitions that double at each level.
pub const STRUCTURE_NODES_MAX: usize = 1_024;

const _: () = assert!(STRUCTURE_DEPTH_MAX + 4 <= CBOR_DEPTH_MAX, "wrapped values stay within CBOR's depth");

/// A resolved type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Structure {
    /// A type without parts.
    Scalar(Scalar),
    /// null or the value.
    Option(Box<Structure>),
    /// An array.
    List(Box<Structure>),
    /// A map.
    Map(Box<Structure>, Box<Structure>),
    /// An array of fixed parts.
    Tuple(Vec<Structure>),
    /// Id of an entity of that type.
    Ref(String),
    /// As the inner type, but never shown.
    Secret(Box<Structure>),
    /// An array of named parts.
    Record(Vec<Member>),
    /// One of several cases.
    Cases(Vec<Member>),
}

/// A field of a record, or a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its type, or what the case carries.
    pub structure: Structure,
}

/// Why a type cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The text is no type.
    #[error("{0}")]
    Text(#[from] TypeTextError),
    /// A name without a definition.
    #[error("`{0}` is neither a built-in type nor a definition of this manifest")]
    Unknown(String),
    /// `ref<>` of something that is no type of the manifest.
    #[error(
        "`ref<{0}>` names no type of this manifest; a type of another module is listed with kind `foreign`"
    )]
    UnknownRef(String),
    /// A definition that contains itself.
    #[error("`{0}` contains itself; use `ref<>` or `bytes` to break the cycle")]
    Cycle(String),
    /// [`STRUCTURE_DEPTH_MAX`].
    #[error("the type nests deeper than {STRUCTURE_DEPTH_MAX} levels")]
    TooDeep,
    /// [`STRUCTURE_NODES_MAX`].
    #[error("the type has more than {STRUCTURE_NODES_MAX} parts when its definitions are filled in")]
    TooLarge,
    /// A key that cannot be ordered.
    #[error("a map key is `string`, an integer, `id`, `ref<>` or a tuple of them, not `{0}`")]
    Key(String),
}

/// The definitions of one manifest, resolved.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    resolved: BTreeMap<String, Measured>,
    entities: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Measured {
    structure: Structure,
    nodes: usize,
    depth: usize,
}

impl Definitions {
    /// Resolves all that resolve; the others come back with their names and reasons, each once.
    #[must_use]
    pub fn new(
        definitions: &[Definition],
        entities: BTreeSet<String>,
    ) -> (Definitions, Vec<(String, ResolveError)>) {
        let mut resolver = Resolver {
            shapes: definitions
                .iter()
                .map(|definition| (definition.name.as_str(), &definition.shape))
                .collect(),
            entities: &entities,
            open: Vec::new(),
            failed: BTreeMap::new(),
            resolved: BTreeMap::new(),
        };
        let mut failures = Vec::new();
        for definition in definitions {
            if let Err(error) = resolver.define(&definition.name) {
                failures.push((definition.name.clone(), error));
            }
        }
        let resolved = resolver.resolved;
        (Definitions { resolved, entities }, failures)
    }

    /// Resolves a type text; beside it the number of its parts.
    pub fn resolve(&self, text: &TypeText) -> Result<(Structure, usize), ResolveError> {
        let mut lookup = |name: &str| {
            self.resolved.get(name).cloned().ok_or_else(|| ResolveError::Unknown(name.to_owned()))
        };
        resolve(text, &self.entities, &mut lookup).map(|measured| (measured.structure, measured.nodes))
    }
}

struct Resolver<'m> {
    shapes: BTreeMap<&'m str, &'m Shape>,
    entities: &'m BTreeSet<String>,
    /// Names on the way from the first definition to the one that is resolved.
    open: Vec<&'m str>,
    failed: BTreeMap<&'m str, ResolveError>,
    resolved: BTreeMap<String, Measured>,
}

impl<'m> Resolver<'m> {
    fn define(&mut self, name: &str) -> Result<Measured, ResolveError> {
        if let Some(measured) = self.resolved.get(name) {
            return Ok(measured.clone());
        }
        let Some((name, shape)) = self.shapes.get_key_value(name).map(|(name, shape)| (*name, *shape)) else {
            return Err(ResolveError::Unknown(name.to_owned()));
        };
        if let Some(error) = self.failed.get(name) {
            return Err(error.clone());
        }
        if self.open.contains(&name) {
            return Err(ResolveError::Cycle(name.to_owned()));
        }
        if self.open.len() >= STRUCTURE_DEPTH_MAX {
            return Err(ResolveError::TooDeep);
        }
        self.open.push(name);
        let resolved = self.shape(shape);
        self.open.pop();
        match &resolved {
            Ok(measured) => {
                self.resolved.insert(name.to_owned(), measured.clone());
            }
            Err(error) => {
                self.failed.insert(name, error.clone());
            }
        }
        resolved
    }

    fn shape(&mut self, shape: &'m Shape) -> Result<Measured, ResolveError> {
        let (Shape::Record(fields) | Shape::Cases(fields)) = shape;
        let (mut members, mut nodes, mut depth) = (Vec::new(), 1, 0);
        for field in fields {
            let text: TypeText = field.type_text.parse()?;
            let part = resolve(&text, self.entities, &mut |name| self.define(name))?;
            nodes += part.nodes;
            depth = depth.max(part.depth);
            if nodes > STRUCTURE_NODES_MAX {
                return Err(ResolveError::TooLarge);
            }
            members.push(Member { name: field.name.clone(), structure: part.structure });
        }
        let structure = match shape {
            Shape::Record(_) => Structure::Record(members),
            Shape::Cases(_) => Structure::Cases(members),
        };
        checked(structure, nodes, depth + 1)
    }
}

fn resolve(
    text: &TypeText,
    entities: &BTreeSet<String>,
    lookup: &mut dyn FnMut(&str) -> Result<Measured, ResolveError>,
) -> Result<Measured, ResolveError> {
    match text {
        TypeText::Scalar(scalar) => checked(Structure::Scalar(*scalar), 1, 0),
        TypeText::Ref(name) if entities.contains(name) => checked(Structure::Ref(name.clone()), 1, 0),
        TypeText::Ref(name) => Err(ResolveError::UnknownRef(name.clone())),
        TypeText::Named(name) => lookup(name),
        TypeText::Option(inner) => {
            let inner = resolve(inner, entities, lookup)?;
            // `[v]` around a value that may itself be null.
            let depth = inner.depth + usize::from(inner.structure.is_nullable());
            checked(Structure::Option(Box::new(inner.structure)), inner.nodes + 1, depth)
        }
        TypeText::Secret(inner) => {
            let inner = resolve(inner, entities, lookup)?;
            checked(Structure::Secret(Box::new(inner.structure)), inner.nodes + 1, inner.depth)
        }
        TypeText::List(inner) => {
            let inner = resolve(inner, entities, lookup)?;
            checked(Structure::List(Box::new(inner.structure)), inner.nodes + 1, inner.depth + 1)
        }
        TypeText::Map(key, value) => {
            let (key_text, key) = (key, resolve(key, entities, lookup)?);
            if !key.structure.is_key() {
                return Err(ResolveError::Key(key_text.to_string()));
            }
            let value = resolve(value, entities, lookup)?;
            let (nodes, depth) = (key.nodes + value.nodes + 1, key.depth.max(value.depth) + 1);
            checked(Structure::Map(Box::new(key.structure), Box::new(value.structure)), nodes, depth)
        }
        TypeText::Tuple(members) => {
            let (mut parts, mut nodes, mut depth) = (Vec::new(), 1, 0);
            for member in members {
                let part = resolve(member, entities, lookup)?;
                nodes += part.nodes;
                depth = depth.max(part.depth);
                parts.push(part.structure);
            }
            checked(Structure::Tuple(parts), nodes, depth + 1)
        }
    }
}

fn checked(structure: Structure, nodes: usize, depth: usize) -> Result<Measured, ResolveError> {
    if depth > STRUCTURE_DEPTH_MAX {
        return Err(ResolveError::TooDeep);
    }
    if nodes > STRUCTURE_NODES_MAX {
        return Err(ResolveError::TooLarge);
    }
    Ok(Measured { structure, nodes, depth })
}

impl Structure {
    /// Nothing: what a method without an answer returns.
    pub const UNIT: Structure = Structure::Scalar(Scalar::Unit);

    /// True if null is one of the encodings, so that an option around it wraps its value.
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        match self {
            Structure::Scalar(scalar) => matches!(scalar, Scalar::Unit | Scalar::Any),
            Structure::Option(_) => true,
            Structure::Secret(inner) => inner.is_nullable(),
            _ => false,
        }
    }

    /// CBOR major types that a value may begin with: bit m for major type m.
    #[must_use]
    pub fn majors(&self) -> u8 {
        const INTEGER: u8 = 0b11;
        match self {
            Structure::Scalar(scalar) => match scalar {
                Scalar::U8 | Scalar::U16 | Scalar::U32 | Scalar::U64 => 1,
                Scalar::I8 | Scalar::I16 | Scalar::I32 | Scalar::I64 => INTEGER,
                Scalar::Bytes | Scalar::Id => 1 << 2,
                Scalar::String => 1 << 3,
                Scalar::Bool | Scalar::F32 | Scalar::F64 | Scalar::Unit => 1 << 7,
                Scalar::Any => 0b1011_1111,
            },
            Structure::Ref(_) => 1 << 2,
            Structure::Option(inner) if inner.is_nullable() => 1 << 7 | 1 << 4,
            Structure::Option(inner) => 1 << 7 | inner.majors(),
            Structure::Secret(inner) => inner.majors(),
            Structure::List(_) | Structure::Tuple(_) | Structure::Record(_) => 1 << 4,
            Structure::Map(..) => 1 << 5,
            Structure::Cases(cases) => cases
                .iter()
                .fold(0, |majors, case| majors | if case.structure == Structure::UNIT { 1 } else { 1 << 4 }),
        }
    }

    /// The type without its `secret<>`s and without what may be added to its end later: the
    /// optional members that close a record. Two versions that agree on this call each other.
    #[must_use]
    pub fn signature(&self) -> String {
        let mut text = String::new();
        self.write_signature(&mut text);
        text
    }

    /// True if a value carries something that is never shown.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        match self {
            Structure::Secret(_) => true,
            Structure::Scalar(_) | Structure::Ref(_) => false,
            Structure::Option(inner) | Structure::List(inner) => inner.has_secret(),
            Structure::Map(key, value) => key.has_secret() || value.has_secret(),
            Structure::Tuple(members) => members.iter().any(Structure::has_secret),
            Structure::Record(members) | Structure::Cases(members) => {
                members.iter().any(|member| member.structure.has_secret())
            }
        }
    }

    /// The structure inside of any `secret<>`.
    #[must_use]
    pub fn revealed(&self) -> &Structure {
        match self {
            Structure::Secret(inner) => inner.revealed(),
            other => other,
        }
    }

    fn is_key(&self) -> bool {
        match self {
            Structure::Scalar(scalar) => {
                matches!(scalar, Scalar::String | Scalar::Id) || scalar.integer_range().is_some()
            }
            Structure::Ref(_) => true,
            Structure::Tuple(members) => members.iter().all(Structure::is_key),
            _ => false,
        }
    }

    fn write_signature(&self, out: &mut String) {
        match self {
            Structure::Scalar(scalar) => out.push_str(scalar.name()),
            Structure::Option(inner) => write_generic(out, "option", [&**inner]),
            Structure::List(inner) => write_generic(out, "list", [&**inner]),
            Structure::Map(key, value) => write_generic(out, "map", [&**key, &**value]),
            Structure::Tuple(members) => write_generic(out, "tuple", members),
            Structure::Ref(name) => {
                out.push_str("ref<");
                out.push_str(name);
                out.push('>');
            }
            Structure::Secret(inner) => inner.write_signature(out),
            Structure::Record(members) => {
                let fixed = without_optional_tail(members, |member| &member.structure);
                write_members(out, ['{', '}'], fixed);
            }
            Structure::Cases(members) => write_members(out, ['(', ')'], members),
        }
    }
}

/// What precedes the optional members that close a list of members.
pub(crate) fn without_optional_tail<M>(members: &[M], structure: impl Fn(&M) -> &Structure) -> &[M] {
    let optional = |member: &&M| matches!(structure(member).revealed(), Structure::Option(_));
    let tail = members.iter().rev().take_while(optional).count();
    members.get(..members.len() - tail).unwrap_or(members)
}

fn write_generic<'s>(out: &mut String, name: &str, parts: impl IntoIterator<Item = &'s Structure>) {
    out.push_str(name);
    let mut open = '<';
    for part in parts {
        out.push(open);
        part.write_signature(out);
        open = ',';
    }
    out.push('>');
}

fn write_members(out: &mut String, brackets: [char; 2], members: &[Member]) {
    let [open, close] = brackets;
    out.push(open);
    for member in members {
        out.push_str(&member.name);
        out.push(':');
        member.structure.write_signature(out);
        out.push(';');
    }
    out.push(close);
}

/// With the names of definitions gone: what a type is made of.
impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.signature())
    }
}

/// How the values of one type relate to those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Relation {
    /// Each reads all that the other writes.
    Same,
    /// The new one reads all old values; the old one may drop or refuse part of the new ones.
    Grown,
    /// The other way round.
    Shrunk,
    /// Another type.
    Different,
}

impl Relation {
    /// From the type before to the type after.
    ///
    /// A type grows by members behind the last one of a record or tuple, by cases behind the last
    /// one, by a wider integer of the same signedness or a signed one that holds it, by `option<>`
    /// around it, and by becoming `any`. Names of members count, names of definitions do not.
    #[must_use]
    pub fn between(old: &Structure, new: &Structure) -> Relation {
        match (old.revealed(), new.revealed()) {
            (old, new) if old == new => Relation::Same,
            (Structure::Scalar(Scalar::Any), _) => Relation::Shrunk,
            (_, Structure::Scalar(Scalar::Any)) => Relation::Grown,
            (Structure::Scalar(old), Structure::Scalar(new)) => integers(*old, *new),
            (Structure::Option(old), Structure::Option(new)) if old.is_nullable() == new.is_nullable() => {
                Relation::between(old, new)
            }
            (Structure::Option(_), Structure::Option(_)) => Relation::Different,
            (old, Structure::Option(new)) if !old.is_nullable() && !new.is_nullable() => {
                Relation::between(old, new).and(Relation::Grown)
            }
            (Structure::Option(old), new) if !old.is_nullable() && !new.is_nullable() => {
                Relation::between(old, new).and(Relation::Shrunk)
            }
            (Structure::List(old), Structure::List(new)) => Relation::between(old, new),
            (Structure::Map(old_key, old), Structure::Map(new_key, new)) if old_key == new_key => {
                Relation::between(old, new)
            }
            (Structure::Tuple(old), Structure::Tuple(new)) => members(old, new, Relation::between),
            (Structure::Record(old), Structure::Record(new)) => members(old, new, between_members),
            (Structure::Cases(old), Structure::Cases(new)) => members(old, new, between_members),
            _ => Relation::Different,
        }
    }

    /// Of a whole whose parts have these two.
    #[must_use]
    pub fn and(self, other: Relation) -> Relation {
        match (self, other) {
            (Relation::Same, other) | (other, Relation::Same) => other,
            (one, other) if one == other => one,
            _ => Relation::Different,
        }
    }
}

/// Of two lists of parts, compared by position.
pub(crate) fn members<M>(old: &[M], new: &[M], between: impl Fn(&M, &M) -> Relation) -> Relation {
    let length = match old.len().cmp(&new.len()) {
        std::cmp::Ordering::Less => Relation::Grown,
        std::cmp::Ordering::Equal => Relation::Same,
        std::cmp::Ordering::Greater => Relation::Shrunk,
    };
    old.iter().zip(new).fold(length, |whole, (old, new)| whole.and(between(old, new)))
}

fn between_members(old: &Member, new: &Member) -> Relation {
    if old.name == new.name { Relation::between(&old.structure, &new.structure) } else { Relation::Different }
}

fn integers(old: Scalar, new: Scalar) -> Relation {
    let (Some((old_low, old_high)), Some((new_low, new_high))) = (old.integer_range(), new.integer_range())
    else {
        return Relation::Different;
    };
    if new_low <= old_low && old_high <= new_high {
        Relation::Grown
    } else if old_low <= new_low && new_high <= old_high {
        Relation::Shrunk
    } else {
        Relation::Different
    }
}

#[cfg(test)]
mod tests;
