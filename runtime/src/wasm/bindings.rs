//! The one `bindgen!` of the host: types and traits made from `wit/`.
//!
//! Nothing outside of [`crate::wasm`] sees them; everybody else speaks [`crate::guest`].
#![allow(missing_docs, reason = "generated from wit/, which has the documentation")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "module",
    imports: { default: trappable },
    ownership: Borrowing { duplicate_if_necessary: true },
});
