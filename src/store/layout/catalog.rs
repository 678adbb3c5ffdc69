//! What a layout holds, read once when it is opened.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
};

use serde_json::Value;

use super::{
    Limits,
    files::{Files, unreadable},
    names::{REF_NAME, closeness},
};
use crate::{
    json,
    oci::{
        Completeness, Content, Descriptor, Digest, Found, Listing, Manifest, Reference, Referrer, Repository,
        media_type,
    },
    store::StoreError,
};

/// Largest `oci-layout`; the real one has some thirty bytes.
const MAX_VERSION_BYTES: u64 = 4096;

/// Manifests by digest and by name, and who refers to whom.
#[derive(Debug)]
pub(super) struct Catalog {
    listed: HashMap<Digest, Descriptor>,
    names: Vec<(String, Digest)>,
    referrers: HashMap<Digest, Vec<Referrer>>,
    completeness: Completeness,
}

impl Catalog {
    /// Reads `index.json` and every manifest that it lists, also through indexes, each once and breadth first, so that
    /// the order of `index.json` is the order of referrers.
    ///
    /// A listed manifest that is not there is only absent (a layout may hold one platform of an index). One that cannot
    /// be read, or is not what its descriptor says, could refer to anything: every listing is then a cut one.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], [`StoreError::Manifest`]; [`StoreError::Limit`] where there is more than `limits` allow.
    pub(super) fn scan(files: &Files, limits: &Limits) -> Result<Self, StoreError> {
        check_version(files)?;
        let mut queue = read_index(files, limits)?;
        let mut catalog = Self {
            listed: HashMap::new(),
            names: queue.iter().filter_map(named).collect(),
            referrers: HashMap::new(),
            completeness: Completeness::Whole,
        };
        let mut budget = limits.scan_bytes;
        // The visited set is `listed`: an index that contains itself ends here (REG-19).
        while let Some(descriptor) = queue.pop_front() {
            if catalog.listed.contains_key(&descriptor.digest) {
                continue;
            }
            if catalog.listed.len() >= limits.entries {
                let limit = u64::try_from(limits.entries).unwrap_or(u64::MAX);
                return Err(StoreError::Limit { what: "the image layout".into(), limit, unit: "manifests" });
            }
            catalog.listed.insert(descriptor.digest.clone(), descriptor.clone());
            if !is_manifest(&descriptor.media_type) {
                continue;
            }
            budget =
                budget.checked_sub(descriptor.size.min(limits.manifest_bytes)).ok_or_else(|| StoreError::Limit {
                    what: "manifests of the image layout".into(),
                    limit: limits.scan_bytes,
                    unit: "bytes",
                })?;
            match files.blob(&descriptor, limits.manifest_bytes) {
                Ok(content) => queue.extend(catalog.add(&descriptor, &content)),
                Err(StoreError::NotFound { .. }) => {}
                Err(_) => catalog.completeness = Completeness::Cut,
            }
        }
        Ok(catalog)
    }

    /// Notes whom the manifest refers to; returns what it lists itself.
    fn add(&mut self, descriptor: &Descriptor, content: &Content) -> Vec<Descriptor> {
        let (subject, children, listed) = match Manifest::parse(&descriptor.media_type, content.bytes()) {
            Ok(manifest) => {
                let mut listed = descriptor.clone();
                manifest.annotations().clone_into(&mut listed.annotations);
                // A written claim stays one: where it differs from the manifest the referrer fails (REG-27).
                if listed.artifact_type.is_none() {
                    listed.artifact_type = manifest.effective_artifact_type().map(str::to_owned);
                }
                let subject = manifest.subject().map(|subject| subject.digest.clone());
                let children = match manifest {
                    Manifest::Image(_) => Vec::new(),
                    Manifest::Index(index) => index.manifests,
                };
                (subject, children, listed)
            }
            // Listed all the same, so that the report names the fault of the manifest instead of its absence.
            Err(_) => (claimed_subject(content.bytes()), Vec::new(), descriptor.clone()),
        };
        if let Some(subject) = subject {
            let referrer = Referrer { descriptor: listed, found: Found::Layout };
            self.referrers.entry(subject).or_default().push(referrer);
        }
        children
    }

