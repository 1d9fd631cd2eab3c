//! Whether anything at all of a patient could be permitted: what can be known before any resource is looked at.
//!
//! The answer is found by asking the decision itself about resources that nobody has: for every provision those that it
//! speaks of, and for none those that no provision names. So it cannot permit by a rule of its own.

use std::collections::BTreeSet;

use time::Duration;
use time::format_description::well_known::Rfc3339;

use super::{Action, Session};
use crate::coding::Coding;
use crate::consent::dates::{Period, Zone};
use crate::consent::matching::{DOCUMENT_CLASSES, RESOURCE_TYPES, URIS};
use crate::consent::reference::{normalise, type_of};
use crate::consent::{Body, Constraints, Data, Effect, Meaning, Provision};
use crate::facts::{DateCandidate, DateKind, ResourceFacts};
use crate::labels::CONFIDENTIALITY_SYSTEM;
use crate::owner::{OwnerRule, Owners, PatientId, owner_rule};
use crate::resource_type::ResourceType;

/// Questions that are asked at most; beyond, something may be permitted for all that is known.
const MOST_QUESTIONS: usize = 20_000;
/// The id of what nobody has.
const NOBODYS: &str = "sealgate-nobodys";

impl Session<'_> {
    /// Whether the patient's Consents, or the implicit policy, permit this to the caller on any resource of the patient
    /// that could be; scopes are not asked. `true` where that cannot be told.
    pub fn permits_anything(&self, action: Action, patient: &PatientId) -> bool {
        let mut spoken = vec![Constraints::default()];
        for consent in self.consents_of(patient) {
            if let Body::Active { root, .. } = &consent.body {
                collect(root, &Constraints::default(), &mut spoken);
            }
        }
        let everywhere = Everywhere::of(&spoken, &self.policy().settings().timezone);
        let mut left = MOST_QUESTIONS;
        for constraints in &spoken {
            for resource in self.spoken_of(constraints, &everywhere, patient) {
                let Some(fewer) = left.checked_sub(1) else { return true };
                left = fewer;
                let labels = self.labels(&resource);
                if self.ask(patient, action, &resource, &labels).effect == Effect::Permit {
                    return true;
                }
            }
        }
        false
    }

    /// Resources that a provision with these constraints speaks of.
    fn spoken_of(
        &self,
        constraints: &Constraints,
        everywhere: &Everywhere,
        patient: &PatientId,
    ) -> impl Iterator<Item = ResourceFacts> {
        let mut resources = kinds(constraints, everywhere, patient);
        if let Some(stated) = &constraints.document_types {
            resources = each(&resources, stated, |resource, stated| resource.document_types = vec![stated.clone()]);
        }
        resources = each(&resources, &labels(constraints), |resource, security| {
            resource.security.clone_from(security);
        });
        resources = each(&resources, &codes(constraints), |resource, codes| resource.codes.clone_from(codes));
        let zone = &self.policy().settings().timezone;
        let dates = match &constraints.data_period {
            Some(period) => dates_in(period, zone),
            None => everywhere.dates.clone(),
        };
        resources = each(&resources, &dates, |resource, date| resource.dates.clone_from(date));
        match &constraints.data {
            Some(data) => each(&resources, data, |resource, data| self.relate(resource, data)),
            None => each(&resources, &everywhere.authors, |resource, authors| resource.authors.clone_from(authors)),
        }
        .into_iter()
    }

    /// Makes the resource what `data` names.
    fn relate(&self, resource: &mut ResourceFacts, data: &Data) {
        let bases = self.policy().bases();
        let Some(named) = data.reference.as_deref().and_then(|reference| normalise(reference, bases)) else { return };
        match data.meaning {
            Meaning::Instance => {
                if let (Some(rtype), Some((_, id))) = (type_of(&named), named.split_once('/')) {
                    (resource.resource_type, resource.id) = (rtype, Some(id.to_owned()));
                }
            }
            Meaning::Related | Meaning::Dependents => resource.references = vec![named],
            Meaning::AuthoredBy => resource.authors = vec![named],
        }
    }
}

/// What unstated elements may be so that no provision speaks of them.
struct Everywhere {
    types: Vec<ResourceType>,
    dates: Vec<Vec<DateCandidate>>,
    authors: Vec<Vec<String>>,
}

