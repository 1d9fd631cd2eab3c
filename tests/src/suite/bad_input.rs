//! Bad input: tokens and requests. Each is answered by name, forwarded never, and recorded where the caller is known.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

use super::faulty::Faulty;
use super::told::{self, Caller, OPEN, Refusal, refusal, refused};
use crate::demo::cast::Role;
use crate::harness::clock;
use crate::harness::fhir::{self, Fhir};
use crate::harness::gateway::Gateway;
use crate::harness::issuer::{Algorithm, Issuer, Keys, with_defaults};
use crate::harness::stack::Stack;

/// A value that stands in queries and bodies of these tests, and in no log.
const MARKER: &str = "zq7391marker";

/// A second gateway whose upstream tells what reached it.
async fn watched(stack: &Stack, name: &str, more: &Value) -> Result<(Gateway, Faulty)> {
    let upstream = Faulty::start(stack.upstream.base()).await?;
    let gateway = Gateway::start(told::second(stack, name, &upstream.base, more)?).await?;
    upstream.seen();
    Ok((gateway, upstream))
}

/// Nothing was asked of the upstream but what the gateway asks by itself.
fn nothing_forwarded(upstream: &Faulty) -> Result<()> {
    let own = |line: &String| {
        matches!(line.as_str(), "GET metadata" | "GET Consent?_count=0&_summary=count")
            || line.starts_with("GET Consent/_history?")
    };
    let forwarded: Vec<String> = upstream.seen().into_iter().filter(|line| !own(line)).collect();
    ensure!(forwarded.is_empty(), "forwarded: {forwarded:?}");
    Ok(())
}

/// No token and every kind of bad one: refused for its own reason, told how to do better, counted and not forwarded.
pub(super) async fn tokens_are_refused_for_their_reason(stack: &mut Stack) -> Result<()> {
    let (mut gateway, upstream) = watched(stack, "bad-tokens", &json!({})).await?;
    let anonymous = Fhir::at(&gateway.url)?;
    for (what, header, expected) in credentials(&stack.issuer)? {
        let headers: Vec<(&str, &str)> = header.iter().map(|value| ("authorization", value.as_str())).collect();
        // Twice: what was refused once is not remembered as good.
        for _ in 0..2 {
            let answer = told::with_headers(&anonymous, Method::GET, OPEN, &headers).await?;
            refused(&gateway, &answer, expected, Caller::Unknown).await.with_context(|| what.clone())?;
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            let plain = expected.rule == "header-malformed";
            ensure!(plain || challenge.starts_with("Bearer realm="), "{what}: challenge `{challenge}`");
        }
    }
    nothing_forwarded(&upstream)?;
    let good = stack.issuer.token(&Role::Doctor.claims())?;
    told::serves(&gateway.fhir(&good)?).await.context("the token that the bad ones are made from")?;
    for algorithm in Algorithm::ALL {
        let token = stack.issuer.token_by(algorithm, &Role::Doctor.claims())?;
        told::serves(&gateway.fhir(token)?).await.with_context(|| format!("{algorithm:?}"))?;
    }
    let log = gateway.process()?.output()?;
    let (signed, signature) = good.rsplit_once('.').context("a token")?;
    let (_, claims) = signed.split_once('.').context("a token")?;
    let beginning: String = claims.chars().take(40).collect();
    told::silent("the log", &log, &[signature, &beginning, "okafor", "alder", "mallory"])?;
    gateway.stop().await
}

type Credential = (String, Vec<String>, Refusal);