    /// The descriptor that the layout lists for a digest; a claim.
    pub(super) fn by_digest(&self, digest: &Digest) -> Option<&Descriptor> {
        self.listed.get(digest)
    }

    /// The descriptor that the layout lists under a tag, by the closest name.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unreadable`] where two manifests have the name equally.
    pub(super) fn by_tag(&self, repository: &Repository, tag: &str) -> Result<&Descriptor, StoreError> {
        let fits = || self.names.iter().filter_map(|(name, digest)| Some((closeness(name, repository, tag)?, digest)));
        let what = || format!("tag {tag} of the layout");
        let missing = || StoreError::NotFound { what: what() };
        let closest = fits().map(|(closeness, _)| closeness).max().ok_or_else(missing)?;
        let digests: HashSet<&Digest> =
            fits().filter(|(closeness, _)| *closeness == closest).map(|(_, digest)| digest).collect();
        let mut digests = digests.into_iter();
        match (digests.next(), digests.next()) {
            (Some(digest), None) => self.by_digest(digest).ok_or_else(missing),
            _ => Err(unreadable(&what(), io::Error::new(io::ErrorKind::InvalidData, "names two manifests"))),
        }
    }

    /// The descriptor that a reference names: by digest where it has one.
    ///
    /// # Errors
    /// As [`Catalog::by_tag`]; `Ok(None)`: the digest is not listed.
    pub(super) fn find(&self, reference: &Reference) -> Result<Option<&Descriptor>, StoreError> {
        match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Ok(self.by_digest(digest)),
            (None, Some(tag)) => self.by_tag(reference.repository(), tag.as_str()).map(Some),
            (None, None) => Err(StoreError::NotFound { what: reference.to_string() }),
        }
    }

    /// Referrers by `subject`, in the order of `index.json`.
    pub(super) fn referrers(&self, subject: &Digest) -> Listing {
        let referrers = self.referrers.get(subject).cloned().unwrap_or_default();
        Listing::new(referrers, self.completeness)
    }
}

fn check_version(files: &Files) -> Result<(), StoreError> {
    let name = "oci-layout";
    let wrong = |text: &'static str| unreadable(name, io::Error::new(io::ErrorKind::InvalidData, text));
    let bytes = files.document(name, MAX_VERSION_BYTES)?;
    let document = json::parse(&bytes, json::DOCUMENT_DEPTH).map_err(|_| wrong("not a JSON document"))?;
    match document.get("imageLayoutVersion") {
        Some(Value::String(version)) if version == "1.0.0" => Ok(()),
        _ => Err(wrong("imageLayoutVersion is not 1.0.0")),
    }
}

fn read_index(files: &Files, limits: &Limits) -> Result<VecDeque<Descriptor>, StoreError> {
    let name = "index.json";
    let bytes = files.document(name, limits.manifest_bytes)?;
    let malformed = |source| StoreError::Manifest { what: name.into(), source };
    match Manifest::parse(media_type::IMAGE_INDEX, &bytes).map_err(malformed)? {
        Manifest::Index(index) => Ok(index.manifests.into()),
        Manifest::Image(_) => Err(unreadable(name, io::Error::new(io::ErrorKind::InvalidData, "not an index"))),
    }
}

fn named(descriptor: &Descriptor) -> Option<(String, Digest)> {
    Some((descriptor.annotations.get(REF_NAME)?.clone(), descriptor.digest.clone()))
}

fn is_manifest(text: &str) -> bool {
    media_type::SUBJECTS.contains(&text) || text == media_type::ARTIFACT_MANIFEST
}

/// The subject of a document that is JSON and no manifest.
fn claimed_subject(bytes: &[u8]) -> Option<Digest> {
    let document = json::parse(bytes, json::DOCUMENT_DEPTH).ok()?;
    Digest::parse(document.get("subject")?.get("digest")?.as_str()?).ok()
}
