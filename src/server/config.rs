//! The server's part of the configuration: `server` and its bounds. Imports nothing of ours but how durations are written.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

pub use crate::duration;

/// How much earlier than the Provider's `timeout` an answer leaves: network, TLS and Gatekeeper's own work.
pub const MARGIN: Duration = Duration::from_millis(150);
/// Shortest `providerTimeout`: what is left after [`MARGIN`] must be worth starting.
const MIN_PROVIDER_TIMEOUT: Duration = Duration::from_millis(250);
/// Kubernetes allows webhook timeouts of at most 30 s; nobody listens any longer.
const MAX_PROVIDER_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest request that can be configured (`threats.md` 1.2).
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// Most bytes of a reply that can be configured; Gatekeeper reads it whole.
const MAX_REPLY_BYTES: usize = 64 * 1024 * 1024;

/// `server`: where and how questions are answered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Where Gatekeeper asks. Port 0 takes any free one.
    pub address: SocketAddr,
    /// Where health and metrics are answered, in plain HTTP.
    pub admin: SocketAddr,
    /// Certificate, key and who may ask. Absent only with `plainHttp`.
    pub tls: Option<Tls>,
    /// No TLS at all; loopback addresses only (development, benchmarks).
    pub plain_http: bool,
    /// The `timeout` of the Provider objects; an answer leaves [`MARGIN`] earlier.
    pub provider_timeout: ProviderTimeout,
    /// Longest wait for requests in flight after a signal to stop.
    #[serde(deserialize_with = "duration::deserialize")]
    pub shutdown_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 6001),
            admin: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8888),
            tls: None,
            plain_http: false,
            provider_timeout: ProviderTimeout::default(),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// `server.tls`: files, reloaded when their content changes. What the cluster provides is left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// PEM, leaf first.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// PEM: PKCS#8, PKCS#1 or SEC1, not encrypted.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// PEM: the authorities that client certificates must chain to; Gatekeeper's `ca.crt`.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// The DNS name (SAN) or common name that the client certificate must have, exactly; Gatekeeper's is
    /// `gatekeeper-webhook-service.gatekeeper-system.svc`. Absent: any certificate of the authorities.
    #[serde(default)]
    pub client_name: Option<String>,
    /// Answers anyone who reaches the port, without a client certificate.
    #[serde(default)]
    pub insecure_skip_client_certificate: bool,
}

/// Where a part of TLS comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// A Secret, followed while the server runs: nobody names a file.
    Cluster,
    /// A file, which must be named.
    #[default]
    File,
}

/// Where each part of TLS comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origins {
    /// Serving certificate and key.
    pub certificate: Origin,
    /// The authorities of client certificates.
    pub client_ca: Origin,
}

/// `server.providerTimeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProviderTimeout {
    /// Of the Provider that verifies.
    #[serde(deserialize_with = "duration::deserialize")]
    pub verify: Duration,
    /// Of the Provider that mutates.
    #[serde(deserialize_with = "duration::deserialize")]
    pub mutate: Duration,
}

impl Default for ProviderTimeout {
    fn default() -> Self {
        Self { verify: Duration::from_secs(2), mutate: Duration::from_secs(1) }
    }
}

/// The server's bounds (`threats.md` 1.2). Zero is refused, never "unlimited".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// A request's body.
    pub request_bytes: usize,
    /// Distinct keys of a request.
    pub keys: usize,
    /// A reply's body.
    pub reply_bytes: usize,
    /// Requests being answered at once; one more is refused at once.
    pub in_flight: usize,
    /// Open connections for each worker; further ones wait in the listen queue.
    pub connections: usize,
    /// All header lines of a request.
    pub header_bytes: usize,
    /// A TLS handshake, and reading a request's head.
    #[serde(deserialize_with = "duration::deserialize")]
    pub head_timeout: Duration,
    /// An idle connection. Longer than the 90 s of Gatekeeper's client.
    #[serde(deserialize_with = "duration::deserialize")]
    pub idle_timeout: Duration,
    /// A connection's life: after it the next answer closes it, so that a removed client CA and an uneven load do not
    /// last (TLS-06).
    #[serde(deserialize_with = "duration::deserialize")]
    pub connection_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 1024 * 1024,
            keys: 512,
            reply_bytes: 8 * 1024 * 1024,
            in_flight: 256,
            connections: 8192,
            header_bytes: 32 * 1024,
            head_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_mins(2),
            connection_age: Duration::from_mins(5),
        }
    }
}