fn credentials(issuer: &Issuer) -> Result<Vec<Credential>> {
    let now = clock::unix_seconds();
    let claims = |more: &Value| -> Value {
        let mut claims = Role::Doctor.claims();
        if let (Some(claims), Some(more)) = (claims.as_object_mut(), more.as_object()) {
            claims.extend(more.clone());
        }
        claims
    };
    let whole =
        with_defaults(&issuer.url, &issuer.audience, std::time::Duration::from_secs(3600), &Role::Doctor.claims());
    let claim = |name: &str, value: Value| issuer.token(&claims(&json!({ name: value })));
    let good = issuer.token(&Role::Doctor.claims())?;
    let (signed, signature) = good.rsplit_once('.').context("a token")?;
    let (header, payload) = signed.split_once('.').context("a token")?;
    let part = |value: &Value| -> Result<String> { Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(value)?)) };
    let mut other = whole.clone();
    if let Some(other) = other.as_object_mut() {
        other.insert("sub".to_owned(), json!("mallory"));
    }
    let strangers = Keys::generate(1)?;
    let raw = |header: Value| Issuer::raw(&header, &whole, b"no signature at all");
    let cut: String = good.chars().take(good.len().saturating_sub(9)).collect();
    let short: String = good.chars().take(header.len() + 30).collect();
    let rows: Vec<(&str, String, &'static str)> = vec![
        ("expired", claim("exp", json!(now - 3600))?, "token-expired"),
        ("no exp", claim("exp", Value::Null)?, "token-claim"),
        ("exp as text", claim("exp", json!("never"))?, "token-claim"),
        ("nbf to come", claim("nbf", json!(now + 3600))?, "token-not-yet"),
        ("wrong audience", claim("aud", json!("https://other.example/fhir"))?, "token-audience"),
        ("wrong audiences", claim("aud", json!(["https://other.example", "x"]))?, "token-audience"),
        ("no audience", claim("aud", Value::Null)?, "token-audience"),
        ("wrong issuer", claim("iss", json!("https://evil.example"))?, "token-issuer"),
        ("issuer with a slash more", claim("iss", json!(format!("{}/", issuer.url)))?, "token-issuer"),
        ("no issuer", claim("iss", Value::Null)?, "token-issuer"),
        ("no subject", claim("sub", Value::Null)?, "token-claim"),
        ("bound to a key", claim("cnf", json!({"jkt": "x"}))?, "token-bound"),
        ("unknown key", Keys::generate(77)?.sign(Algorithm::RS256, &whole)?, "token-unknown-key"),
        ("a stranger's key under a known id", strangers.sign(Algorithm::RS256, &whole)?, "token-signature"),
        ("a stranger's EC key under a known id", strangers.sign(Algorithm::ES256, &whole)?, "token-signature"),
        ("alg none", Issuer::raw(&json!({"alg": "none"}), &whole, b"")?, "token-algorithm"),
        ("alg none with our key id", raw(json!({"alg": "none", "kid": "rs256-1"}))?, "token-algorithm"),
        ("alg nOnE", raw(json!({"alg": "nOnE", "kid": "rs256-1"}))?, "token-algorithm"),
        ("no alg", raw(json!({"kid": "rs256-1"}))?, "token-malformed"),
        ("brings its own key", raw(json!({"alg": "RS256", "jku": "https://evil.example/jwks"}))?, "token-signature"),
        ("critical header", raw(json!({"alg": "RS256", "kid": "rs256-1", "crit": ["b64"]}))?, "token-header"),
        ("another kind of token", raw(json!({"alg": "RS256", "kid": "rs256-1", "typ": "logout+jwt"}))?, "token-header"),
        ("other claims under the signature", format!("{header}.{}.{signature}", part(&other)?), "token-signature"),
        ("no signature", format!("{signed}."), "token-signature"),
        ("signature cut", cut, "token-signature"),
        ("cut in the claims", short, "token-malformed"),
        ("two parts", format!("{header}.{payload}"), "token-malformed"),
        ("no token at all", "x".to_owned(), "token-malformed"),
        ("far too long", format!("{signed}.{}", "A".repeat(20 << 10)), "token-too-long"),
    ];
    let mut all: Vec<Credential> = rows
        .into_iter()
        .map(|(what, token, rule)| (what.to_owned(), vec![format!("Bearer {token}")], refusal(401, rule)))
        .collect();
    for (form, secret) in public_forms(issuer)? {
        let mut mac = Header::new(jsonwebtoken::Algorithm::HS256);
        mac.kid = Some("rs256-1".to_owned());
        let token = jsonwebtoken::encode(&mac, &whole, &EncodingKey::from_secret(&secret))?;
        all.push((format!("HS256 under {form}"), vec![format!("Bearer {token}")], refusal(401, "token-algorithm")));
    }
    all.push(("nothing".to_owned(), Vec::new(), refusal(401, "no-token")));
    for header in ["Bearer", "Basic YWxpY2U6cGFzcw==", "Bearer a b"] {
        all.push((header.to_owned(), vec![header.to_owned()], refusal(400, "not-bearer")));
    }
    let twice = vec![format!("Bearer {good}"), format!("Bearer {good}")];
    all.push(("the header twice".to_owned(), twice, refusal(400, "header-malformed")));
    Ok(all)
}

