//! Criteria: what a conditional write is about is found as the caller's own search would find it (CONSENT.md, leak table,
//! "conditional create / update / delete / patch"; ADR 0048). What he does not see matches nothing.

use bytes::Bytes;
use gateway_core::decide::Action;
use gateway_core::interaction::{Return, SearchQuery};
use gateway_core::json::{Doc, Edits, Value, quoted};
use gateway_core::owner::is_fhir_id;
use gateway_core::resource_type::ResourceType;

use super::images::bad;
use super::references::too_many_references;
use super::{Act, Change, Deed, Settled, Which, Writer, not_permitted};
use crate::filter::{Reaches, Window};
use crate::outcome::{Answer, Outcome, Refused};
use crate::problem::Problem;
use crate::search;

/// What criteria find among what the caller sees.
pub(super) enum Found {
    Nobody,
    One(Box<There>),
    Several,
}

/// What they find, and what Consent kept back from them.
pub(super) struct Matches {
    pub(super) found: Found,
    pub(super) kept_back: Option<Box<Window>>,
}

/// The one resource that matches, as a search shows it to the caller.
pub(super) struct There {
    rtype: ResourceType,
    pub(super) id: String,
    version: Option<String>,
    location: String,
    window: Box<Window>,
}

const THERE: &[u8] =
    br#"{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational","details":{"text":"It is there already: nothing was written."}}]}"#;

impl There {
    /// `Type/id`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.rtype, self.id)
    }

    /// The answer to a conditional create that has nothing to do.
    pub(super) fn outcome(self, returns: Option<Return>) -> Outcome {
        let mut window = self.window;
        match returns {
            Some(Return::Minimal) => window.bytes.clear(),
            Some(Return::OperationOutcome) => window.bytes = THERE.to_vec(),
            Some(Return::Representation) | None => {}
        }
        // What was taken out of it is not what the server's validator names.
        let whole = window.counts().redactions == 0;
        let etag = self.version.filter(|_| whole).map(|version| format!("W/\"{version}\""));
        Outcome::Whole { answer: Answer { etag, location: Some(self.location), ..Answer::status(200) }, window }
    }
}

impl Settled {
    /// What Consent kept back on the way here.
    pub(super) fn kept_back(&self) -> Option<Box<Window>> {
        match self {
            Self::Do(deed) => deed.seen.as_ref().and_then(|window| window.kept_back()),
            Self::There(there) => there.window.kept_back(),
        }
    }
}

impl Deed {
    fn beside(self, seen: Option<Box<Window>>) -> Self {
        Self { seen: Window::together(self.seen, seen), ..self }
    }
}

