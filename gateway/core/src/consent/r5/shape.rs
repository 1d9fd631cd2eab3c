//! The shape of an R5 Consent: which elements there are, which may repeat, and what JSON each is (FHIR R5: Consent).

use serde_json::{Map, Value};

use crate::consent::shape::Card::{Many, One};
use crate::consent::shape::Kind::{Bool, Free, Number, Of, Text};
use crate::consent::shape::{ACTOR, CODING, CONCEPT, DATA, Fault, Field, IDENTIFIER, META, PERIOD, REFERENCE, object};

static ATTACHMENT: [Field; 13] = [
    Field("contentType", One, Text),
    Field("language", One, Text),
    Field("data", One, Text),
    Field("url", One, Text),
    // integer64 is a string in JSON.
    Field("size", One, Text),
    Field("hash", One, Text),
    Field("title", One, Text),
    Field("creation", One, Text),
    Field("height", One, Number),
    Field("width", One, Number),
    Field("frames", One, Number),
    Field("duration", One, Number),
    Field("pages", One, Number),
];

static POLICY_BASIS: [Field; 2] = [Field("reference", One, Of(&REFERENCE)), Field("url", One, Text)];

static VERIFICATION: [Field; 5] = [
    Field("verified", One, Bool),
    Field("verificationType", One, Of(&CONCEPT)),
    Field("verifiedBy", One, Of(&REFERENCE)),
    Field("verifiedWith", One, Of(&REFERENCE)),
    Field("verificationDate", Many, Text),
];

static PROVISION: [Field; 12] = [
    Field("period", One, Of(&PERIOD)),
    Field("actor", Many, Of(&ACTOR)),
    Field("action", Many, Of(&CONCEPT)),
    Field("securityLabel", Many, Of(&CODING)),
    Field("purpose", Many, Of(&CODING)),
    Field("documentType", Many, Of(&CODING)),
    Field("resourceType", Many, Of(&CODING)),
    Field("code", Many, Of(&CONCEPT)),
    Field("dataPeriod", One, Of(&PERIOD)),
    Field("data", Many, Of(&DATA)),
    Field("expression", One, Free),
    Field("provision", Many, Of(&PROVISION)),
];

static CONSENT: [Field; 23] = [
    Field("resourceType", One, Text),
    Field("meta", One, Of(&META)),
    Field("language", One, Text),
    Field("text", One, Free),
    Field("contained", Many, Free),
    Field("identifier", Many, Of(&IDENTIFIER)),
    Field("status", One, Text),
    Field("category", Many, Of(&CONCEPT)),
    Field("subject", One, Of(&REFERENCE)),
    Field("date", One, Text),
    Field("period", One, Of(&PERIOD)),
    Field("grantor", Many, Of(&REFERENCE)),
    Field("grantee", Many, Of(&REFERENCE)),
    Field("manager", Many, Of(&REFERENCE)),
    Field("controller", Many, Of(&REFERENCE)),
    Field("sourceAttachment", Many, Of(&ATTACHMENT)),
    Field("sourceReference", Many, Of(&REFERENCE)),
    Field("regulatoryBasis", Many, Of(&CONCEPT)),
    Field("policyBasis", One, Of(&POLICY_BASIS)),
    Field("policyText", Many, Of(&REFERENCE)),
    Field("verification", Many, Of(&VERIFICATION)),
    Field("decision", One, Text),
    Field("provision", Many, Of(&PROVISION)),
];

/// Checks a whole Consent.
pub(super) fn check(consent: &Map<String, Value>) -> Result<(), Fault> {
    object(consent, &CONSENT, "")
}
