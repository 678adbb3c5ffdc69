//! The operator's configuration: YAML with the names that Kubernetes people expect, read strictly, refused whole, with
//! everything that is wrong said at once. The only module that reads the environment.
//!
//! ```text
//! file ──document──► Node (value + line) ──environment──► Node ──section──► each part's own Config ──► Config
//!                                                    faults ◄─────┴──────────── cross checks ◄───────────┘
//! ```

use std::{
    collections::HashSet,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;

use self::{
    document::{Kind, Node, Origin},
    section::Named,
};
pub use self::{
    fault::{ConfigError, Fault},
    limits::{Layout as LayoutLimits, Limits},
    process::Process,
};
use crate::{
    kubernetes,
    oci::Registry,
    policy::threshold::{self, Threshold},
    server::{
        self,
        config::{Origin as TlsOrigin, Origins},
    },
    store, telemetry,
    verifier::{VerifierName, cosign, exec, notation},
};

mod document;
mod environment;
mod fault;
mod limits;
mod process;
mod section;

/// Largest file that is read. Thousands of policies have less; a `ConfigMap` holds no more.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

const SECTIONS: [&str; 11] = [
    "server",
    "kubernetes",
    "tenancy",
    "mutation",
    "stores",
    "plugins",
    "verifiers",
    "policies",
    "limits",
    "telemetry",
    "decisionLog",
];

const VERIFIER_TYPES: [&str; 4] = [cosign::ATTESTATION, cosign::KIND, exec::KIND, notation::KIND];

/// A whole, valid configuration. The files that it names have not been read yet.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where and how questions are answered.
    pub server: server::config::Config,
    /// Which of the cluster's objects are used; absent: no API server is ever contacted.
    pub kubernetes: Option<kubernetes::config::Config>,
    /// Whether keys carry a namespace.
    pub tenancy: Tenancy,
    /// How references are rewritten.
    pub mutation: Mutation,
    /// At least one.
    pub stores: Vec<StoreConfig>,
    /// Where programs of verifiers of type `exec` are found and run.
    pub plugins: exec::config::HostConfig,
    /// At least one.
    pub verifiers: Vec<VerifierConfig>,
    /// At least one.
    pub policies: Vec<threshold::Config>,
    /// Every bound.
    pub limits: Limits,
    /// Logs, decision records, traces.
    pub telemetry: telemetry::Config,
    /// The folder that file names in it are relative to.
    pub base: PathBuf,
    written: Written,
}

/// Where each field was written. Its values stay out of sight.
#[derive(Clone, Default)]
struct Written(Option<Arc<Node>>);

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Written")
    }
}

/// The section `tenancy`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tenancy {
    /// Reads `[namespace]image` keys. Off: such a key is no reference.
    pub enabled: bool,
}

impl Default for Tenancy {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// The section `mutation`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Mutation {
    /// Answers `repository:tag@digest` where a tag was resolved, not `repository@digest`.
    pub keep_tag: bool,
}

/// An element of `stores`.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Unique.
    pub name: String,
    /// By `type`.
    pub kind: StoreKind,
    /// Its path in the file, for faults that show when it is built.
    pub at: String,
}

/// The types of store.
#[derive(Debug, Clone)]
pub enum StoreKind {
    /// `layout`: an OCI image layout on disk.
    Layout(LayoutConfig),
    /// `registry`: hosts with the distribution API.
    Registry(store::registry::Config),
}

/// A store of type `layout`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LayoutConfig {
    /// The layout's directory.
    pub path: PathBuf,
    /// The registries whose names it answers for, as `host` or `host:port`; `*`: all that no other store serves.
    pub hosts: Vec<String>,
}

impl LayoutConfig {
    /// Serves every name.
    pub const ANY: &str = "*";
}

/// An element of `verifiers`.
#[derive(Debug, Clone)]
pub struct VerifierConfig {
    /// Unique; what policies name.
    pub name: VerifierName,
    /// By `type`.
    pub kind: VerifierKind,
    /// Its path in the file.
    pub at: String,
}

/// The types of verifier.
#[derive(Debug, Clone)]
pub enum VerifierKind {
    /// `attestation`: signed statements of the Sigstore world.
    Attestation(cosign::config::AttestationConfig),
    /// `cosign`: signatures of the Sigstore world.
    Cosign(cosign::config::Config),
    /// `exec`: a program of the operator's.
    Exec(exec::Config),
    /// `notation`: Notary Project signatures.
    Notation(notation::Config),
}

