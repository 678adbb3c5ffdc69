//! Bytes that are what their descriptor says.

use bytes::Bytes;

use super::{Descriptor, Digest};
use crate::reason::Code;

/// Bytes proven to have their descriptor's size and digest. One of the places that can say yes.
#[derive(Debug, Clone)]
pub struct Content {
    descriptor: Descriptor,
    bytes: Bytes,
}

/// How bytes differ from their descriptor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// Another digest.
    #[error("content has digest {actual}, its descriptor says {expected}")]
    Digest {
        /// What the descriptor says.
        expected: Digest,
        /// What the bytes hash to.
        actual: Digest,
    },
    /// Another size.
    #[error("content has {actual} bytes, its descriptor says {expected}")]
    Size {
        /// What the descriptor says.
        expected: u64,
        /// What arrived.
        actual: u64,
    },
}

impl ContentError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Digest { .. } => Code::DigestMismatch,
            Self::Size { .. } => Code::SizeMismatch,
        }
    }
}

impl Content {
    /// Checks that `bytes` are what `descriptor` describes. The only constructor.
    ///
    /// # Errors
    /// [`ContentError`]: any changed, missing or extra byte.
    ///
    /// Rule: OCI image specification v1.1, "Descriptors": size first, then digest, before the content is used.
    pub fn check(descriptor: Descriptor, bytes: Bytes) -> Result<Self, ContentError> {
        let actual = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if actual != descriptor.size {
            return Err(ContentError::Size { expected: descriptor.size, actual });
        }
        let actual = Digest::of(descriptor.digest.algorithm(), &bytes);
        if actual != descriptor.digest {
            return Err(ContentError::Digest { expected: descriptor.digest, actual });
        }
        Ok(Self { descriptor, bytes })
    }

    /// What the bytes were proven to be.
    pub const fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The bytes.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_changed_missing_or_extra_byte_is_refused(bytes in proptest::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let descriptor = Descriptor::of("x", &bytes);
            prop_assert!(Content::check(descriptor.clone(), bytes.clone().into()).is_ok());
            let mut changed = bytes.clone();
            changed[at.index(bytes.len())] ^= 1 << bit;
            let refused = matches!(Content::check(descriptor.clone(), changed.into()), Err(ContentError::Digest { .. }));
            prop_assert!(refused);
            let mut short = bytes.clone();
            short.pop();
            let refused = matches!(Content::check(descriptor.clone(), short.into()), Err(ContentError::Size { .. }));
            prop_assert!(refused);
            let mut long = bytes;
            long.push(0);
            let refused = matches!(Content::check(descriptor, long.into()), Err(ContentError::Size { .. }));
            prop_assert!(refused);
        }
    }
}
