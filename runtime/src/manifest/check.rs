//! Every rule of `wit/manifests.wit`, checked before anything of a manifest is used.
//!
//! All that is wrong is reported together, so that an author fixes it in one go. Guest-controlled
//! texts in messages are cut.

use super::problem::{ManifestError, ManifestLimits, ManifestProblem};
use super::{Attribute, AttributeFlags, ClientMethod, EntityType, Exposure, Manifest, Method, TypeKind};
use crate::guest::Hook;
use crate::versions::structure::{Definitions, Member, ResolveError, Structure};
use crate::versions::type_text::{NAME_BYTES_MAX, TypeText, is_identifier, is_reserved};
use crate::versions::value::{check_value, cut};
use everwake_protocol::limits::{ENTITY_BYTES_MAX, MODULE_NAME_BYTES_MAX, VALUE_BYTES_MAX};
use everwake_protocol::schema::{Definition, Field, Shape};
use std::collections::BTreeSet;

/// A manifest that keeps every rule, with its types resolved. Type texts are canonical in it.
#[derive(Clone, Debug)]
pub struct Checked {
    manifest: Manifest,
    types: Vec<CheckedType>,
    definitions: Definitions,
}

/// The resolved types of one entity type, in the manifest's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckedType {
    /// Of each attribute.
    pub attributes: Vec<Structure>,
    /// Of each method.
    pub methods: Vec<CheckedMethod>,
    /// Parameters of each client method.
    pub client_methods: Vec<Vec<Member>>,
}

/// The resolved types of one method.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CheckedMethod {
    /// Its parameters.
    pub parameters: Vec<Member>,
    /// What it answers.
    pub returns: Structure,
}

impl Checked {
    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// One for each type of the manifest.
    #[must_use]
    pub fn types(&self) -> &[CheckedType] {
        &self.types
    }

    /// What a type text means among this manifest's definitions; none if it means nothing.
    #[must_use]
    pub fn resolve(&self, text: &str) -> Option<Structure> {
        self.definitions.resolve(&text.parse().ok()?).ok().map(|(structure, _)| structure)
    }

    /// The manifest alone.
    #[must_use]
    pub fn into_manifest(self) -> Manifest {
        self.manifest
    }
}

const CAPABILITIES: [&str; 2] = ["key-value", "broadcast"];
const CAPABILITIES_TEXT: &str = "`key-value` and `broadcast`";
const HOOK_LAST: u32 = Hook::Destroy as u32;

impl Manifest {
    /// Checks everything that `wit/manifests.wit` asks of a manifest.
    pub fn check(mut self, limits: &ManifestLimits) -> Result<Checked, Vec<ManifestError>> {
        let mut errors = Errors { found: Vec::new(), most: limits.errors };
        check_module(&self, limits, &mut errors);
        check_definitions(&self, limits, &mut errors);
        // What is too much is not looked at any further.
        if !errors.found.is_empty() {
            return Err(errors.found);
        }
        let entities = self.types.iter().map(|entity_type| entity_type.name.clone()).collect();
        let (definitions, failures) = Definitions::new(&self.definitions, entities);
        for (name, error) in failures {
            errors.add(format!("definition `{}`", shown(&name)), ManifestProblem::Type(error));
        }
        let mut parts = 0;
        let mut types = Vec::new();
        for entity_type in &self.types {
            types.push(check_type(entity_type, &definitions, limits, &mut parts, &mut errors));
            if parts > limits.type_parts {
                let (found, most) = (parts, limits.type_parts);
                errors.too_many("the types of the attributes and methods so far", "parts", found, most);
                break;
            }
        }
        if !errors.found.is_empty() {
            return Err(errors.found);
        }
        self.canonicalise();
        Ok(Checked { manifest: self, types, definitions })
    }

