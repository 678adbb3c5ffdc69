//! R14: formats beside each other, by `signatureFormat`.

use integration_tests::sigstore::{envelope::EntryKind, storage::Storage};
use serde_json::json;

use super::{Shop, broken, broken_bundle};

/// What is stored of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    None,
    Good,
    Broken,
}

use Stored::{Broken, Good, None};

// R14
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_signature_of_one_format_hides_no_good_one_of_another() {
    // A: `.sig` tag; D: referrer with the same layers; F: bundle.
    let rows = [
        ((Good, None, None), ["VERIFIED", "VERIFIED", "NO_SIGNATURE"]),
        ((None, Good, None), ["VERIFIED", "VERIFIED", "NO_SIGNATURE"]),
        ((None, None, Good), ["VERIFIED", "NO_SIGNATURE", "VERIFIED"]),
        ((Good, None, Broken), ["VERIFIED", "VERIFIED", "SIG_INVALID"]),
        ((Broken, None, Good), ["VERIFIED", "SIG_INVALID", "VERIFIED"]),
        ((Broken, Good, Broken), ["VERIFIED", "VERIFIED", "SIG_INVALID"]),
        ((Good, Broken, Broken), ["VERIFIED", "VERIFIED", "SIG_INVALID"]),
        ((Broken, Broken, Good), ["VERIFIED", "SIG_INVALID", "VERIFIED"]),
        ((Broken, Broken, Broken), ["SIG_INVALID", "SIG_INVALID", "SIG_INVALID"]),
        ((None, None, None), ["NO_SIGNATURE", "NO_SIGNATURE", "NO_SIGNATURE"]),
    ];
    for ((a, d, f), expected) in rows {
        let mut shop = Shop::open().await;
        let layer = |stored| match stored {
            None => Option::None,
            Good => Some(shop.layer()),
            Broken => Some(broken(shop.layer())),
        };
        if let Some(layer) = layer(a) {
            shop.repository().put_sig_tag(&shop.image, &[layer]);
        }
        if let Some(layer) = layer(d) {
            shop.repository().put_sig_referrer(&shop.image, &[layer]);
        }
        match f {
            None => {}
            Good => drop(shop.repository().put_bundle(&shop.image, &shop.bundle())),
            Broken => drop(shop.repository().put_bundle(&shop.image, &broken_bundle(shop.bundle()))),
        }
        for (format, code) in ["any", "legacy", "bundle"].into_iter().zip(expected) {
            shop.configuration["verifiers"][0]["signatureFormat"] = json!(format);
            assert_eq!(shop.code().await, code, "R14 .sig {a:?}, referrer {d:?}, bundle {f:?}: {format}");
        }
    }
}

// R14 for attestations
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_attestation_of_one_format_hides_no_good_one_of_another() {
    // B: `.att` tag; E: referrer with the same layers; F: bundle.
    let rows = [
        ((Good, None, None), ["VERIFIED", "VERIFIED", "NO_ATTESTATION"]),
        ((None, Good, None), ["VERIFIED", "VERIFIED", "NO_ATTESTATION"]),
        ((None, None, Good), ["VERIFIED", "NO_ATTESTATION", "VERIFIED"]),
        ((Broken, Good, Broken), ["VERIFIED", "VERIFIED", "SIG_INVALID"]),
        ((Good, Broken, None), ["VERIFIED", "VERIFIED", "NO_ATTESTATION"]),
        ((Broken, None, Good), ["VERIFIED", "SIG_INVALID", "VERIFIED"]),
        ((Broken, Broken, Broken), ["SIG_INVALID", "SIG_INVALID", "SIG_INVALID"]),
    ];
    for ((b, e, f), expected) in rows {
        let mut shop = Shop::open().await;
        shop.wants_scans();
        let layer = |stored| {
            let by = if stored == Broken { shop.stranger() } else { shop.signer.clone() };
            (stored != None).then(|| shop.mini.base.attest(&by, &shop.scan(), EntryKind::InToto002).unwrap())
        };
        if let Some(layer) = layer(b) {
            shop.repository().put_att_tag(&shop.image, &[layer]);
        }
        if let Some(layer) = layer(e) {
            shop.repository().put_att_referrer(&shop.image, &[layer]);
        }
        let bundle = shop.attested_bundle(&shop.scan());
        match f {
            None => {}
            Good => drop(shop.repository().put_bundle(&shop.image, &bundle)),
            Broken => drop(shop.repository().put_bundle(&shop.image, &broken_bundle(bundle))),
        }
        for (format, code) in ["any", "legacy", "bundle"].into_iter().zip(expected) {
            shop.configuration["verifiers"][0]["signatureFormat"] = json!(format);
            assert_eq!(shop.code().await, code, "R14 .att {b:?}, referrer {e:?}, bundle {f:?}: {format}");
        }
    }
}
