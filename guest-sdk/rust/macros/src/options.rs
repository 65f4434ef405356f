//! Lists of options: `flag, key = value, ..`. It does not know which there are.

use proc_macro2::{Span, TokenStream};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, Ident, LitStr, Token};

/// `name` or `name = value`.
pub(crate) struct Opt {
    pub(crate) name: Ident,
    pub(crate) value: Option<Expr>,
}

impl Parse for Opt {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.call(<Ident as syn::ext::IdentExt>::parse_any)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        Ok(Self { name, value })
    }
}

impl Opt {
    /// The value, which must be there.
    pub(crate) fn expr(&self) -> syn::Result<&Expr> {
        let missing = || syn::Error::new(self.span(), format!("`{0}` needs a value: `{0} = ..`", self.name));
        self.value.as_ref().ok_or_else(missing)
    }

    /// The value, a literal text.
    pub(crate) fn text(&self) -> syn::Result<LitStr> {
        match self.expr()? {
            Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Ok(text.clone()),
            other => Err(syn::Error::new_spanned(other, format!("`{}` is a text in quotes", self.name))),
        }
    }

    /// That there is no value.
    pub(crate) fn flag(&self) -> syn::Result<bool> {
        match &self.value {
            None => Ok(true),
            Some(value) => Err(syn::Error::new_spanned(value, format!("`{}` takes no value", self.name))),
        }
    }

    /// The option is not one of those.
    pub(crate) fn unknown(&self, known: &str) -> syn::Error {
        syn::Error::new(self.span(), format!("unknown option `{}`; known are {known}", self.name))
    }

    fn span(&self) -> Span {
        self.name.span()
    }
}

/// Reads `a, b = 1`.
pub(crate) fn list(tokens: TokenStream) -> syn::Result<Vec<Opt>> {
    let parse = Punctuated::<Opt, Token![,]>::parse_terminated;
    Ok(syn::parse::Parser::parse2(parse, tokens)?.into_iter().collect())
}

/// Reads the options of `#[name]` or `#[name(..)]`.
pub(crate) fn of(attribute: &syn::Attribute) -> syn::Result<Vec<Opt>> {
    match &attribute.meta {
        syn::Meta::Path(_) => Ok(Vec::new()),
        syn::Meta::List(inside) => list(inside.tokens.clone()),
        syn::Meta::NameValue(pair) => Err(syn::Error::new_spanned(pair, "options stand in parentheses")),
    }
}
