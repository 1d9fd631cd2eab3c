//! Whether a provision matches a question, element by element and three-valued.
//!
//! A provision matches when each of its stated elements matches; repetitions are OR; unstated means no constraint.
//! Nothing here knows of effects but for `securityLabel`, whose order has a direction (CONSENT.md, "Exact answers").

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::actors::Identities;
use super::dates::{Moment, Period, Span};
use super::reference::{normalise, type_of};
use super::truth::Truth;
use super::{Concept, Constraints, Data, Effect, Element, Meaning, Provision, ProvisionActor};
use crate::coding::Coding;
use crate::decide::Action;
use crate::facts::ResourceFacts;
use crate::labels::Labels;
use crate::policy::ConsentSettings;
use crate::purpose;
use crate::reference::Bases;
use crate::resource_type::ResourceType;

/// `consentaction`.
const ACTIONS: &str = "http://terminology.hl7.org/CodeSystem/consentaction";
/// `provision.class` of a resource type, with the names that FHIR has given this code system.
pub(crate) const RESOURCE_TYPES: &[&str] =
    &["http://hl7.org/fhir/resource-types", "http://hl7.org/fhir/fhir-types", "http://hl7.org/fhir/data-types"];
/// `provision.class` of a profile.
pub(crate) const URIS: &str = "urn:ietf:rfc:3986";
/// The types that may hold or stand for a document, so that a document class may be true of them without being stated.
pub(crate) const DOCUMENT_CLASSES: &[&str] =
    &["Binary", "Bundle", "Composition", "DiagnosticReport", "DocumentManifest", "DocumentReference", "Media"];

/// One question as a Consent sees it: with one purpose, or an unknown one.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry<'a> {
    /// Who asks.
    pub identities: &'a Identities,
    /// What is done.
    pub action: Action,
    /// To what.
    pub resource: &'a ResourceFacts,
    /// Its labels, or those of one of its elements.
    pub labels: &'a Labels,
    /// Whether the Consent is of R5, so that it may name types that R4 does not have.
    pub newer_types: bool,
    /// What for; `None` = unknown.
    pub purpose: Option<&'a Coding>,
    /// When.
    pub now: OffsetDateTime,
    /// What the resources named by `data` refer to.
    pub outgoing: &'a BTreeMap<String, BTreeSet<String>>,
    /// The operator's choices.
    pub settings: &'a ConsentSettings,
    /// What is local.
    pub bases: &'a Bases,
}

/// The elements that hold for a provision: its own, else inherited.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effective<'a> {
    period: Option<&'a Period>,
    actors: Option<&'a [ProvisionActor]>,
    actions: Option<&'a [Concept]>,
    security_labels: Option<&'a [Coding]>,
    purposes: Option<&'a [Coding]>,
    classes: Option<&'a [Coding]>,
    document_types: Option<&'a [Coding]>,
    codes: Option<&'a [Concept]>,
    data_period: Option<&'a Period>,
    data: Option<&'a [Data]>,
    extended: bool,
}

impl<'a> Effective<'a> {
    /// What holds for `provision` under this parent: what it states replaces, what it does not state is inherited.
    #[must_use]
    pub fn under(&self, provision: &'a Provision) -> Self {
        let Constraints {
            period,
            actors,
            actions,
            security_labels,
            purposes,
            classes,
            document_types,
            codes,
            data_period,
            data,
        } = &provision.constraints;
        Self {
            period: period.as_ref().or(self.period),
            actors: actors.as_deref().or(self.actors),
            actions: actions.as_deref().or(self.actions),
            security_labels: security_labels.as_deref().or(self.security_labels),
            purposes: purposes.as_deref().or(self.purposes),
            classes: classes.as_deref().or(self.classes),
            document_types: document_types.as_deref().or(self.document_types),
            codes: codes.as_deref().or(self.codes),
            data_period: data_period.as_ref().or(self.data_period),
            data: data.as_deref().or(self.data),
            extended: provision.extended || self.extended,
        }
    }

    /// Whether the time of the question lies in the period that holds; unknown where that cannot be placed.
    pub fn is_in_period(&self, now: OffsetDateTime, settings: &ConsentSettings) -> Truth {
        match self.period {
            Some(period) => span(period, settings).map_or(Truth::Unknown, |span| Truth::from(span.contains(now))),
            None => Truth::True,
        }
    }

