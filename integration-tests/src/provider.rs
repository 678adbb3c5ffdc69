//! The real server, run as `serve` runs it: from a configuration file, by the application's own swapping of generations,
//! on ports of its own.

use std::{
    fs,
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use countersign::{
    app::{App, AppError},
    config::Process,
    server::{Handed, OfApp, Parts, Server, ServerError},
    store::registry::Outside,
    telemetry::{DecisionLog, Telemetry},
    time::Clock,
};
use reqwest::Client;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::{runtime::Handle, sync::oneshot, task::JoinHandle};

use crate::notation::SigningAuthority;

/// Where Ratify's Provider objects ask.
pub const RATIFY_VERIFY: &str = "/ratify/gatekeeper/v1/verify";
/// Our own path to verify.
pub const VERIFY: &str = "/countersign/gatekeeper/v1/verify";
/// Our own path to mutate.
pub const MUTATE: &str = "/countersign/gatekeeper/v1/mutate";

/// A folder with a configuration and what it names, and an authority whose signatures it trusts.
#[derive(Debug)]
pub struct Stage {
    folder: TempDir,
    /// Trusted by [`configuration`]: its certificate is `root.pem`.
    pub authority: SigningAuthority,
}

/// A running server, until it is stopped or dropped.
#[derive(Debug)]
pub struct Provider {
    /// What the server answers from; its files are looked at when a test says so.
    pub app: Arc<App>,
    address: SocketAddr,
    admin: SocketAddr,
    scheme: &'static str,
    client: Client,
    telemetry: Arc<Telemetry>,
    records: Sink,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ServerError>>,
}

#[derive(Debug, Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A configuration on plain HTTP with one verifier, `notary`, that must say yes to everything; `hosts` may use loopback
/// without TLS.
pub fn configuration<'a>(hosts: impl IntoIterator<Item = &'a str>) -> Value {
    let host = json!({ "plainHttp": true, "allowLoopback": true });
    let hosts: Map<String, Value> = hosts.into_iter().map(|name| (name.to_owned(), host.clone())).collect();
    json!({
        "server": {
            "address": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "plainHttp": true,
            // Long: what a test waits for depends on what arrives, never on time.
            "providerTimeout": { "verify": "30s", "mutate": "30s" },
        },
        "stores": [{ "name": "registries", "type": "registry", "hosts": hosts }],
        "verifiers": [{
            "name": "notary",
            "type": "notation",
            "trustPolicies": [trust_policy("all", &["*"], &json!({ "level": "strict" }))],
            "trustStores": { "ca": { "test": ["root.pem"] } },
        }],
        "policies": [{ "scopes": ["**"], "require": { "any": ["notary"] } }],
    })
}

/// A statement of a trust policy that trusts the store `ca:test`, unless the level is `skip`.
pub fn trust_policy(name: &str, scopes: &[&str], verification: &Value) -> Value {
    let mut statement = json!({ "name": name, "registryScopes": scopes, "signatureVerification": verification });
    if verification["level"] != "skip" {
        statement["trustStores"] = json!(["ca:test"]);
        statement["trustedIdentities"] = json!(["*"]);
    }
    statement
}

