//! The engine against the oracle on generated cases, and on each fault that a Consent can have.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::thread;

use oracle::compare::{both, difference};
use oracle::evaluator::Effect;
use oracle::generate;
use oracle::generate::fault::{FAULTS, spoil_with};
use oracle::generate::random::Random;
use oracle::shrink::shrink;
use serde_json::{Value, json};

/// The part of the long run (`cargo oracle`) that every build repeats.
const CASES: u64 = 20_000;
const SEED: u64 = 4;

#[test]
fn engine_and_oracle_agree_on_generated_cases() {
    const THREADS: u64 = 2;
    let permits = thread::scope(|scope| {
        let share = |thread: u64| {
            let asked = (thread..CASES).step_by(usize::try_from(THREADS).unwrap());
            asked.map(|number| answer(&generate::case(SEED, number), number)).filter(|a| *a == Effect::Permit).count()
        };
        let workers: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || share(thread))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>()
    });
    let share = permits * 100 / usize::try_from(CASES).unwrap();
    assert!((30..=70).contains(&share), "{share} % of the answers are permits");
}

fn answer(case: &Value, number: u64) -> Effect {
    match both(case).unwrap() {
        Ok(effect) => effect,
        Err(_) => {
            let small = shrink(case, &|smaller| difference(smaller).is_some());
            panic!("case {number} of seed {SEED}: {:?} on {small:#}", difference(&small));
        }
    }
}

fn permitted() -> Value {
    json!({
        "consents": {"Patient/p1": [{
            "resourceType": "Consent", "id": "c", "status": "active", "dateTime": "2026-01-01",
            "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "patient": {"reference": "Patient/p1"},
            "provision": {"type": "permit", "provision": [{"type": "permit"}]},
        }]},
        "purpose": ["TREAT"],
        "resource": {"resourceType": "Observation", "id": "a", "subject": {"reference": "Patient/p1"}},
    })
}

#[test]
fn every_fault_makes_a_consent_not_understood() {
    assert_eq!(answer(&permitted(), 0), Effect::Permit);
    for fault in FAULTS {
        for number in 0..20 {
            let mut case = permitted();
            let consent = case.pointer_mut("/consents/Patient~1p1/0").unwrap();
            spoil_with(&mut Random::of(SEED, number), fault, consent);
            assert_eq!(answer(&case, number), Effect::Deny, "{fault}: {case:#}");
            // As if it were not recorded.
            case["settings"] = json!({"not_understood": "ignore", "no_consent": "all-normal"});
            assert_eq!(answer(&case, number), Effect::Permit, "{fault}: {case:#}");
        }
    }
}

#[test]
fn a_difference_is_made_small() {
    let case = generate::case(SEED, 1);
    let small = shrink(&case, &|smaller| smaller.pointer("/resource/resourceType").is_some());
    let kind = case.pointer("/resource/resourceType").unwrap();
    assert_eq!(small, json!({"resource": {"resourceType": kind}}));
}