/// What is wrong with a field, below `server` or `limits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path of the field, as `tls.clientCa`.
    pub field: &'static str,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl Fault {
    fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

impl Config {
    /// Makes relative paths relative to `base`, the folder of the configuration file.
    pub fn resolve_paths(&mut self, base: &Path) {
        if let Some(tls) = &mut self.tls {
            // `join` keeps an absolute path.
            for path in [&mut tls.certificate, &mut tls.key, &mut tls.client_ca].into_iter().flatten() {
                *path = base.join(&*path);
            }
        }
    }

    /// Everything wrong between fields, without reading files. `origins`: what need not, and must not, be named as a file.
    pub fn faults(&self, origins: Origins) -> Vec<Fault> {
        let mut faults = Vec::new();
        match (&self.tls, self.plain_http) {
            (None, false) if origins == Origins { certificate: Origin::Cluster, client_ca: Origin::Cluster } => {
                faults.push(Fault::new("tls", "missing: at least clientName is required"));
            }
            (None, false) => faults.push(Fault::new("tls", "missing: certificate, key and clientCa are required")),
            (None, true) if origins != Origins::default() => {
                faults.push(Fault::new(
                    "plainHttp",
                    "stands beside kubernetes.certificates or clientCaSecret: choose one",
                ));
            }
            (Some(_), true) => faults.push(Fault::new("plainHttp", "stands beside tls: choose one")),
            (None, true) if !self.address.ip().is_loopback() => {
                faults.push(Fault::new("plainHttp", "only with a loopback address"));
            }
            (Some(tls), false) => faults.extend(tls.faults(origins)),
            (None, true) => {}
        }
        for (field, timeout) in [
            ("providerTimeout.verify", self.provider_timeout.verify),
            ("providerTimeout.mutate", self.provider_timeout.mutate),
        ] {
            if !(MIN_PROVIDER_TIMEOUT..=MAX_PROVIDER_TIMEOUT).contains(&timeout) {
                faults.push(Fault::new(field, "must be 250ms to 30s"));
            }
        }
        if self.shutdown_timeout.is_zero() || self.shutdown_timeout > Duration::from_mins(5) {
            faults.push(Fault::new("shutdownTimeout", "must be up to 300s, and more than 0"));
        }
        faults
    }
}

impl Tls {
    fn faults(&self, origins: Origins) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (field, file) in [("tls.certificate", &self.certificate), ("tls.key", &self.key)] {
            match (file, origins.certificate) {
                (None, Origin::File) => faults.push(Fault::new(field, "missing")),
                (Some(_), Origin::Cluster) => {
                    faults.push(Fault::new(field, "stands beside kubernetes.certificates: choose one"));
                }
                (None, Origin::Cluster) | (Some(_), Origin::File) => {}
            }
        }
        if self.client_ca.is_some() && origins.client_ca == Origin::Cluster {
            faults.push(Fault::new("tls.clientCa", "stands beside kubernetes.clientCaSecret: choose one"));
        }
        let has_client_ca = self.client_ca.is_some() || origins.client_ca == Origin::Cluster;
        match (has_client_ca, self.insecure_skip_client_certificate) {
            (false, false) => faults.push(Fault::new(
                "tls.clientCa",
                "missing: Gatekeeper's ca.crt (or insecureSkipClientCertificate: true, then anyone may ask)",
            )),
            (true, true) => {
                faults.push(Fault::new("tls.insecureSkipClientCertificate", "stands beside clientCa: choose one"));
            }
            (false, true) | (true, false) => {}
        }
        match &self.client_name {
            Some(_) if !has_client_ca => {
                faults.push(Fault::new("tls.clientName", "means nothing without clientCa"));
            }
            Some(name) if name.is_empty() || name.contains('*') => {
                faults.push(Fault::new("tls.clientName", "must be one exact name; there are no wildcards"));
            }
            Some(_) | None => {}
        }
        faults
    }
}

