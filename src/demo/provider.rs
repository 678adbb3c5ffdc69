//! The real server: its files in a folder of their own, its configuration as an operator writes it.

use std::{
    fs::{self, Permissions},
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context as _;
use serde_json::{Value, json};
use tempfile::{Builder, TempDir};
use tokio::{runtime::Handle, sync::oneshot, task::JoinHandle};

use super::{
    cosigned::{ISSUER, Signers, WORKFLOW},
    gatekeeper::{Endpoint, request},
    images::Image,
    licensed::{Approvers, Plugin},
    pki::{Authority, GATEKEEPER_NAME, Pair, Validity},
};
use crate::{
    app::App,
    config::Process,
    server::{Handed, OfApp, Parts, Server, ServerError},
    store::registry::Outside,
    telemetry::{DecisionLog, Telemetry},
    time::Clock,
};

const CONFIGURATION: &str = "countersign.yaml";

/// What was written, until dropped.
pub(crate) struct Files {
    folder: TempDir,
}

/// What the server is to believe, and by whom it is known.
pub(crate) struct Trust<'a> {
    /// Signers' root of the Notary Project.
    pub(crate) root: &'a Authority,
    /// Issues the server's certificate.
    pub(crate) serving: &'a Authority,
    /// Issues its clients' certificates.
    pub(crate) clients: &'a Authority,
    /// Signers of the Sigstore world.
    pub(crate) cosigners: &'a Signers,
    /// A verifier of licence approvals, and who gives them.
    pub(crate) plugin: Option<&'a (Plugin, Approvers)>,
}

