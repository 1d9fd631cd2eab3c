//! The incremental Bundle scanner: one entry at a time out of a body of any size.
//!
//! It holds the member or the entry that is under way and nothing else. It cuts; it does not validate what it has cut:
//! head members are parsed here, **each entry must be parsed by whoever takes it** ([`Doc::parse`](super::Doc::parse)).
//! When every piece parses, the whole body is well-formed JSON and was cut where its own structure says.

use std::collections::BTreeSet;

use super::parser::{JsonError, plain_prefix};
use super::tape::Doc;

/// What a scanned Bundle may grow to: a longer head refuses the body, a longer entry is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanLimits {
    /// Bytes of one element of `entry`.
    pub entry: usize,
    /// Bytes of all other members together, keys included.
    pub head: usize,
}

impl Default for ScanLimits {
    /// 16 MiB an entry, 256 KiB of head.
    fn default() -> Self {
        Self { entry: 16 << 20, head: 256 << 10 }
    }
}

/// What the scanner cuts out, in the order of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A member of the Bundle other than `entry`: its key, unescaped, and its value as written (well-formed).
    Head {
        /// The key.
        key: String,
        /// The value's bytes.
        raw: Vec<u8>,
    },
    /// `entry` begins (its `[` was read).
    Entries,
    /// One element of `entry`, as written: begins with `{`, not yet validated.
    Entry(Vec<u8>),
    /// An element of `entry` that is longer than the limit: no more than its first [`BEGINNING`] bytes.
    TooLong(Vec<u8>),
}

/// Bytes that are kept of an entry that is longer than the limit.
pub const BEGINNING: usize = 4 << 10;

/// Why a body is not a Bundle that can be filtered. Everything after it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// A byte that cannot stand here.
    #[error("unexpected byte at {0}")]
    Unexpected(usize),
    /// The body ended inside the Bundle.
    #[error("body ends inside the bundle")]
    Truncated,
    /// Something stands after the Bundle.
    #[error("data after the bundle at {0}")]
    Trailing(usize),
    /// A head member is not JSON.
    #[error("malformed head member: {0}")]
    Head(JsonError),
    /// A member stands twice.
    #[error("duplicate member")]
    DuplicateMember,
    /// `entry` is not an array.
    #[error("entry is not an array")]
    EntryNotArray,
    /// An element of `entry` is not an object.
    #[error("an entry is not an object")]
    EntryNotObject,
    /// The head is longer than the limit.
    #[error("the bundle's head is too long")]
    HeadTooLong,
    /// `resourceType` is absent or not `Bundle`.
    #[error("not a bundle")]
    NotABundle,
    /// The scanner had already failed.
    #[error("scanner used after an error")]
    Poisoned,
}

/// Scans one Bundle, chunk by chunk; see the module.
#[derive(Debug)]
pub struct BundleScanner {
    limits: ScanLimits,
    state: State,
    /// The key or value under way.
    held: Vec<u8>,
    /// Whether the entry under way is over the limit, and `held` its beginning only.
    skipping: bool,
    /// How far into nested brackets the value under way is.
    depth: usize,
    text: InText,
    /// The key whose value is under way or expected.
    key: String,
    seen: BTreeSet<String>,
    head_bytes: usize,
    is_bundle: bool,
    /// Bytes of the body before the chunk at hand.
    offset: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// White space, then `{`.
    Start,
    /// After `{`: a key or `}`.
    FirstKey,
    /// After `,`: a key.
    Key,
    /// Inside a key.
    InKey,
    /// After a key: `:`.
    Colon,
    /// After `:`: a value.
    Value,
    /// Inside the value of a head member.
    InValue,
    /// After a member: `,` or `}`.
    AfterMember,
    /// After `entry`'s `[`: an element or `]`.
    FirstEntry,
    /// After `,` in `entry`: an element.
    Entry,
    /// Inside an element of `entry`.
    InEntry,
    /// After an element: `,` or `]`.
    AfterEntry,
    /// After the closing `}`.
    Done,
    /// After an error.
    Failed,
}

/// Whether the value under way is inside a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InText {
    Outside,
    Inside,
    /// After a backslash.
    Escape,
}

