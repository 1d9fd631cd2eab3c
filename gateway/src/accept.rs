//! Accept: the request as it came, and the documents that need no caller.

use actix_web::HttpRequest;
use actix_web::http::{Method, Version};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use evidence::ids::EventId;
use futures_util::StreamExt as _;
use tracing::Span;

use crate::capability::smart_configuration;
use crate::gate::Gate;
use crate::outcome::Answer;
use crate::problem::Problem;
use crate::record::Access;
use crate::telemetry::{TraceParent, outgoing};

/// One request as it came; its body is read once, by [`Incoming::body`].
pub struct Incoming {
    request: HttpRequest,
    payload: Payload,
    /// The path after the public base, still encoded; `None` where the request is not under it.
    path: Option<String>,
    id: EventId,
}

impl Incoming {
    /// Takes a request in under the id of its event. `base_path` is the path of the public base, without a slash at the
    /// end.
    pub fn new(request: HttpRequest, payload: Payload, base_path: &str, id: EventId) -> Self {
        let path = request.uri().path().strip_prefix(base_path);
        let path = path.filter(|rest| rest.is_empty() || rest.starts_with('/')).map(ToOwned::to_owned);
        Self { request, payload, path, id }
    }

    /// What its events and its answer have in common.
    pub fn access(&self) -> Access {
        let trace_id = self.trace_parent().map(|parent| parent.trace_id());
        Access { id: self.id, trace_id, can_stream: self.request.version() >= Version::HTTP_11 }
    }

    /// Whether only the head of the answer is wanted.
    pub fn is_head(&self) -> bool {
        self.request.method() == Method::HEAD
    }

    /// The HTTP method; HEAD counts as GET (RFC 9110, 9.3.2).
    pub fn method(&self) -> &str {
        if self.is_head() { "GET" } else { self.request.method().as_str() }
    }

    /// The path after the public base.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The query, still encoded.
    pub fn query(&self) -> &str {
        self.request.query_string()
    }

    /// The one header of that name.
    ///
    /// # Errors
    /// Where it stands twice or is not visible ASCII: two parties might read it differently.
    pub fn header(&self, name: &str) -> Result<Option<&str>, Problem> {
        let bad = || Problem::BadBody {
            status: 400,
            rule: "header-malformed",
            sentence: format!("The header {name} stands twice or is not plain text."),
        };
        let mut values = self.request.headers().get_all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(bad());
        }
        first.map(|value| value.to_str().map_err(|_| bad())).transpose()
    }

    /// Refuses more headers than `limit` bytes, names and values together. They were read already, by an HTTP layer that
    /// takes 128 KiB of head and 96 headers at most (actix-http `h1/decoder.rs`) and itself answers more with 431.
    ///
    /// # Errors
    /// [`Problem::HeadTooLarge`]
    pub fn head_within(&self, limit: usize) -> Result<(), Problem> {
        let headers = self.request.headers().iter();
        let bytes: usize = headers.map(|(name, value)| name.as_str().len() + value.len()).sum();
        if bytes > limit { Err(Problem::HeadTooLarge) } else { Ok(()) }
    }

    /// Whether a header stands there, whatever it says.
    pub fn has(&self, name: &str) -> bool {
        self.request.headers().contains_key(name)
    }

    /// The caller's W3C trace context, if it is well-formed.
    pub fn trace_parent(&self) -> Option<TraceParent> {
        self.header("traceparent").ok().flatten().and_then(TraceParent::parse)
    }

    /// The `traceparent` to send on.
    pub fn outgoing_trace(&self) -> Option<String> {
        outgoing(&Span::current(), self.trace_parent().as_ref()).map(|parent| parent.to_string())
    }

    /// The route as metrics and spans name it: a template, never an id.
    pub fn route(&self) -> &'static str {
        let Some(path) = self.path.as_deref() else { return "other" };
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match segments.as_slice() {
            [] | [""] => "/",
            ["metadata"] => "/metadata",
            [".well-known", "smart-configuration"] => "/.well-known/smart-configuration",
            [_] => "/{type}",
            [_, "_search"] => "/{type}/_search",
            [_, "_history"] => "/{type}/_history",
            [_, _] => "/{type}/{id}",
            [_, _, "_history"] => "/{type}/{id}/_history",
            [_, _, "_history", _] => "/{type}/{id}/_history/{vid}",
            _ => "other",
        }
    }

    /// The method as metrics and spans name it.
    pub fn method_label(&self) -> &'static str {
        match self.request.method().as_str() {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "POST" => "POST",
            "PUT" => "PUT",
            "PATCH" => "PATCH",
            "DELETE" => "DELETE",
            "OPTIONS" => "OPTIONS",
            _ => "_OTHER",
        }
    }

    /// Reads the body, at most `limit` bytes, in no content coding.
    pub async fn body(&mut self, limit: usize) -> Result<Bytes, Problem> {
        let bad = |status, rule, sentence: &str| Problem::BadBody { status, rule, sentence: sentence.to_owned() };
        let coding = self.header("content-encoding")?;
        if coding.is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
            return Err(bad(415, "body-encoded", "Send the body without a content coding."));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = self.payload.next().await {
            let chunk = chunk.map_err(|_| bad(400, "body-truncated", "The body ended early: nothing was written."))?;
            if body.len() + chunk.len() > limit {
                return Err(bad(413, "body-too-large", "The body is larger than this gateway takes."));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

/// The public documents: capabilities and SMART configuration. They disclose nothing of anybody.
pub fn public_document(gate: &Gate, incoming: &Incoming) -> Option<(&'static str, Answer, Bytes)> {
    if incoming.method() != "GET" {
        return None;
    }
    match incoming.path()? {
        "/metadata" => Some(match gate.shared.capabilities.known() {
            Ok(capability) => ("metadata", Answer::status(200), capability.statement.clone()),
            Err(problem) => {
                let (answer, body) = Answer::told(&problem.told());
                ("metadata-unavailable", answer, body)
            }
        }),
        "/.well-known/smart-configuration" => {
            let Some(issuer) = gate.shared.issuer.get() else {
                let (answer, body) = Answer::told(&Problem::NoFacts("issuer-unavailable").told());
                return Some(("smart-configuration-unavailable", answer, body));
            };
            let document = smart_configuration(issuer).to_string().into();
            Some(("smart-configuration", Answer { plain_json: true, ..Answer::status(200) }, document))
        }
        _ => None,
    }
}
