use rcgen::{CertificateParams, ExtendedKeyUsagePurpose as Purpose, IsCa, KeyPair, KeyUsagePurpose as Usage};
use time::{Duration, macros::datetime};

use super::*;
use crate::{
    crypto::{
        chain::Bound,
        testing::{ca, chain_with, extension, key},
    },
    verifier::cosign::{
        certificate::testing::{authority, during, intermediate, issue, made, parse, signer},
        root::Window,
    },
};

const NOW: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);
const TICK: Duration = Duration::NANOSECOND;

fn keyless(leaf: &Certificate, authorities: &[Authority], times: &[OffsetDateTime]) -> Result<Path, ChainFault> {
    build_path(leaf, Intermediates::FromAuthority, authorities, times)
}

fn good() -> Vec<Certificate> {
    issue(&[signer(), intermediate("intermediate"), ca("root", None)])
}

// R66
#[test]
fn a_path_leads_from_the_leaf_to_the_anchor() {
    let all = good();
    let path = keyless(&all[0], &[authority(&all[1..])], &[NOW]).unwrap();
    assert_eq!(path.certificates, all);
    assert_eq!(path.issuer_spki, all[1].public_key().spki());
    assert_eq!(path.authority, "https://fulcio.acorn.test");
    assert_eq!(path.anchor_spki_sha256, all[2].spki_sha256());

    let short = issue(&[signer(), ca("root", Some(0))]);
    let path = keyless(&short[0], &[authority(&short[1..])], &[NOW]).unwrap();
    assert_eq!((path.certificates, path.issuer_spki.as_slice()), (short.clone(), short[1].public_key().spki()));

    let long = issue(&[signer(), intermediate("ca 1"), ca("ca 2", Some(1)), ca("root", Some(2))]);
    let shuffled = [long[2].clone(), long[1].clone(), long[3].clone()];
    assert_eq!(keyless(&long[0], &[authority(&shuffled)], &[NOW]).unwrap().certificates, long, "in any order");

    let second = [authority(&short[1..]), authority(&all[1..])];
    assert_eq!(keyless(&all[0], &second, &[NOW]).unwrap().certificates, all, "any authority");

    let (leaf, chain) = (made("leaf").remove(0), made("authority"));
    let path = keyless(&leaf, &[authority(&chain)], &[leaf.not_before(), leaf.not_after()]).unwrap();
    assert_eq!((path.certificates.len(), path.issuer_spki.as_slice()), (3, chain[0].public_key().spki()));
}

// R66; COS-15 class: a name is not a key
#[test]
fn what_no_authority_issued_is_untrusted() {
    let (all, same_names) = (good(), good());
    let alone = issue(&[signer()]);
    let named = |params: CertificateParams| {
        let mut params = params;
        params.distinguished_name = intermediate("intermediate").distinguished_name;
        params
    };
    let self_signed = issue(&[named(signer())]);
    let crossed = [[all[1].clone(), same_names[2].clone()], [same_names[1].clone(), all[2].clone()]];
    for (row, leaf, authorities) in [
        ("R66 no authority", &all[0], vec![]),
        ("R66 an authority without certificates", &all[0], vec![authority(&[])]),
        ("R66 other names", &all[0], vec![authority(&issue(&[ca("other root", None)]))]),
        ("R66 the same names", &all[0], vec![authority(&same_names[1..])]),
        ("R66 the intermediate is missing", &all[0], vec![authority(&all[2..])]),
        ("R66 the anchor is another's", &all[0], vec![authority(&[all[1].clone(), same_names[2].clone()])]),
        ("R66 self-signed", &alone[0], vec![authority(&all[1..])]),
        ("R66 self-signed in the authority's name", &self_signed[0], vec![authority(&all[1..])]),
        ("R99 intermediate of one, anchor of another", &all[0], crossed.map(|chain| authority(&chain)).to_vec()),
    ] {
        let fault = keyless(leaf, &authorities, &[NOW]).expect_err(row);
        assert!(matches!(fault, ChainFault::Untrusted { .. }), "{row}: {fault}");
        assert_eq!(fault.code(), Code::Untrusted);
    }
}

