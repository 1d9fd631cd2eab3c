//! What a caller belongs to: Practitioner → PractitionerRole → Organization (`partOf`) → CareTeam → Group.
//!
//! Only what is found here can make a caller be an actor whom the token does not name (CONSENT.md, "Exact answers",
//! actors). Inactive and expired memberships are handed on as such; the core decides that they do not count.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::caller::{ActorRef, Caller};
use gateway_core::consent::actors::{Identity, Membership, Memberships};
use gateway_core::json::Value;
use gateway_core::reference::{Bases, Target};

use super::kept::Kept;
use super::resources::{each_resource, percent_encode};
use crate::forward::Upstream;
use crate::problem::Problem;

/// How far `partOf` is followed.
const LEVELS: usize = 8;
/// Callers whose memberships are kept.
const CALLERS: u64 = 10_000;
/// The system of the node between a member and its CareTeam or Group, which carries the member's own period; no
/// resource bears such an identifier.
const PARTICIPATION: &str = "urn:sealgate:participation";

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
        self.teams(&names, &mut found).await?;
        Ok(found)
    }

    /// The Practitioner or Organization that bears an identifier.
    async fn named_by(&self, system: &str, value: &str, found: &mut Memberships) -> Result<Vec<String>, Problem> {
        let token = percent_encode(&format!("{system}|{value}"));
        let mut names = Vec::new();
        for rtype in ["Organization", "Practitioner"] {
            each_resource(&self.upstream, &format!("{rtype}?identifier={token}&_count=50"), |resource| {
                if let Some(id) = resource.str_at("id") {
                    let name = format!("{rtype}/{id}");
                    found.identities.push(identity(&name, resource));
                    names.push(name);
                }
                Ok(())
            })
            .await?;
        }
        Ok(names)
    }

    /// PractitionerRoles of the Practitioners, and the Organizations that these are for.
    async fn roles(&self, names: &mut BTreeSet<String>, found: &mut Memberships) -> Result<(), Problem> {
        let mut queries = Vec::new();
        for (rtype, param) in [("Practitioner", "practitioner"), ("PractitionerRole", "_id")] {
            let ids: Vec<&str> = of_type(names, rtype).collect();
            if !ids.is_empty() {
                queries.push(format!("PractitionerRole?{param}={}&_count=200", ids.join(",")));
            }
        }
        let practitioners: Vec<&str> = of_type(names, "Practitioner").collect();
        if !practitioners.is_empty() {
            let target = format!("Practitioner?_id={}&_count=50", practitioners.join(","));
            each_resource(&self.upstream, &target, |resource| {
                if let Some(id) = resource.str_at("id") {
                    found.identities.push(identity(&format!("Practitioner/{id}"), resource));
                }
                Ok(())
            })
            .await?;
        }
        let mut more = Vec::new();
        for query in queries {
            each_resource(&self.upstream, &query, |role| {
                let Some(id) = role.str_at("id") else { return Ok(()) };
                let name = format!("PractitionerRole/{id}");
                let (start, end) = period(role);
                let active = role.get("active").and_then(|active| active.as_bool());
                let mut edge = |member: &str, of: &str| {
                    found.edges.push(Membership {
                        member: ActorRef::reference(member),
                        of: ActorRef::reference(of),
                        active,
                        start: start.clone(),
                        end: end.clone(),
                    });
                };
                if let Some(practitioner) = self.local_at(role, "practitioner") {
                    edge(&practitioner, &name);
                    edge(&name, &practitioner);
                }
                if let Some(organization) = self.local_at(role, "organization") {
                    edge(&name, &organization);
                    more.push(organization);
                }
                found.identities.push(identity(&name, role));
                more.push(name);
                Ok(())
            })
            .await?;
        }
        names.extend(more);
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
                let Some(id) = organization.str_at("id") else { return Ok(()) };
                let name = format!("Organization/{id}");
                found.identities.push(identity(&name, organization));
                if let Some(whole) = self.local_at(organization, "partOf") {
                    found.edges.push(Membership {
                        member: ActorRef::reference(name),
                        of: ActorRef::reference(whole.clone()),
                        active: organization.get("active").and_then(|active| active.as_bool()),
                        start: None,
                        end: None,
                    });
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

    /// CareTeams and Groups that any of the names takes part in.
    async fn teams(&self, names: &BTreeSet<String>, found: &mut Memberships) -> Result<(), Problem> {
        if names.is_empty() {
            return Ok(());
        }
        let all: Vec<String> = names.iter().map(|name| percent_encode(name)).collect();
        let all = all.join(",");
        for (rtype, param, list, who) in
            [("CareTeam", "participant", "participant", "member"), ("Group", "member", "member", "entity")]
        {
            each_resource(&self.upstream, &format!("{rtype}?{param}={all}&_count=200"), |team| {
                let Some(id) = team.str_at("id") else { return Ok(()) };
                let name = format!("{rtype}/{id}");
                found.identities.push(identity(&name, team));
                let active = match rtype {
                    "CareTeam" => team.str_at("status").map(|status| status == "active"),
                    _ => team.get("active").and_then(|active| active.as_bool()),
                };
                for (index, part) in team.get(list).into_iter().flat_map(|l| l.items().enumerate().collect::<Vec<_>>())
                {
                    let Some(member) = self.local_at(part, who).filter(|member| names.contains(member)) else {
                        continue;
                    };
                    let between = ActorRef::identifier(PARTICIPATION, format!("{name}/{index}"));
                    let inactive = part.get("inactive").and_then(|inactive| inactive.as_bool());
                    let (start, end) = period(part);
                    found.edges.push(Membership {
                        member: ActorRef::reference(member),
                        of: between.clone(),
                        active: inactive.map(|inactive| !inactive),
                        start,
                        end,
                    });
                    let (start, end) = period(team);
                    found.edges.push(Membership {
                        member: between,
                        of: ActorRef::reference(&name),
                        active,
                        start,
                        end,
                    });
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    fn local_at(&self, resource: Value<'_>, key: &str) -> Option<String> {
        self.local(&resource.get(key)?.str_at("reference")?)
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

fn identity(name: &str, resource: Value<'_>) -> Identity {
    let identifiers = resource.get("identifier").into_iter().flat_map(|list| list.items().collect::<Vec<_>>());
    let identifiers = identifiers.filter_map(|identifier| {
        let system = identifier.str_at("system")?;
        Some(ActorRef::identifier(system, identifier.str_at("value")?))
    });
    Identity { reference: ActorRef::reference(name), identifiers: identifiers.collect() }
}

fn period(holder: Value<'_>) -> (Option<String>, Option<String>) {
    let Some(period) = holder.get("period") else { return (None, None) };
    let at = |key: &str| period.str_at(key).map(std::borrow::Cow::into_owned);
    (at("start"), at("end"))
}
