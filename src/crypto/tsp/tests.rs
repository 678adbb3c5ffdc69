//! Tokens of another writer, tokens of our own, and each thing that must be refused.

use proptest::prelude::*;
use rcgen::{CertificateParams, Issuer, KeyPair, SerialNumber};
use time::macros::datetime;

use super::{
    testing::{
        Draft, ECDSA_SHA384, SHA1, SHA256, SHA384, SHA512, TIME_STAMPING, algorithm, attribute, authority,
        certificate_id, certificate_id_of, certificates, hash, issuer_serial, oid, purposes, signer,
    },
    *,
};
use crate::{
    crypto::{
        testing::{Chain, ca, chain, chain_with, extension, key, tlv},
        x509::certificates_from_file_bytes,
    },
    reason::{self, Code},
};

mod paths;

const MESSAGE: &[u8] = b"a signature";

fn trust(certificates: &[Certificate], profile: Profile) -> Trust<'_> {
    let root = certificates.len() - 1;
    Trust { anchors: &certificates[root..], known: &[], embedded: Embedded::Use, profile }
}

/// Verifies a token by the root of `chain` and the certificates in the token.
fn verify_by(token: &[u8], chain: &Chain, profile: Profile) -> Result<VerifiedTime, TspError> {
    Timestamp::from_token(token)?.verify(MESSAGE, &trust(&certificates(chain), profile))
}

fn said(result: Result<VerifiedTime, TspError>) -> String {
    result.map_or_else(|error| reason::chain(&error), |_| "accepted".to_owned())
}

macro_rules! vector {
    ($name:literal) => {
        ($name, include_bytes!(concat!("vectors/", $name)).as_slice())
    };
}

fn read(name: &str, bytes: &[u8]) -> Timestamp {
    let read = if name.contains(".tsr") { Timestamp::from_response } else { Timestamp::from_token };
    read(bytes).expect(name)
}

type Change<'a> = Box<dyn FnOnce(&mut Draft) + 'a>;

// R90 (imprints, fractions of a second); item 79, item 83
#[test]
fn tokens_of_another_writer_verify() {
    let root = certificates_from_file_bytes(include_bytes!("vectors/root.pem")).unwrap();
    for ((name, bytes), imprint) in [
        (vector!("ecdsa-p-256-sha256.tsr"), HashAlgorithm::Sha256),
        (vector!("ecdsa-p-384-sha384.tsr"), HashAlgorithm::Sha384),
        (vector!("ecdsa-p-521-sha512.tsr"), HashAlgorithm::Sha512),
        (vector!("rsa-sha256.tsr"), HashAlgorithm::Sha256),
        (vector!("rsa-sha512.tsr"), HashAlgorithm::Sha512),
        (vector!("rsa-pss-sha256.tok"), HashAlgorithm::Sha256),
    ] {
        let timestamp = read(name, bytes);
        for profile in [Profile::Notary, Profile::Sigstore] {
            let verified = timestamp.verify(MESSAGE, &trust(&root, profile)).expect(name);
            assert_eq!(verified.time(), timestamp.time());
            assert_ne!(verified.time().nanosecond(), 0, "{name}: a fraction");
            assert_eq!(verified.time().nanosecond() % 1000, 0, "{name}: of microseconds");
            assert_eq!(verified.accuracy(), Duration::from_micros(1_500_250), "{name}");
            assert_eq!(verified.chain(), [timestamp.certificates(), &root].concat(), "{name}");
            assert_eq!(timestamp.imprint().hash, Some(imprint), "{name}");
        }
        let other = timestamp.verify(b"another signature", &trust(&root, Profile::Sigstore)).unwrap_err();
        assert!(matches!(other, TspError::Imprint { .. }), "{name}: {other}");
    }
}

#[test]
fn a_signer_named_by_its_key_is_not_one_of_the_notary_project() {
    let root = certificates_from_file_bytes(include_bytes!("vectors/root.pem")).unwrap();
    let (name, bytes) = vector!("key-identifier.tok");
    let timestamp = read(name, bytes);
    assert!(matches!(timestamp.signers().next(), Some(SignerId::SubjectKeyIdentifier(_))));
    assert!(timestamp.verify(MESSAGE, &trust(&root, Profile::Sigstore)).is_ok());
    let refused = timestamp.verify(MESSAGE, &trust(&root, Profile::Notary)).unwrap_err();
    assert!(matches!(refused, TspError::SignerUnknown { .. }), "{refused}");
}

