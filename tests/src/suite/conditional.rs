//! Conditional writes: criteria match what the caller sees, and the answer tells of nothing else.

#![expect(clippy::indexing_slicing, reason = "bodies of the test's own: a member that cannot be set is a failed test")]

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::leaks::{altered, caller, delete, observation};
use super::patches::is;
use super::told::{self, of_kind};
use crate::demo::cast::Role;
use crate::harness::fhir::{Answer, Fhir};
use crate::harness::gateway::Gateway;
use crate::harness::stack::Stack;

const SYSTEM: &str = "https://sealgate.example/conditional";

/// An observation of that patient with that identifier.
fn marked(id: Option<&str>, patient: &str, identifier: &str) -> Value {
    let mut body = observation(id.unwrap_or_default(), patient);
    body["identifier"] = json!([{"system": SYSTEM, "value": identifier}]);
    if id.is_none()
        && let Some(body) = body.as_object_mut()
    {
        body.remove("id");
    }
    body
}

fn criteria(identifier: &str) -> String {
    format!("identifier={SYSTEM}|{identifier}")
}

async fn create(caller: &Fhir, body: &Value, unless: &str) -> Result<Answer> {
    let request = caller.request(Method::POST, "Observation").header("content-type", "application/fhir+json");
    Fhir::send(request.header("if-none-exist", unless).body(body.to_string())).await
}

fn id(answer: &Answer) -> Result<String> {
    let location = answer.header("location").with_context(|| format!("no location: {}", answer.status))?;
    let path = location.split("/_history/").next().unwrap_or_default();
    path.rsplit('/').next().map(str::to_owned).context("an id")
}

async fn clear(direct: &Fhir, identifiers: &[&str]) -> Result<usize> {
    let mut found = 0;
    for identifier in identifiers {
        for entry in direct.search(&format!("Observation?{}", criteria(identifier))).await? {
            let id = entry.pointer("/resource/id").and_then(Value::as_str).context("an id")?;
            delete(direct, &[&format!("Observation/{id}")]).await?;
            found += 1;
        }
    }
    Ok(found)
}

/// One that is visible is not made again; one that is hidden is as none.
pub(super) async fn creates_find_what_is_visible(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let first = create(&doctor, &marked(None, "alder", "one"), &criteria("one")).await?;
    let again = create(&doctor, &marked(None, "alder", "one"), &criteria("one")).await?;
    direct.put(&marked(Some("cond-hidden"), "cedar", "hidden")).await?;
    let hidden = create(&doctor, &marked(None, "alder", "hidden"), &criteria("hidden")).await?;
    let both = create(&doctor, &marked(None, "alder", "hidden"), &criteria("hidden")).await?;
    direct.put(&marked(Some("cond-second"), "alder", "one")).await?;
    let several = create(&doctor, &marked(None, "alder", "one"), &criteria("one")).await?;
    let (ones, hiddens) = (clear(&direct, &["one"]).await?, clear(&direct, &["hidden"]).await?);
    ensure!(first.status == 201, "{} {:?}", first.status, first.body);
    ensure!(again.status == 200 && id(&again)? == id(&first)?, "{}", again.status);
    ensure!(again.json()?.get("id").and_then(Value::as_str) == Some(&id(&first)?), "{:?}", again.body);
    ensure!(hidden.status == 201, "a hidden match is told of: {}", hidden.status);
    ensure!(both.status == 200 && id(&both)? == id(&hidden)?, "beside a hidden match: {}", both.status);
    is("several", &several, 412, "criteria-not-selective")?;
    ensure!((ones, hiddens) == (2, 2), "{ones} and {hiddens} are stored");
    let gateway = stack.gateway()?;
    let events = told::openings(gateway, told::request_id(&again)?).await?.context("no events")?;
    ensure!(of_kind(&events, "disclosure").count() == 1, "what is shown is not on record: {events:?}");
    for answer in [&hidden, &both] {
        let events = told::openings(gateway, told::request_id(answer)?).await?.context("no events")?;
        let denied: Vec<_> = of_kind(&events, "denial").filter_map(|event| event.get("patient")).collect();
        ensure!(denied == [&json!("Patient/cedar")], "denials: {denied:?}");
    }
    Ok(())
}

/// Of eight at once one is made.
pub(super) async fn creates_wait_for_one_another(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let body = marked(None, "alder", "race");
    let unless = criteria("race");
    let answers = futures_util::future::join_all((0..8).map(|_| create(&doctor, &body, &unless))).await;
    let made = clear(&direct, &["race"]).await?;
    let mut created = 0;
    for answer in answers {
        let answer = answer?;
        ensure!(matches!(answer.status.as_u16(), 200 | 201), "{}", answer.status);
        created += usize::from(answer.status == 201);
    }
    ensure!((created, made) == (1, 1), "{created} were told created, {made} are stored");
    Ok(())
}

