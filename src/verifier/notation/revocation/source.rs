//! The two kinds of evidence: how each is named, asked for, read and verified.

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    Ask,
    client::{RevocationClientError, RevocationRequest},
    shelf::{Fresh, Key, Source, Way},
};
use crate::{
    crypto::{
        crl::{self, Crl, VerifiedCrl},
        ocsp,
        read::hex,
        x509::Certificate,
    },
    reason::{self, printable},
};

/// Longest part of an address that is repeated.
const MAX_URL_TEXT: usize = 160;

/// The question about `certificate` at the moment of `ask`.
pub(super) const fn question<'a>(certificate: &'a Certificate, issuer: &'a Certificate, ask: Ask) -> crl::Question<'a> {
    crl::Question { certificate, issuer, now: ask.now, signing_time: ask.signing_time }
}

/// Hashes parts so that no two lists of parts are the same bytes.
fn key(parts: &[&[u8]]) -> Key {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let mut key = Key::default();
    key.copy_from_slice(context.finish().as_ref());
    key
}

fn error(url: &Url, why: &str) -> String {
    format!("{}: {why}", printable(url.as_str(), MAX_URL_TEXT))
}

/// The responders of one certificate: alternatives, asked in order until one of them makes a statement.
#[derive(Debug, Clone)]
pub(super) struct OcspSource {
    pub(super) certificate: Arc<Certificate>,
    pub(super) issuer: Arc<Certificate>,
    pub(super) urls: Vec<Url>,
}

impl OcspSource {
    async fn ask(&self, url: &Url, way: &Way, ask: Ask) -> Result<Fresh<ocsp::Response>, String> {
        let request = ocsp::Request::new(&self.certificate, &self.issuer).map_err(|error| reason::chain(&error))?;
        let (to, body) = match request.get_url(url) {
            Some(to) => (to, None),
            None => (url.clone(), Some(Bytes::copy_from_slice(request.der()))),
        };
        let sent = RevocationRequest {
            url: to.into(),
            body,
            accept: ocsp::RESPONSE_MEDIA_TYPE,
            limit_bytes: u64::try_from(ocsp::MAX_RESPONSE_BYTES).unwrap_or(u64::MAX),
            deadline: Way::deadline(ask),
        };
        let bytes = way.send(Self::KIND, sent).await.map_err(|fault| error(url, &fault.to_string()))?;
        self.verified(&bytes, ask).map_err(|fault| error(url, &reason::chain(&fault)))
    }

    fn verified(&self, bytes: &[u8], ask: Ask) -> Result<Fresh<ocsp::Response>, ocsp::OcspError> {
        let item = ocsp::Response::parse(bytes)?;
        let statement = item.verify(&question(&self.certificate, &self.issuer, ask))?;
        let this_update = statement.this_update();
        Ok(Fresh { item, this_update, lacks: None, weight: bytes.len(), file: Some(Bytes::copy_from_slice(bytes)) })
    }
}

impl Source for OcspSource {
    type Item = ocsp::Response;
    const KIND: &'static str = "ocsp";

    fn key(&self) -> Key {
        key(&[self.issuer.der(), self.certificate.serial_number()])
    }

    fn file_name(&self) -> String {
        format!("ocsp-{}", hex(&self.key()))
    }

    fn read(&self, bytes: &[u8], ask: Ask) -> Option<Fresh<ocsp::Response>> {
        self.verified(bytes, ask).ok()
    }

    async fn fetch(&self, way: &Way, ask: Ask) -> Result<Fresh<ocsp::Response>, String> {
        let mut faults = Vec::new();
        for url in &self.urls {
            match self.ask(url, way, ask).await {
                Ok(fresh) => return Ok(fresh),
                Err(fault) => faults.push(fault),
            }
        }
        Err(faults.join("; "))
    }
}

/// One CRL with its delta, at one address, of one authority.
#[derive(Debug, Clone)]
pub(super) struct CrlSource {
    pub(super) url: Url,
    pub(super) issuer: Arc<Certificate>,
}

impl CrlSource {
    async fn get(&self, url: &Url, way: &Way, ask: Ask) -> Result<Bytes, String> {
        let sent = RevocationRequest {
            url: url.as_str().to_owned(),
            body: None,
            accept: "application/pkix-crl, application/x-pkcs7-crl;q=0.5, */*;q=0.1",
            limit_bytes: u64::try_from(crl::MAX_CRL_BYTES).unwrap_or(u64::MAX),
            deadline: Way::deadline(ask),
        };
        way.send(Self::KIND, sent).await.map_err(|fault| error(url, &fault.to_string()))
    }

