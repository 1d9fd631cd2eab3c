//! The published cases of every channel by which something hidden could be told (tests/channels/README.md), against this gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde_json::Value;

use super::leaks::{delete, same};
use super::pages;
use crate::harness::fhir::{Answer, Fhir, address};
use crate::harness::say;
use crate::harness::stack::Stack;
use crate::harness::workspace;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct World {
    #[serde(rename = "about")]
    _about: String,
    resources: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Callers {
    #[serde(rename = "about")]
    _about: String,
    callers: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Channel {
    channel: String,
    #[serde(rename = "rule")]
    _rule: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    caller: String,
    request: Asked,
    expect: Expected,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Value>,
}

/// See the README: a member that is absent is not compared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: Option<u16>,
    statuses: Option<Vec<u16>>,
    as_absent: Option<BTreeMap<String, String>>,
    entries: Option<BTreeSet<String>>,
    in_order: Option<Vec<String>>,
    total: Option<u64>,
    #[serde(default)]
    contains: Vec<String>,
    #[serde(default)]
    lacks: Vec<String>,
    #[serde(default)]
    unchanged: Vec<String>,
}

/// Every case of every channel gives what its file expects.
pub(super) async fn every_channel_keeps_its_rule(stack: &mut Stack) -> Result<()> {
    let folder = workspace::package("channels");
    let read = |name: &str| fs::read(folder.join(name)).with_context(|| name.to_owned());
    let world: World = serde_json::from_slice(&read("world.json")?).context("world.json")?;
    let callers: Callers = serde_json::from_slice(&read("callers.json")?).context("callers.json")?;
    let mut names: Vec<String> =
        fs::read_dir(&folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.retain(|name| name.ends_with(".json") && name.starts_with(|first: char| first.is_ascii_digit()));
    names.sort();
    let direct = stack.direct()?;
    for resource in &world.resources {
        direct.put(resource).await?;
    }
    let mut wrong = Vec::new();
    let mut tried = 0;
    for name in names {
        let channel: Channel = serde_json::from_slice(&read(&name)?).with_context(|| name.clone())?;
        for case in &channel.cases {
            tried += 1;
            let claims = callers.callers.get(&case.caller).with_context(|| format!("no caller {}", case.caller))?;
            let caller = stack.gateway()?.fhir(stack.issuer.token(claims)?)?;
            if let Err(error) = tried_as(case, &caller, &direct).await {
                wrong.push(format!("{name}, {}: {}: {error:#}", channel.channel, case.name));
            }
        }
    }
    let loaded: Vec<String> = world.resources.iter().rev().filter_map(address).collect();
    delete(&direct, &loaded.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    say::step(&format!("channels: {tried} cases"));
    ensure!(tried >= 70, "only {tried} cases were found");
    ensure!(wrong.is_empty(), "{} of {tried} cases differ:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

async fn tried_as(case: &Case, caller: &Fhir, direct: &Fhir) -> Result<()> {
    let expected = &case.expect;
    let mut before = Vec::new();
    for address in &expected.unchanged {
        before.push((address, direct.read(address).await?));
    }
    let answer = ask(caller, &case.request).await?;
    for (address, held) in before {
        let now = direct.read(address).await?;
        ensure!(now == held, "{address} was changed");
    }
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    let status = answer.status.as_u16();
    let allowed = expected.status.into_iter().chain(expected.statuses.iter().flatten().copied());
    let allowed: Vec<u16> = allowed.collect();
    ensure!(allowed.is_empty() || allowed.contains(&status), "{status} instead of {allowed:?}: {body:.400}");
    if expected.entries.is_some() || expected.in_order.is_some() || expected.total.is_some() {
        bundle_as(expected, &answer)?;
    }
    for text in &expected.contains {
        ensure!(body.contains(text.as_str()), "{text:?} is missing in {body:.400}");
    }
    let headers = format!("{:?}", answer.headers);
    for text in &expected.lacks {
        ensure!(!body.contains(text.as_str()) && !headers.contains(text.as_str()), "{text:?} is in the answer");
    }
    if let Some(names) = &expected.as_absent {
        let never = ask(caller, &without(&case.request, names)?).await?;
        let hidden = Answer { body: replaced(&body, names).into(), ..answer };
        same("as what is absent", &hidden, &never, "\u{0}", "")?;
    }
    Ok(())
}

fn bundle_as(expected: &Expected, answer: &Answer) -> Result<()> {
    let page = pages::page(answer)?;
    let all: Vec<String> = page.matches.iter().chain(&page.includes).map(|entry| entry.address.clone()).collect();
    if let Some(entries) = &expected.entries {
        let found: BTreeSet<String> = all.iter().cloned().collect();
        ensure!(found == *entries && all.len() == entries.len(), "entries {all:?} instead of {entries:?}");
    }
    if let Some(entries) = &expected.in_order {
        ensure!(all == *entries, "entries {all:?} instead of {entries:?}, in this order");
    }
    ensure!(expected.total.is_none() || page.total == expected.total, "total {:?}", page.total);
    Ok(())
}

/// The same request about what never was.
fn without(request: &Asked, names: &BTreeMap<String, String>) -> Result<Asked> {
    let body = request.body.as_ref().map(|body| serde_json::from_str(&replaced(&body.to_string(), names)));
    Ok(Asked { path: replaced(&request.path, names), body: body.transpose()?, ..request.clone() })
}

fn replaced(text: &str, names: &BTreeMap<String, String>) -> String {
    names.iter().fold(text.to_owned(), |text, (hidden, absent)| text.replace(hidden, absent))
}

async fn ask(caller: &Fhir, request: &Asked) -> Result<Answer> {
    let mut sending = caller.request(Method::from_bytes(request.method.as_bytes())?, &request.path);
    // They take the place of what the client would send by itself.
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        headers.insert(HeaderName::from_bytes(name.as_bytes())?, value.parse()?);
    }
    sending = sending.headers(headers);
    if let Some(body) = &request.body {
        sending = sending.body(body.as_str().map_or_else(|| body.to_string(), str::to_owned));
    }
    Fhir::send(sending).await
}
