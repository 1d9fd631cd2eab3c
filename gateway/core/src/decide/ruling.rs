//! Ruling: a decision on a resource whose owners, or whose visible parts, hang on other resources.
//!
//! A Provenance is visible when a target is, its other targets removed; members of a Group are shown one by one; a
//! Binary is whose the documents are that point to it (CONSENT.md, "Whose data is it").

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Decision};
use crate::consent::Effect;
use crate::facts::ResourceFacts;
use crate::json::{Edits, Removal, Value};
use crate::owner::{NoOwner, Owners, PatientId};
use crate::reasons::Reason;
use crate::reference::{Bases, Target};
use crate::resource_type::ResourceType;

/// Holders of owners may have holders of their own, this many times.
const MOST_HOLDERS: usize = 4;

/// The facts of other resources that ownership hangs on.
#[derive(Clone, Debug, Default)]
pub struct Others {
    /// By name, `Type/id`.
    pub by_name: BTreeMap<String, ResourceFacts>,
    /// By id of a Binary: the DocumentReferences that point to it.
    pub referrers: BTreeMap<String, Vec<ResourceFacts>>,
}

/// What has to be looked up before a resource can be ruled on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking<'f> {
    /// Nothing.
    Nothing,
    /// The resources of these names.
    Named(&'f [String]),
    /// The DocumentReferences that point to the Binary of this id.
    Referrers(&'f str),
}

/// Which other resources a resource's owners hang on.
pub fn lacking(facts: &ResourceFacts) -> Lacking<'_> {
    match (&facts.owners, &facts.id) {
        (Owners::ByReference(names), _) => Lacking::Named(names),
        (Owners::Unknown(NoOwner::Absent), Some(id)) if facts.resource_type == ResourceType::BINARY => {
            Lacking::Referrers(id)
        }
        (Owners::Patients(_) | Owners::Universal | Owners::Unknown(_), _) => Lacking::Nothing,
    }
}

/// A resource with owners in the place of references to their holders.
#[derive(Clone, Debug)]
pub struct Resolved {
    facts: ResourceFacts,
    /// The names of the parts that are decided one by one.
    parts: Option<Vec<String>>,
}

impl Resolved {
    /// Puts owners in the place of references, as far as the others tell them.
    pub fn of(facts: &ResourceFacts, others: &Others) -> Self {
        let mut facts = facts.clone();
        let parts = match &facts.owners {
            Owners::ByReference(names) if shows_parts(facts.resource_type) => Some(names.clone()),
            Owners::Patients(patients) if facts.resource_type == ResourceType::GROUP => {
                Some(patients.iter().map(PatientId::reference).collect())
            }
            Owners::Patients(_) | Owners::Universal | Owners::ByReference(_) | Owners::Unknown(_) => None,
        };
        if parts.is_none() {
            facts.owners = owners_of(&facts, others, MOST_HOLDERS);
        }
        Self { facts, parts }
    }

    /// The patients whose Consents may be asked.
    pub fn patients(&self) -> impl Iterator<Item = PatientId> {
        let parts = self.parts.iter().flatten().filter(|name| name.starts_with("Patient/"));
        let parts = parts.filter_map(|name| PatientId::parse(name).ok());
        parts.chain(patients(&self.facts.owners).iter().cloned())
    }
}

/// A part that Consent hides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HiddenPart {
    /// `Type/id` of what it refers to.
    pub name: String,
    /// The patients whose Consents hide it.
    pub owners: Vec<PatientId>,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// A decision, with the parts that go.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// The decision.
    pub decision: Decision,
    /// Whose the resource is.
    pub owners: Vec<PatientId>,
    /// The parts to be removed: those that Consent hides, and those that are not there.
    gone: Option<BTreeSet<String>>,
    /// Of these, the ones that Consent hides.
    pub hidden: Vec<HiddenPart>,
}

impl Ruling {
    /// Whether the resource may leave.
    pub fn permits(&self) -> bool {
        self.decision.effect() == Effect::Permit
    }

    /// Why the patients answered as they did.
    pub fn reasons(&self) -> Vec<Reason> {
        told(&self.decision)
    }

    /// The owners whose own Consents refused.
    pub fn refusing_owners(&self) -> Vec<PatientId> {
        refusing(&self.decision)
    }

    /// The places of the parts to be removed from the resource that was ruled on, as indices into its parts.
    pub fn hidden_places(&self, resource: Value<'_>, bases: &Bases) -> Vec<usize> {
        let Some((_, list)) = parts_of(resource) else { return Vec::new() };
        let places = list.each().enumerate().filter(|(_, part)| self.is_gone(*part, bases));
        places.map(|(place, _)| place).collect()
    }

    /// Plans the removal of the hidden parts.
    pub fn drop_hidden(&self, resource: Value<'_>, bases: &Bases, edits: &mut Edits) -> Removal {
        match parts_of(resource) {
            Some((_, list)) if self.gone.is_some() => edits.remove_children(list, |part| self.is_gone(*part, bases)),
            Some(_) | None => Removal::Untouched,
        }
    }

    fn is_gone(&self, part: Value<'_>, bases: &Bases) -> bool {
        let Some(gone) = &self.gone else { return false };
        let reference = part.get("entity").unwrap_or(part);
        // A logical reference that is read at all names a universal type.
        let Some(literal) = reference.get("reference") else { return false };
        let name = literal.as_str().and_then(|literal| Target::parse(&literal, bases).normalised());
        name.is_none_or(|name| gone.contains(&name))
    }
}

