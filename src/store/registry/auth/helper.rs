//! Docker credential helpers: `docker-credential-NAME get`.

use std::{path::Path, process::Stdio, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};

use super::Credential;

/// A helper that says more is not one.
const MAX_OUTPUT_BYTES: u64 = 64 << 10;
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Secret")]
    secret: SecretString,
    #[serde(rename = "Username")]
    username: String,
}

/// Asks `docker-credential-<name>` in `directory` about `server`; `None` where it knows nothing. `name` was checked at
/// load. No shell, no search path; killed after five seconds or with the caller. What it prints is never repeated.
pub(super) async fn ask(directory: &Path, name: &str, server: &str) -> Result<Option<Credential>, String> {
    tokio::time::timeout(TIMEOUT, run(directory, name, server))
        .await
        .unwrap_or_else(|_| Err(format!("credential helper {name} did not answer in {} s", TIMEOUT.as_secs())))
}

async fn run(directory: &Path, name: &str, server: &str) -> Result<Option<Credential>, String> {
    let failed = |step: &str| format!("credential helper {name} {step}");
    let mut child = Command::new(directory.join(format!("docker-credential-{name}")))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&format!("cannot be started: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper may answer without reading; its answer then decides.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let read = stdout.take(MAX_OUTPUT_BYTES.saturating_add(1)).read_to_end(&mut output).await;
        read.map_err(|error| failed(&format!("cannot be read: {error}")))?;
    }
    if u64::try_from(output.len()).is_ok_and(|size| size > MAX_OUTPUT_BYTES) {
        return Err(failed(&format!("printed more than {MAX_OUTPUT_BYTES} bytes")));
    }
    let status = child.wait().await.map_err(|error| failed(&format!("cannot be awaited: {error}")))?;
    if status.success() {
        return answer(&output).map(Some).map_err(failed);
    }
    // The protocol's own word for "none", on standard output.
    if output.trim_ascii() == b"credentials not found in native keychain" {
        return Ok(None);
    }
    Err(failed(&format!("failed: {status}")))
}

fn answer(output: &[u8]) -> Result<Credential, &'static str> {
    let malformed = "printed no credential";
    let Answer { secret, username } = super::read_object(output).map_err(|_| malformed)?;
    if username == "<token>" {
        return Ok(Credential::Identity(secret));
    }
    Credential::password(username, secret.expose_secret().to_owned()).map_err(|_| malformed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn helper(script: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker-credential-test");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        directory
    }

    #[tokio::test]
    async fn a_helper_is_told_the_server_and_answers() {
        let directory = helper(r#"read s; printf '{"ServerURL":"%s","Username":"%s","Secret":"p"}' "$s" "$s$1""#);
        let found = ask(directory.path(), "test", "a.test").await.unwrap();
        assert!(matches!(found, Some(Credential::Password { username, .. }) if username == "a.testget"));
        let directory = helper(r#"echo '{"ServerURL":"x","Username":"<token>","Secret":"t"}'"#);
        assert!(matches!(ask(directory.path(), "test", "a.test").await, Ok(Some(Credential::Identity(_)))));
        let directory = helper("echo credentials not found in native keychain; exit 1");
        assert!(matches!(ask(directory.path(), "test", "a.test").await, Ok(None)));
    }

    #[tokio::test]
    async fn a_helper_that_fails_floods_or_prints_anything_else_is_an_error() {
        for script in
            ["exit 1", "echo SECRET", "head -c 70000 /dev/zero", r#"echo '{"Username":"SE\rCRET","Secret":"p"}'"#]
        {
            let directory = helper(script);
            let error = ask(directory.path(), "test", "a.test").await.err().unwrap();
            assert!(!error.contains("SECRET"), "{script}: {error}");
        }
        let directory = tempfile::tempdir().unwrap();
        assert!(ask(directory.path(), "test", "a.test").await.is_err());
    }
}
