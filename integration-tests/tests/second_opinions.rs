//! What other people's code says of the same evidence: sigstore-verify of bundles and of keyless tags, sigstore of keyed tags.
//!
//! None of it is in the accept path. Each case in which an opinion differs from the verdict that the specifications ask for is
//! listed with the reason, and the lists are exact: an opinion that changes with a new release of theirs fails the test.
//! sigstore-verify reads the wall clock, for times that lie in the future; all times of the fixtures lie behind us.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign::oci::Digest;
use serde_json::{Map, Value, json};
use sigstore::{
    cosign::payload::SimpleSigning,
    crypto::{CosignVerificationKey, Signature},
};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{Artifact, Bundle, DerPublicKey, Sha256Hash};
use sigstore_verify::{IdentityMatcher, PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult, Verifier};

use crate::{
    cases::{Case, cases, fixtures},
    cosign_fixtures::{Policy, Want},
};

const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

const NEITHER_LOG_NOR_TIME: &str =
    "it refuses a bundle with neither log entry nor timestamp, even where neither is asked for";
const NO_EXPRESSIONS: &str = "it knows no expressions and is asked about the issuer at most";
const NO_THRESHOLDS: &str = "it knows no thresholds";
const OF_THE_MANIFEST: &str = "it sees the bundle, not the manifest around it";
const UNASKED_TYPE: &str = "it does not look at the predicate type";

/// Cases of `bundle.json` in which sigstore-verify says something else.
const BUNDLES: [(&str, &str); 25] = [
    ("bundle-att-not-signature", UNASKED_TYPE),
    ("bundle-att-slsaprovenance1-other-type", UNASKED_TYPE),
    ("bundle-att-spdxjson-other-type", UNASKED_TYPE),
    ("bundle-att-vuln-other-type", UNASKED_TYPE),
    ("bundle-signature-not-attestation", UNASKED_TYPE),
    (
        "bundle-intermediate-expired",
        "it gives webpki each intermediate of the root as an anchor, whose window nobody looks at (R69)",
    ),
    ("bundle-key-att-slsaprovenance1", NEITHER_LOG_NOR_TIME),
    ("bundle-key-att-spdxjson", NEITHER_LOG_NOR_TIME),
    ("bundle-key-att-vuln", NEITHER_LOG_NOR_TIME),
    ("bundle-key-cosign2", NEITHER_LOG_NOR_TIME),
    ("bundle-key-cosign3", NEITHER_LOG_NOR_TIME),
    ("bundle-key-cosign3-annotations", NEITHER_LOG_NOR_TIME),
    ("bundle-key-hint-lies", NEITHER_LOG_NOR_TIME),
    ("bundle-layer-media-type", OF_THE_MANIFEST),
    ("bundle-subject-other", OF_THE_MANIFEST),
    ("bundle-two-layers", OF_THE_MANIFEST),
    ("bundle-media-type-missing", "it takes a bundle without a media type"),
    ("bundle-unknown-member", "it ignores unknown members; Go's protojson and we refuse them"),
    ("bundle-ok-single-leaf-tree", "it does not read `hashes: null`, which protobuf's JSON allows for an empty list"),
    ("bundle-regexp-unanchored", NO_EXPRESSIONS),
    ("bundle-statement-unknown", "it does not look at a statement's version"),
    ("bundle-threshold-same-entry-twice", NO_THRESHOLDS),
    ("bundle-threshold-same-log-twice", NO_THRESHOLDS),
    ("bundle-timestamp-missing", NO_THRESHOLDS),
    ("bundle-timestamp-token-only", "it takes a bare token; a TimeStampResp is due"),
];
/// Keyless cases of `cosign.json` in which sigstore-verify, asked about a bundle made of the layer, says something else.
const KEYLESS_TAGS: [(&str, &str); 2] = [
    (
        "cosign-keyless-att-entry-envelope-hash",
        "a bundle does not keep the envelope's own bytes, so that it cannot compare their hash",
    ),
    ("cosign-keyless-regexp-mismatch", NO_EXPRESSIONS),
];
/// Keyed cases of `cosign.json` in which sigstore says something else.
const KEYED_TAGS: [(&str, &str); 4] = [
    ("cosign-coexist-bad-classic", "it was not asked about the bundle beside the layer"),
    ("cosign-p384-sha256", "it tries a curve's own hash alone"),
    ("cosign-p521-sha256", "it tries a curve's own hash alone"),
    ("cosign-payload-type", "it does not look at critical.type"),
];

/// What is asked about; `Err` is the other side's reason.
type Opinion = Result<(), String>;

