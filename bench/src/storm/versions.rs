//! What is published during the storm: the chat under ever higher numbers, by turns with two versions of the yard.

use super::site;
use crate::modules::root;
use anyhow::{Context, Result, anyhow, ensure};
use everwake_builder::{Build, Profile};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// From one publication to the next.
const EVERY: Duration = Duration::from_secs(5);
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The number of the version that is built. Others are made of it by other digits in its place: building takes longer
/// than the time between two publications.
const NUMBER: u64 = 10_000_000;

/// All of them.
pub struct Versions {
    /// What games publish when they start.
    pub first: Vec<PathBuf>,
    folder: PathBuf,
    chat: Vec<u8>,
    yards: [PathBuf; 2],
}

/// What became of publications.
#[derive(Default)]
pub struct Published {
    pub done: usize,
    /// Why the others did not go live.
    pub failed: Vec<String>,
}

impl Versions {
    pub fn build() -> Result<Versions> {
        let folder = root().join("target/storm-components");
        fs::create_dir_all(&folder)?;
        let keep = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
            let path = folder.join(format!("{name}.wasm"));
            fs::write(&path, bytes)?;
            Ok(path)
        };
        let chat = build("chat", &[], None)?;
        let marked = build("chat", &["v2"], Some(("CHAT_VERSION", &NUMBER.to_string())))?;
        ensure!(
            numbered(&marked, NUMBER + 1) != marked,
            "the number of the version is nowhere in the component"
        );
        let yards = ["1", "2"].map(|version| build("yard", &[], Some(("YARD_VERSION", version))));
        let [one, two] = yards;
        let yards = [keep("yard", &one?)?, keep("yard-2", &two?)?];
        let first = vec![keep("chat", &chat)?, yards[0].clone()];
        Ok(Versions { first, folder, chat: marked, yards })
    }

    /// The file of the next one.
    fn next(&self, number: u64) -> Result<PathBuf> {
        let [one, two] = &self.yards;
        match number % 4 {
            1 => Ok(two.clone()),
            3 => Ok(one.clone()),
            _ => {
                let path = self.folder.join("chat-next.wasm");
                fs::write(&path, numbered(&self.chat, NUMBER + number))?;
                Ok(path)
            }
        }
    }
}

fn build(sample: &str, features: &[&str], variable: Option<(&str, &str)>) -> Result<Vec<u8>> {
    let root = root();
    let mut build = Build::new(&root.join("samples").join(sample), Profile::Release)
        .target_dir(&root.join("target/everwake-guests"));
    for feature in features {
        build = build.feature(feature);
    }
    if let Some((name, value)) = variable {
        build = build.env(name, value);
    }
    Ok(build.run(&mut |_| {}).map_err(|error| anyhow!("{sample}: {error}"))?.bytes)
}

/// The component under another number, which has as many digits.
fn numbered(component: &[u8], number: u64) -> Vec<u8> {
    let (from, to) = (NUMBER.to_string(), number.to_string());
    let mut out = component.to_vec();
    let mut at = 0;
    while let Some(rest) = out.get_mut(at..) {
        let Some(found) = rest.windows(from.len()).position(|some| some == from.as_bytes()) else { break };
        if let Some(place) = rest.get_mut(found..found + from.len()) {
            place.copy_from_slice(to.as_bytes());
        }
        at += found + from.len();
    }
    out
}

/// Publishes until it is stopped.
pub struct Publisher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Published>>,
}

impl Publisher {
    /// In the folder with the cluster's file.
    pub fn start(folder: PathBuf, versions: Versions) -> Publisher {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || publish(&folder, &versions, &told));
        Publisher { stop, thread }
    }

    pub fn stop(self) -> Published {
        self.stop.store(true, Ordering::Relaxed);
        let failed = |why: String| Published { done: 0, failed: vec![why] };
        match self.thread.join() {
            Ok(published) => published.unwrap_or_else(|error| failed(format!("{error:#}"))),
            Err(_) => failed("it panicked".to_owned()),
        }
    }
}

fn publish(folder: &Path, versions: &Versions, stop: &AtomicBool) -> Result<Published> {
    let mut published = Published::default();
    for number in 0.. {
        let began = Instant::now();
        let file = versions.next(number)?;
        match site::publish(folder, &file, PATIENCE) {
            Ok(()) => published.done += 1,
            Err(why) => published.failed.push(format!("{number}: {why:#}")),
        }
        while began.elapsed() < EVERY {
            if stop.load(Ordering::Relaxed) {
                return Ok(published);
            }
            crate::report::pause(Duration::from_millis(20));
        }
    }
    Err(anyhow!("no more numbers")).context("publishing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_number_takes_the_place_of_the_first_one_everywhere() {
        let text = format!("a{NUMBER}bc{NUMBER}");
        assert_eq!(numbered(text.as_bytes(), NUMBER + 42), b"a10000042bc10000042");
        assert_eq!(numbered(b"nothing", NUMBER + 42), b"nothing");
    }
}
