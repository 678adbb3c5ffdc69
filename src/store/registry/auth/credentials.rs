//! Where one rule's credentials come from, and how long they are kept.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use moka::future::Cache;

use super::{
    super::{config::Credentials, origin::Origin},
    Credential,
    docker_config::{self, DockerConfig, Found},
    helper,
    pull_secrets::{self, ObjectName, PullSecrets, Slot, Wanted},
};

/// How long a file or a helper's answer is used before it is read again; also bounds how often that happens.
const KEEP: Duration = Duration::from_secs(10);
const MAX_KEPT: u64 = 1024;

/// The source of one rule's credentials. Callers at once share one reading of the file and one run of a helper.
#[derive(Debug)]
pub(in crate::store::registry) struct Source {
    kind: Kind,
    read: Cache<(), Arc<Read>>,
    /// By host and helper.
    helped: Cache<(Origin, String), Option<Arc<Credential>>>,
}

#[derive(Debug)]
enum Kind {
    Anonymous,
    Cluster(Vec<Arc<Slot>>),
    Docker { file: PathBuf, helpers: Option<PathBuf> },
    Password { username: String, file: PathBuf },
}

/// What the file said.
enum Read {
    Docker(DockerConfig),
    Nothing,
    Password(Arc<Credential>),
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Read(…)")
    }
}

impl Source {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            read: Cache::builder().max_capacity(1).time_to_live(KEEP).build(),
            helped: Cache::builder().max_capacity(MAX_KEPT).time_to_live(KEEP).build(),
        }
    }

    pub(in crate::store::registry) fn anonymous() -> Self {
        Self::new(Kind::Anonymous)
    }

    /// Reads once what `config` names. `Err`: the field below `credentials`, and what is wrong with it.
    pub(in crate::store::registry) fn load(
        config: Option<&Credentials>,
        base: &Path,
        followed: &PullSecrets,
    ) -> Result<Self, (&'static str, String)> {
        let Some(config) = config else {
            return Ok(Self::anonymous());
        };
        if let Some(slots) = cluster(config, followed)? {
            return Ok(Self::new(Kind::Cluster(slots)));
        }
        let Credentials { docker_config, helpers, password_file, username, .. } = config;
        let helpers = helpers.as_ref().map(|directory| base.join(directory));
        let kind = match (docker_config, username, password_file) {
            (Some(file), None, None) => {
                let file = base.join(file);
                let read = std::fs::read(&file).map_err(|error| cannot_read(&file, &error));
                let docker = read.and_then(|bytes| parse(&file, &bytes)).map_err(|error| (".dockerConfig", error))?;
                if helpers.is_none()
                    && let Some(name) = docker.helper_names().next()
                {
                    return Err((".helpers", format!("is missing: {} names the helper {name}", file.display())));
                }
                Kind::Docker { file, helpers }
            }
            (None, Some(username), Some(file)) if helpers.is_none() => {
                let file = base.join(file);
                let read = std::fs::read(&file).map_err(|error| cannot_read(&file, &error));
                read.and_then(|bytes| password(username, &file, &bytes)).map_err(|error| (".passwordFile", error))?;
                Kind::Password { username: username.clone(), file }
            }
            _ => return Err(("", "wants either dockerConfig (and helpers), or username and passwordFile".to_owned())),
        };
        Ok(Self::new(kind))
    }

    /// The credential for the repository `path` at `origin`, if there is one. `Err`: it cannot be had; that is not "none".
    pub(in crate::store::registry) async fn find(
        &self,
        origin: &Origin,
        path: &str,
    ) -> Result<Option<Arc<Credential>>, String> {
        match &self.kind {
            Kind::Anonymous => return Ok(None),
            Kind::Cluster(slots) => return pull_secrets::find(slots, origin, path),
            Kind::Docker { .. } | Kind::Password { .. } => {}
        }
        Box::pin(self.look_up(origin, path)).await
    }

    async fn look_up(&self, origin: &Origin, path: &str) -> Result<Option<Arc<Credential>>, String> {
        let read = self.read.try_get_with((), self.read()).await.map_err(|error: Arc<String>| error.to_string())?;
        let docker = match &*read {
            Read::Nothing => return Ok(None),
            Read::Password(credential) => return Ok(Some(Arc::clone(credential))),
            Read::Docker(docker) => docker,
        };
        match docker.find(origin, path)? {
            Found::Credential(credential) => Ok(Some(Arc::new(credential))),
            Found::Nothing => Ok(None),
            Found::Helper(name, entry) => {
                let key = (origin.clone(), name.to_owned());
                let found = self.helped.try_get_with(key, self.ask(name, origin)).await;
                Ok(found.map_err(|error: Arc<String>| error.to_string())?.or(entry.map(Arc::new)))
            }
        }
    }

    /// What is known of pull Secrets, as an opaque name; empty where there are none.
    pub(in crate::store::registry) fn id(&self) -> String {
        match &self.kind {
            Kind::Anonymous | Kind::Docker { .. } | Kind::Password { .. } => String::new(),
            Kind::Cluster(slots) => slots.iter().map(|slot| slot.id()).collect::<Vec<_>>().join(";"),
        }
    }

    /// Forgets what it read: the registry refused it, so it may have been rotated.
    pub(in crate::store::registry) fn forget(&self) {
        self.read.invalidate_all();
        self.helped.invalidate_all();
    }

    async fn read(&self) -> Result<Arc<Read>, String> {
        let read = async |file: &Path| tokio::fs::read(file).await.map_err(|error| cannot_read(file, &error));
        Ok(Arc::new(match &self.kind {
            Kind::Anonymous | Kind::Cluster(_) => Read::Nothing,
            Kind::Docker { file, .. } => Read::Docker(parse(file, &read(file).await?)?),
            Kind::Password { username, file } => {
                Read::Password(Arc::new(password(username, file, &read(file).await?)?))
            }
        }))
    }

    async fn ask(&self, name: &str, origin: &Origin) -> Result<Option<Arc<Credential>>, String> {
        let Kind::Docker { helpers: Some(directory), .. } = &self.kind else {
            return Err("credential helpers have no directory".to_owned());
        };
        Ok(helper::ask(directory, name, &server(origin)).await?.map(Arc::new))
    }
}

