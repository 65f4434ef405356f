//! `storm`: a cluster of real processes, two of each role, in which people talk and visitors walk from game to game, while
//! processes are killed and held, links are cut, and another version goes live every few seconds. What nobody may ever see is
//! counted, and must be 0; what a fault costs is measured.
//!
//! # Layout
//! - [`ledger`]: what was said, heard and answered, and what of it is wrong. Pure.
//! - [`site`], [`gap`], [`faults`]: the processes, a way that can be cut, and what goes wrong.
//! - [`stage`]: what all players share. [`people`], [`visitors`]: what they do.
//! - [`versions`]: what is published meanwhile.

mod faults;
mod gap;
mod ledger;
#[cfg(test)]
mod ledger_tests;
mod people;
mod site;
mod stage;
mod versions;
mod visitors;

use crate::load;
use crate::report::{Line, Report};
use anyhow::{Result, bail};
use faults::Fault;
use ledger::{Act, Window, Wrong};
use site::Site;
use stage::{Phase, Stage};
use std::sync::Arc;
use std::time::{Duration, Instant};
use versions::{Publisher, Versions};

const PEOPLE: usize = 200;
const ROOMS: usize = 20;
const VISITORS: usize = 20;
/// How long processes may take to start: they compile.
const START: Duration = Duration::from_secs(60);
/// How long all may take to be well again after a fault.
const RECOVERY: Duration = Duration::from_secs(75);
/// How long the last answers may take when nobody asks for more.
const LAST_ANSWERS: Duration = Duration::from_secs(30);
/// In which attributes that nobody waits for arrive.
const SETTLE: Duration = Duration::from_millis(500);
/// Everybody is well when this was well for so long.
const WELL: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);
/// Faults in a row that nobody recovers from, after which it ends.
const HOPELESS: usize = 2;

/// Within which time an act that was asked for is done by somebody who is well.
fn patience(act: Act) -> Duration {
    match act {
        Act::Word => people::PAUSE + Duration::from_millis(1_500),
        Act::Wave => Duration::from_millis(1_500),
        Act::Walk => Duration::from_secs(4),
    }
}

pub fn run(report: &mut Report) -> Result<()> {
    let versions = Versions::build()?;
    let runtime = load::runtime()?;
    let problems = runtime.block_on(play(report, versions))?;
    // Players are in the middle of something.
    runtime.shutdown_background();
    match problems.as_slice() {
        [] => Ok(()),
        some => bail!("{} things went wrong:\n  {}", some.len(), some.join("\n  ")),
    }
}

/// Everything that is at work.
struct Storm<'a> {
    report: &'a mut Report,
    site: Site,
    stage: Arc<Stage>,
    checks: u32,
    problems: Vec<String>,
    /// Faults in a row from which somebody did not recover.
    hopeless: usize,
}

/// How a fault went.
struct Course {
    /// Until all were well again; none: never.
    recovered: Option<Duration>,
    window: Window,
}

async fn play(report: &mut Report, versions: Versions) -> Result<Vec<String>> {
    report.note(&format!(
        "2 dispatchers, 2 games, 2 gates; {PEOPLE} people in {ROOMS} rooms, a word each in {:?}; {VISITORS} visitors between two yards",
        people::PAUSE
    ));
    let site = Site::start(&versions.first, START).await?;
    report.note(&format!("what the processes say: {}", site.logs().display()));
    let stage = Arc::new(Stage::new(site.gates.clone())?);
    for who in 0..PEOPLE {
        tokio::spawn(people::play(stage.clone(), who, ROOMS));
    }
    for who in PEOPLE..PEOPLE + VISITORS {
        tokio::spawn(visitors::play(stage.clone(), who));
    }
    let mut storm = Storm { report, site, stage, checks: 0, problems: Vec::new(), hopeless: 0 };
    let there = storm.recover(Instant::now()).await?;
    if there.is_none() {
        storm.problem("not all came in".to_owned());
    }
    let publisher = Publisher::start(storm.site.folder().to_owned(), versions);
    for fault in faults::chosen(storm.report.quick) {
        if storm.hopeless < HOPELESS {
            storm.suffer(fault).await?;
        }
    }
    let published = publisher.stop();
    storm.sum_up(&published);
    Ok(storm.problems)
}

