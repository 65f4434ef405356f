//! Benchmarks. Each prints its result beside its baseline, measured in the same run, and their ratio.
//!
//! # Layout
//! - [`report`]: rows, percentiles, clocks.
//! - [`modules`], [`bed`]: components, and a space that runs one under virtual time.
//! - [`call`] with [`native`], [`step`], [`trap`], [`spawn`], [`languages`]: one space in this thread.
//! - [`scale`]: a whole game in this process. [`testkit`], [`soak`]: the same under virtual time.
//! - [`links`]: both ends of a link. [`cluster`]: dispatchers, games and gates in processes of their own, for [`rpc`]
//!   and [`scale`].
//! - [`rpc`], [`chat`], [`idle`], [`swap`]: a server in a process of its own ([`server`], [`echo`], steered
//!   through [`child`]) and clients in this one ([`load`]).
//! - [`storm`]: a cluster of real processes while they die.

mod bed;
mod call;
mod chat;
mod child;
mod cluster;
mod echo;
mod idle;
mod languages;
mod links;
mod load;
mod modules;
mod native;
mod report;
mod rpc;
mod scale;
mod server;
mod soak;
mod spawn;
mod step;
mod storm;
mod swap;
mod testkit;
mod trap;

use anyhow::Result;
use clap::Parser;
use echo::{Answer, Streams};
use report::Report;
use std::path::PathBuf;

/// Measures Everwake, each figure beside its baseline of the same run.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  cargo run --release --bin everwake-bench -- call swap\n  cargo run --release --bin everwake-bench -- --quick --json\n  cargo run --release --bin everwake-bench -- storm --quick\n\nThe storm starts the `everwake` beside this program: build both with the same profile. It ends with an error when somebody sees\nwhat nobody may see, or never recovers. `EVERWAKE_FAULTS='kill -9 g,held'` lets only faults with such a name happen."
)]
struct Arguments {
    /// Which benchmarks; none means all but `storm`, which runs when it is named.
    ids: Vec<String>,
    /// Fewer runs and smaller sizes: all of it within five minutes on two cores.
    #[arg(long)]
    quick: bool,
    /// One line of JSON a row instead of the table.
    #[arg(long)]
    json: bool,
    /// Is a server for another process of this program: this component, or none for a bare echo.
    #[arg(long, hide = true, num_args = 0..=1)]
    serve: Option<Option<PathBuf>>,
    /// Is a bare server that sends what it hears to everybody.
    #[arg(long, hide = true)]
    fan_out: bool,
}

/// One benchmark: its id, what it measures, and the function that does it.
struct Benchmark {
    id: &'static str,
    about: &'static str,
    run: fn(&mut Report) -> Result<()>,
}

/// Those that run only when they are named: no figure of theirs is beside a baseline.
const NAMED_ONLY: &[&str] = &["storm"];

const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        id: "call",
        about: "one event: four attributes read, three written, one message sent",
        run: call::run,
    },
    Benchmark {
        id: "step",
        about: "ticks: 10,000 boids at once; 200 monsters that read 50 players",
        run: step::run,
    },
    Benchmark {
        id: "trap",
        about: "handlers that trap, spin and hoard, and those beside them",
        run: trap::run,
    },
    Benchmark { id: "spawn", about: "entities and spaces: made, destroyed, idle", run: spawn::run },
    Benchmark {
        id: "scale",
        about: "events a second with one worker and with two, with one game and with two",
        run: scale::run,
    },
    Benchmark {
        id: "rpc",
        about: "64 bytes from a client to a handler and back, over QUIC on loopback",
        run: rpc::run,
    },
    Benchmark { id: "chat", about: "one speaks, a thousand hear it, over QUIC on loopback", run: chat::run },
    Benchmark { id: "links", about: "messages between two processes of a cluster", run: links::run },
    Benchmark { id: "languages", about: "the same module in several languages", run: languages::run },
    Benchmark { id: "testkit", about: "tests of a game under virtual time", run: testkit::run },
    Benchmark { id: "soak", about: "a million events of what comes and goes", run: soak::run },
    Benchmark { id: "swap", about: "new versions under load, in a space of 10,000 entities", run: swap::run },
    Benchmark { id: "idle", about: "connections that do nothing", run: idle::run },
    Benchmark { id: "storm", about: "a cluster whose processes die, while people play", run: storm::run },
];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.serve {
        Some(Some(component)) => return server::run(&component),
        Some(None) => return echo::serve(Answer::Echo),
        None if arguments.fan_out => return echo::serve(Answer::FanOut(Streams::default())),
        None => {}
    }
    if let Some(unknown) = arguments.ids.iter().find(|id| !BENCHMARKS.iter().any(|b| b.id == **id)) {
        let known: Vec<_> = BENCHMARKS.iter().map(|b| b.id).collect();
        anyhow::bail!("no benchmark `{unknown}`\nhint: there are {}", known.join(", "));
    }
    let mut report = Report::new(arguments.quick, arguments.json);
    for benchmark in BENCHMARKS {
        let named = arguments.ids.iter().any(|id| id == benchmark.id);
        if named || (arguments.ids.is_empty() && !NAMED_ONLY.contains(&benchmark.id)) {
            report.begin(benchmark.id, benchmark.about);
            (benchmark.run)(&mut report)?;
        }
    }
    report.finish()
}
