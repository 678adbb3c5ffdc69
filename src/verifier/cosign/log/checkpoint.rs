//! Checkpoints: a log's tree head as a signed note.
//!
//! ```text
//! rekor.example - 3904496407287907110      origin: Rekor v1 `<name> - <tree>`, Rekor v2 `<host>`
//! 7                                        size
//! 21IK1zWO6OgCjPqQM5QpUFpB9PWv3l/ah1fI…=   root hash
//! Timestamp: 1692374735595899989           extension lines: signed, and never a time here (R92)
//!
//! — rekor.example byg2yjBFAiEA4mDfzU6m…    — <name> base64(hint | signature), the log's and its witnesses', in any order
//! ```
//!
//! Rule: C2SP `tlog-checkpoint` and `signed-note`; `sigstore.md` §1.5, R85, R86.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::Url;

use super::{super::root::Log, LogFault};
use crate::{
    crypto::scheme,
    reason::{MAX_OUTSIDE_TEXT_BYTES, printable},
};

/// Largest checkpoint that is read: real ones have 200 bytes and 150 a witness.
const MAX_BYTES: usize = 16 * 1024;
/// Most signatures: a log and its witnesses; each that has the log's name and hint costs a verification.
const MAX_SIGNATURES: usize = 32;
const HINT_BYTES: usize = 4;

/// A checkpoint that was read, not yet one that is believed.
#[derive(Debug)]
pub(super) struct Checkpoint<'a> {
    /// The signed bytes: everything up to and including the newline before the blank line.
    text: &'a str,
    origin: &'a str,
    /// The tree's size.
    pub(super) size: u64,
    /// The tree's root.
    pub(super) root: [u8; 32],
    signatures: Vec<Signature<'a>>,
}

#[derive(Debug)]
struct Signature<'a> {
    name: &'a str,
    hint: [u8; HINT_BYTES],
    bytes: Vec<u8>,
}

impl<'a> Checkpoint<'a> {
    /// Reads one signed note.
    ///
    /// # Errors
    /// [`LogFault::Limit`] past 16 KiB or 32 signatures; [`LogFault::Note`] for anything but the form above: one blank line, no
    /// control characters, a newline at the end, numbers without sign and leading zeros, padded standard base64.
    pub(super) fn parse(note: &'a str) -> Result<Self, LogFault> {
        if note.len() > MAX_BYTES {
            return Err(LogFault::Limit { what: "checkpoint, in bytes,", size: note.len(), limit: MAX_BYTES });
        }
        let malformed = |part| LogFault::Note { part };
        if note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(malformed("character"));
        }
        let end = note.find("\n\n").ok_or_else(|| malformed("end of its text"))?;
        let (text, rest) = end.checked_add(1).and_then(|end| note.split_at_checked(end)).unwrap_or_default();
        let mut lines = text.lines();
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or_else(|| malformed("origin"))?;
        let size = lines.next().and_then(decimal).ok_or_else(|| malformed("tree size"))?;
        let root = lines.next().and_then(|line| STANDARD.decode(line).ok()).and_then(|root| root.try_into().ok());
        let root = root.ok_or_else(|| malformed("root hash"))?;
        let signatures = rest.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
        let signatures = signatures.ok_or_else(|| malformed("end"))?;
        Ok(Self { text, origin, size, root, signatures: signature_lines(signatures)? })
    }

    /// Verifies that the log signed it under its own name. Other signatures are witnesses' and do not matter; of several by the
    /// log one must verify.
    ///
    /// The name of a Rekor v2 log is the host of its base URL. Rekor v1 names itself after the machine it runs on unless told
    /// otherwise, so there the origin, which is signed, tells the name.
    ///
    /// # Errors
    /// [`LogFault::Origin`]; [`LogFault::Unsigned`] where no signature has the log's name and hint and verifies.
    pub(super) fn verify(&self, is_v2: bool, log: &Log) -> Result<(), LogFault> {
        let name = if is_v2 { self.name_v2(log)? } else { self.name_v1()? };
        let hint = log.id.first_chunk::<HINT_BYTES>();
        let mut source = None;
        for signature in self.signatures.iter().filter(|line| line.name == name && Some(&line.hint) == hint) {
            match scheme::verify(&log.key, None, self.text.as_bytes(), &signature.bytes) {
                Ok(()) => return Ok(()),
                Err(error) => source = Some(error),
            }
        }
        Err(LogFault::Unsigned { name: printable(&name, MAX_OUTSIDE_TEXT_BYTES), source })
    }

    fn name_v1(&self) -> Result<String, LogFault> {
        let parts = self.origin.rsplit_once(" - ");
        let name = parts.filter(|(name, tree)| !name.is_empty() && is_digits(tree)).map(|(name, _)| name.to_owned());
        name.ok_or_else(|| self.of_another("<name> - <tree>".to_owned()))
    }

    fn name_v2(&self, log: &Log) -> Result<String, LogFault> {
        let url = Url::parse(&log.base_url).ok();
        let host = url.as_ref().and_then(Url::host_str).filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| LogFault::BaseUrl { url: log.base_url.clone() })?;
        if self.origin == host { Ok(host.to_owned()) } else { Err(self.of_another(host.to_owned())) }
    }

    fn of_another(&self, expected: String) -> LogFault {
        LogFault::Origin { origin: printable(self.origin, MAX_OUTSIDE_TEXT_BYTES), expected }
    }
}

fn signature_lines(text: &str) -> Result<Vec<Signature<'_>>, LogFault> {
    let size = text.split('\n').count();
    if size > MAX_SIGNATURES {
        return Err(LogFault::Limit { what: "checkpoint, in signatures,", size, limit: MAX_SIGNATURES });
    }
    text.split('\n').map(|line| signature_line(line).ok_or(LogFault::Note { part: "signature line" })).collect()
}

fn signature_line(line: &str) -> Option<Signature<'_>> {
    let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+') {
        return None;
    }
    let decoded = STANDARD.decode(encoded).ok()?;
    let (hint, bytes) = decoded.split_first_chunk::<HINT_BYTES>()?;
    if bytes.is_empty() {
        return None;
    }
    Some(Signature { name, hint: *hint, bytes: bytes.to_vec() })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn decimal(text: &str) -> Option<u64> {
    let canonical = is_digits(text) && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}
