//! Transaction: all of it or nothing. Every entry is decided on before anything is sent, in the world that the others make:
//! what is new is known to the others by its `fullUrl` (FHIR R4 §3.1.0.11.2; ADR 0049).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use gateway_core::facts::ResourceFacts;
use gateway_core::interaction::Return;
use gateway_core::json::{Doc, quoted};
use gateway_core::owner::{Owners, PatientId};
use gateway_core::reference::Target;
use gateway_core::resource_type::ResourceType;

use super::ending::{Ended, beside, failed, unknown};
use super::images::bad;
use super::{Act, Change, Deed, Names, Prepared, Settled, There, Writer};
use crate::filter::Judge;
use crate::forward::{Method, UpstreamAnswer, UpstreamError, UpstreamRequest};
use crate::gate::Gate;
use crate::head::Head;
use crate::outcome::{Answer, Outcome, Refused};
use crate::problem::Problem;
use crate::random;
use crate::record::{Access, Asked};
use crate::rules::Rules;
use crate::turns::Place;

/// An entry of a transaction.
pub struct Piece {
    /// Its access.
    pub access: Access,
    /// Who asked for what.
    pub asked: Asked,
    /// Its preconditions.
    pub head: Head,
    /// The name by which the others refer to it.
    pub full_url: Option<String>,
    /// What it writes.
    pub change: Change,
}

/// What became of a transaction that was sent, or had nothing to send.
pub struct Carried {
    /// What became of each entry, in the order of the Bundle.
    pub entries: Vec<(Access, Asked, Outcome)>,
    /// Why it has no answer of its own.
    pub problem: Option<Problem>,
}

/// Who the entries belong to.
struct Of {
    access: Access,
    asked: Asked,
    head: Head,
    full_url: Option<String>,
}

/// An entry that was decided on.
enum Ready {
    There(Box<There>),
    Send(Box<Prepared>),
}

/// Decides on every entry, records every intent, sends one transaction, and says how each entry ended.
///
/// # Errors
/// Where one entry is refused: nothing was sent, and nothing of the others is told.
pub async fn transaction(
    gate: &Gate,
    rules: &Rules,
    judge: &Judge,
    returns: Option<Return>,
    pieces: Vec<Piece>,
) -> Result<Carried, Refused> {
    let places: BTreeSet<Place> = pieces.iter().filter_map(|piece| piece.change.place()).collect();
    let _turns = gate.shared.turns.at(&places, gate.shared.limits.request_timeout).await?;
    let nobody = Names::default();
    let (mut of, mut settled) = (Vec::new(), Vec::new());
    for Piece { access, asked, head, full_url, change } in pieces {
        let entry = Of { access, asked, head, full_url };
        match entry.writer(gate, rules, judge, &nobody, returns).settle(change).await {
            Ok(done) => settled.push(done),
            Err(refused) => return Err(settled.iter().fold(refused, |refused, of| refused.beside(of.kept_back()))),
        }
        of.push(entry);
    }
    let names = names(judge, &of, &settled)?;
    let judge = judge.clone().with_made(Arc::new(made(gate, rules, judge, &names, &of, &settled)?));
    let kept_back: Vec<_> = settled.iter().map(Settled::kept_back).collect();
    let limits = &gate.shared.limits;
    let mut room = limits.body.max(limits.batch_answer);
    let mut ready = Vec::new();
    for (at, (entry, settled)) in of.iter().zip(settled).enumerate() {
        ready.push(match settled {
            Settled::There(there) => Ready::There(there),
            Settled::Do(deed) => {
                match entry.writer(gate, rules, &judge, &names, returns).prepare(deed).await {
                    Ok(prepared) if fits(&prepared, &mut room) => Ready::Send(Box::new(prepared)),
                    refused => {
                        let refused = refused.err().unwrap_or_else(|| too_much().into());
                        // Its own is beside it already.
                        let others = kept_back.into_iter().enumerate().filter(|(other, _)| *other != at);
                        return Err(others.fold(refused, |refused, (_, of)| refused.beside(of)));
                    }
                }
            }
        });
    }
    carry(gate, rules, &judge, &names, returns, of, ready).await.map_err(Refused::from)
}

