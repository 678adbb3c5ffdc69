//! Scheme, host and port: whom credentials belong to.

use std::fmt;

use url::Url;

use crate::oci::{Host, Registry};

/// Where Docker Hub's API is; `docker.io` itself has none.
const DOCKER_HUB: &str = "registry-1.docker.io";

/// An origin. Two URLs with equal origins may see the same credentials, others may not (R7).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    /// `http`, not `https`.
    pub(super) plain: bool,
    pub(super) host: Host,
    pub(super) port: u16,
}

impl Origin {
    /// Where a registry's API is.
    pub(super) fn of_registry(registry: &Registry, plain: bool) -> Self {
        let port = registry.port().unwrap_or(if plain { 80 } else { 443 });
        let hub = *registry.host() == Host::Name("docker.io".into());
        let host = if hub { Host::Name(DOCKER_HUB.into()) } else { registry.host().clone() };
        Self { plain, host, port }
    }

    /// `None` for other schemes, and for hosts that no reference could name.
    pub(super) fn of_url(url: &Url) -> Option<Self> {
        let plain = match url.scheme() {
            "http" => true,
            "https" => false,
            _ => return None,
        };
        Some(Self { plain, host: Host::parse(url.host_str()?).ok()?, port: url.port_or_known_default()? })
    }

    pub(super) const fn default_port(&self) -> u16 {
        if self.plain { 80 } else { 443 }
    }

    /// `https://host:port` with `path`, which starts with a slash.
    pub(super) fn join(&self, path: &str) -> Result<Url, url::ParseError> {
        Url::parse(&format!("{self}{path}"))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plain, host, port } = self;
        let scheme = if *plain { "http" } else { "https" };
        if *port == self.default_port() {
            write!(f, "{scheme}://{host}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REF-03
    #[test]
    fn docker_hub_has_its_api_elsewhere() {
        let of = |text, plain| Origin::of_registry(&Registry::parse(text).unwrap(), plain).to_string();
        assert_eq!(of("docker.io", false), "https://registry-1.docker.io");
        assert_eq!(of("ghcr.io:443", false), "https://ghcr.io");
        assert_eq!(of("localhost:5000", true), "http://localhost:5000");
        assert_eq!(of("[::1]:5000", true), "http://[::1]:5000");
    }

    #[test]
    fn only_http_urls_have_an_origin() {
        for (text, origin) in [
            ("https://a.test/x", Some("https://a.test")),
            ("https://a.test:443/x", Some("https://a.test")),
            ("http://a.test:443/x", Some("http://a.test:443")),
            ("https://127.1/x", Some("https://127.0.0.1")),
            ("ftp://a.test/", None),
            ("file:///etc/passwd", None),
            ("data:,x", None),
        ] {
            let found = Origin::of_url(&Url::parse(text).unwrap()).map(|origin| origin.to_string());
            assert_eq!(found.as_deref(), origin, "{text}");
        }
    }
}