// REV-13, R90: SHA-1 proves nothing
#[test]
fn sha_1_is_refused_in_imprint_and_signature() {
    let root = certificates_from_file_bytes(include_bytes!("vectors/root.pem")).unwrap();
    for ((name, bytes), part) in [
        (vector!("imprint-sha1.tsr"), "imprint is made with 1.3.14.3.2.26"),
        (vector!("signer-sha1.tsr"), "is digested with 1.3.14.3.2.26"),
    ] {
        let error = read(name, bytes).verify(MESSAGE, &trust(&root, Profile::Sigstore)).unwrap_err();
        assert!(error.to_string().contains(part), "{name}: {error}");
        assert_eq!(error.code(), Code::TimestampInvalid);
    }
}

#[test]
fn a_verified_time_says_when_how_exactly_and_by_whom() {
    let issued = authority();
    let draft = Draft::of(MESSAGE, &issued);
    for profile in [Profile::Notary, Profile::Sigstore] {
        let verified = verify_by(&draft.token(&issued.keys[0]), &issued, profile).unwrap();
        assert_eq!(verified.time(), datetime!(2026-09-22 12:41 UTC));
        assert_eq!(verified.accuracy(), Duration::from_secs(1));
        assert_eq!(verified.chain(), certificates(&issued));
    }
    let timestamp = Timestamp::from_response(&draft.response(&issued.keys[0])).unwrap();
    assert_eq!(timestamp.certificates(), &certificates(&issued)[..2]);
    assert!(timestamp.signers().all(|signer| signer.is_of(&timestamp.certificates()[0])));
    assert!(timestamp.check_imprint(MESSAGE).is_ok());
    assert!(timestamp.check_imprint(b"a signaturf").is_err());
    let modified = draft.with(|it| it.status = tlv(0x30, &tlv(2, &[1])));
    assert!(Timestamp::from_response(&modified.response(&issued.keys[0])).is_ok(), "granted with modifications");
}

// Item 79
#[test]
fn accuracy_is_what_the_token_says_or_what_its_policy_does() {
    let issued = authority();
    let btsp = "0.4.0.2023.1.1";
    let parts =
        |parts: &[(u8, &[u8])]| tlv(0x30, &parts.iter().flat_map(|(tag, value)| tlv(*tag, value)).collect::<Vec<_>>());
    for (row, policy, trailer, expected) in [
        ("none", "1.2.3", vec![], Some(Duration::ZERO)),
        ("none under BTSP", btsp, vec![], Some(Duration::from_secs(1))),
        ("empty under BTSP", btsp, parts(&[]), Some(Duration::from_secs(1))),
        ("stated under BTSP", btsp, parts(&[(0x80, &[5])]), Some(Duration::from_millis(5))),
        ("seconds", "1.2.3", parts(&[(2, &[60])]), Some(Duration::from_mins(1))),
        ("millis, micros", "1.2.3", parts(&[(0x80, &[3, 0xe7]), (0x81, &[1])]), Some(Duration::from_micros(999_001))),
        ("a year", "1.2.3", parts(&[(2, &[1, 0xe1, 0x33, 0x80])]), Some(Duration::from_hours(8760))),
        ("1000 millis", "1.2.3", parts(&[(0x80, &[3, 0xe8])]), None),
        ("negative", "1.2.3", parts(&[(2, &[0xff])]), None),
        ("longer than needed", "1.2.3", parts(&[(2, &[0, 1])]), None),
        ("past 32 bits", "1.2.3", parts(&[(2, &[1, 0, 0, 0, 0])]), None),
        ("past 64 bits", "1.2.3", parts(&[(2, &[0x7f; 9])]), None),
        ("wrong order", "1.2.3", parts(&[(0x81, &[1]), (0x80, &[1])]), None),
    ] {
        let draft = Draft::of(MESSAGE, &issued).with(|it| (it.policy, it.trailer) = (policy, trailer));
        let found = Timestamp::from_token(&draft.token(&issued.keys[0])).map(|it| it.accuracy());
        assert_eq!(found.ok(), expected, "{row}");
    }
}

