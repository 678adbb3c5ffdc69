//! Keys of every kind that cosign signs with, and of some that it must not. ECDSA and Ed25519 keys are made from a seed; RSA keys
//! cannot be, and differ each time.

use aws_lc_rs::{
    agreement::{self, PrivateKey},
    digest::{self, SHA256, SHA384, SHA512},
    encoding::AsDer as _,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use countersign::demo::sigstore::{der as asn1, key::Key};
use der::asn1::ObjectIdentifier;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256
    P256,
    /// NIST P-384
    P384,
    /// NIST P-521
    P521,
}

/// A hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

/// How RSA signatures are padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// PKCS#1 v1.5
    Pkcs1,
    /// PSS, with SHA-256 only
    Pss,
}

impl Hash {
    /// The algorithm's identifier.
    pub const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Sha256 => ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"),
            Self::Sha384 => ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"),
            Self::Sha512 => ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"),
        }
    }

    /// Its name in bundles.
    pub const fn bundle_name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA2_256",
            Self::Sha384 => "SHA2_384",
            Self::Sha512 => "SHA2_512",
        }
    }

    /// The digest of a message.
    pub fn digest(self, message: &[u8]) -> Vec<u8> {
        digest::digest(self.algorithm(), message).as_ref().to_vec()
    }

    const fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        }
    }
}

/// What the library knows about a curve.
struct Parts {
    oid: ObjectIdentifier,
    agreement: &'static agreement::Algorithm,
    signing: &'static EcdsaSigningAlgorithm,
    /// Bytes of a private key.
    scalar: usize,
    /// The hash that the library signs digests of.
    own: Hash,
}

impl Curve {
    const fn parts(self) -> Parts {
        match self {
            Self::P256 => Parts {
                oid: ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
                agreement: &agreement::ECDH_P256,
                signing: &ECDSA_P256_SHA256_ASN1_SIGNING,
                scalar: 32,
                own: Hash::Sha256,
            },
            Self::P384 => Parts {
                oid: ObjectIdentifier::new_unwrap("1.3.132.0.34"),
                agreement: &agreement::ECDH_P384,
                signing: &ECDSA_P384_SHA384_ASN1_SIGNING,
                scalar: 48,
                own: Hash::Sha384,
            },
            Self::P521 => Parts {
                oid: ObjectIdentifier::new_unwrap("1.3.132.0.35"),
                agreement: &agreement::ECDH_P521,
                signing: &ECDSA_P521_SHA512_ASN1_SIGNING,
                scalar: 66,
                own: Hash::Sha512,
            },
        }
    }
}

/// Bytes of a length, the start or zeros before.
fn fitted(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut fitted = vec![0; length.saturating_sub(bytes.len())];
    fitted.extend(bytes.iter().take(length));
    fitted
}

