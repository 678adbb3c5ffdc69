//! Where nothing is ever sent: REF-10, REF-11, REF-12, REF-13, REF-14, REF-15, REF-16, REF-17, REF-18, REF-22, REF-26.

use super::*;

const DENIED: Expected = Err(("HostDenied", Code::HostDenied));

fn any_host() -> (String, HostConfig) {
    ("*".into(), HostConfig::default())
}

fn image(host: &str) -> Reference {
    Reference::parse(&format!("{host}/shop/web:v1")).unwrap()
}

#[tokio::test]
async fn addresses_and_names_that_are_not_public_are_denied_before_a_lookup() {
    let fake = FakeRegistry::start().await;
    let port = fake.port();
    let names = Names::none();
    let store = store([any_host()], &names);
    for (row, host) in [
        ("REF-10", "169.254.169.254".into()),
        ("REF-10", "169.254.170.2".into()),
        ("REF-10", "100.100.100.200".into()),
        ("REF-11", format!("127.0.0.1:{port}")),
        ("REF-11", format!("localhost:{port}")),
        ("REF-11", format!("127.1:{port}")),
        ("REF-11", "127.0.0.1".into()),
        ("REF-11", "0".into()),
        ("REF-11", format!("0.0.0.0:{port}")),
        ("REF-12", "10.0.0.1".into()),
        ("REF-12", "192.168.0.1".into()),
        ("REF-12", "172.16.0.1".into()),
        ("REF-12", "100.64.0.1".into()),
        ("REF-13", "2130706433".into()),
        ("REF-13", "0177.0.0.1".into()),
        ("REF-13", "0x7f.1".into()),
        ("REF-17", "kubernetes.default.svc".into()),
        ("REF-17", "gatekeeper-webhook-service.gatekeeper-system.svc".into()),
        ("REF-17", "registry.default.svc.cluster.local".into()),
        ("REF-22", "example.test:22".into()),
        ("REF-22", "8.8.8.8:6379".into()),
    ] {
        check(&format!("{row} {host}"), &store.resolve(&image(&host), soon()).await, DENIED);
    }
    assert_eq!((fake.connections(), names.asked().len()), (0, 0));
}

// REF-09, REF-10, REF-11, REF-12: an entry of its own admits a host only with the flag of its class.
#[tokio::test]
async fn a_listed_address_still_needs_its_flag() {
    let setup = Setup::new().await;
    for (row, host, expected) in [
        ("no flag", HostConfig { allow_loopback: false, ..local() }, DENIED),
        (
            "other flags",
            HostConfig {
                allow_loopback: false,
                allow_private: true,
                allow_link_local: true,
                allow_shared: true,
                ..local()
            },
            DENIED,
        ),
    ] {
        let store = store_for(&setup.fake, host);
        check(row, &store.resolve(&setup.tag(), soon()).await, expected);
    }
    assert_eq!(setup.fake.connections(), 0);
    check("its flag", &store_for(&setup.fake, local()).resolve(&setup.tag(), soon()).await, Ok(()));
}

// REF-14
#[tokio::test]
async fn a_name_is_judged_by_the_address_that_it_resolves_to() {
    let setup = Setup::new().await;
    let host = format!("registry.test:{}", setup.fake.port());
    let names = Names::of(&[
        ("registry.test", "127.0.0.1"),
        ("private.test", "10.0.0.1"),
        ("metadata.test", "169.254.169.254"),
    ]);
    let refused = HostConfig { allow_loopback: false, ..local() };
    let denied = store([(host.clone(), refused), any_host()], &names);
    for (row, host) in [("REF-14", host.as_str()), ("REF-14", "private.test"), ("REF-14", "metadata.test:5000")] {
        check(&format!("{row} {host}"), &denied.resolve(&image(host), soon()).await, DENIED);
    }
    assert_eq!(setup.fake.connections(), 0);
    let store = store([(host.clone(), local())], &names);
    check("allowed", &store.resolve(&image(&host), soon()).await, Ok(()));
    // REF-18: case and the dot at the end are the same host.
    let shouted = format!("REGISTRY.test.:{}", setup.fake.port());
    check("REF-18", &store.resolve(&image(&shouted), soon()).await, Ok(()));
}

// REF-16
#[tokio::test]
async fn a_name_without_an_address_is_no_answer() {
    let names = Names::none();
    let store = store([any_host()], &names);
    let found = store.resolve(&image("nowhere.example.com"), soon()).await;
    check("REF-16", &found, Err(("Unavailable", Code::RegistryUnavailable)));
    assert!(names.asked().iter().all(|name| name == "nowhere.example.com."), "{:?}", names.asked());
}

// REF-26, REF-18: look-alikes are other hosts.
#[tokio::test]
async fn only_the_hosts_of_the_configuration_are_served() {
    let setup = Setup::new().await;
    let port = setup.fake.port();
    let names = Names::of(&[("registry.test", "127.0.0.1"), ("registry.test.evil.test", "127.0.0.1")]);
    let (host, _file) = auth::with_password(local());
    let store = store([(format!("registry.test:{port}"), host)], &names);
    for host in [
        format!("regisrty.test:{port}"),
        format!("evilregistry.test:{port}"),
        format!("registry.test.evil.test:{port}"),
        format!("a.registry.test:{port}"),
        "registry.test".into(),
        format!("127.0.0.1:{port}"),
    ] {
        let reference = image(&host);
        assert!(!store.serves(reference.repository().registry()), "{host}");
        check(&format!("REF-26 {host}"), &store.resolve(&reference, soon()).await, DENIED);
    }
    assert_eq!((setup.fake.connections(), names.asked().len()), (0, 0));
}