impl Storm<'_> {
    /// One fault, from when all are well until all are well and nobody misses anything.
    async fn suffer(&mut self, fault: Fault) -> Result<()> {
        let (ends, wrongs) = (self.site.ends_by_name(), self.stage.note(|ledger, _| ledger.wrongs()));
        self.stage.note(|ledger, now| ledger.begin(now));
        let began = Instant::now();
        self.report.note(&format!("{fault} at {:.1} s", self.stage.now().as_secs_f64()));
        let lasts = fault.begin(&mut self.site)?;
        while began.elapsed() < lasts {
            self.wait(LOOK).await?;
        }
        fault.end(&mut self.site)?;
        let recovered = self.recover(began).await?;
        match recovered {
            Some(_) => self.hopeless = 0,
            None => {
                self.hopeless += 1;
                let late = self.stage.note(|ledger, now| ledger.late(now, patience));
                let some: Vec<String> =
                    late.iter().take(8).map(|(act, who)| format!("{act:?} of {who}")).collect();
                self.problem(format!("{fault}: {} never recover: {}", late.len(), some.join(", ")));
            }
        }
        self.compare(fault).await?;
        let window = self.stage.note(|ledger, _| ledger.window.clone());
        let dead: Vec<&str> = (self.site.ends_by_name().iter().zip(&ends))
            .filter(|((_, now), (_, before))| now != before)
            .map(|((name, _), _)| *name)
            .collect();
        for name in dead.iter().filter(|name| fault.ends() != Some(**name)) {
            self.problem(format!("{fault}: {name} died of it"));
        }
        if fault.is_harmless() && (window.failed() > 0 || window.cut > 0 || window.reborn > 0) {
            let Window { cut, reborn, errors, .. } = &window;
            self.problem(format!(
                "{fault}: {cut} clients cut, {reborn} entities lost, failed requests: {errors:?}"
            ));
        }
        let wrongs = self.stage.note(|ledger, _| ledger.wrongs()) - wrongs;
        self.tell(fault, &Course { recovered, window }, wrongs);
        self.stage.set(Phase::Play);
        self.recover(Instant::now()).await?;
        Ok(())
    }

    /// Waits until all do all that they are expected to do; since when, from that moment on. None: not in time.
    async fn recover(&mut self, began: Instant) -> Result<Option<Duration>> {
        let mut well = None;
        while began.elapsed() < RECOVERY {
            self.wait(LOOK).await?;
            let is_well = self.site.are_ready() && self.stage.note(|ledger, now| is_well(ledger, now));
            well = if is_well { well.or_else(|| Some(Instant::now())) } else { None };
            if let Some(since) = well.filter(|since| since.elapsed() >= WELL) {
                return Ok(Some(since - began));
            }
        }
        Ok(None)
    }

    async fn wait(&mut self, time: Duration) -> Result<()> {
        tokio::time::sleep(time).await;
        self.site.look_after()
    }

    /// Nobody says anything new: all that was said must have been answered and heard, and mirrors must be right.
    async fn compare(&mut self, fault: Fault) -> Result<()> {
        self.stage.set(Phase::Hush);
        let began = Instant::now();
        while self.stage.note(|ledger, _| ledger.waiting()) != (0, 0) && began.elapsed() < LAST_ANSWERS {
            self.wait(LOOK).await?;
        }
        let (open, unheard) = self.stage.note(|ledger, _| {
            let waiting = ledger.waiting();
            ledger.give_up();
            waiting
        });
        if open > 0 {
            self.problem(format!("{fault}: {open} requests are never answered"));
        }
        if unheard > 0 {
            self.problem(format!("{fault}: {unheard} words are not heard by all"));
        }
        self.wait(SETTLE).await?;
        self.checks += 1;
        self.stage.set(Phase::Check(self.checks));
        let began = Instant::now();
        while self.stage.checks(self.checks) < PEOPLE + VISITORS && began.elapsed() < LAST_ANSWERS {
            self.wait(LOOK).await?;
        }
        let missing = PEOPLE + VISITORS - self.stage.checks(self.checks);
        if missing > 0 {
            self.problem(format!("{fault}: {missing} cannot compare their mirrors"));
        }
        Ok(())
    }

    fn problem(&mut self, text: String) {
        self.report.note(&format!("PROBLEM {text}"));
        self.problems.push(text);
    }

    fn tell(&mut self, fault: Fault, course: &Course, wrongs: usize) {
        let Course { recovered, window } = course;
        let none = || fault.is_harmless().then_some(Line::AtMost(0.0));
        let report = &mut *self.report;
        let never = f64::INFINITY;
        let seconds = recovered.map_or(never, |time| time.as_secs_f64());
        report.row(&format!("{fault}: all well after"), seconds, "s", None, None, 1);
        report.row(&format!("{fault}: longest silence"), window.silence.as_secs_f64(), "s", None, None, 1);
        report.row(&format!("{fault}: sessions cut"), window.cut as f64, "clients", None, none(), 1);
        report.row(&format!("{fault}: entities lost"), window.reborn as f64, "clients", None, none(), 1);
        let (failed, asked) = (window.failed(), window.asked);
        report.row(&format!("{fault}: failed requests"), failed as f64, "requests", None, none(), asked);
        report.row(&format!("{fault}: wrong"), wrongs as f64, "times", None, Some(Line::AtMost(0.0)), asked);
        let texts = self.stage.note(|ledger, _| std::mem::take(&mut ledger.texts));
        for text in texts {
            report.note(&format!("  WRONG {text}"));
        }
        let Window { errors, unknown, stumbles, walks, silent, .. } = window;
        report.note(&format!(
            "  errors {errors:?}, {unknown} of them of unknown outcome; longest silent: {silent:?}; {walks} walks; coming in {stumbles:?}"
        ));
    }

    fn sum_up(&mut self, published: &versions::Published) {
        let versions::Published { done, failed } = published;
        let (tried, mark) = (done + failed.len(), self.stage.note(|ledger, _| ledger.mark));
        self.report.row("versions that went live", *done as f64, "versions", None, None, tried);
        self.report.note(&format!("the newest that was heard: {mark}; not live: {failed:#?}"));
        if *done == 0 {
            self.problem("no version went live".to_owned());
        }
        let (words, shouts) = self.stage.note(|ledger, _| (ledger.words_heard, ledger.shouts_heard));
        self.report.row("in all: words heard", words as f64, "times", None, None, 1);
        self.report.row("in all: shouts heard", shouts as f64, "times", None, None, 1);
        for wrong in Wrong::ALL {
            let count = self.stage.note(|ledger, _| ledger.count(wrong));
            let line = Some(Line::AtMost(0.0));
            self.report.row(&format!("in all: {wrong}"), count as f64, "times", None, line, 1);
            if count > 0 {
                self.problem(format!("{wrong}: {count}"));
            }
        }
    }
}

/// Everybody is in and does everything in time.
fn is_well(ledger: &ledger::Ledger, now: Duration) -> bool {
    ledger.expected() == PEOPLE + 2 * VISITORS && ledger.late(now, patience).is_empty()
}
