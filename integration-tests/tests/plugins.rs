//! Verifier plugins, good and bad (PLG): programs that hang, flood, lie and crash, from configuration to verdict.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use countersign::{
    app::{self, Engine, Materials},
    config::{Config, Process},
    executor::{Answer, Question},
    oci::{Descriptor, Digest, Reference, media_type},
    store::{cached::ContentCache, registry::Outside},
    tenant::Tenant,
    time::Clock,
    verifier::notation::revocation::RevocationEvidence,
};
use integration_tests::{layout::LayoutDir, shelf::Shelf as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{runtime::Handle, time::Instant};

mod load;
mod misbehave;
mod pool;
mod served;
mod surroundings;

const NAUGHTY: &str = env!("CARGO_BIN_EXE_naughty-plugin");
const LAUNCHER: &str = env!("CARGO_BIN_EXE_plugin-launcher");
const LICENCE: &str = "application/vnd.example.licence.v1";
const TEXT: &str = "MIT, says the legal department";

/// The naughty program and its digest, read once.
static PROGRAM: LazyLock<(Vec<u8>, String)> = LazyLock::new(|| {
    let bytes = fs::read(NAUGHTY).unwrap();
    let digest = Digest::sha256(&bytes).hex().to_owned();
    (bytes, digest)
});

/// An image with a licence artifact in a layout, a directory of plugins, and a folder for what they note.
struct Bench {
    layout: LayoutDir,
    image: Descriptor,
    artifact: Descriptor,
    folder: TempDir,
}

impl Bench {
    fn set() -> Self {
        Self::with_annotation("")
    }

    /// `annotation`: of the artifact, to make its manifest large.
    fn with_annotation(annotation: &str) -> Self {
        let layout = LayoutDir::new();
        let image = layout.put_image("app", Some("app"));
        layout.put_blob(b"{}");
        layout.put_blob(TEXT.as_bytes());
        let document = json!({
            "schemaVersion": 2,
            "mediaType": media_type::IMAGE_MANIFEST,
            "artifactType": LICENCE,
            "config": Descriptor::of(media_type::EMPTY, b"{}"),
            "layers": [Descriptor::of("text/plain", TEXT.as_bytes())],
            "subject": image,
            "annotations": { "note": annotation },
        });
        let artifact = layout.put_document(media_type::IMAGE_MANIFEST, &document, None);
        let folder = tempfile::tempdir().unwrap();
        for below in ["plugins", "work", "out"] {
            fs::create_dir(folder.path().join(below)).unwrap();
        }
        let bench = Self { layout, image, artifact, folder };
        bench.put("naughty", &PROGRAM.0);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn out(&self, name: &str) -> String {
        fs::read_to_string(self.path("out").join(name)).unwrap_or_default()
    }

    /// A program in the directory of plugins; its digest.
    fn put(&self, name: &str, bytes: &[u8]) -> String {
        let file = self.path("plugins").join(name);
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        Digest::sha256(bytes).hex().to_owned()
    }

    fn reference(&self) -> String {
        format!("images.test/app@{}", self.image.digest)
    }

    /// A verifier of the naughty program.
    fn verifier(&self, behaviour: &str) -> Value {
        json!({
            "name": "licence",
            "type": "exec",
            "command": "naughty",
            "sha256": PROGRAM.1,
            "artifactTypes": [LICENCE],
            "environment": { "BEHAVIOUR": behaviour, "OUT": self.path("out") },
            "timeout": "30s",
        })
    }

    /// A configuration with these verifiers, of which any is enough.
    fn configuration(&self, verifiers: &[Value]) -> Value {
        let names: Vec<&Value> = verifiers.iter().map(|verifier| &verifier["name"]).collect();
        json!({
            "server": {
                "address": "127.0.0.1:0",
                "admin": "127.0.0.1:0",
                "plainHttp": true,
                "providerTimeout": { "verify": "30s", "mutate": "30s" },
            },
            "stores": [{ "name": "disk", "type": "layout", "path": self.layout.path(), "hosts": ["images.test"] }],
            "plugins": {
                "directories": [self.path("plugins")],
                "workDirectory": self.path("work"),
                "launcher": LAUNCHER,
            },
            "verifiers": verifiers,
            "policies": [{ "scopes": ["**"], "require": { "any": names } }],
        })
    }

    async fn engine(&self, configuration: &Value) -> Result<Engine, Vec<String>> {
        let said = |faults: Vec<countersign::config::Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>();
        let config = Config::parse(&configuration.to_string(), Path::new("."), &Process::default()).map_err(said)?;
        let materials = Materials {
            content: ContentCache::new(config.limits.content()),
            outside: Outside::default(),
            evidence: RevocationEvidence::default(),
            runtime: Handle::current(),
        };
        app::build(&config, &materials).await.map_err(said)
    }

    /// What one verifier makes of the image.
    async fn ask(&self, verifier: Value) -> Said {
        let engine = self.engine(&self.configuration(&[verifier])).await.unwrap_or_else(|faults| panic!("{faults:?}"));
        self.question(&engine, Duration::from_mins(1)).await
    }

    async fn question(&self, engine: &Engine, patience: Duration) -> Said {
        let question = Question {
            tenant: Tenant::Cluster,
            reference: Reference::parse(&self.reference()).unwrap(),
            now: Clock::System.now(),
            deadline: Instant::now() + patience,
        };
        Said::of(&engine.executor.verify(question).await)
    }
}

/// An answer, as far as tests ask.
struct Said {
    code: String,
    /// The whole value as it goes to Gatekeeper.
    value: Value,
}

impl Said {
    fn of(answer: &Answer) -> Self {
        let mut value = Vec::new();
        answer.rendered.write_value(&mut value, "0", Clock::System.now());
        let value: Value = serde_json::from_slice(&value).unwrap();
        let code = value["code"].as_str().unwrap_or_default().to_owned();
        assert_eq!(code == "VERIFIED", answer.rendered.is_success(), "{value}");
        Self { code, value }
    }

    /// The first report.
    fn report(&self) -> &Value {
        &self.value["verifierReports"][0]
    }
}

/// A verifier with members changed, those of maps one by one.
fn merged(mut verifier: Value, change: &Value) -> Value {
    for (member, value) in change.as_object().unwrap() {
        if let (Some(into), Some(from)) = (verifier[member].as_object_mut(), value.as_object()) {
            into.extend(from.clone());
        } else {
            verifier[member] = value.clone();
        }
    }
    verifier
}

/// Whether a process that was killed dies: it is told at once, and ends when it is next scheduled.
fn is_dead(pid: &str) -> bool {
    assert!(!pid.is_empty(), "it noted its number");
    let has_ended = || match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X'])),
        Err(_) => true,
    };
    let patience = Instant::now() + Duration::from_secs(20);
    while Instant::now() < patience {
        if has_ended() {
            return true;
        }
        std::thread::yield_now();
    }
    has_ended()
}

/// Whether a process has been reaped.
fn is_gone(pid: &str) -> bool {
    assert!(!pid.is_empty(), "it noted its number");
    !Path::new("/proc").join(pid).exists()
}

/// `/bin/sh`, where there is one.
fn has_shell(what: &str) -> bool {
    let has = Path::new("/bin/sh").exists();
    if !has {
        println!("skipped: {what} (there is no /bin/sh)");
    }
    has
}
