//! Files of trusted roots, read whole and bounded.

use std::{fs::File, io::Read as _, path::Path};

use super::{RootFault, parse::MAX_BYTES};

/// Reads a document of at most [`MAX_BYTES`]. A FIFO would block for ever, so its kind is looked at before it is opened.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, RootFault> {
    let unreadable = |source| RootFault::Unreadable { file: path.to_owned(), source };
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err(RootFault::NoFile { file: path.to_owned() });
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).and_then(|open| open.take(limit).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() > MAX_BYTES { Err(RootFault::TooLarge) } else { Ok(bytes) }
}
