#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use proptest::prelude::*;

use super::*;
use crate::json::Doc;
use crate::reference::{BaseUrl, Bases};

fn rows(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
}

fn describe(interaction: &Interaction) -> String {
    let via = |via: &Via| if *via == Via::Get { "get" } else { "post" };
    let (words, query): (String, Option<&SearchQuery>) = match interaction {
        Interaction::Capabilities | Interaction::SmartConfiguration | Interaction::Batch | Interaction::Transaction => {
            (String::new(), None)
        }
        Interaction::Read { rtype, id, trim: _ }
        | Interaction::Update { rtype, id }
        | Interaction::Patch { rtype, id }
        | Interaction::Delete { rtype, id } => (format!("{rtype} {id}"), None),
        Interaction::Vread { rtype, id, version, trim: _ } => (format!("{rtype} {id} {version}"), None),
        Interaction::Create { rtype } => (rtype.to_string(), None),
        Interaction::ConditionalUpdate { rtype, criteria }
        | Interaction::ConditionalPatch { rtype, criteria }
        | Interaction::ConditionalDelete { rtype, criteria }
        | Interaction::ConditionalCreate { rtype, criteria } => (rtype.to_string(), Some(criteria)),
        Interaction::SearchType { rtype, query, via: v } => (format!("{rtype} {}", via(v)), Some(query)),
        Interaction::SearchSystem { query, via: v } => (via(v).to_owned(), Some(query)),
        Interaction::SearchCompartment { compartment, id, rtype, query, via: v } => {
            let rtype = rtype.map_or("*", |rtype| rtype.as_str());
            (format!("{compartment} {id} {rtype} {}", via(v)), Some(query))
        }
        Interaction::HistoryInstance { rtype, id, query } => (format!("{rtype} {id}"), Some(query)),
        Interaction::HistoryType { rtype, query } => (rtype.to_string(), Some(query)),
        Interaction::HistorySystem { query } => (String::new(), Some(query)),
        Interaction::Operation { level, name, query } => {
            let level = match level {
                OperationLevel::System => "system".to_owned(),
                OperationLevel::Type(rtype) => format!("type {rtype}"),
                OperationLevel::Instance(rtype, id) => format!("instance {rtype} {id}"),
                OperationLevel::Version(rtype, id, version) => format!("version {rtype} {id} {version}"),
            };
            (format!("{level} {name}"), Some(query))
        }
    };
    let name = if matches!(interaction, Interaction::Operation { .. }) { "operation" } else { interaction.name() };
    let served = match interaction.served() {
        Ok(()) => "served",
        Err(refusal) => {
            assert_eq!(refusal, Refusal::NotServed(interaction.name()));
            "unserved"
        }
    };
    let query = query.map(SearchQuery::to_query).unwrap_or_default();
    format!("{served} {name} {words} {query}").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_table_of_interactions() {
    let (mut count, mut wrong) = (0, Vec::new());
    for row in rows(include_str!("../../vectors/interactions.txt")) {
        let (request, expected) = row.split_once(" -> ").unwrap();
        let (line, headers) = match request.split_once('{') {
            Some((line, headers)) => (line.trim(), headers.strip_suffix('}').unwrap()),
            None => (request, ""),
        };
        let (method, target) = line.split_once(' ').unwrap_or((line, ""));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut parts = Request { method, path, query, ..Request::default() };
        // Parameters of a media type stay with the header before them.
        for header in headers.split("; ") {
            match header.split_once(": ").or_else(|| header.strip_suffix(':').map(|name| (name, ""))) {
                Some(("accept", _)) => parts.headers.accept = headers.strip_prefix("accept: "),
                Some(("content-type", _)) => {
                    let value = headers.strip_prefix("content-type: ").unwrap();
                    let end = value.find("; form").or(value.find("; if-none-exist")).unwrap_or(value.len());
                    parts.headers.content_type = Some(&value[..end]);
                }
                Some(("prefer", _)) => parts.headers.prefer = headers.strip_prefix("prefer: "),
                Some(("if-none-exist", value)) => parts.headers.if_none_exist = Some(value),
                Some(("override", _)) => parts.headers.method_override = true,
                Some(("form", value)) => parts.form = value.as_bytes(),
                _ => {}
            }
        }
        let found = match Interaction::parse(&parts) {
            Ok(interaction) => describe(&interaction),
            Err(refusal) => refusal.code().to_owned(),
        };
        if found != expected {
            wrong.push(format!("{row}: {found}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count >= 150, "{count} rows");
}

fn known() -> KnownParams {
    let statement = br#"{"resourceType":"CapabilityStatement","rest":[{"resource":[
        {"type":"Patient","searchParam":[{"name":"name"},{"name":"gender"},{"name":"birthdate"},{"name":"identifier"},
            {"name":"organization"},{"name":"_has"},{"name":"_text"},{"name":"_filter"}]},
        {"type":"Observation","searchParam":[{"name":"patient"},{"name":"subject"},{"name":"code"},{"name":"date"},
            {"name":"category"},{"name":"performer"}]},
        {"type":"Condition","searchParam":[{"name":"patient"},{"name":"code"},{"name":"category"},
            {"name":"clinical-status"}]},
        {"type":"Encounter","searchParam":[{"name":"patient"},{"name":"class"},{"name":"date"}]},
        {"type":"MedicationRequest","searchParam":[{"name":"patient"},{"name":"intent"},{"name":"medication"}]},
        {"type":"Coverage","searchParam":[{"name":"beneficiary"}]},
        {"type":"Appointment","searchParam":[{"name":"patient"}]},
        {"type":"Provenance","searchParam":[{"name":"target"}]},
        {"type":"Nope","searchParam":[{"name":"x"}]}]}]}"#;
    KnownParams::from_capability_statement(Doc::parse(statement).unwrap().root())
}

#[test]
fn the_table_of_searches() {
    let known = known();
    let bases = Bases {
        public: BaseUrl::parse("https://pub/r4").unwrap(),
        upstream: BaseUrl::parse("http://up/fhir/").unwrap(),
    };
    let mut count = 0;
    for row in rows(include_str!("../../vectors/searches.txt")) {
        let (search, expected) = row.split_once(" ->").unwrap();
        let (rtype, query) = search.split_once(" ? ").unwrap();
        let (rtype, handling) = match rtype.strip_suffix(" strict") {
            Some(rtype) => (rtype, Handling::Strict),
            None => (rtype, Handling::Lenient),
        };
        let rtype = ResourceType::parse(rtype).unwrap();
        let found = match SearchQuery::parse(query, &[]).and_then(|query| query.check(rtype, &known, handling)) {
            Err(refusal) => format!("!{}", refusal.code()),
            Ok(checked) => {
                let mut text = checked.forwarded().to_query();
                if *checked.trim() != Trim::Whole {
                    text += &format!(" | shown: {} {:?}", checked.shown().to_query(), checked.trim());
                }
                if !checked.dropped().is_empty() {
                    text += &format!(" | dropped: {}", checked.dropped().join(","));
                }
                if let Some(patient) = checked.single_patient(&bases) {
                    text += &format!(" | patient: {patient}");
                }
                text
            }
        };
        assert_eq!(found.trim(), expected.trim(), "{row}");
        count += 1;
    }
    assert!(count >= 80, "{count} rows");
}

#[test]
fn histories_take_their_own_parameters() {
    for (query, expected) in [
        ("", Ok((String::new(), String::new(), None))),
        ("_since=a&_count=3&_at=b", Ok(("_since=a&_at=b".into(), "_since=a&_count=3&_at=b".into(), Some(3)))),
        ("subject=x&_format=json&_summary=false", Ok((String::new(), String::new(), None))),
        ("_since=a&_since=b", Err(Refusal::ValueRefused("_since"))),
        ("_count=1&_count=1", Err(Refusal::ValueRefused("_count"))),
        ("_count=-1", Err(Refusal::ValueRefused("_count"))),
        ("_at:not=a", Err(Refusal::ModifierUnknown)),
        ("_list=a", Err(Refusal::ParameterRefused("_list"))),
        ("_sort=a", Err(Refusal::ParameterRefused("_sort"))),
        ("_elements=a", Err(Refusal::ParameterRefused("_elements"))),
        ("_summary=true", Err(Refusal::ParameterRefused("_summary"))),
    ] {
        let checked = SearchQuery::parse(query, &[]).unwrap().check_history(Handling::Lenient);
        let found = checked.map(|c| (c.narrowing().to_query(), c.shown().to_query(), c.count()));
        assert_eq!(found, expected, "{query}");
    }
    let strict = SearchQuery::parse("subject=x", &[]).unwrap().check_history(Handling::Strict);
    assert_eq!(strict, Err(Refusal::ParameterUnknown));
}

#[test]
fn sizes_are_bounded() {
    let parse = |query: &str, form: &[u8]| SearchQuery::parse(query, form).map(|query| query.params().len());
    assert_eq!(parse(&"a=1&".repeat(MAX_REPEATS), b""), Ok(MAX_REPEATS));
    assert_eq!(parse(&"a=1&".repeat(MAX_REPEATS), b"a=1"), Err(Refusal::ParameterRepeated));
    assert_eq!(parse(&"a:not=1&a=1&".repeat(17), b""), Err(Refusal::ParameterRepeated));
    assert_eq!(parse(&format!("a={}", "x".repeat(MAX_VALUE)), b""), Ok(1));
    assert_eq!(parse(&format!("a={}", "x".repeat(MAX_VALUE + 1)), b""), Err(Refusal::ValueTooLong));
    assert_eq!(parse(&"x".repeat(MAX_QUERY + 1), b""), Err(Refusal::QueryTooLong));
    assert_eq!(parse("a=1", &b"x".repeat(MAX_QUERY)), Err(Refusal::QueryTooLong));
    let path = format!("/Patient/{}", "a".repeat(2000));
    let request = Request { method: "GET", path: &path, ..Request::default() };
    assert_eq!(Interaction::parse(&request), Err(Refusal::PathTooLong));
}

#[test]
fn includes_say_what_they_follow() {
    let query = "patient=1&_include=Observation:subject:Patient&_include=*&_revinclude=Provenance:target&_count=7";
    let checked = SearchQuery::parse(query, &[]).unwrap();
    let rtype = ResourceType::parse("Observation").unwrap();
    let checked = checked.check(rtype, &known(), Handling::Strict).unwrap();
    let patient = Some(ResourceType::PATIENT);
    assert_eq!(
        checked.includes(),
        [
            Include { iterate: false, source: Some(rtype), param: Some("subject".into()), target: patient },
            Include { iterate: false, source: None, param: None, target: None }
        ]
    );
    assert_eq!(checked.revincludes().len(), 1);
    assert_eq!((checked.count(), checked.total(), checked.rtype()), (Some(7), None, rtype));
}

#[test]
fn every_refusal_has_its_own_code() {
    let mut codes: Vec<_> = [
        Refusal::MethodUnknown,
        Refusal::MethodOverride,
        Refusal::PathTooLong,
        Refusal::PathEncoded,
        Refusal::PathSegment,
        Refusal::ResourceTypeUnknown,
        Refusal::IdMalformed,
        Refusal::InteractionUnknown,
        Refusal::OperationUnknown,
        Refusal::NotServed("patch"),
        Refusal::QueryTooLong,
        Refusal::QueryEncoding,
        Refusal::ParameterMalformed,
        Refusal::ParameterName,
        Refusal::ParameterRepeated,
        Refusal::ValueTooLong,
        Refusal::ParameterUnknown,
        Refusal::ParameterRefused("_has"),
        Refusal::ModifierUnknown,
        Refusal::ValueRefused("_count"),
        Refusal::CriteriaMissing,
        Refusal::FormatNotServed,
        Refusal::ContentType,
        Refusal::RespondAsync,
        Refusal::Prefer,
    ]
    .iter()
    .map(|refusal| {
        assert!((400..=501).contains(&refusal.status()));
        assert!(refusal.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
        refusal.code()
    })
    .collect();
    codes.sort_unstable();
    assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(Refusal::NotServed("history-instance").to_string(), "history-instance is not served yet");
}

/// Chains, with the parameters of [`known`]: what each comes down to, three steps at most.
#[test]
fn the_table_of_chains() {
    let observation = ResourceType::parse("Observation").unwrap();
    let rows: &[(&str, &str, &str)] = &[
        ("Observation", "patient.name=x", "forward patient of Patient: name"),
        ("Observation", "subject:Patient.name:exact=x", "forward subject of Patient: name:exact"),
        ("Observation", "subject.gender=x", "forward subject of Patient: gender"),
        ("Observation", "patient._id=x", "forward patient of Patient: _id"),
        ("Observation", "patient.organization.name=x", "!parameter-unknown"),
        (
            "Observation",
            "patient._has:Condition:patient:code=x",
            "forward patient of Patient: _has:Condition:patient:code",
        ),
        ("Observation", "patient.nope=x", "!parameter-unknown"),
        ("Observation", "nope.name=x", "!parameter-unknown"),
        ("Observation", "code.name=x", "!parameter-unknown"),
        ("Observation", "encounter.class=x", "!parameter-unknown"),
        ("Observation", "subject:Nope.name=x", "!modifier-unknown"),
        ("Observation", "patient._text=x", "!parameter-unknown"),
        ("Observation", "patient._filter=x", "!parameter-unknown"),
        ("Patient", "_has:Observation:patient:code=x", "reverse Observation.patient: code"),
        ("Patient", "_has:Observation:subject:code:not=x", "reverse Observation.subject: code:not"),
        ("Patient", "_has:Observation:performer:code=x", "reverse Observation.performer: code"),
        ("Patient", "_has:Observation:patient:patient.name=x", "reverse Observation.patient: patient.name"),
        ("Patient", "_has:Observation:patient:patient.name:exact=x", "reverse Observation.patient: patient.name:exact"),
        ("Encounter", "_has:Observation:patient:code=x", "!parameter-unknown"),
        ("Patient", "_has:Observation:code:code=x", "!parameter-unknown"),
        ("Patient", "_has:Nope:patient:code=x", "!parameter-unknown"),
        ("Patient", "_has:Observation:patient=x", "!parameter-malformed"),
        ("Patient", "_has=x", "!parameter-malformed"),
        (
            "Patient",
            "_has:Observation:patient:_has:Provenance:target:_id=x",
            "reverse Observation.patient: _has:Provenance:target:_id",
        ),
        (
            "Patient",
            "_has:Observation:patient:patient._has:Condition:patient:code=x",
            "reverse Observation.patient: patient._has:Condition:patient:code",
        ),
        ("Patient", "_has:Observation:patient:patient._has:Condition:patient:patient.name=x", "!parameter-refused"),
    ];
    for (rtype, text, expected) in rows {
        let query = SearchQuery::parse(text, &[]).unwrap();
        let (param, rtype) = (query.params().first().unwrap(), ResourceType::parse(rtype).unwrap());
        assert!(Chain::is_one(param), "{text}");
        let found = match Chain::parse(rtype, param, &known(), 3) {
            Ok(Chain::Forward { reference, of, inner }) => {
                let of: Vec<_> = of.iter().map(ResourceType::as_str).collect();
                format!("forward {reference} of {}: {}", of.join(","), inner.key())
            }
            Ok(Chain::Reverse { source, reference, inner }) => format!("reverse {source}.{reference}: {}", inner.key()),
            Err(refusal) => format!("!{}", refusal.code()),
        };
        assert_eq!(found, *expected, "{text}");
        let joined = query.check_joined(rtype, &known(), Handling::Lenient, 3);
        assert_eq!(joined.is_ok(), !expected.starts_with('!'), "{text}");
        if let Ok(joined) = joined {
            assert!(joined.chains().len() == 1 && joined.forwarded().is_empty() && joined.dropped().is_empty());
        }
        // Who does not join is never given one, dropped or not.
        assert!(query.check(rtype, &known(), Handling::Lenient).is_err(), "{text}");
    }
    assert_eq!(Include::parse("Observation:subject").unwrap().source, Some(observation));
}

proptest! {
    #[test]
    fn any_request_parses_or_is_refused(path in "\\PC{0,40}", query in "\\PC{0,60}", method in "GET|POST|PUT|DELETE") {
        let request = Request { method: &method, path: &path, query: &query, ..Request::default() };
        if let Ok(interaction) = Interaction::parse(&request) {
            let _ = (interaction.name(), interaction.code(), interaction.letters(), interaction.is_write());
        }
    }

    /// What is sent to the upstream reads back as what was understood.
    #[test]
    fn queries_survive_their_own_encoding(
        pairs in prop::collection::vec(("[a-zA-Z_-]{1,8}(:[a-z.]{1,6})?", "[^\\p{Cc}]{1,12}"), 0..6)
    ) {
        let encoded = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
        let text: Vec<_> = pairs.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value))).collect();
        let query = SearchQuery::parse(&text.join("&"), &[]).unwrap();
        let again = SearchQuery::parse(&query.to_query(), &[]).unwrap();
        prop_assert_eq!(&again, &query);
        let found: Vec<_> = query.params().iter().map(|param| (param.key(), param.value.clone())).collect();
        prop_assert_eq!(found, pairs);
    }

    /// However it is dressed up, a chain or `_has` is never forwarded.
    #[test]
    fn no_chain_is_forwarded(key in "(_has|patient|subject)[:.a-zA-Z]{1,20}", value in "[a-z]{1,4}") {
        let query = SearchQuery::parse(&format!("{key}={value}"), &[]);
        let rtype = ResourceType::parse("Observation").unwrap();
        if let Ok(checked) = query.and_then(|query| query.check(rtype, &known(), Handling::Lenient)) {
            for param in checked.forwarded().params() {
                prop_assert!(!param.key().contains('.') && param.name != "_has");
            }
        }
    }
}
