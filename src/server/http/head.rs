//! What a request's head decides, before anything else is read.

use actix_web::{
    HttpRequest,
    http::{
        Method, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    },
};

use super::{Endpoint, Refusal};
use crate::{reason::Code, server::config::Limits, telemetry::trace::Parent};

/// Longest path, with its query, that is looked at.
const MAX_PATH_BYTES: usize = 1024;

/// Whether the head is one that is answered.
pub(super) fn check(endpoint: Option<Endpoint>, request: &HttpRequest, limits: &Limits) -> Result<Endpoint, Refusal> {
    let refused = |status, code, message: &str| Err(Refusal::new(status, code, message));
    if request.uri().path_and_query().is_some_and(|path| path.as_str().len() > MAX_PATH_BYTES) {
        return refused(StatusCode::URI_TOO_LONG, Code::BadRequest, "the path is too long");
    }
    let headers = request.headers();
    let line_bytes = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len().saturating_add(value.len());
    if headers.iter().map(line_bytes).fold(0, usize::saturating_add) > limits.header_bytes {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return refused(status, Code::BadRequest, "the header lines are too large (limits.headerBytes)");
    }
    let Some(endpoint) = endpoint else {
        return refused(StatusCode::NOT_FOUND, Code::NoRoute, "there is nothing at this path");
    };
    if request.method() != Method::POST {
        return refused(StatusCode::METHOD_NOT_ALLOWED, Code::NoRoute, "only POST is answered here");
    }
    let unsupported = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    if headers.get_all(CONTENT_ENCODING).any(|value| value != "identity") {
        return refused(unsupported, Code::UnsupportedEncoding, "encoded bodies are not accepted");
    }
    if !headers.get_all(CONTENT_TYPE).all(is_json) {
        return refused(unsupported, Code::UnsupportedEncoding, "the content type is not application/json");
    }
    Ok(endpoint)
}

/// `application/json`, at most with `charset=utf-8`.
fn is_json(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let (essence, parameter) = text.split_once(';').unwrap_or((text, ""));
    let parameter = parameter.trim();
    essence.trim().eq_ignore_ascii_case("application/json")
        && (parameter.is_empty()
            || parameter.eq_ignore_ascii_case("charset=utf-8")
            || parameter.eq_ignore_ascii_case("charset=\"utf-8\""))
}

/// The caller's trace, if it names exactly one.
pub(super) fn parent(headers: &HeaderMap) -> Option<Parent> {
    let mut values = headers.get_all("traceparent");
    match (values.next(), values.next()) {
        (Some(value), None) => Parent::parse(value.to_str().ok()?),
        (Some(_), Some(_)) | (None, _) => None,
    }
}
