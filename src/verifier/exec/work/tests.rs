use super::*;

#[test]
fn directories_are_private_and_go_with_their_last_user() {
    let parent = tempfile::tempdir().unwrap();
    let work = WorkFolder::create(parent.path()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(work.path()), 0o700);
    let run = work.run_folder().unwrap();
    assert_eq!([run.blobs(), run.docker(), run.home()].map(|folder| mode(&folder)), [0o700; 3]);
    assert_eq!(fs::read_to_string(run.docker().join("config.json")).unwrap(), "{}");
    // What a plugin locks up is removed all the same.
    fs::create_dir_all(run.home().join("a/b")).unwrap();
    fs::set_permissions(run.home().join("a"), Permissions::from_mode(0o000)).unwrap();
    let path = run.path.clone();
    drop(run);
    assert!(!path.exists());
    drop(work);
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn what_a_crash_left_behind_is_removed_and_what_is_in_use_is_not() {
    let parent = tempfile::tempdir().unwrap();
    let at = |name: &str| parent.path().join(name);
    fs::create_dir_all(at("countersign-plugins-crashed/run-1")).unwrap();
    fs::write(at("countersign-plugins-crashed/lock"), "").unwrap();
    fs::create_dir_all(at("countersign-plugins-without-lock")).unwrap();
    fs::create_dir_all(at("somebody-elses")).unwrap();
    fs::write(at("somebody-elses/lock"), "").unwrap();
    let first = WorkFolder::create(parent.path()).unwrap();
    let second = WorkFolder::create(parent.path()).unwrap();
    assert!(!at("countersign-plugins-crashed").exists());
    for kept in [first.path(), second.path(), &at("countersign-plugins-without-lock"), &at("somebody-elses")] {
        assert!(kept.exists(), "{}", kept.display());
    }
}

#[test]
fn where_nothing_can_be_made_or_executed_is_said() {
    let missing = WorkFolder::create(Path::new("/nonexistent/work"));
    assert!(matches!(missing, Err(WorkFault::Unusable { .. })), "{missing:?}");
    // Where the system has it: a place that is always mounted so.
    if let Ok(mount) = statvfs("/proc")
        && mount.f_flag.contains(StatVfsMountFlags::NOEXEC)
    {
        let noexec = WorkFolder::create(Path::new("/proc"));
        assert!(matches!(noexec, Err(WorkFault::NoExec { .. })), "{noexec:?}");
    }
}
