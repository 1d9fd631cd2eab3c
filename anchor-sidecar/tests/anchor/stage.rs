//! A chain with the contract, a log, and a sender that is polled step by step.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy_primitives::{Address, B256};
use anchor_sidecar::{
    anchor::{
        Anchor, AnchorError, AnchorStatus, Head, HeadSource, Keys, Settings, SourceError,
        deploy::{self, Registration},
        fees::FeePolicy,
        registry::ChainHead,
        signer::{DigestSigner, LocalKey},
        state::{Policy, Waiting},
    },
    rpc::Rpc,
};
use evidence::{
    bundle::Anchor as Evidence,
    ids::{ChainId, Hash, LeafIndex, LogId, Origin, TreeSize},
    merkle::{MerkleError, NodeSource, consistency_path, leaf_hash, node_hash, root_at},
};

use crate::anvil::{Anvil, KEY};

pub(crate) const GWEI: u128 = 1_000_000_000;
pub(crate) const POLICY: FeePolicy = FeePolicy { ceiling: 100 * GWEI, floor: GWEI };

/// A log in memory.
#[derive(Default)]
pub(crate) struct Tree(Mutex<Vec<Hash>>);

impl Tree {
    /// `count` leaves whose content begins with `branch`.
    pub(crate) fn grow(&self, branch: &str, count: usize) {
        let mut leaves = self.0.lock().unwrap();
        for _ in 0..count {
            let content = format!("{branch} {}", leaves.len());
            leaves.push(leaf_hash(content.as_bytes()));
        }
    }
}

impl NodeSource for Tree {
    type Error = MerkleError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, MerkleError> {
        if level == 0 {
            let size = TreeSize::new(self.0.lock().unwrap().len() as u64);
            let leaf = self.0.lock().unwrap().get(index as usize).copied();
            return leaf.ok_or(MerkleError::IndexBeyondSize { index: LeafIndex::new(index), size });
        }
        Ok(node_hash(&self.node(level - 1, 2 * index)?, &self.node(level - 1, 2 * index + 1)?))
    }
}

impl HeadSource for Tree {
    fn newest(&self) -> Head {
        let size = TreeSize::new(self.0.lock().unwrap().len() as u64);
        Head { size, root: root_at(self, size).unwrap() }
    }

    fn consistency(&self, from: TreeSize, to: TreeSize) -> Result<Vec<Hash>, SourceError> {
        Ok(consistency_path(self, from, to)?)
    }
}

pub(crate) struct Stage {
    pub(crate) anvil: Anvil,
    pub(crate) tree: Arc<Tree>,
    pub(crate) settings: Settings,
    pub(crate) key: Arc<dyn DigestSigner>,
    pub(crate) contract: Address,
    pub(crate) log_id: LogId,
    dir: tempfile::TempDir,
}

pub(crate) fn key(hex_digits: &str) -> Arc<dyn DigestSigner> {
    let bytes: [u8; 32] = hex::decode(hex_digits).unwrap().try_into().unwrap();
    Arc::new(LocalKey::from_bytes(&bytes).unwrap())
}

impl Stage {
    /// A chain that mines when told to, the contract on it, a log of five leaves registered in it.
    pub(crate) async fn set(slots: u64) -> Option<Self> {
        Self::set_for(slots, key(KEY)).await
    }

    pub(crate) async fn set_for(slots: u64, publisher: Arc<dyn DigestSigner>) -> Option<Self> {
        let anvil = Anvil::start(slots, &[]).await?;
        let rpc = anvil.rpc();
        let key = key(KEY);
        let deployed = deploy::deploy(&rpc, key.as_ref(), POLICY).await.unwrap();
        let origin = Origin::new("log.example/test").unwrap();
        let registration = Registration::of(&origin, B256::repeat_byte(7), publisher.address(), key.address());
        let registered = deploy::register(&rpc, key.as_ref(), POLICY, deployed.contract, &registration).await.unwrap();
        anvil.automine(false).await;
        anvil.mine(3 * slots).await;
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            chain_id: ChainId::new(rpc.chain_id().await.unwrap()),
            contract: evidence::ids::Address::new(deployed.contract.into_array()),
            log_id: registered.log_id,
            code_hash: Hash::new(deployed.code_hash.0),
            cadence: Duration::from_secs(3600),
            poll: Duration::from_millis(100),
            finality_depth: None,
            policy: Policy {
                fees: POLICY,
                bump_after_blocks: 3,
                bump_after: Duration::ZERO,
                resend_held: Duration::from_secs(600),
                patience: 3,
            },
            journal: dir.path().join("anchor.db"),
            anchors: dir.path().join("anchors"),
        };
        let tree = Arc::new(Tree::default());
        tree.grow("honest", 5);
        Some(Self { anvil, tree, settings, key, contract: deployed.contract, log_id: registered.log_id, dir })
    }

    /// The sender as after a start of the process.
    pub(crate) fn start(&self) -> Actor<'_> {
        self.start_with(vec![self.anvil.rpc()])
    }

    pub(crate) fn start_with(&self, endpoints: Vec<Rpc>) -> Actor<'_> {
        self.start_as(endpoints, Keys::one(Arc::clone(&self.key)))
    }

    pub(crate) fn start_as(&self, endpoints: Vec<Rpc>, keys: Keys) -> Actor<'_> {
        let source: Arc<dyn HeadSource> = self.tree.clone();
        Actor { stage: self, anchor: Anchor::open(self.settings.clone(), endpoints, keys, source).unwrap() }
    }

    /// Settings of another process on another volume, for the same log.
    pub(crate) fn elsewhere(&self, name: &str) -> Settings {
        let dir = self.dir.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        Settings { journal: dir.join("anchor.db"), anchors: dir.join("anchors"), ..self.settings.clone() }
    }

    pub(crate) async fn head(&self) -> ChainHead {
        deploy::stored(&self.anvil.rpc(), self.contract, self.log_id).await.unwrap().unwrap()
    }

    pub(crate) fn file(&self, seq: u64) -> PathBuf {
        self.settings.anchors.join(format!("{seq}.json"))
    }

    /// The evidence of a final anchor, as a bundle would hold it.
    pub(crate) fn evidence(&self, seq: u64) -> Evidence {
        serde_json::from_slice(&std::fs::read(self.file(seq)).unwrap()).unwrap()
    }

    pub(crate) async fn nonce(&self) -> u64 {
        self.anvil.rpc().nonce(self.key.address(), anchor_sidecar::rpc::At::Latest).await.unwrap()
    }
}

pub(crate) struct Actor<'a> {
    stage: &'a Stage,
    pub(crate) anchor: Anchor,
}

impl Actor<'_> {
    /// One poll; what is waited for.
    pub(crate) async fn poll(&mut self) -> Option<Waiting> {
        self.try_poll().await.unwrap()
    }

    pub(crate) async fn try_poll(&mut self) -> Result<Option<Waiting>, AnchorError> {
        self.anchor.poll().await?;
        Ok(self.status().state)
    }

    pub(crate) fn status(&self) -> AnchorStatus {
        self.anchor.status().borrow().clone()
    }

    /// Asks for an anchor now.
    pub(crate) fn ask(&mut self) {
        self.anchor.ask();
    }

    /// Polls and mines until anchor `seq` is final.
    pub(crate) async fn until_final(&mut self, seq: u64) {
        for _ in 0..60 {
            self.poll().await;
            if self.status().last_final.is_some_and(|head| head.seq >= seq) {
                return;
            }
            self.stage.anvil.mine(1).await;
        }
        panic!("anchor {seq} does not become final: {:#?}", self.status());
    }
}
