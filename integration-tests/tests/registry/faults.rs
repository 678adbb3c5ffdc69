//! Registries that throttle, fail, stall or speak no HTTP: no answer, in time, and never a success.

use bytes::Bytes;
use futures_util::future::join_all;
use integration_tests::registry::{Door, Reply, Response};
use tokio::{net::TcpListener, task::JoinSet};

use super::*;

const UNAVAILABLE: Expected = Err(("Unavailable", Code::RegistryUnavailable));
const THROTTLED: Expected = Err(("RateLimited", Code::RateLimited));
const DEADLINE: Expected = Err(("Deadline", Code::Timeout));
const BAD_HTTP: Expected = Err(("Http", Code::BadHttp));

fn throttled(after: Option<&str>) -> Reply {
    let response = Response::new(429, "").with("Date", "Sat, 21 Nov 2026 10:00:00 GMT");
    Reply::Own(match after {
        Some(after) => response.with("Retry-After", after),
        None => response,
    })
}

// REG-50
#[tokio::test]
async fn throttling_is_waited_for_if_it_fits_and_never_a_success() {
    for (row, after, calls) in [
        ("REG-50 none", None, 3),
        ("REG-50 0", Some("0"), 3),
        ("REG-50 date in the past", Some("Sat, 21 Nov 2026 09:00:00 GMT"), 3),
        ("REG-50 -1", Some("-1"), 3),
        ("REG-50 1e9", Some("1e9"), 3),
        ("REG-50 garbage", Some("soon"), 3),
        ("REG-50 3600", Some("3600"), 1),
        ("REG-50 10^9", Some("1000000000"), 1),
        ("REG-50 date in an hour", Some("Sat, 21 Nov 2026 11:00:00 GMT"), 1),
    ] {
        let setup = Setup::new().await;
        setup.fake.script("/v2/", [throttled(after)]);
        check(row, &setup.resolve(soon()).await, THROTTLED);
        assert_eq!(setup.fake.calls().len(), calls, "{row}");
    }
    let setup = Setup::new().await;
    setup.fake.script("/v2/", [throttled(Some("0")), Reply::Faithful]);
    check("REG-50 once", &setup.resolve(soon()).await, Ok(()));
}

// REG-50: the gate is the host's; who could not wait that long learns it without a packet.
#[tokio::test]
async fn a_host_that_throttles_one_call_is_not_asked_by_the_others() {
    let setup = Setup::new().await;
    setup.fake.script("/v2/", [throttled(Some("3600")), Reply::Faithful]);
    check("first", &setup.resolve(soon()).await, THROTTLED);
    check("other", &setup.store.resolve(&setup.tag(), in_ms(500)).await, THROTTLED);
    assert_eq!(setup.fake.calls().len(), 1);
}

// REG-51
#[tokio::test]
async fn an_error_of_the_server_is_tried_twice_again() {
    for status in [408, 425, 500, 502, 503, 504] {
        let setup = Setup::new().await;
        setup.fake.script("/v2/", [Reply::status(status), Reply::Faithful]);
        check(&format!("REG-51 {status}, 200"), &setup.resolve(soon()).await, Ok(()));
        setup.fake.script("/v2/", [Reply::status(status), Reply::status(503), Reply::Faithful]);
        check(&format!("REG-51 {status}, 503, 200"), &setup.resolve(soon()).await, Ok(()));
    }
    let setup = Setup::new().await;
    setup.fake.script("/v2/", [Reply::status(503)]);
    check("REG-51 always", &setup.resolve(soon()).await, UNAVAILABLE);
    assert_eq!(setup.fake.calls().len(), 3);
}

#[tokio::test]
async fn what_repeating_would_not_change_is_not_repeated() {
    for (status, expected) in
        [(400, BAD_HTTP), (404, Err(("NotFound", Code::NotFound))), (403, Err(("Auth", Code::Auth))), (405, BAD_HTTP)]
    {
        let setup = Setup::new().await;
        setup.fake.script("/v2/", [Reply::status(status)]);
        check(&status.to_string(), &setup.resolve(soon()).await, expected);
        assert_eq!(setup.fake.calls().len(), 1, "{status}");
    }
}

