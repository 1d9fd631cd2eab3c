//! Judge: each resource of a batch is decided on its own, and what is permitted is cut to what may leave.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use gateway_core::caller::Caller;
use gateway_core::consent::Effect;
use gateway_core::decide::{Action, ConsentFacts, Decision, Session};
use gateway_core::facts::{FactsError, ResourceFacts};
use gateway_core::json::{Edits, Removal, Value};
use gateway_core::owner::{NoOwner, Owners, PatientId};
use gateway_core::policy::Policy;
use gateway_core::reasons::{Reason, RuleName};
use gateway_core::redact::redact;
use gateway_core::reference::{Bases, Target};
use gateway_core::rewrite::rebase;
use gateway_core::scope::ScopeGrant;
use time::OffsetDateTime;

use crate::gather::Facts;
use crate::problem::Problem;
use crate::telemetry::DecisionOutcome;

/// Decides for one caller; one for each request.
#[derive(Clone)]
pub struct Judge {
    facts: Arc<Facts>,
    policy: Arc<Policy>,
    caller: Arc<Caller>,
    now: OffsetDateTime,
    /// What a transaction is about to make, by the names that it has until then.
    made: Arc<BTreeMap<String, ResourceFacts>>,
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
    /// Whether hidden targets were taken out of a Provenance.
    pub(crate) targets_dropped: bool,
    /// Of these, the ones that Consent hides.
    pub(crate) hidden_targets: Vec<HiddenTarget>,
}

/// A target of a Provenance that Consent hides.
pub(crate) struct HiddenTarget {
    /// `Type/id`.
    pub(crate) name: String,
    /// The patients whose Consents hide it.
    pub(crate) owners: Vec<PatientId>,
    /// Why.
    pub(crate) reasons: Vec<Reason>,
}

/// Whom Consent, or a limit, kept something back of.
pub(crate) struct Withheld {
    /// The patients.
    pub(crate) owners: Vec<PatientId>,
    /// Why.
    pub(crate) reasons: Vec<Reason>,
}

/// What [`Judge::decide_all`] answers for one resource.
pub(crate) struct Ruling {
    /// The decision.
    pub(crate) decision: Decision,
    /// Whose the resource is.
    pub(crate) owners: Vec<PatientId>,
    /// For a Provenance, the targets that the caller may see.
    visible_targets: Option<BTreeSet<String>>,
    hidden_targets: Vec<HiddenTarget>,
}

impl Ruling {
    pub(crate) fn permits(&self) -> bool {
        self.decision.effect() == Effect::Permit
    }

    /// Why the patients answered as they did.
    pub(crate) fn reasons(&self) -> Vec<Reason> {
        reasons(&self.decision)
    }

    /// The owners whose own Consents refused.
    pub(crate) fn refusing_owners(&self) -> Vec<PatientId> {
        refusing_owners(&self.decision)
    }
}

impl Judge {
    /// A judge for this caller at this time.
    pub fn new(facts: Arc<Facts>, policy: Arc<Policy>, caller: Arc<Caller>, now: OffsetDateTime) -> Self {
        Self { facts, policy, caller, now, made: Arc::default() }
    }

    /// The same judge, for whom these resources are there.
    pub(crate) fn with_made(self, made: Arc<BTreeMap<String, ResourceFacts>>) -> Self {
        Self { made, ..self }
    }

    /// Whose answers these are.
    pub(crate) fn caller(&self) -> &Caller {
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
        let facts = ResourceFacts::of(resource, self.bases()).map_err(|error| match error {
            FactsError::NotAResource => Problem::Unfilterable("upstream-malformed-resource"),
            FactsError::Malformed(what) => {
                tracing::warn!(what, "a stored resource is not readable, so it is hidden");
                Problem::Absent
            }
        })?;
        Ok(Subject { resource, source, facts, action })
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
        self.rule_on(questions, |session, action, facts| session.decide(action, facts)).await
    }

    /// Whether an action is refused by what the caller brings along, whatever is stored.
    pub(crate) fn refuses_outright(&self, facts: &ResourceFacts, action: Action) -> bool {
        // A Binary without a context is whose the documents are that point to it.
        let by_referrers = facts.resource_type.as_str() == "Binary" && facts.id.is_some();
        let nothing = ConsentFacts::default();
        let session = Session::open(&self.caller, &nothing, &self.policy, self.now);
        !by_referrers && session.refuses_outright(action, facts).is_some()
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
        let found = self.facts.resources.facts_of(names).await?;
        let questions: Vec<_> = found.values().map(|facts| (facts, Action::Read)).collect();
        let rulings = self.rule_on(&questions, |session, _, facts| session.decide_reference(reach, facts)).await?;
        let hidden: Vec<Ruling> = rulings.into_iter().filter(|ruling| !ruling.permits()).collect();
        Ok(if found.len() == names.len() && hidden.is_empty() { Ok(()) } else { Err(hidden) })
    }

