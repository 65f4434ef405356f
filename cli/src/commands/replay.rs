//! `everwake replay`: the only command that runs guests by itself.

use super::build::{self, Profile};
use crate::config::Limits;
use crate::dev::{components, host};
use crate::failure::{FAULT, HintExt as _, hinted};
use crate::state;
use crate::terminal::Terminal;
use bytes::Bytes;
use clap::Args;
use everwake_runtime::driver::{EXTENSION, ModuleLoader as _, WasmLoader};
use everwake_runtime::guest::VersionHash;
use everwake_runtime::record::{RecordingReader, ReplayError, ReplayOptions, ReplayReport, replay};
use everwake_runtime::versions::{Lineage, ModuleVersion};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Where a replay gets what ran from.
const COMPONENTS: &str =
    "The components that ran lie beside a recording; `--components DIR` names another folder.";

/// Exit code of a replay that differs.
const DIFFERENT: u8 = 1;
/// Exit code of a recording that cannot be replayed.
const FAILED: u8 = 2;

/// Runs a recording again, on its own version or on another one.
///
/// Inputs, times and chance come from the recording: on its own version the outcome is the same to
/// the byte, on another one the difference is shown.
#[derive(Debug, Args)]
#[command(after_long_help = "Exit codes:
  0  everything came out the same
  1  something came out otherwise; the first differences are printed
  2  it cannot be replayed

Examples:
  everwake replay bug                              all spaces of a recording
  everwake replay bug/0h2k8q0000.everwake          one space
  everwake replay bug --module samples/chat        what a new version would have done")]
pub struct ReplayCommand {
    /// A recording's folder, or the file of one space.
    pub recording: PathBuf,
    /// Runs this component, or the source in this folder, instead of what was recorded.
    #[arg(long, value_name = "FILE|DIR")]
    pub module: Option<PathBuf>,
    /// Folder with the components that ran, if they do not lie beside the recording.
    #[arg(long, value_name = "DIR")]
    pub components: Option<PathBuf>,
    /// Differences that are shown in full.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub differences: usize,
    /// Prints the reports as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Replays.
pub fn run(command: &ReplayCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    run_all(command, terminal).or_else(|error| {
        terminal.error(&error);
        Ok(ExitCode::from(FAILED))
    })
}

fn run_all(command: &ReplayCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let files = recordings(&command.recording)?;
    let cache = code_cache()?;
    let mut versions = Versions::new(host::loader(&Limits::default(), &cache)?);
    let beside = command.components.clone().unwrap_or_else(|| folder_of(&command.recording));
    for file in components::files(&beside)
        .hint(format!("The folder `{}` cannot be read.", beside.display()), COMPONENTS)?
    {
        let message = || format!("The component `{}` cannot be used.", file.display());
        let bytes = std::fs::read(&file).hint(message(), COMPONENTS)?;
        versions.add(bytes).hint(message(), COMPONENTS)?;
    }
    let on = match &command.module {
        Some(source) => Some(versions.add(build::component_of(source, Profile::Release, terminal)?)?),
        None => None,
    };
    let mut reports = Vec::new();
    let mut failed = false;
    for file in &files {
        match replay_one(file, &versions, on.clone(), command.differences) {
            Ok(Some(report)) => reports.push(report),
            Ok(None) => {}
            Err(error) => {
                failed = true;
                terminal.error(&error);
            }
        }
    }
    tell(&reports, command.json, terminal)?;
    Ok(exit(&reports, failed))
}

fn exit(reports: &[ReplayReport], failed: bool) -> ExitCode {
    match (failed || reports.is_empty(), reports.iter().all(ReplayReport::is_equal)) {
        (true, _) => ExitCode::from(FAILED),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::from(DIFFERENT),
    }
}

fn tell(reports: &[ReplayReport], json: bool, terminal: &Terminal) -> anyhow::Result<()> {
    if json {
        terminal.data(&super::json(&reports)?);
        return Ok(());
    }
    for report in reports.iter().filter(|it| !it.is_equal()) {
        terminal.data(report.to_string().trim_end());
    }
    for line in reports.iter().filter(|it| it.is_equal()).flat_map(|it| &it.crashed_again) {
        terminal.data(line);
    }
    terminal.answer(&summary(reports));
    Ok(())
}

fn summary(reports: &[ReplayReport]) -> String {
    let sum = |of: fn(&ReplayReport) -> u64| reports.iter().map(of).sum::<u64>();
    let (commits, equal) = (sum(|it| it.commits), sum(|it| it.equal));
    let spaces = super::count(reports.len() as u64, "space");
    match reports.iter().all(ReplayReport::is_equal) {
        true if commits == 1 => format!("Equal: the only commit in {spaces} came out the same."),
        true => format!("Equal: all {commits} commits in {spaces} came out the same."),
        false => format!(
            "Different: {equal} of {} in {spaces} came out the same.",
            super::count(commits, "commit")
        ),
    }
}

fn recordings(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let hint = "Name the folder that `everwake record start` was given, or a file in it.";
    let entries =
        std::fs::read_dir(path).hint(format!("The recording `{}` cannot be read.", path.display()), hint)?;
    let is_recording = |file: &PathBuf| file.extension().is_some_and(|ending| ending == EXTENSION);
    let mut files: Vec<PathBuf> = entries.flatten().map(|it| it.path()).filter(is_recording).collect();
    files.sort();
    if files.is_empty() {
        return Err(hinted(format!("The folder `{}` holds no recording.", path.display()), hint));
    }
    Ok(files)
}

fn folder_of(recording: &Path) -> PathBuf {
    if recording.is_dir() {
        recording.to_owned()
    } else {
        recording.parent().unwrap_or(Path::new(".")).to_owned()
    }
}

/// Compiled code is worth keeping where `dev` keeps it too.
fn code_cache() -> anyhow::Result<PathBuf> {
    let folder = Path::new(state::FOLDER).join("code");
    std::fs::create_dir_all(&folder).hint(
        format!("The folder `{}` cannot be made.", folder.display()),
        "Run `replay` where you may write.",
    )?;
    Ok(folder)
}

/// None for a space of another module than the one that is asked for.
fn replay_one(
    file: &Path,
    versions: &Versions,
    on: Option<Arc<ModuleVersion>>,
    differences_max: usize,
) -> anyhow::Result<Option<ReplayReport>> {
    let name = || format!("The recording `{}` cannot be replayed.", file.display());
    let source = File::open(file).hint(name(), "Is it there, and may you read it?")?;
    let reader = RecordingReader::open(BufReader::new(source))
        .hint(name(), "Recordings are read by the version of `everwake` that made them.")?;
    if on.as_ref().is_some_and(|on| on.manifest.name != reader.start().module) {
        return Ok(None);
    }
    let options = ReplayOptions { on, differences_max };
    let mut guests = versions.loader.source();
    let report = replay(reader, &|hash| versions.by_hash.get(&hash).cloned(), guests.as_mut(), &options);
    let hint = match &report {
        Err(ReplayError::UnknownVersion(_)) => COMPONENTS,
        Err(ReplayError::Swap(_)) => "Replay it without `--module`, or give that version a `migrate`.",
        Err(ReplayError::Recording(_)) => {
            "The file is damaged; what came before may replay if it is cut there."
        }
        Err(ReplayError::Restore(_)) | Ok(_) => FAULT,
    };
    report.hint(name(), hint).map(Some)
}

/// The versions at hand, with the small ids that they had: components are added in the order in
/// which they were published.
struct Versions {
    loader: WasmLoader,
    lineages: BTreeMap<String, Lineage>,
    by_hash: BTreeMap<VersionHash, Arc<ModuleVersion>>,
}

impl Versions {
    fn new(loader: WasmLoader) -> Self {
        Versions { loader, lineages: BTreeMap::new(), by_hash: BTreeMap::new() }
    }

