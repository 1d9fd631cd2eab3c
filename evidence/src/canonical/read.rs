//! The strict reader (RFC 8259 grammar, with the restrictions of RFC 7493).
//!
//! It is our own because serde_json's answer depends on features that any crate of a build can switch on
//! (`arbitrary_precision` makes numbers look like objects), and evidence must read the same in every build.

use serde_json::{Map, Number, Value};

use super::write::prints_apart;
use super::{Cause, MAX_DEPTH, MAX_SAFE_INTEGER};

/// Keys that serde_json gives a meaning of its own.
const RESERVED: &str = "$serde_json::private::";

/// Where reading stopped, in bytes, and why.
pub(super) type Stop = (usize, Cause);

/// Reads one value and nothing more.
pub(super) fn read(text: &str) -> Result<Value, Stop> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.malformed()),
    }
}

struct Reader<'a> {
    text: &'a str,
    /// The next byte; always at the boundary of a character.
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        self.space();
        match self.peek() {
            Some(b'{') => self.object(self.deeper(depth)?),
            Some(b'[') => self.array(self.deeper(depth)?),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.malformed()),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Stop> {
        let mut members = Map::new();
        self.at += 1;
        self.space();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            let start = self.at;
            let key = if self.peek() == Some(b'"') { self.string()? } else { return Err(self.malformed()) };
            if members.contains_key(&key) || key.starts_with(RESERVED) {
                return Err((start, Cause::Refused));
            }
            self.space();
            self.expect(b':')?;
            members.insert(key, self.value(depth)?);
            self.space();
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            self.expect(b',')?;
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Stop> {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.space();
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            self.expect(b',')?;
        }
    }

    fn string(&mut self) -> Result<String, Stop> {
        let mut string = String::new();
        self.at += 1;
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
                self.at += 1;
            }
            string.push_str(self.text.get(start..self.at).ok_or((start, Cause::Malformed))?);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape()?),
                _ => return Err(self.malformed()),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Stop> {
        let start = self.at;
        self.at += 1;
        let Some(kind) = self.peek() else { return Err(self.malformed()) };
        self.at += 1;
        let plain = match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(start),
            _ => return Err((start, Cause::Malformed)),
        };
        Ok(plain)
    }

    /// What follows `\u`: four digits, or two times four that are the two halves of one character.
    fn unicode(&mut self, start: usize) -> Result<char, Stop> {
        let lone = (start, Cause::Malformed);
        let first = self.four_digits()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            if !(self.take(b'\\') && self.take(b'u')) {
                return Err(lone);
            }
            match self.four_digits()? {
                second @ 0xdc00..0xe000 => 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                _ => return Err(lone),
            }
        } else {
            first
        };
        // A low surrogate on its own is no character either.
        char::from_u32(code).ok_or(lone)
    }

    fn four_digits(&mut self) -> Result<u32, Stop> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16)).ok_or_else(|| self.malformed())?;
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<Number, Stop> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        let mut integer = true;
        if self.take(b'.') {
            integer = false;
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            integer = false;
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let refused = (start, Cause::Refused);
        let text = self.text.get(start..self.at).ok_or(refused)?;
        if integer && let Ok(value) = text.parse::<i64>() {
            return if value.unsigned_abs() <= MAX_SAFE_INTEGER { Ok(value.into()) } else { Err(refused) };
        }
        let value: f64 = text.parse().map_err(|_| refused)?;
        Number::from_f64(value).filter(|_| prints_apart(value)).ok_or(refused)
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Stop> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.malformed()) }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Stop> {
        for byte in word.bytes() {
            self.expect(byte)?;
        }
        Ok(value)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        if self.take(byte) { Ok(()) } else { Err(self.malformed()) }
    }

    fn deeper(&self, depth: usize) -> Result<usize, Stop> {
        if depth < MAX_DEPTH { Ok(depth + 1) } else { Err((self.at, Cause::Refused)) }
    }

    fn malformed(&self) -> Stop {
        (self.at, if self.at >= self.text.len() { Cause::Truncated } else { Cause::Malformed })
    }
}