// Item 77, item 82; R90, REV-13, X-18: what is no token at all
#[test]
fn whatever_is_not_one_granted_token_by_one_signer_is_not_read() {
    let issued = authority();
    let good = Draft::of(MESSAGE, &issued);
    let certificate = &issued.der[0];
    let status = |content: &[Vec<u8>]| tlv(0x30, &content.concat());
    let extensions = |critical: &[u8]| {
        let one = [oid("1.2.3"), critical.to_vec(), tlv(4, &[5, 0])].concat();
        tlv(0xa1, &tlv(0x30, &one))
    };
    let rows: Vec<(&str, &str, Change<'_>)> = vec![
        ("rejected", "status 2", Box::new(|it| it.status = status(&[tlv(2, &[2])]))),
        ("waiting", "status 3", Box::new(|it| it.status = status(&[tlv(2, &[3])]))),
        ("failure", "holds a failure", Box::new(|it| it.status = status(&[tlv(2, &[0]), tlv(3, &[5, 0x20])]))),
        ("negative status", "in its status", Box::new(|it| it.status = status(&[tlv(2, &[0xff])]))),
        ("data", "instead of signedData", Box::new(|it| it.outer_type = "1.2.840.113549.1.7.1")),
        ("version 1", "SignedData has version 1", Box::new(|it| it.version = 1)),
        ("version 4", "SignedData has version 4", Box::new(|it| it.version = 4)),
        ("other content", "instead of TSTInfo", Box::new(|it| it.content_type = "1.2.840.113549.1.7.1")),
        ("TSTInfo 2", "TSTInfo has version 2", Box::new(|it| it.info_version = 2)),
        ("SignerInfo 3 by serial number", "SignerInfo has version 3", Box::new(|it| it.signer_version = 3)),
        ("SignerInfo 1 by key", "SignerInfo has version 1", Box::new(|it| it.signer_id = tlv(0x80, &[1]))),
        ("none that is read", "version 3", Box::new(|it| (it.signer_version, it.more_signers) = (3, tlv(0x30, &[])))),
        ("a signer that is none", "in its signers", Box::new(|it| it.more_signers = tlv(5, &[]))),
        ("no signed attributes", "no signed attribute", Box::new(|it| it.attributed = false)),
        ("5 signers", "more than 4 signers", Box::new(|it| it.more_signers = tlv(0x30, &[]).repeat(4))),
        ("11 certificates", "more than 10 cert", Box::new(|it| it.certificates = certificate.repeat(11))),
        ("attribute certificate", "certificate 0 of", Box::new(|it| it.certificates = tlv(0xa2, &[]))),
        ("junk for a certificate", "certificate 0 of", Box::new(|it| it.certificates = tlv(0x30, &[5, 0]))),
        ("SHA-256 unlisted", "is digested", Box::new(|it| it.digest_algorithms = algorithm(SHA384))),
        ("9 digests", "more than 8", Box::new(|it| it.digest_algorithms = algorithm(SHA256).repeat(9))),
        ("critical extension", "critical", Box::new(|it| it.trailer = extensions(&[1, 1, 0xff]))),
        ("something after", "in its TSTInfo", Box::new(|it| it.trailer = tlv(0x31, &[]))),
        ("nonce before accuracy", "in its TSTInfo", Box::new(|it| it.trailer.rotate_left(5))),
        ("no time", "not a time", Box::new(|it| it.time = "20260922124100".to_owned())),
        ("33 attributes", "more than 32", Box::new(|it| it.attributes = vec![attribute("1.2.3", &[]); 31])),
        (
            "two digests",
            "more than one messageDigest",
            Box::new(|it| it.attributes.push(attribute("1.2.840.113549.1.9.4", &[tlv(4, &[0; 32])]))),
        ),
        (
            "two values",
            "more than one signingTime",
            Box::new(|it| {
                let time = tlv(0x17, b"260922124100Z");
                it.attributes.push(attribute("1.2.840.113549.1.9.5", &[time.clone(), time]));
            }),
        ),
        ("unsigned twice", "in its signer", Box::new(|it| it.unsigned = tlv(0xa1, &[]).repeat(2))),
    ];
    for (row, part, change) in rows {
        let error = Timestamp::from_response(&good.with(change).response(&issued.keys[0])).expect_err(row);
        assert!(error.to_string().contains(part), "{row}: {error}");
    }
    let harmless = good.with(|it| {
        it.trailer = [tlv(1, &[0]), tlv(0xa0, &tlv(0xa4, &tlv(0x30, &[]))), extensions(&[])].concat();
        it.unsigned = tlv(0xa1, &tlv(0x30, &[]));
        it.status = status(&[tlv(2, &[0]), tlv(0x30, &tlv(0x0c, b"fine"))]);
        it.digest_algorithms = Vec::new();
    });
    assert!(Timestamp::from_response(&harmless.response(&issued.keys[0])).is_ok());
}

