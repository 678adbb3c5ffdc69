//! Canaries: words that stand for secrets, and for what plugins write, are sent down every path that has one; then everything
//! that the server wrote is searched for them.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign::{
    oci::{Descriptor, Digest},
    time::Clock,
};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::{
    ARTIFACT_TYPE, attach, command,
    layout::LayoutDir,
    notation::SigningAuthority,
    script,
    shelf::{NOTARY_SIGNATURE, Shelf as _, index},
};

const PASSWORD: &str = "canary-password-5f1e";
const DOCKER_PASSWORD: &str = "canary-docker-9c07";
const REFUSED_PASSWORD: &str = "canary-refused-77aa";
const TOKEN: &str = "canary-token-c3d4";
const BAD_TOKEN: &str = "canary-bad-token-01b2";
const SETTING: &str = "canary-setting-8e9f";
const VARIABLE: &str = "canary-variable-4a4b";
const STDOUT: &str = "canary-stdout-d00d";
const STDERR: &str = "canary-stderr-beef";
const LATE: &str = "canary-late-6b6c";
const USER: &str = "robot";

/// What is answered to a path, by whoever shows this `Authorization`.
type Answer = dyn Fn(&str, Option<&str>) -> (u16, Vec<(&'static str, String)>, Vec<u8>) + Send + Sync;

/// An HTTP server of one thread; its address.
fn serve(answer: impl FnOnce(&str) -> Box<Answer>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = answer(&address);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever goes away early is answered as well.
            let _ = reply(stream, &*answer);
        }
    });
    address
}

fn reply(mut stream: TcpStream, answer: &Answer) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut path, mut shown) = (String::new(), String::new(), None);
    while reader.read_line(&mut line)? > 2 {
        match line.trim().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => shown = Some(value.to_owned()),
            Some(_) => {}
            None => line.split(' ').nth(1).unwrap_or_default().clone_into(&mut path),
        }
        line.clear();
    }
    let (status, headers, body) = answer(&path, shown.as_deref());
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} X\r\n")?;
    for (name, value) in &headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    write!(stream, "Content-Length: {length}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(&body)
}

/// What a registry has, whatever its repositories are called.
#[derive(Clone)]
struct Content(Arc<BTreeMap<String, (String, Vec<u8>)>>);

impl Content {
    /// An image, tagged `v1`, with a signature and a note on it.
    fn of(layout: &LayoutDir, image: &Descriptor, attached: &[Descriptor]) -> Self {
        let bytes = |digest: &Digest| fs::read(layout.path().join(LayoutDir::blob_name(digest))).unwrap();
        let manifests = attached.iter().chain([image]);
        let mut content: BTreeMap<_, _> = manifests
            .map(|manifest| {
                (format!("manifests/{}", manifest.digest), (manifest.media_type.clone(), bytes(&manifest.digest)))
            })
            .collect();
        content.insert("manifests/v1".to_owned(), (image.media_type.clone(), bytes(&image.digest)));
        let list = (countersign::oci::media_type::IMAGE_INDEX.to_owned(), index(attached).to_string().into_bytes());
        content.insert(format!("referrers/{}", image.digest), list);
        for entry in fs::read_dir(layout.path().join("blobs/sha256")).unwrap() {
            let entry = entry.unwrap();
            let name = format!("blobs/sha256:{}", entry.file_name().to_str().unwrap());
            content.insert(name, ("application/octet-stream".to_owned(), fs::read(entry.path()).unwrap()));
        }
        Self(Arc::new(content))
    }

