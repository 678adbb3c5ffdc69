//! Host patterns: which rule is about which host.

use std::fmt;

use crate::oci::{Host, Registry};

/// A parsed host pattern. Hosts are matched label by label and whole, never by the tail of a string (REF-18, REF-26).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// `*`
    Any,
    /// `host[:port]`
    Exact(Registry),
    /// `*.example.com[:port]`: one label or more before the suffix.
    Under(Registry),
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (under, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let registry = Registry::parse(rest)
            .map_err(|error| format!("{error}; a host pattern is `host`, `host:port`, `*.example.com` or `*`"))?;
        match (under, registry.host()) {
            (true, Host::Address(_)) => Err("an address has no names below it".to_owned()),
            (true, Host::Name(_)) => Ok(Self::Under(registry)),
            (false, _) => Ok(Self::Exact(registry)),
        }
    }

    /// Whether `host` and `port` are meant; `default`: the port that a pattern without one means.
    pub(super) fn matches(&self, host: &Host, port: u16, default: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(registry) | Self::Under(registry) => {
                self.matches_host(host) && registry.port().unwrap_or(default) == port
            }
        }
    }

    /// Whether `host` is meant, at some port.
    pub(super) fn matches_host(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exact(registry), _) => registry.host() == host,
            (Self::Under(registry), Host::Name(name)) => {
                let suffix = registry.host().to_string();
                name.strip_suffix(suffix.as_str()).is_some_and(|head| head.len() > 1 && head.ends_with('.'))
            }
            (Self::Under(_), Host::Address(_)) => false,
        }
    }

    /// Larger is more specific: exact, then the longer suffix, then `*`.
    pub(super) fn specificity(&self) -> usize {
        match self {
            Self::Any => 1,
            Self::Exact(_) => 1000,
            // A name has at most 253 characters.
            Self::Under(registry) => registry.host().to_string().len().saturating_add(1),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(registry) => write!(f, "{registry}"),
            Self::Under(registry) => write!(f, "*.{registry}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, host: &str, port: u16) -> bool {
        Pattern::parse(pattern).unwrap().matches(&Host::parse(host).unwrap(), port, 443)
    }

    // REF-18, REF-26, CFG-20, CFG-21, CFG-22, CFG-23, CFG-24: suffix look-alikes, other ports and disguises are other
    // hosts.
    #[test]
    fn only_the_host_itself_matches() {
        for (pattern, host, port, expected) in [
            ("ghcr.io", "ghcr.io", 443, true),
            ("ghcr.io", "GHCR.io.", 443, true),
            ("ghcr.io:443", "ghcr.io", 443, true),
            ("ghcr.io", "ghcr.io", 5000, false),
            ("ghcr.io", "ghrc.io", 443, false),
            ("ghcr.io", "evilghcr.io", 443, false),
            ("ghcr.io", "ghcr.io.evil.test", 443, false),
            ("ghcr.io", "a.ghcr.io", 443, false),
            ("*.example.com", "a.example.com", 443, true),
            ("*.example.com", "b.a.example.com", 443, true),
            ("*.example.com", "example.com", 443, false),
            ("*.example.com", "aexample.com", 443, false),
            ("*.example.com", "a.example.com.evil.test", 443, false),
            ("*.example.com", "a.example.com", 5000, false),
            ("*.example.com:5000", "a.example.com", 5000, true),
            ("127.0.0.1:5000", "127.1", 5000, true),
            ("127.0.0.1:5000", "2130706433", 5000, true),
            ("*", "anything.test", 1, true),
        ] {
            assert_eq!(matches(pattern, host, port), expected, "{pattern} {host}:{port}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "*.", "**", "a*b.com", "*.*.com", "*.127.0.0.1", "https://ghcr.io", "ghcr.io/x", "ghcr.io:0"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_longer_suffix_is_more_specific() {
        let of = |text| Pattern::parse(text).unwrap().specificity();
        assert!(of("a.b.c") > of("*.b.c") && of("*.b.c") > of("*.c") && of("*.c") > of("*"));
    }
}