impl Writer<'_> {
    /// Finds what a change is about.
    pub(super) async fn settle(&self, change: Change) -> Result<Settled, Refused> {
        let to = |rtype, act, seen| Ok(Settled::Do(Deed { rtype, act, seen }));
        let (change, of_references) = self.with_found_references(change).await?;
        let settled = match change {
            Change::Create { rtype, body, unless: None } => to(rtype, Act::Create { body }, None),
            Change::Create { rtype, body, unless: Some(criteria) } => {
                let after = self.image_after(rtype, None, &body)?;
                if self.judge.refuses_outright(&after.facts, Action::Create) {
                    return Err(not_permitted().into());
                }
                let Matches { found, kept_back } = self.matches(rtype, &criteria).await?;
                match found {
                    Found::Nobody => to(rtype, Act::Create { body }, kept_back),
                    Found::One(there) => Ok(Settled::There(there)),
                    Found::Several => Err(not_selective(kept_back)),
                }
            }
            Change::Update { rtype, which: Which::Id(id), body, if_match } => {
                to(rtype, Act::Update { id, body, if_match }, None)
            }
            Change::Update { rtype, which: Which::Criteria(criteria), body, if_match } => {
                self.settle_update(rtype, &criteria, body, if_match).await
            }
            Change::Patch { rtype, which, body, if_match } => {
                let (id, kept_back) = self.one(rtype, which).await?;
                to(rtype, Act::Patch { id, body, if_match }, kept_back)
            }
            Change::Delete { rtype, which, if_match } => {
                let (id, kept_back) = self.one(rtype, which).await?;
                to(rtype, Act::Delete { id, if_match }, kept_back)
            }
        };
        match settled {
            Ok(Settled::Do(deed)) => Ok(Settled::Do(deed.beside(of_references))),
            Ok(Settled::There(mut there)) => {
                if let Some(seen) = of_references {
                    there.window.absorb(*seen);
                }
                Ok(Settled::There(there))
            }
            Err(refused) => Err(refused.beside(of_references.and_then(|seen| seen.kept_back()))),
        }
    }

    /// The change with the searches in its references replaced by what they find (FHIR R4 §3.1.0.11.3), which must be one
    /// resource; and what they disclose, for the echo names it, and what Consent kept back from them. Outside of Bundles
    /// they stay, to be refused.
    async fn with_found_references(&self, change: Change) -> Result<(Change, Option<Box<Window>>), Refused> {
        Ok(match change {
            Change::Create { rtype, body, unless } if self.in_bundle => {
                let (body, kept_back) = self.found_references(body).await?;
                (Change::Create { rtype, body, unless }, kept_back)
            }
            Change::Update { rtype, which, body, if_match } if self.in_bundle => {
                let (body, kept_back) = self.found_references(body).await?;
                (Change::Update { rtype, which, body, if_match }, kept_back)
            }
            change @ (Change::Create { .. } | Change::Update { .. } | Change::Patch { .. } | Change::Delete { .. }) => {
                (change, None)
            }
        })
    }

    async fn found_references(&self, body: Bytes) -> Result<(Bytes, Option<Box<Window>>), Refused> {
        let Ok(doc) = Doc::parse(&body) else { return Ok((body, None)) };
        let searches = searches(doc.root());
        if searches.len() > self.gate.shared.limits.references {
            return Err(too_many_references().into());
        }
        if searches.is_empty() {
            return Ok((body, None));
        }
        let mut edits = Edits::new();
        let mut known: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
        let mut seen = Box::new(Window::only());
        for (span, text) in searches {
            let name = match known.get(&text) {
                Some(name) => name.clone(),
                None => {
                    let (rtype, query) = text.split_once('?').unwrap_or((&text, ""));
                    let rtype = ResourceType::parse(rtype).map_err(|_| Problem::ConditionalReference)?;
                    let criteria = SearchQuery::parse(query, &[]).map_err(Problem::Uninterpretable)?;
                    let matches = self.matches(rtype, &criteria).await?;
                    let Found::One(there) = matches.found else {
                        if let Some(kept_back) = matches.kept_back {
                            seen.absorb(*kept_back);
                        }
                        return Err(Refused::from(Problem::ConditionalReference).beside(seen.kept_back()));
                    };
                    let name = there.name();
                    seen.absorb(*there.window);
                    known.insert(text.clone(), name.clone());
                    name
                }
            };
            edits.replace(span, quoted(&name));
        }
        let bytes = edits.apply(&body).map_err(|_| bad("body-malformed", "The body is not acceptable JSON."))?;
        Ok((bytes.into(), Some(seen)))
    }

    /// FHIR R4 §3.1.0.4.3: none is a create, one an update, several neither. Where the body brings an id and nothing
    /// matches it would be an update of an id that is not there, which is no more served than `PUT [type]/[id]` of one.
    async fn settle_update(
        &self,
        rtype: ResourceType,
        criteria: &SearchQuery,
        body: Bytes,
        if_match: Option<String>,
    ) -> Result<Settled, Refused> {
        // Where nothing matches it creates: that is asked before anything is searched.
        self.organisation("create", rtype)?;
        let own = {
            let doc = Doc::parse(&body).map_err(|_| bad("body-malformed", "The body is not acceptable JSON."))?;
            doc.root().str_at("id").map(std::borrow::Cow::into_owned)
        };
        let Matches { found, kept_back } = self.matches(rtype, criteria).await?;
        let act = match (found, own) {
            (Found::Several, _) => return Err(not_selective(kept_back)),
            (Found::Nobody, Some(_)) => return Err(Refused::from(Problem::Absent).beside(kept_back)),
            (Found::Nobody, None) if if_match.is_some() => {
                return Err(Refused::from(Problem::VersionConflict).beside(kept_back));
            }
            (Found::Nobody, None) => Act::Create { body },
            (Found::One(there), Some(own)) if own == there.id => Act::Update { id: there.id, body, if_match },
            (Found::One(_), Some(_)) => {
                let other = bad("body-other-id", "The body's id is not that of the resource that matches.");
                return Err(Refused::from(other).beside(kept_back));
            }
            (Found::One(there), None) => {
                let body = with_id(&body, &there.id)?;
                Act::Update { id: there.id, body, if_match }
            }
        };
        Ok(Settled::Do(Deed { rtype, act, seen: kept_back }))
    }

    /// The one resource that a patch or a delete is about.
    async fn one(&self, rtype: ResourceType, which: Which) -> Result<(String, Option<Box<Window>>), Refused> {
        let criteria = match which {
            Which::Id(id) => return Ok((id, None)),
            Which::Criteria(criteria) => criteria,
        };
        let Matches { found, kept_back } = self.matches(rtype, &criteria).await?;
        match found {
            Found::Nobody => Err(Refused::from(Problem::Absent).beside(kept_back)),
            Found::One(there) => Ok((there.id, kept_back)),
            Found::Several => Err(not_selective(kept_back)),
        }
    }

    /// What the organisation allows of what is a part of this write.
    fn organisation(&self, action: &'static str, rtype: ResourceType) -> Result<(), Problem> {
        let allowed = self.rules.organisation(&self.asked.caller, action, Some(rtype.as_str()));
        allowed.map_err(|_| {
            super::refused("organisation-policy", "Your organisation's policy does not allow you this kind of request.")
        })
    }

    /// Searches by the criteria, to the end.
    pub(super) async fn matches(&self, rtype: ResourceType, criteria: &SearchQuery) -> Result<Matches, Refused> {
        let permit = self.permit(Action::Search, rtype)?;
        self.organisation("search-type", rtype)?;
        let cursors = self.gate.shared.cursors.under(self.asked.epoch());
        let handling = gateway_core::interaction::Handling::Strict;
        let asked = search::Asked {
            rtype,
            query: criteria,
            handling,
            cursors,
            rules: self.rules,
            // Criteria bring nothing along.
            reaches: Reaches::new(|_| false),
            traceparent: self.traceparent.clone(),
            fresh: true,
        };
        let mut answer = search::by_criteria(self.gate, self.judge.clone(), permit, asked).await?;
        let mut all = Box::new(Window::only());
        loop {
            let mut window = match answer.next_window().await {
                // As many as that are several, whoever may see them.
                Err(Problem::Unfilterable("search-too-large")) => return Err(not_selective(all.kept_back())),
                window => window?,
            };
            let last = window.is_last();
            all.bytes.append(&mut window.bytes);
            all.absorb(window);
            if last {
                break;
            }
        }
        let unreadable = || Problem::Unfilterable("upstream-malformed-entry");
        let (total, first) = {
            let doc = Doc::parse(&all.bytes).map_err(|_| unreadable())?;
            let total: u64 =
                doc.root().get("total").and_then(|total| total.raw_str().parse().ok()).ok_or_else(unreadable)?;
            (total, first(doc.root()))
        };
        match (total, first) {
            (0, _) => Ok(Matches { found: Found::Nobody, kept_back: all.kept_back() }),
            (1, Some((id, version, bytes))) => {
                let version = version.filter(|version| is_fhir_id(version));
                let history = version.as_ref().map(|version| format!("/_history/{version}")).unwrap_or_default();
                let location = self.judge.bases().public.join(&format!("{rtype}/{id}{history}"));
                let kept_back = all.kept_back();
                all.bytes = bytes;
                let there = There { rtype, id, version, location, window: all };
                Ok(Matches { found: Found::One(Box::new(there)), kept_back })
            }
            (1, None) => Err(unreadable().into()),
            (_, _) => Ok(Matches { found: Found::Several, kept_back: all.kept_back() }),
        }
    }
}

