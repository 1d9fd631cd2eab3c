//! The strict one-pass parser behind the tape.

use super::tape::{Doc, Kind, Node, unquote};

/// What a document may grow to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nesting of objects and arrays.
    pub depth: usize,
    /// Bytes of the whole text (at most 4 GiB - 1).
    pub bytes: usize,
}

impl Default for Limits {
    /// 128 levels (FHIR itself rarely passes 12), 64 MiB.
    fn default() -> Self {
        Self { depth: 128, bytes: 64 << 20 }
    }
}

/// Where a text stopped being acceptable JSON, and why; never what stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {offset}")]
pub struct JsonError {
    /// Byte offset into the text.
    pub offset: usize,
    /// What is wrong.
    pub fault: JsonFault,
}

/// What can be wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum JsonFault {
    /// The text ended inside a value.
    #[error("text ends too early")]
    Truncated,
    /// A byte that cannot stand here.
    #[error("unexpected byte")]
    Unexpected,
    /// Not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// A byte order mark.
    #[error("byte order mark")]
    ByteOrderMark,
    /// Something after the value.
    #[error("trailing data")]
    Trailing,
    /// Deeper than the limit.
    #[error("nested too deeply")]
    Depth,
    /// Longer than the limit.
    #[error("text too long")]
    TooLong,
    /// A number that RFC 8259 does not allow.
    #[error("malformed number")]
    Number,
    /// A control character inside a string.
    #[error("control character in a string")]
    Control,
    /// A malformed escape.
    #[error("malformed escape")]
    Escape,
    /// Half a surrogate pair.
    #[error("unpaired surrogate")]
    Surrogate,
    /// An object with the same key twice.
    #[error("duplicate key")]
    DuplicateKey,
}

/// Parses `source`; the contract is [`Doc::parse_within`]'s.
pub(super) fn parse(source: &[u8], limits: Limits) -> Result<Doc<'_>, JsonError> {
    if source.len() > limits.bytes.min(u32::MAX as usize - 1) {
        return Err(JsonError { offset: limits.bytes, fault: JsonFault::TooLong });
    }
    if source.starts_with(b"\xEF\xBB\xBF") {
        return Err(JsonError { offset: 0, fault: JsonFault::ByteOrderMark });
    }
    let text = std::str::from_utf8(source)
        .map_err(|error| JsonError { offset: error.valid_up_to(), fault: JsonFault::Utf8 })?;
    let mut parser = Parser {
        text,
        bytes: text.as_bytes(),
        at: 0,
        nodes: Vec::with_capacity(source.len() / 24 + 8),
        open: Vec::with_capacity(16),
        depth: limits.depth,
    };
    parser.document()?;
    Ok(Doc { source: text, nodes: parser.nodes })
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    /// Indices of the containers that are open, outermost first.
    open: Vec<usize>,
    depth: usize,
}

/// A string's span, quotes included, and whether it holds an escape.
#[derive(Clone, Copy)]
struct Text {
    start: usize,
    end: usize,
    escaped: bool,
}

/// The key of an array element or of the root: none.
const NO_KEY: Text = Text { start: 0, end: 0, escaped: false };

impl<'a> Parser<'a> {
    fn document(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        self.value(NO_KEY)?;
        while let Some(&container) = self.open.last() {
            match self.nodes.get(container).map(|node| node.kind) {
                Some(Kind::Object) => self.next_member(container)?,
                _ => self.next_element(container)?,
            }
        }
        self.skip_space();
        if self.at < self.bytes.len() { Err(self.error(JsonFault::Trailing)) } else { Ok(()) }
    }

    /// In an object, after `{` or after a member: the next member, or the end.
    fn next_member(&mut self, container: usize) -> Result<(), JsonError> {
        self.skip_space();
        let first = self.nodes.len() == container + 1;
        match self.peek() {
            Some(b'}') => {
                self.refuse_duplicate_keys(container)?;
                self.close(container);
                return Ok(());
            }
            Some(b',') if !first => {
                self.at += 1;
                self.skip_space();
            }
            Some(_) if first => {}
            Some(_) => return Err(self.error(JsonFault::Unexpected)),
            None => return Err(self.error(JsonFault::Truncated)),
        }
        let key = self.string()?;
        self.skip_space();
        match self.peek() {
            Some(b':') => self.at += 1,
            Some(_) => return Err(self.error(JsonFault::Unexpected)),
            None => return Err(self.error(JsonFault::Truncated)),
        }
        self.skip_space();
        self.value(key)
    }

