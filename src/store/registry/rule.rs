//! One entry of `hosts`, checked and ready: whom it is about, what it admits, and its two HTTP clients.

use std::{path::Path, sync::Arc, time::Duration};

use opentelemetry::KeyValue;
use reqwest::{Client, redirect, retry};
use rustls::{ClientConfig, RootCertStore};
use url::Url;

use super::{
    address::{self, Allowed},
    auth::{credentials::Source, pull_secrets::PullSecrets},
    config::{Fault, HostConfig},
    limits::Limits,
    metrics,
    origin::Origin,
    pattern::Pattern,
    resolver::{Guard, Resolver},
    tls,
};
use crate::oci::{Host, Registry};

/// Ports that a public host may have without being listed (REF-22).
const PORTS: [u16; 3] = [443, 5000, 8443];

/// Token services of large public registries that are not at the registry's own origin.
const REALMS: [(&str, &str); 3] = [
    ("registry-1.docker.io", "auth.docker.io"),
    ("registry.gitlab.com", "gitlab.com"),
    ("docker.elastic.co", "docker-auth.elastic.co"),
];

/// In what part a host is about to be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Realm,
    Redirect,
    Registry,
}

/// A compiled entry of `hosts`.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) pattern: Pattern,
    /// For metrics.
    pub(super) label: KeyValue,
    pub(super) plain_http: bool,
    pub(super) mirror: Option<Registry>,
    pub(super) max_in_flight: usize,
    pub(super) credentials: Source,
    allowed: Allowed,
    realms: Vec<Pattern>,
    redirects: Option<Vec<Pattern>>,
    /// Trusts exactly `ca`, and shows the client certificate.
    home: Client,
    /// For realms and redirects elsewhere: trusts `ca` and public authorities, shows no client certificate.
    away: Client,
}

/// What is the same for all rules of a store.
#[derive(Debug)]
pub(super) struct Common<'a> {
    pub(super) base: &'a Path,
    pub(super) limits: Limits,
    pub(super) public_roots: RootCertStore,
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) pull_secrets: PullSecrets,
}

impl Rule {
    /// Compiles `config`; says everything that is wrong with it.
    pub(super) fn build(pattern: &str, config: &HostConfig, common: &Common<'_>) -> Result<Self, Vec<Fault>> {
        let at = |field: &str| format!("hosts[{pattern:?}].{field}");
        let mut faults = Vec::new();
        let parsed = Pattern::parse(pattern).unwrap_or_else(|error| {
            faults.push(Fault::new(format!("hosts[{pattern:?}]"), error));
            Pattern::Any
        });
        if faults.is_empty() && parsed == Pattern::Any {
            faults.extend(any_faults(config, &at));
        }
        let realms = patterns(&at("realms"), &config.realms, &mut faults);
        let redirects = config.redirects.as_ref().map(|texts| patterns(&at("redirects"), texts, &mut faults));
        let mut keep = |field: &str, error: String| faults.push(Fault::new(at(field), error));
        let mirror = config
            .mirror
            .as_ref()
            .and_then(|text| Registry::parse(text).map_err(|error| keep("mirror", error.to_string())).ok());
        if config.max_in_flight.is_some_and(|n| !(1..=65_536).contains(&n)) {
            keep("maxInFlight", "must be from 1 to 65536".to_owned());
        }
        let credentials = Source::load(config.credentials.as_ref(), common.base, &common.pull_secrets).unwrap_or_else(
            |(field, error)| {
                keep(&format!("credentials{field}"), error);
                Source::anonymous()
            },
        );
        let allowed = Allowed {
            link_local: config.allow_link_local,
            loopback: config.allow_loopback,
            private: config.allow_private,
            shared: config.allow_shared,
        };
        let named = std::iter::once(&parsed).chain(&realms).chain(redirects.iter().flatten());
        let named = named.filter(|pattern| **pattern != Pattern::Any).cloned().collect();
        let guard = Guard { resolver: Arc::clone(&common.resolver), named, allowed, proxy: None };
        let clients = clients(config, guard, common).unwrap_or_else(|(field, error)| {
            keep(field, error);
            None
        });
        match clients {
            Some((home, away)) if faults.is_empty() => Ok(Self {
                label: metrics::label(&parsed),
                pattern: parsed,
                plain_http: config.plain_http,
                mirror,
                max_in_flight: config.max_in_flight.unwrap_or(common.limits.in_flight_per_host),
                credentials,
                allowed,
                realms,
                redirects,
                home,
                away,
            }),
            _ => Err(faults),
        }
    }

    /// Whether this rule is about `registry`.
    pub(super) fn serves(&self, registry: &Registry) -> bool {
        let default = if self.plain_http { 80 } else { 443 };
        self.pattern.matches(registry.host(), registry.port().unwrap_or(default), default)
    }

