//! `#[methods]`: finds the handlers of an impl block and writes the trait that runs them.

use proc_macro2::{TokenStream, TokenTree};
use quote::{format_ident, quote};
use syn::{Ident, ImplItem, ImplItemFn, ItemImpl, Type};

use crate::handlers::{Constructor, Hook, Method, Migrate, TickFn, Told};
use crate::{Mistakes, handlers, signature};

/// The hooks by the names of their functions, and what each is told; the place is the number.
pub(crate) const HOOKS: [(&str, &[Told]); 22] = [
    ("new", &[]),
    ("on_create", &[]),
    ("on_load", &[]),
    ("on_ready", &[]),
    ("on_enter_space", &[Told::Id]),
    ("on_leave_space", &[Told::Id]),
    ("on_enter_failed", &[Told::Id, Told::Text]),
    ("on_member_enter", &[Told::Id]),
    ("on_member_leave", &[Told::Id]),
    ("on_enter_aoi", &[Told::Id]),
    ("on_leave_aoi", &[Told::Id]),
    ("on_watched", &[]),
    ("on_unwatched", &[]),
    ("on_client", &[]),
    ("on_client_lost", &[Told::Number]),
    ("on_give_failed", &[Told::Id, Told::Text]),
    ("on_moved_game", &[]),
    ("on_swapped", &[Told::Text, Told::Text]),
    ("on_data", &[]),
    ("on_reset", &[]),
    ("on_unhandled", &[Told::Text, Told::Arguments]),
    ("on_destroy", &[]),
];

#[derive(Default)]
struct Found {
    methods: Vec<Method>,
    hooks: Vec<Hook>,
    tick: Option<TickFn>,
    migrate: Option<Migrate>,
    constructor: Option<Constructor>,
}

