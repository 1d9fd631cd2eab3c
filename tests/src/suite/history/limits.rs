//! Who may ask for which history, and with which parameters.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{begun, delete, observation, told, walk};
use crate::demo::cast::Role;
use crate::harness::fhir::{Answer, Fhir};
use crate::harness::stack::Stack;
use crate::suite::told::{self as answers, as_role, of_kind, openings, request_id};

fn scoped(stack: &Stack, scope: &str) -> Result<Fhir> {
    let mut claims = Role::Doctor.claims();
    claims.as_object_mut().context("claims")?.insert("scope".to_owned(), json!(scope));
    stack.gateway()?.fhir(stack.issuer.token(&claims)?)
}

fn is_refused(what: &str, answer: &Answer, status: u16, rule: &str) -> Result<()> {
    let shown = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status.as_u16() == status && answers::rule(answer)? == rule, "{what}: {} {shown}", answer.status);
    Ok(())
}

/// `r` opens one resource's history, `s` that of a type and of the server, and there only the types that it names.
pub(in crate::suite) async fn scopes_decide_by_level(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    let since = begun(&direct, &observation("hist-scope", "alder", "1")).await?;
    direct.put(&json!({"resourceType": "Goal", "id": "hist-goal", "lifecycleStatus": "active", "description": {"text": "x"},
        "subject": {"reference": "Patient/alder"}})).await?;
    let rows = [
        ("user/Observation.r", "Observation/hist-scope/_history", 200),
        ("user/Observation.s", "Observation/hist-scope/_history", 403),
        ("user/Observation.r", "Observation/_history", 403),
        ("user/Observation.s", "Observation/_history", 200),
        ("user/Goal.rs", "Observation/_history", 403),
        ("user/Observation.r user/Goal.cud", "_history", 403),
        ("user/Observation.s", "_history", 200),
        ("user/*.s", "_history", 200),
        ("openid", "_history", 403),
    ];
    let mut seen = Vec::new();
    for (scope, path, status) in rows {
        let caller = scoped(stack, scope)?;
        let query = format!("{path}?_since={since}");
        let answer = caller.get(&query).await?;
        ensure!(answer.status.as_u16() == status, "{scope} {path}: {}", answer.status);
        if status == 200 {
            seen.push((scope, path, told(&walk(&caller, &query).await?)));
        } else {
            is_refused(scope, &answer, 403, "scope-missing")?;
        }
    }
    let nobody = scoped(stack, "patient/*.rs")?;
    is_refused("no launch patient", &nobody.get("_history").await?, 403, "scope-patient-absent")?;
    delete(&direct, &["Observation/hist-scope", "Goal/hist-goal"]).await?;
    for (scope, path, told) in seen {
        let goals = told.iter().any(|line| line.contains("Goal/"));
        ensure!(goals == (scope == "user/*.s"), "{scope} {path}: {told:?}");
        ensure!(told.iter().any(|line| line.contains("hist-scope")), "{scope} {path}: {told:?}");
    }
    Ok(())
}

/// What is no parameter of a history is left out or refused; what is, is refused where it is malformed.
pub(in crate::suite) async fn parameters_are_checked(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, as_role(stack, Role::Doctor)?);
    direct.put(&observation("hist-param", "alder", "1")).await?;
    direct.put(&observation("hist-param", "alder", "2")).await?;
    let (mut refused, mut links) = (Vec::new(), Vec::new());
    for path in ["Observation/hist-param/_history", "Observation/_history", "_history"] {
        for (query, rule) in [
            ("_list=x", "parameter-refused"),
            ("_sort=_lastUpdated", "parameter-refused"),
            ("_elements=id", "parameter-refused"),
            ("_summary=count", "parameter-refused"),
            ("_count=x", "value-refused"),
            ("_count=1&_count=2", "value-refused"),
            ("_since=2020-01-01T00:00:00Z&_since=2021-01-01T00:00:00Z", "value-refused"),
            ("_since:missing=true", "modifier-unknown"),
            ("_since=yesterday", "history-not-accepted"),
        ] {
            refused.push((format!("{path}?{query}"), doctor.get(&format!("{path}?{query}")).await?, 400, rule));
        }
        let strict = doctor.request(Method::GET, &format!("{path}?subject=x")).header("prefer", "handling=strict");
        refused.push((format!("{path}, strict"), Fhir::send(strict).await?, 400, "parameter-unknown"));
        let first = doctor.read(&format!("{path}?_count=1&subject=Patient/cedar&x=y")).await?;
        links.push((path, first.clone()));
        let next = crate::harness::fhir::link(&first, "next").context("no next link")?;
        let cursor = next.rsplit('?').next().context("no cursor")?;
        for other in
            ["Observation/hist-paran/_history", "Observation/alder-bp/_history", "Patient/_history", "Observation"]
        {
            let answer = doctor.get(&format!("{other}?{cursor}")).await?;
            ensure!(matches!(answer.status.as_u16(), 404 | 410), "{path} continued under {other}: {}", answer.status);
        }
        let stranger = as_role(stack, Role::OtherDoctor)?.get(next).await?;
        ensure!(matches!(stranger.status.as_u16(), 404 | 410), "{path} continued by another: {}", stranger.status);
    }
    let count_of_many = doctor.get("Observation/_history?_count=0").await?;
    delete(&direct, &["Observation/hist-param"]).await?;
    for (what, answer, status, rule) in &refused {
        is_refused(what, answer, *status, rule)?;
    }
    is_refused("a total of many", &count_of_many, 403, "total-of-many-patients")?;
    for (path, first) in links {
        let own = crate::harness::fhir::link(&first, "self").context("no self link")?;
        ensure!(own.ends_with(&format!("{path}?_count=1")), "{path}: self is {own}");
    }
    Ok(())
}

/// Each version that is disclosed, and each deletion, is on record under its patient.
pub(in crate::suite) async fn versions_are_on_record(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, as_role(stack, Role::Doctor)?);
    let since = begun(&direct, &observation("hist-rec", "alder", "1")).await?;
    direct.put(&observation("hist-rec", "alder", "2")).await?;
    direct.put(&observation("hist-del", "birch", "1")).await?;
    delete(&direct, &["Observation/hist-del"]).await?;
    let one = doctor.get("Observation/hist-rec/_history").await?;
    let all = doctor.get(&format!("_history?_since={since}")).await?;
    let gateway = stack.gateway()?;
    let mut told = Vec::new();
    for (answer, interaction) in [(&one, "history-instance"), (&all, "history-system")] {
        let events = openings(gateway, request_id(answer)?).await?.context("no events")?;
        let request = of_kind(&events, "request").next().context("no request event")?;
        ensure!(request["interaction"] == interaction, "{request}");
        let mut versions = Vec::new();
        for disclosure in of_kind(&events, "disclosure") {
            for resource in disclosure["resources"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let (reference, version) = (text(&resource["reference"]), text(&resource["version"]));
                versions.push(format!("{} {reference} {version}", text(&disclosure["patient"])));
            }
        }
        versions.sort();
        told.push(versions);
    }
    delete(&direct, &["Observation/hist-rec"]).await?;
    let own = ["Patient/alder Observation/hist-rec 1", "Patient/alder Observation/hist-rec 2"];
    let [one, all] = &told[..] else { anyhow::bail!("two answers") };
    ensure!(one.as_slice() == own, "{one:?}");
    let deleted = "Patient/birch Observation/hist-del 2".to_owned();
    ensure!(own.iter().all(|line| all.iter().any(|other| other == line)) && all.contains(&deleted), "{all:?}");
    Ok(())
}