/// The forms of the RSA public key that a confused verifier may take for a MAC's secret.
fn public_forms(issuer: &Issuer) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let set = issuer.keys().public()?;
    let keys = set.get("keys").and_then(Value::as_array).context("no keys")?;
    let key = keys.iter().find(|key| key.get("kid") == Some(&json!("rs256-1"))).context("no RSA key")?;
    let number = |name: &str| -> Result<Vec<u8>> {
        let text = key.get(name).and_then(Value::as_str).context("no number")?;
        Ok(URL_SAFE_NO_PAD.decode(text)?)
    };
    let (modulus, exponent) = (number("n")?, number("e")?);
    // RFC 5280, 4.1 and RFC 8017, A.1.1: SubjectPublicKeyInfo over RSAPublicKey, in DER.
    let key_der = der(0x30, &[der(0x02, &positive(&modulus)), der(0x02, &positive(&exponent))].concat());
    let algorithm: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    let info = der(0x30, &[algorithm, &der(0x03, &[&[0], key_der.as_slice()].concat())].concat());
    let mut lines = String::new();
    for (at, character) in STANDARD.encode(&info).chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            lines.push('\n');
        }
        lines.push(character);
    }
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n");
    Ok(vec![
        ("the PEM of the public key", pem.clone().into_bytes()),
        ("that PEM without its last line end", pem.trim_end().as_bytes().to_vec()),
        ("its DER", info),
        ("its modulus", modulus),
        ("its JWK", serde_json::to_vec(key)?),
        ("nothing", Vec::new()),
    ])
}

fn positive(number: &[u8]) -> Vec<u8> {
    let high = number.first().is_some_and(|first| first & 0x80 != 0);
    if high { [&[0], number].concat() } else { number.to_vec() }
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let [_, _, _, _, _, _, high, low] = (content.len() as u64).to_be_bytes();
    let mut bytes = vec![tag];
    match content.len() {
        0..=127 => bytes.push(low),
        128..=255 => bytes.extend_from_slice(&[0x81, low]),
        _ => bytes.extend_from_slice(&[0x82, high, low]),
    }
    bytes.extend_from_slice(content);
    bytes
}

