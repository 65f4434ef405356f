//! `call`: what one event costs, through a module and through the same handlers natively, in the
//! same space with the same entities.

use crate::bed::{Bed, integers};
use crate::modules::{self, AVATAR, BARE, Instances, Loaded};
use crate::native::{ATTRIBUTES, METHODS, NativeSource};
use crate::report::{Line, Report, median};
use anyhow::{Result, ensure};
use everwake_protocol::client::Pose;
use everwake_runtime::guest::GuestSource;
use everwake_runtime::space::CommitVerdict;
use everwake_runtime::wasm::EngineConfig;

const ENTITIES: u32 = 1_000;

/// Medians in ns, by method: of the empty and of the full handler.
struct Cost {
    nothing: f64,
    full: f64,
}

struct Setup {
    bed: Bed,
    runs: usize,
    events: usize,
}

pub fn run(report: &mut Report) -> Result<()> {
    let engine = modules::engine(EngineConfig::default())?;
    let Loaded { mut guests, version } = AVATAR.load(&engine)?;
    let mut bed = Bed::new(&version, 0);
    let place = |number| Pose { x: number as f32, ..Pose::default() };
    bed.populate("Avatar", ENTITIES, &[7], place, &mut guests);
    let mut setup = Setup {
        bed,
        runs: if report.quick { 7 } else { 15 },
        events: if report.quick { 20_000 } else { 100_000 },
    };
    setup.check_numbers(&version.manifest)?;
    report.note(&format!(
        "{ENTITIES} entities of 15 attributes, thread CPU time, median of {} runs of {} events after one to warm up",
        setup.runs, setup.events
    ));
    let native = setup.both(&mut NativeSource)?;
    let bare = setup.both(&mut Instances(BARE.load_only(&engine)?))?;
    let sdk = setup.both(&mut guests)?;
    let runs = setup.runs;
    report.row("native, empty handler", native.nothing, "ns", None, None, runs);
    report.row("native, full handler", native.full, "ns", None, None, runs);
    report.row("bare module, empty handler", bare.nothing, "ns", Some(native.nothing), None, runs);
    report.row(
        "bare module, full handler",
        bare.full,
        "ns",
        Some(native.full),
        Some(Line::RatioAtMost(4.5)),
        runs,
    );
    report.row("SDK module, empty handler", sdk.nothing, "ns", Some(native.nothing), None, runs);
    report.row(
        "SDK module, full handler",
        sdk.full,
        "ns",
        Some(native.full),
        Some(Line::RatioAtMost(6.0)),
        runs,
    );
    let rate = |cost: f64| 1e9 / cost.max(1.0);
    report.row(
        "bare module, full handler",
        rate(bare.full),
        "events/s/core",
        Some(rate(native.full)),
        Some(Line::AtLeast(1e6)),
        runs,
    );
    report.row(
        "SDK module, full handler",
        rate(sdk.full),
        "events/s/core",
        Some(rate(native.full)),
        Some(Line::AtLeast(1e6)),
        runs,
    );
    report.note("beside the SDK module's full handler:");
    let seen = setup.median("seen", &mut guests)?;
    report.row("the same, one attribute more that clients see", seen, "ns", Some(sdk.full), None, runs);
    let trade = setup.median("trade", &mut guests)?;
    report.row("map entry, enum and nested item instead", trade, "ns", Some(sdk.full), None, runs);
    Ok(())
}

impl Setup {
    /// The native and the bare handlers know attributes and methods by number.
    fn check_numbers(&self, manifest: &everwake_runtime::manifest::Manifest) -> Result<()> {
        for (number, method) in METHODS.iter().enumerate() {
            ensure!(self.bed.place_of("Avatar", method)? == number, "`{method}` has another number");
        }
        let avatar = manifest.types.iter().find(|declared| declared.name == "Avatar");
        let attributes =
            avatar.map(|avatar| avatar.attributes.iter().take(ATTRIBUTES.len()).map(|it| it.name.as_str()));
        ensure!(attributes.is_some_and(|found| found.eq(ATTRIBUTES)), "attributes have other numbers");
        Ok(())
    }

    fn both(&mut self, guests: &mut dyn GuestSource) -> Result<Cost> {
        Ok(Cost { nothing: self.median("nothing", guests)?, full: self.median("full", guests)? })
    }

    fn median(&mut self, method: &str, guests: &mut dyn GuestSource) -> Result<f64> {
        // Another guest may have run here before.
        self.bed.core.rest();
        let method = self.bed.method("Avatar", method)?;
        let args = integers(&[37]);
        self.bed.cost(method, &args, self.events.min(20_000), guests);
        let last = self.bed.core.commits().last();
        ensure!(last.is_some_and(|commit| commit.verdict == CommitVerdict::Done), "the handler fails");
        let mut costs: Vec<f64> =
            (0..self.runs).map(|_| self.bed.cost(method, &args, self.events, guests)).collect();
        Ok(median(&mut costs))
    }
}