/// An ECDSA key that signs over a hash: the curve's own, or another.
pub fn ecdsa(seed: &str, name: &str, curve: Curve, hash: Hash) -> Key {
    let Parts { oid, agreement, signing, scalar, own } = curve.parts();
    let secret = fitted(&own.digest(format!("{seed}/{name}").as_bytes()), scalar);
    let private = PrivateKey::from_private_key(agreement, &secret).expect("a scalar");
    let point = private.compute_public_key().expect("a point");
    let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, &secret, point.as_ref()).expect("a key pair");
    let algorithm = asn1::sequence(&[asn1::oid(&EC_PUBLIC_KEY), asn1::oid(&oid)]);
    let spki = asn1::sequence(&[algorithm, asn1::bits(point.as_ref())]);
    let (details, signature) = match (curve, hash) {
        (Curve::P256, Hash::Sha256) => ("PKIX_ECDSA_P256_SHA_256", "1.2.840.10045.4.3.2"),
        (Curve::P384, Hash::Sha256) => ("PKIX_ECDSA_P384_SHA_256", "1.2.840.10045.4.3.2"),
        (Curve::P521, Hash::Sha256) => ("PKIX_ECDSA_P521_SHA_256", "1.2.840.10045.4.3.2"),
        (Curve::P256, Hash::Sha384) => ("PKIX_ECDSA_P256_SHA_384", "1.2.840.10045.4.3.3"),
        (Curve::P384, Hash::Sha384) => ("PKIX_ECDSA_P384_SHA_384", "1.2.840.10045.4.3.3"),
        (Curve::P521, Hash::Sha384) => ("PKIX_ECDSA_P521_SHA_384", "1.2.840.10045.4.3.3"),
        (Curve::P256, Hash::Sha512) => ("PKIX_ECDSA_P256_SHA_512", "1.2.840.10045.4.3.4"),
        (Curve::P384, Hash::Sha512) => ("PKIX_ECDSA_P384_SHA_512", "1.2.840.10045.4.3.4"),
        (Curve::P521, Hash::Sha512) => ("PKIX_ECDSA_P521_SHA_512", "1.2.840.10045.4.3.4"),
    };
    let signature = asn1::sequence(&[asn1::oid(&ObjectIdentifier::new_unwrap(signature))]);
    Key::new(details, spki, signature, move |message| {
        // The library signs digests of one hash a curve. ECDSA takes a digest as a number, cut on the right to the curve's
        // order: zeros on the left of a shorter one, or the start of a longer one, are the same number.
        let length = own.algorithm().output_len();
        let digest = fitted(&hash.digest(message), length);
        let digest = digest::Digest::import_less_safe(&digest, own.algorithm()).expect("a digest of that length");
        Ok(pair.sign_digest(&digest).expect("a signature").as_ref().to_vec())
    })
}

/// An Ed25519 key; it signs the message itself.
pub fn ed25519(seed: &str, name: &str) -> Key {
    let secret = Hash::Sha256.digest(format!("{seed}/{name}").as_bytes());
    let pair = Ed25519KeyPair::from_seed_unchecked(&secret).expect("a key pair");
    let algorithm = asn1::sequence(&[asn1::oid(&ED25519)]);
    let spki = asn1::sequence(&[algorithm.clone(), asn1::bits(pair.public_key().as_ref())]);
    Key::new("PKIX_ED25519", spki, algorithm, move |message| Ok(pair.sign(message).as_ref().to_vec()))
}

/// The 32 bytes of an Ed25519 key.
pub fn ed25519_point(key: &Key) -> Vec<u8> {
    let bytes = key.spki();
    bytes.last_chunk::<32>().expect("32 bytes at the end").to_vec()
}

/// An RSA key.
pub fn rsa(size: KeySize, hash: Hash, padding: Padding) -> Key {
    let pair = RsaKeyPair::generate(size).expect("a key pair");
    let spki = pair.public_key().as_der().expect("a public key").as_ref().to_vec();
    let (encoding, oid): (&'static dyn RsaEncoding, _) = match (padding, hash) {
        (Padding::Pkcs1, Hash::Sha256) => (&RSA_PKCS1_SHA256, "1.2.840.113549.1.1.11"),
        (Padding::Pkcs1, Hash::Sha384) => (&RSA_PKCS1_SHA384, "1.2.840.113549.1.1.12"),
        (Padding::Pkcs1, Hash::Sha512) => (&RSA_PKCS1_SHA512, "1.2.840.113549.1.1.13"),
        (Padding::Pss, _) => (&RSA_PSS_SHA256, "1.2.840.113549.1.1.10"),
    };
    let details = match (padding, size) {
        (Padding::Pkcs1, KeySize::Rsa2048) => "PKIX_RSA_PKCS1V15_2048_SHA256",
        (Padding::Pkcs1, KeySize::Rsa3072) => "PKIX_RSA_PKCS1V15_3072_SHA256",
        (Padding::Pkcs1, _) => "PKIX_RSA_PKCS1V15_4096_SHA256",
        (Padding::Pss, _) => "PKIX_RSA_PSS_2048_SHA256",
    };
    let oid = ObjectIdentifier::new_unwrap(oid);
    let algorithm = asn1::sequence(&[asn1::oid(&oid), asn1::tlv(0x05, &[])]);
    Key::new(details, spki, algorithm, move |message| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), message, &mut signature).expect("a signature");
        Ok(signature)
    })
}
