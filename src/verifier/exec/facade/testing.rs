//! An artifact to serve.

use bytes::Bytes;

use super::Served;
use crate::oci::{Content, Descriptor, Repository, Subject, media_type::IMAGE_MANIFEST};

fn content(media_type: &str, bytes: &[u8]) -> Content {
    Content::check(Descriptor::of(media_type, bytes), Bytes::copy_from_slice(bytes)).unwrap()
}

/// An SBOM of an image in this repository. The facade does not parse: any bytes do.
pub(super) fn served(repository: &str) -> Served {
    let repository = Repository::parse(repository).unwrap();
    let subject_manifest = content(IMAGE_MANIFEST, b"{\"the\":\"image\"}");
    let manifest = content(IMAGE_MANIFEST, b"{\"the\":\"artifact\"}");
    let artifact_type = Some("application/spdx+json".to_owned());
    Served {
        subject: Subject::new(repository, subject_manifest.descriptor().clone()),
        subject_manifest,
        listed: Descriptor { artifact_type, ..manifest.descriptor().clone() },
        manifest,
        blobs: vec![content("application/spdx+json", b"{\"the\":\"sbom\"}"), content("text/plain", b"")],
    }
}
