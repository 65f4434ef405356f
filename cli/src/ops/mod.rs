//! A cluster on one host: all processes of its file that belong here, looked after by one.
//!
//! # Layout
//! - [`life`]: who a process is, whatever pid it has. [`place`]: where processes say so.
//! - [`supervisor`]: which process starts, ends and starts again; a core. [`up`]: what drives it, in the foreground.
//!   [`office`]: where it is asked; [`journal`]: what processes say, in files with a bound.
//! - [`wait`]: looking until others have begun or ended.
//! - [`start`], [`stop`], [`drain`], [`status`], [`logs`]: the commands.

pub mod drain;
pub mod journal;
pub mod life;
pub mod logs;
pub mod office;
pub mod place;
pub mod start;
pub mod status;
pub mod stop;
pub mod supervisor;
pub mod up;
mod wait;

use crate::cluster::config::Cluster;
use crate::failure::hinted;
use crate::mistyped::near;
use clap::Args;
use everwake_link::{PeerName, Role};
use place::{living, note_of};
use std::path::{Path, PathBuf};

/// Which cluster.
#[derive(Clone, Debug, Args)]
pub struct Described {
    /// The file that describes the cluster.
    #[arg(long, value_name = "FILE", env = "EVERWAKE_CLUSTER", default_value = "cluster.toml")]
    pub config: PathBuf,
}

/// The processes that people mean: by name, or by role and name if two roles have it; all if none is named.
pub fn meant(cluster: &Cluster, names: &[String]) -> anyhow::Result<Vec<PeerName>> {
    let all = cluster.processes()?;
    if names.is_empty() {
        return Ok(all);
    }
    let mut found = Vec::new();
    for name in names {
        let one = the_one(&all, name)?;
        if !found.contains(&one) {
            found.push(one);
        }
    }
    Ok(found)
}

/// Address and token of a game's admin API: of this one, or of the first one that runs here.
pub fn admin_of(config: &Path, name: Option<&str>) -> anyhow::Result<(String, String)> {
    let cluster = Cluster::load(config)?;
    let names: Vec<String> = name
        .map(|name| name.strip_prefix("game/").unwrap_or(name))
        .map(|name| format!("game/{name}"))
        .into_iter()
        .collect();
    let games = meant(&cluster, &names)?.into_iter().filter(|peer| peer.role() == Role::Game);
    let ready = |peer: PeerName| living(&note_of(&cluster, &peer)).filter(|note| note.ready);
    let found = games.filter_map(ready).next();
    let note = found.ok_or_else(|| {
        hinted(
            match names.first() {
                Some(name) => format!("`{name}` does not run here."),
                None => "No game of this cluster runs here.".to_owned(),
            },
            "`everwake status --config FILE` shows what runs; `everwake start --config FILE` starts the rest.",
        )
    })?;
    Ok((note.admin, note.token))
}

fn the_one(all: &[PeerName], name: &str) -> anyhow::Result<PeerName> {
    let is_meant = |peer: &&PeerName| peer.name() == name || peer.to_string() == name;
    let mut found = all.iter().filter(is_meant);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.clone()),
        (Some(one), Some(other)) => Err(hinted(
            format!("There are two processes `{name}`."),
            format!("Do you mean `{one}` or `{other}`?"),
        )),
        (None, _) => {
            let whole: Vec<String> = all.iter().map(ToString::to_string).collect();
            let names: Vec<&str> = if name.contains('/') {
                whole.iter().map(String::as_str).collect()
            } else {
                all.iter().map(PeerName::name).collect()
            };
            let near: Vec<String> = near(name, &names).iter().map(|it| format!("`{it}`")).collect();
            let listed: Vec<String> = whole.iter().map(|it| format!("`{it}`")).collect();
            let hint = match near.is_empty() {
                true => format!("There are {}.", listed.join(", ")),
                false => format!("Do you mean {}? There are {}.", near.join(" or "), listed.join(", ")),
            };
            Err(hinted(format!("The configuration knows no process `{name}`."), hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::config::{Game, Gate};
    use crate::failure::read;

    #[test]
    fn a_name_is_enough_and_a_wrong_one_is_answered_with_the_near_one() {
        let game = |name: &str| Game { name: name.into(), ..Game::default() };
        let games = vec![game("arena-1"), game("both")];
        let gates = vec![Gate { name: "both".into(), ..Gate::default() }];
        let cluster = Cluster { games, gates, ..Cluster::default() };
        let meant = |name: &str| {
            meant(&cluster, &[name.to_owned()])
                .map(|it| it[0].to_string())
                .map_err(|error| read(&error).1[0].clone())
        };
        assert_eq!(meant("arena-1").unwrap(), "game/arena-1");
        assert_eq!(meant("gate/both").unwrap(), "gate/both");
        assert_eq!(meant("both").unwrap_err(), "Do you mean `game/both` or `gate/both`?");
        assert!(meant("arena-2").unwrap_err().starts_with("Do you mean `arena-1`?"));
        assert!(meant("game/bath").unwrap_err().starts_with("Do you mean `game/both`?"));
        assert!(meant("xyzzy").unwrap_err().starts_with("There are `dispatcher/d-1`"));
        assert_eq!(super::meant(&cluster, &[]).unwrap().len(), 4);
    }
}