// R66
#[test]
fn an_issuer_must_be_a_ca_for_code_signing() {
    let with = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = intermediate("intermediate");
        change(&mut params);
        let all = issue(&[signer(), params, ca("root", None)]);
        keyless(&all[0], &[authority(&all[1..])], &[NOW])
    };
    assert!(with(&|params| params.extended_key_usages.clear()).is_ok(), "no EKU");
    assert!(with(&|params| params.extended_key_usages = vec![Purpose::Any]).is_ok(), "any EKU");
    assert!(with(&|params| params.custom_extensions = vec![extension(&[1, 2, 3, 4], &[5, 0], false)]).is_ok());
    for (row, found, expected) in [
        ("cA false", with(&|params| params.is_ca = IsCa::ExplicitNoCa), "is no CA"),
        ("no basicConstraints", with(&|params| params.is_ca = IsCa::NoCa), "is no CA"),
        ("no keyUsage", with(&|params| params.key_usages.clear()), "no keyUsage keyCertSign"),
        ("wrong keyUsage", with(&|params| params.key_usages = vec![Usage::CrlSign]), "no keyUsage keyCertSign"),
        ("EKU", with(&|params| params.extended_key_usages = vec![Purpose::ServerAuth]), "without codeSigning"),
        (
            "critical",
            with(&|params| params.custom_extensions = vec![extension(&[1, 2, 3, 4], &[5, 0], true)]),
            "critical extension 1.2.3.4,",
        ),
        (
            "name constraints",
            with(&|params| params.custom_extensions = vec![extension(&[2, 5, 29, 30], &[0x30, 0], false)]),
            "nameConstraints",
        ),
    ] {
        let fault = found.expect_err(row);
        assert!(matches!(fault, ChainFault::Ca { .. }), "{row}: {fault}");
        assert_eq!(fault.code(), Code::CertificateInvalid, "{row}");
        let text = fault.to_string();
        assert!(text.starts_with("\"CN=intermediate,") && text.contains(expected), "{row}: {text}");
    }
    for (lengths, fits) in [
        ([Some(0), Some(1), Some(2)], true),
        ([Some(0), Some(1), None], true),
        ([Some(0), Some(0), None], false),
        ([None, None, Some(1)], false),
    ] {
        let [first, second, root] = lengths;
        let all = issue(&[signer(), ca("ca 1", first), ca("ca 2", second), ca("root", root)]);
        let found = keyless(&all[0], &[authority(&all[1..])], &[NOW]);
        assert_eq!(found.is_ok(), fits, "{lengths:?}");
        let pathlen = |fault| matches!(fault, ChainFault::Ca { fault: CaFault::PathLength { .. }, .. });
        assert!(found.err().is_none_or(pathlen), "{lengths:?}");
    }
}

/// Leaf 12:00 to 12:10; intermediate until 12:20; root until 12:30; authority from 11:50.
fn lapsing() -> (Vec<Certificate>, Vec<Authority>) {
    let minutes = Duration::minutes;
    let all = issue(&[
        during(signer(), NOW, NOW + minutes(10)),
        during(intermediate("intermediate"), NOW - minutes(5), NOW + minutes(20)),
        during(ca("root", None), NOW - minutes(8), NOW + minutes(30)),
    ]);
    let mut trusted = authority(&all[1..]);
    trusted.window = Window { start: NOW - minutes(10), end: Some(NOW + minutes(40)) };
    (all, vec![trusted])
}

// R67, R68
#[test]
fn a_leaf_holds_from_its_first_to_its_last_moment() {
    let (all, authorities) = lapsing();
    let outside = |times: &[OffsetDateTime]| match keyless(&all[0], &authorities, times) {
        Ok(_) => None,
        Err(ChainFault::Validity(outside)) => Some((outside.at.position, outside.bound)),
        Err(fault) => panic!("{fault}"),
    };
    let (first, last) = (NOW, NOW + Duration::minutes(10));
    assert_eq!(outside(&[first]), None, "R68 first");
    assert_eq!(outside(&[last]), None, "R68 last");
    assert_eq!(outside(&[first - TICK]), Some((0, Bound::NotBefore)), "R68 before");
    assert_eq!(outside(&[last + TICK]), Some((0, Bound::NotAfter)), "R68 after");
    assert_eq!(outside(&[first, last]), None, "R70 all fit");
    assert_eq!(outside(&[first, last + TICK]), Some((0, Bound::NotAfter)), "R70, COS-14 the second does not");
    assert_eq!(outside(&[first - TICK, last]), Some((0, Bound::NotBefore)), "R70 the first does not");
    let fault = keyless(&all[0], &authorities, &[last + TICK]).unwrap_err();
    assert_eq!(fault.code(), Code::CertificateExpired);
}

