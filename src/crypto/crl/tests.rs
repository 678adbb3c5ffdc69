use proptest::prelude::*;
use time::{Duration, OffsetDateTime, macros::datetime};

use super::{
    testing::{
        DELTA, Draft, FRESHEST, INVALIDITY_DATE, NUMBER, REASON, SCOPE, entry, invalidity_date as invalid_since,
        number, point_name, points, reason,
    },
    *,
};
use crate::{
    crypto::{
        ocsp::testing::{Authority, NOW, authority, authority_of, delegate, plain_extension},
        testing::{ca, extension, leaf, tlv},
        tsp::testing::{ECDSA_SHA384, oid},
        x509::{DistributionPoint, certificates_from_file_bytes},
    },
    reason::{Class, Code, chain},
};

mod deltas;
mod scopes;

macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!("vectors/", $name)).as_slice()
    };
}

fn one(pem: &[u8]) -> Certificate {
    let [certificate] = <[_; 1]>::try_from(certificates_from_file_bytes(pem).unwrap()).unwrap();
    certificate
}

macro_rules! certificate {
    ($name:literal) => {
        one(include_bytes!(concat!("../ocsp/vectors/", $name)))
    };
}

fn told(error: &CrlError) -> String {
    assert!(error.code() == Code::RevocationUnavailable && error.code().class() == Class::Undecided, "{error}");
    chain(error)
}

/// Whether the list says that the certificate is revoked.
fn is_revoked(listing: Result<Listing, CrlError>) -> Result<bool, String> {
    listing.map(|listing| matches!(listing, Listing::Revoked(_))).map_err(|error| told(&error))
}

fn asked(der: &[u8], question: &Question<'_>, point: Option<&DistributionPoint>) -> Result<bool, String> {
    let verified = Crl::parse(&Bytes::copy_from_slice(der)).and_then(|crl| crl.verify(question.issuer));
    is_revoked(verified.and_then(|crl| crl.lookup(question, point)))
}

fn assert_refused(name: &str, judged: &Result<bool, String>, part: &str) {
    assert!(judged.as_ref().is_err_and(|error| error.contains(part)), "{name}: {judged:?}");
}

// Item 94, REV-10
#[test]
fn lists_of_another_writer_verify() {
    let (root, rsa) = (certificate!("root.pem"), certificate!("rsa.pem"));
    let (leaf, rsa_leaf) = (certificate!("leaf.pem"), certificate!("rsa-leaf.pem"));
    let now = datetime!(2030-01-01 0:00 UTC);
    let of_leaf = Question { certificate: &leaf, issuer: &root, now, signing_time: None };
    let of_rsa_leaf = Question { certificate: &rsa_leaf, issuer: &rsa, ..of_leaf };
    let addresses = leaf.revocation_addresses().unwrap();
    let point = addresses.points.first();
    for (name, der, question, expected) in [
        ("empty-of-leaf", vector!("empty-of-leaf.crl"), &of_leaf, false),
        ("no-entries", vector!("no-entries.crl"), &of_leaf, false),
        ("scoped", vector!("scoped.crl"), &of_leaf, false),
        ("revoked", vector!("revoked.crl"), &of_leaf, true),
        ("hold", vector!("hold.crl"), &of_leaf, true),
        ("invalidity", vector!("invalidity.crl"), &of_leaf, true),
        ("rsa-sha256", vector!("rsa-sha256.crl"), &of_rsa_leaf, true),
        ("rsa-pss", vector!("rsa-pss.crl"), &of_rsa_leaf, true),
    ] {
        assert_eq!(asked(der, question, point), Ok(expected), "{name}");
    }
    assert_refused("rsa-sha1", &asked(vector!("rsa-sha1.crl"), &of_rsa_leaf, None), "uses SHA-1");
    assert_refused("no point", &asked(vector!("scoped.crl"), &of_leaf, None), "another distribution point");
    let other = Question { issuer: &rsa, ..of_leaf };
    assert_refused("another issuer", &asked(vector!("no-entries.crl"), &other, None), "CRL is of");

    let crl = Crl::parse(&Bytes::from_static(vector!("invalidity.crl"))).unwrap().verify(&root).unwrap();
    let date = datetime!(2026-11-01 12:00 UTC);
    let invalid = datetime!(2026-10-01 0:00 UTC);
    let revocation = Revocation { date, reason: Reason::CaCompromise, invalidity_date: Some(invalid) };
    assert_eq!(crl.lookup(&of_leaf, None), Ok(Listing::Revoked(revocation)));
    assert_eq!(crl.base().number().to_string(), "0x0d");
    assert!(crl.next_update().is_some_and(|until| until > now) && crl.base().this_update() < now);
}

