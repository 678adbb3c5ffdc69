//! Fuzz targets: each takes bytes that a stranger may write, and countersign's public face.
//!
//! ```text
//! fuzz/fuzz_targets/NAME.rs ──► fuzz::NAME ◄── tests/fuzz_smoke.rs: seeds and their mutations, plain `cargo test`
//!                                   │
//!                            fixtures/corpus/NAME/{good,bad}-*
//! ```
//!
//! A target fails by a panic. None of them may panic whatever the bytes are, and what is accepted must be true: signed evidence says
//! only what a `good-*` seed says (nobody who fuzzes has the keys), and what was parsed and printed is parsed again as the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use countersign::reason;

mod mutate;
mod notary;
mod sigstore;
mod text;

pub use mutate::Mutator;
pub use notary::{certificate_file, chain, cose, crl, dn, jws, ocsp, timestamp, trust_policy};
pub use sigstore::{
    bundle, checkpoint, dsse, public_key, rekor_body, sct_list, signing_certificate, simple_signing, statement,
    trusted_root,
};
pub use text::{configuration, json, manifest, reference, scope};

/// What became of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// They are what they should be.
    Accepted,
    /// They are not, and an error says so.
    Refused,
}

/// A target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Of its file in `fuzz/fuzz_targets` and its folder in the corpus.
    pub name: &'static str,
    /// What it does.
    pub run: fn(&[u8]) -> Read,
    /// How many mutations the smoke test makes: fewer where each verifies several signatures.
    pub rounds: u32,
}

/// All targets.
pub const TARGETS: [Target; 24] = [
    Target { name: "bundle", run: bundle, rounds: 500 },
    Target { name: "certificate_file", run: certificate_file, rounds: 2000 },
    Target { name: "chain", run: chain, rounds: 2000 },
    Target { name: "checkpoint", run: checkpoint, rounds: 500 },
    Target { name: "configuration", run: configuration, rounds: 1000 },
    Target { name: "cose", run: cose, rounds: 2000 },
    Target { name: "crl", run: crl, rounds: 2000 },
    Target { name: "dn", run: dn, rounds: 2000 },
    Target { name: "dsse", run: dsse, rounds: 2000 },
    Target { name: "json", run: json, rounds: 2000 },
    Target { name: "jws", run: jws, rounds: 2000 },
    Target { name: "manifest", run: manifest, rounds: 2000 },
    Target { name: "ocsp", run: ocsp, rounds: 2000 },
    Target { name: "public_key", run: public_key, rounds: 2000 },
    Target { name: "reference", run: reference, rounds: 2000 },
    Target { name: "rekor_body", run: rekor_body, rounds: 500 },
    Target { name: "scope", run: scope, rounds: 2000 },
    Target { name: "sct_list", run: sct_list, rounds: 2000 },
    Target { name: "signing_certificate", run: signing_certificate, rounds: 2000 },
    Target { name: "simple_signing", run: simple_signing, rounds: 2000 },
    Target { name: "statement", run: statement, rounds: 2000 },
    Target { name: "timestamp", run: timestamp, rounds: 1000 },
    Target { name: "trust_policy", run: trust_policy, rounds: 2000 },
    Target { name: "trusted_root", run: trusted_root, rounds: 500 },
];

/// Longest sentence about any input.
const MAX_SAID_BYTES: usize = 4096;

/// The seeds of a target, by their names.
pub fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            (name, std::fs::read(&path).expect("a seed"))
        })
        .collect();
    found.sort();
    found
}

/// A refusal.
fn refused(error: &(dyn Error + 'static)) -> Read {
    told(error);
    Read::Refused
}

/// The sentence about an error can be made, and is short and plain whatever the bytes were.
fn told(error: &(dyn Error + 'static)) {
    let said = reason::chain(error);
    assert!(!said.is_empty() && said.len() <= MAX_SAID_BYTES, "{} bytes: {said}", said.len());
    assert!(!said.chars().any(char::is_control), "{said:?}");
}

/// For evidence that is signed. `word` says what the bytes say, where they are accepted: it must be the word of a `good-*` seed.
fn only_what_was_signed(target: &'static str, data: &[u8], word: fn(&[u8]) -> Option<String>) -> Read {
    static KNOWN: Mutex<BTreeMap<&str, Arc<BTreeSet<String>>>> = Mutex::new(BTreeMap::new());
    let Some(said) = word(data) else { return Read::Refused };
    let known = {
        let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let of_seeds = || {
            let good = seeds(target).into_iter().filter(|(name, _)| name.starts_with("good-"));
            Arc::new(good.filter_map(|(_, seed)| word(&seed)).collect())
        };
        Arc::clone(all.entry(target).or_insert_with(of_seeds))
    };
    assert!(known.contains(&said), "{target}: accepted, and nobody signed it: {said}");
    Read::Accepted
}
