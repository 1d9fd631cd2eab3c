//! An entry: the interaction that it asks for, read as strictly as a request of its own.

use std::time::SystemTime;

use actix_web::http::header::HttpDate;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gateway_core::interaction::{Headers, Interaction, Refusal, Request};
use gateway_core::json::Value;
use gateway_core::reference::Bases;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::head::Head;
use crate::problem::Problem;

/// What an entry asks for.
#[derive(Debug)]
pub struct Entry {
    /// The interaction.
    pub interaction: Interaction,
    /// Its body.
    pub body: Bytes,
    /// Its preconditions.
    pub head: Head,
    /// Method and URL, for the sealed query of its event.
    pub line: String,
    /// `fullUrl`: the name by which other entries refer to it.
    pub full_url: Option<String>,
}

/// When an entry is processed (FHIR R4 §3.1.0.11.2): deletes, creates, updates and patches, reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// `DELETE`
    #[default]
    Delete,
    /// `POST`
    Create,
    /// `PUT`, `PATCH`
    Change,
    /// `GET`
    Look,
}

impl Entry {
    /// Reads one element of `Bundle.entry`; `head` is that of the request that brought the Bundle.
    ///
    /// # Errors
    /// Where it is no entry, or no interaction.
    pub fn read(entry: Value<'_>, bases: &Bases, head: &Head, longest_query: usize) -> Result<Self, Problem> {
        let text = |holder: Value<'_>, name: &str| holder.str_at(name).map(std::borrow::Cow::into_owned);
        let request = entry.get("request").ok_or_else(|| bad("An entry has no request."))?;
        let method = text(request, "method").ok_or_else(|| bad("An entry's request has no method."))?;
        let url = text(request, "url").ok_or_else(|| bad("An entry's request has no url."))?;
        let relative = match bases.public.strip(&url) {
            Some(relative) => relative,
            None if url.contains("://") => return Err(bad("An entry's url is on another server.")),
            None => url.as_str(),
        };
        let (path, query) = relative.split_once('?').unwrap_or((relative, ""));
        if query.len() > longest_query {
            return Err(Problem::Uninterpretable(Refusal::QueryTooLong));
        }
        let (body, content_type) = body(entry, &method)?;
        let conditions = ["ifMatch", "ifNoneMatch", "ifNoneExist", "ifModifiedSince"];
        if conditions.iter().any(|name| request.get(name).is_some_and(|value| value.as_str().is_none())) {
            return Err(bad("A condition of an entry's request is no text."));
        }
        let if_none_exist = text(request, "ifNoneExist");
        let headers = Headers {
            content_type: content_type.as_deref(),
            if_none_exist: if_none_exist.as_deref(),
            ..Headers::default()
        };
        let parsed = Interaction::parse(&Request { method: &method, path, query, headers, form: &[] });
        let interaction = parsed.map_err(Problem::Uninterpretable)?;
        let conditional_create = matches!(interaction, Interaction::ConditionalCreate { .. });
        if matches!(interaction, Interaction::Batch | Interaction::Transaction) {
            return Err(Problem::Uninterpretable(Refusal::NotServed("a batch in a batch")));
        }
        if method == "HEAD" {
            return Err(Problem::Uninterpretable(Refusal::NotServed("HEAD in a batch")));
        }
        let since = text(request, "ifModifiedSince").map(|instant| http_date(&instant)).transpose()?;
        let head = Head {
            if_match: text(request, "ifMatch"),
            if_none_match: text(request, "ifNoneMatch"),
            if_modified_since: since,
            unserved: if_none_exist.filter(|_| !conditional_create).map(|_| "if-none-exist"),
            in_bundle: true,
            ..head.clone()
        };
        let line = format!("{method} {relative}");
        Ok(Self { interaction, body, head, line, full_url: text(entry, "fullUrl") })
    }

    /// When it is processed.
    pub fn rank(&self) -> Rank {
        let one = &self.interaction;
        if matches!(one, Interaction::Delete { .. } | Interaction::ConditionalDelete { .. }) {
            Rank::Delete
        } else if matches!(one, Interaction::Create { .. } | Interaction::ConditionalCreate { .. }) {
            Rank::Create
        } else if one.is_write() {
            Rank::Change
        } else {
            Rank::Look
        }
    }
}

/// The body of an entry and its content type. A JSON Patch comes as a Binary (FHIR R4 §3.1.0.8).
fn body(entry: Value<'_>, method: &str) -> Result<(Bytes, Option<String>), Problem> {
    let resource = entry.get("resource");
    match (method, resource) {
        ("PATCH", Some(binary)) if binary.str_at("resourceType").as_deref() == Some("Binary") => {
            let content_type = binary.str_at("contentType").map(std::borrow::Cow::into_owned);
            let data = binary.str_at("data").unwrap_or_default();
            let data = STANDARD.decode(data.as_bytes()).map_err(|_| bad("A patch in an entry is not base64."))?;
            Ok((data.into(), content_type))
        }
        ("POST" | "PUT" | "PATCH", Some(resource)) => {
            Ok((Bytes::copy_from_slice(resource.raw()), Some("application/fhir+json".to_owned())))
        }
        ("GET" | "HEAD" | "DELETE", Some(_)) => Err(bad("An entry that reads or deletes has no resource.")),
        _ => Ok((Bytes::new(), None)),
    }
}

/// An `instant` as HTTP writes it (RFC 9110, 5.6.7): to the second.
fn http_date(instant: &str) -> Result<String, Problem> {
    let at = OffsetDateTime::parse(instant, &Rfc3339).map_err(|_| bad("ifModifiedSince is no instant."))?;
    Ok(HttpDate::from(SystemTime::from(at)).to_string())
}

fn bad(sentence: &str) -> Problem {
    Problem::BadBody { status: 400, rule: "entry-malformed", sentence: sentence.to_owned() }
}
