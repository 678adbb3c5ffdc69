//! `trustedRoot` of a trust policy: where trusted roots come from.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{
    Deserialize, Deserializer,
    de::{self, Error as _, IntoDeserializer as _, MapAccess, SeqAccess, Visitor, value},
};
use serde_json::Value;
use sigstore_trust_root::SigstoreInstance;
use time::{Date, macros::date};
use url::{Host, Url};

use super::{Origin, Profile, RootFault, TrustedRoot, file, tuf};
use crate::duration;

/// Most trusted roots of one trust policy: each is tried for each item.
const MAX_ROOTS: usize = 16;
/// How often a TUF repository is asked. Its timestamp metadata live for about a week.
const DEFAULT_REFRESH: Duration = Duration::from_hours(24);
/// Shortest interval: more often is a load on somebody else's service.
const MIN_REFRESH: Duration = Duration::from_mins(1);
/// Longest interval and age: past a month a typing error is likelier than a wish.
const MAX_REFRESH: Duration = Duration::from_hours(24 * 31);
/// Longest age that is configured.
const MAX_AGE: Duration = Duration::from_hours(24 * 366);
/// What the public instances call their trusted root.
const DEFAULT_TARGET: &str = "trusted_root.json";
/// Longest name of a target.
const MAX_TARGET_BYTES: usize = 255;

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
    pub const EMBEDDED: Date = date!(2026 - 10 - 23);

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
                    files.push(tuf::archive_path(tuf));
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

impl<'de> Deserialize<'de> for RootConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Sources)
    }
}

/// One source or a list of them. Told apart by hand: an untagged enum would say of any fault only that nothing matches.
struct Sources;

