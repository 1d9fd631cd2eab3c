//! Respond: a recorded outcome becomes the HTTP response. Nothing else can.

use actix_web::HttpResponse;
use actix_web::body::{BodyStream, BoxBody, MessageBody as _, SizedStream};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};

use crate::outcome::Answer;
use crate::record::{Recorded, RecordedBody};

const FHIR_JSON: &str = "application/fhir+json;charset=utf-8";
const PLAIN_JSON: &str = "application/json";

/// Makes the response. For HEAD the head of the GET goes out without its body.
///
/// The headers are those of [`Answer`] and the constant ones here; none of the upstream's passes by itself
/// (CONSENT.md, leak table, "headers").
pub fn respond(recorded: Recorded, head_only: bool) -> HttpResponse<BoxBody> {
    let (request, answer, body) = recorded.into_parts();
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.insert_header((HeaderName::from_static("x-request-id"), request.to_string()));
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response.insert_header((header::VARY, HeaderValue::from_static("Authorization, Origin")));
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    for (name, value) in optional(&answer) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.insert_header((name, value));
        }
    }
    let media = if answer.plain_json { PLAIN_JSON } else { FHIR_JSON };
    match body {
        RecordedBody::Whole(bytes) if bytes.is_empty() => response.finish(),
        RecordedBody::Whole(bytes) if head_only => {
            response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(media)));
            let empty = futures_util::stream::empty::<Result<bytes::Bytes, std::io::Error>>();
            response.body(SizedStream::new(bytes.len() as u64, empty).boxed())
        }
        RecordedBody::Whole(bytes) => {
            response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(media)));
            response.body(bytes)
        }
        RecordedBody::Windows(windows) => {
            response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(media)));
            if head_only { response.finish() } else { response.body(BodyStream::new(windows)) }
        }
    }
}

fn optional(answer: &Answer) -> impl Iterator<Item = (HeaderName, String)> {
    [
        (header::ETAG, answer.etag.clone()),
        (header::LAST_MODIFIED, answer.last_modified.clone()),
        (header::LOCATION, answer.location.clone()),
        (header::WWW_AUTHENTICATE, answer.challenge.clone()),
        (header::RETRY_AFTER, answer.retry_after.map(|seconds| seconds.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}
