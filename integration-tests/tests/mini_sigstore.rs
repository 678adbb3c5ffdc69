//! The mini Sigstore checks itself: what it makes is accepted by `sigstore-verify`, which had no part in making it, and what it makes
//! wrong is refused. Otherwise harness and verifier could share a fault.
//!
//! That verifier reads the wall clock, so the instance stands an hour before now.

use countersign::{oci::Digest, time::Clock};
use integration_tests::sigstore::{
    Mini,
    bundle::{Bundle, Version},
    certificate::Name,
    envelope::{EntryKind, cosign_statement},
    key::Key,
    signer::Signer,
};
use sigstore_verify::{
    PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult, Verifier,
    trust_root::TrustedRoot,
    types::{Artifact, Bundle as Read, DerPublicKey},
};
use time::Duration;

mod keys;
mod log;
mod mutations;
mod signed_time;
mod signers;
mod storage;

const ISSUER: &str = "https://issuer.example.com";
const WORKFLOW: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
const MANIFEST: &[u8] = br#"{"schemaVersion":2}"#;

/// An instance whose signers signed an hour ago.
fn mini() -> Mini {
    Mini::new("mini", Clock::System.now() - Duration::HOUR)
}

fn digest() -> String {
    Digest::sha256(MANIFEST).to_string()
}

fn workflow() -> Name {
    Name::Uri(WORKFLOW.to_owned())
}

fn signer(mini: &Mini) -> Signer {
    mini.base.signer(workflow(), ISSUER).unwrap()
}

/// A bundle as cosign v3 writes it.
fn cosign_bundle(mini: &Mini, signer: &Signer) -> Bundle {
    mini.base.bundle(signer, Version::V03New, &cosign_statement(&digest()), EntryKind::Dsse).unwrap()
}

/// What `sigstore-verify` says about a bundle over [`MANIFEST`].
fn judge(mini: &Mini, bundle: &Bundle) -> Result<VerificationResult, String> {
    judge_by(&mini.trusted_root_json(), bundle)
}

fn judge_by(trusted_root: &str, bundle: &Bundle) -> Result<VerificationResult, String> {
    let verifier = verifier(trusted_root);
    let bundle = Read::from_json(&bundle.json().to_string()).map_err(|error| error.to_string())?;
    let policy = VerificationPolicy::any_identity();
    verifier.verify(Artifact::from(MANIFEST), &bundle, &policy).map_err(|error| error.to_string())
}

/// The same by a key.
fn judge_key(mini: &Mini, key: &Key, bundle: &Bundle) -> Result<VerificationResult, String> {
    let verifier = verifier(&mini.trusted_root_json());
    let bundle = Read::from_json(&bundle.json().to_string()).map_err(|error| error.to_string())?;
    let policy = PublicKeyVerificationPolicy::new(DerPublicKey::new(key.spki().to_vec()));
    verifier.verify(Artifact::from(MANIFEST), &bundle, &policy).map_err(|error| error.to_string())
}

fn verifier(trusted_root: &str) -> Verifier {
    Verifier::new(&TrustedRoot::from_json(trusted_root).unwrap()).unwrap()
}

/// Each of them is refused, for a reason whose text has this in it.
fn refused(mini: &Mini, rows: impl IntoIterator<Item = (&'static str, Bundle, &'static str)>) {
    let mut faults = Vec::new();
    for (name, bundle, part) in rows {
        match judge(mini, &bundle) {
            Err(error) if error.contains(part) => {}
            Err(error) => faults.push(format!("{name}: {error}")),
            Ok(_) => faults.push(format!("{name} is accepted")),
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn one_seed_and_moment_is_one_instance() {
    let at = Clock::System.now();
    let (one, same, other) = (Mini::new("one", at), Mini::new("one", at), Mini::new("other", at));
    for part in ["tlogs", "ctlogs"] {
        let keys = |mini: &Mini| mini.trusted_root().json().unwrap()[part].clone();
        assert_eq!(keys(&one), keys(&same), "{part}");
        assert_ne!(keys(&one), keys(&other), "{part}");
    }
    let bundle = cosign_bundle(&same, &signer(&same));
    judge(&one, &bundle).unwrap();
    assert!(judge(&other, &bundle).is_err());
}
