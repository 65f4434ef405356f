//! Names and lines for the frames of a trap, read off the component as its author built it.
//!
//! Slow (milliseconds), so never on the path of events. What is missing or odd in the symbols
//! leaves a frame bare, it is no error: custom sections can hold anything.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian};
use serde::{Deserialize, Serialize};
use wasmparser::{BinaryReader, Name, NameSectionReader};

use super::strip::{self, CODE, CUSTOM};
use crate::guest::RawFrame;

/// Where the symbols of a version are.
#[derive(Debug, Clone)]
pub enum Symbols {
    /// The component came without.
    None,
    /// On disk, beside the compiled code.
    File(PathBuf),
    /// In memory.
    Memory(Arc<[u8]>),
}

/// One line of a stack trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Index of the core module inside the component.
    pub module: u32,
    /// Index of the function.
    pub function_index: u32,
    /// Byte offset into the stripped core module.
    pub offset: u32,
    /// Name of the function, as its author wrote it.
    pub function: Option<String>,
    /// Source file.
    pub file: Option<String>,
    /// Line in it, from 1.
    pub line: Option<u32>,
    /// Whether the compiler has put it into the next frame.
    pub inlined: bool,
}

impl Frame {
    /// A frame without a name.
    #[must_use]
    pub fn bare(raw: &RawFrame) -> Self {
        Self {
            module: raw.module,
            function_index: raw.function,
            offset: raw.offset,
            function: None,
            file: None,
            line: None,
            inlined: false,
        }
    }
}

impl Symbols {
    /// Finds names and lines; inlined functions become frames of their own. Reads the whole
    /// component: call it beside the events, not between them.
    #[must_use]
    pub fn symbolise(&self, frames: &[RawFrame]) -> Vec<Frame> {
        let component: Cow<'_, [u8]> = match self {
            Self::None => Cow::Borrowed(&[]),
            Self::Memory(bytes) => Cow::Borrowed(bytes),
            Self::File(path) => match std::fs::read(path) {
                Ok(bytes) => Cow::Owned(bytes),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "symbols cannot be read");
                    Cow::Borrowed(&[])
                }
            },
        };
        let modules = strip::modules(&component).unwrap_or_default();
        let mut known = BTreeMap::new();
        let mut symbolised = Vec::with_capacity(frames.len());
        for raw in frames {
            let symbols = known.entry(raw.module).or_insert_with(|| {
                let module = modules.get(usize::try_from(raw.module).ok()?)?;
                ModuleSymbols::read(module)
            });
            match symbols {
                Some(symbols) => symbols.symbolise(raw, &mut symbolised),
                None => symbolised.push(Frame::bare(raw)),
            }
        }
        symbolised
    }
}

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// What one core module says about its code.
struct ModuleSymbols<'a> {
    /// Where the code section's contents start once custom sections are gone.
    code_start: u32,
    names: BTreeMap<u32, &'a str>,
    lines: Option<addr2line::Context<Reader<'a>>>,
}

impl<'a> ModuleSymbols<'a> {
    fn read(module: &'a [u8]) -> Option<Self> {
        let mut code_start = None;
        let mut kept = strip::HEADER_BYTES;
        let mut custom = BTreeMap::new();
        for section in strip::sections(module) {
            let (id, body) = section.ok()?;
            if id == CUSTOM {
                custom.extend(strip::custom_section(body));
                continue;
            }
            let start = kept + strip::section_header_bytes(body.len());
            if id == CODE {
                code_start = u32::try_from(start).ok();
            }
            kept = start + body.len();
        }
        let names = custom.get("name").map(|section| names(section)).unwrap_or_default();
        Some(Self { code_start: code_start?, names, lines: lines(&custom) })
    }

    /// Appends the frame, the innermost inlined function first.
    fn symbolise(&self, raw: &RawFrame, out: &mut Vec<Frame>) {
        let name = || self.names.get(&raw.function).map(|name| readable(name));
        let mut places = self.places(raw);
        if places.is_empty() {
            places.push(Place::default());
        }
        let outermost = places.len() - 1;
        out.extend(places.into_iter().enumerate().map(|(index, place)| Frame {
            function: place.function.or_else(name),
            file: place.file,
            line: place.line,
            inlined: index < outermost,
            ..Frame::bare(raw)
        }));
    }

    /// Line information counts from the start of the code section's contents.
    fn places(&self, raw: &RawFrame) -> Vec<Place> {
        let mut places = Vec::new();
        let (Some(lines), Some(address)) = (&self.lines, raw.offset.checked_sub(self.code_start)) else {
            return places;
        };
        let Ok(mut frames) = lines.find_frames(u64::from(address)).skip_all_loads() else { return places };
        while let Ok(Some(frame)) = frames.next() {
            let function = frame.function.as_ref().and_then(|name| name.raw_name().ok());
            let location = frame.location.as_ref();
            places.push(Place {
                function: function.map(|name| readable(&name)),
                file: location.and_then(|location| location.file).map(tidy_path),
                line: location.and_then(|location| location.line),
            });
        }
        places
    }
}

#[derive(Default)]
struct Place {
    function: Option<String>,
    file: Option<String>,
    line: Option<u32>,
}

fn names(section: &[u8]) -> BTreeMap<u32, &str> {
    let mut names = BTreeMap::new();
    for subsection in NameSectionReader::new(BinaryReader::new(section, 0)).map_while(Result::ok) {
        if let Name::Function(functions) = subsection {
            names.extend(functions.into_iter().map_while(Result::ok).map(|name| (name.index, name.name)));
        }
    }
    names
}

fn lines<'a>(custom: &BTreeMap<&str, &'a [u8]>) -> Option<addr2line::Context<Reader<'a>>> {
    if !custom.contains_key(".debug_line") {
        return None;
    }
    let dwarf = Dwarf::load(|section| {
        let bytes = custom.get(section.name()).copied().unwrap_or_default();
        Ok::<_, addr2line::gimli::Error>(EndianSlice::new(bytes, LittleEndian))
    });
    addr2line::Context::from_dwarf(dwarf.ok()?).ok()
}

/// A function's name as its author wrote it, the same in every build.
fn readable(name: &str) -> String {
    // Guessed from the name: compilers that keep lines alone do not tell the language.
    without_hash(&addr2line::demangle_auto(Cow::Borrowed(name), None)).to_owned()
}

/// `guest::hit::h0123456789abcdef` changes its end with every build.
fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        _ => name,
    }
}

/// The builder cuts paths to `./src/lib.rs`.
fn tidy_path(path: &str) -> String {
    path.strip_prefix("./").unwrap_or(path).replace("/./", "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_the_author_wrote_them() {
        assert_eq!(readable("guest::hit::h0123456789abcdef"), "guest::hit");
        assert_eq!(readable("guest::hit::hello"), "guest::hit::hello");
        assert_eq!(readable("_ZN5probe7give_up17h44a92f9a526f7e4dE"), "probe::give_up");
    }

    #[test]
    fn without_symbols_frames_stay_bare() {
        let raw = RawFrame { module: 3, function: 7, offset: 9 };
        assert_eq!(Symbols::None.symbolise(std::slice::from_ref(&raw)), [Frame::bare(&raw)]);
        let garbage = Symbols::Memory(b"\0asm\x0d\0\x01\0\x01\x03abc"[..].into());
        assert_eq!(garbage.symbolise(std::slice::from_ref(&raw)), [Frame::bare(&raw)]);
    }
}
