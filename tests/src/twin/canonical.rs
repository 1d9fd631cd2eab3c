//! An answer without what a server assigns: two answers in this form are equal or tell something.
//!
//! Replaced is only what cannot be equal in two servers, and each as narrowly as can be:
//! - the gateway's base, encoded or not → `{base}`: two gateways listen on two ports. The upstream's base is left: it is to be nowhere.
//! - times of this run (`meta.lastUpdated`, `Last-Modified`, `Date`) → the phase of the run in which they lie: when a
//!   server stored something is its clock's; whether it was before or after the time that both share is compared.
//! - `meta.source` (HAPI's request id), `X-Request-Id`: random by definition. That they are there is compared.
//! - UUIDs, the ids that the server gave to what was created → a number in the order in which they first appeared.
//! - `_cursor` → its length: it is encrypted under a random nonce; how long it is everybody sees, so that is compared.
//! - the digest in the gateway's own `ETag`s → `DIGEST`, only where it is the digest of the very body, or of a resource
//!   that the Bundle holds: times are in it.
//! - included entries → in the order of their addresses: FHIR gives them none, and HAPI's is that of a hash table of its row
//!   numbers, which it assigns. Matches stay in their order.
//! - `Content-Length` → `LENGTH`, only where it is the body's length: the body itself is compared.

use std::collections::BTreeMap;

use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

/// An answer without what a server assigns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    /// Status.
    pub status: u16,
    /// Headers, sorted.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// The times that part a run.
#[derive(Debug, Clone, Copy)]
pub struct Phases {
    /// Nothing was loaded yet.
    pub begin: OffsetDateTime,
    /// The first load was done, the second was not begun.
    pub boundary: OffsetDateTime,
    /// All was loaded.
    pub loaded: OffsetDateTime,
}

impl Phases {
    fn name(&self, at: OffsetDateTime) -> Option<&'static str> {
        if at < self.begin {
            None
        } else if at < self.boundary {
            Some("FIRST-LOAD")
        } else if at < self.loaded {
            Some("SECOND-LOAD")
        } else {
            Some("AFTER-LOAD")
        }
    }
}

/// Makes answers of one side canonical; knows the ids that its server gave.
#[derive(Debug, Clone)]
pub struct Maker {
    base: String,
    phases: Phases,
    ids: BTreeMap<String, String>,
}

impl Maker {
    /// For answers of the server at this base.
    #[must_use]
    pub fn new(base: &str, phases: Phases) -> Self {
        Self { base: base.to_owned(), phases, ids: BTreeMap::new() }
    }

    /// The canonical form of an answer.
    pub fn answer(&mut self, status: u16, headers: &HeaderMap, body: &[u8]) -> Canonical {
        let text = String::from_utf8_lossy(body).into_owned();
        let mut out = Vec::new();
        for (name, value) in headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let value = match name.as_str() {
                "date" => "DATE".to_owned(),
                "x-request-id" => "REQUEST".to_owned(),
                "last-modified" => match OffsetDateTime::parse(&value, &Rfc2822) {
                    Ok(at) => self.phases.name(at).unwrap_or("LONG-AGO").to_owned(),
                    Err(_) => value,
                },
                "content-length" if value == body.len().to_string() => "LENGTH".to_owned(),
                "etag" => own_digest(&value, body).unwrap_or(value),
                _ => self.text(&value),
            };
            out.push((name.as_str().to_owned(), value));
        }
        out.sort();
        let text = self.text(&without_own_digests(&text));
        Canonical { status, headers: out, body: includes_sorted(&text).unwrap_or(text) }
    }

    /// The canonical form of a text.
    pub fn text(&mut self, text: &str) -> String {
        // In a self link it is encoded.
        let encoded = self.base.replace(':', "%3A").replace('/', "%2F");
        let text = text.replace(&self.base, "{base}").replace(&encoded, "{base}");
        let text = replace_after(&text, "\"source\":\"#", |c| c.is_ascii_alphanumeric(), |_| "SOURCE".to_owned());
        let cursor = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let text = replace_after(&text, "_cursor=", cursor, |value| format!("CURSOR({})", value.len()));
        let text = self.times(&text);
        self.uuids(&text)
    }

    fn times(&self, text: &str) -> String {
        tokens(text, |token| {
            let at = OffsetDateTime::parse(token, &Rfc3339).ok()?;
            self.phases.name(at).map(str::to_owned)
        })
    }

    fn uuids(&mut self, text: &str) -> String {
        let ids = &mut self.ids;
        let part = |c: char| c.is_ascii_hexdigit() || c == '-';
        words(text, part, |word| {
            let dashes: Vec<usize> = word.match_indices('-').map(|(at, _)| at).collect();
            if word.len() != 36 || dashes != [8, 13, 18, 23] {
                return None;
            }
            let number = ids.len() + 1;
            Some(ids.entry(word.to_owned()).or_insert_with(|| format!("NEW-{number}")).clone())
        })
    }
}

