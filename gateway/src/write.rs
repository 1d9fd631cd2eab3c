//! Create, update, delete: decided on the image before and the image after, recorded before and after.
//!
//! INVARIANT 1: the intent is durable before anything is forwarded (`Intended` is what `send` needs), the outcome
//! before the client hears of it. A write to a Consent drops that patient's cached Consents before it is answered.
//!
//! `images` reads and compares the two images, `references` looks up what the body points at, `ending` says how
//! the write ended.

mod ending;
mod images;
mod references;
mod validate;

use std::collections::BTreeSet;

use bytes::Bytes;
use gateway_core::decide::{Action, Permit};
use gateway_core::facts::ResourceFacts;
use gateway_core::interaction::Return;
use gateway_core::owner::PatientId;
use gateway_core::resource_type::ResourceType;

use crate::filter::{Judge, Ruling, Window};
use crate::forward::{Method, UpstreamRequest};
use crate::gate::Gate;
use crate::outcome::Outcome;
use crate::problem::Problem;
use crate::record::{Access, Asked};

use ending::Written;
use images::guard;

/// What is to be written.
pub enum Change {
    /// `POST [type]`
    Create {
        /// The type.
        rtype: ResourceType,
        /// The resource, as the client sent it.
        body: Bytes,
    },
    /// `PUT [type]/[id]`
    Update {
        /// The type.
        rtype: ResourceType,
        /// The id.
        id: String,
        /// The resource, as the client sent it.
        body: Bytes,
        /// `If-Match`.
        if_match: Option<String>,
    },
    /// `DELETE [type]/[id]`
    Delete {
        /// The type.
        rtype: ResourceType,
        /// The id.
        id: String,
        /// `If-Match`.
        if_match: Option<String>,
    },
}

/// A write on its way.
pub struct Writer<'a> {
    /// The gate.
    pub gate: &'a Gate,
    /// Decides for the caller.
    pub judge: &'a Judge,
    /// Leave for the interaction.
    pub permit: &'a Permit,
    /// The access.
    pub access: &'a Access,
    /// Who asked for what.
    pub asked: &'a Asked,
    /// `Prefer: return`.
    pub returns: Option<Return>,
    /// The trace to pass on.
    pub traceparent: Option<String>,
}

impl Writer<'_> {
    /// Decides, records the intent, forwards, records the outcome.
    pub async fn write(&self, change: Change) -> Result<Outcome, Problem> {
        match change {
            Change::Create { rtype, body } => self.create(rtype, &body).await,
            Change::Update { rtype, id, body, if_match } => self.update(rtype, &id, &body, if_match.as_deref()).await,
            Change::Delete { rtype, id, if_match } => self.delete(rtype, &id, if_match.as_deref()).await,
        }
    }

    async fn create(&self, rtype: ResourceType, body: &[u8]) -> Result<Outcome, Problem> {
        let after = self.image_after(rtype, None, body)?;
        // What the body alone decides is told before anything that is stored is looked at.
        if self.judge.refuses_outright(&after.facts, Action::Create) {
            return Ok(Outcome::from(not_permitted()));
        }
        if let Some(refused) = self.new_references(&after.references, &BTreeSet::new()).await? {
            return Ok(refused);
        }
        let owners = match self.permitted(&after.facts, Action::Create).await? {
            Ok(owners) => owners,
            Err(refused) => return Ok(refused),
        };
        let request = self.request(Method::Post, rtype.as_str().to_owned(), Some(after.bytes), None);
        let intended = self.gate.shared.recorder.intend(self.access, self.asked).await?;
        let written = Written { rtype, id: None, owners, before: None, images: &[&after.facts] };
        self.send(request, &written, intended).await
    }

    async fn update(
        &self,
        rtype: ResourceType,
        id: &str,
        body: &[u8],
        if_match: Option<&str>,
    ) -> Result<Outcome, Problem> {
        let after = self.image_after(rtype, Some(id), body)?;
        let before = match self.image_before(rtype, id, Action::Update, if_match).await? {
            Ok(before) => before,
            Err(refused) => return Ok(refused),
        };
        guard(&before.facts, &after.facts)?;
        if let Some(refused) = self.new_references(&after.references, &before.references).await? {
            return Ok(refused);
        }
        let owners = match self.permitted(&after.facts, Action::Update).await? {
            Ok(owners) => owners,
            Err(refused) => return Ok(refused),
        };
        let request = self.request(Method::Put, format!("{rtype}/{id}"), Some(after.bytes), Some(before.version));
        let intended = self.gate.shared.recorder.intend(self.access, self.asked).await?;
        let (images, before) = ([&before.facts, &after.facts], Some(&before.facts));
        self.send(request, &Written { rtype, id: Some(id), owners, before, images: &images }, intended).await
    }

    async fn delete(&self, rtype: ResourceType, id: &str, if_match: Option<&str>) -> Result<Outcome, Problem> {
        let before = match self.image_before(rtype, id, Action::Delete, if_match).await? {
            Ok(before) => before,
            Err(refused) => return Ok(refused),
        };
        let request = self.request(Method::Delete, format!("{rtype}/{id}"), None, Some(before.version));
        let intended = self.gate.shared.recorder.intend(self.access, self.asked).await?;
        let (owners, images, before) = (before.owners, [&before.facts], Some(&before.facts));
        self.send(request, &Written { rtype, id: Some(id), owners, before, images: &images }, intended).await
    }

    fn request(
        &self,
        method: Method,
        target: String,
        body: Option<Vec<u8>>,
        if_match: Option<String>,
    ) -> UpstreamRequest {
        UpstreamRequest { method, target, body: body.map(Bytes::from), if_match, traceparent: self.traceparent.clone() }
    }

    /// Whose the resource is, where its owners permit the action.
    async fn permitted(
        &self,
        facts: &ResourceFacts,
        action: Action,
    ) -> Result<Result<Vec<PatientId>, Outcome>, Problem> {
        let rulings = self.judge.decide_all(&[(facts, action)]).await?;
        match rulings.into_iter().next() {
            Some(ruling) if ruling.permits() => Ok(Ok(ruling.owners)),
            Some(ruling) => Ok(Err(consent_refuses(&ruling))),
            None => Err(not_permitted()),
        }
    }
}

/// The caller may know of the resource, or brought it along: that it may not be written is told, why is not.
fn not_permitted() -> Problem {
    refused("write-not-permitted", "You may not write this resource.")
}

fn consent_refuses(ruling: &Ruling) -> Outcome {
    Outcome::Refused { problem: not_permitted(), denied: Some(denied(std::slice::from_ref(ruling))) }
}

/// What Consent kept back, for the patients' records.
fn denied(rulings: &[Ruling]) -> Box<Window> {
    let mut window = Box::new(Window::only());
    for ruling in rulings {
        window.deny(&ruling.refusing_owners(), &ruling.reasons());
    }
    window
}

fn refused(rule: &'static str, sentence: &str) -> Problem {
    Problem::Refused { rule, sentence: sentence.to_owned() }
}
