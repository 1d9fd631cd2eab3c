//! The Consents and resources of IHE PCF, as their profile says (they are given by SEALGATE_SHARED_DATA).

use super::*;

const OBSERVATIONS: [&str; 5] = ["ex-alcoholUse", "ex-bloodPressure", "ex-bloodSugar", "ex-weight", "ex-weight-2"];

/// The decisions on the five Observations, `+` for permit.
fn decided(consent: &str, context: &Value) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test finds the shared data")]
    let folder = std::env::var("SEALGATE_SHARED_DATA").ok().map(|folder| Path::new(&folder).join("ihe-pcf"));
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
        eprintln!("SKIPPED: SEALGATE_SHARED_DATA names no folder with ihe-pcf");
        return None;
    };
    let case = Case::of(context).plain("consent", folder.join(format!("Consent-ex-consent-{consent}.json")));
    let case = OBSERVATIONS
        .iter()
        .fold(case, |case, name| case.plain("resource", folder.join(format!("Observation-{name}.json"))));
    let words = case.plain("now", "2023-07-01T00:00:00Z").words();
    Some(words[1..].iter().map(|word| if word == "permit" { '+' } else { '-' }).collect())
}

#[test]
fn the_examples_decide_as_their_profile_says() {
    let treat = json!({"purpose": ["TREAT"], "actors": [{"reference": "Practitioner/ex-practitioner"}]});
    let research = json!({"purpose": ["HRESCH"], "organization": "Organization/ex-org-researcher"});
    let project = json!({"purpose": [{"system": "http://example.org/policies/purposeOfUse", "code": "FooBar"}], "organization": "Organization/ex-org-researcher"});
    let rows = [
        ("basic-treat", &treat, "+++++"),
        ("basic-treat", &research, "-----"),
        ("basic-ink", &treat, "+++++"),
        ("basic-treat-infant", &treat, "+++++"),
        ("basic-reject", &treat, "-----"),
        ("basic-research", &research, "+++++"),
        ("basic-research", &treat, "-----"),
        ("expired-treat", &treat, "-----"),
        // Their performer is Practitioner/ex-author; the Consent permits what Practitioner/ex-practitioner authored.
        ("intermediate-authoredby", &treat, "-----"),
        ("intermediate-data", &treat, "+++++"),
        ("intermediate-purpose", &project, "+++++"),
        ("intermediate-purpose", &research, "-----"),
        ("intermediate-purpose", &treat, "-----"),
        // Only the alcohol use is of 2022.
        ("intermediate-timeframe", &treat, "+----"),
    ];
    for (consent, context, expected) in rows {
        let Some(decided) = decided(consent, context) else { return };
        assert_eq!(decided, expected, "{consent} {context}");
    }
}
