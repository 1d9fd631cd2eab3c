//! What the gateway decides: interaction, scopes, compartments, labels, consent, redaction. Pure.

pub mod caller;
pub mod coding;
pub mod consent;
pub mod decide;
pub mod facts;
pub mod include;
pub mod interaction;
pub mod json;
pub mod labels;
pub mod owner;
pub mod policy;
pub mod purpose;
pub mod reasons;
pub mod redact;
pub mod reference;
pub mod resource_type;
pub mod rewrite;
pub mod scope;
pub mod version;
