//! Rows 6 and 7: what is done for every resource and every request, without any I/O: the consent decision and the token's check.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use fhir_gateway::auth::{Authenticator, ClientTable, key_client};
use fhir_gateway::config::Config;
use gateway_core::caller::Caller;
use gateway_core::consent::{Effect, r4};
use gateway_core::decide::{Action, ConsentFacts, PatientConsents, Session};
use gateway_core::facts::ResourceFacts;
use gateway_core::json::Doc;
use gateway_core::labels::LabelSets;
use gateway_core::owner::PatientId;
use gateway_core::policy::{ConsentSettings, Policy, PolicyRoles};
use gateway_core::reference::{BaseUrl, Bases};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::line::{Beside, Line, Measured};
use super::samples::{Quantity, Unit, Waits};
use super::{Bench, cost, data};
use crate::harness::clock;
use crate::harness::issuer::{Algorithm, Issuer, Keys};

/// Decisions between two looks at the clock.
const BATCH: u32 = 1_000;

/// Row 6: a Consent of ten provisions asked about an Observation, its labels worked out each time.
pub async fn decisions(bench: &Bench) -> Measured {
    let (rounds, time) = (bench.rounds(), bench.time(3));
    let measured = tokio::task::spawn_blocking(move || Consented::new()?.measured(rounds, time)).await?;
    let (rate, mut waits) = measured?;
    let rate = Quantity::of(Unit::PerSecond, &rate).context("nothing was measured")?;
    let p99 = Quantity::of(Unit::Seconds, &[waits.quantile(0.99)]).context("nothing was measured")?;
    let note = "Row 6: one thread's CPU time; a root and nine provisions below it (actor, purpose, label, class, code, period, data period), \
                an Observation of 2 KB with four codes, labelling by the shipped sets; every decision gives its reasons. p99 of single \
                decisions by the clock.";
    Ok(vec![
        Line::new(6, "consent decisions on one core, 10 provisions", rate)
            .goal("≥ 1,000,000/s", rate.median >= 1e6)
            .note(note),
        Line::new(6, "one of them, p99", p99).goal("≤ 5 µs", p99.median <= 5e-6).note(note),
    ])
}

/// What a decision is made from.
struct Consented {
    caller: Caller,
    facts: ConsentFacts,
    policy: Policy,
    resource: ResourceFacts,
    now: OffsetDateTime,
}

impl Consented {
    fn new() -> Result<Self> {
        let patient = PatientId::parse(data::PATIENT).map_err(|_| anyhow!("the patient's id is none"))?;
        let consent =
            r4::read(&consent()).map_err(|unusable| anyhow!("the measured Consent is not understood: {unusable}"))?;
        let recorded = PatientConsents::Recorded(Arc::from([Ok(consent)]));
        let facts = ConsentFacts { patients: BTreeMap::from([(patient, recorded)]), ..ConsentFacts::default() };
        let base = BaseUrl::parse("https://gateway.example/fhir")?;
        let bases = Bases { public: base.clone(), upstream: base };
        let text = serde_json::to_vec(&data::observation(1, 2_048, false))?;
        let doc = Doc::parse(&text)?;
        let resource = ResourceFacts::of(doc.root(), &bases)?;
        let policy = Policy::new(ConsentSettings::default(), Vec::new(), LabelSets::default(), PolicyRoles::default())?;
        Ok(Self { caller: data::doctor(), facts, policy, resource, now: clock::now() })
    }

    fn measured(&self, rounds: usize, time: Duration) -> Result<(Vec<f64>, Waits)> {
        let session = Session::open(&self.caller, &self.facts, &self.policy, self.now);
        let decision = session.decide(Action::Read, &self.resource);
        ensure!(decision.effect() == Effect::Permit, "the measured question is refused: {:?}", decision.reasons());
        let (mut rates, mut waits) = (Vec::new(), Waits::default());
        for _ in 0..rounds {
            let (begun, cpu, mut decided) = (Instant::now(), cost::thread_seconds()?, 0_u32);
            while begun.elapsed() < time {
                for _ in 0..BATCH {
                    black_box(session.decide(Action::Read, black_box(&self.resource)));
                }
                decided += BATCH;
            }
            rates.push(f64::from(decided) / (cost::thread_seconds()? - cpu));
            for _ in 0..20 * BATCH {
                let begun = Instant::now();
                black_box(session.decide(Action::Read, black_box(&self.resource)));
                waits.push(begun.elapsed());
            }
        }
        Ok((rates, waits))
    }
}