impl Stage {
    /// A folder that holds the authority's certificate.
    pub fn set() -> Self {
        let authority = SigningAuthority::new("root", Clock::System.now());
        let stage = Self { folder: tempfile::tempdir().expect("a folder"), authority };
        stage.write("root.pem", &stage.authority.pem());
        stage
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders that it needs.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("a folder");
        }
        fs::write(path, text).expect("a file");
    }

    /// Writes the configuration; JSON is YAML.
    pub fn configure(&self, configuration: &Value) {
        self.write("countersign.yaml", &configuration.to_string());
    }

    /// Starts the server; asked by `client`, over TLS if the configuration says so.
    pub async fn start_with(&self, client: Client) -> Result<Provider, AppError> {
        self.start_handed(client, Handed::default(), Clock::System).await
    }

    /// As [`Stage::start_with`], with TLS that is handed over, by a clock that may be moved.
    pub async fn start_handed(&self, client: Client, handed: Handed, clock: Clock) -> Result<Provider, AppError> {
        let records = Sink::default();
        let telemetry = Arc::new(Telemetry::detached(DecisionLog::All, records.clone()).expect("telemetry"));
        let outside = Outside { meter: Some(telemetry.meter()), ..Outside::default() };
        let file = self.path("countersign.yaml");
        let app = Arc::new(App::start(&file, Process::default(), outside, Handle::current()).await?);
        let config = app.current().config.clone();
        let scheme = if config.server.plain_http { "http" } else { "https" };
        let parts = Parts {
            config: config.server,
            limits: config.limits.server(),
            generations: Arc::new(OfApp::new(Arc::clone(&app))),
            handed,
            telemetry: Arc::clone(&telemetry),
            clock,
        };
        let server = Server::bind(parts).expect("a server");
        let (address, admin) = (server.address(), server.admin_address());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run_until(async {
            // A dropped sender is a stop, too.
            let _ = stopped.await;
        }));
        Ok(Provider { app, address, admin, scheme, client, telemetry, records, stop: Some(stop), task })
    }

    /// Starts the server with a configuration, asked over plain HTTP.
    pub async fn start(&self, configuration: &Value) -> Provider {
        self.configure(configuration);
        self.start_with(client()).await.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A client for plain HTTP.
pub fn client() -> Client {
    Client::builder().no_proxy().build().expect("a client")
}

/// A request as Gatekeeper sends it.
pub fn request(keys: &[&str]) -> Value {
    json!({
        "apiVersion": "externaldata.gatekeeper.sh/v1beta1",
        "kind": "ProviderRequest",
        "request": { "keys": keys },
    })
}

impl Provider {
    /// Where Gatekeeper asks.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a request with a client.
    pub async fn send(&self, client: &Client, path: &str, keys: &[&str]) -> reqwest::Result<Value> {
        let url = format!("{}://{}{path}", self.scheme, self.address);
        let post = client.post(url).header("Content-Type", "application/json").body(request(keys).to_string());
        let bytes = post.send().await?.bytes().await?;
        Ok(serde_json::from_slice(&bytes).expect("a reply is JSON"))
    }

    /// The `response` of a reply.
    pub async fn ask(&self, path: &str, keys: &[&str]) -> Value {
        let mut reply = self.send(&self.client, path, keys).await.expect("a reply");
        assert_eq!(reply["apiVersion"], "externaldata.gatekeeper.sh/v1beta1");
        assert_eq!(reply["kind"], "ProviderResponse");
        reply["response"].take()
    }

    /// The value for one key; a `systemError` fails the test.
    pub async fn value(&self, key: &str) -> Value {
        let mut response = self.ask(VERIFY, &[key]).await;
        assert_eq!(response["items"][0]["key"], key, "{response}");
        response["items"][0]["value"].take()
    }

    /// The code for one key, of its value or its system error.
    pub async fn code(&self, key: &str) -> String {
        let response = self.ask(VERIFY, &[key]).await;
        let code = response["items"][0]["value"]["code"].as_str().map(str::to_owned);
        code.unwrap_or_else(|| response["systemError"].as_str().unwrap_or_default().to_owned())
    }

    /// Status and body of a path on the admin port.
    pub async fn admin(&self, path: &str) -> (u16, String) {
        let response = client().get(format!("http://{}{path}", self.admin)).send().await.expect("a reply");
        (response.status().as_u16(), response.text().await.expect("text"))
    }

    /// A sample of the metrics, by name and labels as they are written.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = self.telemetry.prometheus_text().expect("metrics");
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Tells the server to stop, as SIGTERM does.
    pub fn begin_shutdown(&mut self) {
        self.stop.take();
    }

    /// Stops it: what was in flight is answered; gives the decision records.
    pub async fn stop(mut self) -> String {
        self.begin_shutdown();
        self.task.await.expect("no panic").expect("an orderly end");
        tokio::task::block_in_place(|| self.telemetry.flush());
        String::from_utf8_lossy(&self.records.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}
