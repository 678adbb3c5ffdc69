use der::{Reader as _, SliceReader};
use proptest::prelude::*;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use time::{Duration, macros::datetime};

use super::*;
use crate::{
    crypto::{
        algorithm::PublicKey,
        read,
        testing::{ca, chain, key, tlv},
    },
    verifier::cosign::{
        certificate::testing::{made, signer},
        root::Window,
    },
};

const AT: OffsetDateTime = datetime!(2026-01-01 12:00:00.123 UTC);
const ISSUER_SPKI: &[u8] = b"the issuer's SubjectPublicKeyInfo";
const ECDSA_SHA256: [u8; 2] = [4, 3];

/// A CT log with its key.
struct TestLog {
    key: KeyPair,
    algorithm: [u8; 2],
}

impl TestLog {
    fn new() -> Self {
        Self { key: key(), algorithm: ECDSA_SHA256 }
    }

    fn with(algorithm: &'static rcgen::SignatureAlgorithm, tls: [u8; 2]) -> Self {
        Self { key: KeyPair::generate_for(algorithm).unwrap(), algorithm: tls }
    }

    /// As a trusted root has it.
    fn trusted(&self) -> Log {
        let key = PublicKey::parse(&self.key.subject_public_key_info()).unwrap();
        let id = sha256(key.spki()).to_vec();
        let window = Window { start: AT - Duration::DAY, end: Some(AT + Duration::DAY) };
        Log { base_url: "https://ct.acorn.test".to_owned(), id, key, window }
    }

    /// A `SerializedSCT` over a certificate without its SCTs.
    fn sign(&self, certificate: &Template, at: OffsetDateTime, extensions: &[u8]) -> Vec<u8> {
        self.sign_for(&certificate.tbs(&[]), ISSUER_SPKI, at, extensions)
    }

    fn sign_for(&self, tbs: &[u8], issuer: &[u8], at: OffsetDateTime, extensions: &[u8]) -> Vec<u8> {
        let milliseconds = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap();
        let extensions = tls(extensions);
        let length = u32::try_from(tbs.len()).unwrap().to_be_bytes();
        let signed =
            [&[0, 0][..], &milliseconds.to_be_bytes(), &[0, 1], &sha256(issuer), &length[1..], tbs, &extensions]
                .concat();
        let signature = self.key.sign(&signed).unwrap();
        let id = sha256(&self.key.subject_public_key_info());
        [&[0][..], &id, &milliseconds.to_be_bytes(), &extensions, &self.algorithm, &tls(&signature)].concat()
    }
}

/// A TLS vector with a length of 16 bits.
fn tls(content: &[u8]) -> Vec<u8> {
    [&u16::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
}

fn list(timestamps: &[Vec<u8>]) -> Vec<u8> {
    let serialized: Vec<u8> = timestamps.iter().flat_map(|timestamp| tls(timestamp)).collect();
    tlv(4, &tls(&serialized))
}

fn extension(oid: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[tlv(6, oid), tlv(4, value)].concat())
}

/// A signer's certificate whose extensions can be put together anew, with a signature of zeros: that is not what is judged here.
struct Template {
    fields: Vec<u8>,
    extensions: Vec<Vec<u8>>,
}

impl Template {
    fn new() -> Self {
        let issued = chain(&[signer(), ca("root", None)]).der;
        let certificate = Certificate::parse(&issued[0]).unwrap();
        let mut fields = read::only_sequence(certificate.tbs()).unwrap();
        let mut items = Vec::new();
        while !fields.is_finished() {
            items.push(fields.tlv_bytes().unwrap());
        }
        let mut outer = SliceReader::new(items.pop().unwrap()).unwrap();
        let explicit = der::Tag::ContextSpecific { constructed: true, number: der::TagNumber::N3 };
        let mut list = read::content(&mut outer, explicit).unwrap();
        let mut list = read::content(&mut list, der::Tag::Sequence).unwrap();
        let mut extensions = Vec::new();
        while !list.is_finished() {
            extensions.push(list.tlv_bytes().unwrap().to_vec());
        }
        Self { fields: items.concat(), extensions }
    }

