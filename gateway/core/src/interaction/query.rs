//! The query of a request: parameters in their order, decoded once, encoded once.

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::refusal::Refusal;

/// Bytes of query and form together (SMART expects URLs of 32 kB to pass).
pub const MAX_QUERY: usize = 32 << 10;
/// Bytes of one value, decoded.
pub const MAX_VALUE: usize = 8 << 10;
/// How often one parameter may stand.
pub const MAX_REPEATS: usize = 32;

/// The parameters of one request, in the order in which they came, URL first, then form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchQuery {
    params: Vec<Param>,
}

/// One parameter: `name[:modifier]=value`, decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Param {
    /// The name before the first colon.
    pub name: String,
    /// What follows that colon.
    pub modifier: Option<String>,
    /// The value with FHIR's own escapes (`\,`) untouched.
    pub value: String,
}

impl std::fmt::Debug for Param {
    /// Without the value, which is patient data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.key())
    }
}

impl Param {
    /// `name[:modifier]`, as it stands before the `=`.
    pub fn key(&self) -> String {
        match &self.modifier {
            Some(modifier) => format!("{}:{modifier}", self.name),
            None => self.name.clone(),
        }
    }
}

impl SearchQuery {
    /// Reads the raw query of the URL (without `?`) and a form body, which are one list (FHIR R4, `_search`).
    pub fn parse(query: &str, form: &[u8]) -> Result<Self, Refusal> {
        if query.len().saturating_add(form.len()) > MAX_QUERY {
            return Err(Refusal::QueryTooLong);
        }
        let form = std::str::from_utf8(form).map_err(|_| Refusal::QueryEncoding)?;
        let pairs = query.split('&').chain(form.split('&')).filter(|pair| !pair.is_empty());
        let params = pairs.map(param).collect::<Result<Vec<_>, _>>()?;
        let mut repeats: BTreeMap<&str, usize> = BTreeMap::new();
        for param in &params {
            let count = repeats.entry(&param.name).or_default();
            *count += 1;
            if *count > MAX_REPEATS {
                return Err(Refusal::ParameterRepeated);
            }
        }
        Ok(Self { params })
    }

    /// A query of these parameters.
    pub fn from_params(params: Vec<Param>) -> Self {
        Self { params }
    }

    /// The parameters, in order.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.params.is_empty()
    }

    /// The parameters as a URL query (without `?`), in order; every character but RFC 3986's unreserved ones encoded.
    pub fn to_query(&self) -> String {
        let mut out = String::new();
        for param in &self.params {
            if !out.is_empty() {
                out.push('&');
            }
            // Names are of `[A-Za-z0-9_.:-]`, which a query may hold as they are.
            out.push_str(&param.key());
            out.push('=');
            out.extend(utf8_percent_encode(&param.value, ENCODED));
        }
        out
    }
}

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn param(pair: &str) -> Result<Param, Refusal> {
    let (key, value) = pair.split_once('=').ok_or(Refusal::ParameterMalformed)?;
    let (key, value) = (decoded(key)?, decoded(value)?);
    if value.is_empty() {
        return Err(Refusal::ParameterMalformed);
    }
    if value.len() > MAX_VALUE {
        return Err(Refusal::ValueTooLong);
    }
    let (name, modifier) = match key.split_once(':') {
        Some((name, modifier)) => (name, Some(modifier)),
        None => (key.as_ref(), None),
    };
    let plain = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    if !plain(name, b"_-.")
        || name.len() > 128
        || modifier.is_some_and(|text| !plain(text, b"_-.:") || text.len() > 512)
    {
        return Err(Refusal::ParameterName);
    }
    Ok(Param { name: name.to_owned(), modifier: modifier.map(str::to_owned), value: value.into_owned() })
}

/// `application/x-www-form-urlencoded`, decoded strictly: `+` is a space, every `%` begins two hexadecimal digits, the
/// outcome is UTF-8 without control characters.
fn decoded(text: &str) -> Result<Cow<'_, str>, Refusal> {
    let plain = text.bytes().all(|b| b != b'%' && b != b'+');
    let out = if plain { Cow::Borrowed(text) } else { Cow::Owned(unescaped(text).ok_or(Refusal::QueryEncoding)?) };
    if out.chars().any(char::is_control) { Err(Refusal::QueryEncoding) } else { Ok(out) }
}

fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (bytes.next()?, bytes.next()?);
                let digit = |digit: u8| char::from(digit).to_digit(16);
                u8::try_from(digit(high)? * 16 + digit(low)?).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(out).ok()
}
