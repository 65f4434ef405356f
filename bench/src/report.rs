//! Rows of results: printed as a table or as JSON, and kept in `bench/results/latest.md`.

use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt::Write as _;
use std::time::Duration;

/// One figure beside its baseline.
#[derive(Serialize)]
pub struct Row {
    id: &'static str,
    case: String,
    value: f64,
    unit: &'static str,
    /// What it is measured beside, in the same unit; none if there is nothing to compare with.
    baseline: Option<f64>,
    ratio: Option<f64>,
    /// The line to reach, as text.
    line: Option<String>,
    met: Option<bool>,
    runs: usize,
}

/// A line to reach: text for people, and whether a row reaches it.
pub enum Line {
    /// Ratio to the baseline at most this.
    RatioAtMost(f64),
    /// Ratio to the baseline at least this.
    RatioAtLeast(f64),
    /// The value itself at most this.
    AtMost(f64),
    /// The value itself at least this.
    AtLeast(f64),
}

/// Collects and prints rows.
pub struct Report {
    /// Fewer runs, smaller sizes.
    pub quick: bool,
    json: bool,
    id: &'static str,
    rows: Vec<Row>,
    text: String,
}

impl Report {
    pub fn new(quick: bool, json: bool) -> Self {
        let mut report = Self { quick, json, id: "", rows: Vec::new(), text: String::new() };
        report.say(&format!("machine: {}", machine()));
        report.say(&format!("versions: {}, wasmtime {}", env!("RUSTC_VERSION"), env!("WASMTIME_VERSION")));
        report.say(&format!(
            "build: {}, {} set, load at start {}",
            if cfg!(debug_assertions) { "DEBUG (figures mean nothing)" } else { "release" },
            if quick { "quick" } else { "full" },
            load_average()
        ));
        report
    }

    pub fn begin(&mut self, id: &'static str, about: &str) {
        self.id = id;
        self.say(&format!("\n{id}: {about}"));
    }

    /// A remark that belongs to the figures.
    pub fn note(&mut self, text: &str) {
        self.say(&format!("  {text}"));
    }

    /// One figure.
    pub fn row(
        &mut self,
        case: &str,
        value: f64,
        unit: &'static str,
        baseline: Option<f64>,
        line: Option<Line>,
        runs: usize,
    ) {
        let ratio = baseline.filter(|b| *b != 0.0).map(|b| value / b);
        let met = line.as_ref().and_then(|line| line.met(value, ratio));
        let row = Row {
            id: self.id,
            case: case.into(),
            value,
            unit,
            baseline,
            ratio,
            line: line.map(|l| l.text(unit)),
            met,
            runs,
        };
        if self.json {
            print_line(&serde_json::to_string(&row).unwrap_or_default());
        }
        let text = row.text();
        self.say(&text);
        self.rows.push(row);
    }

    /// Writes the collected text; an unmet line is no error, it is a figure.
    pub fn finish(self) -> Result<()> {
        let unmet = self.rows.iter().filter(|row| row.met == Some(false)).count();
        let path = std::path::Path::new("bench/results/latest.md");
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot make `{}`", directory.display()))?;
        }
        std::fs::write(path, format!("# Benchmarks\n\n```\n{}```\n", self.text))
            .context("cannot write `bench/results/latest.md`")?;
        if !self.json {
            print_line(&format!(
                "\n{} figures, {unmet} below their line; kept in {}",
                self.rows.len(),
                path.display()
            ));
        }
        Ok(())
    }

    fn say(&mut self, text: &str) {
        if !self.json {
            print_line(text);
        }
        self.text.push_str(text);
        self.text.push('\n');
    }
}

impl Row {
    fn text(&self) -> String {
        let mut text = format!("  {:<46} {:>12} {:<8}", self.case, figure(self.value), self.unit);
        if let Some(baseline) = self.baseline {
            let _ = write!(text, " baseline {:>10}", figure(baseline));
        }
        if let Some(ratio) = self.ratio {
            let _ = write!(text, "  x{ratio:.2}");
        }
        if let (Some(line), Some(met)) = (&self.line, self.met) {
            let _ = write!(text, "  line {line}: {}", if met { "met" } else { "NOT met" });
        }
        text
    }
}

impl Line {
    fn met(&self, value: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Line::RatioAtMost(most) => ratio.map(|r| r <= *most),
            Line::RatioAtLeast(least) => ratio.map(|r| r >= *least),
            Line::AtMost(most) => Some(value <= *most),
            Line::AtLeast(least) => Some(value >= *least),
        }
    }

    fn text(&self, unit: &str) -> String {
        match self {
            Line::RatioAtMost(most) => format!("<= x{most}"),
            Line::RatioAtLeast(least) => format!(">= x{least}"),
            Line::AtMost(most) => format!("<= {} {unit}", figure(*most)),
            Line::AtLeast(least) => format!(">= {} {unit}", figure(*least)),
        }
    }
}

fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 10_000.0 => {
            let digits = format!("{:.0}", value.abs());
            let grouped: Vec<_> =
                digits.as_bytes().rchunks(3).rev().map(|c| String::from_utf8_lossy(c).into_owned()).collect();
            format!("{}{}", if value < 0.0 { "-" } else { "" }, grouped.join(","))
        }
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// Median of samples; 0 of none.
pub fn median(samples: &mut [f64]) -> f64 {
    percentile(samples, 0.5)
}

/// The value below which this share of the samples lies; 0 of none.
pub fn percentile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    samples.get(index).copied().unwrap_or(0.0)
}

/// CPU time that this thread has used.
pub fn thread_cpu() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time that this process has used, all threads.
pub fn process_cpu() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// The machine's monotonic clock: the same in all processes.
pub fn monotonic() -> Duration {
    clock(libc::CLOCK_MONOTONIC)
}

fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call, which only writes to it.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Lets time pass between two measurements.
#[expect(clippy::disallowed_methods, reason = "a benchmark keeps a pace of its own: nothing is awaited")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Resident memory of this process in bytes.
pub fn resident_bytes() -> f64 {
    std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<f64>().ok())
        .unwrap_or(0.0)
        * 4096.0
}

fn machine() -> String {
    let model = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            text.lines()
                .find_map(|line| line.strip_prefix("model name"))
                .map(|m| m.trim_start_matches([' ', '\t', ':']).to_owned())
        })
        .unwrap_or_else(|| "unknown processor".into());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{model}, {cores} cores")
}

fn load_average() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|t| t.split_whitespace().next().map(str::to_owned))
        .unwrap_or_else(|| "?".into())
}

#[expect(clippy::print_stdout, reason = "the report is this program's output")]
fn print_line(text: &str) {
    println!("{text}");
}
