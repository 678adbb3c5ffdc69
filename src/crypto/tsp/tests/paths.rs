//! Paths: what their certificates may do, and when.

use rcgen::{BasicConstraints, IsCa, KeyUsagePurpose as Usage};
use time::OffsetDateTime;

use super::*;

/// By the root of `issued`, for a good token of its signer.
fn by(issued: &Chain, profile: Profile) -> String {
    said(verify_by(&Draft::of(MESSAGE, issued).token(&issued.keys[0]), issued, profile))
}

fn signer_with(change: impl FnOnce(&mut CertificateParams)) -> Chain {
    let mut params = signer("tsa");
    change(&mut params);
    chain(&[params, ca("tsa root", None)])
}

fn issuer_with(change: impl FnOnce(&mut CertificateParams)) -> Chain {
    let mut params = ca("tsa intermediate", None);
    change(&mut params);
    chain(&[signer("tsa"), params, ca("tsa root", None)])
}

const KEY_USAGE: [u64; 4] = [2, 5, 29, 15];
const NAME_CONSTRAINTS: [u64; 4] = [2, 5, 29, 30];

// Item 84; R90, REV-13; RFC 3161 §2.3. `both`: what the two profiles say, Notary's first
#[test]
fn a_signer_may_sign_timestamps_and_nothing_else() {
    let purposes_of = |list: &[&str], critical: bool| {
        let extension = purposes(list, critical);
        signer_with(|params| params.custom_extensions = vec![extension])
    };
    let usages = |list: &[Usage]| {
        let list = list.to_vec();
        signer_with(|params| params.key_usages = list)
    };
    let ok = "accepted";
    for (row, issued, both) in [
        ("no extKeyUsage", signer_with(|params| params.custom_extensions.clear()), ["no extKeyUsage"; 2]),
        ("not critical", purposes_of(&[TIME_STAMPING], false), ["that is not critical"; 2]),
        ("one more", purposes_of(&[TIME_STAMPING, "1.3.6.1.5.5.7.3.3"], true), ["timeStamping alone"; 2]),
        ("one more, unknown", purposes_of(&[TIME_STAMPING, "1.3.6.1.4.1.57264.1.8"], true), ["timeStamping alone"; 2]),
        ("twice", purposes_of(&[TIME_STAMPING, TIME_STAMPING], true), ["timeStamping alone"; 2]),
        ("any", purposes_of(&["2.5.29.37.0"], true), ["timeStamping alone"; 2]),
        ("code signing", purposes_of(&["1.3.6.1.5.5.7.3.3"], true), ["timeStamping alone"; 2]),
        ("no keyUsage", usages(&[]), ["has no keyUsage", ok]),
        ("contentCommitment", usages(&[Usage::ContentCommitment]), ["no keyUsage digitalSignature", ok]),
        ("both", usages(&[Usage::DigitalSignature, Usage::ContentCommitment]), [ok; 2]),
        ("only cRLSign", usages(&[Usage::CrlSign]), ["digitalSignature"; 2]),
        ("keyCertSign", usages(&[Usage::DigitalSignature, Usage::KeyCertSign]), ["has keyUsage keyCertSign"; 2]),
        ("keyAgreement", usages(&[Usage::DigitalSignature, Usage::KeyAgreement]), ["keyUsage keyAgreement"; 2]),
        (
            "keyUsage not critical",
            signer_with(|params| {
                params.key_usages.clear();
                params.custom_extensions.push(extension(&KEY_USAGE, &[3, 2, 7, 0x80], false));
            }),
            [ok; 2],
        ),
        ("a CA", signer_with(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), ["is a CA"; 2]),
        ("no basicConstraints", signer_with(|params| params.is_ca = IsCa::NoCa), [ok; 2]),
        (
            "X-13 unknown critical extension",
            signer_with(|params| params.custom_extensions.push(extension(&[1, 2, 3, 4], &[5, 0], true))),
            [ok, "critical extension 1.2.3.4"],
        ),
        (
            "unknown extension",
            signer_with(|params| params.custom_extensions.push(extension(&[1, 2, 3, 4], &[5, 0], false))),
            [ok; 2],
        ),
    ] {
        for (profile, part) in [Profile::Notary, Profile::Sigstore].into_iter().zip(both) {
            let said = by(&issued, profile);
            assert!(said.contains(part), "{row} ({profile:?}): {said}");
        }
    }
}