    /// Whether a connection to `target` may be tried at all; `Err` names the rule. Nothing was sent or looked up yet.
    /// `registry`: the origin that leads there.
    pub(super) fn check(&self, registry: &Origin, target: &Origin, role: Role) -> Result<(), String> {
        if target.plain && !self.plain_http {
            return Err("plain http, while the registry has TLS".to_owned());
        }
        let listed =
            |patterns: &[Pattern]| patterns.iter().any(|p| p.matches(&target.host, target.port, target.default_port()));
        let own = target == registry;
        let named = match role {
            Role::Registry => self.pattern != Pattern::Any,
            _ if own => self.pattern != Pattern::Any,
            Role::Realm if listed(&self.realms) => true,
            Role::Realm if is_built_in(registry, target) => false,
            Role::Realm => return Err("neither the registry's own origin nor in its realms".to_owned()),
            Role::Redirect => match &self.redirects {
                Some(redirects) if listed(redirects) => true,
                Some(_) => return Err("not in the registry's redirects".to_owned()),
                None => false,
            },
        };
        if named { self.check_named(&target.host) } else { check_unnamed(target) }
    }

    fn check_named(&self, host: &Host) -> Result<(), String> {
        match host {
            Host::Address(address) => self.allowed.check(*address),
            Host::Name(name) => {
                let local = &**name == "localhost" || name.ends_with(".localhost");
                if local && !self.allowed.loopback {
                    return Err("localhost needs allowLoopback on its entry in hosts".to_owned());
                }
                Ok(())
            }
        }
    }

    /// The client for `target`, reached on behalf of `registry`.
    pub(super) fn client(&self, registry: &Origin, target: &Origin) -> &Client {
        if registry == target { &self.home } else { &self.away }
    }
}

/// Patterns that name hosts one by one.
pub(super) fn patterns(path: &str, texts: &[String], faults: &mut Vec<Fault>) -> Vec<Pattern> {
    let mut parsed = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match Pattern::parse(text) {
            Ok(Pattern::Any) => {
                faults.push(Fault::new(format!("{path}[{index}]"), "`*` would be every host; name them"));
            }
            Ok(pattern) => parsed.push(pattern),
            Err(error) => faults.push(Fault::new(format!("{path}[{index}]"), error)),
        }
    }
    parsed
}

fn check_unnamed(target: &Origin) -> Result<(), String> {
    address::check_public(&target.host)?;
    if PORTS.contains(&target.port) {
        Ok(())
    } else {
        Err(format!("port {} is none of 443, 5000, 8443 and needs an entry of its own in hosts", target.port))
    }
}

fn is_built_in(registry: &Origin, realm: &Origin) -> bool {
    let https =
        |origin: &Origin, host: &str| !origin.plain && origin.port == 443 && origin.host == Host::Name(host.into());
    REALMS.iter().any(|(of, at)| https(registry, of) && https(realm, at))
}

/// `*` is any other public host, anonymous: nothing in it may say otherwise. But pull Secrets name the host of each of their entries,
/// so that no credential can go astray.
fn any_faults(config: &HostConfig, at: &dyn Fn(&str) -> String) -> Vec<Fault> {
    let HostConfig {
        allow_link_local,
        allow_loopback,
        allow_private,
        allow_shared,
        ca,
        client_certificate,
        client_key,
        credentials,
        max_in_flight: _,
        mirror,
        plain_http,
        proxy: _,
        realms,
        redirects: _,
    } = config;
    [
        ("allowLinkLocal", *allow_link_local),
        ("allowLoopback", *allow_loopback),
        ("allowPrivate", *allow_private),
        ("allowShared", *allow_shared),
        ("ca", ca.is_some()),
        ("clientCertificate", client_certificate.is_some()),
        ("clientKey", client_key.is_some()),
        ("credentials", credentials.as_ref().is_some_and(|credentials| !credentials.is_of_cluster())),
        ("mirror", mirror.is_some()),
        ("plainHttp", *plain_http),
        ("realms", !realms.is_empty()),
    ]
    .into_iter()
    .filter(|(_, set)| *set)
    .map(|(field, _)| {
        Fault::new(at(field), "`*` is any other public host, anonymous; give the host an entry of its own")
    })
    .collect()
}

type Clients = Option<(Client, Client)>;

