//! Pairs of worlds: what the caller may see is equal in both, what is hidden is not.
//!
//! Whether a resource is visible is known by how it was made ([`pair`](super::making::pair)): a veil hides part of a patient's record, a
//! closed record is hidden whole, and everything else is permitted to the pair's caller and to nobody of another pair.

use std::collections::BTreeMap;

use serde_json::Value;

use super::callers::Kind;

/// What the worlds hold beyond what the gateway is known to keep apart; see [`Gaps::NAMES`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Visible resources refer to what is absent in one world and hidden in the other.
    pub dangling: bool,
    /// Displays and identifiers in references to hidden resources differ.
    pub displays: bool,
    /// Visible Provenances are updated and deleted.
    pub provenance_writes: bool,
}

impl Gaps {
    /// What can be switched on, by name.
    pub const NAMES: [&'static str; 3] = ["dangling", "displays", "provenance-writes"];

    /// The one of this name switched on too.
    #[must_use]
    pub fn with(mut self, name: &str) -> Option<Self> {
        match name {
            "dangling" => self.dangling = true,
            "displays" => self.displays = true,
            "provenance-writes" => self.provenance_writes = true,
            _ => return None,
        }
        Some(self)
    }
}

/// One world of a pair: what is loaded into one FHIR server.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Loaded first, as one transaction.
    pub first: Vec<Value>,
    /// Loaded second: new versions of some, and some more.
    pub second: Vec<Value>,
    /// Deleted with the second.
    pub deleted: Vec<String>,
    /// Addresses of what is hidden from the caller, Consents not among them.
    pub hidden: Vec<String>,
}

/// Two worlds that the caller cannot tell apart.
#[derive(Debug, Clone)]
pub struct Pair {
    /// What every id of it begins with.
    pub name: String,
    /// The claims of the caller's token.
    pub claims: Value,
    /// The worlds.
    pub worlds: [World; 2],
    /// What requests are made from.
    pub scene: Scene,
}

/// What the generator of requests knows of a pair.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The pair's name.
    pub pair: String,
    /// Who asks.
    pub kind: Kind,
    /// What is visible, as it is stored now, in the order in which it was loaded.
    pub visible: Vec<Value>,
    /// How many versions there are of a visible address; 1 where it is not here.
    pub versions: BTreeMap<String, usize>,
    /// Addresses of what is hidden in at least one world.
    pub hidden: Vec<String>,
    /// Addresses of what was visible once and is deleted in both worlds.
    pub deleted: Vec<String>,
    /// Ids of patients whose record is visible, at least in part.
    pub patients: Vec<String>,
    /// Ids of patients who are hidden, or absent.
    pub closed: Vec<String>,
    /// Addresses of visible resources of which elements are redacted.
    pub cut: Vec<String>,
    /// What is switched on.
    pub gaps: Gaps,
}

/// Puts the members of `more` into a resource.
pub fn merge(resource: &mut Value, more: Value) {
    if let (Some(members), Value::Object(more)) = (resource.as_object_mut(), more) {
        members.extend(more);
    }
}