/// Most Secrets that one rule names.
const MAX_PULL_SECRETS: usize = 64;

/// What `config` names in a cluster; `None`: nothing.
fn cluster(config: &Credentials, followed: &PullSecrets) -> Result<Option<Vec<Arc<Slot>>>, (&'static str, String)> {
    if let Some(name) = &config.identity {
        return Err((".identity", not_built_in(name)));
    }
    if !config.is_of_cluster() {
        return Ok(None);
    }
    let Credentials { docker_config, helpers, identity: _, password_file, pull_secrets, service_account, username } =
        config;
    if docker_config.is_some() || helpers.is_some() || password_file.is_some() || username.is_some() {
        return Err(("", "wants either pullSecrets and serviceAccount, or credentials in files".to_owned()));
    }
    if pull_secrets.len() > MAX_PULL_SECRETS {
        return Err((".pullSecrets", format!("names more than {MAX_PULL_SECRETS} Secrets")));
    }
    let mut slots = Vec::new();
    for secret in pull_secrets {
        if !is_subdomain(&secret.name) || !secret.namespace.as_deref().is_none_or(is_label) {
            return Err((
                ".pullSecrets",
                "has a name that is none of a Secret, or a namespace that is none".to_owned(),
            ));
        }
        let name = ObjectName { namespace: secret.namespace.clone(), name: secret.name.clone() };
        slots.push(followed.follow(Wanted::Secret(name)));
    }
    if let Some(account) = service_account {
        if !is_subdomain(account) {
            return Err((".serviceAccount", "is no name of a ServiceAccount".to_owned()));
        }
        let name = ObjectName { namespace: None, name: account.clone() };
        slots.push(followed.follow(Wanted::ServiceAccount(name)));
    }
    Ok(Some(slots))
}

