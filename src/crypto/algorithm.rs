//! The six signature algorithms of Notary Project envelopes, and the keys they belong to.
//!
//! The key decides the algorithm; what a header says must equal it.
//!
//! Rule: Notary Project signature specification v1.1, "Algorithm Selection".

use std::fmt;

use aws_lc_rs::signature as aws;
use der::{
    Decode as _, Reader as _, Tag,
    asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef},
};

use super::read;
use crate::reason::Code;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ED25519_BYTES: usize = 32;

/// Smallest RSA exponent of a signing key: 1 signs nothing, 3 has a history of forgeries (ENV-28).
const MIN_RSA_EXPONENT: u64 = 65_537;

/// A NIST curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Curve {
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
}

impl Curve {
    fn of(oid: ObjectIdentifier) -> Option<Self> {
        const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
        const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
        const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
        match oid {
            P256 => Some(Self::P256),
            P384 => Some(Self::P384),
            P521 => Some(Self::P521),
            _ => None,
        }
    }

    /// Bytes of an uncompressed point: `04 | x | y`.
    const fn point_bytes(self) -> usize {
        match self {
            Self::P256 => 65,
            Self::P384 => 97,
            Self::P521 => 133,
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        })
    }
}

/// What kind of key, as exactly as a rule needs to know it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// On a NIST curve, as an uncompressed point.
    Ec(Curve),
    /// Ed25519, which signs for Sigstore and not for the Notary Project.
    Ed25519,
    /// Nothing that can verify here; the text says what it is.
    Other(String),
    /// RSA with the exact size of its modulus.
    Rsa {
        /// Bits of the modulus.
        bits: usize,
        /// The public exponent; `None` past 64 bits.
        exponent: Option<u64>,
    },
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ec(curve) => write!(f, "EC {curve}"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other(what) => f.write_str(what),
            Self::Rsa { bits, exponent: Some(exponent) } if *exponent < MIN_RSA_EXPONENT => {
                write!(f, "RSA {bits} with exponent {exponent}")
            }
            Self::Rsa { bits, exponent: Some(_) } => write!(f, "RSA {bits}"),
            Self::Rsa { bits, exponent: None } => write!(f, "RSA {bits} with an exponent past 64 bits"),
        }
    }
}

/// A public key out of a certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    spki: Vec<u8>,
    bytes: Vec<u8>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.kind)
    }
}

impl PublicKey {
    /// Parses a DER `SubjectPublicKeyInfo`. A key of a kind unknown here parses, and then verifies nothing.
    ///
    /// # Errors
    /// Malformed DER; an RSA key whose parameters are not NULL or whose numbers cannot be read.
    ///
    /// Rule: RFC 5280 §4.1.2.7; RFC 3279 §2.3.1 (parameters MUST be NULL), §2.3.5 and RFC 5480 §2.1.1 (named curve).
    pub fn parse(spki: &[u8]) -> der::Result<Self> {
        let mut reader = read::only_sequence(spki)?;
        let mut algorithm = read::content(&mut reader, Tag::Sequence)?;
        let oid = ObjectIdentifier::decode(&mut algorithm)?;
        let parameters = if algorithm.is_finished() { None } else { Some(AnyRef::decode(&mut algorithm)?) };
        algorithm.finish(())?;
        let key = BitStringRef::decode(&mut reader)?;
        reader.finish(())?;
        let bytes = key.as_bytes().ok_or_else(|| Tag::BitString.value_error())?;
        let kind = match oid {
            RSA_ENCRYPTION => rsa_kind(parameters, bytes)?,
            EC_PUBLIC_KEY => ec_kind(parameters, bytes),
            // RFC 8410 §3: parameters MUST be absent.
            ED25519 if parameters.is_none() && bytes.len() == ED25519_BYTES => KeyKind::Ed25519,
            _ => KeyKind::Other(format!("key of type {oid}")),
        };
        Ok(Self { kind, spki: spki.to_vec(), bytes: bytes.to_vec() })
    }

    /// What kind of key.
    pub const fn kind(&self) -> &KeyKind {
        &self.kind
    }

    /// The `SubjectPublicKeyInfo`, as transmitted.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The key without its algorithm: RSA PKCS#1 DER, or the EC point.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn rsa_kind(parameters: Option<AnyRef<'_>>, bytes: &[u8]) -> der::Result<KeyKind> {
    //
    if !parameters.is_some_and(AnyRef::is_null) {
        return Err(Tag::Null.value_error());
    }
    let mut key = read::only_sequence(bytes)?;
    let modulus = UintRef::decode(&mut key)?;
    let exponent = UintRef::decode(&mut key)?;
    key.finish(())?;
    let significant = modulus.as_bytes();
    let leading = significant.first().map_or(0, |byte| byte.leading_zeros());
    let bits = significant.len().saturating_mul(8).saturating_sub(usize::try_from(leading).unwrap_or(0));
    let exponent = exponent.as_bytes();
    let exponent =
        (exponent.len() <= 8).then(|| exponent.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte)));
    Ok(KeyKind::Rsa { bits, exponent })
}

/// Explicit parameters, NULL, other curves, compressed points and infinity are all "something else".
fn ec_kind(parameters: Option<AnyRef<'_>>, point: &[u8]) -> KeyKind {
    let Some(oid) = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok()) else {
        return KeyKind::Other("EC key without a named curve".to_owned());
    };
    match Curve::of(oid) {
        Some(curve) if point.len() == curve.point_bytes() && point.first() == Some(&4) => KeyKind::Ec(curve),
        Some(curve) => KeyKind::Other(format!("EC {curve} key that is no uncompressed point")),
        None => KeyKind::Other(format!("EC key on curve {oid}")),
    }
}

