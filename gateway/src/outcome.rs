//! Outcome: what became of a request, before it is recorded.

use bytes::Bytes;
use evidence::event::End;

use crate::filter::{Further, Window};
use crate::glass::Claimed;
use crate::problem::{Problem, Told};
use crate::record::Intended;

/// The head of an answer; its headers are an allow-list (see [`crate::respond`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
    /// `Location`, on the public base.
    pub location: Option<String>,
    /// `WWW-Authenticate`.
    pub challenge: Option<String>,
    /// `Retry-After`, seconds.
    pub retry_after: Option<u32>,
    /// Whether the body is plain JSON instead of FHIR JSON.
    pub plain_json: bool,
}

impl Answer {
    /// An answer of that status and no more.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// The answer and the body that tell of a problem.
    pub fn told(told: &Told) -> (Self, Bytes) {
        let answer = Self {
            status: told.status,
            challenge: told.challenge.clone(),
            retry_after: told.retry_after,
            ..Self::default()
        };
        (answer, told.operation_outcome().into())
    }
}

/// What became of an authenticated request.
pub enum Outcome {
    /// The answer fits one window.
    Whole {
        /// Its head.
        answer: Answer,
        /// Its body, and what it discloses.
        window: Box<Window>,
    },
    /// The answer leaves in windows.
    Windows {
        /// Its head.
        answer: Answer,
        /// The first window.
        first: Box<Window>,
        /// The maker of the further ones.
        rest: Box<Further>,
    },
    /// A write whose intent was recorded has ended.
    Written {
        /// The head of the answer.
        answer: Answer,
        /// The body of the answer, and what was written.
        window: Box<Window>,
        /// How it ended.
        end: End,
        /// The intent.
        intended: Intended,
    },
    /// Emergency access is granted, once that is on record.
    Granted {
        /// The head of the answer.
        answer: Answer,
        /// The body of the answer, and for whom it is granted.
        window: Box<Window>,
        /// What is granted.
        claimed: Box<Claimed>,
    },
    /// No data.
    Refused {
        /// Why.
        problem: Problem,
        /// What Consent kept back, for the patients' records.
        denied: Option<Box<Window>>,
    },
}

impl From<Problem> for Outcome {
    fn from(problem: Problem) -> Self {
        Self::Refused { problem, denied: None }
    }
}

/// A refusal before it is an outcome: so that a stage can end a request by its error.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub problem: Problem,
    /// What Consent kept back, for the patients' records.
    pub denied: Option<Box<Window>>,
}

impl Refused {
    /// The same refusal, with what Consent kept back on the way to it.
    #[must_use]
    pub fn beside(self, kept_back: Option<Box<Window>>) -> Self {
        Self { problem: self.problem, denied: Window::together(self.denied, kept_back) }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { problem, denied: None }
    }
}

impl From<Refused> for Outcome {
    fn from(Refused { problem, denied }: Refused) -> Self {
        Self::Refused { problem, denied }
    }
}
