//! A verifier in Rust: an image must carry a licence approval that our key has signed. The same as `licence-approval.sh`,
//! whose head says what the artifact and the configuration are.
//!
//! In a package of its own it needs `aws-lc-rs`, `base64`, `serde` (`derive`) and `serde_json`.

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

const DOCUMENT: &str = "application/vnd.example.licence-approval.document.v1+json";
const SIGNATURE: &str = "application/vnd.example.licence-approval.signature.v1";

/// What countersign writes to standard input, as far as it matters here.
#[derive(Deserialize)]
struct Request {
    config: Config,
    artifact: Artifact,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    /// The verifier's name: a report says it again.
    name: String,
    public_key: String,
    allowed: Vec<String>,
}

#[derive(Deserialize)]
struct Artifact {
    blobs: Vec<Blob>,
}

/// Bytes that were checked against their descriptor, in a file.
#[derive(Deserialize)]
struct Blob {
    descriptor: Descriptor,
    path: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
}

/// What was signed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Approval {
    image: String,
    licences: Vec<String>,
    approved_by: String,
}

/// An error is neither yes nor no: the exit code is then 1, and the image stays undecided.
fn main() -> Result<(), Box<dyn Error>> {
    let Request { config, artifact } = serde_json::from_reader(io::stdin())?;
    #[expect(clippy::disallowed_methods, reason = "the protocol hands the subject over in the environment")]
    let subject = std::env::var("RATIFY_VERIFIER_SUBJECT")?;
    let (_, image) = subject.rsplit_once('@').ok_or("the subject has no digest")?;
    let said = match judge(&config, &artifact, image)? {
        Ok(Approval { licences, approved_by, .. }) => verdict(
            &config,
            true,
            "the licences are approved",
            &json!({ "approvedBy": approved_by, "licences": licences }),
        ),
        Err(objection) => verdict(&config, false, &objection, &json!({})),
    };
    // One line, one object, exit 0: a verdict.
    writeln!(io::stdout(), "{said}")?;
    Ok(())
}

fn verdict(config: &Config, is_success: bool, message: &str, extensions: &Value) -> Value {
    json!({ "isSuccess": is_success, "name": config.name, "message": message, "extensions": extensions })
}

/// The approval, or what speaks against it.
fn judge(config: &Config, artifact: &Artifact, image: &str) -> Result<Result<Approval, String>, Box<dyn Error>> {
    let key = public_key(&config.public_key)?;
    let (Some(document), Some(signature)) = (artifact.only(DOCUMENT), artifact.only(SIGNATURE)) else {
        return Ok(Err("the artifact needs one approval document and one signature".to_owned()));
    };
    let (document, signature) = (fs::read(document)?, fs::read(signature)?);
    // Who said it, before what was said.
    if UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(&document, &signature).is_err() {
        return Ok(Err("the approval is not signed by our key".to_owned()));
    }
    let Ok(approval) = serde_json::from_slice::<Approval>(&document) else {
        return Ok(Err("the approval cannot be read".to_owned()));
    };
    let refused: Vec<&str> =
        approval.licences.iter().filter(|licence| !config.allowed.contains(licence)).map(String::as_str).collect();
    Ok(if approval.image != image {
        Err("the approval is for another image".to_owned())
    } else if approval.licences.is_empty() {
        Err("the approval names no licence".to_owned())
    } else if refused.is_empty() {
        Ok(approval)
    } else {
        Err(format!("licences that are not allowed: {}", refused.join(", ")))
    })
}

impl Artifact {
    /// The file of the one blob of a type.
    fn only(&self, media_type: &str) -> Option<&PathBuf> {
        let mut of_type = self.blobs.iter().filter(|blob| blob.descriptor.media_type == media_type);
        of_type.next().filter(|_| of_type.next().is_none()).map(|blob| &blob.path)
    }
}

/// DER of a PEM public key.
fn public_key(pem: &str) -> Result<Vec<u8>, base64::DecodeError> {
    STANDARD.decode(pem.lines().filter(|line| !line.starts_with("-----")).collect::<String>())
}