/// The closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SignatureAlgorithm {
    /// RSASSA-PSS with SHA-256, RSA 2048.
    Ps256,
    /// RSASSA-PSS with SHA-384, RSA 3072.
    Ps384,
    /// RSASSA-PSS with SHA-512, RSA 4096.
    Ps512,
    /// ECDSA with SHA-256 on P-256.
    Es256,
    /// ECDSA with SHA-384 on P-384.
    Es384,
    /// ECDSA with SHA-512 on P-521.
    Es512,
}

/// Why an algorithm does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AlgorithmError {
    /// The signature is wrong.
    #[error("{algorithm} signature does not verify with the {key} key")]
    Invalid {
        /// The algorithm.
        algorithm: SignatureAlgorithm,
        /// The key.
        key: KeyKind,
    },
    /// No algorithm belongs to this key.
    #[error("{key} is none of RSA 2048, 3072, 4096, EC P-256, P-384, P-521")]
    Key {
        /// The key.
        key: KeyKind,
    },
    /// The signature cannot be one of this algorithm.
    #[error("{algorithm} signature has {actual} bytes instead of {expected}")]
    Length {
        /// The algorithm.
        algorithm: SignatureAlgorithm,
        /// What the algorithm makes.
        expected: usize,
        /// What there is.
        actual: usize,
    },
    /// The algorithm is not the key's.
    #[error("algorithm {stated} is stated, the {key} key's is {of_key}")]
    Mismatch {
        /// What was stated.
        stated: SignatureAlgorithm,
        /// What belongs to the key.
        of_key: SignatureAlgorithm,
        /// The key.
        key: KeyKind,
    },
}

impl AlgorithmError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Invalid { .. } | Self::Length { .. } => Code::SignatureInvalid,
            Self::Key { .. } | Self::Mismatch { .. } => Code::SignatureAlgorithm,
        }
    }
}

impl SignatureAlgorithm {
    /// All six.
    pub const ALL: [Self; 6] = [Self::Ps256, Self::Ps384, Self::Ps512, Self::Es256, Self::Es384, Self::Es512];

    /// The one algorithm that belongs to a key.
    ///
    /// # Errors
    /// [`AlgorithmError::Key`]. An RSA modulus must have exactly the size: 2047 and 2049 bits are refused (ENV-28).
    pub fn of_key(key: &PublicKey) -> Result<Self, AlgorithmError> {
        let refused = || AlgorithmError::Key { key: key.kind.clone() };
        match &key.kind {
            KeyKind::Ec(Curve::P256) => Ok(Self::Es256),
            KeyKind::Ec(Curve::P384) => Ok(Self::Es384),
            KeyKind::Ec(Curve::P521) => Ok(Self::Es512),
            KeyKind::Rsa { bits, exponent: Some(MIN_RSA_EXPONENT..) } => match bits {
                2048 => Ok(Self::Ps256),
                3072 => Ok(Self::Ps384),
                4096 => Ok(Self::Ps512),
                _ => Err(refused()),
            },
            KeyKind::Ed25519 | KeyKind::Rsa { .. } | KeyKind::Other(_) => Err(refused()),
        }
    }

    /// The algorithm of a JWS `alg`, spelt exactly.
    pub fn from_jose(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.jose_name() == name)
    }

    /// The algorithm of a COSE `alg` (label 1).
    pub fn from_cose(id: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.cose_id() == id)
    }

    /// The name in JWS.
    pub const fn jose_name(self) -> &'static str {
        match self {
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
        }
    }

    /// The number in COSE.
    pub const fn cose_id(self) -> i64 {
        match self {
            Self::Ps256 => -37,
            Self::Ps384 => -38,
            Self::Ps512 => -39,
            Self::Es256 => -7,
            Self::Es384 => -35,
            Self::Es512 => -36,
        }
    }

    /// Bytes of a signature; for ECDSA r and s of fixed length, never DER.
    pub const fn signature_bytes(self) -> usize {
        match self {
            Self::Ps256 => 256,
            Self::Ps384 => 384,
            Self::Ps512 => 512,
            Self::Es256 => 64,
            Self::Es384 => 96,
            Self::Es512 => 132,
        }
    }

    /// Verifies `signature` over `message` as transmitted. PSS salts have the length of the hash, no other (D2).
    ///
    /// # Errors
    /// [`AlgorithmError`]; another algorithm than the key's is refused before the key is used (D3).
    pub fn verify(self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), AlgorithmError> {
        let of_key = Self::of_key(key)?;
        if self != of_key {
            return Err(AlgorithmError::Mismatch { stated: self, of_key, key: key.kind.clone() });
        }
        let (expected, actual) = (self.signature_bytes(), signature.len());
        if actual != expected {
            return Err(AlgorithmError::Length { algorithm: self, expected, actual });
        }
        aws::UnparsedPublicKey::new(self.primitive(), &key.bytes)
            .verify(message, signature)
            .map_err(|_| AlgorithmError::Invalid { algorithm: self, key: key.kind.clone() })
    }

    fn primitive(self) -> &'static dyn aws::VerificationAlgorithm {
        match self {
            Self::Ps256 => &aws::RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &aws::RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &aws::RSA_PSS_2048_8192_SHA512,
            Self::Es256 => &aws::ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &aws::ECDSA_P384_SHA384_FIXED,
            Self::Es512 => &aws::ECDSA_P521_SHA512_FIXED,
        }
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.jose_name())
    }
}
