//! The feed against a real journal and an HTTP server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evidence::event::{AccessEvent, EventBody, Phase};
use evidence::ids::{Origin, TenantId};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::events::{asked, disclosed, event, request, silent, used};
use super::server::Server;
use crate::audit_event::{Feed, FeedState, Settings, Standing};
use crate::config::{PeerConfig, SecretSource};
use crate::journal::{self, Entry, Journal};
use crate::keys::KeyEncryptionKey;

fn puts() -> Value {
    json!({"type": "AuditEvent", "updateCreate": true, "conditionalCreate": true})
}

fn journal(directory: &Path) -> Journal {
    let settings = journal::Settings::new(directory.join("journal.db"), TenantId::new("hospital").unwrap());
    let kek = KeyEncryptionKey::new(Zeroizing::new([7; 32])).unwrap();
    Journal::open(settings, kek).unwrap().0
}

fn settings(server: &Server, directory: &Path) -> Settings {
    let endpoint = PeerConfig {
        base: server.base().parse().unwrap(),
        bearer_token: None,
        client_certificate: None,
        ca_file: None,
    };
    let public = "https://fhir.example/r4/".parse().unwrap();
    let upstream = endpoint.base.clone();
    Settings::new(endpoint, &directory.join("journal.db"), &public, &upstream, Origin::new("log.example/h").unwrap())
}

/// Records `reads` reads, each with a disclosure; returns their events.
async fn record(journal: &Journal, reads: usize) -> Vec<AccessEvent> {
    let mut all = Vec::new();
    for index in 0..reads {
        let asking = request(asked("read", Phase::Whole));
        let disclosure = disclosed(asking.id, &format!("p{}", index % 3), vec![used("o1")]);
        let batch = vec![asking, event(EventBody::Disclosure(disclosure))];
        journal.record(batch.iter().cloned().map(Entry::from).collect()).await.unwrap();
        all.extend(batch);
    }
    all
}

fn ids(events: &[AccessEvent]) -> Vec<String> {
    events.iter().map(|event| event.id.to_string()).collect()
}

/// Runs the feed until its state is what is wanted; the feed is then dropped, wherever it is.
async fn run_until(feed: Feed, wanted: impl Fn(&FeedState) -> bool) -> FeedState {
    let mut state = feed.state();
    let found = async { state.wait_for(|state| wanted(state)).await.unwrap().clone() };
    tokio::select! {
        found = tokio::time::timeout(Duration::from_secs(30), found) => found.expect("the state never came"),
        () = feed.run() => panic!("the feed ended"),
    }
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[tokio::test]
async fn every_event_arrives_once_in_order_and_a_restart_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let (server, journal) = (Server::start(puts()), journal(directory.path()));
    let mut events = record(&journal, 50).await;
    for body in silent() {
        journal.record(vec![event(body).into()]).await.unwrap();
    }
    let feed = Feed::new(settings(&server, directory.path()), journal.clone()).unwrap();
    let state = run_until(feed, |state| state.position == 103).await;
    assert_eq!((state.delivered, state.set_aside), (100, 0));
    {
        let store = server.store.lock().unwrap();
        assert_eq!(sorted(store.order.clone()), sorted(ids(&events)));
        // Eight are on their way at once: none comes before one that lies further back than that.
        let expected = ids(&events);
        for (at, id) in store.order.iter().enumerate() {
            let place = expected.iter().position(|other| other == id).unwrap();
            assert!(place.abs_diff(at) < 8, "{place} came at {at}");
        }
        assert!(store.events.values().all(|event| event["resourceType"] == "AuditEvent"));
    }

    events.extend(record(&journal, 5).await);
    let feed = Feed::new(settings(&server, directory.path()), journal.clone()).unwrap();
    let state = run_until(feed, |state| state.position == 113).await;
    assert_eq!(state.delivered, 10, "what was delivered before is not delivered again");
    assert_eq!(sorted(server.store.lock().unwrap().order.clone()), sorted(ids(&events)));
}

