//! Docker's `config.json`, and `auth.json` of the containers tools: which entry is about which repository.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use serde::Deserialize;

use super::{super::origin::Origin, Credential, read_object};
use crate::oci::Registry;

/// Most bytes of the file.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// The file, as far as it is read. Members that are not named here are other tools'.
#[derive(Deserialize)]
pub(super) struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Deserialize, Default)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    identitytoken: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    username: String,
}

/// What the file says about a repository.
pub(super) enum Found<'a> {
    Credential(Credential),
    /// Ask this helper; if it knows nothing, the entry, if any.
    Helper(&'a str, Option<Credential>),
    Nothing,
}

impl DockerConfig {
    /// `Err` says what is wrong and repeats nothing of the content, which has secrets.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let config: Self = read_object(bytes).map_err(|error| format!("is {error}"))?;
        for (key, entry) in &config.auths {
            entry.credential().map_err(|error| format!("has an entry {key:?} that {error}"))?;
        }
        for name in config.helper_names() {
            if !is_helper_name(name) {
                return Err(format!("names a credential helper {name:?}; names are lower-case letters, digits, '-'"));
            }
        }
        Ok(config)
    }

    /// The legacy form, `.dockercfg`: the entries alone. `Err` as of [`DockerConfig::parse`].
    pub(super) fn parse_legacy(bytes: &[u8]) -> Result<Self, String> {
        let auths: BTreeMap<String, Entry> = read_object(bytes).map_err(|error| format!("is {error}"))?;
        for (key, entry) in &auths {
            entry.credential().map_err(|error| format!("has an entry {key:?} that {error}"))?;
        }
        Ok(Self { auths, helpers: BTreeMap::new(), store: None })
    }

    /// How many entries it has.
    pub(super) fn entries(&self) -> usize {
        self.auths.len()
    }

    /// The entry with the longest path that leads to the repository `path` at `origin`, with that path's length. Entries
    /// without a credential, and helpers, do not count.
    pub(super) fn entry(&self, origin: &Origin, path: &str) -> Result<Option<(usize, Credential)>, String> {
        let mut best: Option<(usize, Credential)> = None;
        for (key, entry) in &self.auths {
            let Some(prefix) = key_prefix(key, origin).filter(|prefix| is_prefix(prefix, path)) else { continue };
            if best.as_ref().is_none_or(|(longest, _)| prefix.len() > *longest)
                && let Some(credential) = entry.credential()?
            {
                best = Some((prefix.len(), credential));
            }
        }
        Ok(best)
    }

    /// The helpers that it names.
    pub(super) fn helper_names(&self) -> impl Iterator<Item = &str> {
        self.helpers.values().chain(&self.store).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// What is said about the repository `path` at `origin`: the entry with the longest path that leads to it.
    pub(super) fn find(&self, origin: &Origin, path: &str) -> Result<Found<'_>, String> {
        let best = |keys: &mut dyn Iterator<Item = &String>| {
            let leads =
                |key: &String| key_prefix(key, origin).filter(|prefix| is_prefix(prefix, path)).map(|p| p.len());
            keys.filter_map(|key| leads(key).map(|length| (length, key.clone()))).max()
        };
        let entry = match best(&mut self.auths.keys()).and_then(|(_, key)| self.auths.get(&key)) {
            Some(entry) => entry.credential()?,
            None => None,
        };
        let helper = best(&mut self.helpers.keys()).and_then(|(_, key)| self.helpers.get(&key)).or(self.store.as_ref());
        Ok(match (helper.filter(|name| !name.is_empty()), entry) {
            (Some(name), entry) => Found::Helper(name, entry),
            (None, Some(credential)) => Found::Credential(credential),
            (None, None) => Found::Nothing,
        })
    }
}

impl Entry {
    fn credential(&self) -> Result<Option<Credential>, String> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credential::Identity(SecretString::from(self.identitytoken.as_str()))));
        }
        let (username, password) = if self.auth.is_empty() {
            (self.username.clone(), self.password.clone())
        } else {
            let malformed = "has a malformed `auth`: base64 of user:password is wanted";
            // Docker itself pads with NUL bytes at times.
            let bytes = STANDARD.decode(self.auth.trim()).map_err(|_| malformed)?;
            let text = String::from_utf8(bytes).map_err(|_| malformed)?;
            let (username, password) = text.trim_end_matches('\0').split_once(':').ok_or(malformed)?;
            (username.to_owned(), password.to_owned())
        };
        if username.is_empty() && password.is_empty() {
            return Ok(None);
        }
        Credential::password(username, password).map(Some)
    }
}