    fn canonicalise(&mut self) {
        let definitions = self.definitions.iter_mut().flat_map(|definition| match &mut definition.shape {
            Shape::Record(fields) | Shape::Cases(fields) => fields.iter_mut(),
        });
        definitions.for_each(|field| canonicalise(&mut field.type_text));
        for entity_type in &mut self.types {
            entity_type.attributes.iter_mut().for_each(|attribute| canonicalise(&mut attribute.type_text));
            for method in &mut entity_type.methods {
                method.parameters.iter_mut().for_each(|parameter| canonicalise(&mut parameter.type_text));
                canonicalise(&mut method.returns);
            }
            let parameters = entity_type.client_methods.iter_mut().flat_map(|method| &mut method.parameters);
            parameters.for_each(|parameter| canonicalise(&mut parameter.type_text));
        }
    }
}

fn canonicalise(text: &mut String) {
    if let Ok(parsed) = text.parse::<TypeText>() {
        *text = parsed.to_string();
    }
}

/// Collects errors up to a limit.
struct Errors {
    found: Vec<ManifestError>,
    most: usize,
}

impl Errors {
    fn add(&mut self, place: String, problem: ManifestProblem) {
        if self.found.len() < self.most {
            self.found.push(ManifestError { place, problem });
        } else if self.found.len() == self.most {
            self.found.push(ManifestError { place: "manifest".to_owned(), problem: ManifestProblem::More });
        }
    }

    fn add_if(
        &mut self,
        wrong: bool,
        place: impl FnOnce() -> String,
        problem: impl FnOnce() -> ManifestProblem,
    ) {
        if wrong {
            self.add(place(), problem());
        }
    }

    fn too_many(&mut self, place: &str, what: &'static str, found: usize, most: usize) {
        self.add_if(found > most, || place.to_owned(), || ManifestProblem::TooMany { what, found, most });
    }
}

fn shown(name: &str) -> String {
    cut(name.escape_debug().to_string(), NAME_BYTES_MAX)
}

fn is_name(name: &str) -> bool {
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    starts && is_member_name(name)
}

/// Fields of a struct without names are called by their numbers.
fn is_member_name(name: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.$".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(part)
}

fn check_module(manifest: &Manifest, limits: &ManifestLimits, errors: &mut Errors) {
    let module = || format!("module `{}`", shown(&manifest.name));
    let name = manifest.name.as_bytes();
    let name_is_good = (1..=MODULE_NAME_BYTES_MAX).contains(&name.len())
        && name.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-');
    errors.add_if(!name_is_good, module, || ManifestProblem::ModuleName);
    for (what, text) in [("the label", &manifest.label), ("the name of the SDK", &manifest.sdk)] {
        let most = limits.label_bytes;
        errors.add_if(text.len() > most, module, || ManifestProblem::TooLong { what, most });
    }
    errors.add_if(manifest.types.is_empty(), module, || ManifestProblem::None("types"));
    errors.too_many(&module(), "types", manifest.types.len(), limits.types);
    for (what, found, most) in [
        ("`event-budget-ms`", manifest.event_budget_ms, limits.event_budget_ms),
        ("`memory-bytes`", manifest.memory_bytes, limits.memory_bytes),
    ] {
        errors.add_if(found > most, module, || out_of_range(what, found, format!("0 to {most}")));
    }
    let mut wanted = BTreeSet::new();
    for capability in manifest.capabilities.iter().take(2 * CAPABILITIES.len()) {
        let place = || format!("capability `{}`", shown(capability));
        let known = CAPABILITIES.contains(&capability.as_str());
        errors.add_if(!known, place, || ManifestProblem::UnknownCapability(CAPABILITIES_TEXT));
        errors.add_if(!wanted.insert(capability), place, || ManifestProblem::NameTaken("the capabilities"));
    }
    errors.too_many(&module(), "capabilities", manifest.capabilities.len(), CAPABILITIES.len());
    let boots = manifest.types.iter().filter(|entity_type| entity_type.boot);
    let boots: Vec<_> = boots.take(8).map(|entity_type| format!("`{}`", shown(&entity_type.name))).collect();
    errors.add_if(boots.len() > 1, module, || ManifestProblem::SecondBoot(boots.join(", ")));
}

