//! Bundles put together out of parts of others: of the same log at another checkpoint, of a fork that its publisher
//! signed too, of another log. Whatever is verified is what the anchored log holds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use evidence::bundle::{AnchorLink, ProofBundle, Record};
use evidence::canonical::to_canonical;
use evidence::checkpoint::Checkpoint;
use evidence::event::{AccessEvent, EventBody};
use evidence::ids::{Hash, LeafIndex, LogId, Origin, TreeSize};
use evidence::leaf::Leaf;
use evidence::merkle::{consistency_path, inclusion_path, root_at};
use evidence::note::{KeyKind, NoteSigner};
use evidence::trust::TrustFile;
use evidence::verify::{BlockTrust, Report, verify};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

#[allow(dead_code, reason = "shared between tests, none of which uses all of it")]
mod kit;

/// Who may be the publisher: the log's, under its origin; a stranger, under another.
struct Publisher {
    origin: Origin,
    key: NoteSigner,
}

fn honest() -> Publisher {
    Publisher { origin: kit::origin(), key: kit::log_key() }
}

fn stranger() -> Publisher {
    let origin: Origin = "log.hospital-b.example/sealgate".parse().unwrap();
    let key = NoteSigner::from_seed(origin.as_str(), KeyKind::Ed25519, &[7; 32]).unwrap();
    Publisher { origin, key }
}

fn note(publisher: &Publisher, nodes: &kit::Nodes, size: u64) -> String {
    let root = root_at(nodes, TreeSize::new(size)).unwrap();
    let head = Checkpoint { origin: publisher.origin.clone(), size: TreeSize::new(size), root };
    let mut note = head.sign(&publisher.key).unwrap();
    note.cosign(&kit::witness(1), 1_795_364_410).unwrap();
    note.cosign(&kit::witness(2), 1_795_364_411).unwrap();
    note.to_string()
}

fn record(committed: &kit::Committed, leaf: Leaf, place: u64, nodes: &kit::Nodes, size: u64) -> Record {
    Record {
        event: Some(serde_json::to_value(&committed.event).unwrap()),
        salt: Some(committed.salt),
        leaf,
        index: LeafIndex::new(place),
        inclusion: inclusion_path(nodes, LeafIndex::new(place), TreeSize::new(size)).unwrap(),
    }
}

fn linked(nodes: &kit::Nodes, size: u64, link: &AnchorLink) -> AnchorLink {
    let consistency = consistency_path(nodes, TreeSize::new(size), link.anchor.size).unwrap();
    AnchorLink { consistency, anchor: link.anchor.clone() }
}

/// The log itself, at a later checkpoint.
fn later() -> ProofBundle {
    const SIZE: u64 = 30;
    let nodes = kit::log_nodes();
    let [request, disclosure] = kit::records();
    let (first, second) = (kit::REQUEST_PLACE, kit::REQUEST_PLACE + 1);
    let records = vec![
        record(&request, kit::leaf(first), first, &nodes, SIZE),
        record(&disclosure, kit::leaf(second), second, &nodes, SIZE),
    ];
    let mut bundle = ProofBundle::new(Some(kit::tenant()), records, note(&honest(), &nodes, SIZE));
    bundle.anchors = vec![linked(&nodes, SIZE, &kit::anchors()[0])];
    bundle
}

/// What was disclosed, as a liar would have it: another patient's.
fn lie() -> kit::Committed {
    let mut event: AccessEvent = kit::disclosure_event();
    if let EventBody::Disclosure(disclosure) = &mut event.body {
        disclosure.patient = "Patient/mara".parse().unwrap();
    }
    kit::committed(event, kit::salt_key(1))
}

/// The tree with the lie in the disclosure's place.
fn lying() -> (Leaf, kit::Nodes) {
    let place = kit::REQUEST_PLACE + 1;
    let leaf = Leaf { commitment: lie().commitment, ..kit::leaf(place) };
    let hashes = (0..kit::LEAVES).map(|at| if at == place { leaf.hash() } else { kit::leaf(at).hash() });
    (leaf, kit::nodes(hashes))
}

