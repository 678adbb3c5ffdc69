//! The binary as scripts and operators see it: exit codes, what is printed, and that the server says the same.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "what a test's helpers cannot set up fails the test")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
};

use countersign::{oci::Descriptor, time::Clock};
use serde_json::{Value, json};

#[path = "cli/chart.rs"]
mod chart;
#[path = "../integration-tests/src/layout.rs"]
#[expect(clippy::expect_used, unreachable_pub, reason = "shared with the package whose face it is")]
mod layout;
#[path = "../integration-tests/src/notation.rs"]
#[expect(clippy::expect_used, dead_code, unreachable_pub, reason = "shared with the package whose face it is")]
mod notation;
#[path = "../integration-tests/src/shelf.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with the package whose face it is")]
mod shelf;

use layout::LayoutDir;
use notation::SigningAuthority;
use shelf::Shelf as _;

#[path = "cli/plugins.rs"]
mod plugins;

const CANARY: &str = "canary-93be02";

/// A layout with a signed image and an unsigned one, a registry where nobody answers, and a configuration of both.
struct Desk {
    layout: LayoutDir,
    signed: Descriptor,
    signature: Descriptor,
    folder: tempfile::TempDir,
    /// A port of ours that nobody listens on any more.
    closed: String,
}

impl Desk {
    fn set() -> Self {
        let authority = SigningAuthority::new("root", Clock::System.now());
        let layout = LayoutDir::new();
        let signed = layout.put_image("signed", Some("signed"));
        let signature = layout.sign(&signed, &authority.signer("signer"));
        layout.put_image("unsigned", Some("unsigned"));
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let desk = Self { layout, signed, signature, folder: tempfile::tempdir().unwrap(), closed };
        desk.write("root.pem", &authority.pem());
        let closed = desk.closed.clone();
        desk.write(
            "countersign.yaml",
            &desk.configuration(&json!({ closed: { "plainHttp": true, "allowLoopback": true } })),
        );
        desk
    }

    fn configuration(&self, hosts: &Value) -> String {
        json!({
            "server": { "address": "127.0.0.1:0", "admin": "127.0.0.1:0", "plainHttp": true },
            "stores": [
                { "name": "disk", "type": "layout", "path": self.layout.path(), "hosts": ["images.test"] },
                { "name": "registries", "type": "registry", "hosts": hosts },
            ],
            "verifiers": [{
                "name": "notary",
                "type": "notation",
                "trustPolicies": [{
                    "name": "all",
                    "registryScopes": ["*"],
                    "signatureVerification": { "level": "strict" },
                    "trustStores": ["ca:test"],
                    "trustedIdentities": ["*"],
                }],
                "trustStores": { "ca": { "test": ["root.pem"] } },
            }],
            "policies": [{ "scopes": ["**"], "require": "notary" }],
            "telemetry": { "logLevel": "trace" },
        })
        .to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn undecided(&self) -> String {
        format!("{}/shop/web:v1", self.closed)
    }

    /// Runs a command with the configuration at its end.
    fn run(&self, arguments: &[&str]) -> Output {
        let config = self.path("countersign.yaml");
        command().args(arguments).arg("--config").arg(config).output().unwrap()
    }

    fn serve(&self) -> Serving {
        let config = self.path("countersign.yaml");
        let mut child = command().args(["serve", "--config"]).arg(config).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut log = String::new();
        let address = loop {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it ended: {log}");
            log.push_str(&line);
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["message"] == "answering" {
                break event["address"].as_str().unwrap().to_owned();
            }
        };
        let reader = thread::spawn(move || {
            lines.read_to_string(&mut log).unwrap();
            log
        });
        Serving { child, address, reader: Some(reader) }
    }
}

/// A running `serve`; killed when dropped.
struct Serving {
    child: Child,
    address: String,
    reader: Option<thread::JoinHandle<String>>,
}

impl Serving {
    /// The `response` for keys.
    fn ask(&self, keys: &[&str]) -> Value {
        let request = json!({
            "apiVersion": "externaldata.gatekeeper.sh/v1beta1",
            "kind": "ProviderRequest",
            "request": { "keys": keys },
        })
        .to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "POST /countersign/gatekeeper/v1/verify HTTP/1.1\r\nHost: provider\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{request}",
            request.len()
        )
        .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (_, body) = reply.split_once("\r\n\r\n").unwrap();
        serde_json::from_str::<Value>(body).unwrap()["response"].take()
    }

