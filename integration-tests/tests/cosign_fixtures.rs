//! Every case of cosign's tags and of Sigstore bundles: what the specifications ask for is what comes out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use countersign::{
    config::{Config, Process},
    reason::Code,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::cases::{self, Case, Said, cases, fixtures};

/// What a case asks of the signatures or attestations of its image.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Policy {
    pub(crate) want: Want,
    pub(crate) key: Option<PathBuf>,
    #[serde(default)]
    pub(crate) keys: Vec<PathBuf>,
    pub(crate) trusted_root: Option<PathBuf>,
    #[serde(default)]
    pub(crate) identities: Vec<Value>,
    predicate_type: Option<String>,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
    signature_digest_algorithm: Option<String>,
    pub(crate) tlog_threshold: usize,
    pub(crate) sct_threshold: usize,
    pub(crate) signed_timestamp_threshold: usize,
    trusted_time_threshold: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Want {
    Attestation,
    Signature,
}

impl Policy {
    pub(crate) fn of(case: &Case) -> Self {
        serde_json::from_value(case.policy.clone()).unwrap_or_else(|error| panic!("{}: {error}", case.id))
    }

    /// The same in the words of the configuration.
    fn trust_policy(&self) -> Value {
        let mut trust = Map::from_iter([("name".to_owned(), json!("fixture")), ("scopes".to_owned(), json!(["**"]))]);
        let mut say = |name: &str, value: Value| trust.insert(name.to_owned(), value);
        let keys: Vec<Value> = self.key.iter().chain(&self.keys).map(|file| self.key(file)).collect();
        if let Some(file) = &self.trusted_root {
            say("trustedRoot", json!({ "file": file }));
        }
        if self.tlog_threshold == 0 {
            say("ignoreTlog", json!(true));
        } else {
            say("tlogThreshold", json!(self.tlog_threshold));
        }
        // A key has no certificate, so that there is nothing to ignore.
        if keys.is_empty() {
            say("identities", json!(self.identities));
            if self.sct_threshold == 0 {
                say("ignoreSct", json!(true));
            } else {
                say("sctThreshold", json!(self.sct_threshold));
            }
        } else {
            say("keys", json!(keys));
        }
        say("signedTimestampThreshold", json!(self.signed_timestamp_threshold));
        say("observerTimestampThreshold", json!(self.trusted_time_threshold));
        if !self.annotations.is_empty() {
            say("annotations", json!(self.annotations));
        }
        Value::Object(trust)
    }

    fn key(&self, file: &Path) -> Value {
        match &self.signature_digest_algorithm {
            Some(hash) => json!({ "file": file, "hashAlgorithm": hash }),
            None => json!({ "file": file }),
        }
    }

    /// An element of `verifiers`, without name and type. Files are named as in the case.
    pub(crate) fn verifier(&self) -> Value {
        let trust_policies = [self.trust_policy()];
        match self.want {
            Want::Attestation => json!({ "predicateType": self.predicate_type, "trustPolicies": trust_policies }),
            Want::Signature => json!({ "trustPolicies": trust_policies }),
        }
    }

    /// The text of a configuration, in YAML's own JSON.
    fn configuration(&self, layout: &Path) -> String {
        let mut verifier = self.verifier();
        verifier["name"] = json!("sigstore");
        verifier["type"] = match self.want {
            Want::Attestation => json!("attestation"),
            Want::Signature => json!("cosign"),
        };
        let text = json!({
            "server": { "plainHttp": true, "address": "127.0.0.1:0", "admin": "127.0.0.1:0" },
            "stores": [{ "name": "disk", "type": "layout", "path": layout, "hosts": ["*"] }],
            "verifiers": [verifier],
            "policies": [{ "scopes": ["**"], "require": "sigstore" }],
        });
        text.to_string()
    }
}

async fn ask_all(cases: Vec<Case>) -> Vec<(Case, Said)> {
    let text = Policy::of(&cases[0]).configuration(&cases[0].layout);
    let config = Config::parse(&text, &fixtures(), &Process::default());
    cases::ask_all(cases, config).await
}

