//! Judge: each resource of a batch is decided on its own, and what is permitted is cut to what may leave.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use gateway_core::caller::Caller;
use gateway_core::decide::{
    Action, ConsentFacts, Decision, HiddenPart, Lacking, Others, Resolved, Ruling, Session, lacking, rule,
};
use gateway_core::facts::{FactsError, ResourceFacts};
use gateway_core::json::{Edits, Removal, Value};
use gateway_core::owner::PatientId;
use gateway_core::policy::Policy;
use gateway_core::reasons::{Reason, RuleName};
use gateway_core::redact::redact;
use gateway_core::reference::Bases;
use gateway_core::rewrite::rebase;
use gateway_core::scope::ScopeGrant;
use gateway_core::search_match::Image;
use time::OffsetDateTime;

use super::witness::{Ruled, Witness};
use crate::gather::Facts;
use crate::gather::versions::Lineage;
use crate::glass::{Lent, Moment};
use crate::problem::Problem;
use crate::telemetry::DecisionOutcome;

/// Decides for one caller; one for each request.
#[derive(Clone)]
pub struct Judge {
    facts: Arc<Facts>,
    policy: Arc<Policy>,
    caller: Arc<Caller>,
    now: OffsetDateTime,
    /// Emergency access that the caller holds.
    lent: Lent,
    /// What a transaction is about to make, by the names that it has until then.
    made: Arc<BTreeMap<String, ResourceFacts>>,
    /// Who is told of each decision.
    witness: Option<Arc<dyn Witness>>,
}

/// A resource that stands for a decision.
pub(crate) struct Subject<'a> {
    /// The resource, inside whatever it was parsed with.
    pub(crate) resource: Value<'a>,
    /// The source that `resource` points into.
    pub(crate) source: &'a [u8],
    /// Its facts.
    pub(crate) facts: ResourceFacts,
    /// What is to be done with it.
    pub(crate) action: Action,
}

/// What was decided on one resource.
pub(crate) enum Judged {
    /// It may leave, as these bytes.
    Shown(Box<Shown>),
    /// It may not.
    Hidden {
        /// The patients whose Consents kept it back; empty where another rule did.
        owners: Vec<PatientId>,
        /// Why.
        reasons: Vec<Reason>,
    },
}

/// A resource that may leave.
pub(crate) struct Shown {
    /// The resource, on the public base, without what was removed.
    pub(crate) bytes: Vec<u8>,
    /// Whose it is; empty for universal resources.
    pub(crate) owners: Vec<PatientId>,
    /// The decision.
    pub(crate) decision: Decision,
    /// The elements that were there and are not any more, with the rules that removed them.
    pub(crate) removed: Vec<(String, RuleName)>,
    /// Whether hidden targets were taken out of a Provenance, or hidden members out of a Group.
    pub(crate) parts_dropped: bool,
    /// Of these, the ones that Consent hides.
    pub(crate) hidden_parts: Vec<HiddenPart>,
}

/// Whom Consent, or a limit, kept something back of.
pub(crate) struct Withheld {
    /// The patients.
    pub(crate) owners: Vec<PatientId>,
    /// Why.
    pub(crate) reasons: Vec<Reason>,
}

impl Judge {
    /// A judge for this caller at this time.
    pub fn new(facts: Arc<Facts>, policy: Arc<Policy>, caller: Arc<Caller>, now: OffsetDateTime) -> Self {
        Self { facts, policy, caller, now, lent: Lent::default(), made: Arc::default(), witness: None }
    }

    /// The same judge, for a caller who holds these grants. One that ends meanwhile counts no more.
    #[must_use]
    pub(crate) fn lending(self, lent: Lent) -> Self {
        Self { lent, ..self }
    }

    /// The same judge, whose every decision somebody is told of.
    #[must_use]
    pub fn seen_by(self, witness: Option<Arc<dyn Witness>>) -> Self {
        Self { witness, ..self }
    }

    /// The same judge, for whom these resources are there.
    pub(crate) fn with_made(self, made: Arc<BTreeMap<String, ResourceFacts>>) -> Self {
        Self { made, ..self }
    }

