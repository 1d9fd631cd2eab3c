//! Configurations, thought of as JSON and written as TOML.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The table that says the same as this JSON object.
///
/// Value by value, never through serde: with its feature `arbitrary_precision`, which some libraries switch on, a JSON number is a map to it.
///
/// # Errors
/// When it is no object, or holds a null or a number that TOML cannot hold.
pub fn table(json: &Value) -> Result<toml::Table> {
    let members = json.as_object().context("a configuration is an object")?;
    members.iter().map(|(name, member)| Ok((name.clone(), value(member)?))).collect()
}

fn value(json: &Value) -> Result<toml::Value> {
    Ok(match json {
        Value::Null => bail!("TOML has no null"),
        Value::Bool(truth) => toml::Value::Boolean(*truth),
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => toml::Value::Integer(whole),
            None => toml::Value::Float(number.as_f64().context("a number that TOML cannot hold")?),
        },
        Value::Array(values) => toml::Value::Array(values.iter().map(value).collect::<Result<_>>()?),
        Value::Object(_) => toml::Value::Table(table(json)?),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_value() {
        let written = table(&json!({"a": {"whole": 7, "part": 1.5, "list": ["x", true]}})).unwrap();
        assert_eq!(written.to_string(), "[a]\nlist = [\"x\", true]\npart = 1.5\nwhole = 7\n");
        assert!(table(&json!({"a": null})).is_err() && table(&json!([1])).is_err());
    }
}
