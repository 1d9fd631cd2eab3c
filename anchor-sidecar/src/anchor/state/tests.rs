#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]
use alloy_primitives::Bytes;
use evidence::ids::TreeSize;

use super::*;
use crate::anchor::flight::Variant;

const GWEI: u128 = 1_000_000_000;
const FEES: Fees = Fees::Dynamic { tip: GWEI, cap: 21 * GWEI };

fn head(size: u64) -> Head {
    Head { size: TreeSize::new(size), root: Hash::new([u8::try_from(size).unwrap(); 32]) }
}

fn hash(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

fn policy() -> Policy {
    Policy {
        fees: FeePolicy { ceiling: 100 * GWEI, floor: GWEI },
        bump_after_blocks: 3,
        bump_after: Duration::from_secs(6),
        resend_held: Duration::from_secs(600),
        patience: 3,
    }
}

fn variant(byte: u8, size: u64) -> Variant {
    Variant { hash: hash(byte), raw: Bytes::from(vec![byte]), head: head(size), fees: FEES, gas_limit: 70_000 }
}

/// A flight from `expected_seq` at nonce 10 + `expected_seq` whose variants have the hashes 0x11, 0x12 … (0x21 … for the next).
fn flight(expected_seq: u64, phase: Phase, variants: u8) -> Flight {
    let base = 16 * (u8::try_from(expected_seq).unwrap() + 1);
    Flight {
        id: FlightId(i64::try_from(expected_seq).unwrap() + 1),
        nonce: Some(10 + expected_seq),
        expected_seq,
        variants: (1..=variants).map(|n| variant(base + n, 5 + expected_seq)).collect(),
        phase,
        mined_before: None,
    }
}

fn inclusion(transaction: u8, block: u64) -> Inclusion {
    Inclusion {
        transaction: Some(hash(transaction)),
        block_number: block,
        block_hash: hash(u8::try_from(block).unwrap()),
        head: head(5),
    }
}

fn receipt(transaction: u8, block: u64, succeeded: bool) -> (B256, Receipt) {
    let block_hash = hash(u8::try_from(block).unwrap());
    let receipt = Receipt { transaction: hash(transaction), block_hash, block_number: block, succeeded, gas_used: 1 };
    (hash(transaction), receipt)
}

/// Block 100; 98 is safe, 96 final; the contract is at `seq`; the account at nonce 10 + `seq`.
fn at(seq: u64) -> Observation {
    Observation {
        tip: BlockRef { number: 100, hash: hash(100), timestamp: 0, base_fee: Some(10 * GWEI) },
        safe: 98,
        finalized: 96,
        head: ChainHead { publisher: alloy_primitives::Address::repeat_byte(1), seq, head: head(4 + seq) },
        final_seq: seq,
        lineage: Lineage::Ours,
        publishes: true,
        nonce: 10 + seq,
        balance: U256::from(10_u64.pow(18)),
        market: Market::Dynamic { base_fee: 10 * GWEI, tip: GWEI },
        receipts: BTreeMap::new(),
        canonical: BTreeSet::new(),
        pace: BTreeMap::new(),
        unexplained_polls: BTreeMap::new(),
        undone_polls: 0,
        newest: head(50),
        due: true,
    }
}

fn book(flights: Vec<Flight>) -> Book {
    Book { flights, final_seq: 0 }
}

fn next(flights: Vec<Flight>, seen: &Observation) -> Step {
    step(&book(flights), seen, &policy())
}

const FIRST: FlightId = FlightId(1);

#[test]
fn idle_and_plan() {
    assert_eq!(next(vec![], &at(0)), Step::Prepare { nonce: 10, expected_seq: 0 });
    assert_eq!(next(vec![], &Observation { due: false, ..at(0) }), Step::Wait(Waiting::Idle));
    assert_eq!(next(vec![], &Observation { publishes: false, ..at(0) }), Step::Wait(Waiting::NotPublisher));
    assert_eq!(next(vec![], &Observation { balance: U256::ZERO, ..at(0) }), Step::Wait(Waiting::BlockedFunds));
    let dear = Market::Dynamic { base_fee: 101 * GWEI, tip: GWEI };
    assert_eq!(next(vec![], &Observation { market: dear, ..at(0) }), Step::Wait(Waiting::HoldFee));
}

#[test]
fn prepared() {
    let prepared = || vec![flight(0, Phase::Prepared, 0)];
    assert_eq!(next(prepared(), &at(0)), Step::Sign { flight: FIRST, fees: FEES });
    let stale = Step::Drop { flight: FIRST, reason: DropReason::Stale };
    assert_eq!(next(prepared(), &at(1)), stale, "another head is there");
    assert_eq!(next(prepared(), &Observation { nonce: 11, ..at(0) }), stale, "another nonce");
    let dear = Market::Dynamic { base_fee: 101 * GWEI, tip: GWEI };
    assert_eq!(next(prepared(), &Observation { market: dear, ..at(0) }), Step::Wait(Waiting::HoldFee));
}

#[test]
fn signed_is_sent_newest_first_and_with_pauses() {
    let signed = || vec![flight(0, Phase::Signed, 2)];
    assert_eq!(next(signed(), &at(0)), Step::Send { flight: FIRST, variant: hash(0x12) });
    let pause = Pace { backing_off: true, ..Pace::default() };
    let seen = Observation { pace: BTreeMap::from([(hash(0x12), pause)]), ..at(0) };
    assert_eq!(next(signed(), &seen), Step::Wait(Waiting::Signed));
}

fn paced(pace: Pace) -> Observation {
    Observation { pace: BTreeMap::from([(hash(0x11), pace)]), ..at(0) }
}

#[test]
fn in_pool() {
    let pool = || vec![flight(0, Phase::InPool, 1)];
    let (blocks, since_first) = (3, Duration::from_secs(6));
    let bump =
        Step::Sign { flight: FIRST, fees: Fees::Dynamic { tip: GWEI + GWEI / 8, cap: 21 * GWEI + 21 * GWEI / 8 } };
    assert_eq!(next(pool(), &paced(Pace { blocks: 2, since_first, ..Pace::default() })), Step::Wait(Waiting::InPool));
    assert_eq!(next(pool(), &paced(Pace { blocks, ..Pace::default() })), Step::Wait(Waiting::InPool), "too soon");
    assert_eq!(next(pool(), &paced(Pace { blocks, since_first, ..Pace::default() })), bump);
    let unknown = |polls| next(pool(), &paced(Pace { unknown_polls: polls, ..Pace::default() }));
    assert_eq!(unknown(1), Step::Wait(Waiting::InPool));
    assert_eq!(unknown(2), Step::Send { flight: FIRST, variant: hash(0x11) });
    let dear = Market::Dynamic { base_fee: 22 * GWEI, tip: GWEI };
    assert_eq!(
        next(pool(), &Observation { market: dear, ..at(0) }),
        Step::Sign { flight: FIRST, fees: Fees::Dynamic { tip: GWEI + GWEI / 8, cap: 45 * GWEI } },
        "the base fee passed the cap"
    );
}

#[test]
fn the_ceiling_holds_and_the_same_bytes_go_again_every_ten_minutes() {
    let dear = Market::Dynamic { base_fee: 101 * GWEI, tip: GWEI };
    for phase in [Phase::InPool, Phase::Bump] {
        let held = |since_last| {
            let seen = Observation { market: dear, ..paced(Pace { since_last, ..Pace::default() }) };
            next(vec![flight(0, phase.clone(), 1)], &seen)
        };
        assert_eq!(held(Duration::from_secs(599)), Step::Wait(Waiting::HoldFee));
        assert_eq!(held(Duration::from_secs(600)), Step::Send { flight: FIRST, variant: hash(0x11) });
    }
}

#[test]
fn a_refused_fee_is_bumped_without_waiting() {
    assert!(matches!(next(vec![flight(0, Phase::Bump, 1)], &at(0)), Step::Sign { flight: FIRST, .. }));
}

#[test]
fn any_variant_may_be_the_one_that_is_mined() {
    for phase in [Phase::Signed, Phase::Bump, Phase::InPool] {
        let mut seen = at(1);
        seen.receipts.extend([receipt(0x11, 99, true)]);
        assert_eq!(
            next(vec![flight(0, phase, 3)], &seen),
            Step::Include { flight: FIRST, inclusion: inclusion(0x11, 99) }
        );
    }
}

#[test]
fn a_receipt_that_the_head_does_not_bear_out_is_not_believed() {
    let mut seen = at(0);
    seen.receipts.extend([receipt(0x11, 99, true)]);
    assert_eq!(next(vec![flight(0, Phase::InPool, 1)], &seen), Step::Wait(Waiting::Reconcile));
}

#[test]
fn a_failed_transaction_is_given_up() {
    let mut seen = Observation { nonce: 11, ..at(0) };
    seen.receipts.extend([receipt(0x11, 99, false)]);
    assert_eq!(
        next(vec![flight(0, Phase::InPool, 1)], &seen),
        Step::Drop { flight: FIRST, reason: DropReason::Reverted }
    );
}

#[test]
fn mined_safe_final() {
    let mined = |block| {
        let there = inclusion(0x11, block);
        let mut seen = at(1);
        seen.receipts.extend([receipt(0x11, block, true)]);
        (there.clone(), seen, Phase::Mined(there.clone()), Phase::Safe(there))
    };
    let (_, seen, phase, _) = mined(99);
    assert_eq!(next(vec![flight(0, phase, 1)], &seen), Step::Wait(Waiting::Mined));
    let (there, seen, phase, safe) = mined(98);
    assert_eq!(next(vec![flight(0, phase, 1)], &seen), Step::Settle { flight: FIRST, inclusion: there });
    // Safe does not hold up the next plan.
    assert_eq!(next(vec![flight(0, safe, 1)], &seen), Step::Prepare { nonce: 11, expected_seq: 1 });
    let (there, seen, _, safe) = mined(96);
    assert_eq!(next(vec![flight(0, safe.clone(), 1)], &seen), Step::Finish { flight: FIRST, inclusion: there });
    let seen = Observation { final_seq: 0, due: false, ..seen };
    assert_eq!(next(vec![flight(0, safe, 1)], &seen), Step::Wait(Waiting::Idle), "the head there is not ours");
}

#[test]
fn a_block_without_a_receipt_that_is_still_canonical_undoes_nothing() {
    let there = inclusion(0x11, 99);
    let mut seen = at(1);
    seen.canonical.insert(there.block_hash);
    assert_eq!(next(vec![flight(0, Phase::Mined(there), 1)], &seen), Step::Wait(Waiting::Mined));
}

#[test]
fn a_reorganisation_takes_it_back_or_moves_it() {
    let phase = Phase::Safe(inclusion(0x11, 97));
    assert_eq!(next(vec![flight(0, phase.clone(), 1)], &at(0)), Step::Exclude { flight: FIRST });
    let mut moved = at(1);
    moved.receipts.extend([receipt(0x11, 99, true)]);
    assert_eq!(
        next(vec![flight(0, phase, 1)], &moved),
        Step::Include { flight: FIRST, inclusion: inclusion(0x11, 99) }
    );
}

#[test]
fn what_a_later_flight_builds_on_is_sent_again_byte_by_byte_and_never_bumped() {
    let mut below = flight(0, Phase::InPool, 2);
    below.mined_before = Some(hash(0x11));
    let above = flight(1, Phase::InPool, 1);
    let pace =
        |unknown_polls| Pace { blocks: 50, since_first: Duration::from_secs(999), unknown_polls, ..Pace::default() };
    let seen =
        |polls| Observation { pace: BTreeMap::from([(hash(0x11), pace(polls)), (hash(0x12), pace(polls))]), ..at(0) };
    let both = || vec![below.clone(), above.clone()];
    assert_eq!(next(both(), &seen(0)), Step::Wait(Waiting::InPool), "slow, but not changed");
    assert_eq!(next(both(), &seen(2)), Step::Send { flight: FIRST, variant: hash(0x11) });
    assert!(matches!(next(vec![below.clone()], &seen(0)), Step::Sign { .. }), "alone it may change");
}

#[test]
fn a_nonce_that_others_used() {
    let pool = || vec![flight(0, Phase::InPool, 1)];
    let seen = |polls| {
        let mut seen = Observation { nonce: 11, ..at(0) };
        seen.unexplained_polls.insert(FIRST, polls);
        seen
    };
    assert_eq!(next(pool(), &seen(2)), Step::Wait(Waiting::Reconcile));
    assert_eq!(next(pool(), &seen(3)), Step::Drop { flight: FIRST, reason: DropReason::ForeignNonce });
    // The head went on as well: another sender of the same log.
    let superseded = Observation { nonce: 10, unexplained_polls: BTreeMap::from([(FIRST, 3)]), ..at(1) };
    assert_eq!(next(pool(), &superseded), Step::Drop { flight: FIRST, reason: DropReason::Superseded });
}

#[test]
fn catch_up_with_a_head_of_ours_that_we_did_not_send() {
    let seen = at(3);
    assert_eq!(next(vec![], &seen), Step::Adopt { head: seen.head, block: seen.tip });
    assert!(matches!(step(&Book { flights: vec![], final_seq: 3 }, &seen, &policy()), Step::Prepare { .. }));
    let adopted = Flight {
        nonce: None,
        variants: vec![],
        phase: Phase::Mined(Inclusion { transaction: None, ..inclusion(0, 100) }),
        ..flight(2, Phase::Prepared, 0)
    };
    assert_eq!(
        next(vec![adopted], &seen),
        Step::Drop { flight: FlightId(3), reason: DropReason::Reorganised },
        "its block is not canonical"
    );
}

#[test]
fn equivocation_comes_before_everything() {
    for phase in [Phase::Prepared, Phase::Signed, Phase::InPool] {
        let foreign = Observation { lineage: Lineage::Foreign, ..at(1) };
        let chain = foreign.head.head;
        assert_eq!(
            next(vec![flight(0, phase.clone(), 1)], &foreign),
            Step::Stop(Equivocation::Foreign { chain: chain.size.get(), root: chain.root })
        );
        let ahead = Observation { lineage: Lineage::Ahead, newest: head(2), ..at(1) };
        assert_eq!(next(vec![flight(0, phase, 1)], &ahead), Step::Stop(Equivocation::Behind { chain: 5, ours: 2 }));
    }
}

#[test]
fn final_undone_is_believed_when_it_lasts() {
    let after = |undone_polls| {
        let seen = Observation { undone_polls, ..at(1) };
        step(&Book { flights: vec![], final_seq: 2 }, &seen, &policy())
    };
    assert_eq!(after(2), Step::Wait(Waiting::Reconcile));
    assert_eq!(after(3), Step::Undo { seq: 1 });
}

#[test]
fn the_older_flight_comes_first() {
    let flights = vec![flight(0, Phase::Signed, 1), flight(1, Phase::Signed, 1)];
    assert_eq!(next(flights, &at(0)), Step::Send { flight: FIRST, variant: hash(0x11) });
}
