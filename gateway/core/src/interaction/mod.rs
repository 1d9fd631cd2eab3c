//! Which FHIR R4 interaction a request is (<https://hl7.org/fhir/R4/http.html>).
//!
//! Every interaction is understood by name; which of them are served is a second question ([`Interaction::served`]), so
//! that nothing is passed on because nobody knew it.

mod chain;
mod check;
mod history;
mod parse;
mod prefer;
mod query;
mod refusal;

#[cfg(test)]
mod tests;

pub use chain::Chain;
pub use check::{CheckedSearch, Include, KnownParams, Total};
pub use history::CheckedHistory;
pub use parse::{Headers, Request};
pub use prefer::{Handling, Preferences, Return, is_json};
pub use query::{MAX_QUERY, MAX_REPEATS, MAX_VALUE, Param, SearchQuery};
pub use refusal::Refusal;

use crate::operations;
use crate::resource_type::ResourceType;
use crate::scope::Letter;
use crate::trim::Trim;

/// A FHIR R4 REST interaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interaction {
    /// `GET metadata`
    Capabilities,
    /// `GET .well-known/smart-configuration`
    SmartConfiguration,
    /// `GET [type]/[id]`
    Read {
        /// The type.
        rtype: ResourceType,
        /// The id.
        id: String,
        /// How much of it.
        trim: Trim,
    },
    /// `GET [type]/[id]/_history/[version]`
    Vread {
        /// The type.
        rtype: ResourceType,
        /// The id.
        id: String,
        /// The version.
        version: String,
        /// How much of it.
        trim: Trim,
    },
    /// `PUT [type]/[id]`
    Update {
        /// The type.
        rtype: ResourceType,
        /// The id.
        id: String,
    },
    /// `PUT [type]?criteria`
    ConditionalUpdate {
        /// The type.
        rtype: ResourceType,
        /// The criteria.
        criteria: SearchQuery,
    },
    /// `PATCH [type]/[id]`
    Patch {
        /// The type.
        rtype: ResourceType,
        /// The id.
        id: String,
    },
    /// `PATCH [type]?criteria`
    ConditionalPatch {
        /// The type.
        rtype: ResourceType,
        /// The criteria.
        criteria: SearchQuery,
    },
    /// `DELETE [type]/[id]`
    Delete {
        /// The type.
        rtype: ResourceType,
        /// The id.
        id: String,
    },
    /// `DELETE [type]?criteria`
    ConditionalDelete {
        /// The type.
        rtype: ResourceType,
        /// The criteria.
        criteria: SearchQuery,
    },
    /// `POST [type]`
    Create {
        /// The type.
        rtype: ResourceType,
    },
    /// `POST [type]` with `If-None-Exist`
    ConditionalCreate {
        /// The type.
        rtype: ResourceType,
        /// The criteria.
        criteria: SearchQuery,
    },
    /// `GET [type]?…` or `POST [type]/_search`
    SearchType {
        /// The type.
        rtype: ResourceType,
        /// URL and form parameters.
        query: SearchQuery,
        /// How it came.
        via: Via,
    },
    /// `GET ?…` or `POST _search`
    SearchSystem {
        /// URL and form parameters.
        query: SearchQuery,
        /// How it came.
        via: Via,
    },
    /// `GET [compartment]/[id]/[type|*]?…`
    SearchCompartment {
        /// The type that defines the compartment.
        compartment: ResourceType,
        /// Whose compartment it is.
        id: String,
        /// The type searched for; `None` is `*`.
        rtype: Option<ResourceType>,
        /// URL and form parameters.
        query: SearchQuery,
        /// How it came.
        via: Via,
    },
    /// `GET [type]/[id]/_history`
    HistoryInstance {
        /// The type.
        rtype: ResourceType,
        /// The id.
        id: String,
        /// Its parameters.
        query: SearchQuery,
    },
    /// `GET [type]/_history`
    HistoryType {
        /// The type.
        rtype: ResourceType,
        /// Its parameters.
        query: SearchQuery,
    },
    /// `GET _history`
    HistorySystem {
        /// Its parameters.
        query: SearchQuery,
    },
    /// `POST` to the base with a batch; a transaction too until its body is looked at.
    Batch,
    /// `POST` to the base with a transaction.
    Transaction,
    /// `$name` on the system, a type, an instance or a version
    Operation {
        /// On what.
        level: OperationLevel,
        /// The name with its `$`, from the table of known operations.
        name: &'static str,
        /// Its parameters in the URL.
        query: SearchQuery,
    },
}

