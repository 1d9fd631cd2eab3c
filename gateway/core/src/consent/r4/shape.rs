//! The shape of an R4 Consent: which elements there are, which may repeat, and what JSON each is (FHIR R4: Consent).

use serde_json::{Map, Value};

use crate::consent::Why;
use crate::consent::shape::Card::{Many, One};
use crate::consent::shape::Kind::{Bool, Free, Number, Of, Text};
use crate::consent::shape::{ACTOR, CODING, CONCEPT, DATA, Fault, Field, IDENTIFIER, META, PERIOD, REFERENCE, object};

static ATTACHMENT: [Field; 8] = [
    Field("contentType", One, Text),
    Field("language", One, Text),
    Field("data", One, Text),
    Field("url", One, Text),
    Field("size", One, Number),
    Field("hash", One, Text),
    Field("title", One, Text),
    Field("creation", One, Text),
];

static POLICY: [Field; 2] = [Field("authority", One, Text), Field("uri", One, Text)];

static VERIFICATION: [Field; 3] =
    [Field("verified", One, Bool), Field("verifiedWith", One, Of(&REFERENCE)), Field("verificationDate", One, Text)];

static PROVISION: [Field; 11] = [
    Field("type", One, Text),
    Field("period", One, Of(&PERIOD)),
    Field("actor", Many, Of(&ACTOR)),
    Field("action", Many, Of(&CONCEPT)),
    Field("securityLabel", Many, Of(&CODING)),
    Field("purpose", Many, Of(&CODING)),
    Field("class", Many, Of(&CODING)),
    Field("code", Many, Of(&CONCEPT)),
    Field("dataPeriod", One, Of(&PERIOD)),
    Field("data", Many, Of(&DATA)),
    Field("provision", Many, Of(&PROVISION)),
];

static CONSENT: [Field; 19] = [
    Field("resourceType", One, Text),
    Field("meta", One, Of(&META)),
    Field("language", One, Text),
    Field("text", One, Free),
    Field("contained", Many, Free),
    Field("identifier", Many, Of(&IDENTIFIER)),
    Field("status", One, Text),
    Field("scope", One, Of(&CONCEPT)),
    Field("category", Many, Of(&CONCEPT)),
    Field("patient", One, Of(&REFERENCE)),
    Field("dateTime", One, Text),
    Field("performer", Many, Of(&REFERENCE)),
    Field("organization", Many, Of(&REFERENCE)),
    Field("sourceAttachment", One, Of(&ATTACHMENT)),
    Field("sourceReference", One, Of(&REFERENCE)),
    Field("policy", Many, Of(&POLICY)),
    Field("policyRule", One, Of(&CONCEPT)),
    Field("verification", Many, Of(&VERIFICATION)),
    Field("provision", One, Of(&PROVISION)),
];

/// Checks a whole Consent.
pub(super) fn check(consent: &Map<String, Value>) -> Result<(), Fault> {
    object(consent, &CONSENT, "")?;
    if consent.contains_key("sourceAttachment") && consent.contains_key("sourceReference") {
        return Err(Fault::new(Why::TwoValues, "source[x]"));
    }
    Ok(())
}