/// References that are searches (`Patient?identifier=…`), with where they stand.
fn searches(value: Value<'_>) -> Vec<(std::ops::Range<usize>, String)> {
    let mut found = Vec::new();
    let mut below = vec![value];
    while let Some(next) = below.pop() {
        for child in next.children() {
            match child.as_str().filter(|_| child.key_is("reference")) {
                Some(text) if text.split_once('?').is_some_and(|(name, _)| ResourceType::parse(name).is_ok()) => {
                    found.push((child.span(), text.into_owned()));
                }
                Some(_) | None => below.push(child),
            }
        }
    }
    found
}

/// Id, version and bytes of the first match of a filtered searchset.
fn first(bundle: Value<'_>) -> Option<(String, Option<String>, Vec<u8>)> {
    let resource = bundle.get("entry")?.items().next()?.get("resource")?;
    let version = resource.get("meta").and_then(|meta| meta.str_at("versionId"));
    Some((resource.str_at("id")?.into_owned(), version.map(std::borrow::Cow::into_owned), resource.raw().to_vec()))
}

/// The body with the id that it was found to be about.
fn with_id(body: &[u8], id: &str) -> Result<Bytes, Problem> {
    let failed = || bad("body-malformed", "The body is not acceptable JSON.");
    let doc = Doc::parse(body).map_err(|_| failed())?;
    let mut edits = Edits::new();
    edits.insert_member(doc.root(), "id", quoted(id).as_bytes());
    edits.apply(body).map(Bytes::from).map_err(|_| failed())
}

fn not_selective(kept_back: Option<Box<Window>>) -> Refused {
    Refused::from(Problem::NotSelective).beside(kept_back)
}
