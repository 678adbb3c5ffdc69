//! What is answered: the distribution API, read only, for one artifact of one subject.
//!
//! Pure: method, target and headers in, a response out. Every byte was checked before it came here.

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Response, StatusCode, Uri,
    header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::Served;
use crate::oci::{Content, Descriptor, Host, Registry, media_type};

/// Docker Hub's own name for the host that serves its API; ORAS and Docker ask there for `docker.io`.
const DOCKER_API: &str = "registry-1.docker.io";
const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");
const VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const JSON: &str = "application/json";
const BLOB: &str = "application/octet-stream";

/// Answers one request: `uri` in absolute form, as to a proxy, or in origin form with `Host`.
pub(super) fn answer(method: &Method, uri: &Uri, headers: &HeaderMap, served: &Served) -> Response<Bytes> {
    if method != Method::GET && method != Method::HEAD {
        let mut refused = refusal(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "only GET and HEAD");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    if !is_asked_of(served.subject.repository().registry(), uri, headers) {
        return refusal(StatusCode::FORBIDDEN, "DENIED", "only the subject's registry is served");
    }
    // A colon may come escaped; nothing else in a path of this API needs to be.
    let path = uri.path().replace("%3A", ":").replace("%3a", ":");
    match route(&path, served.subject.repository().path()) {
        Route::Api => api(),
        Route::Blob(digest) => match served.blobs.iter().find(|blob| is(blob, digest)) {
            Some(blob) => content(blob, BLOB),
            None => refusal(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "no blob of this artifact"),
        },
        Route::Manifest(reference) => match manifest(reference, served) {
            Some(manifest) => content(manifest, &manifest.descriptor().media_type),
            None => refusal(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "neither the subject nor this artifact"),
        },
        Route::Referrers(digest) if digest == served.subject.digest().to_string() => {
            referrers(&served.listed, uri.query().unwrap_or_default())
        }
        Route::Elsewhere | Route::Referrers(_) => {
            refusal(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "only this artifact of this subject is served")
        }
    }
}

/// A refusal with the body that registries give.
pub(super) fn refusal(status: StatusCode, code: &str, message: &str) -> Response<Bytes> {
    let body = json!({ "errors": [{ "code": code, "message": message }] });
    reply(status, JSON, Bytes::from(body.to_string()))
}

/// What a path is for. Rule: OCI distribution specification v1.1, "Endpoints".
enum Route<'a> {
    Api,
    Blob(&'a str),
    Elsewhere,
    Manifest(&'a str),
    Referrers(&'a str),
}

fn route<'a>(path: &'a str, repository: &str) -> Route<'a> {
    if path == "/v2/" || path == "/v2" {
        return Route::Api;
    }
    let below = path.strip_prefix("/v2/").and_then(|rest| rest.strip_prefix(repository));
    match below.and_then(|rest| rest.strip_prefix('/')).and_then(|rest| rest.split_once('/')) {
        Some(("blobs", digest)) => Route::Blob(digest),
        Some(("manifests", reference)) => Route::Manifest(reference),
        Some(("referrers", digest)) => Route::Referrers(digest),
        _ => Route::Elsewhere,
    }
}

/// In absolute form the target names the registry, and `Host` is ignored (RFC 9112 §3.2.2).
fn is_asked_of(registry: &Registry, uri: &Uri, headers: &HeaderMap) -> bool {
    let authority = match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(authority)) => authority.as_str(),
        (None, None) => match headers.get(HOST).map(HeaderValue::to_str) {
            Some(Ok(host)) => host,
            Some(Err(_)) | None => return false,
        },
        _ => return false,
    };
    let is_docker = *registry.host() == Host::Name("docker.io".into()) && registry.port().is_none();
    let Ok(asked) = Registry::parse(authority) else { return false };
    asked == *registry || (is_docker && asked.to_string() == DOCKER_API)
}

fn is(content: &Content, digest: &str) -> bool {
    content.descriptor().digest.to_string() == digest
}

fn manifest<'a>(reference: &str, served: &'a Served) -> Option<&'a Content> {
    [&served.subject_manifest, &served.manifest].into_iter().find(|manifest| is(manifest, reference))
}

fn api() -> Response<Bytes> {
    let mut api = reply(StatusCode::OK, JSON, Bytes::from_static(b"{}"));
    api.headers_mut().insert(VERSION, HeaderValue::from_static("registry/2.0"));
    api
}

/// The subject's referrers, as far as this run knows: its one artifact, unless a filter leaves it out.
fn referrers(listed: &Descriptor, query: &str) -> Response<Bytes> {
    let wanted: Vec<_> = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "artifactType")
        .map(|(_, kind)| kind)
        .collect();
    let kind = listed.artifact_type.as_deref().unwrap_or_default();
    let manifests: Vec<&Descriptor> =
        if wanted.iter().all(|wanted| wanted == kind) { vec![listed] } else { Vec::new() };
    let index: Value = json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": manifests });
    let mut list = reply(StatusCode::OK, media_type::IMAGE_INDEX, Bytes::from(index.to_string()));
    if !wanted.is_empty() {
        list.headers_mut().insert(FILTERS, HeaderValue::from_static("artifactType"));
    }
    list
}

fn content(content: &Content, media_type: &str) -> Response<Bytes> {
    let mut whole = reply(StatusCode::OK, media_type, content.bytes().clone());
    if let Ok(digest) = HeaderValue::from_str(&content.descriptor().digest.to_string()) {
        whole.headers_mut().insert(DIGEST, digest);
    }
    whole
}

/// `HEAD` is given the body, too: whoever writes it leaves it out, and the length is then the right one.
fn reply(status: StatusCode, media_type: &str, body: Bytes) -> Response<Bytes> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(body);
    *response.status_mut() = status;
    // A media type that is no header's value is a stranger's; then none is said.
    if let Ok(media_type) = HeaderValue::from_str(media_type) {
        response.headers_mut().insert(CONTENT_TYPE, media_type);
    }
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

#[cfg(test)]
mod tests;
