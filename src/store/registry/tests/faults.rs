//! Registries that fail, throttle or are silent.

use super::*;

// REG-50, REG-51
#[tokio::test]
async fn a_failing_registry_is_asked_three_times_and_a_throttling_one_is_left_alone() {
    let fake = Fake::start(|_, n| if n < 2 { reply("503 Busy", "", "") } else { manifest() }).await;
    fake.store("").resolve(&fake.tag(), soon()).await.unwrap();
    assert_eq!(fake.requests().len(), 3);

    let fake = Fake::start(|_, _| reply("502 Bad Gateway", "", "")).await;
    let error = fake.store("").resolve(&fake.tag(), soon()).await.unwrap_err();
    assert_eq!((error.code(), fake.requests().len()), (Code::RegistryUnavailable, 3));

    let fake = Fake::start(|_, _| reply("429 Too Many Requests", "Retry-After: 3600\r\n", "")).await;
    let store = fake.store("");
    for _ in 0..3 {
        let error = store.resolve(&fake.tag(), Instant::now() + Duration::from_secs(2)).await.unwrap_err();
        assert_eq!(error.code(), Code::RateLimited);
    }
    assert_eq!(fake.requests().len(), 1, "the others did not ask");

    let fake =
        Fake::start(|_, n| if n == 0 { reply("429 Too Many Requests", "Retry-After: 0\r\n", "") } else { manifest() })
            .await;
    fake.store("").resolve(&fake.tag(), soon()).await.unwrap();
}

// REG-11, REG-53: a call ends at its deadline; while all places are taken it says so.
#[tokio::test]
async fn a_call_ends_at_its_deadline_and_waits_no_longer_for_a_place() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hosts = format!(r#"{{"hosts":{{"{address}":{{"plainHttp":true,"allowLoopback":true,"maxInFlight":1}}}}}}"#);
    let config = serde_json::from_str(&hosts).unwrap();
    let store = Registry::build("test", &config, Path::new("/"), Limits::default(), Outside::default()).unwrap();
    let tag = Reference::parse(&format!("{address}/x:y")).unwrap();
    let (first, second) = tokio::join!(store.resolve(&tag, soon().min(shortly())), store.resolve(&tag, shortly()));
    assert_eq!(first.unwrap_err().code(), Code::Timeout);
    assert_eq!(second.unwrap_err().code(), Code::Overloaded);
}

// REG-52
#[tokio::test]
async fn a_refused_connection_is_no_answer_and_opens_the_breaker() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let config =
        serde_json::from_str(&format!(r#"{{"hosts":{{"{address}":{{"plainHttp":true,"allowLoopback":true}}}}}}"#));
    let limits = Limits { retries: 0, ..Limits::default() };
    let store = Registry::build("test", &config.unwrap(), Path::new("/"), limits, Outside::default()).unwrap();
    let tag = Reference::parse(&format!("{address}/x:y")).unwrap();
    let mut texts = Vec::new();
    for _ in 0..6 {
        let error = store.resolve(&tag, soon()).await.unwrap_err();
        assert_eq!(error.code(), Code::RegistryUnavailable);
        texts.push(error.to_string());
    }
    assert!(!texts[4].contains("in a row") && texts[5].contains("in a row"), "{texts:?}");
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_its_silence_is_not_the_answer() {
    let mirror =
        Fake::start(
            |request, _| if request.contains("/manifests/v1") { manifest() } else { reply("404 Not Found", "", "") },
        )
        .await;
    let home = Fake::start(|_, _| typed(media_type::IMAGE_INDEX, &index(1))).await;
    let entry = |host: &str, more: &str| format!(r#""{host}":{{"plainHttp":true,"allowLoopback":true{more}}}"#);
    let with = format!(r#","mirror":"{}""#, mirror.host());
    let hosts = format!(r#"{{"hosts":{{{},{}}}}}"#, entry(&home.host(), &with), entry(&mirror.host(), ""));
    let config = serde_json::from_str(&hosts).unwrap();
    let store = Registry::build("test", &config, Path::new("/"), Limits::default(), Outside::default()).unwrap();
    store.resolve(&home.tag(), soon()).await.unwrap();
    assert_eq!((mirror.requests().len(), home.requests().len()), (1, 0));
    let listing = store.referrers(&home.repository(), &subject(), Discovery::REFERRERS, soon()).await.unwrap();
    assert_eq!(listing.referrers.len(), 1);
}

#[test]
fn a_store_without_hosts_or_with_a_mirror_that_leads_on_is_a_fault() {
    for (hosts, path) in [
        ("", "hosts"),
        (r#""a.test":{"mirror":"b.test"}"#, "hosts[\"a.test\"].mirror"),
        (r#""a.test":{"mirror":"b.test"},"*":{}"#, "hosts[\"a.test\"].mirror"),
        (r#""a.test":{"mirror":"a.test"}"#, "hosts[\"a.test\"].mirror"),
    ] {
        let config = serde_json::from_str(&format!(r#"{{"hosts":{{{hosts}}}}}"#)).unwrap();
        let faults =
            Registry::build("test", &config, Path::new("/"), Limits::default(), Outside::default()).unwrap_err();
        assert_eq!(faults.iter().map(|fault| fault.path.as_str()).collect::<Vec<_>>(), [path], "{hosts}");
    }
    for unknown in [r#"{"hosts":{},"x":1}"#, r#"{"hosts":{"a.test":{"plainHTTP":true}}}"#, "{}"] {
        assert!(serde_json::from_str::<Config>(unknown).is_err(), "{unknown}");
    }
}

#[test]
fn the_most_specific_entry_serves_a_registry() {
    let config = serde_json::from_str(r#"{"hosts":{"*.example.com":{},"a.example.com":{},"docker.io":{}}}"#).unwrap();
    let store = Registry::build("test", &config, Path::new("/"), Limits::default(), Outside::default()).unwrap();
    let of = |text| store.specificity(&Name::parse(text).unwrap());
    assert!(of("a.example.com") > of("b.example.com") && of("b.example.com").is_some());
    assert!(store.serves(&Name::parse("index.docker.io").unwrap()));
    for text in ["example.com", "registry-1.docker.io", "a.example.com:5000", "ghcr.io"] {
        assert!(!store.serves(&Name::parse(text).unwrap()), "{text}");
    }
}
