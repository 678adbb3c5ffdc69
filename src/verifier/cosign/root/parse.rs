//! `trusted_root.json` → [`TrustedRoot`].
//!
//! The document is refused where one of its windows cannot be known or two logs share an id; an entry that merely cannot be
//! used is left out with a warning and disables nothing else (R96). Members that are not known are a warning.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Authority, Log, Origin, Profile, RootFault, TrustedRoot, Window, log_key};
use crate::{
    crypto::{chain::MAX_CERTIFICATES, read::hex, x509::Certificate},
    json,
    reason::{self, printable},
};

/// Largest document; that of the public instance has 7 KB, GitHub's 32.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Deepest nesting; the deepest member of a trusted root is the seventh, of a client trust configuration the eighth.
const DEPTH: usize = 16;
/// Most warnings that are kept.
const MAX_WARNINGS: usize = 64;
/// Longest text from the document that a warning or a name repeats.
const MAX_TEXT_BYTES: usize = 256;

/// `sigstore_trustroot.proto`, `TrustedRoot.media_type`.
const MEDIA_TYPES: [&str; 3] = [
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
];
/// `sigstore_trustroot.proto`, `ClientTrustConfig.media_type`.
const WRAPPER_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json";

impl TrustedRoot {
    /// Parses a trusted root, or a client trust configuration around one. `name`: what the operator calls it.
    ///
    /// # Errors
    /// [`RootFault`]: no strict JSON, another media type, a window without start or with its ends exchanged (R95), a log id
    /// twice, nothing usable at all (COS-35).
    pub fn parse(name: &str, json: &[u8], profile: Profile) -> Result<Self, RootFault> {
        if json.len() > MAX_BYTES {
            return Err(RootFault::TooLarge);
        }
        let document = json::parse(json, DEPTH)?;
        let mut reader = Reader::default();
        let document = reader.unwrap(&document)?;
        let document = Members::of(document, "trusted root".to_owned())?;
        let media_type = document.text("mediaType")?.ok_or_else(|| document.missing("mediaType"))?;
        if !MEDIA_TYPES.contains(&media_type) {
            return Err(RootFault::MediaType { found: printable(media_type, MAX_TEXT_BYTES) });
        }
        let lists = ["mediaType", "tlogs", "certificateAuthorities", "ctlogs", "timestampAuthorities"];
        reader.note_unknown(&document, &lists);
        let root = Self {
            name: name.to_owned(),
            profile,
            logs: reader.logs(&document, "tlogs")?,
            ct_logs: reader.logs(&document, "ctlogs")?,
            certificate_authorities: reader.authorities(&document, "certificateAuthorities")?,
            timestamp_authorities: reader.authorities(&document, "timestampAuthorities")?,
            origin: Origin::Inline,
            warnings: reader.warnings,
        };
        // CT logs alone vouch for nothing that could be verified.
        if root.logs.is_empty() && root.certificate_authorities.is_empty() && root.timestamp_authorities.is_empty() {
            return Err(RootFault::Nothing);
        }
        Ok(root)
    }
}

/// An object, and where it stands.
struct Members<'a> {
    members: &'a Map<String, Value>,
    at: String,
}

impl<'a> Members<'a> {
    fn of(value: &'a Value, at: String) -> Result<Self, RootFault> {
        match value {
            Value::Object(members) => Ok(Self { members, at }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(RootFault::Type { at, expected: "an object" })
            }
        }
    }

    fn place(&self, member: &str) -> String {
        if self.at == "trusted root" { member.to_owned() } else { format!("{}.{member}", self.at) }
    }

    fn missing(&self, member: &str) -> RootFault {
        RootFault::Missing { at: self.place(member) }
    }

    fn wrong(&self, member: &str, expected: &'static str) -> RootFault {
        RootFault::Type { at: self.place(member), expected }
    }