/// Requests that are no FHIR, or ask for what cannot be filtered: refused by name, recorded, not forwarded.
pub(super) async fn requests_are_refused_by_name(stack: &mut Stack) -> Result<()> {
    let (mut gateway, upstream) = watched(stack, "bad-requests", &json!({})).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let trace = Method::from_bytes(b"BREW")?;
    type Row<'a> = (Method, &'a str, &'a [(&'a str, &'a str)], u16, &'static str);
    let rows: &[Row<'_>] = &[
        (trace, OPEN, &[], 405, "method-unknown"),
        (Method::GET, "Starship/1", &[], 404, "resource-type-unknown"),
        (Method::GET, "patient/alder", &[], 404, "resource-type-unknown"),
        (Method::GET, "Patient/alder/zq7391marker", &[], 404, "resource-type-unknown"),
        (Method::POST, "Patient/alder/_history/1", &[], 404, "interaction-unknown"),
        (Method::DELETE, "Patient/alder/_history/1", &[], 404, "interaction-unknown"),
        (Method::GET, "Patient/alder/$zq7391marker", &[], 404, "operation-unknown"),
        (Method::GET, "Patient/al_der", &[], 400, "id-malformed"),
        (Method::GET, "Patient//alder", &[], 400, "path-segment"),
        (Method::GET, "Patient/%61lder", &[], 400, "path-encoded"),
        (Method::GET, "Patient/alder%2f..%2fcedar", &[], 400, "path-encoded"),
        (Method::GET, "Observation/alder-bp?_format=xml", &[], 406, "format-not-served"),
        (Method::GET, "Observation?_format=application/fhir%2Bxml", &[], 406, "format-not-served"),
        (Method::GET, "Observation?_format=json&_format=xml", &[], 406, "format-not-served"),
        (Method::GET, "Observation?_format=html/json", &[], 406, "format-not-served"),
        (Method::POST, OPEN, &[("x-http-method-override", "DELETE")], 400, "method-override"),
        (Method::GET, OPEN, &[("x-http-method", "PUT")], 400, "method-override"),
        (Method::GET, OPEN, &[("x-method-override", "GET")], 400, "method-override"),
        (Method::GET, "Observation?_method=DELETE&patient=alder", &[], 400, "method-override"),
        (Method::GET, OPEN, &[("prefer", "handling=strict"), ("prefer", "handling=lenient")], 400, "header-malformed"),
        (Method::GET, OPEN, &[("accept", "application/json")], 400, "header-malformed"),
        (Method::GET, OPEN, &[("if-none-match", "W/\"1\""), ("if-none-match", "*")], 400, "header-malformed"),
        (Method::GET, OPEN, &[("prefer", "respond-async")], 400, "respond-async"),
        (Method::GET, OPEN, &[("prefer", "return=minimal, return=representation")], 400, "prefer-malformed"),
        (Method::GET, "Observation?patient=alder&code=%ff", &[], 400, "query-encoding"),
        (Method::GET, "Observation?patient=alder&code=%00", &[], 400, "query-encoding"),
        (Method::GET, "Observation?patient=alder&code=%zz", &[], 400, "query-encoding"),
        (Method::GET, "Observation?patient", &[], 400, "parameter-malformed"),
        (Method::GET, "Observation?patient=", &[], 400, "parameter-malformed"),
        (Method::GET, "Observation?pat%20ient=zq7391marker", &[], 400, "parameter-name"),
        (Method::GET, "Observation?focus.name=zq7391marker", &[], 400, "parameter-refused"),
        (Method::GET, "Observation?subject.zq7391marker=x", &[], 400, "parameter-unknown"),
        (Method::GET, "Observation?patient%2Enope=zq7391marker", &[], 400, "parameter-unknown"),
        (Method::GET, "Patient?_has:Condition:patient:nope=zq7391marker", &[], 400, "parameter-unknown"),
        (Method::GET, "Patient?_has:Condition:patient=zq7391marker", &[], 400, "parameter-malformed"),
        (Method::GET, "Patient?_filter=name%20co%20zq7391marker", &[], 400, "parameter-refused"),
        (Method::GET, "Patient?_elements=zq7391marker;x", &[], 400, "value-refused"),
        (Method::GET, "Patient/alder?_elements=id&_summary=true", &[], 400, "value-refused"),
        (Method::GET, "Patient/alder?_summary=count", &[], 400, "value-refused"),
        (Method::GET, "Patient?_summary=zq7391marker", &[], 400, "value-refused"),
        (Method::GET, "Patient?_summary=count", &[], 403, "total-of-many-patients"),
        (
            Method::GET,
            "Observation?patient=alder&_summary=text&_include=Observation:subject",
            &[],
            400,
            "value-refused",
        ),
        (Method::GET, "Patient/alder?_format=ttl&_elements=id", &[], 406, "format-not-served"),
        (Method::GET, "Patient/alder?_format=application/fhir%2Bjson;charset=utf-16", &[], 406, "format-not-served"),
        (Method::GET, "Observation?code:in=zq7391marker", &[], 400, "parameter-refused"),
        (Method::GET, "Observation?code:zq7391marker=x", &[], 400, "modifier-unknown"),
        (Method::GET, "Observation?patient=alder&_count=many", &[], 400, "value-refused"),
        (Method::GET, "Observation?patient=alder&_count=-1", &[], 400, "value-refused"),
        (Method::GET, "Observation?_include=zq7391marker", &[], 400, "value-refused"),
        (Method::GET, "Observation?_cursor=zq7391marker", &[], 410, "cursor-stale"),
        (Method::DELETE, "Observation", &[], 400, "criteria-missing"),
        (Method::DELETE, "Observation/alder-bp?zq7391marker=1", &[], 400, "parameter-unknown"),
    ];
    for (method, path, headers, status, rule) in rows {
        let answer = told::with_headers(&doctor, method.clone(), path, headers).await?;
        let expected = refusal(*status, rule);
        refused(&gateway, &answer, expected, Caller::Known).await.with_context(|| format!("{method} {path}"))?;
        told::silent("the answer", &String::from_utf8_lossy(&answer.body), &[MARKER])?;
    }
    let accept = doctor.request(Method::GET, OPEN).build()?;
    ensure!(accept.headers().contains_key("accept"), "the row with two accepts stands on this");
    let formats = [
        "application/fhir+xml",
        "text/turtle",
        "application/fhir+json;charset=iso-8859-1",
        "application/fhir+json;fhirVersion=3.0",
        "application/fhir+json;q=0, application/fhir+xml",
    ];
    for accept in formats {
        let token = stack.issuer.token(&Role::Doctor.claims())?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let request = client.get(format!("{}/{OPEN}", gateway.url)).bearer_auth(token).header("accept", accept);
        let answer = Fhir::send(request).await?;
        refused(&gateway, &answer, refusal(406, "format-not-served"), Caller::Known).await.context(accept)?;
    }
    let long = format!("Observation?patient=alder&code={}", "a".repeat(9 << 10));
    refused(&gateway, &doctor.get(&long).await?, refusal(400, "value-too-long"), Caller::Known).await?;
    let many = format!("Observation?patient=alder{}", "&code=a".repeat(40));
    refused(&gateway, &doctor.get(&many).await?, refusal(400, "parameter-repeated"), Caller::Known).await?;
    let widened = told::with_headers(&doctor, Method::GET, OPEN, &[("x-purpose-of-use", "HRESCH")]).await?;
    refused(&gateway, &widened, refusal(400, "purpose-widened"), Caller::Unknown).await?;
    nothing_forwarded(&upstream)?;
    told::silent("the log", &gateway.process()?.output()?, &[MARKER, "alder"])?;
    gateway.stop().await
}