/// A permit for the hospital's treatment, and nine exceptions that have to be looked at.
fn consent() -> Value {
    let act = |code: &str| json!({"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code});
    let actor = |reference: &str| {
        json!([{
            "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
            "reference": {"reference": reference},
        }])
    };
    let exceptions = json!([
        {"type": "deny", "securityLabel": [act("HIV"), act("PSY")]},
        {"type": "deny", "securityLabel": [act("SUD")], "purpose": [{"system": data::PURPOSES, "code": "HRESCH"}]},
        {"type": "deny", "actor": actor("Practitioner/neighbour")},
        {"type": "deny", "actor": actor("Organization/insurer")},
        {"type": "deny", "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "DocumentReference"}]},
        {"type": "deny", "code": [{"coding": [{"system": "http://loinc.org", "code": "55277-8"}]}]},
        {"type": "deny", "period": {"start": "2020-01-01", "end": "2020-12-31"}},
        {"type": "deny", "dataPeriod": {"start": "1990-01-01", "end": "1999-12-31"}},
        {"type": "deny", "data": [{"meaning": "instance", "reference": {"reference": "Observation/another"}}]},
    ]);
    json!({
        "resourceType": "Consent",
        "id": "measured-ten",
        "meta": {"versionId": "1"},
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": format!("Patient/{}", data::PATIENT)},
        "dateTime": "2024-05-12T09:00:00Z",
        "policyRule": {"coding": [act("OPTIN")]},
        "provision": {
            "type": "permit",
            "actor": actor("Organization/northfield"),
            "purpose": [{"system": data::PURPOSES, "code": "TREAT"}],
            "provision": exceptions,
        },
    })
}

/// Row 7: a token that was seen before, beside the verification of its signature each time.
pub async fn tokens(bench: &Bench) -> Measured {
    let issuer = Issuer::start(Keys::generate(1)?, 0, "https://gateway.example/fhir").await?;
    let token = issuer.token_by(Algorithm::ES256, &data::doctor_claims())?;
    let config = configuration(&issuer)?;
    let authenticator = Authenticator::new(&config.auth, key_client()?);
    authenticator.warm().await;
    let clients = ClientTable::new(config.auth.clients.clone());
    let header = format!("Bearer {token}");
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(issuer.keys().public()?)?;
    let kid = jsonwebtoken::decode_header(&token)?.kid.context("a token without kid")?;
    let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(&kid).context("a key set without the key")?)?;
    let mut checks = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    checks.set_audience(&[&issuer.audience]);

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds() {
        let (begun, mut checked) = (Instant::now(), 0_u32);
        while begun.elapsed() < bench.time(2) {
            for _ in 0..BATCH {
                black_box(authenticator.authenticate(&clients, Some(&header), None, clock::now()).await?);
            }
            checked += BATCH;
        }
        ours.push(begun.elapsed().as_secs_f64() / f64::from(checked));
        let (begun, mut checked) = (Instant::now(), 0_u32);
        while begun.elapsed() < bench.time(2) {
            black_box(jsonwebtoken::decode::<Value>(&token, &key, &checks)?);
            checked += 1;
        }
        theirs.push(begun.elapsed().as_secs_f64() / f64::from(checked));
    }
    issuer.stop().await;
    let ours = Quantity::of(Unit::Seconds, &ours).context("nothing was measured")?;
    let theirs = Quantity::of(Unit::Seconds, &theirs).context("nothing was measured")?;
    Ok(vec![
        Line::new(7, "token check, warm", ours)
            .beside(Beside::measured("jsonwebtoken, ES256, verified each time", theirs))
            .goal("≤ 2 µs", ours.median <= 2e-6)
            .note(
                "Row 7: from the header's text to the caller; lifetime and the key's standing are looked at each time.",
            ),
    ])
}

/// The least configuration, with this issuer.
fn configuration(issuer: &Issuer) -> Result<Config> {
    let text = format!(
        "server = {{ listen = '127.0.0.1:8080', public_base = '{audience}/' }}\n\
         upstream = {{ base = 'http://127.0.0.1:8090/fhir' }}\n\
         auth = {{ issuers = [{{ issuer = '{url}', audience = ['{audience}'] }}] }}\n\
         journal = {{ path = 'journal.db', kek_file = 'kek', tenant = 'bench' }}\n\
         sidecar = {{ socket = 'sidecar.sock', log_key = 'log+0123abcd+AAAA' }}\n\
         admin = {{ listen = '127.0.0.1:9090' }}\n",
        audience = issuer.audience,
        url = issuer.url,
    );
    Config::parse(&text, []).map_err(|problems| anyhow!("{problems}"))
}
