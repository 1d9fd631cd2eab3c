//! Create, update, patch, delete: decided on the image before and the image after, recorded before and after.
//!
//! INVARIANT 1: the intent is durable before anything is forwarded (`Intended` is what `send` needs), the outcome
//! before the client hears of it. A write to a Consent drops that patient's cached Consents before it is answered.
//!
//! `criteria` finds what a conditional write is about, `images` reads and compares the two images, `references` looks up
//! what the body points at, `ending` says how the write ended.

mod criteria;
mod ending;
mod images;
mod references;
mod transaction;
mod validate;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gateway_core::decide::{Action, Permit};
use gateway_core::facts::ResourceFacts;
use gateway_core::interaction::{Return, SearchQuery};
use gateway_core::owner::PatientId;
use gateway_core::resource_type::ResourceType;

use crate::filter::{Judge, Ruling, Window};
use crate::forward::{Method, UpstreamRequest};
use crate::gate::Gate;
use crate::outcome::{Outcome, Refused};
use crate::permit;
use crate::problem::Problem;
use crate::record::{Access, Asked};
use crate::rules::Rules;
use crate::turns::Place;

use criteria::There;
use ending::Written;
use images::guard;

pub use transaction::{Carried, Piece, transaction};

/// What is to be written.
pub enum Change {
    /// `POST [type]`
    Create {
        /// The type.
        rtype: ResourceType,
        /// The resource, as the client sent it.
        body: Bytes,
        /// `If-None-Exist`: not where one matches already.
        unless: Option<SearchQuery>,
    },
    /// `PUT [type]/[id]` or `PUT [type]?criteria`
    Update {
        /// The type.
        rtype: ResourceType,
        /// Which one.
        which: Which,
        /// The resource, as the client sent it.
        body: Bytes,
        /// `If-Match`.
        if_match: Option<String>,
    },
    /// `PATCH [type]/[id]` or `PATCH [type]?criteria`
    Patch {
        /// The type.
        rtype: ResourceType,
        /// Which one.
        which: Which,
        /// The JSON Patch.
        body: Bytes,
        /// `If-Match`.
        if_match: Option<String>,
    },
    /// `DELETE [type]/[id]` or `DELETE [type]?criteria`
    Delete {
        /// The type.
        rtype: ResourceType,
        /// Which one.
        which: Which,
        /// `If-Match`.
        if_match: Option<String>,
    },
}

/// Which resource is to be changed.
pub enum Which {
    /// The one of that id.
    Id(String),
    /// The only one that the caller sees match.
    Criteria(SearchQuery),
}

/// A write on its way.
pub struct Writer<'a> {
    /// The gate.
    pub gate: &'a Gate,
    /// The rules of this request.
    pub rules: &'a Rules,
    /// Decides for the caller.
    pub judge: &'a Judge,
    /// The access.
    pub access: &'a Access,
    /// Who asked for what.
    pub asked: &'a Asked,
    /// `Prefer: return`.
    pub returns: Option<Return>,
    /// The trace to pass on.
    pub traceparent: Option<String>,
    /// Whether it is an entry of a Bundle, where references may be searches.
    pub in_bundle: bool,
    /// What the other entries of a transaction are called.
    pub names: &'a Names,
}

/// What the entries of a transaction are called by one another: each `fullUrl` that is a URN, with `Type/id`.
#[derive(Debug, Default)]
pub struct Names {
    /// What is stored: the references become those to it.
    stored: BTreeMap<String, String>,
    /// What is new: the name stands for it while it is decided on, and is never sent.
    made: BTreeMap<String, String>,
}

/// A write of which it is known what it is about.
struct Deed {
    rtype: ResourceType,
    act: Act,
    /// What Consent kept back from the criteria, and what searches in references disclose.
    seen: Option<Box<Window>>,
}

enum Act {
    Create { body: Bytes },
    Update { id: String, body: Bytes, if_match: Option<String> },
    Patch { id: String, body: Bytes, if_match: Option<String> },
    Delete { id: String, if_match: Option<String> },
}

/// What became of a conditional write's condition.
enum Settled {
    /// It is to be carried out.
    Do(Deed),
    /// What was to be created is there.
    There(Box<There>),
}

/// A write that was decided on and may be sent, once its intent is on record.
struct Prepared {
    permit: Permit,
    request: UpstreamRequest,
    written: Written,
}

impl Change {
    /// Where it has to wait for its turn: it may make something for which it looks first.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Create { rtype, unless: Some(criteria), .. }
            | Self::Update { rtype, which: Which::Criteria(criteria), .. } => Some(Place::of(*rtype, criteria)),
            Self::Create { .. } | Self::Update { .. } | Self::Patch { .. } | Self::Delete { .. } => None,
        }
    }
}

