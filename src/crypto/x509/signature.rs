//! Signatures on certificates, and on what their issuers say of them (CRL, OCSP): RSA PKCS#1 and PSS, ECDSA, with SHA-2. SHA-1 and MD5 are refused everywhere (D4).

use std::fmt;

use aws_lc_rs::signature as aws;
use der::{
    Decode as _, Reader as _, SliceReader, Tag, TagNumber,
    asn1::{AnyRef, ObjectIdentifier, UintRef},
};

use crate::crypto::{
    algorithm::{KeyKind, PublicKey},
    primitive, read,
    scheme::HashAlgorithm,
};

/// Why a signature on a certificate, CRL or OCSP response does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateSignatureError {
    /// The signature is wrong.
    #[error("signature ({algorithm}) does not verify with the {key} key")]
    Invalid {
        /// The algorithm.
        algorithm: String,
        /// The issuer's key.
        key: KeyKind,
    },
    /// The algorithm is not one for this key.
    #[error("signature algorithm {algorithm} does not fit a {key} key")]
    Key {
        /// The algorithm.
        algorithm: String,
        /// The issuer's key.
        key: KeyKind,
    },
    /// The algorithm's parameters are not the ones it must have.
    #[error("signature algorithm {algorithm} has parameters that are not allowed")]
    Parameters {
        /// The algorithm.
        algorithm: ObjectIdentifier,
    },
    /// Not an algorithm that is supported.
    #[error("signature algorithm {algorithm} is not supported")]
    Unsupported {
        /// The algorithm.
        algorithm: ObjectIdentifier,
    },
    /// A hash that no longer proves anything.
    #[error("signature uses {hash}, which is refused")]
    WeakHash {
        /// The hash.
        hash: &'static str,
    },
}

fn hash_named(oid: ObjectIdentifier) -> Option<HashAlgorithm> {
    const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
    const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
    const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
    match oid {
        SHA256 => Some(HashAlgorithm::Sha256),
        SHA384 => Some(HashAlgorithm::Sha384),
        SHA512 => Some(HashAlgorithm::Sha512),
        _ => None,
    }
}

/// Bytes of its digests.
const fn digest_bytes(hash: HashAlgorithm) -> u8 {
    match hash {
        HashAlgorithm::Sha256 => 32,
        HashAlgorithm::Sha384 => 48,
        HashAlgorithm::Sha512 => 64,
    }
}

#[derive(Debug, Clone, Copy)]
enum Scheme {
    Ecdsa(HashAlgorithm),
    Pkcs1(HashAlgorithm),
    Pss(HashAlgorithm),
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ecdsa(hash) => write!(f, "ECDSA with {hash}"),
            Self::Pkcs1(hash) => write!(f, "RSA PKCS#1 with {hash}"),
            Self::Pss(hash) => write!(f, "RSA PSS with {hash}"),
        }
    }
}

/// Verifies `signature` over `tbs` as transmitted. `algorithm`: the DER `AlgorithmIdentifier`.
pub(crate) fn verify(
    algorithm: &[u8],
    key: &PublicKey,
    tbs: &[u8],
    signature: &[u8],
) -> Result<(), CertificateSignatureError> {
    let scheme = scheme_of(algorithm)?;
    let said = || (scheme.to_string(), key.kind().clone());
    let Some(primitive) = primitive_of(scheme, key.kind()) else {
        let (algorithm, key) = said();
        return Err(CertificateSignatureError::Key { algorithm, key });
    };
    aws::UnparsedPublicKey::new(primitive, key.bytes()).verify(tbs, signature).map_err(|_| {
        let (algorithm, key) = said();
        CertificateSignatureError::Invalid { algorithm, key }
    })
}

/// The hash that a signature's DER `AlgorithmIdentifier` names.
pub(crate) fn hash_of(algorithm: &[u8]) -> Result<HashAlgorithm, CertificateSignatureError> {
    let (Scheme::Ecdsa(hash) | Scheme::Pkcs1(hash) | Scheme::Pss(hash)) = scheme_of(algorithm)?;
    Ok(hash)
}

fn primitive_of(scheme: Scheme, key: &KeyKind) -> Option<&'static dyn aws::VerificationAlgorithm> {
    match (scheme, key) {
        (Scheme::Pkcs1(hash), KeyKind::Rsa { .. }) => Some(primitive::pkcs1(hash)),
        (Scheme::Pss(hash), KeyKind::Rsa { .. }) => Some(primitive::pss(hash)),
        (Scheme::Ecdsa(hash), KeyKind::Ec(curve)) => Some(primitive::ecdsa(*curve, hash)),
        (Scheme::Ecdsa(_) | Scheme::Pkcs1(_) | Scheme::Pss(_), _) => None,
    }
}

const PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");

const SCHEMES: [(ObjectIdentifier, Scheme); 6] = [
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"), Scheme::Pkcs1(HashAlgorithm::Sha256)),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"), Scheme::Pkcs1(HashAlgorithm::Sha384)),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"), Scheme::Pkcs1(HashAlgorithm::Sha512)),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"), Scheme::Ecdsa(HashAlgorithm::Sha256)),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"), Scheme::Ecdsa(HashAlgorithm::Sha384)),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"), Scheme::Ecdsa(HashAlgorithm::Sha512)),
];

