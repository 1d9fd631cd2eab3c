//! Blocks that are taken back.

use anchor_sidecar::anchor::state::Waiting;

use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn one_deep_while_mined() {
    let Some(stage) = Stage::set(4).await else { return };
    let mut actor = stage.start();
    actor.poll().await;
    let sent = stage.anvil.pool().await;
    stage.anvil.mine(1).await;
    assert_eq!(actor.poll().await, Some(Waiting::Mined));
    stage.anvil.reorganise(1).await;
    assert_eq!(actor.poll().await, Some(Waiting::InPool));
    // Two polls without a node that knows it, then the same bytes again.
    for _ in 0..3 {
        actor.poll().await;
    }
    assert_eq!(stage.anvil.pool().await, sent);
    actor.until_final(1).await;
    let on_chain = stage.anvil.rpc().block(anchor_sidecar::rpc::At::Number(stage.evidence(1).block_number)).await;
    assert_eq!(on_chain.unwrap().unwrap().hash.0, *stage.evidence(1).block_hash.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_deep_with_two_anchors_one_of_them_safe() {
    let Some(stage) = Stage::set(4).await else { return };
    let mut actor = stage.start();
    actor.poll().await;
    stage.anvil.mine(5).await;
    stage.tree.grow("honest", 3);
    actor.ask();
    assert_eq!(actor.poll().await, Some(Waiting::InPool));
    stage.anvil.mine(1).await;
    assert_eq!(actor.poll().await, Some(Waiting::Mined));
    let phases: Vec<_> = actor.status().pending.iter().map(|anchor| anchor.phase).collect();
    assert_eq!(phases, ["safe", "mined"]);
    let sent: Vec<String> = actor.status().pending.iter().flat_map(|anchor| anchor.transactions.clone()).collect();

    stage.anvil.reorganise(7).await;
    assert_eq!(stage.head().await.seq, 0, "both are undone");
    stage.tree.grow("honest", 3);
    actor.until_final(2).await;
    assert_eq!([1, 2].map(|seq| stage.evidence(seq).size.get()), [5, 8], "the same heads as before");
    let again = [1, 2].map(|seq| format!("0x{}", stage.evidence(seq).transaction.unwrap()));
    assert_eq!(again.to_vec(), sent, "byte-identical");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_final_is_undone() {
    let Some(stage) = Stage::set(1).await else { return };
    let mut actor = stage.start();
    actor.until_final(1).await;
    let kept = stage.evidence(1);
    stage.anvil.reorganise(5).await;
    assert_eq!(stage.head().await.seq, 0);
    assert_eq!(actor.poll().await, Some(Waiting::Reconcile), "not believed at once");
    assert!(stage.file(1).exists());
    stage.tree.grow("honest", 1);
    actor.until_final(1).await;
    // The first poll after the undoing still shows the old final; go on until the new one is there.
    for _ in 0..8 {
        stage.anvil.mine(1).await;
        actor.poll().await;
    }
    assert_eq!(stage.evidence(1).size.get(), 6);
    let aside = stage.settings.anchors.join(format!("1.undone-{}", kept.block_hash));
    assert!(aside.exists(), "the old evidence is kept aside");
}
