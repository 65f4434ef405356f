//! What a gate knows of the modules that can be played: the newest schema of each, encoded once,
//! and which method is exposed to whom.

use bytes::Bytes;
use everwake_protocol::client::ServerFrame;
use everwake_protocol::limits::SCHEMA_BYTES_MAX;
use everwake_protocol::schema::Schema;
use indexmap::IndexMap;
use std::collections::BTreeMap;

/// One method that clients may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exposed {
    /// Small id of its type.
    pub(crate) type_id: u32,
    /// Every client that sees the entity, not its own alone.
    pub(crate) all_clients: bool,
    /// 0 = the gate's default.
    pub(crate) calls_per_minute: u32,
    /// The head version still has it.
    pub(crate) live: bool,
}

/// One module.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) generation: u32,
    /// The frame, whole.
    pub(crate) frame: Bytes,
    methods: BTreeMap<u32, Exposed>,
}

impl Module {
    /// The rule for a method; none: nobody may call it.
    pub(crate) fn method(&self, method: u32) -> Option<Exposed> {
        self.methods.get(&method).copied()
    }
}

/// All modules, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    by_name: IndexMap<String, Module>,
}

impl Modules {
    /// Takes a schema. False if it is too large to be sent or older than what is here.
    pub(crate) fn insert(&mut self, schema: &Schema) -> bool {
        let encoded = schema.encode();
        let known = self.by_name.get(&schema.module);
        if encoded.len() > SCHEMA_BYTES_MAX || known.is_some_and(|known| known.generation > schema.generation)
        {
            return false;
        }
        let mut methods = BTreeMap::new();
        for kind in &schema.types {
            for method in &kind.methods {
                let exposed = Exposed {
                    type_id: kind.id,
                    all_clients: method.all_clients,
                    calls_per_minute: method.calls_per_minute,
                    live: method.live && kind.live,
                };
                methods.insert(method.id, exposed);
            }
        }
        let frame = ServerFrame::Schema { schema: encoded }.to_bytes();
        self.by_name.insert(schema.module.clone(), Module { generation: schema.generation, frame, methods });
        true
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Module> {
        self.by_name.get(name)
    }

    /// The module that a greeting asks for; an empty name asks for the first.
    pub(crate) fn choose(&self, name: &str) -> Option<&str> {
        if name.is_empty() {
            return self.by_name.keys().next().map(String::as_str);
        }
        self.by_name.get_key_value(name).map(|(name, _)| name.as_str())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}