// Item 94, REV-07
#[test]
fn only_a_fresh_list_of_the_issuer_counts() {
    let (pki, other) = (authority(), authority());
    let question = pki.question();
    let good = Draft::good(&pki.root);
    let changed =
        |change: &dyn Fn(&mut Draft)| asked(&good.with(|draft| change(draft)).der(&pki.root_key), &question, None);
    assert_eq!(changed(&|_| {}), Ok(false));
    assert_eq!(changed(&|draft| draft.this_update = "20300601110000Z"), Ok(false), "as GeneralizedTime");
    assert_eq!(changed(&|draft| draft.extensions.push(plain_extension("1.2.3.4", false, &[5, 0]))), Ok(false));
    let listed = entry(&pki.leaf, "300501000000Z", &[]);
    assert_eq!(changed(&|draft| draft.entries = vec![listed.clone()]), Ok(true));
    assert_eq!(changed(&|draft| draft.entries = vec![entry(&pki.root, "300501000000Z", &[])]), Ok(false), "another");
    let critical = || plain_extension("1.2.3.4", true, &[5, 0]);
    let with = |extension: Vec<u8>| vec![entry(&pki.root, "300501000000Z", &[extension])];
    for (name, judged, part) in [
        (
            "by another key",
            asked(&good.der(&other.root_key), &question, None),
            "not signed by its issuer: signature (ECDSA",
        ),
        (
            "of another name",
            changed(&|draft| draft.issuer = pki.leaf.subject().der().to_vec()),
            "CRL is of \"CN=signer",
        ),
        ("expired", changed(&|draft| draft.next_update = Some("300601115959Z")), "good until 2030-06-01 11:59:59"),
        ("not yet valid", changed(&|draft| draft.this_update = "300601120001Z"), "after 2030-06-01 12:00"),
        ("no nextUpdate", changed(&|draft| draft.next_update = None), "no nextUpdate"),
        ("no number", changed(&|draft| draft.extensions = vec![plain_extension("1.2.3.4", false, &[])]), "no number"),
        ("no extensions", changed(&|draft| draft.extensions.clear()), "no number"),
        ("version 1", changed(&|draft| draft.version.clear()), "not of version 2"),
        ("version 3", changed(&|draft| draft.version = tlv(2, &[2])), "not of version 2"),
        (
            "two algorithms",
            changed(&|draft| draft.algorithm = tlv(0x30, &oid(ECDSA_SHA384))),
            "two signature algorithms",
        ),
        ("critical", changed(&|draft| draft.extensions.push(critical())), "critical list extension 1.2.3.4"),
        (
            "critical on any entry",
            changed(&|draft| draft.entries = with(critical())),
            "critical entry extension 1.2.3.4",
        ),
        (
            "entry of another authority",
            changed(&|draft| draft.entries = with(plain_extension("2.5.29.29", true, &[0x30, 0]))),
            "other authorities",
        ),
        (
            "reason twice",
            changed(&|draft| draft.entries = vec![entry(&pki.root, "300501000000Z", &[reason(1), reason(6)])]),
            "2.5.29.21 twice",
        ),
        ("no reason", changed(&|draft| draft.entries = with(plain_extension(REASON, false, &[10, 0]))), "malformed"),
        ("no date", changed(&|draft| draft.entries = with(plain_extension(INVALIDITY_DATE, false, &[]))), "malformed"),
        ("number twice", changed(&|draft| draft.extensions.push(number(NUMBER, 10))), "2.5.29.20 twice"),
        ("delta alone", changed(&|draft| draft.extensions.push(number(DELTA, 9))), "is a delta"),
    ] {
        assert_refused(name, &judged, part);
    }
}

