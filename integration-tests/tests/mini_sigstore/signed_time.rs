//! Rekor v2, and the timestamps that go with it.

use integration_tests::sigstore::{
    Care, Mini,
    bundle::{Bundle, Content, Version},
    envelope::{Envelope, cosign_statement},
    keys::Hash,
    rekor2::witness,
    trust::Window,
    tsa::{Certificates, Plan, Token, Tsa},
};
use time::Duration;

use super::{MANIFEST, cosign_bundle, digest, judge, judge_by, mini, refused, signer};

/// A bundle of today: Rekor v2 and a timestamp.
fn modern(mini: &Mini, change: impl FnOnce(&mut Token)) -> Bundle {
    let signer = signer(mini);
    let envelope = Envelope::sign_statement(&signer, &cosign_statement(&digest())).unwrap();
    let entry = mini.rekor2.log_signature(&signer, &envelope.pae(), &envelope.signatures[0]);
    let mut bundle = Bundle::new(&signer, Version::V03New, Content::Envelope(envelope));
    bundle.entries = vec![entry];
    let mut token = Token::new(bundle.signature(), mini.base.at);
    change(&mut token);
    bundle.timestamps = vec![mini.tsa.stamp(&token)];
    bundle
}

#[test]
fn bundle_of_rekor_v2_with_a_timestamp_is_accepted() {
    let mini = mini();
    let found = judge(&mini, &modern(&mini, |_| ())).unwrap();
    assert_eq!((found.verified_timestamps().len(), found.integrated_time()), (1, None));

    let signer = signer(&mini);
    let mut message = Bundle::sign_message(&signer, Version::V03New, MANIFEST).unwrap();
    message.entries = vec![mini.rekor2.log_signature(&signer, MANIFEST, message.signature())];
    message.timestamps = vec![mini.timestamp(message.signature())];
    judge(&mini, &message).unwrap();

    let mut cosigned = modern(&mini, |_| ());
    let proof = cosigned.entries[0].proof.as_mut().unwrap();
    let mut checkpoint = mini.rekor2.checkpoint(proof.size, proof.root);
    witness(&mut checkpoint, "witness.example.com", "mini", 1_700_000_000);
    checkpoint.signatures.reverse();
    proof.checkpoint = Some(checkpoint.note());
    judge(&mini, &cosigned).unwrap();
}

#[test]
fn promise_and_timestamp_go_together() {
    let mini = mini();
    let mut bundle = cosign_bundle(&mini, &signer(&mini));
    bundle.timestamps = vec![mini.timestamp(bundle.signature())];
    assert_eq!(judge(&mini, &bundle).unwrap().verified_timestamps().len(), 2);
}

#[test]
fn timestamps_of_each_form_are_accepted() {
    type Change = fn(&mut Token);
    let mini = mini();
    let rows: [(&str, Change); 4] = [
        ("SHA-384", |token| token.imprint = Hash::Sha384),
        ("SHA-512", |token| token.imprint = Hash::Sha512),
        ("without certificates", |token| token.certificates = Certificates::Absent),
        ("granted with changes", |token| token.status = 1),
    ];
    for (name, change) in rows {
        judge(&mini, &modern(&mini, change)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    // RFC 3161 §2.4.2 allows it; that verifier does not read it.
    refused(&mini, [("a fraction", modern(&mini, |token| token.fraction = Some("25".to_owned())), "GeneralizedTime")]);
}

#[test]
fn timestamp_with_one_thing_wrong_is_refused() {
    let mini = mini();
    let without = {
        let mut bundle = modern(&mini, |_| ());
        bundle.timestamps.clear();
        bundle
    };
    refused(
        &mini,
        [
            ("none", without, "requires RFC3161"),
            ("of another signature", modern(&mini, |token| token.message = b"other".to_vec()), "message hash mismatch"),
            ("signature flipped", modern(&mini, |token| token.care = Care::Tampered), "signature invalid"),
            (
                "another digest",
                modern(&mini, |token| token.message_digest = Some(vec![0; 32])),
                "message hash mismatch",
            ),
            ("rejected", modern(&mini, |token| token.status = 2), "not granted"),
            ("before the certificate", modern(&mini, |token| token.at -= Duration::MINUTE), "CertNotValidYet"),
            ("after the certificate", modern(&mini, |token| token.at += Duration::minutes(11)), "CertExpired"),
        ],
    );
}

#[test]
fn timestamp_of_a_stranger_or_outside_a_window_is_refused() {
    let mini = mini();
    let mut stranger = mini.clone();
    stranger.tsa = Tsa::new("stranger", mini.base.at);
    refused(&mini, [("namesake", modern(&stranger, |_| ()), "any trusted TSA")]);

    let mut late = mini.clone();
    let mut plan = Plan::new("mini", "mini tsa", mini.base.at);
    plan.validity.1 = mini.base.at - Duration::MINUTE;
    late.tsa = Tsa::of("mini", &plan);
    refused(&late, [("after the signer's certificate", modern(&late, |_| ()), "CertExpired")]);

    let bundle = modern(&mini, |_| ());
    let mut root = mini.trusted_root();
    root.timestamp_authorities[0].window = Window::between(plan.validity.0, mini.base.at - Duration::MINUTE);
    assert!(judge_by(&root.json().unwrap().to_string(), &bundle).is_err());
}
