//! What cosign 1 and 2 store says the same as a bundle; each shape is where its readers look.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign::oci::{Manifest, media_type};
use integration_tests::{
    layout::LayoutDir,
    shelf::Shelf as _,
    sigstore::{
        bundle::{Bundle, Content, Material, Version},
        envelope::{EntryKind, simple_signing, statement},
        legacy::{BUNDLE, CERTIFICATE, CHAIN, Layer, SIGNATURE, TIMESTAMP},
        manifest::{SIGNATURE_ARTIFACT, tag},
        signer::Signer,
        storage::Storage as _,
    },
};
use serde_json::{Value, json};
use sigstore_verify::{
    VerificationPolicy,
    types::{Artifact, Bundle as Read},
};

use super::{cosign_bundle, digest, mini, signer, verifier};

/// A layer as a bundle v0.1: all that it says, without the proof that it does not have.
fn converted(layer: &Layer, signer: &Signer) -> Bundle {
    let annotations = layer.all_annotations();
    let stored: Value = serde_json::from_str(&annotations[BUNDLE]).unwrap();
    let mut entry = layer.entry.clone().unwrap();
    entry.proof = None;
    entry.promise = Some(STANDARD.decode(stored["SignedEntryTimestamp"].as_str().unwrap()).unwrap());
    entry.body = STANDARD.decode(stored["Payload"]["body"].as_str().unwrap()).unwrap();
    let signature = STANDARD.decode(&annotations[SIGNATURE]).unwrap();
    let digest = integration_tests::sigstore::key::sha256(&layer.bytes).to_vec();
    let content = Content::Message { algorithm: "SHA2_256".to_owned(), digest, signature };
    Bundle { entries: vec![entry], ..Bundle::new(signer, Version::V01, content) }
}

#[test]
fn signature_layer_is_accepted_as_a_bundle() {
    let mini = mini();
    let signer = signer(&mini);
    let payload = simple_signing("registry.example.com/app", &digest(), &json!({ "build": "42" }));
    let layer = mini.base.sign(&signer, payload).unwrap();
    let bundle = converted(&layer, &signer);
    assert!(matches!(bundle.material, Material::Chain(_)));
    let judge = |bytes: &[u8]| {
        let bundle = Read::from_json(&bundle.json().to_string()).unwrap();
        let verifier = verifier(&mini.trusted_root_json());
        verifier.verify(Artifact::from(bytes), &bundle, &VerificationPolicy::any_identity()).map_err(|e| e.to_string())
    };
    judge(&layer.bytes).unwrap();
    judge(&[&layer.bytes[..], b" "].concat()).unwrap_err();
}

#[test]
fn annotations_are_those_that_cosign_writes() {
    let mini = mini();
    let payload = simple_signing("registry.example.com/app", &digest(), &Value::Null);
    let mut keyless = mini.base.sign(&signer(&mini), payload.clone()).unwrap();
    keyless.timestamp = Some(mini.timestamp(keyless.signature.as_deref().unwrap()));
    let names: Vec<String> = keyless.all_annotations().into_keys().collect();
    assert_eq!(names, [SIGNATURE, BUNDLE, CERTIFICATE, CHAIN, TIMESTAMP]);

    let keyed = Layer::signature(&Signer::of_key(mini.base.key("cosign").unwrap()), payload).unwrap();
    assert_eq!(keyed.all_annotations().into_keys().collect::<Vec<_>>(), [SIGNATURE]);

    let about = statement(&digest(), "https://slsa.dev/provenance/v1", &json!({}));
    let attested = mini.base.attest(&signer(&mini), &about, EntryKind::InToto001).unwrap();
    assert_eq!(attested.all_annotations()[SIGNATURE], "");
}

#[test]
fn each_shape_is_put_where_its_readers_look() {
    let mini = mini();
    let (shelf, signer) = (LayoutDir::new(), signer(&mini));
    let image = shelf.put_image("app", Some("v1"));
    let payload = simple_signing("registry.example.com/app", &image.digest.to_string(), &Value::Null);
    let signature = mini.base.sign(&signer, payload).unwrap();
    let about = statement(&image.digest.to_string(), "https://slsa.dev/provenance/v1", &json!({}));
    let attestation = mini.base.attest(&signer, &about, EntryKind::Dsse).unwrap();
    let put = [
        ("A", shelf.put_sig_tag(&image, std::slice::from_ref(&signature)), None),
        ("B", shelf.put_att_tag(&image, std::slice::from_ref(&attestation)), None),
        ("D", shelf.put_sig_referrer(&image, &[signature.clone(), signature]), Some(SIGNATURE_ARTIFACT)),
        ("E", shelf.put_att_referrer(&image, &[attestation]), Some("application/vnd.in-toto+json")),
        (
            "F",
            shelf.put_bundle(&image, &cosign_bundle(&mini, &signer)),
            Some("application/vnd.dev.sigstore.bundle.v0.3+json"),
        ),
    ];
    let index: Value = serde_json::from_slice(&std::fs::read(shelf.path().join("index.json")).unwrap()).unwrap();
    let tags: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|listed| listed["annotations"]["org.opencontainers.image.ref.name"].as_str())
        .collect();
    assert_eq!(tags, ["v1", &tag("", &image.digest, "sig"), &tag("", &image.digest, "att")]);
    for (shape, descriptor, artifact_type) in put {
        let bytes = std::fs::read(shelf.path().join(LayoutDir::blob_name(&descriptor.digest))).unwrap();
        let manifest = Manifest::parse(media_type::IMAGE_MANIFEST, &bytes).unwrap();
        assert_eq!(manifest.effective_artifact_type().filter(|_| artifact_type.is_some()), artifact_type, "{shape}");
        assert_eq!(manifest.subject().is_some(), artifact_type.is_some(), "{shape}");
        let layers = serde_json::from_slice::<Value>(&bytes).unwrap()["layers"].clone();
        for layer in layers.as_array().unwrap() {
            let digest = layer["digest"].as_str().unwrap().replace(':', "/");
            assert!(shelf.path().join("blobs").join(digest).exists(), "{shape}");
        }
    }
    assert!(tag("pre-", &image.digest, "sig").starts_with("pre-sha256-"));
}
