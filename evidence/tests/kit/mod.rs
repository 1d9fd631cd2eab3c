//! A small world of our own: a log, a chain and a bundle, always the same.
//!
//! The keys are made from public seeds and worth nothing.

use std::collections::HashMap;

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::proof::ProofRetainer;
use alloy_trie::{HashBuilder, Nibbles};
use evidence::bundle::{Anchor, AnchorLink, HexBytes, ProofBundle, Record, StorageProof};
use evidence::checkpoint::Checkpoint;
use evidence::commitment::{commit, salt};
use evidence::ethereum::head_slots;
use evidence::event::{
    AccessEvent, Caller, Coding, ConsentUse, Counts, Decision, Disclosure, EventBody, Phase, Reason, Redaction,
    Request, ResourceUse, UniversalUse,
};
use evidence::ids::{
    Address, ChainId, Commitment, Epoch, EventId, Hash, LeafIndex, LogId, Origin, Salt, Sequence, SourceId, TenantId,
    Timestamp, TreeSize,
};
use evidence::leaf::Leaf;
use evidence::merkle::{CompactRange, MerkleError, NodeSource, consistency_path, inclusion_path, root_at};
use evidence::note::{KeyKind, NoteSigner};
use evidence::trust::{ChainTrust, TrustFile, WitnessPolicy};
use evidence::verify::{BlockBasis, BlockTrust, Finality, TrustedBlock};
use serde_json::{Value, json};

pub(crate) const LEAVES: u64 = 42;
pub(crate) const CHECKPOINT_SIZE: u64 = 23;
pub(crate) const REQUEST_PLACE: u64 = 17;
pub(crate) const CHAINS: [u64; 2] = [1, 31337];

pub(crate) fn origin() -> Origin {
    "log.hospital-a.example/sealgate".parse().unwrap()
}

pub(crate) fn tenant() -> TenantId {
    "hospital-a".parse().unwrap()
}

pub(crate) fn log_key() -> NoteSigner {
    NoteSigner::from_seed(origin().as_str(), KeyKind::Ed25519, &[1; 32]).unwrap()
}

pub(crate) fn witness(n: u8) -> NoteSigner {
    NoteSigner::from_seed(&format!("witness-{n}.example"), KeyKind::CosignatureV1, &[0x10 + n; 32]).unwrap()
}

