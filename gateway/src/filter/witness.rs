//! Witness: is told of every decision, and changes none.
//!
//! A shadow policy decides again beside the rules in force ([`crate::shadow`]); an explanation notes what was decided and
//! why ([`crate::explain`]).

use std::sync::Arc;

use gateway_core::caller::Caller;
use gateway_core::decide::{Action, ConsentFacts, Others, Ruling};
use gateway_core::facts::ResourceFacts;
use gateway_core::reasons::RuleName;
use gateway_core::scope::ScopeGrant;
use time::OffsetDateTime;

/// Questions that were ruled on together, with all that they were decided on.
pub struct Ruled<'a> {
    /// Who asked.
    pub caller: &'a Arc<Caller>,
    /// When.
    pub now: OffsetDateTime,
    /// The resources, and what was to be done with each.
    pub questions: &'a [(&'a ResourceFacts, Action)],
    /// The resources that ownership hangs on.
    pub others: &'a Others,
    /// The facts of the owners.
    pub facts: &'a ConsentFacts,
    /// For resources that somebody refers to in what he writes: what his scopes grant for that.
    pub reach: Option<ScopeGrant>,
}

/// Whoever is told of decisions. It is called on the path of a request: it must not wait.
pub trait Witness: Send + Sync {
    /// These questions were ruled on, each by the ruling at its place.
    fn ruled(&self, asked: &Ruled<'_>, rulings: &[Ruling]);

    /// These elements were taken out of a resource that is shown.
    fn cut(&self, resource: &ResourceFacts, removed: &[(String, RuleName)]);

    /// The organisation's policy was asked about an interaction (by its FHIR code) on a type, and let it pass or not.
    fn organisation(
        &self,
        caller: &Arc<Caller>,
        asked: (&'static str, Option<&str>),
        now: OffsetDateTime,
        passes: bool,
    );
}
