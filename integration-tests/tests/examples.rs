//! The example plugins, in shell and in Rust: the same verdicts over the same approvals, spoken with as countersign does.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use countersign::oci::Descriptor;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

const DOCUMENT: &str = "application/vnd.example.licence-approval.document.v1+json";
const SIGNATURE: &str = "application/vnd.example.licence-approval.signature.v1";
const IMAGE: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/plugins")
}

/// Whether this machine's shell has the programs; says so where it has not.
fn has(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        let asked = Command::new("/bin/sh").args(["-c", &format!("command -v {program}")]).output();
        !asked.is_ok_and(|output| output.status.success())
    });
    if let Some(missing) = missing {
        println!("skipped: /bin/sh has no {missing}, which the plugin in shell needs");
    }
    missing.is_none()
}

/// Whoever approves licences.
struct Approver(KeyPair);

impl Approver {
    fn new() -> Self {
        Self(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap())
    }

    fn sign(&self, document: &str) -> Vec<u8> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, self.0.serialized_der()).unwrap();
        key.sign(&SystemRandom::new(), document.as_bytes()).unwrap().as_ref().to_vec()
    }

    fn public_key(&self) -> String {
        self.0.public_key_pem()
    }
}

fn approval(image: &str, licences: &Value) -> String {
    json!({ "image": image, "licences": licences, "approvedBy": "legal@example.com" }).to_string()
}

/// Standard input for an artifact with these blobs, which are put into `folder`.
fn request(folder: &Path, config: &Value, blobs: &[(&str, &[u8])]) -> Value {
    let handed = blobs.iter().enumerate().map(|(index, (media_type, bytes))| {
        let path = folder.join(index.to_string());
        fs::write(&path, bytes).unwrap();
        json!({ "descriptor": Descriptor::of(media_type, bytes), "path": path })
    });
    json!({ "config": config, "artifact": { "manifest": {}, "blobs": handed.collect::<Vec<_>>() } })
}

