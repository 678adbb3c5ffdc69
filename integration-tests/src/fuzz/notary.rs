//! What the verifier `notation` reads: envelopes, chains, timestamps, evidence about revocation, names, policies.

use std::sync::LazyLock;

use bytes::Bytes;
use countersign::{
    crypto::{
        chain::{self as chains, CodeSigningChain},
        crl::{Crl, Question},
        ocsp,
        tsp::{Embedded, Profile, Timestamp, Trust},
        x509::{Certificate, Name, certificates_from_file_bytes},
    },
    oci::{Digest, Repository},
    verifier::notation::{
        chains::KnownChains,
        envelope::{COSE_MEDIA_TYPE, Envelope, JWS_MEDIA_TYPE, Limits},
        identity::{Identity, SubjectAttributes},
        integrity,
        trust_policy::{TrustPolicyDocument, Verification},
    },
};
use time::macros::datetime;

use super::{Read, only_what_was_signed, refused, told};

/// Most certificates that are cut out of an input.
const MAX_ITEMS: usize = 64;

/// A JWS envelope: what it signs is what a seed signs.
pub fn jws(data: &[u8]) -> Read {
    only_what_was_signed("jws", data, |data| envelope(JWS_MEDIA_TYPE, data))
}

/// A COSE envelope: what it signs is what a seed signs.
pub fn cose(data: &[u8]) -> Read {
    only_what_was_signed("cose", data, |data| envelope(COSE_MEDIA_TYPE, data))
}

/// Shared by all inputs, so that one that is spoilt is never taken for a good one seen before.
static KNOWN: LazyLock<KnownChains> = LazyLock::new(KnownChains::default);

/// All that was signed; not the signature, of which ECDSA has two, nor the token and the agent, which nobody signed.
fn envelope(media_type: &str, data: &[u8]) -> Option<String> {
    let envelope = Envelope::parse(media_type, data, Limits::default()).map_err(|error| told(&error)).ok()?;
    let signed = integrity::check(envelope, &KNOWN).map_err(|error| told(&error)).ok()?;
    let chain: Vec<String> = signed.chain().certificates().iter().map(digest).collect();
    Some(format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {chain:?}",
        signed.algorithm(),
        signed.scheme(),
        signed.expiry(),
        signed.plugin(),
        signed.extended_attributes(),
        signed.target(),
    ))
}

fn digest(certificate: &Certificate) -> String {
    Digest::sha256(certificate.der()).to_string()
}

/// A code-signing chain, the certificates one after the other, leaf first: what is accepted is a seed's.
pub fn chain(data: &[u8]) -> Read {
    only_what_was_signed("chain", data, |data| {
        let certificates = chains::parse(&items(data)).map_err(|error| told(&error)).ok()?;
        certificates.iter().for_each(look_at);
        let chain = CodeSigningChain::check(certificates).map_err(|error| told(&error)).ok()?;
        assert!(chain.certificates().len() <= chains::MAX_CERTIFICATES && !chain.leaf().is_ca());
        assert!(chain.root().is_self_signed());
        Some(chain.certificates().iter().map(digest).collect::<Vec<_>>().join(" "))
    })
}

/// The bytes as DER items one after the other; what is none is the last.
fn items(mut data: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !data.is_empty() && found.len() < MAX_ITEMS {
        let size = item_size(data).filter(|size| *size <= data.len()).unwrap_or(data.len());
        let (item, rest) = data.split_at(size);
        found.push(item);
        data = rest;
    }
    found
}

fn item_size(data: &[u8]) -> Option<usize> {
    match *data {
        [_, length @ 0..=0x7f, ..] => Some(2 + usize::from(length)),
        [_, 0x81, length, ..] => Some(3 + usize::from(length)),
        [_, 0x82, high, low, ..] => Some(4 + usize::from(u16::from_be_bytes([high, low]))),
        _ => None,
    }
}

/// Everything that is asked of a certificate before it is trusted.
fn look_at(certificate: &Certificate) {
    let again = Certificate::parse(certificate.der()).expect("it was one");
    assert!(again == *certificate && again.serial_number() == certificate.serial_number());
    if let Ok(addresses) = certificate.revocation_addresses() {
        let points = addresses.points.iter().flat_map(|point| &point.urls);
        let urls: Vec<_> = addresses.ocsp.iter().flatten().chain(points).collect();
        assert!(urls.len() <= 16 && urls.iter().all(|url| url.scheme() == "http"), "{urls:?}");
    }
    name(certificate.subject());
    name(certificate.issuer());
}

/// A trust store's file, PEM or DER.
pub fn certificate_file(data: &[u8]) -> Read {
    match certificates_from_file_bytes(data) {
        Err(error) => refused(&error),
        Ok(certificates) => {
            assert!(!certificates.is_empty(), "no error, and no certificate");
            certificates.iter().for_each(look_at);
            Read::Accepted
        }
    }
}

macro_rules! vector {
    ($path:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../src/crypto/", $path)).as_slice()
    };
}

fn certificates(file: &[u8]) -> Vec<Certificate> {
    certificates_from_file_bytes(file).expect("certificates")
}

fn certificate(file: &[u8]) -> Certificate {
    certificates(file).pop().expect("a certificate")
}