#[tokio::test]
async fn a_lost_cursor_doubles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (server, journal) = (Server::start(puts()), journal(directory.path()));
    let events = record(&journal, 3).await;
    let settings = settings(&server, directory.path());
    run_until(Feed::new(settings.clone(), journal.clone()).unwrap(), |state| state.position == 6).await;
    std::fs::remove_file(&settings.cursor).unwrap();
    run_until(Feed::new(settings, journal).unwrap(), |state| state.position == 6).await;
    let store = server.store.lock().unwrap();
    assert_eq!((store.deliveries, store.events.len()), (12, events.len()));
}

#[tokio::test]
async fn a_cursor_that_runs_ahead_of_the_journal_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (server, journal) = (Server::start(puts()), journal(directory.path()));
    let settings = settings(&server, directory.path());
    record(&journal, 2).await;
    run_until(Feed::new(settings.clone(), journal.clone()).unwrap(), |state| state.position == 4).await;
    // As after the restoring of an older copy: the position is there no more, or holds another event.
    for (position, stray) in [(900, "NULL"), (4, "randomblob(16)"), (3, "randomblob(16)")] {
        let file = rusqlite::Connection::open(&settings.cursor).unwrap();
        file.execute(&format!("UPDATE fed SET position = {position}, event = {stray}"), []).unwrap();
        drop(file);
        let before = server.store.lock().unwrap().deliveries;
        let feed = Feed::new(settings.clone(), journal.clone()).unwrap();
        run_until(feed, |state| state.delivered == 4).await;
        assert_eq!(server.store.lock().unwrap().deliveries, before + 4, "all again, under the same ids");
    }
    assert_eq!(server.store.lock().unwrap().events.len(), 4);
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let (server, journal) = (Server::start(puts()), journal(directory.path()));
    let events = record(&journal, 4).await;
    // 302: a redirect is not followed. 401, 429, 503: the server will take it later.
    for status in [302, 401, 404, 429, 503] {
        server.store.lock().unwrap().answers = Some(status);
        let feed = Feed::new(settings(&server, directory.path()), journal.clone()).unwrap();
        let state = run_until(feed, |state| matches!(state.standing, Standing::Retrying { .. })).await;
        assert_eq!(state.standing, Standing::Retrying { why: format!("capabilities-{status}") });
        assert_eq!(state.position, 0);
    }
    server.store.lock().unwrap().answers = None;
    let feed = Feed::new(settings(&server, directory.path()), journal.clone()).unwrap();
    let mut state = feed.state();
    let store = Arc::clone(&server.store);
    let course = async {
        state.wait_for(|state| state.position == 8).await.unwrap();
        store.lock().unwrap().answers = Some(503);
        let more = record(&journal, 2).await;
        state.wait_for(|state| state.standing == Standing::Retrying { why: "503".to_owned() }).await.unwrap();
        store.lock().unwrap().answers = None;
        state.wait_for(|state| state.position == 12 && state.standing == Standing::Feeding).await.unwrap();
        more
    };
    let more = tokio::select! {
        more = tokio::time::timeout(Duration::from_secs(30), course) => more.expect("the feed did not recover"),
        () = feed.run() => panic!("the feed ended"),
    };
    let all: Vec<AccessEvent> = events.into_iter().chain(more).collect();
    assert_eq!(sorted(server.store.lock().unwrap().order.clone()), sorted(ids(&all)));
}

#[tokio::test]
async fn a_server_that_assigns_ids_gets_conditional_creates() {
    // It says so, or its answer to a PUT does.
    for offers in [
        json!({"type": "AuditEvent", "updateCreate": false, "conditionalCreate": true}),
        json!({"type": "AuditEvent", "conditionalCreate": true}),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (server, journal) = (Server::start(offers), journal(directory.path()));
        let events = record(&journal, 1).await;
        let settings = settings(&server, directory.path());
        run_until(Feed::new(settings.clone(), journal.clone()).unwrap(), |state| state.position == 2).await;
        std::fs::remove_file(&settings.cursor).unwrap();
        run_until(Feed::new(settings, journal).unwrap(), |state| state.position == 2).await;
        let store = server.store.lock().unwrap();
        assert_eq!((store.events.len(), store.deliveries), (2, 4), "the second time finds what the first created");
        let system = "https://sealgate.dev/fhir/sid/audit-record";
        for event in &events {
            let id = event.id.to_string();
            let (criteria, stored) = store.events.iter().find(|(_, stored)| stored["id"] == id).unwrap();
            let tag = "_tag=https%3A%2F%2Fsealgate%2Edev%2Ffhir%2Fsid%2Faudit%2Drecord%7C";
            assert_eq!(*criteria, format!("{tag}{}", id.replace('-', "%2D")));
            assert_eq!(stored["meta"]["tag"][0], json!({"system": system, "code": id}));
        }
    }
}

