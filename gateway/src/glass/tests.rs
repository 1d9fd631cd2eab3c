//! The time box, whom a grant reaches, and what a restart finds.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use gateway_core::caller::ActorRef;
use gateway_core::coding::Coding;
use gateway_core::owner::PatientId;
use time::macros::datetime;
use zeroize::Zeroizing;

use super::*;
use crate::journal::{Altered, StoredGrant};

const NOW: OffsetDateTime = datetime!(2026-11-22 16:20:00 UTC);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Both clocks, from a beginning that all moments of a test share.
#[derive(Clone, Copy)]
struct Clocks(std::time::Instant);

impl Clocks {
    fn start() -> Self {
        Self(std::time::Instant::now())
    }

    fn after(self, passed: Duration) -> Moment {
        Moment { wall: NOW + passed, steady: self.0 + passed }
    }

    /// The clock of the wall was set: so much time has passed, and it shows this.
    fn set(self, passed: Duration, wall: OffsetDateTime) -> Moment {
        Moment { wall, steady: self.0 + passed }
    }
}

fn doctor() -> Caller {
    Caller {
        issuer: "https://id".to_owned(),
        subject: "weber".to_owned(),
        client: Some("ward".to_owned()),
        organization: Some(ActorRef::reference("Organization/north")),
        roles: vec!["break-glass".to_owned()],
        purposes: vec![Coding::new(purpose::SYSTEM, "TREAT")],
        ..Caller::default()
    }
}

fn claim_for(patient: &str) -> Claim {
    let reason = Coding::new(purpose::SYSTEM, "ETREAT");
    let justification = "unconscious on arrival".to_owned();
    Claim { holder: Holder::of(&doctor()), patient: format!("Patient/{patient}"), reason, justification }
}

fn granted(glass: &Glass, patient: &str, at: Moment) -> EventId {
    let id = crate::clock::event_id();
    glass.hold(Arc::new(Grant::given(id, &claim_for(patient), HOUR, at).unwrap()), at);
    id
}

fn reached(glass: &Glass, caller: &Caller, at: Moment) -> Vec<String> {
    let (caller, lent) = glass.lend(&GlassConfig::default(), Arc::new(caller.clone()), at);
    assert_eq!(lent.is_empty(), caller.break_glass.is_empty());
    assert_eq!(lent.event().is_some(), !lent.is_empty());
    caller.break_glass.iter().map(PatientId::reference).collect()
}

fn stored(patient: &str, at: Moment) -> StoredGrant {
    let claim = claim_for(patient);
    let grant = Grant::given(crate::clock::event_id(), &claim, HOUR, at).unwrap();
    let new = grant.stored(&claim);
    let claim = Ok(Some(Zeroizing::new(new.claim.to_vec())));
    StoredGrant { id: new.id, granted: new.granted, until: new.until, ended: None, claim, review: None }
}

#[test]
fn a_grant_reaches_its_holder_for_its_patient_and_ends_by_itself() {
    let (glass, clocks) = (Glass::default(), Clocks::start());
    assert!(reached(&glass, &doctor(), clocks.after(Duration::ZERO)).is_empty());
    granted(&glass, "alder", clocks.after(Duration::ZERO));
    assert_eq!(reached(&glass, &doctor(), clocks.after(Duration::ZERO)), ["Patient/alder"]);
    assert_eq!(reached(&glass, &doctor(), clocks.after(HOUR - MINUTE)), ["Patient/alder"]);
    assert!(reached(&glass, &doctor(), clocks.after(HOUR)).is_empty());

    let at = clocks.after(MINUTE);
    let others = [
        Caller { subject: "other".to_owned(), ..doctor() },
        Caller { issuer: "https://other".to_owned(), ..doctor() },
        Caller { client: Some("other".to_owned()), ..doctor() },
        Caller { client: None, ..doctor() },
        Caller { organization: None, ..doctor() },
        Caller { organization: Some(ActorRef::reference("Organization/south")), ..doctor() },
        Caller { roles: vec!["physician".to_owned()], ..doctor() },
        Caller { purposes: vec![Coding::new(purpose::SYSTEM, "HRESCH")], ..doctor() },
        Caller { purposes: Vec::new(), ..doctor() },
    ];
    for other in others {
        assert!(reached(&glass, &other, at).is_empty(), "{other:?}");
    }
    assert_eq!(reached(&glass, &Caller { token_id: Some("another".to_owned()), ..doctor() }, at).len(), 1);
    let nobody = GlassConfig { roles: Vec::new(), ..GlassConfig::default() };
    assert!(glass.lend(&nobody, Arc::new(doctor()), at).1.is_empty(), "settings of now count");
    let shorter = GlassConfig { duration: MINUTE, ..GlassConfig::default() };
    assert!(glass.lend(&shorter, Arc::new(doctor()), at).1.is_empty(), "so does a shorter time");
}

#[test]
fn no_setting_of_the_clock_prolongs_a_grant() {
    let (glass, clocks) = (Glass::default(), Clocks::start());
    granted(&glass, "alder", clocks.after(Duration::ZERO));
    let holds = |at| reached(&glass, &doctor(), at).len() == 1;
    assert!(!holds(clocks.set(HOUR, NOW)), "set back by an hour when it ends");
    assert!(!holds(clocks.set(HOUR * 5, NOW + MINUTE)));
    assert!(!holds(clocks.set(MINUTE, NOW + HOUR)), "and one that is set forward ends it");
    assert!(!holds(clocks.set(MINUTE, NOW - MINUTE * 2)), "before it was given it is not in force");
    assert!(holds(clocks.set(MINUTE, NOW - MINUTE / 2)), "a correction of seconds is none");
}

