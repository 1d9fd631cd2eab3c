//! Where the second policy must differ, where it must not, and that nothing waits for it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::sync::atomic::{AtomicU32, Ordering};

use gateway_core::decide::{PatientConsents, Resolved, Session, rule};
use gateway_core::json::Doc;
use gateway_core::labels::LabelSets;
use gateway_core::owner::PatientId;
use gateway_core::policy::{ConsentSettings, NoConsent, PolicyRoles, RedactionRule};
use gateway_core::scope::Scopes;
use time::macros::datetime;

use super::*;
use crate::telemetry::ShadowResult::{Same, WouldDeny, WouldPermit, WouldRedact};

const NOW: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);

fn policy(no_consent: NoConsent, redacted: &[&str]) -> Arc<Policy> {
    let settings = ConsentSettings { no_consent, ..ConsentSettings::default() };
    let rule = |path: &&str| RedactionRule {
        path: (*path).to_owned(),
        except_purposes: Vec::new(),
        except_roles: Vec::new(),
        except_own_record: false,
    };
    let redactions = redacted.iter().map(rule).collect();
    Arc::new(Policy::new(settings, redactions, LabelSets::default(), PolicyRoles::default()).unwrap())
}

/// A question about an Observation of a patient without a Consent, ruled on by `live`.
fn job(live: &Policy, other: Arc<Policy>) -> Job {
    let doc = Doc::parse(
        br#"{"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"},
            "subject": {"reference": "Patient/p"}}"#,
    );
    let resource = ResourceFacts::of(doc.unwrap().root(), live.bases()).unwrap();
    let patients = [(PatientId::parse("p").unwrap(), PatientConsents::Recorded(Arc::default()))].into();
    let facts = ConsentFacts { patients, ..ConsentFacts::default() };
    let client = Some("app".to_owned());
    let caller = Arc::new(Caller { scopes: Scopes::parse("user/*.cruds"), client, ..Caller::default() });
    let others = Others::default();
    let session = Session::open(&caller, &facts, live, NOW);
    let ruling = rule(Resolved::of(&resource, &others), Action::Read, &others, |a, f| session.decide(a, f));
    let live = vec![Verdict::of(&ruling)];
    let organisation = Arc::new(OrganisationPolicy::load(None).unwrap());
    let questions = vec![(resource, Action::Read)];
    let asked = Asked::Resources { questions, others, facts, reach: None, live };
    Job {
        second: Arc::new(Second { policy: other, organisation }),
        span: tracing::Span::none(),
        caller,
        now: NOW,
        asked,
    }
}

#[test]
fn differences_are_those_of_what_a_caller_gets() {
    let (deny, permit) = (NoConsent::Deny, NoConsent::AllNormal);
    let code = ["Observation.code"];
    let cases = [
        (policy(permit, &[]), policy(permit, &[]), Same, "none"),
        (policy(deny, &[]), policy(deny, &code), Same, "none"),
        (policy(permit, &[]), policy(deny, &[]), WouldDeny, "implicit-deny"),
        (policy(deny, &[]), policy(permit, &[]), WouldPermit, "implicit-all-normal"),
        (policy(permit, &[]), policy(permit, &code), WouldRedact, "redaction-rule"),
        (policy(permit, &[]), policy(permit, &["Patient.name"]), Same, "none"),
        (policy(permit, &code), policy(permit, &[]), WouldRedact, "implicit-all-normal"),
    ];
    for (number, (live, other, expected, by)) in cases.into_iter().enumerate() {
        let compared = compare::compare(&job(&live, other));
        assert_eq!(compared.counts, [((expected, by), 1)].into(), "case {number}");
    }
}

#[test]
fn organisational_policy_is_compared_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("a.cedar"),
        "@id(\"a\") forbid (principal, action == Action::\"read\", resource);",
    )
    .unwrap();
    let forbids = Arc::new(OrganisationPolicy::load(Some(folder.path())).unwrap());
    let permit = policy(NoConsent::AllNormal, &[]);
    let compared = |interaction, passes| {
        let mut job = job(&permit, Arc::clone(&permit));
        job.second = Arc::new(Second { policy: Arc::clone(&permit), organisation: Arc::clone(&forbids) });
        job.asked = Asked::Organisation { interaction, resource_type: Some("Observation".to_owned()), passes };
        compare::compare(&job).counts
    };
    assert_eq!(compared("read", true), [((WouldDeny, "organisation-policy"), 1)].into());
    assert_eq!(compared("read", false), [((Same, "organisation-policy"), 1)].into());
    assert_eq!(compared("search-type", true), [((Same, "organisation-policy"), 1)].into());
}

/// A number of the metrics, by its labels.
fn counted(metrics: &Metrics, result: &str, rule: &str) -> u64 {
    let name = format!("sealgate_shadow_decisions_total{{reason_class=\"{rule}\",result=\"{result}\"}} ");
    let text = metrics.render().unwrap();
    text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
}

#[test]
fn nobody_waits_for_a_shadow_that_is_slow() {
    let metrics = Arc::new(Metrics::new(None).unwrap());
    // Nobody takes what waits: the slowest shadow there is.
    let (jobs, queued) = sync_channel(1);
    let shadow = Shadow { jobs, waiting: Arc::default(), metrics: Arc::clone(&metrics) };
    let permit = policy(NoConsent::AllNormal, &[]);
    let Job { second, caller, .. } = job(&permit, Arc::clone(&permit));
    let beside = Beside { shadow, second };
    for _ in 0..5 {
        beside.organisation(&caller, ("read", Some("Observation")), NOW, true);
    }
    assert_eq!(counted(&metrics, "skipped", "none"), 4);
    drop(queued);
    beside.organisation(&caller, ("read", None), NOW, true);
    assert_eq!(counted(&metrics, "skipped", "none"), 5, "a shadow that has ended is skipped");
}

#[test]
fn a_shadow_that_fails_goes_on() {
    let metrics = Arc::new(Metrics::new(None).unwrap());
    let permit = policy(NoConsent::AllNormal, &[]);
    let (jobs, queued) = sync_channel(3);
    for other in [NoConsent::AllNormal, NoConsent::Deny, NoConsent::AllNormal] {
        jobs.send(job(&permit, policy(other, &[]))).unwrap();
    }
    drop(jobs);
    let asked = AtomicU32::new(0);
    work(&queued, &AtomicU64::default(), &metrics, |job| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => panic!("a fault of the shadow"),
        _ => compare::compare(job),
    });
    assert_eq!(counted(&metrics, "failed", "none"), 1);
    assert_eq!(counted(&metrics, "would-deny", "implicit-deny"), 1);
    assert_eq!(counted(&metrics, "same", "none"), 1);
}