// R71
#[test]
fn without_a_time_nothing_holds() {
    let all = good();
    let fault = keyless(&all[0], &[authority(&all[1..])], &[]).unwrap_err();
    assert_eq!((fault.code(), fault), (Code::TimestampMissing, ChainFault::NoTime));
}

// R69; CVE-2026-24122
#[test]
fn every_certificate_of_the_path_holds_at_every_time() {
    let minutes = Duration::minutes;
    let long = || during(signer(), NOW - minutes(60), NOW + minutes(60));
    let middle = |from, until| during(intermediate("intermediate"), NOW + from, NOW + until);
    let root = |from, until| during(ca("root", None), NOW + from, NOW + until);
    let wide = (minutes(-90), minutes(90));
    for (row, lapsing, at, position) in [
        ("R69 intermediate", [(minutes(-5), minutes(5)), wide], minutes(5), 1),
        ("R69 root", [wide, (minutes(-5), minutes(5))], minutes(5), 2),
    ] {
        let [of_middle, of_root] = lapsing;
        let all = issue(&[long(), middle(of_middle.0, of_middle.1), root(of_root.0, of_root.1)]);
        let authorities = [authority(&all[1..])];
        let found = |times: &[OffsetDateTime]| match keyless(&all[0], &authorities, times) {
            Ok(_) => None,
            Err(ChainFault::Validity(outside)) => Some((outside.at.position, outside.bound)),
            Err(fault) => panic!("{row}: {fault}"),
        };
        assert_eq!(found(&[NOW - at, NOW + at]), None, "{row}: both ends");
        assert_eq!(found(&[NOW + at + TICK]), Some((position, Bound::NotAfter)), "{row}: expired");
        assert_eq!(found(&[NOW - at - TICK]), Some((position, Bound::NotBefore)), "{row}: not yet valid");
        assert_eq!(found(&[NOW, NOW + at + TICK]), Some((position, Bound::NotAfter)), "{row}: at one of two times");
    }
}

// R69
#[test]
fn an_authority_holds_while_it_is_in_use() {
    let all = good();
    let mut trusted = authority(&all[1..]);
    trusted.window = Window { start: NOW, end: Some(NOW + Duration::HOUR) };
    let at = |times: &[OffsetDateTime]| keyless(&all[0], std::slice::from_ref(&trusted), times);
    assert!(at(&[NOW, NOW + Duration::HOUR]).is_ok(), "both ends");
    for times in [&[NOW - TICK][..], &[NOW + Duration::HOUR + TICK], &[NOW, NOW - TICK]] {
        let fault = at(times).unwrap_err();
        assert!(matches!(fault, ChainFault::Retired { .. }), "{fault}");
        assert_eq!(fault.code(), Code::Untrusted);
    }
    let mut renewed = trusted.clone();
    renewed.window = Window { start: NOW + Duration::HOUR, end: None };
    let both = [trusted, renewed];
    assert!(keyless(&all[0], &both, &[NOW + Duration::DAY]).is_ok(), "the same authority, in use again");
    let across = [NOW, NOW + Duration::DAY];
    assert!(keyless(&all[0], &both, &across).is_err(), "R70: no window has both times");
}

// R25
#[test]
fn certificates_of_the_item_build_paths_for_own_authorities_alone() {
    let all = good();
    let root = [authority(&all[2..])];
    let with = |extra: &[Certificate]| build_path(&all[0], Intermediates::AlsoFromItem(extra), &root, &[NOW]);
    assert_eq!(with(&all[1..2]).unwrap().certificates, all, "the gap is filled");
    assert_eq!(with(&all[1..]).unwrap().certificates, all, "the root may come along");
    assert!(matches!(keyless(&all[0], &root, &[NOW]), Err(ChainFault::Untrusted { .. })), "and not in keyless");

    let stranger = good();
    let own_root = build_path(&stranger[0], Intermediates::AlsoFromItem(&stranger[1..]), &root, &[NOW]);
    assert!(matches!(own_root, Err(ChainFault::Untrusted { .. })), "an item's own root is trusted by nobody");

    let many = vec![all[1].clone(); 10];
    assert!(with(&many).is_ok(), "R25 at the limit");
    let fault = with(&vec![all[1].clone(); 11]).unwrap_err();
    assert_eq!((fault.code(), fault), (Code::LimitExceeded, ChainFault::TooMany { count: 11, limit: 10 }));

    let expired = during(intermediate("intermediate"), NOW - Duration::HOUR, NOW - TICK - Duration::MINUTE);
    let all = issue(&[signer(), expired, ca("root", None)]);
    let found = build_path(&all[0], Intermediates::AlsoFromItem(&all[1..2]), &[authority(&all[2..])], &[NOW]);
    assert!(matches!(found, Err(ChainFault::Validity(_))), "R69 holds for them too");
}

