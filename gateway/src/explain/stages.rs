//! The stages as an explanation tells them.

use gateway_core::caller::Caller;
use gateway_core::interaction::Interaction;
use gateway_core::resource_type::ResourceType;
use gateway_core::scope::{Letter, ScopeGrant};
use serde::Serialize;

use crate::filter::Window;
use crate::problem::Problem;

pub(super) const AUTHENTICATE: &str = "authenticate";
pub(super) const INTERPRET: &str = "interpret";
pub(super) const ORGANISATION: &str = "organisation";
pub(super) const SCOPE: &str = "scope";
pub(super) const DECIDE: &str = "decide";

const ALL: [&str; 5] = [AUTHENTICATE, INTERPRET, ORGANISATION, SCOPE, DECIDE];

/// What one stage says.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stage {
    stage: &'static str,
    says: Says,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sentence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<Who>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interaction: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<Scoped>,
}

/// How a stage ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Says {
    /// The next stage is asked.
    Permit,
    /// The request ends here.
    Refuse,
    /// An earlier stage refused.
    #[default]
    NotAsked,
    /// It hangs on the body of the write.
    Undecided,
}

/// Who the token says that asks.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Who {
    issuer: String,
    subject: String,
    client: Option<String>,
    organization: Option<String>,
    roles: Vec<String>,
    purposes: Vec<String>,
    fhir_user: Option<String>,
    launch_patient: Option<String>,
    /// Scopes that grant nothing, since they are not understood.
    void_scopes: Vec<String>,
}

/// What the scopes grant on the type that was asked about.
#[derive(Debug, Serialize)]
pub(super) struct Scoped {
    needs: Vec<&'static str>,
    grant: &'static str,
}

/// What the client would be told, without the data.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answered {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sentence: Option<String>,
    /// Entries that the FHIR server gave.
    entries: u64,
    /// Resources that leave.
    disclosed: u64,
    /// Elements that were taken out of them.
    elements_removed: u64,
    /// Whether more of the answer follows than was looked at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut_short: bool,
}

impl Stage {
    pub(super) fn new(stage: &'static str, says: Says) -> Self {
        let undecided =
            "What is stored may be changed as far as is known. What the body would make of it is not asked about.";
        let sentence = (says == Says::Undecided).then(|| undecided.to_owned());
        Self { stage, says, sentence, ..Self::default() }
    }

    pub(super) fn permits(stage: &'static str) -> Self {
        Self::new(stage, Says::Permit)
    }

    pub(super) fn refuses(stage: &'static str, problem: &Problem) -> Self {
        let told = problem.told();
        Self { rule: Some(told.rule), sentence: Some(told.sentence), ..Self::new(stage, Says::Refuse) }
    }

    pub(super) fn by(self, caller: Who) -> Self {
        Self { caller: Some(caller), ..self }
    }

    pub(super) fn about(self, interaction: &Interaction) -> Self {
        let resource_type = interaction.resource_type().map(|rtype| rtype.to_string());
        Self { interaction: Some(interaction.name()), resource_type, ..self }
    }

    pub(super) fn within(self, scope: Scoped) -> Self {
        Self { scope: Some(scope), ..self }
    }
}

/// The stages that an earlier one did not let be asked. A stage that was told twice is told by its refusal.
pub(super) fn ask_no_more(stages: &mut Vec<Stage>) {
    if let [.., before, last] = stages.as_slice()
        && before.stage == last.stage
    {
        stages.remove(stages.len() - 2);
    }
    let told = stages.len();
    stages.extend(ALL.into_iter().skip(told).map(|stage| Stage::new(stage, Says::NotAsked)));
}

/// The client is told the same of what is hidden and what is not there; the operator is told which.
pub(super) fn tell_absence(stages: &mut [Stage], nothing_decided: bool) {
    let sentence = match nothing_decided {
        true => "The FHIR server gave no such resource: nothing was decided.",
        false => "It is there and is hidden; the client is told that there is no such resource.",
    };
    if let Some(decide) = stages.iter_mut().find(|stage| stage.stage == DECIDE) {
        decide.sentence = Some(sentence.to_owned());
    }
}

impl Who {
    pub(super) fn of(caller: &Caller) -> Self {
        let text = |actor: &gateway_core::caller::ActorRef| actor.to_string();
        Self {
            issuer: caller.issuer.clone(),
            subject: caller.subject.clone(),
            client: caller.client.clone(),
            organization: caller.organization.as_ref().map(text),
            roles: caller.roles.clone(),
            purposes: caller.purposes.iter().map(ToString::to_string).collect(),
            fhir_user: caller.fhir_user.as_ref().map(text),
            launch_patient: caller.launch_patient.as_ref().map(gateway_core::owner::PatientId::reference),
            void_scopes: caller.scopes.void().iter().map(|void| void.scope.clone()).collect(),
        }
    }
}

impl Scoped {
    pub(super) fn of(caller: &Caller, interaction: &Interaction) -> Self {
        let needs = interaction.letters().iter().map(|letter| match letter {
            Letter::Create => "create",
            Letter::Read => "read",
            Letter::Update => "update",
            Letter::Delete => "delete",
            Letter::Search => "search",
        });
        let on = |rtype: ResourceType| {
            let granted = interaction.letters().iter().map(|letter| caller.scopes.reaches(*letter, &rtype));
            granted.min().unwrap_or_default()
        };
        let grant = match interaction.resource_type().map(on) {
            Some(ScopeGrant::All) => "all that other rules permit",
            Some(ScopeGrant::PatientOnly) => "the launch patient's",
            Some(ScopeGrant::None) => "nothing",
            None => "by type",
        };
        Self { needs: needs.collect(), grant }
    }
}

impl Answered {
    pub(super) fn given(status: u16) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    pub(super) fn of(problem: &Problem) -> Self {
        let told = problem.told();
        Self { rule: Some(told.rule), sentence: Some(told.sentence), ..Self::given(told.status) }
    }

    /// Whether the client is told that there is no such resource.
    pub(super) fn is_absence(&self) -> bool {
        self.rule == Problem::Absent.told().rule.into()
    }

    /// A document that everybody gets.
    pub(super) fn public() -> Self {
        Self { sentence: Some("A public document: nobody is asked.".to_owned()), ..Self::given(200) }
    }

    pub(super) fn undecided() -> Self {
        Self { sentence: Some("It hangs on the body of the write.".to_owned()), ..Self::default() }
    }

    pub(super) fn with(mut self, window: &Window) -> Self {
        let counts = window.counts();
        self.entries += counts.entries;
        self.disclosed += counts.disclosed;
        self.elements_removed += counts.redactions;
        self
    }

    pub(super) fn cut_short(self) -> Self {
        Self { cut_short: true, ..self }
    }
}
