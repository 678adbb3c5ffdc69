//! Keys of all kinds, with and without an entry.

use aws_lc_rs::rsa::KeySize;
use countersign::crypto::{
    algorithm::PublicKey,
    scheme::{self, HashAlgorithm},
};
use integration_tests::sigstore::{
    bundle::Version,
    envelope::{EntryKind, cosign_statement},
    key::Key,
    keys::{Curve, Hash, Padding, ecdsa, ed25519, rsa},
    signer::Signer,
};

use super::{MANIFEST, digest, judge_key, mini};

const CURVES: [Curve; 3] = [Curve::P256, Curve::P384, Curve::P521];
const HASHES: [(Hash, HashAlgorithm); 3] = [
    (Hash::Sha256, HashAlgorithm::Sha256),
    (Hash::Sha384, HashAlgorithm::Sha384),
    (Hash::Sha512, HashAlgorithm::Sha512),
];

#[test]
fn each_curve_signs_with_each_hash() {
    for curve in CURVES {
        for (hash, algorithm) in HASHES {
            let key = ecdsa("mini", "signer", curve, hash);
            assert_eq!(key.spki(), ecdsa("mini", "signer", curve, Hash::Sha256).spki());
            let public = PublicKey::parse(key.spki()).unwrap();
            let signature = key.sign(b"message").unwrap();
            for (_, other) in HASHES {
                let judged = scheme::verify(&public, Some(other), b"message", &signature);
                assert_eq!(judged.is_ok(), other == algorithm, "{curve:?}, {hash:?} as {other:?}");
            }
        }
    }
}

#[test]
fn rsa_and_ed25519_keys_sign() {
    let keys = [
        (rsa(KeySize::Rsa2048, Hash::Sha256, Padding::Pkcs1), true),
        (rsa(KeySize::Rsa3072, Hash::Sha256, Padding::Pkcs1), true),
        (rsa(KeySize::Rsa2048, Hash::Sha256, Padding::Pss), false),
        (ed25519("mini", "signer"), true),
    ];
    for (key, accepted) in keys {
        let public = PublicKey::parse(key.spki()).unwrap();
        let signature = key.sign(b"message").unwrap();
        assert_eq!(scheme::verify(&public, None, b"message", &signature).is_ok(), accepted, "{key:?}");
    }
}

#[test]
fn bundles_of_managed_keys_are_accepted_by_their_key() {
    let mini = mini();
    let stranger = Key::p256("mini", "stranger").unwrap();
    for key in [
        Key::p256("mini", "signer").unwrap(),
        ecdsa("mini", "signer", Curve::P384, Hash::Sha384),
        rsa(KeySize::Rsa2048, Hash::Sha256, Padding::Pkcs1),
        ed25519("mini", "signer"),
    ] {
        let signer = Signer::of_key(key.clone());
        let statement = cosign_statement(&digest());
        let bundle = mini.base.bundle(&signer, Version::V03New, &statement, EntryKind::Dsse).unwrap();
        judge_key(&mini, &key, &bundle).unwrap_or_else(|error| panic!("{key:?}: {error}"));
        assert!(judge_key(&mini, &stranger, &bundle).is_err(), "{key:?}");
    }
    let key = Key::p256("mini", "signer").unwrap();
    let bundle = mini.base.message_bundle(&Signer::of_key(key.clone()), Version::V02, MANIFEST).unwrap();
    judge_key(&mini, &key, &bundle).unwrap();
}
