//! The binary as people meet it: words, exit codes, files. Nothing here builds a module or starts a
//! game; that is in `running/`.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::process::{Command, Output};

fn everwake(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_everwake"));
    command.args(args).current_dir(dir).env_remove("EVERWAKE_ADMIN").env_remove("EVERWAKE_GATE");
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_says_where_to_start() {
    let dir = tempfile::tempdir().unwrap();
    let help = everwake(dir.path(), &["--help"]);
    assert!(help.status.success());
    let text = String::from_utf8(help.stdout).unwrap();
    for word in ["everwake demo", "everwake new mygame", "publish", "bots"] {
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn without_a_server_every_client_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["status"][..],
        &["versions"],
        &["connect"],
        &["chat", "Ada"],
        &["map"],
        &["bots", "chat"],
        &["shutdown"],
    ] {
        let output = everwake(dir.path(), args);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
        assert!(text.contains("error: No running `dev` is found"), "{args:?}: {text}");
        assert!(text.contains("hint: ") && !text.contains('\x1b'), "{args:?}: {text}");
    }
}

#[test]
fn a_server_that_is_gone_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let output = everwake(dir.path(), &["status", "--admin", "127.0.0.1:1", "--token", "x"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("`http://127.0.0.1:1` does not answer"), "{}", stderr(&output));
}

#[test]
fn a_new_module_is_a_package() {
    let dir = tempfile::tempdir().unwrap();
    let output = everwake(dir.path(), &["new", "my-game"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let manifest = std::fs::read_to_string(dir.path().join("my-game/Cargo.toml")).unwrap();
    assert!(manifest.contains("name = \"my-game\"") && manifest.contains("guest-sdk/rust"), "{manifest}");
    let again = everwake(dir.path(), &["new", "my-game"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("hint: "), "{}", stderr(&again));
}

#[test]
fn a_taken_port_is_told_before_anything_is_built() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("Cargo.toml"), "this is never read").unwrap();
    let holder = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let output = everwake(dir.path(), &["dev", "--port", &port, "--admin-port", "0"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("`{port}` is taken by")) && text.contains("--port"), "{text}");
    if cfg!(target_os = "linux") {
        assert!(text.contains(&std::process::id().to_string()), "{text}");
    }
    assert!(!dir.path().join(".everwake/dev.json").exists());
}

#[test]
fn all_taken_ports_are_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("Cargo.toml"), "this is never read").unwrap();
    let holder = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ports = [holder.local_addr().unwrap().port(), listener.local_addr().unwrap().port()];
    let [port, admin] = ports.map(|it| it.to_string());
    let output = everwake(dir.path(), &["dev", "--port", &port, "--admin-port", &admin]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for taken in [format!("UDP port `{port}` is taken"), format!("TCP port `{admin}` is taken")] {
        assert!(text.contains(&taken), "{text}");
    }
    assert!(text.contains("--port ") && text.contains("--admin-port "), "{text}");
}

#[test]
fn a_mistyped_command_is_answered_with_the_near_one() {
    let dir = tempfile::tempdir().unwrap();
    for (typed, near) in [
        (&["dve"][..], "`everwake dev`"),
        (&["stauts"], "`everwake status`"),
        (&["--quiet", "record", "strat"], "`everwake record start`"),
    ] {
        let output = everwake(dir.path(), typed);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("hint: Do you mean ") && text.contains(near), "{text}");
    }
    let text = stderr(&everwake(dir.path(), &["xyzzy"]));
    assert!(
        text.contains("error: There is no command `xyzzy`.") && text.contains("hint: `everwake --help`"),
        "{text}"
    );
    let text = stderr(&everwake(dir.path(), &["dev", "--prot", "1"]));
    assert!(text.contains("error: ") && text.contains("hint: ") && !text.contains("tip:"), "{text}");
}

#[test]
fn a_config_with_a_typing_error_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("Cargo.toml"), "this is never read").unwrap();
    std::fs::write(dir.path().join("everwake.toml"), "[listen]\nprot = 1\n").unwrap();
    let output = everwake(dir.path(), &["dev"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("unknown field `prot`") && text.contains("docs/guide/config.md"), "{text}");
}
