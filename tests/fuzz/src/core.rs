//! What the gateway reads: resources, searchsets, requests, scopes, Consents.

use gateway_core::consent::dates::Zone;
use gateway_core::consent::{Body, Consent, Unusable, r4, r5};
use gateway_core::facts::ResourceFacts;
use gateway_core::interaction::{Handling, Headers, Interaction, KnownParams, Request, SearchQuery};
use gateway_core::json::{BundleScanner, Doc, Edits, Piece, ScanError, ScanLimits};
use gateway_core::labels::Labels;
use gateway_core::redact::{ElementPath, redact};
use gateway_core::reference::{BaseUrl, Bases};
use gateway_core::resource_type::ResourceType;
use gateway_core::rewrite::rebase;
use gateway_core::scope::{Letter, ScopeGrant, Scopes};
use gateway_core::search_match::{Filter, Image, View};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::{Target, harvest};

/// The targets.
pub const TARGETS: &[Target] = &[
    Target { name: "core-json", run: resource, candidates: resources },
    Target { name: "core-searchset", run: searchset, candidates: searchsets },
    Target { name: "core-interaction", run: interaction, candidates: requests },
    Target { name: "core-scope", run: scope, candidates: claims },
    Target { name: "core-consent", run: consent, candidates: consents },
    Target { name: "core-filter", run: filter, candidates: filters },
];

const SCENARIOS: [&str; 15] = [
    include_str!("../../../gateway/core/scenarios/01-implicit-policies.json"),
    include_str!("../../../gateway/core/scenarios/02-which-consents-count.json"),
    include_str!("../../../gateway/core/scenarios/03-not-understood.json"),
    include_str!("../../../gateway/core/scenarios/04-root-effect.json"),
    include_str!("../../../gateway/core/scenarios/05-actor.json"),
    include_str!("../../../gateway/core/scenarios/06-purpose-and-action.json"),
    include_str!("../../../gateway/core/scenarios/07-labels.json"),
    include_str!("../../../gateway/core/scenarios/08-data.json"),
    include_str!("../../../gateway/core/scenarios/09-nesting.json"),
    include_str!("../../../gateway/core/scenarios/10-several-consents.json"),
    include_str!("../../../gateway/core/scenarios/11-owners-and-scopes.json"),
    include_str!("../../../gateway/core/scenarios/12-redaction-and-break-glass.json"),
    include_str!("../../../gateway/core/scenarios/13-granular-scopes.json"),
    include_str!("../../../gateway/core/scenarios/13-memberships-links-and-implicit-policies.json"),
    include_str!("../../../gateway/core/scenarios/14-other-versions.json"),
];

/// The scenarios' objects with this member, each once.
fn scenarios_with(member: &str) -> Vec<Vec<u8>> {
    let with_member = |bytes: &Vec<u8>| {
        let value: Option<Value> = serde_json::from_slice(bytes).ok();
        value.is_some_and(|value| value.get(member).is_some())
    };
    harvest::all(&SCENARIOS).into_iter().filter(with_member).collect()
}

fn bases() -> Bases {
    let base = |text: &str| BaseUrl::parse(text).expect("a base");
    Bases { public: base("https://p"), upstream: base("http://u") }
}

/// What the tape accepts another parser accepts, and facts, redaction and rewriting of it end in JSON or an error. What
/// was redacted is gone, and what was moved to another base moves back to the same bytes.
fn resource(bytes: &[u8]) -> bool {
    let Ok(doc) = Doc::parse(bytes) else { return false };
    serde_json::from_slice::<IgnoredAny>(bytes).expect("what we accept is JSON");
    let bases = bases();
    let _ = ResourceFacts::of(doc.root(), &bases);
    let mut edits = Edits::new();
    let paths = ["Patient.name.given", "Patient.a", "Observation.value[x]"];
    let paths = paths.map(|path| ElementPath::parse(path).expect("a path"));
    if redact(doc.root(), &paths, &mut edits).is_err() {
        return true;
    }
    rebase(doc.root(), &bases.upstream, &bases.public, &mut edits);
    let edited = edits.apply(bytes).expect("planned edits agree");
    let edited_doc = Doc::parse(&edited).unwrap_or_else(|error| panic!("edited text is not JSON: {error}"));
    let mut again = Edits::new();
    let found = redact(edited_doc.root(), &paths, &mut again).expect("it was redacted once");
    assert!(found.is_empty(), "still there after redaction: {found:?}");
    true
}

fn resources() -> Vec<Vec<u8>> {
    let mut resources = scenarios_with("resourceType");
    let own = json!({"resourceType": "Patient", "id": "a", "name": [{"given": ["x"], "family": "y"}],
        "managingOrganization": {"reference": "http://u/Organization/o"}, "contained": [{"resourceType": "Patient", "name": [{"given": ["z"]}]}],
        "photo": [{"url": "http://u/Binary/1"}], "text": {"status": "generated", "div": "<div>x</div>"}});
    resources.push(own.to_string().into_bytes());
    resources.extend([b"[1.0,-0,1e9,\"\\ud83d\\ude00\"]".to_vec(), b" null ".to_vec()]);
    resources
}