impl Everywhere {
    fn of(spoken: &[Constraints], zone: &Zone) -> Self {
        let named: BTreeSet<&str> =
            spoken.iter().flat_map(|c| c.classes.iter().flatten()).map(|class| class.code.as_str()).collect();
        let owned = |rtype: &ResourceType| matches!(owner_rule(*rtype), OwnerRule::Paths(_));
        let types = ResourceType::ALL.iter().filter_map(|name| ResourceType::parse(name).ok()).filter(owned);
        let unnamed = types.filter(|rtype| !named.contains(rtype.as_str()));
        // A type that may hold a document is one that a class of documents speaks of.
        let types = unnamed.filter(|rtype| !DOCUMENT_CLASSES.contains(&rtype.as_str())).take(1).collect();
        let mut dates = vec![Vec::new()];
        for period in spoken.iter().filter_map(|c| c.data_period.as_ref()) {
            let Some(span) = period.span(zone) else { continue };
            dates.extend(span.start.and_then(|start| start.checked_sub(Duration::DAY)).and_then(date));
            dates.extend(span.end.and_then(|end| end.checked_add(Duration::DAY)).and_then(date));
        }
        let author = |rtype: &str| vec![format!("{rtype}/{NOBODYS}")];
        let by_author = spoken.iter().flat_map(|c| c.data.iter().flatten()).any(|d| d.meaning == Meaning::AuthoredBy);
        let authors = match by_author {
            true => vec![Vec::new(), author("Practitioner"), author("Organization"), author("Patient")],
            false => vec![Vec::new()],
        };
        dates.dedup();
        Self { types, dates, authors }
    }
}

/// The constraints that hold at every provision of the tree.
fn collect(provision: &Provision, parent: &Constraints, spoken: &mut Vec<Constraints>) {
    let own = provision.constraints.clone();
    let parent = parent.clone();
    let here = Constraints {
        period: own.period.or(parent.period),
        actors: own.actors.or(parent.actors),
        actions: own.actions.or(parent.actions),
        security_labels: own.security_labels.or(parent.security_labels),
        purposes: own.purposes.or(parent.purposes),
        classes: own.classes.or(parent.classes),
        document_types: own.document_types.or(parent.document_types),
        codes: own.codes.or(parent.codes),
        data_period: own.data_period.or(parent.data_period),
        data: own.data.or(parent.data),
    };
    provision.children.iter().for_each(|child| collect(child, &here, spoken));
    spoken.push(here);
}

/// One resource of each kind that `class` names, or of one that no provision names.
fn kinds(constraints: &Constraints, everywhere: &Everywhere, patient: &PatientId) -> Vec<ResourceFacts> {
    let Some(classes) = &constraints.classes else {
        let document = ResourceType::parse("DocumentReference").ok().filter(|_| constraints.document_types.is_some());
        if let Some(document) = document {
            return vec![bare(document, patient)];
        }
        return everywhere.types.iter().map(|rtype| bare(*rtype, patient)).collect();
    };
    let one = |class: &Coding| match class.system.as_deref() {
        Some(system) if RESOURCE_TYPES.contains(&system) => Some(bare(ResourceType::parse(&class.code).ok()?, patient)),
        Some(URIS) => {
            let profiles = vec![class.code.clone()];
            Some(ResourceFacts { profiles, ..bare(*everywhere.types.first()?, patient) })
        }
        Some(_) | None => {
            let document = ResourceType::parse("DocumentReference").ok()?;
            let document_types = vec![class.clone()];
            Some(ResourceFacts { document_types, codes: vec![class.clone()], ..bare(document, patient) })
        }
    };
    classes.iter().filter_map(one).collect()
}

/// Each resource in each of these ways.
fn each<T>(resources: &[ResourceFacts], ways: &[T], make: impl Fn(&mut ResourceFacts, &T)) -> Vec<ResourceFacts> {
    let mut made = Vec::new();
    for resource in resources {
        for way in ways {
            let mut resource = resource.clone();
            make(&mut resource, way);
            made.push(resource);
            if made.len() > MOST_QUESTIONS {
                return made;
            }
        }
    }
    made
}

fn labels(constraints: &Constraints) -> Vec<Vec<Coding>> {
    let level = |code| vec![Coding::new(CONFIDENTIALITY_SYSTEM, code)];
    let stated = constraints.security_labels.iter().flatten().map(|label| vec![label.clone()]);
    stated.chain([Vec::new(), level("N"), level("U")]).collect()
}

fn codes(constraints: &Constraints) -> Vec<Vec<Coding>> {
    match &constraints.codes {
        Some(stated) => stated.iter().flatten().map(|code| vec![code.clone()]).collect(),
        None => vec![Vec::new()],
    }
}

/// The first and the last second of a period, as far as it has them.
fn dates_in(period: &Period, zone: &Zone) -> Vec<Vec<DateCandidate>> {
    let Some(span) = period.span(zone) else { return vec![Vec::new()] };
    let last = span.end.and_then(|end| end.checked_sub(Duration::SECOND));
    [span.start, last].into_iter().flatten().filter_map(date).collect()
}

fn date(at: time::OffsetDateTime) -> Option<Vec<DateCandidate>> {
    let text = at.format(&Rfc3339).ok()?;
    Some(vec![DateCandidate { kind: DateKind::Effective, start: Some(text.clone()), end: Some(text) }])
}

fn bare(resource_type: ResourceType, patient: &PatientId) -> ResourceFacts {
    ResourceFacts::bare(resource_type, NOBODYS, Owners::Patients(vec![patient.clone()]))
}
