//! Image references, in the grammar of `distribution/reference`, normalised as Docker does.
//!
//! ```text
//! reference  = [ registry "/" ] path [ ":" tag ] [ "@" digest ]
//! registry   = host [ ":" port ]            ; the first component, if it has "." or ":", or is "localhost", or is a number
//! path       = component *( "/" component ) ; at most 255 characters
//! component  = alnum *( separator alnum )   ; lower case; separator = "." | "_" | "__" | 1*"-"
//! tag        = word *127( word | "." | "-" )
//! ```

use std::{fmt, str::FromStr};

use super::{Digest, DigestError, Registry};
use crate::reason::Code;

/// Longest key that is looked at (`threats.md` 1.2).
pub const MAX_REFERENCE_BYTES: usize = 1024;
/// Longest repository path; also the limit of `distribution/reference`.
const MAX_PATH_BYTES: usize = 255;
const MAX_TAG_BYTES: usize = 128;

/// Why text is not an image reference: the rule of the grammar that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// Control characters, spaces or anything else outside printable ASCII.
    #[error("reference has a character that no reference has")]
    Character,
    /// The part after `@` is no digest.
    #[error("reference names a malformed digest")]
    Digest(#[source] DigestError),
    /// No text at all.
    #[error("reference is empty")]
    Empty,
    /// The registry's host is malformed.
    #[error("registry host is malformed")]
    Host,
    /// Longer than [`MAX_REFERENCE_BYTES`].
    #[error("reference has {size} bytes, the limit is {MAX_REFERENCE_BYTES}")]
    Long {
        /// Its size.
        size: usize,
    },
    /// A path component breaks the grammar (upper case, empty, stray separator).
    #[error("repository path is malformed: lower-case letters, digits and single separators, components joined by '/'")]
    Path,
    /// Longer than 255 characters.
    #[error("repository path has {size} characters, the limit is {MAX_PATH_BYTES}")]
    PathLong {
        /// Its size.
        size: usize,
    },
    /// A port outside 1 to 65535.
    #[error("registry port is not a number from 1 to 65535")]
    Port,
    /// `scheme://…`.
    #[error("reference has a URL scheme; a reference starts with the registry's host")]
    Scheme,
    /// The tag breaks the grammar.
    #[error("tag is malformed: 1 to {MAX_TAG_BYTES} letters, digits, '_', '.', '-', not starting with '.' or '-'")]
    Tag,
}

impl ReferenceError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        Code::RefInvalid
    }
}

/// A tag, as the distribution specification allows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Box<str>);

impl Tag {
    /// # Errors
    /// [`ReferenceError::Tag`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        match text.as_bytes() {
            [first, rest @ ..]
                if word(*first)
                    && rest.len() < MAX_TAG_BYTES
                    && rest.iter().all(|b| word(*b) || matches!(b, b'.' | b'-')) =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(ReferenceError::Tag),
        }
    }

    /// The tag's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A repository: registry and path, canonical. What scopes, credentials and caches are about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    registry: Registry,
    path: Box<str>,
}

impl Repository {
    /// Parses `[registry/]path` without tag and digest.
    ///
    /// # Errors
    /// [`ReferenceError`], also for a tag or a digest.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let (first, rest) = text.split_once('/').map_or((None, text), |(first, rest)| (Some(first), rest));
        let (registry, path) = match first {
            Some(first) if is_registry(first) => (registry_named(first)?, rest.to_owned()),
            Some(_) => (Registry::docker_hub(), text.to_owned()),
            None => (Registry::docker_hub(), format!("library/{text}")),
        };
        // Docker Hub's official images live under `library/`.
        let path =
            if registry == Registry::docker_hub() && !path.contains('/') { format!("library/{path}") } else { path };
        check_path(&path)?;
        Ok(Self { registry, path: path.into() })
    }

    /// The registry.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The path below the registry, without a leading slash.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

/// A parsed, canonical reference. Where a tag and a digest are both written the digest rules and the tag is only kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses and normalises: `nginx` is `docker.io/library/nginx:latest`.
    ///
    /// # Errors
    /// [`ReferenceError`] names the rule that is broken.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.len() > MAX_REFERENCE_BYTES {
            return Err(ReferenceError::Long { size: text.len() });
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ReferenceError::Character);
        }
        if text.contains("://") {
            return Err(ReferenceError::Scheme);
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(Digest::parse(digest).map_err(ReferenceError::Digest)?)),
            None => (text, None),
        };
        // A colon after the last slash is a tag's; one before it is a port's.
        let tail_start = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name.rfind(':') {
            Some(colon) if colon >= tail_start => {
                let (name, tag) = name.split_at(colon);
                (name, Some(Tag::parse(tag.trim_start_matches(':')).and_then(|t| whole_tag(tag, t))?))
            }
            _ => (name, None),
        };
        let repository = Repository::parse(name)?;
        let tag = match (&tag, &digest) {
            (None, None) => Some(Tag("latest".into())),
            _ => tag,
        };
        Ok(Self { repository, tag, digest })
    }

    /// A reference that names `digest` in `repository`.
    pub const fn to_digest(repository: Repository, digest: Digest) -> Self {
        Self { repository, tag: None, digest: Some(digest) }
    }

    /// The repository.
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag as written, or `latest` where neither tag nor digest was.
    pub const fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, if written.
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

/// `a::b` has a tag text of `::b`; only one colon is the separator.
fn whole_tag(with_colon: &str, tag: Tag) -> Result<Tag, ReferenceError> {
    if with_colon.len() == tag.0.len() + 1 { Ok(tag) } else { Err(ReferenceError::Tag) }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// The registry that a first component names. A name such as `a.`, whose canonical form `a` would be read as a Docker Hub
/// user, is refused: what is printed, in a mutation too, must never name another image than what was read.
fn registry_named(component: &str) -> Result<Registry, ReferenceError> {
    let registry = Registry::parse(component)?;
    if is_registry(&registry.to_string()) { Ok(registry) } else { Err(ReferenceError::Host) }
}

/// Docker's rule, and one more: a first component that is a number in any base is a disguised address (REF-11, REF-13),
/// so it is read as a host, which host rules then refuse, and never as a Docker Hub user. And one less: upper case alone
/// makes no host, since hosts are lower case in their canonical form; such a name is refused (REF-04).
fn is_registry(component: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let hex = component.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    component.contains(['.', ':']) || component.eq_ignore_ascii_case("localhost") || number(component) || hex
}

fn check_path(path: &str) -> Result<(), ReferenceError> {
    if path.len() > MAX_PATH_BYTES {
        return Err(ReferenceError::PathLong { size: path.len() });
    }
    if path.split('/').all(is_component) { Ok(()) } else { Err(ReferenceError::Path) }
}

fn is_component(text: &str) -> bool {
    let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut bytes = text.as_bytes();
    loop {
        let run = bytes.iter().take_while(|b| alnum(b)).count();
        if run == 0 {
            return false;
        }
        bytes = bytes.get(run..).unwrap_or_default();
        let separator = match bytes {
            [] => return true,
            [b'_', b'_', ..] => 2,
            [b'.' | b'_', ..] => 1,
            [b'-', ..] => bytes.iter().take_while(|b| **b == b'-').count(),
            _ => return false,
        };
        bytes = bytes.get(separator..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests;
