#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use super::*;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
const NONCE_BYTES: [u8; 12] = [7; 12];

fn caller() -> Caller {
    Caller {
        issuer: "https://as.example".to_owned(),
        subject: "dr-a".to_owned(),
        client: Some("app".to_owned()),
        ..Caller::default()
    }
}

fn position() -> Position {
    Position::AfterMatches { query: "patient=Patient%2Fp1".to_owned(), skip: 50, count: 50 }
}

#[test]
fn a_cursor_opens_for_whom_it_was_made() {
    let cursors = Cursors::new(&[1; 32], "policy-a");
    let sealed = cursors.seal(&caller(), "Observation", position(), "patient=p1", NOW, NONCE_BYTES).unwrap();
    assert!(!sealed.contains("p1"), "a cursor shows nothing of the query");
    let opened = cursors.open(&caller(), "Observation", &sealed, NOW + Duration::hours(7)).unwrap();
    assert_eq!(opened, (position(), "patient=p1".to_owned()));
}

#[test]
fn a_cursor_is_bound_to_caller_type_policy_key_and_time() {
    let cursors = Cursors::new(&[1; 32], "policy-a");
    let sealed = cursors.seal(&caller(), "Observation", position(), "", NOW, NONCE_BYTES).unwrap();
    let others = [
        Caller { subject: "dr-b".to_owned(), ..caller() },
        Caller { client: None, ..caller() },
        Caller { issuer: "https://as.example/d".to_owned(), subject: "r-a".to_owned(), ..caller() },
        Caller { launch_patient: Some("p1".parse().unwrap()), ..caller() },
    ];
    for other in others {
        assert_eq!(cursors.open(&other, "Observation", &sealed, NOW), Err(NotOurCursor), "{other:?}");
    }
    assert_eq!(cursors.open(&caller(), "Condition", &sealed, NOW), Err(NotOurCursor));
    assert_eq!(Cursors::new(&[1; 32], "policy-b").open(&caller(), "Observation", &sealed, NOW), Err(NotOurCursor));
    assert_eq!(Cursors::new(&[2; 32], "policy-a").open(&caller(), "Observation", &sealed, NOW), Err(NotOurCursor));
    assert_eq!(cursors.open(&caller(), "Observation", &sealed, NOW + Duration::hours(9)), Err(NotOurCursor));
}

#[test]
fn a_cursor_is_as_long_however_far_it_is() {
    let cursors = Cursors::new(&[1; 32], "policy-a");
    let length = |offset: u64, skip: u64| {
        let target = format!("?_getpages=0c5c1ad2-32e1-4d1b-9b7e-5b6c4f3a2d10&_getpagesoffset={offset}&_count=250");
        let position = Position::UpstreamPage { target, skip, after: None, count: 50 };
        let sealed = cursors.seal(&caller(), "Observation", position.clone(), "code=x", NOW, NONCE_BYTES).unwrap();
        let opened = cursors.open(&caller(), "Observation", &sealed, NOW).unwrap();
        assert_eq!(opened.0, position);
        sealed.len()
    };
    let escaped = |target: &str| {
        let position = Position::UpstreamPage { target: target.to_owned(), skip: 0, after: None, count: 50 };
        cursors.seal(&caller(), "Observation", position, "", NOW, NONCE_BYTES).unwrap().len()
    };
    assert_eq!(escaped("?page=offset%3D9"), escaped("?page=offset%3D10"));
    let link = "?_getpages=0c5c1ad2-32e1-4d1b-9b7e-5b6c4f3a2d10&_getpagesoffset=50&_count=50&_bundletype=searchset";
    assert_eq!(escaped(link), escaped("Observation?code=x&_count=50"), "whichever of the upstream's pages it is");
    let many = "value-quantity=1&".repeat(250);
    let position = Position::AfterMatches { query: many.clone(), skip: 3, count: 50 };
    let long = cursors.seal(&caller(), "Observation", position, &many[..1_000], NOW, NONCE_BYTES).unwrap();
    assert!(cursors.open(&caller(), "Observation", &long, NOW).is_ok(), "{} characters", long.len());
    let near = length(9, 9);
    assert_eq!([length(10, 9), length(99_999, 0), length(250, 120)], [near; 3]);
}

#[test]
fn an_altered_cursor_does_not_open() {
    let cursors = Cursors::new(&[1; 32], "policy-a");
    let sealed = cursors.seal(&caller(), "Observation", position(), "", NOW, NONCE_BYTES).unwrap();
    for at in 0..sealed.len() {
        let mut altered = sealed.clone().into_bytes();
        if let Some(byte) = altered.get_mut(at) {
            *byte = if *byte == b'A' { b'B' } else { b'A' };
        }
        let altered = String::from_utf8(altered).unwrap();
        assert!(altered == sealed || cursors.open(&caller(), "Observation", &altered, NOW).is_err(), "byte {at}");
    }
    for junk in ["", "A", "====", &"A".repeat(9000)] {
        assert_eq!(cursors.open(&caller(), "Observation", junk, NOW), Err(NotOurCursor));
    }
}
