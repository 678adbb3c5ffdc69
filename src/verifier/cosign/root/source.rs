//! `trustedRoot` of a trust policy: where trusted roots come from.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;
use sigstore_trust_root::SigstoreInstance;
use time::{Date, macros::date};
use url::Url;

use super::{Origin, Profile, RootFault, TrustedRoot, file, tuf};

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

/// When sigstore-trust-root 0.15.1 was released, which brings them.
const RELEASED: Date = date!(2026 - 10 - 23);

/// The instances that everybody knows; their trusted roots are compiled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Instance {
    /// GitHub's own, for artifact attestations of private repositories.
    #[serde(rename = "github")]
    GitHub,
    /// `sigstore.dev`.
    PublicGood,
    /// `sigstage.dev`; for tests only.
    Staging,
}

impl Instance {
    /// All, as the configuration spells them.
    pub const ALL: [Self; 3] = [Self::PublicGood, Self::GitHub, Self::Staging];

    /// When the release of the embedded roots was made: they are no newer than this.
    pub const EMBEDDED: Date = RELEASED;

    /// As the configuration spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::PublicGood => "public-good",
            Self::Staging => "staging",
        }
    }

    /// What its items must have.
    pub const fn profile(self) -> Profile {
        match self {
            Self::GitHub => Profile::GitHub,
            Self::PublicGood | Self::Staging => Profile::Sigstore,
        }
    }

    const fn known(self) -> SigstoreInstance {
        match self {
            Self::GitHub => SigstoreInstance::GitHub,
            Self::PublicGood => SigstoreInstance::PublicGood,
            Self::Staging => SigstoreInstance::Staging,
        }
    }

    /// The initial root metadata of its TUF repository.
    pub(super) fn initial_tuf_root(self) -> &'static [u8] {
        self.known().tuf_root()
    }

    /// The trusted root that is compiled in.
    ///
    /// # Errors
    /// None in a release: a test parses all of them.
    pub fn embedded(self) -> Result<TrustedRoot, RootFault> {
        let json = self.known().embedded_trusted_root_json();
        let root = TrustedRoot::parse(self.as_str(), json.as_bytes(), self.profile())?;
        Ok(root.from_origin(Origin::Embedded { date: Self::EMBEDDED }))
    }
}

/// `tuf`: a repository of The Update Framework, and where what it said is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TufSource {
    /// Whose repository, if it is one that everybody knows: gives `url` and `root`, and what to trust before the first refresh.
    pub instance: Option<Instance>,
    /// Where it is; no slash at the end.
    pub url: Url,
    /// The initial `root.json`, relative to the configuration; the instance's own where there is none.
    pub root: Option<PathBuf>,
    /// The target's name.
    pub target: String,
    /// Where verified answers are kept, relative to the configuration.
    pub cache_dir: PathBuf,
    /// How often the repository is asked.
    pub refresh: Duration,
    /// Without a successful refresh for longer than this we are not ready.
    pub max_age: Option<Duration>,
    /// Certificates (PEM) that the repository's TLS may chain to instead of the public ones.
    pub ca: Option<PathBuf>,
    /// What its items must have.
    pub profile: Profile,
}

impl TufSource {
    /// What it is called in reports, logs and metrics.
    pub fn name(&self) -> String {
        match self.instance {
            Some(instance) => instance.as_str().to_owned(),
            None => self.url.as_str().trim_end_matches('/').to_owned(),
        }
    }
}

impl TufSource {
    /// Where what it said is kept, relative to the configuration.
    pub fn cache_file(&self) -> PathBuf {
        tuf::archive_path(self)
    }
}

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
