//! Who is asking: the cluster, or one of its namespaces.

use std::fmt;

/// The tenant that a key belongs to. Part of every request, generation lookup and cache key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tenant {
    /// Keys without a `[namespace]` prefix, and everything while tenancy is off.
    Cluster,
    /// Keys with a `[namespace]` prefix.
    Namespace(Namespace),
}

impl Tenant {
    /// The namespace, if it is one.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Cluster => None,
            Self::Namespace(namespace) => Some(namespace.as_str()),
        }
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.namespace().unwrap_or("cluster"))
    }
}

/// A Kubernetes namespace: a DNS-1123 label of at most 63 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace(Box<str>);

impl Namespace {
    /// `None` where `text` is no DNS-1123 label.
    pub fn parse(text: &str) -> Option<Self> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let label =
            (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-');
        label.then(|| Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REF-24
    #[test]
    fn only_dns_labels_are_namespaces() {
        for good in ["a", "team-a", "0", &"a".repeat(63)] {
            assert!(Namespace::parse(good).is_some(), "{good}");
        }
        for bad in ["", "TEAM", "a/b", "a:b", "-a", "a-", "a.b", " a", &"a".repeat(64)] {
            assert!(Namespace::parse(bad).is_none(), "{bad}");
        }
    }
}