fn clients(config: &HostConfig, mut guard: Guard, common: &Common<'_>) -> Result<Clients, (&'static str, String)> {
    let path = |file: &Path| common.base.join(file);
    let own = match &config.ca {
        Some(file) => Some(tls::read_roots(&path(file)).map_err(|error| ("ca", error))?),
        None => None,
    };
    let identity = match (&config.client_certificate, &config.client_key) {
        (None, None) => None,
        (Some(chain), Some(key)) => Some((
            tls::read_chain(&path(chain)).map_err(|error| ("clientCertificate", error))?,
            tls::read_key(&path(key)).map_err(|error| ("clientKey", error))?,
        )),
        (Some(_), None) => return Err(("clientKey", "is missing beside clientCertificate".to_owned())),
        (None, Some(_)) => return Err(("clientCertificate", "is missing beside clientKey".to_owned())),
    };
    let mut wide = common.public_roots.clone();
    wide.roots.extend(own.iter().flat_map(|roots| roots.roots.iter().cloned()));
    let wide = Arc::new(wide);
    let narrow = own.map_or_else(|| Arc::clone(&wide), Arc::new);
    let proxy = match &config.proxy {
        Some(text) => {
            let (proxy, host) = proxy(text).map_err(|error| ("proxy", error))?;
            guard.proxy = Some(host);
            Some(proxy)
        }
        None => None,
    };
    let build = |roots, identity| {
        let tls = tls::client(roots, identity).map_err(|error| ("clientCertificate", error))?;
        client(config.plain_http, tls, guard.clone(), proxy.clone(), &common.limits).map_err(|error| ("", error))
    };
    Ok(Some((build(&narrow, identity)?, build(&wide, None)?)))
}

fn proxy(text: &str) -> Result<(reqwest::Proxy, Host), String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let origin = Origin::of_url(&url).ok_or("is no http or https URL")?;
    let proxy = reqwest::Proxy::all(url).map_err(|_| "is no proxy URL")?;
    Ok((proxy, origin.host))
}

