//! JSON with one meaning and one form: strict reading, and RFC 8785 writing.

use serde::Serialize;
use serde_json::Value;

mod read;
mod write;

#[cfg(test)]
mod tests;

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: usize = 100;

/// The largest integer that a JSON number may hold: 2^53 − 1 (RFC 7493 section 2.2).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Why a text is not JSON that this project accepts, or a value has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// Not the JSON that it should be; the cause names a place, never a value.
    #[error("json is not acceptable at line {line}, column {column}: {cause}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, in bytes from 1.
        column: usize,
        /// What is wrong.
        cause: Cause,
    },
    /// A number that a double cannot hold exactly.
    #[error("a number lies outside the integers that json can carry exactly")]
    Number,
    /// The value cannot be written as JSON at all.
    #[error("the value has no json form")]
    Unwritable,
    /// The text is good JSON in another form than RFC 8785.
    #[error("the text is not in the canonical form of rfc 8785")]
    NotCanonical,
}

/// What is wrong with a text that should be JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Broken syntax, a lone surrogate, invalid UTF-8, or trailing data.
    #[error("malformed")]
    Malformed,
    /// The text ended too early.
    #[error("it ends too early")]
    Truncated,
    /// The same key twice in one object, a key of serde_json's own, nesting over [`MAX_DEPTH`], an inexact
    /// integer or a number out of range.
    #[error("a key is repeated or reserved, it nests too deep, or a number is out of range")]
    Refused,
}

/// Reads JSON and refuses whatever two parsers could read differently.
///
/// Refused are duplicate keys at any depth, lone surrogates, invalid UTF-8, NaN and infinities, integers
/// beyond 2^53 − 1 (doubles from 10^21 on excepted, which print with an exponent), nesting deeper than [`MAX_DEPTH`], and anything but white space after the value.
///
/// # Errors
/// [`CanonicalError::Json`] with the place and the cause.
pub fn parse_strict(bytes: &[u8]) -> Result<Value, CanonicalError> {
    let text = std::str::from_utf8(bytes).map_err(|error| (error.valid_up_to(), Cause::Malformed));
    text.and_then(read::read).map_err(|(at, cause)| {
        let before = bytes.get(..at).unwrap_or(bytes);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        CanonicalError::Json { line, column, cause }
    })
}

/// Reads JSON that must already be in the form of RFC 8785.
///
/// # Errors
/// As [`parse_strict`], and [`CanonicalError::NotCanonical`] where the bytes are not the canonical ones.
pub fn parse_canonical(bytes: &[u8]) -> Result<Value, CanonicalError> {
    let value = parse_strict(bytes)?;
    if to_canonical(&value)? == bytes { Ok(value) } else { Err(CanonicalError::NotCanonical) }
}

/// Writes a value in the form of RFC 8785.
///
/// # Errors
/// [`CanonicalError::Number`] for an integer beyond 2^53 − 1 (write those as strings), and
/// [`CanonicalError::Unwritable`] for NaN, infinities and map keys that are not strings.
pub fn to_canonical<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(value).map_err(|_| CanonicalError::Unwritable)?;
    let mut out = Vec::with_capacity(512);
    write::write(&value, &mut out)?;
    Ok(out)
}
