use std::os::unix::fs::symlink;

use super::*;

struct Shelf {
    folder: tempfile::TempDir,
    work: Arc<WorkFolder>,
}

impl Shelf {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for below in ["plugins", "elsewhere", "work"] {
            fs::create_dir(folder.path().join(below)).unwrap();
        }
        let work = Arc::new(WorkFolder::create(&folder.path().join("work")).unwrap());
        Self { folder, work }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8], mode: u32) -> Digest {
        fs::write(self.at(name), bytes).unwrap();
        fs::set_permissions(self.at(name), Permissions::from_mode(mode)).unwrap();
        Digest::sha256(bytes)
    }

    fn load(&self, name: &str, pin: &Digest) -> Result<Program, ProgramFault> {
        Program::load(name, pin, &[self.at("none"), self.at("plugins")], &self.work)
    }
}

fn own() -> Vec<u8> {
    // A header is all that is looked at.
    let mut bytes = vec![0; 64];
    File::open("/proc/self/exe").unwrap().read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_pinned_program_is_copied_and_the_copy_is_what_was_checked() {
    let shelf = Shelf::new();
    let pin = shelf.put("plugins/check", &own(), 0o755);
    let program = shelf.load("check", &pin).unwrap();
    assert!(program.path().starts_with(shelf.work.path()));
    assert_eq!(fs::metadata(program.path()).unwrap().permissions().mode() & 0o777, 0o500);
    assert_eq!((program.name(), program.digest()), ("check", &pin));
    // PLG-03: replaced after the start.
    shelf.put("plugins/check", b"#!/bin/evil\n", 0o755);
    assert_eq!(Digest::sha256(&fs::read(program.path()).unwrap()), pin);
    assert!(matches!(shelf.load("check", &pin), Err(ProgramFault::Digest { .. })));
    // Two verifiers with one program share the copy.
    shelf.put("plugins/check", &own(), 0o755);
    assert_eq!(shelf.load("check", &pin).unwrap().path(), program.path());
    let path = program.path().to_owned();
    drop((program, shelf));
    assert!(!path.exists(), "the copy goes with its last user");
}

#[test]
fn what_could_not_run_or_is_not_there_is_refused_at_load() {
    let shelf = Shelf::new();
    let mut foreign = own();
    foreign[18] ^= 0xff;
    let script = b"#!/bin/none -e\necho\n";
    let here = Digest::sha256(b"");
    fs::create_dir(shelf.at("plugins/directory")).unwrap();
    for (name, file, bytes, mode, expected) in [
        ("PLG-01 another machine", "foreign", &foreign[..], 0o755, "is a program for another machine"),
        ("PLG-01 cut short", "short", &foreign[..10], 0o755, "is a program for another machine"),
        (
            "PLG-01 script without interpreter",
            "script",
            &script[..],
            0o755,
            "its interpreter \"/bin/none\" is no program",
        ),
        ("PLG-01 interpreter without path", "env", b"#!sh\n", 0o755, "its interpreter \"sh\" is no program"),
        ("PLG-01 empty interpreter", "blank", b"#!\n", 0o755, "its interpreter \"\" is no program"),
        ("PLG-01 script without `#!`", "bare", b"echo {}\n", 0o755, "neither an ELF program nor a script"),
        ("PLG-01 empty", "empty", b"", 0o755, "neither an ELF program nor a script"),
        ("PLG-01 not executable", "plain", script, 0o644, "is not executable"),
    ] {
        let pin = shelf.put(&format!("plugins/{file}"), bytes, mode);
        let fault = shelf.load(file, &pin).unwrap_err().to_string();
        assert!(fault.contains(expected), "{name}: {fault}");
    }
    for (name, file, expected) in [
        ("PLG-01 does not exist", "absent", "none of plugins.directories has \"absent\""),
        ("PLG-01 directory", "directory", "is no regular file"),
    ] {
        let fault = shelf.load(file, &here).unwrap_err().to_string();
        assert!(fault.contains(expected), "{name}: {fault}");
    }
    let nowhere = Program::load("check", &here, &[], &shelf.work).unwrap_err().to_string();
    assert!(nowhere.contains("the list is empty"), "{nowhere}");
}

#[test]
fn links_may_not_lead_out_of_their_directory() {
    let shelf = Shelf::new();
    let pin = shelf.put("elsewhere/check", &own(), 0o755);
    shelf.put("plugins/inside", &own(), 0o755);
    symlink("../elsewhere/check", shelf.at("plugins/check")).unwrap();
    symlink("inside", shelf.at("plugins/alias")).unwrap();
    symlink("nothing", shelf.at("plugins/dangling")).unwrap();
    symlink(shelf.at("plugins"), shelf.at("linked")).unwrap();
    // PLG-03
    let fault = shelf.load("check", &pin).unwrap_err();
    assert!(matches!(fault, ProgramFault::Outside { .. }), "{fault}");
    assert!(matches!(shelf.load("dangling", &pin), Err(ProgramFault::Unreadable { .. })));
    assert!(shelf.load("alias", &pin).is_ok());
    // A directory that is itself a link is the operator's own choice.
    assert!(Program::load("inside", &pin, &[shelf.at("linked")], &shelf.work).is_ok());
    // `plugins-evil` is not below `plugins`.
    fs::create_dir(shelf.at("plugins-evil")).unwrap();
    shelf.put("plugins-evil/x", &own(), 0o755);
    symlink("../plugins-evil/x", shelf.at("plugins/x")).unwrap();
    assert!(matches!(shelf.load("x", &pin), Err(ProgramFault::Outside { .. })));
}
