//! Answers: what became of the entries, as one Bundle within one limit.

use std::time::SystemTime;

use actix_web::http::header::HttpDate;
use evidence::ids::EventId;
use futures_util::StreamExt as _;
use gateway_core::json::quoted;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::filter::Window;
use crate::forward::UpstreamError;
use crate::gate::Shared;
use crate::outcome::{Answer, Outcome};
use crate::problem::Problem;
use crate::record::{Recorded, RecordedBody};

/// The answers of a Bundle's entries, each at its place.
pub(super) struct Answers {
    entries: Vec<Vec<u8>>,
    base: String,
    left: usize,
}

impl Answers {
    /// Places for so many answers.
    pub(super) fn new(shared: &Shared, count: usize) -> Self {
        let base = shared.bases.public.as_str().to_owned();
        Self { entries: vec![Vec::new(); count], base, left: shared.limits.batch_answer }
    }

    /// Puts a recorded answer at its place. One that passes the limit is put as the refusal that it then is; that it was
    /// recorded before is too much on record and nothing too little.
    pub(super) async fn take(&mut self, at: usize, recorded: Recorded) {
        let (id, answer, body) = recorded.into_parts();
        let entry = match collected(body, self.left).await {
            Ok(body) => written(id, &answer, &body),
            Err(problem) => {
                let (answer, body) = Answer::told(&problem.told());
                written(id, &answer, &body)
            }
        };
        self.left = self.left.saturating_sub(entry.len());
        if let Some(place) = self.entries.get_mut(at) {
            *place = entry;
        }
    }

    /// The Bundle.
    pub(super) fn bundle(self, kind: &str) -> Outcome {
        let mut window = Box::new(Window::only());
        let link = quoted(&self.base);
        let head = format!(r#"{{"resourceType":"Bundle","type":"{kind}","link":[{{"relation":"self","url":{link}}}]"#);
        window.bytes = head.into_bytes();
        if !self.entries.is_empty() {
            window.bytes.extend_from_slice(br#","entry":["#);
            window.bytes.extend_from_slice(&self.entries.join(&b","[..]));
            window.bytes.push(b']');
        }
        window.bytes.push(b'}');
        Outcome::Whole { answer: Answer::status(200), window }
    }
}

async fn collected(body: RecordedBody, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut all = Vec::new();
    match body {
        RecordedBody::Whole(bytes) => all.extend_from_slice(&bytes),
        RecordedBody::Windows(mut windows) => {
            while let Some(window) = windows.next().await {
                let window = window.map_err(|_| Problem::Upstream(UpstreamError::BrokenOff))?;
                if all.len() + window.len() > limit {
                    return Err(Problem::Upstream(UpstreamError::TooLarge));
                }
                all.extend_from_slice(&window);
            }
        }
    }
    if all.len() > limit { Err(Problem::Upstream(UpstreamError::TooLarge)) } else { Ok(all) }
}

/// One element of `Bundle.entry`; its id is that of the request event, as `X-Request-Id` is of an answer alone.
fn written(id: EventId, answer: &Answer, body: &[u8]) -> Vec<u8> {
    let outcome = body.starts_with(br#"{"resourceType":"OperationOutcome""#) || answer.status >= 400;
    let mut out = format!(r#"{{"id":"{id}","#).into_bytes();
    if !body.is_empty() && !outcome {
        out.extend_from_slice(br#""resource":"#);
        out.extend_from_slice(body);
        out.push(b',');
    }
    out.extend_from_slice(format!(r#""response":{{"status":"{}""#, answer.status).as_bytes());
    let modified = answer.last_modified.as_deref().and_then(instant);
    for (name, value) in [("location", &answer.location), ("etag", &answer.etag), ("lastModified", &modified)] {
        if let Some(value) = value {
            out.extend_from_slice(format!(r#","{name}":{}"#, quoted(value)).as_bytes());
        }
    }
    if !body.is_empty() && outcome {
        out.extend_from_slice(br#","outcome":"#);
        out.extend_from_slice(body);
    }
    out.extend_from_slice(b"}}");
    out
}

/// An HTTP date as an `instant`.
fn instant(date: &str) -> Option<String> {
    let at: SystemTime = date.parse::<HttpDate>().ok()?.into();
    OffsetDateTime::from(at).format(&Rfc3339).ok()
}
