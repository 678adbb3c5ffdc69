//! Certificates and promises of the CT log, with one thing wrong.

use countersign::reason::Code;
use der::asn1::ObjectIdentifier;
use integration_tests::sigstore::{
    Care,
    authority::{Authority, Leaf, Plan},
    certificate::{CODE_SIGNING, Extension, KEY_ENCIPHERMENT, Name, TIME_STAMPING},
    key::Key,
    sct::Sct,
    trust::Window,
};
use time::Duration;

use super::{ISSUER, cosign_bundle, judge, keyless, keyless_by, mini, refused, signer, workflow};

type Change = fn(&mut Leaf);

#[test]
fn leaf_with_one_thing_wrong_is_refused() {
    let mini = mini();
    let rows: [(&'static str, Change, Code); 22] = [
        ("R66 no purpose", |leaf| leaf.extended_key_usage.clear(), Code::CertificateInvalid),
        ("R66 another purpose", |leaf| leaf.extended_key_usage = vec![TIME_STAMPING], Code::CertificateInvalid),
        ("R66 another usage", |leaf| leaf.key_usage = Some(KEY_ENCIPHERMENT), Code::CertificateInvalid),
        ("R66 no usage", |leaf| leaf.key_usage = None, Code::CertificateInvalid),
        ("R66 an authority", |leaf| leaf.extensions.push(Extension::authority(None)), Code::CertificateInvalid),
        (
            "an unknown critical extension",
            |leaf| {
                let oid = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.1");
                leaf.extensions.push(Extension::critical(oid, vec![5, 0]));
            },
            Code::CertificateInvalid,
        ),
        ("R72 no promise", |leaf| leaf.scts.clear(), Code::SctMissing),
        ("R72 flipped", |leaf| leaf.scts[0].care = Care::Tampered, Code::SctInvalid),
        ("R72 for another issuer", |leaf| leaf.scts[0].issuer_key_hash = Some([7; 32]), Code::SctInvalid),
        ("R72 of an unknown log", |leaf| leaf.scts[0] = Sct::new(&leaf.key, leaf.not_before), Code::SctMissing),
        ("R72 before the log's window", |leaf| leaf.scts[0].at -= Duration::days(400), Code::SctInvalid),
        ("R72 by a stranger's key", |leaf| leaf.scts[0].key = leaf.key.clone(), Code::SctInvalid),
        (
            "R68 over a second before",
            |leaf| leaf.not_after = leaf.not_before - Duration::SECOND,
            Code::CertificateExpired,
        ),
        ("R68 begins a second after", |leaf| leaf.not_before += Duration::SECOND, Code::CertificateExpired),
        ("R74 another subject", |leaf| leaf.names = vec![Name::Uri("https://evil".to_owned())], Code::IdentityMismatch),
        (
            "R74 another issuer",
            |leaf| (leaf.issuer_v1, leaf.issuer_v2) = (Some("https://evil".into()), Some("https://evil".into())),
            Code::IdentityMismatch,
        ),
        ("R77 two names", |leaf| leaf.names.push(leaf.names[0].clone()), Code::CertificateInvalid),
        ("R77 no name", |leaf| leaf.names.clear(), Code::CertificateInvalid),
        ("R77 a DNS name", |leaf| leaf.names = vec![Name::Dns("example.com".to_owned())], Code::CertificateInvalid),
        ("R78 issuers differ", |leaf| leaf.issuer_v1 = Some("https://other".to_owned()), Code::CertificateInvalid),
        ("R78 no issuer", |leaf| (leaf.issuer_v1, leaf.issuer_v2) = (None, None), Code::IdentityMismatch),
        (
            "R80 an issuer that is no text",
            |leaf| {
                leaf.issuer_v2 = None;
                leaf.extensions.push(Extension::fulcio(8, vec![0x0C, 2, 0xFF, 0xFE]));
            },
            Code::CertificateInvalid,
        ),
    ];
    let rows = rows.map(|(name, change, code)| {
        let mut leaf = mini.base.leaf(workflow(), ISSUER).unwrap();
        change(&mut leaf);
        (name, cosign_bundle(&mini, &mini.base.issue(&leaf).unwrap()), code)
    });
    refused(&keyless(&mini), rows);
}

#[test]
fn leaf_that_is_unusual_is_accepted() {
    let mini = mini();
    let rows: [(&'static str, Change); 6] = [
        ("R78 issuer in extension 1 only", |leaf| leaf.issuer_v2 = None),
        ("R78 issuer in extension 8 only", |leaf| leaf.issuer_v1 = None),
        ("R72 extensions of a promise", |leaf| leaf.scts[0].extensions = vec![0, 0, 5, 1, 2, 3, 4, 5]),
        ("R72 two promises, one good", |leaf| {
            let stranger = Key::p256("core", "stranger").unwrap();
            leaf.scts.insert(0, Sct::new(&stranger, leaf.not_before));
        }),
        ("more than one purpose", |leaf| leaf.extended_key_usage = vec![TIME_STAMPING, CODE_SIGNING]),
        // R68: the ends belong to it.
        ("R68 valid for that second", |leaf| leaf.not_after = leaf.not_before),
    ];
    let policy = keyless(&mini);
    for (name, change) in rows {
        let mut leaf = mini.base.leaf(workflow(), ISSUER).unwrap();
        change(&mut leaf);
        let bundle = cosign_bundle(&mini, &mini.base.issue(&leaf).unwrap());
        judge(&policy, &bundle).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
}

// R66, R69.
#[test]
fn authority_with_one_thing_wrong_is_refused() {
    type Change = fn(&mut Plan);
    let good = mini();
    let rows: [(&'static str, Change, Code); 6] = [
        (
            "R69 intermediate over",
            |plan| plan.intermediate_validity.1 -= Duration::days(3651),
            Code::CertificateExpired,
        ),
        (
            "R69 intermediate to come",
            |plan| plan.intermediate_validity.0 += Duration::days(366),
            Code::CertificateExpired,
        ),
        ("R69 root over", |plan| plan.root_validity.1 -= Duration::days(3651), Code::CertificateExpired),
        ("R66 no authority", |plan| drop(plan.intermediate_constraints.remove(1)), Code::CertificateInvalid),
        ("R66 may not issue", |plan| drop(plan.intermediate_constraints.remove(0)), Code::CertificateInvalid),
        (
            "R69 window to come",
            |plan| plan.window = Window::since(plan.window.start.unwrap() + Duration::days(366)),
            Code::Untrusted,
        ),
    ];
    for (name, change, code) in rows {
        let mut mini = good.clone();
        let mut plan = Plan::new("mini fulcio", mini.base.at);
        change(&mut plan);
        mini.base.authority = Authority::new("core", &plan).unwrap();
        let bundle = cosign_bundle(&mini, &signer(&mini));
        refused(&keyless(&mini), [(name, bundle, code)]);
    }
}

// R66: an authority of the same name, and the windows' ends.
#[test]
fn authority_is_believed_in_its_window_and_no_namesake() {
    let mini = mini();
    let mut stranger = mini.clone();
    stranger.base.authority = Authority::new("stranger", &Plan::new("mini fulcio", mini.base.at)).unwrap();
    refused(&keyless(&mini), [("namesake", cosign_bundle(&stranger, &signer(&stranger)), Code::Untrusted)]);

    let bundle = cosign_bundle(&mini, &signer(&mini));
    let start = mini.base.authority.window.start.unwrap();
    for (end, accepted) in [(mini.base.at, true), (mini.base.at - Duration::SECOND, false)] {
        for part in 0..3 {
            let mut root = mini.trusted_root();
            let window = match part {
                0 => &mut root.certificate_authorities[0].window,
                1 => &mut root.ctlogs[0].window,
                _ => &mut root.tlogs[0].window,
            };
            *window = Window::between(start, end);
            let judged = judge(&keyless_by(&root.json().unwrap()), &bundle);
            assert_eq!(judged.is_ok(), accepted, "part {part} until {end}: {:?}", judged.err());
        }
    }
}