impl<'de> Visitor<'de> for Sources {
    type Value = RootConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("public-good, github, staging, a map with one of file, inline and tuf, or a list of these")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<RootConfig, E> {
        Ok(RootConfig { sources: vec![RootSource::Embedded(instance(word)?)], is_list: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RootConfig, A::Error> {
        Ok(RootConfig { sources: vec![OneSource.visit_map(map)?], is_list: false })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RootConfig, A::Error> {
        let mut sources = Vec::new();
        while let Some(Element(source)) = items.next_element()? {
            if sources.len() >= MAX_ROOTS {
                return Err(A::Error::custom(format_args!("more than {MAX_ROOTS} trusted roots")));
            }
            if sources.contains(&source) {
                return Err(A::Error::custom("the same trusted root stands twice in the list"));
            }
            sources.push(source);
        }
        if sources.is_empty() {
            return Err(A::Error::custom("an empty list trusts nobody"));
        }
        Ok(RootConfig { sources, is_list: true })
    }
}

struct Element(RootSource);

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneSource).map(Element)
    }
}

struct OneSource;

impl<'de> Visitor<'de> for OneSource {
    type Value = RootSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("public-good, github, staging, or a map with one of file, inline and tuf")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<RootSource, E> {
        instance(word).map(RootSource::Embedded)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RootSource, A::Error> {
        Members::deserialize(value::MapAccessDeserializer::new(map))?.into_source().map_err(A::Error::custom)
    }
}

fn instance<E: de::Error>(word: &str) -> Result<Instance, E> {
    let read: Result<Instance, value::Error> = Instance::deserialize(word.into_deserializer());
    read.map_err(|_| {
        E::custom(format_args!(
            "unknown trusted root {word:?}; known are public-good, github and staging, a file is written {{ file: … }}"
        ))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Members {
    file: Option<PathBuf>,
    inline: Option<Value>,
    tuf: Option<TufSource>,
    profile: Option<ProfileName>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ProfileName {
    GitHub,
    Sigstore,
}

impl Members {
    fn into_source(self) -> Result<RootSource, &'static str> {
        let Self { file, inline, tuf, profile } = self;
        let chosen = match profile {
            Some(ProfileName::GitHub) => Profile::GitHub,
            Some(ProfileName::Sigstore) | None => Profile::Sigstore,
        };
        match (file, inline, tuf) {
            (Some(path), None, None) if !path.as_os_str().is_empty() => Ok(RootSource::File { path, profile: chosen }),
            (Some(_), None, None) => Err("file is empty"),
            (None, Some(document), None) => Ok(RootSource::Inline { document, profile: chosen }),
            (None, None, Some(tuf)) => match (profile, tuf.instance) {
                (Some(_), Some(_)) => Err("profile is the instance's own; it cannot be chosen beside tuf.instance"),
                (None, _) => Ok(RootSource::Tuf(tuf)),
                (Some(_), None) => Ok(RootSource::Tuf(TufSource { profile: chosen, ..tuf })),
            },
            (None, None, None) => Err("one of file, inline and tuf is needed"),
            (Some(_), _, _) | (_, Some(_), _) => Err("file, inline and tuf exclude each other"),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TufMembers {
    instance: Option<Instance>,
    url: Option<String>,
    root: Option<PathBuf>,
    target: Option<String>,
    cache_dir: PathBuf,
    #[serde(default = "default_refresh", deserialize_with = "duration::deserialize")]
    refresh: Duration,
    max_age: Option<Age>,
    ca: Option<PathBuf>,
    #[serde(default)]
    plain_http: bool,
}

struct Age(Duration);

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        duration::deserialize(deserializer).map(Self)
    }
}

const fn default_refresh() -> Duration {
    DEFAULT_REFRESH
}

impl<'de> Deserialize<'de> for TufSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TufMembers::deserialize(deserializer)?.into_source().map_err(D::Error::custom)
    }
}

impl TufMembers {
    fn into_source(self) -> Result<TufSource, String> {
        let Self { instance, url, root, target, cache_dir, refresh, max_age, ca, plain_http } = self;
        let url = match (url, instance) {
            (Some(url), _) => url,
            (None, Some(instance)) => instance.known().tuf_url().to_owned(),
            (None, None) => return Err("one of instance and url is needed".to_owned()),
        };
        let url = Url::parse(&url).map_err(|error| format!("url: {error}"))?;
        check_url(&url, plain_http)?;
        if root.is_none() && instance.is_none() {
            return Err(
                "root is needed: the path of the repository's initial root.json, had in a way that you trust".into()
            );
        }
        if cache_dir.as_os_str().is_empty() {
            return Err("cacheDir is empty".to_owned());
        }
        let target = target.unwrap_or_else(|| DEFAULT_TARGET.to_owned());
        if !is_target(&target) {
            return Err(format!(
                "target {target:?} is no plain name: letters, digits, `.`, `_`, `-`, with `/` between"
            ));
        }
        if !(MIN_REFRESH..=MAX_REFRESH).contains(&refresh) {
            return Err("refresh must be 1m to 744h".to_owned());
        }
        let max_age = max_age.map(|Age(age)| age);
        if max_age.is_some_and(|age| age < refresh || age > MAX_AGE) {
            return Err("maxAge must be at least refresh and at most 8784h".to_owned());
        }
        let profile = instance.map_or(Profile::Sigstore, Instance::profile);
        Ok(TufSource { instance, url, root, target, cache_dir, refresh, max_age, ca, profile })
    }
}

/// https, or loopback where that was asked for. What is fetched is signed, but who asks for what is nobody's business.
fn check_url(url: &Url, plain_http: bool) -> Result<(), String> {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return Err("url has no host".to_owned()),
    };
    match url.scheme() {
        "https" => {}
        "http" if plain_http && loopback => {}
        "http" if plain_http => return Err("plainHttp is for loopback addresses only".to_owned()),
        "http" => return Err("url must be https; plainHttp: true allows http to loopback addresses".to_owned()),
        other => return Err(format!("url has the scheme {other:?}; it must be https")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("url has credentials".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("url has a query or a fragment".to_owned());
    }
    Ok(())
}

/// A relative path without empty parts and without `.` and `..` (CVE-2026-24137).
fn is_target(target: &str) -> bool {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..") && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    target.len() <= MAX_TARGET_BYTES && target.split('/').all(plain)
}