/// Updates, patches and deletes by criteria: none, one, several, hidden.
pub(super) async fn changes_find_what_is_visible(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let at = |identifier: &str| format!("Observation?{}", criteria(identifier));
    let put = async |body: &Value, identifier: &str| doctor.write(Method::PUT, &at(identifier), body).await;
    let remove = async |identifier: &str| Fhir::send(doctor.request(Method::DELETE, &at(identifier))).await;
    let amend = async |identifier: &str| {
        super::patches::patch(
            &doctor,
            &at(identifier),
            json!([{"op": "replace", "path": "/status", "value": "amended"}]),
        )
        .await
    };
    let made = put(&marked(None, "alder", "u"), "u").await?;
    let mut changed = marked(None, "alder", "u");
    changed["status"] = json!("corrected");
    let updated = put(&changed, "u").await?;
    let named = put(&marked(Some(&id(&made)?), "alder", "u"), "u").await?;
    let other = put(&marked(Some("cond-other"), "alder", "u"), "u").await?;
    let amended = amend("u").await?;
    let removed = remove("u").await?;
    let (gone, unamended) = (remove("u").await?, amend("u").await?);
    direct.put(&marked(Some("cond-h"), "cedar", "h")).await?;
    let stored = direct.read("Observation/cond-h").await?;
    let hidden = (amend("h").await?, remove("h").await?);
    let brought = (
        put(&marked(Some("cond-h"), "alder", "h"), "h").await?,
        put(&marked(Some("cond-q"), "alder", "q"), "q").await?,
    );
    let beside = put(&marked(None, "alder", "h"), "h").await?;
    let unchanged = direct.read("Observation/cond-h").await? == stored;
    direct.put(&marked(Some("cond-2"), "alder", "h")).await?;
    let several = (put(&marked(None, "alder", "h"), "h").await?, amend("h").await?, remove("h").await?);
    let left = clear(&direct, &["u", "h", "q"]).await?;
    ensure!(
        made.status == 201 && updated.status == 200 && named.status == 200,
        "{} {} {}",
        made.status,
        updated.status,
        named.status
    );
    ensure!(updated.json()?.get("status") == Some(&json!("corrected")), "{:?}", updated.body);
    is("another id", &other, 400, "body-other-id")?;
    ensure!(amended.status == 200 && removed.status == 204, "{} {}", amended.status, removed.status);
    for (what, answer) in [
        ("gone", &gone),
        ("nothing to patch", &unamended),
        ("hidden patch", &hidden.0),
        ("hidden delete", &hidden.1),
        ("its id", &brought.0),
        ("an id", &brought.1),
    ] {
        is(what, answer, 404, "not-found")?;
    }
    ensure!(brought.0.body == brought.1.body, "a hidden id is told of");
    ensure!(beside.status == 201, "a hidden match is told of: {}", beside.status);
    ensure!(unchanged, "the hidden one was changed");
    for answer in [&several.0, &several.1, &several.2] {
        is("several", answer, 412, "criteria-not-selective")?;
    }
    ensure!(left == 3, "{left} are left");
    Ok(())
}

/// Criteria that say nothing, or more than a filter can keep, change nothing; neither do scopes without search.
pub(super) async fn criteria_are_checked(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let before = direct.count("Observation?patient=alder").await?;
    let rows = [
        ("_format=json", 400, "criteria-missing"),
        ("_pretty=true", 400, "criteria-missing"),
        ("nothing-of-this-name=x", 400, "parameter-unknown"),
        ("patient=alder&nothing-of-this-name=x", 400, "parameter-unknown"),
        ("patient=alder&_count=1", 400, "parameter-refused"),
        ("patient=alder&_sort=date", 400, "parameter-refused"),
        ("patient=alder&_include=Observation:subject", 400, "parameter-refused"),
        ("_cursor=x", 400, "parameter-refused"),
        ("_filter=x", 400, "parameter-refused"),
        ("identifier", 400, "parameter-malformed"),
    ];
    for (query, status, rule) in rows {
        let removed = Fhir::send(doctor.request(Method::DELETE, &format!("Observation?{query}"))).await?;
        is(&format!("DELETE {query}"), &removed, status, rule)?;
        is(query, &create(&doctor, &marked(None, "alder", "c"), query).await?, status, rule)?;
    }
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let headers = [
            ("if-none-exist", "identifier=x"),
            (
                "content-type",
                if method == Method::PATCH { "application/json-patch+json" } else { "application/fhir+json" },
            ),
        ];
        let answer = told::with_headers(&doctor, method.clone(), "Observation/alder-bp", &headers).await?;
        is(&format!("{method} with If-None-Exist"), &answer, 400, "precondition-refused")?;
    }
    let unsearching = altered(stack, Role::Doctor, &json!({"scope": "user/Observation.crud"}))?;
    let body = marked(None, "alder", "c");
    is("create", &create(&unsearching, &body, &criteria("c")).await?, 403, "scope-missing")?;
    let at = format!("Observation?{}", criteria("c"));
    is("update", &unsearching.write(Method::PUT, &at, &body).await?, 403, "scope-missing")?;
    is("delete", &Fhir::send(unsearching.request(Method::DELETE, &at)).await?, 403, "scope-missing")?;
    let updating = altered(stack, Role::Doctor, &json!({"scope": "user/Observation.rus"}))?;
    is("no create", &updating.write(Method::PUT, &at, &body).await?, 403, "scope-missing")?;
    ensure!(direct.count("Observation?patient=alder").await? == before, "something was written");
    Ok(())
}