/// Whether that is what the case asks for. `Err`: a refusal, by other checks than the case's own.
fn judge(case: &Case, said: &Said) -> Result<bool, String> {
    let Case { expected, check, .. } = case;
    let wanted = check.as_deref();
    Ok(match (said, expected.as_str()) {
        (Said::Allow(logged), "accept") => logged.is_empty(),
        (Said::Broken(faults), "reject") => wanted == Some("policy") && !faults.is_empty(),
        (Said::Deny(code, refusals), "reject") => {
            let Some(wanted) = wanted else { return Ok(false) };
            let mut named: BTreeSet<_> = refusals.iter().map(|(check, _, _)| check.as_str()).collect();
            let absent = |code: &Code| matches!(code, Code::NoAttestation | Code::NoSignature);
            if absent(code) || refusals.iter().any(|(_, code, _)| absent(code)) {
                named.insert("presence");
            }
            // The cases speak of one kind of transparency.
            if named.remove("certificateTransparency") {
                named.insert("transparency");
            }
            if !named.contains(wanted) {
                return Err(named.into_iter().collect::<Vec<_>>().join(" "));
            }
            true
        }
        _ => false,
    })
}

async fn every_case_of(file: &str, number: usize) -> BTreeSet<(String, String, String)> {
    let cases = cases(file);
    assert_eq!(cases.len(), number);
    let mut calls: BTreeMap<_, Vec<Case>> = BTreeMap::new();
    for case in cases {
        calls.entry(case.call()).or_default().push(case);
    }
    let asked: JoinSet<_> = calls.into_values().map(ask_all).collect();
    let answers: Vec<_> = asked.join_all().await.into_iter().flatten().collect();
    assert_eq!(answers.len(), number);
    let mut wrong = Vec::new();
    let mut other_check = BTreeSet::new();
    for (case, said) in &answers {
        let Case { id, kind, expected, why, check, .. } = case;
        match judge(case, said) {
            Ok(true) => {}
            Ok(false) => wrong.push(format!("{id}: {expected} {check:?} ({why}): {said:?}")),
            Err(named) => {
                other_check.insert((kind.clone(), check.clone().unwrap(), named));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), answers.len(), wrong.join("\n"));
    other_check
}

fn named(list: &[(&str, &str, &str)]) -> BTreeSet<(String, String, String)> {
    list.iter().map(|(kind, wanted, named)| ((*kind).to_owned(), (*wanted).to_owned(), (*named).to_owned())).collect()
}

/// Kinds of rejected cases of `cosign.json` in which another check than theirs says no, and which.
const OTHER_CHECK_OF_TAGS: [(&str, &str, &str); 5] = [
    // What must be there is looked for where the layer or the statement is read.
    ("att-no-signatures", "signature", "content"),
    ("att-no-subject", "subject", "content"),
    ("signature-empty", "signature", "content"),
    ("signature-missing", "signature", "content"),
    ("signature-not-base64", "signature", "content"),
];
/// The same for `bundle.json`.
const OTHER_CHECK_OF_BUNDLES: [(&str, &str, &str); 6] = [
    // It says that it is a bundle, and is told what is wrong with it.
    ("layer-media-type", "presence", "content"),
    ("no-layers", "presence", "content"),
    ("no-signatures", "signature", "content"),
    ("no-subject", "subject", "content"),
    // As above.
    ("two-layers", "presence", "content"),
    ("two-signatures", "signature", "content"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_cosigns_tags_gets_the_verdict_of_the_specifications() {
    assert_eq!(every_case_of("cosign.json", 132).await, named(&OTHER_CHECK_OF_TAGS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_bundles_gets_the_verdict_of_the_specifications() {
    assert_eq!(every_case_of("bundle.json", 114).await, named(&OTHER_CHECK_OF_BUNDLES));
}
