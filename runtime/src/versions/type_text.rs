//! Types as modules write them: text to tree and back.
//!
//! Guest-controlled input: bounded, every error with its byte position. Knows nothing of the
//! definitions that a name may stand for; [`super::structure`] does.

use std::fmt;

/// Longest type text. Stops a manifest of one endless type.
pub const TYPE_TEXT_BYTES_MAX: usize = 1024;
/// Deepest nesting of `<` in one text. Stops recursion from eating the stack.
pub const TYPE_TEXT_DEPTH_MAX: usize = 16;
/// Most members of a tuple.
pub const TUPLE_MEMBERS_MAX: usize = 16;
/// Longest name of a type, definition, attribute, method, parameter, field or case.
pub const NAME_BYTES_MAX: usize = 64;

/// A type as written, not yet resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TypeText {
    /// A type without parts.
    Scalar(Scalar),
    /// `option<T>`.
    Option(Box<TypeText>),
    /// `list<T>`.
    List(Box<TypeText>),
    /// `map<K, T>`.
    Map(Box<TypeText>, Box<TypeText>),
    /// `tuple<T, ...>`.
    Tuple(Vec<TypeText>),
    /// `ref<Name>`.
    Ref(String),
    /// `secret<T>`.
    Secret(Box<TypeText>),
    /// Name of a definition.
    Named(String),
}

/// A type without parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[expect(missing_docs, reason = "wit/manifests.wit lists them")]
pub enum Scalar {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    String,
    Bytes,
    Any,
    Id,
    Unit,
}

/// Why a text is not a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {problem}")]
pub struct TypeTextError {
    /// Byte offset into the text.
    pub at: usize,
    /// What is wrong there.
    pub problem: TypeTextProblem,
}

/// What is wrong with a type text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeTextProblem {
    /// [`TYPE_TEXT_BYTES_MAX`].
    #[error("the type is longer than {TYPE_TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// [`TYPE_TEXT_DEPTH_MAX`].
    #[error("the type nests deeper than {TYPE_TEXT_DEPTH_MAX}")]
    TooDeep,
    /// [`TUPLE_MEMBERS_MAX`].
    #[error("a tuple has 1 to {TUPLE_MEMBERS_MAX} members")]
    TupleSize,
    /// No name where one must be.
    #[error("a type is expected here")]
    TypeExpected,
    /// Another character must be here.
    #[error("`{0}` is expected here")]
    Expected(char),
    /// Something after the type.
    #[error("nothing is expected after the type")]
    Trailing,
    /// [`NAME_BYTES_MAX`].
    #[error("a name is longer than {NAME_BYTES_MAX} bytes")]
    NameTooLong,
    /// A generic with the wrong number of parts.
    #[error("`{0}` takes {1}")]
    Arity(&'static str, &'static str),
    /// `string<...>` and the like.
    #[error("`{0}` takes no types in `<>`")]
    NotGeneric(String),
}

impl Scalar {
    const ALL: [Scalar; 16] = [
        Scalar::Bool,
        Scalar::I8,
        Scalar::I16,
        Scalar::I32,
        Scalar::I64,
        Scalar::U8,
        Scalar::U16,
        Scalar::U32,
        Scalar::U64,
        Scalar::F32,
        Scalar::F64,
        Scalar::String,
        Scalar::Bytes,
        Scalar::Any,
        Scalar::Id,
        Scalar::Unit,
    ];

    /// As type texts spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scalar::Bool => "bool",
            Scalar::I8 => "i8",
            Scalar::I16 => "i16",
            Scalar::I32 => "i32",
            Scalar::I64 => "i64",
            Scalar::U8 => "u8",
            Scalar::U16 => "u16",
            Scalar::U32 => "u32",
            Scalar::U64 => "u64",
            Scalar::F32 => "f32",
            Scalar::F64 => "f64",
            Scalar::String => "string",
            Scalar::Bytes => "bytes",
            Scalar::Any => "any",
            Scalar::Id => "id",
            Scalar::Unit => "unit",
        }
    }

    /// Smallest and greatest value of an integer type; none for other types.
    #[must_use]
    pub fn integer_range(self) -> Option<(i128, i128)> {
        Some(match self {
            Scalar::I8 => (i8::MIN.into(), i8::MAX.into()),
            Scalar::I16 => (i16::MIN.into(), i16::MAX.into()),
            Scalar::I32 => (i32::MIN.into(), i32::MAX.into()),
            Scalar::I64 => (i64::MIN.into(), i64::MAX.into()),
            Scalar::U8 => (0, u8::MAX.into()),
            Scalar::U16 => (0, u16::MAX.into()),
            Scalar::U32 => (0, u32::MAX.into()),
            Scalar::U64 => (0, u64::MAX.into()),
            _ => return None,
        })
    }
}