fn scan(chunks: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<Vec<Piece>, ScanError> {
    let mut scanner = BundleScanner::new(ScanLimits { entry: 1 << 12, head: 1 << 12 });
    let mut pieces = Vec::new();
    for chunk in chunks {
        pieces.extend(scanner.push(chunk.as_ref())?);
    }
    scanner.finish().map(|()| pieces)
}

/// However a body is split, the scanner cuts alike; what it cuts into JSON was JSON, with as many entries as another
/// parser finds.
fn searchset(bytes: &[u8]) -> bool {
    let Some((size, body)) = bytes.split_first() else { return false };
    let whole = scan(std::iter::once(body));
    let split = scan(body.chunks(usize::from(*size) % 17 + 1));
    assert_eq!(whole.is_ok(), split.is_ok());
    let (Ok(whole), Ok(split)) = (whole, split) else { return false };
    assert_eq!(whole, split);
    // What is skipped is not validated.
    if whole.iter().any(|piece| matches!(piece, Piece::TooLong(_))) {
        return true;
    }
    let entries: Vec<&Vec<u8>> = whole
        .iter()
        .filter_map(|piece| match piece {
            Piece::Entry(raw) => Some(raw),
            Piece::Head { .. } | Piece::Entries | Piece::TooLong(_) => None,
        })
        .collect();
    if entries.iter().all(|raw| Doc::parse(raw).is_ok()) {
        let value: Value = serde_json::from_slice(body).expect("pieces of JSON make JSON");
        let found = value.get("entry").and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!(entries.len(), found, "another parser finds another number of entries");
    }
    true
}

fn searchsets() -> Vec<Vec<u8>> {
    let resources: Vec<Value> = scenarios_with("resourceType")
        .iter()
        .take(40)
        .map(|bytes| serde_json::from_slice(bytes).expect("JSON"))
        .collect();
    let of = |resources: &[Value]| {
        let entries: Vec<Value> = resources
            .iter()
            .map(|resource| json!({"fullUrl": "http://u/x", "resource": resource, "search": {"mode": "match"}}))
            .collect();
        json!({"resourceType": "Bundle", "type": "searchset", "total": entries.len(),
            "link": [{"relation": "next", "url": "http://u?_getpages=1"}], "entry": entries})
    };
    let mut bundles: Vec<String> = resources.chunks(3).map(|some| of(some).to_string()).collect();
    bundles.push(r#"{"entry":[],"resourceType":"Bundle"}"#.to_owned());
    bundles.push(" {\n\"resourceType\" : \"B\\u0075ndle\", \"entry\" : [ { } , {\"a\":[\"]}\\\"\"]} ] } \n".to_owned());
    bundles.into_iter().zip((0_u8..).step_by(5)).map(|(text, size)| [&[size], text.as_bytes()].concat()).collect()
}

/// Any request parses or is refused; what is forwarded of a search reads back as it was understood, and reaches no other
/// resources.
fn interaction(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let mut lines = text.splitn(6, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (method, path, query) = (line(), line(), line());
    let headers = Headers {
        accept: Some(line()),
        prefer: Some(line()),
        content_type: Some("application/x-www-form-urlencoded"),
        ..Headers::default()
    };
    let form = line().as_bytes();
    let understood = Interaction::parse(&Request { method, path, query, headers, form });

    let Ok(query) = SearchQuery::parse(query, form) else { return understood.is_ok() };
    assert_eq!(SearchQuery::parse(&query.to_query(), &[]).as_ref(), Ok(&query));
    let mut known = KnownParams::new();
    for name in ["name", "birthdate", "general-practitioner"] {
        known.insert(ResourceType::PATIENT, name);
    }
    let Ok(checked) = query.check(ResourceType::PATIENT, &known, Handling::Lenient) else { return understood.is_ok() };
    for param in checked.forwarded().params() {
        assert!(!param.key().contains('.') && !param.key().starts_with("_has"));
    }
    let forwarded = checked.forwarded().to_query();
    assert!(forwarded.bytes().all(|byte| byte.is_ascii_graphic()), "not percent-encoded: {forwarded}");
    let again = SearchQuery::parse(&forwarded, &[]).expect("what is forwarded can be read");
    let again = again.check(ResourceType::PATIENT, &known, Handling::Strict).expect("and is allowed, strictly too");
    assert_eq!(again.forwarded(), checked.forwarded());
    true
}

fn requests() -> Vec<Vec<u8>> {
    let interactions = harvest::rows(include_str!("../../../gateway/core/vectors/interactions.txt"));
    let searches = harvest::rows(include_str!("../../../gateway/core/vectors/searches.txt"));
    let of_interaction = interactions.filter_map(|row| {
        let (line, _) = row.split_once(" -> ")?;
        let (method, target) = line.split('{').next()?.trim().split_once(' ')?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Some(format!("{method}\n{path}\n{query}\napplication/fhir+json\nhandling=lenient\n"))
    });
    let of_search = searches.filter_map(|row| {
        let (search, _) = row.split_once(" -> ")?;
        let (rtype, query) = search.split_once(" ? ")?;
        Some(format!("GET\n/{}\n{query}\n\n\n_count=3", rtype.split(' ').next()?))
    });
    of_interaction.chain(of_search).map(String::into_bytes).collect()
}

/// Any claim parses, and what it does not say it does not grant; a scope more never grants less.
fn scope(data: &[u8]) -> bool {
    let Ok(claim) = std::str::from_utf8(data) else { return false };
    let scopes = Scopes::parse(claim);
    let fewer = Scopes::parse(claim.rsplit_once(' ').map_or("", |(fewer, _)| fewer));
    let mut taken = false;
    for letter in [Letter::Create, Letter::Read, Letter::Update, Letter::Delete, Letter::Search] {
        let grant = scopes.allows(letter, &ResourceType::PATIENT);
        assert!(grant >= fewer.allows(letter, &ResourceType::PATIENT), "a scope more grants less");
        let plain = |context: &str| {
            let about = |scope: &&str| {
                !scope.contains('?')
                    && (scope.starts_with(&format!("{context}/Patient."))
                        || scope.starts_with(&format!("{context}/*.")))
            };
            claim.split(' ').any(|scope| about(&scope))
        };
        match grant {
            ScopeGrant::None => {}
            ScopeGrant::PatientOnly => assert!(plain("patient")),
            ScopeGrant::All => assert!(plain("user") || plain("system")),
        }
        taken |= grant != ScopeGrant::None;
    }
    taken
}

fn claims() -> Vec<Vec<u8>> {
    let rows = harvest::rows(include_str!("../../../gateway/core/vectors/scopes.txt"));
    rows.filter_map(|row| Some(row.split_once(" -> ")?.0.as_bytes().to_vec())).collect()
}

/// A Consent of either version is understood or refused, the same each time; one that is in force is not understood with
/// an element more.
fn consent(data: &[u8]) -> bool {
    if Doc::parse(data).is_err() {
        return false;
    }
    let value: Value = serde_json::from_slice(data).expect("what we accept is JSON");
    // What the other version has no such element of: a reader that skips it may skip what changes the meaning.
    let r4 = understood(&value, r4::read, ("decision", json!("permit")));
    let r5 = understood(&value, r5::read, ("scope", json!({"text": "x"})));
    r4 || r5
}

fn understood(value: &Value, read: impl Fn(&Value) -> Result<Consent, Unusable>, (element, of): (&str, Value)) -> bool {
    let Ok(consent) = read(value) else { return false };
    assert_eq!(read(value).as_ref(), Ok(&consent));
    if matches!(consent.body, Body::Active { .. }) {
        let mut more = value.clone();
        more[element] = of;
        assert!(read(&more).is_err(), "an unknown element is skipped");
    }
    true
}

fn consents() -> Vec<Vec<u8>> {
    scenarios_with("resourceType")
}

/// A filter of a granular scope is supported or not; a parameter more never finds more.
fn filter(data: &[u8]) -> bool {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (Ok(rtype), Ok(query)) = (std::str::from_utf8(line()), std::str::from_utf8(line())) else { return false };
    let rtype = ResourceType::parse(rtype).ok();
    let Ok(filter) = Filter::parse(rtype, query) else { return false };
    let Ok(doc) = Doc::parse(line()) else { return false };
    let (bases, zone, labels) = (bases(), Zone::default(), Labels::unreadable());
    let fewer = query.rsplit_once('&').and_then(|(fewer, _)| Filter::parse(rtype, fewer).ok());
    for image in [Image::Stored, Image::Created, Image::Updated] {
        let view = View { resource: doc.root(), image, labels: &labels, bases: &bases, zone: &zone };
        if filter.matches(&view) {
            assert!(fewer.as_ref().is_none_or(|fewer| fewer.matches(&view)), "a parameter more finds more");
        }
    }
    true
}

fn filters() -> Vec<Vec<u8>> {
    let resource = json!({"resourceType": "Observation", "id": "l", "status": "final", "meta": {"lastUpdated": "2026-01-02T03:04:05Z"},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "2345-7"}], "text": "x"}, "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2025-03-01T12:30:00Z"});
    let rows = harvest::rows(include_str!("../../../gateway/core/vectors/filters.txt"));
    let asked = rows.filter_map(|row| row.split_once(" -> ")?.0.split_once(" ? "));
    asked.map(|(_, filter)| format!("Observation\n{filter}\n{resource}").into_bytes()).collect()
}