/// The repository path that a key is about, if it is about `origin`. Keys come as `host`, `host/path`, `https://host/v1/`.
fn key_prefix(key: &str, origin: &Origin) -> Option<String> {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let registry = Registry::parse(host).ok()?;
    let path = match path.trim_matches('/') {
        "v1" | "v2" => "",
        path => path,
    };
    (Origin::of_registry(&registry, origin.plain) == *origin).then(|| path.to_owned())
}

/// Whole segments only.
fn is_prefix(prefix: &str, path: &str) -> bool {
    prefix.is_empty() || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_helper_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(config: &str, registry: &str, path: &str) -> Option<String> {
        let config = DockerConfig::parse(config.as_bytes()).unwrap();
        let origin = Origin::of_registry(&Registry::parse(registry).unwrap(), false);
        match config.find(&origin, path).unwrap() {
            Found::Credential(Credential::Password { username, .. }) => Some(username),
            Found::Credential(Credential::Identity(_)) => Some("<token>".to_owned()),
            Found::Helper(name, entry) => {
                Some(format!("helper {name}{}", if entry.is_some() { " or entry" } else { "" }))
            }
            Found::Nothing => None,
        }
    }

    fn auths(entries: &[(&str, &str)]) -> String {
        let entries: Vec<_> = entries
            .iter()
            .map(|(key, user)| format!("{key:?}:{{\"auth\":\"{}\"}}", STANDARD.encode(format!("{user}:p"))))
            .collect();
        format!("{{\"auths\":{{{}}}}}", entries.join(","))
    }

    // REF-18, REF-26, REG-41: only the host itself, at its port, and whole path segments.
    #[test]
    fn an_entry_is_about_its_own_host_and_path_only() {
        let config = auths(&[
            ("https://index.docker.io/v1/", "hub"),
            ("ghcr.io", "ghcr"),
            ("https://ghcr.io/org", "org"),
            ("registry.example.com:5000", "port"),
        ]);
        for (registry, path, expected) in [
            ("docker.io", "library/nginx", Some("hub")),
            ("ghcr.io", "other/x", Some("ghcr")),
            ("ghcr.io:443", "other/x", Some("ghcr")),
            ("ghcr.io", "org/x", Some("org")),
            ("ghcr.io", "organisation/x", Some("ghcr")),
            ("evilghcr.io", "x", None),
            ("ghcr.io.evil.test", "x", None),
            ("a.ghcr.io", "x", None),
            ("ghcr.io:5000", "x", None),
            ("registry.example.com:5000", "x", Some("port")),
            ("registry.example.com", "x", None),
        ] {
            assert_eq!(user(&config, registry, path).as_deref(), expected, "{registry}/{path}");
        }
    }

    #[test]
    fn helpers_and_identity_tokens_are_found() {
        let config = r#"{"auths":{"a.test":{"identitytoken":"t"},"b.test":{"username":"u","password":"p"},"c.test":{}},
            "credHelpers":{"b.test":"ecr-login"}}"#;
        assert_eq!(user(config, "a.test", "x").as_deref(), Some("<token>"));
        assert_eq!(user(config, "b.test", "x").as_deref(), Some("helper ecr-login or entry"));
        assert_eq!(user(config, "c.test", "x"), None);
        assert_eq!(user(r#"{"credsStore":"pass"}"#, "d.test", "x").as_deref(), Some("helper pass"));
    }

    #[test]
    fn what_is_no_configuration_is_refused_and_not_repeated() {
        for text in [
            "",
            "[]",
            r#"{"auths":{"a":{"auth":"!SECRET"}}}"#,
            r#"{"auths":{"a":{"auth":"U0VDUkVU"}}}"#,
            r#"{"auths":{},"auths":{}}"#,
            r#"{"credsStore":"../SECRET"}"#,
            r#"{"credHelpers":{"a":"-x"}}"#,
            r#"{"auths":{"a":{"username":"SE\r\nCRET","password":"SECRET"}}}"#,
        ] {
            let error = DockerConfig::parse(text.as_bytes()).err().unwrap();
            assert!(text.contains("../") || !error.contains("SECRET"), "{error}");
        }
    }
}