/// How a search came; both mean the same (FHIR R4, search).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// `GET` (or `HEAD`)
    Get,
    /// `POST …/_search`
    Post,
}

/// What an operation is invoked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationLevel {
    /// The whole system.
    System,
    /// A type.
    Type(ResourceType),
    /// An instance.
    Instance(ResourceType, String),
    /// A version of an instance.
    Version(ResourceType, String, String),
}

impl Interaction {
    /// Its own name, conditional forms told apart: what refusals and metrics say.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SmartConfiguration => "smart-configuration",
            Self::ConditionalUpdate { .. } => "conditional-update",
            Self::ConditionalPatch { .. } => "conditional-patch",
            Self::ConditionalDelete { .. } => "conditional-delete",
            Self::ConditionalCreate { .. } => "conditional-create",
            Self::SearchCompartment { .. } => "search-compartment",
            Self::Operation { name, .. } => name,
            Self::Capabilities
            | Self::Read { .. }
            | Self::Vread { .. }
            | Self::Update { .. }
            | Self::Patch { .. }
            | Self::Delete { .. }
            | Self::Create { .. }
            | Self::SearchType { .. }
            | Self::SearchSystem { .. }
            | Self::HistoryInstance { .. }
            | Self::HistoryType { .. }
            | Self::HistorySystem { .. }
            | Self::Batch
            | Self::Transaction => self.code(),
        }
    }

    /// The code of FHIR's `restful-interaction` code system that an access event carries.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Capabilities | Self::SmartConfiguration => "capabilities",
            Self::Read { .. } => "read",
            Self::Vread { .. } => "vread",
            Self::Update { .. } | Self::ConditionalUpdate { .. } => "update",
            Self::Patch { .. } | Self::ConditionalPatch { .. } => "patch",
            Self::Delete { .. } | Self::ConditionalDelete { .. } => "delete",
            Self::Create { .. } | Self::ConditionalCreate { .. } => "create",
            Self::SearchType { .. } | Self::SearchCompartment { .. } => "search-type",
            Self::SearchSystem { .. } => "search-system",
            Self::HistoryInstance { .. } => "history-instance",
            Self::HistoryType { .. } => "history-type",
            Self::HistorySystem { .. } => "history-system",
            Self::Batch => "batch",
            Self::Transaction => "transaction",
            Self::Operation { .. } => "operation",
        }
    }

    /// The type that it is about, where it is about one.
    pub fn resource_type(&self) -> Option<ResourceType> {
        match self {
            Self::Read { rtype, .. }
            | Self::Vread { rtype, .. }
            | Self::Update { rtype, .. }
            | Self::ConditionalUpdate { rtype, .. }
            | Self::Patch { rtype, .. }
            | Self::ConditionalPatch { rtype, .. }
            | Self::Delete { rtype, .. }
            | Self::ConditionalDelete { rtype, .. }
            | Self::Create { rtype }
            | Self::ConditionalCreate { rtype, .. }
            | Self::SearchType { rtype, .. }
            | Self::HistoryInstance { rtype, .. }
            | Self::HistoryType { rtype, .. } => Some(*rtype),
            Self::SearchCompartment { rtype, .. } => *rtype,
            Self::Operation { level, .. } => match level {
                OperationLevel::System => None,
                OperationLevel::Type(rtype)
                | OperationLevel::Instance(rtype, _)
                | OperationLevel::Version(rtype, ..) => Some(*rtype),
            },
            Self::Capabilities
            | Self::SmartConfiguration
            | Self::SearchSystem { .. }
            | Self::HistorySystem { .. }
            | Self::Batch
            | Self::Transaction => None,
        }
    }

    /// The scope letters that it needs on its type, all of them; none for what needs no scope or has a table of its own.
    pub fn letters(&self) -> &'static [Letter] {
        match self {
            Self::Read { .. } | Self::Vread { .. } | Self::HistoryInstance { .. } => &[Letter::Read],
            Self::Update { .. } | Self::Patch { .. } => &[Letter::Update],
            Self::ConditionalUpdate { .. } => &[Letter::Create, Letter::Update, Letter::Search],
            Self::ConditionalPatch { .. } => &[Letter::Update, Letter::Search],
            Self::Delete { .. } => &[Letter::Delete],
            Self::ConditionalDelete { .. } => &[Letter::Delete, Letter::Search],
            Self::Create { .. } => &[Letter::Create],
            Self::ConditionalCreate { .. } => &[Letter::Create, Letter::Search],
            Self::SearchType { .. }
            | Self::SearchSystem { .. }
            | Self::SearchCompartment { .. }
            | Self::HistoryType { .. }
            | Self::HistorySystem { .. } => &[Letter::Search],
            Self::Operation { level, name, .. } => {
                match operations::served(name, level).and_then(|row| row.letter(level)) {
                    Some(Letter::Create) => &[Letter::Create],
                    Some(Letter::Read) => &[Letter::Read],
                    Some(Letter::Update) => &[Letter::Update],
                    Some(Letter::Delete) => &[Letter::Delete],
                    Some(Letter::Search) => &[Letter::Search],
                    None => &[],
                }
            }
            Self::Capabilities | Self::SmartConfiguration | Self::Batch | Self::Transaction => &[],
        }
    }

    /// Whether it changes what is stored: then its intent is recorded before it is forwarded.
    pub fn is_write(&self) -> bool {
        match self {
            Self::Update { .. }
            | Self::ConditionalUpdate { .. }
            | Self::Patch { .. }
            | Self::ConditionalPatch { .. }
            | Self::Delete { .. }
            | Self::ConditionalDelete { .. }
            | Self::Create { .. }
            | Self::ConditionalCreate { .. }
            | Self::Batch
            | Self::Transaction => true,
            // Those that are served only look.
            Self::Operation { level, name, .. } => operations::served(name, level).is_none(),
            Self::Capabilities
            | Self::SmartConfiguration
            | Self::Read { .. }
            | Self::Vread { .. }
            | Self::SearchType { .. }
            | Self::SearchSystem { .. }
            | Self::SearchCompartment { .. }
            | Self::HistoryInstance { .. }
            | Self::HistoryType { .. }
            | Self::HistorySystem { .. } => false,
        }
    }

    /// Refuses by name what this version does not serve.
    pub fn served(&self) -> Result<(), Refusal> {
        match self {
            Self::Capabilities
            | Self::SmartConfiguration
            | Self::Read { .. }
            | Self::Vread { .. }
            | Self::SearchType { .. }
            | Self::HistoryInstance { .. }
            | Self::HistoryType { .. }
            | Self::HistorySystem { .. }
            | Self::Create { .. }
            | Self::ConditionalCreate { .. }
            | Self::Update { .. }
            | Self::ConditionalUpdate { .. }
            | Self::Patch { .. }
            | Self::ConditionalPatch { .. }
            | Self::Delete { .. }
            | Self::ConditionalDelete { .. }
            | Self::Batch
            | Self::Transaction => Ok(()),
            Self::SearchCompartment { compartment: ResourceType::PATIENT, .. } => Ok(()),
            Self::Operation { level, name, .. } if operations::served(name, level).is_some() => Ok(()),
            Self::SearchSystem { .. } | Self::SearchCompartment { .. } | Self::Operation { .. } => {
                Err(Refusal::NotServed(self.name()))
            }
        }
    }
}
