//! Adding labels: what the labelling service says of a resource's codes, written into its `meta.security`.

use super::{CONFIDENTIALITY_SYSTEM, Confidentiality, Labels};
use crate::coding::Coding;
use crate::facts::ResourceFacts;
use crate::json::{Edits, Value, quoted};
use crate::policy::{Policy, Unlabelled};

/// A resource that cannot be labelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotLabel {
    /// It is no readable FHIR resource.
    #[error("not a readable FHIR resource")]
    Unreadable,
}

/// Plans the labels that the sets of the policy add to `resource`, of a Bundle to each of its entries: the sensitivities,
/// and `R` where a sensitivity makes it restricted and no code says so. Nothing that is there goes.
///
/// # Errors
/// [`CannotLabel`] where the resource, or one in the Bundle, is not readable; nothing is to be applied then.
pub fn add_labels(resource: Value<'_>, policy: &Policy, edits: &mut Edits) -> Result<(), CannotLabel> {
    if resource.str_at("resourceType").as_deref() == Some("Bundle") {
        let entries = resource.get("entry").into_iter().flat_map(|list| list.each());
        return entries.filter_map(|entry| entry.get("resource")).try_for_each(|one| add_labels(one, policy, edits));
    }
    let facts = ResourceFacts::of(resource, policy.bases()).map_err(|_| CannotLabel::Unreadable)?;
    if policy.settings().unlabelled != Unlabelled::Label {
        return Ok(());
    }
    let added = added(&facts, policy);
    if added.is_empty() {
        return Ok(());
    }
    let items: Vec<String> = added.iter().map(written).collect();
    let meta = resource.get("meta");
    match (meta, meta.and_then(|meta| meta.get("security"))) {
        // An empty array is no FHIR; it is replaced.
        (Some(_), Some(security)) if security.is_array() && security.items().next().is_some() => {
            edits.push_item(security, items.join(",").as_bytes());
        }
        (Some(_), Some(security)) => edits.replace(security.span(), format!("[{}]", items.join(","))),
        (Some(meta), None) => edits.insert_member(meta, "security", format!("[{}]", items.join(",")).as_bytes()),
        (None, _) => {
            let meta = format!("{{\"security\":[{}]}}", items.join(","));
            edits.insert_member(resource, "meta", meta.as_bytes());
        }
    }
    Ok(())
}

/// The labels that are not there yet.
fn added(facts: &ResourceFacts, policy: &Policy) -> Vec<Coding> {
    let sets = policy.label_sets();
    let local = &policy.settings().label_systems;
    let labels = Labels::read(&facts.security, local, Some((sets, &facts.codes)));
    let said = facts.codes.iter().any(|code| sets.sensitivities_of(code).next().is_some());
    if !said {
        return Vec::new();
    }
    let stated = Labels::read(&facts.security, local, None).confidentiality;
    let restricted = Some(Coding::new(CONFIDENTIALITY_SYSTEM, Confidentiality::R.as_str()))
        .filter(|_| stated.is_none_or(|stated| stated < Confidentiality::R));
    let sensitivities = labels.sensitivities.into_iter().filter(|label| !facts.security.contains(label));
    restricted.into_iter().chain(sensitivities).collect()
}

fn written(label: &Coding) -> String {
    let system = label.system.as_deref().unwrap_or_default();
    format!("{{\"system\":{},\"code\":{}}}", quoted(system), quoted(&label.code))
}
