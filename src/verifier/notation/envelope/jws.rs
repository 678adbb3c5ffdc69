//! JWS in its flattened JSON form; no other.
//!
//! Rule: Notary Project JWS envelope specification; RFC 7515 §7.2.2.

use std::collections::BTreeMap;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Map, Value as Json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::datetime};

use super::{
    Envelope, EnvelopeError,
    attributes::{
        AUTHENTIC_SIGNING_TIME, EXPIRY, Label, PLUGIN, PLUGIN_MIN_VERSION, Protected, SIGNING_AGENT, SIGNING_SCHEME,
        SIGNING_TIME, TIMESTAMP, Value,
    },
    chain_length, content_type, quoted,
};
use crate::{crypto::algorithm::SignatureAlgorithm, json};

/// Go's zero time, which signers in the field write where they mean none.
const ZERO: OffsetDateTime = datetime!(0001-01-01 0:00 UTC);

pub(super) fn parse(bytes: &[u8]) -> Result<Envelope, EnvelopeError> {
    let mut envelope = object("envelope", bytes)?;
    let payload_text = take_string(&mut envelope, "payload")?;
    let protected_text = take_string(&mut envelope, "protected")?;
    let signature_text = take_string(&mut envelope, "signature")?;
    let Some(Json::Object(header)) = envelope.remove("header") else {
        return Err(EnvelopeError::Member { member: "header", expected: "an object" });
    };
    if let Some(name) = envelope.keys().next() {
        return Err(EnvelopeError::UnknownMember { name: quoted(name) });
    }

    let protected = object("protected header", &base64url("protected", &protected_text)?)?;
    if let Some(name) = header.keys().find(|name| protected.contains_key(*name)) {
        return Err(EnvelopeError::BothHeaders { name: quoted(name) });
    }
    let algorithm = algorithm(protected.get("alg"))?;
    content_type(protected.get("cty").and_then(Json::as_str))?;
    let attributes = read(&protected)?.check()?;
    let payload = base64url("payload", &payload_text)?;
    if payload.is_empty() {
        return Err(EnvelopeError::PayloadEmpty);
    }
    let signature = base64url("signature", &signature_text)?;
    if signature.is_empty() {
        return Err(EnvelopeError::SignatureEmpty);
    }
    Ok(Envelope {
        algorithm,
        attributes,
        payload,
        chain: chain(&header)?,
        signed_bytes: [protected_text.as_bytes(), b".", payload_text.as_bytes()].concat(),
        signature,
        timestamp_token: optional(&header, TIMESTAMP)?.map(|text| standard(TIMESTAMP, text)).transpose()?,
        signing_agent: optional(&header, SIGNING_AGENT)?.map(str::to_owned),
    })
}

fn object(member: &'static str, bytes: &[u8]) -> Result<Map<String, Json>, EnvelopeError> {
    match json::parse(bytes, json::DOCUMENT_DEPTH) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err(EnvelopeError::Member { member, expected: "an object" }),
        Err(source) => Err(EnvelopeError::Json { member, source }),
    }
}

fn take_string(object: &mut Map<String, Json>, member: &'static str) -> Result<String, EnvelopeError> {
    match object.remove(member) {
        Some(Json::String(text)) => Ok(text),
        _ => Err(EnvelopeError::Member { member, expected: "a string" }),
    }
}

fn optional<'a>(header: &'a Map<String, Json>, member: &'static str) -> Result<Option<&'a str>, EnvelopeError> {
    match header.get(member) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(EnvelopeError::Member { member, expected: "a string" }),
    }
}

/// No padding, no white space, no bits left over (ENV-06).
fn base64url(member: &'static str, text: &str) -> Result<Vec<u8>, EnvelopeError> {
    let encoding = "base64url without padding";
    URL_SAFE_NO_PAD.decode(text).map_err(|_| EnvelopeError::Base64 { member, encoding })
}

fn standard(member: &'static str, text: &str) -> Result<Vec<u8>, EnvelopeError> {
    let encoding = "standard base64 with padding";
    STANDARD.decode(text).map_err(|_| EnvelopeError::Base64 { member, encoding })
}

