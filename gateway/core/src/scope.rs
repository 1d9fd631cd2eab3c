//! SMART App Launch 2.2 scopes (v1 and v2), resource level.
//!
//! Grammar: `ctx "/" rtype "." perms [ "?" param *( "&" param ) ]`, perms `c r u d s` in that order, or v1's `read`,
//! `write`, `*`. A granular scope (`?…`) grants for the resources that match its filter; one whose filter cannot be
//! matched is void: it never loses it. Letters out of order, unknown types and unknown contexts are void too. Scopes add
//! up, letter by letter: a plain scope beside a granular one widens it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::resource_type::ResourceType;
use crate::search_match::Filter;

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
    granular: Vec<Granular>,
    void: Vec<VoidScope>,
}

/// A resource scope with a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Granular {
    rtype: Option<ResourceType>,
    letters: Vec<Letter>,
    grant: ScopeGrant,
    filter: Arc<Filter>,
}

impl Granular {
    fn is_about(&self, rtype: &ResourceType) -> bool {
        self.rtype.is_none_or(|own| own == *rtype)
    }
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
    /// Its filter has a parameter, modifier or value that cannot be matched, or none at all.
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
                Some(Ok(resource)) => scopes.add(resource),
                Some(Err(why)) => {
                    let scope = scope.split('?').next().unwrap_or_default().to_owned();
                    scopes.void.push(VoidScope { scope, why });
                }
            }
        }
        scopes
    }

    /// What these scopes allow for `letter` on every resource of `rtype`, whatever it holds.
    pub fn allows(&self, letter: Letter, rtype: &ResourceType) -> ScopeGrant {
        let of = |key: Option<ResourceType>| {
            let granted = self.grants.get(&key).and_then(|letters| letters.get(letter as usize));
            granted.copied().unwrap_or_default()
        };
        of(Some(*rtype)).max(of(None))
    }

    /// The most that these scopes allow for `letter` on any resource of `rtype`: granular scopes count as if their filter
    /// matched.
    pub fn reaches(&self, letter: Letter, rtype: &ResourceType) -> ScopeGrant {
        let granular = self.granular(letter, rtype).map(|(grant, _)| grant);
        granular.fold(self.allows(letter, rtype), ScopeGrant::max)
    }

    /// The granular scopes with `letter` on `rtype`: what each grants for the resources that match its filter.
    pub fn granular(&self, letter: Letter, rtype: &ResourceType) -> impl Iterator<Item = (ScopeGrant, &Arc<Filter>)> {
        let about = self.granular.iter().filter(move |scope| scope.letters.contains(&letter) && scope.is_about(rtype));
        about.map(|scope| (scope.grant, &scope.filter))
    }

    /// The filters of all granular scopes on `rtype`.
    pub fn filters(&self, rtype: &ResourceType) -> impl Iterator<Item = &Arc<Filter>> {
        self.granular.iter().filter(move |scope| scope.is_about(rtype)).map(|scope| &scope.filter)
    }

    /// The resource scopes that grant nothing, with the reason.
    pub fn void(&self) -> &[VoidScope] {
        &self.void
    }

    fn add(&mut self, resource: Resource) {
        let Resource { grant, rtype, letters, filter } = resource;
        if let Some(filter) = filter {
            self.granular.push(Granular { rtype, letters, grant, filter: Arc::new(filter) });
            return;
        }
        let granted = self.grants.entry(rtype).or_default();
        for letter in letters {
            if let Some(before) = granted.get_mut(letter as usize) {
                *before = grant.max(*before);
            }
        }
    }
}

/// One resource scope.
struct Resource {
    grant: ScopeGrant,
    rtype: Option<ResourceType>,
    letters: Vec<Letter>,
    filter: Option<Filter>,
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
        let (rest, filter) = match rest.split_once('?') {
            Some((rest, filter)) => (rest, Some(filter)),
            None => (rest, None),
        };
        let (rtype, perms) = rest.split_once('.').ok_or(Void::Form)?;
        let rtype = match rtype {
            "*" => None,
            name => Some(ResourceType::parse(name).map_err(|_| Void::Type)?),
        };
        let letters = letters(perms).ok_or(Void::Letters)?;
        let filter = filter.map(|query| Filter::parse(rtype, query)).transpose().map_err(|_| Void::Granular)?;
        Ok(Self { grant, rtype, letters, filter })
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