pub(crate) fn expand(item: TokenStream) -> syn::Result<TokenStream> {
    let mut item: ItemImpl = syn::parse2(item)
        .map_err(|error| syn::Error::new(error.span(), "`#[methods]` stands on an impl block"))?;
    let Type::Path(path) = &*item.self_ty else {
        return Err(syn::Error::new_spanned(
            &item.self_ty,
            "`#[methods]` stands on the impl block of an entity",
        ));
    };
    if let Some((_, of, _)) = &item.trait_ {
        return Err(syn::Error::new_spanned(
            of,
            "`#[methods]` stands on the type's own impl block, not on a trait's",
        ));
    }
    let Some(ident) = path.path.segments.last().map(|segment| segment.ident.clone()) else {
        return Err(syn::Error::new_spanned(path, "`#[methods]` stands on the impl block of an entity"));
    };
    let mut named = Vec::new();
    let body = &item.items;
    scan(quote!(#(#body)*), &mut named);
    let (mut found, mut mistakes) = (Found::default(), Mistakes::default());
    for inside in &mut item.items {
        if let ImplItem::Fn(function) = inside {
            sort_in(function, &named, &mut found, &mut mistakes);
        }
    }
    let calls = calls_impl(&item.self_ty, &ident, &found.methods);
    let names = handler_names(&item.self_ty, &found.methods);
    let rate = found.tick.as_ref().map(|tick| tick.rate(&item.self_ty));
    let mistakes = mistakes.finish().err().map(syn::Error::into_compile_error);
    if mistakes.is_some() {
        // Without handlers, but with the trait: so that nothing else seems to be wrong.
        found = Found::default();
    }
    let implemented = methods_impl(&item.self_ty, &found);
    Ok(quote! { #mistakes #item #implemented #calls #names #rate })
}

/// The last names in `on!(..)`, wherever they stand.
fn scan(tokens: TokenStream, named: &mut Vec<String>) {
    let mut before: [Option<TokenTree>; 2] = [None, None];
    for token in tokens {
        if let TokenTree::Group(group) = &token {
            let [on, bang] = &before;
            let is = |tree: &Option<TokenTree>, text: &str| {
                tree.as_ref().is_some_and(|tree| tree.to_string() == text)
            };
            if is(on, "on") && is(bang, "!") {
                named.extend(group.stream().into_iter().last().map(|last| last.to_string()));
            }
            scan(group.stream(), named);
        }
        let [_, last] = before;
        before = [last, Some(token)];
    }
}

/// Finds out what a function is, and takes our attributes off it.
fn sort_in(function: &mut ImplItemFn, named: &[String], found: &mut Found, mistakes: &mut Mistakes) {
    let mut take = |name: &str| {
        let at = function.attrs.iter().position(|attribute| attribute.path().is_ident(name))?;
        Some(function.attrs.remove(at))
    };
    let (rpc, tick, migrate, handler) = (take("rpc"), take("tick"), take("migrate"), take("handler"));
    if [&rpc, &tick, &migrate, &handler].into_iter().flatten().count() > 1 {
        mistakes.add(
            &function.sig.ident,
            "a function is one of `#[rpc]`, `#[tick]`, `#[migrate]` and `#[handler]`",
        );
    }
    let name = function.sig.ident.to_string();
    let hook = HOOKS.iter().position(|(hook, _)| *hook == name);
    if let Some(attribute) = rpc {
        found.methods.extend(handlers::rpc(function, &attribute, mistakes));
    } else if let Some(attribute) = tick {
        if found.tick.is_some() {
            mistakes.add(&function.sig.ident, "a type has one `#[tick]`");
        }
        found.tick = handlers::tick(function, &attribute, mistakes);
    } else if migrate.is_some() {
        found.migrate = handlers::migrate(function, mistakes);
    } else if name == "new" {
        found.constructor = Some(handlers::constructor(function, mistakes));
    } else if handler.is_some()
        || named.contains(&name)
        || signature::takes_outcome(&function.sig) && hook.is_none()
    {
        found.methods.extend(handlers::internal(function, handler.as_ref(), mistakes));
    } else if let Some(number) = hook {
        let told = HOOKS.get(number).map_or(&[][..], |(_, told)| told);
        found.hooks.push(handlers::hook(function, number as u32, told, mistakes));
    }
}

fn methods_impl(ty: &Type, found: &Found) -> TokenStream {
    let described = found.methods.iter().map(Method::describe);
    let calls = found.methods.iter().enumerate().filter_map(|(index, method)| method.call_arm(index as u32));
    let resumes =
        found.methods.iter().enumerate().filter_map(|(index, method)| method.resume_arm(index as u32));
    let hooks = found.hooks.iter().map(Hook::arm);
    let mut numbers: Vec<u32> = found.hooks.iter().map(|hook| hook.number).collect();
    numbers.extend(found.constructor.iter().map(|_| 0));
    numbers.sort_unstable();
    let constructor = handlers::constructor_items(found.constructor.as_ref());
    let (tick, migrate) =
        (found.tick.as_ref().map(TickFn::items), found.migrate.as_ref().map(Migrate::items));
    quote! {
        #[allow(clippy::type_complexity)]
        impl ::everwake::sdk::Methods for #ty {
            const HOOKS: &'static [u32] = &[#(#numbers),*];

            fn describe(definitions: &mut ::everwake::sdk::Definitions) -> Vec<::everwake::sdk::Method> {
                let _ = &definitions;
                vec![#(#described),*]
            }

            fn call(&mut self, cx: &mut ::everwake::Context, method: u32, args: ::everwake::sdk::Args<'_>) -> Result<(), ::everwake::Error> {
                let _ = (&cx, &args);
                match method {
                    #(#calls)*
                    _ => ::everwake::sdk::no_such_method(method),
                }
            }

            fn resume(&mut self, cx: &mut ::everwake::Context, method: u32, args: ::everwake::sdk::Args<'_>) -> Result<(), ::everwake::Error> {
                let _ = (&cx, &args);
                match method {
                    #(#resumes)*
                    _ => ::everwake::sdk::no_such_method(method),
                }
            }

            fn hook(&mut self, cx: &mut ::everwake::Context, hook: u32, args: ::everwake::sdk::Args<'_>) -> Result<(), ::everwake::Error> {
                let _ = (&cx, &args);
                match hook {
                    #(#hooks)*
                    _ => Ok(()),
                }
            }

            #constructor
            #tick
            #migrate
        }
    }
}

/// The methods that others call on a `Ref`.
fn calls_impl(ty: &Type, ident: &Ident, methods: &[Method]) -> TokenStream {
    let calls = format_ident!("{ident}Calls");
    let functions = methods.iter().enumerate().filter_map(|(index, method)| method.caller(ty, index as u32));
    quote! {
        #[allow(dead_code, missing_docs, private_interfaces, clippy::too_many_arguments, clippy::type_complexity)]
        impl #calls {
            #(#functions)*
        }
    }
}

/// What `on!` calls.
fn handler_names(ty: &Type, methods: &[Method]) -> TokenStream {
    let functions = methods.iter().enumerate().filter_map(|(index, method)| method.name_fn(index as u32));
    quote! {
        #[allow(dead_code, private_interfaces, missing_docs, clippy::type_complexity)]
        impl #ty {
            #(#functions)*
        }
    }
}