pub(crate) fn salt_key(n: u8) -> [u8; 32] {
    [0x60 + n; 32]
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A search of Observations by a physician.
pub(crate) fn request_event() -> AccessEvent {
    AccessEvent {
        id: "01934f2e-7c1a-7b3c-8d4e-5f6071829304".parse().unwrap(),
        at: at("2026-11-22T16:20:00.123Z"),
        body: EventBody::Request(Box::new(Request {
            phase: Phase::Whole,
            caller: Caller {
                issuer: "https://id.hospital-a.example".to_owned(),
                subject: "dr-weber".to_owned(),
                client: Some("ward-app".to_owned()),
                organization: Some("Organization/hospital-a".to_owned()),
                roles: vec![Coding { system: Some("http://snomed.info/sct".to_owned()), code: "158965000".to_owned() }],
                token_id: Some("f3a1".to_owned()),
            },
            purpose: vec![Coding {
                system: Some("http://terminology.hl7.org/CodeSystem/v3-ActReason".to_owned()),
                code: "TREAT".to_owned(),
            }],
            break_glass: None,
            interaction: "search-type".to_owned(),
            resource_type: Some("Observation".to_owned()),
            decision: Decision::Permit,
            reasons: vec![Reason { rule: "scope".to_owned(), detail: Some("user/Observation.rs".to_owned()) }],
            policy_digest: Hash::new([0x22; 32]),
            status: Some(200),
            counts: Counts { entries: 2, disclosed: 2, redactions: 1, bytes: 2048 },
            universal: vec![UniversalUse {
                reference: "Practitioner/weber".parse().unwrap(),
                version: Some("1".to_owned()),
            }],
            query_sealed: None,
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
        })),
    }
}

/// What that search disclosed of one patient.
pub(crate) fn disclosure_event() -> AccessEvent {
    AccessEvent {
        id: "01934f2e-7c1b-7a01-9c2d-3e4f50617283".parse().unwrap(),
        at: at("2026-11-22T16:20:00.124Z"),
        body: EventBody::Disclosure(Disclosure {
            request: request_event().id,
            window: 0,
            patient: "Patient/lena".parse().unwrap(),
            resources: vec![ResourceUse {
                reference: "Observation/bp-1".parse().unwrap(),
                version: Some("3".to_owned()),
                digest: None,
                labels: vec![Coding {
                    system: Some("http://terminology.hl7.org/CodeSystem/v3-Confidentiality".to_owned()),
                    code: "R".to_owned(),
                }],
                redactions: vec![Redaction { path: "Observation.note".to_owned(), rule: "narrative".to_owned() }],
            }],
            consents: vec![ConsentUse {
                consent: "Consent/lena/_history/2".parse().unwrap(),
                provision: "provision.provision[0]".to_owned(),
            }],
            rule: None,
        }),
    }
}

pub(crate) struct Committed {
    pub(crate) event: AccessEvent,
    pub(crate) salt_key: [u8; 32],
    pub(crate) salt: Salt,
    pub(crate) commitment: Commitment,
}

pub(crate) fn committed(event: AccessEvent, salt_key: [u8; 32]) -> Committed {
    let salt = salt(&salt_key, event.id);
    let commitment = commit(&tenant(), &salt, &event.canonical_bytes().unwrap());
    Committed { event, salt_key, salt, commitment }
}

pub(crate) fn records() -> [Committed; 2] {
    [committed(request_event(), salt_key(0)), committed(disclosure_event(), salt_key(1))]
}

pub(crate) fn leaf(place: u64) -> Leaf {
    let [request, disclosure] = records();
    let commitment = match place {
        REQUEST_PLACE => request.commitment,
        place if place == REQUEST_PLACE + 1 => disclosure.commitment,
        place => Commitment::new(keccak256(place.to_be_bytes()).0),
    };
    Leaf { source: SourceId::new([0x11; 16]), epoch: Epoch::new(1), sequence: Sequence::new(place), commitment }
}

/// The nodes of a tree, by level and index.
#[derive(Default)]
pub(crate) struct Nodes(HashMap<(u8, u64), Hash>);

impl NodeSource for Nodes {
    type Error = MerkleError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, MerkleError> {
        Ok(self.0[&(level, index)])
    }
}

pub(crate) fn nodes(leaf_hashes: impl IntoIterator<Item = Hash>) -> Nodes {
    let (mut range, mut nodes) = (CompactRange::new(), Nodes::default());
    for hash in leaf_hashes {
        range
            .append_visiting(hash, |level, index, hash| {
                nodes.0.insert((level, index), hash);
            })
            .unwrap();
    }
    nodes
}

pub(crate) fn log_nodes() -> Nodes {
    nodes((0..LEAVES).map(|place| leaf(place).hash()))
}

pub(crate) fn contract() -> Address {
    Address::new([0xa7; 20])
}

pub(crate) fn code_hash() -> Hash {
    Hash::new(keccak256("code of the registry").0)
}

pub(crate) fn log_id() -> LogId {
    LogId::new(keccak256("the log of hospital a").0)
}

pub(crate) fn checkpoint_note() -> String {
    let head = Checkpoint {
        origin: origin(),
        size: TreeSize::new(CHECKPOINT_SIZE),
        root: root_at(&log_nodes(), TreeSize::new(CHECKPOINT_SIZE)).unwrap(),
    };
    let mut note = head.sign(&log_key()).unwrap();
    note.cosign(&witness(1), 1_795_364_410).unwrap();
    note.cosign(&witness(2), 1_795_364_411).unwrap();
    note.to_string()
}

/// One trie and the proofs of some of its keys, given as (key before hashing, value).
fn trie(entries: &[(Vec<u8>, Vec<u8>)], targets: &[Vec<u8>]) -> (B256, Vec<Vec<HexBytes>>) {
    let path = |key: &Vec<u8>| Nibbles::unpack(keccak256(key));
    let mut sorted: Vec<(Nibbles, &Vec<u8>)> = entries.iter().map(|(key, value)| (path(key), value)).collect();
    sorted.sort();
    let mut root = B256::ZERO;
    let mut proofs = Vec::new();
    for target in targets {
        let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![path(target)]));
        for (key, value) in &sorted {
            builder.add_leaf(*key, value);
        }
        root = builder.root();
        let nodes: Vec<Bytes> =
            builder.take_proof_nodes().into_nodes_sorted().into_iter().map(|(_, node)| node).collect();
        proofs.push(nodes.into_iter().map(|node| HexBytes(node.to_vec())).collect());
    }
    (root, proofs)
}

fn word(bytes: &[u8; 32]) -> Vec<u8> {
    alloy_rlp::encode(bytes.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>().as_slice())
}

fn account(nonce: u64, storage_root: B256, code_hash: B256) -> Vec<u8> {
    let payload = [
        alloy_rlp::encode(nonce),
        alloy_rlp::encode(0_u64),
        alloy_rlp::encode(storage_root),
        alloy_rlp::encode(code_hash),
    ]
    .concat();
    let mut out = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    [out, payload].concat()
}