impl Config {
    /// Reads and checks a file. `process`: overrides of scalars.
    ///
    /// # Errors
    /// [`ConfigError`]: with everything that is wrong, not only the first fault.
    pub fn load(file: &Path, process: &Process) -> Result<Self, ConfigError> {
        let text = read(file)?;
        let base = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::parse(&text, base, process).map_err(|faults| ConfigError::Invalid { file: file.to_owned(), faults })
    }

    /// Checks a text. `base`: the folder that file names in it are relative to.
    ///
    /// # Errors
    /// Everything that is wrong; at least one fault.
    pub fn parse(text: &str, base: &Path, process: &Process) -> Result<Self, Vec<Fault>> {
        let mut root = document::parse(text).map_err(|error| vec![Fault::new("", error.to_string())])?;
        if !matches!(root.kind, Kind::Map(_)) {
            return Err(vec![Fault::new("", "a configuration is a map of sections").at(root.origin)]);
        }
        let mut faults = environment::overlay(&mut root, process.variables());
        let config = Draft::read(&root, base, &mut faults).finish();
        match config {
            Some(mut config) if faults.is_empty() => {
                config.telemetry.otlp = match config.telemetry.otlp {
                    None => traces_by_environment(process).map_err(|fault| vec![fault])?,
                    written => written,
                };
                Ok(Self { written: Written(Some(Arc::new(root))), ..config })
            }
            _ => Err(faults),
        }
    }

    /// A fault that showed when a field was used, with the field's line where it is known.
    pub(crate) fn fault(&self, path: impl Into<String>, message: impl AsRef<str>) -> Fault {
        let path = path.into();
        let origin = self.written.0.as_ref().map(|root| root.origin_at(&path));
        let fault = Fault::new(path, message);
        match origin {
            Some(origin) => fault.at(origin),
            None => fault,
        }
    }

    /// The configuration of `verify` without a file: one `notation` verifier for everything, registries as `hosts` says.
    pub fn of_notation(notation: notation::Config, registries: store::registry::Config, base: PathBuf) -> Self {
        Self::of_verifier(notation::KIND, VerifierKind::Notation(notation), registries, base)
    }

    /// As [`Config::of_notation`], with one verifier of signatures in its place.
    pub fn of_cosign(cosign: cosign::config::Config, registries: store::registry::Config, base: PathBuf) -> Self {
        Self::of_verifier(cosign::KIND, VerifierKind::Cosign(cosign), registries, base)
    }

    /// As [`Config::of_notation`], with one verifier of attestations in its place.
    pub fn of_attestation(
        attestation: cosign::config::AttestationConfig,
        registries: store::registry::Config,
        base: PathBuf,
    ) -> Self {
        Self::of_verifier(cosign::ATTESTATION, VerifierKind::Attestation(attestation), registries, base)
    }

    fn of_verifier(name: &str, kind: VerifierKind, registries: store::registry::Config, base: PathBuf) -> Self {
        let name: VerifierName = Arc::from(name);
        let require = threshold::Requirement::Verifier(Arc::clone(&name));
        Self {
            server: server::config::Config::default(),
            kubernetes: None,
            tenancy: Tenancy { enabled: false },
            mutation: Mutation::default(),
            stores: vec![StoreConfig {
                name: "registries".to_owned(),
                kind: StoreKind::Registry(registries),
                at: "stores[0]".to_owned(),
            }],
            plugins: exec::config::HostConfig::default(),
            verifiers: vec![VerifierConfig { name, kind, at: "verifiers[0]".to_owned() }],
            policies: vec![threshold::Config { scopes: vec!["**".to_owned()], require }],
            limits: Limits::default(),
            telemetry: telemetry::Config::default(),
            base,
            written: Written::default(),
        }
    }

    /// Puts the layout at `path` in the place of all stores, whatever registry a reference names. `at`: where that was said.
    pub fn take_layout(&mut self, path: PathBuf, at: &str) {
        let kind = StoreKind::Layout(LayoutConfig { path, hosts: vec![LayoutConfig::ANY.to_owned()] });
        self.stores = vec![StoreConfig { name: "layout".to_owned(), kind, at: at.to_owned() }];
    }
}