/// True if the word means something in type texts, so that no definition may be called so.
#[must_use]
pub fn is_reserved(word: &str) -> bool {
    Scalar::ALL.iter().any(|scalar| scalar.name() == word)
        || ["option", "list", "map", "tuple", "ref", "secret"].contains(&word)
}

/// True if types and definitions may be called so: letters, digits and `_`, no digit first.
#[must_use]
pub fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= NAME_BYTES_MAX && bytes.next().is_some_and(is_name_start) && bytes.all(is_name_part)
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn is_name_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

impl std::str::FromStr for TypeText {
    type Err = TypeTextError;

    fn from_str(text: &str) -> Result<Self, TypeTextError> {
        if text.len() > TYPE_TEXT_BYTES_MAX {
            return Err(TypeTextError { at: TYPE_TEXT_BYTES_MAX, problem: TypeTextProblem::TooLong });
        }
        let mut parser = Parser { text, at: 0 };
        let parsed = parser.parse_type(0)?;
        parser.skip_spaces();
        if parser.at < text.len() {
            return Err(parser.error(TypeTextProblem::Trailing));
        }
        Ok(parsed)
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn parse_type(&mut self, depth: usize) -> Result<TypeText, TypeTextError> {
        self.skip_spaces();
        let start = self.at;
        if depth > TYPE_TEXT_DEPTH_MAX {
            return Err(self.error(TypeTextProblem::TooDeep));
        }
        let name = self.parse_name()?;
        if name == "ref" {
            return self.parse_ref();
        }
        let Some(arity) = arity_of(name) else {
            if self.peek() == Some(b'<') {
                return Err(self.error(TypeTextProblem::NotGeneric(name.to_owned())));
            }
            let scalar = Scalar::ALL.into_iter().find(|scalar| scalar.name() == name);
            return Ok(scalar.map_or_else(|| TypeText::Named(name.to_owned()), TypeText::Scalar));
        };
        let parts = self.parse_parts(depth)?;
        let wrong = TypeTextError { at: start, problem: arity.problem };
        match (name, <[TypeText; 1]>::try_from(parts)) {
            ("option", Ok([inner])) => Ok(TypeText::Option(Box::new(inner))),
            ("list", Ok([inner])) => Ok(TypeText::List(Box::new(inner))),
            ("secret", Ok([inner])) => Ok(TypeText::Secret(Box::new(inner))),
            ("tuple", Ok([inner])) => Ok(TypeText::Tuple(vec![inner])),
            ("tuple", Err(parts)) if (1..=TUPLE_MEMBERS_MAX).contains(&parts.len()) => {
                Ok(TypeText::Tuple(parts))
            }
            ("map", Err(parts)) => match <[TypeText; 2]>::try_from(parts) {
                Ok([key, value]) => Ok(TypeText::Map(Box::new(key), Box::new(value))),
                Err(_) => Err(wrong),
            },
            _ => Err(wrong),
        }
    }

    fn parse_parts(&mut self, depth: usize) -> Result<Vec<TypeText>, TypeTextError> {
        self.expect('<')?;
        let mut parts = Vec::new();
        loop {
            parts.push(self.parse_type(depth + 1)?);
            if parts.len() > TUPLE_MEMBERS_MAX {
                return Err(self.error(TypeTextProblem::TupleSize));
            }
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.expect('>')?;
            return Ok(parts);
        }
    }

    fn parse_ref(&mut self) -> Result<TypeText, TypeTextError> {
        self.expect('<')?;
        self.skip_spaces();
        let name = self.parse_name()?.to_owned();
        self.expect('>')?;
        Ok(TypeText::Ref(name))
    }

    fn parse_name(&mut self) -> Result<&'t str, TypeTextError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.bytes().take_while(|byte| is_name_part(*byte)).count();
        let name = rest.get(..length).unwrap_or_default();
        if !name.bytes().next().is_some_and(is_name_start) {
            return Err(self.error(TypeTextProblem::TypeExpected));
        }
        if length > NAME_BYTES_MAX {
            return Err(self.error(TypeTextProblem::NameTooLong));
        }
        self.at += length;
        Ok(name)
    }

    fn expect(&mut self, wanted: char) -> Result<(), TypeTextError> {
        if self.peek().map(char::from) != Some(wanted) {
            return Err(self.error(TypeTextProblem::Expected(wanted)));
        }
        self.at += 1;
        Ok(())
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_spaces();
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_spaces(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| **byte == b' ').count();
    }

    fn error(&self, problem: TypeTextProblem) -> TypeTextError {
        TypeTextError { at: self.at, problem }
    }
}

struct Arity {
    problem: TypeTextProblem,
}

