//! What the token's scopes allow, before anything is looked at.

use gateway_core::caller::Caller;
use gateway_core::decide::{Action, Permit, decide_interaction, decide_system};
use gateway_core::interaction::Interaction;
use gateway_core::resource_type::ResourceType;
use gateway_core::scope::Letter;

use crate::problem::Problem;

/// Leave for an interaction: every letter that it needs on its type. The permit is that of the first.
///
/// # Errors
/// Where a letter is not granted.
pub fn interaction(caller: &Caller, interaction: &Interaction) -> Result<Permit, Problem> {
    let letters = interaction.letters();
    let Some(rtype) = interaction.resource_type() else {
        return system(caller, letters.first().map_or(Action::Read, |letter| of(*letter)), interaction.name());
    };
    for letter in letters.iter().skip(1) {
        action(caller, of(*letter), rtype, interaction.name())?;
    }
    action(caller, letters.first().map_or(Action::Read, |letter| of(*letter)), rtype, interaction.name())
}

/// Leave for an action on a type; `name` is what the client is told that he may not do.
///
/// # Errors
/// Where no scope grants it.
pub fn action(caller: &Caller, action: Action, rtype: ResourceType, name: &str) -> Result<Permit, Problem> {
    decide_interaction(caller, action, rtype).map_err(|refused| Problem::Refused {
        rule: refused.reason.rule.as_str(),
        sentence: format!("The token's scopes do not allow {name} of {rtype}."),
    })
}

/// Leave for an action on every type that a scope grants it on.
fn system(caller: &Caller, action: Action, name: &str) -> Result<Permit, Problem> {
    decide_system(caller, action).map_err(|refused| Problem::Refused {
        rule: refused.reason.rule.as_str(),
        sentence: format!("The token's scopes do not allow {name} of any type."),
    })
}

fn of(letter: Letter) -> Action {
    match letter {
        Letter::Search => Action::Search,
        Letter::Create => Action::Create,
        Letter::Update => Action::Update,
        Letter::Delete => Action::Delete,
        Letter::Read => Action::Read,
    }
}
