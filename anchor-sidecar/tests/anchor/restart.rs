//! A restart at each journal state; the journal and the chain are all that is left.

use std::{collections::BTreeSet, sync::Arc};

use anchor_sidecar::anchor::{Keys, journal::Journal, state::Waiting};

use crate::{
    lens::{Lens, Spoil},
    stage::Stage,
};

/// Phases that a restart must have been seen in, by the end of the first test.
const PHASES: [&str; 6] = ["prepared", "signed", "bump", "in-pool", "mined", "safe"];

/// Brings an anchor to a phase, forgets everything but the journal, and finishes it.
async fn from_phase(phase: &str) {
    let Some(stage) = Stage::set(2).await else { return };
    let lens = Lens::before(&stage.anvil.url);
    {
        let mut actor = stage.start_with(vec![lens.rpc()]);
        match phase {
            "prepared" => lens.always("eth_estimateGas", Spoil::Lose),
            "signed" => lens.always("eth_sendRawTransaction", Spoil::Lose),
            "bump" => lens.always("eth_sendRawTransaction", Spoil::Refuse(-32000, "transaction underpriced")),
            _ => {}
        }
        actor.poll().await;
        match phase {
            "mined" => stage.anvil.mine(1).await,
            "safe" => stage.anvil.mine(3).await,
            _ => {}
        }
        actor.poll().await;
        let pending = actor.status().pending;
        assert_eq!(pending.iter().map(|anchor| anchor.phase).collect::<Vec<_>>(), [phase]);
    }
    lens.heal();
    let mut actor = stage.start_with(vec![lens.rpc()]);
    let before = stage.nonce().await;
    actor.until_final(1).await;
    assert_eq!(stage.head().await.seq, 1, "{phase}: one anchor, not two");
    let sent = stage.nonce().await - before;
    assert!(sent <= 1, "{phase}: {sent} transactions");
    assert_eq!(stage.evidence(1).size.get(), 5, "{phase}");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_each_journal_state() {
    let mut reached = BTreeSet::new();
    for phase in PHASES {
        from_phase(phase).await;
        reached.insert(phase);
    }
    assert_eq!(reached.len(), PHASES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn sent_but_not_journalled_as_sent() {
    let Some(stage) = Stage::set(1).await else { return };
    let lens = Lens::before(&stage.anvil.url);
    {
        let mut actor = stage.start_with(vec![lens.rpc()]);
        lens.once("eth_sendRawTransaction", [Spoil::DoThenLose]);
        assert_eq!(actor.poll().await, Some(Waiting::Signed));
        assert_eq!(actor.status().pending[0].phase, "signed");
    }
    let pool = stage.anvil.pool().await;
    assert_eq!(pool.len(), 1);
    let mut actor = stage.start_with(vec![lens.rpc()]);
    assert_eq!(actor.poll().await, Some(Waiting::InPool), "the node has it already, which is success");
    assert_eq!(stage.anvil.pool().await, pool, "the very same bytes");
    actor.until_final(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mined_while_nobody_looked() {
    let Some(stage) = Stage::set(1).await else { return };
    stage.start().poll().await;
    stage.anvil.mine(6).await;
    let mut actor = stage.start();
    assert_eq!(actor.poll().await, Some(Waiting::Idle), "included, safe and final in one poll");
    assert_eq!(stage.evidence(1).size.get(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_journal_adopts_what_the_chain_holds() {
    let Some(mut stage) = Stage::set(1).await else { return };
    stage.start().until_final(1).await;
    stage.settings = stage.elsewhere("new-volume");
    stage.tree.grow("honest", 2);
    let mut actor = stage.start();
    actor.poll().await;
    assert_eq!(actor.status().pending.first().map(|anchor| anchor.seq), Some(1), "{:#?}", actor.status());
    actor.until_final(2).await;
    assert_eq!([1, 2].map(|seq| stage.evidence(seq).size.get()), [5, 7]);
    assert_eq!(stage.evidence(1).transaction, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_anchor_that_the_chain_overtook_is_planned_anew() {
    let Some(stage) = Stage::set(1).await else { return };
    {
        let chain_id = stage.settings.chain_id.get();
        let journal = Journal::open(&stage.settings.journal, chain_id, stage.contract, stage.log_id).unwrap();
        journal.prepare(0, 0).unwrap();
    }
    let mut actor = stage.start();
    assert_eq!(actor.poll().await, Some(Waiting::InPool));
    assert_eq!(actor.status().pending[0].nonce, Some(2));
    actor.until_final(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_holds_the_journal() {
    let Some(stage) = Stage::set(1).await else { return };
    let _holder = stage.start();
    let keys = Keys::one(Arc::clone(&stage.key));
    let second =
        anchor_sidecar::anchor::Anchor::open(stage.settings.clone(), vec![stage.anvil.rpc()], keys, stage.tree.clone());
    assert!(second.is_err());
}
