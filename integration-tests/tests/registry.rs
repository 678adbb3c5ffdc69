//! Store `registry` against the catalogue's rows REG-01 to REG-62, REF-10 to REF-17, REF-26, TLS-20 and TLS-21: what each
//! script is answered with, and what arrived.
//!
//! Not here, since they are not about a GET client alone: REG-19, REG-24 to REG-28, REG-33, REG-34, REG-60 and REG-61, which
//! `serve/evidence.rs` has, and REG-59, which `sigstore/found.rs` has.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use countersign::{
    oci::{Descriptor, Digest, Discovery, Listing, Reference},
    reason::Code,
    store::{
        Deadline, Store, StoreError,
        registry::{Config, HostConfig, Limits, Outside, Registry, Resolver},
    },
};
use integration_tests::{
    registry::{FakeRegistry, Repository},
    shelf::Shelf,
};
use tokio::time::Instant;

mod auth;
mod content;
mod egress;
mod faults;
mod redirects;
mod referrers;
mod tls;

/// What a row is answered with: the error's variant and code, or success.
type Expected = Result<(), (&'static str, Code)>;

fn soon() -> Deadline {
    Instant::now() + Duration::from_secs(5)
}

fn in_ms(milliseconds: u64) -> Deadline {
    Instant::now() + Duration::from_millis(milliseconds)
}

/// Plain HTTP on loopback: what a fake without TLS needs.
fn local() -> HostConfig {
    HostConfig { plain_http: true, allow_loopback: true, ..HostConfig::default() }
}

/// A store for hosts, with names that resolve as told and no other.
fn store(hosts: impl IntoIterator<Item = (String, HostConfig)>, names: &Arc<Names>) -> Registry {
    store_with(hosts, names, Limits::default())
}

fn store_with(hosts: impl IntoIterator<Item = (String, HostConfig)>, names: &Arc<Names>, limits: Limits) -> Registry {
    let config = Config { hosts: hosts.into_iter().collect() };
    let outside = Outside { resolver: Arc::<Names>::clone(names), ..Outside::default() };
    Registry::build("registries", &config, Path::new("."), limits, outside).unwrap()
}

/// A store for one fake, as its own entry says.
fn store_for(fake: &FakeRegistry, host: HostConfig) -> Registry {
    store([(fake.host(), host)], &Names::none())
}

/// A fake with one image under `v1`, and a store for it.
struct Setup {
    fake: FakeRegistry,
    store: Registry,
    image: Descriptor,
}

impl Setup {
    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        let fake = FakeRegistry::start().await;
        let image = fake.repository("shop/web").put_image("image", Some("v1"));
        let store = store_with([(fake.host(), local())], &Names::none(), limits);
        Self { fake, store, image }
    }

    fn repository(&self) -> Repository<'_> {
        self.fake.repository("shop/web")
    }

    fn tag(&self) -> Reference {
        self.repository().tag("v1")
    }

    fn digest(&self) -> Reference {
        self.repository().digest(&self.image.digest)
    }

    fn image_path(&self) -> String {
        self.repository().manifest_path(&self.image.digest)
    }

    async fn resolve(&self, deadline: Deadline) -> Result<Descriptor, StoreError> {
        self.store.resolve(&self.digest(), deadline).await
    }

    async fn referrers(&self, subject: &Digest) -> Result<Listing, StoreError> {
        self.store.referrers(&self.repository().name(), subject, Discovery::REFERRERS, soon()).await
    }
}

/// Names that resolve as told, and who asked.
#[derive(Debug, Default)]
struct Names {
    known: HashMap<String, Vec<IpAddr>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    fn none() -> Arc<Self> {
        Arc::default()
    }

    fn of(known: &[(&str, &str)]) -> Arc<Self> {
        let mut names = Self::default();
        for (name, address) in known {
            names.known.entry((*name).to_owned()).or_default().push(address.parse().unwrap());
        }
        Arc::new(names)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolver for Names {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let name = name.strip_suffix('.').unwrap_or(name);
        self.known.get(name).cloned().ok_or_else(|| io::Error::other("no such name"))
    }
}

/// The variant's name: a code may stand for several.
fn variant(error: &StoreError) -> String {
    format!("{error:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

#[track_caller]
fn check<T: std::fmt::Debug>(row: &str, found: &Result<T, StoreError>, expected: Expected) {
    match (found, expected) {
        (Ok(_), Ok(())) => {}
        (Err(error), Err((name, code))) => {
            assert_eq!((variant(error).as_str(), error.code()), (name, code), "{row}: {error}");
        }
        (Ok(found), Err(expected)) => panic!("{row}: {expected:?} expected, found {found:?}"),
        (Err(error), Ok(())) => panic!("{row}: {error:?}"),
    }
}

/// No call carried credentials.
#[track_caller]
fn anonymous(row: &str, fake: &FakeRegistry) {
    for call in fake.calls() {
        assert_eq!((call.authorization(), call.header("Cookie")), (None, None), "{row}: {call:?}");
    }
}
