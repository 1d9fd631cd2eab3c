//! The ordinary course: anchors become final, and their evidence proves them.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use anchor_sidecar::{
    anchor::{
        Anchor, AnchorError, Keys,
        deploy::{self, Registration},
        state::{Equivocation, Waiting},
    },
    rpc::At,
};
use evidence::{
    ethereum::{HeadSlot, decode_header, prove_account, prove_slot},
    ids::Origin,
};
use tokio::sync::watch;

use crate::stage::{GWEI, POLICY, Stage, Tree, key};

/// Anvil's second well-known account.
const OTHER_KEY: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

#[tokio::test(flavor = "multi_thread")]
async fn registering_twice_finds_the_first() {
    let Some(stage) = Stage::set(1).await else { return };
    stage.anvil.automine(true).await;
    let origin = Origin::new("log.example/test").unwrap();
    let address = stage.key.address();
    let registration = Registration::of(&origin, B256::repeat_byte(7), address, address);
    let nonce = stage.nonce().await;
    let again =
        deploy::register(&stage.anvil.rpc(), stage.key.as_ref(), POLICY, stage.contract, &registration).await.unwrap();
    assert_eq!((again.log_id, again.transaction), (stage.log_id, None));
    assert_eq!(again.head.seq, 0);
    assert_eq!(again.head.head.root, evidence::merkle::empty_root());
    assert_eq!(stage.nonce().await, nonce, "no second transaction");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_becomes_final_and_its_evidence_proves_it() {
    let Some(stage) = Stage::set(1).await else { return };
    let mut actor = stage.start();
    assert_eq!(actor.poll().await, Some(Waiting::InPool));
    assert_eq!(stage.anvil.pool().await.len(), 1);
    actor.until_final(1).await;
    assert_eq!(stage.head().await.head, anchor_sidecar::anchor::HeadSource::newest(&*stage.tree));

    let evidence = stage.evidence(1);
    let header = decode_header(&evidence.header_rlp.0).unwrap();
    let on_chain = stage.anvil.rpc().block(At::Number(evidence.block_number)).await.unwrap().unwrap();
    assert_eq!(header.hash.as_bytes(), &on_chain.hash.0);
    let account = prove_account(&header.state_root, &evidence.contract, &evidence.account_proof).unwrap();
    assert_eq!(account.code_hash, evidence.code_hash);
    for slot in &evidence.storage_proofs {
        prove_slot(&account.storage_root, &slot.key, &slot.value, &slot.proof).unwrap();
    }
    let head = HeadSlot::unpack(&evidence.storage_proofs[0].value);
    assert_eq!((head.seq, head.size.get()), (1, 5));
    assert_eq!(evidence.storage_proofs[1].value, evidence.root);
    let receipt = B256::from(*evidence.transaction.unwrap().as_bytes());
    let receipt = stage.anvil.rpc().receipt(receipt).await.unwrap().unwrap();
    assert_eq!(receipt.block_hash, on_chain.hash);
    assert_eq!(actor.poll().await, Some(Waiting::Idle));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_anchors_and_a_heartbeat() {
    let Some(stage) = Stage::set(1).await else { return };
    let mut actor = stage.start();
    actor.until_final(1).await;
    stage.tree.grow("honest", 6);
    actor.ask();
    actor.until_final(2).await;
    actor.ask();
    actor.until_final(3).await;
    let sizes = [1, 2, 3].map(|seq| stage.evidence(seq).size.get());
    assert_eq!(sizes, [5, 11, 11]);
    assert_eq!(stage.evidence(2).root, stage.evidence(3).root);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_anchor_waits_for_the_one_before_to_be_safe() {
    let Some(stage) = Stage::set(4).await else { return };
    let mut actor = stage.start();
    actor.poll().await;
    stage.anvil.mine(1).await;
    stage.tree.grow("honest", 1);
    actor.ask();
    assert_eq!(actor.poll().await, Some(Waiting::Mined));
    stage.anvil.mine(3).await;
    assert_eq!(actor.poll().await, Some(Waiting::Mined));
    stage.anvil.mine(1).await;
    assert_eq!(actor.poll().await, Some(Waiting::InPool), "safe: the second is sent");
    let phases: Vec<_> = actor.status().pending.iter().map(|anchor| anchor.phase).collect();
    assert_eq!(phases, ["safe", "in-pool"]);
    actor.until_final(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_log_is_not_anchored() {
    let Some(mut stage) = Stage::set(1).await else { return };
    stage.tree = Arc::new(Tree::default());
    let mut actor = stage.start();
    actor.ask();
    assert_eq!(actor.poll().await, Some(Waiting::Idle));
    assert!(stage.anvil.pool().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_pays_for_a_signed_head() {
    let publisher = key(OTHER_KEY);
    let Some(stage) = Stage::set_for(1, Arc::clone(&publisher)).await else { return };
    let keys = Keys { publisher: Arc::clone(&publisher), gas: Arc::clone(&stage.key) };
    let mut actor = stage.start_as(vec![stage.anvil.rpc()], keys);
    actor.until_final(1).await;
    assert_eq!(stage.head().await.publisher, publisher.address());
    let spent = stage.anvil.rpc().nonce(publisher.address(), At::Latest).await.unwrap();
    assert_eq!(spent, 0, "the publisher sends nothing itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_not_the_publisher() {
    let Some(stage) = Stage::set(1).await else { return };
    let mut actor = stage.start_as(vec![stage.anvil.rpc()], Keys::one(key(OTHER_KEY)));
    assert_eq!(actor.poll().await, Some(Waiting::NotPublisher));
    assert!(stage.anvil.pool().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_history_under_our_id_is_an_equivocation() {
    let Some(stage) = Stage::set(1).await else { return };
    let forged = Arc::new(Tree::default());
    forged.grow("forged", 3);
    let other =
        Anchor::open(stage.elsewhere("other"), vec![stage.anvil.rpc()], Keys::one(Arc::clone(&stage.key)), forged);
    let mut other = other.unwrap();
    other.poll().await.unwrap();
    stage.anvil.mine(1).await;

    let mut actor = stage.start();
    let stopped = actor.try_poll().await.unwrap_err();
    assert!(matches!(stopped, AnchorError::Equivocation(Equivocation::Foreign { chain: 3, .. })), "{stopped}");
    assert_eq!(stage.nonce().await, 3, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_older_than_the_chain_is_an_equivocation() {
    let Some(mut stage) = Stage::set(1).await else { return };
    stage.start().until_final(1).await;
    let restored = Arc::new(Tree::default());
    restored.grow("honest", 4);
    stage.tree = restored;
    let stopped = stage.start().try_poll().await.unwrap_err();
    assert!(matches!(stopped, AnchorError::Equivocation(Equivocation::Behind { chain: 5, ours: 4 })), "{stopped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bump_carries_the_newest_head_at_the_same_nonce() {
    let Some(stage) = Stage::set(1).await else { return };
    let mut actor = stage.start();
    actor.poll().await;
    let first = stage.anvil.pool().await;
    stage.tree.grow("honest", 4);
    // A base fee above what was offered: three blocks pass without it.
    for _ in 0..3 {
        stage.anvil.next_base_fee(20 * GWEI as u64).await;
        stage.anvil.mine(1).await;
    }
    assert_eq!(actor.poll().await, Some(Waiting::InPool));
    let second = stage.anvil.pool().await;
    assert_eq!(second.len(), 1);
    assert_ne!(first, second);
    assert_eq!(actor.status().pending[0].transactions.len(), 2);
    assert_eq!(actor.status().pending[0].head.unwrap().size.get(), 9);
    actor.until_final(1).await;
    assert_eq!(stage.evidence(1).size.get(), 9);
    assert_eq!(stage.head().await.seq, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn above_the_ceiling_it_holds_and_goes_on_when_the_market_falls() {
    let Some(stage) = Stage::set(1).await else { return };
    let mut actor = stage.start();
    actor.poll().await;
    for _ in 0..4 {
        stage.anvil.next_base_fee(500 * GWEI as u64).await;
        stage.anvil.mine(1).await;
        actor.poll().await;
    }
    assert_eq!(actor.poll().await, Some(Waiting::HoldFee));
    let variants = actor.status().pending[0].transactions.len();
    stage.anvil.next_base_fee(GWEI as u64).await;
    stage.anvil.mine(1).await;
    actor.until_final(1).await;
    assert_eq!(variants, 1, "nothing above the ceiling was ever signed");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_anything_is_sent_the_ceiling_holds_too() {
    let Some(stage) = Stage::set(1).await else { return };
    stage.anvil.next_base_fee(500 * GWEI as u64).await;
    stage.anvil.mine(1).await;
    let mut actor = stage.start();
    assert_eq!(actor.poll().await, Some(Waiting::HoldFee));
    assert!(actor.status().pending.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_by_itself_on_a_chain_that_mines_by_itself() {
    let Some(mut stage) = Stage::set(1).await else { return };
    stage.anvil.ask("evm_setIntervalMining", serde_json::json!([1])).await;
    stage.settings.cadence = Duration::from_secs(2);
    let mut actor = stage.start();
    actor.ask();
    let status = actor.anchor.status();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(actor.anchor.run(stopped));
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if status.borrow().last_final.as_ref().is_some_and(|head| head.seq >= 3) {
            break;
        }
    }
    assert!(status.borrow().last_final.as_ref().unwrap().seq >= 3, "{:#?}", status.borrow());
    stop.send(true).unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(stage.evidence(3).size.get(), 5);
}
