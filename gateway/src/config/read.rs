//! TOML text and environment overrides → one JSON value that fits the schema, with every misfit reported.
//!
//! The JSON Schema of [`super::raw::Raw`] directs the walk, so what `config schema` prints is what is enforced here.
//! A misfit is taken out after it is reported: what remains deserialises, and its meaning can be checked in the same run.

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Findings, Origin};

/// The prefix of environment variables that override keys.
pub(super) const ENVIRONMENT_PREFIX: &str = "SEALGATE__";

/// Reads the text; syntax faults and misfits go to `findings`, what fits is returned.
pub(super) fn read(
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
    schema: &Value,
    findings: &mut Findings,
) -> Value {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let origin = Origin::Line(line_of(text, error.span().map_or(0, |span| span.start)));
        findings.fault_at("", origin, syntax_fault(error.message()), "correct the TOML; see config.example.toml");
    }
    let mut reader = Reader { text, findings };
    let mut value = reader.table("", document.get_ref());
    for (name, setting) in environment {
        override_key(&mut value, &name, &setting, schema, findings);
    }
    fit(&mut value, schema, "", findings);
    value
}

/// A parser's message says what it expected; its first line never quotes a value.
fn syntax_fault(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    format!("the TOML is malformed ({first})")
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

struct Reader<'a> {
    text: &'a str,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn table(&mut self, path: &str, table: &DeTable<'_>) -> Value {
        let mut members = Map::new();
        for (key, value) in table {
            let inner = member(path, key.get_ref());
            let line = line_of(self.text, key.span().start);
            self.findings.written_at(&inner, Origin::Line(line));
            if let Some(value) = self.value(&inner, value) {
                members.insert(key.get_ref().clone().into_owned(), value);
            }
        }
        Value::Object(members)
    }

    fn value(&mut self, path: &str, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        match value.get_ref() {
            DeValue::String(text) => Some(Value::String(text.clone().into_owned())),
            DeValue::Boolean(flag) => Some(Value::Bool(*flag)),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Some(Value::from(number)),
                Err(_) => self.refuse(path, "an integer of more than 64 bits"),
            },
            DeValue::Float(_) => self.refuse(path, "a fraction"),
            DeValue::Datetime(_) => self.refuse(path, "a date"),
            DeValue::Array(items) => {
                let mut array = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let inner = format!("{path}[{index}]");
                    let line = line_of(self.text, item.span().start);
                    self.findings.written_at(&inner, Origin::Line(line));
                    array.extend(self.value(&inner, item));
                }
                Some(Value::Array(array))
            }
            DeValue::Table(table) => Some(self.table(path, table)),
        }
    }

    fn refuse(&mut self, path: &str, found: &str) -> Option<Value> {
        self.findings.fault(path, format!("found {found}"), "no key takes one; write an integer or a string");
        None
    }
}

/// `SEALGATE__SERVER__LIMITS__BODY=8MiB` sets `server.limits.body`; a value that is no string is written as TOML.
fn override_key(root: &mut Value, name: &str, setting: &str, schema: &Value, findings: &mut Findings) {
    let Some(rest) = strip_prefix_ignoring_case(name, ENVIRONMENT_PREFIX) else {
        return;
    };
    let keys: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
    let path = keys.join(".");
    let origin = Origin::Environment(name.to_owned());

    let mut place = schema;
    for key in &keys {
        let Some(next) = property(place, key) else {
            let cure = format!("name a key of the schema as {ENVIRONMENT_PREFIX}SECTION__KEY");
            return findings.fault_at(&path, origin, "unknown key", cure);
        };
        place = next;
    }
    let value = if alternatives(place).any(|shape| type_names(shape).any(|name| name == "string")) {
        Some(Value::String(setting.to_owned()))
    } else {
        parse_setting(setting)
    };
    let Some(value) = value else {
        return findings.fault_at(
            &path,
            origin,
            "not a TOML value",
            "write the value as in the file, such as 4 or [\"a\"]",
        );
    };
    findings.written_at(&path, origin);
    insert(root, &keys, value);
}

fn strip_prefix_ignoring_case<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = name.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn parse_setting(setting: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(&format!("value = {setting}")).ok()?;
    let Value::Object(mut members) = serde_json::to_value(table).ok()? else { return None };
    // More than one member: the setting was not a value but a piece of a file.
    if members.len() == 1 { members.remove("value") } else { None }
}

