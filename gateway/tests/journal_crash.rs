//! The journal under `kill -9`, a file-size limit and failing syncs: what was acknowledged is the oracle.
//!
//! This program starts itself as the writer (`journal_crash writer DIRECTORY`), lets it print each acknowledgement, ends it
//! in one of several ways, opens what is left, and compares. No test harness: a child must not run tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test; the child speaks on its standard output"
)]

mod journal_events;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use evidence::event::{EventBody, Phase};
use evidence::ids::EventId;
use fhir_gateway::journal::{Durable, Journal, JournalError};
use journal_events::{disclosure, open, outcome, read, request};
use rusqlite::Connection;

const WRITERS: usize = 16;
const KILLS: u64 = 12;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, directory] = arguments.as_slice()
        && command == "writer"
    {
        return write(Path::new(directory));
    }
    // The flags of the usual harness mean nothing here, but a list is a list.
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    kill_at_random_moments();
    println!("test killed_at_random_moments ... ok");
    file_size_limit();
    println!("test writes_fail ... ok");
    println!("test syncs_fail ... {}", if failing_syncs() { "ok" } else { "SKIPPED: strace cannot trace here" });
}

/// The child: records from many tasks until it is ended or the journal fails; each line is an acknowledgement.
fn write(directory: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let journal = match open(directory) {
            Ok((journal, _)) => journal,
            Err(error) => return say(&format!("not-opened {error}")),
        };
        say("opened");
        let tasks: Vec<_> = (0..WRITERS).map(|task| tokio::spawn(write_on(journal.clone(), task))).collect();
        for task in tasks {
            let error = task.await.unwrap();
            assert!(matches!(error, JournalError::Failed), "{error}");
        }
        assert!(!journal.writable());
        let again = journal.record(read("p0")).await;
        assert!(matches!(again, Err(JournalError::Failed)), "a failed journal took a record");
        say("failed");
    });
}

async fn write_on(journal: Journal, task: usize) -> JournalError {
    for turn in 0_usize.. {
        let whole = read(&format!("p{}", (task * 31 + turn) % 40));
        let id = whole[0].event.id;
        match journal.record(whole).await {
            Ok(durable) => acknowledge("whole", id, &durable),
            Err(error) => return error,
        }
        let opened = request(Phase::Opened);
        let id = opened.id;
        match journal.record(vec![opened.into(), disclosure(id, 0, "p1").into()]).await {
            Ok(durable) => acknowledge("opened", id, &durable),
            Err(error) => return error,
        }
        match journal.record(vec![outcome(id).into()]).await {
            Ok(durable) => acknowledge("closed", id, &durable),
            Err(error) => return error,
        }
    }
    JournalError::Closed
}

