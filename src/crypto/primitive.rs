//! Which primitive verifies which scheme: ECDSA in DER, RSA PKCS#1 v1.5 and PSS, each with its hash.

use aws_lc_rs::signature::{self as aws, VerificationAlgorithm};

use super::{algorithm::Curve, scheme::HashAlgorithm};

pub(super) const fn ecdsa(curve: Curve, hash: HashAlgorithm) -> &'static dyn VerificationAlgorithm {
    match (curve, hash) {
        (Curve::P256, HashAlgorithm::Sha256) => &aws::ECDSA_P256_SHA256_ASN1,
        (Curve::P256, HashAlgorithm::Sha384) => &aws::ECDSA_P256_SHA384_ASN1,
        (Curve::P256, HashAlgorithm::Sha512) => &aws::ECDSA_P256_SHA512_ASN1,
        (Curve::P384, HashAlgorithm::Sha256) => &aws::ECDSA_P384_SHA256_ASN1,
        (Curve::P384, HashAlgorithm::Sha384) => &aws::ECDSA_P384_SHA384_ASN1,
        (Curve::P384, HashAlgorithm::Sha512) => &aws::ECDSA_P384_SHA512_ASN1,
        (Curve::P521, HashAlgorithm::Sha256) => &aws::ECDSA_P521_SHA256_ASN1,
        (Curve::P521, HashAlgorithm::Sha384) => &aws::ECDSA_P521_SHA384_ASN1,
        (Curve::P521, HashAlgorithm::Sha512) => &aws::ECDSA_P521_SHA512_ASN1,
    }
}

pub(super) const fn pkcs1(hash: HashAlgorithm) -> &'static dyn VerificationAlgorithm {
    match hash {
        HashAlgorithm::Sha256 => &aws::RSA_PKCS1_2048_8192_SHA256,
        HashAlgorithm::Sha384 => &aws::RSA_PKCS1_2048_8192_SHA384,
        HashAlgorithm::Sha512 => &aws::RSA_PKCS1_2048_8192_SHA512,
    }
}

pub(super) const fn pss(hash: HashAlgorithm) -> &'static dyn VerificationAlgorithm {
    match hash {
        HashAlgorithm::Sha256 => &aws::RSA_PSS_2048_8192_SHA256,
        HashAlgorithm::Sha384 => &aws::RSA_PSS_2048_8192_SHA384,
        HashAlgorithm::Sha512 => &aws::RSA_PSS_2048_8192_SHA512,
    }
}