    fn get(&self, path: &str) -> (u16, Vec<(&'static str, String)>, Vec<u8>) {
        let path = path.split('?').next().unwrap_or_default();
        match path.strip_prefix("/v2/shop/web/").and_then(|below| self.0.get(below)) {
            Some((media_type, bytes)) => (200, vec![("Content-Type", media_type.clone())], bytes.clone()),
            None => (404, Vec::new(), Vec::new()),
        }
    }
}

fn basic(password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{USER}:{password}")))
}

/// Wants a password.
fn with_password(content: Content) -> String {
    let wanted = basic(PASSWORD);
    serve(|_| {
        Box::new(move |path, shown| {
            if shown == Some(&wanted) {
                return content.get(path);
            }
            (401, vec![("WWW-Authenticate", "Basic realm=\"r\"".to_owned())], Vec::new())
        })
    })
}

/// Wants a token of its own service, which wants a password.
fn with_token(content: Content, token: &'static str) -> String {
    let (wanted, bearer) = (basic(DOCKER_PASSWORD), format!("Bearer {token}"));
    serve(|address| {
        let realm = format!("http://{address}/token");
        Box::new(move |path, shown| {
            if path.starts_with("/token") {
                let is_known = shown == Some(&wanted);
                let body = json!({ "token": if is_known { token } else { "anonymous" }, "expires_in": 300 });
                return (200, vec![("Content-Type", "application/json".to_owned())], body.to_string().into_bytes());
            }
            if shown == Some(&bearer) && !token.contains('\n') {
                return content.get(path);
            }
            let challenge = format!("Bearer realm=\"{realm}\",service=\"s\",scope=\"repository:shop/web:pull\"");
            (401, vec![("WWW-Authenticate", challenge)], Vec::new())
        })
    })
}

/// Refuses everybody, and sends back what it was shown.
fn echo() -> String {
    serve(|_| {
        Box::new(|_, shown| {
            let shown = shown.unwrap_or("nothing").to_owned();
            let body = json!({ "errors": [{ "code": "UNAUTHORIZED", "message": shown }] }).to_string();
            (401, vec![("WWW-Authenticate", format!("Basic realm=\"{shown}\""))], body.into_bytes())
        })
    })
}

/// The registries, and the folder with the configuration that names them.
struct Desk {
    folder: tempfile::TempDir,
    hosts: [String; 4],
    key_lines: Vec<String>,
    certificate: String,
}

impl Desk {
    fn set() -> Self {
        let authority = SigningAuthority::new("root", Clock::System.now());
        let layout = LayoutDir::new();
        let image = layout.put_image("image", Some("v1"));
        let signature = layout.sign(&image, &authority.signer("signer"));
        let note = attach(&layout, &image, "nothing to object");
        let typed =
            |descriptor: Descriptor, kind: &str| Descriptor { artifact_type: Some(kind.to_owned()), ..descriptor };
        let attached = [typed(signature, NOTARY_SIGNATURE), typed(note, ARTIFACT_TYPE)];
        let content = Content::of(&layout, &image, &attached);
        let bad = Box::leak(format!("{BAD_TOKEN}\nX: y").into_boxed_str());
        let hosts =
            [with_password(content.clone()), with_token(content.clone(), TOKEN), with_token(content, bad), echo()];
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        let key_lines = key.serialize_pem().lines().filter(|line| line.len() > 30).map(str::to_owned).collect();
        let desk = Self { folder: tempfile::tempdir().unwrap(), hosts, key_lines, certificate };
        for (name, text) in [
            ("root.pem", authority.pem()),
            ("tls.crt", desk.certificate.clone()),
            ("tls.key", key.serialize_pem()),
            ("password", PASSWORD.to_owned()),
            ("refused", REFUSED_PASSWORD.to_owned()),
            ("docker.json", desk.docker_config()),
        ] {
            fs::write(desk.path(name), text).unwrap();
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn docker_config(&self) -> String {
        let auth = STANDARD.encode(format!("{USER}:{DOCKER_PASSWORD}"));
        let [_, good, bad, _] = &self.hosts;
        json!({ "auths": { good: { "auth": auth }, bad: { "auth": auth } } }).to_string()
    }

    /// A program that writes all that it may and may not say, and ends in one of the ways.
    fn verifiers(&self) -> Vec<Value> {
        let head = format!(
            "input=$(cat); echo \"{STDOUT} $API_TOKEN $input\"; echo \"{STDERR} $API_TOKEN $HTTP_PROXY $input\" >&2"
        );
        let rows = [
            (
                "says-yes",
                format!(r#"echo '{{"isSuccess": true, "message": "{STDOUT}", "extensions": {{"x": "{STDOUT}"}}}}'"#),
            ),
            ("says-no", format!(r#"echo '{{"isSuccess": false, "message": "{STDOUT}", "remediation": "{STDOUT}"}}'"#)),
            ("fails", format!(r#"echo '{{"code": 8, "msg": "{STDOUT}"}}'; exit 1"#)),
            ("babbles", format!(r#"echo '{{"isSuccess": "{STDOUT}"}}'"#)),
            ("lies", format!(r#"echo '{{"isSuccess": true, "name": "{STDOUT}"}}'"#)),
            ("cannot-be-read", format!(r#"echo '{{"isSuccess": true, "{STDOUT}"'"#)),
            ("dies", "kill -SEGV $$".to_owned()),
        ];
        let verifier = |(name, tail): (&str, String)| {
            let program = script(self.folder.path(), name, &format!("{head}\n{tail}"));
            json!({
                "name": name,
                "type": "exec",
                "command": name,
                "sha256": Digest::sha256(&fs::read(program).unwrap()).hex(),
                "artifactTypes": [ARTIFACT_TYPE],
                "config": { "apiToken": SETTING, "note": SETTING },
                "environment": { "API_TOKEN": VARIABLE },
                "timeout": "20s",
            })
        };
        rows.map(verifier).into()
    }

    fn configuration(&self) -> Value {
        let host = |credentials: Value| json!({ "plainHttp": true, "allowLoopback": true, "credentials": credentials });
        let [password, token, bad_token, echo] = &self.hosts;
        let mut verifiers = vec![json!({
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
        })];
        verifiers.extend(self.verifiers());
        let names: Vec<Value> = verifiers.iter().map(|verifier| verifier["name"].clone()).collect();
        json!({
            "server": {
                "address": "127.0.0.1:0",
                "admin": "127.0.0.1:0",
                "tls": { "certificate": "tls.crt", "key": "tls.key", "insecureSkipClientCertificate": true },
                "providerTimeout": { "verify": "30s", "mutate": "30s" },
            },
            "stores": [{ "name": "registries", "type": "registry", "hosts": {
                password: host(json!({ "username": USER, "passwordFile": "password" })),
                token: host(json!({ "dockerConfig": "docker.json" })),
                bad_token: host(json!({ "dockerConfig": "docker.json" })),
                echo: host(json!({ "username": USER, "passwordFile": "refused" })),
            } }],
            "plugins": { "directories": ["."] },
            "verifiers": verifiers,
            "policies": [{ "scopes": ["**"], "require": { "all": names } }],
            "telemetry": { "logLevel": "trace" },
            "decisionLog": "all",
        })
    }

    fn write(&self, configuration: &Value) {
        // Taken whole: the server looks at it while it runs.
        fs::write(self.path("new"), configuration.to_string()).unwrap();
        fs::rename(self.path("new"), self.path("countersign.yaml")).unwrap();
    }
}

/// The running server, and all that it has written so far.
struct Serving {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    log: String,
}

impl Serving {
    fn start(desk: &Desk) -> Self {
        let mut serve = command();
        serve.args(["serve", "--config"]).arg(desk.path("countersign.yaml"));
        let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines, log: String::new() }
    }

    /// Reads on until a line has this message.
    fn wait_for(&mut self, message: &str) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "it ended: {}", self.log);
            self.log.push_str(&line);
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["message"].as_str().is_some_and(|said| said.contains(message)) {
                return event;
            }
        }
    }

    /// Stops it; everything that it wrote.
    fn stop(mut self) -> String {
        let sent = Command::new("/bin/sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status().unwrap();
        assert!(sent.success());
        self.lines.read_to_string(&mut self.log).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut self.log).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{}", self.log);
        std::mem::take(&mut self.log)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already, or ends here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(certificate: &str) -> reqwest::Client {
    // The process's own, as the binary sets it: a second one is no harm here.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let certificate = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    reqwest::Client::builder().no_proxy().tls_certs_only([certificate]).build().unwrap()
}

async fn ask(client: &reqwest::Client, address: &str, key: &str) -> Value {
    let request = json!({
        "apiVersion": "externaldata.gatekeeper.sh/v1beta1",
        "kind": "ProviderRequest",
        "request": { "keys": [key] },
    });
    let url = format!("https://{address}/countersign/gatekeeper/v1/verify");
    let post = client.post(url).header("Content-Type", "application/json").body(request.to_string());
    let body = post.send().await.unwrap().bytes().await.unwrap();
    serde_json::from_slice::<Value>(&body).unwrap()["response"].take()
}

// OPS-14, PLG-10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_and_the_words_of_plugins_are_in_nothing_that_the_server_writes() {
    let desk = Desk::set();
    let configuration = desk.configuration();
    desk.write(&configuration);
    let mut serving = Serving::start(&desk);
    let started = serving.wait_for("answering");
    let (address, admin) = (started["address"].as_str().unwrap(), started["admin"].as_str().unwrap());
    let client = client(&desk.certificate);
    let [password, token, bad_token, echo] = desk.hosts.clone().map(|host| format!("{host}/shop/web:v1"));

    let mut replies = String::new();
    for (row, key) in [("password", &password), ("token", &token)] {
        let response = ask(&client, address, key).await.to_string();
        // Every one of the ways was taken, or this proves nothing: the reply names them.
        for code in ["PLUGIN_REJECTED", "PLUGIN_FAILED", "PLUGIN_PROTOCOL"] {
            assert!(response.contains(code), "{row}: {code}: {response}");
        }
        replies.push_str(&response);
    }
    for key in [&bad_token, &echo] {
        let response = ask(&client, address, key).await.to_string();
        assert!(response.contains("AUTH"), "{response}");
        replies.push_str(&response);
    }
    let metrics = reqwest::get(format!("http://{admin}/metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("says-yes"), "{metrics}");

    // A configuration that is refused, with secrets where its faults are.
    let mut broken = configuration.clone();
    broken["verifiers"][1]["environment"] = json!({ "API_TOKEN": LATE, "LD_PRELOAD": LATE });
    broken["verifiers"][2]["config"]["name"] = json!(LATE);
    broken["verifiers"][3]["environment"] = json!([LATE]);
    desk.write(&broken);
    serving.wait_for("does not work");
    let log = serving.stop();

    // Decisions were logged, and the plugins ran: the canaries were there to be written.
    assert!(log.contains("countersign::decision") && log.contains("PLUGIN_FAILED"), "{log}");
    let encoded: Vec<String> = [PASSWORD, DOCKER_PASSWORD, REFUSED_PASSWORD]
        .iter()
        .map(|password| basic(password).replace("Basic ", ""))
        .collect();
    let secrets =
        [PASSWORD, DOCKER_PASSWORD, REFUSED_PASSWORD, TOKEN, BAD_TOKEN, SETTING, VARIABLE, STDERR, LATE, "http://run:"];
    let secrets: Vec<&str> =
        secrets.into_iter().chain(encoded.iter().chain(&desk.key_lines).map(String::as_str)).collect();
    for (row, text) in [("log", &log), ("metrics", &metrics), ("replies", &replies)] {
        for secret in &secrets {
            assert_eq!(text.lines().find(|line| line.contains(secret)), None, "{secret} is in {row}");
        }
        // A reply tells what a plugin says; nothing else does.
        let told = text.lines().find(|line| line.contains(STDOUT));
        assert_eq!(told.is_some(), row == "replies", "{STDOUT} in {row}: {told:?}");
    }
}
