//! Rewriting absolute references and URLs from one base to the other, by span, where the structure says that they are.
//!
//! Rewritten are: `reference` (a string), `fullUrl`, and `url` of any element other than an extension or a resource
//! (`Attachment.url`, `Bundle.link.url`, `implementation.url`, …) when the value is under the base. Left alone are
//! canonical URLs, identifiers, extensions' `url`, and every text: nothing is searched and replaced.

use crate::json::{Edits, Value, quoted};
use crate::reference::BaseUrl;

/// Plans the edits that turn every rewritable URL under `from` inside `value` into the same under `to`.
pub fn rebase(value: Value<'_>, from: &BaseUrl, to: &BaseUrl, edits: &mut Edits) {
    walk(value, Holder::Element, from, to, edits);
}

/// `url` under `to` instead of `from`; `None` where it is not under `from`.
pub fn rebase_url(url: &str, from: &BaseUrl, to: &BaseUrl) -> Option<String> {
    from.strip(url).map(|relative| to.join(relative))
}

/// Whose member is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    Element,
    /// `url` names the definition of the extension.
    Extension,
}

fn walk(value: Value<'_>, holder: Holder, from: &BaseUrl, to: &BaseUrl, edits: &mut Edits) {
    let is_resource = value.get("resourceType").is_some();
    for child in value.children() {
        let extension = child.key_is("extension") || child.key_is("modifierExtension");
        let inherited = value.is_array() && holder == Holder::Extension;
        if child.is_object() || child.is_array() {
            let inner = if extension || inherited { Holder::Extension } else { Holder::Element };
            walk(child, inner, from, to, edits);
            continue;
        }
        let url = child.key_is("url") && !is_resource && holder == Holder::Element;
        if !(url || child.key_is("reference") || child.key_is("fullUrl")) {
            continue;
        }
        if let Some(rebased) = child.as_str().and_then(|text| rebase_url(&text, from, to)) {
            edits.replace(child.span(), quoted(&rebased));
        }
    }
}

#[cfg(test)]
mod tests;