    async fn rule_on(
        &self,
        questions: &[(&ResourceFacts, Action)],
        decide: impl Fn(&Session<'_>, Action, &ResourceFacts) -> Decision,
    ) -> Result<Vec<Ruling>, Problem> {
        let mut resolved = Vec::with_capacity(questions.len());
        let others = self.others(questions).await?;
        for (facts, action) in questions {
            resolved.push(self.resolve(facts, *action, &others));
        }
        let targets = others.by_name.values().flat_map(|facts| patients(&facts.owners));
        let patients: BTreeSet<PatientId> =
            resolved.iter().flat_map(|r| patients(&r.facts.owners)).chain(targets).cloned().collect();
        let facts = self.facts.of(&self.caller, &patients).await?;
        let session = Session::open(&self.caller, &facts, &self.policy, self.now);
        let timed = |resource| {
            let begun = Instant::now();
            let ruling = rule(resource, &others, |action, facts| decide(&session, action, facts));
            self.facts.metrics.decision_time(begun.elapsed());
            let too_many = |reason: &Reason| reason.rule == RuleName::ConsentsTooMany;
            if ruling.decision.reasons().iter().any(too_many) {
                self.facts.metrics.decision(DecisionOutcome::Hide, RuleName::ConsentsTooMany.as_str());
            }
            ruling
        };
        Ok(resolved.into_iter().map(timed).collect())
    }

    /// The facts of the resources that ownership hangs on.
    async fn others(&self, questions: &[(&ResourceFacts, Action)]) -> Result<Others, Problem> {
        let mut names = BTreeSet::new();
        let mut found = Others::default();
        for (facts, _) in questions {
            match (&facts.owners, &facts.id) {
                (Owners::ByReference(references), _) => names.extend(references.iter().cloned()),
                (Owners::Unknown(NoOwner::Absent), Some(id)) if facts.resource_type.as_str() == "Binary" => {
                    let referrers = self.facts.resources.referrers_of_binary(id).await?;
                    found.referrers.insert(id.clone(), referrers);
                }
                (Owners::Patients(_) | Owners::Universal | Owners::Unknown(_), _) => {}
            }
        }
        let (made, stored): (BTreeSet<String>, BTreeSet<String>) =
            names.into_iter().partition(|name| self.made.contains_key(name));
        if !stored.is_empty() {
            found.by_name = self.facts.resources.facts_of(&stored).await?;
        }
        found.by_name.extend(made.into_iter().filter_map(|name| Some((name.clone(), self.made.get(&name)?.clone()))));
        Ok(found)
    }

    /// Puts owners in the place of references to their holders.
    fn resolve(&self, facts: &ResourceFacts, action: Action, others: &Others) -> Resolved {
        let mut facts = facts.clone();
        let mut targets = None;
        match &facts.owners {
            Owners::ByReference(references) if facts.resource_type.as_str() == "Provenance" => {
                targets = Some(references.clone());
            }
            Owners::ByReference(references) => {
                let holders: Vec<Option<&ResourceFacts>> =
                    references.iter().map(|name| others.by_name.get(name)).collect();
                facts.owners = union(holders);
            }
            Owners::Unknown(NoOwner::Absent) if facts.resource_type.as_str() == "Binary" => {
                // ALL patients of ALL DocumentReferences that point to it; none points: unknown (CONSENT.md, "Binary").
                let referrers = facts.id.as_ref().and_then(|id| others.referrers.get(id));
                facts.owners = union(referrers.into_iter().flatten().map(Some).collect());
            }
            Owners::Patients(_) | Owners::Universal | Owners::Unknown(_) => {}
        }
        Resolved { facts, action, targets }
    }

    fn cut(&self, subject: &Subject<'_>, ruling: Ruling) -> Result<Judged, Problem> {
        let Some(permit) = ruling.decision.permit() else {
            return Ok(Judged::Hidden { owners: ruling.refusing_owners(), reasons: ruling.reasons() });
        };
        let mut edits = Edits::new();
        let removed = redact(subject.resource, permit.redactions(), &mut edits)
            .map_err(|_| Problem::Unfilterable("redaction-failed"))?;
        rebase(subject.resource, &self.bases().upstream, &self.bases().public, &mut edits);
        let targets_dropped = match &ruling.visible_targets {
            Some(visible) => self.drop_targets(subject.resource, visible, &mut edits)?,
            None => false,
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
        let removed = removed.collect();
        Ok(Judged::Shown(Box::new(Shown {
            bytes,
            owners: ruling.owners,
            decision: ruling.decision,
            removed,
            targets_dropped,
            hidden_targets: ruling.hidden_targets,
        })))
    }

    /// Takes the targets of a Provenance that the caller may not see out of it; whether there were any.
    fn drop_targets(
        &self,
        provenance: Value<'_>,
        visible: &BTreeSet<String>,
        edits: &mut Edits,
    ) -> Result<bool, Problem> {
        let Some(targets) = provenance.get("target") else { return Ok(false) };
        let hidden = |target: &Value<'_>| {
            let name = target.str_at("reference").and_then(|text| Target::parse(&text, self.bases()).normalised());
            name.is_none_or(|name| !visible.contains(&name))
        };
        match edits.remove_children(targets, hidden) {
            Removal::Untouched => Ok(false),
            Removal::Some => Ok(true),
            Removal::Emptied => Err(Problem::Unfilterable("redaction-failed")),
        }
    }
}

/// The facts of other resources that ownership hangs on.
#[derive(Default)]
struct Others {
    by_name: BTreeMap<String, ResourceFacts>,
    /// By id of a Binary: the DocumentReferences that point to it.
    referrers: BTreeMap<String, Vec<ResourceFacts>>,
}

struct Resolved {
    facts: ResourceFacts,
    action: Action,
    targets: Option<Vec<String>>,
}

fn rule(mut resource: Resolved, others: &Others, decide: impl Fn(Action, &ResourceFacts) -> Decision) -> Ruling {
    let mut visible_targets = None;
    let mut hidden_targets = Vec::new();
    if let Some(targets) = &resource.targets {
        let (mut names, mut visible) = (BTreeSet::new(), Vec::new());
        for (name, target) in targets.iter().filter_map(|name| Some((name, others.by_name.get(name)?))) {
            let decision = decide(resource.action, target);
            if decision.effect() == Effect::Permit {
                names.insert(name.clone());
                visible.push(Some(target));
            } else {
                let (owners, reasons) = (refusing_owners(&decision), reasons(&decision));
                hidden_targets.push(HiddenTarget { name: name.clone(), owners, reasons });
            }
        }
        visible_targets = Some(names);
        resource.facts.owners = union(visible);
    }
    let decision = decide(resource.action, &resource.facts);
    let owners = patients(&resource.facts.owners).cloned().collect();
    Ruling { decision, owners, visible_targets, hidden_targets }
}

fn reasons(decision: &Decision) -> Vec<Reason> {
    decision.patients().iter().flat_map(|row| row.reasons.clone()).collect()
}

fn refusing_owners(decision: &Decision) -> Vec<PatientId> {
    let rows = decision.patients().iter().filter(|row| row.effect == Effect::Deny);
    rows.map(|row| row.patient.clone()).collect()
}

fn patients(owners: &Owners) -> impl Iterator<Item = &PatientId> {
    let patients: &[PatientId] = match owners {
        Owners::Patients(patients) => patients,
        Owners::Universal | Owners::ByReference(_) | Owners::Unknown(_) => &[],
    };
    patients.iter()
}

/// Everybody who owns any of them; unknown where one is missing or unknown itself, universal where all are.
fn union(holders: Vec<Option<&ResourceFacts>>) -> Owners {
    let mut all = BTreeSet::new();
    if holders.is_empty() {
        return Owners::Unknown(NoOwner::Absent);
    }
    for holder in holders {
        match holder.map(|facts| &facts.owners) {
            Some(Owners::Patients(patients)) => all.extend(patients.iter().cloned()),
            Some(Owners::Universal) => {}
            Some(Owners::Unknown(why)) => return Owners::Unknown(*why),
            Some(Owners::ByReference(_)) | None => return Owners::Unknown(NoOwner::Absent),
        }
    }
    if all.is_empty() { Owners::Universal } else { Owners::Patients(all.into_iter().collect()) }
}
