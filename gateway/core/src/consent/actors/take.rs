//! Memberships out of resources: one reading of them for whoever gathers them.
//!
//! Inactive and expired memberships are taken too; that they do not count is decided with the time of the question.

use super::{Identity, Membership, Memberships};
use crate::caller::ActorRef;
use crate::json::Value;
use crate::reference::{Bases, Target};

/// The system of the node between a member and its CareTeam or Group, which carries the member's own period; no
/// resource bears such an identifier.
pub(super) const PARTICIPATION: &str = "urn:sealgate:participation";

impl Memberships {
    /// Takes what one resource tells of who belongs to whom: a PractitionerRole, an Organization, a CareTeam, a Group,
    /// and the identifiers of any resource.
    ///
    /// `known` says of a name (`Type/id`) whether it is the caller's or of something that he belongs to: members of
    /// CareTeams and Groups who are not are passed over. The answer names what the known ones belong to by this resource.
    pub fn take(&mut self, resource: Value<'_>, bases: &Bases, known: &dyn Fn(&str) -> bool) -> Vec<String> {
        let (Some(rtype), Some(id)) = (resource.str_at("resourceType"), resource.str_at("id")) else {
            return Vec::new();
        };
        let name = format!("{rtype}/{id}");
        let identifiers = identifiers(resource);
        match rtype.as_ref() {
            "RelatedPerson" => {
                self.relation(&name, resource, identifiers);
                Vec::new()
            }
            "PractitionerRole" => {
                self.identities.push(Identity { reference: ActorRef::reference(&name), identifiers });
                self.role(name, resource, bases)
            }
            "Organization" => {
                self.identities.push(Identity { reference: ActorRef::reference(&name), identifiers });
                let Some(whole) = local_at(resource, "partOf", bases) else { return Vec::new() };
                self.edge(ActorRef::reference(name), &whole, bool_at(resource, "active"), (None, None));
                vec![whole]
            }
            "CareTeam" | "Group" => {
                self.identities.push(Identity { reference: ActorRef::reference(&name), identifiers });
                if let Some(listed) = &mut self.listed {
                    listed.insert(name.clone());
                }
                if self.team(&name, resource, bases, known) { vec![name] } else { Vec::new() }
            }
            _ => {
                self.identities.push(Identity { reference: ActorRef::reference(name), identifiers });
                Vec::new()
            }
        }
    }

    /// A RelatedPerson bears its identifiers while the relation is in force only.
    fn relation(&mut self, name: &str, resource: Value<'_>, identifiers: Vec<ActorRef>) {
        for identifier in identifiers {
            let (active, period) = (bool_at(resource, "active"), period(resource));
            self.edges.push(Membership {
                member: ActorRef::reference(name),
                of: identifier.clone(),
                active,
                start: period.0.clone(),
                end: period.1.clone(),
            });
            self.edge(identifier, name, active, period);
        }
    }

    /// The role is its Practitioner's, and the other way round; it stands in its Organization.
    fn role(&mut self, name: String, role: Value<'_>, bases: &Bases) -> Vec<String> {
        let (active, period) = (bool_at(role, "active"), period(role));
        let mut more = Vec::new();
        if let Some(practitioner) = local_at(role, "practitioner", bases) {
            self.edge(ActorRef::reference(&practitioner), &name, active, period.clone());
            self.edge(ActorRef::reference(&name), &practitioner, active, period.clone());
            more.push(practitioner);
        }
        if let Some(organization) = local_at(role, "organization", bases) {
            self.edge(ActorRef::reference(&name), &organization, active, period);
            more.push(organization);
        }
        more.push(name);
        more
    }

    /// The known members of a CareTeam or Group; whether there are any.
    fn team(&mut self, name: &str, team: Value<'_>, bases: &Bases, known: &dyn Fn(&str) -> bool) -> bool {
        let care_team = name.starts_with("CareTeam/");
        let (list, who) = if care_team { ("participant", "member") } else { ("member", "entity") };
        let active =
            if care_team { team.str_at("status").map(|status| status == "active") } else { bool_at(team, "active") };
        let mut any = false;
        for (index, part) in team.get(list).into_iter().flat_map(|list| list.items()).enumerate() {
            let Some(member) = local_at(part, who, bases).filter(|member| known(member)) else { continue };
            let between = ActorRef::identifier(PARTICIPATION, format!("{name}/{index}"));
            self.edges.push(Membership {
                of: between.clone(),
                active: bool_at(part, "inactive").map(|inactive| !inactive),
                start: period(part).0,
                end: period(part).1,
                member: ActorRef::reference(member),
            });
            self.edge(between, name, active, period(team));
            any = true;
        }
        any
    }

    fn edge(&mut self, member: ActorRef, of: &str, active: Option<bool>, period: (Option<String>, Option<String>)) {
        self.edges.push(Membership { member, of: ActorRef::reference(of), active, start: period.0, end: period.1 });
    }
}

fn identifiers(resource: Value<'_>) -> Vec<ActorRef> {
    let list = resource.get("identifier").into_iter().flat_map(|list| list.items());
    list.filter_map(|identifier| Some(ActorRef::identifier(identifier.str_at("system")?, identifier.str_at("value")?)))
        .collect()
}

fn bool_at(holder: Value<'_>, key: &str) -> Option<bool> {
    holder.get(key)?.as_bool()
}

fn local_at(resource: Value<'_>, key: &str, bases: &Bases) -> Option<String> {
    match Target::parse(&resource.get(key)?.str_at("reference")?, bases) {
        Target::Local { rtype, id, .. } => Some(format!("{rtype}/{id}")),
        Target::Fragment(_) | Target::Foreign(_) | Target::Malformed => None,
    }
}

/// `period`, or the `coveragePeriod` of a participant (R5).
fn period(holder: Value<'_>) -> (Option<String>, Option<String>) {
    let Some(period) = holder.get("period").or_else(|| holder.get("coveragePeriod")) else { return (None, None) };
    let at = |key: &str| period.str_at(key).map(std::borrow::Cow::into_owned);
    (at("start"), at("end"))
}

#[cfg(test)]
mod tests;
