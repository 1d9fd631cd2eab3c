//! Holds an AuditEvent to a StructureDefinition: cardinalities, patterns, slices by type, required bindings.
//!
//! Only what the profiles' differentials say, from the profile up to AuditEvent; the base is the strict model's.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// Stands for every code of a system.
const ANY: &str = "*";

/// The profiles and value sets of a folder.
pub(super) struct Profiles {
    structures: BTreeMap<String, Value>,
    value_sets: BTreeMap<String, Vec<(String, String)>>,
}

impl Profiles {
    pub(super) fn read(folder: &Path) -> Self {
        let mut profiles = Self { structures: BTreeMap::new(), value_sets: BTreeMap::new() };
        for file in std::fs::read_dir(folder).expect("BALP's profiles") {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let resource: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
            let url = resource["url"].as_str().unwrap_or_default().to_owned();
            match resource["resourceType"].as_str() {
                Some("StructureDefinition") => drop(profiles.structures.insert(url, resource)),
                Some("ValueSet") => drop(profiles.value_sets.insert(url, codes(&resource))),
                _ => {}
            }
        }
        profiles
    }

    /// What of `event` does not fit the profile, from the profile up to the base.
    pub(super) fn faults(&self, profile: &str, event: &Value) -> Vec<String> {
        let mut url = format!("https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.{profile}");
        let mut elements: Vec<&Value> = Vec::new();
        while let Some(structure) = self.structures.get(&url) {
            elements.extend(structure["differential"]["element"].as_array().unwrap());
            structure["baseDefinition"].as_str().unwrap().clone_into(&mut url);
        }
        assert!(!elements.is_empty(), "no profile {profile}");
        assert_eq!(url, "http://hl7.org/fhir/StructureDefinition/AuditEvent");
        let mut faults = Vec::new();
        for element in &elements {
            self.check(element, &elements, event, &mut faults);
        }
        faults
    }

    fn check(&self, element: &Value, all: &[&Value], event: &Value, faults: &mut Vec<String>) {
        let id = element["id"].as_str().unwrap();
        let Some((parent, name)) = id.rsplit_once('.') else { return };
        for parent in self.nodes(parent, all, event) {
            let found = self.children(id, name, all, parent);
            let least = element["min"].as_u64().unwrap_or(0);
            if (found.len() as u64) < least {
                faults.push(format!("{id}: {} of at least {least}", found.len()));
            }
            let most = element["max"].as_str().and_then(|most| most.parse::<usize>().ok());
            if most.is_some_and(|most| found.len() > most) {
                faults.push(format!("{id}: {} of at most {most:?}", found.len()));
            }
            for node in found {
                if !pattern(element).is_none_or(|pattern| fits(pattern, node)) {
                    faults.push(format!("{id}: another value"));
                }
                if !self.bound(element, node) {
                    faults.push(format!("{id}: not in the value set"));
                }
            }
        }
        // Closed slicing: every repetition belongs to a slice.
        if element["slicing"]["rules"] == "closed" {
            let slices: Vec<&str> = all
                .iter()
                .filter_map(|e| e["id"].as_str()?.strip_prefix(id)?.strip_prefix(':'))
                .filter(|s| !s.contains('.'))
                .collect();
            let sliced: usize = slices.iter().map(|slice| self.nodes(&format!("{id}:{slice}"), all, event).len()).sum();
            if sliced != self.nodes(id, all, event).len() {
                faults.push(format!("{id}: a repetition outside the slices"));
            }
        }
    }

    /// The nodes of an element id such as `AuditEvent.agent:client.type`.
    fn nodes<'a>(&self, id: &str, all: &[&Value], event: &'a Value) -> Vec<&'a Value> {
        match id.rsplit_once('.') {
            None => vec![event],
            Some((parent, name)) => {
                let parents = self.nodes(parent, all, event);
                parents.into_iter().flat_map(|parent| self.children(id, name, all, parent)).collect()
            }
        }
    }

    fn children<'a>(&self, id: &str, name: &str, all: &[&Value], parent: &'a Value) -> Vec<&'a Value> {
        let (element, slice) = name.split_once(':').map_or((name, None), |(element, slice)| (element, Some(slice)));
        let nodes: Vec<&Value> = match parent.get(element) {
            None => Vec::new(),
            Some(Value::Array(items)) => items.iter().collect(),
            Some(value) => vec![value],
        };
        match slice {
            None => nodes,
            Some(_) => nodes.into_iter().filter(|node| self.in_slice(id, all, node)).collect(),
        }
    }

    /// A slice is told by the pattern of its `type`, or by its own pattern or value set (`$this`).
    fn in_slice(&self, id: &str, all: &[&Value], node: &Value) -> bool {
        let named = |id: &str| all.iter().copied().filter(|e| e["id"] == id).collect::<Vec<_>>();
        let by_type = named(&format!("{id}.type"));
        if !by_type.is_empty() {
            return by_type.into_iter().all(|element| {
                let found = node.get("type").unwrap_or(&Value::Null);
                pattern(element).is_none_or(|pattern| fits(pattern, found)) && self.bound(element, found)
            });
        }
        named(id).into_iter().all(|e| pattern(e).is_none_or(|p| fits(p, node)) && self.bound(e, node))
    }

    fn bound(&self, element: &Value, node: &Value) -> bool {
        if element["binding"]["strength"] != "required" {
            return true;
        }
        let Some(set) = element["binding"]["valueSet"].as_str().and_then(|url| self.value_sets.get(url)) else {
            return true;
        };
        let holds = |coding: &Value| {
            set.iter().any(|(system, code)| coding["system"] == *system && (code == ANY || coding["code"] == *code))
        };
        match node["coding"].as_array() {
            Some(codings) => codings.iter().any(holds),
            None => holds(node),
        }
    }
}

fn codes(value_set: &Value) -> Vec<(String, String)> {
    let mut codes = Vec::new();
    for include in value_set["compose"]["include"].as_array().into_iter().flatten() {
        let system = || include["system"].as_str().unwrap().to_owned();
        match include["concept"].as_array() {
            None => codes.push((system(), ANY.to_owned())),
            Some(concepts) => {
                codes.extend(concepts.iter().map(|concept| (system(), concept["code"].as_str().unwrap().to_owned())));
            }
        }
    }
    codes
}

fn pattern(element: &Value) -> Option<&Value> {
    let members = element.as_object()?;
    members.iter().find(|(name, _)| name.starts_with("pattern") || name.starts_with("fixed")).map(|(_, value)| value)
}

/// What a pattern states is there; more may be (FHIR R4, ElementDefinition.pattern).
fn fits(pattern: &Value, node: &Value) -> bool {
    match (pattern, node) {
        (Value::Object(pattern), Value::Object(node)) => {
            pattern.iter().all(|(name, value)| node.get(name).is_some_and(|found| fits(value, found)))
        }
        (Value::Array(pattern), Value::Array(node)) => {
            pattern.iter().all(|value| node.iter().any(|found| fits(value, found)))
        }
        (pattern, node) => pattern == node,
    }
}