    /// A member; `null` is as good as none in Protobuf's JSON.
    fn get(&self, member: &str) -> Option<&'a Value> {
        self.members.get(member).filter(|value| !value.is_null())
    }

    fn text(&self, member: &str) -> Result<Option<&'a str>, RootFault> {
        let Some(value) = self.get(member) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(member, "a text"))
    }

    fn object(&self, member: &str) -> Result<Option<Self>, RootFault> {
        self.get(member).map(|value| Self::of(value, self.place(member))).transpose()
    }

    fn list(&self, member: &str) -> Result<&'a [Value], RootFault> {
        match self.get(member) {
            None => Ok(&[]),
            Some(value) => value.as_array().map(Vec::as_slice).ok_or_else(|| self.wrong(member, "a list")),
        }
    }

    fn time(&self, member: &str) -> Result<Option<OffsetDateTime>, RootFault> {
        let Some(text) = self.text(member)? else { return Ok(None) };
        // Fractional seconds are part of RFC 3339.
        let time = OffsetDateTime::parse(text, &Rfc3339);
        time.map(Some).map_err(|_| RootFault::Time { at: self.place(member) })
    }

    /// Bytes in base64; the word is what a warning says.
    fn bytes(&self, member: &str) -> Result<Result<Vec<u8>, String>, RootFault> {
        let Some(text) = self.text(member)? else { return Ok(Err(format!("{member} is missing"))) };
        Ok(STANDARD.decode(text).map_err(|_| format!("{member} is no base64")))
    }
}

/// What is found beside what is read.
#[derive(Default)]
struct Reader {
    warnings: Vec<String>,
}

impl Reader {
    fn warn(&mut self, warning: String) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning);
        } else if self.warnings.len() == MAX_WARNINGS {
            self.warnings.push("there are more".to_owned());
        }
    }

    fn leave_out(&mut self, at: &str, why: &str) {
        self.warn(format!("{at} is left out: {why}"));
    }

    fn note_unknown(&mut self, object: &Members<'_>, known: &[&str]) {
        for member in object.members.keys().filter(|member| !known.contains(&member.as_str())) {
            self.warn(format!("{} is not known and passed over", object.place(&printable(member, MAX_TEXT_BYTES))));
        }
    }

    /// The trusted root in a client trust configuration; a trusted root is its own.
    fn unwrap<'a>(&mut self, document: &'a Value) -> Result<&'a Value, RootFault> {
        let Some(inner) = document.get("trustedRoot").filter(|inner| !inner.is_null()) else { return Ok(document) };
        let wrapper = Members::of(document, "trusted root".to_owned())?;
        let media_type = wrapper.text("mediaType")?.ok_or_else(|| wrapper.missing("mediaType"))?;
        if media_type != WRAPPER_MEDIA_TYPE {
            return Err(RootFault::MediaType { found: printable(media_type, MAX_TEXT_BYTES) });
        }
        self.note_unknown(&wrapper, &["mediaType", "trustedRoot", "signingConfig"]);
        Ok(inner)
    }

    fn logs(&mut self, document: &Members<'_>, list: &str) -> Result<Vec<Log>, RootFault> {
        let mut seen = HashSet::new();
        let mut logs = Vec::new();
        for (index, entry) in document.list(list)?.iter().enumerate() {
            let entry = Members::of(entry, format!("{list}[{index}]"))?;
            self.note_unknown(
                &entry,
                &["baseUrl", "hashAlgorithm", "publicKey", "logId", "checkpointKeyId", "operator"],
            );
            let key = entry.object("publicKey")?.ok_or_else(|| entry.missing("publicKey"))?;
            self.note_unknown(&key, &["rawBytes", "keyDetails", "validFor"]);
            let window = self.window(&key)?;
            let log_id = entry.object("logId")?.ok_or_else(|| entry.missing("logId"))?;
            self.note_unknown(&log_id, &["keyId"]);
            let id = log_id.bytes("keyId")?;
            if let Ok(id) = &id
                && !seen.insert(id.clone())
            {
                return Err(RootFault::DuplicateLog { at: entry.at, id: hex(id) });
            }
            match read_log(&entry, &key, id, window)? {
                Ok(log) => logs.push(log),
                Err(why) => self.leave_out(&entry.at, &why),
            }
        }
        Ok(logs)
    }

    fn authorities(&mut self, document: &Members<'_>, list: &str) -> Result<Vec<Authority>, RootFault> {
        let mut authorities = Vec::new();
        for (index, entry) in document.list(list)?.iter().enumerate() {
            let entry = Members::of(entry, format!("{list}[{index}]"))?;
            self.note_unknown(&entry, &["subject", "uri", "certChain", "validFor", "operator"]);
            let window = self.window(&entry)?;
            let uri = printable(entry.text("uri")?.unwrap_or_default(), MAX_TEXT_BYTES);
            let chain = entry.object("certChain")?.ok_or_else(|| entry.missing("certChain"))?;
            self.note_unknown(&chain, &["certificates"]);
            let certificates = chain.list("certificates")?;
            let mut ders = Vec::new();
            for (index, certificate) in certificates.iter().enumerate() {
                let certificate = Members::of(certificate, format!("{}.certificates[{index}]", chain.at))?;
                self.note_unknown(&certificate, &["rawBytes"]);
                ders.push(certificate.bytes("rawBytes")?);
            }
            match read_chain(ders) {
                Ok(chain) => authorities.push(Authority { uri, chain, window }),
                Err(why) => self.leave_out(&entry.at, &why),
            }
        }
        Ok(authorities)
    }

    /// `validFor` of a key or an authority. Without a start it would hold for ever backwards (R95).
    fn window(&mut self, of: &Members<'_>) -> Result<Window, RootFault> {
        let valid_for = of.object("validFor")?.ok_or_else(|| of.missing("validFor"))?;
        self.note_unknown(&valid_for, &["start", "end"]);
        let start = valid_for.time("start")?.ok_or_else(|| valid_for.missing("start"))?;
        let end = valid_for.time("end")?;
        if end.is_some_and(|end| end < start) {
            return Err(RootFault::InvertedWindow { at: valid_for.at });
        }
        Ok(Window { start, end })
    }
}