// X-18; `timestamp-junk`, `timestamp-token-only` of the case collection
#[test]
fn only_der_of_the_right_kind_and_size_is_read() {
    let issued = authority();
    let draft = Draft::of(MESSAGE, &issued);
    let (token, response) = (draft.token(&issued.keys[0]), draft.response(&issued.keys[0]));
    assert!(Timestamp::from_token(&token).is_ok() && Timestamp::from_response(&response).is_ok());
    assert!(Timestamp::from_response(&token).is_err(), "a token where a response is due");
    assert!(Timestamp::from_token(&response).is_err(), "a response where a token is due");
    assert!(matches!(Timestamp::from_response(&tlv(0x30, &draft.status)), Err(TspError::NoToken)));
    for end in 0..response.len() {
        assert!(Timestamp::from_response(&response[..end]).is_err(), "{end} bytes");
    }
    let [0x30, 0x82, _, _, content @ ..] = response.as_slice() else { panic!() };
    for (row, bytes) in [
        ("something after it", [&response[..], &[0]].concat()),
        ("something in it", tlv(0x30, &[content, &[5, 0]].concat())),
        ("indefinite length", [&[0x30, 0x80], content, &[0, 0]].concat()),
        ("a longer length than needed", [&[0x30, 0x83, 0, response[2], response[3]], content].concat()),
        ("nothing", Vec::new()),
        ("junk", b"junk".to_vec()),
    ] {
        assert!(Timestamp::from_response(&bytes).is_err(), "{row}");
    }
    let sized = |size: usize| Timestamp::from_token(&vec![0x30; size]).unwrap_err();
    assert!(!matches!(sized(MAX_TOKEN_BYTES), TspError::TooLarge { .. }));
    let large = sized(MAX_TOKEN_BYTES + 1);
    assert!(matches!(large, TspError::TooLarge { .. }) && large.code() == Code::LimitExceeded);
}

