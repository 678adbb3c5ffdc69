//! Manifests that hold Sigstore evidence. The letters are those of [`crate::verifier::cosign::evidence::Shape`].

use serde_json::{Value, json};

use super::{bundle::BUNDLE_V03, legacy::Layer};
use crate::oci::{Descriptor, Digest, media_type::IMAGE_MANIFEST};

/// Artifact type of D.
pub const SIGNATURE_ARTIFACT: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// Artifact type of E.
pub const ATTESTATION_ARTIFACT: &str = "application/vnd.in-toto+json";
/// Media type of an empty configuration.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Media type of A's and B's configuration, which nobody reads.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// `sha256-<hex>.<suffix>`, with a prefix before it.
pub fn tag(prefix: &str, digest: &Digest, suffix: &str) -> String {
    format!("{prefix}{}.{suffix}", digest.to_string().replace(':', "-"))
}

/// A and B.
pub fn tagged(layers: &[Layer]) -> Value {
    of(CONFIG, &layers.iter().map(Layer::descriptor).collect::<Vec<Value>>())
}

/// D and E.
pub fn referring(subject: &Descriptor, artifact_type: &str, layers: &[Layer]) -> Value {
    let layers: Vec<Value> = layers.iter().map(Layer::descriptor).collect();
    attached(of(artifact_type, &layers), artifact_type, subject)
}

/// F.
pub fn of_bundle(subject: &Descriptor, bundle: &[u8]) -> Value {
    attached(of(EMPTY, &[described(&Descriptor::of(BUNDLE_V03, bundle))]), BUNDLE_V03, subject)
}

/// An empty configuration of a type, and layers.
fn of(config_type: &str, layers: &[Value]) -> Value {
    let config = described(&Descriptor::of(config_type, b"{}"));
    json!({ "schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": config, "layers": layers })
}

fn attached(mut manifest: Value, artifact_type: &str, subject: &Descriptor) -> Value {
    if let Value::Object(members) = &mut manifest {
        members.insert("artifactType".to_owned(), json!(artifact_type));
        members.insert("subject".to_owned(), described(subject));
    }
    manifest
}

fn described(descriptor: &Descriptor) -> Value {
    json!({ "mediaType": descriptor.media_type, "digest": descriptor.digest.to_string(), "size": descriptor.size })
}