fn text_of(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn blob(layout: &Path, digest: &str) -> Result<Vec<u8>, String> {
    let (algorithm, hex) = digest.split_once(':').ok_or("no digest")?;
    std::fs::read(fixtures().join(layout).join("blobs").join(algorithm).join(hex)).map_err(text_of)
}

/// Every layer of a case's signatures, with its bytes.
fn layers(case: &Case) -> Vec<(Value, Vec<u8>)> {
    let mut found = Vec::new();
    for signature in &case.signatures {
        let manifest: Value = serde_json::from_slice(&blob(&case.layout, signature).unwrap()).unwrap();
        for layer in manifest["layers"].as_array().into_iter().flatten() {
            found.push((layer.clone(), blob(&case.layout, layer["digest"].as_str().unwrap()).unwrap()));
        }
    }
    found
}

/// One good item is enough; without any there is nothing to say yes to.
fn any(opinions: impl Iterator<Item = Opinion>) -> Opinion {
    let mut reasons = Vec::new();
    for opinion in opinions {
        match opinion {
            Ok(()) => return Ok(()),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons.join("; "))
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(fixtures().join(file)).unwrap()
}

fn certificate_policy(policy: &Policy, identity: &Value) -> VerificationPolicy {
    let mut asked = VerificationPolicy::any_identity();
    // It knows no expressions.
    if let Some(subject) = identity["subject"].as_str() {
        asked = asked.require_identity(IdentityMatcher::Exact(subject.to_owned()));
    }
    if let Some(issuer) = identity["issuer"].as_str() {
        asked = asked.require_issuer(issuer);
    }
    if policy.tlog_threshold == 0 {
        asked = asked.skip_tlog_unsafe();
    }
    if policy.sct_threshold == 0 {
        asked = asked.skip_sct();
    }
    asked
}

fn verify(policy: &Policy, bundle: &str, artifact: &Artifact<'_>) -> Opinion {
    let root = match &policy.trusted_root {
        Some(file) => TrustedRoot::from_json(&read(file)).map_err(text_of)?,
        // A root is needed even where nothing of it is asked for.
        None => TrustedRoot::from_json(&read(Path::new("trust/sigstore/trusted_root.json"))).map_err(text_of)?,
    };
    let verifier = Verifier::new(&root).map_err(text_of)?;
    let bundle = Bundle::from_json(bundle).map_err(text_of)?;
    if let Some(file) = &policy.key {
        let mut asked = PublicKeyVerificationPolicy::new(DerPublicKey::from_pem(&read(file)).map_err(text_of)?);
        if policy.tlog_threshold == 0 {
            asked = asked.skip_tlog_unsafe();
        }
        return verifier.verify(artifact.clone(), &bundle, &asked).map(drop).map_err(text_of);
    }
    let asked = policy.identities.iter().map(|identity| certificate_policy(policy, identity));
    any(asked.map(|asked| {
        verifier.verify(artifact.clone(), &bundle, &asked).map(|_: VerificationResult| ()).map_err(text_of)
    }))
}

fn image(case: &Case) -> Artifact<'static> {
    Artifact::from(Sha256Hash::from_hex(case.subject.digest.strip_prefix("sha256:").unwrap()).unwrap())
}

/// A bundle v0.1 with what the annotations of a layer say.
fn bundle_of(layer: &Value, bytes: &[u8]) -> Result<Value, String> {
    let annotation = |name: &str| layer["annotations"][name].as_str().ok_or(format!("no {name}"));
    let log: Value = serde_json::from_str(annotation("dev.sigstore.cosign/bundle")?).map_err(text_of)?;
    let payload = &log["Payload"];
    let body: Value = serde_json::from_slice(&STANDARD.decode(payload["body"].as_str().unwrap()).map_err(text_of)?)
        .map_err(text_of)?;
    let pem = annotation("dev.sigstore.cosign/certificate")?;
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let log_id: Vec<u8> = {
        let hex = payload["logID"].as_str().unwrap();
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    let mut bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "verificationMaterial": {
            "x509CertificateChain": { "certificates": [{ "rawBytes": der }] },
            "tlogEntries": [{
                "logIndex": payload["logIndex"].to_string(),
                "logId": { "keyId": STANDARD.encode(log_id) },
                "kindVersion": { "kind": body["kind"], "version": body["apiVersion"] },
                "integratedTime": payload["integratedTime"].to_string(),
                "inclusionPromise": { "signedEntryTimestamp": log["SignedEntryTimestamp"] },
                "canonicalizedBody": payload["body"],
            }],
        },
    });
    if layer["mediaType"] == SIMPLE_SIGNING {
        let digest = Digest::sha256(bytes);
        let hex = digest.to_string().split_off("sha256:".len());
        let raw: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        bundle["messageSignature"] = json!({
            "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(raw) },
            "signature": annotation("dev.cosignproject.cosign/signature")?,
        });
    } else {
        bundle["dsseEnvelope"] = serde_json::from_slice::<Map<String, Value>>(bytes).map_err(text_of)?.into();
    }
    Ok(bundle)
}