fn run(program: &Path, subject: &str, stdin: &str) -> Output {
    let mut command = Command::new(program);
    command.env_clear().env("RATIFY_VERIFIER_SUBJECT", subject);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

/// What is in one request, and what must be said: yes, no with words in its message, or nothing.
enum Expected {
    No(&'static str),
    Nothing,
    Yes,
}

type Row = (&'static str, Value, Vec<(&'static str, Vec<u8>)>, Expected);

fn rows() -> Vec<Row> {
    use Expected::{No, Nothing, Yes};
    let (ours, other) = (Approver::new(), Approver::new());
    let config = json!({ "name": "licences", "publicKey": ours.public_key(), "allowed": ["MIT", "Apache-2.0"] });
    let without = |member: &str| {
        let mut config = config.clone();
        config.as_object_mut().unwrap().remove(member);
        config
    };
    let signed = |document: &str, by: &Approver| vec![(DOCUMENT, document.into()), (SIGNATURE, by.sign(document))];
    let good = approval(IMAGE, &json!(["MIT"]));
    let mut twice = signed(&good, &ours);
    twice.extend(signed(&good, &ours));
    let mut altered = signed(&good, &ours);
    altered[0].1 = approval(IMAGE, &json!(["Apache-2.0"])).into_bytes();
    let other_image = approval(&IMAGE.replace('4', "5"), &json!(["MIT"]));
    vec![
        ("approved", config.clone(), signed(&good, &ours), Yes),
        ("approved, two", config.clone(), signed(&approval(IMAGE, &json!(["MIT", "Apache-2.0"])), &ours), Yes),
        ("forged", config.clone(), signed(&good, &other), No("not signed by our key")),
        ("altered", config.clone(), altered, No("not signed by our key")),
        ("another image's", config.clone(), signed(&other_image, &ours), No("another image")),
        ("GPL", config.clone(), signed(&approval(IMAGE, &json!(["MIT", "GPL-3.0-only"])), &ours), No("GPL-3.0-only")),
        ("no licence", config.clone(), signed(&approval(IMAGE, &json!([])), &ours), No("names no licence")),
        ("no list", config.clone(), signed(&approval(IMAGE, &json!("MIT")), &ours), No("")),
        ("no JSON", config.clone(), signed("MIT", &ours), No("")),
        ("no signature", config.clone(), signed(&good, &ours)[..1].to_vec(), No("signature")),
        ("no document", config.clone(), signed(&good, &ours)[1..].to_vec(), No("document")),
        ("twice", config.clone(), twice, No("")),
        ("nothing attached", config.clone(), Vec::new(), No("document")),
        ("no key", without("publicKey"), signed(&good, &ours), Nothing),
        ("no list of licences", without("allowed"), signed(&good, &ours), Nothing),
        ("no name", without("name"), signed(&good, &ours), Nothing),
    ]
}

fn check(program: &Path) {
    for (row, config, blobs, expected) in rows() {
        let folder = tempfile::tempdir().unwrap();
        let blobs: Vec<(&str, &[u8])> = blobs.iter().map(|(kind, bytes)| (*kind, bytes.as_slice())).collect();
        let stdin = request(folder.path(), &config, &blobs).to_string();
        let output = run(program, &format!("registry.example.com/app@{IMAGE}"), &stdin);
        let said = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        if matches!(expected, Expected::Nothing) {
            assert!(!output.status.success() && said.is_empty(), "{row}: {said}{errors}");
            continue;
        }
        assert!(output.status.success() && said.lines().count() == 1, "{row}: {said}{errors}");
        let said: Value = serde_json::from_str(&said).unwrap();
        let message = said["message"].as_str().unwrap();
        assert_eq!(said["name"], "licences", "{row}");
        match expected {
            Expected::Yes => {
                assert_eq!(said["isSuccess"], true, "{row}: {message}");
                assert_eq!(said["extensions"]["approvedBy"], "legal@example.com", "{row}");
            }
            Expected::No(words) => {
                assert_eq!(said["isSuccess"], false, "{row}: {message}");
                assert!(message.contains(words), "{row}: {message}");
            }
            Expected::Nothing => unreachable!(),
        }
    }
    for (row, stdin) in [("nothing", ""), ("no JSON", "approve!"), ("no object", "[]")] {
        let output = run(program, &format!("registry.example.com/app@{IMAGE}"), stdin);
        assert!(!output.status.success() && output.stdout.is_empty(), "{row}");
    }
}

#[test]
fn the_plugin_in_shell_tells_approved_from_not() {
    if has(&["jq", "openssl"]) {
        check(&examples().join("licence-approval.sh"));
    }
}

#[test]
fn the_plugin_in_rust_tells_approved_from_not() {
    check(Path::new(env!("CARGO_BIN_EXE_licence-approval")));
}

#[test]
fn the_script_makes_a_layout_that_both_plugins_understand() {
    if !has(&["jq", "openssl", "sha256sum"]) {
        return;
    }
    for (mode, expected) in [(None, true), (Some("forged"), false)] {
        let folder = tempfile::tempdir().unwrap();
        let made =
            Command::new("/bin/sh").arg(examples().join("layout.sh")).arg(folder.path()).args(mode).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let read =
            |name: &str| -> Value { serde_json::from_slice(&fs::read(folder.path().join(name)).unwrap()).unwrap() };
        let blob = |digest: &str| folder.path().join("blobs").join(digest.replace(':', "/"));
        let listed = &read("index.json")["manifests"];
        let (image, artifact) = (listed[0]["digest"].as_str().unwrap(), listed[1]["digest"].as_str().unwrap());
        let manifest: Value = serde_json::from_slice(&fs::read(blob(artifact)).unwrap()).unwrap();
        assert_eq!(manifest["subject"]["digest"], image);
        let blobs: Vec<Value> = manifest["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|layer| json!({ "descriptor": layer, "path": blob(layer["digest"].as_str().unwrap()) }))
            .collect();
        let mut config = read("config.json");
        config["name"] = json!("licences");
        let stdin = json!({ "config": config, "artifact": { "manifest": manifest, "blobs": blobs } }).to_string();
        for program in [examples().join("licence-approval.sh"), PathBuf::from(env!("CARGO_BIN_EXE_licence-approval"))] {
            let output = run(&program, &format!("registry.example.com/app@{image}"), &stdin);
            let said: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(said["isSuccess"], expected, "{}: {said}", program.display());
        }
    }
}