// R90
#[test]
fn issuers_are_authorities_that_may_issue_signers_of_timestamps() {
    let ok = "accepted";
    let constrained = |length| IsCa::Ca(BasicConstraints::Constrained(length));
    let names = tlv(0x30, &tlv(0xa0, &tlv(0x30, &tlv(0x82, b"example.com"))));
    let twice = |length| chain(&[signer("tsa"), ca("low", None), ca("high", Some(length)), ca("tsa root", None)]);
    let top = |length| chain(&[signer("tsa"), ca("tsa intermediate", None), ca("tsa root", Some(length))]);
    for (row, issued, both) in [
        ("no CA", issuer_with(|params| params.is_ca = IsCa::ExplicitNoCa), ["is no CA"; 2]),
        ("no basicConstraints", issuer_with(|params| params.is_ca = IsCa::NoCa), ["is no CA"; 2]),
        ("path length 0 of the last", issuer_with(|params| params.is_ca = constrained(0)), [ok; 2]),
        ("path length 0 above another", twice(0), ["allows 0 intermediate"; 2]),
        ("path length 1 above another", twice(1), [ok; 2]),
        ("path length of the root", top(0), ["allows 0 intermediate"; 2]),
        ("path length of the root fits", top(1), [ok; 2]),
        ("no keyUsage", issuer_with(|params| params.key_usages.clear()), ["has no keyUsage", ok]),
        ("no keyCertSign", issuer_with(|params| params.key_usages = vec![Usage::CrlSign]), ["keyCertSign"; 2]),
        (
            "confined to timestamps",
            issuer_with(|params| params.custom_extensions.push(purposes(&[TIME_STAMPING], true))),
            [ok; 2],
        ),
        (
            "confined to any purpose",
            issuer_with(|params| params.custom_extensions.push(purposes(&["2.5.29.37.0"], false))),
            [ok; 2],
        ),
        (
            "confined to code signing",
            issuer_with(|params| params.custom_extensions.push(purposes(&["1.3.6.1.5.5.7.3.3"], false))),
            ["confined to other purposes"; 2],
        ),
        (
            "X-13 name constraints",
            issuer_with(|params| params.custom_extensions.push(extension(&NAME_CONSTRAINTS, &names, true))),
            [ok, "critical extension 2.5.29.30"],
        ),
    ] {
        for (profile, part) in [Profile::Notary, Profile::Sigstore].into_iter().zip(both) {
            let said = by(&issued, profile);
            assert!(said.contains(part), "{row} ({profile:?}): {said}");
        }
    }
}

/// A chain in which the certificate at `position` is valid from `from` until `until`.
fn valid(position: usize, from: OffsetDateTime, until: OffsetDateTime) -> Chain {
    let mut params = [signer("tsa"), ca("tsa intermediate", None), ca("tsa root", None)];
    (params[position].not_before, params[position].not_after) = (from, until);
    chain(&params)
}

// R90, R91, item 87: the time of a token is the one that counts, both ends included
#[test]
fn every_certificate_is_valid_at_the_token_s_time() {
    let (early, late) = (datetime!(2025-06-01 0:00 UTC), datetime!(2025-06-30 23:59:59 UTC));
    for position in 0..3 {
        let issued = valid(position, early, late);
        for (time, accepted) in [
            ("20250531235959Z", false),
            ("20250531235959.999999999Z", false),
            ("20250601000000Z", true),
            ("20250615120000.5Z", true),
            ("20250630235959Z", true),
            ("20250630235959.000000001Z", false),
            ("20250701000000Z", false),
        ] {
            let draft = Draft::of(MESSAGE, &issued).with(|it| time.clone_into(&mut it.time));
            let result = verify_by(&draft.token(&issued.keys[0]), &issued, Profile::Sigstore);
            assert_eq!(result.is_ok(), accepted, "certificate {position} at {time}: {}", said(result));
        }
    }
    let issued = valid(0, early, late);
    let signing_time = |time: &[u8]| attribute("1.2.840.113549.1.9.5", &[tlv(0x17, time)]);
    for (stated, accepted) in [(b"250630235959Z", true), (b"250701000000Z", false)] {
        let draft = Draft::of(MESSAGE, &issued).with(|it| {
            it.time = "20250615120000Z".to_owned();
            it.attributes.push(signing_time(stated));
        });
        let result = verify_by(&draft.token(&issued.keys[0]), &issued, Profile::Notary);
        assert_eq!(result.is_ok(), accepted, "signed at {stated:?}: {}", said(result));
    }
}

