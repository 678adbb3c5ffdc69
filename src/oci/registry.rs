//! The host part of a reference, in one canonical form.

use std::{fmt, net::IpAddr};

use super::ReferenceError;

/// A registry's host in canonical form: a lower-case ASCII name without a trailing dot, or an address.
///
/// Every notation of an IPv4 address (`127.1`, `0x7f000001`, `2130706433`) has become the one address it stands for, so
/// that host rules, scopes and credentials are never compared with a disguise. Rule: WHATWG URL, "host parsing".
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A numeric address.
    Address(IpAddr),
    /// A DNS name.
    Name(Box<str>),
}

impl Host {
    /// # Errors
    /// [`ReferenceError::Host`]: not ASCII letters, digits, `-` and `.`, an empty label, a broken address.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let refused = || ReferenceError::Host;
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return inner.parse().map(|v6| Self::Address(IpAddr::V6(v6))).map_err(|_| refused());
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let plain = name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        });
        if !plain || name.len() > 253 {
            return Err(refused());
        }
        // Nothing of such a name would be read otherwise by a URL: no number for an address, no Punycode.
        if is_plain_name(name) {
            return Ok(Self::Name(name.into()));
        }
        // Four decimal numbers without leading zeros are one address to everybody.
        if let Ok(v4) = name.parse() {
            return Ok(Self::Address(IpAddr::V4(v4)));
        }
        match url::Host::parse(name).map_err(|_| refused())? {
            url::Host::Domain(domain) => Ok(Self::Name(domain.into())),
            url::Host::Ipv4(v4) => Ok(Self::Address(IpAddr::V4(v4))),
            url::Host::Ipv6(v6) => Ok(Self::Address(IpAddr::V6(v6))),
        }
    }
}

/// Whether a text of letters, digits, hyphens and dots can be nothing but the name that it is, in lower case. Rule: WHATWG URL,
/// "host parsing": where the last label is a number it is an address; `xn--` must be Punycode, which is looked at closer.
fn is_plain_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    // `0x…` and digits alone begin with a digit.
    last.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && !name.bytes().any(|b| b.is_ascii_uppercase())
        && name.split('.').all(|label| label.as_bytes().get(2..4) != Some(b"--"))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
            Self::Address(IpAddr::V4(v4)) => write!(f, "{v4}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A registry: host, and port where one was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Registry {
    host: Host,
    port: Option<u16>,
}

impl Registry {
    /// Docker Hub, the registry of names without one.
    pub(super) fn docker_hub() -> Self {
        Self { host: Host::Name("docker.io".into()), port: None }
    }

    /// Parses `host[:port]`. `index.docker.io` is `docker.io`, as the Docker reference grammar has it.
    ///
    /// # Errors
    /// [`ReferenceError::Host`], [`ReferenceError::Port`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(parse_port(port)?)),
            _ => (text, None),
        };
        let mut host = Host::parse(host)?;
        if host == Host::Name("index.docker.io".into()) {
            host = Host::Name("docker.io".into());
        }
        Ok(Self { host, port })
    }

    /// The canonical host.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port, if one was written.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

fn parse_port(text: &str) -> Result<u16, ReferenceError> {
    let digits = !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port != 0 => Ok(port),
        _ => Err(ReferenceError::Port),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_a_url_reads_as_the_same_name_is_plain() {
        for name in ["ghcr.io", "a", "registry-1.docker.io", "0x7f.io", "1.2.3.a4", "a--b.io", "svc.cluster.local"] {
            assert!(is_plain_name(name), "{name}");
        }
        for name in
            ["127.1", "0x7f.1", "1", "0x7f", "xn--nxasmq6b.io", "a.xn--p1ai", "a.0x1", "ab--c.io", "", "Ghcr.io"]
        {
            assert!(!is_plain_name(name), "{name}");
        }
    }

    proptest! {
        // REF-13
        #[test]
        fn four_numbers_are_read_as_a_url_reads_them(name in "0?[0-9]{1,3}(\\.0?[0-9]{1,3}){0,4}") {
            let found = Host::parse(&name).ok();
            let expected = match url::Host::parse(&name) {
                Ok(url::Host::Ipv4(v4)) => Some(Host::Address(IpAddr::V4(v4))),
                _ => None,
            };
            prop_assert_eq!(found, expected);
        }

        // REF-13, REF-18: the short way says what the URL standard says.
        #[test]
        fn a_plain_name_is_read_as_a_url_reads_it(name in "[a-zA-Z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?){0,3}") {
            if is_plain_name(&name) {
                prop_assert_eq!(url::Host::parse(&name), Ok(url::Host::Domain(name.clone())));
            }
        }
    }
}
