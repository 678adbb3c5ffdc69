//! Name resolution with the address rules inside: the address that was checked is the one connected to (REF-14, REF-15).

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{address::Allowed, pattern::Pattern};
use crate::oci::Host;

/// Looks up the addresses of names.
#[async_trait]
pub trait Resolver: fmt::Debug + Send + Sync {
    /// All addresses of `name`; with a dot at its end it is absolute, and search domains are not tried.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// A name or an address that the rules refuse; travels inside the HTTP client's error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("host {host} is denied: {rule}")]
pub(super) struct Denied {
    pub(super) host: String,
    pub(super) rule: String,
}

/// Most addresses of one name that are tried; the connect timeout would end it anyway (REF-16).
const MAX_ADDRESSES: usize = 16;

/// The resolver of one rule's HTTP clients.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    pub(super) resolver: Arc<dyn Resolver>,
    /// What the operator named: only here do the rule's flags count.
    pub(super) named: Vec<Pattern>,
    pub(super) allowed: Allowed,
    /// The operator's proxy, wherever it is.
    pub(super) proxy: Option<Host>,
}

impl Guard {
    async fn lookup(&self, name: &str) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let denied = |rule: String| Denied { host: name.to_owned(), rule };
        let host = Host::parse(name).map_err(|error| denied(error.to_string()))?;
        let named = self.named.iter().any(|pattern| pattern.matches_host(&host));
        let proxy = self.proxy.as_ref() == Some(&host);
        let addresses = if named || proxy {
            self.resolver.addresses(name).await?
        } else {
            self.resolver.addresses(&format!("{host}.")).await?
        };
        if proxy {
            return Ok(sockets(addresses.into_iter()));
        }
        let allowed = if named { self.allowed } else { Allowed::PUBLIC };
        let mut refused = None;
        let admitted = sockets(addresses.into_iter().filter(|address| match allowed.check(*address) {
            Ok(()) => true,
            Err(rule) => {
                refused = Some(rule);
                false
            }
        }));
        match refused {
            Some(rule) if admitted.is_empty() => Err(denied(rule).into()),
            _ if admitted.is_empty() => Err(io::Error::other("the name has no address").into()),
            _ => Ok(admitted),
        }
    }
}

fn sockets(addresses: impl Iterator<Item = IpAddr>) -> Vec<SocketAddr> {
    // Port 0: the client puts the URL's in.
    addresses.map(|address| SocketAddr::new(address, 0)).take(MAX_ADDRESSES).collect()
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let addresses: Addrs = Box::new(guard.lookup(name.as_str()).await?.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Scripted {
        answers: Mutex<Vec<Vec<&'static str>>>,
        asked: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Resolver for Scripted {
        async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
            self.asked.lock().unwrap().push(name.to_owned());
            let answer = self.answers.lock().unwrap().remove(0);
            Ok(answer.into_iter().map(|text| text.parse().unwrap()).collect())
        }
    }

    fn guard(answers: Vec<Vec<&'static str>>, named: &[&str], allowed: Allowed) -> (Arc<Scripted>, Guard) {
        let resolver = Arc::new(Scripted { answers: Mutex::new(answers), ..Scripted::default() });
        let named = named.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        (Arc::clone(&resolver), Guard { resolver, named, allowed, proxy: None })
    }

    // REF-14, REF-15: each answer is judged anew, and only what was judged is handed on.
    #[tokio::test]
    async fn a_name_that_turns_private_is_denied() {
        let (_, guard) =
            guard(vec![vec!["8.8.8.8"], vec!["10.0.0.1"], vec!["10.0.0.1", "8.8.8.8"]], &[], Allowed::PUBLIC);
        assert_eq!(guard.lookup("x.test").await.unwrap(), ["8.8.8.8:0".parse().unwrap()]);
        let error = guard.lookup("x.test").await.unwrap_err();
        assert!(error.downcast_ref::<Denied>().is_some_and(|denied| denied.rule.contains("allowPrivate")), "{error}");
        assert_eq!(guard.lookup("x.test").await.unwrap(), ["8.8.8.8:0".parse().unwrap()]);
    }

    #[tokio::test]
    async fn flags_count_only_for_hosts_that_the_operator_named() {
        let private = Allowed { private: true, ..Allowed::PUBLIC };
        let (asked, guard) = guard(vec![vec!["10.0.0.1"], vec!["10.0.0.1"]], &["registry.corp.test"], private);
        assert!(guard.lookup("registry.corp.test").await.is_ok());
        assert!(guard.lookup("cdn.test").await.unwrap_err().downcast_ref::<Denied>().is_some());
        // REF-17: names that were not named are absolute, so search domains cannot make them internal.
        assert_eq!(*asked.asked.lock().unwrap(), ["registry.corp.test", "cdn.test."]);
    }

    // REF-16, OPS-07
    #[tokio::test]
    async fn a_name_with_many_or_no_addresses_is_bounded() {
        let (_, guard) = guard(vec![vec!["8.8.8.8"; 1000], vec![]], &[], Allowed::PUBLIC);
        assert_eq!(guard.lookup("x.test").await.unwrap().len(), MAX_ADDRESSES);
        assert!(guard.lookup("x.test").await.unwrap_err().downcast_ref::<Denied>().is_none());
    }
}