impl BundleScanner {
    /// A scanner for one body.
    pub fn new(limits: ScanLimits) -> Self {
        Self {
            limits,
            state: State::Start,
            held: Vec::new(),
            skipping: false,
            depth: 0,
            text: InText::Outside,
            key: String::new(),
            seen: BTreeSet::new(),
            head_bytes: 0,
            is_bundle: false,
            offset: 0,
        }
    }

    /// Takes the next chunk and answers the pieces that end in it, in order.
    ///
    /// After an error the pieces of this chunk are lost with it and every later call fails too.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Vec<Piece>, ScanError> {
        let mut out = Vec::new();
        let mut rest = chunk;
        while !rest.is_empty() {
            let used = match self.step(rest, chunk.len() - rest.len(), &mut out) {
                Ok(used) => used,
                Err(error) => {
                    self.state = State::Failed;
                    self.held = Vec::new();
                    return Err(error);
                }
            };
            rest = rest.get(used..).unwrap_or_default();
        }
        self.offset += chunk.len();
        Ok(out)
    }

    /// Ends the body: it must have been one whole Bundle, and `resourceType`, wherever it stood, must say so.
    pub fn finish(self) -> Result<(), ScanError> {
        match self.state {
            State::Done if self.is_bundle => Ok(()),
            State::Done => Err(ScanError::NotABundle),
            State::Failed => Err(ScanError::Poisoned),
            State::Start
            | State::FirstKey
            | State::Key
            | State::InKey
            | State::Colon
            | State::Value
            | State::InValue
            | State::AfterMember
            | State::FirstEntry
            | State::Entry
            | State::InEntry
            | State::AfterEntry => Err(ScanError::Truncated),
        }
    }

    /// Uses up at least one byte of `rest` or fails, except that a scalar's end leaves its delimiter for the next step.
    fn step(&mut self, rest: &[u8], at: usize, out: &mut Vec<Piece>) -> Result<usize, ScanError> {
        let here = self.offset + at;
        match self.state {
            State::InKey => return self.in_key(rest),
            State::InValue => return self.in_value(rest, out),
            State::InEntry => return self.in_entry(rest, out),
            State::Failed => return Err(ScanError::Poisoned),
            State::Start
            | State::FirstKey
            | State::Key
            | State::Colon
            | State::Value
            | State::AfterMember
            | State::FirstEntry
            | State::Entry
            | State::AfterEntry
            | State::Done => {}
        }
        let space = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        let Some(&byte) = rest.get(space) else {
            return Ok(space);
        };
        let unexpected = ScanError::Unexpected(here + space);
        self.state = match (self.state, byte) {
            (State::Start, b'{') => State::FirstKey,
            (State::FirstKey | State::Key, b'"') => {
                self.held.clear();
                self.held.push(byte);
                self.text = InText::Inside;
                State::InKey
            }
            (State::FirstKey | State::AfterMember, b'}') => State::Done,
            (State::AfterMember, b',') => State::Key,
            (State::Colon, b':') => State::Value,
            (State::Value, b'[') if self.key == "entry" => {
                out.push(Piece::Entries);
                State::FirstEntry
            }
            (State::Value, _) if self.key == "entry" => return Err(ScanError::EntryNotArray),
            (State::Value, b',' | b'}' | b']' | b':') => return Err(unexpected),
            (State::Value, _) => {
                // The value's first byte is taken by `in_value`.
                self.held.clear();
                (self.depth, self.text) = (0, InText::Outside);
                self.state = State::InValue;
                return Ok(space);
            }
            (State::FirstEntry, b']') | (State::AfterEntry, b']') => State::AfterMember,
            (State::AfterEntry, b',') => State::Entry,
            (State::FirstEntry | State::Entry, b'{') => {
                self.held.clear();
                (self.depth, self.text) = (0, InText::Outside);
                self.state = State::InEntry;
                return Ok(space);
            }
            (State::FirstEntry | State::Entry, b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                return Err(ScanError::EntryNotObject);
            }
            (State::Done, _) => return Err(ScanError::Trailing(here + space)),
            (
                State::Start
                | State::FirstKey
                | State::Key
                | State::Colon
                | State::AfterMember
                | State::FirstEntry
                | State::Entry
                | State::AfterEntry
                | State::InKey
                | State::InValue
                | State::InEntry
                | State::Failed,
                _,
            ) => return Err(unexpected),
        };
        Ok(space + 1)
    }

    fn in_key(&mut self, rest: &[u8]) -> Result<usize, ScanError> {
        let (used, ended) = self.skim_text(rest);
        self.hold_head(rest.get(..used).unwrap_or_default())?;
        if ended {
            let doc = Doc::parse(&self.held).map_err(ScanError::Head)?;
            let key = doc.root().as_str().unwrap_or_default().into_owned();
            if !self.seen.insert(key.clone()) {
                return Err(ScanError::DuplicateMember);
            }
            self.key = key;
            self.state = State::Colon;
        }
        Ok(used)
    }

    fn in_value(&mut self, rest: &[u8], out: &mut Vec<Piece>) -> Result<usize, ScanError> {
        let (used, ended) = self.skim(rest);
        self.hold_head(rest.get(..used).unwrap_or_default())?;
        if ended {
            let raw = std::mem::take(&mut self.held);
            let doc = Doc::parse(&raw).map_err(ScanError::Head)?;
            if self.key == "resourceType" {
                if doc.root().as_str().as_deref() != Some("Bundle") {
                    return Err(ScanError::NotABundle);
                }
                self.is_bundle = true;
            }
            drop(doc);
            out.push(Piece::Head { key: std::mem::take(&mut self.key), raw });
            self.state = State::AfterMember;
        }
        Ok(used)
    }

    fn in_entry(&mut self, rest: &[u8], out: &mut Vec<Piece>) -> Result<usize, ScanError> {
        let (used, ended) = self.skim(rest);
        let taken = rest.get(..used).unwrap_or_default();
        self.skipping |= self.held.len() + taken.len() > self.limits.entry;
        if self.skipping {
            self.held.extend(taken.iter().take(BEGINNING.saturating_sub(self.held.len())));
            self.held.truncate(BEGINNING);
        } else {
            self.held.extend_from_slice(taken);
        }
        if ended {
            let held = std::mem::take(&mut self.held);
            out.push(if std::mem::take(&mut self.skipping) { Piece::TooLong(held) } else { Piece::Entry(held) });
            self.state = State::AfterEntry;
        }
        Ok(used)
    }

    fn hold_head(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        self.head_bytes += bytes.len();
        if self.head_bytes > self.limits.head {
            return Err(ScanError::HeadTooLong);
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// How much of `rest` belongs to the value under way, and whether it ends there. A scalar ends before its
    /// delimiter; brackets are counted, not matched: whoever parses the piece finds a mismatch.
    fn skim(&mut self, rest: &[u8]) -> (usize, bool) {
        let mut at = 0;
        loop {
            if self.text != InText::Outside {
                let (used, ended) = self.skim_text(rest.get(at..).unwrap_or_default());
                at += used;
                if !ended {
                    return (at, false);
                }
                if self.depth == 0 {
                    return (at, true);
                }
                continue;
            }
            let Some(&byte) = rest.get(at) else {
                return (at, false);
            };
            match byte {
                b'"' if self.depth == 0 && !(self.held.is_empty() && at == 0) => return (at, true),
                b'"' => self.text = InText::Inside,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth == 0 => return (at, true),
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return (at + 1, true);
                    }
                }
                b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' if self.depth == 0 => return (at, true),
                _ => {}
            }
            at += 1;
        }
    }

    /// The same inside a string; ends after its closing quote.
    fn skim_text(&mut self, rest: &[u8]) -> (usize, bool) {
        let mut at = 0;
        loop {
            let tail = rest.get(at..).unwrap_or_default();
            if self.text == InText::Escape {
                if tail.is_empty() {
                    return (at, false);
                }
                self.text = InText::Inside;
                at += 1;
                continue;
            }
            at += plain_prefix(tail);
            match rest.get(at) {
                None => return (at, false),
                Some(b'"') => {
                    self.text = InText::Outside;
                    return (at + 1, true);
                }
                Some(b'\\') => self.text = InText::Escape,
                // A control character: whoever parses the piece refuses it.
                Some(_) => {}
            }
            at += 1;
        }
    }
}
