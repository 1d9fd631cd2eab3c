#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]
use super::*;

#[test]
fn the_most_telling_answer_of_several_nodes_counts() {
    let refused = |refusal| Err(RpcError::Refused { method: "", code: 0, refusal, message: String::new() });
    let lost = || Err(RpcError::Transport { method: "", what: String::new() });
    for (answers, meaning) in [
        (vec![refused(Refusal::NonceTooLow), Ok(B256::ZERO)], Sent::Accepted),
        (vec![refused(Refusal::AlreadyKnown), lost()], Sent::Accepted),
        (vec![lost(), refused(Refusal::Underpriced)], Sent::Underpriced),
        (vec![refused(Refusal::ReplacementUnderpriced), refused(Refusal::NonceTooLow)], Sent::Underpriced),
        (vec![refused(Refusal::InsufficientFunds), refused(Refusal::NonceTooHigh)], Sent::NonceTooHigh),
        (vec![refused(Refusal::Other), lost()], Sent::Unclear),
        (vec![refused(Refusal::Reverted)], Sent::Unclear),
    ] {
        assert_eq!(answers.iter().map(Sent::of).min(), Some(meaning), "{answers:?}");
    }
}

#[test]
fn pauses_double_up_to_half_a_minute() {
    let seconds: Vec<u64> = [1, 2, 3, 4, 5, 6, 7, 64, 65, u32::MAX].map(|n| backoff(n).as_secs()).to_vec();
    assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]);
}