    /// Whether the provision matches as one of this effect, and which elements are unknown.
    pub fn matches(&self, inquiry: &Inquiry<'_>, effect: Effect) -> (Truth, Vec<Element>) {
        let period = self.period.map(|_| self.is_in_period(inquiry.now, inquiry.settings));
        let elements = [
            (Element::Extension, self.extended.then_some(Truth::Unknown)),
            (Element::Period, period),
            (Element::Actor, self.actors.map(|actors| actor(actors, inquiry))),
            (Element::Action, self.actions.map(|actions| action(actions, inquiry.action))),
            (Element::SecurityLabel, self.security_labels.map(|labels| security_label(labels, inquiry, effect))),
            (Element::Purpose, self.purposes.map(|purposes| purpose(purposes, inquiry.purpose))),
            (Element::Class, self.classes.map(|classes| class(classes, inquiry))),
            (Element::DocumentType, self.document_types.map(|types| class(types, inquiry))),
            (Element::Code, self.codes.map(|codes| code(codes, inquiry.resource))),
            (Element::DataPeriod, self.data_period.map(|period| data_period(period, inquiry))),
            (Element::Data, self.data.map(|data| data_relation(data, inquiry))),
        ];
        let stated = || elements.iter().filter_map(|(element, truth)| Some((*element, (*truth)?)));
        let truth = stated().fold(Truth::True, |all, (_, truth)| all.and(truth));
        (truth, stated().filter(|(_, truth)| *truth == Truth::Unknown).map(|(element, _)| element).collect())
    }
}

/// Where the period lies; `None` where it ends before it starts or leaves the calendar.
fn span(period: &Period, settings: &ConsentSettings) -> Option<Span> {
    period.span(&settings.timezone).filter(|span| match (span.start, span.end) {
        (Some(start), Some(end)) => start < end,
        (None, _) | (_, None) => true,
    })
}

/// Role absent or IRCP: one of the names has to be the caller or include it; another role is unknown.
fn actor(actors: &[ProvisionActor], inquiry: &Inquiry<'_>) -> Truth {
    Truth::any(actors.iter().map(|actor| {
        if !actor.recipient || actor.who.is_empty() {
            return Truth::Unknown;
        }
        Truth::any(actor.who.iter().map(|who| inquiry.identities.include(who, inquiry.bases)))
    }))
}

/// Read and search are access, use or disclose; create, update and delete are collect or correct.
fn action(actions: &[Concept], asked: Action) -> Truth {
    let one = |coding: &Coding| match (coding.system.as_deref(), coding.code.as_str()) {
        (Some(ACTIONS), "access" | "use" | "disclose") => Truth::from(asked.is_read()),
        (Some(ACTIONS), "collect" | "correct") => Truth::from(!asked.is_read()),
        _ => Truth::Unknown,
    };
    Truth::any(actions.iter().map(|concept| any_coding(concept, one)))
}

/// A permit covers downwards, a deny upwards.
fn security_label(stated: &[Coding], inquiry: &Inquiry<'_>, effect: Effect) -> Truth {
    let local = &inquiry.settings.label_systems;
    match effect {
        Effect::Permit => inquiry.labels.permitted_by(stated, local, inquiry.settings.labels),
        Effect::Deny => inquiry.labels.denied_by(stated, local),
    }
}

/// The request's purpose or an ancestor of it is stated.
fn purpose(stated: &[Coding], asked: Option<&Coding>) -> Truth {
    match asked {
        Some(asked) => Truth::any(stated.iter().map(|stated| purpose::covers(stated, asked))),
        None => Truth::Unknown,
    }
}

/// A resource type, a profile or a document class.
fn class(stated: &[Coding], inquiry: &Inquiry<'_>) -> Truth {
    let resource = inquiry.resource;
    let named = |code: &str| match inquiry.newer_types {
        true => ResourceType::parse_any(code),
        false => ResourceType::parse(code),
    };
    Truth::any(stated.iter().map(|class| match class.system.as_deref() {
        Some(system) if RESOURCE_TYPES.contains(&system) => match named(&class.code) {
            Ok(resource_type) => Truth::from(resource_type == resource.resource_type),
            Err(_) => Truth::Unknown,
        },
        // A resource may conform to a profile that it does not claim.
        Some(URIS) if resource.profiles.iter().any(|profile| same_profile(profile, &class.code)) => Truth::True,
        Some(URIS) => Truth::Unknown,
        Some(_) if resource.document_types.contains(class) => Truth::True,
        Some("http://loinc.org") => document_class(class, resource),
        Some(_) | None => Truth::Unknown,
    }))
}

/// Equal canonicals; a version that only one of them states makes no difference.
fn same_profile(claimed: &str, stated: &str) -> bool {
    let url = |canonical: &str| canonical.split_once('|').map_or(canonical.to_owned(), |(url, _)| url.to_owned());
    claimed == stated || (url(claimed) == url(stated) && !(claimed.contains('|') && stated.contains('|')))
}

