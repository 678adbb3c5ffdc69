//! What must be accepted.

use aws_lc_rs::rsa::KeySize;
use integration_tests::sigstore::{
    bundle::{Bundle, Content, Version},
    certificate::Name,
    envelope::{EntryKind, Envelope, cosign_statement},
    key::Key,
    keys::{Curve, Hash, Padding, ecdsa, ed25519, rsa},
    signer::Signer,
};
use serde_json::json;

use super::{ISSUER, MANIFEST, cosign_bundle, digest, judge, keyed, keyless, mini, policy_of, signer};

// R45, R46, R67.
#[test]
fn each_version_content_and_entry_kind() {
    let mini = mini();
    let (policy, signer) = (keyless(&mini), signer(&mini));
    for version in Version::ALL {
        for kind in [EntryKind::Dsse, EntryKind::InToto002] {
            let statement = cosign_statement(&digest().to_string());
            let bundle = mini.base.bundle(&signer, version, &statement, kind).unwrap();
            judge(&policy, &bundle).unwrap_or_else(|error| panic!("{version:?}, {kind:?}: {error:?}"));
        }
        let bundle = mini.base.message_bundle(&signer, version, MANIFEST).unwrap();
        judge(&policy, &bundle).unwrap_or_else(|error| panic!("{version:?}: {error:?}"));
    }
}

// R77.
#[test]
fn each_kind_of_name() {
    let mini = mini();
    let root = mini.trusted_root().json().unwrap();
    for (name, subject) in [
        (Name::Email("jane@example.com".to_owned()), "jane@example.com"),
        (Name::Uri("spiffe://example.com/ns/app".to_owned()), "spiffe://example.com/ns/app"),
        (Name::user("jane!example.com"), "jane!example.com"),
    ] {
        let signer = mini.base.signer(name.clone(), ISSUER).unwrap();
        let policy = policy_of(&root, &json!({ "identities": [{ "issuer": ISSUER, "subject": subject }] }));
        judge(&policy, &cosign_bundle(&mini, &signer)).unwrap_or_else(|error| panic!("{name:?}: {error:?}"));
    }
}

// R53, R54: each key with the hash that cosign gives it, and SHA-256.
#[test]
fn each_kind_of_key() {
    let mini = mini();
    for key in [
        Key::p256("core", "signer").unwrap(),
        ecdsa("core", "signer", Curve::P384, Hash::Sha384),
        ecdsa("core", "signer", Curve::P384, Hash::Sha256),
        ecdsa("core", "signer", Curve::P521, Hash::Sha512),
        ecdsa("core", "signer", Curve::P521, Hash::Sha256),
        rsa(KeySize::Rsa2048, Hash::Sha256, Padding::Pkcs1),
        rsa(KeySize::Rsa3072, Hash::Sha256, Padding::Pkcs1),
        ed25519("core", "signer"),
    ] {
        let signer = Signer::of_key(key.clone());
        let policy = keyed(&mini, &key);
        judge(&policy, &cosign_bundle(&mini, &signer)).unwrap_or_else(|error| panic!("{key:?}: {error:?}"));
        // R58
        let other = keyed(&mini, &Key::p256("core", "other").unwrap());
        assert!(judge(&other, &cosign_bundle(&mini, &signer)).is_err(), "{key:?}");
    }
}

// R59: without an entry only where the policy says so.
#[test]
fn key_without_a_log_only_where_it_is_ignored() {
    let mini = mini();
    let key = Key::p256("core", "signer").unwrap();
    let signer = Signer::of_key(key.clone());
    let envelope = Envelope::sign_statement(&signer, &cosign_statement(&digest().to_string())).unwrap();
    let bundle = Bundle::new(&signer, Version::V03New, Content::Envelope(envelope));
    let root = mini.trusted_root().json().unwrap();
    let ignoring = policy_of(&root, &json!({ "keys": [{ "pem": key.pem() }], "ignoreTlog": true }));
    judge(&ignoring, &bundle).unwrap();
    judge(&keyed(&mini, &key), &bundle).unwrap_err();
}
