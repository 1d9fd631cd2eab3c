//! Makes a case smaller while it still has the property asked for: members and items are taken out one by one.

use serde_json::Value;

/// The smallest case that can be reached by taking things out.
pub fn shrink(case: &Value, still: &dyn Fn(&Value) -> bool) -> Value {
    let mut best = case.clone();
    loop {
        let smaller = smaller(&best).into_iter().find(|candidate| still(candidate));
        match smaller {
            Some(candidate) => best = candidate,
            None => return best,
        }
    }
}

/// Every value with one member or item less, the largest removals first.
fn smaller(json: &Value) -> Vec<Value> {
    match json {
        Value::Object(members) => {
            let without = members.keys().map(|key| {
                let mut rest = members.clone();
                rest.remove(key);
                Value::Object(rest)
            });
            let within = members.iter().flat_map(|(key, value)| {
                smaller(value).into_iter().map(move |value| {
                    let mut changed = members.clone();
                    changed.insert(key.clone(), value);
                    Value::Object(changed)
                })
            });
            without.chain(within).collect()
        }
        Value::Array(items) => {
            let without = (0..items.len()).map(|at| {
                let rest = items.iter().enumerate().filter(|(index, _)| *index != at);
                Value::Array(rest.map(|(_, item)| item.clone()).collect())
            });
            let lifted = items.iter().enumerate().flat_map(|(at, item)| {
                smaller(item).into_iter().map(move |item| {
                    let mut changed = items.clone();
                    if let Some(place) = changed.get_mut(at) {
                        *place = item;
                    }
                    Value::Array(changed)
                })
            });
            without.chain(lifted).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
