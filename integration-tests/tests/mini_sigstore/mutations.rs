//! R117: a good bundle with any one thing changed.

use integration_tests::sigstore::mutate::{Change, Mutation, mutations};
use serde_json::json;
use sigstore_verify::{
    VerificationPolicy,
    types::{Artifact, Bundle as Read},
};

use super::{MANIFEST, cosign_bundle, mini, signer, verifier};

/// What that verifier lets pass, and why. countersign refuses all but the key's name.
const LET_PASS: [(&str, &str); 6] = [
    ("/dsseEnvelope/signatures/0/keyid Flipped", "a hint that nobody signs"),
    ("/dsseEnvelope/signatures/0/keyid Dropped", "a hint that nobody signs"),
    ("/mediaType Dropped", "no version is read as some version"),
    ("/verificationMaterial/tlogEntries/0 Repeated", "R88: it does not count entries"),
    ("/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope Flipped", "R86: the name in the note"),
    (
        "/verificationMaterial/tlogEntries/0/inclusionProof/treeSize Flipped",
        "R84: it does not compare the sizes of proof and checkpoint, and both trees have this path",
    ),
];

#[test]
fn bundle_with_any_one_thing_changed_is_refused() {
    let mini = mini();
    let verifier = verifier(&mini.trusted_root_json());
    let signer = signer(&mini);
    let (bundle, other) = (cosign_bundle(&mini, &signer).json(), cosign_bundle(&mini, &signer).json());
    let accepted = |bundle: &serde_json::Value| {
        let Ok(bundle) = Read::from_json(&bundle.to_string()) else { return false };
        verifier.verify(Artifact::from(MANIFEST), &bundle, &VerificationPolicy::any_identity()).is_ok()
    };
    assert!(accepted(&bundle));
    let all = mutations(&bundle, &other);
    assert!(all.len() > 100, "{}", all.len());
    let passed: Vec<String> = all
        .iter()
        .filter(|mutation| accepted(&mutation.document))
        .map(|Mutation { pointer, change, .. }| format!("{pointer} {change:?}"))
        .collect();
    let expected: Vec<String> = LET_PASS.iter().map(|(what, _)| (*what).to_owned()).collect();
    assert_eq!(passed, expected);
}

#[test]
fn each_place_is_changed_in_each_way() {
    let found = mutations(&json!({ "a/b": ["x"], "n": 1 }), &json!({ "a/b": ["y"], "n": 1 }));
    let found: Vec<(&str, Change, String)> =
        found.iter().map(|one| (one.pointer.as_str(), one.change, one.document.to_string())).collect();
    let expected = [
        ("/a~1b", Change::Emptied, r#"{"a/b":[],"n":1}"#),
        ("/a~1b", Change::Foreign, r#"{"a/b":["y"],"n":1}"#),
        ("/a~1b", Change::Dropped, r#"{"n":1}"#),
        ("/a~1b/0", Change::Flipped, r#"{"a/b":["a"],"n":1}"#),
        ("/a~1b/0", Change::Emptied, r#"{"a/b":[""],"n":1}"#),
        ("/a~1b/0", Change::Foreign, r#"{"a/b":["y"],"n":1}"#),
        ("/a~1b/0", Change::Dropped, r#"{"a/b":[],"n":1}"#),
        ("/a~1b/0", Change::Repeated, r#"{"a/b":["x","x"],"n":1}"#),
        ("/n", Change::Flipped, r#"{"a/b":["x"],"n":2}"#),
        ("/n", Change::Dropped, r#"{"a/b":["x"]}"#),
    ];
    assert_eq!(found, expected.map(|(pointer, change, text)| (pointer, change, text.to_owned())));
}
