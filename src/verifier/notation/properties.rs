//! Item 109: whatever a stranger writes is read or refused, never a panic. Tokens, CRLs and OCSP answers: beside their readers.
//! All of them, as a fuzzer sees them: `integration-tests/src/fuzz.rs`.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{
    envelope::{COSE_MEDIA_TYPE, JWS_MEDIA_TYPE},
    identity::Identity,
    testing::integrity,
    trust_policy::TrustPolicyDocument,
};
use crate::crypto::{chain, testing::good_chain};

const JWS: &[u8] = include_bytes!("vectors/es256-chain2.jws");
const COSE: &[u8] = include_bytes!("vectors/es256-chain3.cose");
const POLICY: &str = r#"{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],"signatureVerification":
    {"level":"strict","override":{"expiry":"log"}},"trustStores":["ca:acme"],"trustedIdentities":["x509.subject: C=US, ST=WA, O=a"]}]}"#;

/// One thing done to bytes at some place.
#[derive(Debug, Clone)]
enum Change {
    Cut(Index, Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
    Set(Index, u8),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |index: &Index, bytes: &[u8]| index.index(bytes.len() + 1);
        let span = |a: &Index, b: &Index, bytes: &[u8]| {
            let (a, b) = (place(a, bytes), place(b, bytes));
            a.min(b)..a.max(b)
        };
        match self {
            Self::Cut(a, b) => drop(bytes.drain(span(a, b, bytes))),
            Self::Insert(at, more) => {
                let at = place(at, bytes);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Repeat(a, b) => bytes.extend_from_within(span(a, b, bytes)),
            Self::Set(at, value) => {
                let at = place(at, bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = *value;
                }
            }
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Change::Cut(a, b)),
        (any::<Index>(), vec(any::<u8>(), 1..8)).prop_map(|(at, more)| Change::Insert(at, more)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Change::Repeat(a, b)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, value)| Change::Set(at, value)),
    ];
    vec(change, 1..6)
}

fn spoilt(good: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for change in changes {
        change.apply(&mut bytes);
    }
    bytes
}

proptest! {
    #[test]
    fn a_spoilt_envelope_is_refused_or_says_the_same(changes in changes()) {
        for (media_type, good) in [(JWS_MEDIA_TYPE, JWS), (COSE_MEDIA_TYPE, COSE)] {
            if let Ok(signed) = integrity(media_type, &spoilt(good, &changes)) {
                let whole = integrity(media_type, good).unwrap();
                prop_assert_eq!(signed.target(), whole.target());
            }
        }
    }

    #[test]
    fn any_bytes_are_no_envelope(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(integrity(JWS_MEDIA_TYPE, &bytes).is_err());
        prop_assert!(integrity(COSE_MEDIA_TYPE, &bytes).is_err());
        prop_assert!(integrity(COSE_MEDIA_TYPE, &[&[0xd2, 0x84][..], &bytes].concat()).is_err());
    }

    #[test]
    fn a_spoilt_chain_is_read_or_refused(changes in changes(), at in any::<Index>()) {
        let mut chain = good_chain().der;
        let at = at.index(chain.len());
        chain[at] = spoilt(&chain[at], &changes);
        let _ = chain::parse(&chain).and_then(chain::CodeSigningChain::check);
    }

    #[test]
    fn any_identity_is_read_or_refused(text in "\\PC{0,60}|([A-Z.0-9]{1,4}=[a-z#\\\\,;+ \"]{0,6},? ?){0,6}") {
        let _ = Identity::parse(&text);
    }

    #[test]
    fn a_spoilt_policy_is_read_or_refused(changes in changes()) {
        let _ = TrustPolicyDocument::parse(&spoilt(POLICY.as_bytes(), &changes));
    }
}
