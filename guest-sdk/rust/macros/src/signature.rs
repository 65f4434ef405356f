//! Signatures of handlers: what they take and give, checked where people make mistakes. It
//! does not know what kind of handler it looks at.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::{FnArg, GenericArgument, Ident, Pat, PathArguments, ReturnType, Signature, Type};

use crate::Mistakes;
use crate::entity::plain_name;

/// One parameter behind the context.
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) ty: Type,
}

impl Param {
    /// A deferred reply is taken over, not sent.
    pub(crate) fn is_reply(&self) -> bool {
        last_segment(&self.ty).is_some_and(|segment| segment.ident.to_string().ends_with("Reply"))
    }

    /// A name for generated code; two `_` stay different.
    pub(crate) fn ident(&self, at: usize) -> Ident {
        if self.name.is_empty() { format_ident!("argument{at}") } else { format_ident!("r#{}", self.name) }
    }

    /// How it is written into `out`.
    pub(crate) fn encode(&self, at: usize) -> TokenStream {
        let (ident, ty) = (self.ident(at), &self.ty);
        quote!(<#ty as ::everwake::sdk::Value>::encode(&#ident, &mut out);)
    }

    /// The name in the manifest.
    pub(crate) fn label(&self, at: usize) -> String {
        if self.name.is_empty() { format!("argument{at}") } else { self.name.clone() }
    }

    /// As an entry of the manifest.
    pub(crate) fn described(&self, at: usize) -> TokenStream {
        let (label, ty) = (self.label(at), &self.ty);
        quote!(::everwake::sdk::parameter(#label, <#ty as ::everwake::sdk::Value>::type_text(definitions)))
    }
}

/// What a handler takes besides itself.
pub(crate) struct Taken {
    /// Whether it takes the context.
    pub(crate) cx: bool,
    pub(crate) params: Vec<Param>,
}

/// Checks the signature of a handler: `&mut self`, then perhaps `cx`, then values.
pub(crate) fn handler(signature: &Signature, mistakes: &mut Mistakes) -> Taken {
    plain(signature, mistakes);
    match signature.inputs.first() {
        Some(FnArg::Receiver(me)) if me.reference.is_some() && me.mutability.is_some() => {}
        Some(FnArg::Receiver(me)) => mistakes.add(me, "a handler takes `&mut self`"),
        _ => mistakes.add(&signature.ident, "a handler takes `&mut self` first"),
    }
    rest(signature, mistakes)
}

/// Checks the signature of a function without `self`: perhaps `cx`, then values.
pub(crate) fn function(signature: &Signature, mistakes: &mut Mistakes) -> Taken {
    plain(signature, mistakes);
    if let Some(FnArg::Receiver(me)) = signature.inputs.first() {
        mistakes.add(me, format!("`{}` takes no `self`", signature.ident));
    }
    rest(signature, mistakes)
}

fn plain(signature: &Signature, mistakes: &mut Mistakes) {
    if let Some(token) = &signature.asyncness {
        mistakes.add(token, "a handler is not async: an answer comes back as an event that names a method, `cx.call(..).then(on!(Self::method), context)`");
    }
    if !signature.generics.params.is_empty() {
        mistakes.add(&signature.generics, "a handler has no type parameters: others call it by name");
    }
}

fn rest(signature: &Signature, mistakes: &mut Mistakes) -> Taken {
    let mut taken = Taken { cx: false, params: Vec::new() };
    let typed = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    for (at, typed) in typed.enumerate() {
        if at == 0 && is_context(&typed.ty) {
            taken.cx = true;
        } else if let Type::Reference(reference) = &*typed.ty {
            mistakes.add(reference, "arguments come over the wire: take them by value");
        } else {
            taken.params.push(Param { name: name_of(&typed.pat), ty: (*typed.ty).clone() });
        }
    }
    taken
}

fn name_of(pat: &Pat) -> String {
    match pat {
        Pat::Ident(ident) => plain_name(&ident.ident).trim_start_matches('_').to_owned(),
        _ => String::new(),
    }
}

fn is_context(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else { return false };
    let names = ["Context", "Tick", "BulkTick"];
    last_segment(&reference.elem).is_some_and(|segment| names.iter().any(|name| segment.ident == name))
}

fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// The type that a function returns.
pub(crate) fn returned(signature: &Signature) -> TokenStream {
    match &signature.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => ty.to_token_stream(),
    }
}

/// Whether a type has a `Secret` in it, as far as it is spelled; the host looks at what it means.
pub(crate) fn mentions_secret(ty: &Type) -> bool {
    fn in_tokens(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => ident == "Secret",
            TokenTree::Group(group) => in_tokens(group.stream()),
            TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        })
    }
    in_tokens(ty.to_token_stream())
}

/// Whether the last parameter can only be something that comes back.
pub(crate) fn takes_outcome(signature: &Signature) -> bool {
    let Some(FnArg::Typed(last)) = signature.inputs.last() else { return false };
    signature.inputs.len() == 4 && is_outcome(&last.ty)
}

fn is_outcome(ty: &Type) -> bool {
    let Some(segment) = last_segment(ty) else { return false };
    let inside = match &segment.arguments {
        PathArguments::AngleBracketed(inside) => inside.args.iter().collect(),
        _ => Vec::new(),
    };
    let type_at = |at: usize| match inside.get(at) {
        Some(GenericArgument::Type(ty)) => Some(ty),
        _ => None,
    };
    match segment.ident.to_string().as_str() {
        "Fired" | "Gone" | "CallError" => true,
        "Result" => type_at(1).and_then(last_segment).is_some_and(|error| error.ident == "CallError"),
        "Vec" => type_at(0).is_some_and(is_outcome),
        _ => false,
    }
}
