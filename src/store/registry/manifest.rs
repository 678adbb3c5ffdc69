//! Manifests: by tag, by digest, by descriptor; and blobs.
//!
//! The bytes are hashed before they are parsed (R5). What the header says must agree with what they are (REG-03, REG-14).

use std::collections::BTreeMap;

use reqwest::header::HeaderValue;

use super::{
    super::StoreError,
    metrics::Kind,
    place::{Place, Want, content_type},
    transport::Reply,
};
use crate::oci::{Content, ContentError, Descriptor, Digest, Manifest, ManifestError, media_type};

const DIGEST_HEADER: &str = "docker-content-digest";

/// The manifest under `name`, a tag or `digest`, as whatever a subject may be. A narrower `Accept` would make some
/// registries say 404 of what they have.
pub(super) async fn resolve(place: &Place<'_>, name: &str, digest: Option<&Digest>) -> Result<Descriptor, StoreError> {
    read(place, name, digest).await.map(|content| content.descriptor().clone())
}

/// The manifest under a tag, with its bytes.
pub(super) async fn tagged(place: &Place<'_>, tag: &str) -> Result<Content, StoreError> {
    read(place, tag, None).await
}

async fn read(place: &Place<'_>, name: &str, digest: Option<&Digest>) -> Result<Content, StoreError> {
    let accept = &media_type::SUBJECTS.join(", ");
    let what = format!("manifest {}:{name}", place.path);
    let limit = place.transport.limits.manifest_bytes;
    let want = Want { kind: Kind::Manifest, accept, limit, descriptor: None, what: &what };
    let reply = place.get(place.url(&format!("manifests/{name}"))?, want).await?;
    let malformed = |source| StoreError::Manifest { what: what.clone(), source };
    let media_type = known_type(&reply).map_err(malformed)?;
    let computed = match digest {
        Some(expected) => Digest::of(expected.algorithm(), &reply.body),
        None => Digest::sha256(&reply.body),
    };
    if let Some(expected) = digest
        && *expected != computed
    {
        let source = ContentError::Digest { expected: expected.clone(), actual: computed };
        return Err(StoreError::Content { what, source });
    }
    check_digest_header(&reply, &what)?;
    Manifest::parse(&media_type, &reply.body).map_err(malformed)?;
    let size = u64::try_from(reply.body.len()).unwrap_or(u64::MAX);
    let descriptor =
        Descriptor { media_type, digest: computed, size, artifact_type: None, annotations: BTreeMap::new() };
    Content::check(descriptor, reply.body).map_err(|source| StoreError::Content { what, source })
}

/// The manifest that `descriptor` describes.
pub(super) async fn described(place: &Place<'_>, descriptor: &Descriptor) -> Result<Content, StoreError> {
    let what = format!("manifest {}@{}", place.path, descriptor.digest);
    let limit = place.transport.limits.manifest_bytes;
    if descriptor.size > limit {
        return Err(StoreError::Limit { what, limit, unit: "bytes" });
    }
    let malformed = |source| StoreError::Manifest { what: what.clone(), source };
    let accept = descriptor.media_type.as_str();
    if HeaderValue::from_str(accept).is_err() || !accept.is_ascii() {
        return Err(malformed(ManifestError::Unsupported(accept.to_owned())));
    }
    let want = Want { kind: Kind::Manifest, accept, limit, descriptor: Some(descriptor), what: &what };
    let reply = place.get(place.url(&format!("manifests/{}", descriptor.digest))?, want).await?;
    let announced = known_type(&reply).map_err(malformed)?;
    if announced != descriptor.media_type {
        let source = ManifestError::MediaType { body: announced, announced: descriptor.media_type.clone() };
        return Err(malformed(source));
    }
    let content = Content::check(descriptor.clone(), reply.body.clone())
        .map_err(|source| StoreError::Content { what: what.clone(), source })?;
    check_digest_header(&reply, &what)?;
    Manifest::parse(&announced, content.bytes()).map_err(malformed)?;
    Ok(content)
}

/// The blob that `descriptor` describes.
pub(super) async fn blob(place: &Place<'_>, descriptor: &Descriptor, limit: u64) -> Result<Content, StoreError> {
    let what = format!("blob {}@{}", place.path, descriptor.digest);
    if descriptor.size > limit {
        return Err(StoreError::Limit { what, limit, unit: "bytes" });
    }
    let want = Want { kind: Kind::Blob, accept: "*/*", limit, descriptor: Some(descriptor), what: &what };
    let reply = place.get(place.url(&format!("blobs/{}", descriptor.digest))?, want).await?;
    Content::check(descriptor.clone(), reply.body).map_err(|source| StoreError::Content { what, source })
}

/// The media type in the header, if it is a manifest's: a login page with 200 is none (REG-15).
fn known_type(reply: &Reply) -> Result<String, ManifestError> {
    let announced = content_type(reply).unwrap_or_default();
    let known = media_type::SUBJECTS.contains(&announced.as_str()) || announced == media_type::ARTIFACT_MANIFEST;
    if known { Ok(announced) } else { Err(ManifestError::Unsupported(announced)) }
}

/// The body decides; a header that says otherwise, or nothing that can be read, is a sign of a broken registry (REG-03).
pub(super) fn check_digest_header(reply: &Reply, what: &str) -> Result<(), StoreError> {
    for value in reply.headers.get_all(DIGEST_HEADER) {
        let digest = value.to_str().ok().and_then(|text| Digest::parse(text).ok());
        let Some(announced) = digest else {
            let header = String::from_utf8_lossy(value.as_bytes()).chars().take(100).collect();
            return Err(StoreError::DigestHeader { what: what.to_owned(), header });
        };
        let actual = Digest::of(announced.algorithm(), &reply.body);
        if actual != announced {
            let source = ContentError::Digest { expected: announced, actual };
            return Err(StoreError::Content { what: what.to_owned(), source });
        }
    }
    Ok(())
}