#[derive(Deserialize)]
struct Held<'a> {
    #[serde(borrow, default)]
    entry: Vec<HeldEntry<'a>>,
}

#[derive(Deserialize)]
struct HeldEntry<'a> {
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
}

/// The Bundle with `DIGEST` in the place of digests of resources that it holds itself, in the `etag` of their entries.
fn without_own_digests(text: &str) -> String {
    let held: Vec<HeldEntry<'_>> = serde_json::from_str(text).map(|held: Held<'_>| held.entry).unwrap_or_default();
    held.iter().filter_map(|entry| entry.resource).fold(text.to_owned(), |text, resource| {
        let digest = hex::encode(Sha256::digest(resource.get()));
        let shown = digest.get(..16).unwrap_or_default();
        text.replace(&format!(r#"-{shown}\""#), r#"-DIGEST\""#)
    })
}

/// The validator with `DIGEST` in the place of the body's digest, where it has that.
fn own_digest(etag: &str, body: &[u8]) -> Option<String> {
    let (version, digest) = etag.strip_prefix("W/\"")?.strip_suffix('"')?.split_once('-')?;
    let own = hex::encode(Sha256::digest(body));
    // A 304 and a HEAD have no body to take it of.
    (own.starts_with(digest) || body.is_empty()).then(|| format!("W/\"{version}-DIGEST\""))
}

/// A searchset whose included entries stand in the order of their addresses; `None` where it is none.
fn includes_sorted(text: &str) -> Option<String> {
    let bundle: Entries<'_> = serde_json::from_str(text).ok()?;
    let all: Vec<&str> = bundle.entry.iter().map(|entry| entry.get()).collect();
    let joined = all.join(",");
    let include = |entry: &&str| entry.ends_with("\"search\":{\"mode\":\"include\"}}");
    let mut sorted: Vec<&str> = all.iter().copied().filter(include).collect();
    sorted.sort_unstable();
    let mut sorted = sorted.into_iter();
    let ordered: Vec<&str> =
        all.iter().filter_map(|entry| if include(entry) { sorted.next() } else { Some(*entry) }).collect();
    // Where white space stands between entries they are left as they are.
    let (before, after) = text.split_once(joined.as_str())?;
    Some(format!("{before}{}{after}", ordered.join(",")))
}

#[derive(Deserialize)]
struct Entries<'a> {
    #[serde(borrow)]
    entry: Vec<&'a RawValue>,
}

/// Replaces what stands after each `marker` and is of these characters.
fn replace_after(text: &str, marker: &str, of: impl Fn(char) -> bool, with: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(marker) {
        out.push_str(before);
        out.push_str(marker);
        let end = after.find(|c| !of(c)).unwrap_or(after.len());
        let (value, tail) = after.split_at(end);
        out.push_str(&with(value));
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Replaces whole words of these characters.
fn words(text: &str, of: impl Fn(char) -> bool, mut with: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let begin = rest.find(&of).unwrap_or(rest.len());
        let (before, at) = rest.split_at(begin);
        out.push_str(before);
        let end = at.find(|c| !of(c)).unwrap_or(at.len());
        let (word, tail) = at.split_at(end);
        match with(word).filter(|_| !word.is_empty()) {
            Some(new) => out.push_str(&new),
            None => out.push_str(word),
        }
        rest = tail;
    }
    out
}

/// Replaces texts of the form of a time.
fn tokens(text: &str, with: impl Fn(&str) -> Option<String>) -> String {
    let of = |c: char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | 'T' | 'Z' | '+');
    words(text, of, |word| if word.len() >= 20 { with(word) } else { None })
}

