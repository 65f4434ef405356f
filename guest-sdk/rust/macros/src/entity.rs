//! `#[entity]`, `#[space]`, `#[service]`: a struct's fields become attributes.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Fields, Ident, ItemStruct, LitStr, Type};

use crate::{Mistakes, options};

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Entity,
    Space,
    Service,
}

const TYPE_OPTIONS: &str = "persistent, boot, aoi, tick, sleep, schema, client, and of a service shards";
const FIELD_OPTIONS: &str = "client, all_clients, persistent, volatile, secret, was, default";

struct About {
    persistent: bool,
    boot: bool,
    aoi: TokenStream,
    ticks: f32,
    sleeps: bool,
    schema: TokenStream,
    client: TokenStream,
    shards: TokenStream,
}

struct Attribute {
    ident: Ident,
    ty: Type,
    client: bool,
    all_clients: bool,
    persistent: bool,
    volatile: bool,
    secret: bool,
    was: LitStr,
    default: Option<Expr>,
}

pub(crate) fn expand(kind: Kind, options: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let mut item: ItemStruct = syn::parse2(item)
        .map_err(|error| syn::Error::new(error.span(), "an entity is a struct with named fields"))?;
    if !item.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(&item.generics, "an entity has no type parameters"));
    }
    let mut mistakes = Mistakes::default();
    let about = mistakes.check(about(kind, options));
    let persistent = about.as_ref().is_some_and(|about| about.persistent);
    let (mut attributes, mut caches) = (Vec::new(), Vec::new());
    match &mut item.fields {
        Fields::Named(fields) => {
            for field in &mut fields.named {
                let found = field_of(field, persistent, &mut mistakes);
                field.attrs.retain(|attr| !attr.path().is_ident("attr") && !attr.path().is_ident("cache"));
                match found {
                    Some(attribute) => attributes.push(attribute),
                    None => caches.extend(field.ident.clone()),
                }
            }
        }
        Fields::Unit => item.fields = Fields::Named(syn::parse_quote!({})),
        Fields::Unnamed(fields) => {
            mistakes.add(fields, "the fields of an entity have names: attributes are told apart by them")
        }
    }
    item.semi_token = None;
    mistakes.finish()?;
    let Some(about) = about else { return Ok(TokenStream::new()) };
    let entity = entity_impl(kind, &item.ident, &about, &attributes);
    let default = default_impl(&item.ident, &attributes, &caches);
    let calls = calls_struct(&item);
    Ok(quote! { #item #default #entity #calls })
}

fn about(kind: Kind, options: TokenStream) -> syn::Result<About> {
    let mut about = About {
        persistent: false,
        boot: false,
        aoi: quote!(::core::option::Option::None),
        ticks: 0.0,
        sleeps: false,
        schema: quote!(1),
        client: quote!(::everwake::sdk::NoClient),
        shards: if kind == Kind::Service { quote!(1) } else { quote!(0) },
    };
    for option in options::list(options)? {
        let name = option.name.to_string();
        let foreign = match name.as_str() {
            "boot" | "aoi" | "sleep" => kind != Kind::Entity,
            "tick" => kind == Kind::Space,
            _ => false,
        };
        if foreign {
            let message = match name.as_str() {
                "tick" => {
                    "the entities in a space tick, not the space: use a timer, `cx.every(ms(100), on!(Self::step), ())`"
                }
                _ => "only an `#[entity]` has this",
            };
            return Err(syn::Error::new(option.name.span(), message));
        }
        match name.as_str() {
            "persistent" => about.persistent = option.flag()?,
            "boot" => about.boot = option.flag()?,
            "aoi" => {
                let radius = option.expr()?;
                about.aoi = quote!(::core::option::Option::Some(#radius as f32));
            }
            "tick" => about.ticks = hertz(option.expr()?)?,
            "sleep" => match option.expr()? {
                Expr::Path(path) if path.path.is_ident("unwatched") => about.sleeps = true,
                other => return Err(syn::Error::new_spanned(other, "`sleep` knows `unwatched`")),
            },
            "schema" => {
                let schema = option.expr()?;
                about.schema = quote!(#schema);
            }
            "client" => {
                let client = option.expr()?;
                about.client = quote!(#client);
            }
            "shards" if kind == Kind::Service => {
                let shards = option.expr()?;
                about.shards = quote!(#shards);
            }
            _ => return Err(option.unknown(TYPE_OPTIONS)),
        }
    }
    Ok(about)
}

fn hertz(value: &Expr) -> syn::Result<f32> {
    let wrong = || {
        syn::Error::new_spanned(value, "`tick` is a rate of at most 60 times a second: `tick = \"10 Hz\"`")
    };
    let number = match value {
        Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => {
            text.value().trim().strip_suffix("Hz").map(|number| number.trim().to_owned()).ok_or_else(wrong)?
        }
        Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(number), .. }) => number.base10_digits().to_owned(),
        Expr::Lit(syn::ExprLit { lit: syn::Lit::Float(number), .. }) => number.base10_digits().to_owned(),
        _ => return Err(wrong()),
    };
    number.parse().ok().filter(|rate| *rate > 0.0 && *rate <= 60.0).ok_or_else(wrong)
}

/// The attribute that a field is; none if it is a cache.
fn field_of(field: &syn::Field, persistent: bool, mistakes: &mut Mistakes) -> Option<Attribute> {
    let ident = field.ident.clone()?;
    let mut found = Attribute {
        ty: field.ty.clone(),
        client: false,
        all_clients: false,
        persistent,
        volatile: false,
        secret: false,
        was: LitStr::new("", ident.span()),
        default: None,
        ident,
    };
    for attribute in &field.attrs {
        if attribute.path().is_ident("cache") {
            return None;
        }
        if !attribute.path().is_ident("attr") {
            continue;
        }
        let Some(options) = mistakes.check(options::of(attribute)) else { continue };
        for option in options {
            mistakes.check(found.set(&option, persistent));
        }
    }
    Some(found)
}

impl Attribute {
    fn set(&mut self, option: &options::Opt, persistent: bool) -> syn::Result<()> {
        match option.name.to_string().as_str() {
            "client" => self.client = option.flag()?,
            "all_clients" => self.all_clients = option.flag()?,
            "secret" => self.secret = option.flag()?,
            "persistent" | "volatile" if !persistent => {
                let message =
                    format!("`{}` needs a type that is stored: `#[entity(persistent)]`", option.name);
                return Err(syn::Error::new(option.name.span(), message));
            }
            "persistent" => self.persistent = option.flag()?,
            "volatile" => {
                self.volatile = option.flag()?;
                self.persistent = false;
            }
            "was" => self.was = option.text()?,
            "default" => self.default = Some(option.expr()?.clone()),
            _ => return Err(option.unknown(FIELD_OPTIONS)),
        }
        if self.secret && (self.client || self.all_clients) {
            return Err(syn::Error::new(option.name.span(), "what is `secret` is not shown to clients"));
        }
        Ok(())
    }

    fn field(&self) -> TokenStream {
        let Self { ident, client, all_clients, persistent, volatile, secret, was, .. } = self;
        let name = plain_name(ident);
        quote! {
            ::everwake::sdk::Field {
                name: #name,
                was: #was,
                client: #client,
                all_clients: #all_clients,
                persistent: #persistent,
                volatile: #volatile,
                secret: #secret,
            }
        }
    }
}

/// Without `r#`.
pub(crate) fn plain_name(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").unwrap_or(&name).to_owned()
}

fn entity_impl(kind: Kind, ident: &Ident, about: &About, attributes: &[Attribute]) -> TokenStream {
    let About { persistent, boot, aoi, ticks, sleeps, schema, client, shards } = about;
    let calls = format_ident!("{ident}Calls");
    let name = plain_name(ident);
    let (kind_name, marker) = match kind {
        Kind::Entity => (quote!(Entity), quote!()),
        Kind::Space => (quote!(Space), quote!(impl ::everwake::sdk::Space for #ident {})),
        Kind::Service => (quote!(Service), quote!(impl ::everwake::sdk::Service for #ident {})),
    };
    let fields = attributes.iter().map(Attribute::field);
    let visits = attributes.iter().enumerate().map(|(index, attribute)| {
        let (index, field, ty) = (index as u32, &attribute.ident, &attribute.ty);
        quote_spanned! { ty.span() => visitor.attribute::<#ty>(#index, &mut self.#field); }
    });
    quote! {
        impl ::everwake::sdk::Entity for #ident {
            type Calls = #calls;
            type Client = #client;
            const NAME: &'static str = #name;
            const ABOUT: ::everwake::sdk::About = ::everwake::sdk::About {
                kind: ::everwake::sdk::Kind::#kind_name,
                schema: #schema,
                boot: #boot,
                persistent: #persistent,
                ticks_per_second: #ticks,
                aoi_radius: #aoi,
                shards: #shards,
                sleeps_unwatched: #sleeps,
            };
            const FIELDS: &'static [::everwake::sdk::Field] = &[#(#fields),*];

            #[inline]
            fn visit<V: ::everwake::sdk::Visitor>(&mut self, visitor: &mut V) {
                let _ = &visitor;
                #(#visits)*
            }
        }

        #marker
    }
}

fn default_impl(ident: &Ident, attributes: &[Attribute], caches: &[Ident]) -> TokenStream {
    let defaults = attributes.iter().map(|Attribute { ident, ty, default, .. }| match default {
        Some(Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. })) => {
            quote!(#ident: ::core::convert::Into::into(#text))
        }
        Some(value) => quote!(#ident: #value),
        None => quote_spanned!(ty.span() => #ident: (&::everwake::sdk::Start::<#ty>::of()).start()),
    });
    quote! {
        impl ::core::default::Default for #ident {
            fn default() -> Self {
                #[allow(unused_imports)]
                use ::everwake::sdk::{StartOfAnything as _, StartOfAttribute as _};
                Self {
                    #(#defaults,)*
                    #(#caches: ::core::default::Default::default(),)*
                }
            }
        }
    }
}

fn calls_struct(item: &ItemStruct) -> TokenStream {
    let (vis, ident) = (&item.vis, &item.ident);
    let calls = format_ident!("{ident}Calls");
    let doc = format!("What can be called on a `Ref<{ident}>`.");
    quote! {
        #[doc = #doc]
        #[derive(Clone, Copy)]
        #vis struct #calls(::everwake::Id);

        impl ::everwake::sdk::Calls for #calls {
            #[inline]
            fn new(id: ::everwake::Id) -> Self {
                Self(id)
            }

            #[inline]
            fn id(&self) -> ::everwake::Id {
                self.0
            }
        }
    }
}