// 7.3: open, the breaker is no answer, and lets nothing through but a probe each second.
#[tokio::test]
async fn a_host_that_keeps_failing_is_left_alone() {
    let setup = Setup::new().await;
    setup.fake.script("/v2/", [Reply::status(500)]);
    for _ in 0..4 {
        check("breaker", &setup.resolve(soon()).await, UNAVAILABLE);
    }
    assert!((5..=7).contains(&setup.fake.calls().len()), "{}", setup.fake.calls().len());
}

// 7.3: five first answers that fail open the breaker; the calls under way get through by their second.
#[tokio::test]
async fn a_host_that_fails_each_thing_once_is_got_through() {
    let setup = Setup::new().await;
    let tags: Vec<String> = (0..40).map(|number| format!("once-{number}")).collect();
    for tag in &tags {
        setup.repository().put_image(tag, Some(tag));
        setup.fake.script(&format!("/v2/shop/web/manifests/{tag}"), [Reply::status(503), Reply::Faithful]);
    }
    let references: Vec<Reference> = tags.iter().map(|tag| setup.repository().tag(tag)).collect();
    let found = join_all(references.iter().map(|reference| setup.store.resolve(reference, soon()))).await;
    for (tag, found) in tags.iter().zip(&found) {
        check(tag, found, Ok(()));
    }
    assert_eq!(setup.fake.calls().len(), 80);
    check("closed again", &setup.resolve(soon()).await, Ok(()));
}

// REG-53: who says nothing loses its place before the deadline, and is asked again.
#[tokio::test]
async fn an_answer_that_does_not_begin_is_not_waited_for() {
    let setup = Setup::with(Limits { answer_timeout_ms: 200, ..Limits::default() }).await;
    setup.fake.script("/v2/", [Reply::Silent, Reply::Faithful]);
    check("REG-53 once", &setup.resolve(soon()).await, Ok(()));
    let setup = Setup::with(Limits { answer_timeout_ms: 200, ..Limits::default() }).await;
    setup.fake.script("/v2/", [Reply::Silent]);
    check("REG-53 always", &setup.resolve(soon()).await, UNAVAILABLE);
    check("REG-53 always", &setup.resolve(soon()).await, UNAVAILABLE);
    assert_eq!(setup.fake.calls().len(), 6, "each is tried twice again");
    check("REG-53 the breaker is open", &setup.resolve(soon()).await, UNAVAILABLE);
    assert_eq!(setup.fake.calls().len(), 6, "nothing is sent");
}