    /// The signed part with `more` after the first two extensions.
    fn tbs(&self, more: &[Vec<u8>]) -> Vec<u8> {
        let (before, after) = self.extensions.split_at(2);
        self.tbs_of(&[before, more, after].concat())
    }

    fn tbs_of(&self, extensions: &[Vec<u8>]) -> Vec<u8> {
        tlv(0x30, &[self.fields.clone(), tlv(0xa3, &tlv(0x30, &extensions.concat()))].concat())
    }

    fn with(&self, timestamps: &[Vec<u8>]) -> Certificate {
        self.with_value(&list(timestamps))
    }

    fn with_value(&self, value: &[u8]) -> Certificate {
        certificate(&self.tbs(&[extension(SCT_LIST.as_bytes(), value)]))
    }
}

fn certificate(tbs: &[u8]) -> Certificate {
    Certificate::parse(&certificate_der(tbs)).unwrap()
}

fn certificate_der(tbs: &[u8]) -> Vec<u8> {
    let ecdsa = tlv(0x30, &tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]));
    tlv(0x30, &[tbs, &ecdsa, &tlv(3, &[0; 65])].concat())
}

fn judge(certificate: &Certificate, logs: &[&TestLog]) -> Result<usize, SctFault> {
    let logs: Vec<_> = logs.iter().map(|log| log.trusted()).collect();
    verify(certificate, ISSUER_SPKI, &logs).map(|found| found.len())
}

fn pem_key(pem: &str) -> PublicKey {
    use base64::Engine as _;
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    PublicKey::parse(&base64::engine::general_purpose::STANDARD.decode(base64).unwrap()).unwrap()
}

// R72
#[test]
fn a_timestamp_of_another_writer_verifies() {
    let key = pem_key(include_str!("../vectors/ct-log.pem"));
    let window = Window { start: datetime!(2024-09-12 12:41 UTC), end: None };
    let log = Log { base_url: "https://ct.sigstore.acorn.test".to_owned(), id: Vec::new(), key, window };
    let issuer = made("authority").remove(0);
    let judge = |leaf: &Certificate| verify(leaf, issuer.public_key().spki(), std::slice::from_ref(&log));

    let leaf = made("leaf").remove(0);
    let found = judge(&leaf).unwrap();
    let expected = SctLog { base_url: log.base_url.clone(), id: sha256(log.key.spki()), timestamp: leaf.not_before() };
    assert_eq!(found, [expected]);
    for (row, leaf) in [
        ("R72 a flipped bit", made("leaf-sct-flipped").remove(0)),
        ("R72, COS-17 for another issuer's key", made("leaf-sct-other-issuer").remove(0)),
    ] {
        let fault = judge(&leaf).expect_err(row);
        assert!(matches!(fault, SctFault::Signature { .. }), "{row}: {fault}");
        assert_eq!(fault.code(), Code::SctInvalid, "{row}");
    }
}

// R72
#[test]
fn logs_of_all_kinds_of_key_are_believed() {
    let template = Template::new();
    for (row, log) in [
        ("P-256", TestLog::new()),
        ("P-384", TestLog::with(&rcgen::PKCS_ECDSA_P384_SHA384, [5, 3])),
        ("RSA", TestLog::with(&rcgen::PKCS_RSA_SHA256, [4, 1])),
    ] {
        let good = log.sign(&template, AT, &[]);
        let leaf = template.with(std::slice::from_ref(&good));
        assert_eq!(judge(&leaf, &[&log]), Ok(1), "{row}");
        let found = verify(&leaf, ISSUER_SPKI, &[log.trusted()]).unwrap().remove(0);
        assert_eq!((found.timestamp, found.id.to_vec()), (AT, log.trusted().id), "{row}");
        let mut bad = good;
        *bad.last_mut().unwrap() ^= 1;
        assert!(matches!(judge(&template.with(&[bad]), &[&log]), Err(SctFault::Signature { .. })), "{row}");
    }
}