    /// In an array, after `[` or after an element: the next element, or the end.
    fn next_element(&mut self, container: usize) -> Result<(), JsonError> {
        self.skip_space();
        let first = self.nodes.len() == container + 1;
        match self.peek() {
            Some(b']') => {
                self.close(container);
                return Ok(());
            }
            Some(b',') if !first => {
                self.at += 1;
                self.skip_space();
            }
            Some(_) if first => {}
            Some(_) => return Err(self.error(JsonFault::Unexpected)),
            None => return Err(self.error(JsonFault::Truncated)),
        }
        self.value(NO_KEY)
    }

    /// One value; a container is opened and left to the loop.
    fn value(&mut self, key: Text) -> Result<(), JsonError> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                let text = self.string()?;
                self.push(Kind::String, key, start, text.escaped);
            }
            Some(opener @ (b'{' | b'[')) => {
                if self.open.len() >= self.depth {
                    return Err(self.error(JsonFault::Depth));
                }
                self.at += 1;
                self.open.push(self.nodes.len());
                self.push(if opener == b'{' { Kind::Object } else { Kind::Array }, key, start, false);
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                self.push(Kind::Number, key, start, false);
            }
            Some(b't') => self.literal(b"true", Kind::True, key)?,
            Some(b'f') => self.literal(b"false", Kind::False, key)?,
            Some(b'n') => self.literal(b"null", Kind::Null, key)?,
            Some(_) => return Err(self.error(JsonFault::Unexpected)),
            None => return Err(self.error(JsonFault::Truncated)),
        }
        Ok(())
    }

    fn literal(&mut self, word: &[u8], kind: Kind, key: Text) -> Result<(), JsonError> {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            self.push(kind, key, start, false);
            return Ok(());
        }
        let fault = if word.starts_with(rest) { JsonFault::Truncated } else { JsonFault::Unexpected };
        Err(self.error(fault))
    }

    /// RFC 8259, section 6.
    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.error(JsonFault::Number)),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        match self.peek() {
            Some(b'0'..=b'9' | b'.' | b'+' | b'-' | b'a'..=b'z' | b'A'..=b'Z') => Err(self.error(JsonFault::Number)),
            _ => Ok(()),
        }
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), JsonError> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from { Err(self.error(JsonFault::Number)) } else { Ok(()) }
    }

    /// A string, from its opening quote past its closing one.
    fn string(&mut self) -> Result<Text, JsonError> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => self.at += 1,
            Some(_) => return Err(self.error(JsonFault::Unexpected)),
            None => return Err(self.error(JsonFault::Truncated)),
        }
        let mut escaped = false;
        loop {
            self.at += plain_prefix(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Text { start, end: self.at, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.error(JsonFault::Control)),
                None => return Err(self.error(JsonFault::Truncated)),
            }
        }
    }

    /// RFC 8259, section 7; a high surrogate must be followed by the escape of a low one.
    fn escape(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        match self.bytes.get(start + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit = self.code_unit(start)?;
                self.at += 6;
                match unit {
                    0xD800..=0xDBFF => {
                        let pair = self.bytes.get(self.at..self.at + 2) == Some(b"\\u");
                        if !pair || !(0xDC00..=0xDFFF).contains(&self.code_unit(self.at)?) {
                            return Err(JsonError { offset: start, fault: JsonFault::Surrogate });
                        }
                        self.at += 6;
                    }
                    0xDC00..=0xDFFF => {
                        return Err(JsonError { offset: start, fault: JsonFault::Surrogate });
                    }
                    _ => {}
                }
            }
            Some(_) => return Err(self.error(JsonFault::Escape)),
            None => return Err(self.error(JsonFault::Truncated)),
        }
        Ok(())
    }

    /// The value of the `\uXXXX` that begins at `start`.
    fn code_unit(&self, start: usize) -> Result<u32, JsonError> {
        let fault = JsonError { offset: start, fault: JsonFault::Escape };
        let digits = self.bytes.get(start + 2..start + 6).ok_or(fault)?;
        digits
            .iter()
            .try_fold(0, |unit, digit| char::from(*digit).to_digit(16).map(|value| unit * 16 + value).ok_or(fault))
    }

    fn push(&mut self, kind: Kind, key: Text, start: usize, escaped: bool) {
        let next = self.nodes.len() + 1;
        self.nodes.push(Node {
            kind,
            escaped,
            key_escaped: key.escaped,
            start: offset(start),
            end: offset(self.at),
            key_start: offset(key.start),
            key_end: offset(key.end),
            next: offset(next),
        });
    }

    /// Past the closing bracket of the innermost container.
    fn close(&mut self, container: usize) {
        self.at += 1;
        self.open.pop();
        let (end, next) = (offset(self.at), offset(self.nodes.len()));
        if let Some(node) = self.nodes.get_mut(container) {
            node.end = end;
            node.next = next;
        }
    }

    /// Which of two equal keys counts differs from parser to parser, so neither does. Runs as its object closes.
    fn refuse_duplicate_keys(&self, container: usize) -> Result<(), JsonError> {
        let members = || KeysOf { nodes: &self.nodes, at: container + 1 };
        let few = members().take(FEW + 1).count() <= FEW;
        if few && members().all(|node| !node.key_escaped) {
            for (index, node) in members().enumerate() {
                if members().take(index).any(|before| self.same_key(before, node)) {
                    return Err(JsonError { offset: node.key_start as usize, fault: JsonFault::DuplicateKey });
                }
            }
            return Ok(());
        }
        let mut keys: Vec<_> = members().map(|node| (self.key(node), node.key_start as usize)).collect();
        keys.sort_unstable();
        let twice = keys.windows(2).find_map(|pair| match pair {
            [(a, _), (b, offset)] if a == b => Some(*offset),
            _ => None,
        });
        twice.map_or(Ok(()), |offset| Err(JsonError { offset, fault: JsonFault::DuplicateKey }))
    }

    fn same_key(&self, a: &Node, b: &Node) -> bool {
        a.key_end - a.key_start == b.key_end - b.key_start
            && self.text.get(a.key_start as usize..a.key_end as usize)
                == self.text.get(b.key_start as usize..b.key_end as usize)
    }

    fn key(&self, node: &Node) -> std::borrow::Cow<'a, str> {
        let quoted = self.text.get(node.key_start as usize..node.key_end as usize).unwrap_or_default();
        unquote(quoted, node.key_escaped)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn error(&self, fault: JsonFault) -> JsonError {
        JsonError { offset: self.at, fault }
    }
}

