//! The macros of `everwake`. Each checks what was written, says in one sentence what is wrong
//! with it, and otherwise writes plain code against `everwake::sdk`. They know Rust's syntax;
//! what a type means is left to the traits of the SDK.

use proc_macro::TokenStream;

mod attr_type;
mod client_methods;
mod entity;
mod handlers;
mod methods;
mod module;
mod on;
mod options;
mod signature;

/// Makes a struct an entity: its fields are the attributes, and nothing else is state.
///
/// Options: `persistent`, `boot`, `aoi = 30.0`, `tick = "10 Hz"`, `sleep = unwatched`,
/// `schema = 2`, `client = AvatarClient`. A field's: `#[attr(client | all_clients, persistent,
/// volatile, secret, was = "old", default = expr)]`, or `#[cache]` for a `Cache<T>`.
#[proc_macro_attribute]
pub fn entity(options: TokenStream, item: TokenStream) -> TokenStream {
    finish(entity::expand(entity::Kind::Entity, options.into(), item.into()))
}

/// Makes a struct a space. Options as of `#[entity]`.
#[proc_macro_attribute]
pub fn space(options: TokenStream, item: TokenStream) -> TokenStream {
    finish(entity::expand(entity::Kind::Space, options.into(), item.into()))
}

/// Makes a struct a service: sharded singletons. Options as of `#[entity]`, and `shards = 4`.
/// A shard ticks wherever it is.
#[proc_macro_attribute]
pub fn service(options: TokenStream, item: TokenStream) -> TokenStream {
    finish(entity::expand(entity::Kind::Service, options.into(), item.into()))
}

/// Makes the functions of an impl block handlers: `#[rpc(..)]`, those that `on!` names,
/// `#[tick]`, `#[migrate]`, the hooks by their names, and the constructor `new`.
///
/// Options of `#[rpc]`: `own_client | all_clients | server | operator`, `limit = "5 per min"`,
/// `was = "old"`. One that `on!` names is marked `#[handler(was = "old")]` when it is renamed, so that
/// timers, answers and watches that wait for it find it.
#[proc_macro_attribute]
pub fn methods(_: TokenStream, item: TokenStream) -> TokenStream {
    finish(methods::expand(item.into()))
}

/// Makes a struct or an enum a value that attributes and arguments may have. Adds `Clone`,
/// `Debug` and `PartialEq` unless a `#[derive]` below it does.
#[proc_macro_attribute]
pub fn attr_type(_: TokenStream, item: TokenStream) -> TokenStream {
    finish(attr_type::expand(item.into()))
}

/// Makes a trait the set of methods that clients implement.
#[proc_macro_attribute]
pub fn client_methods(_: TokenStream, item: TokenStream) -> TokenStream {
    finish(client_methods::expand(item.into()))
}

/// Makes the types a module: `module! { name: "chat", types: [Account, Avatar] }`, and
/// optionally `label: "v1"`, `budget: ms(10)`, `memory: mib(32)`, `capabilities: ["key-value"]`.
#[proc_macro]
pub fn module(input: TokenStream) -> TokenStream {
    finish(module::expand(input.into()))
}

/// Names the method that takes an answer: `on!(Self::on_row)`.
#[proc_macro]
pub fn on(input: TokenStream) -> TokenStream {
    finish(on::expand(input.into()))
}

fn finish(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(|error| error.into_compile_error()).into()
}

/// Gathers the mistakes of one item, so that all are told at once.
#[derive(Default)]
struct Mistakes(Option<syn::Error>);

impl Mistakes {
    fn add(&mut self, at: impl quote::ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(at, message));
    }

    fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn check<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    fn finish(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}