/// Headers and queries over their limits are refused by name, those within them and our own paging links are not.
pub(super) async fn heads_and_queries_are_limited(stack: &mut Stack) -> Result<()> {
    let limits = json!({"server": {"limits": {"header": "4 KiB", "query": "1 KiB"}}});
    let (mut gateway, upstream) = watched(stack, "limits", &limits).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let filler = |length: usize| MARKER.repeat(length / MARKER.len());
    for path in [OPEN, "metadata", "Observation?patient=alder"] {
        let large = told::with_headers(&doctor, Method::GET, path, &[("x-filler", &filler(5 << 10))]).await?;
        refused(&gateway, &large, refusal(431, "header-too-large"), Caller::Unknown).await.context(path)?;
    }
    let (one, other) = (filler(2 << 10), filler(3 << 10));
    let several = [("x-one", one.as_str()), ("x-other", other.as_str())];
    let several = told::with_headers(&doctor, Method::GET, OPEN, &several).await?;
    refused(&gateway, &several, refusal(431, "header-too-large"), Caller::Unknown).await.context("two headers")?;
    let long = format!("Observation?patient=alder&code={}", filler(2 << 10));
    refused(&gateway, &doctor.get(&long).await?, refusal(414, "query-too-long"), Caller::Known).await?;
    for cursor in [format!("_cursor={}&a=b", filler(2 << 10)), format!("_cursor={}", filler(9 << 10))] {
        let answer = doctor.get(&format!("Observation?{cursor}")).await?;
        refused(&gateway, &answer, refusal(414, "query-too-long"), Caller::Known).await.context("no link of ours")?;
    }
    nothing_forwarded(&upstream)?;

    let within = told::with_headers(&doctor, Method::GET, OPEN, &[("x-filler", &one)]).await?;
    ensure!(within.status == 200, "within the limit: {}", within.status);
    let more = ",nothing-of-this-name".repeat(30);
    let query = format!("Observation?patient=Patient/alder&_count=1&_id=alder-bp,alder-weight{more}");
    let first = doctor.read(&query).await?;
    let next = fhir::link(&first, "next").context("no next link")?;
    ensure!(next.len() > 1 << 10, "the link of {} bytes is within the limit anyway", next.len());
    ensure!(doctor.get(next).await?.status == 200, "our own paging link is not taken");

    // More than the HTTP layer reads: the connection may end before all of it is sent, so it is nobody else's.
    let alone = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    if let Ok(answer) = told::with_headers(&alone, Method::GET, OPEN, &[("x-filler", &filler(200 << 10))]).await {
        ensure!(answer.status == 431 && answer.body.is_empty(), "a head of 200 KiB: {}", answer.status);
    }
    told::serves(&doctor).await?;
    told::silent("the log", &gateway.process()?.output()?, &[MARKER, "alder"])?;
    gateway.stop().await
}

