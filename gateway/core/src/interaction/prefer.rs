//! The headers that shape an answer: `Prefer`, `Accept`, and the parameters that stand for them.

use super::query::SearchQuery;
use super::refusal::Refusal;

/// What to do with search parameters that the server does not know (FHIR R4, "Handling Errors").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handling {
    /// Ignore them, and say so.
    #[default]
    Lenient,
    /// Refuse the search.
    Strict,
}

/// What a write shall answer (`Prefer: return=…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// No body.
    Minimal,
    /// The resource, filtered as a read.
    Representation,
    /// An OperationOutcome.
    OperationOutcome,
}

/// The `Prefer` header, as far as FHIR gives it a meaning; other preferences are ignored (RFC 7240).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// `handling=`
    pub handling: Handling,
    /// `return=`
    pub returns: Option<Return>,
}

impl Preferences {
    /// Reads the header; several header lines come joined by commas.
    pub fn parse(header: Option<&str>) -> Result<Self, Refusal> {
        let (mut handling, mut returns) = (None, None);
        for preference in header.unwrap_or_default().split([',', ';']).map(str::trim) {
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "respond-async" => return Err(Refusal::RespondAsync),
                "handling" => once(
                    &mut handling,
                    match value {
                        "strict" => Handling::Strict,
                        "lenient" => Handling::Lenient,
                        _ => return Err(Refusal::Prefer),
                    },
                )?,
                "return" => once(
                    &mut returns,
                    match value {
                        "minimal" => Return::Minimal,
                        "representation" => Return::Representation,
                        "OperationOutcome" => Return::OperationOutcome,
                        _ => return Err(Refusal::Prefer),
                    },
                )?,
                _ => {}
            }
        }
        Ok(Self { handling: handling.unwrap_or_default(), returns })
    }
}

/// A preference may be repeated, but not contradicted.
fn once<T: PartialEq + Copy>(slot: &mut Option<T>, value: T) -> Result<(), Refusal> {
    match slot {
        Some(before) if *before != value => Err(Refusal::Prefer),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

/// Refuses every format but JSON: what cannot be filtered is not forwarded. `_format` overrides `Accept`.
pub(super) fn require_json(accept: Option<&str>, query: &SearchQuery) -> Result<(), Refusal> {
    let mut formats = query.params().iter().filter(|param| param.name == "_format");
    match (formats.next(), formats.next()) {
        (Some(_), Some(_)) => Err(Refusal::FormatNotServed),
        (Some(format), None) if format.modifier.is_some() => Err(Refusal::FormatNotServed),
        (Some(format), None) => {
            let named = matches!(format.value.as_str(), "json" | "text/json");
            if named || is_json(&format.value) { Ok(()) } else { Err(Refusal::FormatNotServed) }
        }
        (None, _) => match accept {
            Some(accept) if !accept.trim().is_empty() && !accept.split(',').any(accepts_json) => {
                Err(Refusal::FormatNotServed)
            }
            _ => Ok(()),
        },
    }
}

/// Whether a content type is FHIR JSON: its essence, and a charset that is UTF-8 if one is named.
pub fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    // A `+` that came through a query as a space is what clients mean by `application/fhir+json`.
    let json = matches!(
        essence.as_str(),
        "application/fhir+json" | "application/fhir json" | "application/json" | "application/json+fhir"
    );
    json && parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "charset" => value.eq_ignore_ascii_case("utf-8"),
            "fhirversion" => value == "4.0",
            _ => true,
        }
    })
}

/// Whether a content type is that of a JSON Patch (RFC 6902, 6).
pub(super) fn is_json_patch(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/json-patch+json")
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            Some(_) | None => true,
        })
}

/// One range of an `Accept` header.
fn accepts_json(range: &str) -> bool {
    let (essence, parameters) = range.split_once(';').unwrap_or((range, ""));
    let refused = parameters.split(';').any(|parameter| {
        let parameter: String = parameter.chars().filter(|c| !c.is_whitespace()).collect();
        parameter.strip_prefix("q=0").is_some_and(|rest| rest.bytes().all(|b| b == b'.' || b == b'0'))
    });
    let media: String = parameters
        .split(';')
        .filter(|parameter| !parameter.trim_start().to_ascii_lowercase().starts_with("q="))
        .fold(essence.trim().to_owned(), |media, parameter| {
            if parameter.trim().is_empty() { media } else { format!("{media};{parameter}") }
        });
    !refused && (matches!(essence.trim(), "*/*" | "application/*") || is_json(&media))
}