// R72
#[test]
fn extensions_of_a_timestamp_are_signed() {
    let (template, log) = (Template::new(), TestLog::new());
    let good = log.sign(&template, AT, b"\0\0\x05leaf index");
    assert_eq!(judge(&template.with(std::slice::from_ref(&good)), &[&log]), Ok(1));
    let mut changed = good;
    changed[1 + 32 + 8 + 2] ^= 1;
    assert!(matches!(judge(&template.with(&[changed]), &[&log]), Err(SctFault::Signature { .. })));
}

// R72; COS-12, COS-17
#[test]
fn distinct_known_logs_count() {
    let template = Template::new();
    let [first, second, stranger] = [TestLog::new(), TestLog::new(), TestLog::new()];
    let sct = |log: &TestLog, at| log.sign(&template, at, &[]);
    let later = AT + Duration::SECOND;
    for (row, timestamps, logs, expected) in [
        ("one", vec![sct(&first, AT)], vec![&first], 1),
        ("two logs", vec![sct(&first, AT), sct(&second, AT)], vec![&first, &second], 2),
        ("COS-12 two of one log", vec![sct(&first, AT), sct(&first, later)], vec![&first, &second], 1),
        ("COS-12 one twice", vec![sct(&first, AT), sct(&first, AT)], vec![&first], 1),
        ("COS-12 a log listed twice", vec![sct(&first, AT)], vec![&first, &first], 1),
        ("R72 an unknown log beside", vec![sct(&stranger, AT), sct(&first, AT)], vec![&first, &second], 1),
        ("COS-17 unknown log", vec![sct(&stranger, AT)], vec![&first, &second], 0),
        ("no logs", vec![sct(&first, AT)], vec![], 0),
    ] {
        assert_eq!(judge(&template.with(&timestamps), &logs), Ok(expected), "{row}");
    }
    assert_eq!(judge(&certificate(&template.tbs(&[])), &[&first]), Ok(0), "COS-17 no timestamp");

    let mut bad = sct(&second, AT);
    *bad.last_mut().unwrap() ^= 1;
    let beside = template.with(&[sct(&first, AT), bad.clone()]);
    assert!(matches!(judge(&beside, &[&first, &second]), Err(SctFault::Signature { .. })), "a bad one of a known log");
    assert_eq!(judge(&beside, &[&first]), Ok(1), "a bad one of an unknown log");
}

// R72; COS-17
#[test]
fn a_timestamp_is_for_one_certificate_and_one_issuer() {
    let (template, other, log) = (Template::new(), Template::new(), TestLog::new());
    let good = log.sign(&template, AT, &[]);
    let logs = [log.trusted()];
    let leaf = template.with(std::slice::from_ref(&good));
    assert_eq!(verify(&leaf, ISSUER_SPKI, &logs).unwrap().len(), 1);
    for (row, found) in [
        ("COS-17 another issuer", verify(&leaf, b"another issuer's key", &logs)),
        ("another certificate", verify(&other.with(&[good]), ISSUER_SPKI, &logs)),
        (
            "signed with the SCT extension in it",
            verify(&template.with(&[log.sign_for(leaf.tbs(), ISSUER_SPKI, AT, &[])]), ISSUER_SPKI, &logs),
        ),
    ] {
        assert!(matches!(found.expect_err(row), SctFault::Signature { .. }), "{row}");
    }
}

