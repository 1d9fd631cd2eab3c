//! Which elements of a permitted resource are removed: by the operator's rules and by labels on the element.

use std::collections::BTreeSet;

use super::{Action, Session};
use crate::caller::Caller;
use crate::coding::Coding;
use crate::consent::Effect;
use crate::consent::truth::Truth;
use crate::facts::ResourceFacts;
use crate::labels::Labels;
use crate::owner::PatientId;
use crate::policy::{Policy, RedactionRule};
use crate::purpose;
use crate::reasons::{Reason, RuleName};
use crate::redact::ElementPath;
use crate::resource_type::ResourceType;
use crate::search_match::Filter;

/// What the operator's rules remove. Every rule that holds for the caller is given to `redact`, since a resource of any
/// type may contain one of the rule's; a reason stands only for the resource's own type.
pub(super) fn operator_redactions(
    session: &Session<'_>,
    resource: &ResourceFacts,
    own: bool,
) -> (BTreeSet<ElementPath>, Vec<Reason>) {
    let type_prefix = format!("{}.", resource.resource_type);
    let mut paths = BTreeSet::new();
    let mut reasons = Vec::new();
    for (path, rule) in session.policy().redactions().iter().filter(|(_, rule)| applies(rule, session.caller(), own)) {
        if rule.path.starts_with(&type_prefix) {
            reasons.push(Reason::of(RuleName::RedactionRule).with_detail(rule.path.as_str()));
        }
        paths.insert(path.clone());
    }
    (paths, reasons)
}

/// Whether the operator's rules take elements of a type away from this caller (in somebody's record, at least).
///
/// Such a caller may not search the type by what is taken away.
pub fn redacts(caller: &Caller, resource_type: ResourceType, policy: &Policy) -> bool {
    let type_prefix = format!("{resource_type}.");
    let mut rules = policy.redactions().iter();
    rules.any(|(_, rule)| rule.path.starts_with(&type_prefix) && applies(rule, caller, false))
}

/// Whether a scope's filter looks at an element that is, or may be, taken away from this caller: that the resource matches
/// would tell of it. An element with a label of its own counts as one.
pub(super) fn looks_at_redacted(session: &Session<'_>, resource: &ResourceFacts, filter: &Filter) -> bool {
    let rtype = resource.resource_type;
    let mut rules = session.policy().redactions().iter();
    let by_operator = rules.any(|(path, rule)| filter.looks_at(rtype, path) && applies(rule, session.caller(), false));
    let labelled = |path: &str| ElementPath::parse(path).map_or(true, |path| filter.looks_at(rtype, &path));
    by_operator || resource.inline_labels.iter().any(|element| labelled(&element.path))
}

/// Whether an operator's redaction rule holds for this caller; `own`: in the caller's own record.
fn applies(rule: &RedactionRule, caller: &Caller, own: bool) -> bool {
    let excepted = |asked: &Coding| rule.except_purposes.iter().any(|p| purpose::covers(p, asked) == Truth::True);
    let by_purpose = !caller.purposes.is_empty() && caller.purposes.iter().all(excepted);
    let by_role = caller.roles.iter().any(|role| rule.except_roles.contains(role));
    !(by_purpose || by_role || (own && rule.except_own_record))
}

/// The elements whose inline labels are not permitted; `Err` where one of them cannot be removed.
pub(super) fn element_redactions(
    session: &Session<'_>,
    action: Action,
    resource: &ResourceFacts,
    patients: &[PatientId],
    labels: &Labels,
) -> Result<(BTreeSet<ElementPath>, Vec<Reason>), Box<Reason>> {
    let mut paths = BTreeSet::new();
    let mut reasons = Vec::new();
    for element in &resource.inline_labels {
        let labels = labels.with(&session.element_labels(&element.labels));
        let denied = |patient: &PatientId| session.ask(patient, action, resource, &labels).effect == Effect::Deny;
        if patients.iter().any(denied) {
            let reason = Reason::of(RuleName::ElementLabel).with_detail(element.path.as_str());
            match ElementPath::parse(&element.path) {
                Ok(path) => paths.insert(path),
                Err(_) => return Err(Box::new(reason)),
            };
            reasons.push(reason);
        }
    }
    reasons.sort();
    reasons.dedup();
    Ok((paths, reasons))
}
