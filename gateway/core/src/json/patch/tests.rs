#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use super::*;

const OBSERVATION: &str = r#"{ "resourceType":"Observation", "id":"o",
  "valueQuantity":{"value":1.00,"unit":"mg"},  "note":[{"text":"a"},{"text":"b"}], "a/b":1, "m~n":2 }"#;

fn patched(patch: &str) -> Result<String, PatchError> {
    let bytes = Patch::parse(patch.as_bytes(), 16)?.apply(OBSERVATION.as_bytes(), 1 << 20)?;
    Ok(String::from_utf8(bytes).unwrap())
}

#[test]
fn what_is_not_touched_keeps_its_bytes() {
    let patch = r#"[{"op":"replace","path":"/valueQuantity/unit","value":"g"}]"#;
    assert_eq!(patched(patch).unwrap(), OBSERVATION.replace("\"mg\"", "\"g\""));
    let patch = r#"[{"op":"add","path":"/valueQuantity/extra","value":0.10}]"#;
    assert_eq!(patched(patch).unwrap(), OBSERVATION.replace("\"mg\"", "\"mg\",\"extra\":0.10"));
}

#[test]
fn every_operation() {
    let rows = [
        (r#"[{"op":"remove","path":"/note/0"}]"#, r#""note":[{"text":"b"}]"#),
        (r#"[{"op":"add","path":"/note/-","value":{"text":"c"}}]"#, r#"[{"text":"a"},{"text":"b"},{"text":"c"}]"#),
        (r#"[{"op":"add","path":"/note/0","value":{"text":"c"}}]"#, r#"[{"text":"c"},{"text":"a"},{"text":"b"}]"#),
        (r#"[{"op":"add","path":"/note/2","value":{"text":"c"}}]"#, r#"[{"text":"a"},{"text":"b"},{"text":"c"}]"#),
        (r#"[{"op":"move","from":"/note/0","path":"/note/1"}]"#, r#"[{"text":"b"},{"text":"a"}]"#),
        (r#"[{"op":"move","from":"/valueQuantity/value","path":"/valueInteger"}]"#, r#""valueInteger":1.00"#),
        (r#"[{"op":"copy","from":"/note/1","path":"/note/0"}]"#, r#"[{"text":"b"},{"text":"a"},{"text":"b"}]"#),
        (r#"[{"op":"replace","path":"/a~1b","value":7}]"#, r#""a/b":7"#),
        (r#"[{"op":"replace","path":"/m~0n","value":7}]"#, r#""m~n":7"#),
        (r#"[{"op":"add","path":"/a\"b","value":7}]"#, r#""a\"b":7"#),
        (r#"[{"op":"add","path":"/id","value":"p","more":1}]"#, r#""id":"p""#),
        (r#"[{"op":"remove","path":"/note/0"},{"op":"remove","path":"/note/0"}]"#, r#""note":[]"#),
    ];
    for (patch, expected) in rows {
        let found = patched(patch).unwrap();
        assert!(found.contains(expected), "{patch}: {found}");
        Doc::parse(found.as_bytes()).unwrap();
    }
    assert_eq!(patched(r#"[{"op":"add","path":"","value":{"x":1}}]"#).unwrap(), r#"{"x":1}"#);
    assert_eq!(patched(r#"[{"op":"move","from":"/id","path":"/id"}]"#).unwrap(), OBSERVATION);
}

#[test]
fn tests_compare_values() {
    let holds = [
        ("/valueQuantity/value", "1"),
        ("/valueQuantity/value", "1.0e0"),
        ("/valueQuantity/value", "100E-2"),
        ("/valueQuantity", r#"{"unit":"\u006dg","value":1}"#),
        ("/note", r#"[{"text":"a"},{"text":"b"}]"#),
    ];
    for (path, value) in holds {
        let patch = format!(r#"[{{"op":"test","path":"{path}","value":{value}}}]"#);
        assert_eq!(patched(&patch).unwrap(), OBSERVATION, "{patch}");
    }
    let fails = [
        ("/valueQuantity/value", "1.001"),
        ("/valueQuantity/value", "-1"),
        ("/valueQuantity/value", "1e99999999999999999999"),
        ("/valueQuantity/value", "\"1.00\""),
        ("/note", r#"[{"text":"b"},{"text":"a"}]"#),
        ("/note/0", r#"{"text":"a","more":1}"#),
        ("/nothing", "1"),
        ("/nothing", "null"),
    ];
    for (path, value) in fails {
        let patch = format!(r#"[{{"op":"test","path":"{path}","value":{value}}}]"#);
        assert_eq!(patched(&patch), Err(PatchError::TestFailed), "{patch}");
    }
}

#[test]
fn what_leads_nowhere_changes_nothing() {
    for patch in [
        r#"[{"op":"remove","path":"/nothing"}]"#,
        r#"[{"op":"remove","path":""}]"#,
        r#"[{"op":"replace","path":"/nothing","value":1}]"#,
        r#"[{"op":"add","path":"/nothing/x","value":1}]"#,
        r#"[{"op":"add","path":"/id/x","value":1}]"#,
        r#"[{"op":"add","path":"/note/3","value":1}]"#,
        r#"[{"op":"add","path":"/note/00","value":1}]"#,
        r#"[{"op":"add","path":"/note/+1","value":1}]"#,
        r#"[{"op":"remove","path":"/note/-"}]"#,
        r#"[{"op":"move","from":"/note","path":"/note/0"}]"#,
        r#"[{"op":"copy","from":"/nothing","path":"/x"}]"#,
    ] {
        assert_eq!(patched(patch), Err(PatchError::NotApplicable), "{patch}");
    }
}

#[test]
fn what_is_no_patch_is_refused() {
    for patch in [
        "{}",
        "[]",
        "[1]",
        "[{}]",
        r#"[{"op":"add","path":"/x"}]"#,
        r#"[{"op":"move","path":"/x"}]"#,
        r#"[{"op":"remove"}]"#,
        r#"[{"op":"remove","path":"x"}]"#,
        r#"[{"op":"remove","path":"/x~2"}]"#,
        r#"[{"op":"remove","path":"/x~"}]"#,
        r#"[{"op":"Remove","path":"/x"}]"#,
        r#"[{"op":"remove","op":"add","path":"/x"}]"#,
        r#"[{"op":"remove","path":1}]"#,
    ] {
        assert!(matches!(patched(patch), Err(PatchError::Malformed(_))), "{patch}");
    }
    let many = format!("[{}]", vec![r#"{"op":"test","path":"/id","value":"o"}"#; 17].join(","));
    assert_eq!(patched(&many), Err(PatchError::TooMany));
}

#[test]
fn a_patch_cannot_grow_without_bound() {
    let doubling = vec![r#"{"op":"copy","from":"","path":"/x"}"#; 16].join(",");
    let patch = Patch::parse(format!("[{doubling}]").as_bytes(), 16).unwrap();
    assert_eq!(patch.apply(OBSERVATION.as_bytes(), 1024), Err(PatchError::TooLarge));
}

/// The client chooses how many members there are: comparing them must not take their square.
#[test]
fn a_test_of_many_members_ends() {
    let members: Vec<String> = (0..50_000).map(|number| format!(r#""m{number}":{number}"#)).collect();
    let (forth, back) = (members.join(","), members.iter().rev().cloned().collect::<Vec<_>>().join(","));
    let patch = format!(
        r#"[{{"op":"add","path":"/extension","value":{{{forth}}}}},{{"op":"test","path":"/extension","value":{{{back}}}}}]"#
    );
    let patch = Patch::parse(patch.as_bytes(), 16).unwrap();
    assert!(patch.apply(OBSERVATION.as_bytes(), 8 << 20).is_ok());
}
