//! Each shape in which Sigstore evidence is stored, put on a shelf. The letters are those of `Shape`.

use countersign::{
    demo::sigstore::{
        bundle::{Bundle, Content},
        legacy::Layer,
        manifest::{self, ATTESTATION_ARTIFACT, SIGNATURE_ARTIFACT, tag},
    },
    oci::{Descriptor, media_type},
};
use serde_json::{Value, json};

use crate::shelf::Shelf;

/// Writers of Sigstore evidence, for every shelf.
pub trait Storage: Shelf {
    /// A: signatures under `sha256-<hex>.sig`. What was there before is gone, as after any push.
    fn put_sig_tag(&self, subject: &Descriptor, layers: &[Layer]) -> Descriptor {
        self.put_layers(layers);
        let tag = tag("", &subject.digest, "sig");
        self.put_document(media_type::IMAGE_MANIFEST, &manifest::tagged(layers), Some(&tag))
    }

    /// B: attestations under `sha256-<hex>.att`.
    fn put_att_tag(&self, subject: &Descriptor, layers: &[Layer]) -> Descriptor {
        self.put_layers(layers);
        let tag = tag("", &subject.digest, "att");
        self.put_document(media_type::IMAGE_MANIFEST, &manifest::tagged(layers), Some(&tag))
    }

    /// D: signatures as a referrer.
    fn put_sig_referrer(&self, subject: &Descriptor, layers: &[Layer]) -> Descriptor {
        self.put_referrer(subject, SIGNATURE_ARTIFACT, layers)
    }

    /// E: attestations as a referrer.
    fn put_att_referrer(&self, subject: &Descriptor, layers: &[Layer]) -> Descriptor {
        self.put_referrer(subject, ATTESTATION_ARTIFACT, layers)
    }

    /// Layers as a referrer of any type.
    fn put_referrer(&self, subject: &Descriptor, artifact_type: &str, layers: &[Layer]) -> Descriptor {
        self.put_layers(layers);
        let manifest = manifest::referring(subject, artifact_type, layers);
        let listed = self.put_document(media_type::IMAGE_MANIFEST, &manifest, None);
        Descriptor { artifact_type: Some(artifact_type.to_owned()), ..listed }
    }

    /// F: a bundle as a referrer, with the annotations that cosign writes.
    fn put_bundle(&self, subject: &Descriptor, bundle: &Bundle) -> Descriptor {
        let bytes = bundle.bytes();
        let mut manifest = manifest::of_bundle(subject, &bytes);
        manifest["annotations"] = match &bundle.content {
            Content::Envelope(envelope) => {
                let statement: Value = serde_json::from_slice(&envelope.payload).unwrap_or_default();
                json!({
                    "dev.sigstore.bundle.content": "dsse-envelope",
                    "dev.sigstore.bundle.predicateType": statement["predicateType"].as_str().unwrap_or_default(),
                })
            }
            Content::Message { .. } => json!({ "dev.sigstore.bundle.content": "message-signature" }),
        };
        self.put_bundle_as(&bytes, &manifest)
    }

    /// F, with any manifest: begin with [`manifest::of_bundle`].
    fn put_bundle_as(&self, bundle: &[u8], manifest: &Value) -> Descriptor {
        self.put_blob(bundle);
        self.put_blob(b"{}");
        let listed = self.put_document(media_type::IMAGE_MANIFEST, manifest, None);
        Descriptor { artifact_type: manifest["artifactType"].as_str().map(str::to_owned), ..listed }
    }

    /// The referrers tag schema: an index under `sha256-<hex>`.
    fn put_referrers_tag(&self, subject: &Descriptor, referrers: &[Descriptor]) -> Descriptor {
        self.put_index(referrers, Some(&subject.digest.referrers_tag()))
    }

    /// The layers' blobs, and the configuration's.
    fn put_layers(&self, layers: &[Layer]) {
        self.put_blob(b"{}");
        for layer in layers {
            self.put_blob(&layer.bytes);
        }
    }
}

impl<S: Shelf + ?Sized> Storage for S {}
