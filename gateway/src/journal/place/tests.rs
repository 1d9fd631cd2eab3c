#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use proptest::prelude::*;

use super::*;

fn numbering(starts: &[(u32, u64)]) -> Option<Numbering> {
    let epochs = starts.iter().map(|(epoch, first)| (Epoch::new(*epoch), Position(*first))).collect();
    Numbering::new(SourceId::new([1; 16]), epochs)
}

#[test]
fn epochs_begin_at_the_first_record_and_ascend() {
    assert!(numbering(&[(1, 1)]).is_some());
    assert!(numbering(&[(1, 1), (2, 5), (4, 6)]).is_some());
    for wrong in [&[][..], &[(1, 2)], &[(1, 1), (1, 5)], &[(2, 1), (1, 5)], &[(1, 1), (2, 1)], &[(1, 5), (2, 1)]] {
        assert!(numbering(wrong).is_none(), "{wrong:?}");
    }
}

#[test]
fn sequences_begin_at_zero_in_each_epoch() {
    let numbering = numbering(&[(1, 1), (3, 4)]).unwrap();
    let places: Vec<(u32, u64)> = (1..=6)
        .map(|position| numbering.place(Position(position)))
        .map(|place| (place.epoch.get(), place.sequence.get()))
        .collect();
    assert_eq!(places, [(1, 0), (1, 1), (1, 2), (3, 0), (3, 1), (3, 2)]);
    assert_eq!(numbering.current(), Epoch::new(3));
    assert_eq!(numbering.within_epoch(Position(2), 10), 2);
    assert_eq!(numbering.within_epoch(Position(2), 1), 1);
    assert_eq!(numbering.within_epoch(Position(4), 10), 10);
}

proptest! {
    #[test]
    fn no_two_positions_share_a_place(lengths in proptest::collection::vec(1_u64..20, 1..6)) {
        let mut first = 1;
        let mut starts = Vec::new();
        for (epoch, length) in (1_u32..).zip(&lengths) {
            starts.push((epoch, first));
            first += length;
        }
        let numbering = numbering(&starts).unwrap();
        let mut expected = Vec::new();
        for (epoch, length) in (1_u32..).zip(&lengths) {
            expected.extend((0..*length).map(|sequence| (epoch, sequence)));
        }
        let found: Vec<_> = (1..first)
            .map(|position| numbering.place(Position(position)))
            .map(|place| (place.epoch.get(), place.sequence.get()))
            .collect();
        prop_assert_eq!(found, expected);
        for position in 1..first {
            let run = numbering.within_epoch(Position(position), first - position);
            let last = numbering.place(Position(position + run - 1));
            prop_assert_eq!(last.epoch, numbering.place(Position(position)).epoch);
        }
    }
}
