//! Scopes: which repositories a policy, or a trust policy, is about.
//!
//! ```text
//! scope   = "**" | host [ "/" segment *( "/" segment ) ]
//! host    = registry host and port | "*." domain [ ":" port ] | "*"
//! segment = text with any number of "*" | "**"      ; "**" at most once in a scope
//! ```
//!
//! A scope matches a *parsed* repository segment by segment, never a string prefix: `*` stands for any text inside one
//! segment, `**` for any number of segments, none included. Host and path are matched apart and anchored (CFG-20 to 24).

use std::{cmp::Ordering, fmt};

use super::{Host, Repository};

/// Most characters and segments in a scope; legal repositories are shorter.
const MAX_SCOPE_BYTES: usize = 512;

/// A parsed scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    text: Box<str>,
    segments: Vec<Segment>,
}

/// Why text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// Two `**`.
    #[error("scope {0:?} has `**` more than once")]
    ManyDoubleStars(String),
    /// A character that no repository has, or an empty segment.
    #[error("scope {0:?} has an empty segment or a character that no repository has")]
    Malformed(String),
    /// `**` inside a segment.
    #[error("scope {0:?} has `**` beside other text in one segment; `**` stands alone between slashes")]
    MixedDoubleStar(String),
    /// A wildcard host other than `*` and `*.domain`.
    #[error("scope {0:?} has a wildcard in its host that is not a leading `*.`")]
    WildcardHost(String),
    /// No `/`: neither `**` nor a host with a path.
    #[error("scope {0:?} names a host only; write {0}/** for all its repositories")]
    HostOnly(String),
    /// Too long.
    #[error("scope has {size} bytes, the limit is {MAX_SCOPE_BYTES}")]
    Long {
        /// Its size.
        size: usize,
    },
}

/// One segment, in the order of specificity: what stands first here is more specific.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Segment {
    Literal(Box<str>),
    /// Texts around the `*`s; at least one is not empty.
    Partial(Vec<Box<str>>),
    Star,
    DoubleStar,
}

impl Segment {
    const fn rank(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Partial(_) => 1,
            Self::Star => 2,
            Self::DoubleStar => 3,
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "*" => Self::Star,
            "**" => Self::DoubleStar,
            _ if text.contains('*') => Self::Partial(text.split('*').map(Into::into).collect()),
            _ => Self::Literal(text.into()),
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => &**literal == text,
            Self::Partial(pieces) => matches_pieces(pieces, text),
            Self::Star | Self::DoubleStar => true,
        }
    }
}

