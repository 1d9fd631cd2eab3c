//! What an AuditEvent is written from: plain fields, each from an access event.

/// What one AuditEvent says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// The logical id, 1 to 64 characters of FHIR's `id`. The same record always has the same one.
    pub id: String,
    /// When it was recorded, RFC 3339.
    pub recorded: String,
    /// The access event that it stands for.
    pub event: AccessEventLink,
    /// The gateway, which is server, authorizer and source.
    pub gateway: Gateway,
    /// Who asked; nobody where the gateway itself acted.
    pub caller: Option<Caller>,
    /// The purposes of use, as verified.
    pub purposes: Vec<Code>,
    /// `X-Request-Id`, where it belongs to a request.
    pub request: Option<String>,
    /// The rules that decided, codes of `sealgate-refusal`.
    pub rules: Vec<String>,
    /// What happened.
    pub statement: Statement,
}

/// Ties an AuditEvent to the sealed record (extension `sealgate-access-event`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessEventLink {
    /// The event's id, a UUID.
    pub id: String,
    /// The commitment to it, lower-case hex.
    pub commitment: String,
    /// The origin of the log that holds the commitment.
    pub log_origin: String,
}

/// The gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Its public base URL.
    pub base: String,
    /// The tenant.
    pub site: String,
}

/// Who asked, from verified claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `iss`
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// The client; absent where the token names none.
    pub client: Option<String>,
    /// The organisation on whose behalf the caller asks.
    pub organization: Option<Party>,
    /// Roles.
    pub roles: Vec<Code>,
    /// `jti`
    pub token_id: Option<String>,
}

/// An organisation, by a literal reference or a business identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Party {
    /// A reference as the configuration or the token names it.
    Reference(String),
    /// An identifier.
    Identifier {
        /// Its namespace.
        system: Option<String>,
        /// The value in it.
        value: String,
    },
}

/// A code and the system that defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The system.
    pub system: Option<String>,
    /// The code.
    pub code: String,
}

/// A resource, and how it is pointed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRef {
    /// Its type.
    pub resource_type: String,
    /// The pointer; absent where only the type is known.
    pub pointer: Option<Pointer>,
}

/// How a resource is pointed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pointer {
    /// By `Reference.reference`: the server resolves it, and many refuse one that they cannot resolve, or refuse to
    /// delete what it points at.
    Literal(String),
    /// By `Reference.identifier`, a URL as an identifier (FHIR R4, References, "Logical references").
    Logical(String),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// A RESTful access that succeeded.
    Access {
        /// What was done to what.
        access: Access,
        /// The patient whose data it concerned, where it did one's.
        patient: Option<ResourceRef>,
    },
    /// A request that was refused or failed, or what Consent withheld of a patient.
    Failure {
        /// The interaction by FHIR's code, or another word where it was not understood.
        interaction: String,
        /// How badly.
        severity: Severity,
        /// A sentence.
        description: String,
        /// The patient of whom something was withheld.
        patient: Option<ResourceRef>,
        /// The request as it was made.
        query: Option<Query>,
    },
    /// What Consents of a patient decided.
    ConsentDecision(ConsentDecision),
    /// Something that the gateway or its operator did.
    Operation {
        /// Which kind.
        kind: OperationKind,
        /// Whether it came to what was wanted: outcome 0, else 4.
        succeeded: bool,
        /// Who did it; the gateway itself where nobody is named.
        by: Option<String>,
        /// Further facts, by name.
        details: Vec<(String, String)>,
    },
}

/// A RESTful interaction and its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// One resource.
    Object {
        /// What was done to it.
        verb: Verb,
        /// The resource.
        what: ResourceRef,
        /// Its security labels.
        labels: Vec<Code>,
    },
    /// A search. What it found is told per patient, and which resources that were is not (BALP, Query).
    Search {
        /// On which level.
        scope: SearchScope,
        /// The query.
        query: Query,
    },
}

/// The request as it was made, for `entity.query`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Base64: sealed under the key of the request event, or clear where it holds no value.
    pub base64: String,
    /// What it is, in a sentence without values.
    pub description: String,
}

/// What was done to one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `create`
    Create,
    /// `read`
    Read,
    /// `vread`
    Vread,
    /// `update`
    Update,
    /// `patch`
    Patch,
    /// `delete`
    Delete,
}

/// On which level a search was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchScope {
    /// `search-type`
    Type,
    /// `search-system`
    System,
}

/// How badly a request failed (code system `audit-event-outcome`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// 4: the caller's request could not be served.
    Minor,
    /// 8: the gateway or the FHIR server failed, or Consent denied (as BALP's AuthZconsent has it).
    Serious,
}

/// What Consents of a patient decided. All four parties are known, or this is not said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentDecision {
    /// The patient.
    pub patient: ResourceRef,
    /// The Consent that decided.
    pub first: ConsentUse,
    /// Further ones.
    pub others: Vec<ConsentUse>,
    /// The organisation of the user.
    pub organization: Party,
    /// Whether they permitted.
    pub permitted: bool,
}

/// A Consent and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentUse {
    /// The Consent.
    pub consent: ResourceRef,
    /// The path of the provision.
    pub provision: String,
}

/// What the gateway or its operator did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// Requests without a caller, counted.
    Unauthenticated,
    /// The policy changed.
    PolicyChange,
    /// Audit records were read.
    AuditRead,
    /// Keys were erased.
    Erasure,
    /// A review was signed off.
    Review,
    /// An epoch of the journal ended.
    EpochClosed,
}

/// Why a record has no AuditEvent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditEventError {
    /// A value that FHIR does not allow in its element; the name of the element, never the value.
    #[error("{0} has a form that FHIR does not allow")]
    Form(&'static str),
    /// A consent decision without a caller.
    #[error("a consent decision needs a caller")]
    NoCaller,
    /// The model could not be written.
    #[error("the AuditEvent could not be written")]
    Model,
}
