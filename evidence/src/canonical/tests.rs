#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    let nested = format!("{}1{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
    let refused: [&[u8]; 32] = [
        b"",
        b"{",
        b"{\"a\":1,\"a\":2}",
        b"{\"a\":{\"b\":1,\"\\u0062\":2}}",
        b"[{\"a\":1,\"a\":1}]",
        b"\"\\ud800\"",
        b"\"\\udc00\"",
        b"\"\\ud800\\u0041\"",
        b"NaN",
        b"{\"$serde_json::private::Number\":\"1\"}",
        b"\"\\u00g0\"",
        b"\"\\x\"",
        b"\"a",
        b"-",
        b"1.",
        b".5",
        b"1e",
        b"+1",
        b"{\"a\":1,}",
        b"Infinity",
        b"1e400",
        b"9007199254740992",
        b"-9007199254740992",
        b"18446744073709551616",
        b"01",
        b"1 2",
        b"{} {}",
        b"[1,]",
        b"\"\xff\"",
        b"\"\x01\"",
        b"\xef\xbb\xbf{}",
        nested.as_bytes(),
    ];
    for text in refused {
        assert!(parse_strict(text).is_err(), "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn the_place_is_told_by_line_and_column() {
    let wrong = parse_strict(b"{\n  \"a\": 1,\n  \"a\": 2\n}");
    assert_eq!(wrong, Err(CanonicalError::Json { line: 3, column: 3, cause: Cause::Refused }));
    let wrong = parse_strict(b"[\"\xff\"]");
    assert_eq!(wrong, Err(CanonicalError::Json { line: 1, column: 3, cause: Cause::Malformed }));
}

#[test]
fn the_cause_says_what_is_wrong_but_not_the_value() {
    let cause = |text: &[u8]| match parse_strict(text) {
        Err(CanonicalError::Json { cause, .. }) => cause,
        other => panic!("{other:?}"),
    };
    assert_eq!(cause(b"{\"secret\":1,\"secret\":2}"), Cause::Refused);
    assert_eq!(cause(b"{\"a\":"), Cause::Truncated);
    assert_eq!(cause(b"{\"a\" 1}"), Cause::Malformed);
    let message = parse_strict(b"{\"secret\":1,\"secret\":2}").unwrap_err().to_string();
    assert!(!message.contains("secret"), "{message}");
}

#[test]
fn what_is_allowed_is_allowed() {
    let nested = format!("{}1{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    for text in ["null", " [1, 2.5, -3, true]\n", "\"\\ud83d\\ude00\"", "9007199254740991", nested.as_str()] {
        assert!(parse_strict(text.as_bytes()).is_ok(), "{text}");
    }
}

#[test]
fn the_example_of_rfc_8785_section_3_2_2_and_3_2_3() {
    let text = r#"{
        "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"#;
    let canonical = to_canonical(&parse_strict(text.as_bytes()).unwrap()).unwrap();
    assert_eq!(
        String::from_utf8(canonical).unwrap(),
        r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#
    );
}

#[test]
fn keys_are_sorted_by_utf_16_code_units() {
    // RFC 8785 section 3.2.3: an astral character sorts by its surrogates, before U+FB33.
    let value = json!({"\u{fb33}": 1, "\u{1f600}": 2, "b": 3, "a": 4, "10": 5, "1": 6});
    let canonical = String::from_utf8(to_canonical(&value).unwrap()).unwrap();
    assert_eq!(canonical, "{\"1\":6,\"10\":5,\"a\":4,\"b\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}");
}

#[test]
fn an_integer_that_a_double_cannot_hold_has_no_canonical_form() {
    assert_eq!(to_canonical(&json!({"a": [u64::MAX]})), Err(CanonicalError::Number));
    assert_eq!(to_canonical(&json!(i64::MIN)), Err(CanonicalError::Number));
    assert_eq!(to_canonical(&json!(MAX_SAFE_INTEGER)).unwrap(), b"9007199254740991");
    assert_eq!(to_canonical(&json!(-0.0)).unwrap(), b"0");
    let read: Value = serde_json::from_str("[-0, -0.0, 0e3]").unwrap();
    assert_eq!(to_canonical(&read).unwrap(), b"[0,0,0]");
}

#[test]
fn another_form_of_the_same_value_is_not_canonical() {
    assert!(parse_canonical(b"{\"a\":1,\"b\":2}").is_ok());
    for text in [
        "{\"b\":2,\"a\":1}",
        "{\"a\":1, \"b\":2}",
        "{\"a\":1.0,\"b\":2}",
        "{\"a\":1,\"b\":2}\n",
        "{\"\\u0061\":1,\"b\":2}",
    ] {
        assert_eq!(parse_canonical(text.as_bytes()), Err(CanonicalError::NotCanonical), "{text}");
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-(1_i64 << 53) + 1..(1_i64 << 53)).prop_map(Value::from),
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn canonical_bytes_are_a_fixed_point(value in json()) {
        if let Ok(bytes) = to_canonical(&value) {
            let read = parse_canonical(&bytes).unwrap();
            prop_assert_eq!(to_canonical(&read).unwrap(), bytes);
        }
    }

    #[test]
    fn it_writes_what_serde_json_canonicalizer_writes(value in json()) {
        if let Ok(bytes) = to_canonical(&value) {
            let theirs = serde_json_canonicalizer::to_vec(&value).unwrap();
            prop_assert_eq!(String::from_utf8(bytes).unwrap(), String::from_utf8(theirs).unwrap());
        }
    }

    #[test]
    fn white_space_and_order_do_not_matter(value in json()) {
        if let Ok(bytes) = to_canonical(&value) {
            let read = parse_strict(&serde_json::to_vec_pretty(&value).unwrap()).unwrap();
            prop_assert_eq!(to_canonical(&read).unwrap(), bytes);
        }
    }

    #[test]
    fn it_reads_what_serde_json_reads(value in json()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        if let Ok(read) = parse_strict(text.as_bytes()) {
            // As canonical bytes: numbers of one value may differ in how they are kept.
            let reference: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(to_canonical(&read).unwrap(), to_canonical(&reference).unwrap());
        }
    }

    #[test]
    fn it_accepts_nothing_that_serde_json_refuses(bytes in "[\\[\\]{}\",:0-9eE+.\\\\untrfalse -]{0,24}") {
        if parse_strict(bytes.as_bytes()).is_ok() {
            prop_assert!(serde_json::from_str::<Value>(&bytes).is_ok());
        }
    }

    #[test]
    fn no_bytes_make_it_fall(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = parse_strict(&bytes);
    }
}
