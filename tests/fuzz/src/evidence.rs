//! What a verifier reads: events, leaves, notes, checkpoints, tiles, bundles, trust files, and proofs of the chain.

use std::sync::OnceLock;

use ::evidence::bundle::{AnchorLink, ProofBundle};
use ::evidence::canonical::{parse_canonical, parse_strict, to_canonical};
use ::evidence::checkpoint::Checkpoint;
use ::evidence::ethereum::{decode_header, head_slots, prove_account, prove_slot};
use ::evidence::event::AccessEvent;
use ::evidence::ids::{Address, Hash, LogId};
use ::evidence::leaf::Leaf;
use ::evidence::merkle::tile::TilePath;
use ::evidence::note::{Note, NoteSigner, NoteVerifier};
use ::evidence::trust::TrustFile;
use ::evidence::verify::{BlockTrust, Verdict, verify};
use serde_json::Value;
use sha3::{Digest, Keccak256};

use crate::{Target, harvest};

/// The targets.
pub const TARGETS: &[Target] = &[
    Target { name: "evidence-canonical", run: canonical, candidates: vectors },
    Target { name: "evidence-event", run: event, candidates: vectors },
    Target { name: "evidence-leaf", run: leaf, candidates: vectors },
    Target { name: "evidence-note", run: note, candidates: vectors },
    Target { name: "evidence-checkpoint", run: checkpoint, candidates: vectors },
    Target { name: "evidence-tile", run: tile, candidates: vectors },
    Target { name: "evidence-trust", run: trust, candidates: trusts },
    Target { name: "evidence-bundle", run: bundle, candidates: bundles },
    Target { name: "evidence-ethereum", run: ethereum, candidates: proofs },
];

const BUNDLE: &str = include_str!("../../../evidence/vectors/bundle.json");
const VECTORS: [&str; 7] = [
    include_str!("../../../evidence/vectors/checkpoint.json"),
    include_str!("../../../evidence/vectors/commitment.json"),
    include_str!("../../../evidence/vectors/event.json"),
    include_str!("../../../evidence/vectors/leaf.json"),
    include_str!("../../../evidence/vectors/note.json"),
    include_str!("../../../evidence/vectors/tile.json"),
    BUNDLE,
];

fn vectors() -> Vec<Vec<u8>> {
    let mut inputs = harvest::all(&VECTORS);
    // A checkpoint is the text of a note, without the signatures.
    let texts = inputs.iter().filter_map(|input| Note::parse(std::str::from_utf8(input).ok()?).ok());
    let texts: Vec<Vec<u8>> = texts.map(|note| note.text().as_bytes().to_vec()).collect();
    inputs.extend(texts);
    inputs
}

/// Whatever is accepted has one canonical form, which is accepted and is its own canonical form; only that form is
/// accepted as canonical; and another parser understands the same.
fn canonical(data: &[u8]) -> bool {
    let Ok(value) = parse_strict(data) else {
        assert!(parse_canonical(data).is_err(), "canonical, but no JSON");
        return false;
    };
    let written = to_canonical(&value).expect("what was read can be written");
    let again = parse_canonical(&written).expect("what was written can be read");
    assert_eq!(to_canonical(&again).expect("as before"), written);
    let other: Value = serde_json::from_slice(data).expect("another parser takes it");
    assert_eq!(to_canonical(&other).expect("as before"), written, "another parser understands something else");
    assert_eq!(parse_canonical(data).is_ok(), data == written, "another form passes for the canonical one");
    true
}

/// Whatever is accepted writes back as the same bytes.
fn event(data: &[u8]) -> bool {
    let Ok(event) = AccessEvent::from_canonical(data) else { return false };
    assert_eq!(event.canonical_bytes().expect("what was read can be written"), data);
    true
}

/// Whatever is accepted writes back as the same bytes, and its hexadecimal text reads back.
fn leaf(data: &[u8]) -> bool {
    let Ok(leaf) = Leaf::from_bytes(data) else { return false };
    assert_eq!(leaf.to_bytes(), data);
    assert_eq!(leaf.to_string().parse::<Leaf>().expect("what was written can be read"), leaf);
    true
}

