//! An explanation as lines for people.

use std::fmt::Write as _;

use serde_json::Value;

/// The lines.
pub(super) fn lines(told: &Value) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(told, &mut out);
    out
}

fn write(told: &Value, out: &mut String) -> std::fmt::Result {
    writeln!(out, "{}", text(told, "request"))?;
    for stage in list(told, "stages") {
        write!(out, "{}: {}", text(stage, "stage"), text(stage, "says"))?;
        for key in ["rule", "sentence"] {
            say(stage, key, " — ", out)?;
        }
        if let Some(caller) = stage.get("caller") {
            caller_line(caller, out)?;
        }
        say(stage, "interaction", " — ", out)?;
        say(stage, "resourceType", " of ", out)?;
        if let Some(scope) = stage.get("scope") {
            write!(out, " — {} needed, reaches {}", words(scope, "needs"), text(scope, "grant"))?;
        }
        out.push('\n');
    }
    for row in list(told, "resources") {
        resource(row, out)?;
    }
    match told.get("moreResources").and_then(Value::as_u64) {
        None | Some(0) => {}
        Some(more) => writeln!(out, "  and {more} further decisions")?,
    }
    let answer = told.get("answer").unwrap_or(&Value::Null);
    match answer.get("status") {
        Some(status) => write!(out, "answer: {status}")?,
        None => write!(out, "answer: not known")?,
    }
    for key in ["rule", "sentence"] {
        say(answer, key, " — ", out)?;
    }
    writeln!(
        out,
        "; {} of {} entries leave, {} elements removed\npolicy {}",
        number(answer, "disclosed"),
        number(answer, "entries"),
        number(answer, "elementsRemoved"),
        text(told, "policyDigest")
    )
}

fn caller_line(caller: &Value, out: &mut String) -> std::fmt::Result {
    write!(out, " — {} at {}", text(caller, "subject"), text(caller, "issuer"))?;
    for (key, before) in [
        ("client", ", client "),
        ("organization", ", for "),
        ("fhirUser", ", as "),
        ("launchPatient", ", launched for "),
    ] {
        say(caller, key, before, out)?;
    }
    for (key, before) in [("roles", ", roles "), ("purposes", ", purposes "), ("voidScopes", ", void scopes ")] {
        if !list(caller, key).is_empty() {
            write!(out, "{before}{}", words(caller, key))?;
        }
    }
    Ok(())
}

fn resource(row: &Value, out: &mut String) -> std::fmt::Result {
    write!(out, "  {}", text(row, "resource"))?;
    say(row, "version", " version ", out)?;
    write!(out, ": {} to {}", text(row, "decision"), text(row, "action"))?;
    if !list(row, "labels").is_empty() {
        write!(out, ", labels {}", words(row, "labels"))?;
    }
    out.push('\n');
    for reason in list(row, "reasons") {
        because(reason, out)?;
    }
    for removed in list(row, "removed") {
        writeln!(out, "    removed: {} by {}", text(removed, "path"), text(removed, "rule"))?;
    }
    for part in list(row, "hiddenParts") {
        writeln!(out, "    hidden in it: {}", text(part, "name"))?;
        for reason in list(part, "reasons") {
            because(reason, out)?;
        }
    }
    Ok(())
}

fn because(reason: &Value, out: &mut String) -> std::fmt::Result {
    write!(out, "    {}", text(reason, "rule"))?;
    for (key, before) in [("patient", " for "), ("consent", " by "), ("provision", " at "), ("detail", ": ")] {
        say(reason, key, before, out)?;
    }
    out.push('\n');
    Ok(())
}

fn say(of: &Value, key: &str, before: &str, out: &mut String) -> std::fmt::Result {
    match of.get(key).and_then(Value::as_str) {
        Some(text) => write!(out, "{before}{text}"),
        None => Ok(()),
    }
}

fn text<'v>(of: &'v Value, key: &str) -> &'v str {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(of: &Value, key: &str) -> u64 {
    of.get(key).and_then(Value::as_u64).unwrap_or_default()
}

fn list<'v>(of: &'v Value, key: &str) -> &'v [Value] {
    of.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn words(of: &Value, key: &str) -> String {
    list(of, key).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}