fn check_definitions(manifest: &Manifest, limits: &ManifestLimits, errors: &mut Errors) {
    errors.too_many("module", "definitions", manifest.definitions.len(), limits.definitions);
    let mut names = BTreeSet::new();
    let types = manifest.types.iter().take(limits.types).map(|entity_type| ("type", &entity_type.name));
    let definitions = manifest.definitions.iter().take(limits.definitions);
    for (what, name) in types.chain(definitions.clone().map(|definition| ("definition", &definition.name))) {
        let place = || format!("{what} `{}`", shown(name));
        errors.add_if(!is_identifier(name), place, || ManifestProblem::Identifier);
        errors.add_if(is_reserved(name), place, || ManifestProblem::Reserved);
        errors.add_if(!names.insert(name), place, || ManifestProblem::NameTaken("the types and definitions"));
    }
    for Definition { name, shape } in definitions {
        let place = format!("definition `{}`", shown(name));
        match shape {
            Shape::Record(fields) => check_names(&place, "field", fields, limits.fields, errors),
            Shape::Cases(cases) => {
                errors.add_if(cases.is_empty(), || place.clone(), || ManifestProblem::None("cases"));
                check_names(&place, "case", cases, limits.cases, errors);
            }
        }
    }
}

fn check_names(place: &str, what: &'static str, fields: &[Field], most: usize, errors: &mut Errors) {
    errors.too_many(place, "members", fields.len(), most);
    let mut names = BTreeSet::new();
    for field in fields.iter().take(most) {
        let part = || format!("{what} `{}` of {place}", shown(&field.name));
        errors.add_if(!is_member_name(&field.name), part, || ManifestProblem::Member);
        errors.add_if(!names.insert(&field.name), part, || ManifestProblem::NameTaken("the members"));
    }
}

fn check_type(
    entity_type: &EntityType,
    definitions: &Definitions,
    limits: &ManifestLimits,
    parts: &mut usize,
    errors: &mut Errors,
) -> CheckedType {
    let name = &entity_type.name;
    let place = format!("type `{name}`");
    check_kind(entity_type, &place, limits, errors);
    errors.too_many(&place, "attributes", entity_type.attributes.len(), limits.attributes);
    errors.too_many(&place, "methods", entity_type.methods.len(), limits.methods);
    errors.too_many(&place, "client methods", entity_type.client_methods.len(), limits.methods);
    let attributes = entity_type.attributes.iter().take(limits.attributes);
    let methods = entity_type.methods.iter().take(limits.methods);
    let client_methods = entity_type.client_methods.iter().take(limits.methods);

    check_former_names(
        name,
        "attribute",
        attributes.clone().map(|a| (a.name.as_str(), a.was.as_str())),
        errors,
    );
    check_former_names(name, "method", methods.clone().map(|m| (m.name.as_str(), m.was.as_str())), errors);
    check_former_names(name, "client method", client_methods.clone().map(|m| (m.name.as_str(), "")), errors);
    let initials: usize = attributes.clone().map(|attribute| attribute.initial.len()).sum();
    let too_long = initials > ENTITY_BYTES_MAX;
    errors.add_if(too_long, || place.clone(), || ManifestProblem::InitialsTooLong { found: initials });

    let mut context = Context { type_name: name, definitions, limits, parts, errors };
    CheckedType {
        attributes: attributes
            .map(|attribute| context.attribute(attribute, entity_type.persistent))
            .collect(),
        methods: methods.map(|method| context.method(method)).collect(),
        client_methods: client_methods.map(|method| context.client_method(method)).collect(),
    }
}

