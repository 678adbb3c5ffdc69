//! Chains that are known to fit: signers are few, and each of their signatures brings the same certificates along.
//!
//! That a chain fits the profile depends on its bytes alone, on no time and no trust; so what was found of exactly these bytes
//! once holds. Trust, validity and revocation are asked for each signature anew.

use std::{fmt, sync::Arc};

use aws_lc_rs::digest::{Context, SHA256};
use moka::sync::Cache;

use crate::crypto::chain::CodeSigningChain;

/// Bytes of certificates that are kept, as they were transmitted; in memory they take a few times as much.
const MAX_BYTES: u64 = 1 << 20;
/// A chain beyond it is checked each time. Chains in use have 2 to 6 KiB.
const MAX_CHAIN_BYTES: usize = 16 << 10;

/// The SHA-256 of a chain: of each certificate, in order, its length and its bytes.
type Print = [u8; 32];

/// Chains that fit, by what they are made of. Of one generation.
#[derive(Clone)]
pub struct KnownChains(Cache<Print, Arc<CodeSigningChain>>);

impl Default for KnownChains {
    fn default() -> Self {
        let weigh = |_: &Print, chain: &Arc<CodeSigningChain>| {
            let bytes = chain.certificates().iter().fold(0, |sum: usize, one| sum.saturating_add(one.der().len()));
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(MAX_BYTES).weigher(weigh).build())
    }
}

impl fmt::Debug for KnownChains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownChains").field("kept", &self.0.entry_count()).finish()
    }
}

impl KnownChains {
    /// The chain of exactly these certificates, if it is known to fit.
    pub(super) fn find(&self, chain: &[Vec<u8>]) -> Option<Arc<CodeSigningChain>> {
        self.0.get(&print(chain)?)
    }

    /// Keeps a chain that fits.
    pub(super) fn keep(&self, chain: &[Vec<u8>], checked: &Arc<CodeSigningChain>) {
        if let Some(print) = print(chain) {
            self.0.insert(print, Arc::clone(checked));
        }
    }
}

fn print(chain: &[Vec<u8>]) -> Option<Print> {
    let size = chain.iter().fold(0_usize, |sum, der| sum.saturating_add(der.len()));
    if size > MAX_CHAIN_BYTES {
        return None;
    }
    let mut context = Context::new(&SHA256);
    for der in chain {
        context.update(&u64::try_from(der.len()).ok()?.to_be_bytes());
        context.update(der);
    }
    Print::try_from(context.finish().as_ref()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{chain, testing::good_chain};

    #[test]
    fn a_chain_is_known_by_all_of_its_bytes_and_by_their_bounds() {
        let known = KnownChains::default();
        let der = good_chain().der;
        assert!(known.find(&der).is_none());
        let checked = Arc::new(CodeSigningChain::check(chain::parse(&der).unwrap()).unwrap());
        known.keep(&der, &checked);
        assert!(known.find(&der).is_some_and(|found| Arc::ptr_eq(&found, &checked)));

        let flipped = |at: usize| {
            let mut other = der.clone();
            let last = other[at].len() - 1;
            other[at][last] ^= 1;
            other
        };
        let moved = {
            let mut other = der.clone();
            let byte = other[1].remove(0);
            other[0].push(byte);
            other
        };
        let swapped = vec![der[0].clone(), der[2].clone(), der[1].clone()];
        for other in [flipped(0), flipped(1), flipped(2), moved, swapped, der[..2].to_vec(), Vec::new()] {
            assert!(known.find(&other).is_none());
        }
    }

    #[test]
    fn a_large_chain_is_checked_each_time() {
        let known = KnownChains::default();
        let der = good_chain().der;
        let checked = Arc::new(CodeSigningChain::check(chain::parse(&der).unwrap()).unwrap());
        let large = vec![vec![0; MAX_CHAIN_BYTES + 1]];
        known.keep(&large, &checked);
        assert!(known.find(&large).is_none());
    }
}
