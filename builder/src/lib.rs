//! Builds the source of a module into a component, and makes the source of new modules.
//!
//! Runs cargo and knows the linker that makes components; knows nothing of what is in a module.
//! Used by the command line, the testkit, tests and benches.
//!
//! # Layout
//! - [`build`], [`Build`]: from a folder to the bytes of a component.
//! - [`profile_of`]: how a component was built.
//! - [`Toolchain`]: where compiler, target and linker are.
//! - [`new_project`]: a folder that builds.

mod build;
mod cargo;
mod error;
mod mark;
mod project;
mod toolchain;

pub use build::{Build, Built, Profile, Progress, build};
pub use error::BuildError;
pub use mark::profile_of;
pub use project::{NewProjectError, SdkSource, new_project};
pub use toolchain::Toolchain;
