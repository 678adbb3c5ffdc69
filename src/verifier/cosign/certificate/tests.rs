use proptest::prelude::*;
use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose as Purpose, IsCa, KeyUsagePurpose as Usage};

use super::{
    testing::{ISSUER as ACCOUNTS, alternative_names, email, fulcio, issue, made, signer, signer_with, uri, utf8},
    *,
};
use crate::crypto::testing::{self, chain, extension, tlv};

const WORKFLOW_CLAIMS: [&str; 15] = [
    "githubWorkflowTrigger = push",
    "githubWorkflowSha = abababababababababababababababababababab",
    "githubWorkflowName = release",
    "githubWorkflowRepository = acorn-works/shop",
    "githubWorkflowRef = refs/heads/main",
    "buildSignerUri = https://github.com/acorn-works/shop/.github/workflows/release.yml@refs/heads/main",
    "runnerEnvironment = github-hosted",
    "sourceRepositoryUri = https://github.com/acorn-works/shop",
    "sourceRepositoryDigest = abababababababababababababababababababab",
    "sourceRepositoryRef = refs/heads/main",
    "sourceRepositoryIdentifier = 4242",
    "sourceRepositoryOwnerUri = https://github.com/acorn-works",
    "buildTrigger = push",
    "runInvocationUri = https://github.com/acorn-works/shop/actions/runs/1/attempts/1",
    "sourceRepositoryVisibilityAtSigning = public",
];

type Parsed = Result<SigningCertificate, SigningCertificateError>;

fn parse(params: CertificateParams) -> Parsed {
    SigningCertificate::parse(&chain(&[params, testing::ca("bench root", None)]).der[0])
}

fn said(parsed: Parsed) -> String {
    crate::reason::chain(&parsed.unwrap_err())
}

/// The arcs of [`USERNAME`] as DER.
fn username_oid() -> Vec<u8> {
    tlv(6, USERNAME.as_bytes())
}

fn other_name(oid: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(0xa0, &[oid, &tlv(0xa0, value)].concat())
}

#[test]
fn a_certificate_of_another_writer_names_its_signer() {
    let parsed = SigningCertificate::parse(made("leaf")[0].der()).unwrap();
    assert_eq!(parsed.subject_name(), &SubjectName::Email("release@acorn.test".to_owned()));
    assert_eq!((parsed.subject_name().kind(), parsed.issuer()), ("email", Some(ACCOUNTS)));
    assert!(parsed.claims().is_empty());

    let parsed = SigningCertificate::parse(made("leaf-workflow")[0].der()).unwrap();
    assert_eq!(parsed.subject_name().kind(), "uri");
    assert!(parsed.subject_name().as_str().starts_with("https://github.com/"), "{}", parsed.subject_name());
    let claims: Vec<_> = parsed.claims().iter().map(|(claim, text)| format!("{claim} = {text}")).collect();
    assert_eq!(claims, WORKFLOW_CLAIMS);
}

// R77; COS-27
#[test]
fn one_name_of_three_kinds_is_a_subject() {
    let user = other_name(&username_oid(), &utf8("foo!acorn.test"));
    for (row, name, kind, text) in [
        ("R77 email", email("a@acorn.test"), "email", "a@acorn.test"),
        ("R77 URI", uri("https://acorn.test/a"), "uri", "https://acorn.test/a"),
        ("R77 otherName", user, "otherName", "foo!acorn.test"),
        ("COS-27 an email that says URI", email("https://acorn.test/a"), "email", "https://acorn.test/a"),
        ("non-ASCII user", other_name(&username_oid(), &utf8("jürgen!acorn.test")), "otherName", "jürgen!acorn.test"),
        ("COS-27 2 KiB", uri("a".repeat(2048)), "uri", &"a".repeat(2048)),
    ] {
        for critical in [true, false] {
            let mut names = alternative_names(std::slice::from_ref(&name));
            names.set_criticality(critical);
            let parsed = parse(signer_with(vec![names])).expect(row);
            assert_eq!((parsed.subject_name().kind(), parsed.subject_name().as_str()), (kind, text), "{row}");
        }
    }
    let (as_email, as_uri) = (SubjectName::Email("a".to_owned()), SubjectName::Uri("a".to_owned()));
    assert_ne!(as_email, as_uri, "COS-27 kinds are never confused");
}