/// `pieces` are the texts around the stars: the first is a prefix, the last a suffix, the others follow in order.
fn matches_pieces(pieces: &[Box<str>], text: &str) -> bool {
    let [first, middle @ .., last] = pieces else {
        return false;
    };
    let Some(mut rest) = text.strip_prefix(&**first) else {
        return false;
    };
    for piece in middle {
        match rest.split_once(&**piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(&**last)
}

impl Scope {
    /// Parses a scope; Docker Hub names are normalised as in references.
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text.len() > MAX_SCOPE_BYTES {
            return Err(ScopeError::Long { size: text.len() });
        }
        let segments = normalise(text)?;
        if segments.iter().filter(|segment| **segment == Segment::DoubleStar).count() > 1 {
            return Err(ScopeError::ManyDoubleStars(text.to_owned()));
        }
        Ok(Self { text: text.into(), segments })
    }

    /// The scope as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the scope is about this repository.
    pub fn has(&self, repository: &Repository) -> bool {
        let host = repository.registry().to_string();
        let path: Vec<&str> = std::iter::once(host.as_str()).chain(repository.path().split('/')).collect();
        let double = self.segments.iter().position(|segment| *segment == Segment::DoubleStar);
        let Some(double) = double else {
            return path.len() == self.segments.len() && all_match(&self.segments, &path);
        };
        let (before, after) = self.segments.split_at(double);
        let after = after.get(1..).unwrap_or_default();
        let Some(spare) = path.len().checked_sub(before.len().saturating_add(after.len())) else {
            return false;
        };
        let (head, rest) = path.split_at(before.len());
        all_match(before, head) && all_match(after, rest.get(spare..).unwrap_or_default())
    }

    /// Compares segment by segment from the left; the more specific is the lesser. Equal: a tie.
    pub fn compare_specificity(&self, other: &Self) -> Ordering {
        for pair in self.segments.iter().zip(&other.segments) {
            let order = pair.0.rank().cmp(&pair.1.rank());
            if order.is_ne() {
                return order;
            }
        }
        // One is the other's beginning: the longer one says more. (Only where the shorter ends in `**`, or both could not
        // match one repository.)
        other.segments.len().cmp(&self.segments.len())
    }

    /// Whether both mean the same repositories in the same words.
    pub fn is_same(&self, other: &Self) -> bool {
        self.segments == other.segments
    }
}

/// Of what stands under scopes, that which decides about a repository: the most specific scope's, and all that tie with it.
pub fn most_specific<'a, T: Copy>(
    scoped: impl IntoIterator<Item = (&'a [Scope], T)>,
    repository: &Repository,
) -> Vec<(&'a Scope, T)> {
    let mut best: Vec<(&Scope, T)> = Vec::new();
    for (scopes, value) in scoped {
        for scope in scopes.iter().filter(|scope| scope.has(repository)) {
            match best.first().map_or(Ordering::Less, |(first, _)| scope.compare_specificity(first)) {
                Ordering::Less => best = vec![(scope, value)],
                Ordering::Equal => best.push((scope, value)),
                Ordering::Greater => {}
            }
        }
    }
    best
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn all_match(segments: &[Segment], path: &[&str]) -> bool {
    segments.len() == path.len() && segments.iter().zip(path).all(|(segment, text)| segment.matches(text))
}

fn normalise(text: &str) -> Result<Vec<Segment>, ScopeError> {
    let malformed = || ScopeError::Malformed(text.to_owned());
    if text == "**" {
        return Ok(vec![Segment::DoubleStar]);
    }
    let (host, path) = text.split_once('/').ok_or_else(|| ScopeError::HostOnly(text.to_owned()))?;
    let mut segments = Vec::new();
    let path = if let Some(segment) = host_segment(host, text)? {
        segments.push(segment);
        path
    } else {
        segments.push(Segment::Literal("docker.io".into()));
        text
    };
    let hub = segments.first() == Some(&Segment::Literal("docker.io".into()));
    if hub && !path.contains('/') && !path.contains("**") {
        segments.push(Segment::Literal("library".into()));
    }
    for piece in path.split('/') {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-' | b'*');
        if piece.is_empty() || !piece.bytes().all(plain) {
            return Err(malformed());
        }
        if piece.contains("**") && piece != "**" {
            return Err(ScopeError::MixedDoubleStar(text.to_owned()));
        }
        segments.push(Segment::parse(piece));
    }
    Ok(segments)
}

/// The host's segment; `None` where the first component is no host and Docker Hub is meant.
fn host_segment(host: &str, text: &str) -> Result<Option<Segment>, ScopeError> {
    let malformed = || ScopeError::Malformed(text.to_owned());
    if matches!(host, "*" | "**") {
        return Ok(Some(Segment::parse(host)));
    }
    if let Some(domain) = host.strip_prefix("*.") {
        let (name, port) = domain.split_once(':').map_or((domain, None), |(name, port)| (name, Some(port)));
        let canonical = match Host::parse(name).map_err(|_| malformed())? {
            Host::Name(name) => name,
            Host::Address(_) => return Err(malformed()),
        };
        if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
            return Err(malformed());
        }
        let suffix = port.map_or_else(|| format!(".{canonical}"), |port| format!(".{canonical}:{port}"));
        return Ok(Some(Segment::Partial(vec!["".into(), suffix.into()])));
    }
    if host.contains('*') {
        return if host.contains(['.', ':']) { Err(ScopeError::WildcardHost(text.to_owned())) } else { Ok(None) };
    }
    // The reference grammar decides what is a host, so that a scope and a reference never disagree.
    let probe = Repository::parse(&format!("{host}/probe/probe")).map_err(|_| malformed())?;
    if probe.path() == "probe/probe" {
        Ok(Some(Segment::Literal(probe.registry().to_string().into())))
    } else {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn has(scope: &str, repository: &str) -> bool {
        Scope::parse(scope).unwrap().has(&Repository::parse(repository).unwrap())
    }

    // R107
    #[test]
    fn scopes_match_segments_of_a_parsed_repository() {
        for (scope, repository, expected) in [
            ("**", "ghcr.io/a/b", true),
            ("ghcr.io/**", "ghcr.io/a/b", true),
            ("ghcr.io/a/**", "ghcr.io/a", true),
            ("ghcr.io/a/**", "ghcr.io/a/b/c", true),
            ("ghcr.io/a/**", "ghcr.io/ab/c", false),
            ("ghcr.io/a/*", "ghcr.io/a/b", true),
            ("ghcr.io/a/*", "ghcr.io/a/b/c", false),
            ("ghcr.io/a/*", "ghcr.io/a", false),
            ("ghcr.io/a/app-*", "ghcr.io/a/app-web", true),
            ("ghcr.io/a/app-*", "ghcr.io/a/apps", false),
            ("ghcr.io/*/b*c*d", "ghcr.io/a/b1c2c3d", true),
            ("ghcr.io/**/web", "ghcr.io/a/b/web", true),
            ("ghcr.io/**/web", "ghcr.io/web", true),
            ("ghcr.io/**/web", "ghcr.io/a/webs", false),
            // CFG-20, CFG-21, CFG-22, CFG-23, CFG-24
            ("*.trusted.io/org/*", "a.trusted.io/org/x", true),
            ("*.trusted.io/org/*", "a.b.trusted.io/org/x", true),
            ("*.trusted.io/org/*", "trusted.io/org/x", false),
            ("*.trusted.io/org/*", "evil.com/x.trusted.io/org/y", false),
            ("*.trusted.io/org/*", "eviltrusted.io/org/y", false),
            ("trusted.io/**", "trusted.io.evil.tld/a", false),
            ("trusted.io/org/**", "trusted.io/org-evil/x", false),
            ("trusted.io/**", "trusted.io:5000/a", false),
            ("trusted.io:5000/**", "trusted.io:5000/a", true),
            ("*.trusted.io:5000/**", "a.trusted.io:5000/a", true),
            ("*.trusted.io/**", "a.trusted.io:5000/a", false),
            // Docker Hub
            ("nginx/**", "docker.io/nginx/x", true),
            ("docker.io/nginx", "nginx", true),
            ("docker.io/library/nginx", "nginx", true),
            ("docker.io/**", "nginx", true),
            ("index.docker.io/library/*", "nginx", true),
            ("GHCR.io/a/b", "ghcr.io/a/b", true),
        ] {
            assert_eq!(has(scope, repository), expected, "{scope} {repository}");
        }
    }

    #[test]
    fn what_could_be_misread_is_no_scope() {
        for scope in [
            "",
            "*",
            "trusted.io*",
            "trusted.io",
            "trusted.io*/a",
            "tru*.io/a",
            "a.io/**/b/**",
            "a.io/x**",
            "a.io//b",
            "a.io/B",
            "a.io/b:tag",
            "a.io/b@sha256:0",
            "https://a.io/b",
            "a.io/b/",
            "*.1.2.3.4/a",
            "a.io:0/b",
            "a.io:x/b",
            " a.io/b",
        ] {
            assert!(Scope::parse(scope).is_err(), "{scope}");
        }
        assert!(Scope::parse(&format!("a.io/{}", "a".repeat(507))).is_ok());
        assert!(matches!(Scope::parse(&format!("a.io/{}", "a".repeat(508))), Err(ScopeError::Long { size: 513 })));
    }

    // CFG-25: scopes are no regular expressions; what looks like one is refused, and what has many stars is linear.
    #[test]
    fn a_scope_costs_its_length() {
        let large = format!("a.io/{}", "x".repeat(1 << 20));
        assert!(matches!(Scope::parse(&large), Err(ScopeError::Long { .. })));
        for scope in ["a.io/(a*)*b", r"a.io/(?i)\p{L}{1000}{1000}", "a.io/^a$", "a.io/a+", "a.io/[ab]", "a.io/a|b"] {
            assert!(Scope::parse(scope).is_err(), "{scope}");
        }
        let stars = format!("a.io/{}b", "a*".repeat(250));
        let path = format!("a.io/{}", "a".repeat(255));
        let begun = std::time::Instant::now();
        for _ in 0..1000 {
            assert!(!has(&stars, &path));
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    #[test]
    fn specificity_is_compared_from_the_left() {
        let ordered =
            ["a.io/b/c", "a.io/b/c*", "a.io/b/*", "a.io/b/**", "a.io/*/c", "a.io/**", "*.io/b/c", "*/b/c", "**"];
        for pair in ordered.windows(2) {
            let (more, less) = (Scope::parse(pair[0]).unwrap(), Scope::parse(pair[1]).unwrap());
            assert_eq!(more.compare_specificity(&less), Ordering::Less, "{} {}", pair[0], pair[1]);
            assert_eq!(less.compare_specificity(&more), Ordering::Greater, "{} {}", pair[0], pair[1]);
        }
        let tie = |a: &str, b: &str| Scope::parse(a).unwrap().compare_specificity(&Scope::parse(b).unwrap());
        assert_eq!(tie("a.io/x*/c", "a.io/*y/c"), Ordering::Equal);
    }

    fn segment() -> impl Strategy<Value = String> {
        prop_oneof!["[a-b]{1,2}", Just("*".to_owned()), "[a-b]\\*", Just("**".to_owned())]
    }

    proptest! {
        #[test]
        fn a_scope_without_wildcards_has_its_repository_alone(path in "[a-b]{1,2}(/[a-b]{1,2}){0,2}", other in "[a-b]{1,2}(/[a-b]{1,2}){0,2}") {
            let scope = Scope::parse(&format!("r.io/{path}")).unwrap();
            prop_assert_eq!(scope.has(&Repository::parse(&format!("r.io/{other}")).unwrap()), path == other);
        }

        #[test]
        fn specificity_is_a_total_preorder(a in prop::collection::vec(segment(), 1..4), b in prop::collection::vec(segment(), 1..4), c in prop::collection::vec(segment(), 1..4)) {
            let parse = |parts: &[String]| Scope::parse(&format!("r.io/{}", parts.join("/")));
            if let (Ok(a), Ok(b), Ok(c)) = (parse(&a), parse(&b), parse(&c)) {
                prop_assert_eq!(a.compare_specificity(&b), b.compare_specificity(&a).reverse());
                if a.compare_specificity(&b).is_le() && b.compare_specificity(&c).is_le() {
                    prop_assert!(a.compare_specificity(&c).is_le());
                }
            }
        }
    }
}