/// Up to so many keys are compared pair by pair; more are sorted.
const FEW: usize = 16;

/// The member nodes of an object that is about to close: its subtree reaches to the end of the tape.
struct KeysOf<'n> {
    nodes: &'n [Node],
    at: usize,
}

impl<'n> Iterator for KeysOf<'n> {
    type Item = &'n Node;

    fn next(&mut self) -> Option<&'n Node> {
        let node = self.nodes.get(self.at)?;
        self.at = node.next as usize;
        Some(node)
    }
}

/// INVARIANT: `parse` refuses texts that a `u32` cannot address, and a text has no more nodes than bytes.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// How many bytes stand before the first quote, backslash or control character, eight at a time.
pub(super) fn plain_prefix(bytes: &[u8]) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut count = 0;
    let mut rest = bytes;
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (LOW * u64::from(b'"'));
        let slash = word ^ (LOW * u64::from(b'\\'));
        let hit = (quote.wrapping_sub(LOW) & !quote)
            | (slash.wrapping_sub(LOW) & !slash)
            | (word.wrapping_sub(LOW * 0x20) & !word);
        let hit = hit & HIGH;
        if hit != 0 {
            // The lowest marked byte is exact; borrows only ever mark bytes above it.
            return count + (hit.trailing_zeros() / 8) as usize;
        }
        count += 8;
        rest = tail;
    }
    count + rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1F)).count()
}
