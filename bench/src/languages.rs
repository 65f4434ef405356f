//! `languages`: the same module in several languages: its size, what an instance costs, and what one event costs.
//!
//! The components of other languages than Rust are built before by `tests/guests`; what is not there has no row.

use crate::bed::Bed;
use crate::modules::{self, Loaded, PROBE};
use crate::report::{Report, median, thread_cpu};
use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use everwake_protocol::cbor;
use everwake_protocol::client::Pose;
use everwake_runtime::space::CommitVerdict;
use everwake_runtime::wasm::{Engine, EngineConfig, Loader};
use std::sync::Arc;

const ENTITIES: u32 = 100;
const OTHERS: [&str; 2] = ["c", "javascript"];

pub fn run(report: &mut Report) -> Result<()> {
    let engine = modules::engine(EngineConfig::default())?;
    report.note("tests/modules/probe: an event of an entity in a space of 100, thread CPU time");
    let rust = measure(report, &engine, "rust", PROBE.build()?, None)?;
    for language in OTHERS {
        let file = modules::root().join(format!("target/guests/probe-{language}.wasm"));
        match std::fs::read(&file) {
            Ok(bytes) => {
                measure(report, &engine, language, bytes.into(), Some(&rust))?;
            }
            Err(error) => report.note(&format!("{language}: `{}`: {error}", file.display())),
        }
    }
    Ok(())
}

/// Medians, in the units of the rows.
struct Figures {
    kilobytes: f64,
    instance: f64,
    nothing: f64,
    layers: f64,
    poke: f64,
}

fn measure(
    report: &mut Report,
    engine: &Arc<Engine>,
    language: &str,
    bytes: Bytes,
    baseline: Option<&Figures>,
) -> Result<Figures> {
    let runs = if report.quick { 7 } else { 15 };
    let kilobytes = bytes.len() as f64 / 1e3;
    let loaded = Loader::new(engine.clone()).load(&bytes).with_context(|| language.to_owned())?;
    let mut instances = Vec::new();
    for _ in 0..10 * runs {
        let begin = thread_cpu();
        drop(loaded.instantiate().map_err(|trap| anyhow!("{language}: {}", trap.message))?);
        instances.push((thread_cpu() - begin).as_secs_f64() * 1e6);
    }
    let Loaded { mut guests, version } = modules::first_version(loaded)?;
    let mut bed = Bed::new(&version, 0);
    bed.populate("Actor", ENTITIES, &[], |_| Pose::default(), &mut guests);
    let mut cost = |method: &str, texts: &[&str], events: usize| -> Result<f64> {
        let (method, args) = (bed.method("Actor", method)?, texts_as_args(texts));
        bed.cost(method, &args, events, &mut guests);
        let last = bed.core.commits().last().map(|commit| commit.verdict);
        ensure!(last == Some(CommitVerdict::Done), "{language}: the handler ends as {last:?}");
        let mut costs: Vec<f64> = (0..runs).map(|_| bed.cost(method, &args, events, &mut guests)).collect();
        Ok(median(&mut costs))
    };
    let figures = Figures {
        kilobytes,
        instance: median(&mut instances),
        nothing: cost("probe", &["nothing", "done"], 1_000)?,
        layers: cost("probe", &["spaces.set-layers", "done"], 1_000)?,
        // The list grows by an item each time, so these are few.
        poke: cost("poke", &["hello"], ENTITIES as usize)?,
    };
    let mut row = |what: &str, unit: &'static str, of: fn(&Figures) -> f64| {
        report.row(&format!("{language}, {what}"), of(&figures), unit, baseline.map(of), None, runs);
    };
    row("component", "kB", |it| it.kilobytes);
    row("an instance, made and dropped", "us", |it| it.instance);
    row("a call that does nothing", "ns", |it| it.nothing);
    row("a call that asks the host for one thing", "ns", |it| it.layers);
    row("a call that appends to a list", "ns", |it| it.poke);
    Ok(figures)
}

/// Arguments: an array of texts.
fn texts_as_args(texts: &[&str]) -> Bytes {
    let mut args = Vec::new();
    cbor::array(&mut args, texts.len());
    texts.iter().for_each(|text| cbor::text(&mut args, text));
    args.into()
}