// Item 78, item 81, item 82; REV-13, R90
#[test]
fn a_token_that_does_not_vouch_for_itself_is_refused() {
    let issued = authority();
    let good = Draft::of(MESSAGE, &issued);
    let [signer, intermediate, _] = <[_; 3]>::try_from(certificates(&issued)).unwrap();
    let with_core = |content_type: &str, digest: &[u8]| {
        let (content_type, digest) = (oid(content_type), tlv(4, digest));
        vec![
            attribute("1.2.840.113549.1.9.3", &[content_type]),
            attribute("1.2.840.113549.1.9.4", &[digest]),
            certificate_id(&signer),
        ]
    };
    let core = |attributes: Vec<Vec<u8>>| -> Change<'_> {
        Box::new(move |it: &mut Draft| (it.core, it.attributes) = (false, attributes))
    };
    let digest = hash(SHA256, &good.info());
    let tst_info = testing::TST_INFO;
    let of_other = certificate_id_of(&tlv(4, &hash(SHA256, intermediate.der())));
    let by = |name: &str| certificate_id_of(&[algorithm(name), tlv(4, &hash(name, signer.der()))].concat());
    let misnamed = certificate_id_of(&[tlv(4, &hash(SHA256, signer.der())), issuer_serial(&intermediate)].concat());
    let rows: Vec<(&str, &str, Change<'_>)> = vec![
        ("imprint", "imprint differs", Box::new(|it| it.imprint.1 = hash(SHA256, b"another"))),
        ("short imprint", "imprint differs", Box::new(|it| it.imprint.1.truncate(31))),
        ("SHA-1 imprint", "1.3.14.3.2.26", Box::new(|it| it.imprint = (SHA1, hash(SHA1, MESSAGE)))),
        ("no contentType", "no contentType", core(with_core(tst_info, &digest).split_off(1))),
        ("other contentType", "instead of TSTInfo", core(with_core("1.2.3", &digest))),
        ("no messageDigest", "no messageDigest", {
            let mut attributes = with_core(tst_info, &digest);
            attributes.remove(1);
            core(attributes)
        }),
        ("other messageDigest", "messageDigest is not", core(with_core(tst_info, &[0; 32]))),
        ("no attributes", "no contentType", core(vec![])),
        ("certificate hash of another", "certificate hash", Box::new(|it| it.attributes = vec![of_other])),
        ("certificate named as another", "certificate hash", Box::new(|it| it.attributes = vec![misnamed])),
        ("certificate hash by SHA-1", "with 1.3.14.3.2.26", Box::new(|it| it.attributes = vec![by(SHA1)])),
        (
            "two hashes",
            "with SHA-256 and signed with SHA-384",
            Box::new(|it| it.signature_algorithm = tlv(0x30, &oid(ECDSA_SHA384))),
        ),
        ("RSA for a curve", "not allowed", Box::new(|it| it.signature_algorithm = algorithm("1.2.840.113549.1.1.1"))),
        ("parameters", "not allowed", Box::new(|it| it.signature_algorithm = algorithm("1.2.840.10045.4.3.2"))),
        ("MD5 with RSA", "MD5", Box::new(|it| it.signature_algorithm = algorithm("1.2.840.113549.1.1.4"))),
        ("no certificates", "is not known", Box::new(|it| it.certificates = vec![])),
        ("no path", "no path leads", Box::new(|it| it.certificates = issued.der[0].clone())),
    ];
    for (row, part, change) in rows {
        let draft = good.with(change);
        for profile in [Profile::Notary, Profile::Sigstore] {
            let refused = said(verify_by(&draft.token(&issued.keys[0]), &issued, profile));
            assert!(refused.contains(part), "{row}: {refused}");
        }
    }
    let by_another = said(verify_by(&good.token(&issued.keys[1]), &issued, Profile::Sigstore));
    assert!(by_another.contains("signature does not verify"), "{by_another}");
    for name in [SHA256, SHA384, SHA512] {
        let draft = good.with(|it| it.attributes = vec![by(name)]);
        assert_eq!(said(verify_by(&draft.token(&issued.keys[0]), &issued, Profile::Notary)), "accepted", "{name}");
    }
}

// Item 81: where the Notary Project demands what the others only check
#[test]
fn a_token_without_a_certificate_hash_is_not_one_of_the_notary_project() {
    let issued = authority();
    let signer = Certificate::parse(&issued.der[0]).unwrap();
    let version_1 = |digest: &[u8]| {
        let id = tlv(0x30, &tlv(4, digest));
        attribute("1.2.840.113549.1.9.16.2.12", &[tlv(0x30, &tlv(0x30, &id))])
    };
    let good = version_1(&hash(SHA1, signer.der()));
    for (row, attributes, by_sigstore) in [
        ("no hash", vec![], "accepted"),
        ("version 1 alone", vec![good], "accepted"),
        ("version 1, of another", vec![version_1(&[0; 20])], "certificate hash is not"),
        (
            "version 1, of another, beside version 2",
            vec![version_1(&[0; 20]), certificate_id(&signer)],
            "certificate hash",
        ),
    ] {
        let both = attributes.len() == 2;
        let token = Draft::of(MESSAGE, &issued).with(|it| it.attributes = attributes).token(&issued.keys[0]);
        let sigstore = said(verify_by(&token, &issued, Profile::Sigstore));
        assert!(sigstore.contains(by_sigstore), "{row}: {sigstore}");
        let notary = said(verify_by(&token, &issued, Profile::Notary));
        let by_notary = if both { by_sigstore } else { "no SigningCertificateV2" };
        assert!(notary.contains(by_notary), "{row}: {notary}");
    }
}