/// Whatever is accepted writes back as the same text; keys too. A note that nobody signed verifies by no key.
fn note(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let (note, key, secret) = (Note::parse(text), text.parse::<NoteVerifier>(), NoteSigner::from_skey(text));
    if let Ok(note) = &note {
        assert_eq!(note.to_string(), text);
        let stranger = &world().stranger;
        assert!(note.verify(std::slice::from_ref(stranger)).is_err(), "a stranger's key verifies it");
    }
    if let Ok(key) = &key {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(secret) = &secret {
        assert_eq!(secret.to_skey(), text);
    }
    note.is_ok() || key.is_ok() || secret.is_ok()
}

/// Whatever is accepted writes back as the same text.
fn checkpoint(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(checkpoint) = text.parse::<Checkpoint>() else { return false };
    assert_eq!(checkpoint.to_string(), text);
    true
}

/// Whatever is accepted writes back as the same path, which leads nowhere but down.
fn tile(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(path) = text.parse::<TilePath>() else { return false };
    assert_eq!(path.to_string(), text);
    assert!(text.starts_with("tile/") && !text.contains("..") && !text.contains("//"));
    true
}

/// Whatever is accepted reads back from what it is written as.
fn trust(data: &[u8]) -> bool {
    let Ok(trust) = TrustFile::parse(data) else { return false };
    let written = trust.to_json().expect("what was read can be written");
    assert_eq!(TrustFile::parse(written.as_bytes()).expect("what was written can be read"), trust);
    true
}

fn trusts() -> Vec<Vec<u8>> {
    let whole = document()["trust"].clone();
    let members: Vec<String> = whole.as_object().map(|members| members.keys().cloned().collect()).unwrap_or_default();
    let without = |member: &String| {
        let mut trust = whole.clone();
        trust.as_object_mut().map(|members| members.remove(member));
        trust.to_string().into_bytes()
    };
    members.iter().map(without).chain([whole.to_string().into_bytes()]).collect()
}

/// The bundle of the vectors, and who believes what.
struct World {
    bundle: ProofBundle,
    trust: TrustFile,
    blocks: BlockTrust,
    stranger: NoteVerifier,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let document = document();
        let bundle = to_canonical(&document["bundle"]).expect("JSON");
        let stranger = ::evidence::note::KeyKind::Ed25519;
        World {
            bundle: ProofBundle::parse(&bundle).expect("a bundle"),
            trust: TrustFile::parse(document["trust"].to_string().as_bytes()).expect("a trust file"),
            blocks: serde_json::from_value(document["blocks"].clone()).expect("trusted blocks"),
            stranger: NoteSigner::from_seed("log.hospital-a.example/sealgate", stranger, &[0xee; 32])
                .expect("a good name")
                .verifier()
                .clone(),
        }
    })
}

fn document() -> Value {
    let file: Value = serde_json::from_str(BUNDLE).expect("vectors are JSON");
    file["document"].clone()
}

/// Whatever is accepted writes back as the same bytes; the verifier has an answer to it; and it is verified only where
/// it claims what the vectors' bundle claims, or less.
fn bundle(data: &[u8]) -> bool {
    let Ok(bundle) = ProofBundle::parse(data) else { return false };
    let written = bundle.to_canonical().expect("what was read can be written");
    assert_eq!(written, data.strip_suffix(b"\n").unwrap_or(data));
    let World { bundle: good, trust, blocks, .. } = world();
    let without = verify(&bundle, trust, &BlockTrust::none());
    assert_ne!(without.verdict.exit_code(), 0, "without a trusted block nothing is verified");
    let report = verify(&bundle, trust, blocks);
    if report.content == Verdict::Verified && report.logged == Verdict::Verified {
        assert_eq!(bundle.tenant, good.tenant);
        for record in &bundle.records {
            assert!(good.records.contains(record), "a record that was never logged is verified");
        }
    }
    if report.verdict.exit_code() == 0 {
        let pinned = |link: &AnchorLink| trust.chains.iter().any(|chain| chain.chain_id == link.anchor.chain_id);
        for link in bundle.anchors.iter().filter(|link| pinned(link)) {
            let mut plain = link.clone();
            let genuine = good.anchors.iter().any(|other| {
                plain.anchor.transaction = other.anchor.transaction;
                plain == *other
            });
            assert!(genuine, "an anchor that never was is verified");
        }
    }
    true
}

fn bundles() -> Vec<Vec<u8>> {
    let whole = document()["bundle"].clone();
    let changed = |change: fn(&mut Value)| {
        let mut bundle = whole.clone();
        change(&mut bundle);
        to_canonical(&bundle).expect("JSON")
    };
    let mut bundles = harvest::all(&[BUNDLE]);
    bundles.extend([
        changed(|_| {}),
        changed(|bundle| {
            bundle["anchors"].as_array_mut().map(|anchors| anchors.remove(0));
        }),
        changed(|bundle| {
            bundle["anchors"].as_array_mut().map(|anchors| anchors.remove(1));
        }),
        changed(|bundle| {
            bundle["records"].as_array_mut().map(|records| records.remove(0));
        }),
        changed(|bundle| {
            bundle.as_object_mut().map(|members| members.remove("anchors"));
        }),
        changed(|bundle| {
            let members = bundle.as_object_mut();
            members.map(|members| (members.remove("anchors"), members.remove("tenant")));
            bundle["anchor_expected_by"] = "2026-11-22T17:00:00.000Z".into();
        }),
    ]);
    bundles
}

/// Header, account proof and slot proof, as they are read out of an input.
struct Proofs<'a> {
    address: Address,
    slot: Hash,
    value: Hash,
    header: &'a [u8],
    account: Vec<&'a [u8]>,
    storage: Vec<&'a [u8]>,
}

