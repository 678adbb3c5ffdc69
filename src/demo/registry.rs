//! An OCI registry in this process, on a loopback port, that remembers what it was asked.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use axum::{extract::Request, middleware};
use ferro_blob_store::InMemoryBlobStore;
use ferro_oci_server::{AppState, InMemoryRegistryMeta, router};
use oci_client::{
    Client, Reference,
    client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol},
};
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::oci::Descriptor;

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Blob,
    Manifest,
    Other,
    Referrers,
}

/// What the registry was asked for in some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    kinds: Vec<Kind>,
}

impl Calls {
    /// How many.
    pub(crate) const fn count(&self) -> usize {
        self.kinds.len()
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kinds.is_empty() {
            return f.write_str("none");
        }
        let names =
            [(Kind::Manifest, "manifest"), (Kind::Referrers, "listing"), (Kind::Blob, "blob"), (Kind::Other, "other")];
        let mut separator = "";
        for (kind, name) in names {
            let count = self.kinds.iter().filter(|one| **one == kind).count();
            if count > 0 {
                write!(f, "{separator}{count} {name}{}", if count == 1 { "" } else { "s" })?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

/// The running registry.
pub(crate) struct Registry {
    address: SocketAddr,
    calls: Arc<Mutex<Calls>>,
    client: Client,
    task: JoinHandle<std::io::Result<()>>,
}

impl Registry {
    /// Starts it, empty.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the registry")?;
        let address = listener.local_addr()?;
        let calls = Arc::new(Mutex::new(Calls::default()));
        let seen = Arc::clone(&calls);
        let state = AppState::new(Arc::new(InMemoryBlobStore::new()), Arc::new(InMemoryRegistryMeta::new()));
        let app = router(state).layer(middleware::from_fn(move |request: Request, next: middleware::Next| {
            lock(&seen).kinds.push(kind_of(request.uri().path()));
            next.run(request)
        }));
        let task = tokio::spawn(async move { axum::serve(listener, app).await });
        let client = client(&address.to_string()).context("no client for the registry")?;
        Ok(Self { address, calls, client, task })
    }

    /// `127.0.0.1:port`, the name in references.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// What it was asked since the last time.
    pub(crate) fn take_calls(&self) -> Calls {
        std::mem::take(&mut *lock(&self.calls))
    }

    /// Pushes a blob.
    pub(crate) async fn push_blob(
        &self,
        repository: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> anyhow::Result<Descriptor> {
        let descriptor = Descriptor::of(media_type, bytes);
        let digest = descriptor.digest.to_string();
        let place = Reference::with_digest(self.host(), repository.to_owned(), digest.clone());
        let pushed = self.client.push_blob(&place, bytes.to_vec(), &digest).await;
        pushed.with_context(|| format!("blob {place} cannot be pushed"))?;
        Ok(descriptor)
    }

    /// Pushes a manifest, under `tag` or its digest.
    pub(crate) async fn push_manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        manifest: &Value,
    ) -> anyhow::Result<Descriptor> {
        let bytes = manifest.to_string().into_bytes();
        let descriptor = Descriptor::of(media_type, &bytes);
        let (host, repository) = (self.host(), repository.to_owned());
        let place = match tag {
            Some(tag) => Reference::with_tag(host, repository, tag.to_owned()),
            None => Reference::with_digest(host, repository, descriptor.digest.to_string()),
        };
        // As bytes: what is signed is what is stored.
        let pushed = self.client.push_manifest_raw(&place, bytes, HeaderValue::from_str(media_type)?).await;
        pushed.with_context(|| format!("manifest {place} cannot be pushed"))?;
        Ok(descriptor)
    }

    /// Stops it and waits for its end.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let Self { task, .. } = self;
        // Idle connections of the provider would hold a graceful end up, and there is nothing to lose.
        task.abort();
        match task.await {
            Ok(ended) => ended.context("the registry failed"),
            Err(error) if error.is_cancelled() => Ok(()),
            Err(error) => Err(error).context("the registry ended by itself"),
        }
    }
}

/// A descriptor as manifests have it.
pub(crate) fn described(descriptor: &Descriptor) -> Value {
    json!({ "mediaType": descriptor.media_type, "digest": descriptor.digest.to_string(), "size": descriptor.size })
}

/// A client that pushes to `host`, and to no other in plain HTTP.
fn client(host: &str) -> oci_client::errors::Result<Client> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    let roots = roots.map(|root| Certificate { encoding: CertificateEncoding::Der, data: root.to_vec() });
    // `Client::new` would turn a fault into a client with other settings.
    Client::try_from(ClientConfig {
        protocol: ClientProtocol::HttpsExcept(vec![host.to_owned()]),
        use_monolithic_push: true,
        // None is needed; without any, a machine that has no certificate bundle could not build the client.
        tls_certs_only: roots.collect(),
        // A proxy that is never asked: with one set, the environment's proxies do not come between us and loopback.
        http_proxy: Some(format!("http://{host}")),
        no_proxy: Some("127.0.0.1".to_owned()),
        ..ClientConfig::default()
    })
}

fn kind_of(path: &str) -> Kind {
    for (part, kind) in [("/manifests/", Kind::Manifest), ("/blobs/", Kind::Blob), ("/referrers/", Kind::Referrers)] {
        if path.contains(part) {
            return kind;
        }
    }
    Kind::Other
}

fn lock(calls: &Mutex<Calls>) -> std::sync::MutexGuard<'_, Calls> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}
