//! `module!`: the list of types, and the exports of the component.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, Ident, LitStr, Path, Token, bracketed};

struct Module {
    name: Option<LitStr>,
    types: Vec<Path>,
    label: LitStr,
    budget: Expr,
    memory: Expr,
    capabilities: Vec<LitStr>,
}

impl Parse for Module {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut module = Self {
            name: None,
            types: Vec::new(),
            label: syn::parse_quote!(""),
            budget: syn::parse_quote!(ms(0)),
            memory: syn::parse_quote!(0),
            capabilities: Vec::new(),
        };
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            input.parse::<Token![:]>()?;
            match key.to_string().as_str() {
                "name" => module.name = Some(module_name(input.parse()?)?),
                "label" => module.label = input.parse()?,
                "budget" => module.budget = input.parse()?,
                "memory" => module.memory = input.parse()?,
                "types" => module.types = bracketed_list(input)?,
                "capabilities" => module.capabilities = bracketed_list(input)?,
                _ => {
                    let known = "name, types, label, budget, memory, capabilities";
                    return Err(syn::Error::new(
                        key.span(),
                        format!("unknown key `{key}`; known are {known}"),
                    ));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(module)
    }
}

fn bracketed_list<T: Parse>(input: ParseStream<'_>) -> syn::Result<Vec<T>> {
    let inside;
    bracketed!(inside in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&inside)?.into_iter().collect())
}

fn module_name(name: LitStr) -> syn::Result<LitStr> {
    let text = name.value();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
        return Err(syn::Error::new(name.span(), "the name of a module is 1 to 64 of `a-z 0-9 -`"));
    }
    Ok(name)
}

pub(crate) fn expand(input: TokenStream) -> syn::Result<TokenStream> {
    let Module { name, types, label, budget, memory, capabilities } = syn::parse2(input)?;
    let missing = || syn::Error::new(proc_macro2::Span::call_site(), "a module has a name: `name: \"chat\"`");
    let name = name.ok_or_else(missing)?;
    let indexes = types.iter().enumerate().map(|(index, ty)| {
        let index = index as u32;
        quote_spanned! { ty.span() =>
            impl ::everwake::sdk::InModule for #ty {
                const INDEX: u32 = #index;
            }
        }
    });
    Ok(quote! {
        #(#indexes)*

        /// The module: what the host, and the mock of unit tests, runs.
        pub struct Module;

        impl ::everwake::sdk::Module for Module {
            const NAME: &'static str = #name;
            const LABEL: &'static str = #label;
            const TYPES: &'static [::everwake::sdk::TypeEntry] = &[#(::everwake::sdk::TypeEntry::of::<#types>()),*];
            const BUDGET: ::core::time::Duration = {
                #[allow(unused_imports)]
                use ::everwake::sdk::{ms, secs};
                #budget
            };
            const MEMORY: u32 = {
                #[allow(unused_imports)]
                use ::everwake::sdk::{kib, mib};
                #memory
            };
            const CAPABILITIES: &'static [&'static str] = &[#(#capabilities),*];
        }

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Component = ::everwake::bindings::Component<Module>;
            ::everwake::bindings::__export_module!(Component with_types_in ::everwake::bindings);
        };
    })
}
