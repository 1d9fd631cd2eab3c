//! bundle.json: one bundle, one trust file, the trusted blocks, and patches with the verdicts that they must give.

use std::collections::BTreeSet;

use evidence::bundle::ProofBundle;
use evidence::canonical::to_canonical;
use evidence::checkpoint::Checkpoint;
use evidence::ids::{Hash, TreeSize};
use evidence::merkle::{inclusion_path, root_at};
use evidence::note::{KeyKind, Note, NoteSigner};
use evidence::trust::TrustFile;
use evidence::verify::{BlockTrust, Report, Verdict, verify};
use serde_json::{Value, json};

use crate::patch::apply;
use crate::{cases, held, kit, parsed, text};

fn replace(path: &str, value: impl serde::Serialize) -> Value {
    json!({"op": "replace", "path": path, "value": value})
}

fn remove(path: &str) -> Value {
    json!({"op": "remove", "path": path})
}

fn add(path: &str, value: impl serde::Serialize) -> Value {
    json!({"op": "add", "path": path, "value": value})
}

/// The value at a path of the whole document, with its last hexadecimal digit changed.
fn flipped(path: &str) -> Value {
    let document = kit::document();
    let mut text = document.pointer(path).unwrap_or_else(|| panic!("{path}")).as_str().unwrap().to_owned();
    let last = if text.pop() == Some('0') { '1' } else { '0' };
    text.push(last);
    replace(path, text)
}

/// The verdicts of the whole and of the three ticks, and the words of all that is named.
fn expected(verdicts: [&str; 4], codes: &[&str]) -> Value {
    let [verdict, content, logged, anchored] = verdicts;
    let codes: BTreeSet<&str> = codes.iter().copied().collect();
    json!({"verdict": verdict, "content": content, "logged": logged, "anchored": anchored, "codes": codes})
}

fn codes(report: &Report) -> BTreeSet<&'static str> {
    report.verdict.findings().iter().map(|finding| finding.code).collect()
}

const V: &str = "verified";
const W: &str = "waiting";
const C: &str = "cannot-check";
const N: &str = "not-verified";

fn case(why: &str, patch: impl Into<Value>, verdicts: [&str; 4], codes: &[&str]) -> Value {
    json!({"why": why, "patch": patch.into(), "expect": expected(verdicts, codes)})
}

/// A second anchor can stand in for the first; most cases are about one.
fn alone(patch: Vec<Value>) -> Vec<Value> {
    std::iter::once(remove("/bundle/anchors/1")).chain(patch).collect()
}

fn content_cases() -> Vec<Value> {
    let changed = |why, patch| case(why, patch, [N, N, V, V], &["commitment"]);
    vec![
        case("as made", Vec::<Value>::new(), [V, V, V, V], &[]),
        changed("another caller", vec![replace("/bundle/records/0/event/caller/subject", "dr-wolff")]),
        changed("another patient", vec![replace("/bundle/records/1/event/patient", "Patient/mara")]),
        changed("one redaction less", vec![remove("/bundle/records/1/event/resources/0/redactions")]),
        changed("another time", vec![replace("/bundle/records/0/event/at", "2026-11-22T16:20:00.124Z")]),
        changed("a member more", vec![add("/bundle/records/0/event/note", "x")]),
        changed("no event at all in the event's place", vec![replace("/bundle/records/0/event", "event")]),
        changed("another salt", vec![flipped("/bundle/records/0/salt")]),
        changed("another tenant", vec![replace("/bundle/tenant", "hospital-b")]),
        changed("the events exchanged", {
            let document = kit::document();
            vec![
                replace("/bundle/records/0/event", &document["bundle"]["records"][1]["event"]),
                replace("/bundle/records/1/event", &document["bundle"]["records"][0]["event"]),
            ]
        }),
        case("the event is withheld", vec![remove("/bundle/records/1/event")], [C, C, V, V], &["event"]),
        case("the salt is withheld", vec![remove("/bundle/records/1/salt")], [C, C, V, V], &["salt"]),
        case("the tenant is missing", vec![remove("/bundle/tenant")], [C, C, V, V], &["tenant"]),
        case(
            "the leaf holds another commitment",
            vec![flipped("/bundle/records/0/leaf")],
            [N, N, N, V],
            &["commitment", "inclusion"],
        ),
    ]
}

