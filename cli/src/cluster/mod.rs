//! Clusters: the same cores as `dev` has in one process, each in a process of its own.
//!
//! # Layout
//! - [`config`]: the one file that describes a cluster. [`check`]: says whether it does; [`certs`]: certificates for it.
//! - [`process`]: what every process has: its folder, its life, its log, its signals.
//! - [`dispatcher`], [`game`], [`gate`]: the three roles.

pub mod certs;
pub mod check;
pub mod config;
pub mod dispatcher;
pub mod game;
pub mod gate;
pub mod process;

use clap::Args;
use std::path::PathBuf;

/// Which process of which cluster.
#[derive(Debug, Args)]
pub struct Which {
    /// The file that describes the cluster.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Name of the process among those of its role.
    #[arg(long)]
    pub name: String,
}
