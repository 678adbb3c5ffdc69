//! What is true of an image, known to the generator and to nobody else.

use serde::{Deserialize, Serialize};

use super::random::Random;

/// What is attached to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Truth {
    /// Everything that is large, deep or endless, and a signature by somebody else.
    Bomb,
    /// Signed by the right signer, and whole.
    Good,
    /// Signed by the right signer; the signature has expired. Where signatures do not: [`Truth::Moved`].
    Expired,
    /// The right signer's signature of another image.
    Moved,
    /// The right signer's signature with one bit flipped.
    Tampered,
    /// Nothing.
    Unsigned,
    /// Signed by somebody else.
    WrongSigner,
}

/// How signatures are stored, and by what they are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// Keyless Sigstore bundles as referrers.
    Bundle,
    /// Notary Project signatures, ES256 in JWS.
    Notation,
    /// cosign's classic `.sig` tag, by a key.
    Sig,
}

/// An image, and whether its verifier must say yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// `host/repository@sha256:…`
    pub digest: String,
    /// `host/repository:v1`
    pub tag: String,
    /// What is attached.
    pub truth: Truth,
}

impl Truth {
    /// All that must be refused, as it is met every day.
    pub const BAD: [Self; 5] = [Self::Expired, Self::Moved, Self::Tampered, Self::Unsigned, Self::WrongSigner];

    /// Whether a yes is right.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Good)
    }

    /// Six of ten are good, the others bad in every way.
    pub fn mixed(random: &mut Random) -> Self {
        if random.happens(600) {
            return Self::Good;
        }
        let place = random.below(Self::BAD.len());
        Self::BAD.get(place).copied().unwrap_or(Self::Unsigned)
    }
}

impl Format {
    /// All.
    pub const ALL: [Self; 3] = [Self::Notation, Self::Sig, Self::Bundle];

    /// First segment of the repositories that have it.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Notation => "notation",
            Self::Sig => "sig",
        }
    }
}
