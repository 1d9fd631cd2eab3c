//! References and the two bases: what a FHIR `reference` string points at, and from whose server.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::json::Value;
use crate::owner::is_fhir_id;
use crate::resource_type::ResourceType;

/// The absolute URL of a FHIR server, without a trailing slash (`https://fhir.example.org/r4`).
///
/// Compared byte for byte: a differently spelt base is another base, which is refused rather than trusted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseUrl(String);

/// A text that is no base URL: not http(s), no host, or with a query, fragment, user info, space or dot segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an absolute http or https base URL")]
pub struct NotABase;

impl BaseUrl {
    /// Reads a base; trailing slashes are dropped.
    pub fn parse(text: &str) -> Result<Self, NotABase> {
        let base = text.trim_end_matches('/');
        let rest = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://")).ok_or(NotABase)?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && !br#"?#@"\<>"#.contains(&b));
        let segments = path.is_empty() || path.split('/').all(|s| !s.is_empty() && s != "." && s != "..");
        if host.is_empty() || !plain(rest) || !segments {
            return Err(NotABase);
        }
        Ok(Self(base.to_owned()))
    }

    /// The URL, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of what is at `relative` (`Patient/1`).
    pub fn join(&self, relative: &str) -> String {
        if relative.is_empty() { self.0.clone() } else { format!("{}/{relative}", self.0) }
    }

    /// What follows this base in `url`, without the slash between: `""` for the base itself; `None` where `url` is not
    /// under it. `https://a/fhir` is not a base of `https://a/fhir2`.
    pub fn strip<'u>(&self, url: &'u str) -> Option<&'u str> {
        let rest = url.strip_prefix(self.0.as_str())?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BaseUrl {
    type Err = NotABase;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// The two names of the one server: what clients call it and what the gateway calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bases {
    /// The gateway's own base, as clients use it.
    pub public: BaseUrl,
    /// The base of the FHIR server behind.
    pub upstream: BaseUrl,
}

impl Bases {
    /// What follows either base in an absolute URL.
    pub fn strip<'u>(&self, url: &'u str) -> Option<&'u str> {
        self.upstream.strip(url).or_else(|| self.public.strip(url))
    }
}

/// What a reference points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A resource on the upstream.
    Local {
        /// Its type.
        rtype: ResourceType,
        /// Its id.
        id: String,
        /// The version, where the reference names one.
        version: Option<String>,
    },
    /// A contained resource (`#id`), or the container itself (`#`).
    Fragment(String),
    /// A resource elsewhere: another base, `urn:uuid:`, `urn:oid:`, any other scheme.
    Foreign(String),
    /// Neither: no FHIR reference.
    Malformed,
}

impl Target {
    /// Reads a `reference` string (FHIR R4, References, "Literal references"): base and version are told apart.
    pub fn parse(reference: &str, bases: &Bases) -> Self {
        if let Some(fragment) = reference.strip_prefix('#') {
            return Self::Fragment(fragment.to_owned());
        }
        if let Some(relative) = bases.strip(reference) {
            return Self::relative(relative);
        }
        if has_scheme(reference) {
            return Self::Foreign(reference.to_owned());
        }
        Self::relative(reference)
    }

    /// `Type/id` or `Type/id/_history/version`.
    fn relative(path: &str) -> Self {
        let mut parts = path.split('/');
        let (Some(name), Some(id)) = (parts.next(), parts.next()) else { return Self::Malformed };
        let version = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => None,
            (Some("_history"), Some(version), None) if is_fhir_id(version) => Some(version.to_owned()),
            _ => return Self::Malformed,
        };
        match ResourceType::parse_any(name) {
            Ok(rtype) if is_fhir_id(id) => Self::Local { rtype, id: id.to_owned(), version },
            _ => Self::Malformed,
        }
    }

    /// The normalised form: `Type/id` for what is local, as written for what is foreign.
    pub fn normalised(&self) -> Option<String> {
        match self {
            Self::Local { rtype, id, .. } => Some(format!("{rtype}/{id}")),
            Self::Foreign(url) => Some(url.clone()),
            Self::Fragment(_) | Self::Malformed => None,
        }
    }

    /// The type that a RESTful foreign URL names (`https://other/fhir/Practitioner/1`).
    pub fn foreign_type(&self) -> Option<ResourceType> {
        let Self::Foreign(url) = self else { return None };
        let path = url.split_once("/_history/").map_or(url.as_str(), |(path, _)| path);
        let (rest, id) = path.rsplit_once('/')?;
        let (_, name) = rest.rsplit_once('/')?;
        if is_fhir_id(id) { ResourceType::parse_any(name).ok() } else { None }
    }
}

/// Every literal reference that stands anywhere in a resource: contained and nested resources, extensions and `meta`
/// included, also where FHIR allows none (a list of them), because a server may look there all the same.
pub fn literal_references(resource: Value<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(resource, &mut found);
    found
}

fn collect(value: Value<'_>, found: &mut BTreeSet<String>) {
    for child in value.children() {
        if child.key_is("reference") {
            found.extend(child.each().filter_map(|literal| literal.as_str()).map(Cow::into_owned));
        }
        collect(child, found);
    }
}

/// RFC 3986, 3.1: a scheme and a colon.
fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    })
}

#[cfg(test)]
mod tests;
