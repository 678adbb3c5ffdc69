//! What Gatekeeper asks about: `[namespace]image`, or just an image.
//!
//! ```text
//! key       = [ "[" namespace "]" ] reference     ; the prefix only while tenancy is on, and only one
//! namespace = DNS-1123 label
//! ```
//!
//! A bracket also opens an IPv6 host (`[::1]:5000/app`). The two cannot be mistaken for each other: an address has a
//! colon, a label never has.

use std::net::Ipv6Addr;

use crate::{
    oci::{Reference, ReferenceError},
    reason::Code,
    tenant::{Namespace, Tenant},
};

/// Whether keys may name a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenancy {
    /// A prefix makes a key unreadable.
    Off,
    /// A prefix names the tenant; without one it is the cluster.
    On,
}

/// A key that names an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) tenant: Tenant,
    pub(crate) reference: Reference,
}

/// Why a key names none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("the prefix in brackets is no namespace: one DNS label of at most 63 characters")]
    Namespace,
    /// In the same words as `countersign verify` says it.
    #[error(transparent)]
    Reference(ReferenceError),
    #[error("the key has a namespace in brackets, and tenancy is off")]
    TenancyOff,
}

impl KeyError {
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Namespace | Self::TenancyOff => Code::RefInvalid,
            Self::Reference(error) => error.code(),
        }
    }
}

impl Key {
    /// Parses a key as it came: nothing is trimmed or normalised before.
    pub(crate) fn parse(text: &str, tenancy: Tenancy) -> Result<Self, KeyError> {
        let (tenant, image) = match prefix(text) {
            None => (Tenant::Cluster, text),
            Some(_) if tenancy == Tenancy::Off => return Err(KeyError::TenancyOff),
            Some((name, image)) => {
                let namespace = Namespace::parse(name).ok_or(KeyError::Namespace)?;
                // REF-24: one prefix only.
                if prefix(image).is_some() {
                    return Err(KeyError::Namespace);
                }
                (Tenant::Namespace(namespace), image)
            }
        };
        Ok(Self { tenant, reference: Reference::parse(image).map_err(KeyError::Reference)? })
    }
}

/// What stands in brackets at the start, and what follows; `None` where there are none, or they hold an IPv6 address.
fn prefix(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.strip_prefix('[')?.split_once(']')?;
    if name.parse::<Ipv6Addr>().is_ok() { None } else { Some((name, rest)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_names_the_tenant() {
        let key = Key::parse("[team-a]ghcr.io/x:1", Tenancy::On).unwrap();
        assert_eq!(key.tenant.namespace(), Some("team-a"));
        assert_eq!(key.reference.to_string(), "ghcr.io/x:1");
        let key = Key::parse("ghcr.io/x:1", Tenancy::On).unwrap();
        assert_eq!(key.tenant, Tenant::Cluster);
    }

    #[test]
    fn an_ipv6_host_is_no_namespace() {
        for tenancy in [Tenancy::Off, Tenancy::On] {
            let key = Key::parse("[::1]:5000/app:1", tenancy).unwrap();
            assert_eq!((key.tenant, key.reference.to_string()), (Tenant::Cluster, "[::1]:5000/app:1".to_owned()));
        }
        let key = Key::parse("[team-a][::1]:5000/app:1", Tenancy::On).unwrap();
        assert_eq!(key.tenant.namespace(), Some("team-a"));
    }

    #[test]
    fn whatever_else_stands_in_brackets_is_refused() {
        // REF-23
        assert_eq!(Key::parse("[team-a]ghcr.io/x", Tenancy::Off), Err(KeyError::TenancyOff));
        // REF-24
        let long = format!("[{}]x", "a".repeat(64));
        for text in ["[team-a][team-b]ghcr.io/x", "[]x", "[TEAM]x", "[a/b]x", "[a:b]x", &long, "[ team-a]x"] {
            assert_eq!(Key::parse(text, Tenancy::On), Err(KeyError::Namespace), "{text}");
        }
        for text in ["[team-a] x", "[team-a]", "[team-a", "[team-a[x", "]x"] {
            assert!(matches!(Key::parse(text, Tenancy::On), Err(KeyError::Reference(_))), "{text}");
        }
        assert!(Key::parse(&format!("[{}]x", "a".repeat(63)), Tenancy::On).is_ok());
    }
}
