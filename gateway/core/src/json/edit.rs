//! Edits by span: what is not edited stays byte for byte what it was.

use std::ops::Range;

use super::tape::{Kind, Value};

/// A set of edits of one source text, applied all at once.
///
/// Edits inside something that is removed fall away with it, so that redaction and rewriting of one resource can be
/// planned apart and applied together.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    list: Vec<Edit>,
}

#[derive(Clone, Debug)]
struct Edit {
    span: Range<usize>,
    with: Vec<u8>,
}

/// The edits contradict each other or the source; nothing was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Two edits overlap and neither is inside a removal.
    #[error("edits overlap")]
    Overlap,
    /// An edit reaches past the source.
    #[error("edit outside the source")]
    Outside,
}

/// What became of a container when children were taken out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// None of its children was named.
    Untouched,
    /// Some are gone, some remain.
    Some,
    /// Nothing remains: `{}` or `[]`, neither of which FHIR allows.
    Emptied,
}

impl Edits {
    /// No edits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to apply.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Puts `with` where `span` was.
    pub fn replace(&mut self, span: Range<usize>, with: impl Into<Vec<u8>>) {
        self.list.push(Edit { span, with: with.into() });
    }

    /// Puts `with` before the byte at `at`.
    pub fn insert(&mut self, at: usize, with: impl Into<Vec<u8>>) {
        self.replace(at..at, with);
    }

    /// Takes the children that `which` names out of an object or array, each with its key and one comma.
    ///
    /// All removals from one container must be made in one call: commas depend on which children remain.
    pub fn remove_children(&mut self, container: Value<'_>, mut which: impl FnMut(&Value<'_>) -> bool) -> Removal {
        let children: Vec<_> = container.children().map(|child| (child.member_span(), which(&child))).collect();
        if children.iter().all(|(_, gone)| !gone) {
            return Removal::Untouched;
        }
        if children.iter().all(|(_, gone)| *gone) {
            if let (Some((first, _)), Some((last, _))) = (children.first(), children.last()) {
                self.replace(first.start..last.end, []);
            }
            return Removal::Emptied;
        }
        // A child goes with the comma before it once something before it remains, else with the comma after it.
        let mut kept_before = false;
        for (index, (span, gone)) in children.iter().enumerate() {
            if !gone {
                kept_before = true;
            } else if kept_before {
                let previous = index.checked_sub(1).and_then(|at| children.get(at));
                self.replace(previous.map_or(span.start, |(before, _)| before.end)..span.end, []);
            } else {
                let next = children.get(index + 1);
                self.replace(span.start..next.map_or(span.end, |(after, _)| after.start), []);
            }
        }
        Removal::Some
    }

    /// Puts a member at the head of an object; `key` is plain (no character that JSON escapes), `raw` is JSON.
    ///
    /// Where the object loses all its members in the same set of edits the result would end in a comma: the caller
    /// keeps at least one (a FHIR resource keeps `resourceType`).
    pub fn insert_member(&mut self, object: Value<'_>, key: &str, raw: &[u8]) {
        if object.kind() != Kind::Object {
            return;
        }
        let mut text = quoted(key).into_bytes();
        text.push(b':');
        text.extend_from_slice(raw);
        if object.children().next().is_some() {
            text.push(b',');
        }
        self.insert(object.span().start + 1, text);
    }

    /// Puts an element at the end of an array.
    pub fn push_item(&mut self, array: Value<'_>, raw: &[u8]) {
        if array.kind() != Kind::Array {
            return;
        }
        match array.children().last() {
            Some(last) => {
                let mut text = vec![b','];
                text.extend_from_slice(raw);
                self.insert(last.span().end, text);
            }
            None => self.insert(array.span().start + 1, raw),
        }
    }

    /// Applies the edits to the text that they were planned on.
    pub fn apply(&self, source: &[u8]) -> Result<Vec<u8>, EditError> {
        self.apply_within(source, 0..source.len())
    }

    /// Applies them and answers only what became of `window` (in source offsets): edits outside it are not applied,
    /// one that crosses its edge is an error.
    pub fn apply_within(&self, source: &[u8], window: Range<usize>) -> Result<Vec<u8>, EditError> {
        let mut edits: Vec<&Edit> = self.list.iter().collect();
        // Insertions before what begins at the same byte; of two removals the longer first.
        edits.sort_by_key(|edit| (edit.span.start, !edit.span.is_empty(), std::cmp::Reverse(edit.span.end)));
        let mut out = Vec::with_capacity(window.len() + 64);
        let mut at = window.start;
        let mut removed_to = window.start;
        for edit in edits {
            let before = edit.span.end <= window.start && edit.span.start < window.start;
            if before || edit.span.start >= window.end {
                continue;
            }
            if edit.span.start > edit.span.end || edit.span.end > source.len() {
                return Err(EditError::Outside);
            }
            if edit.span.start < window.start || edit.span.end > window.end {
                return Err(EditError::Overlap);
            }
            if edit.span.end <= removed_to && edit.span.start < removed_to {
                continue;
            }
            let kept = source.get(at..edit.span.start).ok_or(EditError::Overlap)?;
            out.extend_from_slice(kept);
            out.extend_from_slice(&edit.with);
            at = edit.span.end;
            if edit.with.is_empty() {
                removed_to = at;
            }
        }
        out.extend_from_slice(source.get(at..window.end).ok_or(EditError::Outside)?);
        Ok(out)
    }
}

/// `text` as a JSON string, quotes included (RFC 8259, section 7: only what must be escaped is).
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}
