//! What nodes say and do when they do not simply work.

use std::time::Duration;

use alloy_primitives::B256;
use anchor_sidecar::anchor::{AnchorError, observe::ObserveError, state::Waiting};
use serde_json::json;

use crate::{
    lens::{Lens, Spoil},
    stage::Stage,
};

async fn stage() -> Option<(Stage, Lens)> {
    let stage = Stage::set(1).await?;
    let lens = Lens::before(&stage.anvil.url);
    Some((stage, lens))
}

#[tokio::test(flavor = "multi_thread")]
async fn already_known_is_success() {
    let Some((stage, lens)) = stage().await else { return };
    let mut actor = stage.start_with(vec![lens.rpc()]);
    lens.once("eth_sendRawTransaction", [Spoil::DoThenRefuse(-32000, "already known")]);
    assert_eq!(actor.poll().await, Some(Waiting::InPool));
    actor.until_final(1).await;
    assert_eq!(lens.calls("eth_sendRawTransaction"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nonce_too_low_while_ours_is_mined() {
    let Some((stage, lens)) = stage().await else { return };
    stage.anvil.automine(true).await;
    let mut actor = stage.start_with(vec![lens.rpc()]);
    // The transaction is mined as it arrives, but a node behind the same address answers.
    lens.once("eth_sendRawTransaction", [Spoil::DoThenRefuse(-32000, "nonce too low: next nonce 3, tx nonce 2")]);
    assert_eq!(actor.poll().await, Some(Waiting::Reconcile));
    stage.anvil.automine(false).await;
    actor.until_final(1).await;
    assert_eq!(stage.head().await.seq, 1);
    assert_eq!(lens.calls("eth_sendRawTransaction"), 1, "no second transaction for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn underpriced_is_bumped_at_once() {
    for words in ["replacement transaction underpriced", "FeeTooLow", "max fee per gas less than block base fee"] {
        let Some((stage, lens)) = stage().await else { return };
        let mut actor = stage.start_with(vec![lens.rpc()]);
        lens.once("eth_sendRawTransaction", [Spoil::Refuse(-32000, words)]);
        assert_eq!(actor.poll().await, Some(Waiting::InPool), "{words}");
        let pending = actor.status().pending;
        assert_eq!((pending.len(), pending[0].transactions.len()), (1, 2), "{words}");
        actor.until_final(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_out_after_accept() {
    let Some((stage, lens)) = stage().await else { return };
    let mut actor = stage.start_with(vec![lens.rpc()]);
    lens.once("eth_sendRawTransaction", [Spoil::DoThenLose]);
    assert_eq!(actor.poll().await, Some(Waiting::Signed));
    let pool = stage.anvil.pool().await;
    assert_eq!(pool.len(), 1);
    assert_eq!(actor.poll().await, Some(Waiting::Signed), "backing off");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(actor.poll().await, Some(Waiting::InPool));
    assert_eq!(stage.anvil.pool().await, pool, "the same bytes, not a second transaction");
    actor.until_final(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_from_the_pool_is_sent_again() {
    let Some((stage, lens)) = stage().await else { return };
    let mut actor = stage.start_with(vec![lens.rpc()]);
    actor.poll().await;
    let pool = stage.anvil.pool().await;
    stage.anvil.ask("anvil_dropTransaction", json!([pool[0]])).await;
    assert!(stage.anvil.pool().await.is_empty());
    for _ in 0..2 {
        assert_eq!(actor.poll().await, Some(Waiting::InPool));
    }
    assert_eq!(stage.anvil.pool().await, pool);
    actor.until_final(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_vanishes_and_comes_back() {
    let Some((stage, lens)) = stage().await else { return };
    let mut actor = stage.start_with(vec![lens.rpc()]);
    actor.poll().await;
    stage.anvil.mine(1).await;
    lens.once("eth_getTransactionReceipt", [Spoil::Answer(json!(null)), Spoil::Answer(json!(null))]);
    assert_eq!(actor.poll().await, Some(Waiting::Reconcile), "the nonce is used, nothing explains it yet");
    assert_eq!(actor.poll().await, Some(Waiting::Reconcile));
    assert_eq!(actor.poll().await, Some(Waiting::Mined));
    lens.once("eth_getTransactionReceipt", [Spoil::Answer(json!(null))]);
    assert_eq!(actor.poll().await, Some(Waiting::Mined), "its block is canonical: nothing is undone");
    actor.until_final(1).await;
    assert_eq!(stage.head().await.seq, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_transaction_with_our_key() {
    let Some((stage, lens)) = stage().await else { return };
    let mut actor = stage.start_with(vec![lens.rpc()]);
    lens.always("eth_sendRawTransaction", Spoil::Lose);
    actor.poll().await;
    // Somebody else spends the nonce that is journalled.
    let from = stage.key.address();
    stage.anvil.ask("eth_sendTransaction", json!([{ "from": from, "to": from, "value": "0x1" }])).await;
    stage.anvil.mine(1).await;
    lens.heal();
    for _ in 0..2 {
        assert_eq!(actor.poll().await, Some(Waiting::Reconcile), "not believed at once");
    }
    assert_eq!(actor.poll().await, Some(Waiting::InPool), "planned again with the next nonce");
    assert_eq!(actor.status().pending[0].nonce, Some(3));
    actor.until_final(1).await;
    assert_eq!(stage.head().await.seq, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_account_blocks_and_goes_on_when_it_is_filled() {
    let Some((stage, lens)) = stage().await else { return };
    let account = stage.key.address();
    for balance in ["0x0", "0x1000"] {
        stage.anvil.ask("anvil_setBalance", json!([account, balance])).await;
        stage.anvil.mine(1).await;
        let mut actor = stage.start_with(vec![lens.rpc()]);
        assert_eq!(actor.poll().await, Some(Waiting::BlockedFunds), "{balance}");
    }
    assert_eq!(lens.calls("eth_sendRawTransaction"), 0);
    stage.anvil.ask("anvil_setBalance", json!([account, "0xde0b6b3a7640000"])).await;
    stage.anvil.mine(1).await;
    stage.start_with(vec![lens.rpc()]).until_final(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_end_points_lies_about_the_head() {
    let Some((stage, lens)) = stage().await else { return };
    let mut actor = stage.start_with(vec![stage.anvil.rpc(), lens.rpc()]);
    actor.until_final(1).await;
    let truth = stage.head().await;
    let lie =
        format!("0x{:0>64}{:064x}{:064x}{}", hex::encode(truth.publisher), 4, 1, hex::encode(B256::repeat_byte(9)),);
    lens.always("eth_call", Spoil::Answer(json!(lie)));
    actor.ask();
    let nonce = stage.nonce().await;
    actor.poll().await;
    let status = actor.status();
    assert!(status.endpoints_disagree, "{status:#?}");
    assert!(stage.anvil.pool().await.is_empty(), "nothing is done on contradictory words");
    lens.heal();
    actor.until_final(2).await;
    assert_eq!(stage.nonce().await, nonce + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_end_points_is_on_another_fork() {
    let Some((stage, lens)) = stage().await else { return };
    let mut actor = stage.start_with(vec![stage.anvil.rpc(), lens.rpc()]);
    let mut block = stage.anvil.ask("eth_getBlockByNumber", json!(["latest", false])).await;
    block["hash"] = json!(B256::repeat_byte(3));
    lens.always("eth_getBlockByNumber", Spoil::Answer(block));
    actor.poll().await;
    assert!(actor.status().endpoints_disagree);
    assert_eq!(actor.status().state, None);
    assert!(stage.anvil.pool().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_id_is_another() {
    let Some((stage, lens)) = stage().await else { return };
    lens.always("eth_chainId", Spoil::Answer(json!("0x1")));
    let stopped = stage.start_with(vec![lens.rpc()]).try_poll().await.unwrap_err();
    assert!(matches!(stopped, AnchorError::Identity(ObserveError::Chain { found: 1, .. })), "{stopped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_absent() {
    let Some((stage, lens)) = stage().await else { return };
    lens.always("eth_getCode", Spoil::Answer(json!("0x")));
    let stopped = stage.start_with(vec![lens.rpc()]).try_poll().await.unwrap_err();
    assert!(matches!(stopped, AnchorError::Identity(ObserveError::Code { .. })), "{stopped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_down_is_waited_for_and_its_address_is_not_shown() {
    let Some((stage, lens)) = stage().await else { return };
    let mut actor = stage.start_with(vec![lens.rpc()]);
    lens.always("eth_getBlockByNumber", Spoil::Lose);
    actor.poll().await;
    let why = actor.status().blind.unwrap();
    assert!(why.contains("rpc 2") && why.contains("502"), "{why}");
    assert!(!why.contains("secret-key-in-path") && !why.contains("127.0.0.1"), "{why}");
    lens.heal();
    actor.until_final(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_could_not_be_captured_at_once() {
    let Some((stage, lens)) = stage().await else { return };
    let mut actor = stage.start_with(vec![lens.rpc()]);
    lens.once("eth_getProof", [Spoil::Lose]);
    actor.until_final(1).await;
    assert_eq!(stage.evidence(1).seq, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_would_refuse_is_asked_three_times() {
    let Some((stage, lens)) = stage().await else { return };
    let mut actor = stage.start_with(vec![lens.rpc()]);
    lens.always("eth_estimateGas", Spoil::Refuse(3, "execution reverted"));
    assert_eq!(actor.poll().await, Some(Waiting::Reconcile));
    assert_eq!(actor.poll().await, Some(Waiting::Reconcile));
    assert_eq!(actor.poll().await, Some(Waiting::BlockedRevert));
    lens.heal();
    actor.ask();
    actor.until_final(1).await;
}
