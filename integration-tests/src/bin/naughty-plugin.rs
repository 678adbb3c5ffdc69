//! A verifier plugin that does what its variable `BEHAVIOUR` says, good or bad (PLG). It knows nothing of the product.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::zombie_processes,
    reason = "a plugin reads its environment, and what it cannot set up fails the test"
)]

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Read as _, Write as _},
    path::PathBuf,
    process::{self, Command},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// 10 GiB, as nobody should ever see them.
const FLOOD_BYTES: u64 = 10 << 30;

fn main() {
    let behaviour = env::args().nth(1).or_else(|| env::var("BEHAVIOUR").ok()).unwrap_or_default();
    if behaviour != "hang" || env::args().len() == 1 {
        note_own_number();
    }
    match behaviour.as_str() {
        "abort" => process::abort(),
        "burn" => loop {
            std::hint::spin_loop();
        },
        "count" => count(),
        "daemon" => {
            start_hanging();
            answer(&json!({ "isSuccess": true }));
        }
        "daemon-hang" => {
            start_hanging();
            hang();
        }
        "drip" => drip(),
        "file" => write_a_file(),
        "flood-both" => {
            let other = thread::spawn(|| flood(io::stderr()));
            flood(io::stdout());
            let _ = other.join();
        }
        "flood-err" => flood(io::stderr()),
        "flood-out" => flood(io::stdout()),
        "hang" => hang(),
        "memory" => take_memory(),
        "open" => open_files(),
        "print" => {
            let _ = io::stdout().write_all(variable("OUTPUT").as_bytes());
            process::exit(variable("STATUS").parse().unwrap_or(0));
        }
        "record" => record(),
        "silent" => {}
        "unread" => answer(&json!({ "isSuccess": true })),
        _ => {
            let request = request();
            let name = request["config"]["name"].clone();
            answer(&json!({ "isSuccess": behaviour == "yes", "name": name, "message": "so it is" }));
        }
    }
}

fn note_own_number() {
    if !variable("OUT").is_empty() {
        fs::write(out("pid"), process::id().to_string()).expect("a note");
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn request() -> Value {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text).expect("a request");
    serde_json::from_slice(&text).expect("a request is JSON")
}

fn answer(reply: &Value) {
    println!("{reply}");
}

fn hang() {
    loop {
        thread::sleep(Duration::from_mins(1));
    }
}

/// A child that holds both outputs for ever, and notes its number.
fn start_hanging() {
    let child = Command::new("/proc/self/exe").arg("hang").spawn().expect("a child");
    fs::write(out("child"), child.id().to_string()).expect("a note");
}

fn out(name: &str) -> PathBuf {
    PathBuf::from(variable("OUT")).join(name)
}

fn flood(mut to: impl io::Write) {
    let chunk = vec![b'x'; 1 << 16];
    let mut left = FLOOD_BYTES;
    while left > 0 && to.write_all(&chunk).is_ok() {
        left = left.saturating_sub(1 << 16);
    }
}

/// Reads a byte a second.
fn drip() {
    let mut byte = [0];
    while io::stdin().read(&mut byte).is_ok_and(|count| count > 0) {
        thread::sleep(Duration::from_secs(1));
    }
}

fn take_memory() {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    for _ in 0..64 {
        taken.push(vec![1; 16 << 20]);
    }
    answer(&json!({ "isSuccess": true, "message": taken.len().to_string() }));
}

fn write_a_file() {
    let written = fs::write("large", vec![0; 1 << 20]);
    answer(&json!({ "isSuccess": written.is_ok() }));
}

fn open_files() {
    let mut open = Vec::new();
    for _ in 0..1000 {
        match fs::File::open("/dev/null") {
            Ok(file) => open.push(file),
            Err(_) => process::exit(9),
        }
    }
    answer(&json!({ "isSuccess": true }));
}

/// How many of its kind run at this moment.
fn count() {
    let own = out(&format!("running-{}", process::id()));
    fs::write(&own, "").expect("a note");
    thread::sleep(Duration::from_millis(20));
    let here = fs::read_dir(variable("OUT")).expect("a folder").flatten();
    let running = here.filter(|entry| entry.file_name().to_string_lossy().starts_with("running-")).count();
    fs::write(out(&format!("saw-{}", process::id())), running.to_string()).expect("a note");
    fs::remove_file(&own).expect("its own note");
    answer(&json!({ "isSuccess": true }));
}

/// Notes all that it can see of its surroundings.
fn record() {
    let request = request();
    let blobs = request["artifact"]["blobs"].as_array().cloned().unwrap_or_default();
    let read = |blob: &Value| fs::read_to_string(blob["path"].as_str().unwrap_or_default()).unwrap_or_default();
    let environment: BTreeMap<String, String> = env::vars().collect();
    let descriptors: Vec<String> = fs::read_dir("/proc/self/fd")
        .expect("descriptors")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let seen = json!({
        "request": request,
        "blobs": blobs.iter().map(read).collect::<Vec<_>>(),
        "environment": environment,
        "arguments": env::args().collect::<Vec<_>>(),
        "folder": env::current_dir().expect("a folder"),
        "docker": fs::read_to_string(PathBuf::from(variable("DOCKER_CONFIG")).join("config.json")).unwrap_or_default(),
        "descriptors": descriptors,
        "limits": fs::read_to_string("/proc/self/limits").unwrap_or_default(),
        "status": fs::read_to_string("/proc/self/status").unwrap_or_default(),
    });
    fs::write(out("seen.json"), seen.to_string()).expect("a note");
    answer(&json!({ "isSuccess": true }));
}
