//! The table of operations: what is known by name, what of it is served, and how (CONSENT.md, leak table, "operations").
//!
//! A row says on what an operation may be invoked, which scope letter it needs on that type, what it reaches and by that how
//! its output is filtered. What has no row is refused by name.

use crate::interaction::OperationLevel;
use crate::resource_type::ResourceType;
use crate::scope::Letter;

/// The gateway's own operation by which emergency access is claimed (CONSENT.md, "Break glass").
pub const BREAK_GLASS: &str = "$break-glass";

/// What an operation reaches, and so how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// One patient's record and what it refers to: each entry is decided on its own, whatever its type; a patient who is
    /// hidden answers as one who is not there.
    Record,
    /// Definitional and terminology resources, which are nobody's: the scope decides. An output that holds anything else
    /// is not released.
    Terminology,
    /// The `meta` of one resource: a read of it, cut to that.
    Meta,
    /// The resource in the body, or the stored one as the caller sees it: what it refers to is looked up as in a write.
    Validation,
    /// Nothing that is stored: it asks the gateway itself for emergency access to a patient (docs/adr/0052).
    Grant,
}

/// An operation that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name with `$`.
    pub name: &'static str,
    /// The types that it is served on; none for every type.
    pub types: &'static [&'static str],
    /// The scope letter that it needs where it is invoked on a type; `None` where it is not served there.
    pub on_type: Option<Letter>,
    /// The same where it is invoked on an instance.
    pub on_instance: Option<Letter>,
    /// What it reaches.
    pub reach: Reach,
}

/// The rows, by name and types.
pub const SERVED: &[Operation] = &[
    Operation {
        name: BREAK_GLASS,
        types: &["Patient"],
        on_type: None,
        on_instance: Some(Letter::Read),
        reach: Reach::Grant,
    },
    Operation {
        name: "$everything",
        types: &["Patient"],
        on_type: None,
        on_instance: Some(Letter::Read),
        reach: Reach::Record,
    },
    terminology("$expand", &["ValueSet"]),
    terminology("$lookup", &["CodeSystem"]),
    Operation { name: "$meta", types: &[], on_type: None, on_instance: Some(Letter::Read), reach: Reach::Meta },
    terminology("$subsumes", &["CodeSystem"]),
    terminology("$translate", &["ConceptMap"]),
    Operation {
        name: "$validate",
        types: &[],
        on_type: Some(Letter::Create),
        on_instance: Some(Letter::Update),
        reach: Reach::Validation,
    },
    terminology("$validate-code", &["CodeSystem", "ValueSet"]),
];

const fn terminology(name: &'static str, types: &'static [&'static str]) -> Operation {
    Operation { name, types, on_type: Some(Letter::Read), on_instance: Some(Letter::Read), reach: Reach::Terminology }
}

impl Operation {
    /// Whether it is served on this type, at any level.
    pub fn serves(&self, rtype: ResourceType) -> bool {
        self.types.is_empty() || self.types.contains(&rtype.as_str())
    }

    /// Its name without `$`, as a CapabilityStatement writes it.
    pub fn code(&self) -> &'static str {
        self.name.trim_start_matches('$')
    }

    /// Whether the gateway carries it out itself, whatever the FHIR server offers.
    pub fn is_own(&self) -> bool {
        self.reach == Reach::Grant
    }

    /// The canonical URL of FHIR R4's definition of it on this type, or of the gateway's own.
    pub fn definition(&self, rtype: ResourceType) -> String {
        if self.is_own() {
            return format!("https://sealgate.dev/fhir/OperationDefinition/{rtype}-{}", self.code());
        }
        let on = if self.types.is_empty() { "Resource" } else { rtype.as_str() };
        format!("http://hl7.org/fhir/OperationDefinition/{on}-{}", self.code())
    }

    /// The scope letter that it needs at this level; `None` where it is not served there.
    pub fn letter(&self, level: &OperationLevel) -> Option<Letter> {
        match level {
            OperationLevel::Type(rtype) if self.serves(*rtype) => self.on_type,
            OperationLevel::Instance(rtype, _) if self.serves(*rtype) => self.on_instance,
            OperationLevel::System
            | OperationLevel::Version(..)
            | OperationLevel::Type(_)
            | OperationLevel::Instance(..) => None,
        }
    }
}

/// The row of an operation, where it is served at this level.
pub fn served(name: &str, level: &OperationLevel) -> Option<&'static Operation> {
    SERVED.iter().find(|row| row.name == name && row.letter(level).is_some())
}

/// The name out of the table of those that are known, served or not.
pub fn known(name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|known| **known == name).copied()
}

/// Known by name (FHIR R4, Bulk Data, SMART, US Core, FAST Consent, the gateway's own); sorted.
const KNOWN: &[&str] = &[
    "$apply",
    "$break-glass",
    "$care-gaps",
    "$closure",
    "$collect-data",
    "$conforms",
    "$convert",
    "$data-requirements",
    "$diff",
    "$docref",
    "$document",
    "$evaluate",
    "$evaluate-measure",
    "$everything",
    "$expand",
    "$export",
    "$expunge",
    "$fileConsent",
    "$find",
    "$find-matches",
    "$graph",
    "$graphql",
    "$implements",
    "$import",
    "$lastn",
    "$lookup",
    "$match",
    "$member-match",
    "$merge",
    "$meta",
    "$meta-add",
    "$meta-delete",
    "$populate",
    "$populatehtml",
    "$populatelink",
    "$preferred-id",
    "$process-message",
    "$purge",
    "$questionnaire",
    "$record-disclosure",
    "$reindex",
    "$revokeConsent",
    "$snapshot",
    "$stats",
    "$submit-data",
    "$subset",
    "$subsumes",
    "$suggest-claims",
    "$transform",
    "$translate",
    "$validate",
    "$validate-code",
    "$versions",
];

#[cfg(test)]
mod tests;
