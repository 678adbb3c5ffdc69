//! What a fake registry holds, and its faithful answers: the GETs of the OCI distribution specification 1.1.

use std::collections::HashMap;

use bytes::Bytes;
use countersign::oci::{Descriptor, Digest, Manifest, media_type};
use serde_json::{Value, json};

use super::{Call, Response};
use crate::shelf::{bare, index, to_bytes};

/// Repositories by name.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) repositories: HashMap<String, Repository>,
    /// Whether there is a referrers API.
    pub(super) referrers_api: bool,
    /// Descriptors on a page of referrers.
    pub(super) page: Option<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Repository {
    blobs: HashMap<String, Bytes>,
    manifests: HashMap<String, (String, Bytes)>,
    tags: HashMap<String, String>,
    /// Manifests in the order in which they were pushed.
    order: Vec<Descriptor>,
}

impl Content {
    pub(super) fn put_blob(&mut self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let repository = self.repositories.entry(repository.to_owned()).or_default();
        repository.blobs.insert(digest.to_string(), Bytes::copy_from_slice(bytes));
        digest
    }

    pub(super) fn put_manifest(
        &mut self,
        repository: &str,
        media_type: &str,
        bytes: &[u8],
        tag: Option<&str>,
    ) -> Descriptor {
        let descriptor = Descriptor::of(media_type, bytes);
        let repository = self.repositories.entry(repository.to_owned()).or_default();
        let entry = (media_type.to_owned(), Bytes::copy_from_slice(bytes));
        if repository.manifests.insert(descriptor.digest.to_string(), entry).is_none() {
            repository.order.push(descriptor.clone());
        }
        if let Some(tag) = tag {
            repository.tags.insert(tag.to_owned(), descriptor.digest.to_string());
        }
        descriptor
    }

    pub(super) fn remove_tag(&mut self, repository: &str, tag: &str) {
        if let Some(repository) = self.repositories.get_mut(repository) {
            repository.tags.remove(tag);
        }
    }

    /// The faithful answer.
    pub(super) fn answer(&self, call: &Call) -> Response {
        if call.path() == "/v2/" || call.path() == "/v2" {
            return Response::new(200, "{}").with("Content-Type", "application/json");
        }
        let route = call.path().strip_prefix("/v2/").and_then(|rest| {
            ["/manifests/", "/blobs/", "/referrers/"]
                .into_iter()
                .find_map(|kind| rest.rsplit_once(kind).map(|(name, last)| (name, kind, last)))
        });
        let Some((name, kind, last)) = route else { return unknown("UNSUPPORTED") };
        let repository = self.repositories.get(name);
        match kind {
            "/manifests/" => {
                repository.and_then(|found| found.manifest(last)).unwrap_or_else(|| unknown("MANIFEST_UNKNOWN"))
            }
            "/blobs/" => repository.and_then(|found| found.blob(last)).unwrap_or_else(|| unknown("BLOB_UNKNOWN")),
            _ if !self.referrers_api => unknown("UNSUPPORTED"),
            _ => self.referrers(repository, name, last, call),
        }
    }

    fn referrers(&self, repository: Option<&Repository>, name: &str, subject: &str, call: &Call) -> Response {
        let mut listed = repository.map(|found| found.referrers(subject)).unwrap_or_default();
        let wanted = call.query("artifactType");
        if let Some(wanted) = &wanted {
            listed.retain(|descriptor| descriptor.artifact_type.as_deref() == Some(wanted));
        }
        let start: usize = call.query("from").and_then(|text| text.parse().ok()).unwrap_or_default();
        let size = self.page.unwrap_or(usize::MAX);
        let more = listed.len() > start.saturating_add(size);
        let page: Vec<Descriptor> = listed.into_iter().skip(start).take(size).collect();
        let mut response = Response::new(200, to_bytes(&index(&page))).with("Content-Type", media_type::IMAGE_INDEX);
        if wanted.is_some() {
            response = response.with("OCI-Filters-Applied", "artifactType");
        }
        if more {
            let next = start.saturating_add(size);
            response = response.with("Link", &format!("</v2/{name}/referrers/{subject}?from={next}>; rel=\"next\""));
        }
        response
    }
}

impl Repository {
    fn manifest(&self, name: &str) -> Option<Response> {
        let digest = self.tags.get(name).map_or(name, String::as_str);
        let (media_type, bytes) = self.manifests.get(digest)?;
        let response = Response::new(200, bytes.clone());
        Some(response.with("Content-Type", media_type).with("Docker-Content-Digest", digest))
    }

    fn blob(&self, digest: &str) -> Option<Response> {
        let response = Response::new(200, self.blobs.get(digest)?.clone());
        Some(response.with("Content-Type", "application/octet-stream").with("Docker-Content-Digest", digest))
    }

    fn referrers(&self, subject: &str) -> Vec<Descriptor> {
        let refers = |descriptor: &Descriptor| {
            let (media_type, bytes) = self.manifests.get(&descriptor.digest.to_string())?;
            let manifest = Manifest::parse(media_type, bytes).ok()?;
            let named = manifest.subject()?.digest.to_string();
            (named == subject).then(|| Descriptor {
                artifact_type: manifest.effective_artifact_type().map(str::to_owned),
                annotations: manifest.annotations().clone(),
                ..bare(descriptor)
            })
        };
        self.order.iter().filter_map(refers).collect()
    }
}

/// An error in the distribution specification's form.
fn unknown(code: &str) -> Response {
    let body: Value = json!({ "errors": [{ "code": code, "message": "it is not here" }] });
    Response::new(404, to_bytes(&body)).with("Content-Type", "application/json")
}
