//! The conformance client on directories in the suite's layout, made of our own fixtures.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use countersign::time::Clock;
use integration_tests::sigstore::{Mini, bundle::Version, certificate::Name, signer::Signer};
use serde_json::Value;
use tempfile::TempDir;
use time::Duration;

use crate::{
    cases::{Case, cases, fixtures},
    cosign_fixtures::Policy,
};

fn client(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sigstore-conformance-client")).args(arguments).output().unwrap()
}

/// Exit code; what was written, where it is no rejection.
fn code(output: &Output) -> i32 {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!told.contains("panicked"), "{told}");
    output.status.code().unwrap()
}

/// What the suite says on the command line for a directory, as its README describes it.
fn ask(directory: &Path, artifact: &str) -> Output {
    let path = |name: &str| directory.join(name).display().to_string();
    let text = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    let mut arguments = vec!["verify-bundle".to_owned(), "--bundle".to_owned(), path("bundle.sigstore.json")];
    if directory.join("key.pub").exists() {
        arguments.extend(["--key".to_owned(), path("key.pub")]);
    } else {
        arguments.extend(["--certificate-identity".to_owned(), text("identity")]);
        arguments.extend(["--certificate-oidc-issuer".to_owned(), text("issuer")]);
    }
    if directory.join("trusted_root.json").exists() {
        arguments.extend(["--trusted-root".to_owned(), path("trusted_root.json")]);
    }
    arguments.push(artifact.to_owned());
    client(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn blob(case: &Case, digest: &str) -> PathBuf {
    let (algorithm, hex) = digest.split_once(':').unwrap();
    fixtures().join(&case.layout).join("blobs").join(algorithm).join(hex)
}

/// A directory for a case whose demands are the client's own; else nothing.
fn directory(case: &Case, parent: &Path) -> Option<PathBuf> {
    let policy = Policy::of(case);
    let demands = (policy.tlog_threshold, policy.sct_threshold, policy.signed_timestamp_threshold);
    let ([identity], (1, 1, 0), [signature]) = (&*policy.identities, demands, &*case.signatures) else { return None };
    let (Some(subject), Some(issuer)) = (identity["subject"].as_str(), identity["issuer"].as_str()) else {
        return None;
    };
    // The suite asks for no predicate type, and has no manifests.
    if matches!(case.check.as_deref(), Some("presence" | "predicateType")) {
        return None;
    }
    let manifest: Value = serde_json::from_slice(&std::fs::read(blob(case, signature)).unwrap()).unwrap();
    let bundle = manifest["layers"][0]["digest"].as_str().unwrap();
    let suffix = if case.expected == "accept" { "" } else { "_fail" };
    let directory = parent.join(format!("{}{suffix}", case.id));
    std::fs::create_dir(&directory).unwrap();
    std::fs::copy(blob(case, bundle), directory.join("bundle.sigstore.json")).unwrap();
    std::fs::copy(blob(case, &case.subject.digest), directory.join("artifact")).unwrap();
    std::fs::copy(fixtures().join(policy.trusted_root.unwrap()), directory.join("trusted_root.json")).unwrap();
    std::fs::write(directory.join("identity"), subject).unwrap();
    std::fs::write(directory.join("issuer"), issuer).unwrap();
    Some(directory)
}

// R52, by the suite's own way of asking
#[test]
fn the_client_answers_directories_of_the_suites_form_by_path_and_by_digest() {
    let parent = TempDir::new().unwrap();
    let (mut asked, mut wrong) = (0, Vec::new());
    for case in cases("bundle.json") {
        let Some(directory) = directory(&case, parent.path()) else { continue };
        let must_fail = directory.to_str().unwrap().ends_with("_fail");
        for artifact in [directory.join("artifact").display().to_string(), case.subject.digest.clone()] {
            asked += 1;
            let output = ask(&directory, &artifact);
            if code(&output) != i32::from(must_fail) {
                wrong.push(format!("{} {artifact}: {}", case.id, String::from_utf8_lossy(&output.stderr)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(asked > 120, "{asked}");
}

// R58, R61: `key.pub` goes before identity and issuer.
#[test]
fn the_client_answers_for_a_key_that_is_logged() {
    let mini = Mini::new("conformance", Clock::System.now() - Duration::HOUR);
    let key = mini.base.key("managed").unwrap();
    let other = mini.base.key("other").unwrap();
    let signer = Signer { key: key.clone(), certificate: None, chain: Vec::new() };
    let named = mini.base.signer(Name::Email("a@example.com".to_owned()), "https://issuer.example.com").unwrap();
    let artifact: &[u8] = b"an artifact";
    let logged = mini.base.message_bundle(&signer, Version::V03New, artifact).unwrap();
    let mut unlogged = logged.clone();
    unlogged.entries.clear();
    let by_certificate = mini.base.message_bundle(&named, Version::V03New, artifact).unwrap();
    for (name, bundle, key, signed, expected) in [
        ("managed-key", &logged, &key, artifact, 0),
        ("managed-key-other_fail", &logged, &other, artifact, 1),
        ("managed-key-unlogged_fail", &unlogged, &key, artifact, 1),
        ("managed-key-certificate_fail", &by_certificate, &key, artifact, 1),
        ("managed-key-artifact_fail", &logged, &key, b"another", 1),
    ] {
        let directory = TempDir::new().unwrap();
        let write = |file: &str, bytes: &[u8]| std::fs::write(directory.path().join(file), bytes).unwrap();
        write("bundle.sigstore.json", &bundle.bytes());
        write("key.pub", key.pem().as_bytes());
        write("trusted_root.json", mini.trusted_root_json().as_bytes());
        write("artifact", signed);
        let digest = countersign::oci::Digest::sha256(signed).to_string();
        for artifact in [directory.path().join("artifact").display().to_string(), digest] {
            let output = ask(directory.path(), &artifact);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(code(&output), expected, "{name}: {told}");
        }
    }
}

#[test]
fn what_the_client_cannot_read_is_never_verified() {
    let root = fixtures().join("trust/sigstore/trusted_root.json").display().to_string();
    let key = fixtures().join("trust/cosign/keys/p256.pub").display().to_string();
    let private = fixtures().join("trust/cosign/keys/bad/key-private.pem").display().to_string();
    let digest = format!("sha256:{}", "0".repeat(64));
    let short = format!("sha256:{}", "0".repeat(63));
    for arguments in [
        &[][..],
        &["sign-bundle"],
        &["verify-bundle"],
        &["verify-bundle", "--bundle"],
        &["verify-bundle", "--bundle", "nowhere.json", "--key", &key, &digest],
        &["verify-bundle", "--bundle", &root, &digest],
        &["verify-bundle", "--bundle", &root, "--key", &key],
        &["verify-bundle", "--bundle", &root, "--key", &key, "nowhere.txt"],
        &["verify-bundle", "--bundle", &root, "--key", &key, &short],
        &["verify-bundle", "--bundle", &root, "--key", &private, &digest],
        &["verify-bundle", "--bundle", &root, "--key", &key, "--trusted-root", &key, &digest],
        &["verify-bundle", "--bundle", &root, "--key", &key, "--certificate-identity", "a", &digest],
        &["verify-bundle", "--bundle", &root, "--certificate-identity", "a", &digest],
        &["verify-bundle", "--bundle", &root, "--key", &key, "--unheard-of", &digest],
        &["verify-bundle", "--bundle", &root, "--key", &key, &digest, &digest],
    ] {
        assert_eq!(code(&client(arguments)), 2, "{arguments:?}");
    }
    // A trusted root is no bundle.
    assert_eq!(code(&client(&["verify-bundle", "--bundle", &root, "--key", &key, &digest])), 1);
}