// REG-52
#[tokio::test]
async fn connections_that_fail_are_no_answer() {
    for (row, door, expected) in [
        ("REG-52 closed at once", Door::Greeting(Bytes::new()), UNAVAILABLE),
        ("REG-52 reset", Door::Reset, UNAVAILABLE),
        ("REG-52 silence", Door::Silent, DEADLINE),
    ] {
        let setup = Setup::new().await;
        setup.fake.door(door);
        check(row, &setup.resolve(in_ms(700)).await, expected);
    }
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: 99\r\n\r\n{";
    for (row, reply, expected) in [
        ("REG-52 closed after the request", Reply::Close, UNAVAILABLE),
        ("REG-52 reset after the headers", Reply::Reset(head.into()), Err(("Truncated", Code::Truncated))),
        ("REG-52 half a head", Reply::raw("HTTP/1.1 200 OK\r\nContent-Ty"), UNAVAILABLE),
    ] {
        let setup = Setup::new().await;
        setup.fake.script("/v2/", [reply]);
        check(row, &setup.resolve(soon()).await, expected);
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let store = store([(closed.clone(), local())], &Names::none());
    let reference = Reference::parse(&format!("{closed}/shop/web:v1")).unwrap();
    check("REG-52 refused", &store.resolve(&reference, soon()).await, UNAVAILABLE);
}

// REG-53: who stalls costs its own callers their time and nobody else's.
#[tokio::test]
async fn a_host_that_stalls_does_not_slow_another() {
    let (slow, quick) = (FakeRegistry::start().await, Setup::new().await);
    let drips = b"HTTP/1.1 200 OK\r\nX: ".iter().chain(std::iter::repeat_n(&b'x', 1000));
    let drips = drips.map(|byte| Bytes::copy_from_slice(&[*byte])).collect();
    slow.script("/v2/", [Reply::Raw(drips, Duration::from_millis(5))]);
    let store = Arc::new(store([(slow.host(), local()), (quick.fake.host(), local())], &Names::none()));
    let mut stalled = JoinSet::new();
    for _ in 0..8 {
        let (store, reference) = (Arc::clone(&store), slow.repository("shop/web").tag("v1"));
        stalled.spawn(async move { store.resolve(&reference, in_ms(150)).await });
    }
    slow.arrived(8).await;
    check("REG-53 another", &store.resolve(&quick.tag(), soon()).await, Ok(()));
    while let Some(found) = stalled.join_next().await {
        check("REG-53", &found.unwrap(), DEADLINE);
    }
}

// REG-55
#[tokio::test]
async fn heads_that_are_no_sane_http_are_refused() {
    let many = (0..1000).fold(Response::new(200, ""), |response, n| response.with(&format!("X-{n}"), "y"));
    for (row, reply) in [
        ("REG-55 1,000 headers", Reply::Own(many)),
        ("REG-55 1 MiB", Reply::with("X", &"y".repeat(1 << 20))),
        ("REG-55 NUL", Reply::with("X", "a\0b")),
        ("REG-55 no colon", Reply::raw("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n")),
        ("REG-55 no status", Reply::raw("HTTP/1.1 ok\r\n\r\n")),
    ] {
        let setup = Setup::new().await;
        setup.fake.script("/v2/", [reply]);
        check(row, &setup.resolve(soon()).await, BAD_HTTP);
    }
}

// REG-61: calls run side by side up to the host's limit; who finds no place in time has no answer.
#[tokio::test]
async fn calls_in_flight_are_bounded_and_the_next_waits_for_a_place() {
    let setup = Setup::new().await;
    let store = Arc::new(store_for(&setup.fake, HostConfig { max_in_flight: Some(2), ..local() }));
    setup.fake.hold();
    let mut calls = JoinSet::new();
    for _ in 0..2 {
        let (store, reference) = (Arc::clone(&store), setup.tag());
        calls.spawn(async move { store.resolve(&reference, soon()).await });
    }
    setup.fake.arrived(2).await;
    let late = store.resolve(&setup.digest(), in_ms(50)).await;
    assert!(matches!(&late, Err(error) if matches!(error.code(), Code::Overloaded | Code::Timeout)), "{late:?}");
    assert_eq!(setup.fake.calls().len(), 2);
    let (store, reference) = (Arc::clone(&store), setup.digest());
    calls.spawn(async move { store.resolve(&reference, soon()).await });
    setup.fake.release();
    while let Some(found) = calls.join_next().await {
        check("REG-61", &found.unwrap(), Ok(()));
    }
    assert_eq!(setup.fake.calls().len(), 3);
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_its_failure_is_not_the_answer() {
    let (setup, mirror) = (Setup::new().await, FakeRegistry::start().await);
    mirror.repository("shop/web").put_image("image", Some("v1"));
    let host = HostConfig { mirror: Some(mirror.host()), ..local() };
    let store = store([(setup.fake.host(), host), (mirror.host(), local())], &Names::none());
    store.resolve(&setup.digest(), soon()).await.unwrap();
    assert_eq!((mirror.calls().len(), setup.fake.calls().len()), (1, 0));
    mirror.script("/v2/", [Reply::status(404)]);
    store.resolve(&setup.digest(), soon()).await.unwrap();
    assert_eq!(setup.fake.calls().len(), 1);
    let subject = &setup.image.digest;
    store.referrers(&setup.repository().name(), subject, Discovery::REFERRERS, soon()).await.unwrap();
    assert_eq!(setup.fake.calls_to("/referrers/"), 1);
}
