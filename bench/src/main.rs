//! Benchmarks. Each prints its result beside its baseline, measured in the same run, and their ratio.

mod report;

use anyhow::Result;
use clap::Parser;
use report::Report;

/// Measures Everwake, each figure beside its baseline of the same run.
#[derive(Parser)]
#[command(after_help = "Examples:\n  cargo run --release -p everwake-bench -- call swap\n  cargo run --release -p everwake-bench -- --quick --json")]
struct Arguments {
    /// Which benchmarks; none means all.
    ids: Vec<String>,
    /// Fewer runs and smaller sizes: all of it within five minutes on two cores.
    #[arg(long)]
    quick: bool,
    /// One line of JSON a row instead of the table.
    #[arg(long)]
    json: bool,
}

/// One benchmark: its id, what it measures, and the function that does it.
struct Benchmark {
    id: &'static str,
    about: &'static str,
    run: fn(&mut Report) -> Result<()>,
}

const BENCHMARKS: &[Benchmark] = &[];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(unknown) = arguments.ids.iter().find(|id| !BENCHMARKS.iter().any(|b| b.id == **id)) {
        let known: Vec<_> = BENCHMARKS.iter().map(|b| b.id).collect();
        anyhow::bail!("no benchmark `{unknown}`\nhint: there are {}", known.join(", "));
    }
    let mut report = Report::new(arguments.quick, arguments.json);
    for benchmark in BENCHMARKS {
        if arguments.ids.is_empty() || arguments.ids.iter().any(|id| id == benchmark.id) {
            report.begin(benchmark.id, benchmark.about);
            (benchmark.run)(&mut report)?;
        }
    }
    report.finish()
}