#[test]
fn a_grant_that_ends_meanwhile_counts_no_more() {
    let (glass, clocks) = (Glass::default(), Clocks::start());
    let id = granted(&glass, "alder", clocks.after(Duration::ZERO));
    granted(&glass, "birch", clocks.after(MINUTE * 30));
    let (caller, lent) = glass.lend(&GlassConfig::default(), Arc::new(doctor()), clocks.after(MINUTE * 59));
    assert_eq!(caller.break_glass.len(), 2);
    assert_eq!(lent.ids().split(' ').count(), 2);
    let later = lent.given_to(Arc::clone(&caller), clocks.after(MINUTE * 61));
    assert_eq!(later.break_glass.iter().map(PatientId::as_str).collect::<Vec<_>>(), ["birch"]);
    glass.close(id);
    let closed = lent.given_to(Arc::clone(&caller), clocks.after(MINUTE * 59));
    assert_eq!(closed.break_glass.len(), 1, "a review that ends a grant ends it for requests under way");
    assert!(lent.given_to(caller, clocks.after(HOUR * 2)).break_glass.is_empty());
}

#[test]
fn one_grant_a_patient_some_a_caller_and_not_more_than_are_reviewed() {
    let (glass, clocks) = (Glass::default(), Clocks::start());
    let config = GlassConfig { most_in_force: 2, most_unreviewed: 3, ..GlassConfig::default() };
    let start = clocks.after(Duration::ZERO);
    let first = granted(&glass, "alder", start);
    assert_eq!(glass.room(&config, &claim_for("alder"), start), Err(NoRoom::InForce), "it is not prolonged");
    assert_eq!(glass.room(&config, &claim_for("birch"), start), Ok(()));
    granted(&glass, "birch", start);
    assert_eq!(glass.room(&config, &claim_for("cedar"), start), Err(NoRoom::TooMany));
    let end = clocks.after(HOUR);
    assert_eq!(glass.room(&config, &claim_for("alder"), end), Ok(()), "a new claim after its end");
    granted(&glass, "alder", end);
    assert_eq!(glass.room(&config, &claim_for("birch"), end), Err(NoRoom::Unreviewed));
    glass.close(first);
    assert_eq!(glass.room(&config, &claim_for("birch"), end), Ok(()));
}

#[test]
fn a_restart_finds_what_was_in_force_and_no_more() {
    let clocks = Clocks::start();
    let start = clocks.after(Duration::ZERO);
    let restarted = |row: StoredGrant, at: Moment, latest: OffsetDateTime| {
        let glass = Glass::load(StoredGrants { grants: vec![row], latest: grant::millis(latest) }, at);
        (reached(&glass, &doctor(), at).len(), glass.reading(&GlassConfig::default(), at).unreviewed)
    };
    assert_eq!(restarted(stored("alder", start), clocks.after(MINUTE), NOW), (1, 1));
    assert_eq!(
        restarted(stored("alder", start), clocks.after(HOUR), NOW),
        (0, 1),
        "it has ended, and waits for its review"
    );
    let back = clocks.set(HOUR * 2, NOW + MINUTE);
    assert_eq!(
        restarted(stored("alder", start), back, NOW + HOUR * 2),
        (0, 1),
        "it is not earlier than what is on record"
    );
    let future = Moment { wall: NOW + HOUR * 900, steady: start.steady };
    assert_eq!(restarted(stored("alder", future), clocks.after(MINUTE), NOW), (0, 1), "given in the future");
    let ended = StoredGrant { ended: Some(1), ..stored("alder", start) };
    assert_eq!(restarted(ended, clocks.after(MINUTE), NOW), (0, 1));
    let erased = StoredGrant { claim: Ok(None), ..stored("alder", start) };
    assert_eq!(restarted(erased, clocks.after(MINUTE), NOW), (0, 1));
    let altered = StoredGrant { claim: Err(Altered), ..stored("alder", start) };
    assert_eq!(restarted(altered, clocks.after(MINUTE), NOW), (0, 1));
    let review = Some((1, "justified".to_owned(), "officer".to_owned()));
    let reviewed = StoredGrant { review, ..stored("alder", start) };
    assert_eq!(restarted(reviewed, clocks.after(MINUTE), NOW), (0, 0), "a reviewed grant is never in force");
}

#[test]
fn what_waits_too_long_for_its_review_is_overdue() {
    let (glass, clocks) = (Glass::default(), Clocks::start());
    let config = GlassConfig { review_within: HOUR * 2, ..GlassConfig::default() };
    granted(&glass, "alder", clocks.after(Duration::ZERO));
    let second = granted(&glass, "birch", clocks.after(HOUR));
    let read = |at| {
        let reading = glass.reading(&config, at);
        (reading.in_force, reading.unreviewed, reading.overdue, reading.oldest)
    };
    assert_eq!(read(clocks.after(MINUTE * 90)), (1, 2, 0, MINUTE * 90));
    assert_eq!(read(clocks.after(HOUR * 2 + MINUTE)), (0, 2, 1, HOUR * 2 + MINUTE));
    glass.close(second);
    assert_eq!(read(clocks.after(HOUR * 9)), (0, 1, 1, HOUR * 9));
}

#[test]
fn what_a_shorter_duration_ended_does_not_come_back() {
    let (glass, clocks) = (Glass::default(), Clocks::start());
    granted(&glass, "alder", clocks.after(Duration::ZERO));
    let (at, shorter) = (clocks.after(MINUTE * 2), GlassConfig { duration: MINUTE, ..GlassConfig::default() });
    assert!(glass.room(&shorter, &claim_for("alder"), at).is_ok(), "it may be claimed anew");
    assert!(reached(&glass, &doctor(), at).is_empty(), "and by the longer one, the old grant stays ended");
}