fn check_kind(entity_type: &EntityType, place: &str, limits: &ManifestLimits, errors: &mut Errors) {
    let EntityType { kind, ticks_per_second: ticks, aoi_radius, shards, hooks, .. } = entity_type;
    let here = || place.to_owned();
    let foreign = *kind == TypeKind::Foreign;
    for (wrong, what) in [
        (entity_type.boot && *kind != TypeKind::Entity, "`boot`"),
        (aoi_radius.is_some() && *kind != TypeKind::Entity, "`aoi-radius`"),
        (entity_type.sleeps_unwatched && *kind != TypeKind::Entity, "`sleeps-unwatched`"),
        (*shards != 0 && *kind != TypeKind::Service, "`shards`"),
        (foreign && entity_type.persistent, "`persistent`"),
        (foreign && *ticks != 0.0, "`ticks-per-second`"),
        (foreign && *hooks != 0, "a hook"),
        (foreign && !entity_type.attributes.is_empty(), "an attribute"),
        (foreign && !entity_type.client_methods.is_empty(), "a client method"),
    ] {
        errors.add_if(wrong, here, || ManifestProblem::NotForKind { what, kind: kind_name(*kind) });
    }
    let most = limits.ticks_per_second;
    let least = limits.ticks_per_second_min;
    let ticks_fit = *ticks == 0.0 || (least..=most).contains(ticks);
    errors.add_if(!ticks_fit, here, || {
        out_of_range("`ticks-per-second`", ticks, format!("0, or {least} to {most}"))
    });
    if let Some(radius) = aoi_radius {
        let most = limits.aoi_radius;
        let fits = *radius > 0.0 && *radius <= most;
        errors.add_if(!fits, here, || {
            out_of_range("`aoi-radius`", radius, format!("more than 0 and at most {most}"))
        });
    }
    if *kind == TypeKind::Service {
        let fits = (1..=limits.shards).contains(shards);
        errors.add_if(!fits, here, || out_of_range("`shards`", shards, format!("1 to {}", limits.shards)));
    }
    let unknown = hooks.checked_shr(HOOK_LAST + 1).unwrap_or(0);
    let first = HOOK_LAST + 1 + unknown.trailing_zeros();
    errors.add_if(unknown != 0, here, || ManifestProblem::UnknownHook(first, HOOK_LAST));
}

fn kind_name(kind: TypeKind) -> &'static str {
    match kind {
        TypeKind::Entity => "entity",
        TypeKind::Space => "space",
        TypeKind::Service => "service",
        TypeKind::Foreign => "foreign",
    }
}

fn out_of_range(what: &'static str, found: impl ToString, allowed: String) -> ManifestProblem {
    ManifestProblem::OutOfRange { what, found: found.to_string(), allowed }
}

/// Names are unique, and former names are neither in use nor claimed twice.
fn check_former_names<'m>(
    type_name: &str,
    what: &'static str,
    names: impl Iterator<Item = (&'m str, &'m str)> + Clone,
    errors: &mut Errors,
) {
    let mut taken = BTreeSet::new();
    for (name, _) in names.clone() {
        let place = || format!("{what} `{type_name}.{}`", shown(name));
        errors.add_if(!is_name(name), place, || ManifestProblem::Name);
        errors.add_if(!taken.insert(name), place, || ManifestProblem::NameTaken("its kind in the type"));
    }
    let mut former = BTreeSet::new();
    for (name, was) in names.filter(|(_, was)| !was.is_empty()) {
        let place = || format!("{what} `{type_name}.{}`", shown(name));
        let problem = if !is_name(was) {
            "is not a possible name"
        } else if taken.contains(was) {
            "is still in use"
        } else if !former.insert(was) {
            "is claimed twice"
        } else {
            continue;
        };
        errors.add(place(), ManifestProblem::Was { name: shown(was), problem });
    }
}

struct Context<'c> {
    type_name: &'c str,
    definitions: &'c Definitions,
    limits: &'c ManifestLimits,
    /// Parts of all types that were resolved so far.
    parts: &'c mut usize,
    errors: &'c mut Errors,
}