fn arity_of(name: &str) -> Option<Arity> {
    let problem = match name {
        "option" => TypeTextProblem::Arity("option", "one type"),
        "list" => TypeTextProblem::Arity("list", "one type"),
        "secret" => TypeTextProblem::Arity("secret", "one type"),
        "map" => TypeTextProblem::Arity("map", "two types, of the key and of the value"),
        "tuple" => TypeTextProblem::TupleSize,
        _ => return None,
    };
    Some(Arity { problem })
}

/// The canonical spelling: no spaces but one after each comma.
impl fmt::Display for TypeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TypeText::Scalar(scalar) => f.write_str(scalar.name()),
            TypeText::Option(inner) => write!(f, "option<{inner}>"),
            TypeText::List(inner) => write!(f, "list<{inner}>"),
            TypeText::Map(key, value) => write!(f, "map<{key}, {value}>"),
            TypeText::Tuple(members) => {
                f.write_str("tuple<")?;
                for (place, member) in members.iter().enumerate() {
                    let comma = if place == 0 { "" } else { ", " };
                    write!(f, "{comma}{member}")?;
                }
                f.write_str(">")
            }
            TypeText::Ref(name) => write!(f, "ref<{name}>"),
            TypeText::Secret(inner) => write!(f, "secret<{inner}>"),
            TypeText::Named(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_spelling_has_spaces_only_after_commas() {
        for (text, canonical) in [
            ("bool", "bool"),
            (" map < string ,list< Item>> ", "map<string, list<Item>>"),
            ("tuple<i8,u64 , ref<Avatar>>", "tuple<i8, u64, ref<Avatar>>"),
            ("tuple<unit>", "tuple<unit>"),
            ("option<option<secret<string>>>", "option<option<secret<string>>>"),
        ] {
            assert_eq!(text.parse::<TypeText>().unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn errors_say_where_and_what() {
        for (text, message) in [
            ("", "at byte 0: a type is expected here"),
            ("list<>", "at byte 5: a type is expected here"),
            ("list<i8", "at byte 7: `>` is expected here"),
            ("list", "at byte 4: `<` is expected here"),
            ("map<i8>", "at byte 0: `map` takes two types, of the key and of the value"),
            ("list<i8, i8>", "at byte 0: `list` takes one type"),
            ("string<i8>", "at byte 6: `string` takes no types in `<>`"),
            ("i8 i8", "at byte 3: nothing is expected after the type"),
            ("9lives", "at byte 0: a type is expected here"),
            ("ref<list<i8>>", "at byte 8: `>` is expected here"),
            ("größe", "at byte 2: nothing is expected after the type"),
        ] {
            assert_eq!(text.parse::<TypeText>().unwrap_err().to_string(), message, "{text}");
        }
        let deep = format!("{}i8{}", "list<".repeat(17), ">".repeat(17));
        assert_eq!(deep.parse::<TypeText>().unwrap_err().problem, TypeTextProblem::TooDeep);
        let wide = format!("tuple<{}i8>", "i8,".repeat(16));
        assert_eq!(wide.parse::<TypeText>().unwrap_err().problem, TypeTextProblem::TupleSize);
        assert_eq!("x".repeat(65).parse::<TypeText>().unwrap_err().problem, TypeTextProblem::NameTooLong);
        assert_eq!("x".repeat(1025).parse::<TypeText>().unwrap_err().problem, TypeTextProblem::TooLong);
    }

    fn any_type() -> impl Strategy<Value = TypeText> {
        let leaf = prop_oneof![
            proptest::sample::select(Scalar::ALL.to_vec()).prop_map(TypeText::Scalar),
            "[A-Z][a-z0-9_]{0,8}".prop_map(TypeText::Named),
            "[A-Z][a-z0-9_]{0,8}".prop_map(TypeText::Ref),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|t| TypeText::Option(Box::new(t))),
                inner.clone().prop_map(|t| TypeText::List(Box::new(t))),
                inner.clone().prop_map(|t| TypeText::Secret(Box::new(t))),
                (inner.clone(), inner.clone()).prop_map(|(k, t)| TypeText::Map(Box::new(k), Box::new(t))),
                proptest::collection::vec(inner, 1..4).prop_map(TypeText::Tuple),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(text in any_type()) {
            let printed = text.to_string();
            prop_assume!(printed.len() <= TYPE_TEXT_BYTES_MAX);
            prop_assert_eq!(printed.parse::<TypeText>().unwrap(), text);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-z<>, A-Zé0-9_]{0,64}") {
            if let Ok(parsed) = text.parse::<TypeText>() {
                prop_assert_eq!(parsed.to_string().parse::<TypeText>().unwrap(), parsed);
            }
        }
    }
}
