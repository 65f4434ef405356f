//! What people type at the prompt of `connect`.

/// One line, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// Nothing was typed.
    Nothing,
    /// The own entity, whole.
    Own,
    /// All entities in view, a line each.
    List,
    /// One entity, whole.
    Show(String),
    /// What can be called.
    Methods,
    /// A call of a method; the own entity's if no target is named.
    Call {
        /// Start of the target's id.
        target: Option<String>,
        /// Name of the method.
        method: String,
        /// The rest of the line.
        rest: String,
    },
    /// Moves the own entity.
    Move(f32, f32),
    /// What can be typed: all of it, or one command or method.
    Help(String),
    /// The end.
    Quit,
}

/// A command: its words, how it is typed, what it does, and what else there is to know.
struct Help {
    words: &'static [&'static str],
    usage: &'static str,
    does: &'static str,
    more: &'static str,
}

const HELP: [Help; 7] = [
    Help {
        words: &["own", "me"],
        usage: "own",
        does: "your own entity with its attributes",
        more: "It is the one that the server has given to you; `call` means it if no other is named.",
    },
    Help {
        words: &["ls", "list"],
        usage: "ls",
        does: "all entities in view",
        more: "Ids are shortened; wherever one is asked for, its start is enough.",
    },
    Help {
        words: &["show"],
        usage: "show ID",
        does: "one entity with its attributes; the start of its id is enough",
        more: "Attributes that only its own client sees are not there.",
    },
    Help {
        words: &["methods"],
        usage: "methods",
        does: "what you can call",
        more: "All methods of your own entity, and of others in view what every client may call.",
    },
    Help {
        words: &["call"],
        usage: "call [@ID] METHOD ARGS",
        does: "calls a method of your own entity, or of another; `METHOD ARGS` does too",
        more: "Arguments are read by their types: `40`, `lobby`, \"two words\", [1, 2], {\"kind\": \"axe\"}, null. \
               A text at the end takes the rest of the line.",
    },
    Help {
        words: &["move"],
        usage: "move X Z",
        does: "moves your own entity",
        more: "Metres east and metres north. The server may put it back.",
    },
    Help {
        words: &["help", "?", "quit", "exit", "q"],
        usage: "help [WORD], quit",
        does: "this, or one command or method; the end",
        more: "`quit`, Ctrl-D and Ctrl-C end it.",
    },
];

impl Help {
    fn line(&self) -> String {
        let width = HELP.iter().map(|it| it.usage.len()).max().unwrap_or(0);
        format!("{:<width$}  {}", self.usage, self.does)
    }
}

/// What can be typed, a line each.
pub fn help() -> Vec<String> {
    HELP.iter().map(Help::line).collect()
}

/// More about one command; none if it is none.
pub fn help_about(word: &str) -> Option<Vec<String>> {
    let found = HELP.iter().find(|it| it.words.contains(&word))?;
    Some(vec![found.line(), found.more.to_owned()])
}

/// Reads a line. A first word that is no command is a method of the own entity.
pub fn parse(line: &str) -> Result<Line, String> {
    let (word, rest) = split_word(line);
    Ok(match word {
        "" => Line::Nothing,
        "own" | "me" => Line::Own,
        "ls" | "list" => Line::List,
        "methods" => Line::Methods,
        "help" | "?" => Line::Help(rest.to_owned()),
        "quit" | "exit" | "q" => Line::Quit,
        "show" if rest.is_empty() => {
            return Err("`show` needs the start of an id; `ls` lists them".to_owned());
        }
        "show" => Line::Show(rest.to_owned()),
        "move" => {
            let (x, z) = split_word(rest);
            match (x.parse::<f32>(), z.parse::<f32>()) {
                (Ok(x), Ok(z)) if x.is_finite() && z.is_finite() => Line::Move(x, z),
                _ => return Err("`move` needs two numbers: metres east and metres north".to_owned()),
            }
        }
        "call" => {
            let (target, rest) = match rest.strip_prefix('@') {
                Some(rest) => {
                    let (target, rest) = split_word(rest);
                    (Some(target.to_owned()), rest)
                }
                None => (None, rest),
            };
            let (method, rest) = split_word(rest);
            if method.is_empty() {
                return Err("`call` needs the name of a method; `methods` lists them".to_owned());
            }
            Line::Call { target, method: method.to_owned(), rest: rest.to_owned() }
        }
        method => Line::Call { target: None, method: method.to_owned(), rest: rest.to_owned() },
    })
}

fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

/// The one that begins so; an error that names the candidates otherwise.
pub fn by_prefix<'a>(prefix: &str, names: impl Iterator<Item = &'a str>) -> Result<&'a str, String> {
    let found: Vec<&str> = names.filter(|it| it.starts_with(prefix)).collect();
    match found.as_slice() {
        [only] => Ok(only),
        [] => Err(format!("nothing in view begins with `{prefix}`")),
        several if several.contains(&prefix) => {
            several.iter().find(|it| **it == prefix).copied().ok_or_else(String::new)
        }
        several => Err(format!("`{prefix}` is not clear: {}", several.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(target: Option<&str>, method: &str, rest: &str) -> Result<Line, String> {
        Ok(Line::Call { target: target.map(str::to_owned), method: method.into(), rest: rest.into() })
    }

    #[test]
    fn lines_are_understood() {
        let check = |line: &str, expect| assert_eq!(parse(line), expect, "{line}");
        check("", Ok(Line::Nothing));
        check("  own ", Ok(Line::Own));
        check("ls", Ok(Line::List));
        check("show 0ab", Ok(Line::Show("0ab".into())));
        check("call say hello  there", call(None, "say", "hello  there"));
        check("call @0ab hit 3", call(Some("0ab"), "hit", "3"));
        check("say hello", call(None, "say", "hello"));
        check("who", call(None, "who", ""));
        check("move 1 -2.5", Ok(Line::Move(1.0, -2.5)));
        check("quit", Ok(Line::Quit));
    }

    #[test]
    fn every_command_has_its_help() {
        assert_eq!(parse("help call"), Ok(Line::Help("call".into())));
        assert_eq!(help().len(), HELP.len());
        for word in HELP.iter().flat_map(|it| it.words) {
            let about = help_about(word).unwrap();
            assert!(about.len() == 2 && about[1].ends_with('.'), "{about:?}");
            let line = format!("{word} 0a 1");
            assert!(
                !matches!(parse(&line), Ok(Line::Call { ref method, .. }) if method == word),
                "{word} is a command"
            );
        }
        assert_eq!(help_about("say"), None);
    }

    #[test]
    fn what_is_missing_is_said() {
        for (line, say) in [
            ("show", "`ls` lists"),
            ("call", "`methods` lists"),
            ("call @0ab", "`methods` lists"),
            ("move 1 inf", "two numbers"),
        ] {
            assert!(parse(line).unwrap_err().contains(say), "{line}");
        }
    }

    #[test]
    fn a_prefix_must_be_clear() {
        let names = ["abc", "abd", "ab"];
        let find = |prefix| by_prefix(prefix, names.into_iter());
        assert_eq!(find("abc"), Ok("abc"));
        assert_eq!(find("ab"), Ok("ab"), "the whole name wins");
        assert!(find("a").unwrap_err().contains("abc, abd, ab"));
        assert!(find("x").unwrap_err().contains("nothing"));
    }
}