/// A leaf and CAs, each with its issuer's key given.
fn reissued(first: &CertificateParams, key: &KeyPair, root: &CertificateParams, root_key: &KeyPair) -> Certificate {
    let issuer = rcgen::Issuer::from_params(root, root_key);
    Certificate::parse(first.signed_by(key, &issuer).unwrap().der()).unwrap()
}

#[test]
fn a_renewed_certificate_of_the_same_key_is_found() {
    let [leaf_key, middle_key, root_key] = [key(), key(), key()];
    let (middle, root) = (intermediate("intermediate"), ca("root", None));
    let issued = parse(&chain_with(&[signer(), middle, root.clone()], vec![leaf_key, middle_key, root_key]).der);
    // The same chain again, from keys that are kept.
    let [leaf_key, middle_key, root_key] = [key(), key(), key()];
    let old = during(intermediate("intermediate"), NOW - Duration::DAY, NOW - Duration::HOUR);
    let anchor = Certificate::parse(root.self_signed(&root_key).unwrap().der()).unwrap();
    let expired = reissued(&old, &middle_key, &root, &root_key);
    let renewed = reissued(&intermediate("intermediate"), &middle_key, &root, &root_key);
    let leaf = reissued(&signer(), &leaf_key, &intermediate("intermediate"), &middle_key);
    for pool in [[expired.clone(), renewed.clone()], [renewed.clone(), expired.clone()]] {
        let chain = [&pool[..], std::slice::from_ref(&anchor)].concat();
        let path = keyless(&leaf, &[authority(&chain)], &[NOW]).unwrap();
        assert_eq!(path.certificates[1], renewed);
    }
    let only_old = keyless(&leaf, &[authority(&[expired, anchor])], &[NOW]);
    assert!(matches!(only_old, Err(ChainFault::Validity(_))));
    assert!(keyless(&issued[0], &[authority(&issued[1..])], &[NOW]).is_ok());
}

// CVE-2026-32280 class; R25
#[test]
fn certificates_of_one_name_and_key_cannot_make_endless_paths() {
    let [leaf_key, middle_key] = [key(), key()];
    let middle = ca("intermediate", None);
    let cross: Vec<_> = (0..10)
        .map(|days| during(middle.clone(), NOW - Duration::DAY, NOW + Duration::days(days + 1)))
        .map(|params| reissued(&params, &middle_key, &middle, &middle_key))
        .collect();
    let leaf = reissued(&signer(), &leaf_key, &middle, &middle_key);
    let other = issue(&[ca("intermediate", None)]);
    let found = build_path(&leaf, Intermediates::AlsoFromItem(&cross), &[authority(&other)], &[NOW]);
    assert_eq!(found, Err(ChainFault::TooMuchWork { limit: 100 }));
    assert_eq!(found.unwrap_err().code(), Code::LimitExceeded);
}

#[test]
fn the_fault_of_the_path_that_came_furthest_is_told() {
    let (all, mut authorities) = lapsing();
    authorities.insert(0, authority(&issue(&[ca("other root", None)])));
    authorities.push(authority(&good()[1..]));
    let fault = keyless(&all[0], &authorities, &[NOW - TICK]).unwrap_err();
    assert!(matches!(fault, ChainFault::Validity(_)), "{fault}");
    let untrusted = keyless(&all[0], &authorities[..1], &[NOW]).unwrap_err();
    let said = "no trusted authority issued the certificate, whose issuer is \"CN=intermediate,O=Bench,";
    assert!(untrusted.to_string().starts_with(said), "{untrusted}");
}