/// A head in the contract in the state of a block, with neighbours in both tries.
pub(crate) fn anchor(chain_id: u64, size: u64, seq: u64, block_number: u64, unix_seconds: u64) -> Anchor {
    let root = root_at(&log_nodes(), TreeSize::new(size)).unwrap();
    let mut first = [0; 32];
    first[..6].copy_from_slice(&seq.to_be_bytes()[2..]);
    first[6..12].copy_from_slice(&size.to_be_bytes()[2..]);
    first[12..].copy_from_slice(&[0xbb; 20]);
    let [first_key, second_key] = head_slots(&log_id());

    let mut slots: Vec<(Vec<u8>, Vec<u8>)> = (0_u8..20).map(|n| (vec![n; 32], word(&[n + 1; 32]))).collect();
    slots.push((first_key.as_bytes().to_vec(), word(&first)));
    slots.push((second_key.as_bytes().to_vec(), word(root.as_bytes())));
    let targets = [first_key.as_bytes().to_vec(), second_key.as_bytes().to_vec()];
    let (storage_root, storage_proofs) = trie(&slots, &targets);

    let mut accounts: Vec<(Vec<u8>, Vec<u8>)> =
        (0_u8..20).map(|n| (vec![n; 20], account(n.into(), B256::repeat_byte(n), B256::repeat_byte(n)))).collect();
    accounts.push((contract().as_bytes().to_vec(), account(1, storage_root, B256::from(*code_hash().as_bytes()))));
    let (state_root, mut account_proofs) = trie(&accounts, &[contract().as_bytes().to_vec()]);

    let header = Header {
        number: block_number,
        timestamp: unix_seconds,
        state_root,
        base_fee_per_gas: Some(7),
        withdrawals_root: Some(B256::ZERO),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        ..Header::default()
    };
    let [first_proof, second_proof] = <[_; 2]>::try_from(storage_proofs).unwrap();
    Anchor {
        chain_id: ChainId::new(chain_id),
        contract: contract(),
        code_hash: code_hash(),
        log_id: log_id(),
        seq,
        size: TreeSize::new(size),
        root,
        block_number,
        block_hash: Hash::new(header.hash_slow().0),
        header_rlp: HexBytes(alloy_rlp::encode(&header)),
        account_proof: account_proofs.remove(0),
        storage_proofs: vec![
            StorageProof { key: first_key, value: Hash::new(first), proof: first_proof },
            StorageProof { key: second_key, value: root, proof: second_proof },
        ],
        transaction: Some(Hash::new([0x77; 32])),
    }
}

pub(crate) fn link(anchor: Anchor) -> AnchorLink {
    let consistency = consistency_path(&log_nodes(), TreeSize::new(CHECKPOINT_SIZE), anchor.size).unwrap();
    AnchorLink { consistency, anchor }
}

/// Ten minutes after the events, on one chain a larger head, on the other the checkpoint's own.
pub(crate) fn anchors() -> Vec<AnchorLink> {
    vec![
        link(anchor(CHAINS[0], LEAVES, 7, 24_000_000, 1_795_365_000)),
        link(anchor(CHAINS[1], CHECKPOINT_SIZE, 3, 512, 1_795_364_520)),
    ]
}

pub(crate) fn bundle() -> ProofBundle {
    let nodes = log_nodes();
    let records = records()
        .into_iter()
        .zip(REQUEST_PLACE..)
        .map(|(committed, place)| Record {
            event: Some(serde_json::to_value(&committed.event).unwrap()),
            salt: Some(committed.salt),
            leaf: leaf(place),
            index: LeafIndex::new(place),
            inclusion: inclusion_path(&nodes, LeafIndex::new(place), TreeSize::new(CHECKPOINT_SIZE)).unwrap(),
        })
        .collect();
    let mut bundle = ProofBundle::new(Some(tenant()), records, checkpoint_note());
    bundle.anchors = anchors();
    bundle
}

pub(crate) fn trust() -> TrustFile {
    let mut trust = TrustFile::new(origin(), log_key().verifier().clone());
    trust.witnesses = Some(WitnessPolicy {
        quorum: 2,
        keys: vec![witness(1).verifier().clone(), witness(2).verifier().clone(), witness(3).verifier().clone()],
    });
    trust.chains = CHAINS
        .map(|chain_id| ChainTrust {
            chain_id: ChainId::new(chain_id),
            contract: Some(contract()),
            code_hash: Some(code_hash()),
            log_id: Some(log_id()),
        })
        .to_vec();
    trust.clock_skew_seconds = Some(5);
    trust
}

pub(crate) fn blocks() -> BlockTrust {
    let blocks = anchors().into_iter().map(|AnchorLink { anchor, .. }| TrustedBlock {
        chain_id: anchor.chain_id,
        number: anchor.block_number,
        hash: anchor.block_hash,
        finality: Finality::Final,
        basis: BlockBasis::Rpc { endpoints: 2 },
    });
    BlockTrust { blocks: blocks.collect() }
}

/// All three as one document, for patches to work on.
pub(crate) fn document() -> Value {
    json!({ "bundle": bundle(), "trust": trust(), "blocks": blocks() })
}

pub(crate) fn event_id(n: u8) -> EventId {
    EventId::new([n; 16])
}
