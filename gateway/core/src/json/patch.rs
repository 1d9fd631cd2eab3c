//! JSON Patch (RFC 6902) on bytes: what no operation touches stays byte for byte what it was, numbers above all.

use std::borrow::Cow;

use super::edit::Edits;
use super::tape::{Doc, Kind, Value};

/// A patch: its operations, in order. Made by [`Patch::parse`] only.
#[derive(Clone)]
pub struct Patch {
    operations: Vec<Operation>,
}

/// Why a patch cannot be read or carried out; never what stands in it or in the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// It is no JSON Patch document.
    #[error("not a JSON Patch document: {0}")]
    Malformed(&'static str),
    /// More operations than are carried out.
    #[error("too many operations")]
    TooMany,
    /// A path leads nowhere, or to where nothing can be put.
    #[error("an operation cannot be carried out")]
    NotApplicable,
    /// A `test` does not hold.
    #[error("a test does not hold")]
    TestFailed,
    /// What comes of it is larger than the limit.
    #[error("the patched resource is too large")]
    TooLarge,
}

#[derive(Clone)]
enum Operation {
    Add { path: Pointer, value: Vec<u8> },
    Remove { path: Pointer },
    Replace { path: Pointer, value: Vec<u8> },
    Move { from: Pointer, path: Pointer },
    Copy { from: Pointer, path: Pointer },
    Test { path: Pointer, value: Vec<u8> },
}

/// A JSON Pointer (RFC 6901), its tokens unescaped.
#[derive(Clone, PartialEq, Eq)]
struct Pointer(Vec<String>);

impl std::fmt::Debug for Patch {
    /// Without paths and values, which are patient data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Patch of {} operations", self.operations.len())
    }
}

impl Patch {
    /// Reads a patch of at most `most` operations. Members that an operation does not define are ignored (RFC 6902, 4).
    ///
    /// # Errors
    /// [`PatchError::Malformed`], [`PatchError::TooMany`]
    pub fn parse(source: &[u8], most: usize) -> Result<Self, PatchError> {
        let doc = Doc::parse(source).map_err(|_| PatchError::Malformed("no JSON"))?;
        if !doc.root().is_array() {
            return Err(PatchError::Malformed("no list of operations"));
        }
        let mut operations = Vec::new();
        for operation in doc.root().items() {
            if operations.len() == most {
                return Err(PatchError::TooMany);
            }
            operations.push(Operation::read(operation)?);
        }
        if operations.is_empty() {
            return Err(PatchError::Malformed("no operation"));
        }
        Ok(Self { operations })
    }

    /// Carries the operations out on `source`, one after the other, all or none; nothing on the way grows over `limit`
    /// bytes.
    ///
    /// # Errors
    /// [`PatchError::NotApplicable`], [`PatchError::TestFailed`], [`PatchError::TooLarge`]
    pub fn apply(&self, source: &[u8], limit: usize) -> Result<Vec<u8>, PatchError> {
        let mut bytes = source.to_vec();
        for operation in &self.operations {
            if let Some(next) = operation.apply(&bytes)? {
                bytes = next;
            }
            if bytes.len() > limit {
                return Err(PatchError::TooLarge);
            }
        }
        Ok(bytes)
    }
}

impl Operation {
    fn read(operation: Value<'_>) -> Result<Self, PatchError> {
        let name = operation.str_at("op").ok_or(PatchError::Malformed("an operation without op"))?;
        let pointer = |member: &str| {
            let text = operation.str_at(member).ok_or(PatchError::Malformed("an operation without its paths"))?;
            Pointer::parse(&text).ok_or(PatchError::Malformed("a path is no JSON Pointer"))
        };
        let path = pointer("path")?;
        let value = || {
            let value = operation.get("value").ok_or(PatchError::Malformed("an operation without its value"))?;
            Ok(value.raw().to_vec())
        };
        match name.as_ref() {
            "add" => Ok(Self::Add { path, value: value()? }),
            "remove" => Ok(Self::Remove { path }),
            "replace" => Ok(Self::Replace { path, value: value()? }),
            "move" => Ok(Self::Move { from: pointer("from")?, path }),
            "copy" => Ok(Self::Copy { from: pointer("from")?, path }),
            "test" => Ok(Self::Test { path, value: value()? }),
            _ => Err(PatchError::Malformed("an unknown op")),
        }
    }

    /// The document after it; `None` where it only looks.
    fn apply(&self, source: &[u8]) -> Result<Option<Vec<u8>>, PatchError> {
        let doc = Doc::parse(source).map_err(|_| PatchError::NotApplicable)?;
        match self {
            Self::Add { path, value } => add(&doc, path, value).map(Some),
            Self::Remove { path } => remove(&doc, path).map(Some),
            Self::Replace { path, value } => {
                let mut edits = Edits::new();
                edits.replace(path.of(doc.root())?.span(), value.clone());
                done(&edits, &doc).map(Some)
            }
            Self::Move { from, path } if from == path => path.of(doc.root()).map(|_| None),
            // What is moved cannot go into itself (RFC 6902, 4.4).
            Self::Move { from, path } if path.0.starts_with(&from.0) => Err(PatchError::NotApplicable),
            Self::Move { from, path } => {
                let value = from.of(doc.root())?.raw().to_vec();
                let without = remove(&doc, from)?;
                let doc = Doc::parse(&without).map_err(|_| PatchError::NotApplicable)?;
                add(&doc, path, &value).map(Some)
            }
            Self::Copy { from, path } => add(&doc, path, from.of(doc.root())?.raw()).map(Some),
            Self::Test { path, value } => {
                let value = Doc::parse(value).map_err(|_| PatchError::NotApplicable)?;
                match path.of(doc.root()).is_ok_and(|found| equal(found, value.root())) {
                    true => Ok(None),
                    false => Err(PatchError::TestFailed),
                }
            }
        }
    }
}

