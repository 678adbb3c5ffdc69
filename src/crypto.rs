//! Keys, certificates and chains: pure, synchronous, without a clock.
//!
//! ```text
//! DER ──parse──► x509::Certificate ──► PublicKey ──of_key──► algorithm::SignatureAlgorithm ──verify──► ()
//!                        │
//!                        ├──in the order given──► chain::CodeSigningChain
//!                        ├──► PublicKey ──of_key──► scheme::Scheme (Sigstore) ──verify──► ()
//!                        ├──anchors, paths──► tsp::Timestamp ──verify──► tsp::VerifiedTime
//!                        └──with its issuer─┬─► ocsp::Response ──verify──► ocsp::Statement
//!                                           └─► crl::Crl ──verify──► crl::VerifiedCrl ──lookup──► crl::Listing
//! ```
//!
//! What was signed is always verified over the bytes as transmitted; nothing is encoded again.

pub mod algorithm;
pub mod chain;
pub mod crl;
pub mod describe;
pub mod dsse;
pub mod ocsp;
mod primitive;
pub(crate) mod read;
pub mod scheme;
#[cfg(test)]
pub(crate) mod testing;
pub mod tsp;
pub mod x509;

pub(crate) use read::hex;