/// Identities of the clouds that Ratify's users have, by the names that they have there.
const IDENTITIES: [&str; 5] =
    ["alibabacloudAcrBasic", "awsEcrBasic", "azureManagedIdentity", "azureWorkloadIdentity", "gcpWorkloadIdentity"];

fn not_built_in(name: &str) -> String {
    if IDENTITIES.contains(&name) {
        format!(
            "{name} is not built in yet; use pullSecrets, for example with a controller that renews the Secret, or a credential helper"
        )
    } else {
        format!("is none of {} (of which none is built in yet)", IDENTITIES.join(", "))
    }
}

/// RFC 1123, DNS label.
fn is_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.len() <= 63 && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// RFC 1123, DNS subdomain.
fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

/// What Docker calls a registry towards its helpers.
fn server(origin: &Origin) -> String {
    match origin.to_string().as_str() {
        "https://registry-1.docker.io" => "https://index.docker.io/v1/".to_owned(),
        other => other.split_once("://").map_or(other, |(_, authority)| authority).to_owned(),
    }
}

fn cannot_read(file: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be read: {error}", file.display())
}

fn bounded(file: &Path, bytes: &[u8]) -> Result<(), String> {
    let within = u64::try_from(bytes.len()).is_ok_and(|size| size <= docker_config::MAX_BYTES);
    if within { Ok(()) } else { Err(format!("{} exceeds {} bytes", file.display(), docker_config::MAX_BYTES)) }
}

fn parse(file: &Path, bytes: &[u8]) -> Result<DockerConfig, String> {
    bounded(file, bytes)?;
    DockerConfig::parse(bytes).map_err(|error| format!("{} {error}", file.display()))
}

