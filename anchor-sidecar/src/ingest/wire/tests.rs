#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use proptest::prelude::*;

use super::{WireError, hello, leaf, leaves};
use crate::compare::Claim;

const SOURCE: &str = "00112233445566778899aabbccddeeff";

fn body(first: &str, count: usize) -> String {
    let commitments = vec![format!("\"{}\"", "ab".repeat(32)); count].join(",");
    format!("{{\"source\":\"{SOURCE}\",\"epoch\":3,\"first\":\"{first}\",\"commitments\":[{commitments}]}}")
}

#[test]
fn a_batch_holds_1_to_the_limit() {
    assert!(matches!(leaves(body("0", 0).as_bytes(), 8), Err(WireError::Count { limit: 8 })));
    assert_eq!(leaves(body("0", 8).as_bytes(), 8).unwrap().commitments.len(), 8);
    assert!(matches!(leaves(body("0", 9).as_bytes(), 8), Err(WireError::Count { limit: 8 })));
}

#[test]
fn sequence_numbers_end_where_the_store_ends() {
    assert!(leaves(body("9223372036854775800", 7).as_bytes(), 8).is_ok());
    assert!(matches!(leaves(body("9223372036854775800", 8).as_bytes(), 8), Err(WireError::SequenceTooLarge)));
    assert!(matches!(leaves(body("18446744073709551615", 1).as_bytes(), 8), Err(WireError::SequenceTooLarge)));
}

#[test]
fn what_is_not_exactly_the_body_is_refused() {
    let good = body("0", 1);
    for bad in [
        good.replace("\"epoch\":3", "\"epoch\":3,\"extra\":1"),
        good.replace("\"epoch\":3", "\"epoch\":3,\"epoch\":3"),
        good.replace("\"epoch\":3,", ""),
        good.replace("\"0\"", "0"),
        good.replace("\"0\"", "\"00\""),
        good.replace("\"0\"", "\"-1\""),
        good.replace("abab", "ABAB"),
        good.replace(SOURCE, "0011"),
        format!("{good} x"),
        String::new(),
        "[]".into(),
    ] {
        assert!(matches!(leaves(bad.as_bytes(), 8), Err(WireError::Json(_))), "{bad}");
    }
}

#[test]
fn a_hello_says_what_was_seen() {
    let none = format!("{{\"source\":\"{SOURCE}\",\"epoch\":1,\"last_receipt\":null}}");
    assert_eq!(hello(none.as_bytes()).unwrap().2, Claim::NoReceipts);
    let some = none.replace("null", "{\"index\":\"4\",\"checkpoint\":\"text\"}");
    let expected = Claim::Receipt { index: evidence::ids::LeafIndex::new(4), checkpoint: "text".into() };
    assert_eq!(hello(some.as_bytes()).unwrap().2, expected);
    // Saying nothing is not the same as saying that there is none.
    let silent = format!("{{\"source\":\"{SOURCE}\",\"epoch\":1}}");
    assert!(hello(silent.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_fall(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (leaves(&bytes, 1024), leaf(&bytes), hello(&bytes));
    }
}
