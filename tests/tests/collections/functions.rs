//! The functions of the SDK that change a list or a map, read from its source: each of them must have a case.

use bags::{ListChange, MapChange};
use std::collections::BTreeSet;
use std::path::Path;
use syn::{FnArg, ImplItem, Item, ItemImpl, Type};

/// Between the SDK's collections and its entities; authors do not call it.
const INNER: &str = "Attribute";
/// They make a collection: set as a whole, it is another one.
const MAKERS: [&str; 2] = ["From", "FromIterator"];

/// Public functions of a collection that change one, or make one.
fn functions(file: &str, collection: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-sdk/rust/src").join(file);
    let parsed = syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap();
    let blocks = parsed.items.iter().filter_map(|item| match item {
        Item::Impl(block) => Some(block),
        _ => None,
    });
    blocks.filter(|block| is_of(&block.self_ty, collection)).flat_map(changing).collect()
}

/// `List<T>`, or `&mut List<T>`.
fn is_of(ty: &Type, collection: &str) -> bool {
    match ty {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == collection),
        Type::Reference(reference) => reference.mutability.is_some() && is_of(&reference.elem, collection),
        _ => false,
    }
}

fn changing(block: &ItemImpl) -> Vec<String> {
    let of_trait = block.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
    let of_trait = of_trait.map(|last| last.ident.to_string());
    if of_trait.as_deref() == Some(INNER) {
        return Vec::new();
    }
    let makes = of_trait.as_deref().is_some_and(|name| MAKERS.contains(&name));
    let of_reference = matches!(*block.self_ty, Type::Reference(_));
    let functions = block.items.iter().filter_map(|item| match item {
        ImplItem::Fn(function) => Some(function),
        _ => None,
    });
    let public =
        functions.filter(|function| of_trait.is_some() || matches!(function.vis, syn::Visibility::Public(_)));
    let changing = public.filter(|function| {
        let by_self = match function.sig.inputs.first() {
            Some(FnArg::Receiver(receiver)) => receiver.reference.is_some() && receiver.mutability.is_some(),
            _ => false,
        };
        by_self || makes || of_reference
    });
    changing.map(|function| function.sig.ident.to_string()).collect()
}

/// The function that a case is named like: `SwapRemove(3)` is `swap_remove`.
pub(crate) fn named(case: &impl std::fmt::Debug) -> String {
    let text = format!("{case:?}");
    let mut name = String::new();
    for letter in text.chars().take_while(char::is_ascii_alphanumeric) {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn cases<T: std::fmt::Debug>(drawn: impl Fn() -> T) -> BTreeSet<String> {
    (0..4_000).map(|_| named(&drawn())).collect()
}

#[test]
fn every_function_that_changes_a_list_or_a_map_has_a_case() {
    let drawn = crate::copies::Drawn::default();
    let lists: BTreeSet<String> = cases::<ListChange>(|| drawn.of(crate::copies::list_change()));
    let maps: BTreeSet<String> = cases::<MapChange>(|| drawn.of(crate::copies::map_change()));
    assert_eq!(lists, functions("list.rs", "List"), "cases drawn, and functions of `List`");
    assert_eq!(maps, functions("map.rs", "Map"), "cases drawn, and functions of `Map`");
}
