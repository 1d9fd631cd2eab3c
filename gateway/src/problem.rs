//! Problems: everything that ends a request without the data that was asked for, and the one table that says what the
//! client is told of it.
//!
//! Internal text goes to the log under the request id; external text goes to the client; they are two things. No text
//! holds patient data, tokens, query values or diagnostics of the upstream (CONSENT.md, leak table, "errors").

use gateway_core::interaction::Refusal as Uninterpretable;
use gateway_core::json::PatchError;
use gateway_core::purpose;
use serde_json::json;

use crate::auth::AuthError;
use crate::forward::UpstreamError;

/// Why a request ended without its data.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Problem {
    /// No caller could be established.
    #[error(transparent)]
    Unauthenticated(#[from] AuthError),
    /// The request's headers are larger than the limit.
    #[error("the headers are larger than server.limits.header")]
    HeadTooLarge,
    /// The request is no interaction that is understood and served.
    #[error("{0}")]
    Uninterpretable(Uninterpretable),
    /// Organisational policy, scope or another rule that looks at no patient data.
    #[error("refused by rule {rule}")]
    Refused {
        /// The rule's stable kebab-case name.
        rule: &'static str,
        /// A sentence for the client.
        sentence: String,
    },
    /// Absent, deleted or hidden: the three cannot be told apart.
    #[error("absent or hidden")]
    Absent,
    /// The body of a write cannot be used.
    #[error("bad body: {rule}")]
    BadBody {
        /// HTTP status: 400, 413 or 415; also where a header of the write is at fault.
        status: u16,
        /// The rule's stable kebab-case name.
        rule: &'static str,
        /// A sentence for the client.
        sentence: String,
    },
    /// Consent hides it, and the caller may break the glass: that is told where the operator says so (docs/adr/0052).
    #[error("hidden, and the glass can be broken")]
    Suppressed,
    /// The caller holds a grant for this patient, which ends by itself and is not prolonged.
    #[error("a break-glass grant is in force")]
    GrantInForce,
    /// As many grants wait for their review as may (`break_glass.most_unreviewed`).
    #[error("too many break-glass grants wait for their review")]
    GrantsUnreviewed,
    /// `If-Match` does not name the version that is stored.
    #[error("version conflict")]
    VersionConflict,
    /// The criteria of a conditional write match several resources, or more than are looked at.
    #[error("criteria are not selective")]
    NotSelective,
    /// A conditional reference in the body of a write finds nothing that is visible, or several.
    #[error("a conditional reference is not one resource")]
    ConditionalReference,
    /// The patch cannot be carried out on what is stored.
    #[error("the patch cannot be carried out: {0}")]
    Patch(PatchError),
    /// A reference in the body of a write names what is absent or hidden: the two cannot be told apart.
    #[error("a reference names what is absent or hidden")]
    ReferenceNotVisible,
    /// The upstream names no version of the stored resource, so that a change in between could not be noticed.
    #[error("the upstream names no version of the resource")]
    Unversioned,
    /// A write was sent and its end is not known.
    #[error("a write may or may not have been carried out")]
    WriteUnknown {
        /// HTTP status: 504 where the upstream did not answer in time, else 502.
        status: u16,
    },
    /// A step of a chained parameter or `_has` finds more than is joined.
    #[error("a chained search finds too much")]
    TooCostly,
    /// The upstream refused; the codes of its reasons stay in the log.
    #[error("the upstream refused the write with status {status}")]
    UpstreamRefused {
        /// The upstream's status.
        status: u16,
    },
    /// The upstream gave no usable answer.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The upstream's answer cannot be filtered.
    #[error("the upstream's answer cannot be filtered: {0}")]
    Unfilterable(&'static str),
    /// Consents or other facts cannot be had, or are too old.
    #[error("facts for the decision cannot be had: {0}")]
    NoFacts(&'static str),
    /// The access cannot be recorded, so it is not released (ARCHITECTURE.md, invariant 1).
    #[error("the access cannot be recorded: {0}")]
    Unrecordable(&'static str),
    /// Too many requests at once, or shutting down.
    #[error("overloaded: {0}")]
    Overloaded(&'static str),
}

/// What a client is told: one row of the table below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// HTTP status.
    pub status: u16,
    /// FHIR issue type (<http://hl7.org/fhir/issue-type>).
    pub issue: &'static str,
    /// The rule's stable kebab-case name, also the reason in the request event.
    pub rule: String,
    /// A sentence: what happened and what to do.
    pub sentence: String,
    /// `WWW-Authenticate`.
    pub challenge: Option<String>,
    /// `Retry-After`, seconds.
    pub retry_after: Option<u32>,
}

impl Problem {
    /// The row of the table for this problem.
    pub fn told(&self) -> Told {
        let row = |status: u16, issue: &'static str, rule: &str, sentence: &str| Told {
            status,
            issue,
            rule: rule.to_owned(),
            sentence: sentence.to_owned(),
            challenge: None,
            retry_after: None,
        };
        match self {
            Self::Unauthenticated(e) => Told {
                challenge: e.challenge(),
                retry_after: (e.status() == 503).then_some(5),
                ..row(e.status(), if e.status() == 503 { "transient" } else { "login" }, e.rule(), e.sentence())
            },
            Self::HeadTooLarge => row(
                431,
                "too-long",
                "header-too-large",
                "The headers are together larger than this gateway takes: send fewer or shorter ones.",
            ),
            Self::Uninterpretable(r) => {
                let issue = match r.status() {
                    404 | 405 | 406 | 415 | 501 => "not-supported",
                    414 => "too-long",
                    _ => "invalid",
                };
                row(r.status(), issue, r.code(), &sentence(&r.to_string()))
            }
            Self::Refused { rule, sentence } => row(403, "forbidden", rule, sentence),
            Self::Absent => row(404, "not-found", "not-found", "There is no such resource, or you may not see it."),
            Self::Suppressed => row(
                404,
                "suppressed",
                "suppressed",
                "The patient's consent hides what you ask for. In an emergency you can break the glass, by Patient/[id]/$break-glass; every use is reviewed.",
            ),
            Self::GrantInForce => row(
                409,
                "conflict",
                "break-glass-in-force",
                "You hold an emergency grant for this patient already. It ends by itself; then you can claim another one.",
            ),
            Self::GrantsUnreviewed => row(
                503,
                "throttled",
                "break-glass-unreviewed",
                "As many emergency grants wait for their review as may: the compliance office has to close some first.",
            ),
            Self::BadBody { status, rule, sentence } => {
                let issue = match status {
                    413 => "too-long",
                    415 => "not-supported",
                    _ => "structure",
                };
                row(*status, issue, rule, sentence)
            }
            Self::VersionConflict => row(
                412,
                "conflict",
                "version-conflict",
                "The resource has changed since: read it again, then repeat the write.",
            ),
            Self::NotSelective => row(
                412,
                "multiple-matches",
                "criteria-not-selective",
                "The criteria match more than one resource: nothing was written.",
            ),
            Self::ConditionalReference => row(
                412,
                "multiple-matches",
                "conditional-reference",
                "A conditional reference in the body matches no resource that you may see, or several: nothing was written.",
            ),
            Self::Patch(error) => match error {
                PatchError::Malformed(_) => row(
                    400,
                    "structure",
                    "patch-malformed",
                    "The body is no JSON Patch (RFC 6902): nothing was written.",
                ),
                PatchError::TooMany => row(
                    413,
                    "too-long",
                    "patch-too-long",
                    "The patch has more operations than this gateway carries out: nothing was written.",
                ),
                PatchError::TooLarge => row(
                    413,
                    "too-long",
                    "patched-too-large",
                    "What the patch makes of the resource is larger than this gateway takes: nothing was written.",
                ),
                PatchError::TestFailed => row(
                    422,
                    "processing",
                    "patch-test-failed",
                    "A test of the patch does not hold: nothing was written.",
                ),
                PatchError::NotApplicable => row(
                    422,
                    "processing",
                    "patch-not-applicable",
                    "An operation of the patch cannot be carried out on this resource: nothing was written.",
                ),
            },
            Self::ReferenceNotVisible => row(
                422,
                "not-found",
                "reference-not-visible",
                "The body refers to a resource that is not there, or that you may not see: nothing was written.",
            ),
            Self::TooCostly => row(
                422,
                "too-costly",
                "chain-too-costly",
                "A chained parameter or _has of this search finds too many resources: narrow it, or search in two steps.",
            ),
            Self::Unversioned => row(
                502,
                "not-supported",
                "upstream-unversioned",
                "The FHIR server names no version of this resource, so a change in between could not be noticed: nothing was written.",
            ),
            Self::WriteUnknown { status } => row(
                *status,
                "exception",
                "write-unknown",
                "The FHIR server did not confirm this write, which may or may not have been carried out: read what is stored before you repeat it.",
            ),
            Self::UpstreamRefused { status } => match status {
                400 | 422 => row(
                    422,
                    "processing",
                    "upstream-refused",
                    "The FHIR server does not accept this resource; the kinds of its reasons are in the gateway's log under this request id.",
                ),
                409 | 412 => row(
                    409,
                    "conflict",
                    "upstream-conflict",
                    "The write conflicts with what is stored: read it again, then repeat the write.",
                ),
                _ => row(
                    502,
                    "transient",
                    "upstream-failed",
                    "The FHIR server could not carry out the request; ask its operator with this request id.",
                ),
            },
            Self::Upstream(e) => match e {
                UpstreamError::Timeout => Told {
                    retry_after: Some(5),
                    ..row(504, "timeout", "upstream-timeout", "The FHIR server did not answer in time; try again.")
                },
                UpstreamError::Unreachable | UpstreamError::NoAnswer => Told {
                    retry_after: Some(5),
                    ..row(
                        502,
                        "transient",
                        "upstream-unreachable",
                        "The FHIR server cannot be reached; try again later.",
                    )
                },
                UpstreamError::BrokenOff => {
                    row(502, "transient", "upstream-broken-off", "The FHIR server broke off its answer; try again.")
                }
                UpstreamError::NotFhirJson | UpstreamError::Encoded => row(
                    502,
                    "processing",
                    "upstream-not-fhir",
                    "The FHIR server's answer was not FHIR JSON, so nothing of it was released.",
                ),
                UpstreamError::TooLarge => row(
                    502,
                    "too-costly",
                    "upstream-too-large",
                    "The FHIR server's answer is larger than this gateway is configured to release; narrow the request.",
                ),
                UpstreamError::ForeignLink => row(
                    502,
                    "processing",
                    "upstream-foreign-link",
                    "The FHIR server's paging leads outside its own base, so it was not followed.",
                ),
            },
            Self::Unfilterable(why) => row(
                502,
                "processing",
                why,
                "The FHIR server's answer could not be filtered, so nothing of it was released.",
            ),
            Self::NoFacts(why) => Told {
                retry_after: Some(5),
                ..row(
                    503,
                    "transient",
                    why,
                    "What the decision depends on cannot be read at present, so nothing was released; try again later.",
                )
            },
            Self::Unrecordable(why) => Told {
                retry_after: Some(5),
                ..row(
                    503,
                    "transient",
                    why,
                    "The access could not be recorded, so nothing was released; try again later.",
                )
            },
            Self::Overloaded(why) => Told {
                retry_after: Some(1),
                ..row(503, "throttled", why, "Too many requests at once, or the gateway is stopping; try again.")
            },
        }
    }
}

impl Told {
    /// The OperationOutcome that is sent. It is the same for equal rows: the request id stands in a header only, so
    /// that two hidden resources answer byte-identically.
    pub fn operation_outcome(&self) -> Vec<u8> {
        let mut codings = vec![json!({"system": REFUSAL_SYSTEM, "code": self.rule})];
        if self.issue == "suppressed" {
            codings.push(json!({"system": purpose::SYSTEM, "code": purpose::BTG}));
        }
        json!({
            "resourceType": "OperationOutcome",
            "issue": [{
                "severity": "error",
                "code": self.issue,
                "details": {
                    "coding": codings,
                    "text": self.sentence,
                },
            }],
        })
        .to_string()
        .into_bytes()
    }
}

/// An error's text, which is lower case without a full stop, as a sentence for people.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", chars.as_str())
}

/// Code system of the rules' names (`fhir-profiles`, CodeSystem `sealgate-refusal`).
pub const REFUSAL_SYSTEM: &str = "https://sealgate.dev/fhir/CodeSystem/sealgate-refusal";