/// A history that the publisher rewrote before anchoring: signed and cosigned like the true one, with consistency
/// proofs of its own tree, and the true anchors.
fn forked(publisher: &Publisher) -> ProofBundle {
    let size = kit::CHECKPOINT_SIZE;
    let (leaf, nodes) = lying();
    let [request, _] = kit::records();
    let (first, second) = (kit::REQUEST_PLACE, kit::REQUEST_PLACE + 1);
    let records =
        vec![record(&request, kit::leaf(first), first, &nodes, size), record(&lie(), leaf, second, &nodes, size)];
    let mut bundle = ProofBundle::new(Some(kit::tenant()), records, note(publisher, &nodes, size));
    bundle.anchors = kit::anchors().iter().map(|link| linked(&nodes, size, link)).collect();
    bundle
}

/// Another log in the same contract: its anchors say its own log id.
fn elsewhere() -> ProofBundle {
    let mut bundle = forked(&stranger());
    for link in &mut bundle.anchors {
        link.anchor.log_id = LogId::new([0x0b; 32]);
        link.anchor.transaction = None;
    }
    bundle
}

/// The bundle of the kit, then those whose parts are put into it.
fn bundles() -> [Value; 5] {
    let all = [kit::bundle(), later(), forked(&honest()), forked(&stranger()), elsewhere()];
    all.map(|bundle| serde_json::to_value(bundle).unwrap())
}

fn checked(bundle: &Value, trust: &TrustFile, blocks: &BlockTrust) -> Option<(ProofBundle, Report)> {
    let bundle = ProofBundle::parse(&to_canonical(bundle).ok()?).ok()?;
    let report = verify(&bundle, trust, blocks);
    Some((bundle, report))
}

/// What is verified must be genuine, record by record and anchor by anchor.
fn genuine(value: &Value, trust: &TrustFile, blocks: &BlockTrust) -> Result<bool, String> {
    let Some((bundle, report)) = checked(value, trust, blocks) else { return Ok(false) };
    if report.verdict.exit_code() != 0 {
        return Ok(false);
    }
    let told = [kit::request_event(), kit::disclosure_event()].map(|event| serde_json::to_value(event).unwrap());
    for record in &bundle.records {
        let index = record.index.get();
        let logged = record.leaf == kit::leaf(index) && record.event.as_ref().is_some_and(|e| told.contains(e));
        if !logged {
            return Err(format!("what was never logged at {index} is verified:\n{report}"));
        }
    }
    let true_roots: Vec<Hash> = kit::anchors().iter().map(|link| link.anchor.root).collect();
    if bundle.anchors.is_empty() || !bundle.anchors.iter().any(|link| true_roots.contains(&link.anchor.root)) {
        return Err(format!("without a true anchor it is verified:\n{report}"));
    }
    Ok(true)
}

