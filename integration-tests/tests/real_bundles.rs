//! Bundles of the public instances, as the source of the crate `sigstore-verify` has them among its public test data. They are
//! read from where cargo keeps that source, and are no part of this repository.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use integration_tests::conformance::{self, Refused};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::{OffsetDateTime, macros::datetime};

const NOW: OffsetDateTime = datetime!(2026-11-21 12:41 UTC);

const GITHUB_LOGIN: &str = "https://github.com/login/oauth";
const GITHUB_ACTIONS: &str = "https://token.actions.githubusercontent.com";
const BEACON: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";

/// Who must have signed.
#[derive(Clone, Copy)]
enum By {
    Identity(&'static str, &'static str),
    Key(&'static str),
}

/// Whose trusted root.
#[derive(Clone, Copy)]
enum Root {
    File(&'static str),
    PublicGood,
    Staging,
}

/// A bundle, by whom, under which root, and its artifact: a file, or `sha256:…`.
type Row = (&'static str, By, Root, &'static str);

const GOOD: [Row; 9] = [
    // Rekor v1, SET, proof, and a timestamp of the public authority; signed by cosign v3.
    (
        "bundles/cosign-v3-blob.sigstore.json",
        By::Identity("w.vollprecht@gmail.com", GITHUB_LOGIN),
        Root::PublicGood,
        "bundles/cosign-v3-blob.txt",
    ),
    // DSSE, dsse 0.0.1.
    (
        "bundles/conda-attestation.sigstore.json",
        By::Identity(
            "https://github.com/prefix-dev/sigstore-example/.github/workflows/action.yaml@refs/heads/main",
            GITHUB_ACTIONS,
        ),
        Root::PublicGood,
        "bundles/signed-package-2.1.0-hb0f4dca_0.conda",
    ),
    // DSSE in Rekor v2 with a timestamp.
    (
        "bundles/conda-attestation-rekor2.sigstore.json",
        By::Identity("jku@goto.fi", GITHUB_LOGIN),
        Root::Staging,
        "sha256:54303491a8418fbed24344b513546182c29b43bf282ceb433af65e2299f9271f",
    ),
    // v0.2.
    (
        "bundles/bundle_v3_github.whl.sigstore",
        By::Identity(
            "https://github.com/trailofbits/rfc8785.py/.github/workflows/release.yml@refs/tags/v0.1.2",
            GITHUB_ACTIONS,
        ),
        Root::PublicGood,
        "sha256:c4e92e9ecc828bef2aa7dba1de8ac983511f7532a0df11c770d39099a25cf201",
    ),
    ("managed-key/bundle.sigstore.json", By::Key("managed-key/key.pub"), Root::PublicGood, "managed-key/artifact.txt"),
    // Two intermediates of one name, which only their keys tell apart; Rekor v2.
    (
        "sct-multi-intermediate/staging_bundle.sigstore.json",
        By::Identity(
            "https://github.com/sigstore/root-signing-staging/.github/workflows/custom-test.yml@refs/heads/main",
            GITHUB_ACTIONS,
        ),
        Root::File("sct-multi-intermediate/staging_trusted_root.json"),
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ),
    (
        "timestamps/valid_bundle.json",
        By::Identity(BEACON, GITHUB_ACTIONS),
        Root::File("timestamps/valid_trusted_root.json"),
        "sha256:a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf",
    ),
    (
        "upstream/sigstore-python/staging-rekor-v2.txt.sigstore.json",
        By::Identity("jku@goto.fi", GITHUB_LOGIN),
        Root::Staging,
        "upstream/sigstore-python/staging-rekor-v2.txt",
    ),
    (
        "upstream/sigstore-python/a.dsse.staging-rekor-v2.txt.sigstore.json",
        By::Identity(BEACON, GITHUB_ACTIONS),
        Root::Staging,
        "sha256:a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf",
    ),
];

/// With the check that says no.
const BAD: [(Row, &str); 11] = [
    (
        (
            "bundles/bundle_cve_2022_36056.txt.sigstore",
            By::Identity("william@yossarian.net", GITHUB_LOGIN),
            Root::PublicGood,
            "sha256:c87b5b213ab08b32970c106d0c7e4423e67f5449c2fd2d1e9b4ea6cc43b6ee7c",
        ),
        "transparency",
    ),
    (
        (
            "bundles/bundle_invalid_version.txt.sigstore",
            By::Identity("william@yossarian.net", GITHUB_LOGIN),
            Root::PublicGood,
            "sha256:7a1f2b23ec9add163c6d0bbb454af45e1483b9bec7b72aea1b4fdf0e2f5644f0",
        ),
        "content",
    ),
    (
        (
            "bundles/bundle_no_cert_v1.txt.sigstore",
            By::Identity("william@yossarian.net", GITHUB_LOGIN),
            Root::Staging,
            "sha256:1bc37d4fed3fd960bdf9d095f87283ba8ad1ab4481f38a34e8004f0c56ffe78d",
        ),
        "content",
    ),
    (
        (
            "bundles/bundle_no_checkpoint.txt.sigstore",
            By::Identity("william@yossarian.net", GITHUB_LOGIN),
            Root::Staging,
            "sha256:802dd60ff88333802f2585e73043bd21c341285e1992fe5b31755e1cadeae30e",
        ),
        "transparency",
    ),
    (
        (
            "bundles/bundle_no_log_entry.txt.sigstore",
            By::Identity("alex.cameron@trailofbits.com", "https://accounts.google.com"),
            Root::Staging,
            "sha256:9b469fc9761e8b933073b62725fbc98b549c3314199ded71cc8b286ef2c6fb9b",
        ),
        "transparency",
    ),
    // A proof without a SET: no time.
    (
        (
            "bundles/bundle_v3_no_signed_time.txt.sigstore.json",
            By::Identity("william@yossarian.net", GITHUB_LOGIN),
            Root::PublicGood,
            "sha256:ca6de99a11d3d38056d838c7dc9a23a11a0c81bcace0d11eaa301a2ffb482c42",
        ),
        "timestamp",
    ),
    (
        (
            "bundles/dsse-2sigs.sigstore.json",
            By::Identity("brian@dehamer.com", GITHUB_LOGIN),
            Root::PublicGood,
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        "content",
    ),
    // R38: its subject has a SHA-512 only.
    (
        (
            "bundles/sigstore.js@2.0.0-provenance.sigstore.json",
            By::Identity(
                "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main",
                GITHUB_ACTIONS,
            ),
            Root::PublicGood,
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        "subject",
    ),
    (
        (
            "invalid-ct-key_fail/bundle.sigstore.json",
            By::Identity(BEACON, GITHUB_ACTIONS),
            Root::File("invalid-ct-key_fail/trusted_root.json"),
            "sha256:a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf",
        ),
        "certificateTransparency",
    ),
    // Another instance's root.
    (
        (
            "bundles/cosign-v3-blob.sigstore.json",
            By::Identity("w.vollprecht@gmail.com", GITHUB_LOGIN),
            Root::Staging,
            "bundles/cosign-v3-blob.txt",
        ),
        "transparency",
    ),
    // A key where a certificate is asked for.
    (
        (
            "managed-key/bundle.sigstore.json",
            By::Identity(BEACON, GITHUB_ACTIONS),
            Root::PublicGood,
            "managed-key/artifact.txt",
        ),
        "authenticity",
    ),
];

/// Where cargo keeps the crate's source: what was built just now, so that nothing is fetched.
fn data() -> &'static Path {
    static DATA: OnceLock<PathBuf> = OnceLock::new();
    DATA.get_or_init(|| {
        let arguments = ["metadata", "--format-version=1", "--offline", "--locked", "--filter-platform=host-tuple"];
        let told = Command::new(env!("CARGO"))
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap_or_else(|error| panic!("cargo: {error}"));
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        let metadata: Value = serde_json::from_slice(&told.stdout).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        let package = packages.iter().find(|package| package["name"] == "sigstore-verify").unwrap();
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        manifest.with_file_name("test_data")
    })
}

fn ask_of(bundle: &Path, (_, by, root, artifact): Row) -> Result<String, Refused> {
    let path = |name: &str| data().join(name).display().to_string();
    let mut arguments = vec!["verify-bundle".to_owned(), "--bundle".to_owned(), bundle.display().to_string()];
    match by {
        By::Identity(identity, issuer) => arguments
            .extend(["--certificate-identity", identity, "--certificate-oidc-issuer", issuer].map(str::to_owned)),
        By::Key(file) => arguments.extend(["--key".to_owned(), path(file)]),
    }
    match root {
        Root::File(file) => arguments.extend(["--trusted-root".to_owned(), path(file)]),
        Root::PublicGood => {}
        Root::Staging => arguments.push("--staging".to_owned()),
    }
    arguments.push(if artifact.starts_with("sha256:") { artifact.to_owned() } else { path(artifact) });
    conformance::answer(arguments, NOW).map(|findings| findings.message)
}

fn ask(row: Row) -> Result<String, Refused> {
    ask_of(&data().join(row.0), row)
}

// R52, R94
#[test]
fn real_bundles_verify_through_the_products_own_core() {
    let wrong: Vec<_> = GOOD.into_iter().filter_map(|row| Some((row.0, ask(row).err()?))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn real_bundles_that_are_spoilt_are_refused_by_the_check_that_is_meant() {
    let mut wrong = Vec::new();
    for (row, check) in BAD {
        match ask(row) {
            Err(Refused::Rejected(reason)) if reason.starts_with(check) => {}
            other => wrong.push((row.0, check, other)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// One thing changed in a bundle: a JSON pointer, and how.
type Change = (&'static str, fn(&mut Value));

fn flip(value: &mut Value) {
    let mut bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    *value = json!(STANDARD.encode(bytes));
}

fn next(value: &mut Value) {
    let number: u64 = value.as_str().unwrap().parse().unwrap();
    *value = json!((number + 1).to_string());
}

fn checkpoint(value: &mut Value) {
    let text = value.as_str().unwrap();
    let (note, signatures) = text.split_once("\n\n").unwrap();
    let mut lines: Vec<&str> = note.lines().collect();
    let size: u64 = lines[1].parse().unwrap();
    let size = (size + 1).to_string();
    lines[1] = &size;
    *value = json!(format!("{}\n\n{signatures}", lines.join("\n")));
}

fn empty(value: &mut Value) {
    *value = json!([]);
}

fn sign_v1(value: &mut Value) {
    let bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
    let text = String::from_utf8(bytes).unwrap().replacen("https://", "http://", 1);
    *value = json!(STANDARD.encode(text));
}

const ENTRY: &str = "/verificationMaterial/tlogEntries/0";

const OF_ANY: [Change; 11] = [
    ("/mediaType", |value| *value = json!("application/vnd.dev.sigstore.bundle.v0.4+json")),
    ("/verificationMaterial/tlogEntries", empty),
    ("/verificationMaterial/tlogEntries/0/canonicalizedBody", flip),
    ("/verificationMaterial/tlogEntries/0/logId/keyId", flip),
    ("/verificationMaterial/tlogEntries/0/kindVersion/version", |value| *value = json!("0.0.9")),
    ("/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope", checkpoint),
    ("/verificationMaterial/tlogEntries/0/inclusionProof/hashes/0", flip),
    ("/verificationMaterial/tlogEntries/0/inclusionProof/hashes", empty),
    ("/verificationMaterial/tlogEntries/0/inclusionProof/logIndex", next),
    ("/verificationMaterial/tlogEntries/0/inclusionProof/rootHash", flip),
    ("/verificationMaterial/tlogEntries/0/inclusionProof/treeSize", next),
];

const OF_SOME: [Change; 9] = [
    ("/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp", flip),
    ("/verificationMaterial/tlogEntries/0/integratedTime", next),
    ("/verificationMaterial/certificate/rawBytes", flip),
    ("/verificationMaterial/x509CertificateChain/certificates/0/rawBytes", flip),
    ("/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp", flip),
    ("/messageSignature/signature", flip),
    ("/messageSignature/messageDigest/digest", flip),
    ("/dsseEnvelope/signatures/0/sig", flip),
    ("/dsseEnvelope/payload", sign_v1),
];

// R117 on real ones
#[test]
fn each_tampering_of_a_real_bundle_is_refused() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("bundle.sigstore.json");
    let mut accepted = Vec::new();
    let mut made = 0;
    for row in GOOD {
        let whole: Value = serde_json::from_slice(&std::fs::read(data().join(row.0)).unwrap()).unwrap();
        assert!(OF_ANY.iter().all(|(pointer, _)| whole.pointer(pointer).is_some()), "{}", row.0);
        let v2 = whole.pointer(&format!("{ENTRY}/inclusionPromise")).is_none();
        for (pointer, change) in OF_ANY.into_iter().chain(OF_SOME) {
            // Without a promise nobody believes the time that an entry says.
            if v2 && pointer.ends_with("integratedTime") {
                continue;
            }
            let mut bundle = whole.clone();
            let Some(value) = bundle.pointer_mut(pointer) else { continue };
            change(value);
            assert_ne!(bundle, whole, "{}: {pointer}", row.0);
            made += 1;
            std::fs::write(&file, bundle.to_string()).unwrap();
            match ask_of(&file, row) {
                Err(Refused::Rejected(_)) => {}
                other => accepted.push((row.0, pointer, other)),
            }
        }
    }
    assert!(accepted.is_empty(), "{accepted:#?}");
    assert!(made > 120, "{made}");
}
