//! Lines that people type: words, quotes, brackets.

use super::ValueError;
use super::encode::{encode_arguments, signature};
use super::types::Definitions;
use everwake_protocol::schema::Field;
use serde_json::Value;

/// One word of a line, and where it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// As it was typed, quotes removed.
    pub text: String,
    /// Whether it was quoted as a whole: then it is a text, whatever it looks like.
    pub quoted: bool,
    /// Byte in the line where it began.
    pub start: usize,
}

/// Splits a line at spaces that are in no quotes and no brackets.
pub fn split(line: &str) -> Result<Vec<Token>, ValueError> {
    let mut tokens = Vec::new();
    let mut rest = line.char_indices().peekable();
    while let Some((start, first)) = rest.next() {
        if first.is_whitespace() {
            continue;
        }
        if first == '"' || first == '\'' {
            tokens.push(Token { text: quoted(&mut rest, first)?, quoted: true, start });
            continue;
        }
        let mut end = start + first.len_utf8();
        let mut open: Vec<char> = closing(first).into_iter().collect();
        let mut in_quotes = false;
        while let Some(&(at, next)) = rest.peek() {
            if open.is_empty() && next.is_whitespace() {
                break;
            }
            if next == '"' && !open.is_empty() {
                in_quotes = !in_quotes;
            } else if !in_quotes {
                if open.last() == Some(&next) {
                    open.pop();
                } else {
                    open.extend(closing(next));
                }
            }
            end = at + next.len_utf8();
            rest.next();
        }
        if let Some(missing) = open.pop() {
            return Err(ValueError::Open(opening(missing)));
        }
        tokens.push(Token {
            text: line.get(start..end).unwrap_or_default().to_owned(),
            quoted: false,
            start,
        });
    }
    Ok(tokens)
}

fn quoted(rest: &mut impl Iterator<Item = (usize, char)>, quote: char) -> Result<String, ValueError> {
    let mut text = String::new();
    while let Some((_, next)) = rest.next() {
        match next {
            '\\' if quote == '"' => match rest.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, other)) => text.push(other),
                None => return Err(ValueError::Open(quote)),
            },
            _ if next == quote => return Ok(text),
            _ => text.push(next),
        }
    }
    Err(ValueError::Open(quote))
}

fn closing(open: char) -> Option<char> {
    match open {
        '[' => Some(']'),
        '{' => Some('}'),
        _ => None,
    }
}

fn opening(close: char) -> char {
    if close == ']' { '[' } else { '{' }
}

/// The arguments of a method from the rest of a line. If the last parameter is a text, it takes
/// all that is left, so that `say hello there` needs no quotes.
pub fn arguments_of_line(
    line: &str,
    parameters: &[Field],
    definitions: &Definitions,
) -> Result<Vec<u8>, ValueError> {
    let open_end = parameters.last().is_some_and(|it| it.type_text == "string");
    let tokens = match split(line) {
        Ok(tokens) => tokens,
        // An apostrophe in a sentence is no quote.
        Err(_) if open_end && parameters.len() == 1 => {
            vec![Token { text: line.trim().to_owned(), quoted: true, start: 0 }]
        }
        Err(error) => return Err(error),
    };
    let mut values: Vec<Value> = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        if open_end && place + 1 == parameters.len() && tokens.len() > parameters.len() {
            values.push(Value::from(line.get(token.start..).unwrap_or_default().trim_end()));
            return encode_arguments(&values, parameters, definitions);
        }
        let text = parameters.get(place).is_some_and(|it| it.type_text == "string");
        values.push(match (token.quoted || text, token.text.as_str()) {
            (false, "null") => Value::Null,
            (_, other) => Value::from(other),
        });
    }
    if values.len() > parameters.len() {
        let (expected, found) = (parameters.len(), values.len());
        return Err(ValueError::Count { expected, found, signature: signature(parameters) });
    }
    encode_arguments(&values, parameters, definitions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use everwake_protocol::cbor::diagnostic;

    fn words(line: &str) -> Vec<String> {
        split(line).unwrap().into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn words_quotes_and_brackets_are_kept_together() {
        assert_eq!(
            words(r#"call hit 3 "a b" [1, 2] {"k": "} x"}"#),
            ["call", "hit", "3", "a b", "[1, 2]", r#"{"k": "} x"}"#]
        );
        assert_eq!(words("  "), Vec::<String>::new());
        assert_eq!(words(r#""say \"hi\"""#), [r#"say "hi""#]);
    }

    #[test]
    fn what_is_open_is_named() {
        assert_eq!(split("a [1, 2"), Err(ValueError::Open('[')));
        assert_eq!(split("a \"b"), Err(ValueError::Open('"')));
    }

    fn parameters(types: &[&str]) -> Vec<Field> {
        types.iter().map(|it| Field { name: "p".into(), type_text: (*it).into() }).collect()
    }

    fn check(line: &str, types: &[&str], expect: &str) {
        let found = match arguments_of_line(line, &parameters(types), &Definitions::default()) {
            Ok(args) => diagnostic(&args),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expect, "{line}");
    }

    #[test]
    fn arguments_are_typed_by_the_method() {
        check("40 40", &["i32", "string"], r#"[40, "40"]"#);
        check("hello there, all", &["string"], r#"["hello there, all"]"#);
        check("lobby don't panic", &["string", "string"], r#"["lobby", "don't panic"]"#);
        check("it's", &["string"], r#"["it's"]"#);
        check("null", &["string"], r#"["null"]"#);
        check("null 1", &["option<i32>", "i32"], "[null, 1]");
        check("1", &["i32", "option<i32>"], "[1, null]");
        check("", &[], "[]");
    }

    #[test]
    fn wrong_counts_show_the_signature() {
        check("1 2", &["i32"], "expected 1 argument, found 2: (p: i32)");
        check("1", &[], "expected no arguments, found 1: ()");
        check("", &["i32", "i32"], "expected 2 arguments, found 0: (p: i32, p: i32)");
        check("", &["i32"], "expected 1 argument, found 0: (p: i32)");
    }
}