/// Takes what an entry comes to off the room that is left: small patches may make large images.
fn fits(prepared: &Prepared, room: &mut usize) -> bool {
    let left = room.checked_sub(prepared.request.body.as_ref().map_or(0, Bytes::len));
    *room = left.unwrap_or_default();
    left.is_some()
}

fn too_much() -> Problem {
    Problem::BadBody {
        status: 413,
        rule: "transaction-too-large",
        sentence: "What the entries come to is larger than this gateway takes: nothing was written.".to_owned(),
    }
}

impl Of {
    fn writer<'a>(
        &'a self,
        gate: &'a Gate,
        rules: &'a Rules,
        judge: &'a Judge,
        names: &'a Names,
        returns: Option<Return>,
    ) -> Writer<'a> {
        Writer {
            gate,
            rules,
            judge,
            access: &self.access,
            asked: &self.asked,
            returns,
            traceparent: self.head.traceparent.clone(),
            in_bundle: true,
            names,
        }
    }
}

/// What the entries are called by the others. A name of what is new cannot be guessed, so that no other reference is
/// taken for it.
fn names(judge: &Judge, of: &[Of], settled: &[Settled]) -> Result<Names, Problem> {
    let nonce = hex::encode(random::nonce().map_err(|_| Problem::Overloaded("no-randomness"))?);
    let mut names = Names::default();
    let mut written = BTreeSet::new();
    for (index, (entry, settled)) in of.iter().zip(settled).enumerate() {
        let stored = match settled {
            Settled::There(there) => Some(there.name()),
            Settled::Do(Deed { act: Act::Create { .. }, .. }) => None,
            Settled::Do(Deed {
                rtype,
                act: Act::Update { id, .. } | Act::Patch { id, .. } | Act::Delete { id, .. },
                ..
            }) => {
                let name = format!("{rtype}/{id}");
                if !written.insert(name.clone()) {
                    return Err(bad("entry-repeated", "Two entries write the same resource: nothing was written."));
                }
                Some(name)
            }
        };
        let Some(full_url) = &entry.full_url else { continue };
        let urn = full_url.starts_with("urn:uuid:") || full_url.starts_with("urn:oid:");
        let other = || bad("entry-full-url", "An entry's fullUrl is that of another resource, or of two entries.");
        let repeated = match (settled, stored) {
            (_, Some(name)) if urn => names.stored.insert(full_url.clone(), name).is_some(),
            (_, Some(name)) if Target::parse(full_url, judge.bases()).normalised().as_ref() == Some(&name) => false,
            (Settled::Do(Deed { rtype, .. }), None) if urn => {
                names.made.insert(full_url.clone(), format!("{rtype}/{nonce}-{index}")).is_some()
            }
            _ => return Err(other()),
        };
        if repeated || (names.made.contains_key(full_url) && names.stored.contains_key(full_url)) {
            return Err(other());
        }
    }
    Ok(names)
}

/// The facts of what is new, by the names that it has while it is decided on.
fn made(
    gate: &Gate,
    rules: &Rules,
    judge: &Judge,
    names: &Names,
    of: &[Of],
    settled: &[Settled],
) -> Result<BTreeMap<String, ResourceFacts>, Problem> {
    let mut made = BTreeMap::new();
    for (entry, settled) in of.iter().zip(settled) {
        let (Settled::Do(Deed { rtype, act: Act::Create { body }, .. }), Some(urn)) = (settled, &entry.full_url) else {
            continue;
        };
        let Some(name) = names.made.get(urn) else { continue };
        let mut facts = entry.writer(gate, rules, judge, names, None).image_after(*rtype, None, body)?.facts;
        facts.id = name.split_once('/').map(|(_, id)| id.to_owned());
        if *rtype == ResourceType::PATIENT
            && let Ok(own) = PatientId::parse(name)
        {
            facts.owners = Owners::Patients(vec![own]);
        }
        made.insert(name.clone(), facts);
    }
    Ok(made)
}

