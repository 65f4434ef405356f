//! The end of a swarm: numbers, a table for people, JSON for programs.

use super::check::Violation;
use serde::Serialize;
use std::collections::BTreeMap;

/// How far around a swap a call counts as before or after it.
pub const NEAR_MS: u64 = 100;

/// One call: when it was answered, and how long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Milliseconds since the swarm started.
    pub at_ms: u64,
    /// Microseconds from call to answer.
    pub took_us: u64,
}

/// What one bot brings home.
#[derive(Clone, Debug, Default)]
pub struct BotResult {
    /// Its name.
    pub name: String,
    /// Messages that it said and that were answered.
    pub said: u64,
    /// Messages that it was told.
    pub told: u64,
    /// Versions that it met.
    pub versions: usize,
    /// Its calls.
    pub samples: Vec<Sample>,
    /// How often its connection was lost and it came again.
    pub lost: u64,
    /// Calls that it made around publications, at a steady rate.
    pub probes: Vec<Sample>,
    /// The first violations.
    pub violations: Vec<Violation>,
    /// All violations, by name.
    pub counts: BTreeMap<&'static str, u64>,
    /// When each generation was announced to it, ms since the start.
    pub announced: Vec<(u32, u64)>,
}

/// One publication made by the swarm itself.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct Swap {
    /// Milliseconds since the swarm started.
    pub at_ms: u64,
    /// Rises with each.
    pub generation: u32,
    /// Half of the spaces paused shorter, ms.
    pub pause_p50_ms: f64,
    /// 99 of 100 spaces paused shorter, ms.
    pub pause_p99_ms: f64,
    /// Longest pause of a space, ms.
    pub pause_max_ms: f64,
}

/// All of it.
#[derive(Clone, Debug, Default, Serialize, PartialEq)]
pub struct Report {
    /// Bots that ran.
    pub bots: usize,
    /// Rooms that they were in.
    pub rooms: usize,
    /// Milliseconds from the first word to the last.
    pub duration_ms: u64,
    /// Messages said and answered.
    pub said: u64,
    /// Messages told, to all bots together.
    pub told: u64,
    /// Calls answered.
    pub calls: usize,
    /// Connections that were lost, and begun again.
    pub connections_lost: u64,
    /// Latency of calls.
    pub rpc: Percentiles,
    /// Latency of probes that were answered in the 100 ms before a swap.
    pub rpc_before_swaps: Percentiles,
    /// Latency of probes that were answered in the 100 ms after a swap.
    pub rpc_after_swaps: Percentiles,
    /// Fewest and most versions that a bot met.
    pub versions_seen: (usize, usize),
    /// Publications made meanwhile.
    pub swaps: Vec<Swap>,
    /// The p99 of each publication's pauses, ms.
    pub pause_ms: Percentiles,
    /// Publications that failed, a sentence each.
    pub swaps_failed: Vec<String>,
    /// Violations by name; empty if all is well.
    pub violations: BTreeMap<String, u64>,
    /// The first of them, with the bot's name.
    pub examples: Vec<String>,
}

/// Of some numbers: ms.
#[derive(Clone, Copy, Debug, Default, Serialize, PartialEq)]
pub struct Percentiles {
    pub count: usize,
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Percentiles {
    /// Of some numbers, in any order.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = ((values.len() as f64 * share).ceil() as usize).saturating_sub(1);
            values.get(place).copied().unwrap_or(0.0)
        };
        Percentiles { count: values.len(), p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

fn latency<'a>(samples: impl Iterator<Item = &'a Sample>) -> Percentiles {
    Percentiles::of(samples.map(|it| it.took_us as f64 / 1000.0).collect())
}

/// Most violations that are told one by one.
const EXAMPLES_MAX: usize = 20;

impl Report {
    /// Sums the bots up, of which `losses` connections may get lost.
    pub fn new(
        (rooms, losses): (usize, u64),
        duration_ms: u64,
        results: &[BotResult],
        swaps: Vec<Swap>,
        swaps_failed: Vec<String>,
    ) -> Self {
        let samples: Vec<&Sample> = results.iter().flat_map(|it| &it.samples).collect();
        let probes: Vec<&Sample> = results.iter().flat_map(|it| &it.probes).collect();
        let around = |near: &dyn Fn(&Swap, u64) -> bool| {
            latency(probes.iter().copied().filter(|it| swaps.iter().any(|swap| near(swap, it.at_ms))))
        };
        let mut violations: BTreeMap<String, u64> = BTreeMap::new();
        for (name, count) in results.iter().flat_map(|it| &it.counts) {
            *violations.entry((*name).to_owned()).or_default() += count;
        }
        if !swaps_failed.is_empty() {
            violations.insert("publications failed".to_owned(), swaps_failed.len() as u64);
        }
        let connections_lost = results.iter().map(|it| it.lost).sum();
        if connections_lost > losses {
            *violations.entry("disconnected".to_owned()).or_default() += connections_lost - losses;
        }
        let told = results
            .iter()
            .flat_map(|it| it.violations.iter().map(move |violation| format!("`{}`: {violation}", it.name)));
        let seen = results.iter().map(|it| it.versions);
        Report {
            bots: results.len(),
            rooms,
            duration_ms,
            said: results.iter().map(|it| it.said).sum(),
            told: results.iter().map(|it| it.told).sum(),
            calls: samples.len(),
            connections_lost,
            rpc: latency(samples.iter().copied()),
            rpc_before_swaps: around(&|swap, at_ms| {
                (swap.at_ms.saturating_sub(NEAR_MS)..swap.at_ms).contains(&at_ms)
            }),
            rpc_after_swaps: around(&|swap, at_ms| (swap.at_ms..swap.at_ms + NEAR_MS).contains(&at_ms)),
            versions_seen: (seen.clone().min().unwrap_or(0), seen.max().unwrap_or(0)),
            pause_ms: Percentiles::of(swaps.iter().map(|it| it.pause_p99_ms).collect()),
            swaps,
            examples: swaps_failed.iter().cloned().chain(told).take(EXAMPLES_MAX).collect(),
            swaps_failed,
            violations,
        }
    }

