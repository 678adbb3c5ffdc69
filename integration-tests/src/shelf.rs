//! Images and what is attached to them, put on a shelf: a repository of [`crate::registry::FakeRegistry`], or a layout.

use countersign::oci::{Descriptor, Digest, media_type};
use serde_json::{Value, json};

use crate::notation::Signer;

/// Artifact type of a Notary Project signature (its config's media type).
pub const NOTARY_SIGNATURE: &str = "application/vnd.cncf.notary.signature";
/// Media type of a JWS envelope.
pub const JWS: &str = "application/jose+json";

/// Where manifests and blobs can be put.
pub trait Shelf {
    /// Puts a blob.
    fn put_blob(&self, bytes: &[u8]) -> Digest;

    /// Puts a manifest, under a tag if one is given.
    fn put_manifest(&self, media_type: &str, bytes: &[u8], tag: Option<&str>) -> Descriptor;

    /// Puts a document as a manifest.
    fn put_document(&self, media_type: &str, document: &Value, tag: Option<&str>) -> Descriptor {
        self.put_manifest(media_type, &to_bytes(document), tag)
    }

    /// Puts an image with one layer, `text`.
    fn put_image(&self, text: &str, tag: Option<&str>) -> Descriptor {
        let (config, layer) = (br#"{"architecture":"amd64","os":"linux"}"#, text.as_bytes());
        self.put_blob(config);
        self.put_blob(layer);
        let document = json!({
            "schemaVersion": 2,
            "mediaType": media_type::IMAGE_MANIFEST,
            "config": Descriptor::of("application/vnd.oci.image.config.v1+json", config),
            "layers": [Descriptor::of("application/vnd.oci.image.layer.v1.tar", layer)],
        });
        self.put_document(media_type::IMAGE_MANIFEST, &document, tag)
    }

    /// Puts an index of manifests.
    fn put_index(&self, manifests: &[Descriptor], tag: Option<&str>) -> Descriptor {
        self.put_document(media_type::IMAGE_INDEX, &index(manifests), tag)
    }

    /// Puts a signature as notation pushes one: the type is the config's media type, `subject` names what it signs.
    fn put_signature(&self, subject: &Descriptor, envelope_type: &str, envelope: &[u8]) -> Descriptor {
        self.put_blob(b"{}");
        self.put_blob(envelope);
        let document = signature(subject, envelope_type, envelope);
        let listed = self.put_document(media_type::IMAGE_MANIFEST, &document, None);
        Descriptor { artifact_type: Some(NOTARY_SIGNATURE.to_owned()), ..listed }
    }

    /// Signs a subject, and puts the signature.
    fn sign(&self, subject: &Descriptor, signer: &Signer) -> Descriptor {
        let envelope = signer.sign(&subject.media_type, &subject.digest.to_string(), subject.size);
        self.put_signature(subject, JWS, &envelope)
    }
}

/// The manifest of a Notary Project signature.
pub fn signature(subject: &Descriptor, envelope_type: &str, envelope: &[u8]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE_MANIFEST,
        "config": Descriptor::of(NOTARY_SIGNATURE, b"{}"),
        "layers": [Descriptor::of(envelope_type, envelope)],
        "subject": bare(subject),
    })
}

/// An index of manifests.
pub fn index(manifests: &[Descriptor]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": manifests })
}

/// A descriptor without artifact type and annotations.
pub fn bare(descriptor: &Descriptor) -> Descriptor {
    Descriptor { artifact_type: None, annotations: [].into(), ..descriptor.clone() }
}

/// JSON as bytes.
pub fn to_bytes(document: &Value) -> Vec<u8> {
    document.to_string().into_bytes()
}