/// The documents of a YAML text, each as plain JSON, read as strictly as a configuration. A document that is empty, or only a
/// comment, is left out.
///
/// # Errors
/// What is wrong, with its line.
pub fn documents(text: &str) -> Result<Vec<serde_json::Value>, String> {
    let mut found = Vec::new();
    let mut document = String::new();
    // Each document is read with the lines before it left empty, so that faults name the file's own lines.
    let mut before = 0;
    for (number, line) in text.lines().enumerate() {
        // Within a block text no line starts here.
        if line.starts_with("---") {
            read_document(before, &document, &mut found)?;
            document.clear();
            before = number;
        }
        document.push_str(line);
        document.push('\n');
    }
    read_document(before, &document, &mut found)?;
    Ok(found)
}

fn read_document(before: usize, text: &str, found: &mut Vec<serde_json::Value>) -> Result<(), String> {
    let is_text = |line: &str| !line.is_empty() && !line.starts_with('#') && line != "---";
    if !text.lines().map(str::trim).any(is_text) {
        return Ok(());
    }
    let padded = format!("{}{text}", "\n".repeat(before));
    found.push(document::parse(&padded).map_err(|error| error.to_string())?.to_value());
    Ok(())
}

/// OpenTelemetry's own variables, where the configuration does not say where traces go.
fn traces_by_environment(process: &Process) -> Result<Option<telemetry::Otlp>, Fault> {
    let Some(endpoint) = process.otlp_endpoint() else {
        return Ok(None);
    };
    let read = serde_json::from_value(serde_json::json!({ "endpoint": endpoint }));
    read.map(Some).map_err(|error| Fault::new("telemetry.otlp.endpoint", format!("from the environment: {error}")))
}