const WEAK: [(ObjectIdentifier, &str); 8] = [
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.2"), "MD2"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.3"), "MD4"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.4"), "MD5"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5"), "SHA-1"),
    (ObjectIdentifier::new_unwrap("1.3.14.3.2.29"), "SHA-1"),
    (ObjectIdentifier::new_unwrap("1.2.840.10040.4.3"), "SHA-1"),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.1"), "SHA-1"),
    (ObjectIdentifier::new_unwrap("1.3.14.3.2.26"), "SHA-1"),
];

fn scheme_of(algorithm: &[u8]) -> Result<Scheme, CertificateSignatureError> {
    let unreadable = |_| CertificateSignatureError::Parameters { algorithm: PSS };
    let (oid, parameters) = read::only_sequence(algorithm).and_then(oid_and_parameters).map_err(unreadable)?;
    if let Some((_, hash)) = WEAK.iter().find(|(weak, _)| *weak == oid) {
        return Err(CertificateSignatureError::WeakHash { hash });
    }
    if oid == PSS {
        return pss(parameters);
    }
    let Some((_, scheme)) = SCHEMES.iter().find(|(known, _)| *known == oid) else {
        return Err(CertificateSignatureError::Unsupported { algorithm: oid });
    };
    // RFC 4055 §5: NULL, and absent is accepted; RFC 5758 §3.2: absent for ECDSA.
    let fits = match scheme {
        Scheme::Ecdsa(_) => parameters.is_none(),
        Scheme::Pkcs1(_) | Scheme::Pss(_) => parameters.is_none_or(AnyRef::is_null),
    };
    if fits { Ok(*scheme) } else { Err(CertificateSignatureError::Parameters { algorithm: oid }) }
}

fn oid_and_parameters(mut reader: SliceReader<'_>) -> der::Result<(ObjectIdentifier, Option<AnyRef<'_>>)> {
    let oid = ObjectIdentifier::decode(&mut reader)?;
    let parameters = if reader.is_finished() { None } else { Some(AnyRef::decode(&mut reader)?) };
    reader.finish((oid, parameters))
}

/// RFC 4055 §3.1, where every field that is absent means SHA-1 or a salt of 20 bytes: so all but the trailer must be
/// there, say one SHA-2 hash twice, and a salt of its length.
fn pss(parameters: Option<AnyRef<'_>>) -> Result<Scheme, CertificateSignatureError> {
    let refused = CertificateSignatureError::Parameters { algorithm: PSS };
    let Some(parameters) = parameters else { return Err(refused) };
    let Ok((hash, mask_hash, salt, trailer)) = pss_fields(parameters) else { return Err(refused) };
    let (Some(hash), Some(mask_hash)) = (hash, mask_hash) else {
        return Err(CertificateSignatureError::WeakHash { hash: "SHA-1" });
    };
    let (Some(hash), Some(mask_hash)) = (hash_named(hash), hash_named(mask_hash)) else { return Err(refused) };
    if hash != mask_hash || salt != Some(digest_bytes(hash)) || trailer != 1 {
        return Err(refused);
    }
    Ok(Scheme::Pss(hash))
}

type PssFields = (Option<ObjectIdentifier>, Option<ObjectIdentifier>, Option<u8>, u8);

fn pss_fields(parameters: AnyRef<'_>) -> der::Result<PssFields> {
    parameters.sequence(|reader| {
        let hash = match explicit(reader, TagNumber::N0)? {
            Some(mut inner) => Some(null_parameters(&mut inner)?),
            None => None,
        };
        let mask_hash = match explicit(reader, TagNumber::N1)? {
            Some(mut outer) => {
                let mut inner = read::content(&mut outer, Tag::Sequence)?;
                outer.finish(())?;
                if ObjectIdentifier::decode(&mut inner)? != MGF1 {
                    return Err(Tag::ObjectIdentifier.value_error());
                }
                Some(null_parameters(&mut inner)?)
            }
            None => None,
        };
        let salt = explicit(reader, TagNumber::N2)?.map(|inner| small(inner)).transpose()?;
        let trailer = explicit(reader, TagNumber::N3)?.map(|inner| small(inner)).transpose()?.unwrap_or(1);
        Ok((hash, mask_hash, salt, trailer))
    })
}

fn explicit<'a>(reader: &mut SliceReader<'a>, number: TagNumber) -> der::Result<Option<SliceReader<'a>>> {
    let tag = Tag::ContextSpecific { constructed: true, number };
    if reader.is_finished() || reader.peek_tag()? != tag {
        return Ok(None);
    }
    read::content(reader, tag).map(Some)
}

/// An `AlgorithmIdentifier` whose parameters are NULL or absent, as the last item of `reader`.
fn null_parameters(reader: &mut SliceReader<'_>) -> der::Result<ObjectIdentifier> {
    let (oid, parameters) = oid_and_parameters(read::content(reader, Tag::Sequence)?)?;
    if !reader.is_finished() || !parameters.is_none_or(AnyRef::is_null) {
        return Err(Tag::Null.value_error());
    }
    Ok(oid)
}

fn small(mut reader: SliceReader<'_>) -> der::Result<u8> {
    let number = UintRef::decode(&mut reader)?;
    reader.finish(())?;
    match number.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(Tag::Integer.value_error()),
    }
}
