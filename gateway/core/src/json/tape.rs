//! The tape: one flat node per JSON value, in document order, with byte spans into the source.

use std::borrow::Cow;
use std::ops::Range;

use super::parser::{self, JsonError, Limits};

/// What a JSON value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number, as written.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// One value on the tape. Offsets are bytes into the source.
///
/// INVARIANT: `start < end`, both on UTF-8 boundaries; `next` is the index after the last node of this value's subtree;
/// a key span includes its quotes and is empty for array elements and the root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) escaped: bool,
    pub(super) key_escaped: bool,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) key_start: u32,
    pub(super) key_end: u32,
    pub(super) next: u32,
}

/// A JSON document, strictly validated (RFC 8259), without duplicate keys, over its original bytes.
#[derive(Debug)]
pub struct Doc<'a> {
    pub(super) source: &'a str,
    pub(super) nodes: Vec<Node>,
}

impl<'a> Doc<'a> {
    /// Parses one JSON text with the default [`Limits`].
    pub fn parse(source: &'a [u8]) -> Result<Self, JsonError> {
        Self::parse_within(source, Limits::default())
    }

    /// Parses one JSON text: UTF-8 without a byte order mark, one value, nothing after it but white space, no object
    /// with a key twice (after unescaping), no unpaired surrogate, no deeper than `limits.depth`.
    pub fn parse_within(source: &'a [u8], limits: Limits) -> Result<Self, JsonError> {
        parser::parse(source, limits)
    }

    /// The document's one value.
    pub fn root(&self) -> Value<'_> {
        Value { source: self.source, nodes: &self.nodes, node: self.nodes.first().copied().unwrap_or(NOTHING), at: 0 }
    }

    /// The bytes that were parsed.
    pub fn source(&self) -> &'a [u8] {
        self.source.as_bytes()
    }
}

/// Stands for the root of an empty tape, which the parser never returns.
const NOTHING: Node =
    Node { kind: Kind::Null, escaped: false, key_escaped: false, start: 0, end: 0, key_start: 0, key_end: 0, next: 1 };

/// A cursor on one value of a [`Doc`].
#[derive(Clone, Copy)]
pub struct Value<'a> {
    source: &'a str,
    nodes: &'a [Node],
    node: Node,
    at: usize,
}

/// A member of an object: its key (unescaped), the key's span with its quotes, and its value.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// The key, unescaped.
    pub key: Cow<'a, str>,
    /// Where the key stands, quotes included.
    pub key_span: Range<usize>,
    /// The value.
    pub value: Value<'a>,
}

impl<'a> Value<'a> {
    /// What kind of value it is.
    pub fn kind(&self) -> Kind {
        self.node.kind
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        self.node.kind == Kind::Object
    }

    /// Whether it is an array.
    pub fn is_array(&self) -> bool {
        self.node.kind == Kind::Array
    }

    /// Where it stands in the source.
    pub fn span(&self) -> Range<usize> {
        self.node.start as usize..self.node.end as usize
    }