fn password(username: &str, file: &Path, bytes: &[u8]) -> Result<Credential, String> {
    bounded(file, bytes)?;
    let text = std::str::from_utf8(bytes).map_err(|_| format!("{} is no UTF-8 text", file.display()))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(format!("{} is empty", file.display()));
    }
    Credential::password(username.to_owned(), text.to_owned()).map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::{super::super::config::PullSecretName, *};
    use crate::oci::Registry;

    #[tokio::test]
    async fn a_rotated_password_is_seen_after_it_was_refused() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("p"), "old\n").unwrap();
        let config =
            Credentials { username: Some("u".to_owned()), password_file: Some("p".into()), ..Credentials::default() };
        let source = Source::load(Some(&config), directory.path(), &PullSecrets::default()).unwrap();
        let origin = Origin::of_registry(&Registry::parse("a.test").unwrap(), false);
        let first = source.find(&origin, "x").await.unwrap().unwrap();
        std::fs::write(directory.path().join("p"), "new").unwrap();
        assert_eq!(source.find(&origin, "x").await.unwrap().unwrap().id(), first.id());
        source.forget();
        assert_ne!(source.find(&origin, "x").await.unwrap().unwrap().id(), first.id());
        source.forget();
        std::fs::remove_file(directory.path().join("p")).unwrap();
        assert!(source.find(&origin, "x").await.is_err(), "a missing file is not anonymity");
    }

    #[tokio::test]
    async fn callers_at_once_share_one_run_of_a_helper() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), r#"{"credsStore":"test"}"#).unwrap();
        let script = "#!/bin/sh\necho x >> \"$(dirname \"$0\")/runs\"\necho '{\"Username\":\"u\",\"Secret\":\"p\"}'\n";
        let path = directory.path().join("docker-credential-test");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let config = Credentials {
            docker_config: Some("config.json".into()),
            helpers: Some(".".into()),
            ..Credentials::default()
        };
        let source = Source::load(Some(&config), directory.path(), &PullSecrets::default()).unwrap();
        let origin = Origin::of_registry(&Registry::parse("a.test").unwrap(), false);
        let paths: Vec<String> = (0..20).map(|n| format!("team/{n}")).collect();
        for found in futures_util::future::join_all(paths.iter().map(|path| source.find(&origin, path))).await {
            assert!(found.unwrap().is_some());
        }
        assert_eq!(std::fs::read_to_string(directory.path().join("runs")).unwrap(), "x\n");
    }

    #[test]
    fn what_a_cluster_keeps_stands_alone_and_has_names_of_objects() {
        let secret = |name: &str, namespace: Option<&str>| PullSecretName {
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
        };
        let none = Credentials::default;
        let text = |text: &str| Some(text.to_owned());
        for (name, config, expected) in [
            ("a Secret", Credentials { pull_secrets: vec![secret("regcred", Some("team-a"))], ..none() }, Ok(())),
            ("ours", Credentials { pull_secrets: vec![secret("reg.cred", None)], ..none() }, Ok(())),
            ("an account", Credentials { service_account: text("default"), ..none() }, Ok(())),
            ("no name", Credentials { pull_secrets: vec![secret("", None)], ..none() }, Err(".pullSecrets")),
            ("a path", Credentials { pull_secrets: vec![secret("../x", None)], ..none() }, Err(".pullSecrets")),
            ("a query", Credentials { pull_secrets: vec![secret("x", Some("n?a=b"))], ..none() }, Err(".pullSecrets")),
            ("most", Credentials { pull_secrets: vec![secret("x", None); MAX_PULL_SECRETS], ..none() }, Ok(())),
            (
                "more",
                Credentials { pull_secrets: vec![secret("x", None); MAX_PULL_SECRETS + 1], ..none() },
                Err(".pullSecrets"),
            ),
            ("no account", Credentials { service_account: text("A"), ..none() }, Err(".serviceAccount")),
            (
                "and a file",
                Credentials { service_account: text("a"), docker_config: Some("c".into()), ..none() },
                Err(""),
            ),
            ("a user", Credentials { service_account: text("a"), username: text("u"), ..none() }, Err("")),
            ("a cloud's", Credentials { identity: text("awsEcrBasic"), ..none() }, Err(".identity")),
            ("nobody's", Credentials { identity: text("aws"), ..none() }, Err(".identity")),
        ] {
            let loaded = Source::load(Some(&config), Path::new("."), &PullSecrets::default());
            assert_eq!(loaded.map(|_| ()).map_err(|(field, _)| field), expected, "{name}");
        }
        assert!(not_built_in("azureWorkloadIdentity").starts_with("azureWorkloadIdentity is not built in yet; use"));
        assert!(not_built_in("aws").starts_with("is none of alibabacloudAcrBasic, "));
    }

    #[test]
    fn each_half_of_a_credential_needs_the_other() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), r#"{"credsStore":"pass"}"#).unwrap();
        std::fs::write(directory.path().join("empty"), "\n").unwrap();
        let file = |name: &str| Some(PathBuf::from(name));
        let none = Credentials::default;
        let user = || Some("u".to_owned());
        for (config, field) in [
            (none(), ""),
            (Credentials { username: user(), ..none() }, ""),
            (Credentials { password_file: file("empty"), ..none() }, ""),
            (Credentials { username: user(), password_file: file("empty"), ..none() }, ".passwordFile"),
            (Credentials { username: user(), password_file: file("missing"), ..none() }, ".passwordFile"),
            (Credentials { username: user(), docker_config: file("config.json"), ..none() }, ""),
            (Credentials { docker_config: file("missing"), ..none() }, ".dockerConfig"),
            (Credentials { docker_config: file("config.json"), ..none() }, ".helpers"),
        ] {
            assert_eq!(
                Source::load(Some(&config), directory.path(), &PullSecrets::default()).unwrap_err().0,
                field,
                "{config:?}"
            );
        }
    }
}