fn of_keyless_layer(case: &Case, policy: &Policy, layer: &Value, bytes: &[u8]) -> Opinion {
    let bundle = bundle_of(layer, bytes)?.to_string();
    match policy.want {
        Want::Attestation => verify(policy, &bundle, &image(case)),
        Want::Signature => {
            verify(policy, &bundle, &Artifact::from(bytes))?;
            let payload: SimpleSigning = serde_json::from_slice(bytes).map_err(text_of)?;
            payload.satisfies_manifest_digest(&case.subject.digest).then_some(()).ok_or("another image".to_owned())
        }
    }
}

fn of_keyed_layer(case: &Case, policy: &Policy, layer: &Value, bytes: &[u8]) -> Opinion {
    let signature = layer["annotations"]["dev.cosignproject.cosign/signature"].as_str().ok_or("no signature")?;
    any(policy.key.iter().chain(&policy.keys).map(|file| {
        let key = CosignVerificationKey::try_from_pem(read(file).as_bytes()).map_err(text_of)?;
        key.verify_signature(Signature::Base64Encoded(signature.as_bytes()), bytes).map_err(text_of)?;
        let payload: SimpleSigning = serde_json::from_slice(bytes).map_err(text_of)?;
        if !payload.satisfies_manifest_digest(&case.subject.digest) {
            return Err("another image".to_owned());
        }
        payload.satisfies_annotations(&policy.annotations).then_some(()).ok_or("annotations differ".to_owned())
    }))
}

/// The cases in which an opinion is not the expected verdict, against the list of them.
fn compare(opinions: &[(Case, Opinion)], listed: &[(&str, &str)]) {
    let found: BTreeMap<&str, String> = opinions
        .iter()
        .filter(|(case, opinion)| (case.expected == "accept") != opinion.is_ok())
        .map(|(case, opinion)| (case.id.as_str(), format!("{}: {opinion:?}; {}", case.expected, case.why)))
        .collect();
    let listed: BTreeSet<&str> = listed.iter().map(|(id, _)| *id).collect();
    let unlisted: Vec<_> = found.iter().filter(|(id, _)| !listed.contains(*id)).collect();
    let agreed: Vec<_> = listed.iter().filter(|id| !found.contains_key(*id)).collect();
    assert!(unlisted.is_empty() && agreed.is_empty(), "differ: {unlisted:#?}\nagree by now: {agreed:#?}");
}

fn opinions(cases: Vec<Case>, say: impl Fn(&Case, &Policy) -> Opinion) -> Vec<(Case, Opinion)> {
    let ask = |case: Case| {
        let opinion = say(&case, &Policy::of(&case));
        (case, opinion)
    };
    cases.into_iter().map(ask).collect()
}

// R118 by another tool, R52
#[test]
fn sigstore_verify_agrees_on_bundles_but_where_listed() {
    let said = opinions(cases("bundle.json"), |case, policy| {
        any(layers(case).iter().map(|(_, bytes)| {
            let text = std::str::from_utf8(bytes).map_err(text_of)?;
            verify(policy, text, &image(case))
        }))
    });
    assert_eq!(said.len(), 114);
    compare(&said, &BUNDLES);
}

// R82
#[test]
fn sigstore_verify_agrees_on_keyless_tags_but_where_listed() {
    let mut cases = cases("cosign.json");
    cases.retain(|case| Policy::of(case).trusted_root.is_some());
    let said = opinions(cases, |case, policy| {
        any(layers(case).iter().map(|(layer, bytes)| of_keyless_layer(case, policy, layer, bytes)))
    });
    assert_eq!(said.len(), 26);
    compare(&said, &KEYLESS_TAGS);
}

#[test]
fn sigstore_agrees_on_keyed_tags_but_where_listed() {
    let mut cases = cases("cosign.json");
    cases.retain(|case| {
        let policy = Policy::of(case);
        policy.trusted_root.is_none() && policy.want == Want::Signature
    });
    let said = opinions(cases, |case, policy| {
        any(layers(case)
            .iter()
            .filter(|(layer, _)| layer["mediaType"] == SIMPLE_SIGNING)
            .map(|(layer, bytes)| of_keyed_layer(case, policy, layer, bytes)))
    });
    assert!(said.len() > 60);
    compare(&said, &KEYED_TAGS);
}
