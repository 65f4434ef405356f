//! `#[client_methods]`: a trait's functions become methods that run on clients.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{FnArg, ItemTrait, ReturnType, TraitItem, TraitItemFn};

use crate::Mistakes;
use crate::entity::plain_name;
use crate::signature::{self, Param};

pub(crate) fn expand(item: TokenStream) -> syn::Result<TokenStream> {
    let item: ItemTrait = syn::parse2(item).map_err(|error| {
        syn::Error::new(
            error.span(),
            "client methods are a trait: `pub trait AvatarClient { fn said(text: String); }`",
        )
    })?;
    let mut mistakes = Mistakes::default();
    let mut methods = Vec::new();
    for inside in &item.items {
        match inside {
            TraitItem::Fn(function) => methods.push((function, method(function, &mut mistakes))),
            other => mistakes.add(other, "only functions: each is a method that clients implement"),
        }
    }
    mistakes.finish()?;
    let (vis, ident, docs) = (&item.vis, &item.ident, docs(&item.attrs));
    let described = methods.iter().map(|(function, params)| {
        let name = plain_name(&function.sig.ident);
        let parameters = params.iter().enumerate().map(|(at, param)| param.described(at));
        quote!(::everwake::sdk::ClientMethod { name: #name.into(), parameters: vec![#(#parameters),*] })
    });
    let functions = methods
        .iter()
        .enumerate()
        .map(|(index, (function, params))| call(index as u32, vis, function, params));
    Ok(quote! {
        #(#docs)*
        #[derive(Clone, Debug)]
        #vis struct #ident(::everwake::sdk::Clients);

        impl ::everwake::sdk::ClientMethods for #ident {
            fn describe(definitions: &mut ::everwake::sdk::Definitions) -> Vec<::everwake::sdk::ClientMethod> {
                let _ = &definitions;
                vec![#(#described),*]
            }

            fn to(clients: ::everwake::sdk::Clients) -> Self {
                Self(clients)
            }
        }

        #[allow(dead_code, missing_docs, private_interfaces, clippy::too_many_arguments)]
        impl #ident {
            #(#functions)*
        }
    })
}

fn method(function: &TraitItemFn, mistakes: &mut Mistakes) -> Vec<Param> {
    if let Some(FnArg::Receiver(me)) = function.sig.inputs.first() {
        mistakes.add(me, "a client method takes values only, no `self`: it runs on the client");
    }
    if let ReturnType::Type(_, ty) = &function.sig.output {
        mistakes.add(ty, "a client method returns nothing: let the client call back");
    }
    if let Some(body) = &function.default {
        mistakes.add(body, "a client method has no body: clients implement it");
    }
    let mut without_self = function.sig.clone();
    without_self.inputs =
        without_self.inputs.into_iter().filter(|input| matches!(input, FnArg::Typed(_))).collect();
    let params = signature::function(&without_self, mistakes).params;
    for Param { ty, .. } in params.iter().filter(|param| signature::mentions_secret(&param.ty)) {
        mistakes.add(ty, "a `Secret` is not shown to clients");
    }
    params
}

fn call(index: u32, vis: &syn::Visibility, function: &TraitItemFn, params: &[Param]) -> TokenStream {
    let (ident, docs) = (&function.sig.ident, docs(&function.attrs));
    let arguments = params.iter().enumerate().map(|(at, param)| {
        let (ident, ty) = (param.ident(at), &param.ty);
        quote!(#ident: #ty)
    });
    let encodes = params.iter().enumerate().map(|(at, param)| param.encode(at));
    let count = params.len();
    quote! {
        #(#docs)*
        #vis fn #ident(&self, #(#arguments),*) {
            let mut out = Vec::with_capacity(32);
            ::everwake::sdk::array(&mut out, #count);
            #(#encodes)*
            self.0.call(#index, &out);
        }
    }
}

/// The comments of an item.
pub(crate) fn docs(attributes: &[syn::Attribute]) -> Vec<&syn::Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).collect()
}