#[tokio::test]
async fn a_server_that_takes_ids_without_saying_so_gets_them() {
    let directory = tempfile::tempdir().unwrap();
    let offers = json!({"type": "AuditEvent", "conditionalCreate": true});
    let (server, journal) = (Server::start(offers), journal(directory.path()));
    server.store.lock().unwrap().takes_ids = true;
    let events = record(&journal, 1).await;
    run_until(Feed::new(settings(&server, directory.path()), journal).unwrap(), |state| state.position == 2).await;
    assert_eq!(sorted(server.store.lock().unwrap().order.clone()), sorted(ids(&events)));
}

#[tokio::test]
async fn a_server_that_takes_neither_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let (server, journal) = (Server::start(json!({"type": "AuditEvent"})), journal(directory.path()));
    record(&journal, 1).await;
    let feed = Feed::new(settings(&server, directory.path()), journal).unwrap();
    let why = "405".to_owned();
    let state = run_until(feed, |state| state.standing == Standing::Retrying { why: why.clone() }).await;
    assert_eq!((state.position, state.set_aside), (0, 0));
}

#[tokio::test]
async fn what_is_refused_by_its_references_goes_with_logical_ones() {
    let directory = tempfile::tempdir().unwrap();
    let (server, journal) = (Server::start(puts()), journal(directory.path()));
    let events = record(&journal, 2).await;
    server.store.lock().unwrap().refuses_literal = true;
    let feed = Feed::new(settings(&server, directory.path()), journal).unwrap();
    let state = run_until(feed, |state| state.position == 4).await;
    assert_eq!((state.delivered, state.set_aside), (4, 0));
    let store = server.store.lock().unwrap();
    let told = &store.events[&events[1].id.to_string()];
    assert!(told.to_string().contains("https://fhir.example/r4/Patient/p0"));
}