    fn add(&mut self, bytes: Vec<u8>) -> anyhow::Result<Arc<ModuleVersion>> {
        let loaded = self
            .loader
            .load(Bytes::from(bytes))
            .map_err(|why| hinted(why, "Build it again with `everwake build`."))?;
        let name = loaded.checked.manifest().name.clone();
        let lineage = self.lineages.entry(name.clone()).or_insert_with(|| Lineage::new(name));
        let (next, version) = lineage.publish(loaded.checked, loaded.hash, lineage.generation() + 1)?;
        *lineage = next;
        let version = Arc::new(version);
        self.by_hash.insert(loaded.hash, version.clone());
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(commits: u64, equal: u64) -> ReplayReport {
        ReplayReport { commits, equal, different: commits - equal, ..ReplayReport::default() }
    }

    #[test]
    fn the_summary_and_the_exit_code_agree() {
        let same = [report(3, 3), report(4, 4)];
        assert_eq!(summary(&same), "Equal: all 7 commits in 2 spaces came out the same.");
        assert_eq!(format!("{:?}", exit(&same, false)), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(summary(&[report(1, 1)]), "Equal: the only commit in 1 space came out the same.");
        assert_eq!(summary(&[report(1, 0)]), "Different: 0 of 1 commit in 1 space came out the same.");
        let other = [report(3, 1)];
        assert_eq!(summary(&other), "Different: 1 of 3 commits in 1 space came out the same.");
        assert_eq!(format!("{:?}", exit(&other, false)), format!("{:?}", ExitCode::from(DIFFERENT)));
        assert_eq!(format!("{:?}", exit(&[], false)), format!("{:?}", ExitCode::from(FAILED)));
    }

    #[test]
    fn a_folder_without_recordings_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(recordings(dir.path()).is_err());
        std::fs::write(dir.path().join(format!("b.{EXTENSION}")), "").unwrap();
        std::fs::write(dir.path().join("c.wasm"), "").unwrap();
        assert_eq!(recordings(dir.path()).unwrap().len(), 1);
    }
}