impl Context<'_> {
    fn attribute(&mut self, attribute: &Attribute, persistent: bool) -> Structure {
        let type_name = self.type_name;
        let place = || format!("attribute `{type_name}.{}`", shown(&attribute.name));
        for problem in flag_problems(attribute.flags, persistent) {
            self.errors.add(place(), problem);
        }
        let found = attribute.initial.len();
        let structure = match self.resolve(&attribute.type_text) {
            Ok(structure) => structure,
            Err(error) => {
                self.errors.add(place(), ManifestProblem::Type(error));
                return Structure::UNIT;
            }
        };
        if *self.parts > self.limits.type_parts {
            return structure;
        }
        let shown_secret = (attribute.flags.client || attribute.flags.all_clients) && structure.has_secret();
        self.errors.add_if(shown_secret, place, || ManifestProblem::SecretForClients);
        if found > VALUE_BYTES_MAX {
            self.errors.add(place(), ManifestProblem::InitialTooLong { found });
        } else if let Err(error) = check_value(&structure, &attribute.initial) {
            let type_text = attribute.type_text.clone();
            self.errors.add(place(), ManifestProblem::Initial { type_text, error });
        }
        structure
    }

    fn method(&mut self, method: &Method) -> CheckedMethod {
        let place = format!("method `{}.{}`", self.type_name, shown(&method.name));
        let for_clients = matches!(method.exposure, Exposure::OwnClient | Exposure::AllClients);
        let rate_is_idle = method.calls_per_minute > 0 && !for_clients;
        self.errors.add_if(rate_is_idle, || place.clone(), || ManifestProblem::RateWithoutClients);
        let returns = self.resolve(&method.returns).unwrap_or_else(|error| {
            self.errors.add(format!("result of {place}"), ManifestProblem::Type(error));
            Structure::UNIT
        });
        self.errors.add_if(
            returns.has_secret(),
            || format!("result of {place}"),
            || ManifestProblem::SecretResult,
        );
        CheckedMethod { parameters: self.parameters(&place, &method.parameters), returns }
    }

    fn client_method(&mut self, method: &ClientMethod) -> Vec<Member> {
        let place = format!("client method `{}.{}`", self.type_name, shown(&method.name));
        let members = self.parameters(&place, &method.parameters);
        let shown_secret = members.iter().any(|member| member.structure.has_secret());
        self.errors.add_if(shown_secret, || place, || ManifestProblem::SecretForClients);
        members
    }

    fn parameters(&mut self, place: &str, parameters: &[Field]) -> Vec<Member> {
        check_names(place, "parameter", parameters, self.limits.fields, self.errors);
        let mut members = Vec::new();
        for parameter in parameters.iter().take(self.limits.fields) {
            match self.resolve(&parameter.type_text) {
                Ok(structure) => members.push(Member { name: parameter.name.clone(), structure }),
                Err(error) => {
                    let part = format!("parameter `{}` of {place}", shown(&parameter.name));
                    self.errors.add(part, ManifestProblem::Type(error));
                }
            }
        }
        members
    }

    fn resolve(&mut self, text: &str) -> Result<Structure, ResolveError> {
        // Once there are too many, no more memory goes into them; the caller reports it.
        if *self.parts > self.limits.type_parts {
            return Ok(Structure::UNIT);
        }
        let (structure, parts) = self.definitions.resolve(&text.parse()?)?;
        *self.parts += parts;
        Ok(structure)
    }
}

fn flag_problems(flags: AttributeFlags, persistent: bool) -> impl Iterator<Item = ManifestProblem> {
    let AttributeFlags { client, all_clients, persistent: stored, volatile, secret } = flags;
    let contradiction = |one, other| ManifestProblem::Contradiction { one, other };
    [
        (stored && !persistent)
            .then_some(ManifestProblem::Flag { flag: "persistent", needs: "a persistent type" }),
        (stored && volatile).then(|| contradiction("persistent", "volatile")),
        (secret && client).then(|| contradiction("secret", "client")),
        (secret && all_clients).then(|| contradiction("secret", "all-clients")),
    ]
    .into_iter()
    .flatten()
}
