#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]
use proptest::prelude::*;

use super::*;

const POLICY: FeePolicy = FeePolicy { ceiling: 1000, floor: 5 };

fn dynamic(base_fee: u128, tip: u128) -> Market {
    Market::Dynamic { base_fee, tip }
}

#[test]
fn first_offers() {
    for (market, offer) in [
        (dynamic(100, 20), Some(Fees::Dynamic { tip: 20, cap: 220 })),
        // The floor lifts a tip of one wei.
        (dynamic(100, 1), Some(Fees::Dynamic { tip: 5, cap: 205 })),
        // The cap is brought under the ceiling as long as the base fee fits.
        (dynamic(600, 20), Some(Fees::Dynamic { tip: 20, cap: 1000 })),
        (dynamic(1000, 20), Some(Fees::Dynamic { tip: 20, cap: 1000 })),
        (dynamic(1001, 20), None),
        (dynamic(1, 1001), None),
        (Market::Legacy { price: 40 }, Some(Fees::Legacy { price: 40 })),
        (Market::Legacy { price: 0 }, Some(Fees::Legacy { price: 5 })),
        (Market::Legacy { price: 1001 }, None),
    ] {
        assert_eq!(first(market, POLICY), offer, "{market:?}");
    }
}

#[test]
fn bumps() {
    let old = Fees::Dynamic { tip: 20, cap: 220 };
    for (market, offer) in [
        (dynamic(100, 20), Some(Fees::Dynamic { tip: 23, cap: 248 })),
        // Never below the market.
        (dynamic(300, 90), Some(Fees::Dynamic { tip: 90, cap: 690 })),
        (dynamic(900, 20), Some(Fees::Dynamic { tip: 23, cap: 1000 })),
        (dynamic(1001, 20), None),
    ] {
        assert_eq!(bump(old, market, POLICY), offer, "{market:?}");
    }
    let near = Fees::Dynamic { tip: 20, cap: 889 };
    assert_eq!(bump(near, dynamic(1, 1), POLICY), None, "12.5 % more would pass the ceiling");
    assert_eq!(bump(Fees::Legacy { price: 80 }, Market::Legacy { price: 1 }, POLICY), Some(Fees::Legacy { price: 90 }));
}

proptest! {
    /// Nodes replace at 10 % more of both; a bump gives 12.5 %, and never passes the ceiling or falls under the base fee.
    #[test]
    fn a_bump_always_replaces(
        tip in 1_u128..2000, over in 0_u128..2000, base_fee in 0_u128..2000, market_tip in 0_u128..2000,
    ) {
        let (cap, market) = (tip + over, dynamic(base_fee, market_tip));
        if let Some(Fees::Dynamic { tip: new_tip, cap: new_cap }) = bump(Fees::Dynamic { tip, cap }, market, POLICY) {
            prop_assert!(new_tip * 8 >= tip * 9 && new_cap * 8 >= cap * 9);
            prop_assert!(new_cap <= POLICY.ceiling && new_cap >= base_fee && new_tip <= new_cap);
        }
        if let Some(Fees::Dynamic { tip, cap }) = first(market, POLICY) {
            prop_assert!(cap <= POLICY.ceiling && cap >= base_fee && tip <= cap && tip >= POLICY.floor);
        }
    }
}
