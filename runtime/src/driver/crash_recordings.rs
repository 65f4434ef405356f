//! What led to the first crash of each kind, in each version, is written down while it is at hand.

use super::pool::Pool;
use crate::wasm::CrashReport;
use crate::wasm::limits::CRASH_RECORDINGS_MAX;
use std::path::PathBuf;
use std::sync::Arc;

/// Where recordings of crashes go.
pub(super) struct CrashRecordings {
    /// Name of the process, for reports.
    pub(super) game: String,
    folder: Option<PathBuf>,
    pool: Arc<Pool>,
    written: usize,
}

impl CrashRecordings {
    pub(super) fn new(game: String, folder: Option<PathBuf>, pool: Arc<Pool>) -> Self {
        Self { game, folder, pool, written: 0 }
    }

    /// Writes the last seconds of the space that it happened in. The command that runs them again; none if
    /// there is nothing, or enough was written.
    pub(super) fn write(&mut self, report: &CrashReport) -> Option<String> {
        let folder = self.folder.as_ref().filter(|_| self.written < CRASH_RECORDINGS_MAX)?;
        let name = format!("crash-{}-{}", report.fingerprint(), report.version);
        match self.pool.record_past_of(report.space, folder, &name) {
            Ok(path) => {
                self.written += 1;
                Some(format!("everwake replay {}", path?.display()))
            }
            Err(error) => {
                tracing::warn!(%error, "a crash is not recorded");
                None
            }
        }
    }
}