/// Every FHIR interaction that is not served yet is refused by its name, and reaches nobody.
pub(super) async fn unserved_interactions_are_refused_by_name(stack: &mut Stack) -> Result<()> {
    let (mut gateway, upstream) = watched(stack, "unserved", &json!({})).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let patient = json!({"resourceType": "Patient", "id": "alder"});
    let rows = [
        (Method::GET, "?_type=Patient", "search-system"),
        (Method::POST, "_search", "search-system"),
        (Method::PATCH, "Patient/alder", "FHIRPath Patch"),
        (Method::PATCH, "Patient?identifier=zq7391marker", "FHIRPath Patch"),
        (Method::GET, "Encounter/alder-visit-1/Observation", "search-compartment"),
        (Method::GET, "Practitioner/okafor/*", "search-compartment"),
        (Method::POST, "Device/alder/Observation/_search", "search-compartment"),
        (Method::GET, "Patient/$everything", "$everything"),
        (Method::GET, "Encounter/alder-visit-1/$everything", "$everything"),
        (Method::POST, "Group/alder/$everything", "$everything"),
        (Method::GET, "DocumentReference/$docref", "$docref"),
        (Method::GET, "Composition/alder/$document", "$document"),
        (Method::GET, "$export", "$export"),
        (Method::GET, "Patient/$export", "$export"),
        (Method::GET, "$graphql", "$graphql"),
        (Method::GET, "Observation/$lastn", "$lastn"),
        (Method::POST, "Patient/$match", "$match"),
        (Method::GET, "Patient/$meta", "$meta"),
        (Method::GET, "$meta", "$meta"),
        (Method::GET, "Patient/alder/_history/1/$meta", "$meta"),
        (Method::POST, "Patient/alder/$meta-add", "$meta-add"),
        (Method::POST, "Patient/alder/_history/1/$expunge", "$expunge"),
        (Method::POST, "$expunge", "$expunge"),
        (Method::POST, "$reindex", "$reindex"),
        (Method::POST, "$process-message", "$process-message"),
        (Method::POST, "$validate", "$validate"),
        (Method::GET, "ValueSet/$lookup", "$lookup"),
        (Method::POST, "Patient/$expand", "$expand"),
    ];
    let check = async |answer: fhir::Answer, name: &str| -> Result<()> {
        refused(&gateway, &answer, refusal(501, "not-served"), Caller::Known).await?;
        let outcome = answer.json()?;
        let text = outcome.pointer("/issue/0/details/text").and_then(Value::as_str).unwrap_or_default();
        ensure!(text.to_lowercase().contains(&name.to_lowercase()), "`{text}` does not name {name}");
        ensure!(outcome.pointer("/issue/0/code") == Some(&json!("not-supported")), "{outcome}");
        Ok(())
    };
    for (method, path, name) in rows {
        let bare = method == Method::GET || method == Method::DELETE || path.ends_with("_search");
        let answer = match bare {
            true => told::with_headers(&doctor, method.clone(), path, &[]).await?,
            false => doctor.write(method.clone(), path, &patient).await?,
        };
        check(answer, name).await.with_context(|| format!("{method} {path}"))?;
    }
    nothing_forwarded(&upstream)?;
    told::silent("the log", &gateway.process()?.output()?, &[MARKER, "alder"])?;
    gateway.stop().await
}