    /// The delta that goes with `base`, of the first address that has one; they are alternatives.
    async fn with_delta(
        &self,
        base: VerifiedCrl,
        urls: &[Url],
        way: &Way,
        ask: Ask,
    ) -> (VerifiedCrl, Option<Bytes>, Option<String>) {
        let mut faults = Vec::new();
        for url in urls {
            let bytes = match self.get(url, way, ask).await {
                Ok(bytes) => bytes,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            let (list, delta) = (base.clone(), bytes.clone());
            let added = way.runtime.spawn_blocking(move || list.with_delta(Crl::parse(&delta)?)).await;
            match added {
                Ok(Ok(both)) => return (both, Some(bytes), None),
                Ok(Err(fault)) => faults.push(error(url, &reason::chain(&fault))),
                Err(_) => faults.push(error(url, "it could not be read")),
            }
        }
        if faults.is_empty() {
            faults.push("its delta CRL has no address that can be asked".to_owned());
        }
        (base, None, Some(faults.join("; ")))
    }
}

impl Source for CrlSource {
    type Item = VerifiedCrl;
    const KIND: &'static str = "crl";

    fn key(&self) -> Key {
        key(&[self.issuer.der(), self.url.as_str().as_bytes()])
    }

    fn file_name(&self) -> String {
        cache_file_name(&self.url)
    }

    fn read(&self, bytes: &[u8], _: Ask) -> Option<Fresh<VerifiedCrl>> {
        let item = CrlFile::parse(bytes)?.verified(&self.issuer)?;
        // A delta that did not come along is asked for.
        (item.delta().is_some() || item.base().delta_urls().is_none()).then(|| Fresh {
            this_update: youngest(&item),
            item,
            lacks: None,
            weight: bytes.len(),
            file: None,
        })
    }

    async fn fetch(&self, way: &Way, ask: Ask) -> Result<Fresh<VerifiedCrl>, String> {
        let bytes = self.get(&self.url, way, ask).await?;
        let (list, issuer) = (bytes.clone(), Arc::clone(&self.issuer));
        let read = way.runtime.spawn_blocking(move || Crl::parse(&list)?.verify(&issuer)).await;
        let base = match read {
            Ok(read) => read.map_err(|fault| error(&self.url, &reason::chain(&fault)))?,
            Err(_) => return Err(error(&self.url, "it could not be read")),
        };
        let urls = base.base().delta_urls().map(<[Url]>::to_vec);
        let (item, delta, lacks) = match urls {
            Some(urls) => self.with_delta(base, &urls, way, ask).await,
            None => (base, None, None),
        };
        let weight = bytes.len().saturating_add(delta.as_ref().map_or(0, Bytes::len));
        let file = way.folder.is_some().then(|| CrlFile::write(&bytes, delta.as_ref()));
        Ok(Fresh { this_update: youngest(&item), item, lacks, weight, file })
    }
}

fn youngest(crl: &VerifiedCrl) -> time::OffsetDateTime {
    let base = crl.base().this_update();
    crl.delta().map_or(base, |delta| base.max(delta.this_update()))
}

impl Way {
    pub(super) async fn send(
        &self,
        kind: &'static str,
        request: RevocationRequest,
    ) -> Result<Bytes, RevocationClientError> {
        let sent = self.client.fetch(request).await;
        let result = match &sent {
            Ok(_) => "success",
            Err(RevocationClientError::Denied(_)) => "denied",
            Err(RevocationClientError::Status(_)) => "status",
            Err(RevocationClientError::TooLarge(_)) => "tooLarge",
            Err(RevocationClientError::Timeout) => "timeout",
            Err(RevocationClientError::Unavailable(_)) => "unavailable",
        };
        self.metrics.request(kind, result);
        sent
    }
}

/// The name of a CRL's file in notation's cache.
pub(super) fn cache_file_name(url: &Url) -> String {
    hex(digest::digest(&digest::SHA256, url.as_str().as_bytes()).as_ref())
}

/// A CRL and its delta as notation's cache has them; nothing is verified yet.
#[derive(Debug, Clone)]
pub(super) struct CrlFile {
    base: Crl,
    delta: Option<Crl>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    #[serde(rename = "baseCRL")]
    base: String,
    #[serde(rename = "deltaCRL", default, skip_serializing_if = "Option::is_none")]
    delta: Option<String>,
}

impl CrlFile {
    /// Of a CRL alone.
    pub(super) const fn of(base: Crl) -> Self {
        Self { base, delta: None }
    }

    /// `None`: no such file.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let Bundle { base, delta } = serde_json::from_slice(bytes).ok()?;
        let read = |text: &str| Crl::parse(&STANDARD.decode(text).ok()?.into()).ok();
        let delta = match delta.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => Some(read(text)?),
            None => None,
        };
        Some(Self { base: read(&base)?, delta })
    }

    /// Verified under `issuer`; a delta that does not fit is left out, and then missed where it is needed.
    pub(super) fn verified(&self, issuer: &Certificate) -> Option<VerifiedCrl> {
        let base = self.base.verify(issuer).ok()?;
        Some(match &self.delta {
            Some(delta) => base.clone().with_delta(delta.clone()).unwrap_or(base),
            None => base,
        })
    }

    /// Whether the names fit; cheap.
    pub(super) fn is_of(&self, issuer: &Certificate) -> bool {
        self.base.issuer() == issuer.subject()
    }

    fn write(base: &Bytes, delta: Option<&Bytes>) -> Bytes {
        let bundle = Bundle { base: STANDARD.encode(base), delta: delta.map(|delta| STANDARD.encode(delta)) };
        // Two strings are always JSON.
        serde_json::to_vec(&bundle).unwrap_or_default().into()
    }
}