/// Every path of a JSON value.
fn paths(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| paths(member, format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| paths(item, format!("{at}/{n}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    found.push(at);
}

fn all_paths(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    paths(value, String::new(), &mut found);
    found
}

#[test]
fn what_is_true_is_verified_and_what_is_forked_is_not() {
    let (trust, blocks) = (kit::trust(), kit::blocks());
    let verdicts = bundles().map(|bundle| genuine(&bundle, &trust, &blocks).unwrap());
    assert_eq!(verdicts, [true, true, false, false, false]);
    // The forks are refused for the anchor alone: all else of them holds.
    let (_, report) = checked(&bundles()[2], &trust, &blocks).unwrap();
    assert_eq!(
        [report.content.name(), report.logged.name(), report.anchored.name()],
        ["verified", "verified", "not-verified"]
    );
}

/// Each part of each bundle, in its place in each other one.
#[test]
fn one_part_of_another_bundle_makes_no_lie_true() {
    let (trust, blocks, bundles) = (kit::trust(), kit::blocks(), bundles());
    let (mut spliced, mut verified) = (0, 0);
    for (to, into) in bundles.iter().enumerate() {
        for from in bundles.iter().enumerate().filter(|(at, _)| *at != to).map(|(_, bundle)| bundle) {
            for path in all_paths(into) {
                let Some(part) = from.pointer(&path).filter(|part| into.pointer(&path) != Some(*part)) else {
                    continue;
                };
                let mut changed = into.clone();
                *changed.pointer_mut(&path).unwrap() = part.clone();
                spliced += 1;
                verified +=
                    usize::from(genuine(&changed, &trust, &blocks).unwrap_or_else(|why| panic!("{path}: {why}")));
            }
        }
    }
    assert!(spliced > 300, "{spliced} splices");
    // Whole bundles replaced, and transactions, which are information only.
    assert!(verified < spliced / 10, "{verified} of {spliced} are verified");
}

/// The same path but for places in lists.
fn shape(path: &str) -> String {
    path.split('/').map(|part| if part.parse::<usize>().is_ok() { "*" } else { part }).collect::<Vec<_>>().join("/")
}

/// Several parts at once, from any place of the same kind: lists cut, grown and mixed.
#[test]
fn many_parts_of_other_bundles_make_no_lie_true() {
    #[derive(Debug, Clone)]
    struct Splice {
        from: Index,
        part: Index,
        place: Index,
        how: u8,
    }
    let splice = (any::<Index>(), any::<Index>(), any::<Index>(), 0_u8..4)
        .prop_map(|(from, part, place, how)| Splice { from, part, place, how });
    let (trust, blocks, bundles) = (kit::trust(), kit::blocks(), bundles());
    let parts = bundles.each_ref().map(all_paths);
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&(any::<Index>(), proptest::collection::vec(splice, 1..6)), |(start, splices)| {
            let mut bundle = bundles[start.index(bundles.len())].clone();
            for Splice { from, part, place, how } in splices {
                let from = from.index(bundles.len());
                let path = &parts[from][part.index(parts[from].len())];
                let value = bundles[from].pointer(path).unwrap().clone();
                let alike: Vec<String> =
                    all_paths(&bundle).into_iter().filter(|other| shape(other) == shape(path)).collect();
                let Some(at) = (!alike.is_empty()).then(|| alike[place.index(alike.len())].clone()) else { continue };
                let inside = at.rsplit_once('/').and_then(|(list, number)| Some((list, number.parse::<usize>().ok()?)));
                match (how, inside) {
                    (0, Some((list, number))) => {
                        bundle.pointer_mut(list).and_then(Value::as_array_mut).unwrap().remove(number);
                    }
                    (1, Some((list, number))) => {
                        bundle.pointer_mut(list).and_then(Value::as_array_mut).unwrap().insert(number, value);
                    }
                    _ => *bundle.pointer_mut(&at).unwrap() = value,
                }
            }
            genuine(&bundle, &trust, &blocks).map(drop).map_err(TestCaseError::fail)
        })
        .unwrap();
}

/// Bytes of a bundle of one record and one anchor, each altered: another hexadecimal digit where it is one, else another
/// bit. Every fourth one, because all of them take ten seconds; the fuzz target `evidence-bundle` has time for more.
#[test]
fn no_byte_of_a_bundle_is_idle() {
    let (trust, blocks) = (kit::trust(), kit::blocks());
    let mut bundle = kit::bundle();
    bundle.records.truncate(1);
    bundle.anchors.truncate(1);
    bundle.anchors[0].anchor.transaction = None;
    let good = bundle.to_canonical().unwrap();
    assert_eq!(verify(&bundle, &trust, &blocks).verdict.exit_code(), 0);
    let mut read = 0;
    for at in (0..good.len()).step_by(4) {
        let mut bytes = good.clone();
        bytes[at] = match bytes[at] {
            b'f' => b'0',
            b'9' => b'a',
            digit @ (b'0'..=b'8' | b'a'..=b'e') => digit + 1,
            other => other ^ (1 << (at % 7)),
        };
        if let Ok(altered) = ProofBundle::parse(&bytes) {
            read += 1;
            let report = verify(&altered, &trust, &blocks);
            assert_ne!(report.verdict.exit_code(), 0, "byte {at}: {report}");
        }
    }
    assert!(read > good.len() / 8, "{read} of {} alterations can be read", good.len().div_ceil(4));
}
