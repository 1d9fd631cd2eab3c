//! When two references in Consents, tokens and resources mean the same resource.
//!
//! Equal after base and version are stripped, where the base is the upstream's or the public one; another base is
//! another resource (CONSENT.md, "Actors").

use crate::reference::{BaseUrl, Bases, NotABase, Target};
use crate::resource_type::ResourceType;

/// Stands for a base that is not configured: nothing is under it (RFC 2606 reserves the name).
const NOWHERE: &str = "http://nowhere.invalid";

/// Reads the two bases as the settings have them.
pub fn bases(public: Option<&str>, upstream: Option<&str>) -> Result<Bases, NotABase> {
    let read = |base: Option<&str>| BaseUrl::parse(base.unwrap_or(NOWHERE));
    Ok(Bases { public: read(public)?, upstream: read(upstream)? })
}

/// Brings a literal reference to the form in which equal means same: `Type/id` for a local resource, the absolute URL
/// without a version for one elsewhere; `None` where it can be compared with nothing (contained, `urn:`, malformed).
pub fn normalise(reference: &str, bases: &Bases) -> Option<String> {
    match Target::parse(reference, bases) {
        local @ Target::Local { .. } => local.normalised(),
        Target::Foreign(url) if url.starts_with("http://") || url.starts_with("https://") => {
            let resource = url.split_once("/_history/").map_or(url.as_str(), |(resource, _)| resource);
            Some(resource.to_owned())
        }
        Target::Foreign(_) | Target::Fragment(_) | Target::Malformed => None,
    }
}

/// The type of a normalised local reference.
pub fn type_of(normalised: &str) -> Option<ResourceType> {
    ResourceType::parse_any(normalised.split_once('/')?.0).ok()
}

#[cfg(test)]
mod tests;
