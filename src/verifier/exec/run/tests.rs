use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use super::*;
use crate::{oci::Digest, verifier::exec::work::WorkFolder};

/// A script, and a launcher that only becomes it: the limits are the real one's.
struct Scene {
    folder: tempfile::TempDir,
    work: Arc<WorkFolder>,
}

impl Scene {
    fn new() -> Option<Self> {
        if !Path::new("/bin/sh").exists() {
            println!("skipped: runs of scripts (there is no /bin/sh)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let work = Arc::new(WorkFolder::create(folder.path()).unwrap());
        let scene = Self { folder, work };
        scene.put("launcher", "shift 6; exec \"$@\"");
        Some(scene)
    }

    fn put(&self, name: &str, script: &str) -> Digest {
        let (file, script) = (self.folder.path().join(name), format!("#!/bin/sh\n{script}\n"));
        fs::write(&file, &script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        Digest::sha256(script.as_bytes())
    }

    fn job(&self, script: &str) -> Job {
        let pin = self.put("plugin", script);
        let directories = [self.folder.path().to_owned()];
        Job {
            program: Program::load("plugin", &pin, &directories, &self.work).unwrap(),
            launcher: Launcher::of(self.folder.path().join("launcher")),
            environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            home: self.folder.path().to_owned(),
            input: b"request".to_vec(),
            limits: Limits::default(),
            deadline: Instant::now() + Duration::from_secs(30),
        }
    }

    fn note(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.folder.path().join(name)).ok()?;
        text.ends_with('\n').then(|| text.trim().to_owned())
    }
}

fn exists(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

#[tokio::test]
async fn a_run_is_fed_read_and_reaped() {
    let Some(scene) = Scene::new() else { return };
    let ran = run(scene.job("echo $$ > pid; cat; echo done; echo aside >&2; exit 3"), ()).await.unwrap();
    assert_eq!(ran.ended, Ended::Exited(3));
    assert_eq!((ran.stdout.as_slice(), ran.stderr.as_slice()), (&b"requestdone\n"[..], &b"aside\n"[..]));
    assert!(!exists(&scene.note("pid").unwrap()));
    assert!(!format!("{ran:?}").contains("done"), "its words are not shown");
}

// PLG-04
#[tokio::test]
async fn children_that_outlive_a_plugin_are_killed_and_leave_no_zombie() {
    let Some(scene) = Scene::new() else { return };
    // As the first process of a container: whoever loses its parent becomes our child.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let ran = run(scene.job("sleep 1000 & echo $! > child; echo done"), ()).await.unwrap();
    assert_eq!((ran.ended, ran.stdout.as_slice()), (Ended::Exited(0), &b"done\n"[..]));
    assert!(!exists(&scene.note("child").unwrap()), "killed and reaped");
    let job = Job {
        deadline: Instant::now() + Duration::from_millis(300),
        ..scene.job("sleep 1000 & echo $! > child; wait")
    };
    assert_eq!(run(job, ()).await.unwrap().ended, Ended::Deadline);
    assert!(!exists(&scene.note("child").unwrap()), "killed and reaped");
}

// PLG-04
#[tokio::test]
async fn nobody_waits_any_more_and_nothing_is_left() {
    let Some(scene) = Scene::new() else { return };
    let (keep, gone) = oneshot::channel::<()>();
    let asked = tokio::spawn(run(scene.job("echo $$ > pid; sleep 1000"), keep));
    while scene.note("pid").is_none() {
        tokio::task::yield_now().await;
    }
    let pid = scene.note("pid").unwrap();
    assert!(exists(&pid));
    asked.abort();
    assert!(gone.await.is_err(), "what was kept for the run is given back after its end");
    assert!(!exists(&pid), "killed and reaped");
}

#[tokio::test]
async fn a_launcher_that_is_not_there_is_no_run() {
    let Some(scene) = Scene::new() else { return };
    let job = Job { launcher: Launcher::of("/nonexistent/launcher".into()), ..scene.job("echo") };
    assert!(matches!(run(job, ()).await, Err(RunError::Start(_))));
}
