//! One kind of handler each: how it is recognised, described, called. It does not know the
//! impl block around it.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{FnArg, Ident, ImplItemFn, LitStr, Type};

use crate::client_methods::docs;
use crate::entity::plain_name;
use crate::signature::{self, Param, Taken};
use crate::{Mistakes, on, options};

const RPC_OPTIONS: &str = "own_client, all_clients, server, operator, limit, was";

/// A method that is called by its index.
pub(crate) struct Method {
    ident: Ident,
    docs: Vec<syn::Attribute>,
    kind: Kind,
    taken: Taken,
    returns: TokenStream,
    was: LitStr,
}

enum Kind {
    Rpc { exposure: &'static str, per_minute: u32 },
    Internal,
}

/// `#[rpc(..)]`.
pub(crate) fn rpc(
    function: &ImplItemFn,
    attribute: &syn::Attribute,
    mistakes: &mut Mistakes,
) -> Option<Method> {
    let (mut exposure, mut per_minute) = (None, 0);
    let mut was = LitStr::new("", Span::call_site());
    for option in mistakes.check(options::of(attribute))? {
        let name = option.name.to_string();
        let exposed = match name.as_str() {
            "own_client" => Some("OwnClient"),
            "all_clients" => Some("AllClients"),
            "server" => Some("Server"),
            "operator" => Some("Operator"),
            _ => None,
        };
        match name.as_str() {
            _ if exposed.is_some() && exposure.is_some() => {
                mistakes
                    .add(&option.name, "a method has one exposure: a wider one includes the narrower ones");
            }
            _ if exposed.is_some() => {
                mistakes.check(option.flag());
                exposure = exposed;
            }
            "limit" => per_minute = mistakes.check(option.text().and_then(|text| rate(&text)))?,
            "was" => was = mistakes.check(option.text())?,
            _ => mistakes.push(option.unknown(RPC_OPTIONS)),
        }
    }
    if per_minute > 0 && !matches!(exposure, Some("OwnClient" | "AllClients")) {
        mistakes.add(
            &function.sig.ident,
            "`limit` is for methods that clients call: `own_client` or `all_clients`",
        );
    }
    let taken = signature::handler(&function.sig, mistakes);
    if let syn::ReturnType::Type(_, ty) = &function.sig.output
        && signature::mentions_secret(ty)
    {
        mistakes.add(ty, "an answer has no `Secret`: answers are kept in recordings");
    }
    let kind = Kind::Rpc { exposure: exposure.unwrap_or("Server"), per_minute };
    Some(Method::new(function, kind, taken, was))
}

/// `"5 per min"` as calls a minute.
fn rate(text: &LitStr) -> syn::Result<u32> {
    let wrong =
        || syn::Error::new(text.span(), "a limit is calls in a time: `limit = \"5 per min\"`, `\"2 per s\"`");
    let value = text.value();
    let mut words = value.split_whitespace();
    let (Some(count), Some("per"), Some(unit), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(wrong());
    };
    let count: u32 = count.parse().map_err(|_| wrong())?;
    match unit {
        "s" | "sec" | "second" => count.checked_mul(60).ok_or_else(wrong),
        "m" | "min" | "minute" => Ok(count),
        _ => Err(wrong()),
    }
}

/// A function that `on!` names; `#[handler(..)]` is needed only for its options.
pub(crate) fn internal(
    function: &ImplItemFn,
    attribute: Option<&syn::Attribute>,
    mistakes: &mut Mistakes,
) -> Option<Method> {
    let mut was = LitStr::new("", Span::call_site());
    for option in mistakes.check(attribute.map_or(Ok(Vec::new()), options::of))? {
        match option.name.to_string().as_str() {
            "was" => was = mistakes.check(option.text())?,
            _ => mistakes.push(option.unknown("was")),
        }
    }
    let taken = signature::handler(&function.sig, mistakes);
    if !taken.cx || taken.params.len() != 2 {
        mistakes.add(
            &function.sig.ident,
            "a method that `on!` names takes a context and what came back: `fn name(&mut self, cx: &mut Context, context: C, answer: Result<T, CallError>)`; a timer's takes `Fired`, a watch's `Gone`, a bounce's `CallError`",
        );
        return None;
    }
    Some(Method::new(function, Kind::Internal, taken, was))
}

impl Method {
    fn new(function: &ImplItemFn, kind: Kind, taken: Taken, was: LitStr) -> Self {
        Self {
            ident: function.sig.ident.clone(),
            docs: docs(&function.attrs).into_iter().cloned().collect(),
            kind,
            taken,
            returns: signature::returned(&function.sig),
            was,
        }
    }

    fn reply(&self) -> Option<&Param> {
        self.taken.params.iter().find(|param| param.is_reply())
    }