/// A log, or why it cannot be used.
fn read_log(
    entry: &Members<'_>,
    key: &Members<'_>,
    id: Result<Vec<u8>, String>,
    window: Window,
) -> Result<Result<Log, String>, RootFault> {
    let base_url = printable(entry.text("baseUrl")?.unwrap_or_default(), MAX_TEXT_BYTES);
    let hash = entry.text("hashAlgorithm")?.unwrap_or_default();
    let details = key.text("keyDetails")?.unwrap_or_default();
    let raw = key.bytes("rawBytes")?;
    Ok((|| {
        if hash != "SHA2_256" {
            return Err(format!("its hash algorithm {:?} is not supported", printable(hash, MAX_TEXT_BYTES)));
        }
        let id = id.map_err(|why| format!("logId.{why}"))?;
        let key = log_key::read(details, &raw.map_err(|why| format!("publicKey.{why}"))?)?;
        if !log_key::is_id_of(&id, &key, &base_url) {
            return Err(format!("its logId {} is not that of its key", hex(&id)));
        }
        Ok(Log { base_url, id, key, window })
    })())
}

/// A chain, the issuing certificate first, each signed by the next; or why it cannot be used.
fn read_chain(ders: Vec<Result<Vec<u8>, String>>) -> Result<Vec<Certificate>, String> {
    if ders.is_empty() {
        return Err("it has no certificate".to_owned());
    }
    if ders.len() > MAX_CERTIFICATES {
        return Err(format!("it has more than {MAX_CERTIFICATES} certificates"));
    }
    let mut chain: Vec<Certificate> = Vec::new();
    for (index, der) in ders.into_iter().enumerate() {
        let at = |why: String| format!("certificate {index}: {why}");
        let certificate = Certificate::parse(&der.map_err(at)?).map_err(|error| at(reason::chain(&error)))?;
        if let Some(issued) = chain.last() {
            issued
                .verify_signed_by(certificate.public_key())
                .map_err(|_| at("did not sign the one before it".into()))?;
        }
        chain.push(certificate);
    }
    Ok(chain)
}

#[cfg(test)]
mod tests;
