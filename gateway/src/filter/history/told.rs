//! What an entry of a history tells beside the resource: an allow-list of `request` and `response`.

use gateway_core::json::{Value, quoted};
use gateway_core::reference::{Bases, Target};

use crate::filter::judge::Subject;

/// `request` and `response` of an entry, as far as they are passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The version that the entry is about, where it says so.
    pub(super) version: Option<String>,
    method: &'static str,
    url: String,
    status: Option<String>,
    etag: Option<String>,
    last_modified: Option<String>,
}

/// `Type/id` of an entry: the resource's own, or what `request.url` or `fullUrl` names where there is none.
pub(super) fn name_of(entry: Value<'_>, stored: Option<&Subject<'_>>, bases: &Bases) -> Option<String> {
    if let Some(subject) = stored {
        return Some(format!("{}/{}", subject.facts.resource_type, subject.facts.id.as_deref()?));
    }
    let url = entry.get("request").and_then(|request| request.str_at("url"));
    [url, entry.str_at("fullUrl")].iter().flatten().find_map(|url| match Target::parse(url, bases) {
        Target::Local { rtype, id, .. } => Some(format!("{rtype}/{id}")),
        Target::Fragment(_) | Target::Foreign(_) | Target::Malformed => None,
    })
}

impl Told {
    /// Reads them of the entry of this name.
    pub(super) fn of(entry: Value<'_>, name: &str, bases: &Bases) -> Self {
        let request = entry.get("request");
        let stated = request.and_then(|request| request.str_at("method"));
        let method = match stated.as_deref() {
            Some("POST") => "POST",
            Some("PATCH") => "PATCH",
            Some("DELETE") => "DELETE",
            Some(_) | None => "PUT",
        };
        let url = request.and_then(|request| request.str_at("url")).unwrap_or_default();
        let rtype = name.split('/').next().unwrap_or_default();
        let (url, mut version) = match Target::parse(&url, bases) {
            Target::Local { rtype, id, version } if format!("{rtype}/{id}") == name => {
                let of_version = version.as_ref().map(|version| format!("/_history/{version}")).unwrap_or_default();
                (format!("{name}{of_version}"), version)
            }
            // A create is sent to the type.
            _ if method == "POST" && bases.strip(&url).unwrap_or(&url) == rtype => (rtype.to_owned(), None),
            Target::Local { .. } | Target::Fragment(_) | Target::Foreign(_) | Target::Malformed => {
                (name.to_owned(), None)
            }
        };
        let response = entry.get("response");
        let text = |key: &str, plain: fn(&str) -> bool| {
            let text = response.and_then(|response| response.str_at(key));
            text.filter(|text| text.len() <= LONGEST && plain(text)).map(std::borrow::Cow::into_owned)
        };
        let etag = text("etag", is_etag);
        let of_etag = etag.as_deref().and_then(|etag| etag.strip_prefix("W/\"")?.strip_suffix('"'));
        version = version.or_else(|| of_etag.map(ToOwned::to_owned));
        let (status, last_modified) = (text("status", is_status), text("lastModified", is_instant));
        Self { version, method, url, status, etag, last_modified }
    }

    /// The two members, from the comma on; with this validator in the place of the upstream's where there is one.
    pub(super) fn members(&self, etag: Option<&String>) -> String {
        let mut out = format!(r#","request":{{"method":"{}","url":{}}}"#, self.method, quoted(&self.url));
        let etag = etag.or(self.etag.as_ref());
        let told = [("status", self.status.as_ref()), ("etag", etag), ("lastModified", self.last_modified.as_ref())];
        let told = told.iter().filter_map(|(key, text)| Some(format!(r#""{key}":{}"#, quoted(text.as_ref()?))));
        let told: Vec<String> = told.collect();
        if !told.is_empty() {
            out.push_str(&format!(r#","response":{{{}}}"#, told.join(",")));
        }
        out
    }
}

/// Bytes of the longest text that is passed on.
const LONGEST: usize = 80;

/// `200`, `201 Created`: no sentence of the upstream's.
fn is_status(text: &str) -> bool {
    let (code, words) = text.split_once(' ').unwrap_or((text, ""));
    code.len() == 3
        && code.bytes().all(|b| b.is_ascii_digit())
        && words.bytes().all(|b| b.is_ascii_alphabetic() || b == b' ')
}

/// `W/"version"`
fn is_etag(text: &str) -> bool {
    let version = text.strip_prefix("W/\"").and_then(|rest| rest.strip_suffix('"'));
    version.is_some_and(gateway_core::owner::is_fhir_id)
}

fn is_instant(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b':' | b'.' | b'+' | b'T' | b'Z'))
}

#[cfg(test)]
mod tests;
