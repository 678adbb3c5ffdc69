//! A web for tests, and authorities with certificates that name places in it.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use rcgen::{CertificateParams, KeyPair};
use time::OffsetDateTime;
use tokio::{runtime::Handle, sync::Barrier, time::Instant};

use super::{
    Ask, NoMethod, Revocation, RevocationClient, RevocationClientError, RevocationConfig, RevocationEvidence,
    RevocationOutside, RevocationRequest,
    decide::{CertificateRevocation, ChainRevocation, Standing},
};
use crate::crypto::{
    crl::testing::{Draft as Crl, point_name, points},
    ocsp::testing::{Answer, Draft as Response, NOW, by_name},
    testing::{ca, chain, extension, leaf, tlv},
    tsp::testing::{ECDSA_SHA256, certificates, oid},
    x509::Certificate,
};

pub(crate) const OCSP: &str = "http://pki.test/ocsp";
pub(crate) const CRL: &str = "http://pki.test/ca.crl";

/// What an address answers.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Body(Vec<u8>),
    Fails(RevocationClientError),
    /// Once so many are waiting.
    Together(Arc<Barrier>, Vec<u8>),
    /// Not before its deadline.
    Never,
}

/// Answers by address (of a responder: by its beginning), and remembers what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Web {
    replies: Mutex<HashMap<String, Reply>>,
    asked: Mutex<Vec<RevocationRequest>>,
    /// When the last question came.
    last: Mutex<Option<Instant>>,
}

impl Web {
    pub(crate) fn set(&self, url: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(url.to_owned(), reply);
    }

    pub(crate) fn serve(&self, url: &str, body: Vec<u8>) {
        self.set(url, Reply::Body(body));
    }

    pub(crate) fn last(&self) -> Instant {
        self.last.lock().unwrap().unwrap()
    }

    pub(crate) fn asked(&self) -> Vec<RevocationRequest> {
        self.asked.lock().unwrap().clone()
    }

    /// The places that were asked since, each by its address.
    pub(crate) fn taken(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        let replies = self.replies.lock().unwrap();
        let place = |url: String| replies.keys().find(|known| is_at(known, &url)).cloned().unwrap_or(url);
        asked.into_iter().map(|request| place(request.url)).collect()
    }
}

fn is_at(known: &str, url: &str) -> bool {
    url == known || (known.contains("ocsp") && url.strip_prefix(known).is_some_and(|rest| rest.starts_with('/')))
}

#[async_trait]
impl RevocationClient for Web {
    async fn fetch(&self, request: RevocationRequest) -> Result<Bytes, RevocationClientError> {
        *self.last.lock().unwrap() = Some(Instant::now());
        self.asked.lock().unwrap().push(request.clone());
        let reply = {
            let replies = self.replies.lock().unwrap();
            replies.iter().find(|(known, _)| is_at(known, &request.url)).map(|(_, reply)| reply.clone())
        };
        match reply {
            Some(Reply::Body(body)) => Ok(body.into()),
            Some(Reply::Fails(error)) => Err(error),
            Some(Reply::Together(barrier, body)) => {
                barrier.wait().await;
                Ok(body.into())
            }
            Some(Reply::Never) => {
                tokio::time::sleep_until(request.deadline).await;
                Err(RevocationClientError::Timeout)
            }
            None => Err(RevocationClientError::Status(404)),
        }
    }
}

/// `authorityInfoAccess` with these responders.
pub(crate) fn responders(urls: &[&str]) -> rcgen::CustomExtension {
    let list = urls.iter().flat_map(|url| tlv(0x30, &[oid("1.3.6.1.5.5.7.48.1"), tlv(0x86, url.as_bytes())].concat()));
    extension(&[1, 3, 6, 1, 5, 5, 7, 1, 1], &tlv(0x30, &list.collect::<Vec<_>>()), false)
}

/// `cRLDistributionPoints`, each with these addresses.
pub(crate) fn distribution(of: &[&[&str]]) -> rcgen::CustomExtension {
    let contents: Vec<_> = of.iter().map(|urls| point_name(urls)).collect();
    extension(&[2, 5, 29, 31], &points(&contents), false)
}

/// A chain, and the keys of its authorities.
#[derive(Debug)]
pub(crate) struct Pki {
    /// Leaf first.
    pub(crate) chain: Vec<Certificate>,
    pub(crate) keys: Vec<KeyPair>,
}

impl Pki {
    pub(crate) fn of(params: &[CertificateParams]) -> Self {
        let made = chain(params);
        Self { chain: certificates(&made), keys: made.keys }
    }

    /// Leaf and root; the leaf names these places.
    pub(crate) fn naming(extensions: Vec<rcgen::CustomExtension>) -> Self {
        let mut signer = leaf("signer");
        signer.custom_extensions = extensions;
        Self::of(&[signer, ca("root", None)])
    }

    /// A list of the authority at `position` that lists nothing.
    pub(crate) fn crl(&self, position: usize) -> Crl {
        Crl::good(&self.chain[position])
    }

    /// A response of its issuer that the certificate at `position` is good.
    pub(crate) fn response(&self, position: usize) -> Response {
        let issuer = &self.chain[position + 1];
        Response {
            status: 0,
            kind: "1.3.6.1.5.5.7.48.1.1",
            version: Vec::new(),
            responder: by_name(issuer),
            produced_at: "20300601110000Z",
            answers: vec![Answer::good(&self.chain[position], issuer)],
            extensions: Vec::new(),
            algorithm: tlv(0x30, &oid(ECDSA_SHA256)),
            certificates: Vec::new(),
        }
    }
}

/// Asks at [`NOW`], for a minute.
pub(super) fn ask() -> Ask {
    ask_at(NOW)
}

pub(super) fn ask_at(now: OffsetDateTime) -> Ask {
    Ask { now, signing_time: None, deadline: Instant::now() + Duration::from_mins(1) }
}

/// What asking takes from outside, with this web.
pub(crate) fn outside(web: &Arc<Web>) -> RevocationOutside {
    RevocationOutside {
        client: Arc::<Web>::clone(web),
        evidence: RevocationEvidence::default(),
        runtime: Handle::current(),
        meter: None,
    }
}

/// One that asks this web.
pub(crate) fn online(web: &Arc<Web>, config: &RevocationConfig) -> Revocation {
    let base = Path::new("/nonexistent");
    let (loaded, _) = Revocation::load(config, base).unwrap();
    loaded.asking(config, base, outside(web)).unwrap()
}

/// When the evidence of [`revoked`] ends.
pub(crate) const EVIDENCE_END: OffsetDateTime = time::macros::datetime!(2026-11-28 0:00 UTC);

/// What might be known of a chain: all that were issued are good, but the one at `position`.
pub(in super::super) fn revoked(chain: &[Certificate], position: Option<usize>) -> ChainRevocation {
    let issued = chain.iter().take(chain.len().saturating_sub(1)).enumerate();
    let known = issued.map(|(at, certificate)| CertificateRevocation {
        position: at,
        subject: certificate.subject().to_text(),
        standing: match position {
            Some(position) if position == at => Standing::Revoked("by the test".to_owned()),
            Some(_) | None => Standing::Good(EVIDENCE_END),
        },
        method: "crl",
        fallback: None,
    });
    ChainRevocation { certificates: known.collect(), again: None, no_method: NoMethod::Warn }
}
