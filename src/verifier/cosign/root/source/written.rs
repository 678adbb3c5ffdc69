//! `trustedRoot`, read from the configuration: closed, and helpful where it is wrong.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{self, Error as _, IntoDeserializer as _, MapAccess, SeqAccess, Visitor, value},
};
use serde_json::Value;
use url::{Host, Url};

use super::{Instance, RootConfig, RootSource, TufSource};
use crate::{duration, verifier::cosign::root::Profile};

/// Most trusted roots of one trust policy: each is tried for each item.
const MAX_ROOTS: usize = 16;
/// How often a TUF repository is asked. Its timestamp metadata live for about a week.
pub(super) const DEFAULT_REFRESH: Duration = Duration::from_hours(24);
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
            (None, Some(instance)) => instance.tuf_url().to_owned(),
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
