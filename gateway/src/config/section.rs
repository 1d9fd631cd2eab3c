//! Turns the written keys of one table into typed values, noting each fault with its key and cure.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::problem::Findings;
use super::secret::SecretSource;
use super::units;

/// A fault and its cure.
pub(super) type Fault = (&'static str, &'static str);

/// One table of the file, while it is typed.
pub(super) struct Section<'a> {
    path: String,
    findings: &'a mut Findings,
}

impl<'a> Section<'a> {
    pub(super) fn new(path: impl Into<String>, findings: &'a mut Findings) -> Self {
        Self { path: path.into(), findings }
    }

    /// A table or element below this one, such as `limits` or `issuers[0]`.
    pub(super) fn below(&mut self, name: &str) -> Section<'_> {
        Section { path: self.key(name), findings: self.findings }
    }

    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn fault(&mut self, name: &str, fault: impl Into<String>, cure: impl Into<String>) {
        let key = self.key(name);
        self.findings.fault(&key, fault, cure);
    }

    /// A key that must be there; nothing is said where a fault already explains its absence.
    pub(super) fn present<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.findings.already_faulty(&self.key(name)) {
            self.fault(name, "missing", "write this key; see config.example.toml");
        }
        value
    }

    /// A key that must be there and be understood.
    pub(super) fn required<T>(
        &mut self,
        name: &str,
        text: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let text = self.present(name, text)?;
        self.parsed(name, text, parse)
    }

    /// A key that may be absent: `Some(None)`; not understood: `None`.
    #[expect(clippy::option_option, reason = "absent and faulty are two things")]
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        text: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<Option<T>> {
        match text {
            None => Some(None),
            Some(text) => self.parsed(name, text, parse).map(Some),
        }
    }

    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            Err((fault, cure)) => {
                self.fault(name, fault, cure);
                None
            }
        }
    }

    pub(super) fn duration(&mut self, name: &str, text: Option<&str>, default: Duration) -> Option<Duration> {
        let Some(text) = text else {
            return Some(default);
        };
        self.parsed(name, text, above_zero)
    }

    pub(super) fn size(&mut self, name: &str, text: Option<&str>, default: u64) -> Option<u64> {
        let Some(text) = text else {
            return Some(default);
        };
        self.parsed(name, text, |text| match units::size(text) {
            Some(size) if size > 0 => Ok(size),
            _ => Err(("not a size above zero", "write it as 512 B, 16 KiB, 4 MiB or 1 GiB")),
        })
    }

    /// As [`Self::size`], for what is held in memory.
    pub(super) fn memory(&mut self, name: &str, text: Option<&str>, default: u32) -> Option<usize> {
        let size = self.size(name, text, u64::from(default))?;
        let Ok(size) = usize::try_from(size) else {
            self.fault(name, "more than this machine can address", "write a smaller size");
            return None;
        };
        Some(size)
    }

    /// A size that other parts bound from above.
    pub(super) fn at_most(&mut self, name: &str, size: Option<usize>, most: usize, cure: &str) -> Option<usize> {
        let size = size?;
        if size > most {
            self.fault(name, "the size is too large", cure);
            return None;
        }
        Some(size)
    }

    /// One secret out of two places; neither: `Some(None)`.
    #[expect(clippy::option_option, reason = "absent and faulty are two things")]
    pub(super) fn secret(
        &mut self,
        name: &str,
        file: Option<&str>,
        environment: Option<&str>,
    ) -> Option<Option<SecretSource>> {
        match (file, environment) {
            (None, None) => Some(None),
            (Some(path), None) => {
                self.parsed(&format!("{name}_file"), path, file_path).map(|p| Some(SecretSource::File(p)))
            }
            (None, Some(variable)) => {
                self.parsed(&format!("{name}_env"), variable, not_empty).map(|v| Some(SecretSource::Environment(v)))
            }
            (Some(_), Some(_)) => {
                let cure = format!("keep either `{name}_file` or `{name}_env`");
                self.fault(&format!("{name}_file"), "the secret has two sources", cure);
                None
            }
        }
    }

    /// A base URL that may be called: `https`, or `http` to this very machine, or `http` by the dangerous switch.
    pub(super) fn callable(&mut self, name: &str, text: &str, plain_allowed: bool) -> Option<Url> {
        let url = self.parsed(name, text, base_url)?;
        if may_call(&url, plain_allowed) {
            return Some(url);
        }
        self.fault(name, "plain http to another host", "use https, or set danger_plain_http = true and know why");
        None
    }
}

/// An `http` or `https` URL without user, query or fragment; a slash at its end is dropped from the path.
pub(super) fn base_url(text: &str) -> Result<Url, Fault> {
    let cure = "write an absolute URL such as https://fhir.example.org/r4";
    let mut url = Url::parse(text).map_err(|_| ("not an absolute URL", cure))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(("not an http or https URL", cure));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(("the URL carries a user or password", "give credentials by file or environment"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(("the URL carries a query or fragment", cure));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| ("not an address and port", "write it as 0.0.0.0:8443 or [::]:8443"))
}

pub(super) fn above_zero(text: &str) -> Result<Duration, Fault> {
    match units::duration(text) {
        Some(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(("not a duration above zero", "write it as 500ms, 30s, 5m, 12h or 7d")),
    }
}

/// How often something is done; `None` where it is `off`.
pub(super) fn interval_or_off(text: &str) -> Result<Option<Duration>, Fault> {
    match text {
        "off" | "0" => Ok(None),
        text => above_zero(text).map(Some).map_err(|_| ("not an interval", "write it as 500ms, 5s or 1m, or as off")),
    }
}

pub(super) fn file_path(text: &str) -> Result<PathBuf, Fault> {
    if text.is_empty() { Err(("the path is empty", "name a file")) } else { Ok(PathBuf::from(text)) }
}

pub(super) fn not_empty(text: &str) -> Result<String, Fault> {
    if text.trim().is_empty() { Err(("empty", "write a value")) } else { Ok(text.to_owned()) }
}

/// Whether a URL may be called: `https`, or `http` to this very machine, or `http` by the dangerous switch.
pub(crate) fn may_call(url: &Url, plain_allowed: bool) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => plain_allowed || is_loopback(url),
        _ => false,
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