/// The name and the list of the parts that are decided one by one.
pub fn parts_of<'v>(resource: Value<'v>) -> Option<(&'static str, Value<'v>)> {
    let name = match resource.str_at("resourceType")?.as_ref() {
        "Provenance" => "target",
        "Group" => "member",
        _ => return None,
    };
    Some((name, resource.get(name)?))
}

fn shows_parts(rtype: ResourceType) -> bool {
    matches!(rtype, ResourceType::PROVENANCE | ResourceType::GROUP)
}

/// Rules on one resource; `decide` is asked of it, and of its parts.
///
/// Only what looks is shown part by part: whoever changes a Group changes it for all of its members.
pub fn rule(
    mut resource: Resolved,
    action: Action,
    others: &Others,
    decide: impl Fn(Action, &ResourceFacts) -> Decision,
) -> Ruling {
    let (mut gone, mut hidden) = (None, Vec::new());
    if let Some(parts) = resource.parts.take() {
        let group = resource.facts.resource_type == ResourceType::GROUP;
        let mut names: BTreeSet<String> = parts.iter().cloned().collect();
        let mut owners = Vec::new();
        for name in &parts {
            let Some(part) = part(&resource.facts, name, others) else {
                if group && !action.is_read() {
                    owners.push(Owners::Unknown(NoOwner::Absent));
                }
                continue;
            };
            let decision = decide(action, &part);
            if decision.effect() == Effect::Permit || (group && !action.is_read()) {
                names.remove(name);
                owners.push(part.owners);
            } else {
                hidden.push(HiddenPart { name: name.clone(), owners: refusing(&decision), reasons: told(&decision) });
            }
        }
        resource.facts.owners = union(owners.iter().map(Some));
        gone = Some(names);
    }
    let decision = decide(action, &resource.facts);
    let owners = patients(&resource.facts.owners).to_vec();
    Ruling { decision, owners, gone, hidden }
}

/// What is decided on in the place of a part: the target of a Provenance itself; of a Group, the Group as its member's
/// own. `None` where it is not there.
fn part(whole: &ResourceFacts, name: &str, others: &Others) -> Option<ResourceFacts> {
    if whole.resource_type != ResourceType::GROUP {
        let mut target = others.by_name.get(name)?.clone();
        target.owners = owners_of(&target, others, MOST_HOLDERS);
        return Some(target);
    }
    let owners = match PatientId::parse(name) {
        Ok(patient) if name.starts_with("Patient/") => Owners::Patients(vec![patient]),
        _ => owners_of(others.by_name.get(name)?, others, MOST_HOLDERS),
    };
    Some(ResourceFacts { owners, ..whole.clone() })
}

/// Whose a resource is, through the holders that are known; all owners of all of them.
fn owners_of(facts: &ResourceFacts, others: &Others, left: usize) -> Owners {
    let unknown = || Owners::Unknown(NoOwner::Absent);
    let Some(left) = left.checked_sub(1) else { return unknown() };
    match lacking(facts) {
        Lacking::Nothing => facts.owners.clone(),
        Lacking::Named(names) => {
            let of = |name: &String| others.by_name.get(name).map(|holder| owners_of(holder, others, left));
            let holders: Vec<Option<Owners>> =
                names.iter().map(|name| of(name).or_else(|| patient_named(name))).collect();
            union(holders.iter().map(Option::as_ref))
        }
        // ALL patients of ALL DocumentReferences that point to it; none points: unknown (CONSENT.md, "Binary").
        Lacking::Referrers(id) => {
            let referrers = others.referrers.get(id).map(Vec::as_slice).unwrap_or_default();
            let holders: Vec<Owners> = referrers.iter().map(|holder| owners_of(holder, others, left)).collect();
            union(holders.iter().map(Some))
        }
    }
}

/// A patient is his own, whether or not the resource that tells of him was looked up.
fn patient_named(name: &str) -> Option<Owners> {
    let named = name.starts_with("Patient/").then(|| PatientId::parse(name).ok()).flatten()?;
    Some(Owners::Patients(vec![named]))
}

fn told(decision: &Decision) -> Vec<Reason> {
    decision.patients().iter().flat_map(|row| row.reasons.clone()).collect()
}

fn refusing(decision: &Decision) -> Vec<PatientId> {
    let rows = decision.patients().iter().filter(|row| row.effect == Effect::Deny);
    rows.map(|row| row.patient.clone()).collect()
}

fn patients(owners: &Owners) -> &[PatientId] {
    match owners {
        Owners::Patients(patients) => patients,
        Owners::Universal | Owners::ByReference(_) | Owners::Unknown(_) => &[],
    }
}

/// Everybody who owns any of them; unknown where one is missing or unknown itself, universal where all are.
fn union<'o>(holders: impl Iterator<Item = Option<&'o Owners>>) -> Owners {
    let mut all = BTreeSet::new();
    let mut none = true;
    for holder in holders {
        none = false;
        match holder {
            Some(Owners::Patients(patients)) => all.extend(patients.iter().cloned()),
            Some(Owners::Universal) => {}
            Some(Owners::Unknown(why)) => return Owners::Unknown(*why),
            Some(Owners::ByReference(_)) | None => return Owners::Unknown(NoOwner::Absent),
        }
    }
    match (none, all.is_empty()) {
        (true, _) => Owners::Unknown(NoOwner::Absent),
        (false, true) => Owners::Universal,
        (false, false) => Owners::Patients(all.into_iter().collect()),
    }
}
