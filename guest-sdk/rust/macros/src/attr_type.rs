//! `#[attr_type]`: structs and enums as values. A struct of one unnamed field is that field;
//! other structs are arrays; an enum's case is its number, or `[number, value]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Fields, Ident, Item, ItemEnum, ItemStruct, Type, Variant};

use crate::entity::plain_name;

pub(crate) fn expand(item: TokenStream) -> syn::Result<TokenStream> {
    match syn::parse2(item)? {
        Item::Struct(item) => structure(item),
        Item::Enum(item) => enumeration(item),
        other => Err(syn::Error::new_spanned(other, "`#[attr_type]` stands on a struct or an enum")),
    }
}

/// `Clone`, `Debug`, `PartialEq`, if no derive below the macro has them.
fn derives(attributes: &[syn::Attribute]) -> TokenStream {
    let written: String = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"))
        .map(|attribute| quote!(#attribute).to_string())
        .collect();
    let missing = |name: &str| !written.split(|c: char| !c.is_alphanumeric()).any(|word| word == name);
    let names = ["Clone", "Debug", "PartialEq"].into_iter().filter(|name| missing(name));
    let names: Vec<Ident> = names.map(|name| format_ident!("{name}")).collect();
    quote!(#[derive(#(#names),*)])
}

fn no_generics(generics: &syn::Generics) -> syn::Result<()> {
    if generics.params.is_empty() {
        return Ok(());
    }
    Err(syn::Error::new_spanned(
        generics,
        "an attribute type has no type parameters: the manifest names each type",
    ))
}

struct Shape {
    names: Vec<String>,
    members: Vec<syn::Member>,
    types: Vec<Type>,
}

impl Shape {
    fn of(fields: &Fields) -> Self {
        let names = fields.iter().enumerate().map(|(at, field)| match &field.ident {
            Some(ident) => plain_name(ident),
            None => format!("field{at}"),
        });
        Self {
            names: names.collect(),
            members: fields.members().collect(),
            types: fields.iter().map(|field| field.ty.clone()).collect(),
        }
    }

    fn bindings(&self) -> Vec<Ident> {
        (0..self.members.len()).map(|at| format_ident!("field{at}")).collect()
    }

    fn parameters(&self) -> TokenStream {
        let entries = self.names.iter().zip(&self.types).map(|(name, ty)| {
            quote_spanned!(ty.span() => ::everwake::sdk::parameter(#name, <#ty as ::everwake::sdk::Value>::type_text(definitions)))
        });
        quote!(vec![#(#entries),*])
    }
}

fn structure(item: ItemStruct) -> syn::Result<TokenStream> {
    no_generics(&item.generics)?;
    let (ident, derives) = (&item.ident, derives(&item.attrs));
    let shape = Shape::of(&item.fields);
    let body = match &item.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => transparent(&shape),
        _ => record(ident, &shape),
    };
    Ok(quote! {
        #derives
        #item

        impl ::everwake::sdk::Value for #ident { #body }
        impl ::everwake::sdk::Attribute for #ident {}
    })
}

fn transparent(shape: &Shape) -> TokenStream {
    let types = &shape.types;
    let inner = quote!(#(#types)*);
    quote! {
        const NULLABLE: bool = <#inner as ::everwake::sdk::Value>::NULLABLE;

        fn type_text(definitions: &mut ::everwake::sdk::Definitions) -> String {
            <#inner as ::everwake::sdk::Value>::type_text(definitions)
        }

        fn initial() -> Self {
            Self(::everwake::sdk::Value::initial())
        }

        fn encode(&self, out: &mut Vec<u8>) {
            ::everwake::sdk::Value::encode(&self.0, out);
        }

        fn decode(reader: &mut ::everwake::sdk::Reader<'_>) -> Result<Self, ::everwake::sdk::Malformed> {
            ::everwake::sdk::Value::decode(reader).map(Self)
        }

        const MARK_BYTES: Option<usize> = <#inner as ::everwake::sdk::Value>::MARK_BYTES;

        fn mark(&self, out: &mut Vec<u8>) {
            ::everwake::sdk::Value::mark(&self.0, out);
        }

        fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
            ::everwake::sdk::Value::strip(&self.0, marks)
        }
    }
}

fn record(ident: &Ident, shape: &Shape) -> TokenStream {
    let (name, parameters, count) = (plain_name(ident), shape.parameters(), shape.members.len());
    let (members, types) = (&shape.members, &shape.types);
    quote! {
        fn type_text(definitions: &mut ::everwake::sdk::Definitions) -> String {
            definitions.define(#name, |definitions| {
                let _ = &definitions;
                ::everwake::sdk::Shape::Record(#parameters)
            })
        }

        fn initial() -> Self {
            Self { #(#members: <#types as ::everwake::sdk::Value>::initial()),* }
        }

        fn encode(&self, out: &mut Vec<u8>) {
            ::everwake::sdk::array(out, #count);
            #(::everwake::sdk::Value::encode(&self.#members, out);)*
        }

        fn decode(reader: &mut ::everwake::sdk::Reader<'_>) -> Result<Self, ::everwake::sdk::Malformed> {
            let mut fields = ::everwake::sdk::Fields::open(reader)?;
            let read = Self { #(#members: fields.take()?),* };
            fields.close()?;
            Ok(read)
        }

        const MARK_BYTES: Option<usize> =
            ::everwake::sdk::width(&[#(<#types as ::everwake::sdk::Value>::MARK_BYTES),*]);

        fn mark(&self, out: &mut Vec<u8>) {
            let _ = &out;
            #(::everwake::sdk::Value::mark(&self.#members, out);)*
        }

        fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
            #(let marks = ::everwake::sdk::Value::strip(&self.#members, marks)?;)*
            Some(marks)
        }
    }
}

fn enumeration(mut item: ItemEnum) -> syn::Result<TokenStream> {
    no_generics(&item.generics)?;
    if item.variants.is_empty() {
        return Err(syn::Error::new_spanned(&item.ident, "an attribute type has at least one case"));
    }
    let is_default =
        |variant: &Variant| variant.attrs.iter().any(|attribute| attribute.path().is_ident("default"));
    let first = item.variants.iter().position(is_default).unwrap_or(0);
    let keeps_default = item.attrs.iter().any(|attribute| {
        attribute.path().is_ident("derive") && quote!(#attribute).to_string().contains("Default")
    });
    if !keeps_default {
        item.variants.iter_mut().for_each(|variant| variant.attrs.retain(|a| !a.path().is_ident("default")));
    }
    let (ident, derives) = (&item.ident, derives(&item.attrs));
    let cases: Vec<Case> =
        item.variants.iter().enumerate().map(|(at, variant)| Case::of(ident, at, variant)).collect();
    let value = enum_value(ident, &cases, first);
    let refusal = enum_refusal(ident, &cases);
    Ok(quote! {
        #derives
        #item
        #value
        impl ::everwake::sdk::Attribute for #ident {}
        #refusal
    })
}

struct Case {
    owner: Ident,
    ident: Ident,
    number: u64,
    fields: Fields,
    shape: Shape,
}

impl Case {
    fn of(owner: &Ident, at: usize, variant: &Variant) -> Self {
        Self {
            owner: owner.clone(),
            ident: variant.ident.clone(),
            number: at as u64,
            fields: variant.fields.clone(),
            shape: Shape::of(&variant.fields),
        }
    }

    /// `Self::Case { a: field0, b: field1 }`, for tuples and units too.
    fn pattern(&self) -> TokenStream {
        let (ident, members, bindings) = (&self.ident, &self.shape.members, self.shape.bindings());
        quote!(Self::#ident { #(#members: #bindings),* })
    }

    fn describe(&self) -> TokenStream {
        let (name, types) = (plain_name(&self.ident), &self.shape.types);
        let text = match &self.fields {
            fields if fields.is_empty() => quote!("unit".into()),
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                quote!(#(<#types as ::everwake::sdk::Value>::type_text(definitions))*)
            }
            Fields::Unnamed(_) => {
                quote!(
                    format!("tuple<{}>", [#(<#types as ::everwake::sdk::Value>::type_text(definitions)),*].join(", "))
                )
            }
            _ => {
                let (record, parameters) =
                    (format!("{}{name}", plain_name(&self.owner)), self.shape.parameters());
                quote!(definitions.define(#record, |definitions| ::everwake::sdk::Shape::Record(#parameters)))
            }
        };
        quote! {{
            let text = #text;
            ::everwake::sdk::parameter(#name, text)
        }}
    }

    /// What the case carries, as one item.
    fn encode_payload(&self) -> TokenStream {
        let (bindings, count) = (self.shape.bindings(), self.shape.members.len());
        match count {
            0 => quote!(out.push(::everwake::cbor::NULL);),
            1 if matches!(self.fields, Fields::Unnamed(_)) => {
                quote!(#(::everwake::sdk::Value::encode(#bindings, out);)*)
            }
            _ => quote! {
                ::everwake::sdk::array(out, #count);
                #(::everwake::sdk::Value::encode(#bindings, out);)*
            },
        }
    }

    fn encode(&self) -> TokenStream {
        let (pattern, number, payload) = (self.pattern(), self.number, self.encode_payload());
        if self.shape.members.is_empty() {
            return quote!(#pattern => ::everwake::sdk::unsigned(out, #number),);
        }
        quote! {
            #pattern => {
                ::everwake::sdk::array(out, 2);
                ::everwake::sdk::unsigned(out, #number);
                #payload
            }
        }
    }

    fn mark(&self) -> TokenStream {
        let (pattern, number, bindings) = (self.pattern(), self.number as u32, self.shape.bindings());
        quote! {
            #pattern => {
                ::everwake::sdk::Value::mark(&#number, out);
                #(::everwake::sdk::Value::mark(#bindings, out);)*
            }
        }
    }

    fn strip(&self) -> TokenStream {
        let (pattern, number, bindings) = (self.pattern(), self.number as u32, self.shape.bindings());
        quote! {
            #pattern => {
                let marks = ::everwake::sdk::Value::strip(&#number, marks)?;
                #(let marks = ::everwake::sdk::Value::strip(#bindings, marks)?;)*
                Some(marks)
            }
        }
    }

    /// Reads what the case carries from `reader`.
    fn decode_payload(&self) -> TokenStream {
        let (pattern, bindings) = (self.pattern(), self.shape.bindings());
        match self.shape.members.len() {
            0 => quote! {{
                reader.item()?;
                #pattern
            }},
            1 if matches!(self.fields, Fields::Unnamed(_)) => quote! {{
                #(let #bindings = reader.nested(::everwake::sdk::Value::decode)?;)*
                #pattern
            }},
            _ => quote! {{
                let mut fields = ::everwake::sdk::Fields::open(reader)?;
                #(let #bindings = fields.take()?;)*
                fields.close()?;
                #pattern
            }},
        }
    }

    fn decode(&self) -> TokenStream {
        let (number, payload) = (self.number, self.decode_payload());
        if self.shape.members.is_empty() {
            let pattern = self.pattern();
            return quote!(#number if !carries => #pattern,);
        }
        quote!(#number if carries => #payload,)
    }

    fn initial(&self) -> TokenStream {
        let (ident, members) = (&self.ident, &self.shape.members);
        quote!(Self::#ident { #(#members: ::everwake::sdk::Value::initial()),* })
    }

    fn code(&self) -> String {
        let mut code = String::new();
        for (at, letter) in plain_name(&self.ident).char_indices() {
            if letter.is_uppercase() && at > 0 {
                code.push('-');
            }
            code.extend(letter.to_lowercase());
        }
        code
    }
}

fn enum_value(ident: &Ident, cases: &[Case], first: usize) -> TokenStream {
    let name = plain_name(ident);
    let described = cases.iter().map(Case::describe);
    let encodes = cases.iter().map(Case::encode);
    let decodes = cases.iter().map(Case::decode);
    let initial = cases.get(first).map(Case::initial);
    let (marks, strips) = (cases.iter().map(Case::mark), cases.iter().map(Case::strip));
    let plain = cases.iter().all(|case| case.shape.members.is_empty());
    let width = if plain { quote!(Some(4)) } else { quote!(None) };
    quote! {
        impl ::everwake::sdk::Value for #ident {
            fn type_text(definitions: &mut ::everwake::sdk::Definitions) -> String {
                definitions.define(#name, |definitions| {
                    let _ = &definitions;
                    ::everwake::sdk::Shape::Cases(vec![#(#described),*])
                })
            }

            fn initial() -> Self {
                #initial
            }

            fn encode(&self, out: &mut Vec<u8>) {
                match self { #(#encodes)* }
            }

            fn decode(reader: &mut ::everwake::sdk::Reader<'_>) -> Result<Self, ::everwake::sdk::Malformed> {
                let carries = reader.peek().is_some_and(|first| first >> 5 == 4);
                if carries && reader.array()? != 2 {
                    return Err(::everwake::sdk::Malformed("a case with a value is a list of two"));
                }
                Ok(match reader.unsigned()? {
                    #(#decodes)*
                    _ => return Err(::everwake::sdk::Malformed(concat!("no such case of ", #name))),
                })
            }

            const MARK_BYTES: Option<usize> = #width;

            fn mark(&self, out: &mut Vec<u8>) {
                match self { #(#marks)* }
            }

            fn strip<'b>(&self, marks: &'b [u8]) -> Option<&'b [u8]> {
                match self { #(#strips)* }
            }
        }
    }
}

fn enum_refusal(ident: &Ident, cases: &[Case]) -> TokenStream {
    let codes: Vec<String> = cases.iter().map(Case::code).collect();
    let patterns = cases.iter().map(|case| {
        let ident = &case.ident;
        quote!(Self::#ident { .. })
    });
    let details = cases.iter().map(|case| {
        let (pattern, payload) = (case.pattern(), case.encode_payload());
        quote!(#pattern => { #payload })
    });
    let reads = cases.iter().zip(&codes).map(|(case, code)| {
        let payload = case.decode_payload();
        quote!(#code => #payload,)
    });
    quote! {
        impl ::everwake::sdk::Refusal for #ident {
            fn code(&self) -> &str {
                match self { #(#patterns => #codes),* }
            }

            fn detail(&self) -> ::everwake::Any {
                ::everwake::Any::written(|out| match self { #(#details)* })
            }

            fn from_parts(code: &str, detail: &::everwake::Any) -> Option<Self> {
                detail
                    .read_with(|reader| {
                        Ok(match code {
                            #(#reads)*
                            _ => return Err(::everwake::sdk::Malformed("no such case")),
                        })
                    })
                    .ok()
            }
        }
    }
}
