//! Rekor v2, signed timestamps.

use countersign::reason::Code::{CertificateExpired, TimestampInvalid, TimestampMissing, TlogInvalid};
use integration_tests::sigstore::{
    Care, Mini,
    bundle::{Bundle, Content, Version},
    certificate::{Criticality, Extension, TIME_STAMPING},
    envelope::{Envelope, cosign_statement},
    keys::Hash,
    tsa::{Certificates, Plan, Token, Tsa},
};
use time::Duration;

use super::{cosign_bundle, digest, judge, keyless, mini, refused, signer};

/// A bundle of today: Rekor v2 and a timestamp.
pub(super) fn modern(mini: &Mini, change: impl FnOnce(&mut Token)) -> Bundle {
    let signer = signer(mini);
    let envelope = Envelope::sign_statement(&signer, &cosign_statement(&digest().to_string())).unwrap();
    let entry = mini.rekor2.log_signature(&signer, &envelope.pae(), &envelope.signatures[0]);
    let mut bundle = Bundle::new(&signer, Version::V03New, Content::Envelope(envelope));
    bundle.entries = vec![entry];
    let mut token = Token::new(bundle.signature(), mini.base.at);
    change(&mut token);
    bundle.timestamps = vec![mini.tsa.stamp(&token)];
    bundle
}

// R90.
#[test]
fn timestamp_of_each_form_is_accepted() {
    type Change = fn(&mut Token);
    let mini = mini();
    let policy = keyless(&mini);
    let rows: [(&str, Change); 6] = [
        ("as they are", |_| ()),
        ("SHA-384", |token| token.imprint = Hash::Sha384),
        ("SHA-512", |token| token.imprint = Hash::Sha512),
        ("without certificates", |token| token.certificates = Certificates::Absent),
        ("granted with changes", |token| token.status = 1),
        ("a fraction", |token| token.fraction = Some("25".to_owned())),
    ];
    for (name, change) in rows {
        judge(&policy, &modern(&mini, change)).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
}

// R70, R71, R87, R90.
#[test]
fn timestamp_with_one_thing_wrong_is_refused() {
    let mini = mini();
    let without = |change: fn(&mut Bundle)| {
        let mut bundle = modern(&mini, |_| ());
        change(&mut bundle);
        bundle
    };
    let mut late = cosign_bundle(&mini, &signer(&mini));
    late.timestamps = vec![mini.tsa.stamp(&Token::new(late.signature(), mini.base.at + Duration::HOUR))];
    refused(
        &keyless(&mini),
        [
            ("R71 none", without(|bundle| bundle.timestamps.clear()), TimestampMissing),
            (
                "R87 a time of the log's",
                without(|bundle| {
                    bundle.timestamps.clear();
                    bundle.entries[0].integrated_time = Some(super::AT.unix_timestamp());
                }),
                TimestampMissing,
            ),
            ("R87 no proof", without(|bundle| bundle.entries[0].proof = None), TlogInvalid),
            ("R90 of another signature", modern(&mini, |token| token.message = b"other".to_vec()), TimestampInvalid),
            ("R90 signature flipped", modern(&mini, |token| token.care = Care::Tampered), TimestampInvalid),
            ("R90 another digest", modern(&mini, |token| token.message_digest = Some(vec![0; 32])), TimestampInvalid),
            ("R90 rejected", modern(&mini, |token| token.status = 2), TimestampInvalid),
            ("R68 before the certificate", modern(&mini, |token| token.at -= Duration::MINUTE), CertificateExpired),
            ("R68 after the certificate", modern(&mini, |token| token.at += Duration::minutes(11)), CertificateExpired),
            (
                "R68 a tenth after the certificate",
                modern(&mini, |token| {
                    token.at += Duration::minutes(10);
                    token.fraction = Some("1".to_owned());
                }),
                CertificateExpired,
            ),
            ("R70 log in, timestamp out", late, CertificateExpired),
        ],
    );
}

// R90, R91.
#[test]
fn authority_with_one_thing_wrong_is_refused() {
    type Change = fn(&mut Plan);
    let good = mini();
    let stamped = |change: Change| {
        let mut mini = good.clone();
        let mut plan = Plan::new("core", "mini tsa", mini.base.at);
        change(&mut plan);
        mini.tsa = Tsa::of("core", &plan);
        let bundle = modern(&mini, |_| ());
        (keyless(&mini), bundle)
    };
    let rows: [(&'static str, Change); 5] = [
        ("no purpose", |plan| drop(plan.extensions.remove(1))),
        ("purpose not critical", |plan| {
            plan.extensions[1] = Extension::extended_key_usage(Criticality::Ordinary, &[TIME_STAMPING]);
        }),
        ("signer over", |plan| plan.validity.1 -= Duration::days(3651)),
        ("signer to come", |plan| plan.validity.0 += Duration::days(366)),
        ("root over", |plan| plan.root_validity.1 -= Duration::days(3651)),
    ];
    for (name, change) in rows {
        let (policy, bundle) = stamped(change);
        refused(&policy, [(name, bundle, TimestampInvalid)]);
    }
    let (policy, bundle) = stamped(|plan| {
        // R91: over by now, and not then.
        plan.validity.1 -= Duration::days(3649);
        plan.root_validity.1 -= Duration::days(3649);
    });
    judge(&policy, &bundle).unwrap();

    // An unknown authority does not count; beside a good log time it does not hurt.
    let mut stranger = good.clone();
    stranger.tsa = Tsa::new("stranger", good.base.at);
    refused(&keyless(&good), [("namesake", modern(&stranger, |_| ()), TimestampMissing)]);
    let mut logged = cosign_bundle(&good, &signer(&good));
    logged.timestamps = vec![stranger.timestamp(logged.signature())];
    judge(&keyless(&good), &logged).unwrap();
}

// R117: a timestamp with any one bit changed. Granted (0) and granted with modifications (1) are both a yes, and nobody signs which.
#[test]
fn timestamp_with_any_one_bit_changed_is_refused() {
    const STATUS: (usize, u8) = (8, 0x01);
    let mini = mini();
    let policy = keyless(&mini);
    let good = modern(&mini, |token| token.certificates = Certificates::Absent);
    let mut passed = Vec::new();
    for index in 0..good.timestamps[0].len() {
        for bit in [0x01, 0x80] {
            let mut bundle = good.clone();
            bundle.timestamps[0][index] ^= bit;
            if judge(&policy, &bundle).is_ok() {
                passed.push((index, bit));
            }
        }
    }
    assert_eq!(passed, [STATUS]);
}