/// A timestamp token or response: a time that is believed is a seed's.
pub fn timestamp(data: &[u8]) -> Read {
    static ANCHORS: LazyLock<Vec<Certificate>> = LazyLock::new(|| certificates(vector!("tsp/vectors/root.pem")));
    only_what_was_signed("timestamp", data, |data| {
        let timestamp = match (Timestamp::from_response(data), Timestamp::from_token(data)) {
            (Ok(_), Ok(_)) => panic!("both a response and a token"),
            (Ok(timestamp), Err(_)) | (Err(_), Ok(timestamp)) => timestamp,
            (Err(one), Err(other)) => {
                told(&one);
                told(&other);
                return None;
            }
        };
        timestamp.certificates().iter().for_each(look_at);
        let believed = [Profile::Notary, Profile::Sigstore].map(|profile| {
            let trust = Trust { anchors: &ANCHORS, known: &[], embedded: Embedded::Use, profile };
            timestamp.verify(b"a signature", &trust).map_err(|error| told(&error)).ok()
        });
        believed.into_iter().flatten().next().map(|time| {
            assert!(time.chain().len() >= 2);
            format!("{} {:?} {:?}", time.time(), time.accuracy(), time.chain().first().map(digest))
        })
    })
}

/// Who asks about whom in the evidence about revocation, and the authority that answers.
static ASKED: LazyLock<[(Certificate, Certificate); 2]> = LazyLock::new(|| {
    [
        (certificate(vector!("ocsp/vectors/leaf.pem")), certificate(vector!("ocsp/vectors/root.pem"))),
        (certificate(vector!("ocsp/vectors/rsa-leaf.pem")), certificate(vector!("ocsp/vectors/rsa.pem"))),
    ]
});

fn questions() -> impl Iterator<Item = Question<'static>> {
    let now = datetime!(2030-01-01 0:00 UTC);
    ASKED.iter().map(move |(certificate, issuer)| Question { certificate, issuer, now, signing_time: None })
}

/// A CRL: what it says of a certificate is what a seed says.
pub fn crl(data: &[u8]) -> Read {
    only_what_was_signed("crl", data, |data| {
        let crl = Crl::parse(&Bytes::copy_from_slice(data)).map_err(|error| told(&error)).ok()?;
        let mut said = None;
        for question in questions() {
            let Ok(verified) = crl.verify(question.issuer).map_err(|error| told(&error)) else { continue };
            assert!(verified.clone().with_delta(crl.clone()).is_err(), "a list is not its own delta");
            let addresses = question.certificate.revocation_addresses().expect("addresses");
            for point in addresses.points.iter().map(Some).chain([None]) {
                if let Ok(listing) = verified.lookup(&question, point).map_err(|error| told(&error)) {
                    said = Some(format!("{} {} {listing:?}", crl.number(), crl.this_update()));
                }
            }
        }
        said
    })
}

/// An OCSP response: what it says of a certificate is what a seed says.
pub fn ocsp(data: &[u8]) -> Read {
    only_what_was_signed("ocsp", data, |data| {
        let response = ocsp::Response::parse(data).map_err(|error| told(&error)).ok()?;
        let said = questions().filter_map(|question| {
            let statement = response.verify(&question).map_err(|error| told(&error)).ok()?;
            assert!(response.is_about(question.certificate, question.issuer));
            assert!(statement.this_update() <= question.now && question.now <= statement.valid_until());
            let (from, to) = (statement.this_update(), statement.next_update());
            Some(format!("{:?} {from} {to} {:?}", statement.status(), statement.responder().map(digest)))
        });
        said.last()
    })
}

/// A distinguished name, as text (of a trusted identity) and as DER (of a certificate). What is printed is read as the same.
pub fn dn(data: &[u8]) -> Read {
    let mut read = Read::Refused;
    if let Ok(text) = std::str::from_utf8(data) {
        match Identity::parse(text) {
            Err(error) => read = refused(&error),
            Ok(identity) => {
                assert!(!text.contains("=#"), "CVE-2023-25656");
                let again = Identity::parse(&identity.to_string()).expect("what was printed can be read");
                assert!(again == identity && identity.overlaps(&again));
                read = Read::Accepted;
            }
        }
    }
    if let Ok(parsed) = Name::parse(data) {
        assert_eq!(parsed.der(), data, "nothing is folded");
        name(&parsed);
        read = Read::Accepted;
    }
    read
}

/// The text of a certificate's name is read as an identity that this very name has.
fn name(name: &Name) {
    let text = name.to_text();
    assert!(text.len() <= 64 * 1024 + name.der().len() * 8, "{} bytes of {}", text.len(), name.der().len());
    let (Some(subject), Ok(identity)) = (SubjectAttributes::read(name), Identity::parse(&text)) else { return };
    assert!(identity.is_part_of(&subject), "{text:?} is not part of itself");
}

/// A trust policy document. No wildcard may be skipped (D7), and what was read is read again as the same.
pub fn trust_policy(data: &[u8]) -> Read {
    let document = match TrustPolicyDocument::parse(data) {
        Ok(document) => document,
        Err(faults) => {
            assert!(!faults.is_empty());
            for fault in &faults {
                told(fault);
            }
            return Read::Refused;
        }
    };
    assert!(!document.statements().is_empty());
    let names: Vec<&str> = document.statements().iter().map(|statement| statement.name.as_str()).collect();
    let stranger = Repository::parse("registry.of-nobody.test/q7/w3").expect("a repository");
    if let Some(statement) = document.select(&stranger) {
        let skipped = matches!(statement.verification, Verification::Skip);
        assert!(!skipped || document.exact_scopes().any(|scope| scope == stranger.to_string()));
    }
    let again = TrustPolicyDocument::parse(data).expect("it was one");
    assert!(again.statements().iter().map(|statement| statement.name.as_str()).eq(names));
    Read::Accepted
}
