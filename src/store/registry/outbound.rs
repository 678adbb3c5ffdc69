//! Plain HTTP to places that evidence names: OCSP responders and CRL servers.
//!
//! The same rules as for registries: hosts by name before, addresses at connect, redirects one by one, bodies bounded, a
//! gate for each host. What differs: `http` alone, no credentials, and nobody's mirror.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, LOCATION},
    redirect, retry,
};
use rustls::RootCertStore;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{
    Outside,
    address::{self, Allowed},
    body::{BodyError, Buffers},
    config::Fault,
    failure::{self, Failure},
    gate::{Admission, Gate, Watch},
    metrics::Breaker,
    origin::Origin,
    pattern::Pattern,
    resolver::{Denied, Guard},
    rule::patterns,
    tls,
};
use crate::oci::Host;

/// Redirects that one request follows.
const REDIRECTS: usize = 3;
/// Name resolution and TCP; the flights that ask have two seconds in all.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);
/// Requests in flight towards one host.
const IN_FLIGHT_PER_HOST: usize = 16;
/// What all answers together may hold while they arrive.
const BUFFERED_BYTES: u64 = 128 << 20;
/// Hosts whose state is kept.
const MAX_GATES: u64 = 1024;
/// What a host may have for addresses that the operator named.
const NAMED: Allowed = Allowed { link_local: false, loopback: true, private: true, shared: true };

/// A request: a GET, or a POST of `body` with its content type.
#[derive(Debug, Clone)]
pub struct OutboundRequest<'a> {
    /// Where to.
    pub url: &'a str,
    /// What is posted.
    pub body: Option<(&'static str, Bytes)>,
    /// What is asked for.
    pub accept: &'static str,
    /// Most bytes of the answer.
    pub limit_bytes: u64,
    /// When it is given up.
    pub deadline: Instant,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// A rule refuses the place, or where it redirects to.
    #[error("{0}")]
    Denied(String),
    /// Another status than 200.
    #[error("status {0}")]
    Status(u16),
    /// A longer answer.
    #[error("more than {0} bytes")]
    TooLarge(u64),
    /// Too late.
    #[error("no answer in time")]
    Timeout,
    /// No connection, a broken one, or no HTTP.
    #[error("{0}")]
    Unavailable(String),
}

/// A client for such places.
#[derive(Debug)]
pub struct Outbound {
    /// `None`: any public host.
    hosts: Option<Vec<Pattern>>,
    client: Client,
    buffers: Buffers,
    gates: moka::sync::Cache<Origin, Arc<Gate>>,
}