/// RFC 6902, 4.1.
fn add(doc: &Doc<'_>, path: &Pointer, value: &[u8]) -> Result<Vec<u8>, PatchError> {
    let Some((name, above)) = path.0.split_last() else { return Ok(value.to_vec()) };
    let holder = descend(doc.root(), above)?;
    let mut edits = Edits::new();
    match holder.kind() {
        Kind::Object => match (holder.get(name), holder.children().last()) {
            (Some(there), _) => edits.replace(there.span(), value),
            (None, Some(last)) => {
                let member = [b",", super::quoted(name).as_bytes(), b":", value].concat();
                edits.insert(last.span().end, member);
            }
            (None, None) => edits.insert_member(holder, name, value),
        },
        Kind::Array if name == "-" => edits.push_item(holder, value),
        Kind::Array => {
            let at = index(name).ok_or(PatchError::NotApplicable)?;
            match holder.items().nth(at) {
                Some(next) => edits.insert(next.span().start, [value, b","].concat()),
                None if holder.items().count() == at => edits.push_item(holder, value),
                None => return Err(PatchError::NotApplicable),
            }
        }
        Kind::String | Kind::Number | Kind::True | Kind::False | Kind::Null => return Err(PatchError::NotApplicable),
    }
    done(&edits, doc)
}

fn remove(doc: &Doc<'_>, path: &Pointer) -> Result<Vec<u8>, PatchError> {
    let (_, above) = path.0.split_last().ok_or(PatchError::NotApplicable)?;
    let target = path.of(doc.root())?.span();
    let mut edits = Edits::new();
    edits.remove_children(descend(doc.root(), above)?, |child| child.span() == target);
    done(&edits, doc)
}

fn done(edits: &Edits, doc: &Doc<'_>) -> Result<Vec<u8>, PatchError> {
    edits.apply(doc.source()).map_err(|_| PatchError::NotApplicable)
}

impl Pointer {
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        text.strip_prefix('/')?.split('/').map(token).collect::<Option<_>>().map(Self)
    }

    fn of<'a>(&self, root: Value<'a>) -> Result<Value<'a>, PatchError> {
        descend(root, &self.0)
    }
}

/// RFC 6901, 4: `~1` is `/`, `~0` is `~`, and no other `~` may stand.
fn token(escaped: &str) -> Option<String> {
    let mut out = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(character) = chars.next() {
        out.push(match character {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            plain => plain,
        });
    }
    Some(out)
}

fn descend<'a>(root: Value<'a>, tokens: &[String]) -> Result<Value<'a>, PatchError> {
    tokens.iter().try_fold(root, |value, token| {
        let child = match value.kind() {
            Kind::Object => value.get(token),
            Kind::Array => index(token).and_then(|at| value.items().nth(at)),
            Kind::String | Kind::Number | Kind::True | Kind::False | Kind::Null => None,
        };
        child.ok_or(PatchError::NotApplicable)
    })
}

/// An array index: digits without a leading zero (RFC 6901, 4).
fn index(token: &str) -> Option<usize> {
    let plain = token.bytes().all(|b| b.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    if plain { token.parse().ok() } else { None }
}

/// Equality of RFC 6902, 4.6: members in any order, numbers by their value.
fn equal(one: Value<'_>, other: Value<'_>) -> bool {
    if one.kind() != other.kind() {
        return false;
    }
    match one.kind() {
        Kind::Object => {
            // Sorted, not looked up one by one: a client chooses how many there are.
            let (mut ones, mut others): (Vec<_>, Vec<_>) = (one.members().collect(), other.members().collect());
            ones.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            others.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            ones.len() == others.len()
                && ones.iter().zip(&others).all(|(a, b)| a.key == b.key && equal(a.value, b.value))
        }
        Kind::Array => {
            one.items().count() == other.items().count() && one.items().zip(other.items()).all(|(a, b)| equal(a, b))
        }
        Kind::String => one.as_str() == other.as_str(),
        Kind::Number => number(one.raw_str()) == number(other.raw_str()),
        Kind::True | Kind::False | Kind::Null => true,
    }
}

/// A number as sign, digits without zeros at either end, and the power of ten of the last digit; as written where that
/// power cannot be counted.
fn number(raw: &str) -> (bool, Cow<'_, str>, i64) {
    let (negative, rest) = raw.strip_prefix('-').map_or((false, raw), |rest| (true, rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let short = digits.trim_end_matches('0');
    if short.is_empty() {
        return (false, Cow::Borrowed(""), 0);
    }
    let dropped = i64::try_from(digits.len() - short.len()).ok();
    let places = i64::try_from(fraction.len()).ok();
    let power = exponent.parse::<i64>().ok().zip(dropped).zip(places);
    match power.and_then(|((exponent, dropped), places)| exponent.checked_add(dropped)?.checked_sub(places)) {
        Some(power) => (negative, Cow::Owned(short.to_owned()), power),
        None => (negative, Cow::Borrowed(raw), 0),
    }
}

#[cfg(test)]
mod tests;