impl Files {
    /// Writes certificates, keys and the configuration. `hosts`: registries that are served.
    pub(crate) fn write(trust: &Trust<'_>, client: &Pair, hosts: &[&str], valid: Validity) -> anyhow::Result<Self> {
        let Trust { root, serving, clients, cosigners, plugin } = trust;
        // Its keys are for its owner only.
        let folder = Builder::new().prefix("countersign-demo-").permissions(Permissions::from_mode(0o700)).tempdir();
        let files = Self { folder: folder.context("no temporary folder")? };
        let server = serving.server(valid)?;
        let mut configuration = configuration(hosts);
        if let Some((plugin, approvers)) = plugin {
            plugin.configure(&mut configuration, approvers);
        }
        let configuration = serde_json::to_string_pretty(&configuration)?;
        for (name, text) in [
            ("root.crt", root.pem()),
            ("trusted_root.json", cosigners.trusted_root()?),
            ("cosign.pub", cosigners.public_key()),
            ("ca.crt", serving.pem()),
            ("tls.crt", server.certificate),
            ("tls.key", server.key),
            ("gatekeeper-ca.crt", clients.pem()),
            ("gatekeeper.crt", client.certificate.clone()),
            ("gatekeeper.key", client.key.clone()),
            (CONFIGURATION, configuration),
        ] {
            let path = files.path(name);
            fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The running server.
pub(crate) struct Provider {
    address: SocketAddr,
    admin_address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServerError>>,
}

impl Provider {
    /// Starts it from the configuration file, as `serve` does.
    pub(crate) async fn start(files: &Files) -> anyhow::Result<Self> {
        // Decision records would stand between the tables.
        let telemetry = Arc::new(Telemetry::detached(DecisionLog::None, std::io::sink())?);
        let outside = Outside { meter: Some(telemetry.meter()), ..Outside::default() };
        let file = files.path(CONFIGURATION);
        let app = App::start(&file, Process::default(), outside, Handle::current())
            .await
            .context("the demo's configuration")?;
        let config = app.current().config.clone();
        let parts = Parts {
            config: config.server,
            limits: config.limits.server(),
            generations: Arc::new(OfApp::new(Arc::new(app))),
            handed: Handed::default(),
            telemetry,
            clock: Clock::System,
        };
        let server = Server::bind(parts)?;
        let (address, admin_address) = (server.address(), server.admin_address());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run_until(async {
            // A dropped sender is a stop, too.
            let _ = stopped.await;
        }));
        Ok(Self { address, admin_address, stop, task })
    }

    /// Where Gatekeeper may ask.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What Prometheus would read.
    #[cfg(test)]
    pub(crate) async fn metrics(&self) -> String {
        let answer = reqwest::get(format!("http://{}/metrics", self.admin_address)).await.unwrap();
        answer.error_for_status().unwrap().text().await.unwrap()
    }

    /// How to reach what is running.
    pub(crate) fn directions(&self, files: &Files, registry: &str, images: &[Image]) -> String {
        let Self { address, admin_address, .. } = self;
        let folder = files.folder.path().display();
        let key = images.first().map(|image| image.tagged.as_str()).unwrap_or_default();
        let body = request(&json!([key]));
        let path = Endpoint::Verify.path();
        format!(
            "Running until Ctrl-C:\n\
             \x20 provider      https://{address}{path}\n\
             \x20 health        http://{admin_address}/healthz  /readyz  /metrics\n\
             \x20 registry      http://{registry}/v2/\n\
             \x20 configuration {folder}/{CONFIGURATION}\n\
             \x20 certificates  {folder}/ca.crt (the server's CA), gatekeeper.crt and gatekeeper.key (the client)\n\n\
             Try:\n\
             \x20 curl --cacert {folder}/ca.crt --cert {folder}/gatekeeper.crt --key {folder}/gatekeeper.key \\\n\
             \x20   -H 'Content-Type: application/json' -d '{body}' \\\n\
             \x20   https://{address}{path}\n"
        )
    }

    /// Stops it and waits until what was in flight is answered.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let Self { stop, task, .. } = self;
        let _ = stop.send(());
        task.await.context("the server ended by itself")?.context("the server failed")
    }
}

/// As an operator would write it; JSON is YAML.
fn configuration(hosts: &[&str]) -> Value {
    let host = json!({ "plainHttp": true, "allowLoopback": true });
    let hosts: serde_json::Map<String, Value> = hosts.iter().map(|name| ((*name).to_owned(), host.clone())).collect();
    let root = json!({ "file": "trusted_root.json" });
    let workflow = json!({ "name": "workflow", "scopes": ["**"], "trustedRoot": root,
        "identities": [{ "issuer": ISSUER, "subject": WORKFLOW }] });
    json!({
        "server": {
            "address": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "tls": { "certificate": "tls.crt", "key": "tls.key", "clientCa": "gatekeeper-ca.crt", "clientName": GATEKEEPER_NAME },
        },
        "stores": [{ "name": "registries", "type": "registry", "hosts": hosts }],
        "verifiers": [{
            "name": "notary",
            "type": "notation",
            "trustPolicies": [{
                "name": "demo",
                "registryScopes": ["*"],
                "signatureVerification": { "level": "strict" },
                "trustStores": ["ca:demo"],
                "trustedIdentities": ["x509.subject: C=CH, ST=Bern, O=Countersign demo"],
            }],
            "trustStores": { "ca": { "demo": ["root.crt"] } },
        }, {
            "name": "cosign",
            "type": "cosign",
            "trustPolicies": [workflow, {
                "name": "key",
                "scopes": ["*/demo/cosign-key"],
                "keys": [{ "file": "cosign.pub" }],
                "trustedRoot": root,
            }],
        }, {
            "name": "scanned",
            "type": "attestation",
            "predicateType": "vuln",
            "maxAge": "168h",
            "timeField": "/predicate/metadata/scanFinishedOn",
            "trustPolicies": [workflow],
        }],
        "policies": [
            { "scopes": ["**"], "require": { "any": ["notary"] } },
            { "scopes": ["*/demo/cosign-*"], "require": { "any": ["cosign"] } },
            { "scopes": ["*/demo/scanned*"], "require": { "all": ["cosign", "scanned"] } },
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn keys_are_written_where_only_their_owner_looks() {
        let now = Clock::System.now();
        let valid = Validity::current(now);
        let authority = Authority::new("any", valid).unwrap();
        let client = authority.client(GATEKEEPER_NAME, valid).unwrap();
        let cosigners = Signers::new(now).unwrap();
        let trust =
            Trust { root: &authority, serving: &authority, clients: &authority, cosigners: &cosigners, plugin: None };
        let files = Files::write(&trust, &client, &[], valid).unwrap();
        let mode = fs::metadata(files.folder.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(files.path("tls.key").is_file());
    }

    #[test]
    fn configuration_is_valid() {
        let text = configuration(&["127.0.0.1:5000"]).to_string();
        let parsed = Config::parse(&text, std::path::Path::new("."), &Process::default());
        assert!(parsed.is_ok(), "{:?}", parsed.err());
    }
}
