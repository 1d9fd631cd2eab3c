#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use sha2::{Digest, Sha256};

use super::*;

fn leaf() -> Leaf {
    Leaf {
        source: SourceId::new([0x11; 16]),
        epoch: Epoch::new(0x0102_0304),
        sequence: Sequence::new(0x0102_0304_0506_0708),
        commitment: Commitment::new([0xcc; 32]),
    }
}

#[test]
fn the_bytes_are_in_the_order_of_the_specification() {
    let by_hand = [[1, 1].as_slice(), &[0x11; 16], &[1, 2, 3, 4], &[1, 2, 3, 4, 5, 6, 7, 8], &[0xcc; 32]].concat();
    assert_eq!(leaf().to_bytes().as_slice(), by_hand);
    let hash: [u8; 32] = Sha256::digest([[0].as_slice(), &by_hand].concat()).into();
    assert_eq!(leaf().hash(), Hash::new(hash));
}

#[test]
fn reading_gives_back_what_was_written() {
    assert_eq!(Leaf::from_bytes(&leaf().to_bytes()), Ok(leaf()));
    assert_eq!(leaf().to_string().parse(), Ok(leaf()));
}

#[test]
fn unknown_versions_and_lengths_are_refused() {
    let mut bytes = leaf().to_bytes().to_vec();
    assert_eq!(Leaf::from_bytes(&bytes[1..]), Err(LeafError::Length));
    bytes.push(0);
    assert_eq!(Leaf::from_bytes(&bytes), Err(LeafError::Length));
    bytes.pop();
    bytes[0] = 2;
    assert_eq!(Leaf::from_bytes(&bytes), Err(LeafError::Version { version: 2 }));
    bytes[0] = 1;
    bytes[1] = 0;
    assert_eq!(Leaf::from_bytes(&bytes), Err(LeafError::Algorithm { algorithm: 0 }));
}