    /// Whose answers these are.
    pub(crate) fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// The policy that is decided under.
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The two names of the upstream.
    pub(crate) fn bases(&self) -> &Bases {
        &self.facts.bases
    }

    /// Reads a resource for a decision.
    ///
    /// # Errors
    /// [`Problem::Absent`] where it cannot be told whose it is or how it is labelled: such a resource is hidden, and no
    /// error may tell of it.
    pub(crate) fn subject<'a>(
        &self,
        source: &'a [u8],
        resource: Value<'a>,
        action: Action,
    ) -> Result<Subject<'a>, Problem> {
        let mut facts = ResourceFacts::of(resource, self.bases()).map_err(|error| match error {
            FactsError::NotAResource => Problem::Unfilterable("upstream-malformed-resource"),
            FactsError::Malformed(what) => {
                tracing::warn!(what, "a stored resource is not readable, so it is hidden");
                Problem::Absent
            }
        })?;
        self.match_filters(resource, Image::Stored, &mut facts);
        Ok(Subject { resource, source, facts, action })
    }

    /// Notes which of the caller's granular scopes may reach a resource.
    pub(crate) fn match_filters(&self, resource: Value<'_>, image: Image, facts: &mut ResourceFacts) {
        facts.match_filters(resource, image, &self.caller.scopes, &self.policy, self.bases());
    }

    /// What the caller's scopes grant for this resource.
    pub(crate) fn reach(&self, facts: &ResourceFacts, action: Action) -> ScopeGrant {
        let nothing = ConsentFacts::default();
        Session::open(&self.caller, &nothing, &self.policy, self.now).reach(action, facts)
    }

    /// What is to be put on record of a resource that is too large to be read. It is hidden from everybody, as if it were
    /// not there, since whether it may be seen cannot be known (docs/adr/0031); the owners that its summary tells of
    /// have a record of it. `None` where there is none to be had: no error may tell of it either.
    pub(crate) async fn too_large(&self, name: Option<&str>, action: Action) -> Option<Withheld> {
        self.facts.metrics.decision(DecisionOutcome::Hide, RuleName::ResourceTooLarge.as_str());
        tracing::warn!("a stored resource is larger than server.limits.entry, so it is hidden");
        let facts = self.facts.resources.outline(name?).await?;
        let ruling = self.decide_all(&[(&facts, action)]).await.ok()?.into_iter().next()?;
        let withheld = match ruling.permits() {
            true => Withheld { reasons: vec![Reason::of(RuleName::ResourceTooLarge)], owners: ruling.owners },
            false => Withheld { owners: ruling.refusing_owners(), reasons: ruling.reasons() },
        };
        (!withheld.owners.is_empty()).then_some(withheld)
    }

    /// What is known of all versions of these resources (`Type/id`), where none is larger than `largest` bytes.
    pub(crate) async fn lineages(
        &self,
        names: &BTreeSet<String>,
        largest: usize,
    ) -> Result<BTreeMap<String, Lineage>, Problem> {
        let noted = |resource: Value<'_>, facts: &mut ResourceFacts| {
            self.match_filters(resource, Image::Stored, facts);
        };
        self.facts.resources.lineages(names, largest, &noted).await
    }

    /// Decides on each resource and cuts those that may leave. All facts are gathered first, in as few queries as can be.
    pub(crate) async fn judge(&self, subjects: &[Subject<'_>]) -> Result<Vec<Judged>, Problem> {
        let questions: Vec<(&ResourceFacts, Action)> = subjects.iter().map(|s| (&s.facts, s.action)).collect();
        let rulings = self.decide_all(&questions).await?;
        subjects.iter().zip(rulings).map(|(subject, ruling)| self.cut(subject, ruling)).collect()
    }

    /// Decides on each resource.
    pub(crate) async fn decide_all(&self, questions: &[(&ResourceFacts, Action)]) -> Result<Vec<Ruling>, Problem> {
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method is of one lifetime of the session only"
        )]
        self.rule_on(questions, None, |session, action, facts| session.decide(action, facts)).await
    }

    /// Decides on stored resources by their names (`Type/id`); what is not there has no ruling.
    pub(crate) async fn decide_named(
        &self,
        names: &BTreeSet<String>,
        action: Action,
    ) -> Result<Vec<(ResourceFacts, Ruling)>, Problem> {
        let found = self.targets(names).await?;
        let questions: Vec<_> = found.values().map(|facts| (facts, action)).collect();
        let rulings = self.decide_all(&questions).await?;
        Ok(found.into_values().zip(rulings).collect())
    }

    /// Whether an action is refused by what the caller brings along, whatever is stored.
    pub(crate) fn refuses_outright(&self, facts: &ResourceFacts, action: Action) -> bool {
        // A Binary without a context is whose the documents are that point to it.
        let by_referrers = facts.resource_type.as_str() == "Binary" && facts.id.is_some();
        let nothing = ConsentFacts::default();
        let session = Session::open(&self.caller, &nothing, &self.policy, self.now);
        !by_referrers && session.refuses_outright(action, facts).is_some()
    }

    /// Decides whether the caller may read the resource of this name (`Type/id`). If not, the ruling that hides it, which is
    /// none where it is not there.
    pub(crate) async fn may_read(&self, name: &str) -> Result<Result<(), Option<Ruling>>, Problem> {
        let found = self.targets(&BTreeSet::from([name.to_owned()])).await?;
        let Some(facts) = found.get(name) else { return Ok(Err(None)) };
        let rulings = self.decide_all(&[(facts, Action::Read)]).await?;
        Ok(match rulings.into_iter().next() {
            Some(ruling) if ruling.permits() => Ok(()),
            hides => Err(hides),
        })
    }

    /// Decides whether the caller may refer to all of these resources (`Type/id`): each is there, and he may know of it.
    /// If not, the rulings that hide what is hidden, which are none where everything that lacks is absent.
    ///
    /// `reach` is what his scopes grant for what he writes ([`Session::decide_reference`]).
    pub(crate) async fn may_refer(
        &self,
        names: &BTreeSet<String>,
        reach: ScopeGrant,
    ) -> Result<Result<(), Vec<Ruling>>, Problem> {
        let named = names.iter().filter(|name| name.starts_with("Patient/"));
        let named: BTreeSet<PatientId> = named.filter_map(|name| PatientId::parse(name).ok()).collect();
        // Their Consents are asked for whether they are there or not, so that both take the same queries.
        self.facts.consents.of(&named).await?;
        let found = self.targets(names).await?;
        let questions: Vec<_> = found.values().map(|facts| (facts, Action::Read)).collect();
        let rulings =
            self.rule_on(&questions, Some(reach), |session, _, facts| session.decide_reference(reach, facts)).await?;
        let hidden: Vec<Ruling> = rulings.into_iter().filter(|ruling| !ruling.permits()).collect();
        Ok(if found.len() == names.len() && hidden.is_empty() { Ok(()) } else { Err(hidden) })
    }

    async fn rule_on(
        &self,
        questions: &[(&ResourceFacts, Action)],
        reach: Option<ScopeGrant>,
        decide: impl Fn(&Session<'_>, Action, &ResourceFacts) -> Decision,
    ) -> Result<Vec<Ruling>, Problem> {
        let others = self.others(questions).await?;
        let resolved: Vec<(Resolved, Action)> =
            questions.iter().map(|(facts, action)| (Resolved::of(facts, &others), *action)).collect();
        let holders: Vec<Resolved> = others.by_name.values().map(|facts| Resolved::of(facts, &others)).collect();
        let asked = resolved.iter().map(|(resource, _)| resource).chain(&holders);
        let patients: BTreeSet<PatientId> = asked.flat_map(Resolved::patients).collect();
        let facts = self.facts.of(&self.caller, &patients, self.policy.settings().patient_links).await?;
        // After the last wait: what was gathered may have come late.
        let caller = match self.lent.is_empty() {
            true => Arc::clone(&self.caller),
            false => self.lent.given_to(Arc::clone(&self.caller), Moment::now()),
        };
        let session = Session::open(&caller, &facts, &self.policy, self.now);
        let timed = |(resource, action)| {
            let begun = Instant::now();
            let ruling = rule(resource, action, &others, |action, facts| decide(&session, action, facts));
            self.facts.metrics.decision_time(begun.elapsed());
            let too_many = |reason: &Reason| reason.rule == RuleName::ConsentsTooMany;
            if ruling.decision.reasons().iter().any(too_many) {
                self.facts.metrics.decision(DecisionOutcome::Hide, RuleName::ConsentsTooMany.as_str());
            }
            ruling
        };
        let rulings: Vec<Ruling> = resolved.into_iter().map(timed).collect();
        if let Some(witness) = &self.witness {
            let (caller, others, facts) = (&caller, &others, &facts);
            witness.ruled(&Ruled { caller, now: self.now, questions, others, facts, reach }, &rulings);
        }
        Ok(rulings)
    }

    /// The facts of the resources that ownership hangs on.
    async fn others(&self, questions: &[(&ResourceFacts, Action)]) -> Result<Others, Problem> {
        let mut names = BTreeSet::new();
        let mut found = Others::default();
        for (facts, _) in questions {
            match lacking(facts) {
                Lacking::Named(holders) => names.extend(holders.iter().cloned()),
                Lacking::Referrers(id) => {
                    let referrers = self.facts.resources.referrers_of_binary(id).await?;
                    found.referrers.insert(id.to_owned(), referrers);
                }
                Lacking::Nothing => {}
            }
        }
        let (made, stored): (BTreeSet<String>, BTreeSet<String>) =
            names.into_iter().partition(|name| self.made.contains_key(name));
        if !stored.is_empty() {
            found.by_name = self.targets(&stored).await?;
        }
        found.by_name.extend(made.into_iter().filter_map(|name| Some((name.clone(), self.made.get(&name)?.clone()))));
        Ok(found)
    }

    /// The facts of stored resources that are decided on too.
    pub(crate) async fn targets(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, ResourceFacts>, Problem> {
        let noted = |resource: Value<'_>, facts: &mut ResourceFacts| {
            self.match_filters(resource, Image::Stored, facts);
        };
        self.facts.resources.noted_facts_of(names, &noted).await
    }

    fn cut(&self, subject: &Subject<'_>, ruling: Ruling) -> Result<Judged, Problem> {
        let Some(permit) = ruling.decision.permit() else {
            return Ok(Judged::Hidden { owners: ruling.refusing_owners(), reasons: ruling.reasons() });
        };
        let mut edits = Edits::new();
        let removed = redact(subject.resource, permit.redactions(), &mut edits)
            .map_err(|_| Problem::Unfilterable("redaction-failed"))?;
        rebase(subject.resource, &self.bases().upstream, &self.bases().public, &mut edits);
        let parts_dropped = match ruling.drop_hidden(subject.resource, self.bases(), &mut edits) {
            Removal::Untouched => false,
            Removal::Some => true,
            Removal::Emptied => return Err(Problem::Unfilterable("redaction-failed")),
        };
        let bytes = edits
            .apply_within(subject.source, subject.resource.span())
            .map_err(|_| Problem::Unfilterable("redaction-failed"))?;
        let removed = removed.iter().map(|path| {
            let path = path.to_string();
            let rule = ruling.decision.reasons().iter().find(|r| r.detail.as_deref() == Some(path.as_str()));
            let rule = rule.map_or(RuleName::RedactionRule, |reason| reason.rule);
            (path, rule)
        });
        let removed: Vec<(String, RuleName)> = removed.collect();
        if let Some(witness) = &self.witness {
            witness.cut(&subject.facts, &removed);
        }
        Ok(Judged::Shown(Box::new(Shown {
            bytes,
            owners: ruling.owners,
            decision: ruling.decision,
            removed,
            parts_dropped,
            hidden_parts: ruling.hidden,
        })))
    }
}