// R77; COS-27
#[test]
fn no_other_name_is_a_subject() {
    let good = || email("a@acorn.test");
    let oid = [6, 3, 0x2a, 3, 4];
    for (row, names, expected) in [
        ("R77 none", vec![], "has 0 subject alternative names instead of one"),
        ("R77 two", vec![good(), uri("https://acorn.test/a")], "has 2 subject"),
        ("COS-27 twice the same", vec![good(), good()], "has 2 subject"),
        ("COS-27 beside a DNS name", vec![good(), tlv(0x82, b"acorn.test")], "has 2 subject"),
        ("a DNS name", vec![tlv(0x82, b"acorn.test")], "no email, URI or user name"),
        ("an address", vec![tlv(0x87, &[127, 0, 0, 1])], "no email, URI or user name"),
        ("another otherName", vec![other_name(&oid, &utf8("a"))], "no email, URI or user name"),
        ("a constructed email", vec![tlv(0xa1, &utf8("a@acorn.test"))], "no email, URI or user name"),
        ("an otherName of no text", vec![other_name(&username_oid(), &[5, 0])], "malformed subject alternative name"),
        ("an otherName of two texts", vec![other_name(&username_oid(), &[utf8("a"), utf8("b")].concat())], "malformed"),
        ("an otherName that is not UTF-8", vec![other_name(&username_oid(), &utf8([0xff]))], "malformed"),
        ("a non-ASCII email", vec![email("jürgen@acorn.test")], "malformed"),
        ("COS-27 empty", vec![email("")], "subject alternative name that is empty"),
        ("COS-27 line feed", vec![email("a@acorn.test\nb")], "has control characters"),
        ("COS-27 NUL", vec![uri("https://acorn.test/a\0.evil.test")], "has control characters"),
        ("COS-27 control in an otherName", vec![other_name(&username_oid(), &utf8("a\u{85}"))], "has control"),
        ("COS-27 2 KiB and one", vec![uri("a".repeat(2049))], "is longer than 2 KiB"),
        ("COS-27 60 KiB", vec![uri("a".repeat(60 * 1024))], "is longer than 2 KiB"),
    ] {
        let text = said(parse(signer_with(vec![alternative_names(&names)])));
        assert!(text.contains(expected), "{row}: {text}");
    }
    assert!(said(parse(signer_with(vec![]))).contains("has 0 subject"), "no extension at all");
    let long = chain(&[signer_with(vec![alternative_names(&[uri("a".repeat(65_536))])]), testing::ca("r", None)]);
    assert_eq!(SigningCertificate::parse(&long.der[0]).unwrap_err().code(), Code::LimitExceeded, "COS-27 64 KiB");
    let trailing = extension(&[2, 5, 29, 17], &[tlv(0x30, &good()), vec![5, 0]].concat(), true);
    assert!(said(parse(signer_with(vec![trailing]))).contains("malformed"), "trailing bytes");
}

// R66
#[test]
fn the_profile_is_that_of_a_signer() {
    let with = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = signer();
        change(&mut params);
        parse(params)
    };
    let add = |extension: CustomExtension| with(&|params| params.custom_extensions.push(extension.clone()));
    assert!(with(&|_| {}).is_ok());
    assert!(with(&|params| params.is_ca = IsCa::ExplicitNoCa).is_ok(), "cA false, written out");
    assert!(with(&|params| params.extended_key_usages.push(Purpose::EmailProtection)).is_ok(), "one more purpose");
    assert!(add(extension(&[1, 2, 3, 4], &[5, 0], false)).is_ok(), "an unknown extension");
    for (row, parsed, expected) in [
        ("no EKU", with(&|params| params.extended_key_usages.clear()), "no extKeyUsage codeSigning"),
        ("EKU clientAuth", with(&|params| params.extended_key_usages = vec![Purpose::ClientAuth]), "codeSigning"),
        ("EKU any", with(&|params| params.extended_key_usages = vec![Purpose::Any]), "codeSigning"),
        ("EKU timeStamping", with(&|params| params.extended_key_usages = vec![Purpose::TimeStamping]), "codeSigning"),
        ("no KU", with(&|params| params.key_usages.clear()), "no keyUsage digitalSignature"),
        ("KU", with(&|params| params.key_usages = vec![Usage::KeyAgreement]), "no keyUsage digitalSignature"),
        ("KU keyCertSign", with(&|params| params.key_usages.push(Usage::KeyCertSign)), "has keyUsage keyCertSign"),
        ("CA", with(&|params| params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained)), "is a CA"),
        ("critical unknown", add(extension(&[1, 2, 3, 4], &[5, 0], true)), "critical extension 1.2.3.4,"),
        (
            "a precertificate",
            add(extension(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 3], &[5, 0], true)),
            "critical extension 1.3.6.1.4.1.11129.2.4.3",
        ),
        ("duplicate", add(alternative_names(&[email("b@acorn.test")])), "has extension 2.5.29.17 twice"),
        ("duplicate issuer", add(fulcio(8, &utf8(ACCOUNTS))), "has extension 1.3.6.1.4.1.57264.1.8 twice"),
    ] {
        let error = parsed.expect_err(row);
        assert_eq!(error.code(), Code::CertificateInvalid, "{row}");
        let text = crate::reason::chain(&error);
        assert!(text.contains(expected), "{row}: {text}");
    }
}

