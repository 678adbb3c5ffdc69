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
        match url::Host::parse(name).map_err(|_| refused())? {
            url::Host::Domain(domain) => Ok(Self::Name(domain.into())),
            url::Host::Ipv4(v4) => Ok(Self::Address(IpAddr::V4(v4))),
            url::Host::Ipv6(v6) => Ok(Self::Address(IpAddr::V6(v6))),
        }
    }
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
