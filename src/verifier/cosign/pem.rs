//! PEM blocks and nothing else: no text around them, no headers in them.
//!
//! Rule: RFC 7468 §3, "stricttextualmsg", with lines of any length.

use super::wire::decode_standard;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// A PEM block.
#[derive(Debug)]
pub(super) struct Block<'a> {
    pub(super) label: &'a str,
    pub(super) der: Vec<u8>,
}

/// Why text is no sequence of PEM blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemFault {
    /// A block cannot be read.
    #[error("a PEM block is malformed")]
    Malformed,
    /// Text beside the blocks.
    #[error("there is text around the PEM blocks")]
    Surroundings,
}

/// The labels of what look like blocks, undecoded; as many as there are.
pub(super) fn labels(text: &str) -> impl Iterator<Item = &str> {
    text.split(BEGIN).skip(1).map(|block| block.split_once(DASHES).map_or("", |(label, _)| label))
}

/// The blocks of a text, decoded.
pub(super) fn blocks(text: &str) -> Result<Vec<Block<'_>>, PemFault> {
    let mut blocks = Vec::new();
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let (block, after) = first(rest)?;
        blocks.push(block);
        rest = after.trim_ascii_start();
    }
    Ok(blocks)
}

/// The block that `text` begins with, and what comes after it.
fn first(text: &str) -> Result<(Block<'_>, &str), PemFault> {
    let (label, inner) =
        text.strip_prefix(BEGIN).ok_or(PemFault::Surroundings)?.split_once(DASHES).ok_or(PemFault::Malformed)?;
    let (base64, after) = inner.split_once(&format!("-----END {label}-----")).ok_or(PemFault::Malformed)?;
    // The dashes stand on lines of their own: what else stands there others read past.
    if !base64.starts_with(['\n', '\r'])
        || !base64.ends_with('\n')
        || !(after.is_empty() || after.starts_with(['\n', '\r']))
    {
        return Err(PemFault::Malformed);
    }
    let joined: String = base64.lines().map(str::trim_ascii).collect();
    let der = decode_standard(&joined).filter(|der| !der.is_empty()).ok_or(PemFault::Malformed)?;
    Ok((Block { label, der }, after))
}
