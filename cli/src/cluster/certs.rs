//! `everwake certs`

use super::config::{Cluster, file_name_of};
use crate::failure::{HintExt as _, hinted};
use crate::terminal::Terminal;
use clap::Args;
use everwake_link::certs::Authority;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const AUTHORITY: &str = "authority.pem";
const AUTHORITY_KEY: &str = "authority-key.pem";
const MENDABLE: &str = "Choose a folder that you may write to, or remove what is there.";

/// Makes an authority for development, and a certificate for each process of a cluster.
#[derive(Debug, Args)]
#[command(
    after_long_help = "An authority that is in the folder is used again; certificates that are there stay.

Examples:
  everwake certs certs --config cluster.toml"
)]
pub struct CertsCommand {
    /// The folder.
    pub dir: PathBuf,
    /// The file that describes the cluster.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Makes them.
pub fn run(command: &CertsCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::load(&command.config)?;
    let dir = &command.dir;
    std::fs::create_dir_all(dir).hint(format!("The folder `{}` cannot be made.", dir.display()), MENDABLE)?;
    let now = time::OffsetDateTime::now_utc();
    let authority = authority(dir, now)?;
    for peer in cluster.processes()? {
        let name = file_name_of(&peer);
        let (certificate, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}-key.pem")));
        if certificate.exists() {
            terminal.say(format!("`{}` is there already.", certificate.display()));
            continue;
        }
        let issued = authority.issue(&peer, now)?;
        write(&key, &issued.key_pem, 0o600)?;
        write(&certificate, &issued.certificate_pem, 0o644)?;
        terminal.good(format!("`{}` is for `{peer}`.", certificate.display()));
    }
    terminal.hint(
        "Name them in `[tls]`; give each machine the authority's certificate and those of its own processes.",
    );
    Ok(ExitCode::SUCCESS)
}

fn authority(dir: &Path, now: time::OffsetDateTime) -> anyhow::Result<Authority> {
    let (certificate, key) = (dir.join(AUTHORITY), dir.join(AUTHORITY_KEY));
    match (std::fs::read_to_string(&certificate), std::fs::read_to_string(&key)) {
        (Ok(certificate), Ok(key)) => Ok(Authority::load(&certificate, &key)?),
        (Err(_), Err(_)) => {
            let authority = Authority::new(now)?;
            write(&key, &authority.key_pem(), 0o600)?;
            write(&certificate, authority.certificate_pem(), 0o644)?;
            Ok(authority)
        }
        _ => Err(hinted(
            format!("The folder `{}` has one of `{AUTHORITY}` and `{AUTHORITY_KEY}` only.", dir.display()),
            "Run it where both are, or in an empty folder.",
        )),
    }
}

fn write(file: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let out = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(file);
    out.and_then(|mut out| out.write_all(text.as_bytes()))
        .hint(format!("The file `{}` cannot be written.", file.display()), MENDABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use everwake_link::tcp::Security;

    #[test]
    fn every_process_can_use_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("cluster.toml");
        std::fs::write(&config, "[tls]\n").unwrap();
        let command = CertsCommand { dir: folder.path().join("certs"), config: config.clone() };
        for _ in 0..2 {
            run(&command, &Terminal::from_environment(true)).unwrap();
        }
        let cluster = Cluster::load(&config).unwrap();
        for peer in cluster.processes().unwrap() {
            let Security::Tls(tls) = cluster.security(&peer).unwrap() else { panic!("no TLS") };
            assert_eq!(*tls.name(), peer);
        }
    }
}
