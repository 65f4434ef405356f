//! `on!(Self::method)`: the typed name of a handler.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ExprPath;

/// The function that `#[methods]` writes beside a handler, to name it.
pub(crate) fn name_of(method: &syn::Ident) -> syn::Ident {
    format_ident!("__on_{}", crate::entity::plain_name(method), span = method.span())
}

pub(crate) fn expand(input: TokenStream) -> syn::Result<TokenStream> {
    let wrong =
        |error: syn::Error| syn::Error::new(error.span(), "write the path of a method: `on!(Self::on_row)`");
    let mut path: ExprPath = syn::parse2(input).map_err(wrong)?;
    if path.path.segments.len() < 2 && path.qself.is_none() {
        return Err(syn::Error::new_spanned(path, "write the type too: `on!(Self::on_row)`"));
    }
    if let Some(last) = path.path.segments.last_mut() {
        last.ident = name_of(&last.ident);
    }
    Ok(quote!(#path()))
}
