//! `COSE_Sign1` with its tag; no other form.
//!
//! `coset` decodes and keeps the protected bytes; what it leaves to its caller stands here: the short tag, definite
//! lengths, a payload that is there, one label in one bucket, `crit`, and times under tag 1.
//!
//! Rule: Notary Project COSE envelope specification; RFC 9052 §3, §4.2.

use std::collections::BTreeMap;

use ciborium::Value as Cbor;
use coset::{
    CoseSign1, Header, Label as CoseLabel, RegisteredLabel, RegisteredLabelWithPrivate, TaggedCborSerializable as _,
    iana::EnumI64 as _,
};
use time::OffsetDateTime;

use super::{
    Envelope, EnvelopeError,
    attributes::{
        AUTHENTIC_SIGNING_TIME, EXPIRY, Label, PLUGIN, PLUGIN_MIN_VERSION, Protected, SIGNING_AGENT, SIGNING_SCHEME,
        SIGNING_TIME, TIMESTAMP, Value,
    },
    cbor, chain_length, content_type, quoted,
};
use crate::crypto::algorithm::SignatureAlgorithm;

/// Tag 18 in its short form, and an array of four of definite length.
const PREFIX: [u8; 2] = [0xd2, 0x84];

const ALGORITHM: i64 = 1;
const CRITICAL: i64 = 2;
const CONTENT_TYPE: i64 = 3;
const KEY_ID: i64 = 4;
const IV: i64 = 5;
const PARTIAL_IV: i64 = 6;
const COUNTER_SIGNATURE: i64 = 7;
const X5CHAIN: i64 = 33;

pub(super) fn parse(bytes: &[u8]) -> Result<Envelope, EnvelopeError> {
    if !bytes.starts_with(&PREFIX) {
        return Err(cose("it does not begin with tag 18 and an array of four"));
    }
    cbor::check(bytes)?;
    let sign1 = CoseSign1::from_tagged_slice(bytes).map_err(|error| cose(&error.to_string()))?;
    let protected_bytes = sign1.protected.original_data.as_deref().unwrap_or_default();
    if protected_bytes.is_empty() {
        return Err(cose("its protected header is empty"));
    }
    cbor::check(protected_bytes)?;

    let (protected, unprotected) = (&sign1.protected.header, &sign1.unprotected);
    let parameters = labels(protected)?;
    let unsigned = labels(unprotected)?;
    if let Some(label) = unsigned.keys().find(|label| parameters.contains_key(label)) {
        return Err(EnvelopeError::BothHeaders { name: label.to_string() });
    }
    for label in [ALGORITHM, CRITICAL, CONTENT_TYPE].map(Label::Number) {
        // ENV-55; RFC 9052 §3.1: crit must be protected.
        if unsigned.contains_key(&label) {
            return Err(EnvelopeError::UnknownMember { name: format!("{label} in the unprotected header") });
        }
    }
    let algorithm = algorithm(protected)?;
    content_type(match &protected.content_type {
        Some(RegisteredLabel::Text(text)) => Some(text),
        Some(RegisteredLabel::Assigned(_)) => Some("a number"),
        None => None,
    })?;
    let attributes = read(protected, parameters)?.check()?;
    let payload = sign1.payload.as_ref().filter(|payload| !payload.is_empty());
    let payload = payload.cloned().ok_or(EnvelopeError::PayloadEmpty)?;
    if sign1.signature.is_empty() {
        return Err(EnvelopeError::SignatureEmpty);
    }
    Ok(Envelope {
        algorithm,
        attributes,
        payload,
        chain: chain(unprotected)?,
        signed_bytes: sign1.tbs_data(&[]),
        timestamp_token: match find(unprotected, &CoseLabel::Text(TIMESTAMP.to_owned())) {
            None => None,
            Some(Cbor::Bytes(token)) => Some(token.clone()),
            Some(_) => return Err(EnvelopeError::Member { member: TIMESTAMP, expected: "a byte string" }),
        },
        signing_agent: match find(unprotected, &CoseLabel::Text(SIGNING_AGENT.to_owned())) {
            None => None,
            Some(Cbor::Text(agent)) => Some(agent.clone()),
            Some(_) => return Err(EnvelopeError::Member { member: SIGNING_AGENT, expected: "a text string" }),
        },
        signature: sign1.signature,
    })
}