/// Records every intent in one write of the journal, sends, and tells the ends.
async fn carry(
    gate: &Gate,
    rules: &Rules,
    judge: &Judge,
    names: &Names,
    returns: Option<Return>,
    of: Vec<Of>,
    ready: Vec<Ready>,
) -> Result<Carried, Problem> {
    let mut sent = Vec::new();
    let mut intents = Vec::new();
    for (entry, ready) in of.iter().zip(&ready) {
        if let Ready::Send(prepared) = ready {
            sent.push((&prepared.permit, piece(entry, &prepared.request, judge)));
            intents.push((&entry.access, &entry.asked));
        }
    }
    let Some((permit, _)) = sent.first() else {
        let there = of.into_iter().zip(ready).filter_map(|(entry, ready)| match ready {
            Ready::There(there) => Some((entry.access, entry.asked, there.outcome(returns))),
            Ready::Send(_) => None,
        });
        return Ok(Carried { entries: there.collect(), problem: None });
    };
    let intended = gate.shared.recorder.intend_all(&intents).await?;
    let bodies: Vec<&[u8]> = sent.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let bundle =
        [br#"{"resourceType":"Bundle","type":"transaction","entry":["#, bodies.join(&b","[..]).as_slice(), b"]}"]
            .concat();
    let limit = gate.shared.limits.batch_answer + bundle.len();
    let traceparent = of.first().and_then(|entry| entry.head.traceparent.clone());
    let request = UpstreamRequest {
        method: Method::Post,
        target: String::new(),
        body: Some(bundle.into()),
        if_match: None,
        traceparent,
    };
    let images: Vec<ResourceFacts> = ready.iter().flat_map(Ready::images).cloned().collect();
    let forget =
        || of.first().iter().for_each(|entry| entry.writer(gate, rules, judge, names, returns).forget(&images));
    forget();
    let answered = gate.upstream.forward(permit, request).await;
    let answers = Answered::read(answered, limit, sent.len()).await;
    forget();

    let problem = answers.problem();
    let (mut entries, mut unsure) = (Vec::new(), false);
    let mut at = 0;
    let real = answers.real_names(&of, &ready, names);
    for (entry, ready) in of.into_iter().zip(ready) {
        let outcome = match ready {
            Ready::There(there) => there.outcome(returns),
            Ready::Send(prepared) => {
                let Prepared { permit, mut written, .. } = *prepared;
                let seen = written.seen.take();
                written.owners = written.owners.iter().filter_map(|owner| known(owner, names, &real)).collect();
                let writer = entry.writer(gate, rules, judge, names, returns);
                let ended: Ended = match &answers {
                    Answered::Refused(problem) => failed(problem),
                    Answered::Lost(problem) => unknown(problem, &written),
                    Answered::Stored(stored) => {
                        let stored = stored.get(at).ok_or(Problem::Unfilterable("upstream-malformed-entry"));
                        let ended = match stored {
                            Ok((head, body)) => {
                                writer.stored(head_of(head, &writer), body, permit.action(), &written).await
                            }
                            Err(problem) => Err(problem),
                        };
                        ended.unwrap_or_else(|problem| {
                            unsure = true;
                            unknown(&problem, &written)
                        })
                    }
                };
                at += 1;
                let (answer, mut window, end) = ended;
                beside(&mut window, end, seen);
                Outcome::Written { answer, window, end, intended: intended.clone() }
            }
        };
        entries.push((entry.access, entry.asked, outcome));
    }
    let problem = problem.or(unsure.then_some(Problem::WriteUnknown { status: 502 }));
    Ok(Carried { entries, problem })
}

/// An entry as the upstream gets it: by id and version, without conditions.
fn piece(entry: &Of, request: &UpstreamRequest, judge: &Judge) -> Vec<u8> {
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
    };
    let full_url = match (request.method, &entry.full_url) {
        (Method::Post, None) => None,
        (Method::Post, Some(urn)) => Some(urn.clone()),
        _ => Some(judge.bases().upstream.join(&request.target)),
    };
    let mut out = b"{".to_vec();
    if let Some(full_url) = full_url {
        out.extend_from_slice(format!(r#""fullUrl":{},"#, quoted(&full_url)).as_bytes());
    }
    if let Some(body) = &request.body {
        out.extend_from_slice(br#""resource":"#);
        out.extend_from_slice(body);
        out.push(b',');
    }
    out.extend_from_slice(format!(r#""request":{{"method":"{method}","url":{}"#, quoted(&request.target)).as_bytes());
    if let Some(version) = &request.if_match {
        out.extend_from_slice(format!(r#","ifMatch":{}"#, quoted(version)).as_bytes());
    }
    out.extend_from_slice(b"}}");
    out
}

impl Ready {
    fn images(&self) -> &[ResourceFacts] {
        match self {
            Self::There(_) => &[],
            Self::Send(prepared) => &prepared.written.images,
        }
    }
}

/// What the upstream said.
enum Answered {
    /// Nothing was written.
    Refused(Problem),
    /// It is not known.
    Lost(Problem),
    /// All of it; for each entry the head and the resource.
    Stored(Vec<(Answer, Bytes)>),
}

impl Answered {
    async fn read(answered: Result<UpstreamAnswer, UpstreamError>, limit: usize, count: usize) -> Self {
        let answer = match answered {
            Err(error) if error.may_have_arrived() => return Self::Lost(error.into()),
            Err(error) => return Self::Refused(error.into()),
            Ok(answer) => answer,
        };
        match answer.status {
            200 | 201 => {}
            status @ (202..=299 | 502 | 504) => return Self::Lost(Problem::UpstreamRefused { status }),
            status => return Self::Refused(Problem::UpstreamRefused { status }),
        }
        match answer.into_json_bytes(limit).await {
            Err(error) => Self::Lost(error.into()),
            Ok(body) => match entries(&body) {
                Some(entries) if entries.len() == count => Self::Stored(entries),
                Some(_) | None => Self::Lost(Problem::Unfilterable("upstream-malformed-bundle")),
            },
        }
    }

    fn problem(&self) -> Option<Problem> {
        match self {
            Self::Refused(problem) => Some(problem.clone()),
            Self::Lost(Problem::Upstream(UpstreamError::Timeout) | Problem::UpstreamRefused { status: 504 }) => {
                Some(Problem::WriteUnknown { status: 504 })
            }
            Self::Lost(_) => Some(Problem::WriteUnknown { status: 502 }),
            Self::Stored(_) => None,
        }
    }

    /// What the new resources are called now, by the names that they had before.
    fn real_names(&self, of: &[Of], ready: &[Ready], names: &Names) -> BTreeMap<String, String> {
        let Self::Stored(stored) = self else { return BTreeMap::new() };
        let sent = of.iter().zip(ready).filter(|(_, ready)| matches!(ready, Ready::Send(_)));
        let named = sent.zip(stored).filter_map(|((entry, _), (_, body))| {
            let before = names.made.get(entry.full_url.as_ref()?)?;
            let doc = Doc::parse(body).ok()?;
            Some((before.clone(), format!("{}/{}", doc.root().str_at("resourceType")?, doc.root().str_at("id")?)))
        });
        named.collect()
    }
}

/// The owner by the name that he has now; none for one who was to be made and is not known to be there.
fn known(owner: &PatientId, names: &Names, real: &BTreeMap<String, String>) -> Option<PatientId> {
    let name = owner.reference();
    if !names.made.values().any(|made| *made == name) {
        return Some(owner.clone());
    }
    real.get(&name).and_then(|real| PatientId::parse(real).ok())
}

/// Status, ETag, Location, time and resource of each entry of a `transaction-response`.
fn entries(body: &[u8]) -> Option<Vec<(Answer, Bytes)>> {
    let doc = Doc::parse(body).ok()?;
    if doc.root().str_at("type").as_deref() != Some("transaction-response") {
        return None;
    }
    let read = |entry: gateway_core::json::Value<'_>| {
        let response = entry.get("response")?;
        let status: u16 = response.str_at("status")?.get(..3)?.parse().ok()?;
        let text = |name: &str| response.str_at(name).map(std::borrow::Cow::into_owned);
        let head = Answer { etag: text("etag"), location: text("location"), ..Answer::status(status) };
        let resource = entry.get("resource").map(|resource| Bytes::copy_from_slice(resource.raw()));
        (200..300).contains(&status).then(|| (head, resource.unwrap_or_default()))
    };
    doc.root().get("entry")?.items().map(read).collect()
}

/// The head of an entry's answer, on the public base.
fn head_of(head: &Answer, writer: &Writer<'_>) -> Answer {
    let bases = writer.judge.bases();
    let path = head.location.as_deref().map(|url| bases.strip(url).unwrap_or(url).trim_start_matches('/').to_owned());
    let location = path.filter(|path| !path.contains("://")).map(|path| bases.public.join(&path));
    Answer { location, ..head.clone() }
}