// Item 85; R90: trust is the anchors', whatever a token brings
#[test]
fn a_path_ends_at_an_anchor_or_nowhere() {
    let issued = authority();
    let known = certificates(&issued);
    let whole = Draft::of(MESSAGE, &issued).with(|it| it.certificates = issued.der.concat());
    let timestamp = Timestamp::from_token(&whole.token(&issued.keys[0])).unwrap();
    let by = |anchors: &[Certificate]| {
        let trust = Trust { anchors, known: &[], embedded: Embedded::Use, profile: Profile::Sigstore };
        timestamp.verify(MESSAGE, &trust)
    };
    assert_eq!(by(&known[2..]).unwrap().chain().len(), 3);
    assert_eq!(by(&known[1..2]).unwrap().chain().len(), 2, "an intermediate may be an anchor");
    assert!(matches!(by(&known[..1]), Err(TspError::NoPath { .. })), "a signer may not");
    assert!(matches!(by(&[]), Err(TspError::NoPath { .. })), "no anchor");
    let other = certificates(&authority());
    assert!(matches!(by(&other[2..]), Err(TspError::NoPath { .. })), "X-11 one of the same name");
}

// paths of more certificates than a chain may have
#[test]
fn a_path_has_at_most_ten_certificates() {
    for (length, accepted) in [(2, true), (10, true), (11, false)] {
        let mut params = vec![signer("tsa")];
        params.extend((1..length).map(|at| ca(&format!("ca {at}"), None)));
        let issued = chain(&params);
        let said = by(&issued, Profile::Sigstore);
        assert_eq!(said == "accepted", accepted, "{length}: {said}");
    }
}

//
#[test]
fn twins_and_cycles_cost_little_and_change_nothing() {
    let keys: Vec<KeyPair> = (0..10).map(|_| key()).collect();
    let name = || ca("one name", None);
    let issue = |params: CertificateParams, of: usize, by: usize| {
        params.signed_by(&keys[of], &Issuer::from_params(&name(), &keys[by])).unwrap().der().to_vec()
    };
    let root = name().self_signed(&keys[9]).unwrap().der().to_vec();
    let tsa = issue(signer("tsa"), 0, 1);
    let draft = |bag: &[Vec<u8>]| {
        let chain = Chain { der: vec![tsa.clone(), root.clone()], keys: Vec::new() };
        Draft::of(MESSAGE, &chain).with(|it| it.certificates = bag.concat())
    };
    let by = |bag: &[Vec<u8>]| {
        let anchors = [Certificate::parse(&root).unwrap()];
        let trust = Trust { anchors: &anchors, known: &[], embedded: Embedded::Use, profile: Profile::Sigstore };
        Timestamp::from_token(&draft(bag).token(&keys[0])).unwrap().verify(MESSAGE, &trust)
    };
    let twins = [tsa.clone(), issue(name(), 2, 9), issue(name(), 1, 9), issue(name(), 3, 9)];
    assert_eq!(by(&twins).unwrap().chain().len(), 3, "the right one of one name is found by its signature");
    let cycle = [tsa.clone(), issue(name(), 1, 2), issue(name(), 2, 1)];
    assert!(matches!(by(&cycle), Err(TspError::NoPath { .. })));
    // All of one name and one key, so that each seems to have issued each.
    let same: Vec<Vec<u8>> = (1..10_u8)
        .map(|number| {
            let mut params = name();
            params.serial_number = Some(SerialNumber::from_slice(&[number]));
            issue(params, 1, 1)
        })
        .collect();
    let exhausted = by(&[&[tsa.clone()][..], &same].concat()).unwrap_err();
    assert!(matches!(exhausted, TspError::PathBudget { limit: 64 }), "{exhausted}");
    assert_eq!(exhausted.code(), Code::LimitExceeded);
}