fn chain(header: &Map<String, Json>) -> Result<Vec<Vec<u8>>, EnvelopeError> {
    let member = || EnvelopeError::Member { member: "x5c", expected: "an array of strings" };
    let Some(Json::Array(items)) = header.get("x5c") else { return Err(member()) };
    chain_length(items.len())?;
    items.iter().map(|item| item.as_str().ok_or_else(member).and_then(|text| standard("x5c", text))).collect()
}

fn algorithm(stated: Option<&Json>) -> Result<SignatureAlgorithm, EnvelopeError> {
    let Some(Json::String(stated)) = stated else { return Err(EnvelopeError::AttributeMissing { name: "alg" }) };
    SignatureAlgorithm::from_jose(stated).ok_or_else(|| EnvelopeError::Algorithm { stated: quoted(stated) })
}

fn read(protected: &Map<String, Json>) -> Result<Protected, EnvelopeError> {
    let mut parameters = BTreeMap::new();
    for (name, value) in protected {
        let value = match name.as_str() {
            "alg" | "crit" | "cty" => Value::Fixed,
            // Both change what the bytes mean (ENV-18).
            "b64" | "zip" => return Err(EnvelopeError::UnknownMember { name: quoted(name) }),
            SIGNING_SCHEME | PLUGIN | PLUGIN_MIN_VERSION => Value::Text(text(name, value)?),
            SIGNING_TIME | AUTHENTIC_SIGNING_TIME | EXPIRY => match time(name, value)? {
                Some(time) => Value::Time(time),
                None => continue,
            },
            _ => Value::Extended,
        };
        parameters.insert(Label::text(name), value);
    }
    Ok(Protected { parameters, critical: critical(protected.get("crit"))?, signing_time_may_be_critical: false })
}

fn critical(value: Option<&Json>) -> Result<Vec<Label>, EnvelopeError> {
    let wrong = || EnvelopeError::AttributeValue { name: "crit".to_owned(), expected: "a non-empty array of strings" };
    let items = match value {
        Some(Json::Array(items)) if !items.is_empty() => items,
        Some(_) => return Err(wrong()),
        None => return Err(EnvelopeError::AttributeMissing { name: "crit" }),
    };
    items.iter().map(|item| item.as_str().map(Label::text).ok_or_else(wrong)).collect()
}

fn text(name: &str, value: &Json) -> Result<String, EnvelopeError> {
    let wrong = || EnvelopeError::AttributeValue { name: name.to_owned(), expected: "a string" };
    value.as_str().map(str::to_owned).ok_or_else(wrong)
}