// Item 86: RFC 3161 §2.4.2 knows one signer, the Notary Project's verification takes the first that holds
#[test]
fn of_several_signers_one_that_holds_is_enough_for_the_notary_project() {
    let issued = authority();
    let attacker = chain(&[signer("attacker"), ca("attacker root", None)]);
    let certificates = [issued.der[..2].concat(), attacker.der[0].clone()].concat();
    let good = Draft::of(MESSAGE, &issued).with(|it| it.certificates.clone_from(&certificates));
    let unnamed = good.with(|it| it.attributes = vec![]);
    let [sound, forged, unnamed] =
        [(&good, 0), (&good, 1), (&unnamed, 0)].map(|(draft, key)| draft.signer_info(&issued.keys[key]));
    let stranger = Draft::of(MESSAGE, &attacker).signer_info(&attacker.keys[0]);
    let unread = tlv(0x30, &[]);
    for (row, signers, by_notary) in [
        ("broken, sound", vec![&forged, &sound], "accepted"),
        ("sound, broken", vec![&sound, &forged], "accepted"),
        ("stranger, sound", vec![&stranger, &sound], "accepted"),
        ("unread, unnamed, stranger, sound", vec![&unread, &unnamed, &stranger, &sound], "accepted"),
        ("broken, broken", vec![&forged, &forged], "signature does not verify"),
        ("stranger, broken", vec![&stranger, &forged], "signature does not verify"),
        ("stranger, stranger", vec![&stranger, &stranger], "no path leads"),
        ("broken, unread", vec![&forged, &unread], "signature does not verify"),
        ("broken, without a certificate hash", vec![&forged, &unnamed], "signature does not verify"),
    ] {
        let token = good.token_of(&signers.into_iter().flatten().copied().collect::<Vec<u8>>());
        let notary = said(verify_by(&token, &issued, Profile::Notary));
        assert!(notary.contains(by_notary), "{row}: {notary}");
        let sigstore = said(verify_by(&token, &issued, Profile::Sigstore));
        assert!(sigstore.contains("signers instead of one"), "{row}: {sigstore}");
        let tsa = Certificate::parse(&issued.der[0]).unwrap();
        assert!(Timestamp::from_token(&token).unwrap().check_signed_by(&tsa).is_err(), "{row}");
    }
}

// Item 83
#[test]
fn attributes_verify_as_sent_and_as_der_sorts_them() {
    let issued = authority();
    for (sent, signed, accepted) in
        [(true, true, true), (false, false, true), (false, true, true), (true, false, false)]
    {
        let draft = Draft::of(MESSAGE, &issued).with(|it| it.sorted = (sent, signed));
        let result = verify_by(&draft.token(&issued.keys[0]), &issued, Profile::Notary);
        assert_eq!(result.is_ok(), accepted, "sent sorted: {sent}, signed sorted: {signed}");
    }
}