    fn sent(&self) -> impl Iterator<Item = (usize, &Param)> {
        self.taken.params.iter().enumerate().filter(|(_, param)| !param.is_reply())
    }

    /// Where mistakes in what it returns are told.
    fn at(&self) -> Span {
        self.returns.span()
    }

    /// The type of the answer.
    fn answer(&self) -> TokenStream {
        match self.reply() {
            Some(Param { ty, .. }) => quote!(<#ty as ::everwake::sdk::Replies>::Answer),
            None => {
                let returns = &self.returns;
                quote_spanned!(self.at() => <#returns as ::everwake::sdk::Answers>::Value)
            }
        }
    }

    pub(crate) fn describe(&self) -> TokenStream {
        let (name, was) = (plain_name(&self.ident), &self.was);
        let (exposure, per_minute, parameters, returns) = match &self.kind {
            Kind::Rpc { exposure, per_minute } => {
                let answer = self.answer();
                let parameters: Vec<_> = self.sent().map(|(at, param)| param.described(at)).collect();
                let returns =
                    quote_spanned!(self.at() => <#answer as ::everwake::sdk::Value>::type_text(definitions));
                (Ident::new(exposure, Span::call_site()), *per_minute, parameters, returns)
            }
            Kind::Internal => {
                let parameters = self.taken.params.iter().enumerate().map(|(at, Param { ty, .. })| match at {
                    0 => quote!(::everwake::sdk::parameter("context", <#ty as ::everwake::sdk::Value>::type_text(definitions))),
                    _ => quote!(::everwake::sdk::parameter("outcome", <#ty as ::everwake::sdk::Outcome>::type_text(definitions))),
                });
                (Ident::new("Internal", Span::call_site()), 0, parameters.collect(), quote!("unit".into()))
            }
        };
        quote! {
            ::everwake::sdk::Method {
                name: #name.into(),
                exposure: ::everwake::sdk::Exposure::#exposure,
                parameters: vec![#(#parameters),*],
                returns: #returns,
                calls_per_minute: #per_minute,
                was: #was.into(),
            }
        }
    }

    pub(crate) fn call_arm(&self, index: u32) -> Option<TokenStream> {
        let Kind::Rpc { .. } = self.kind else { return None };
        let (reads, arguments) = reads(&self.taken);
        let (ident, cx) = (&self.ident, self.taken.cx.then(|| quote!(cx,)));
        let run = quote_spanned!(self.at() => Self::#ident(self, #cx #(#arguments),*));
        // What a method with a reply returns is described nowhere: here it is told if that cannot be.
        let run = match self.reply() {
            Some(_) => quote_spanned!(self.at() => ::everwake::sdk::finish(#run)),
            None => {
                let end = quote_spanned!(self.at() => ::everwake::sdk::End(#run).finish());
                quote! {
                    // One of them is the one.
                    #[allow(unused_imports)]
                    use ::everwake::sdk::{EndOfAnswer as _, EndOfAnything as _};
                    #end
                }
            }
        };
        Some(quote! {
            #index => {
                #reads
                #run
            }
        })
    }

    pub(crate) fn resume_arm(&self, index: u32) -> Option<TokenStream> {
        let (Kind::Internal, [context, outcome]) = (&self.kind, self.taken.params.as_slice()) else {
            return None;
        };
        let (ident, context, outcome) = (&self.ident, &context.ty, &outcome.ty);
        let run =
            quote_spanned!(self.at() => ::everwake::sdk::finish(Self::#ident(self, cx, context, outcome)));
        Some(quote! {
            #index => {
                let (context, outcome) = args.resumed::<#context, #outcome>()?;
                #run
            }
        })
    }

    /// The function on `Ref` that makes a call of it.
    pub(crate) fn caller(&self, owner: &Type, index: u32) -> Option<TokenStream> {
        match self.kind {
            Kind::Rpc { exposure, .. } if exposure != "Operator" => {}
            _ => return None,
        }
        let (ident, docs, answer) = (&self.ident, &self.docs, self.answer());
        let arguments = self.sent().map(|(at, param)| {
            let (ident, ty) = (param.ident(at), &param.ty);
            quote!(#ident: #ty)
        });
        let encodes = self.sent().map(|(at, param)| param.encode(at));
        let count = self.sent().count();
        let call = quote_spanned!(self.at() => ::everwake::Call<#answer>);
        let made = quote_spanned!(self.at() => ::everwake::sdk::Call::<#answer>::new(self.0, <#owner as ::everwake::sdk::InModule>::INDEX, #index, out));
        Some(quote! {
            #(#docs)*
            pub fn #ident(&self, #(#arguments),*) -> #call {
                let mut out = Vec::with_capacity(32);
                ::everwake::sdk::array(&mut out, #count);
                #(#encodes)*
                #made
            }
        })
    }

    /// The function that `on!` calls.
    pub(crate) fn name_fn(&self, index: u32) -> Option<TokenStream> {
        let (Kind::Internal, [context, outcome]) = (&self.kind, self.taken.params.as_slice()) else {
            return None;
        };
        let (name, context, outcome) = (on::name_of(&self.ident), &context.ty, &outcome.ty);
        Some(quote! {
            #[doc(hidden)]
            pub(crate) const fn #name() -> ::everwake::sdk::Handler<Self, #context, #outcome> {
                ::everwake::sdk::Handler::new(#index)
            }
        })
    }
}

/// Reads positional arguments from `args`: the statements, and the names they bind.
fn reads(taken: &Taken) -> (TokenStream, Vec<Ident>) {
    let names: Vec<Ident> = (0..taken.params.len()).map(|at| quote::format_ident!("argument{at}")).collect();
    let statements = taken.params.iter().enumerate().zip(&names).map(|((at, param), name)| {
        let (ty, label) = (&param.ty, param.label(at));
        if param.is_reply() {
            quote!(let #name = <#ty as ::everwake::sdk::Replies>::take(cx)?;)
        } else {
            quote!(let #name = params.next::<#ty>(#label)?;)
        }
    });
    let open =
        taken.params.iter().any(|param| !param.is_reply()).then(|| quote!(let mut params = args.open()?;));
    (quote!(#open #(#statements)*), names)
}

/// One thing that a hook is told.
#[derive(Clone, Copy)]
pub(crate) enum Told {
    /// `Id` or `Ref<T>`.
    Id,
    /// `String`.
    Text,
    /// `u32`.
    Number,
    /// `Any`.
    Arguments,
}

impl Told {
    /// What the SDK calls it, and what authors write.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Told::Id => ("AnId", "Id"),
            Told::Text => ("AText", "String"),
            Told::Number => ("ANumber", "u32"),
            Told::Arguments => ("Arguments", "Any"),
        }
    }
}

/// A function with the name of a hook.
pub(crate) struct Hook {
    pub(crate) number: u32,
    ident: Ident,
    taken: Taken,
    told: &'static [Told],
}

pub(crate) fn hook(
    function: &ImplItemFn,
    number: u32,
    told: &'static [Told],
    mistakes: &mut Mistakes,
) -> Hook {
    let taken = signature::handler(&function.sig, mistakes);
    let ident = function.sig.ident.clone();
    if taken.params.len() > told.len() {
        let types: String = told.iter().map(|told| format!(", _: {}", told.names().1)).collect();
        let form = format!("`fn {ident}(&mut self, cx: &mut Context{types})`");
        mistakes.add(
            &ident,
            format!("this hook is told less: {form}; what is not needed may be left out at the end"),
        );
    }
    Hook { number, ident, taken, told }
}

impl Hook {
    pub(crate) fn arm(&self) -> TokenStream {
        let (reads, arguments) = reads(&self.taken);
        let (number, ident, cx) = (self.number, &self.ident, self.taken.cx.then(|| quote!(cx,)));
        let fits = self.taken.params.iter().zip(self.told).map(|(Param { ty, .. }, told)| {
            let told = Ident::new(told.names().0, Span::call_site());
            quote_spanned!(ty.span() => ::everwake::sdk::told::<#ty, ::everwake::sdk::#told>();)
        });
        quote! {
            #number => {
                #(#fits)*
                #reads
                ::everwake::sdk::finish(Self::#ident(self, #cx #(#arguments),*))
            }
        }
    }
}

/// `fn new(cx, ..) -> Self`.
pub(crate) struct Constructor {
    taken: Taken,
    /// Where mistakes in what it returns are told.
    at: Span,
}

pub(crate) fn constructor(function: &ImplItemFn, mistakes: &mut Mistakes) -> Constructor {
    let at = match &function.sig.output {
        syn::ReturnType::Type(_, ty) => ty.span(),
        syn::ReturnType::Default => function.sig.ident.span(),
    };
    Constructor { taken: signature::function(&function.sig, mistakes), at }
}

/// The items of `Methods` about making one.
pub(crate) fn constructor_items(constructor: Option<&Constructor>) -> TokenStream {
    let none = Taken { cx: false, params: Vec::new() };
    let taken = constructor.map_or(&none, |constructor| &constructor.taken);
    let types: Vec<&Type> = taken.params.iter().map(|param| &param.ty).collect();
    let names: Vec<Ident> = (0..types.len()).map(|at| quote::format_ident!("argument{at}")).collect();
    // Nothing, the one argument, or a tuple.
    let (args, pattern) = match types.as_slice() {
        [one] => (quote!(#one), quote!(#(#names)*)),
        _ => (quote!((#(#types),*)), quote!((#(#names),*))),
    };
    let (reads, count) = (reads(taken).0, types.len());
    let cx = taken.cx.then(|| quote!(cx,));
    let made = match constructor {
        Some(Constructor { at, .. }) => {
            quote_spanned!(*at => <_ as ::everwake::sdk::Made<Self>>::made(Self::new(#cx #(#names),*)))
        }
        None => quote!(Ok(::core::default::Default::default())),
    };
    quote! {
        type Args = #args;

        #[allow(unused_variables)]
        fn construct(cx: &mut ::everwake::Context, #pattern: Self::Args) -> Result<Self, ::everwake::Error> {
            #made
        }

        #[allow(unused_variables)]
        fn read_args(args: ::everwake::sdk::Args<'_>) -> Result<Self::Args, ::everwake::Error> {
            #reads
            Ok(#pattern)
        }

        #[allow(unused_variables)]
        fn write_args(#pattern: &Self::Args, out: &mut Vec<u8>) {
            ::everwake::sdk::array(out, #count);
            #(::everwake::sdk::Value::encode(#names, out);)*
        }
    }
}

/// `#[tick]`.
pub(crate) struct TickFn {
    ident: Ident,
    bulk: bool,
}

pub(crate) fn tick(
    function: &ImplItemFn,
    attribute: &syn::Attribute,
    mistakes: &mut Mistakes,
) -> Option<TickFn> {
    let mut bulk = false;
    for option in mistakes.check(options::of(attribute))? {
        match option.name.to_string().as_str() {
            "bulk" => bulk = mistakes.check(option.flag())?,
            _ => mistakes.push(option.unknown("bulk")),
        }
    }
    let taken = if bulk {
        signature::function(&function.sig, mistakes)
    } else {
        signature::handler(&function.sig, mistakes)
    };
    if !taken.cx || !taken.params.is_empty() {
        let form = if bulk { "`fn step(cx: &mut BulkTick)`" } else { "`fn think(&mut self, cx: &mut Tick)`" };
        mistakes.add(&function.sig.ident, format!("a tick is {form}"));
    }
    Some(TickFn { ident: function.sig.ident.clone(), bulk })
}

impl TickFn {
    pub(crate) fn items(&self) -> TokenStream {
        let ident = &self.ident;
        let (form, run) = if self.bulk {
            let run = quote! {
                fn bulk_tick(cx: &mut ::everwake::BulkTick<'_>) -> Result<(), ::everwake::Error> {
                    ::everwake::sdk::finish(Self::#ident(cx))
                }
            };
            (quote!(Bulk), run)
        } else {
            let run = quote! {
                fn tick(&mut self, cx: &mut ::everwake::Tick<'_>) -> Result<(), ::everwake::Error> {
                    ::everwake::sdk::finish(Self::#ident(self, cx))
                }
            };
            (quote!(Each), run)
        };
        quote! {
            const TICK: ::everwake::sdk::TickForm = ::everwake::sdk::TickForm::#form;
            #run
        }
    }

    /// That the type says how often it ticks.
    pub(crate) fn rate(&self, ty: &Type) -> TokenStream {
        let at = self.ident.span();
        quote_spanned! { at =>
            const _: () = assert!(
                <#ty as ::everwake::sdk::Entity>::ABOUT.ticks_per_second > 0.0,
                "a type with a `#[tick]` says how often: `#[entity(tick = \"10 Hz\")]`"
            );
        }
    }
}

/// `#[migrate]`.
pub(crate) struct Migrate {
    ident: Ident,
}

pub(crate) fn migrate(function: &ImplItemFn, mistakes: &mut Mistakes) -> Option<Migrate> {
    let inputs: Vec<&FnArg> = function.sig.inputs.iter().collect();
    let fits = matches!(inputs.as_slice(), [FnArg::Typed(_), FnArg::Typed(_), FnArg::Typed(state)] if matches!(&*state.ty, Type::Reference(_)));
    if !fits {
        mistakes.add(
            &function.sig.ident,
            "a migration is `fn migrate(from: u32, to: u32, state: &mut State) -> Result<(), Fail>`",
        );
        return None;
    }
    Some(Migrate { ident: function.sig.ident.clone() })
}

impl Migrate {
    pub(crate) fn items(&self) -> TokenStream {
        let ident = &self.ident;
        quote! {
            fn migrate(from: u32, to: u32, state: &mut ::everwake::State) -> Result<(), ::everwake::Error> {
                ::everwake::sdk::Made::<()>::made(Self::#ident(from, to, state))
            }
        }
    }
}