// REV-07
#[test]
fn an_issuer_without_crl_sign_signs_no_list() {
    let mut params = ca("root", None);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let pki = authority_of(leaf("signer"), params, &delegate());
    let judged = asked(&Draft::good(&pki.root).der(&pki.root_key), &pki.question(), None);
    assert_refused("keyCertSign only", &judged, "has no keyUsage cRLSign");
}

// Both ends count; D13: what is listed for ever in an expired list
#[test]
fn an_expired_list_still_revokes_and_clears_nobody() {
    let pki = authority();
    let (from, to) = (datetime!(2030-06-01 11:00 UTC), datetime!(2030-06-01 13:00 UTC));
    let judged = |entries: &[Vec<u8>], now: OffsetDateTime| {
        let draft = Draft::good(&pki.root).with(|draft| draft.entries = entries.to_vec());
        asked(&draft.der(&pki.root_key), &Question { now, ..pki.question() }, None)
    };
    let for_ever = [entry(&pki.leaf, "300501000000Z", &[reason(1)])];
    let hold = [entry(&pki.leaf, "300501000000Z", &[reason(6)])];
    let late = to + Duration::NANOSECOND;
    for at in [from, to] {
        assert_eq!((judged(&[], at), judged(&for_ever, at), judged(&hold, at)), (Ok(false), Ok(true), Ok(true)));
    }
    assert_eq!(judged(&for_ever, late), Ok(true));
    assert_refused("empty", &judged(&[], late), "good until 2030-06-01 13:00");
    assert_refused("hold", &judged(&hold, late), "good until 2030-06-01 13:00");
    assert_refused("future", &judged(&for_ever, from - Duration::NANOSECOND), "after 2030-06-01 10:59");
    let endless = Draft::good(&pki.root).with(|draft| {
        draft.entries = for_ever.to_vec();
        draft.next_update = None;
    });
    assert_refused("endless", &asked(&endless.der(&pki.root_key), &pki.question(), None), "no nextUpdate");
}

// Item 95, item 98; REV-10
#[test]
fn entries_for_one_certificate_are_weighed() {
    let pki = authority();
    let at = |date: &str, extensions: &[Vec<u8>]| entry(&pki.leaf, date, extensions);
    let (early, late) = ("300401000000Z", "300501000000Z");
    let judged = |entries: &[Vec<u8>], signing_time: Option<OffsetDateTime>| {
        let draft = Draft::good(&pki.root).with(|draft| draft.entries = entries.to_vec());
        asked(&draft.der(&pki.root_key), &Question { signing_time, ..pki.question() }, None)
    };
    for (name, entries, expected) in [
        ("none given", vec![at(late, &[])], true),
        ("hold", vec![at(late, &[reason(6)])], true),
        ("removed", vec![at(late, &[reason(8)])], false),
        ("held, then removed", vec![at(early, &[reason(6)]), at(late, &[reason(8)])], false),
        ("removed, then held", vec![at(early, &[reason(8)]), at(late, &[reason(6)])], true),
        ("written the other way round", vec![at(late, &[reason(8)]), at(early, &[reason(6)])], false),
        ("at one moment", vec![at(late, &[reason(6)]), at(late, &[reason(8)])], true),
        ("at one moment, the other way round", vec![at(late, &[reason(8)]), at(late, &[reason(6)])], true),
        ("for ever, then removed", vec![at(early, &[reason(1)]), at(late, &[reason(8)])], true),
        ("a reason nobody knows", vec![at(late, &[reason(7)])], true),
    ] {
        assert_eq!(judged(&entries, None), Ok(expected), "{name}");
    }
    let in_doubt = [at(late, &[reason(1), invalid_since("20300415000000Z")])];
    let since = datetime!(2030-04-15 0:00 UTC);
    for (name, signing_time, expected) in [
        ("before", Some(since - Duration::SECOND), false),
        ("at", Some(since), true),
        ("no authentic time", None, true),
    ] {
        assert_eq!(judged(&in_doubt, signing_time), Ok(expected), "{name}");
    }
    let twice = [in_doubt.as_slice(), &[at(late, &[reason(4)])]].concat();
    assert_eq!(judged(&twice, Some(since - Duration::SECOND)), Ok(true), "another entry does not spare it");
}