impl Writer<'_> {
    /// Decides, records the intent, forwards, records the outcome.
    pub async fn write(&self, change: Change) -> Result<Outcome, Problem> {
        let places: BTreeSet<Place> = change.place().into_iter().collect();
        let _turn = self.gate.shared.turns.at(&places, self.gate.shared.limits.request_timeout).await?;
        let prepared = match self.settle(change).await {
            Ok(Settled::There(there)) => return Ok(there.outcome(self.returns)),
            Ok(Settled::Do(deed)) => self.prepare(deed).await,
            Err(refused) => Err(refused),
        };
        match prepared {
            Err(refused) => Ok(refused.into()),
            Ok(Prepared { permit, request, written }) => {
                let intended = self.gate.shared.recorder.intend(self.access, self.asked).await?;
                Ok(self.send(&permit, request, written, intended).await)
            }
        }
    }

    /// Decides on both images; nothing has been sent.
    async fn prepare(&self, deed: Deed) -> Result<Prepared, Refused> {
        let Deed { rtype, act, seen } = deed;
        let prepared = match &act {
            Act::Create { body } => self.create(rtype, body).await,
            Act::Update { id, body, if_match } => self.update(rtype, id, body, if_match.as_deref()).await,
            Act::Patch { id, body, if_match } => self.patch(rtype, id, body, if_match.as_deref()).await,
            Act::Delete { id, if_match } => self.delete(rtype, id, if_match.as_deref()).await,
        };
        match prepared {
            Ok(mut prepared) => {
                prepared.written.seen = seen;
                Ok(prepared)
            }
            // What is refused is not echoed.
            Err(refused) => Err(refused.beside(seen.and_then(|seen| seen.kept_back()))),
        }
    }

    async fn create(&self, rtype: ResourceType, body: &[u8]) -> Result<Prepared, Refused> {
        let permit = self.permit(Action::Create, rtype)?;
        let after = self.image_after(rtype, None, body)?;
        // What the body alone decides is told before anything that is stored is looked at.
        if self.judge.refuses_outright(&after.facts, Action::Create) {
            return Err(not_permitted().into());
        }
        let reach = self.judge.reach(&after.facts, Action::Create);
        self.new_references(&after.references, &BTreeSet::new(), reach).await?;
        let owners = self.permitted(&after.facts, Action::Create).await?;
        let body = images::without_id(&after.bytes)?;
        let written = Written::new(rtype, None, owners, None, Some(after.facts));
        Ok(self.prepared(permit, Method::Post, Some(body), None, written))
    }

    async fn update(
        &self,
        rtype: ResourceType,
        id: &str,
        body: &[u8],
        if_match: Option<&str>,
    ) -> Result<Prepared, Refused> {
        let permit = self.permit(Action::Update, rtype)?;
        let after = self.image_after(rtype, Some(id), body)?;
        let before = self.image_before(rtype, id, Action::Update, if_match).await?;
        self.replace(permit, rtype, id, before, after).await
    }

    /// The outcome of the patch is computed here, decided on as an update, and stored as one (ADR 0048).
    async fn patch(
        &self,
        rtype: ResourceType,
        id: &str,
        body: &[u8],
        if_match: Option<&str>,
    ) -> Result<Prepared, Refused> {
        let permit = self.permit(Action::Update, rtype)?;
        // A patch tells of what is stored, by its tests and by whether it can be carried out.
        self.permit(Action::Read, rtype)?;
        let patch = self.read_patch(body)?;
        let before = self.image_before(rtype, id, Action::Update, if_match).await?;
        let after = self.patched(rtype, id, &patch, &before)?;
        self.replace(permit, rtype, id, before, after).await
    }

    async fn replace(
        &self,
        permit: Permit,
        rtype: ResourceType,
        id: &str,
        before: images::ImageBefore,
        after: images::ImageAfter,
    ) -> Result<Prepared, Refused> {
        guard(&before.facts, &after.facts)?;
        let reach = self.judge.reach(&after.facts, Action::Update);
        self.new_references(&after.references, &before.references, reach).await?;
        let owners = self.permitted(&after.facts, Action::Update).await?;
        let written = Written::new(rtype, Some(id), owners, Some(before.facts), Some(after.facts));
        Ok(self.prepared(permit, Method::Put, Some(after.bytes), Some(before.version), written))
    }

    async fn delete(&self, rtype: ResourceType, id: &str, if_match: Option<&str>) -> Result<Prepared, Refused> {
        let permit = self.permit(Action::Delete, rtype)?;
        let before = self.image_before(rtype, id, Action::Delete, if_match).await?;
        let written = Written::new(rtype, Some(id), before.owners, Some(before.facts), None);
        Ok(self.prepared(permit, Method::Delete, None, Some(before.version), written))
    }

    fn permit(&self, action: Action, rtype: ResourceType) -> Result<Permit, Problem> {
        permit::action(&self.asked.caller, action, rtype, self.asked.interaction)
    }

    /// The write as it is sent: to the resource, or to the type where there is none yet.
    fn prepared(
        &self,
        permit: Permit,
        method: Method,
        body: Option<Vec<u8>>,
        if_match: Option<String>,
        written: Written,
    ) -> Prepared {
        let rtype = written.rtype;
        let target = written.id.as_ref().map_or_else(|| rtype.to_string(), |id| format!("{rtype}/{id}"));
        Prepared { permit, request: self.request(method, target, body, if_match), written }
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
    async fn permitted(&self, facts: &ResourceFacts, action: Action) -> Result<Vec<PatientId>, Refused> {
        let rulings = self.judge.decide_all(&[(facts, action)]).await?;
        match rulings.into_iter().next() {
            Some(ruling) if ruling.permits() => Ok(ruling.owners),
            Some(ruling) => Err(consent_refuses(&ruling)),
            None => Err(not_permitted().into()),
        }
    }
}

/// The caller may know of the resource, or brought it along: that it may not be written is told, why is not.
fn not_permitted() -> Problem {
    refused("write-not-permitted", "You may not write this resource.")
}

fn consent_refuses(ruling: &Ruling) -> Refused {
    Refused { problem: not_permitted(), denied: Some(Window::denied([ruling])) }
}

fn refused(rule: &'static str, sentence: &str) -> Problem {
    Problem::Refused { rule, sentence: sentence.to_owned() }
}
