//! One bit of an accepted envelope is another: refused, or the very same word of the same signer.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use coset::{CoseSign1, TaggedCborSerializable as _, cbor::Value as Cbor};
use countersign::{
    oci::Digest,
    verifier::notation::{
        chains::KnownChains,
        envelope::{COSE_MEDIA_TYPE, Envelope, JWS_MEDIA_TYPE, Limits},
        integrity::{self, Signed},
    },
};
use serde_json::Value as Json;

use crate::cases::{cases, fixtures};

/// An envelope of the fixtures that is whole, and where in it nothing may change.
struct Whole {
    digest: String,
    media_type: String,
    bytes: Vec<u8>,
    signed: Signed,
    /// Protected header, payload, signature and each certificate.
    regions: Vec<Range<usize>>,
}

/// The true chains are known from before: what is flipped must not be taken for them.
static KNOWN: LazyLock<KnownChains> = LazyLock::new(KnownChains::default);

fn read(media_type: &str, bytes: &[u8]) -> Result<Signed, String> {
    let envelope = Envelope::parse(media_type, bytes, Limits::default()).map_err(|error| error.to_string())?;
    integrity::check(envelope, &KNOWN).map_err(|error| error.to_string())
}

/// Whether both say the same, apart from what nobody signed: the signing agent and the timestamp token.
fn is_same_word(one: &Signed, other: &Signed) -> bool {
    one.algorithm() == other.algorithm()
        && one.scheme() == other.scheme()
        && one.expiry() == other.expiry()
        && one.plugin() == other.plugin()
        && one.extended_attributes() == other.extended_attributes()
        && one.chain() == other.chain()
        && one.target() == other.target()
        && one.signature() == other.signature()
}

fn blob(digest: &str) -> Vec<u8> {
    let (algorithm, hex) = digest.split_once(':').unwrap();
    let path = fixtures().join("layouts/notation/blobs").join(algorithm).join(hex);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every envelope of an accepted case that is whole, once; some accepted cases have broken signatures beside a good one.
fn accepted() -> Vec<Whole> {
    let mut found: BTreeMap<String, Whole> = BTreeMap::new();
    for case in cases("notation.json").into_iter().filter(|case| case.expected == "accept") {
        for signature in &case.signatures {
            let manifest: Json = serde_json::from_slice(&blob(signature)).unwrap();
            let layers = manifest.get("layers").or_else(|| manifest.get("blobs"));
            let Some(layer) = layers.and_then(|layers| layers.get(0)) else { continue };
            let (media_type, digest) = (layer["mediaType"].as_str().unwrap(), layer["digest"].as_str().unwrap());
            let bytes = blob(digest);
            let Ok(signed) = read(media_type, &bytes) else { continue };
            let regions = if media_type == JWS_MEDIA_TYPE { of_jws(&bytes) } else { of_cose(&bytes) };
            let (media_type, digest) = (media_type.to_owned(), digest.to_owned());
            found.insert(digest.clone(), Whole { digest, media_type, bytes, signed, regions });
        }
    }
    found.into_values().collect()
}

fn of_jws(bytes: &[u8]) -> Vec<Range<usize>> {
    let envelope: Json = serde_json::from_slice(bytes).unwrap();
    let mut texts: Vec<&str> =
        ["protected", "payload", "signature"].map(|name| envelope[name].as_str().unwrap()).into();
    let chain = envelope["header"]["x5c"].as_array().unwrap();
    texts.extend(chain.iter().map(|certificate| certificate.as_str().unwrap()));
    assert!(chain.iter().all(|certificate| STANDARD.decode(certificate.as_str().unwrap()).unwrap()[0] == 0x30));
    texts.into_iter().map(|text| place(bytes, text.as_bytes())).collect()
}

fn of_cose(bytes: &[u8]) -> Vec<Range<usize>> {
    let envelope = CoseSign1::from_tagged_slice(bytes).unwrap();
    let chain = envelope.unprotected.rest.iter().find(|(label, _)| *label == coset::Label::Int(33)).unwrap();
    let mut parts = vec![envelope.protected.original_data.unwrap(), envelope.payload.unwrap(), envelope.signature];
    let Cbor::Array(chain) = &chain.1 else { panic!("x5chain is no array") };
    parts.extend(chain.iter().map(|certificate| certificate.as_bytes().unwrap().clone()));
    parts.into_iter().map(|part| place(bytes, &part)).collect()
}

/// Where `part` stands in `whole`: in one place only.
fn place(whole: &[u8], part: &[u8]) -> Range<usize> {
    let mut places = whole.windows(part.len()).enumerate().filter(|(_, window)| *window == part);
    let (Some((start, _)), None) = (places.next(), places.next()) else { panic!("not once in the envelope") };
    start..start + part.len()
}

/// What went wrong in one envelope, and how many flips left its word as it was.
fn flip_each_byte(whole: &Whole) -> (Vec<String>, usize) {
    let Whole { digest, media_type, bytes, signed, regions } = whole;
    let (mut faults, mut unnoticed) = (Vec::new(), 0);
    let mut flipped = bytes.clone();
    for at in 0..bytes.len() {
        let bit = 1 << (at % 8);
        flipped[at] ^= bit;
        match read(media_type, &flipped) {
            Err(_) => {}
            Ok(_) if regions.iter().any(|region| region.contains(&at)) => {
                faults.push(format!("{digest}: a flip in byte {at}, which is signed, is not noticed"));
            }
            Ok(other) if is_same_word(signed, &other) => unnoticed += 1,
            Ok(_) => faults.push(format!("{digest}: a flip in byte {at} makes another yes of it")),
        }
        flipped[at] ^= bit;
    }
    assert_eq!(flipped, *bytes);
    (faults, unnoticed)
}

// Item 2: one bit in every byte, of all of them. On the core: through a store its digest check would catch every flip.
// Some 240,000 envelopes are read: about a minute of one core without optimisation, hence the threads.
#[test]
fn a_bit_flipped_in_any_byte_of_any_accepted_envelope_is_refused_or_changes_nothing() {
    let envelopes = accepted();
    let kinds: BTreeSet<_> = envelopes
        .iter()
        .map(|Whole { signed, media_type, .. }| {
            (signed.algorithm().jose_name(), media_type.as_str(), signed.chain().certificates().len())
        })
        .collect();
    for algorithm in ["PS256", "PS384", "PS512", "ES256", "ES384", "ES512"] {
        for media_type in [JWS_MEDIA_TYPE, COSE_MEDIA_TYPE] {
            for depth in 1..=3 {
                assert!(kinds.contains(&(algorithm, media_type, depth)), "{algorithm} {media_type} {depth}");
            }
        }
    }
    assert!(envelopes.len() >= 100, "{}", envelopes.len());
    assert!(envelopes.iter().all(|whole| Digest::sha256(&whole.bytes).to_string() == whole.digest));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut outcomes = Vec::new();
        while let Some(whole) = envelopes.get(next.fetch_add(1, Ordering::Relaxed)) {
            outcomes.push(flip_each_byte(whole));
        }
        outcomes
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let outcomes: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(outcomes.len(), envelopes.len());
    let faults: Vec<_> = outcomes.iter().flat_map(|(faults, _)| faults.as_slice()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    // The signing agent's text at least: an outcome that never is a yes would prove nothing.
    assert!(outcomes.iter().any(|(_, unnoticed)| *unnoticed > 0));
}