/// `None` for the zero time, which counts as absent.
fn time(name: &str, value: &Json) -> Result<Option<OffsetDateTime>, EnvelopeError> {
    let wrong = || EnvelopeError::AttributeValue { name: name.to_owned(), expected: "an RFC 3339 time" };
    let time = OffsetDateTime::parse(value.as_str().ok_or_else(wrong)?, &Rfc3339).map_err(|_| wrong())?;
    Ok((time != ZERO).then_some(time))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;
    use serde_json::json;

    use super::*;
    use crate::{
        reason::Code::{
            self, CertificateInvalid as Cert, LimitExceeded as Limit, PluginRequired as PluginCode,
            SignatureAlgorithm as Alg, SignatureInvalid as Invalid, SignatureMalformed as Malformed, UnknownCritical,
        },
        verifier::notation::{
            envelope::{JWS_MEDIA_TYPE, SigningScheme},
            testing::{PAYLOAD, Signer, assert_integrity, integrity, protected_json},
        },
    };

    type Expected = Option<(Code, &'static str)>;
    type Changes = Vec<(&'static str, Json)>;

    const SCHEME: &str = SIGNING_SCHEME;
    const AUTHORITY: &str = "notary.x509.signingAuthority";

    /// Sets members of the protected header, `null` removes one; then signs.
    fn changed(signer: &Signer, changes: &[(&str, Json)]) -> Vec<u8> {
        let mut protected = protected_json();
        for (name, value) in changes {
            if value.is_null() {
                drop(protected.as_object_mut().unwrap().remove(*name));
            } else {
                protected[name] = value.clone();
            }
        }
        signer.jws(&protected.to_string(), PAYLOAD).to_string().into_bytes()
    }

    // Item 3, item 12, item 13, item 14, item 15, item 16, item 17, item 18, item 19, item 20, item 21, item 104,
    // item 105, item 106; ENV-10, ENV-11, ENV-12, ENV-13, ENV-14, ENV-15, ENV-16, ENV-17, ENV-18, ENV-30,
    // ENV-31, ENV-40
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn protected_header_rules() {
        let signer = Signer::default();
        let none = Json::Null;
        let time = || json!("2026-01-02T03:04:05Z");
        let crit = |names: &[&str]| ("crit", json!(names));
        let authority = |with: &[&str]| {
            vec![
                (SCHEME, json!(AUTHORITY)),
                (SIGNING_TIME, Json::Null),
                (AUTHENTIC_SIGNING_TIME, json!("2026-01-02T03:04:05Z")),
                ("crit", json!(with)),
            ]
        };
        let forbidden = |name| Some((Malformed, name));
        let table: Vec<(&str, Changes, Expected)> = vec![
            ("good", vec![], None),
            ("item 16 unknown attribute", vec![("io.example.x", json!({"a": 1}))], None),
            (
                "ENV-17 keys of other places",
                vec![
                    ("jku", json!("https://example.com")),
                    ("x5u", json!("https://example.com")),
                    ("kid", json!("k")),
                    ("jwk", json!({})),
                ],
                None,
            ),
            ("item 3, ENV-10 none", vec![("alg", json!("none"))], Some((Alg, "\"none\""))),
            ("item 3 None", vec![("alg", json!("None"))], Some((Alg, "\"None\""))),
            ("item 3 empty", vec![("alg", json!(""))], Some((Alg, "\"\""))),
            ("item 3, ENV-11 HS256", vec![("alg", json!("HS256"))], Some((Alg, "HS256"))),
            ("item 3, ENV-12 RS256", vec![("alg", json!("RS256"))], Some((Alg, "RS256"))),
            ("item 3 ES256K", vec![("alg", json!("ES256K"))], Some((Alg, "ES256K"))),
            ("item 3 EdDSA", vec![("alg", json!("EdDSA"))], Some((Alg, "EdDSA"))),
            (
                "item 4, ENV-12 ES384",
                vec![("alg", json!("ES384"))],
                Some((Alg, "ES384, the leaf's EC P-256 key demands ES256")),
            ),
            (
                "item 4 PS256",
                vec![("alg", json!("PS256"))],
                Some((Alg, "PS256, the leaf's EC P-256 key demands ES256")),
            ),
            ("ENV-13 alg array", vec![("alg", json!(["ES256"]))], forbidden("no attribute alg")),
            ("ENV-10 alg missing", vec![("alg", none.clone())], forbidden("no attribute alg")),
            ("item 27 cty", vec![("cty", json!("application/json"))], forbidden("\"application/json\"")),
            (
                "ENV-13 cty parameters",
                vec![("cty", json!("application/vnd.cncf.notary.payload.v1+json; a=b"))],
                forbidden("content type"),
            ),
            ("ENV-13 cty missing", vec![("cty", none.clone())], forbidden("content type")),
            ("item 12, ENV-14 crit missing", vec![("crit", none.clone())], forbidden("no attribute crit")),
            ("item 12 crit empty", vec![crit(&[])], forbidden("non-empty array")),
            ("item 12 crit text", vec![("crit", json!(SCHEME))], forbidden("non-empty array")),
            ("item 12 crit numbers", vec![("crit", json!([1]))], forbidden("non-empty array")),
            (
                "item 13, ENV-16 scheme not critical",
                vec![crit(&["io.example.x"]), ("io.example.x", json!(1))],
                forbidden("does not list as critical: \"io.cncf.notary.signingScheme\""),
            ),
            (
                "item 13 expiry not critical",
                vec![(EXPIRY, json!("2027-01-01T00:00:00Z"))],
                forbidden("does not list as critical: \"io.cncf.notary.expiry\""),
            ),
            (
                "item 13 authentic time not critical",
                authority(&[SCHEME]),
                forbidden("critical: \"io.cncf.notary.authenticSigningTime\""),
            ),
            (
                "item 14, ENV-14 absent",
                vec![crit(&[SCHEME, "io.example.x"])],
                forbidden("\"io.example.x\" as critical and does not have it"),
            ),
            ("item 14 duplicate", vec![crit(&[SCHEME, SCHEME])], forbidden("as critical twice")),
            ("item 14 alg", vec![crit(&[SCHEME, "alg"])], forbidden("\"alg\" as critical, which it must not be")),
            ("item 14 cty", vec![crit(&[SCHEME, "cty"])], forbidden("\"cty\" as critical")),
            ("item 14 crit", vec![crit(&[SCHEME, "crit"])], forbidden("\"crit\" as critical")),
            (
                "item 14 signing time",
                vec![crit(&[SCHEME, SIGNING_TIME])],
                forbidden("signingTime\" as critical, which it must not be"),
            ),
            (
                "item 15, ENV-15 unknown critical",
                vec![crit(&[SCHEME, "io.example.x"]), ("io.example.x", json!(1))],
                Some((UnknownCritical, "\"io.example.x\", which is not understood")),
            ),
            (
                "item 105 critical of a plugin",
                vec![
                    crit(&[SCHEME, PLUGIN, "com.amazonaws.signer.signingJob"]),
                    (PLUGIN, json!("com.amazonaws.signer.notation.plugin")),
                    ("com.amazonaws.signer.signingJob", json!("arn:x")),
                ],
                Some((
                    PluginCode,
                    "com.amazonaws.signer.signingJob\" for verification plugin \"com.amazonaws.signer.notation.plugin\"",
                )),
            ),
            ("ENV-18 b64", vec![("b64", json!(false))], forbidden("\"b64\", which is not allowed")),
            ("ENV-18 zip", vec![("zip", json!("DEF"))], forbidden("\"zip\", which is not allowed")),
            (
                "item 17, ENV-16 scheme missing",
                vec![(SCHEME, none.clone())],
                forbidden("no attribute io.cncf.notary.signingScheme"),
            ),
            ("item 17 scheme other", vec![(SCHEME, json!("notary.X509"))], forbidden("\"notary.X509\"")),
            ("item 17 scheme number", vec![(SCHEME, json!(1))], forbidden("not a string")),
            ("item 18 authority", authority(&[SCHEME, AUTHENTIC_SIGNING_TIME]), None),
            (
                "item 18 authority without its time",
                vec![(SCHEME, json!(AUTHORITY)), (SIGNING_TIME, none.clone())],
                forbidden("no attribute io.cncf.notary.authenticSigningTime"),
            ),
            (
                "item 18 authority with the other time",
                [authority(&[SCHEME, AUTHENTIC_SIGNING_TIME]), vec![(SIGNING_TIME, time())]].concat(),
                forbidden("signingTime, which signing scheme notary.x509.signingAuthority does not allow"),
            ),
            (
                "item 18 x509 with authentic time",
                vec![(AUTHENTIC_SIGNING_TIME, time())],
                forbidden("authenticSigningTime, which signing scheme notary.x509 does not allow"),
            ),
            (
                "item 19 signing time missing",
                vec![(SIGNING_TIME, none.clone())],
                forbidden("no attribute io.cncf.notary.signingTime"),
            ),
            (
                "item 19 zero time is absent",
                vec![(SIGNING_TIME, json!("0001-01-01T00:00:00Z"))],
                forbidden("no attribute io.cncf.notary.signingTime"),
            ),
            ("item 20 expiry", vec![crit(&[SCHEME, EXPIRY]), (EXPIRY, json!("2026-01-02T03:04:06Z"))], None),
            (
                "item 20 expiry equal",
                vec![crit(&[SCHEME, EXPIRY]), (EXPIRY, time())],
                forbidden("is not after signing time"),
            ),
            (
                "item 20, ENV-30 expiry before",
                vec![crit(&[SCHEME, EXPIRY]), (EXPIRY, json!("2026-01-02T03:04:04Z"))],
                forbidden("is not after signing time"),
            ),
            ("ENV-30 year 9999", vec![crit(&[SCHEME, EXPIRY]), (EXPIRY, json!("9999-12-31T23:59:59Z"))], None),
            ("item 21 offset and fraction", vec![(SIGNING_TIME, json!("2026-01-02T03:04:05.678-08:00"))], None),
            (
                "item 21 no offset",
                vec![(SIGNING_TIME, json!("2026-01-02T03:04:05"))],
                forbidden("not an RFC 3339 time"),
            ),
            ("item 21, ENV-31 number", vec![(SIGNING_TIME, json!(1_767_323_045))], forbidden("not an RFC 3339 time")),
            (
                "item 21 no such day",
                vec![(SIGNING_TIME, json!("2026-02-30T00:00:00Z"))],
                forbidden("not an RFC 3339 time"),
            ),
            ("item 104, ENV-40 plugin", vec![crit(&[SCHEME, PLUGIN]), (PLUGIN, json!("../../bin/sh\u{0}"))], None),
            (
                "item 104 plugin not critical",
                vec![(PLUGIN, json!("p"))],
                forbidden("does not list as critical: \"io.cncf.notary.verificationPlugin\""),
            ),
            (
                "item 104 plugin blank",
                vec![crit(&[SCHEME, PLUGIN]), (PLUGIN, json!(" "))],
                forbidden("not a plugin's name"),
            ),
            ("item 104 plugin number", vec![crit(&[SCHEME, PLUGIN]), (PLUGIN, json!(1))], forbidden("not a string")),
            (
                "item 106 version",
                vec![
                    crit(&[SCHEME, PLUGIN, PLUGIN_MIN_VERSION]),
                    (PLUGIN, json!("p")),
                    (PLUGIN_MIN_VERSION, json!("1.0.0-rc.1+b")),
                ],
                None,
            ),
            (
                "item 106 version alone",
                vec![crit(&[SCHEME, PLUGIN_MIN_VERSION]), (PLUGIN_MIN_VERSION, json!("1.0.0"))],
                forbidden("no attribute io.cncf.notary.verificationPlugin"),
            ),
            (
                "item 106 version no SemVer",
                vec![
                    crit(&[SCHEME, PLUGIN, PLUGIN_MIN_VERSION]),
                    (PLUGIN, json!("p")),
                    (PLUGIN_MIN_VERSION, json!("1.0")),
                ],
                forbidden("not a semantic version"),
            ),
            (
                "item 106 version leading zero",
                vec![
                    crit(&[SCHEME, PLUGIN, PLUGIN_MIN_VERSION]),
                    (PLUGIN, json!("p")),
                    (PLUGIN_MIN_VERSION, json!("1.00.1")),
                ],
                forbidden("not a semantic version"),
            ),
        ];
        for (name, changes, expected) in table {
            assert_integrity(name, JWS_MEDIA_TYPE, &changed(&signer, &changes), expected);
        }
    }

    // ENV-11: whoever knows the leaf's public key could make this, if there were a symmetric algorithm.
    #[test]
    fn the_public_key_is_no_secret_to_check_with() {
        let signer = Signer::default();
        let mut protected = protected_json();
        protected["alg"] = json!("HS256");
        let mut envelope = signer.jws(&protected.to_string(), PAYLOAD);
        let member = |name: &str| envelope[name].as_str().unwrap().to_owned();
        let input = format!("{}.{}", member("protected"), member("payload"));
        let leaf = crate::crypto::x509::Certificate::parse(&signer.chain[0]).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, leaf.public_key().spki());
        envelope["signature"] = json!(URL_SAFE_NO_PAD.encode(hmac::sign(&key, input.as_bytes())));
        assert_integrity("ENV-11", JWS_MEDIA_TYPE, envelope.to_string().as_bytes(), Some((Alg, "\"HS256\"")));
    }

    // Item 8, item 9, item 10, item 11, item 26; ENV-01, ENV-02, ENV-03, ENV-06, ENV-07, ENV-08, ENV-19, ENV-20, ENV-22
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn envelope_members() {
        let signer = Signer::default();
        let good = signer.jws(&protected_json().to_string(), PAYLOAD);
        let with = |change: &dyn Fn(&mut Json)| {
            let mut envelope = good.clone();
            change(&mut envelope);
            envelope.to_string()
        };
        let text = good.to_string();
        let x5c = good["header"]["x5c"].as_array().unwrap().clone();
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}", x5c[0].as_str().unwrap());
        let table: Vec<(&str, String, Expected)> = vec![
            ("good", text.clone(), None),
            ("ENV-01 empty", String::new(), Some((Malformed, "envelope is not strict JSON"))),
            ("ENV-01 one byte", "{".to_owned(), Some((Malformed, "envelope is not strict JSON"))),
            ("item 8 compact", format!("{}.{}.{}", good["protected"], good["payload"], good["signature"]).replace('"', ""), Some((Malformed, "not strict JSON"))),
            ("item 8 general", json!({"payload": good["payload"], "signatures": [{"protected": good["protected"], "header": good["header"], "signature": good["signature"]}]}).to_string(), Some((Malformed, "protected"))),
            ("item 8 both", with(&|it| it["signatures"] = json!([])), Some((Malformed, "\"signatures\", which is not allowed"))),
            ("item 8 array", format!("[{text}]"), Some((Malformed, "an object"))),
            ("item 8 empty object", "{}".to_owned(), Some((Malformed, "payload"))),
            ("ENV-08 trailing", format!("{text} x"), Some((Malformed, "not strict JSON"))),
            ("item 10 duplicate", text.replacen('{', r#"{"payload":"","#, 1), Some((Malformed, "duplicate member"))),
            ("item 10 duplicate in header", text.replacen(r#""header":{"#, r#""header":{"x5c":[],"#, 1), Some((Malformed, "duplicate member"))),
            ("item 11 unknown in header", with(&|it| it["header"]["io.cncf.notary.SigningAgent"] = json!("x")), None),
            ("item 11 unknown member", with(&|it| it["extra"] = json!(1)), Some((Malformed, "\"extra\", which is not allowed"))),
            ("ENV-19 one name in both", with(&|it| it["header"]["alg"] = json!("ES256")), Some((Malformed, "\"alg\" both"))),
            ("item 9 padded", with(&|it| it["signature"] = json!(format!("{}==", it["signature"].as_str().unwrap()))), Some((Malformed, "signature is not base64url"))),
            ("item 9 white space", with(&|it| it["payload"] = json!(format!("{}\n", it["payload"].as_str().unwrap()))), Some((Malformed, "payload is not base64url"))),
            ("item 9 standard alphabet", with(&|it| it["signature"] = json!("+/+/")), Some((Malformed, "signature is not base64url"))),
            ("item 9 bits left over", with(&|it| it["signature"] = json!("AB")), Some((Malformed, "signature is not base64url"))),
            ("ENV-22 empty signature", with(&|it| it["signature"] = json!("")), Some((Invalid, "empty signature"))),
            ("ENV-22 zero signature", with(&|it| it["signature"] = json!("A".repeat(86))), Some((Invalid, "does not verify"))),
            ("ENV-64 long signature", with(&|it| it["signature"] = json!("A".repeat(176))), Some((Invalid, "132 bytes instead of 64"))),
            ("ENV-01 empty payload", with(&|it| it["payload"] = json!("")), Some((Malformed, "no payload"))),
            ("payload null", with(&|it| it["payload"] = json!(null)), Some((Malformed, "payload"))),
            ("x5c missing", with(&|it| it["header"] = json!({})), Some((Malformed, "x5c"))),
            ("x5c in another case", with(&|it| it["header"] = json!({"X5C": x5c})), Some((Malformed, "x5c"))),
            ("ENV-20 x5c empty", with(&|it| it["header"]["x5c"] = json!([])), Some((Cert, "chain is empty"))),
            ("ENV-20 x5c PEM", with(&|it| it["header"]["x5c"][0] = json!(pem)), Some((Malformed, "x5c is not standard base64"))),
            ("ENV-20 x5c not DER", with(&|it| it["header"]["x5c"][0] = json!("AAAA")), Some((Cert, "certificate 0"))),
            ("ENV-20 x5c number", with(&|it| it["header"]["x5c"][0] = json!(1)), Some((Malformed, "x5c"))),
            ("ENV-20 eleven", with(&|it| it["header"]["x5c"] = json!(vec![x5c[0].clone(); 11])), Some((Limit, "11 certificates"))),
            ("ENV-20 thousand", with(&|it| it["header"]["x5c"] = json!(vec!["AAAA"; 1000])), Some((Limit, "1000 certificates"))),
            ("ENV-20 root missing", with(&|it| it["header"]["x5c"].as_array_mut().unwrap().truncate(2)), Some((Cert, "not complete"))),
            ("ENV-20 leaf not first", with(&|it| it["header"]["x5c"].as_array_mut().unwrap().reverse()), Some((Invalid, "does not verify"))),
            ("timestamp", with(&|it| it["header"][TIMESTAMP] = json!("AAAA")), None),
            ("timestamp url alphabet", with(&|it| it["header"][TIMESTAMP] = json!("_-_-")), Some((Malformed, "timestampSignature is not standard base64"))),
            ("agent number", with(&|it| it["header"][SIGNING_AGENT] = json!(1)), Some((Malformed, "signingAgent"))),
        ];
        for (name, text, expected) in table {
            assert_integrity(name, JWS_MEDIA_TYPE, text.as_bytes(), expected);
        }
        let other = crate::verifier::notation::envelope::COSE_MEDIA_TYPE;
        assert_integrity("item 26, ENV-02", other, text.as_bytes(), Some((Malformed, "no COSE_Sign1")));
        assert_integrity(
            "item 26",
            "application/jose",
            text.as_bytes(),
            Some((Code::UnsupportedMediaType, "\"application/jose\"")),
        );
        assert_integrity(
            "item 9 signature of the wrong kind",
            JWS_MEDIA_TYPE,
            b"\xff\xfe",
            Some((Malformed, "not strict JSON")),
        );
    }

    // Item 10, item 29; ENV-07
    #[test]
    fn the_protected_header_is_verified_as_transmitted() {
        let signer = Signer::default();
        let spaced = serde_json::to_string_pretty(&protected_json()).unwrap();
        assert_integrity("item 29", JWS_MEDIA_TYPE, signer.jws(&spaced, PAYLOAD).to_string().as_bytes(), None);
        let twice = protected_json().to_string().replacen('{', r#"{"alg":"ES256","#, 1);
        let bytes = signer.jws(&twice, PAYLOAD).to_string();
        assert_integrity(
            "item 10",
            JWS_MEDIA_TYPE,
            bytes.as_bytes(),
            Some((Malformed, "protected header is not strict JSON")),
        );
    }

    // Item 21
    #[test]
    fn offsets_and_fractions_name_the_right_instant() {
        let bytes = changed(&Signer::default(), &[(SIGNING_TIME, json!("2023-01-19T00:21:36.5-08:00"))]);
        let scheme = integrity(JWS_MEDIA_TYPE, &bytes).unwrap().scheme();
        assert_eq!(scheme, SigningScheme::X509 { signing_time: datetime!(2023-01-19 8:21:36.5 UTC) });
    }

    // Item 28; ENV-04, ENV-05, golang-jwt CVE-2025-30204
    #[test]
    fn bombs_are_refused_cheaply() {
        let signer = Signer::default();
        let good = signer.jws(&protected_json().to_string(), PAYLOAD);
        let with = |member: &str, value: String| {
            let mut envelope = good.clone();
            envelope[member] = json!(value);
            envelope.to_string().into_bytes()
        };
        let dots = with("protected", ".".repeat(1_000_000));
        assert_integrity("dots", JWS_MEDIA_TYPE, &dots, Some((Malformed, "protected is not base64url")));
        let nested = with("protected", URL_SAFE_NO_PAD.encode(r#"{"a":"#.repeat(100_000)));
        assert_integrity("nested", JWS_MEDIA_TYPE, &nested, Some((Malformed, "protected header is not strict JSON")));
        assert_integrity(
            "nested",
            JWS_MEDIA_TYPE,
            &vec![b'['; 100_000],
            Some((Malformed, "envelope is not strict JSON")),
        );
        let random: Vec<u8> =
            (0..65_536_u32).map(|at| u8::try_from(at.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
        assert_integrity("ENV-01 random", JWS_MEDIA_TYPE, &random, Some((Malformed, "envelope is not strict JSON")));
        let exact = |size: usize| format!("{good}{}", " ".repeat(size - good.to_string().len())).into_bytes();
        assert_integrity("ENV-04 at the limit", JWS_MEDIA_TYPE, &exact(1024 * 1024), None);
        assert_integrity("ENV-04 above", JWS_MEDIA_TYPE, &exact(1024 * 1024 + 1), Some((Limit, "1048577 bytes")));
    }
}
