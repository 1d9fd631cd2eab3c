//! Why a request is refused before anything is decided: by its form alone, so the answer tells nothing about data.

/// A request that is not understood, not allowed in form, or not served.
///
/// The message never holds what the client sent: names in it come from closed tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// An HTTP method that FHIR does not use.
    #[error("this HTTP method is not used by FHIR")]
    MethodUnknown,
    /// A header or parameter that asks for another method than the request's.
    #[error("method override is not allowed")]
    MethodOverride,
    /// The path is longer than the limit.
    #[error("the path is too long")]
    PathTooLong,
    /// A percent-encoded character in the path; no FHIR path needs one.
    #[error("the path must not be percent-encoded")]
    PathEncoded,
    /// An empty segment, a dot segment, or a character that no FHIR path has.
    #[error("the path has an empty, dot or malformed segment")]
    PathSegment,
    /// The first segment names no FHIR R4 resource type.
    #[error("not a FHIR R4 resource type")]
    ResourceTypeUnknown,
    /// A logical id or version id that FHIR does not allow.
    #[error("not a FHIR id")]
    IdMalformed,
    /// Method and path together are no FHIR R4 interaction.
    #[error("not a FHIR R4 interaction")]
    InteractionUnknown,
    /// An operation that the gateway's table does not have.
    #[error("the operation is not known to this server")]
    OperationUnknown,
    /// Understood, but not served by this version.
    #[error("{0} is not served yet")]
    NotServed(&'static str),
    /// The query, or query and form together, are longer than the limit.
    #[error("the query is too long")]
    QueryTooLong,
    /// Malformed percent-encoding, not UTF-8, or a control character.
    #[error("the query is not properly encoded")]
    QueryEncoding,
    /// A parameter without `=`, or without a value.
    #[error("a parameter has no value")]
    ParameterMalformed,
    /// A parameter name with characters that no search parameter has.
    #[error("a parameter name is malformed")]
    ParameterName,
    /// A parameter stands more often than the limit allows.
    #[error("a parameter is repeated too often")]
    ParameterRepeated,
    /// A value is longer than the limit.
    #[error("a parameter value is too long")]
    ValueTooLong,
    /// A parameter that the server does not know, and the client asked for strict handling or the request writes.
    #[error("a parameter is not known to this server")]
    ParameterUnknown,
    /// A parameter, modifier or form of one that reaches further than can be filtered; by its name.
    #[error("{0} is not supported")]
    ParameterRefused(&'static str),
    /// A modifier that is not in the table.
    #[error("a modifier is not known to this server")]
    ModifierUnknown,
    /// A result parameter with a value that FHIR does not give it.
    #[error("{0} has a value that is not allowed")]
    ValueRefused(&'static str),
    /// A conditional interaction without criteria.
    #[error("a conditional interaction needs criteria")]
    CriteriaMissing,
    /// A format that the gateway cannot filter.
    #[error("the format is not served")]
    FormatNotServed,
    /// The body's content type is not what the interaction takes.
    #[error("the content type is not accepted here")]
    ContentType,
    /// `Prefer: respond-async`.
    #[error("asynchronous answers are not served")]
    RespondAsync,
    /// A `Prefer` header that contradicts itself or has a value that FHIR does not give it.
    #[error("the Prefer header is malformed")]
    Prefer,
}

impl Refusal {
    /// The stable name of the refusal, for clients, events and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MethodUnknown => "method-unknown",
            Self::MethodOverride => "method-override",
            Self::PathTooLong => "path-too-long",
            Self::PathEncoded => "path-encoded",
            Self::PathSegment => "path-segment",
            Self::ResourceTypeUnknown => "resource-type-unknown",
            Self::IdMalformed => "id-malformed",
            Self::InteractionUnknown => "interaction-unknown",
            Self::OperationUnknown => "operation-unknown",
            Self::NotServed(_) => "not-served",
            Self::QueryTooLong => "query-too-long",
            Self::QueryEncoding => "query-encoding",
            Self::ParameterMalformed => "parameter-malformed",
            Self::ParameterName => "parameter-name",
            Self::ParameterRepeated => "parameter-repeated",
            Self::ValueTooLong => "value-too-long",
            Self::ParameterUnknown => "parameter-unknown",
            Self::ParameterRefused(_) => "parameter-refused",
            Self::ModifierUnknown => "modifier-unknown",
            Self::ValueRefused(_) => "value-refused",
            Self::CriteriaMissing => "criteria-missing",
            Self::FormatNotServed => "format-not-served",
            Self::ContentType => "content-type",
            Self::RespondAsync => "respond-async",
            Self::Prefer => "prefer-malformed",
        }
    }

    /// The HTTP status that says so.
    pub fn status(&self) -> u16 {
        match self {
            Self::MethodUnknown => 405,
            Self::PathTooLong | Self::QueryTooLong => 414,
            Self::ResourceTypeUnknown | Self::InteractionUnknown | Self::OperationUnknown => 404,
            Self::NotServed(_) => 501,
            Self::FormatNotServed => 406,
            Self::ContentType => 415,
            Self::MethodOverride
            | Self::PathEncoded
            | Self::PathSegment
            | Self::IdMalformed
            | Self::QueryEncoding
            | Self::ParameterMalformed
            | Self::ParameterName
            | Self::ParameterRepeated
            | Self::ValueTooLong
            | Self::ParameterUnknown
            | Self::ParameterRefused(_)
            | Self::ModifierUnknown
            | Self::ValueRefused(_)
            | Self::CriteriaMissing
            | Self::RespondAsync
            | Self::Prefer => 400,
        }
    }

    /// The name in the message, where it has one: an interaction, a parameter, a modifier.
    pub fn detail(&self) -> Option<&'static str> {
        match self {
            Self::NotServed(name) | Self::ParameterRefused(name) | Self::ValueRefused(name) => Some(name),
            Self::MethodUnknown
            | Self::MethodOverride
            | Self::PathTooLong
            | Self::PathEncoded
            | Self::PathSegment
            | Self::ResourceTypeUnknown
            | Self::IdMalformed
            | Self::InteractionUnknown
            | Self::OperationUnknown
            | Self::QueryTooLong
            | Self::QueryEncoding
            | Self::ParameterMalformed
            | Self::ParameterName
            | Self::ParameterRepeated
            | Self::ValueTooLong
            | Self::ParameterUnknown
            | Self::ModifierUnknown
            | Self::CriteriaMissing
            | Self::FormatNotServed
            | Self::ContentType
            | Self::RespondAsync
            | Self::Prefer => None,
        }
    }
}