/// A LOINC document type that the resource does not state: no document has it for certain only where the resource is no
/// document, or states other LOINC types.
fn document_class(class: &Coding, resource: &ResourceFacts) -> Truth {
    let typed = resource.document_types.iter().any(|coding| coding.system == class.system);
    let may_be_document = DOCUMENT_CLASSES.contains(&resource.resource_type.as_str());
    if typed || !may_be_document { Truth::False } else { Truth::Unknown }
}

/// "If this code is found in an instance, then the rule applies" (FHIR R4, Consent.provision.code).
fn code(stated: &[Concept], resource: &ResourceFacts) -> Truth {
    let found = |coding: &Coding| {
        if coding.system.is_some() && resource.codes.contains(coding) {
            return Truth::True;
        }
        // The same code where one side does not say of which system: perhaps the same.
        let perhaps = resource
            .codes
            .iter()
            .any(|code| code.code == coding.code && (code.system.is_none() || coding.system.is_none()));
        if perhaps { Truth::Unknown } else { Truth::False }
    };
    Truth::any(stated.iter().map(|concept| any_coding(concept, found)))
}

/// One coding of a concept is enough; a concept without codings can be compared with nothing.
fn any_coding(concept: &Concept, matches: impl Fn(&Coding) -> Truth) -> Truth {
    if concept.is_empty() { Truth::Unknown } else { Truth::any(concept.iter().map(matches)) }
}

/// A permit needs the whole known period inside, a deny any overlap; undated is unknown.
fn data_period(stated: &Period, inquiry: &Inquiry<'_>) -> Truth {
    let Some(stated) = span(stated, inquiry.settings) else { return Truth::Unknown };
    let Some(date) = inquiry.resource.dates.first() else { return Truth::Unknown };
    let read = |text: &Option<String>| text.as_deref().map(Moment::parse).transpose();
    match (read(&date.start), read(&date.end)) {
        (Ok(None), Ok(None)) | (Err(_), _) | (_, Err(_)) => Truth::Unknown,
        (Ok(start), Ok(end)) => {
            span(&Period { start, end }, inquiry.settings).map_or(Truth::Unknown, |known| stated.covers(&known))
        }
    }
}

/// `data`: instance, related, dependents, authoredby.
fn data_relation(stated: &[Data], inquiry: &Inquiry<'_>) -> Truth {
    Truth::any(stated.iter().map(|data| {
        let Some(named) = data.reference.as_deref().and_then(|r| normalise(r, inquiry.bases)) else {
            return Truth::Unknown;
        };
        match data.meaning {
            Meaning::Instance => is_instance(&named, inquiry.resource),
            Meaning::Dependents => is_instance(&named, inquiry.resource).or(refers_to(&named, inquiry)),
            Meaning::Related => is_instance(&named, inquiry.resource)
                .or(refers_to(&named, inquiry))
                .or(is_referred_to_by(&named, inquiry)),
            Meaning::AuthoredBy => is_authored_by(&named, inquiry),
        }
    }))
}

fn is_instance(named: &str, resource: &ResourceFacts) -> Truth {
    match &resource.id {
        Some(id) => Truth::from(named == format!("{}/{id}", resource.resource_type)),
        None => Truth::from(false),
    }
}

/// Whether the resource refers to the named one.
fn refers_to(named: &str, inquiry: &Inquiry<'_>) -> Truth {
    let mut references = inquiry.resource.references.iter();
    Truth::from(references.any(|reference| normalise(reference, inquiry.bases).as_deref() == Some(named)))
}

/// Whether the named resource refers to this one; unknown where its references were not gathered.
fn is_referred_to_by(named: &str, inquiry: &Inquiry<'_>) -> Truth {
    let Some(id) = &inquiry.resource.id else { return Truth::False };
    let this = format!("{}/{id}", inquiry.resource.resource_type);
    match inquiry.outgoing.get(named) {
        Some(references) => Truth::from(
            references.iter().any(|reference| normalise(reference, inquiry.bases).as_deref() == Some(&this)),
        ),
        None => Truth::Unknown,
    }
}

/// Whether the named one is an author; an author of another type (a PractitionerRole for a Practitioner) may be the same.
fn is_authored_by(named: &str, inquiry: &Inquiry<'_>) -> Truth {
    let authors = &inquiry.resource.authors;
    if authors.is_empty() {
        return Truth::Unknown;
    }
    Truth::any(authors.iter().map(|author| match normalise(author, inquiry.bases) {
        Some(author) if author == named => Truth::True,
        Some(author) if type_of(&author).is_some() && type_of(&author) == type_of(named) => Truth::False,
        Some(_) | None => Truth::Unknown,
    }))
}
