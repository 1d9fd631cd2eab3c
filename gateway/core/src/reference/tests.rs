#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use super::*;
use crate::json::Doc;

#[test]
fn literal_references_are_found_wherever_they_stand() {
    let text = r##"{"resourceType": "Observation",
      "meta": {"extension": [{"url": "http://x", "valueReference": {"reference": "Patient/in-meta"}}],
        "security": [{"code": "R", "extension": [{"url": "http://x", "valueReference": {"reference": "Patient/in-label"}}]}]},
      "contained": [{"resourceType": "Encounter", "id": "e", "subject": {"reference": "Patient/contained"}}],
      "subject": {"refer\u0065nce": "Patient/escaped", "identifier": {"value": "Patient/identifier"}},
      "_status": {"extension": [{"url": "http://x", "valueReference": {"reference": "Patient/primitive"}}]},
      "performer": [{"reference": ["Patient/list", {"reference": "Patient/odd"}]}, {"display": "Patient/display"}],
      "encounter": {"reference": "Encounter?identifier=1"}, "specimen": {"reference": "#s"},
      "note": [{"text": "see Patient/text"}]}"##;
    let found = literal_references(Doc::parse(text.as_bytes()).unwrap().root());
    let expected = [
        "#s",
        "Encounter?identifier=1",
        "Patient/contained",
        "Patient/escaped",
        "Patient/in-label",
        "Patient/in-meta",
        "Patient/list",
        "Patient/odd",
        "Patient/primitive",
    ];
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}
