//! SMART App Launch 2.2 scopes (v1 and v2), resource level.
//!
//! Grammar: `ctx "/" rtype "." perms [ "?" param *( "&" param ) ]`, perms `c r u d s` in that order, or v1's `read`,
//! `write`, `*`. A granular scope (`?…`) is void until the gateway can match its filter on every resource: it never
//! loses it. Letters out of order, unknown types and unknown contexts are void too. Scopes add up.

use std::collections::BTreeMap;

use crate::resource_type::ResourceType;

#[cfg(test)]
mod tests;

/// What one letter of a v2 scope allows (SMART App Launch 2.2, "Scopes for requesting FHIR Resources").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Letter {
    /// `c`: type-level create.
    Create,
    /// `r`: read, vread, instance history.
    Read,
    /// `u`: update and patch.
    Update,
    /// `d`: delete.
    Delete,
    /// `s`: type search, type history, system search, system history.
    Search,
}

/// What the scopes of a token allow for one letter on one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScopeGrant {
    /// Nothing.
    #[default]
    None,
    /// Only what belongs to the launch patient (`patient/` scopes; without a launch patient the caller is refused).
    PatientOnly,
    /// Everything that other rules permit (`user/` and `system/` scopes).
    All,
}

/// The scopes of a token, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    /// By type (`None` is `*`), for each letter the most that any scope grants.
    grants: BTreeMap<Option<ResourceType>, [ScopeGrant; 5]>,
    void: Vec<VoidScope>,
}

/// A resource scope that grants nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoidScope {
    /// The scope up to its `?`: never the value of a filter.
    pub scope: String,
    /// Why it is void.
    pub why: Void,
}

/// Why a resource scope is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Void {
    /// It has a filter, which is not supported yet.
    Granular,
    /// Its letters are empty, unknown, repeated or out of order.
    Letters,
    /// Its type is no R4 resource type and not `*`.
    Type,
    /// It is no `ctx/type.perms`.
    Form,
}

impl Scopes {
    /// Reads the space-separated `scope` claim; never fails: what is not understood grants nothing. Scopes that are not
    /// about resources (`openid`, `launch/patient`, `offline_access`, …) are ignored.
    pub fn parse(claim: &str) -> Self {
        let mut scopes = Self::default();
        for scope in claim.split(' ') {
            match Resource::parse(scope) {
                None => {}
                Some(Ok(resource)) => scopes.add(&resource),
                Some(Err(why)) => {
                    let scope = scope.split('?').next().unwrap_or_default().to_owned();
                    scopes.void.push(VoidScope { scope, why });
                }
            }
        }
        scopes
    }

    /// What these scopes allow for `letter` on `rtype`.
    pub fn allows(&self, letter: Letter, rtype: &ResourceType) -> ScopeGrant {
        let of = |key: Option<ResourceType>| {
            let granted = self.grants.get(&key).and_then(|letters| letters.get(letter as usize));
            granted.copied().unwrap_or_default()
        };
        of(Some(*rtype)).max(of(None))
    }

    /// The resource scopes that grant nothing, with the reason.
    pub fn void(&self) -> &[VoidScope] {
        &self.void
    }

    fn add(&mut self, resource: &Resource) {
        let letters = self.grants.entry(resource.rtype).or_default();
        for letter in &resource.letters {
            if let Some(grant) = letters.get_mut(*letter as usize) {
                *grant = (*grant).max(resource.grant);
            }
        }
    }
}

/// One resource scope.
struct Resource {
    grant: ScopeGrant,
    rtype: Option<ResourceType>,
    letters: Vec<Letter>,
}

impl Resource {
    /// `None` for what is no resource scope.
    fn parse(scope: &str) -> Option<Result<Self, Void>> {
        let (context, rest) = scope.split_once('/')?;
        let grant = match context {
            "patient" => ScopeGrant::PatientOnly,
            "user" | "system" => ScopeGrant::All,
            _ => return None,
        };
        Some(Self::body(grant, rest))
    }

    fn body(grant: ScopeGrant, rest: &str) -> Result<Self, Void> {
        if rest.contains('?') {
            return Err(Void::Granular);
        }
        let (rtype, perms) = rest.split_once('.').ok_or(Void::Form)?;
        let rtype = match rtype {
            "*" => None,
            name => Some(ResourceType::parse(name).map_err(|_| Void::Type)?),
        };
        let letters = letters(perms).ok_or(Void::Letters)?;
        Ok(Self { grant, rtype, letters })
    }
}

/// `cruds` in order, each at most once; v1's three words.
fn letters(perms: &str) -> Option<Vec<Letter>> {
    use Letter::{Create, Delete, Read, Search, Update};
    match perms {
        "read" => return Some(vec![Read, Search]),
        "write" => return Some(vec![Create, Update, Delete]),
        "*" => return Some(vec![Create, Read, Update, Delete, Search]),
        _ => {}
    }
    let letters: Option<Vec<Letter>> = perms
        .chars()
        .map(|letter| match letter {
            'c' => Some(Create),
            'r' => Some(Read),
            'u' => Some(Update),
            'd' => Some(Delete),
            's' => Some(Search),
            _ => None,
        })
        .collect();
    letters.filter(|letters| !letters.is_empty() && letters.is_sorted_by(|a, b| a < b))
}
