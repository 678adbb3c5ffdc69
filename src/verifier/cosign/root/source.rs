//! `trustedRoot` of a trust policy: where trusted roots come from.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

use super::{Origin, Profile, RootFault, TrustedRoot, file, tuf};
pub use super::{instance::Instance, tuf::TufSource};

/// `trustedRoot` of a trust policy: one source, or a list of sources that are each judged whole.
///
/// `public-good` · `github` · `staging` · `{ file: trusted_root.json }` · `{ inline: {…} }` · `{ tuf: { instance: public-good, cacheDir: … } }`.
#[derive(Debug, Clone, PartialEq)]
pub struct RootConfig {
    /// At least one.
    sources: Vec<RootSource>,
    is_list: bool,
}

/// Where a trusted root comes from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RootSource {
    /// Compiled in, without any look outside.
    Embedded(Instance),
    /// A `trusted_root.json` on disk.
    File {
        /// Relative to the configuration.
        path: PathBuf,
        /// `profile`.
        profile: Profile,
    },
    /// The document itself.
    Inline {
        /// A map, or the JSON text.
        document: Value,
        /// `profile`.
        profile: Profile,
    },
    /// What a TUF repository last said.
    Tuf(TufSource),
}

mod written;

impl RootConfig {
    /// One of the instances that everybody knows, as compiled in.
    pub fn of_instance(instance: Instance) -> Self {
        Self { sources: vec![RootSource::Embedded(instance)], is_list: false }
    }

    /// A file.
    pub fn of_file(path: PathBuf) -> Self {
        Self { sources: vec![RootSource::File { path, profile: Profile::Sigstore }], is_list: false }
    }

    /// What it names; at least one.
    pub fn sources(&self) -> &[RootSource] {
        &self.sources
    }

    /// Its TUF repositories.
    pub fn tuf(&self) -> impl Iterator<Item = &TufSource> {
        self.sources.iter().filter_map(|source| match source {
            RootSource::Tuf(tuf) => Some(tuf),
            RootSource::Embedded(_) | RootSource::File { .. } | RootSource::Inline { .. } => None,
        })
    }

    /// The files that it is made of, relative to the configuration: when one of them changes, so does what is trusted.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for source in &self.sources {
            match source {
                RootSource::Embedded(_) | RootSource::Inline { .. } => {}
                RootSource::File { path, .. } => files.push(path.clone()),
                RootSource::Tuf(tuf) => {
                    files.extend(tuf.root.clone());
                    files.push(tuf.cache_file());
                }
            }
        }
        files
    }

    /// Reads all of them, from disk only. `base`: the folder that paths are relative to.
    ///
    /// # Errors
    /// Each fault, with what is appended to this value's own path in the configuration, as `[1].tuf` or `.file`.
    pub fn load(&self, base: &Path) -> Result<Vec<Arc<TrustedRoot>>, Vec<(String, RootFault)>> {
        let (mut roots, mut faults) = (Vec::new(), Vec::new());
        for (index, source) in self.sources.iter().enumerate() {
            match source.load(base) {
                Ok(root) => roots.push(Arc::new(root)),
                Err(fault) => {
                    let place = if self.is_list { format!("[{index}]") } else { String::new() };
                    faults.push((place + source.member(), fault));
                }
            }
        }
        if faults.is_empty() { Ok(roots) } else { Err(faults) }
    }
}

impl RootSource {
    const fn member(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "",
            Self::File { .. } => ".file",
            Self::Inline { .. } => ".inline",
            Self::Tuf(_) => ".tuf",
        }
    }

    fn load(&self, base: &Path) -> Result<TrustedRoot, RootFault> {
        match self {
            Self::Embedded(instance) => instance.embedded(),
            Self::File { path, profile } => {
                let bytes = file::read(&base.join(path))?;
                let root = TrustedRoot::parse(&path.display().to_string(), &bytes, *profile)?;
                Ok(root.from_origin(Origin::File(path.clone())))
            }
            Self::Inline { document, profile } => {
                let bytes = match document {
                    Value::String(text) => text.as_bytes().to_vec(),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                        document.to_string().into_bytes()
                    }
                };
                TrustedRoot::parse("inline", &bytes, *profile)
            }
            Self::Tuf(source) => tuf::load(source, base),
        }
    }
}

#[cfg(test)]
mod tests;
