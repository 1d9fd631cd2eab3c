//! What a caller belongs to: Practitioner → PractitionerRole → Organization (`partOf`) → CareTeam → Group.
//!
//! Asked for here, read by [`Memberships::take`].
//!
//! Only what is found here can make a caller be an actor whom the token does not name (CONSENT.md, "Exact answers",
//! actors). Inactive and expired memberships are handed on as such; the core decides that they do not count.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::caller::{ActorRef, Caller};
use gateway_core::consent::actors::Memberships;
use gateway_core::reference::{Bases, Target};

use super::kept::Kept;
use super::resources::{each_resource, percent_encode};
use crate::forward::Upstream;
use crate::problem::Problem;

/// How far `partOf`, and teams in teams, are followed.
const LEVELS: usize = 8;
/// Callers whose memberships are kept.
const CALLERS: u64 = 10_000;
/// Fetches memberships with the gateway's own credential and keeps them for a while.
pub struct MembershipSource {
    upstream: Upstream,
    bases: Bases,
    kept: Kept<Vec<String>, Arc<Memberships>>,
}

impl MembershipSource {
    /// A source that keeps what it found for at most `max_staleness`.
    pub fn new(upstream: Upstream, bases: Bases, max_staleness: Duration) -> Self {
        Self { upstream, bases, kept: Kept::new(CALLERS, max_staleness) }
    }

    /// What this caller belongs to.
    pub async fn of(&self, caller: &Caller) -> Result<Arc<Memberships>, Problem> {
        let mut key: Vec<String> = caller.identities().map(ToString::to_string).collect();
        key.sort();
        key.dedup();
        if let Some(known) = self.kept.of(&key) {
            return Ok(known);
        }
        let asked_at = self.kept.asked_at();
        let found = Arc::new(self.fetch(caller).await?);
        self.kept.keep(asked_at, [(key, Arc::clone(&found))]);
        Ok(found)
    }

    /// Forgets everything: a resource that memberships are made from was written.
    pub fn forget_all(&self) {
        self.kept.forget_all();
    }

    async fn fetch(&self, caller: &Caller) -> Result<Memberships, Problem> {
        let mut found = Memberships { resolved: true, ..Memberships::default() };
        let mut names: BTreeSet<String> = BTreeSet::new();
        for identity in caller.identities() {
            match identity {
                ActorRef::Reference(reference) => names.extend(self.local(reference)),
                ActorRef::Identifier { system: Some(system), value } => {
                    names.extend(self.named_by(system, value, &mut found).await?);
                }
                ActorRef::Identifier { system: None, .. } => {}
            }
        }
        self.roles(&mut names, &mut found).await?;
        self.organizations(&mut names, &mut found).await?;
        self.teams(&mut names, &mut found).await?;
        Ok(found)
    }

    /// The Practitioner, Organization or RelatedPerson that bears an identifier.
    async fn named_by(&self, system: &str, value: &str, found: &mut Memberships) -> Result<Vec<String>, Problem> {
        let token = percent_encode(&format!("{system}|{value}"));
        let mut names = Vec::new();
        for rtype in ["Organization", "Practitioner", "RelatedPerson"] {
            each_resource(&self.upstream, &format!("{rtype}?identifier={token}&_count=50"), |resource| {
                found.take(resource, &self.bases, &|_| true);
                names.extend(resource.str_at("id").map(|id| format!("{rtype}/{id}")));
                Ok(())
            })
            .await?;
        }
        Ok(names)
    }

    /// PractitionerRoles of the Practitioners, and the Organizations that these are for.
    async fn roles(&self, names: &mut BTreeSet<String>, found: &mut Memberships) -> Result<(), Problem> {
        let mut queries = Vec::new();
        let asked = [
            ("Practitioner", "PractitionerRole", "practitioner"),
            ("PractitionerRole", "PractitionerRole", "_id"),
            ("Practitioner", "Practitioner", "_id"),
            ("RelatedPerson", "RelatedPerson", "_id"),
        ];
        for (of, rtype, param) in asked {
            let ids: Vec<&str> = of_type(names, of).collect();
            if !ids.is_empty() {
                queries.push(format!("{rtype}?{param}={}&_count=200", ids.join(",")));
            }
        }
        for query in queries {
            each_resource(&self.upstream, &query, |resource| {
                names.extend(found.take(resource, &self.bases, &|_| true));
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// `partOf`, upwards.
    async fn organizations(&self, names: &mut BTreeSet<String>, found: &mut Memberships) -> Result<(), Problem> {
        let mut open: BTreeSet<String> = of_type(names, "Organization").map(ToOwned::to_owned).collect();
        for _ in 0..LEVELS {
            if open.is_empty() {
                return Ok(());
            }
            let ids: Vec<String> = std::mem::take(&mut open).into_iter().collect();
            let target = format!("Organization?_id={}&_count=200", ids.join(","));
            each_resource(&self.upstream, &target, |organization| {
                for whole in found.take(organization, &self.bases, &|_| true) {
                    if names.insert(whole.clone()) {
                        open.extend(whole.strip_prefix("Organization/").map(ToOwned::to_owned));
                    }
                }
                Ok(())
            })
            .await?;
        }
        // Deeper than the limit: what lies above was not looked up.
        found.resolved &= open.is_empty();
        Ok(())
    }

    /// CareTeams and Groups that any of the names takes part in, and those that these take part in.
    async fn teams(&self, names: &mut BTreeSet<String>, found: &mut Memberships) -> Result<(), Problem> {
        let mut open = names.clone();
        for _ in 0..LEVELS {
            if open.is_empty() {
                return Ok(());
            }
            let all: Vec<String> = std::mem::take(&mut open).iter().map(|name| percent_encode(name)).collect();
            let all = all.join(",");
            let mut more = Vec::new();
            for (rtype, param) in [("CareTeam", "participant"), ("Group", "member")] {
                each_resource(&self.upstream, &format!("{rtype}?{param}={all}&_count=200"), |team| {
                    more.extend(found.take(team, &self.bases, &|member| names.contains(member)));
                    Ok(())
                })
                .await?;
            }
            open.extend(more.into_iter().filter(|name| names.insert(name.clone())));
        }
        found.resolved &= open.is_empty();
        Ok(())
    }

    fn local(&self, reference: &str) -> Option<String> {
        match Target::parse(reference, &self.bases) {
            Target::Local { rtype, id, .. } => Some(format!("{rtype}/{id}")),
            Target::Fragment(_) | Target::Foreign(_) | Target::Malformed => None,
        }
    }
}

fn of_type<'n>(names: &'n BTreeSet<String>, rtype: &'static str) -> impl Iterator<Item = &'n str> {
    names.iter().filter_map(move |name| name.strip_prefix(rtype)?.strip_prefix('/'))
}