    /// Its bytes, as written.
    pub fn raw(&self) -> &'a [u8] {
        self.raw_str().as_bytes()
    }

    /// Its text, as written.
    pub fn raw_str(&self) -> &'a str {
        self.source.get(self.span()).unwrap_or_default()
    }

    /// The string it is, unescaped; `None` for every other kind.
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        (self.node.kind == Kind::String).then(|| unquote(self.raw_str(), self.node.escaped))
    }

    /// The boolean it is.
    pub fn as_bool(&self) -> Option<bool> {
        match self.node.kind {
            Kind::True => Some(true),
            Kind::False => Some(false),
            Kind::Object | Kind::Array | Kind::String | Kind::Number | Kind::Null => None,
        }
    }

    /// The member of that key; `None` where there is none or this is no object.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        if self.node.kind != Kind::Object {
            return None;
        }
        self.children().find(|child| child.key_is(key))
    }

    /// The string at that key, unescaped.
    pub fn str_at(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key).and_then(|value| value.as_str())
    }

    /// The elements of an array; nothing for every other kind.
    pub fn items(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let empty = self.node.kind != Kind::Array;
        self.children().take_while(move |_| !empty)
    }

    /// The elements of an array, or the value itself where it is none: FHIR's repetitions in either form.
    pub fn each(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let single = (self.node.kind != Kind::Array).then_some(*self);
        single.into_iter().chain(self.items())
    }

    /// The members of an object; nothing for every other kind.
    pub fn members(&self) -> impl Iterator<Item = Member<'a>> + use<'a> {
        let empty = self.node.kind != Kind::Object;
        self.children().take_while(move |_| !empty).map(|value| Member {
            key: value.key().unwrap_or_default(),
            key_span: value.key_span().unwrap_or_default(),
            value,
        })
    }

    /// The key under which it stands, unescaped; `None` for array elements and the root.
    pub fn key(&self) -> Option<Cow<'a, str>> {
        let span = self.key_span()?;
        Some(unquote(self.source.get(span)?, self.node.key_escaped))
    }

    /// Where its key stands, quotes included; `None` for array elements and the root.
    pub fn key_span(&self) -> Option<Range<usize>> {
        (self.node.key_end > 0).then_some(self.node.key_start as usize..self.node.key_end as usize)
    }

    /// Where the whole member stands (key to value), or the value alone where it has no key.
    pub fn member_span(&self) -> Range<usize> {
        let start = self.key_span().map_or(self.node.start as usize, |key| key.start);
        start..self.node.end as usize
    }

    /// The direct children of an object or array, in order.
    pub fn children(&self) -> Children<'a> {
        let end = match self.node.kind {
            Kind::Object | Kind::Array => self.node.next as usize,
            Kind::String | Kind::Number | Kind::True | Kind::False | Kind::Null => self.at,
        };
        Children { source: self.source, nodes: self.nodes, at: self.at.saturating_add(1), end }
    }

    /// Whether its key, unescaped, is `key`; without allocating in the usual case.
    pub fn key_is(&self, key: &str) -> bool {
        match self.key_span().and_then(|span| self.source.get(span)) {
            None => false,
            Some(quoted) if !self.node.key_escaped => {
                quoted.len() == key.len().saturating_add(2)
                    && quoted.as_bytes().get(1..=key.len()) == Some(key.as_bytes())
            }
            Some(quoted) => unquote(quoted, true) == key,
        }
    }
}

impl std::fmt::Debug for Value<'_> {
    /// Kind and span only: content is patient data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}@{}..{}", self.node.kind, self.node.start, self.node.end)
    }
}

/// Iterator over the direct children of a value.
#[derive(Clone, Debug)]
pub struct Children<'a> {
    source: &'a str,
    nodes: &'a [Node],
    at: usize,
    end: usize,
}

impl<'a> Iterator for Children<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        if self.at >= self.end {
            return None;
        }
        let node = *self.nodes.get(self.at)?;
        let value = Value { source: self.source, nodes: self.nodes, node, at: self.at };
        self.at = node.next as usize;
        Some(value)
    }
}

/// The text between the quotes of a validated JSON string, unescaped.
pub(super) fn unquote(quoted: &str, escaped: bool) -> Cow<'_, str> {
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    if escaped { Cow::Owned(unescape(inner)) } else { Cow::Borrowed(inner) }
}

/// RFC 8259, section 7. The parser has refused every malformed escape and unpaired surrogate.
fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, tail)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = tail.chars();
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let (character, after) = unescape_unit(chars.as_str());
                out.push(character);
                rest = after;
                continue;
            }
            Some(same) => out.push(same),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}

/// One `\u` escape, or the two of a surrogate pair; `text` begins after the `u`. Answers the rest too.
fn unescape_unit(text: &str) -> (char, &str) {
    let Some((high, rest)) = hex4(text) else {
        return (char::REPLACEMENT_CHARACTER, text);
    };
    if let Some(character) = char::from_u32(high) {
        return (character, rest);
    }
    let Some((low, after)) = rest.strip_prefix("\\u").and_then(hex4) else {
        return (char::REPLACEMENT_CHARACTER, rest);
    };
    let combined = 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
    (char::from_u32(combined).unwrap_or(char::REPLACEMENT_CHARACTER), after)
}

/// Four hexadecimal digits and what follows.
fn hex4(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}
