//! What the chat client understands and prints. Pure.

use crate::connect::format::harmless;
use serde_json::Value;

/// One line that somebody typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Nothing.
    Nothing,
    /// To everybody in the room.
    Say(String),
    /// Into another room.
    Join(String),
    /// Who is here?
    Who,
    /// To everybody in the world.
    Shout(String),
    /// Which version answers?
    Version,
    /// What can be typed?
    Help,
    /// The end.
    Quit,
    /// A command that does not exist, or lacks something.
    Wrong(String),
}

/// What can be typed.
pub const HELP: &str = "Type to talk. /join ROOM, /who, /shout TEXT, /version, /help, /quit";

/// Reads a line.
pub fn read(line: &str) -> Typed {
    let line = line.trim();
    let Some(command) = line.strip_prefix('/') else {
        return if line.is_empty() { Typed::Nothing } else { Typed::Say(line.to_owned()) };
    };
    let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim().to_owned();
    match (word, rest.is_empty()) {
        ("join" | "j", false) => Typed::Join(rest),
        ("shout", false) => Typed::Shout(rest),
        ("join" | "j", true) => Typed::Wrong("`/join` needs the name of a room.".to_owned()),
        ("shout", true) => Typed::Wrong("`/shout` needs something to say.".to_owned()),
        ("who" | "w", _) => Typed::Who,
        ("version" | "v", _) => Typed::Version,
        ("help" | "h" | "?", _) => Typed::Help,
        ("quit" | "q" | "exit", _) => Typed::Quit,
        _ => Typed::Wrong(format!("There is no command `/{word}`. {HELP}")),
    }
}

/// A call from the server as a line; none if it is nothing of ours.
pub fn heard(method: &str, args: &[Value], me: &str, colour: bool) -> Option<String> {
    let text = |place: usize| args.get(place).and_then(Value::as_str).map(harmless).unwrap_or_default();
    let faint = |text: String| if colour { format!("\x1b[2m{text}\x1b[0m") } else { text };
    Some(match method {
        "said" => format!("{} {}", name(&text(1), me, colour), text(2)),
        "joined" if text(1) == me => faint(format!("* you are in {}", text(0))),
        "joined" => faint(format!("* {} comes into {}", text(1), text(0))),
        "left" => faint(format!("* {} leaves {}", text(1), text(0))),
        "notice" => faint(format!("! {}", text(0))),
        _ => return None,
    })
}

/// Whether a call from the server says that we are in a room now.
pub fn is_in(method: &str, args: &[Value], me: &str) -> bool {
    method == "joined" && args.get(1).and_then(Value::as_str) == Some(me)
}

/// A name in the colour that it always has.
fn name(who: &str, me: &str, colour: bool) -> String {
    if !colour {
        return format!("<{who}>");
    }
    const PALETTE: [u8; 8] = [39, 208, 141, 113, 205, 179, 80, 174];
    let sum = who.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    let code = PALETTE.get(sum % PALETTE.len()).copied().unwrap_or(39);
    let weight = if who == me { "1;" } else { "" };
    format!("\x1b[{weight}38;5;{code}m<{who}>\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_are_talk_or_commands() {
        let check = |line: &str, expect| assert_eq!(read(line), expect, "{line}");
        check("hello there", Typed::Say("hello there".into()));
        check("  ", Typed::Nothing);
        check("/join lobby", Typed::Join("lobby".into()));
        check("/who", Typed::Who);
        check("/shout hey you", Typed::Shout("hey you".into()));
        check("/q", Typed::Quit);
        assert!(matches!(read("/join"), Typed::Wrong(_)));
        assert!(matches!(read("/dance"), Typed::Wrong(text) if text.contains("/dance")));
    }

    #[test]
    fn what_is_heard_is_readable() {
        let check = |method, args: Value, expect: Option<&str>| {
            let found = heard(method, args.as_array().unwrap(), "Ada", false);
            assert_eq!(found.as_deref(), expect);
        };
        check("said", json!(["lobby", "Bob", "hi [v2]", 7]), Some("<Bob> hi [v2]"));
        check("joined", json!(["lobby", "Ada"]), Some("* you are in lobby"));
        check("joined", json!(["lobby", "Bob"]), Some("* Bob comes into lobby"));
        assert!(is_in("joined", &[json!("lobby"), json!("Ada")], "Ada"));
        assert!(!is_in("joined", &[json!("lobby"), json!("Bob")], "Ada") && !is_in("joined", &[], "Ada"));
        check("left", json!(["lobby", "Bob"]), Some("* Bob leaves lobby"));
        check("notice", json!(["soon\u{7}"]), Some("! soon\u{fffd}"));
        check("moved", json!([]), None);
        check("said", json!([]), Some("<> "));
    }

    #[test]
    fn a_name_keeps_its_colour_and_mine_is_bold() {
        assert_eq!(name("Bob", "Ada", true), name("Bob", "Eve", true));
        assert!(name("Ada", "Ada", true).starts_with("\x1b[1;38;5;"));
    }
}
