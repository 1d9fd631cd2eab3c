//! Writes a value in the form of RFC 8785.
//!
//! Every record of an access passes here before its answer leaves, so it writes in one pass: texts as serde_json escapes
//! them, which is RFC 8785's way (section 3.2.2.2), members by their UTF-16 code units (3.2.3). Doubles are left to
//! serde_json_canonicalizer.

use std::io::Write as _;

use serde_json::{Map, Number, Value};

use super::{CanonicalError, MAX_SAFE_INTEGER};

/// Adds the canonical form of `value` to `out`.
pub(super) fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => return write_number(number, out),
        Value::String(text) => return write_text(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => return write_object(members, out),
    }
    Ok(())
}

fn write_object(members: &Map<String, Value>, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    // Bytes of UTF-8 and units of UTF-16 order ASCII alike, and that is what names are nearly always.
    if sorted.iter().all(|(name, _)| name.is_ascii()) {
        sorted.sort_unstable_by_key(|(name, _)| *name);
    } else {
        sorted.sort_unstable_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
    }
    out.push(b'{');
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text(name, out)?;
        out.push(b':');
        write(value, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_text(text: &str, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    serde_json::to_writer(out, text).map_err(|_| CanonicalError::Unwritable)
}

fn write_number(number: &Number, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    // Never the number's own text: a number may have been read from `-0`.
    let written = match (number.as_u64(), number.as_i64()) {
        (Some(integer), _) if integer <= MAX_SAFE_INTEGER => write!(out, "{integer}"),
        (None, Some(integer)) if integer.unsigned_abs() <= MAX_SAFE_INTEGER => write!(out, "{integer}"),
        (None, None) if number.as_f64().is_some_and(prints_apart) => {
            let double = serde_json_canonicalizer::to_vec(number).map_err(|_| CanonicalError::Unwritable)?;
            out.write_all(&double)
        }
        _ => return Err(CanonicalError::Number),
    };
    written.map_err(|_| CanonicalError::Unwritable)
}

/// Whether RFC 8785 prints a double in a way that is not mistaken for an inexact integer: from 2^53 up to
/// 10^21 it prints digits only, from there on an exponent.
pub(super) fn prints_apart(value: f64) -> bool {
    value.is_finite() && (value.abs() < 9_007_199_254_740_992.0 || value.abs() >= 1e21)
}
