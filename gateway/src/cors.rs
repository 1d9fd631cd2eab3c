//! CORS by allow-list: browsers of listed origins may call; nobody else is told that they may not (Fetch, "CORS").

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

const METHODS: &str = "GET, HEAD, POST, PUT, DELETE";
const HEADERS: &str = "Authorization, Content-Type, Accept, Prefer, If-Match, If-None-Match, X-Purpose-Of-Use";
const EXPOSED: &str = "X-Request-Id, ETag, Last-Modified, Location, Retry-After, WWW-Authenticate";

/// The request's origin, if it is one of `origins`; compared byte for byte.
pub fn allowed(request: &HttpRequest, origins: &[String]) -> Option<String> {
    let origin = request.headers().get(header::ORIGIN)?.to_str().ok()?;
    origins.iter().find(|known| known.as_str() == origin).cloned()
}

/// The answer to a preflight request.
pub fn preflight(request: &HttpRequest, origin: Option<&str>) -> Option<HttpResponse> {
    let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() != Method::OPTIONS || !asks {
        return None;
    }
    let mut response = HttpResponse::NoContent();
    if origin.is_some() {
        response.insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS));
        response.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS));
        response.insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"));
    }
    Some(allow(response.finish(), origin))
}

/// Lets a browser of that origin read the answer.
pub fn allow(mut response: HttpResponse, origin: Option<&str>) -> HttpResponse {
    let headers = response.headers_mut();
    if let Some(Ok(origin)) = origin.map(HeaderValue::from_str) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(HeaderName::from_static("access-control-expose-headers"), HeaderValue::from_static(EXPOSED));
    }
    response
}
