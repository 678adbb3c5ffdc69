//! TUF repositories over HTTPS: GET alone, bounded in bytes and time, never led to another host.

use std::{path::Path, sync::Arc, time::Duration};

use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING},
    redirect, retry,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use sigstore_tuf::{Error, Repository, transport::FetchFuture};
use url::Url;

use crate::verifier::cosign::root::source::TufSource;

/// A connection with TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// No byte for so long (slow retrieval, TUF §1.5.2).
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// One file; none has more than a megabyte.
const FILE_TIMEOUT: Duration = Duration::from_secs(20);
/// Redirects within the repository's own host.
const MAX_REDIRECTS: usize = 3;
/// Largest file of authorities.
const MAX_CA_BYTES: u64 = 1 << 20;

/// Why a repository cannot be asked at all.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::app) struct ClientFault(String);

/// A repository: metadata beside each other, targets below `targets/`.
#[derive(Debug)]
pub(super) struct Http {
    base: Url,
    client: Client,
}

impl Http {
    pub(super) fn new(source: &TufSource, base: &Path) -> Result<Self, ClientFault> {
        let roots = match &source.ca {
            Some(ca) => read_roots(&base.join(ca))?,
            None => public_roots(),
        };
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientFault(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            // The environment's proxies are nobody's decision about this host.
            .no_proxy()
            .https_only(source.url.scheme() == "https")
            .redirect(redirect::Policy::custom(follow))
            .retry(retry::never())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .timeout(FILE_TIMEOUT)
            .pool_max_idle_per_host(1)
            .http1_max_headers(100)
            .http2_max_header_list_size(64 << 10)
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ClientFault(format!("no HTTP client can be made of this: {error}")))?;
        Ok(Self { base: source.url.clone(), client })
    }

    /// The address of a file below the repository's own, and of nothing else.
    fn address(&self, path: &str) -> Result<Url, Error> {
        let plain = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-~%".contains(&b))
                // `%2e%2e` is `..` to a URL.
                && !part.to_ascii_lowercase().contains("%2e")
        };
        if !path.split('/').all(plain) {
            return Err(Error::transport(format!("{path:?} is no plain path")));
        }
        let text = format!("{}/{path}", self.base.as_str().trim_end_matches('/'));
        Url::parse(&text).map_err(|error| Error::transport_with_source("no URL", error))
    }

    async fn get(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let url = self.address(path)?;
        let failed = |error: reqwest::Error| Error::transport_with_source(format!("GET {path}"), error.without_url());
        let mut response = self.client.get(url).header(ACCEPT_ENCODING, "identity").send().await.map_err(failed)?;
        match response.status() {
            StatusCode::OK => {}
            // Object stores say 403 of what is not there.
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => return Ok(None),
            other => return Err(Error::transport(format!("GET {path} answered {other}"))),
        }
        check_head(&response, path, limit)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&chunk);
            if exceeds(bytes.len(), limit) {
                return Err(too_long(path, limit));
            }
        }
        Ok(Some(bytes))
    }
}

fn check_head(response: &Response, path: &str, limit: u64) -> Result<(), Error> {
    if let Some(encoding) = response.headers().get(CONTENT_ENCODING)
        && encoding.as_bytes() != b"identity"
    {
        return Err(Error::transport(format!("GET {path} answered encoded, which was not asked for")));
    }
    if response.content_length().is_some_and(|length| length > limit) { Err(too_long(path, limit)) } else { Ok(()) }
}

fn exceeds(length: usize, limit: u64) -> bool {
    u64::try_from(length).map_or(true, |length| length > limit)
}

fn too_long(path: &str, limit: u64) -> Error {
    Error::transport(format!("GET {path} answered with more than {limit} bytes"))
}

/// Within the same scheme, host and port, a few times.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let from = attempt.previous().last();
    let same = from.is_some_and(|from| from.origin() == attempt.url().origin());
    if !same {
        attempt.error("redirected to another host")
    } else if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("redirected too often")
    } else {
        attempt.follow()
    }
}

impl Repository for Http {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(self.get(name, max_length))
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(async move { self.get(&format!("targets/{path}"), max_length).await })
    }
}

/// Mozilla's authorities, as compiled in.
fn public_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    roots
}

/// Authorities of a file; one that is malformed refuses it, and so does none.
fn read_roots(path: &Path) -> Result<RootCertStore, ClientFault> {
    let fault = |why: String| ClientFault(format!("{} {why}", path.display()));
    let metadata = path.metadata().map_err(|error| fault(format!("cannot be read: {error}")))?;
    if !metadata.is_file() || metadata.len() > MAX_CA_BYTES {
        return Err(fault(format!("is no file of at most {MAX_CA_BYTES} bytes")));
    }
    let pem = std::fs::read(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| fault(format!("is not readable PEM: {error}")))?;
        roots.add(certificate).map_err(|error| fault(format!("has a certificate that is no authority: {error}")))?;
    }
    if roots.is_empty() { Err(fault("has no certificate".to_owned())) } else { Ok(roots) }
}

#[cfg(test)]
pub(super) mod tests;