fn client(
    plain_http: bool,
    tls: ClientConfig,
    guard: Guard,
    proxy: Option<reqwest::Proxy>,
    limits: &Limits,
) -> Result<Client, String> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        // The environment's proxies are nobody's decision about this host.
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .https_only(!plain_http)
        .dns_resolver(Arc::new(guard))
        .connect_timeout(limits.connect_timeout())
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(limits.in_flight_per_host)
        // A connection that went dead is found out and not used again.
        .http2_keep_alive_interval(Duration::from_secs(3))
        .http2_keep_alive_timeout(Duration::from_secs(2))
        .tcp_keepalive(Duration::from_secs(15))
        // REG-55
        .http1_max_headers(100)
        .http2_max_header_list_size(64 << 10)
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")));
    if let Some(proxy) = proxy {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| format!("no HTTP client can be made of this: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{super::resolver::SystemResolver, *};

    fn rule(pattern: &str, config: &str) -> Result<Rule, Vec<Fault>> {
        let common = Common {
            base: Path::new("/nonexistent"),
            limits: Limits::default(),
            public_roots: tls::public_roots(),
            resolver: Arc::new(SystemResolver),
            pull_secrets: PullSecrets::default(),
        };
        Rule::build(pattern, &serde_json::from_str(config).unwrap(), &common)
    }

    fn origin(url: &str) -> Origin {
        Origin::of_url(&Url::parse(url).unwrap()).unwrap()
    }

    // REG-40, REG-41, REG-42, REG-43, REG-44
    #[test]
    fn a_realm_is_the_registry_s_own_listed_or_a_known_pair() {
        let listed = r#"{"realms":["auth.example.com","*.id.example.com:8443"]}"#;
        for (config, registry, realm, allowed) in [
            ("{}", "https://a.test", "https://a.test", true),
            ("{}", "https://a.test", "https://a.test:8443", false),
            ("{}", "https://a.test", "http://a.test", false),
            ("{}", "https://a.test", "https://evil.tld", false),
            ("{}", "https://a.test", "https://auth.docker.io", false),
            ("{}", "https://registry-1.docker.io", "https://auth.docker.io", true),
            ("{}", "https://registry-1.docker.io", "https://auth.docker.io:8443", false),
            ("{}", "https://registry-1.docker.io", "https://evil-auth.docker.io", false),
            ("{}", "http://registry-1.docker.io", "https://auth.docker.io", false),
            (listed, "https://a.test", "https://auth.example.com", true),
            (listed, "https://a.test", "http://auth.example.com", false),
            (listed, "https://a.test", "https://auth.example.com:8443", false),
            (listed, "https://a.test", "https://x.id.example.com:8443", true),
            (listed, "https://a.test", "https://x.id.example.com", false),
            (r#"{"realms":["10.0.0.1"]}"#, "https://a.test", "https://10.0.0.1", false),
            (r#"{"realms":["10.0.0.1"],"allowPrivate":true}"#, "https://a.test", "https://10.0.0.1", true),
            (
                r#"{"realms":["169.254.169.254"],"allowLinkLocal":true}"#,
                "https://a.test",
                "https://169.254.169.254",
                false,
            ),
            (r#"{"realms":["localhost"]}"#, "https://a.test", "https://localhost", false),
        ] {
            let rule = rule("a.test", config).unwrap();
            let checked = rule.check(&origin(registry), &origin(realm), Role::Realm);
            assert_eq!(checked.is_ok(), allowed, "{config} {registry} {realm}: {checked:?}");
        }
    }

    // REG-47, REG-48, REF-22
    #[test]
    fn a_redirect_leads_to_public_hosts_or_only_to_those_listed() {
        for (config, target, allowed) in [
            ("{}", "https://cdn.test", true),
            ("{}", "https://cdn.test:8443", true),
            ("{}", "https://cdn.test:22", false),
            ("{}", "http://cdn.test", false),
            ("{}", "https://10.0.0.1", false),
            (r#"{"allowPrivate":true}"#, "https://10.0.0.1", false),
            ("{}", "https://169.254.169.254", false),
            ("{}", "https://cdn.default.svc", false),
            ("{}", "https://a.test:8443", true),
            (r#"{"redirects":[]}"#, "https://cdn.test", false),
            (r#"{"redirects":[]}"#, "https://a.test", true),
            (r#"{"redirects":["cdn.test:22"]}"#, "https://cdn.test:22", true),
            (r#"{"redirects":["10.0.0.1"],"allowPrivate":true}"#, "https://10.0.0.1", true),
        ] {
            let checked =
                rule("a.test", config).unwrap().check(&origin("https://a.test"), &origin(target), Role::Redirect);
            assert_eq!(checked.is_ok(), allowed, "{config} {target}: {checked:?}");
        }
    }

    #[test]
    fn each_flag_admits_its_class_for_the_named_host_only() {
        for (pattern, config, url, allowed) in [
            ("10.0.0.1:5000", "{}", "https://10.0.0.1:5000", false),
            ("10.0.0.1:5000", r#"{"allowPrivate":true}"#, "https://10.0.0.1:5000", true),
            ("10.0.0.1:5000", r#"{"allowLoopback":true}"#, "https://10.0.0.1:5000", false),
            ("localhost:5000", r#"{"allowPrivate":true}"#, "https://localhost:5000", false),
            ("localhost:5000", r#"{"allowLoopback":true}"#, "https://localhost:5000", true),
            ("localhost:5000", r#"{"allowLoopback":true}"#, "http://localhost:5000", false),
            ("registry.default.svc:22", "{}", "https://registry.default.svc:22", true),
            ("*", "{}", "https://ghcr.io", true),
            ("*", "{}", "https://ghcr.io:22", false),
            ("*", "{}", "https://localhost", false),
        ] {
            let checked = rule(pattern, config).unwrap().check(&origin(url), &origin(url), Role::Registry);
            assert_eq!(checked.is_ok(), allowed, "{pattern} {config} {url}: {checked:?}");
        }
    }

    #[test]
    fn everything_wrong_is_said_with_its_path() {
        let paths = |pattern: &str, config: &str| -> Vec<String> {
            rule(pattern, config).unwrap_err().into_iter().map(|fault| fault.path).collect()
        };
        assert_eq!(
            paths(
                "a.test",
                r#"{"ca":"x","realms":["*","a:b:c"],"redirects":["https://x"],"maxInFlight":0,"mirror":"/"}"#
            ),
            [
                "hosts[\"a.test\"].realms[0]",
                "hosts[\"a.test\"].realms[1]",
                "hosts[\"a.test\"].redirects[0]",
                "hosts[\"a.test\"].mirror",
                "hosts[\"a.test\"].maxInFlight",
                "hosts[\"a.test\"].ca"
            ]
        );
        assert_eq!(paths("a.test", r#"{"clientCertificate":"x"}"#), ["hosts[\"a.test\"].clientKey"]);
        assert_eq!(paths("a.test", r#"{"proxy":"socks5://x"}"#), ["hosts[\"a.test\"].proxy"]);
        assert_eq!(paths("a/b", "{}"), ["hosts[\"a/b\"]"]);
        assert!(
            paths("*", r#"{"credentials":{"username":"u","passwordFile":"p"}}"#)
                .contains(&"hosts[\"*\"].credentials".to_owned())
        );
        assert!(rule("*", r#"{"credentials":{"pullSecrets":[{"name":"x"}]}}"#).is_ok());
        assert_eq!(paths("*", r#"{"plainHttp":true,"credentials":{}}"#).first().unwrap(), "hosts[\"*\"].credentials");
    }
}
