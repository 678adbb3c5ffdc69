//! Bad inputs at the public face, by table: how many were tried, how many were refused as they should be, and how many were let in (none).
//! Each table has its closer tests elsewhere (`catalogue.txt`); this one counts what the real server says to all of them.

use std::{collections::BTreeMap, time::Duration};

use integration_tests::{
    load::reply::{self, Word},
    provider::{Stage, VERIFY, configuration, request},
    registry::FakeRegistry,
    shelf::Shelf,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// What became of the inputs of a table.
#[derive(Debug, Default)]
struct Count {
    tried: usize,
    refused: usize,
    open: Vec<String>,
    wrong: Vec<String>,
}

/// Sends bytes on a connection of their own, and gives what came until it closed.
async fn send(address: std::net::SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses a head may hang up before it has all of the body.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    answer
}

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {VERIFY} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The body of a reply with a length.
fn body(answer: &[u8]) -> &[u8] {
    let start = answer.windows(4).position(|part| part == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    &answer[start..]
}

/// Keys that name nothing that may be asked about, by number.
fn keys() -> Vec<(&'static str, String)> {
    let hex = |count: usize| "a".repeat(count);
    let mut keys: Vec<(&str, String)> = Vec::new();
    let mut rows = |id: &'static str, more: &[&str]| keys.extend(more.iter().map(|key| (id, (*key).to_owned())));
    rows("REF-01", &["", " ", ":", "@", "/", ".", ".."]);
    rows("REF-04", &["Repo/Upper:tag", "repo//x", "repo/.x", "repo/x-", "a/b__c___d"]);
    rows("REF-05", &["r.io/x:.x", "r.io/x:-x", "r.io/x:a+b", "r.io/x:"]);
    rows("REF-07", &["x@sha256:../../etc/passwd", "x@md5:00", "x@sha1:00", "x@sha256:", "x@"]);
    rows("REF-09", &["[::1]:5000/x", "[fe80::1%25eth0]/x"]);
    rows("REF-10", &["169.254.169.254/latest/meta-data", "169.254.170.2/x", "100.100.100.200/x", "[fd00:ec2::254]/x"]);
    rows("REF-11", &["localhost:1/x", "127.0.0.1:6379/x", "127.1/x", "0/x", "0.0.0.0:9099/x"]);
    rows("REF-12", &["10.0.0.1/x", "192.168.0.1/x", "172.16.0.1/x", "100.64.0.1/x"]);
    rows("REF-13", &["2130706433/x", "0177.0.0.1/x", "0x7f.1/x", "[::ffff:127.0.0.1]/x"]);
    rows(
        "REF-17",
        &["kubernetes.default.svc/x", "gatekeeper-webhook-service.gatekeeper-system/x", "a.cluster.local/x"],
    );
    rows("REF-18", &["gһcr.io/x", "ｇhcr.io/x"]);
    rows(
        "REF-19",
        &["user:pass@ghcr.io/x", "ghcr.io@evil.tld/x", "ghcr.io#@evil/x", r"ghcr.io\@evil/x", "ghcr.io%2f..%2fevil/x"],
    );
    rows("REF-20", &["http://ghcr.io/x", "https://ghcr.io/x", "file:///etc/passwd", "docker://x", "oci:dir"]);
    rows("REF-21", &["host:0/x", "host:65536/x", "host:99999999999/x", "host:/x", "host:8e1/x"]);
    rows("REF-22", &["ghcr.io:22/x", "ghcr.io:6443/x"]);
    rows("REF-23", &["[team-a]ghcr.io/x", "[]x", "[TEAM]x", "[a/b]x"]);
    rows("REQ-24", &["a\0b", "a\nb", "a\r\nb", "\u{1b}[2J", "\u{202e}x", "a\u{200d}b", "e\u{301}"]);
    keys.extend([63, 65].map(|count| ("REF-07", format!("r.io/x@sha256:{}", hex(count)))));
    keys.push(("REF-07", format!("r.io/x@sha256:{}", "A".repeat(64))));
    keys.push(("REF-05", format!("r.io/x:{}", hex(129))));
    keys.push(("REF-06", format!("r.io/{}", hex(256))));
    keys.push(("REQ-23", format!("r.io/{}", hex(1020))));
    keys
}

/// Bodies that are no request, by number.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let good = request(&["a"]).to_string();
    let with = |from: &str, to: &str| good.replace(from, to).into_bytes();
    let mut bodies: Vec<(&str, Vec<u8>)> = vec![
        ("REQ-01", Vec::new()),
        ("REQ-03", good.as_bytes()[..24].to_vec()),
        ("REQ-04", format!("{good}x").into_bytes()),
        ("REQ-04", format!("{good}{good}").into_bytes()),
        ("REQ-05", [&[0xEF, 0xBB, 0xBF], good.as_bytes()].concat()),
        ("REQ-05", good.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("REQ-06", with("\"a\"", "\"X\"").iter().map(|byte| if *byte == b'X' { 0xFF } else { *byte }).collect()),
        ("REQ-07", with("\"a\"", r#""\ud800""#)),
        ("REQ-08", with("\"keys\":[\"a\"]", r#""keys":["a"],"keys":["b"]"#)),
        ("REQ-09", with("\"keys\"", "\"Keys\"")),
        ("REQ-09", with("\"keys\"", "\"KEYS\"")),
        ("REQ-13", with("[\"a\"]", "null")),
        ("REQ-13", with("[\"a\"]", "{}")),
        ("REQ-13", with("[\"a\"]", "\"a\"")),
        ("REQ-13", with("{\"keys\":[\"a\"]}", "null")),
        ("REQ-18", vec![b' '; (1 << 20) + 1]),
        ("REQ-22", vec![b'['; 200_000]),
        ("REQ-22", r#"{"a":"#.repeat(100_000).into_bytes()),
    ];
    bodies.extend(["null", "[]", "\"x\"", "1", "true"].map(|text| ("REQ-02", text.as_bytes().to_vec())));
    bodies.extend(
        ["externaldata.gatekeeper.sh/v2", ""]
            .map(|version| ("REQ-11", with("externaldata.gatekeeper.sh/v1beta1", version))),
    );
    bodies.extend(["ProviderResponse", "providerrequest", ""].map(|kind| ("REQ-12", with("ProviderRequest", kind))));
    bodies.extend(["1", "null", "[[]]", "true"].map(|key| ("REQ-15", with("\"a\"", key))));
    let keys: Vec<String> = (0..10_000).map(|number| format!("r.io/{number}")).collect();
    let many: Vec<&str> = keys.iter().map(String::as_str).collect();
    bodies.push(("REQ-16", request(&many).to_string().into_bytes()));
    bodies
}

/// Images whose evidence is bad, each in one way, and what a registry may lie about them.
fn spoilt(stage: &Stage, registry: &FakeRegistry) -> Vec<(&'static str, String)> {
    let signer = stage.authority.signer("signer");
    let stranger = integration_tests::notation::SigningAuthority::new("other", countersign::time::Clock::System.now());
    let mut images = Vec::new();
    let good = registry.repository("good").put_image("good", None);
    let envelopes: Vec<(&str, &str, Vec<u8>)> = vec![
        ("ENV-01", "application/jose+json", Vec::new()),
        ("ENV-01", "application/jose+json", vec![0x5A; 64 << 10]),
        ("ENV-02", "application/cose", signer.sign("m", "sha256:0", 1)),
        ("ENV-02", "application/octet-stream", signer.sign("m", "sha256:0", 1)),
        ("ENV-04", "application/jose+json", vec![b'['; (1 << 20) + 1]),
        ("ENV-25", "application/jose+json", signer.sign(&good.media_type, &good.digest.to_string(), good.size)),
        ("ENV-50", "application/cose", vec![0xD8, 0x62, 0x80]),
        ("ENV-60", "application/cose", vec![0x9A, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("ENV-60", "application/cose", vec![0x81; 1 << 20]),
    ];
    for (number, (id, media_type, envelope)) in envelopes.into_iter().enumerate() {
        let repository = registry.repository(&format!("env/{number}"));
        let image = repository.put_image(&format!("image {number}"), None);
        repository.put_signature(&image, media_type, &envelope);
        images.push((id, repository.digest(&image.digest).to_string()));
    }
    for (id, name) in [("X-08", "stranger"), ("REG-28", "other-subject"), ("REG-32", "nothing")] {
        let repository = registry.repository(name);
        let image = repository.put_image(name, None);
        match name {
            "stranger" => drop(repository.sign(&image, &stranger.signer("signer"))),
            // A whole signature of an image that is elsewhere.
            "other-subject" => drop(repository.sign(&good, &signer)),
            _ => {}
        }
        images.push((id, repository.digest(&image.digest).to_string()));
    }
    images
}

fn table(id: &str) -> &str {
    id.split('-').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_inputs_are_counted_and_none_is_let_in() {
    let (stage, registry) = (Stage::set(), FakeRegistry::start().await);
    let host = registry.host();
    let provider = stage.start(&configuration([host.as_str()])).await;
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    let mut asked = keys();
    asked.extend(spoilt(&stage, &registry));
    for (id, key) in &asked {
        let answer = send(provider.address(), &post(request(&[key]).to_string().as_bytes())).await;
        let count = counts.entry(table(id)).or_default();
        count.tried += 1;
        match reply::read(body(&answer), &[key]) {
            Ok(said) if said.words == [Word::Yes] => count.open.push(format!("{id} {key}")),
            Ok(said) if said.words == [Word::No] && said.code.is_empty() => count.refused += 1,
            // No answer to a name is a "don't know", which admits nothing and is not kept.
            Ok(said) if said.words == [Word::Undecided] && !said.code.is_empty() => count.refused += 1,
            other => count.wrong.push(format!("{id} {key}: {other:?}")),
        }
    }
    for (id, text) in bodies() {
        let answer = send(provider.address(), &post(&text)).await;
        let count = counts.entry(table(id)).or_default();
        count.tried += 1;
        let document: Value = serde_json::from_slice(body(&answer)).unwrap_or_default();
        let error = document["response"]["systemError"].as_str().unwrap_or_default();
        let items = &document["response"]["items"];
        match (document["kind"] == "ProviderResponse", error.is_empty(), *items == json!([])) {
            (true, false, true) => count.refused += 1,
            (_, _, false) => count.open.push(format!("{id}: {items}")),
            _ => count.wrong.push(format!("{id}: {}", String::from_utf8_lossy(&answer))),
        }
    }
    println!("| table | inputs tried | refused rightly | fail-open |\n|---|---|---|---|");
    for (table, Count { tried, refused, open, .. }) in &counts {
        println!("| {table} | {tried} | {refused} | {} |", open.len());
    }
    let all: usize = counts.values().map(|count| count.tried).sum();
    assert!(all >= 120, "{all} inputs");
    for (table, Count { tried, refused, open, wrong }) in counts {
        assert!(open.is_empty() && wrong.is_empty() && tried == refused, "{table}: {open:?} {wrong:?}");
    }
    provider.stop().await;
}
