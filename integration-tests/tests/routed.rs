//! Store `routed`: whom a registry is asked of.

use std::{sync::Arc, time::Duration};

use countersign::{
    oci::{Descriptor, Digest, Discovery, Reference, Registry, Repository},
    reason::Code,
    store::{
        Store, StoreError,
        layout::{Layout, Limits},
        routed::{Route, Routed},
    },
};
use integration_tests::{layout::LayoutDir, shelf::Shelf};
use tokio::time::Instant;

async fn open(dir: &LayoutDir) -> Arc<dyn Store> {
    Arc::new(Layout::open(dir.path(), Limits::default()).await.unwrap())
}

#[tokio::test]
async fn the_first_route_that_serves_a_registry_has_it_and_none_is_a_denial() {
    let (exact, wildcard) = (LayoutDir::new(), LayoutDir::new());
    let (here, there) = (exact.put_image("here", Some("v1")), wildcard.put_image("there", Some("v1")));
    let one = Registry::parse("a.example.com").unwrap();
    let routed = Routed::new(vec![
        Route::new("exact", move |registry| *registry == one, open(&exact).await),
        Route::new("wide", |registry| registry.to_string().ends_with(".example.com"), open(&wildcard).await),
    ]);
    let deadline = Instant::now() + Duration::from_secs(5);
    let resolve = async |text: &str| routed.resolve(&Reference::parse(text).unwrap(), deadline).await;
    assert_eq!(resolve("a.example.com/x:v1").await.unwrap(), here);
    assert_eq!(resolve("b.example.com/x:v1").await.unwrap(), there);
    assert_eq!(routed.name(&Registry::parse("a.example.com").unwrap()), Some("exact"));

    let elsewhere = Repository::parse("example.org/x").unwrap();
    let descriptor = Descriptor::of("x", b"x");
    for error in [
        resolve("example.org/x:v1").await.unwrap_err(),
        routed.referrers(&elsewhere, &Digest::sha256(b""), Discovery::REFERRERS, deadline).await.unwrap_err(),
        routed.manifest(&elsewhere, &descriptor, deadline).await.unwrap_err(),
        routed.blob(&elsewhere, &descriptor, 1, deadline).await.unwrap_err(),
    ] {
        assert!(matches!(&error, StoreError::HostDenied { host, .. } if host == "example.org"), "{error:?}");
        assert_eq!(error.code(), Code::HostDenied);
    }
}