fn cose(reason: &str) -> EnvelopeError {
    EnvelopeError::Cose { reason: crate::reason::printable(reason, 128) }
}

fn find<'a>(header: &'a Header, wanted: &CoseLabel) -> Option<&'a Cbor> {
    header.rest.iter().find(|(label, _)| label == wanted).map(|(_, value)| value)
}

/// Every label of a header, with what it is worth; those of ours are read later.
fn labels(header: &Header) -> Result<BTreeMap<Label, Value>, EnvelopeError> {
    let own = [
        (ALGORITHM, header.alg.is_some(), Value::FixedOrCritical),
        (CRITICAL, !header.crit.is_empty(), Value::Fixed),
        (CONTENT_TYPE, header.content_type.is_some(), Value::FixedOrCritical),
        (KEY_ID, !header.key_id.is_empty(), Value::Extended),
        (IV, !header.iv.is_empty(), Value::Extended),
        (PARTIAL_IV, !header.partial_iv.is_empty(), Value::Extended),
        (COUNTER_SIGNATURE, !header.counter_signatures.is_empty(), Value::Extended),
    ];
    let mut labels: BTreeMap<Label, Value> = BTreeMap::new();
    for (number, present, value) in own {
        if present {
            labels.insert(Label::Number(number), value);
        }
    }
    for (label, _) in &header.rest {
        let label = match label {
            CoseLabel::Int(number) => Label::Number(*number),
            CoseLabel::Text(text) => Label::text(text),
        };
        if labels.insert(label, Value::Extended).is_some() {
            return Err(cose("a label stands twice in one header"));
        }
    }
    Ok(labels)
}

fn algorithm(protected: &Header) -> Result<SignatureAlgorithm, EnvelopeError> {
    let stated = match &protected.alg {
        None => return Err(EnvelopeError::AttributeMissing { name: "alg" }),
        Some(RegisteredLabelWithPrivate::Assigned(algorithm)) => algorithm.to_i64(),
        Some(RegisteredLabelWithPrivate::PrivateUse(number)) => *number,
        Some(RegisteredLabelWithPrivate::Text(text)) => {
            return Err(EnvelopeError::Algorithm { stated: quoted(text) });
        }
    };
    SignatureAlgorithm::from_cose(stated).ok_or_else(|| EnvelopeError::Algorithm { stated: stated.to_string() })
}

fn chain(unprotected: &Header) -> Result<Vec<Vec<u8>>, EnvelopeError> {
    let wrong = || EnvelopeError::Member { member: "x5chain (label 33)", expected: "an array of byte strings" };
    let Some(Cbor::Array(items)) = find(unprotected, &CoseLabel::Int(X5CHAIN)) else { return Err(wrong()) };
    chain_length(items.len())?;
    items.iter().map(|item| item.as_bytes().cloned().ok_or_else(wrong)).collect()
}

fn read(header: &Header, mut parameters: BTreeMap<Label, Value>) -> Result<Protected, EnvelopeError> {
    for (label, value) in &header.rest {
        let CoseLabel::Text(name) = label else { continue };
        let value = match name.as_str() {
            SIGNING_SCHEME | PLUGIN | PLUGIN_MIN_VERSION => Value::Text(text(name, value)?),
            SIGNING_TIME | AUTHENTIC_SIGNING_TIME | EXPIRY => Value::Time(time(name, value)?),
            _ => continue,
        };
        parameters.insert(Label::text(name), value);
    }
    if header.crit.is_empty() {
        return Err(EnvelopeError::AttributeMissing { name: "crit (label 2)" });
    }
    let critical = header.crit.iter().map(|label| match label {
        RegisteredLabelWithPrivate::Assigned(parameter) => Label::Number(parameter.to_i64()),
        RegisteredLabelWithPrivate::PrivateUse(number) => Label::Number(*number),
        RegisteredLabelWithPrivate::Text(text) => Label::text(text),
    });
    Ok(Protected { critical: critical.collect(), parameters, signing_time_may_be_critical: true })
}

