//! What `connect` prints: entities, changes, calls, answers. By the schema's names and types.

use crate::ids;
use crate::values::{Definitions, decode, inline};
use everwake_protocol::EntityId;
use everwake_protocol::cbor::Reader;
use everwake_protocol::client::Pose;
use everwake_protocol::schema::{MethodSchema, Schema, TypeSchema};
use serde_json::Value;

/// Longest value on a line that lists entities.
const VALUE_CHARS_MAX: usize = 60;

/// A schema and its definitions, read once.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// As the server sent it.
    pub schema: Schema,
    /// By name.
    pub definitions: Definitions,
}

impl Names {
    /// Of a schema.
    pub fn new(schema: Schema) -> Self {
        let definitions = Definitions::new(&schema.definitions);
        Names { schema, definitions }
    }

    /// A type by small id.
    pub fn type_of(&self, id: u32) -> Option<&TypeSchema> {
        self.schema.types.iter().find(|it| it.id == id)
    }

    /// Name of a type.
    pub fn type_name(&self, id: u32) -> String {
        self.type_of(id).map_or_else(|| format!("type {id}"), |it| it.name.clone())
    }

    /// A live method of a type that clients may call.
    pub fn method(&self, type_id: u32, name: &str) -> Option<&MethodSchema> {
        self.type_of(type_id)?.methods.iter().find(|it| it.live && it.name == name)
    }

    /// Arguments of a call of a client method. Methods of other types count too, since the mirror may
    /// be gone already.
    pub fn arguments(&self, type_id: Option<u32>, method: &str, args: &[u8]) -> Vec<Value> {
        let named = |it: &'_ &MethodSchema| it.name == method;
        let own = type_id.and_then(|id| self.type_of(id)).and_then(|it| it.client_methods.iter().find(named));
        let any = || self.schema.types.iter().flat_map(|it| &it.client_methods).find(named);
        let parameters = own.or_else(any).map(|it| it.parameters.as_slice()).unwrap_or_default();
        let mut reader = Reader::new(args);
        let count = reader.array().unwrap_or(0);
        let mut values = Vec::new();
        for place in 0..count {
            let Ok(item) = reader.item() else { break };
            let type_text = parameters.get(place).map_or("any", |it| it.type_text.as_str());
            values.push(decode(item, type_text, &self.definitions));
        }
        values
    }

    /// What can be called on a type, a line each: by its own client everything, by others what is for all.
    pub fn methods(&self, type_id: u32, own: bool) -> Vec<String> {
        let Some(found) = self.type_of(type_id) else { return Vec::new() };
        let callable = found.methods.iter().filter(|it| it.live && (own || it.all_clients));
        callable
            .map(|it| {
                let who = if it.all_clients { "  (every client)" } else { "" };
                format!("{}{who}", method_line(it))
            })
            .collect()
    }
}

/// A method with the names and types of its parameters.
pub fn method_line(method: &MethodSchema) -> String {
    let parameters: Vec<String> =
        method.parameters.iter().map(|it| format!("{}: {}", it.name, it.type_text)).collect();
    let returns = if method.returns == "unit" { String::new() } else { format!(" -> {}", method.returns) };
    format!("{}({}){returns}", method.name, parameters.join(", "))
}

/// Names and values below each other, the values aligned, indented.
pub fn aligned(pairs: &[(&str, String)], between: &str) -> Vec<String> {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    pairs.iter().map(|(name, value)| format!("  {name:<width$}{between}{value}")).collect()
}

/// A call as `name(args)`.
pub fn call_line(name: &str, args: &[Value]) -> String {
    format!("{name}({})", args.iter().map(inline).collect::<Vec<_>>().join(", "))
}

/// The start of an id, as people say it.
pub fn short_id(id: EntityId) -> String {
    ids::short(&id.to_string()).to_owned()
}

/// An entity on one line.
pub fn entity_line(
    id: EntityId,
    type_name: &str,
    own: bool,
    pose: Option<Pose>,
    attributes: &[String],
) -> String {
    let mut text = format!("{} {type_name}", short_id(id));
    if own {
        text.push_str(" (own)");
    }
    if let Some(pose) = pose {
        text.push_str(&format!(" at {:.1} {:.1}", pose.x, pose.z));
    }
    let cut: Vec<String> = attributes.iter().map(|it| shorten(it)).collect();
    if !cut.is_empty() {
        text.push_str(": ");
        text.push_str(&cut.join(", "));
    }
    text
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(VALUE_CHARS_MAX).chain(['…']).collect()
}

/// Text of a peer without anything that steers a terminal.
pub fn harmless(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use everwake_protocol::cbor;
    use everwake_protocol::id::Id;
    use everwake_protocol::schema::Field;
    use expect_test::expect;

    fn names() -> Names {
        let field = |name: &str, type_text: &str| Field { name: name.into(), type_text: type_text.into() };
        let method = |id, name: &str, parameters, returns: &str| MethodSchema {
            id,
            name: name.into(),
            parameters,
            returns: returns.into(),
            live: true,
            ..MethodSchema::default()
        };
        let avatar = TypeSchema {
            id: 1,
            name: "Avatar".into(),
            live: true,
            attributes: Vec::new(),
            methods: vec![
                method(5, "say", vec![field("text", "string")], "u64"),
                method(6, "rest", vec![], "unit"),
            ],
            client_methods: vec![method(
                9,
                "said",
                vec![field("who", "string"), field("seq", "u64")],
                "unit",
            )],
        };
        Names::new(Schema { module: "chat".into(), types: vec![avatar], ..Schema::default() })
    }

    #[test]
    fn calls_have_their_names_and_types() {
        let names = names();
        let mut args = Vec::new();
        cbor::array(&mut args, 2);
        cbor::text(&mut args, "Ada");
        cbor::uint(&mut args, 3);
        let line = |type_id, method, args: &[u8]| call_line(method, &names.arguments(type_id, method, args));
        assert_eq!(line(Some(1), "said", &args), "said(\"Ada\", 3)");
        assert_eq!(line(None, "said", &args), "said(\"Ada\", 3)", "also for a mirror that is gone");
        assert_eq!(line(Some(1), "unheard", &args), "unheard(\"Ada\", 3)");
        assert_eq!(line(Some(1), "said", &[0xff]), "said()");
    }

    #[test]
    fn methods_are_listed_with_their_types() {
        assert_eq!(names().methods(1, true), ["say(text: string) -> u64", "rest()"]);
        assert!(names().methods(1, false).is_empty(), "none is for all");
        assert!(names().methods(99, true).is_empty());
    }

    #[test]
    fn values_are_aligned() {
        let pairs = [("hp", "3".into()), ("name", "Ada".into())];
        assert_eq!(aligned(&pairs, " = "), ["  hp   = 3", "  name = Ada"]);
    }

    #[test]
    fn an_entity_is_one_line() {
        let id = EntityId(Id([0, 0, 0, 1]));
        let line = entity_line(
            id,
            "Avatar",
            true,
            Some(Pose { x: 1.0, z: 2.25, ..Pose::default() }),
            &["hp = 3".into(), "x".repeat(100)],
        );
        expect!["00000000 Avatar (own) at 1.0 2.2: hp = 3, xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"].assert_eq(&line);
    }

    #[test]
    fn a_peer_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\x1b[2Jb"), "a\u{fffd}[2Jb");
    }
}