/// A read on the condition of a date: of what is whole only, and of what is visible only.
pub(super) async fn reads_since_a_date(stack: &mut Stack) -> Result<()> {
    let (doctor, researcher) = (caller(stack, Role::Doctor)?, caller(stack, Role::Researcher)?);
    let since = async |caller: &Fhir, address: &str, date: &str| {
        told::with_headers(caller, Method::GET, address, &[("if-modified-since", date)]).await
    };
    let read = doctor.get(told::OPEN).await?.success()?;
    let modified = read.header("last-modified").context("no date")?.to_owned();
    let unchanged = since(&doctor, told::OPEN, &modified).await?;
    ensure!(unchanged.status == 304 && unchanged.body.is_empty(), "{}", unchanged.status);
    let long_ago = "Sat, 01 Jan 2000 00:00:00 GMT";
    for date in [long_ago, "yesterday", "2026-11-22T00:00:00Z"] {
        ensure!(since(&doctor, told::OPEN, date).await?.status == 200, "{date}");
    }
    let future = "Fri, 01 Jan 2100 00:00:00 GMT";
    let other = [("if-modified-since", future), ("if-none-match", "W/\"777\"")];
    ensure!(
        told::with_headers(&doctor, Method::GET, told::OPEN, &other).await?.status == 200,
        "the validator counts first"
    );
    let redacted = since(&researcher, "Patient/dogwood", future).await?;
    ensure!(redacted.status == 200, "a date speaks for what is redacted: {}", redacted.status);
    ensure!(since(&doctor, "Observation/cedar-bp", future).await?.status == 404, "hidden");
    Ok(())
}

/// Patients are created by whom the operator named for it, and by nobody else.
pub(super) async fn registrars_create_patients(stack: &mut Stack) -> Result<()> {
    let more = json!({"roles": {"registrar": ["registrar"]}});
    let mut gateway = Gateway::start(told::second(stack, "registrar", stack.upstream.base(), &more)?).await?;
    let direct = stack.direct()?;
    let of = |scope: &str, role: &str| -> Result<Fhir> {
        let mut claims = Role::Doctor.claims();
        claims["scope"] = json!(scope);
        claims["roles"] = json!([role]);
        claims["patient"] = json!("alder");
        gateway.fhir(stack.issuer.token(&claims)?)
    };
    let new = json!({"resourceType": "Patient", "name": [{"family": "Conditional"}]});
    let made = of("user/*.cruds", "registrar")?.write(Method::POST, "Patient", &new).await?;
    let doctor = of("user/*.cruds", "doctor")?.write(Method::POST, "Patient", &new).await?;
    let launched = of("patient/*.cruds", "registrar")?.write(Method::POST, "Patient", &new).await?;
    let mut named = new.clone();
    named["id"] = json!("cedar");
    let hidden = of("user/*.cruds", "registrar")?.write(Method::POST, "Patient", &named).await?;
    named["id"] = json!("cedaq");
    let never = of("user/*.cruds", "registrar")?.write(Method::POST, "Patient", &named).await?;
    let mut linked = new.clone();
    linked["link"] = json!([{"other": {"reference": "Patient/cedar"}, "type": "seealso"}]);
    let linked = of("user/*.cruds", "registrar")?.write(Method::POST, "Patient", &linked).await?;
    ensure!(made.status == 201, "{} {}", made.status, String::from_utf8_lossy(&made.body));
    delete(&direct, &[&format!("Patient/{}", id(&made)?)]).await?;
    is("a doctor", &doctor, 403, "write-not-permitted")?;
    is("a patient's scope", &launched, 403, "write-not-permitted")?;
    ensure!(
        hidden.status == never.status && hidden.body == never.body,
        "an id is told of: {} {}",
        hidden.status,
        never.status
    );
    ensure!(hidden.status.is_client_error(), "{}", hidden.status);
    is("linked to who is hidden", &linked, 422, "reference-not-visible")?;
    gateway.stop().await
}
