//! What a TUF repository last said, in one file, so that a reader sees all of one answer or all of another.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};
use sigstore_tuf::{Error, MetadataStore, Repository, transport::FetchFuture};
use time::OffsetDateTime;
use uuid::Uuid;

use super::TufFault;
use crate::json;

/// Largest archive: as much as is looked at of a file to see that it changed. That of the public instance has 60 KB.
pub(super) const MAX_BYTES: usize = 4 << 20;
/// Deepest nesting of an archive.
const DEPTH: usize = 4;
/// Deepest nesting of TUF metadata; a delegated role's key id is the sixth.
const METADATA_DEPTH: usize = 16;

/// Everything that a refresh verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Archive {
    /// When that was.
    #[serde(with = "time::serde::rfc3339")]
    pub refreshed_at: OffsetDateTime,
    /// By the name that the client gave them.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

impl Archive {
    /// Reads the archive at `path`, if there is one. Nothing in it is believed.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, TufFault> {
        let unreadable = |source| TufFault::Unreadable { file: path.to_owned(), source };
        match path.metadata() {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err(unreadable(io::Error::other("no regular file"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        }
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        File::open(path).and_then(|open| open.take(limit).read_to_end(&mut bytes)).map_err(unreadable)?;
        if bytes.len() > MAX_BYTES {
            return Err(TufFault::TooLarge);
        }
        let archive = json::from_slice(&bytes, DEPTH);
        archive.map(Some).map_err(|source| TufFault::Damaged { file: path.to_owned(), source })
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, TufFault> {
        let bytes = serde_json::to_vec(self).map_err(|_| TufFault::Time)?;
        if bytes.len() > MAX_BYTES { Err(TufFault::TooLarge) } else { Ok(bytes) }
    }
}

fn to_base64<S: Serializer>(files: &BTreeMap<String, Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(files.iter().map(|(name, bytes)| (name, STANDARD.encode(bytes))))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Vec<u8>>, D::Error> {
    let files = BTreeMap::<String, String>::deserialize(deserializer)?;
    let decoded = files.into_iter().map(|(name, text)| Ok((name, STANDARD.decode(text).map_err(D::Error::custom)?)));
    decoded.collect()
}

/// Refuses metadata that give one key two ids: the client counts ids where a threshold counts keys.
pub(super) fn distinct_keys(files: &BTreeMap<String, Vec<u8>>) -> Result<(), TufFault> {
    for (name, bytes) in files.iter().filter(|(name, _)| !name.starts_with("targets/")) {
        let metadata = json::parse(bytes, METADATA_DEPTH);
        let metadata = metadata.map_err(|source| TufFault::Json { name: name.clone(), source })?;
        for place in ["/signed/keys", "/signed/delegations/keys"] {
            let mut seen = HashSet::new();
            for key in metadata.pointer(place).and_then(Value::as_object).into_iter().flat_map(Map::values) {
                let public = key.pointer("/keyval/public").and_then(Value::as_str).unwrap_or_default();
                let plain: String = public.split_whitespace().collect();
                if !seen.insert(plain) {
                    return Err(TufFault::SameKey { name: name.clone() });
                }
            }
        }
    }
    Ok(())
}

/// Writes `bytes` beside `path` and renames them over it.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("{}.tmp", Uuid::new_v4().simple()));
    let written = OpenOptions::new().write(true).create_new(true).open(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let outcome = written.and_then(|()| fs::rename(&beside, path));
    if outcome.is_err() {
        // Best effort: what matters is the error that is returned.
        let _ = fs::remove_file(&beside);
    }
    outcome
}

/// Verified files in memory, written through by the client, kept as a whole in the end.
#[derive(Debug, Clone)]
pub(super) struct Files(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl Files {
    pub(super) fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        Self(Arc::new(Mutex::new(files)))
    }

    pub(super) fn to_map(&self) -> BTreeMap<String, Vec<u8>> {
        self.lock().clone()
    }

    /// A map is whole after each call, also after one that panicked.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MetadataStore for Files {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.lock().get(name).cloned())
    }

    fn store(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        // `12.snapshot.json` beside `snapshot.json` would be kept for ever.
        if without_version(name).is_none() {
            self.lock().insert(name.to_owned(), bytes.to_vec());
        }
        Ok(())
    }
}

/// `12.snapshot.json` → `snapshot.json`.
fn without_version(name: &str) -> Option<&str> {
    let (version, rest) = name.split_once('.')?;
    (!version.is_empty() && version.bytes().all(|b| b.is_ascii_digit())).then_some(rest)
}

/// The files as a repository, for verifying them again.
#[derive(Debug)]
pub(super) struct Offline(pub(super) Files);

impl Repository for Offline {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        // The end of the chain of roots was reached when the history was walked.
        let found = match without_version(name) {
            Some("root.json") => None,
            Some(plain) => self.0.lock().get(plain).cloned(),
            None => self.0.lock().get(name).cloned(),
        };
        let too_long = found.as_ref().is_some_and(|bytes| u64::try_from(bytes.len()).is_ok_and(|len| len > max_length));
        let answer = if too_long { Err(Error::transport(format!("{name} is too long"))) } else { Ok(found) };
        Box::pin(async move { answer })
    }

    fn fetch_target<'a>(&'a self, _path: &'a str, _max_length: u64) -> FetchFuture<'a> {
        // Found in the store by the name without hash, or not at all.
        Box::pin(async { Ok(None) })
    }
}
