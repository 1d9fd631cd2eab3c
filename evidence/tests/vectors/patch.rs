//! The operations `add`, `replace` and `remove` of JSON Patch (RFC 6902).

use serde_json::Value;

pub(crate) fn apply(document: &Value, patch: &Value) -> Value {
    let mut document = document.clone();
    for operation in patch.as_array().unwrap() {
        let path = operation["path"].as_str().unwrap();
        let (parent, last) = path.rsplit_once('/').unwrap();
        let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("{path} leads nowhere"));
        let value = &operation["value"];
        match (operation["op"].as_str().unwrap(), parent) {
            ("add", Value::Object(members)) => {
                members.insert(last.to_owned(), value.clone());
            }
            ("replace", Value::Object(members)) => {
                assert!(members.insert(last.to_owned(), value.clone()).is_some(), "{path} is there");
            }
            ("remove", Value::Object(members)) => {
                assert!(members.remove(last).is_some(), "{path} is there");
            }
            ("add", Value::Array(items)) if last == "-" => items.push(value.clone()),
            ("add", Value::Array(items)) => items.insert(last.parse().unwrap(), value.clone()),
            ("replace", Value::Array(items)) => items[last.parse::<usize>().unwrap()] = value.clone(),
            ("remove", Value::Array(items)) => {
                items.remove(last.parse().unwrap());
            }
            (operation, _) => panic!("{operation} at {path}"),
        }
    }
    document
}