/// Reads a file whole, up to [`MAX_FILE_BYTES`]. A FIFO would block for ever, so its kind is looked at before it is opened.
fn read(file: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { file: file.to_owned(), source };
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(ConfigError::NoFile { file: file.to_owned() });
    }
    let mut bytes = Vec::new();
    let limit = MAX_FILE_BYTES.saturating_add(1);
    let size = File::open(file).and_then(|open| open.take(limit).read_to_end(&mut bytes)).map_err(unreadable)?;
    if u64::try_from(size).is_ok_and(|size| size > MAX_FILE_BYTES) {
        return Err(ConfigError::TooLarge { file: file.to_owned(), limit: MAX_FILE_BYTES });
    }
    String::from_utf8(bytes).map_err(|error| ConfigError::Invalid {
        file: file.to_owned(),
        faults: vec![Fault::new("", format!("not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))],
    })
}

/// What could be read of each section.
struct Draft {
    server: Option<server::config::Config>,
    kubernetes: Option<kubernetes::config::Config>,
    tenancy: Option<Tenancy>,
    mutation: Option<Mutation>,
    stores: Vec<StoreConfig>,
    plugins: Option<exec::config::HostConfig>,
    verifiers: Vec<VerifierConfig>,
    policies: Vec<threshold::Config>,
    limits: Option<Limits>,
    telemetry: Option<telemetry::Config>,
    decision_log: Option<telemetry::DecisionLog>,
    base: PathBuf,
}

impl Draft {
    fn read(root: &Node, base: &Path, faults: &mut Vec<Fault>) -> Self {
        unknown_sections(root, faults);
        let draft = Self {
            server: read_server(root, base, faults),
            kubernetes: read_kubernetes(root, faults),
            tenancy: section_or_default(root, "tenancy", faults),
            mutation: section_or_default(root, "mutation", faults),
            stores: read_stores(root, faults),
            plugins: section_or_default(root, "plugins", faults),
            verifiers: read_verifiers(root, faults),
            policies: read_policies(root, faults),
            limits: read_limits(root, faults),
            telemetry: section_or_default(root, "telemetry", faults),
            decision_log: section_or_default(root, "decisionLog", faults),
            base: base.to_owned(),
        };
        if let Some(limits) = &draft.limits {
            let deep = threshold::too_deep(&draft.policies, limits.nested_depth);
            faults.extend(deep.iter().map(|fault| fault_at(root, &fault.path, fault.fault.to_string())));
        }
        draft
    }

    fn finish(self) -> Option<Config> {
        let Self {
            server,
            kubernetes,
            tenancy,
            mutation,
            stores,
            plugins,
            verifiers,
            policies,
            limits,
            telemetry,
            decision_log,
            base,
        } = self;
        Some(Config {
            server: server?,
            kubernetes,
            tenancy: tenancy?,
            mutation: mutation?,
            stores,
            plugins: plugins?,
            verifiers,
            policies,
            limits: limits?,
            telemetry: telemetry::Config { decision_log: decision_log?, ..telemetry? },
            base,
            written: Written::default(),
        })
    }
}

fn unknown_sections(root: &Node, faults: &mut Vec<Fault>) {
    let Kind::Map(members) = &root.kind else { return };
    for (name, node) in members.iter().filter(|(name, _)| !SECTIONS.contains(&name.as_str())) {
        let meant = fault::did_you_mean(name, SECTIONS);
        let message = format!("unknown section; there are {}{meant}", SECTIONS.join(", "));
        faults.push(Fault::new(name, message).at(node.origin.clone()));
    }
}

fn section_or_default<T>(root: &Node, name: &str, faults: &mut Vec<Fault>) -> Option<T>
where
    T: serde::de::DeserializeOwned + Default,
{
    match root.get(name) {
        None => Some(T::default()),
        Some(node) => section::read(node, name, faults),
    }
}

fn fault_at(root: &Node, path: &str, message: impl AsRef<str>) -> Fault {
    Fault::new(path, message).at(root.origin_at(path))
}

fn read_kubernetes(root: &Node, faults: &mut Vec<Fault>) -> Option<kubernetes::config::Config> {
    let kubernetes: kubernetes::config::Config = section::read(root.get("kubernetes")?, "kubernetes", faults)?;
    for fault in kubernetes.faults() {
        faults.push(fault_at(root, &format!("kubernetes.{}", fault.field), &fault.message));
    }
    Some(kubernetes)
}

/// Which parts of TLS the section `kubernetes` provides, as written: also where it has faults.
fn tls_origins(root: &Node) -> Origins {
    let origin = |member| match root.get("kubernetes").and_then(|section| section.get(member)) {
        Some(_) => TlsOrigin::Cluster,
        None => TlsOrigin::File,
    };
    Origins { certificate: origin("certificates"), client_ca: origin("clientCaSecret") }
}

fn read_server(root: &Node, base: &Path, faults: &mut Vec<Fault>) -> Option<server::config::Config> {
    let mut server: server::config::Config = section_or_default(root, "server", faults)?;
    server.resolve_paths(base);
    for fault in server.faults(tls_origins(root)) {
        faults.push(fault_at(root, &format!("server.{}", fault.field), &fault.message));
    }
    Some(server)
}

fn read_limits(root: &Node, faults: &mut Vec<Fault>) -> Option<Limits> {
    let limits: Limits = section_or_default(root, "limits", faults)?;
    faults.extend(limits.faults().into_iter().map(|(path, message)| fault_at(root, &path, message)));
    Some(limits)
}

fn read_stores(root: &Node, faults: &mut Vec<Fault>) -> Vec<StoreConfig> {
    let mut stores = Vec::new();
    required(root, "stores", "without one every image is refused", faults);
    for Named { name, kind, at, rest } in section::named(root, "stores", &["layout", "registry"], faults) {
        let kind = if kind == "layout" {
            section::read(&rest, &at, faults).map(StoreKind::Layout)
        } else {
            section::read(&rest, &at, faults).map(StoreKind::Registry)
        };
        stores.extend(kind.map(|kind| StoreConfig { name, kind, at }));
    }
    check_hosts(root, &stores, faults);
    check_pull_secrets(root, &stores, faults);
    stores
}

/// Credentials that only an API server has need the section that lets one be asked.
fn check_pull_secrets(root: &Node, stores: &[StoreConfig], faults: &mut Vec<Fault>) {
    if root.get("kubernetes").is_some() {
        return;
    }
    for StoreConfig { kind, at, .. } in stores {
        let StoreKind::Registry(registry) = kind else { continue };
        for (host, settings) in &registry.hosts {
            if settings.credentials.as_ref().is_some_and(store::registry::Credentials::is_of_cluster) {
                let path = format!("{at}.hosts[{host:?}].credentials");
                faults.push(fault_at(root, &path, "pullSecrets and serviceAccount need the section `kubernetes`"));
            }
        }
    }
}

/// Each host is one store's: which of two would answer, and with whose credentials, must not be left to their order.
fn check_hosts(root: &Node, stores: &[StoreConfig], faults: &mut Vec<Fault>) {
    let mut seen = HashSet::new();
    for StoreConfig { kind, at, .. } in stores {
        let (hosts, layout): (Vec<&String>, bool) = match kind {
            StoreKind::Layout(layout) => (layout.hosts.iter().collect(), true),
            StoreKind::Registry(registry) => (registry.hosts.keys().collect(), false),
        };
        if hosts.is_empty() {
            faults.push(fault_at(root, &format!("{at}.hosts"), "names no host, so the store would serve none"));
        }
        for host in hosts {
            let canonical = Registry::parse(host).map_or_else(|_| host.to_lowercase(), |registry| registry.to_string());
            if layout && host != LayoutConfig::ANY && Registry::parse(host).is_err() {
                faults.push(fault_at(root, &format!("{at}.hosts"), format!("{host:?} is no host, host:port or `*`")));
            }
            if !seen.insert(canonical) {
                let path = if layout { format!("{at}.hosts") } else { format!("{at}.hosts.{host}") };
                faults.push(fault_at(root, &path, format!("host {host:?} stands twice in stores")));
            }
        }
    }
}

fn read_verifiers(root: &Node, faults: &mut Vec<Fault>) -> Vec<VerifierConfig> {
    let mut verifiers = Vec::new();
    required(root, "verifiers", "without one nothing can be verified", faults);
    for Named { name, kind, at, rest } in section::named(root, "verifiers", &VERIFIER_TYPES, faults) {
        let kind = match kind.as_str() {
            cosign::ATTESTATION => section::read(&rest, &at, faults).map(VerifierKind::Attestation),
            cosign::KIND => section::read(&rest, &at, faults).map(VerifierKind::Cosign),
            exec::KIND => section::read(&rest, &at, faults).map(VerifierKind::Exec),
            _ => section::read(&rest, &at, faults).map(VerifierKind::Notation),
        };
        verifiers.extend(kind.map(|kind| VerifierConfig { name: Arc::from(name), kind, at }));
    }
    verifiers
}

fn read_policies(root: &Node, faults: &mut Vec<Fault>) -> Vec<threshold::Config> {
    required(root, "policies", "without one every image is refused", faults);
    let elements = section::elements(root, "policies", faults);
    let policies: Vec<threshold::Config> = elements
        .iter()
        .enumerate()
        .filter_map(|(index, policy)| section::read(policy, &format!("policies[{index}]"), faults))
        .collect();
    // Only a whole list has the indexes that the next faults name.
    if !policies.is_empty()
        && policies.len() == elements.len()
        && let Err(found) = Threshold::build(&policies, &verifier_names(root))
    {
        faults.extend(found.iter().map(|fault| fault_at(root, &fault.path, fault.fault.to_string())));
    }
    policies
}

/// Names as written, also of verifiers with faults: a policy that names one is not wrong because of them.
fn verifier_names(root: &Node) -> Vec<VerifierName> {
    let Some(Node { kind: Kind::List(items), .. }) = root.get("verifiers") else { return Vec::new() };
    items
        .iter()
        .filter_map(|item| match &item.get("name")?.kind {
            Kind::Scalar(serde_json::Value::String(name)) => Some(Arc::from(name.as_str())),
            Kind::List(_) | Kind::Map(_) | Kind::Scalar(_) => None,
        })
        .collect()
}

/// CFG-05
fn required(root: &Node, list: &str, consequence: &str, faults: &mut Vec<Fault>) {
    let empty = match root.get(list) {
        None => Some(Origin::Line(1)),
        Some(Node { kind: Kind::List(items), origin, .. }) if items.is_empty() => Some(origin.clone()),
        Some(_) => None,
    };
    if let Some(origin) = empty {
        faults.push(Fault::new(list, format!("needs at least one element: {consequence}")).at(origin));
    }
}

#[cfg(test)]
mod tests;
