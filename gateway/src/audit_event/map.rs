//! What each access event says in FHIR's terms (EVIDENCE.md 1, "Mapped onto FHIR AuditEvent").
//!
//! | event | AuditEvents |
//! |---|---|
//! | `request`, whole | served: BALP's plain profile of the interaction; else a failure |
//! | `request` of a batch or transaction, served | none: its entries' tell |
//! | `request`, opened or intent | none: its `outcome` tells |
//! | `outcome` | complete: BALP's plain profile; else a failure |
//! | `disclosure` | BALP's `Patient…` profile, one for each resource of a read or write, one for a search |
//! | `denial` | a failure that names the patient |
//! | either, with Consents, user and organisation | `AuthZconsent` besides |
//! | `universal` | a read or write: the plain profile with the resource; a search: none, results are not recorded |
//! | `unauthenticated`, `policy-change`, `audit-read`, `erasure`, `review`, `epoch-closed` | an operation |
//! | `start`, `stop`, `heartbeat` | none |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use evidence::event::{
    AccessEvent, Coding, ConsentUse, Decision, Denial, Disclosure, End, EventBody, Outcome, Phase, Reference, Request,
    ResourceUse, Universal,
};
use evidence::ids::Commitment;
use fhir_profiles::audit_event as fhir;
use fhir_profiles::audit_event::{
    Access, AccessEventLink, AuditRecord, Gateway, Party, Pointer, Query, ResourceRef, SearchScope, Severity,
    Statement, Verb,
};

use crate::filter::WRITE_UNKNOWN;

/// What all AuditEvents of a gateway have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The gateway.
    pub gateway: Gateway,
    /// The origin of the log.
    pub log_origin: String,
    /// How resources are pointed at.
    pub pointing: Pointing,
}

/// How resources are pointed at. A literal reference ties the AuditEvent to the resource: many servers refuse one that
/// they cannot resolve, and refuse to delete what one points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pointing {
    /// The AuditEvents lie beside the resources: a relative reference to the patient, so that `?patient=` finds them, and
    /// logical ones to everything else, so that the audit never stands in the way of a delete.
    SameServer,
    /// The AuditEvents lie on another server: absolute references on the gateway's public base.
    Elsewhere,
    /// Logical references only: URLs as identifiers.
    Logical,
}

/// Why an event has no AuditEvents although its kind has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unmapped {
    /// The request that it refers to is not in the journal.
    #[error("its request is not in the journal")]
    NoRequest,
    /// It was served, by an interaction that has no profile.
    #[error("its interaction has no profile")]
    Interaction,
}

/// The AuditEvents of an event, `request` being the request that it belongs to. Their ids follow from the event's.
///
/// # Errors
/// [`Unmapped`]
pub fn records(
    event: &AccessEvent,
    commitment: &Commitment,
    request: Option<&Request>,
    context: &Context,
) -> Result<Vec<AuditRecord>, Unmapped> {
    let scribe = Scribe { event, commitment, request, context };
    match &event.body {
        EventBody::Request(request) => scribe.request(request),
        EventBody::Outcome(outcome) => scribe.outcome(outcome),
        EventBody::Disclosure(disclosure) => scribe.disclosure(disclosure),
        EventBody::Denial(denial) => scribe.denial(denial),
        EventBody::Universal(universal) => scribe.universal(universal),
        EventBody::Start(_) | EventBody::Stop(_) | EventBody::Heartbeat(_) => Ok(Vec::new()),
        EventBody::Unauthenticated(_)
        | EventBody::PolicyChange(_)
        | EventBody::AuditRead(_)
        | EventBody::Erasure(_)
        | EventBody::Review(_)
        | EventBody::EpochClosed(_) => Ok(scribe.operation()),
    }
}

struct Scribe<'a> {
    event: &'a AccessEvent,
    commitment: &'a Commitment,
    request: Option<&'a Request>,
    context: &'a Context,
}

/// An interaction that BALP has a profile for.
enum Served {
    Object(Verb),
    Search(SearchScope),
}