fn log_cases() -> Vec<Value> {
    let document = kit::document();
    let note = text(&document["bundle"], "checkpoint").to_owned();
    let lines: Vec<&str> = note.lines().collect();
    let without = |line: usize| {
        let kept: Vec<&str> = lines.iter().enumerate().filter(|(n, _)| *n != line).map(|(_, line)| *line).collect();
        kept.join("\n") + "\n"
    };
    let leaf = text(&document["bundle"]["records"][0], "leaf");
    let misplaced = |why, patch| case(why, patch, [N, V, N, V], &["inclusion"]);
    let unsigned =
        |why, note: String| case(why, vec![replace("/bundle/checkpoint", note)], [N, V, N, C], &["checkpoint"]);

    let head = Checkpoint {
        origin: kit::origin(),
        size: TreeSize::new(kit::CHECKPOINT_SIZE),
        root: root_at(&kit::log_nodes(), TreeSize::new(kit::CHECKPOINT_SIZE)).unwrap(),
    };
    let thief = NoteSigner::from_seed(kit::origin().as_str(), KeyKind::Ed25519, &[9; 32]).unwrap();
    let by_thief = head.sign(&thief).unwrap().to_string();
    let elsewhere = Checkpoint { origin: "log.hospital-b.example/sealgate".parse().unwrap(), ..head.clone() };
    let elsewhere = elsewhere.sign(&kit::log_key()).unwrap().to_string();

    // A history rewritten before the records: everything signed again, but the anchored head stays.
    let rewritten = kit::nodes(
        (0..kit::LEAVES).map(|place| if place == 3 { kit::leaf(40).hash() } else { kit::leaf(place).hash() }),
    );
    let mut fork = Checkpoint { root: root_at(&rewritten, head.size).unwrap(), ..head }.sign(&kit::log_key()).unwrap();
    fork.cosign(&kit::witness(1), 1_795_364_410).unwrap();
    fork.cosign(&kit::witness(3), 1_795_364_410).unwrap();
    let fork_path = |place: u64| inclusion_path(&rewritten, place.into(), TreeSize::new(kit::CHECKPOINT_SIZE)).unwrap();

    vec![
        misplaced(
            "the leaf says another sequence",
            vec![replace("/bundle/records/0/leaf", leaf.replacen("0000000000000011", "0000000000000010", 1))],
        ),
        misplaced("another place", vec![replace("/bundle/records/0/index", "16")]),
        misplaced("a place beyond the size", vec![replace("/bundle/records/1/index", "23")]),
        misplaced("another hash in the path", vec![flipped("/bundle/records/0/inclusion/2")]),
        misplaced("a hash less in the path", vec![remove("/bundle/records/0/inclusion/0")]),
        misplaced("a hash more in the path", vec![add("/bundle/records/0/inclusion/-", Hash::new([0; 32]))]),
        unsigned("another size in the checkpoint", note.replacen("\n23\n", "\n24\n", 1)),
        unsigned(
            "another root in the checkpoint",
            note.replacen(lines[2], "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1),
        ),
        unsigned("a checkpoint under another key of the same name", by_thief),
        unsigned("a checkpoint of another log under the same key", elsewhere),
        unsigned("a checkpoint without the log's signature", without(4)),
        unsigned("a cosignature with another time", {
            let mut other = Note::parse(&note).unwrap();
            let line = other.signatures()[1].to_string();
            let (start, base64) = line.rsplit_once(' ').unwrap();
            other.add_line(&format!("{start} {}", base64.replacen("wAAAAB", "wAAAAC", 1))).unwrap();
            assert_ne!(other.signatures()[3].to_string(), line);
            other.to_string()
        }),
        unsigned("no note at all", "nothing\n".to_owned()),
        case(
            "one cosignature of two",
            vec![replace("/bundle/checkpoint", without(5))],
            [C, V, C, V],
            &["cosignatures"],
        ),
        case(
            "one cosignature twice",
            vec![replace("/bundle/checkpoint", without(5) + lines[6] + "\n")],
            [C, V, C, V],
            &["cosignatures"],
        ),
        case(
            "no witness is asked for",
            vec![remove("/trust/witnesses"), replace("/bundle/checkpoint", without(5))],
            [V, V, V, V],
            &[],
        ),
        case(
            "a forked log, signed and cosigned",
            vec![
                replace("/bundle/checkpoint", fork.to_string()),
                replace("/bundle/records/0/inclusion", fork_path(kit::REQUEST_PLACE)),
                replace("/bundle/records/1/inclusion", fork_path(kit::REQUEST_PLACE + 1)),
            ],
            [N, V, V, N],
            &["consistency"],
        ),
        case(
            "the log's key is another in the trust file",
            vec![replace("/trust/log_key", thief.verifier())],
            [N, V, N, C],
            &["checkpoint"],
        ),
    ]
}

fn anchor_cases() -> Vec<Value> {
    let document = kit::document();
    let differs = |why, patch: Vec<Value>, codes: &[&str]| case(why, alone(patch), [N, V, V, N], codes);
    let unknown = |why, patch: Vec<Value>, codes: &[&str]| case(why, alone(patch), [C, V, V, C], codes);
    let storage = |n: usize| document["bundle"]["anchors"][0]["anchor"]["storage_proofs"][n].clone();
    let at = |block: u64, unix_seconds: u64| {
        let anchor = kit::anchor(kit::CHAINS[0], kit::LEAVES, 7, block, unix_seconds);
        let hash = anchor.block_hash;
        vec![
            replace("/bundle/anchors/0", kit::link(anchor)),
            replace("/blocks/0/number", block.to_string()),
            replace("/blocks/0/hash", hash),
        ]
    };
    let older = kit::anchor(kit::CHAINS[0], 20, 5, 23_999_000, 1_795_365_000);
    let node = "/bundle/anchors/0/anchor/account_proof/1";
    vec![
        case("one anchor of two", alone(vec![]), [V, V, V, V], &[]),
        case("no anchor yet", vec![remove("/bundle/anchors")], [W, V, V, W], &["anchor"]),
        case(
            "no anchor yet, and when it is expected",
            vec![remove("/bundle/anchors"), add("/bundle/anchor_expected_by", "2026-11-22T17:00:00.000Z")],
            [W, V, V, W],
            &["anchor"],
        ),
        case(
            "a block that can still be replaced",
            alone(vec![replace("/blocks/0/finality", "pending")]),
            [W, V, V, W],
            &["finality"],
        ),
        case("one anchor final, the other not", vec![replace("/blocks/0/finality", "pending")], [V, V, V, V], &[]),
        case("one anchor on a chain that is not pinned", vec![remove("/trust/chains/1")], [V, V, V, V], &[]),
        case(
            "one of two anchors differs",
            vec![flipped("/bundle/anchors/1/anchor/root")],
            [N, V, V, N],
            &["consistency", "head"],
        ),
        unknown("no chain is pinned", vec![remove("/trust/chains")], &["chains"]),
        unknown("the anchor's chain is not pinned", vec![remove("/trust/chains/0")], &["chain"]),
        unknown("the contract is not pinned", vec![remove("/trust/chains/0/contract")], &["contract"]),
        unknown("the code hash is not pinned", vec![remove("/trust/chains/0/code_hash")], &["code-hash"]),
        unknown("the log id is not pinned", vec![remove("/trust/chains/0/log_id")], &["log-id"]),
        unknown("nobody vouches for the block", vec![remove("/blocks/0")], &["block-hash"]),
        unknown("somebody vouches for another block", vec![replace("/blocks/0/number", "23999999")], &["block-hash"]),
        unknown(
            "somebody vouches for a block of another chain",
            vec![replace("/blocks/0/chain_id", "5")],
            &["block-hash"],
        ),
        differs("the chain has another block", vec![flipped("/blocks/0/hash")], &["block"]),
        differs("another contract is pinned", vec![flipped("/trust/chains/0/contract")], &["contract"]),
        differs("another code hash is pinned", vec![flipped("/trust/chains/0/code_hash")], &["code-hash"]),
        differs("another log id is pinned", vec![flipped("/trust/chains/0/log_id")], &["log-id"]),
        differs("another root is stated", vec![flipped("/bundle/anchors/0/anchor/root")], &["consistency", "head"]),
        differs("another size is stated", vec![replace("/bundle/anchors/0/anchor/size", "41")], &["head"]),
        differs("another seq is stated", vec![replace("/bundle/anchors/0/anchor/seq", "8")], &["head"]),
        differs(
            "another contract is stated",
            vec![flipped("/bundle/anchors/0/anchor/contract")],
            &["contract", "account"],
        ),
        differs(
            "another code hash is stated",
            vec![flipped("/bundle/anchors/0/anchor/code_hash")],
            &["code-hash", "account-code"],
        ),
        differs("another log id is stated", vec![flipped("/bundle/anchors/0/anchor/log_id")], &["log-id", "slots"]),
        differs(
            "another block hash is stated",
            vec![flipped("/bundle/anchors/0/anchor/block_hash")],
            &["header-block", "block"],
        ),
        differs(
            "another block number is stated",
            vec![replace("/bundle/anchors/0/anchor/block_number", "24000001")],
            &["header-block"],
        ),
        differs("another header", vec![flipped("/bundle/anchors/0/anchor/header_rlp")], &["header-block"]),
        differs("half a header", vec![replace("/bundle/anchors/0/anchor/header_rlp", "f90212")], &["header"]),
        differs("another node in the account's proof", vec![flipped(node)], &["account"]),
        differs("a node less in the account's proof", vec![remove(node)], &["account"]),
        differs(
            "a node more in the account's proof",
            vec![add("/bundle/anchors/0/anchor/account_proof/-", "80")],
            &["account"],
        ),
        differs(
            "another word in the first slot",
            vec![flipped("/bundle/anchors/0/anchor/storage_proofs/0/value")],
            &["slot"],
        ),
        differs(
            "another word in the second slot",
            vec![flipped("/bundle/anchors/0/anchor/storage_proofs/1/value")],
            &["slot"],
        ),
        differs("another slot", vec![flipped("/bundle/anchors/0/anchor/storage_proofs/0/key")], &["slots"]),
        differs(
            "another node in a slot's proof",
            vec![flipped("/bundle/anchors/0/anchor/storage_proofs/0/proof/0")],
            &["slot"],
        ),
        differs("no proof of the second slot", vec![remove("/bundle/anchors/0/anchor/storage_proofs/1")], &["slots"]),
        differs(
            "the slots exchanged",
            vec![replace("/bundle/anchors/0/anchor/storage_proofs", [storage(1), storage(0)])],
            &["slots"],
        ),
        differs(
            "a hash less in the consistency proof",
            vec![remove("/bundle/anchors/0/consistency/0")],
            &["consistency"],
        ),
        differs(
            "a hash more in the consistency proof",
            vec![add("/bundle/anchors/0/consistency/0", Hash::new([0; 32]))],
            &["consistency"],
        ),
        differs(
            "another hash in the consistency proof",
            vec![flipped("/bundle/anchors/0/consistency/1")],
            &["consistency"],
        ),
        differs(
            "a head older than the checkpoint",
            vec![
                replace("/blocks/0/number", "23999000"),
                replace("/blocks/0/hash", older.block_hash),
                replace("/bundle/anchors/0", json!({"consistency": [], "anchor": older})),
            ],
            &["anchor-too-small"],
        ),
        differs("recorded after the block that covers it", at(23_000_000, 1_795_364_390), &["recorded-after-anchor"]),
        case(
            "recorded after that block, within what clocks may differ",
            alone(at(23_000_000, 1_795_364_396)),
            [V, V, V, V],
            &[],
        ),
        case(
            "recorded after that block, with a wider tolerance",
            alone([at(23_000_000, 1_795_364_390), vec![replace("/trust/clock_skew_seconds", 60)]].concat()),
            [V, V, V, V],
            &[],
        ),
    ]
}

#[test]
fn bundle() {
    let refused = |why: &str, patch: Vec<Value>| json!({"why": why, "patch": patch});
    let document = kit::document();
    let record = |n: usize| document["bundle"]["records"][n].clone();
    let verifies = [content_cases(), log_cases(), anchor_cases()].concat();
    let made = json!({
        "description": "A proof bundle, a trust file and trusted blocks; JSON Patches (add, replace, remove) over the three, with the verdicts that follow. `codes` are those of the whole verdict. docs/spec/proof.md",
        "document": document,
        "verifies": verifies,
        "refused": [
            refused("another version", vec![replace("/bundle/v", 2)]),
            refused("no version", vec![remove("/bundle/v")]),
            refused("an unknown member", vec![add("/bundle/note", "x")]),
            refused("an unknown member of a record", vec![add("/bundle/records/0/note", "x")]),
            refused("an unknown member of an anchor", vec![add("/bundle/anchors/0/anchor/note", "x")]),
            refused("no records", vec![replace("/bundle/records", json!([]))]),
            refused("records out of order", vec![replace("/bundle/records", [record(1), record(0)])]),
            refused("one record twice", vec![replace("/bundle/records", [record(0), record(0)])]),
            refused("an index as a number", vec![replace("/bundle/records/0/index", 17)]),
            refused("an index with a leading zero", vec![replace("/bundle/records/0/index", "017")]),
            refused("upper-case hexadecimal", vec![replace("/bundle/records/0/salt", text(&record(0), "salt").to_uppercase())]),
            refused("a leaf of another version", vec![replace("/bundle/records/0/leaf", text(&record(0), "leaf").replacen("0101", "0201", 1))]),
            refused("null in an event's place", vec![replace("/bundle/records/0/event", Value::Null)]),
            refused("an empty list of anchors", vec![replace("/bundle/anchors", json!([]))]),
        ],
    });
    let file = held("bundle.json", &made);
    let mut wrong = Vec::new();
    for case in cases(&file, "verifies") {
        let whole = apply(&file["document"], &case["patch"]);
        let bundle = ProofBundle::parse(&to_canonical(&whole["bundle"]).unwrap())
            .unwrap_or_else(|error| panic!("{case}: {error}"));
        let trust = TrustFile::parse(&serde_json::to_vec(&whole["trust"]).unwrap()).unwrap();
        let blocks: BlockTrust = parsed(&whole, "blocks");
        let report = verify(&bundle, &trust, &blocks);
        let verdicts = [&report.verdict, &report.content, &report.logged, &report.anchored].map(Verdict::name);
        let codes: Vec<&str> = codes(&report).into_iter().collect();
        if expected(verdicts, &codes) != case["expect"] {
            wrong.push(format!("{}: {}, not {}\n{report}", case["why"], expected(verdicts, &codes), case["expect"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for case in cases(&file, "refused") {
        let whole = apply(&file["document"], &case["patch"]);
        assert!(ProofBundle::parse(&to_canonical(&whole["bundle"]).unwrap()).is_err(), "{case}");
    }
}