fn insert(root: &mut Value, keys: &[String], value: Value) {
    let Some((last, tables)) = keys.split_last() else {
        return;
    };
    let mut place = root;
    for key in tables {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(members) = place else {
            return;
        };
        place = members.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
    }
    if !place.is_object() {
        *place = Value::Object(Map::new());
    }
    if let Value::Object(members) = place {
        members.insert(last.clone(), value);
    }
}

/// Reports and removes what does not fit `schema`.
fn fit(value: &mut Value, schema: &Value, path: &str, findings: &mut Findings) {
    match value {
        Value::Object(members) => {
            let Some(shape) = shape_of(schema, "object") else {
                return;
            };
            if shape.get("properties").is_none() {
                return; // a free table: its own reader checks it
            }
            members.retain(|key, inner| {
                let inner_path = member(path, key);
                match property(shape, key) {
                    None => {
                        findings.fault(&inner_path, "unknown key", nearest(shape, key));
                        false
                    }
                    Some(expected) => keep_if_fits(inner, expected, &inner_path, findings),
                }
            });
        }
        Value::Array(items) => {
            let Some(expected) = shape_of(schema, "array").and_then(|shape| shape.get("items")) else {
                return;
            };
            let mut index = 0;
            items.retain_mut(|inner| {
                let inner_path = format!("{path}[{index}]");
                index += 1;
                keep_if_fits(inner, expected, &inner_path, findings)
            });
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn keep_if_fits(value: &mut Value, expected: &Value, path: &str, findings: &mut Findings) -> bool {
    let found = type_name(value);
    let Some(shape) = shape_of(expected, found) else {
        let wanted: Vec<&str> = alternatives(expected).flat_map(type_names).filter(|name| *name != "null").collect();
        findings.fault(path, format!("found {} {found}", article(found)), format!("write {}", wanted.join(" or ")));
        return false;
    };
    if let (Value::String(text), Some(words)) = (&*value, words(shape))
        && !words.contains(&text.as_str())
    {
        findings.fault(path, "not one of the words that this key takes", format!("write one of: {}", words.join(", ")));
        return false;
    }
    if let (Some(number), Some(least)) = (value.as_i64(), shape.get("minimum").and_then(Value::as_i64))
        && number < least
    {
        findings.fault(path, "the number is too small", format!("write at least {least}"));
        return false;
    }
    fit(value, expected, path, findings);
    true
}

/// The alternative of `schema` that takes a value of type `name`.
fn shape_of<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    alternatives(schema).find(|shape| {
        let mut names = type_names(shape).peekable();
        // Without a stated type a shape takes anything, unless it is a list of words.
        if names.peek().is_none() { words(shape).is_none() || name == "string" } else { names.any(|own| own == name) }
    })
}

/// `anyOf` opened up, as for an optional section.
fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    match schema.get("anyOf").and_then(Value::as_array) {
        Some(shapes) => shapes.iter(),
        None => std::slice::from_ref(schema).iter(),
    }
}

fn type_names(shape: &Value) -> impl Iterator<Item = &str> {
    let names: &[Value] = match shape.get("type") {
        Some(Value::Array(names)) => names,
        Some(name) => std::slice::from_ref(name),
        None => &[],
    };
    names.iter().filter_map(Value::as_str).chain(words(shape).filter(|_| shape.get("type").is_none()).map(|_| "string"))
}

/// The closed list of words of an enumeration (`enum`, or `oneOf` with a documented `const` each).
fn words(shape: &Value) -> Option<Vec<&str>> {
    if let Some(list) = shape.get("enum").and_then(Value::as_array) {
        return Some(list.iter().filter_map(Value::as_str).collect());
    }
    let list = shape.get("oneOf").and_then(Value::as_array)?;
    list.iter().map(|one| one.get("const").and_then(Value::as_str)).collect()
}

fn property<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    alternatives(schema).find_map(|shape| shape.get("properties")?.get(key))
}

fn nearest(shape: &Value, key: &str) -> String {
    let known: Vec<&str> = shape
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    format!("remove `{key}` or write one of: {}", known.join(", "))
}

fn member(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'i', 'o']) { "an" } else { "a" }
}
