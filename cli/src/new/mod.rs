//! `everwake new`: a module in an empty folder, that builds, runs and is tested as it is.

use crate::failure::{hinted, sentence};
use crate::terminal::Terminal;
use clap::Args;
use everwake_builder::{NewProjectError, SdkSource, new_project};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Makes a new module in an empty folder.
///
/// The folder is a plain cargo package: `cargo check`, `cargo test` and rust-analyzer work as usual;
/// `everwake build` makes the component.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  everwake new mygame
  cd mygame && everwake dev            runs it, and swaps it each time you save
  everwake connect                     in a second terminal: plays it by hand")]
pub struct NewCommand {
    /// Name of the module: a letter, then letters, digits and `-`, all lower case.
    pub name: String,
    /// Folder to make instead of one with the module's name.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Folder of the guest SDK (`guest-sdk/rust` of a checkout); found beside this binary if left out.
    #[arg(long, value_name = "DIR")]
    pub sdk: Option<PathBuf>,
}

/// Makes the folder.
pub fn run(command: &NewCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let dir = command.dir.clone().unwrap_or_else(|| PathBuf::from(&command.name));
    let binary = std::env::current_exe().unwrap_or_default();
    let sdk = sdk(command.sdk.as_deref(), &binary)?;
    if let SdkSource::Version(version) = &sdk {
        terminal.warn(format!("No checkout of Everwake is found beside this binary; the module depends on `everwake` {version} from a registry."));
        terminal.hint("Name the SDK of a checkout: `--sdk CHECKOUT/guest-sdk/rust`.");
    }
    new_project(&dir, &command.name, &sdk).map_err(explain)?;
    terminal.good(format!("The module `{}` is in `{}`.", command.name, dir.display()));
    terminal.hint(format!(
        "`cd {} && everwake dev` runs it; `everwake connect` in a second terminal plays it.",
        dir.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// How the new package depends on the SDK: by path when this binary runs from a checkout.
fn sdk(wanted: Option<&Path>, binary: &Path) -> anyhow::Result<SdkSource> {
    let is_sdk = |dir: &Path| dir.join("Cargo.toml").is_file() && dir.join("src/lib.rs").is_file();
    match wanted {
        Some(dir) if is_sdk(dir) => Ok(SdkSource::Path(dir.to_owned())),
        Some(dir) => Err(hinted(
            format!("The folder `{}` is not the guest SDK.", dir.display()),
            "Name `guest-sdk/rust` of a checkout of Everwake.",
        )),
        None => Ok(match binary.ancestors().map(|dir| dir.join("guest-sdk/rust")).find(|dir| is_sdk(dir)) {
            Some(dir) => SdkSource::Path(dir),
            None => SdkSource::Version(env!("CARGO_PKG_VERSION").to_owned()),
        }),
    }
}

/// The builder's hint becomes a hint of ours.
fn explain(error: NewProjectError) -> anyhow::Error {
    let text = error.to_string();
    let (message, hint) =
        text.split_once("\nhint: ").unwrap_or((&text, "Name a new folder in one where you may write."));
    hinted(message, sentence(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_is_found_beside_the_binary() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("guest-sdk/rust");
        std::fs::create_dir_all(folder.join("src")).unwrap();
        std::fs::write(folder.join("Cargo.toml"), "").unwrap();
        std::fs::write(folder.join("src/lib.rs"), "").unwrap();
        let binary = dir.path().join("target/debug/everwake");
        assert_eq!(sdk(None, &binary).unwrap(), SdkSource::Path(folder.clone()));
        assert_eq!(sdk(Some(&folder), Path::new("/nowhere")).unwrap(), SdkSource::Path(folder));
        assert!(matches!(sdk(None, Path::new("/nowhere")).unwrap(), SdkSource::Version(_)));
        assert!(sdk(Some(dir.path()), &binary).is_err());
    }

    #[test]
    fn a_folder_that_is_not_empty_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mine"), "x").unwrap();
        let command = NewCommand { name: "a".into(), dir: Some(dir.path().to_owned()), sdk: None };
        let error = run(&command, &Terminal::from_environment(true)).unwrap_err();
        assert!(!crate::failure::read(&error).1.is_empty());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
