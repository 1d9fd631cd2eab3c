#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

fn fault(text: &[u8]) -> JsonFault {
    Doc::parse(text).expect_err("should not parse").fault
}

#[test]
fn refuses_what_rfc_8259_refuses() {
    use JsonFault::*;
    let rows: &[(&[u8], JsonFault)] = &[
        (b"", Truncated),
        (b"  ", Truncated),
        (b"{", Truncated),
        (b"[1,", Truncated),
        (b"{\"a\"", Truncated),
        (b"{\"a\":", Truncated),
        (b"{\"a\":1", Truncated),
        (b"\"abc", Truncated),
        (b"tru", Truncated),
        (b"trux", Unexpected),
        (b"nul ", Unexpected),
        (b"True", Unexpected),
        (b"[1,]", Unexpected),
        (b"{,}", Unexpected),
        (b"{\"a\":1,}", Unexpected),
        (b"{a:1}", Unexpected),
        (b"{'a':1}", Unexpected),
        (b"[1 2]", Unexpected),
        (b"[1}", Unexpected),
        (b"{\"a\" 1}", Unexpected),
        (b"// c\n1", Unexpected),
        (b"\xEF\xBB\xBF{}", ByteOrderMark),
        (b"{\"a\":\"\xFF\"}", Utf8),
        (b"\"\xC0\x80\"", Utf8),
        (b"\"\xED\xA0\x80\"", Utf8),
        (b"{} x", Trailing),
        (b"1 2", Trailing),
        (b"{}{}", Trailing),
        (b"01", Number),
        (b"-", Number),
        (b"1.", Number),
        (b".5", Unexpected),
        (b"+1", Unexpected),
        (b"1e", Number),
        (b"1e+", Number),
        (b"0x10", Number),
        (b"1.2.3", Number),
        (b"NaN", Unexpected),
        (b"-Infinity", Number),
        (b"\"a\nb\"", Control),
        (b"\"12345678\x01\"", Control),
        (b"\"\\x\"", Escape),
        (b"\"\\u12G4\"", Escape),
        (b"\"\\u12", Escape),
        (b"\"\\", Truncated),
        (b"\"\\uD800\"", Surrogate),
        (b"\"\\uDC00\\uD800\"", Surrogate),
        (b"\"\\uD800\\u0041\"", Surrogate),
        (b"{\"a\":1,\"a\":2}", DuplicateKey),
        (b"{\"a\":1,\"\\u0061\":2}", DuplicateKey),
        (b"[{\"x\":{\"a\":1,\"b\":2,\"a\":2}}]", DuplicateKey),
    ];
    for (text, expected) in rows {
        assert_eq!(fault(text), *expected, "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn duplicate_keys_are_found_among_many() {
    let mut members: Vec<String> = (0..500).map(|n| format!("\"k{n}\":{n}")).collect();
    assert!(Doc::parse(format!("{{{}}}", members.join(",")).as_bytes()).is_ok());
    members.push("\"k250\":0".to_owned());
    assert_eq!(fault(format!("{{{}}}", members.join(",")).as_bytes()), JsonFault::DuplicateKey);
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(Doc::parse(nested(128).as_bytes()).is_ok());
    assert_eq!(fault(nested(129).as_bytes()), JsonFault::Depth);
    let short = Limits { depth: 4, bytes: 8 };
    assert_eq!(Doc::parse_within(b"[1,2,3,4]", short).unwrap_err().fault, JsonFault::TooLong);
    assert!(Doc::parse_within(b"[1,2,34]", short).is_ok());
}

#[test]
fn the_tape_answers_what_was_written() {
    let text = br#" {"a": [1.00, -2e+3, true, null], "b\u0042": "x\n\ud83d\ude00\/", "c": {}, "d":{"e":[ ]}} "#;
    let doc = Doc::parse(text).unwrap();
    let root = doc.root();
    let raw: Vec<_> = root.get("a").unwrap().items().map(|v| v.raw_str()).collect();
    assert_eq!(raw, ["1.00", "-2e+3", "true", "null"]);
    assert_eq!(root.str_at("bB").unwrap(), "x\n😀/");
    assert_eq!(root.members().map(|m| m.key.into_owned()).collect::<Vec<_>>(), ["a", "bB", "c", "d"]);
    assert_eq!(root.get("d").unwrap().get("e").unwrap().items().count(), 0);
    assert_eq!(root.get("d").unwrap().raw(), br#"{"e":[ ]}"#);
    assert!(root.get("e").is_none() && root.get("a").unwrap().get("a").is_none());
    assert_eq!(root.get("c").unwrap().each().count(), 1);
}

fn removed(text: &str, gone: &[&str]) -> String {
    let doc = Doc::parse(text.as_bytes()).unwrap();
    let mut edits = Edits::new();
    edits.remove_children(doc.root(), |child| gone.iter().any(|key| child.key_is(key)));
    String::from_utf8(edits.apply(text.as_bytes()).unwrap()).unwrap()
}

#[test]
fn members_leave_with_one_comma() {
    let text = r#"{ "a" : 1 , "b" : 2 , "c" : 3 }"#;
    assert_eq!(removed(text, &[]), text);
    assert_eq!(removed(text, &["a"]), r#"{ "b" : 2 , "c" : 3 }"#);
    assert_eq!(removed(text, &["b"]), r#"{ "a" : 1 , "c" : 3 }"#);
    assert_eq!(removed(text, &["c"]), r#"{ "a" : 1 , "b" : 2 }"#);
    assert_eq!(removed(text, &["a", "b"]), r#"{ "c" : 3 }"#);
    assert_eq!(removed(text, &["a", "c"]), r#"{ "b" : 2 }"#);
    assert_eq!(removed(text, &["a", "b", "c"]), "{  }");
}

#[test]
fn an_edit_inside_a_removal_goes_with_it_and_other_overlaps_are_refused() {
    let text = br#"{"a":{"x":1},"b":2}"#;
    let doc = Doc::parse(text).unwrap();
    let mut edits = Edits::new();
    edits.replace(doc.root().get("a").unwrap().get("x").unwrap().span(), "9");
    edits.remove_children(doc.root(), |child| child.key_is("a"));
    edits.insert_member(doc.root(), "c", b"3");
    assert_eq!(edits.apply(text).unwrap(), br#"{"c":3,"b":2}"#);

    let mut crossing = Edits::new();
    crossing.replace(1..5, "x");
    crossing.replace(4..6, "y");
    assert_eq!(crossing.apply(text), Err(EditError::Overlap));
    let mut outside = Edits::new();
    outside.replace(1..500, "x");
    assert_eq!(outside.apply(text), Err(EditError::Outside));
}

#[test]
fn a_window_takes_only_its_own_edits() {
    let text = br#"[{"a":1},{"a":2},{"a":3}]"#;
    let doc = Doc::parse(text).unwrap();
    let mut edits = Edits::new();
    for item in doc.root().items() {
        edits.replace(item.get("a").unwrap().span(), "0");
        edits.insert_member(item, "b", b"7");
    }
    let second = doc.root().items().nth(1).unwrap().span();
    assert_eq!(edits.apply_within(text, second).unwrap(), br#"{"b":7,"a":0}"#);
}

/// JSON values whose keys are distinct in each object, with awkward strings and numbers.
fn arbitrary_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        "\\PC{0,20}".prop_map(serde_json::Value::from),
        "[\"\\\\\n\t/a\u{1}é😀]{0,12}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-e\"\\\\é]{1,3}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn value_of(value: Value<'_>) -> serde_json::Value {
    match value.kind() {
        Kind::Object => {
            serde_json::Value::Object(value.members().map(|m| (m.key.into_owned(), value_of(m.value))).collect())
        }
        Kind::Array => value.items().map(value_of).collect(),
        Kind::String => value.as_str().unwrap().into_owned().into(),
        Kind::Number => serde_json::from_str(value.raw_str()).unwrap(),
        Kind::True | Kind::False => value.as_bool().unwrap().into(),
        Kind::Null => serde_json::Value::Null,
    }
}

proptest! {
    #[test]
    fn the_tape_agrees_with_serde_json(value in arbitrary_json(), pretty: bool) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        let doc = Doc::parse(&text).unwrap();
        prop_assert_eq!(value_of(doc.root()), value);
    }

    #[test]
    fn nothing_is_accepted_that_serde_json_refuses(text in "[\\[\\]{},:\"\\\\u0-9eE.+\\-a truefalsn\n]{0,24}") {
        if Doc::parse(text.as_bytes()).is_ok() {
            prop_assert!(serde_json::from_str::<IgnoredAny>(&text).is_ok());
        }
    }

    #[test]
    fn any_bytes_parse_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let ours = Doc::parse(&bytes).is_ok();
        prop_assert!(!ours || serde_json::from_slice::<IgnoredAny>(&bytes).is_ok());
    }

    /// Editing the bytes and reading them again gives the same as editing the value.
    #[test]
    fn removal_by_bytes_is_removal_by_value(
        value in prop::collection::btree_map("[a-f]", arbitrary_json(), 0..6),
        gone in prop::collection::btree_set("[a-f]", 0..6),
        pretty: bool,
    ) {
        let mut expected = serde_json::Value::Object(value.into_iter().collect());
        let text = if pretty { serde_json::to_vec_pretty(&expected) } else { serde_json::to_vec(&expected) }.unwrap();
        let doc = Doc::parse(&text).unwrap();
        let mut edits = Edits::new();
        edits.remove_children(doc.root(), |child| gone.iter().any(|key| child.key_is(key)));
        let bytes = edits.apply(&text).unwrap();
        expected.as_object_mut().unwrap().retain(|key, _| !gone.contains(key));
        prop_assert_eq!(value_of(Doc::parse(&bytes).unwrap().root()), expected);
    }

    #[test]
    fn insertion_by_bytes_is_insertion_by_value(value in arbitrary_json(), text in "\\PC{0,9}") {
        let wrapped = serde_json::json!({"v": value, "list": [value.clone()], "none": []});
        let source = serde_json::to_vec(&wrapped).unwrap();
        let doc = Doc::parse(&source).unwrap();
        let mut edits = Edits::new();
        edits.insert_member(doc.root(), "new", quoted(&text).as_bytes());
        edits.push_item(doc.root().get("list").unwrap(), b"7");
        edits.push_item(doc.root().get("none").unwrap(), b"8");
        edits.replace(doc.root().get("v").unwrap().span(), quoted(&text));
        let bytes = edits.apply(&source).unwrap();
        let expected = serde_json::json!({"v": text, "list": [value, 7], "none": [8], "new": text});
        prop_assert_eq!(value_of(Doc::parse(&bytes).unwrap().root()), expected);
    }
}

fn scan(chunks: &[&[u8]]) -> Result<Vec<Piece>, ScanError> {
    let mut scanner = BundleScanner::new(ScanLimits { entry: 200, head: 300 });
    let mut pieces = Vec::new();
    for chunk in chunks {
        pieces.extend(scanner.push(chunk)?);
    }
    scanner.finish().map(|()| pieces)
}

const BUNDLE: &str = r#" {"resourceType" : "Bundle","type":"searchset","total":12 ,"link":[{"relation":"self","url":"a\"]}\\"}],
  "ent\u0072y" : [ {"resource":{"a":"}]\"","b":[1,{"c":"é\\"}]}} , {"fullUrl":"x"},{} ],"ok":true,"n":null,"f":-1.50e3}
"#;

fn head(key: &str, raw: &str) -> Piece {
    Piece::Head { key: key.to_owned(), raw: raw.as_bytes().to_vec() }
}

fn bundle_pieces() -> Vec<Piece> {
    let entry = |raw: &str| Piece::Entry(raw.as_bytes().to_vec());
    vec![
        head("resourceType", "\"Bundle\""),
        head("type", "\"searchset\""),
        head("total", "12"),
        head("link", r#"[{"relation":"self","url":"a\"]}\\"}]"#),
        Piece::Entries,
        entry(r#"{"resource":{"a":"}]\"","b":[1,{"c":"é\\"}]}}"#),
        entry(r#"{"fullUrl":"x"}"#),
        entry("{}"),
        head("ok", "true"),
        head("n", "null"),
        head("f", "-1.50e3"),
    ]
}

#[test]
fn the_scanner_cuts_alike_wherever_the_body_is_split() {
    let bytes = BUNDLE.as_bytes();
    let expected = bundle_pieces();
    assert_eq!(scan(&[bytes]).unwrap(), expected);
    for first in 0..=bytes.len() {
        let (a, b) = bytes.split_at(first);
        assert_eq!(scan(&[a, b]).unwrap(), expected, "split at {first}");
        for second in [first + 1, first + 2, first + 7] {
            if let Some((middle, end)) = b.split_at_checked(second - first) {
                assert_eq!(scan(&[a, middle, end]).unwrap(), expected, "split at {first} and {second}");
            }
        }
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(scan(&single).unwrap(), expected);
}

#[test]
fn a_body_cut_short_anywhere_is_truncated() {
    let whole = BUNDLE.trim_end().as_bytes();
    for length in 0..whole.len() {
        assert_eq!(scan(&[&whole[..length]]), Err(ScanError::Truncated), "cut at {length}");
    }
}

#[test]
fn the_scanner_refuses_by_name() {
    use ScanError::*;
    let wide = format!(r#"{{"resourceType":"Bundle","link":"{}"}}"#, "x".repeat(300));
    let rows: &[(&str, ScanError)] = &[
        ("[]", Unexpected(0)),
        ("\u{feff}{}", Unexpected(0)),
        ("{}", NotABundle),
        (r#"{"resourceType":"Patient"}"#, NotABundle),
        (r#"{"entry":[{}],"resourceType":"Patient"}"#, NotABundle),
        (r#"{"entry":[{}]}"#, NotABundle),
        (r#"{"resourceType":"Bundle"} x"#, Trailing(26)),
        (r#"{"resourceType":"Bundle"}{}"#, Trailing(25)),
        (r#"{"resourceType":"Bundle","entry":[],"entry":[]}"#, DuplicateMember),
        (r#"{"resourceType":"Bundle","entry":[],"\u0065ntry":[]}"#, DuplicateMember),
        (r#"{"resourceType":"Bundle","type":1,"type":2}"#, DuplicateMember),
        (r#"{"resourceType":"Bundle","entry":{}}"#, EntryNotArray),
        (r#"{"resourceType":"Bundle","entry":null}"#, EntryNotArray),
        (r#"{"resourceType":"Bundle","entry":[1]}"#, EntryNotObject),
        (r#"{"resourceType":"Bundle","entry":[null]}"#, EntryNotObject),
        (r#"{"resourceType":"Bundle","entry":[{},[]]}"#, EntryNotObject),
        (r#"{"resourceType":"Bundle","entry":[,]}"#, Unexpected(34)),
        (r#"{"resourceType":"Bundle","entry":[{},]}"#, Unexpected(37)),
        (r#"{"resourceType":"Bundle","entry":[{}{}]}"#, Unexpected(36)),
        (r#"{"resourceType":"Bundle","entry":[{}}"#, Unexpected(36)),
        (r#"{"resourceType":"Bundle",}"#, Unexpected(25)),
        (r#"{,"resourceType":"Bundle"}"#, Unexpected(1)),
        (r#"{"resourceType" "Bundle"}"#, Unexpected(16)),
        (r#"{"resourceType":}"#, Unexpected(16)),
        (r#"{"resourceType":"Bundle" "a":1}"#, Unexpected(25)),
        (&wide, HeadTooLong),
    ];
    for (body, expected) in rows {
        assert_eq!(scan(&[body.as_bytes()]), Err(*expected), "{body}");
    }
    for body in [r#"{"a":1x}"#, r#"{"a":{]}"#, r#"{"a":tru}"#, r#"{"a":1"b"}"#, r#"{"a":[1,]}"#, r#"{"\q":1}"#] {
        assert!(matches!(scan(&[body.as_bytes()]), Err(Head(_) | Unexpected(_))), "{body}");
    }
}

#[test]
fn an_entry_over_the_limit_is_skipped_and_the_others_are_not() {
    let long = format!(r#"{{"fullUrl":"u","a":["]}}{}"]}}"#, "x".repeat(2 * BEGINNING));
    let body = format!(r#"{{"resourceType":"Bundle","entry":[{{"b":1}},{long},{{"c":2}},{long}],"total":4}}"#);
    let begin = Piece::TooLong(long.as_bytes()[..BEGINNING].to_vec());
    let entry = |raw: &str| Piece::Entry(raw.as_bytes().to_vec());
    let expected = [
        head("resourceType", r#""Bundle""#),
        Piece::Entries,
        entry(r#"{"b":1}"#),
        begin.clone(),
        entry(r#"{"c":2}"#),
        begin,
        head("total", "4"),
    ];
    for size in [1, 7, 100, 1 << 20] {
        let chunks: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
        assert_eq!(scan(&chunks).unwrap(), expected, "in chunks of {size}");
    }
    let cut = body.get(..body.len() - 20).unwrap();
    assert_eq!(scan(&[cut.as_bytes()]), Err(ScanError::Truncated));
}

#[test]
fn an_error_is_final() {
    let mut scanner = BundleScanner::new(ScanLimits::default());
    assert!(scanner.push(b"x").is_err());
    assert_eq!(scanner.push(b"{}"), Err(ScanError::Poisoned));
    assert_eq!(scanner.finish(), Err(ScanError::Poisoned));
}

proptest! {
    /// Whatever the scanner and the tape accept together, serde_json accepts, with the same pieces.
    #[test]
    fn what_is_cut_is_what_the_structure_says(
        members in prop::collection::btree_map("[a-d\"é]{1,2}", arbitrary_json(), 0..4),
        entries in prop::collection::vec(prop::collection::btree_map("[a-d]", arbitrary_json(), 0..3), 0..4),
        size in 1_usize..40,
        pretty: bool,
    ) {
        let mut bundle: serde_json::Map<_, _> = members.into_iter().collect();
        bundle.insert("resourceType".into(), "Bundle".into());
        bundle.insert("entry".into(), serde_json::to_value(&entries).unwrap());
        let text = if pretty { serde_json::to_vec_pretty(&bundle) } else { serde_json::to_vec(&bundle) }.unwrap();
        let mut scanner = BundleScanner::new(ScanLimits::default());
        let mut pieces = Vec::new();
        for chunk in text.chunks(size) {
            pieces.extend(scanner.push(chunk).unwrap());
        }
        scanner.finish().unwrap();
        let mut found = serde_json::Map::new();
        let mut found_entries = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Head { key, raw } => {
                    found.insert(key, serde_json::from_slice(&raw).unwrap());
                }
                Piece::Entries => {}
                Piece::Entry(raw) => found_entries.push(serde_json::from_slice::<serde_json::Value>(&raw).unwrap()),
                Piece::TooLong(_) => panic!("no entry is long"),
            }
        }
        found.insert("entry".into(), found_entries.into());
        prop_assert_eq!(found, bundle);
    }

    /// A mutated body either fails or is well-formed JSON as a whole.
    #[test]
    fn no_mutation_slips_through(at in 0_usize..300, byte in any::<u8>(), size in 1_usize..64) {
        let mut bytes = BUNDLE.as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
        if let Ok(pieces) = scan(&chunks) {
            let whole = pieces.iter().all(|piece| match piece {
                Piece::Entry(raw) => Doc::parse(raw).is_ok(),
                Piece::Head { .. } | Piece::Entries => true,
                Piece::TooLong(_) => false,
            });
            if whole {
                prop_assert!(serde_json::from_slice::<IgnoredAny>(&bytes).is_ok());
            }
        }
    }
}