impl Limits {
    /// Everything out of range.
    pub fn faults(&self) -> Vec<Fault> {
        let counts = [
            ("requestBytes", self.request_bytes, MAX_REQUEST_BYTES),
            ("keys", self.keys, 16_384),
            ("replyBytes", self.reply_bytes, MAX_REPLY_BYTES),
            ("inFlight", self.in_flight, 65_536),
            ("connections", self.connections, 1_000_000),
            // actix-http itself stops reading a head at 128 KiB.
            ("headerBytes", self.header_bytes, 128 * 1024),
        ];
        let times = [
            ("headTimeout", self.head_timeout, 60),
            ("idleTimeout", self.idle_timeout, 3600),
            ("connectionAge", self.connection_age, 86_400),
        ];
        let counts = counts.into_iter().filter(|(_, value, most)| *value == 0 || value > most);
        let times = times.into_iter().filter(|(_, value, most)| value.is_zero() || *value > Duration::from_secs(*most));
        counts
            .map(|(field, _, most)| Fault::new(field, format!("must be 1 to {most}")))
            .chain(times.map(|(field, _, most)| Fault::new(field, format!("must be more than 0 and at most {most}s"))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tls() -> serde_json::Value {
        json!({"certificate": "tls.crt", "key": "tls.key", "clientCa": "ca.crt"})
    }

    fn parse(value: serde_json::Value) -> Result<Config, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn the_sample_is_read_and_paths_are_relative_to_the_file() {
        let mut config = parse(json!({
            "address": "0.0.0.0:6001", "admin": "0.0.0.0:8888",
            "tls": {"certificate": "tls/tls.crt", "key": "/etc/tls.key", "clientCa": "gatekeeper/ca.crt", "clientName": "gatekeeper-webhook"},
            "providerTimeout": {"verify": "2s", "mutate": "1s"},
        }))
        .unwrap();
        config.resolve_paths(Path::new("/base"));
        assert_eq!(config.faults(Origins::default()), []);
        let tls = config.tls.unwrap();
        assert_eq!(tls.certificate.unwrap(), Path::new("/base/tls/tls.crt"));
        assert_eq!(tls.key.unwrap(), Path::new("/etc/tls.key"));
        assert_eq!(tls.client_ca.unwrap(), Path::new("/base/gatekeeper/ca.crt"));
    }

    #[test]
    fn fields_that_contradict_each_other_are_named() {
        for (name, value, field) in [
            ("nothing", json!({}), "tls"),
            ("both", json!({"tls": tls(), "plainHttp": true}), "plainHttp"),
            ("plain for all", json!({"plainHttp": true}), "plainHttp"),
            ("no client CA", json!({"tls": {"certificate": "a", "key": "b"}}), "tls.clientCa"),
            (
                "name without CA",
                json!({"tls": {"certificate": "a", "key": "b", "insecureSkipClientCertificate": true, "clientName": "x"}}),
                "tls.clientName",
            ),
            (
                "wildcard",
                json!({"tls": {"certificate": "a", "key": "b", "clientCa": "c", "clientName": "*.svc"}}),
                "tls.clientName",
            ),
            (
                "CA and skip",
                json!({"tls": {"certificate": "a", "key": "b", "clientCa": "c", "insecureSkipClientCertificate": true}}),
                "tls.insecureSkipClientCertificate",
            ),
            ("too short", json!({"tls": tls(), "providerTimeout": {"verify": "249ms"}}), "providerTimeout.verify"),
            ("too long", json!({"tls": tls(), "providerTimeout": {"mutate": "31s"}}), "providerTimeout.mutate"),
            ("never stops", json!({"tls": tls(), "shutdownTimeout": "0s"}), "shutdownTimeout"),
            ("no certificate", json!({"tls": {"key": "b", "clientCa": "c"}}), "tls.certificate"),
            ("no key", json!({"tls": {"certificate": "a", "clientCa": "c"}}), "tls.key"),
        ] {
            let faults = parse(value).unwrap().faults(Origins::default());
            assert_eq!(faults.iter().map(|fault| fault.field).collect::<Vec<_>>(), [field], "{name}");
        }
        let open = json!({"tls": {"certificate": "a", "key": "b", "insecureSkipClientCertificate": true}});
        assert_eq!(parse(open).unwrap().faults(Origins::default()), []);
        let plain = json!({"plainHttp": true, "address": "127.0.0.1:0"});
        assert_eq!(parse(plain).unwrap().faults(Origins::default()), []);
    }

    // CFG-07
    #[test]
    fn what_the_cluster_provides_is_left_out_and_never_both() {
        let certificate = Origins { certificate: Origin::Cluster, ..Origins::default() };
        let client_ca = Origins { client_ca: Origin::Cluster, ..Origins::default() };
        let both = Origins { certificate: Origin::Cluster, client_ca: Origin::Cluster };
        for (name, value, origins, fields) in [
            ("both left out", json!({"tls": {"clientName": "x"}}), both, vec![]),
            ("all left out", json!({}), both, vec!["tls"]),
            ("certificate left out", json!({"tls": {"clientCa": "c"}}), certificate, vec![]),
            ("certificate twice", json!({"tls": tls()}), certificate, vec!["tls.certificate", "tls.key"]),
            ("key twice", json!({"tls": {"key": "b", "clientCa": "c"}}), certificate, vec!["tls.key"]),
            (
                "CA left out too",
                json!({"tls": {"clientName": "x"}}),
                certificate,
                vec!["tls.clientCa", "tls.clientName"],
            ),
            ("CA left out", json!({"tls": {"certificate": "a", "key": "b"}}), client_ca, vec![]),
            ("CA twice", json!({"tls": tls()}), client_ca, vec!["tls.clientCa"]),
            (
                "CA for nothing",
                json!({"tls": {"certificate": "a", "key": "b", "insecureSkipClientCertificate": true}}),
                client_ca,
                vec!["tls.insecureSkipClientCertificate"],
            ),
            ("no TLS", json!({"plainHttp": true, "address": "127.0.0.1:0"}), both, vec!["plainHttp"]),
        ] {
            let faults = parse(value).unwrap().faults(origins);
            assert_eq!(faults.iter().map(|fault| fault.field).collect::<Vec<_>>(), fields, "{name}");
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        for value in [
            json!({"adress": "0.0.0.0:1"}),
            json!({"tls": {"certificate": "a", "key": "b", "kea": 1}}),
            json!({"providerTimeout": {"verfy": "1s"}}),
        ] {
            assert!(parse(value).unwrap_err().to_string().contains("unknown field"));
        }
    }

    #[test]
    fn limits_have_safe_defaults_and_zero_is_not_unlimited() {
        assert_eq!(Limits::default().faults(), []);
        for (field, least) in
            [("requestBytes", json!(0)), ("keys", json!(0)), ("inFlight", json!(0)), ("idleTimeout", json!("0s"))]
        {
            let limits: Limits = serde_json::from_value(json!({field: least})).unwrap();
            assert_eq!(limits.faults().first().map(|fault| fault.field), Some(field));
        }
        let most: Limits = serde_json::from_value(json!({"requestBytes": MAX_REQUEST_BYTES})).unwrap();
        assert_eq!(most.faults(), []);
        let over: Limits = serde_json::from_value(json!({"requestBytes": MAX_REQUEST_BYTES + 1})).unwrap();
        assert_eq!(over.faults().len(), 1);
    }
}