/// Whether an answer holds a resource that is the upstream's.
#[must_use]
pub fn has_data(answer: &Canonical) -> bool {
    if !(200..300).contains(&answer.status) {
        return false;
    }
    let Ok(body) = serde_json::from_str::<Value>(&answer.body) else { return false };
    let kind = |resource: &Value| resource.get("resourceType").and_then(Value::as_str).map(str::to_owned);
    match kind(&body).as_deref() {
        None | Some("OperationOutcome" | "CapabilityStatement") => false,
        Some("Bundle") => {
            let entries = body.get("entry").and_then(Value::as_array);
            let resource =
                |entry: &Value| entry.get("resource").and_then(kind).is_some_and(|kind| kind != "OperationOutcome");
            entries.is_some_and(|entries| entries.iter().any(resource))
        }
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

    use super::*;

    fn maker() -> Maker {
        let at = |text: &str| OffsetDateTime::parse(text, &Rfc3339).unwrap();
        let phases = Phases {
            begin: at("2026-11-22T10:00:00Z"),
            boundary: at("2026-11-22T10:10:00Z"),
            loaded: at("2026-11-22T10:20:00Z"),
        };
        Maker::new("http://127.0.0.1:1/fhir", phases)
    }

    #[test]
    fn only_what_a_server_assigns_is_replaced() {
        let text = r##"{"id":"a","meta":{"versionId":"1","lastUpdated":"2026-11-22T10:05:00.123+00:00","source":"#aB9"},"authoredOn":"2020-01-01T00:00:00Z","link":"http://127.0.0.1:1/fhir/Patient?_cursor=ab_c-9\"","old":"2015-02-07"}"##;
        let expected = r##"{"id":"a","meta":{"versionId":"1","lastUpdated":"FIRST-LOAD","source":"#SOURCE"},"authoredOn":"2020-01-01T00:00:00Z","link":"{base}/Patient?_cursor=CURSOR(6)\"","old":"2015-02-07"}"##;
        assert_eq!(maker().text(text), expected);
        assert_eq!(maker().text("http://127.0.0.1:2/fhir/x"), "http://127.0.0.1:2/fhir/x");
    }

    #[test]
    fn only_included_entries_change_places() {
        let entry = |id: &str, mode: &str| format!(r#"{{"fullUrl":"{id}","search":{{"mode":"{mode}"}}}}"#);
        let bundle = |entries: &[String]| format!(r#"{{"entry":[{}],"total":1.0}}"#, entries.join(","));
        let held = [entry("m2", "match"), entry("i2", "include"), entry("m1", "match"), entry("i1", "include")];
        let sorted = [entry("m2", "match"), entry("i1", "include"), entry("m1", "match"), entry("i2", "include")];
        assert_eq!(includes_sorted(&bundle(&held)).unwrap(), bundle(&sorted));
        assert_eq!(includes_sorted("{}"), None);
    }

    #[test]
    fn ids_are_numbered_as_they_appear() {
        let mut maker = maker();
        let (one, two) = ("0190aaaa-bbbb-7ccc-8ddd-eeeeffff0001", "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0002");
        assert_eq!(maker.text(&format!("{one} {two}/{one}")), "NEW-1 NEW-2/NEW-1");
        assert_eq!(maker.text(two), "NEW-2");
    }

    #[test]
    fn digests_of_entries_that_are_held() {
        let digest = hex::encode(Sha256::digest(br#"{"id":"x"}"#));
        let held = format!(
            r#"{{"entry":[{{"resource":{{"id":"x"}},"response":{{"etag":"W/\"1-{}\""}}}}]}}"#,
            digest.get(..16).unwrap()
        );
        assert_eq!(
            without_own_digests(&held),
            r#"{"entry":[{"resource":{"id":"x"},"response":{"etag":"W/\"1-DIGEST\""}}]}"#
        );
        let other = held.replace(r#""id":"x""#, r#""id":"y""#);
        assert_eq!(without_own_digests(&other), other);
    }

    #[test]
    fn a_digest_of_another_body_stays() {
        let digest = hex::encode(Sha256::digest(b"body"));
        let etag = format!("W/\"3-{}\"", digest.get(..16).unwrap());
        assert_eq!(own_digest(&etag, b"body").unwrap(), "W/\"3-DIGEST\"");
        assert_eq!(own_digest(&etag, b"other"), None);
        assert_eq!(own_digest("W/\"3\"", b"body"), None);
    }
}