// R78, R80; COS-28
#[test]
fn issuer_is_one_text() {
    let parse = |extensions: &[(u64, &[u8])]| {
        let mut all = vec![alternative_names(&[email("a@acorn.test")])];
        all.extend(extensions.iter().map(|(number, value)| fulcio(*number, value)));
        parse(signer_with(all))
    };
    let current = utf8(ACCOUNTS);
    for (row, extensions, issuer) in [
        ("R78 .8 alone", &[(8, current.as_slice())][..], Some(ACCOUNTS)),
        ("R78 .1 alone", &[(1, ACCOUNTS.as_bytes())], Some(ACCOUNTS)),
        ("R78 both", &[(1, ACCOUNTS.as_bytes()), (8, &current)], Some(ACCOUNTS)),
        ("an own CA's", &[], None),
    ] {
        assert_eq!(parse(extensions).expect(row).issuer(), issuer, "{row}");
    }
    let (slash, upper) = (format!("{ACCOUNTS}/"), utf8(ACCOUNTS.to_uppercase()));
    let long = utf8("a".repeat(2049));
    for (row, extensions, expected) in [
        ("R78 conflict", &[(1, b"https://evil.test".as_slice()), (8, current.as_slice())][..], "names two issuers"),
        ("COS-28 conflict in a slash", &[(8, &current), (1, slash.as_bytes())], "names two issuers"),
        ("COS-28 conflict in case", &[(1, ACCOUNTS.as_bytes()), (8, &upper)], "names two issuers"),
        ("COS-28 .1 in DER", &[(1, &current), (8, &current)], "has control characters"),
        ("R80 .8 raw", &[(8, ACCOUNTS.as_bytes())], "malformed issuer"),
        ("R80 .8 IA5String", &[(8, &tlv(0x16, ACCOUNTS.as_bytes()))], "malformed issuer"),
        ("R80 .8 with more", &[(8, &[current.as_slice(), &[0]].concat())], "malformed issuer"),
        ("R80 .8 not UTF-8", &[(8, &utf8([0xc3, 0x28]))], "malformed issuer"),
        ("R80 .8 empty value", &[(8, &[])], "malformed issuer"),
        ("R80 a bad .1 beside a good .8", &[(1, &[0xff]), (8, &current)], "issuer that is not UTF-8"),
        ("R80 .1 not UTF-8", &[(1, &[0xff])], "issuer that is not UTF-8"),
        ("COS-27 empty", &[(8, &utf8(""))], "issuer that is empty"),
        ("COS-27 empty .1", &[(1, b"")], "issuer that is empty"),
        ("COS-27 NUL", &[(8, &utf8("https://a\0b"))], "issuer that has control characters"),
        ("COS-27 line feed", &[(1, b"https://a\n")], "issuer that has control characters"),
        ("COS-27 long", &[(8, &long)], "issuer that is longer"),
    ] {
        let text = said(parse(extensions));
        assert!(text.contains(expected), "{row}: {text}");
    }
}

// R79, R80
#[test]
fn every_claim_is_read_in_its_own_encoding_or_refused() {
    let number = |claim: &Claim| u64::from(claim.oid().arcs().last().unwrap());
    let with = |claim: &Claim, value: &[u8]| {
        let mut params = signer();
        params.custom_extensions.push(fulcio(number(claim), value));
        parse(params)
    };
    for claim in Claim::ALL {
        let text = format!("value of {claim}");
        let (raw, der) = (text.as_bytes().to_vec(), utf8(&text));
        let (good, other) = if number(claim) <= 6 { (raw, der) } else { (der, raw) };
        let parsed = with(claim, &good).unwrap();
        assert_eq!(parsed.claims().iter().collect::<Vec<_>>(), [(*claim, text.as_str())]);
        assert_eq!(parsed.claims().get(*claim), Some(text.as_str()));
        for value in [other.as_slice(), &[0xff], &[0x0c, 1, 0xff], &[0x0c, 5, b'a'], b"a\0b", &utf8("a\nb")] {
            assert_eq!(with(claim, value).unwrap_err().code(), Code::CertificateInvalid, "{claim}: {value:?}");
        }
    }
    let absent = parse(signer()).unwrap();
    assert!(Claim::ALL.iter().all(|claim| absent.claims().get(*claim).is_none()));
    let mut params = signer();
    params.custom_extensions.push(fulcio(25, &[0xff]));
    assert!(parse(params).unwrap().claims().is_empty(), "an extension of the future");
}

proptest! {
    // R80, R116
    #[test]
    fn arbitrary_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(SigningCertificate::parse(&bytes).is_err());
    }

    // R80, R116
    #[test]
    fn arbitrary_names_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let list = tlv(0x30, &bytes);
        for name in general_names(&list).unwrap_or_default() {
            if let Ok(Some(name)) = general_name(name) {
                prop_assert!(["email", "otherName", "uri"].contains(&name.kind()));
            }
        }
    }
}

// COS-27: whatever bit is flipped, the bytes that the authority signed are not these.
#[test]
fn a_flipped_bit_never_names_another_signer() {
    let issued = issue(&[signer(), testing::ca("bench root", None)]);
    let good = issued[0].der();
    for at in 0..good.len() * 8 {
        let mut changed = good.to_vec();
        changed[at / 8] ^= 1 << (at % 8);
        let Ok(parsed) = SigningCertificate::parse(&changed) else { continue };
        let signed = parsed.certificate().verify_signed_by(issued[1].public_key());
        assert!(signed.is_err(), "bit {at}");
    }
}