fn acknowledge(what: &str, id: EventId, durable: &Durable) {
    let records: Vec<String> =
        durable.records().iter().map(|record| format!("{} {}", record.place.sequence, record.commitment)).collect();
    say(&format!("{what} {id} {}", records.join(" ")));
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// What the child acknowledged, over all its lives.
#[derive(Default)]
struct Acknowledged {
    /// Sequence → commitment.
    records: BTreeMap<u64, String>,
    /// Request → how many records it has at least, and whether it was opened.
    requests: BTreeMap<String, (usize, bool)>,
    failed: bool,
}

impl Acknowledged {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["opened" | "failed"] => self.failed |= line == "failed",
            [what, id, records @ ..] => {
                let entry = self.requests.entry((*id).to_owned()).or_default();
                entry.0 += records.len() / 2;
                entry.1 |= *what == "opened";
                for record in records.chunks(2) {
                    let [sequence, commitment] = record else { return };
                    let before = self.records.insert(sequence.parse().unwrap(), (*commitment).to_owned());
                    assert_eq!(before, None, "sequence {sequence} was acknowledged twice");
                }
            }
            _ => panic!("{line}"),
        }
    }

    /// Opens what the child left, and compares all of it with what it acknowledged.
    fn compare(&self, directory: &Path) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (journal, report) = open(directory).expect("the journal opens after any crash");
        let connection = Connection::open(directory.join("journal.db")).unwrap();
        let mut statement = connection.prepare("SELECT DISTINCT request FROM record").unwrap();
        let requests: Vec<EventId> = statement
            .query_map([], |row| row.get::<_, [u8; 16]>(0))
            .unwrap()
            .map(|id| EventId::new(id.unwrap()))
            .collect();
        let mut found = BTreeMap::new();
        let mut counts = BTreeMap::new();
        for id in requests {
            let openings = journal.openings(id).expect("every record opens");
            let begun = openings.iter().any(
                |opening| matches!(&opening.event.body, EventBody::Request(request) if request.phase == Phase::Opened),
            );
            let ends = openings.iter().filter(|opening| matches!(opening.event.body, EventBody::Outcome(_))).count();
            assert_eq!(ends, usize::from(begun), "an opened request ends once: {id}");
            counts.insert(id.to_string(), openings.len());
            for opening in openings {
                let before = found.insert(opening.sequence.get(), opening.commitment.to_string());
                assert_eq!(before, None);
            }
        }
        assert_eq!(found.len() as u64, report.records);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), (0..report.records).collect::<Vec<_>>(), "no gap");
        for (sequence, commitment) in &self.records {
            assert_eq!(found.get(sequence), Some(commitment), "acknowledged record {sequence}");
        }
        for (id, (records, _)) in &self.requests {
            assert!(counts.get(id).is_some_and(|count| count >= records), "acknowledged request {id}");
        }
        runtime.block_on(journal.close()).unwrap();
    }
}

fn kill_at_random_moments() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::default();
    for round in 0..KILLS {
        let mut child = start(Command::new(std::env::current_exe().unwrap()), directory.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Far apart in a disk's time; what moment of a commit it hits is chance.
        let life = Duration::from_millis(20 + (round * 97) % 260);
        let mut ends_at = None;
        for line in lines {
            let Ok(line) = line else { break };
            acknowledged.hear(&line);
            let ends_at = *ends_at.get_or_insert_with(|| Instant::now() + life);
            if Instant::now() >= ends_at {
                let _ = child.kill();
            }
        }
        child.wait().unwrap();
        acknowledged.compare(directory.path());
    }
    assert!(acknowledged.records.len() > 100, "{} records are no test", acknowledged.records.len());
    println!("{KILLS} kills, {} records acknowledged, none lost", acknowledged.records.len());
}

/// The file may grow to 1 MB only: a write of the commit fails, as on a disk that is full or breaks.
fn file_size_limit() {
    let directory = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 2000; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    let acknowledged = until_it_fails(shell, directory.path());
    assert!(acknowledged.failed, "the writer did not notice");
    assert!(acknowledged.records.len() > 50);
    acknowledged.compare(directory.path());
}

/// Every sync from the 40th on fails with EIO; says false where nothing can be traced.
fn failing_syncs() -> bool {
    let tracer = Command::new("strace").args(["-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if !tracer.is_ok_and(|status| status.success()) {
        return false;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]);
    strace.args(["-e", "inject=fsync,fdatasync:error=EIO:when=40+"]).arg(std::env::current_exe().unwrap());
    let acknowledged = until_it_fails(strace, directory.path());
    assert!(acknowledged.failed, "the writer did not notice");
    assert!(acknowledged.records.len() > 20);
    acknowledged.compare(directory.path());
    true
}

fn until_it_fails(command: Command, directory: &Path) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    let mut child = start(command, directory);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        acknowledged.hear(&line.unwrap());
    }
    assert!(child.wait().unwrap().success());
    acknowledged
}

fn start(mut command: Command, directory: &Path) -> Child {
    command.arg("writer").arg(directory).stdout(Stdio::piped()).spawn().unwrap()
}