impl Served {
    fn of(interaction: &str) -> Result<Self, Unmapped> {
        match interaction {
            "create" => Ok(Self::Object(Verb::Create)),
            "read" => Ok(Self::Object(Verb::Read)),
            "vread" => Ok(Self::Object(Verb::Vread)),
            "update" => Ok(Self::Object(Verb::Update)),
            "patch" => Ok(Self::Object(Verb::Patch)),
            "delete" => Ok(Self::Object(Verb::Delete)),
            "search-type" => Ok(Self::Search(SearchScope::Type)),
            "search-system" => Ok(Self::Search(SearchScope::System)),
            _ => Err(Unmapped::Interaction),
        }
    }
}

impl Scribe<'_> {
    fn request(&self, request: &Request) -> Result<Vec<AuditRecord>, Unmapped> {
        let served = request.decision == Decision::Permit && request.status.is_some_and(|status| status < 400);
        match (request.phase, served) {
            (Phase::Opened | Phase::Intent, _) => Ok(Vec::new()),
            // Each entry of a Bundle has an event of its own.
            (Phase::Whole, true) if matches!(request.interaction.as_str(), "batch" | "transaction") => Ok(Vec::new()),
            (Phase::Whole, true) => Ok(vec![self.plain(request)?]),
            (Phase::Whole, false) => {
                let what = match request.decision {
                    Decision::Permit => "answered",
                    Decision::Refuse => "refused",
                };
                Ok(vec![self.failed(request, request.status, what)])
            }
        }
    }

    fn outcome(&self, outcome: &Outcome) -> Result<Vec<AuditRecord>, Unmapped> {
        let request = self.request.ok_or(Unmapped::NoRequest)?;
        let (severity, what) = match outcome.end {
            End::Complete if outcome.status.is_none_or(|status| status < 400) => return Ok(vec![self.plain(request)?]),
            End::Complete => return Ok(vec![self.failed(request, outcome.status, "answered")]),
            End::ClientGone => (Severity::Minor, "The client went away before the end of the answer."),
            End::UpstreamFailed => (Severity::Serious, "The FHIR server failed."),
            End::FilterFailed => (Severity::Serious, "The answer could not be filtered and was broken off."),
            End::Unknown => (Severity::Serious, "It is not known how the request ended."),
        };
        Ok(vec![self.record(0, self.rules(request), self.failure(request, severity, what.to_owned(), None))])
    }

    fn disclosure(&self, disclosure: &Disclosure) -> Result<Vec<AuditRecord>, Unmapped> {
        let request = self.request.ok_or(Unmapped::NoRequest)?;
        let patient = self.patient(&disclosure.patient);
        let access = |access| Statement::Access { access, patient: Some(patient.clone()) };
        let rule = disclosure.rule.as_deref().unwrap_or_default();
        if rule == WRITE_UNKNOWN {
            let what = "It is not known whether the write was carried out.".to_owned();
            let statement = self.failure(request, Severity::Serious, what, Some(patient));
            return Ok(vec![self.record(0, distinct(std::iter::once(rule)), statement)]);
        }
        let rules = |resources: &[ResourceUse]| {
            let redactions = resources.iter().flat_map(|resource| &resource.redactions);
            distinct(rule.split(' ').chain(redactions.map(|redaction| redaction.rule.as_str())))
        };
        let mut records = match Served::of(&request.interaction)? {
            Served::Search(scope) => {
                let query = self.query(request);
                vec![self.record(0, rules(&disclosure.resources), access(Access::Search { scope, query }))]
            }
            Served::Object(verb) if disclosure.resources.is_empty() => {
                vec![self.record(0, rules(&[]), access(self.object_of_type(verb, request)))]
            }
            Served::Object(verb) => {
                let object = |(index, resource): (usize, &ResourceUse)| {
                    let what = self.resource(&resource.reference, resource.version.as_deref());
                    let labels = resource.labels.iter().map(code).collect();
                    let statement = access(Access::Object { verb, what, labels });
                    self.record(index, rules(std::slice::from_ref(resource)), statement)
                };
                disclosure.resources.iter().enumerate().map(object).collect()
            }
        };
        records.extend(self.consent_decision(request, &disclosure.patient, &disclosure.consents, rule, true));
        Ok(records)
    }

    fn denial(&self, denial: &Denial) -> Result<Vec<AuditRecord>, Unmapped> {
        let request = self.request.ok_or(Unmapped::NoRequest)?;
        let noun = if denial.resources == 1 { "resource" } else { "resources" };
        let description = format!("{} {noun} of the patient withheld.", denial.resources);
        let patient = Some(self.patient(&denial.patient));
        let statement = self.failure(request, Severity::Serious, description, patient);
        let mut records = vec![self.record(0, distinct(denial.rule.split(' ')), statement)];
        records.extend(self.consent_decision(request, &denial.patient, &denial.consents, &denial.rule, false));
        Ok(records)
    }

    fn universal(&self, universal: &Universal) -> Result<Vec<AuditRecord>, Unmapped> {
        let request = self.request.ok_or(Unmapped::NoRequest)?;
        let Served::Object(verb) = Served::of(&request.interaction)? else { return Ok(Vec::new()) };
        let records = universal.resources.iter().enumerate().map(|(index, resource)| {
            let what = self.resource(&resource.reference, resource.version.as_deref());
            let access = Access::Object { verb, what, labels: Vec::new() };
            self.record(index, Vec::new(), Statement::Access { access, patient: None })
        });
        Ok(records.collect())
    }

    /// The plain profile: the request itself, without a patient.
    fn plain(&self, request: &Request) -> Result<AuditRecord, Unmapped> {
        let access = match Served::of(&request.interaction)? {
            Served::Search(scope) => Access::Search { scope, query: self.query(request) },
            Served::Object(verb) => match request.universal.first() {
                Some(universal) => Access::Object {
                    verb,
                    what: self.resource(&universal.reference, universal.version.as_deref()),
                    labels: Vec::new(),
                },
                None => self.object_of_type(verb, request),
            },
        };
        Ok(self.record(0, self.rules(request), Statement::Access { access, patient: None }))
    }

    /// A request event names no resource that has an owner: its type is all there is to say.
    fn object_of_type(&self, verb: Verb, request: &Request) -> Access {
        let resource_type = request.resource_type.clone().unwrap_or_else(|| "Resource".to_owned());
        Access::Object { verb, what: ResourceRef { resource_type, pointer: None }, labels: Vec::new() }
    }

    /// A failure by its status (FHIR R4, audit-event-outcome: 4 is "often equivalent to an HTTP 400 response", 8 to 500).
    fn failed(&self, request: &Request, status: Option<u16>, what: &str) -> AuditRecord {
        let (severity, description) = match status {
            Some(status) if status < 500 => (Severity::Minor, format!("The request was {what} with status {status}.")),
            Some(status) => (Severity::Serious, format!("The request was {what} with status {status}.")),
            None => (Severity::Serious, format!("The request was {what}.")),
        };
        self.record(0, self.rules(request), self.failure(request, severity, description, None))
    }

    fn failure(
        &self,
        request: &Request,
        severity: Severity,
        description: String,
        patient: Option<ResourceRef>,
    ) -> Statement {
        let query = patient.is_none().then(|| self.query(request));
        Statement::Failure { interaction: request.interaction.clone(), severity, description, patient, query }
    }

    /// `AuthZconsent`, where patient, Consent, user and organisation are all known.
    fn consent_decision(
        &self,
        request: &Request,
        patient: &Reference,
        consents: &[ConsentUse],
        rule: &str,
        permitted: bool,
    ) -> Option<AuditRecord> {
        let user = request.caller.client.as_ref() != Some(&request.caller.subject);
        let organization = request.caller.organization.as_deref().filter(|_| user)?;
        let used = |used: &ConsentUse| fhir::ConsentUse {
            consent: self.resource(used.consent.reference(), used.consent.version()),
            provision: used.provision.clone(),
        };
        let (first, others) = consents.split_first()?;
        let decision = fhir::ConsentDecision {
            patient: self.patient(patient),
            first: used(first),
            others: others.iter().map(used).collect(),
            organization: party(organization),
            permitted,
        };
        let mut record = self.record(0, distinct(rule.split(' ')), Statement::ConsentDecision(decision));
        record.id.push_str("-consent");
        Some(record)
    }

    fn operation(&self) -> Vec<AuditRecord> {
        super::map_operation::statement(&self.event.body)
            .map(|statement| self.record(0, Vec::new(), statement))
            .into_iter()
            .collect()
    }

    fn record(&self, index: usize, rules: Vec<String>, statement: Statement) -> AuditRecord {
        let event = self.event.id.to_string();
        AuditRecord {
            id: if index == 0 { event.clone() } else { format!("{event}-{index}") },
            recorded: self.event.at.to_string(),
            event: AccessEventLink {
                id: event,
                commitment: self.commitment.to_string(),
                log_origin: self.context.log_origin.clone(),
            },
            gateway: self.context.gateway.clone(),
            caller: self.request.map(caller),
            purposes: self.request.map(|request| request.purpose.iter().map(code).collect()).unwrap_or_default(),
            request: self.event.request().map(|request| request.to_string()),
            rules,
            statement,
        }
    }

    fn rules(&self, request: &Request) -> Vec<String> {
        distinct(request.reasons.iter().map(|reason| reason.rule.as_str()))
    }

    /// The request line as it stands sealed in the request event; where none was recorded, its public part in the clear.
    fn query(&self, request: &Request) -> Query {
        let sealed = "The request, sealed under the key of its access event.";
        match &request.query_sealed {
            Some(sealed_query) => Query { base64: sealed_query.clone(), description: sealed.to_owned() },
            None => {
                let public = format!("{} {}", request.interaction, request.resource_type.as_deref().unwrap_or("/"));
                Query {
                    base64: BASE64.encode(public),
                    description: "The interaction; no query was recorded.".to_owned(),
                }
            }
        }
    }

    fn patient(&self, patient: &Reference) -> ResourceRef {
        match self.context.pointing {
            Pointing::SameServer => ResourceRef {
                resource_type: patient.resource_type().to_owned(),
                pointer: Some(Pointer::Literal(patient.to_string())),
            },
            Pointing::Elsewhere | Pointing::Logical => self.resource(patient, None),
        }
    }

    fn resource(&self, reference: &Reference, version: Option<&str>) -> ResourceRef {
        let mut url = format!("{}/{reference}", self.context.gateway.base);
        if let Some(version) = version {
            url.push_str("/_history/");
            url.push_str(version);
        }
        let pointer = match self.context.pointing {
            Pointing::Elsewhere => Pointer::Literal(url),
            Pointing::SameServer | Pointing::Logical => Pointer::Logical(url),
        };
        ResourceRef { resource_type: reference.resource_type().to_owned(), pointer: Some(pointer) }
    }
}

fn caller(request: &Request) -> fhir::Caller {
    let caller = &request.caller;
    fhir::Caller {
        issuer: caller.issuer.clone(),
        subject: caller.subject.clone(),
        client: caller.client.clone(),
        organization: caller.organization.as_deref().map(party),
        roles: caller.roles.iter().map(code).collect(),
        token_id: caller.token_id.clone(),
    }
}

/// `system|value` is an identifier, anything else a reference (as `gateway_core::caller::ActorRef` prints them).
fn party(organization: &str) -> Party {
    match organization.split_once('|') {
        Some((system, value)) => Party::Identifier {
            system: Some(system.to_owned()).filter(|system| !system.is_empty()),
            value: value.to_owned(),
        },
        None => Party::Reference(organization.to_owned()),
    }
}

fn code(coding: &Coding) -> fhir::Code {
    fhir::Code { system: coding.system.clone(), code: coding.code.clone() }
}

fn distinct<'a>(rules: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for rule in rules.filter(|rule| !rule.is_empty()) {
        if !distinct.iter().any(|known| known == rule) {
            distinct.push(rule.to_owned());
        }
    }
    distinct
}
