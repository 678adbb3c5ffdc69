use proptest::prelude::*;

use super::*;
use crate::{crypto::algorithm::KeyKind, verifier::cosign::pem::PemFault};
use HashAlgorithm::{Sha256, Sha384, Sha512};

macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!("../vectors/keys/", $name)).as_slice()
    };
}

const MESSAGE: &[u8] = b"what was signed";

fn key(pem: &[u8], hash: Option<HashAlgorithm>) -> Key {
    Key::parse("test", pem, hash).unwrap()
}

fn fault(file: impl AsRef<[u8]>) -> KeyFault {
    Key::parse("test", file.as_ref(), None).unwrap_err()
}

fn text(pem: &[u8]) -> String {
    String::from_utf8(pem.to_vec()).unwrap()
}

fn block(label: &str, base64: &str) -> String {
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

/// A signature by a key, and what it is expected to be worth without a configured hash and with each.
type Row = (&'static str, &'static [u8], &'static [u8], Option<HashAlgorithm>, bool);

const ROWS: &[Row] = &[
    ("P-256", vector!("p256.pem"), vector!("p256.sha256.sig"), Some(Sha256), true),
    ("P-256 with another hash", vector!("p256.pem"), vector!("p256.sha384.sig"), Some(Sha384), false),
    ("P-256 with SHA-512", vector!("p256.pem"), vector!("p256.sha512.sig"), Some(Sha512), false),
    ("P-384", vector!("p384.pem"), vector!("p384.sha384.sig"), Some(Sha384), true),
    ("P-384 as cosign 2 signs", vector!("p384.pem"), vector!("p384.sha256.sig"), Some(Sha256), true),
    ("P-384 with SHA-512", vector!("p384.pem"), vector!("p384.sha512.sig"), Some(Sha512), false),
    ("P-521", vector!("p521.pem"), vector!("p521.sha512.sig"), Some(Sha512), true),
    ("P-521 as cosign 2 signs", vector!("p521.pem"), vector!("p521.sha256.sig"), Some(Sha256), true),
    ("P-521 with SHA-384", vector!("p521.pem"), vector!("p521.sha384.sig"), Some(Sha384), false),
    ("RSA 2048", vector!("rsa2048.pem"), vector!("rsa2048.sha256.sig"), Some(Sha256), true),
    ("RSA 2048 as PKCS#1", vector!("rsa2048-pkcs1.pem"), vector!("rsa2048.sha256.sig"), Some(Sha256), true),
    ("RSA 2048 with SHA-512", vector!("rsa2048.pem"), vector!("rsa2048.sha512.sig"), Some(Sha512), false),
    ("RSA 3072", vector!("rsa3072.pem"), vector!("rsa3072.sha256.sig"), Some(Sha256), true),
    ("RSA 3072 with SHA-384", vector!("rsa3072.pem"), vector!("rsa3072.sha384.sig"), Some(Sha384), false),
    ("RSA 4096", vector!("rsa4096.pem"), vector!("rsa4096.sha256.sig"), Some(Sha256), true),
    ("RSA 4096 with SHA-512", vector!("rsa4096.pem"), vector!("rsa4096.sha512.sig"), Some(Sha512), false),
    ("Ed25519", vector!("ed25519.pem"), vector!("ed25519.sig"), None, true),
];

// R53, R54, R55
#[test]
fn a_signature_verifies_by_default_as_cosign_signs_and_else_by_the_hash_that_is_configured() {
    for (name, pem, signature, made_with, by_default) in ROWS {
        assert_eq!(key(pem, None).verify(MESSAGE, signature).is_ok(), *by_default, "{name}, no hash configured");
        for configured in [Sha256, Sha384, Sha512] {
            let Ok(key) = Key::parse("test", pem, Some(configured)) else {
                assert_eq!(*made_with, None, "{name}");
                continue;
            };
            let verified = key.verify(MESSAGE, signature);
            assert_eq!(verified.is_ok(), Some(configured) == *made_with, "{name}, {configured} configured");
        }
    }
}

#[test]
fn a_digest_verifies_where_the_message_does_and_never_for_a_key_that_signs_messages() {
    for (name, pem, signature, made_with, by_default) in ROWS {
        let key = key(pem, None);
        let Some(hash) = made_with else {
            let digest = Sha512.digest(MESSAGE);
            let refused = key.verify_digest(Sha512, digest.as_ref(), signature);
            assert_eq!(refused, Err(SchemeError::NeedsMessage { key: KeyKind::Ed25519, hash: Sha512 }), "{name}");
            continue;
        };
        let verified = key.verify_digest(*hash, hash.digest(MESSAGE).as_ref(), signature);
        assert_eq!(verified.is_ok(), *by_default, "{name}");
        let other = key.verify_digest(*hash, hash.digest(b"another message").as_ref(), signature);
        assert!(other.is_err(), "{name}, another message");
        let cut = key.verify_digest(*hash, &hash.digest(MESSAGE).as_ref()[1..], signature);
        assert!(cut.is_err(), "{name}, a digest that is too short");
    }
}

// R58
#[test]
fn another_key_of_the_same_kind_or_another_message_or_signature_is_refused() {
    let key = key(vector!("p256.pem"), None);
    let good = vector!("p256.sha256.sig");
    let invalid = Err(SchemeError::Invalid { key: key.public.kind().clone() });
    assert_eq!(key.verify(MESSAGE, good), Ok(()));
    assert_eq!(key.verify(b"what was not signed", good), invalid);
    assert_eq!(key.verify(MESSAGE, b""), invalid);
    let (rsa, pss) = (self::key(vector!("rsa2048.pem"), None), vector!("rsa2048-pss.sha256.sig"));
    assert_eq!(rsa.verify(MESSAGE, pss), Err(SchemeError::Invalid { key: rsa.public.kind().clone() }), "PSS");
    assert!(self::key(vector!("rsa3072.pem"), None).verify(MESSAGE, vector!("rsa2048.sha256.sig")).is_err());
    for at in 0..good.len() {
        let mut flipped = good.to_vec();
        flipped[at] ^= 1;
        assert_eq!(key.verify(MESSAGE, &flipped), invalid, "byte {at} flipped");
    }
}

#[test]
fn an_ecdsa_signature_as_raw_r_and_s_is_refused() {
    let der = vector!("p256.sha256.sig");
    let part = |from: usize| {
        let length = usize::from(der[from + 1]);
        let number = &der[from + 2..from + 2 + length];
        let mut fixed = vec![0; 32 - number.len().min(32)];
        fixed.extend_from_slice(&number[number.len().saturating_sub(32)..]);
        fixed
    };
    let raw = [part(2), part(4 + usize::from(der[3]))].concat();
    assert_eq!(raw.len(), 64);
    assert!(key(vector!("p256.pem"), None).verify(MESSAGE, &raw).is_err());
}

#[test]
fn a_key_is_known_by_the_hash_of_its_spki_however_its_file_is_written() {
    let p256 = key(vector!("p256.pem"), None);
    assert_eq!(p256.id(), "071042788bcee25b344b85a1b5fda01de7e3554036d4683dbb4077d1d2b61ec8");
    assert_eq!(p256.hint(), "BxBCeIvO4ls0S4Whtf2gHefjVUA21Gg9u0B30dK2Hsg=");
    assert_eq!(key(vector!("rsa2048-pkcs1.pem"), None).id(), key(vector!("rsa2048.pem"), None).id());
    let crlf = text(vector!("p256.pem")).replace('\n', "\r\n");
    assert_eq!(key(format!("\n{crlf}\n ").as_bytes(), Some(Sha256)).id(), p256.id());
    assert!(p256.window.is_none());
}

// R57, COS-37
#[test]
fn a_file_that_is_not_exactly_one_public_key_is_refused() {
    let good = text(vector!("p256.pem"));
    let other = text(vector!("rsa2048.pem"));
    let base64: String = good.lines().filter(|line| !line.starts_with('-')).collect();
    let private = |label: &str| KeyFault::Private { label: label.to_owned() };
    for (name, file, expected) in [
        ("empty", String::new(), KeyFault::Empty),
        ("white space", " \n\t".into(), KeyFault::Empty),
        ("junk", "not a key\n".into(), KeyFault::NotPem),
        ("base64 without a block", base64.clone(), KeyFault::NotPem),
        ("private", block("PRIVATE KEY", "AAAA"), private("PRIVATE KEY")),
        ("private EC", block("EC PRIVATE KEY", "AAAA"), private("EC PRIVATE KEY")),
        ("encrypted", block("ENCRYPTED PRIVATE KEY", "AAAA"), private("ENCRYPTED PRIVATE KEY")),
        ("cosign's", block("ENCRYPTED SIGSTORE PRIVATE KEY", "AAAA"), private("ENCRYPTED SIGSTORE PRIVATE KEY")),
        ("cosign's old", block("ENCRYPTED COSIGN PRIVATE KEY", "AAAA"), private("ENCRYPTED COSIGN PRIVATE KEY")),
        ("private behind public", format!("{good}{}", block("PRIVATE KEY", "AAAA")), private("PRIVATE KEY")),
        ("two keys", format!("{good}{other}"), KeyFault::Several { count: 2 }),
        ("the same twice", format!("{good}{good}"), KeyFault::Several { count: 2 }),
        ("certificate", block("CERTIFICATE", &base64), KeyFault::Certificate),
        ("other label", block("EC PARAMETERS", "AAAA"), KeyFault::Label { label: "EC PARAMETERS".into() }),
        ("text before", format!("# release key\n{good}"), KeyFault::Pem(PemFault::Surroundings)),
        ("text behind", format!("{good}# release key\n"), KeyFault::Pem(PemFault::Surroundings)),
        ("byte order mark", format!("\u{feff}{good}"), KeyFault::Pem(PemFault::Surroundings)),
        ("no end", good.replace("-----END PUBLIC KEY-----", ""), KeyFault::Pem(PemFault::Malformed)),
        ("other end", good.replace("END PUBLIC", "END RSA PUBLIC"), KeyFault::Pem(PemFault::Malformed)),
        (
            "no line break",
            format!("-----BEGIN PUBLIC KEY-----{base64}-----END PUBLIC KEY-----"),
            KeyFault::Pem(PemFault::Malformed),
        ),
        ("headers", good.replacen('\n', "\nProc-Type: 4,ENCRYPTED\n\n", 1), KeyFault::Pem(PemFault::Malformed)),
        ("base64 cut", block("PUBLIC KEY", base64.get(..33).unwrap()), KeyFault::Pem(PemFault::Malformed)),
        ("no base64", block("PUBLIC KEY", ""), KeyFault::Pem(PemFault::Malformed)),
        ("URL-safe base64", good.replace(['+', '/'], "-"), KeyFault::Pem(PemFault::Malformed)),
    ] {
        assert_eq!(fault(&file), expected, "{name}");
        assert_eq!(expected.code(), crate::reason::Code::NoTrust, "{name}");
    }
    assert!(good.contains(['+', '/']), "the vector shows the URL-safe row");
    let der = STANDARD.decode(&base64).unwrap();
    assert_eq!(fault(&der), KeyFault::NotPem, "DER");
    assert_eq!(fault(&der[26..]), KeyFault::NotPem, "raw bytes");
    for (name, label, der) in [
        ("DER cut", "PUBLIC KEY", &der[..20]),
        ("DER with more behind it", "PUBLIC KEY", &[der.as_slice(), b"x"].concat()),
        ("SPKI under the PKCS#1 label", "RSA PUBLIC KEY", der.as_slice()),
    ] {
        let file = block(label, &STANDARD.encode(der));
        assert!(matches!(fault(&file), KeyFault::Malformed(_)), "{name}");
    }
}

#[test]
fn pkcs1_under_the_spki_label_is_refused() {
    let file = text(vector!("rsa2048-pkcs1.pem")).replace("RSA PUBLIC", "PUBLIC");
    assert!(matches!(fault(file), KeyFault::Malformed(_)));
}

// R53, R56, COS-37
#[test]
fn keys_that_may_not_sign_are_refused() {
    for (name, pem) in [
        ("secp256k1", vector!("secp256k1.pem")),
        ("explicit curve", vector!("p256-explicit.pem")),
        ("compressed point", vector!("p256-compressed.pem")),
        ("point off the curve", vector!("p256-off-curve.pem")),
        ("exponent 3", vector!("rsa2048-e3.pem")),
        ("RSA-PSS only", vector!("rsapss.pem")),
    ] {
        assert!(matches!(fault(pem), KeyFault::Unsupported(SchemeError::Key { .. })), "{name}");
    }
    for pem in [vector!("rsa1024.pem"), vector!("rsa1024-pkcs1.pem")] {
        assert_eq!(fault(pem), KeyFault::SmallRsa { bits: 1024 });
    }
    let hash = Key::parse("test", vector!("ed25519.pem"), Some(Sha512)).unwrap_err();
    assert_eq!(hash, KeyFault::HashForEd25519 { hash: Sha512 });
}

#[test]
fn a_file_is_read_up_to_its_limit() {
    let padded = |size: usize| {
        let mut file = vector!("p256.pem").to_vec();
        file.resize(size, b'\n');
        Key::parse("test", &file, None)
    };
    assert!(padded(MAX_KEY_FILE_BYTES).is_ok());
    let fault = padded(MAX_KEY_FILE_BYTES + 1).unwrap_err();
    assert_eq!(fault, KeyFault::TooLarge { size: MAX_KEY_FILE_BYTES + 1, limit: MAX_KEY_FILE_BYTES });
}

#[test]
fn a_fault_repeats_nothing_of_a_private_key() {
    let file = block("PRIVATE KEY", "c2VjcmV0");
    assert!(!format!("{:?} {}", fault(&file), fault(&file)).contains("c2VjcmV0"));
    let long = block(&"A".repeat(1000), "AAAA");
    assert_eq!(fault(long), KeyFault::Label { label: "A".repeat(64) });
}

// R116
proptest! {
    #[test]
    fn any_bytes_return(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Key::parse("test", &bytes, None).is_err());
    }

    #[test]
    fn any_block_returns(der in proptest::collection::vec(any::<u8>(), 0..200), pkcs1 in any::<bool>()) {
        let label = if pkcs1 { "RSA PUBLIC KEY" } else { "PUBLIC KEY" };
        prop_assert!(Key::parse("test", block(label, &STANDARD.encode(der)).as_bytes(), None).is_err());
    }
}
