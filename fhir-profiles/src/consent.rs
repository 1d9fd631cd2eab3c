//! A Consent, read by the typed R4 model.

use fhirbolt::model::r4::Resource;
use fhirbolt::serde::{DeserializationConfig, DeserializationMode};

/// Why the typed model does not accept a Consent. It says nothing of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsentDefect {
    /// No JSON, an element that R4 does not have, a missing one, or a value of another type.
    #[error("not a resource of the R4 model")]
    Model,
    /// A resource of another type.
    #[error("not a Consent")]
    OtherType,
}

/// Checks that `json` is a Consent in the strict R4 model: every element is known, typed and where it belongs.
///
/// What fhirbolt 0.4 does amiss, and what is done about it:
///
/// - `from_str::<Consent>` fails on nested resources: it is parsed as `Resource` and matched.
/// - What follows the resource is not looked at: the text is read to its end first.
/// - One value is taken where FHIR writes an array, and an array where it writes one value: `gateway_core::consent::r4`
///   refuses both.
///
/// # Errors
/// [`ConsentDefect`]
pub fn check_r4(json: &str) -> Result<(), ConsentDefect> {
    serde_json::from_str::<serde::de::IgnoredAny>(json).map_err(|_| ConsentDefect::Model)?;
    let strict = DeserializationConfig { mode: DeserializationMode::Strict };
    match fhirbolt::json::from_str::<Resource>(json, Some(strict)) {
        Ok(Resource::Consent(_)) => Ok(()),
        Ok(_) => Err(ConsentDefect::OtherType),
        Err(_) => Err(ConsentDefect::Model),
    }
}

#[cfg(test)]
mod tests;