impl<'a> Proofs<'a> {
    /// `address (20) ‖ slot (32) ‖ value (32)`, then chunks of two bytes of length: the header, the nodes of the account
    /// proof, an empty one, the nodes of the slot's.
    fn read(data: &'a [u8]) -> Option<Self> {
        let (address, rest) = data.split_first_chunk::<20>()?;
        let (slot, rest) = rest.split_first_chunk::<32>()?;
        let (value, mut rest) = rest.split_first_chunk::<32>()?;
        let mut chunks = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let (chunk, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            chunks.push(chunk);
            rest = after;
        }
        let (header, nodes) = chunks.split_first()?;
        let mut proofs = nodes.splitn(2, |node| node.is_empty());
        Some(Self {
            address: Address::new(*address),
            slot: Hash::new(*slot),
            value: Hash::new(*value),
            header,
            account: proofs.next().unwrap_or_default().to_vec(),
            storage: proofs.next().unwrap_or_default().to_vec(),
        })
    }

    fn write(address: &[u8], slot: &[u8], value: &[u8], chunks: &[&[u8]]) -> Vec<u8> {
        let mut out = [address, slot, value].concat();
        for chunk in chunks {
            out.extend_from_slice(&u16::try_from(chunk.len()).expect("a node is short").to_be_bytes());
            out.extend_from_slice(chunk);
        }
        out
    }
}

/// A proof proves one value under one key of one trie: with another root, key or value, with a node less or a node more
/// it proves nothing.
fn ethereum(data: &[u8]) -> bool {
    let Some(proofs) = Proofs::read(data) else { return false };
    let header = decode_header(proofs.header);
    if let Ok(header) = &header {
        assert_eq!(header.hash, keccak(proofs.header));
    }
    // Where the header's root is not the proof's, the first node is taken for the root: it is what must be read safely.
    let root_of = |nodes: &[&[u8]]| nodes.first().map_or(Hash::new([0; 32]), |node| keccak(node));
    let mut taken = header.is_ok();
    let roots = header.map(|header| header.state_root).into_iter().chain([root_of(&proofs.account)]);
    for root in roots {
        let Ok(account) = prove_account(&root, &proofs.address, &proofs.account) else { continue };
        taken = true;
        assert!(prove_account(&flipped(&root), &proofs.address, &proofs.account).is_err(), "under another root");
        let mut other = *proofs.address.as_bytes();
        other[19] ^= 1;
        assert!(prove_account(&root, &Address::new(other), &proofs.account).is_err(), "another account");
        for nodes in cut_or_grown(&proofs.account) {
            assert!(prove_account(&root, &proofs.address, &nodes).is_err(), "with other nodes");
        }
        slot(&account.storage_root, &proofs);
    }
    taken | slot(&root_of(&proofs.storage), &proofs)
}

fn slot(root: &Hash, proofs: &Proofs<'_>) -> bool {
    let Proofs { slot, value, storage, .. } = proofs;
    if prove_slot(root, slot, value, storage).is_err() {
        return false;
    }
    assert!(prove_slot(&flipped(root), slot, value, storage).is_err(), "under another root");
    assert!(prove_slot(root, &flipped(slot), value, storage).is_err(), "another slot");
    assert!(prove_slot(root, slot, &flipped(value), storage).is_err(), "another value");
    for nodes in cut_or_grown(storage) {
        assert!(prove_slot(root, slot, value, &nodes).is_err(), "with other nodes");
    }
    true
}

fn cut_or_grown<'a>(nodes: &[&'a [u8]]) -> Vec<Vec<&'a [u8]>> {
    let grown = nodes.iter().copied().chain([b"\x80".as_slice()]).collect();
    let without = |at: usize| [&nodes[..at], &nodes[at + 1..]].concat();
    (0..nodes.len()).map(without).chain([grown]).collect()
}

fn keccak(bytes: &[u8]) -> Hash {
    Hash::new(Keccak256::digest(bytes).into())
}

fn flipped(hash: &Hash) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[31] ^= 1;
    Hash::new(bytes)
}

fn proofs() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for link in &world().bundle.anchors {
        let anchor = &link.anchor;
        let slots = head_slots(&LogId::new(*anchor.log_id.as_bytes()));
        for (slot, storage) in slots.iter().zip(&anchor.storage_proofs) {
            let account = anchor.account_proof.iter().map(|node| node.0.as_slice());
            let nodes = storage.proof.iter().map(|node| node.0.as_slice());
            let chunks: Vec<&[u8]> = std::iter::once(anchor.header_rlp.0.as_slice())
                .chain(account)
                .chain([b"".as_slice()])
                .chain(nodes.clone())
                .collect();
            let short: Vec<&[u8]> = [b"".as_slice(), b""].into_iter().chain(nodes).collect();
            for chunks in [chunks, short] {
                let (address, value) = (anchor.contract.as_bytes(), storage.value.as_bytes());
                seeds.push(Proofs::write(address, slot.as_bytes(), value, &chunks));
            }
        }
    }
    seeds
}