// R72
#[test]
fn a_timestamp_lies_in_the_window_of_its_log() {
    let (template, log) = (Template::new(), TestLog::new());
    let leaf = template.with(&[log.sign(&template, AT, &[])]);
    let within = |start, end| {
        let trusted = Log { window: Window { start, end }, ..log.trusted() };
        verify(&leaf, ISSUER_SPKI, &[trusted]).map(|found| found.len())
    };
    let tick = Duration::NANOSECOND;
    assert_eq!(within(AT, Some(AT)), Ok(1), "both ends");
    assert_eq!(within(AT, None), Ok(1), "still in use");
    for fault in [within(AT + tick, None), within(AT - Duration::DAY, Some(AT - tick))] {
        assert_eq!(fault.as_ref().unwrap_err().code(), Code::SctInvalid);
        assert!(matches!(fault, Err(SctFault::Window { .. })));
    }
    let windows = [
        Log { window: Window { start: AT - Duration::DAY, end: Some(AT - tick) }, ..log.trusted() },
        Log { window: Window { start: AT, end: None }, ..log.trusted() },
    ];
    assert_eq!(verify(&leaf, ISSUER_SPKI, &windows).unwrap().len(), 1, "a key listed with two windows");

    let mut never = log.sign(&template, AT, &[]);
    never[33..41].fill(0xff);
    assert!(matches!(judge(&template.with(&[never]), &[&log]), Err(SctFault::Window { .. })), "past all calendars");
}

// R72
#[test]
fn the_algorithm_named_is_the_one_of_the_key() {
    let (template, log) = (Template::new(), TestLog::new());
    let good = log.sign(&template, AT, &[]);
    let at = 1 + 32 + 8 + 2;
    assert_eq!(good[at..at + 2], ECDSA_SHA256);
    for named in [[4, 1], [4, 0], [4, 2], [2, 3], [0, 3], [8, 4], [8, 7], [0xff, 0xff]] {
        let mut changed = good.clone();
        changed[at..at + 2].copy_from_slice(&named);
        let fault = judge(&template.with(&[changed]), &[&log]).unwrap_err();
        assert!(matches!(fault, SctFault::Algorithm { .. }), "{named:?}: {fault}");
    }
    let mut other_hash = good;
    other_hash[at] = 5;
    assert!(matches!(judge(&template.with(&[other_hash]), &[&log]), Err(SctFault::Signature { .. })));
}

// R72: the log saw the certificate's own bytes
#[test]
fn only_the_timestamps_are_taken_out() {
    let (template, log) = (Template::new(), TestLog::new());
    let odd = tlv(0x30, &[tlv(6, &[0x2a, 3, 4]), tlv(1, &[0]), tlv(4, &[5, 0])].concat());
    let big = extension(&[0x2a, 3, 5], &vec![7; 60_000]);
    for (row, others) in [
        ("as it is", template.extensions.clone()),
        ("a default written out", [template.extensions.clone(), vec![odd]].concat()),
        ("lengths that grow a byte", [template.extensions.clone(), vec![big]].concat()),
    ] {
        let logged = template.tbs_of(&others);
        let value = list(&[log.sign_for(&logged, ISSUER_SPKI, AT, &[])]);
        for at in 0..=others.len() {
            let mut all = others.clone();
            all.insert(at, extension(SCT_LIST.as_bytes(), &value));
            let tbs = template.tbs_of(&all);
            assert_eq!(precertificate::signed_part(&tbs).unwrap(), logged, "{row}, at {at}");
            assert_eq!(judge(&certificate(&tbs), &[&log]), Ok(1), "{row}, at {at}");
        }
    }
    let poison = [extension(&[0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 3], &[5, 0])];
    assert_eq!(precertificate::signed_part(&template.tbs(&poison)).unwrap(), template.tbs(&[]));
    assert!(precertificate::signed_part(&tlv(0x30, &template.fields)).is_err(), "no extensions at all");
}

