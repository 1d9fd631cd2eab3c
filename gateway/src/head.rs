//! The headers on which an interaction depends: of a request, or of an entry of a Bundle.

use crate::accept::Incoming;
use crate::problem::Problem;

/// What stands beside an interaction.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// `Prefer`
    pub prefer: Option<String>,
    /// `If-Match`
    pub if_match: Option<String>,
    /// `If-None-Match`
    pub if_none_match: Option<String>,
    /// `If-Modified-Since`
    pub if_modified_since: Option<String>,
    /// A precondition that nothing takes.
    pub unserved: Option<&'static str>,
    /// The trace to pass on.
    pub traceparent: Option<String>,
    /// Whether it is an entry of a batch or transaction: then references in its body may be searches.
    pub in_bundle: bool,
}

impl Head {
    /// Of a request.
    ///
    /// # Errors
    /// Where one of them stands twice or cannot be read.
    pub fn of(incoming: &Incoming) -> Result<Self, Problem> {
        let header = |name: &str| incoming.header(name).map(|value| value.map(ToOwned::to_owned));
        Ok(Self {
            prefer: header("prefer")?,
            if_match: header("if-match")?,
            if_none_match: header("if-none-match")?,
            if_modified_since: header("if-modified-since")?,
            // Of a create it is part of the interaction.
            unserved: ["if-unmodified-since", "if-range", "if-none-exist"]
                .into_iter()
                .find(|name| incoming.has(name) && (*name != "if-none-exist" || incoming.method() != "POST")),
            traceparent: incoming.outgoing_trace(),
            in_bundle: false,
        })
    }

    /// A Bundle takes no condition itself: its entries do.
    ///
    /// # Errors
    /// Where there is one.
    pub fn no_precondition(&self) -> Result<(), Problem> {
        match self.if_match.is_some() {
            true => Err(not_taken("if-match")),
            false => self.no_other_precondition(),
        }
    }

    /// A write that is to happen on a condition that is not supported does not happen: to pass the condition over would
    /// be to overwrite what the client wanted to keep.
    ///
    /// # Errors
    /// Where there is such a condition.
    pub fn no_other_precondition(&self) -> Result<(), Problem> {
        let conditions =
            [("if-none-match", self.if_none_match.is_some()), ("if-modified-since", self.if_modified_since.is_some())];
        match conditions.into_iter().find(|(_, there)| *there).map(|(name, _)| name).or(self.unserved) {
            None => Ok(()),
            Some(name) => Err(not_taken(name)),
        }
    }
}

fn not_taken(name: &str) -> Problem {
    Problem::BadBody {
        status: 400,
        rule: "precondition-refused",
        sentence: format!(
            "A write takes no {name} here, and only If-Match with the version that you read: nothing was written."
        ),
    }
}