//
#[test]
fn serial_numbers_are_compared_by_value() {
    let pki = authority();
    let serial = pki.leaf.serial_number();
    let padded = [if serial[0] < 0x80 { &[0][..] } else { &[0xff] }, serial].concat();
    let longer = [&[1], serial].concat();
    for (name, serial, expected) in [("as it is", serial, true), ("padded", &padded, true), ("longer", &longer, false)]
    {
        let listed = tlv(0x30, &[tlv(2, serial), tlv(0x17, b"300501000000Z")].concat());
        let draft = Draft::good(&pki.root).with(|draft| draft.entries = vec![listed]);
        assert_eq!(asked(&draft.der(&pki.root_key), &pki.question(), None), Ok(expected), "{name}");
    }
}

// REV-06, REV-08
#[test]
fn what_is_no_list_says_so() {
    let pki = authority();
    let good = Draft::good(&pki.root).der(&pki.root_key);
    let trailing = [good.as_slice(), &[0]].concat();
    for (name, junk) in [
        ("empty", &b""[..]),
        ("page", b"<html>404</html>"),
        ("PEM", b"-----BEGIN X509 CRL-----"),
        ("trailing byte", &trailing),
        ("cut", &good[..good.len() - 1]),
        ("a certificate", pki.leaf.der()),
    ] {
        let judged = asked(junk, &pki.question(), None);
        assert!(
            judged.as_ref().is_err_and(|error| error.contains("malformed") || error.contains("version")),
            "{name}: {judged:?}"
        );
    }
    let largest = vec![0; MAX_CRL_BYTES + 1];
    assert_refused("33 MiB", &asked(&largest, &pki.question(), None), "33554433 bytes, the limit is 33554432");
}

// REV-08: nothing is kept per entry
#[test]
fn a_list_of_32_mib_is_read_to_its_last_entry() {
    let pki = authority();
    let one = entry(&pki.root, "300501000000Z", &[reason(1)]);
    let count = (MAX_CRL_BYTES - 1024) / one.len();
    let mut entries = one.repeat(count - 1);
    entries.extend(entry(&pki.leaf, "300501000000Z", &[]));
    let draft = Draft::good(&pki.root).with(|draft| draft.entries = vec![entries]);
    let der = Bytes::from(draft.der(&pki.root_key));
    assert!(der.len() > MAX_CRL_BYTES - 4096 && der.len() <= MAX_CRL_BYTES, "{}", der.len());
    let crl = Crl::parse(&der).unwrap();
    let is_shared = der.as_ptr_range().contains(&crl.entries.as_ptr());
    assert!(is_shared);
    assert_eq!(is_revoked(crl.verify(&pki.root).unwrap().lookup(&pki.question(), None)), Ok(true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_return(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(Crl::parse(&bytes.into()).is_err());
    }

    #[test]
    fn mutilated_lists_return(from in 0_usize..350, cut in 0_usize..40, insert in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut bytes = vector!("scoped.crl").to_vec();
        let from = from.min(bytes.len());
        let to = from.saturating_add(cut).min(bytes.len());
        bytes.splice(from..to, insert);
        let (root, leaf) = (certificate!("root.pem"), certificate!("leaf.pem"));
        let question = Question { certificate: &leaf, issuer: &root, now: NOW, signing_time: None };
        let addresses = leaf.revocation_addresses().unwrap();
        let judged = asked(&bytes, &question, addresses.points.first());
        prop_assert!(judged.is_err() || bytes == vector!("scoped.crl"));
    }
}

#[test]
fn a_flipped_bit_leaves_no_statement() {
    let (root, leaf) = (certificate!("root.pem"), certificate!("leaf.pem"));
    let question = Question { certificate: &leaf, issuer: &root, now: NOW, signing_time: None };
    for vector in [vector!("empty-of-leaf.crl"), vector!("hold.crl")] {
        assert!(asked(vector, &question, None).is_ok());
        for at in 0..vector.len() * 8 {
            let mut bytes = vector.to_vec();
            bytes[at / 8] ^= 1 << (at % 8);
            assert!(asked(&bytes, &question, None).is_err(), "byte {}, bit {}", at / 8, at % 8);
        }
    }
}
