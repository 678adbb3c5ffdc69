//! What a plugin is told of what is attached to its artifact: each verifier's word, and never more than that.

use serde::Serialize;

use crate::verifier::{Endorsement, VerifyError};

/// A word about something that is attached to the artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NestedReport {
    verifier_name: String,
    verifier_type: &'static str,
    /// Whether it is a yes. What could not be found out is none, and `outcome` tells it from a no.
    is_success: bool,
    outcome: &'static str,
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    artifact_type: String,
    /// Who signed, where authenticity passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<String>,
}

impl From<&Endorsement> for NestedReport {
    fn from(endorsement: &Endorsement) -> Self {
        let Endorsement { verifier, kind, artifact, artifact_type, outcome } = endorsement;
        let (is_success, told, code, message, signer) = match outcome {
            Ok(verified) => {
                let signer = verified.signer().map(|signer| signer.display.clone());
                (true, "yes", verified.code(), verified.message(), signer)
            }
            Err(error @ VerifyError::Rejected(_)) => (false, "no", error.code(), error.reason(), None),
            Err(error @ VerifyError::Undecided(_)) => (false, "undecided", error.code(), error.reason(), None),
        };
        Self {
            verifier_name: verifier.to_string(),
            verifier_type: kind,
            is_success,
            outcome: told,
            code: code.as_str(),
            message: message.to_owned(),
            digest: artifact.as_ref().map(ToString::to_string),
            artifact_type: artifact_type.clone(),
            signer,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};
    use time::macros::datetime;

    use super::*;
    use crate::{
        oci::Digest,
        reason::Code,
        verifier::{Check, Findings, Outcome, Rejection, Signer, Undecided, Verified},
    };

    fn told(outcome: Result<Verified, VerifyError>) -> serde_json::Value {
        let artifact = Some(Digest::sha256(b"signature"));
        let endorsement =
            Endorsement { verifier: "notary".into(), kind: "notation", artifact, artifact_type: "t".into(), outcome };
        to_value(NestedReport::from(&endorsement)).unwrap()
    }

    #[test]
    fn yes_no_and_do_not_know_are_three_things() {
        let passed = [Check::Integrity, Check::Authenticity, Check::Subject].map(|check| (check, Outcome::Passed));
        let findings = Findings {
            checks: passed.into(),
            signer: Some(Signer { identity: "id".into(), display: "CN=acme".into() }),
            valid_until: None,
            signer_until: None,
            message: "signed".into(),
            extensions: serde_json::Map::new(),
            warnings: Vec::new(),
            attested: None,
        };
        let verified = Verified::conclude(findings, datetime!(2026-11-21 12:00 UTC)).unwrap();
        assert_eq!(
            told(Ok(verified)),
            json!({
                "verifierName": "notary", "verifierType": "notation", "isSuccess": true, "outcome": "yes", "code": "VERIFIED",
                "message": "signed", "digest": Digest::sha256(b"signature").to_string(), "artifactType": "t", "signer": "CN=acme",
            })
        );
        let no = told(Err(Rejection::new(Check::Integrity, Code::SignatureInvalid, "broken").into()));
        assert_eq!((&no["isSuccess"], &no["outcome"], &no["message"]), (&json!(false), &json!("no"), &json!("broken")));
        let open = told(Err(Undecided::new(Code::Timeout, "late").into()));
        assert_eq!((&open["isSuccess"], &open["outcome"]), (&json!(false), &json!("undecided")));
    }
}