fn text(name: &str, value: &Cbor) -> Result<String, EnvelopeError> {
    let wrong = || EnvelopeError::AttributeValue { name: name.to_owned(), expected: "a text string" };
    value.as_text().map(str::to_owned).ok_or_else(wrong)
}

/// Tag 1 over whole seconds since 1970. Floats, tag 0 and bare integers are refused (ENV-57).
fn time(name: &str, value: &Cbor) -> Result<OffsetDateTime, EnvelopeError> {
    let expected = "an integer under tag 1";
    let wrong = || EnvelopeError::AttributeValue { name: name.to_owned(), expected };
    let Cbor::Tag(1, seconds) = value else { return Err(wrong()) };
    let seconds = seconds.as_integer().and_then(|seconds| u64::try_from(seconds).ok());
    let seconds = seconds.and_then(|seconds| i64::try_from(seconds).ok()).ok_or_else(wrong)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        reason::Code::{
            self, CertificateInvalid as Cert, LimitExceeded as Limit, SignatureAlgorithm as Alg,
            SignatureInvalid as Invalid, SignatureMalformed as Malformed, UnknownCritical,
        },
        verifier::notation::{
            envelope::{COSE_MEDIA_TYPE, JWS_MEDIA_TYPE, SigningScheme},
            testing::{PAYLOAD, Signer, assert_integrity, encode, epoch, integrity, protected_cbor},
        },
    };

    type Expected = Option<(Code, &'static str)>;
    type Change = (Cbor, Option<Cbor>);

    fn t(text: &str) -> Cbor {
        Cbor::Text(text.to_owned())
    }

    fn n(number: i64) -> Cbor {
        Cbor::from(number)
    }

    fn list(items: &[Cbor]) -> Cbor {
        Cbor::Array(items.to_vec())
    }

    fn set(label: Cbor, value: Cbor) -> Change {
        (label, Some(value))
    }

    fn without(label: Cbor) -> Change {
        (label, None)
    }

    fn changed(changes: &[Change]) -> Vec<(Cbor, Cbor)> {
        let mut protected = protected_cbor();
        for (label, value) in changes {
            protected.retain(|(known, _)| known != label);
            protected.extend(value.iter().map(|value| (label.clone(), value.clone())));
        }
        protected
    }

    // Item 3, item 4, item 14, item 15, item 16, item 17, item 18, item 19, item 20, item 23, item 24, item 27; ENV-55,
    // ENV-56, ENV-57, ENV-61
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn protected_header_rules() {
        let signer = Signer::default();
        let crit = |labels: &[Cbor]| set(n(2), list(&[&[t(SIGNING_SCHEME)], labels].concat()));
        let tag = |tag, value| Cbor::Tag(tag, Box::new(value));
        let time = |value| vec![set(t(SIGNING_TIME), value)];
        let refused_time = Some((Malformed, "signingTime, which is not an integer under tag 1"));
        let authority = |critical: &[Cbor]| {
            vec![
                set(t(SIGNING_SCHEME), t("notary.x509.signingAuthority")),
                without(t(SIGNING_TIME)),
                set(t(AUTHENTIC_SIGNING_TIME), epoch(1_767_323_045)),
                crit(critical),
            ]
        };
        let expiry = |seconds| vec![set(t(EXPIRY), epoch(seconds)), crit(&[t(EXPIRY)])];
        let table: Vec<(&str, Vec<Change>, Expected)> = vec![
            ("good", vec![], None),
            ("item 16 unknown text label", vec![set(t("io.example.x"), n(1))], None),
            ("item 16 unknown number label", vec![set(n(-70_000), n(1))], None),
            ("item 4 ES384", vec![set(n(1), n(-35))], Some((Alg, "ES384, the leaf's EC P-256 key demands ES256"))),
            ("item 4 PS256", vec![set(n(1), n(-37))], Some((Alg, "PS256, the leaf's EC P-256 key demands ES256"))),
            ("item 3 EdDSA", vec![set(n(1), n(-8))], Some((Alg, "algorithm -8"))),
            ("item 3 HMAC", vec![set(n(1), n(5))], Some((Alg, "algorithm 5"))),
            ("item 3 text", vec![set(n(1), t("ES256"))], Some((Alg, "\"ES256\""))),
            ("ENV-55 missing", vec![without(n(1))], Some((Malformed, "no attribute alg"))),
            ("item 27 content type", vec![set(n(3), t("application/json"))], Some((Malformed, "\"application/json\""))),
            ("item 27 content type number", vec![set(n(3), n(50))], Some((Malformed, "content type"))),
            ("item 27 content type missing", vec![without(n(3))], Some((Malformed, "content type"))),
            ("item 24 labels that are processed anyway", vec![crit(&[n(1), n(3), t(SIGNING_TIME)])], None),
            (
                "item 24 crit in crit",
                vec![crit(&[n(2)])],
                Some((Malformed, "label 2 as critical, which it must not be")),
            ),
            (
                "item 24 number absent",
                vec![crit(&[n(33)])],
                Some((Malformed, "label 33 as critical and does not have it")),
            ),
            (
                "item 24 text absent",
                vec![crit(&[t("io.example.x")])],
                Some((Malformed, "\"io.example.x\" as critical and")),
            ),
            (
                "item 24 text that looks like a label",
                vec![crit(&[t("label 1")])],
                Some((Malformed, "\"label 1\" as critical and")),
            ),
            ("item 24 duplicate", vec![crit(&[t(SIGNING_SCHEME)])], Some((Malformed, "as critical twice"))),
            (
                "item 15 text",
                vec![crit(&[t("io.example.x")]), set(t("io.example.x"), n(1))],
                Some((UnknownCritical, "\"io.example.x\"")),
            ),
            (
                "item 15 number",
                vec![crit(&[n(-70_000)]), set(n(-70_000), n(1))],
                Some((UnknownCritical, "label -70000")),
            ),
            (
                "item 15 key id",
                vec![crit(&[n(4)]), set(n(4), Cbor::Bytes(vec![1]))],
                Some((UnknownCritical, "label 4")),
            ),
            ("ENV-56 crit missing", vec![without(n(2))], Some((Malformed, "no attribute crit"))),
            ("ENV-56 crit empty", vec![set(n(2), list(&[]))], Some((Malformed, "empty array"))),
            ("ENV-56 crit text", vec![set(n(2), t(SIGNING_SCHEME))], Some((Malformed, "no COSE_Sign1"))),
            (
                "item 13 scheme not critical",
                vec![set(n(2), list(&[n(1)]))],
                Some((Malformed, "does not list as critical")),
            ),
            (
                "item 13 expiry not critical",
                vec![set(t(EXPIRY), epoch(1_800_000_000))],
                Some((Malformed, "critical: \"io.cncf.notary.expiry\"")),
            ),
            (
                "item 17 scheme missing",
                vec![without(t(SIGNING_SCHEME))],
                Some((Malformed, "no attribute io.cncf.notary.signingScheme")),
            ),
            ("item 17 scheme other", vec![set(t(SIGNING_SCHEME), t("x"))], Some((Malformed, "scheme \"x\""))),
            (
                "item 17 scheme bytes",
                vec![set(t(SIGNING_SCHEME), Cbor::Bytes(b"notary.x509".to_vec()))],
                Some((Malformed, "not a text string")),
            ),
            ("item 18 authority", authority(&[t(AUTHENTIC_SIGNING_TIME)]), None),
            ("item 18 authority, not critical", authority(&[]), Some((Malformed, "authenticSigningTime"))),
            (
                "item 18 authority with the other time",
                [authority(&[t(AUTHENTIC_SIGNING_TIME)]), time(epoch(1))].concat(),
                Some((Malformed, "does not allow")),
            ),
            (
                "item 18 x509 with authentic time",
                vec![set(t(AUTHENTIC_SIGNING_TIME), epoch(1))],
                Some((Malformed, "does not allow")),
            ),
            (
                "item 19 missing",
                vec![without(t(SIGNING_TIME))],
                Some((Malformed, "no attribute io.cncf.notary.signingTime")),
            ),
            ("item 20 expiry", expiry(1_767_323_046), None),
            ("item 20 expiry equal", expiry(1_767_323_045), Some((Malformed, "is not after signing time"))),
            ("item 23 tag 0", time(tag(0, t("2026-01-02T03:04:05Z"))), refused_time),
            ("item 23 untagged", time(n(1_767_323_045)), refused_time),
            ("item 23 float", time(tag(1, Cbor::Float(1.5))), refused_time),
            ("item 23 NaN", time(tag(1, Cbor::Float(f64::NAN))), refused_time),
            ("item 23 infinity", time(tag(1, Cbor::Float(f64::INFINITY))), refused_time),
            ("ENV-57 text", time(t("2026-01-02T03:04:05Z")), refused_time),
            ("ENV-57 negative", time(epoch(-1)), refused_time),
            ("ENV-57 huge", time(tag(1, Cbor::from(u64::MAX))), refused_time),
            ("ENV-57 bignum", time(tag(1, tag(2, Cbor::Bytes(vec![1; 9])))), refused_time),
            ("ENV-57 past the calendar", time(epoch(i64::MAX)), refused_time),
            ("ENV-57 tag twice", time(tag(1, epoch(1))), refused_time),
            ("ENV-61 label of bytes", vec![set(Cbor::Bytes(vec![1]), n(1))], Some((Malformed, "no COSE_Sign1"))),
            ("ENV-61 label of simple", vec![set(Cbor::Bool(true), n(1))], Some((Malformed, "no COSE_Sign1"))),
            (
                "ENV-61 label of bignum",
                vec![set(tag(2, Cbor::Bytes(vec![1; 9])), n(1))],
                Some((Malformed, "no COSE_Sign1")),
            ),
            ("ENV-61 NaN label", vec![set(Cbor::Float(f64::NAN), n(1))], Some((Malformed, "no COSE_Sign1"))),
        ];
        for (name, changes, expected) in table {
            assert_integrity(name, COSE_MEDIA_TYPE, &signer.cose(changed(&changes)), expected);
        }
    }

    // Item 22, item 25, item 26; ENV-02, ENV-50, ENV-52, ENV-53, ENV-54, ENV-55, ENV-58, ENV-59, ENV-62, ENV-63, ENV-64
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn envelope_parts() {
        let signer = Signer::default();
        let protected = encode(&Cbor::Map(protected_cbor()));
        let good = signer.cose(protected_cbor());
        let unprotected =
            |value: Vec<(Cbor, Cbor)>| encode(&signer.cose_raw(&protected, Cbor::Map(value), PAYLOAD.as_bytes()));
        let chain: Vec<Cbor> = signer.chain.iter().map(|der| Cbor::Bytes(der.clone())).collect();
        let x5chain = || (n(33), Cbor::Array(chain.clone()));
        let part = |at: usize, value: Cbor| {
            let Cbor::Tag(_, array) = signer.cose_raw(&protected, signer.unprotected(), PAYLOAD.as_bytes()) else {
                panic!()
            };
            let mut parts = array.into_array().unwrap();
            parts[at] = value;
            encode(&Cbor::Tag(18, Box::new(Cbor::Array(parts))))
        };
        let twice = [protected_cbor(), vec![(n(1), n(-7))]].concat();
        let in_both = [protected_cbor(), vec![x5chain()]].concat();
        let prefixed = |prefix: &[u8]| [prefix, &good[2..]].concat();
        let table: Vec<(&str, Vec<u8>, Expected)> = vec![
            ("good", good.clone(), None),
            ("item 22 long tag", prefixed(&[0xd8, 0x12, 0x84]), Some((Malformed, "begin with tag 18"))),
            (
                "item 22 indefinite",
                [&prefixed(&[0xd2, 0x9f])[..], &[0xff]].concat(),
                Some((Malformed, "begin with tag 18")),
            ),
            ("ENV-50 untagged", good[1..].to_vec(), Some((Malformed, "begin with tag 18"))),
            ("ENV-50 tag 98", prefixed(&[0xd8, 0x62, 0x84]), Some((Malformed, "begin with tag 18"))),
            ("ENV-50 tag 17", prefixed(&[0xd1, 0x84]), Some((Malformed, "begin with tag 18"))),
            ("ENV-63 trailing", [&good[..], &[0]].concat(), Some((Malformed, "something follows"))),
            ("ENV-58 nil payload", part(2, Cbor::Null), Some((Malformed, "no payload"))),
            ("item 22 empty payload", part(2, Cbor::Bytes(vec![])), Some((Malformed, "no payload"))),
            ("item 22 empty signature", part(3, Cbor::Bytes(vec![])), Some((Invalid, "empty signature"))),
            ("ENV-64 long signature", part(3, Cbor::Bytes(vec![1; 132])), Some((Invalid, "132 bytes instead of 64"))),
            ("ENV-54 empty protected", part(0, Cbor::Bytes(vec![])), Some((Malformed, "protected header is empty"))),
            ("ENV-54 map", part(0, Cbor::Map(protected_cbor())), Some((Malformed, "no COSE_Sign1"))),
            (
                "ENV-54 nested",
                part(0, Cbor::Bytes(encode(&Cbor::Bytes(protected.clone())))),
                Some((Malformed, "no COSE_Sign1")),
            ),
            (
                "ENV-53 tagged payload",
                part(2, Cbor::Tag(24, Box::new(Cbor::Bytes(PAYLOAD.as_bytes().to_vec())))),
                Some((Malformed, "no COSE_Sign1")),
            ),
            ("ENV-52 protected twice", signer.cose(twice), Some((Malformed, "duplicate map key"))),
            (
                "ENV-52 unprotected twice",
                unprotected(vec![x5chain(), x5chain()]),
                Some((Malformed, "duplicate map key")),
            ),
            ("item 25 missing", unprotected(vec![]), Some((Malformed, "x5chain"))),
            ("item 25 empty", unprotected(vec![(n(33), list(&[]))]), Some((Cert, "chain is empty"))),
            ("ENV-59 single", unprotected(vec![(n(33), chain[0].clone())]), Some((Malformed, "x5chain"))),
            ("item 25 text member", unprotected(vec![(n(33), list(&[t("x")]))]), Some((Malformed, "x5chain"))),
            (
                "item 25 eleven",
                unprotected(vec![(n(33), Cbor::Array(vec![chain[0].clone(); 11]))]),
                Some((Limit, "11 certificates")),
            ),
            ("item 25 in both", signer.cose(in_both.clone()), Some((Malformed, "label 33 both"))),
            (
                "D22 protected only",
                encode(&signer.cose_raw(&encode(&Cbor::Map(in_both)), Cbor::Map(vec![]), PAYLOAD.as_bytes())),
                Some((Malformed, "x5chain")),
            ),
            ("ENV-55 alg in both", unprotected(vec![x5chain(), (n(1), n(-7))]), Some((Malformed, "label 1 both"))),
            ("unknown unprotected", unprotected(vec![x5chain(), (n(99_999), n(1))]), None),
            ("timestamp", unprotected(vec![x5chain(), (t(TIMESTAMP), Cbor::Bytes(vec![1]))]), None),
            (
                "timestamp text",
                unprotected(vec![x5chain(), (t(TIMESTAMP), t("AAAA"))]),
                Some((Malformed, "timestampSignature")),
            ),
            ("agent", unprotected(vec![x5chain(), (t(SIGNING_AGENT), t("a"))]), None),
            (
                "agent bytes",
                unprotected(vec![x5chain(), (t(SIGNING_AGENT), Cbor::Bytes(vec![1]))]),
                Some((Malformed, "signingAgent")),
            ),
        ];
        for (name, bytes, expected) in table {
            assert_integrity(name, COSE_MEDIA_TYPE, &bytes, expected);
        }
        assert_integrity("item 26, ENV-02", JWS_MEDIA_TYPE, &good, Some((Malformed, "not strict JSON")));

        let only_unsigned = changed(&[without(n(1))]);
        let Cbor::Map(mut outside) = signer.unprotected() else { panic!() };
        outside.push((n(1), n(-7)));
        let bytes =
            encode(&signer.cose_raw(&encode(&Cbor::Map(only_unsigned)), Cbor::Map(outside), PAYLOAD.as_bytes()));
        assert_integrity(
            "ENV-55 alg outside",
            COSE_MEDIA_TYPE,
            &bytes,
            Some((Malformed, "label 1 in the unprotected")),
        );
    }

    // Item 23, item 29; ENV-53
    #[test]
    fn the_protected_header_is_verified_as_transmitted() {
        let signer = Signer::default();
        let plain = encode(&Cbor::Map(protected_cbor()));
        // The map's head and its first key with lengths longer than needed: 0xa5 -> 0xb8 05, 0x01 -> 0x18 01.
        let loose = [&[0xb8, plain[0] & 0x1f, 0x18, 0x01][..], &plain[2..]].concat();
        let bytes = encode(&signer.cose_raw(&loose, signer.unprotected(), PAYLOAD.as_bytes()));
        let checked = integrity(COSE_MEDIA_TYPE, &bytes).unwrap();
        let signing_time = time::macros::datetime!(2026-01-02 3:04:05 UTC);
        assert_eq!(checked.scheme(), SigningScheme::X509 { signing_time });
        let indefinite = [&[0xbf][..], &plain[1..], &[0xff]].concat();
        let bytes = encode(&signer.cose_raw(&indefinite, signer.unprotected(), PAYLOAD.as_bytes()));
        assert_integrity("indefinite inside", COSE_MEDIA_TYPE, &bytes, Some((Malformed, "indefinite length")));
    }

    // ENV-62
    #[test]
    fn a_signature_over_external_data_is_refused() {
        let signer = Signer::default();
        let protected = encode(&Cbor::Map(protected_cbor()));
        let bytes = |bytes: &[u8]| Cbor::Bytes(bytes.to_vec());
        let message = list(&[t("Signature1"), bytes(&protected), bytes(b"x"), bytes(PAYLOAD.as_bytes())]);
        let signature = signer.sign(&encode(&message));
        let parts = list(&[bytes(&protected), signer.unprotected(), bytes(PAYLOAD.as_bytes()), bytes(&signature)]);
        let envelope = encode(&Cbor::Tag(18, Box::new(parts)));
        assert_integrity("ENV-62", COSE_MEDIA_TYPE, &envelope, Some((Invalid, "does not verify")));
    }

    // Item 28; ENV-60, ENV-61
    #[test]
    fn bombs_are_refused_cheaply() {
        let signer = Signer::default();
        let deep = [vec![0xd2, 0x84], vec![0x81; 1_000_000]].concat();
        assert_integrity("nested", COSE_MEDIA_TYPE, &deep, Some((Malformed, "nested too deeply")));
        for (name, bomb) in [
            ("nested", vec![0x81; 100_000]),
            ("ENV-61 text that is no UTF-8", vec![0xa1, 0x01, 0x61, 0xff]),
            ("huge map", vec![0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            ("huge text", vec![0xa1, 0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x41]),
            ("4 GiB", vec![0xa1, 0x01, 0x5a, 0xff, 0xff, 0xff, 0xff, 0, 0]),
        ] {
            let bytes = encode(&signer.cose_raw(&bomb, signer.unprotected(), PAYLOAD.as_bytes()));
            assert_integrity(name, COSE_MEDIA_TYPE, &bytes, Some((Malformed, "envelope is no")));
        }
    }
}
