//! Certificates, promises of the CT log, each version of the bundle.

use integration_tests::sigstore::{
    Care,
    authority::{Authority, Leaf, Plan},
    bundle::Version,
    certificate::{Extension, KEY_ENCIPHERMENT, Name, TIME_STAMPING},
    envelope::{EntryKind, cosign_statement},
    sct::Sct,
    trust::Window,
};
use time::Duration;

use super::{ISSUER, MANIFEST, WORKFLOW, cosign_bundle, digest, judge, judge_by, mini, refused, signer, workflow};

#[test]
fn each_version_and_content_is_accepted() {
    let mini = mini();
    let signer = signer(&mini);
    for version in Version::ALL {
        for kind in [EntryKind::Dsse, EntryKind::InToto002] {
            let bundle = mini.base.bundle(&signer, version, &cosign_statement(&digest()), kind).unwrap();
            let found = judge(&mini, &bundle).unwrap_or_else(|error| panic!("{version:?}, {kind:?}: {error}"));
            assert_eq!(found.issuer(), Some(ISSUER), "{version:?}");
            assert_eq!(found.identity().map(|name| name.as_str().to_owned()).as_deref(), Some(WORKFLOW));
            assert!(found.certificate_verified() && found.sct_verified() && found.tlog_verified(), "{version:?}");
        }
        let bundle = mini.base.message_bundle(&signer, version, MANIFEST).unwrap();
        judge(&mini, &bundle).unwrap_or_else(|error| panic!("{version:?}: {error}"));
        let other = mini.base.message_bundle(&signer, version, b"another manifest").unwrap();
        assert!(judge(&mini, &other).is_err(), "{version:?}");
    }
}

#[test]
fn each_kind_of_name_is_read_back() {
    let mini = mini();
    for (name, read) in [
        (Name::Email("jane@example.com".to_owned()), Some("jane@example.com")),
        (Name::Uri("spiffe://example.com/ns/app".to_owned()), Some("spiffe://example.com/ns/app")),
        // It reads no other names.
        (Name::user("jane!example.com"), None),
    ] {
        let signer = mini.base.signer(name.clone(), ISSUER).unwrap();
        let found = judge(&mini, &cosign_bundle(&mini, &signer)).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        assert_eq!(found.identity().map(|name| name.as_str().to_owned()).as_deref(), read, "{name:?}");
    }
}

#[test]
fn claims_of_a_workflow_are_read_back() {
    let mini = mini();
    let mut leaf = mini.base.leaf(workflow(), ISSUER).unwrap();
    leaf.extensions =
        vec![Extension::fulcio_raw(5, "acme/app"), Extension::fulcio_utf8(12, "https://github.com/acme/app")];
    let signer = mini.base.issue(&leaf).unwrap();
    let found = judge(&mini, &cosign_bundle(&mini, &signer)).unwrap();
    let claims = format!("{:?}", found.certificate().unwrap());
    assert!(claims.contains("\"https://github.com/acme/app\""), "{claims}");
}

#[test]
fn certificate_with_one_thing_wrong_is_refused() {
    type Change = fn(&mut Leaf);
    let mini = mini();
    let rows: [(&'static str, Change, &'static str); 9] = [
        ("no purpose", |leaf| leaf.extended_key_usage.clear(), "RequiredEku"),
        ("another purpose", |leaf| leaf.extended_key_usage = vec![TIME_STAMPING], "RequiredEku"),
        ("no promise", |leaf| leaf.scts.clear(), "SCT"),
        ("a promise with a flipped bit", |leaf| leaf.scts[0].care = Care::Tampered, "SCT"),
        ("a promise for another issuer", |leaf| leaf.scts[0].issuer_key_hash = Some([7; 32]), "SCT"),
        ("a promise of an unknown log", |leaf| leaf.scts[0] = Sct::new(&leaf.key, leaf.not_before), "SCT"),
        ("a promise before the log was in use", |leaf| leaf.scts[0].at -= Duration::days(400), "SCT"),
        ("a promise by a stranger's key", |leaf| leaf.scts[0].key = leaf.key.clone(), "SCT"),
        ("over before it was used", |leaf| leaf.not_after = leaf.not_before - Duration::SECOND, "valid"),
    ];
    let rows = rows.map(|(name, change, part)| {
        let mut leaf = mini.base.leaf(workflow(), ISSUER).unwrap();
        change(&mut leaf);
        (name, cosign_bundle(&mini, &mini.base.issue(&leaf).unwrap()), part)
    });
    refused(&mini, rows);
}

#[test]
fn promises_with_extensions_are_as_good_as_those_without() {
    let mini = mini();
    let mut leaf = mini.base.leaf(workflow(), ISSUER).unwrap();
    leaf.scts[0].extensions = vec![0, 0, 5, 1, 2, 3, 4, 5];
    // Key usage is ours to check: that verifier does not.
    leaf.key_usage = Some(KEY_ENCIPHERMENT);
    judge(&mini, &cosign_bundle(&mini, &mini.base.issue(&leaf).unwrap())).unwrap();
}

#[test]
fn authority_of_another_seed_or_outside_its_window_is_refused() {
    let mini = mini();
    let bundle = cosign_bundle(&mini, &signer(&mini));
    judge(&mini, &bundle).unwrap();

    let mut stranger = mini.clone();
    stranger.base.authority = Authority::new("stranger", &Plan::new("mini fulcio", mini.base.at)).unwrap();
    refused(&mini, [("namesake", cosign_bundle(&stranger, &signer(&stranger)), "InvalidSignatureForPublicKey")]);

    let (at, second) = (mini.base.at.replace_nanosecond(0).unwrap(), Duration::SECOND);
    let start = mini.base.authority.window.start.unwrap();
    for (name, end, accepted) in [("ends at the moment", at, true), ("ends before", at - second, false)] {
        let mut root = mini.trusted_root();
        root.certificate_authorities[0].window = Window::between(start, end);
        let judged = judge_by(&root.json().unwrap().to_string(), &bundle);
        assert_eq!(judged.is_ok(), accepted, "{name}: {judged:?}");
    }
}