// A second path is tried where the first does not fit
#[test]
fn one_good_path_is_enough() {
    let [tsa_key, middle, root] = [key(), key(), key()];
    let signed = |mut params: CertificateParams, until: OffsetDateTime| {
        params.not_after = until;
        params.signed_by(&middle, &Issuer::from_params(&ca("tsa root", None), &root)).unwrap().der().to_vec()
    };
    let expired = signed(ca("tsa intermediate", None), datetime!(2025-06-01 0:00 UTC));
    let valid = signed(ca("tsa intermediate", None), datetime!(2035-01-01 0:00 UTC));
    let issued =
        chain_with(&[signer("tsa"), ca("tsa intermediate", None), ca("tsa root", None)], vec![tsa_key, middle, root]);
    let by = |bag: &[&Vec<u8>]| {
        let bag = bag.iter().flat_map(|der| der.iter().copied()).collect();
        let draft = Draft::of(MESSAGE, &issued).with(|it| it.certificates = bag);
        said(verify_by(&draft.token(&issued.keys[0]), &issued, Profile::Sigstore))
    };
    assert_eq!(by(&[&issued.der[0], &expired, &valid]), "accepted");
    assert!(by(&[&issued.der[0], &expired]).contains("was valid until"));
}

// Item 84: the Notary Project's key sizes, exactly; by the certificate alone, since nobody can sign with some of these
#[test]
fn a_signer_s_key_has_one_of_the_sizes_of_the_notary_project() {
    let (root, root_key) = (ca("tsa root", None), key());
    let by = Issuer::from_params(&root, &root_key);
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/src/crypto/x509/vectors");
    let of = |name: &str| {
        let pem = std::fs::read(format!("{vectors}/{name}.pem")).unwrap();
        let [known] = <[_; 1]>::try_from(certificates_from_file_bytes(&pem).unwrap()).unwrap();
        let spki = rcgen::SubjectPublicKeyInfo::from_der(known.public_key().spki()).unwrap();
        Certificate::parse(signer("tsa").signed_by(&spki, &by).unwrap().der()).unwrap()
    };
    for (name, is_one) in [
        ("key-rsa-1024", false),
        ("key-rsa-2047", false),
        ("key-rsa-2056", false),
        ("key-rsa-8192", false),
        ("key-rsa-exponent-3", false),
        ("rsa-pkcs1-sha256", true),
        ("ecdsa-p-256-sha256", true),
        ("ecdsa-p-384-sha384", true),
    ] {
        let judged = path::check_signer(&of(name), Profile::Notary);
        let refused = judged.as_ref().is_err_and(|why| why.contains("has a key that must not sign"));
        assert!(if is_one { judged.is_ok() } else { refused }, "{name}: {judged:?}");
    }
}

// Item 84, R56: keys that sign nothing here
#[test]
fn a_signer_has_a_key_that_may_sign() {
    for (algorithm, expected) in
        [(&rcgen::PKCS_ECDSA_P384_SHA384, "accepted"), (&rcgen::PKCS_ED25519, "Ed25519 is no key that may sign")]
    {
        let keys = vec![KeyPair::generate_for(algorithm).unwrap(), key()];
        let issued = chain_with(&[signer("tsa"), ca("tsa root", None)], keys);
        let draft = Draft::of(MESSAGE, &issued).with(|it| {
            it.digest = SHA384;
            it.digest_algorithms = super::algorithm(SHA384);
            it.signature_algorithm = tlv(0x30, &oid(ECDSA_SHA384));
        });
        for profile in [Profile::Notary, Profile::Sigstore] {
            let said = said(verify_by(&draft.token(&issued.keys[0]), &issued, profile));
            assert!(said.contains(expected), "{profile:?}: {said}");
        }
    }
}
