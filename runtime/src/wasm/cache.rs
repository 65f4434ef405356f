//! Compiled code and symbols on disk, by the hash of the component.
//!
//! Compiled code is run as it is read, so only what this user wrote and what still has its
//! checksum is taken; everything else is compiled again. A cache that cannot be written is slow,
//! not broken.

use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::limits::CACHED_VERSIONS_MAX;
use crate::guest::VersionHash;

/// A folder of our own.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    folder: PathBuf,
    /// Names the compiler, its settings and the processor: code for another one is not found.
    compiler: String,
}

impl Cache {
    /// Makes the folder if need be.
    pub(super) fn open(folder: &Path, engine: &wasmtime::Engine) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut hasher = StableHasher(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let compiler = hasher.0.finalize().to_hex().as_str().chars().take(16).collect();
        Ok(Self { folder: folder.to_owned(), compiler })
    }

    /// Compiled code that is as we wrote it.
    pub(super) fn code(&self, version: VersionHash) -> Option<PathBuf> {
        let path = self.code_path(version);
        let metadata = fs::symlink_metadata(&path).ok()?;
        // SAFETY: `geteuid` has no preconditions.
        let ours = metadata.is_file() && metadata.uid() == unsafe { libc::geteuid() };
        if !ours || metadata.mode() & 0o022 != 0 {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        io::copy(&mut File::open(&path).ok()?, &mut hasher).ok()?;
        let checksum = fs::read_to_string(path.with_extension("sum")).ok()?;
        (checksum == hasher.finalize().to_hex().as_str()).then_some(path)
    }

    /// Keeps compiled code.
    pub(super) fn store_code(&self, version: VersionHash, code: &[u8]) -> io::Result<()> {
        let path = self.code_path(version);
        write_whole(&path, code)?;
        write_whole(&path.with_extension("sum"), blake3::hash(code).to_hex().as_bytes())?;
        self.prune("cwasm")
    }

    /// Keeps the component with its symbols, and tells where.
    pub(super) fn store_symbols(&self, version: VersionHash, component: &[u8]) -> io::Result<PathBuf> {
        let path = self.folder.join(format!("{}.symbols.wasm", hex(version)));
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == component.len() as u64) {
            return Ok(path);
        }
        write_whole(&path, component)?;
        self.prune("symbols.wasm")?;
        Ok(path)
    }

    fn code_path(&self, version: VersionHash) -> PathBuf {
        self.folder.join(format!("{}-{}.cwasm", hex(version), self.compiler))
    }

    /// Keeps the newest files that end in `ending`, and what belongs to them.
    fn prune(&self, ending: &str) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(ending) {
                files.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        files.sort();
        let old = files.len().saturating_sub(CACHED_VERSIONS_MAX);
        for (_, path) in files.iter().take(old) {
            fs::remove_file(path)?;
            // Symbols have no checksum.
            let _ = fs::remove_file(path.with_extension("sum"));
        }
        Ok(())
    }
}

fn hex(version: VersionHash) -> String {
    blake3::Hash::from_bytes(version.0).to_hex().to_string()
}

/// A reader sees the file whole or not at all, whoever else writes it at the same time.
fn write_whole(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(OsString::from(format!(".{}-{:?}.new", std::process::id(), std::thread::current().id())));
    let temporary = PathBuf::from(name);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        // The error that is reported says more than a failure to tidy up.
        let _ = fs::remove_file(&temporary);
    })
}

/// The standard hasher may change between releases of the compiler, this one does not.
struct StableHasher(blake3::Hasher);

impl Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        self.0.finalize_xof().fill(&mut first);
        u64::from_le_bytes(first)
    }
}