impl Outbound {
    /// `allow_hosts`: the only hosts, if there are any. `proxy`: of an HTTP forward proxy, which is wherever the operator says.
    ///
    /// # Errors
    /// Everything that is wrong, each with the member's name.
    pub fn build(allow_hosts: &[String], proxy: Option<&str>, outside: &Outside) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let any = allow_hosts.iter().any(|text| text == "*");
        let named: Vec<String> = allow_hosts.iter().filter(|text| *text != "*").cloned().collect();
        let mut hosts = patterns("allowHosts", &named, &mut faults);
        let proxy = proxy.map(forward_proxy).transpose().unwrap_or_else(|why| {
            faults.push(Fault::new("proxy", why));
            None
        });
        if !faults.is_empty() {
            return Err(faults);
        }
        let (proxy, proxy_host) = proxy.unzip();
        let guard =
            Guard { resolver: Arc::clone(&outside.resolver), named: hosts.clone(), allowed: NAMED, proxy: proxy_host };
        let client = client(guard, proxy).map_err(|why| vec![Fault::new("proxy", why)])?;
        if any {
            hosts.push(Pattern::Any);
        }
        let gates = moka::sync::Cache::builder().max_capacity(MAX_GATES).time_to_idle(Duration::from_mins(10)).build();
        let hosts = if hosts.is_empty() { None } else { Some(hosts) };
        Ok(Self { hosts, client, buffers: Buffers::new(BUFFERED_BYTES), gates })
    }

    /// Sends one request and reads the body of a 200; follows redirects of a GET within the rules.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn ask(&self, request: &OutboundRequest<'_>) -> Result<Bytes, OutboundError> {
        let answer = timeout_at(request.deadline, self.follow(request)).await;
        answer.unwrap_or(Err(OutboundError::Timeout))
    }

    async fn follow(&self, request: &OutboundRequest<'_>) -> Result<Bytes, OutboundError> {
        let mut url = Url::parse(request.url).map_err(|_| OutboundError::Denied("it is no URL".to_owned()))?;
        for _ in 0..=REDIRECTS {
            let response = self.hop(request, &url).await?;
            let status = response.status();
            // What is posted goes to whom the certificate names, and to nobody else.
            if !super::transport::is_redirect(status) || request.body.is_some() {
                return self.read(request, response).await;
            }
            url = location(&response, &url).ok_or(OutboundError::Status(status.as_u16()))?;
        }
        Err(OutboundError::Denied(format!("more than {REDIRECTS} redirects")))
    }

    async fn hop(&self, request: &OutboundRequest<'_>, url: &Url) -> Result<Response, OutboundError> {
        let origin = self.check(url).map_err(OutboundError::Denied)?;
        let gate = self.gates.get_with_by_ref(&origin, || Arc::new(Gate::new(IN_FLIGHT_PER_HOST, Breaker::default())));
        let Ok(_place) = Arc::clone(&gate.places).acquire_owned().await else {
            return Err(OutboundError::Unavailable("we are ending".to_owned()));
        };
        // Nobody throttles here, so nobody has a pace.
        if gate.admit(Instant::now(), request.deadline, false) != Admission::Go {
            let why = "it failed several times in a row; it is tried once a second";
            return Err(OutboundError::Unavailable(why.to_owned()));
        }
        let watch = Watch::new(&gate, CONNECT_TIMEOUT);
        let mut sending = match &request.body {
            None => self.client.get(url.clone()),
            Some((content_type, body)) => {
                self.client.post(url.clone()).header(CONTENT_TYPE, *content_type).body(body.clone())
            }
        };
        sending = sending.header(ACCEPT, request.accept).header(ACCEPT_ENCODING, "identity");
        match sending.send().await {
            Ok(response) => {
                if response.status().is_server_error() {
                    watch.failed();
                } else {
                    watch.succeeded();
                }
                Ok(response)
            }
            Err(error) => match failure::classify(&error, true) {
                Failure::Denied(denied) => {
                    watch.ignored();
                    let Denied { host, .. } = denied;
                    Err(OutboundError::Denied(format!("{host} leads to no public address and is none of allowHosts")))
                }
                Failure::BadHttp(why) | Failure::Tls(why) => {
                    watch.ignored();
                    Err(OutboundError::Unavailable(format!("it is no HTTP: {why}")))
                }
                Failure::Unavailable(why) => {
                    watch.failed();
                    Err(OutboundError::Unavailable(why))
                }
            },
        }
    }

    /// Before anything is looked up or sent; `Err` names the rule (REV-09, item 101).
    fn check(&self, url: &Url) -> Result<Origin, String> {
        if url.scheme() != "http" {
            return Err("only plain http is asked".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL with credentials".to_owned());
        }
        let origin = Origin::of_url(url).ok_or("no host that could be asked")?;
        let is = |pattern: &Pattern| pattern.matches(&origin.host, origin.port, origin.default_port());
        let Some(hosts) = &self.hosts else {
            check_unnamed(&origin)?;
            return Ok(origin);
        };
        if hosts.iter().any(|pattern| *pattern != Pattern::Any && is(pattern)) {
            if let Host::Address(address) = &origin.host {
                NAMED.check(*address).map_err(|_| "its address is never connected to".to_owned())?;
            }
        } else if hosts.contains(&Pattern::Any) {
            check_unnamed(&origin)?;
        } else {
            return Err(format!("{origin} is none of allowHosts"));
        }
        Ok(origin)
    }

    async fn read(&self, request: &OutboundRequest<'_>, response: Response) -> Result<Bytes, OutboundError> {
        let status = response.status();
        if status != StatusCode::OK {
            return Err(OutboundError::Status(status.as_u16()));
        }
        let read = self.buffers.read(response, request.limit_bytes, None, request.deadline, |_| ()).await;
        read.map_err(|error| match error {
            BodyError::Limit | BodyError::Size(_) => OutboundError::TooLarge(request.limit_bytes),
            BodyError::Busy => OutboundError::Timeout,
            BodyError::Encoded => OutboundError::Unavailable("its answer is encoded".to_owned()),
            BodyError::Truncated => OutboundError::Unavailable("its answer ended early".to_owned()),
        })
    }
}

fn check_unnamed(origin: &Origin) -> Result<(), String> {
    address::check_public(&origin.host).map_err(|_| format!("{origin} is not public and none of allowHosts"))?;
    if origin.port == origin.default_port() {
        Ok(())
    } else {
        Err(format!("port {} is not 80 and needs the host in allowHosts", origin.port))
    }
}

fn location(response: &Response, url: &Url) -> Option<Url> {
    let mut values = response.headers().get_all(LOCATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    url.join(value.to_str().ok()?).ok()
}

/// The text is not repeated: it may hold what should not be there.
fn forward_proxy(text: &str) -> Result<(reqwest::Proxy, Host), String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.scheme() != "http" || !url.username().is_empty() || url.password().is_some() {
        return Err("must be http://HOST[:PORT], without credentials".to_owned());
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        return Err("must be http://HOST[:PORT], without a path".to_owned());
    }
    let origin = Origin::of_url(&url).ok_or("has no host that could be asked")?;
    let proxy = reqwest::Proxy::http(url).map_err(|_| "is no proxy's URL")?;
    Ok((proxy, origin.host))
}

fn client(guard: Guard, proxy: Option<reqwest::Proxy>) -> Result<Client, String> {
    // Nothing is reached by TLS, so nobody is trusted for it.
    let tls = tls::client(&Arc::new(RootCertStore::empty()), None)?;
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        // The environment's proxies are nobody's decision about these hosts.
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .http1_only()
        .dns_resolver(Arc::new(guard))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(Duration::from_secs(15))
        .pool_max_idle_per_host(4)
        .http1_max_headers(100)
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")));
    if let Some(proxy) = proxy {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| format!("no HTTP client can be made of this: {error}"))
}

#[cfg(test)]
mod tests;