/// An unknown parameter is left out and stands in no self link; who asks for strict handling is refused.
pub(super) async fn unknown_parameters_are_dropped_or_refused(stack: &mut Stack) -> Result<()> {
    let (mut gateway, upstream) = watched(stack, "unknown-parameters", &json!({})).await?;
    let doctor = gateway.fhir(stack.issuer.token(&Role::Doctor.claims())?)?;
    let plain = doctor.read("Condition?patient=Patient/alder").await?;
    for name in ["zq7391marker", "_zq7391marker", "_sort", "_include"] {
        let value = if name == "_include" { "Condition:zq7391marker" } else { "zq7391marker" };
        let query = format!("Condition?patient=Patient/alder&{name}={value}");
        upstream.seen();
        let lenient = doctor.read(&query).await?;
        let link = fhir::link(&lenient, "self").context("no self link")?;
        ensure!(!link.contains(MARKER), "{name} stands in the self link {link}");
        ensure!(link.contains("patient="), "the known parameter is missing in {link}");
        ensure!(lenient.get("total") == plain.get("total"), "{name} changes what is found");
        let forwarded = upstream.seen();
        ensure!(!forwarded.iter().any(|line| line.contains(MARKER)), "{name} was forwarded: {forwarded:?}");
        ensure!(forwarded.iter().any(|line| line.starts_with("GET Condition?")), "nothing was forwarded");
        let strict = told::with_headers(&doctor, Method::GET, &query, &[("prefer", "handling=strict")]).await?;
        refused(&gateway, &strict, refusal(400, "parameter-unknown"), Caller::Known).await.context(name)?;
    }
    told::silent("the log", &gateway.process()?.output()?, &[MARKER, "alder"])?;
    gateway.stop().await
}

/// A `patient/` scope of a token that names no patient opens nothing; one that names a patient opens no other's record.
pub(super) async fn patient_scopes_need_their_patient(stack: &mut Stack) -> Result<()> {
    let (mut gateway, upstream) = watched(stack, "no-launch", &json!({})).await?;
    let scoped = |scope: Value| -> Result<String> {
        let mut claims = Role::Doctor.claims();
        claims.as_object_mut().context("claims")?.insert("scope".to_owned(), scope);
        stack.issuer.token(&claims)
    };
    let nobody = gateway.fhir(scoped(json!("openid patient/*.cruds"))?)?;
    let absent = refusal(403, "scope-patient-absent");
    for path in [OPEN, "Patient/alder", "Condition?patient=Patient/alder", "Organization/northfield"] {
        refused(&gateway, &nobody.get(path).await?, absent, Caller::Known).await.context(path)?;
    }
    let body = json!({"resourceType": "Observation", "id": "alder-bp"});
    let written = nobody.write(Method::PUT, OPEN, &body).await?;
    refused(&gateway, &written, absent, Caller::Known).await.context("PUT")?;
    let none = gateway.fhir(scoped(Value::Null)?)?;
    refused(&gateway, &none.get(OPEN).await?, refusal(403, "scope-missing"), Caller::Known)
        .await
        .context("no scope")?;
    nothing_forwarded(&upstream)?;
    let patient = gateway.fhir(stack.issuer.token(&Role::Patient.claims())?)?;
    patient.read(OPEN).await.context("her own")?;
    let other = patient.get("Observation/birch-bp").await?;
    refused(&gateway, &other, refusal(404, "not-found"), Caller::Known).await.context("another's")?;
    gateway.stop().await
}
