//! Bundles of the mini Sigstore, judged by countersign's own core: each good one is accepted, each with one thing wrong is refused with
//! the right code. Numbers are those of `sigstore.md` §9 and `threats.md` §4.6.

use std::path::Path;

use countersign::{
    oci::Digest,
    reason::Code,
    verifier::{
        Findings,
        cosign::{
            config::Config,
            judge::{Target, Want, judge_bundle},
            policy::TrustPolicy,
        },
    },
};
use integration_tests::sigstore::{
    Mini,
    bundle::{Bundle, Version},
    certificate::Name,
    envelope::{EntryKind, cosign_statement},
    key::Key,
    signer::Signer,
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, macros::datetime};

mod accepted;
mod certificates;
mod logs;
mod mutations;
mod times;

/// When all is signed.
const AT: OffsetDateTime = datetime!(2026-02-03 04:05:06 UTC);
const ISSUER: &str = "https://issuer.example.com";
const WORKFLOW: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
const MANIFEST: &[u8] = br#"{"schemaVersion":2}"#;

fn mini() -> Mini {
    Mini::new("core", AT)
}

fn digest() -> Digest {
    Digest::sha256(MANIFEST)
}

fn workflow() -> Name {
    Name::Uri(WORKFLOW.to_owned())
}

fn signer(mini: &Mini) -> Signer {
    mini.base.signer(workflow(), ISSUER).unwrap()
}

fn cosign_bundle(mini: &Mini, signer: &Signer) -> Bundle {
    mini.base.bundle(signer, Version::V03New, &cosign_statement(&digest().to_string()), EntryKind::Dsse).unwrap()
}

/// A trust policy of these members beside name, scope and trusted root.
fn policy_of(trusted_root: &Value, members: &Value) -> TrustPolicy {
    let mut policy = json!({ "name": "core", "scopes": ["**"], "trustedRoot": { "inline": trusted_root } });
    policy.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let config: Config = serde_json::from_value(json!({ "trustPolicies": [policy] })).unwrap();
    config.compile(Path::new(".")).unwrap_or_else(|faults| panic!("{faults:?}")).policies.remove(0)
}

/// Who believes our workflow's certificates.
fn keyless(mini: &Mini) -> TrustPolicy {
    keyless_by(&mini.trusted_root().json().unwrap())
}

fn keyless_by(trusted_root: &Value) -> TrustPolicy {
    policy_of(trusted_root, &json!({ "identities": [{ "issuer": ISSUER, "subject": WORKFLOW }] }))
}

/// Who believes a key.
fn keyed(mini: &Mini, key: &Key) -> TrustPolicy {
    policy_of(&mini.trusted_root().json().unwrap(), &json!({ "keys": [{ "pem": key.pem() }] }))
}

fn judge(policy: &TrustPolicy, bundle: &Bundle) -> Result<Findings, (Code, String)> {
    judge_bytes(policy, &bundle.bytes())
}

fn judge_bytes(policy: &TrustPolicy, bundle: &[u8]) -> Result<Findings, (Code, String)> {
    let digest = digest();
    let target = Target { digest: &digest, bytes: Some(MANIFEST), repository: None };
    // Long after the certificate has expired.
    let now = AT + Duration::days(30);
    let judged = judge_bundle(bundle, &target, &Want::Signature, policy, now);
    judged.map_err(|rejection| (rejection.code(), rejection.reason().to_owned()))
}

/// Each is refused with its code.
fn refused(policy: &TrustPolicy, rows: impl IntoIterator<Item = (&'static str, Bundle, Code)>) {
    let mut faults = Vec::new();
    for (name, bundle, code) in rows {
        match judge(policy, &bundle) {
            Err((found, _)) if found == code => {}
            Err((found, reason)) => faults.push(format!("{name}: {found}, not {code}: {reason}")),
            Ok(_) => faults.push(format!("{name} is accepted")),
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

// What a statement says is read whole only where a trusted signer says it: its tree takes many times its bytes.
#[test]
fn a_stranger_is_refused_before_the_statement_is_read() {
    let mut statement = cosign_statement(&digest().to_string());
    let subject = statement["subject"][0].clone();
    statement["subject"] = vec![subject; 1025].into();
    let (mini, stranger) = (mini(), Mini::new("stranger", AT));
    let judged = |signed_in: &Mini| {
        let signer = signer(signed_in);
        let bundle = signed_in.base.bundle(&signer, Version::V03New, &statement, EntryKind::Dsse).unwrap();
        judge(&keyless(&mini), &bundle).map(|_| ()).unwrap_err().0
    };
    assert_eq!(judged(&mini), Code::LimitExceeded);
    assert_ne!(judged(&stranger), Code::LimitExceeded);
}