#[test]
fn malformed_lists_are_refused() {
    let (template, log) = (Template::new(), TestLog::new());
    let sct = log.sign(&template, AT, &[]);
    let serialized = tls(&sct);
    let unknown = { [&[0][..], &[9; 32], &sct[33..]].concat() };
    let octets = |content: &[u8]| tlv(4, content);
    let wrap = |timestamp: &[u8]| list(&[timestamp.to_vec()]);
    for (row, value) in [
        ("no octet string", tls(&serialized)),
        ("another type", tlv(0x30, &tls(&serialized))),
        ("something after it", [octets(&tls(&serialized)), vec![0]].concat()),
        ("nothing", octets(&[])),
        ("half a length", octets(&[0])),
        ("an empty list", octets(&[0, 0])),
        ("a list that is too short", octets(&tls(&serialized)[..20])),
        ("something after the list", octets(&[tls(&serialized), vec![0]].concat())),
        ("an empty timestamp", octets(&tls(&[0, 0]))),
        ("a timestamp past the list", octets(&tls(&[0xff, 0xff, 0]))),
        ("a timestamp cut short", wrap(&sct[..sct.len() - 1])),
        ("something after the signature", wrap(&[&sct[..], &[0]].concat())),
        ("no signature", wrap(&sct[..45])),
        ("extensions past the timestamp", wrap(&[&sct[..41], &[0xff, 0xff]].concat())),
        ("cut short, of an unknown log", wrap(&unknown[..unknown.len() - 1])),
        ("a good one before", octets(&tls(&[serialized.clone(), vec![0, 1, 0]].concat()))),
    ] {
        let fault = judge(&template.with_value(&value), &[&log]).expect_err(row);
        assert!(matches!(fault, SctFault::Malformed { .. }), "{row}: {fault}");
        assert_eq!(fault.code(), Code::SctInvalid, "{row}");
    }
    let mut next = sct;
    next[0] = 1;
    assert_eq!(judge(&template.with(&[next]), &[&log]), Err(SctFault::Version { version: 1 }));
}

#[test]
fn lists_are_bounded() {
    let (template, log) = (Template::new(), TestLog::new());
    let sct = log.sign(&template, AT, &[]);
    assert_eq!(judge(&template.with(&vec![sct.clone(); 16]), &[&log]), Ok(1));
    let fault = judge(&template.with(&vec![sct; 17]), &[&log]).unwrap_err();
    assert_eq!((fault.code(), fault), (Code::LimitExceeded, SctFault::TooMany { limit: 16 }));
    // Filled up with extensions. The length of an ECDSA signature varies, so some tries are needed.
    let of_size = |size: usize| {
        let empty = list(&[log.sign(&template, AT, &[0; 10_000])]).len() - 10_000;
        (0..200).find_map(|_| {
            let value = list(&[log.sign(&template, AT, &vec![0; size - empty])]);
            (value.len() == size).then_some(value)
        })
    };
    let value = of_size(16 * 1024).unwrap();
    assert_eq!(judge(&template.with_value(&value), &[&log]), Ok(1));
    let value = of_size(16 * 1024 + 1).unwrap();
    let fault = judge(&template.with_value(&value), &[&log]).unwrap_err();
    assert_eq!((fault.code(), fault), (Code::LimitExceeded, SctFault::TooLarge { size: 16_385, limit: 16_384 }));
}

// R117: no byte that the log signed can change unnoticed
#[test]
fn a_flipped_bit_of_the_leaf_never_passes() {
    let (template, log) = (Template::new(), TestLog::new());
    let good = template.with(&[log.sign(&template, AT, &[])]);
    assert_eq!(judge(&good, &[&log]), Ok(1));
    let logs = [log.trusted()];
    for at in 0..good.tbs().len() * 8 {
        let mut tbs = good.tbs().to_vec();
        tbs[at / 8] ^= 1 << (at % 8);
        let Ok(changed) = Certificate::parse(&certificate_der(&tbs)) else { continue };
        let found = verify(&changed, ISSUER_SPKI, &logs);
        assert!(found.is_err() || found.is_ok_and(|found| found.is_empty()), "bit {at}");
    }
}

proptest! {
    // R116
    #[test]
    fn arbitrary_lists_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for value in [bytes.clone(), tlv(4, &bytes), tlv(4, &tls(&bytes)), list(std::slice::from_ref(&bytes))] {
            if let Ok(timestamps) = list::parse(&value) {
                prop_assert!(!timestamps.is_empty());
            }
        }
    }

    // R116
    #[test]
    fn arbitrary_signed_parts_are_taken_apart_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = precertificate::signed_part(&bytes);
        let _ = precertificate::signed_part(&tlv(0x30, &tlv(0xa3, &tlv(0x30, &bytes))));
    }
}
