//! The way out for questions about revoked certificates: registries' host rules, handed to the verifier as its client.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

use super::Materials;
use crate::{
    store::registry::{Fault, Outbound, OutboundError, OutboundRequest},
    verifier::notation::{
        self, ConfigFault, Notation,
        revocation::{Mode, RevocationClient, RevocationClientError, RevocationOutside, RevocationRequest},
    },
};

/// What is posted to a responder.
const OCSP_REQUEST: &str = "application/ocsp-request";

/// The client of one verifier.
#[derive(Debug)]
struct Client(Outbound);

#[async_trait]
impl RevocationClient for Client {
    async fn fetch(&self, request: RevocationRequest) -> Result<Bytes, RevocationClientError> {
        let RevocationRequest { url, body, accept, limit_bytes, deadline } = request;
        let body = body.map(|body| (OCSP_REQUEST, body));
        let answer = self.0.ask(&OutboundRequest { url: &url, body, accept, limit_bytes, deadline }).await;
        answer.map_err(|error| match error {
            OutboundError::Denied(rule) => RevocationClientError::Denied(rule),
            OutboundError::Status(status) => RevocationClientError::Status(status),
            OutboundError::TooLarge(limit) => RevocationClientError::TooLarge(limit),
            OutboundError::Timeout => RevocationClientError::Timeout,
            OutboundError::Unavailable(why) => RevocationClientError::Unavailable(why),
        })
    }
}

/// Lets a verifier ask, where its configuration says `online`.
///
/// # Errors
/// What is wrong with `allowHosts`, `proxy` and `cacheDir`.
pub(super) fn connect(
    notation: Notation,
    config: &notation::Config,
    base: &Path,
    materials: &Materials,
) -> Result<Notation, Vec<ConfigFault>> {
    let revocation = &config.revocation;
    // `proxy` and `allowHosts` are read in either mode: what is wrong with them is wrong.
    let client = Outbound::build(&revocation.allow_hosts, revocation.proxy.as_deref(), &materials.outside);
    let client = client.map_err(|faults| {
        let fault = |fault: Fault| ConfigFault::Revocation { member: fault.path, why: fault.message };
        faults.into_iter().map(fault).collect::<Vec<_>>()
    })?;
    match revocation.mode {
        Mode::Offline => Ok(notation),
        Mode::Online => {
            let outside = RevocationOutside {
                client: Arc::new(Client(client)),
                evidence: materials.evidence.clone(),
                runtime: materials.runtime.clone(),
                meter: materials.outside.meter.clone(),
            };
            notation.asking(config, base, outside).map_err(|fault| vec![fault])
        }
    }
}
