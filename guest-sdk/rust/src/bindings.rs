//! What `wit/` becomes in Rust. Native builds use its types only; the functions are the
//! mock's there (see `host.rs`).
#![allow(
    missing_docs,
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]

wit_bindgen::generate!({
    // The one copy of the contract; relative to this crate, so it is found from any project
    // that depends on it by path or by git.
    path: "../../wit",
    world: "module",
    pub_export_macro: true,
    export_macro_name: "__export_module",
    default_bindings_module: "everwake::bindings",
});

/// The exports of a component, over any module.
pub struct Component<M>(std::marker::PhantomData<M>);

impl<M: crate::module::Module> exports::everwake::game::logic::Guest for Component<M> {
    fn describe() -> exports::everwake::game::logic::Manifest {
        crate::module::describe_module::<M>()
    }

    fn handle(e: exports::everwake::game::logic::Event) -> Result<(), exports::everwake::game::logic::Error> {
        crate::module::handle::<M>(e)
    }

    fn forget(entities: Vec<everwake::game::types::Id>) {
        crate::module::forget(&entities);
    }

    fn snapshot(entity: everwake::game::types::Id) -> Option<Vec<u8>> {
        crate::module::snapshot(entity)
    }

    fn migrate(
        type_index: u32,
        from_schema: u32,
        to_schema: u32,
        state: Vec<u8>,
    ) -> Result<Vec<u8>, exports::everwake::game::logic::Error> {
        crate::module::migrate::<M>(type_index, from_schema, to_schema, &state)
    }
}