#[tokio::test]
async fn what_is_refused_for_good_is_set_aside_and_kept_in_mind() {
    let directory = tempfile::tempdir().unwrap();
    let (server, journal) = (Server::start(puts()), journal(directory.path()));
    let events = record(&journal, 3).await;
    let poison = events[3].id.to_string();
    server.store.lock().unwrap().refuses = Some(format!("\"id\":\"{poison}\""));
    let settings = settings(&server, directory.path());
    let state = run_until(Feed::new(settings.clone(), journal).unwrap(), |state| state.position == 6).await;
    assert_eq!((state.delivered, state.set_aside), (5, 1));
    let file = rusqlite::Connection::open(&settings.cursor).unwrap();
    let row: (i64, String, String) = file
        .query_row("SELECT position, record, why FROM set_aside", [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap();
    assert_eq!(row, (4, poison, "refused with status 422".to_owned()));
}

#[tokio::test]
async fn a_server_that_refuses_everything_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let (server, journal) = (Server::start(puts()), journal(directory.path()));
    record(&journal, 20).await;
    server.store.lock().unwrap().refuses = Some("AuditEvent".to_owned());
    let feed = Feed::new(settings(&server, directory.path()), journal).unwrap();
    let why = "refuses-everything".to_owned();
    let state = run_until(feed, |state| state.standing == Standing::Retrying { why: why.clone() }).await;
    assert_eq!((state.delivered, state.set_aside, state.position), (0, 16, 16));
}

#[tokio::test]
async fn the_token_is_shown_and_the_cursor_is_the_owners_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let (server, journal) = (Server::start(puts()), journal(directory.path()));
    record(&journal, 1).await;
    let token = directory.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let mut settings = settings(&server, directory.path());
    settings.endpoint.bearer_token = Some(SecretSource::File(token));
    run_until(Feed::new(settings.clone(), journal).unwrap(), |state| state.position == 2).await;
    assert_eq!(server.store.lock().unwrap().authorization.as_deref(), Some("Bearer s3cret"));
    assert_eq!(std::fs::metadata(&settings.cursor).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_rotated_token_is_shown_at_once_and_a_revoked_one_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let (server, journal) = (Server::start(puts()), journal(directory.path()));
    record(&journal, 1).await;
    let token = directory.path().join("token");
    std::fs::write(&token, "first").unwrap();
    let mut settings = settings(&server, directory.path());
    settings.endpoint.bearer_token = Some(SecretSource::File(token.clone()));
    let feed = Feed::new(settings, journal.clone()).unwrap();
    let mut state = feed.state();
    let store = Arc::clone(&server.store);
    let shown = || store.lock().unwrap().authorization.clone();
    let course = async {
        state.wait_for(|state| state.position == 2).await.unwrap();
        assert_eq!(shown().as_deref(), Some("Bearer first"));
        // The old one is still taken: the changed file is enough.
        std::fs::write(&token, "second").unwrap();
        record(&journal, 1).await;
        state.wait_for(|state| state.position == 4).await.unwrap();
        assert_eq!(shown().as_deref(), Some("Bearer second"));
        // Nobody has the new one yet: it waits, and says why.
        store.lock().unwrap().takes_token = Some("third".to_owned());
        record(&journal, 1).await;
        state.wait_for(|state| state.standing == Standing::Retrying { why: "401".to_owned() }).await.unwrap();
        assert!(state.borrow().oldest.is_some());
        std::fs::write(&token, "third").unwrap();
        state.wait_for(|state| state.position == 6).await.unwrap();
        // Unchanged by its stamp, as on a file system of coarse times, but refused: it is read again.
        let stamp = std::fs::metadata(&token).unwrap().modified().unwrap();
        store.lock().unwrap().takes_token = Some("forth".to_owned());
        let file = std::fs::OpenOptions::new().write(true).open(&token).unwrap();
        std::io::Write::write_all(&mut &file, b"forth").unwrap();
        file.set_modified(stamp).unwrap();
        record(&journal, 1).await;
        state.wait_for(|state| state.position == 8 && state.oldest.is_none()).await.unwrap();
    };
    tokio::select! {
        done = tokio::time::timeout(Duration::from_secs(30), course) => done.expect("the feed did not go on"),
        () = feed.run() => panic!("the feed ended"),
    }
    assert_eq!(shown().as_deref(), Some("Bearer forth"));
    assert_eq!(server.store.lock().unwrap().events.len(), 8);
}

#[tokio::test]
async fn records_whose_key_was_erased_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let (server, journal) = (Server::start(puts()), journal(directory.path()));
    let events = record(&journal, 2).await;
    let file = rusqlite::Connection::open(directory.path().join("journal.db")).unwrap();
    assert_eq!(file.execute("DELETE FROM subject_key", []).unwrap(), 2, "two patients");
    drop(file);
    let feed = Feed::new(settings(&server, directory.path()), journal).unwrap();
    let state = run_until(feed, |state| state.position == 4).await;
    assert_eq!((state.delivered, state.set_aside), (2, 0));
    let requests: Vec<AccessEvent> = events.into_iter().step_by(2).collect();
    assert_eq!(sorted(server.store.lock().unwrap().order.clone()), sorted(ids(&requests)));
}

#[tokio::test]
async fn a_record_that_was_altered_stops_the_feed() {
    let directory = tempfile::tempdir().unwrap();
    let (server, journal) = (Server::start(puts()), journal(directory.path()));
    record(&journal, 2).await;
    let file = rusqlite::Connection::open(directory.path().join("journal.db")).unwrap();
    assert_eq!(file.execute("UPDATE record SET payload = randomblob(99) WHERE position = 3", []).unwrap(), 1);
    drop(file);
    let feed = Feed::new(settings(&server, directory.path()), journal).unwrap();
    let state = run_until(feed, |state| matches!(state.standing, Standing::Stopped { .. })).await;
    let why = "record 2 was altered: its payload fails authentication".to_owned();
    assert_eq!((state.standing, state.last_success), (Standing::Stopped { why }, None));
    assert_eq!(server.store.lock().unwrap().deliveries, 0);
}
