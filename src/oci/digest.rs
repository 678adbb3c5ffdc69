//! Digests: `sha256:` and `sha512:` with lower-case hex, nothing else.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest;

/// A hash algorithm that the OCI image specification registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A digest whose algorithm is known and whose length fits it.
///
/// Rule: OCI image specification v1.1, "Digests".
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

/// Why text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// Neither `sha256:` nor `sha512:`.
    #[error("digest algorithm is neither sha256 nor sha512")]
    Algorithm,
    /// Not lower-case hex of the algorithm's length.
    #[error("digest is not {expected} lower-case hex digits after {algorithm}:")]
    Hex {
        /// The algorithm named.
        algorithm: &'static str,
        /// Hex digits that it wants.
        expected: usize,
    },
}

impl Digest {
    /// Parses `algorithm:hex`.
    ///
    /// # Errors
    /// [`DigestError`]; upper-case hex, other lengths and other algorithms are refused.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = match text.split_once(':') {
            Some(("sha256", hex)) => (Algorithm::Sha256, hex),
            Some(("sha512", hex)) => (Algorithm::Sha512, hex),
            _ => return Err(DigestError::Algorithm),
        };
        let expected = algorithm.bytes() * 2;
        if hex.len() != expected || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(DigestError::Hex { algorithm: algorithm.name(), expected });
        }
        Ok(Self { algorithm, hex: hex.into() })
    }

    /// Hashes `bytes`.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let hash = match algorithm {
            Algorithm::Sha256 => digest::digest(&digest::SHA256, bytes),
            Algorithm::Sha512 => digest::digest(&digest::SHA512, bytes),
        };
        let mut hex = String::with_capacity(algorithm.bytes() * 2);
        for byte in hash.as_ref() {
            for nibble in [byte >> 4, byte & 0xf] {
                hex.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        Self { algorithm, hex: hex.into() }
    }

    /// SHA-256 of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hex digits, without the algorithm.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// The tag under which the referrers tag schema keeps this digest's index: `sha256-<hex>`.
    ///
    /// Rule: OCI distribution specification v1.1, "Referrers Tag Schema": at most 32 characters of algorithm, 64 of
    /// hex; a `sha512` is cut.
    pub fn referrers_tag(&self) -> String {
        let hex: String = self.hex.chars().take(64).collect();
        format!("{}-{hex}", self.algorithm.name())
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REF-07
    #[test]
    fn only_lower_case_sha256_and_sha512_of_the_right_length_are_digests() {
        let hex = |n: usize| "a".repeat(n);
        for (text, ok) in [
            (format!("sha256:{}", hex(64)), true),
            (format!("sha512:{}", hex(128)), true),
            (format!("sha256:{}", hex(63)), false),
            (format!("sha256:{}", hex(65)), false),
            (format!("sha512:{}", hex(64)), false),
            (format!("sha256:{}", hex(64).to_uppercase()), false),
            (format!("SHA256:{}", hex(64)), false),
            ("sha256:../../etc/passwd".to_owned(), false),
            ("sha256:".to_owned(), false),
            (format!("md5:{}", hex(32)), false),
            (format!("sha1:{}", hex(40)), false),
            (String::new(), false),
        ] {
            assert_eq!(Digest::parse(&text).is_ok(), ok, "{text}");
        }
    }

    #[test]
    fn empty_input_has_the_known_digests() {
        assert_eq!(
            Digest::sha256(b"").to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert!(Digest::of(Algorithm::Sha512, b"").to_string().starts_with("sha512:cf83e1357eefb8bd"));
    }
}
