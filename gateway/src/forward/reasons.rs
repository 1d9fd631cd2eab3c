//! Why the upstream refuses, as far as it may stand in a log: the codes of its OperationOutcome.
//!
//! Diagnostics and texts of an upstream quote what was sent to it, so none of them is kept (CONSENT.md, leak table,
//! "errors").

use gateway_core::json::Doc;

/// The issue codes of an OperationOutcome, each once; one that FHIR R4 does not define stands as `other`, since it could be
/// any text. Empty where the body is none.
pub(super) fn issue_codes(body: &[u8]) -> Vec<&'static str> {
    let Ok(doc) = Doc::parse(body) else { return Vec::new() };
    if doc.root().str_at("resourceType").as_deref() != Some("OperationOutcome") {
        return Vec::new();
    }
    let mut codes = Vec::new();
    for issue in doc.root().get("issue").into_iter().flat_map(|issues| issues.items().collect::<Vec<_>>()) {
        let stated = issue.str_at("code");
        let known = ISSUE_TYPES.iter().find(|known| stated.as_deref() == Some(**known));
        let code = known.copied().unwrap_or("other");
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    codes
}

/// <http://hl7.org/fhir/R4/valueset-issue-type.html>
const ISSUE_TYPES: [&str; 31] = [
    "invalid",
    "structure",
    "required",
    "value",
    "invariant",
    "security",
    "login",
    "unknown",
    "expired",
    "forbidden",
    "suppressed",
    "processing",
    "not-supported",
    "duplicate",
    "multiple-matches",
    "not-found",
    "deleted",
    "too-long",
    "code-invalid",
    "extension",
    "too-costly",
    "business-rule",
    "conflict",
    "transient",
    "lock-error",
    "no-store",
    "exception",
    "timeout",
    "incomplete",
    "throttled",
    "informational",
];

#[cfg(test)]
mod tests;