    /// Sends SIGTERM; the exit code and everything that was logged.
    fn terminate(mut self) -> (Option<i32>, String) {
        let sent = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status().unwrap();
        assert!(sent.success());
        let code = self.child.wait().unwrap().code();
        (code, self.reader.take().unwrap().join().unwrap())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already, or ends here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary, with nothing of this process's environment.
fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.env_clear();
    command
}

#[track_caller]
fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const SIGNED: &str = "images.test/shop/web:signed";
const UNSIGNED: &str = "images.test/shop/web:unsigned";

#[test]
fn exit_codes_tell_verified_refused_undecided_and_misused() {
    let desk = Desk::set();
    let undecided = desk.undecided();
    for (keys, code) in [
        (vec![SIGNED], 0),
        (vec![SIGNED, SIGNED], 0),
        (vec![UNSIGNED], 1),
        (vec![SIGNED, UNSIGNED], 1),
        (vec!["Not A Reference"], 1),
        (vec!["images.test/shop/web:none"], 1),
        (vec!["elsewhere.test/x:1"], 1),
        (vec![undecided.as_str()], 3),
        (vec![SIGNED, &undecided], 3),
        (vec![&undecided, UNSIGNED, SIGNED], 1),
    ] {
        for output in ["tree", "json"] {
            let arguments: Vec<&str> = ["verify", "--output", output].into_iter().chain(keys.iter().copied()).collect();
            let ended = desk.run(&arguments);
            assert_eq!(ended.status.code(), Some(code), "{keys:?}: {}{}", stdout(&ended), stderr(&ended));
        }
    }
    for (arguments, code) in [
        (vec!["resolve", SIGNED], 0),
        (vec!["resolve", "images.test/shop/web:none"], 1),
        (vec!["resolve", &undecided], 3),
        (vec!["resolve", "Not A Reference"], 2),
        (vec!["discover", SIGNED], 0),
        (vec!["discover", "images.test/shop/web:none"], 1),
        (vec!["discover", &undecided], 3),
        (vec!["verify"], 2),
        (vec!["verify", "--nonsense", SIGNED], 2),
        (vec!["verify", "--at", "yesterday", SIGNED], 2),
        (vec!["check"], 0),
        (vec!["nonsense"], 2),
    ] {
        let ended = desk.run(&arguments);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {}{}", stdout(&ended), stderr(&ended));
    }
    desk.write("countersign.yaml", "policies: [");
    for arguments in [vec!["verify", SIGNED], vec!["check"], vec!["serve"], vec!["resolve", SIGNED]] {
        let ended = desk.run(&arguments);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert!(ended.stdout.is_empty() && stderr(&ended).contains("line 2"), "{arguments:?}: {}", stderr(&ended));
    }
}

/// Without what differs from reply to reply.
fn timeless(value: &Value) -> Value {
    let mut value = value.clone();
    for name in ["traceID", "timestamp"] {
        assert!(value.as_object_mut().unwrap().remove(name).is_some(), "{name}");
    }
    value
}

#[test]
fn json_is_what_the_endpoint_answers() {
    let desk = Desk::set();
    let (undecided, digest) = (desk.undecided(), format!("images.test/shop/web@{}", desk.signed.digest));
    let keys = [UNSIGNED, &undecided, SIGNED, "Not A Reference", &digest, "images.test/shop/web:none"];
    let arguments: Vec<&str> = ["verify", "--output", "json"].into_iter().chain(keys).collect();
    let ended = desk.run(&arguments);
    let printed: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let names: Vec<&String> = printed.as_object().unwrap().keys().collect();
    assert_eq!(names, ["items", "undecided"]);
    assert_eq!(printed["undecided"][0]["key"], undecided.as_str());
    assert_eq!(printed["undecided"][0]["code"], "REG_UNAVAILABLE");
    assert!(printed["undecided"][0]["message"].as_str().is_some_and(|text| !text.is_empty()));
    let serving = desk.serve();
    let response = serving.ask(&keys);
    let (mine, theirs) = (printed["items"].as_array().unwrap(), response["items"].as_array().unwrap());
    assert_eq!(mine.len(), 5);
    assert_eq!(theirs.len(), 5);
    for (mine, theirs) in mine.iter().zip(theirs) {
        assert_eq!(mine["key"], theirs["key"]);
        assert_eq!(timeless(&mine["value"]), timeless(&theirs["value"]), "{}", mine["key"]);
    }
    assert!(response["systemError"].as_str().unwrap().contains("REG_UNAVAILABLE"));
    let (code, log) = serving.terminate();
    assert_eq!(code, Some(0), "SIGTERM is an orderly end: {log}");
    let decided = log.lines().filter(|line| line.contains("countersign::decision")).count();
    assert_eq!(decided, keys.len(), "one record a key: {log}");
}

#[test]
fn the_tree_names_signer_checks_reason_and_remedy() {
    let desk = Desk::set();
    let undecided = desk.undecided();
    let text = stdout(&desk.run(&["verify", SIGNED, UNSIGNED, &undecided]));
    for part in [
        &format!("✓ {SIGNED}: verified"),
        &desk.signature.digest.to_string(),
        "signer   CN=signer,O=Tests,ST=Bern,C=CH",
        "passed   integrity",
        "passed   authenticity",
        &format!("✗ {UNSIGNED}: refused"),
        "reason   NO_SIGNATURE",
        "remedy   Sign the image",
        &format!("? {undecided}: undecided"),
        "reason   REG_UNAVAILABLE",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colour where nobody looks");
}

#[test]
fn another_moment_is_another_verdict() {
    let desk = Desk::set();
    for (at, code) in [("2000-01-01T00:00:00Z", 1), ("2999-01-01T00:00:00Z", 1)] {
        let ended = desk.run(&["verify", "--at", at, "--output", "json", SIGNED]);
        assert_eq!(ended.status.code(), Some(code), "{at}: {}", stdout(&ended));
        let printed: Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!(printed["items"][0]["value"]["code"], "CERT_EXPIRED", "{at}: {printed:#}");
        assert_eq!(printed["items"][0]["value"]["timestamp"], at);
    }
}

#[test]
fn discover_prints_the_tree_and_resolve_the_digest() {
    let desk = Desk::set();
    let subject = format!("images.test/shop/web@{}", desk.signed.digest);
    assert_eq!(stdout(&desk.run(&["resolve", SIGNED])), format!("{subject}\n"));
    let expected = format!("{subject}\n└── application/vnd.cncf.notary.signature\n    └── {}\n", desk.signature.digest);
    assert_eq!(stdout(&desk.run(&["discover", SIGNED])), expected);
    assert!(stdout(&desk.run(&["discover", UNSIGNED])).ends_with("(nothing is attached)\n"));
    // Without a configuration, from the layout itself.
    let layout = desk.layout.path();
    let ended = command().args(["discover", "web:signed", "--layout"]).arg(layout).output().unwrap();
    assert!(stdout(&ended).contains(&desk.signature.digest.to_string()), "{}", stderr(&ended));
}

#[test]
fn check_says_everything_that_is_wrong_at_once() {
    let desk = Desk::set();
    let ended = desk.run(&["check"]);
    assert!(stdout(&ended).contains("is valid: stores 2, verifiers 1, policies 1"), "{}", stdout(&ended));
    desk.write(
        "countersign.yaml",
        "server:
  plainHttp: true
  address: 0.0.0.0:6001
stores:
  - { name: registries, type: registry, hosts: { r.test: { ca: missing.pem, plainHtp: true } } }
verifiers:
  - { name: notary, type: notation, trustPolicy: missing.json, trustStore: store }
  - { name: notary, type: notari }
policies:
  - { scopes: ['a/**/b/**'], require: nobody }
limits: { keys: 0, verdictTtl: 1h }
colour: red
",
    );
    let ended = desk.run(&["check"]);
    assert_eq!((ended.status.code(), stdout(&ended)), (Some(2), String::new()));
    let said = stderr(&ended);
    for fault in [
        "server",
        "plainHtp",
        "line 5",
        "verifiers[1]",
        "notari",
        "line 8",
        "policies[0]",
        "limits.keys",
        "limits.verdictTtl",
        "colour",
    ] {
        assert!(said.contains(fault), "{fault}:\n{said}");
    }
}

/// A registry that refuses everybody and sends back what it was shown.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut shown) = (String::new(), "nothing".to_owned());
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some((name, value)) = line.trim().split_once(": ")
                    && name.eq_ignore_ascii_case("authorization")
                {
                    value.clone_into(&mut shown);
                }
                line.clear();
            }
            let body = json!({ "errors": [{ "code": "UNAUTHORIZED", "message": shown }] }).to_string();
            let head = format!(
                "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"{shown}\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    address
}

#[test]
fn apply_says_what_it_would_do_and_when_there_is_no_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let apply = |kubeconfig: &str, arguments: &[&str]| {
        let file = folder.path().join("kubeconfig");
        fs::write(&file, kubeconfig).unwrap();
        let mut command = command();
        command.arg("apply").args(arguments).env("KUBECONFIG", file).env_remove("KUBERNETES_SERVICE_HOST");
        command.env("HOME", folder.path()).output().unwrap()
    };
    let printed = apply("", &["--print", "--only", "constraint", "--enforcement-action", "warn"]);
    let list: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(printed.status.code(), Some(0));
    assert_eq!(list["items"][0]["kind"], "ConstraintTemplate");
    assert_eq!(list["items"][1]["spec"]["enforcementAction"], "warn");
    let nowhere = apply("", &["--wait", "0s"]);
    assert_eq!(nowhere.status.code(), Some(2), "{}", stderr(&nowhere));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{ "name": "c", "cluster": { "server": format!("http://{closed}"), "insecure-skip-tls-verify": true } }],
        "users": [{ "name": "c", "user": { "token": CANARY } }],
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "c" } }],
    });
    let away = apply(&kubeconfig.to_string(), &["--wait", "0s"]);
    assert_eq!(away.status.code(), Some(3), "{}", stderr(&away));
    assert!(stderr(&away).contains("Provider countersign: not active in time: the API server cannot be reached"));
    assert!(!stderr(&away).contains(CANARY));
}

// OPS-14
#[test]
fn secrets_are_in_no_log_at_any_level_and_in_no_reply() {
    let (desk, registry) = (Desk::set(), echo());
    desk.write("password", CANARY);
    let host = json!({
        "plainHttp": true,
        "allowLoopback": true,
        "credentials": { "username": "robot", "passwordFile": "password" },
    });
    desk.write("countersign.yaml", &desk.configuration(&json!({ registry.clone(): host })));
    let key = format!("{registry}/shop/web:v1");
    let serving = desk.serve();
    let response = serving.ask(&[&key]).to_string();
    assert!(response.contains("AUTH"), "{response}");
    let (_, log) = serving.terminate();
    let verified = desk.run(&["verify", "--output", "json", &key]);
    let checked = desk.run(&["check"]);
    let encoded = "cm9ib3Q6Y2FuYXJ5LTkzYmUwMg==";
    for (row, text) in [
        ("reply", response),
        ("log", log),
        ("verify", stdout(&verified) + &stderr(&verified)),
        ("check", stdout(&checked) + &stderr(&checked)),
    ] {
        assert!(!text.is_empty(), "{row}");
        assert!(!text.contains(CANARY) && !text.contains(encoded), "{row}: {text}");
    }
}