// COS-16, REV-13, CVE-2026-39984: the signer is whom the token names, and it alone is judged
#[test]
fn the_place_of_a_certificate_decides_nothing() {
    let issued = authority();
    let attacker = chain(&[signer("attacker"), ca("attacker root", None)]);
    let good = Draft::of(MESSAGE, &issued);
    let first = good.with(|it| it.certificates = [attacker.der.concat(), it.certificates.clone()].concat());
    assert_eq!(said(verify_by(&first.token(&issued.keys[0]), &issued, Profile::Sigstore)), "accepted");
    let forged = said(verify_by(&first.token(&attacker.keys[0]), &issued, Profile::Sigstore));
    assert!(forged.contains("signature does not verify"), "genuine name, attacker's key: {forged}");
    let own = Draft::of(MESSAGE, &attacker).with(|it| it.certificates = first.certificates.clone());
    let own = said(verify_by(&own.token(&attacker.keys[0]), &issued, Profile::Sigstore));
    assert!(own.contains("no path leads"), "attacker's own token: {own}");

    // A twin: the authority's issuer name and serial number, the attacker's key, and no way to the root.
    let real = Certificate::parse(&issued.der[0]).unwrap();
    let mut params = signer("tsa");
    params.serial_number = Some(SerialNumber::from_slice(real.serial_number()));
    let twin = chain(&[params, ca("tsa intermediate", None)]);
    for order in [[&twin.der[0], &issued.der[0]], [&issued.der[0], &twin.der[0]]] {
        let bag = [order.map(Vec::as_slice).concat(), issued.der[1].clone()].concat();
        let draft = good.with(|it| it.certificates = bag.clone());
        assert_eq!(said(verify_by(&draft.token(&issued.keys[0]), &issued, Profile::Sigstore)), "accepted");
        let draft = draft.with(|it| it.attributes = vec![]);
        let forged = said(verify_by(&draft.token(&twin.keys[0]), &issued, Profile::Sigstore));
        assert!(forged.contains("signature does not verify"), "{forged}");
    }
}

#[test]
fn certificates_of_the_token_are_left_aside_where_the_signer_is_known() {
    let issued = authority();
    let known = certificates(&issued);
    let draft = Draft::of(MESSAGE, &issued);
    let bare = Timestamp::from_token(&draft.with(|it| it.certificates = vec![]).token(&issued.keys[0])).unwrap();
    let full = Timestamp::from_token(&draft.token(&issued.keys[0])).unwrap();
    for timestamp in [&bare, &full] {
        let anchors = &known[2..];
        let by = |known| {
            let trust = Trust { anchors, known, embedded: Embedded::Ignore, profile: Profile::Sigstore };
            timestamp.verify(MESSAGE, &trust)
        };
        assert!(by(&known[..2]).is_ok());
        assert!(matches!(by(&known[1..2]), Err(TspError::SignerUnknown { .. })));
        assert!(matches!(by(&known[..1]), Err(TspError::NoPath { .. })));
    }
}

// R90: every bit of a token matters, but for the word between granted and granted with modifications, which nobody signs
#[test]
fn no_flipped_bit_goes_unnoticed() {
    let issued = authority();
    let root = certificates(&issued);
    let good = Draft::of(MESSAGE, &issued).response(&issued.keys[0]);
    let status = good.windows(5).position(|window| window == [0x30, 3, 2, 1, 0]).unwrap() + 4;
    let flipped = |at: usize, bit: u8| {
        let mut changed = good.clone();
        changed[at] ^= 1 << bit;
        Timestamp::from_response(&changed)
            .is_ok_and(|timestamp| timestamp.verify(MESSAGE, &trust(&root, Profile::Sigstore)).is_ok())
    };
    for at in 0..good.len() {
        let bit = u8::try_from(at % 8).unwrap();
        assert!(!flipped(at, bit) || (at, bit) == (status, 0), "byte {at} bit {bit}");
    }
    assert!(flipped(status, 0) && !flipped(status, 1));
}

// R116
proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Timestamp::from_response(&bytes).is_err());
        prop_assert!(Timestamp::from_token(&bytes).is_err());
    }

    #[test]
    fn a_spliced_token_never_verifies_and_never_panics(
        at in 0_usize..1425,
        cut in 0_usize..40,
        with in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let (_, good) = vector!("rsa-sha256.tsr");
        let root = certificates_from_file_bytes(include_bytes!("vectors/root.pem")).unwrap();
        let (head, tail) = good.split_at(at.min(good.len()));
        let changed = [head, &with, tail.get(cut..).unwrap_or_default()].concat();
        let verified = Timestamp::from_response(&changed)
            .and_then(|timestamp| timestamp.verify(MESSAGE, &trust(&root, Profile::Sigstore)));
        // The one byte that nobody signs: granted, granted with modifications.
        let status = changed.len() == good.len() && changed.iter().zip(good).filter(|(a, b)| a != b).count() <= 1;
        prop_assert!(verified.is_err() || status);
    }
}
