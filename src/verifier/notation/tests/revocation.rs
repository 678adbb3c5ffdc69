//! What a policy's level makes of revoked certificates, and when nobody is asked.

use std::sync::Arc;

use super::*;
use crate::{
    crypto::{
        crl::testing::{Draft, entry},
        ocsp::testing::NOW,
        testing::{ca, chain, leaf},
        x509::Certificate,
    },
    verifier::{
        Outcome,
        notation::revocation::testing::{CRL, Web, distribution, outside},
    },
};

fn policies() -> Vec<Value> {
    let with = |name: &str, details: Value, store: &str| {
        let mut statement = statement(name, &format!("a.b/{name}"), store);
        statement["signatureVerification"] = details;
        statement
    };
    vec![
        with("strict", json!({"level": "strict"}), "ca:acme"),
        with("permissive", json!({"level": "permissive"}), "ca:acme"),
        with("skips", json!({"level": "strict", "override": {"revocation": "skip"}}), "ca:acme"),
        with("stranger", json!({"level": "strict"}), "ca:other"),
        with("audit", json!({"level": "audit"}), "ca:other"),
        with("enforced", json!({"level": "audit", "override": {"revocation": "enforce"}}), "ca:other"),
    ]
}

/// A verifier, an envelope, its chain, and the list of its root that lists nothing, or the leaf.
struct Signed {
    _dir: TempDir,
    notation: Notation,
    web: Arc<Web>,
    envelope: Vec<u8>,
    good: Vec<u8>,
    revoked: Vec<u8>,
}

impl Signed {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let mut signing = leaf("signer");
        signing.custom_extensions.push(distribution(&[&[CRL]]));
        let made = chain(&[signing, ca("root", None)]);
        let [certificate, root] = [0, 1].map(|at| Certificate::parse(&made.der[at]).unwrap());
        let draft = Draft::good(&root);
        let good = draft.der(&made.keys[1]);
        let listed = vec![entry(&certificate, "300601100000Z", &[])];
        let revoked = draft.with(|draft| draft.entries = listed).der(&made.keys[1]);
        std::fs::write(dir.path().join("root.cer"), &made.der[1]).unwrap();
        std::fs::write(dir.path().join("other.cer"), &chain(&[ca("root", None)]).der[0]).unwrap();
        let config: Config = serde_json::from_value(json!({
            "trustPolicies": policies(),
            "trustStores": {"ca": {"acme": ["root.cer"], "other": ["other.cer"]}},
        }))
        .unwrap();
        let web = Arc::new(Web::default());
        let loaded = Notation::load("notary".into(), &config, dir.path()).unwrap();
        let notation = loaded.asking(&config, dir.path(), outside(&web)).unwrap();
        let envelope = Signer::of(made).jws(&testing::protected_json().to_string(), testing::PAYLOAD);
        Self { _dir: dir, notation, web, envelope: envelope.to_string().into_bytes(), good, revoked }
    }

    async fn verify(&self, policy: &str) -> Result<Verified, VerifyError> {
        let layer = serde_json::to_value(Descriptor::of(ENVELOPE, &self.envelope)).unwrap();
        let artifact = legacy(&json!([layer]));
        let subject = Subject::new(Repository::parse(&format!("a.b/{policy}")).unwrap(), subject());
        let store = OneBlob { bytes: Some(self.envelope.clone()), ..OneBlob::default() };
        let deadline = Instant::now() + Duration::from_mins(1);
        let request = VerifyRequest::new(&subject, &artifact, subject.repository(), NOW, &store, deadline);
        let mut items = self.notation.verify(&request).await?;
        items.remove(0).outcome
    }
}

/// `yes`, a no, or `?`, each with its code; `~` for what is only logged.
fn told(outcome: &Result<Verified, VerifyError>) -> String {
    match outcome {
        Err(VerifyError::Rejected(rejection)) => format!("no {} {}", rejection.check(), rejection.code()),
        Err(VerifyError::Undecided(undecided)) => format!("? {}", undecided.code()),
        Ok(verified) => {
            let logged = verified.checks().iter().filter_map(|(check, outcome)| match outcome {
                Outcome::Logged(rejection) => Some(format!(" ~{check} {}", rejection.code())),
                Outcome::Passed | Outcome::Skipped => None,
            });
            std::iter::once("yes".to_owned()).chain(logged).collect()
        }
    }
}

// Item 100, item 101; REV-09, REV-15
#[tokio::test]
async fn the_level_decides_what_a_revocation_means_and_strangers_are_not_asked_about() {
    for (policy, listed, expected, asked) in [
        ("strict", "good", "yes", 1),
        ("strict", "revoked", "no revocation REVOKED", 1),
        ("strict", "", "? REVOCATION_UNAVAILABLE", 1),
        ("permissive", "good", "yes", 1),
        ("permissive", "revoked", "yes ~revocation REVOKED", 1),
        ("permissive", "", "yes ~revocation REVOCATION_UNAVAILABLE", 1),
        ("skips", "revoked", "yes", 0),
        ("stranger", "revoked", "no authenticity UNTRUSTED", 0),
        ("audit", "revoked", "yes ~authenticity UNTRUSTED ~revocation REVOCATION_UNAVAILABLE", 0),
        ("enforced", "revoked", "? REVOCATION_UNAVAILABLE", 0),
    ] {
        let signed = Signed::new();
        match listed {
            "good" => signed.web.serve(CRL, signed.good.clone()),
            "revoked" => signed.web.serve(CRL, signed.revoked.clone()),
            _ => {}
        }
        let outcome = signed.verify(policy).await;
        assert_eq!(told(&outcome), expected, "{policy} {listed:?}: {outcome:?}");
        assert_eq!(signed.web.asked().len(), asked, "{policy} {listed:?}");
        // REV-01: by what each certificate is known to be good.
        if let Ok(verified) = &outcome {
            let methods = (expected == "yes" && asked > 0).then(|| json!(["crl"]));
            assert_eq!(verified.extensions().get("revocation"), methods.as_ref(), "{policy} {listed:?}");
        }
        // Item 107: a reader is told which policy and whose certificate.
        if let Err(error) = &outcome {
            assert!(error.reason().contains(policy) && error.reason().contains("CN=signer"), "{}", error.reason());
        }
    }
}

// The staleness that is promised: a cached verdict ends when the evidence would be asked for again.
#[tokio::test]
async fn a_verdict_ends_with_its_evidence() {
    let signed = Signed::new();
    signed.web.serve(CRL, signed.good.clone());
    let until = signed.verify("strict").await.unwrap().valid_until().unwrap();
    assert!(until > NOW + Duration::from_mins(9) && until <= NOW + Duration::from_mins(10), "{until}");
    // Also one that only logs it: it is not known for longer.
    let signed = Signed::new();
    let until = signed.verify("permissive").await.unwrap().valid_until().unwrap();
    assert!(until <= NOW + Duration::from_mins(1), "{until}");
}