    /// True if nothing was violated and something was said.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty() && self.said > 0
    }

    /// For people.
    pub fn table(&self) -> String {
        let row = |name: &str, value: String| format!("{name:<26}{value}");
        let spread = |it: &Percentiles| {
            format!("p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms ({})", it.p50, it.p99, it.max, it.count)
        };
        // Of fewer than a hundred the p99 is the longest one by another name.
        let of_probes = |it: &Percentiles| match it.count {
            100.. => format!("{} probes", spread(it)),
            _ => {
                format!("p50 {:.2} ms, max {:.2} ms ({}), too few probes for a p99", it.p50, it.max, it.count)
            }
        };
        let mut lines = vec![
            row(
                "bots, rooms, time",
                format!("{}, {}, {:.1} s", self.bots, self.rooms, self.duration_ms as f64 / 1000.0),
            ),
            row("said, told", format!("{}, {}", self.said, self.told)),
            row("rpc", spread(&self.rpc)),
            row("versions met by a bot", format!("{} to {}", self.versions_seen.0, self.versions_seen.1)),
        ];
        if self.connections_lost > 0 {
            lines.push(row("lost, and came again", self.connections_lost.to_string()));
        }
        if !self.swaps.is_empty() {
            lines.push(row("publications", self.swaps.len().to_string()));
            lines.push(row("pause (p99 of a swap)", spread(&self.pause_ms)));
            lines.push(row("rpc 100 ms before a swap", of_probes(&self.rpc_before_swaps)));
            lines.push(row("rpc 100 ms after a swap", of_probes(&self.rpc_after_swaps)));
        }
        if self.violations.is_empty() {
            lines.push(row("violations", "none".to_owned()));
        }
        for (name, count) in &self.violations {
            lines.push(row(name, count.to_string()));
        }
        lines.extend(self.examples.iter().map(|it| format!("  {it}")));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn bot(name: &str) -> BotResult {
        let samples = vec![
            Sample { at_ms: 950, took_us: 1000 },
            Sample { at_ms: 1050, took_us: 3000 },
            Sample { at_ms: 5000, took_us: 2000 },
        ];
        let probes =
            (900..1100).map(|at_ms| Sample { at_ms, took_us: if at_ms < 1000 { 900 } else { 3000 } });
        let probes = probes.collect();
        BotResult {
            name: name.into(),
            said: 3,
            told: 6,
            versions: 2,
            samples,
            probes,
            ..BotResult::default()
        }
    }

    fn swaps() -> Vec<Swap> {
        vec![Swap { at_ms: 1000, generation: 2, pause_p50_ms: 0.1, pause_p99_ms: 0.5, pause_max_ms: 0.9 }]
    }

    #[test]
    fn a_good_run_is_summed_up() {
        let report = Report::new((1, 0), 5000, &[bot("a"), bot("b")], swaps(), vec![]);
        assert!(report.is_good());
        expect![[r#"
            bots, rooms, time         2, 1, 5.0 s
            said, told                6, 12
            rpc                       p50 2.00 ms, p99 3.00 ms, max 3.00 ms (6)
            versions met by a bot     2 to 2
            publications              1
            pause (p99 of a swap)     p50 0.50 ms, p99 0.50 ms, max 0.50 ms (1)
            rpc 100 ms before a swap  p50 0.90 ms, p99 0.90 ms, max 0.90 ms (200) probes
            rpc 100 ms after a swap   p50 3.00 ms, p99 3.00 ms, max 3.00 ms (200) probes
            violations                none"#]]
        .assert_eq(&report.table());
    }

    #[test]
    fn violations_and_failed_publications_make_it_bad() {
        let mut bad = bot("a");
        bad.violations.push(Violation::Doubled { seq: 7 });
        bad.counts.insert("doubled", 3);
        let report = Report::new((1, 0), 5000, &[bad], vec![], vec!["The version is refused.".into()]);
        assert!(!report.is_good());
        let table = report.table();
        assert!(
            table.contains("doubled                   3")
                && table.contains("`a`: message 7 of the room came twice"),
            "{table}"
        );
        assert!(table.contains("The version is refused."));
    }

    #[test]
    fn a_handful_of_probes_has_no_p99() {
        let mut few = bot("a");
        few.probes.truncate(150);
        let table = Report::new((1, 0), 5000, &[few], swaps(), vec![]).table();
        assert!(
            table.contains("before a swap  p50 0.90 ms, p99 0.90 ms, max 0.90 ms (100) probes"),
            "{table}"
        );
        assert!(
            table.contains("after a swap   p50 3.00 ms, max 3.00 ms (50), too few probes for a p99"),
            "{table}"
        );
    }

    #[test]
    fn so_many_connections_may_be_lost_and_no_more() {
        let report =
            |losses| Report::new((1, losses), 5000, &[BotResult { lost: 2, ..bot("a") }], vec![], vec![]);
        assert!(report(2).is_good() && !report(1).is_good());
        assert_eq!(report(1).violations["disconnected"], 1);
        assert!(report(2).table().contains("lost, and came again      2"), "{}", report(2).table());
    }

    #[test]
    fn nothing_said_is_no_success() {
        assert!(!Report::new((0, 0), 0, &[], vec![], vec![]).is_good());
        assert_eq!(Percentiles::of(vec![]), Percentiles::default());
    }
}
