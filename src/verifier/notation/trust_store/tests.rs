use std::os::unix::fs::symlink;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tempfile::TempDir;

use super::*;
use crate::crypto::testing::{ca, chain, leaf};

fn name(text: &str) -> StoreName {
    let (store_type, name) = text.split_once(':').unwrap();
    StoreName { store_type: StoreType::parse(store_type).unwrap(), name: name.to_owned() }
}

fn pem(der: &[u8], line_end: &str) -> Vec<u8> {
    let body: Vec<_> =
        STANDARD.encode(der).as_bytes().chunks(64).map(|c| String::from_utf8(c.to_vec()).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----{line_end}{}{line_end}-----END CERTIFICATE-----{line_end}", body.join(line_end))
        .into()
}

/// Puts files into `x509/<store>` of a new directory, and loads `store` from it.
fn load(store: &str, files: &[(&str, Vec<u8>)]) -> Result<usize, StoreFault> {
    let dir = TempDir::new().unwrap();
    let at = dir.path().join("x509").join(store.replace(':', "/"));
    fs::create_dir_all(&at).unwrap();
    for (file, bytes) in files {
        fs::write(at.join(file), bytes).unwrap();
    }
    load_directory(dir.path(), &name(store)).map(|certificates| certificates.len())
}

/// A word for each kind of fault.
fn word(fault: &StoreFault) -> &'static str {
    match fault {
        StoreFault::Anchor { .. } => "anchor",
        StoreFault::Empty { .. } => "empty",
        StoreFault::File { .. } => "file",
        StoreFault::Missing { .. } => "missing",
        StoreFault::NotConfigured => "not configured",
        StoreFault::NotFile { .. } => "not a file",
        StoreFault::Outside { .. } => "outside",
        StoreFault::TooLarge { .. } => "too large",
        StoreFault::Unreadable { .. } => "unreadable",
    }
}

// item 48, item 49, item 50
#[test]
fn a_store_holds_certificate_files_and_one_bad_file_spoils_it() {
    let issued = chain(&[leaf("leaf"), ca("middle", None), ca("root", None)]).der;
    let [end, middle, root] = issued.as_slice() else { panic!() };
    let alone = &chain(&[leaf("alone")]).der[0];
    let two = [root.as_slice(), middle].concat();
    let key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec();
    let bundle = [pem(root, "\n"), pem(middle, "\n")].concat();
    let mut too_large = pem(root, "\n");
    too_large.resize(x509::MAX_FILE_BYTES + 1, b'\n');
    let mut largest = pem(root, "\n");
    largest.resize(x509::MAX_FILE_BYTES, b'\n');
    for (what, store, files, expected) in [
        ("PEM", "ca:a", vec![("a.pem", pem(root, "\n"))], Ok(1)),
        ("PEM with CRLF", "ca:a", vec![("a.pem", pem(root, "\r\n"))], Ok(1)),
        ("PEM bundle", "ca:a", vec![("a.pem", bundle.clone())], Ok(2)),
        ("DER", "ca:a", vec![("a.cer", root.clone())], Ok(1)),
        ("DER after DER", "ca:a", vec![("a.cer", two)], Ok(2)),
        ("several files", "ca:a", vec![("a.cer", root.clone()), ("b", middle.clone())], Ok(2)),
        ("self-signed leaf", "ca:a", vec![("a.cer", alone.clone())], Ok(1)),
        ("largest", "ca:a", vec![("a.pem", largest)], Ok(1)),
        ("leaf", "ca:a", vec![("a.cer", root.clone()), ("b.cer", end.clone())], Err("anchor")),
        ("leaf for an authority", "signingAuthority:a", vec![("b.cer", end.clone())], Err("anchor")),
        ("tsa root", "tsa:a", vec![("a.cer", root.clone())], Ok(1)),
        ("tsa intermediate", "tsa:a", vec![("a.cer", middle.clone())], Err("anchor")),
        ("tsa self-signed leaf", "tsa:a", vec![("a.cer", alone.clone())], Err("anchor")),
        ("junk", "ca:a", vec![("a.pem", b"junk".to_vec())], Err("file")),
        ("junk beside a good one", "ca:a", vec![("a.pem", root.clone()), ("b.pem", b"junk".to_vec())], Err("file")),
        ("empty file", "ca:a", vec![("a.pem", Vec::new())], Err("file")),
        ("private key", "ca:a", vec![("a.pem", key.clone())], Err("file")),
        ("private key in a bundle", "ca:a", vec![("a.pem", [bundle, key].concat())], Err("file")),
        (
            "PKCS#7",
            "ca:a",
            vec![("a.p7b", b"-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n".to_vec())],
            Err("file"),
        ),
        ("too large", "ca:a", vec![("a.pem", too_large)], Err("too large")),
        ("no file", "ca:a", vec![], Err("empty")),
        ("only Kubernetes' own entries", "ca:a", vec![("..data_tmp", Vec::new())], Err("empty")),
    ] {
        let found = load(store, &files);
        assert_eq!(found.as_ref().map(|count| *count).map_err(word), expected, "{what}: {found:?}");
    }
}

#[test]
fn a_store_is_bounded_in_files() {
    let root = &chain(&[ca("root", None)]).der[0];
    let names: Vec<String> = (0..=MAX_FILES).map(|i| i.to_string()).collect();
    let files = |count: usize| names[..count].iter().map(|name| (name.as_str(), root.clone())).collect::<Vec<_>>();
    assert_eq!(load("ca:a", &files(MAX_FILES)).unwrap(), MAX_FILES);
    assert_eq!(word(&load("ca:a", &files(MAX_FILES + 1)).unwrap_err()), "too large");
}

// decision F, X-15
#[test]
fn symbolic_links_are_followed_inside_the_directory_only() {
    let root = &chain(&[ca("root", None)]).der[0];
    let dir = TempDir::new().unwrap();
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("root.cer"), root).unwrap();
    let stores = dir.path().join("x509/ca");
    let make = |store: &str| {
        let at = stores.join(store);
        fs::create_dir_all(&at).unwrap();
        at
    };
    // As Kubernetes mounts a ConfigMap.
    let mounted = make("mounted");
    fs::create_dir(mounted.join("..2026_11_21")).unwrap();
    fs::write(mounted.join("..2026_11_21/root.cer"), root).unwrap();
    symlink("..2026_11_21", mounted.join("..data")).unwrap();
    symlink("..data/root.cer", mounted.join("root.cer")).unwrap();
    symlink(outside.path().join("root.cer"), make("leaves").join("root.cer")).unwrap();
    symlink(outside.path(), stores.join("elsewhere")).unwrap();
    symlink("loop", make("dangling").join("loop")).unwrap();
    symlink("nothing", make("gone").join("root.cer")).unwrap();
    fs::create_dir(make("nested").join("below")).unwrap();
    for (store, expected) in [
        ("mounted", Ok(1)),
        ("leaves", Err("outside")),
        ("elsewhere", Err("outside")),
        ("dangling", Err("unreadable")),
        ("gone", Err("missing")),
        ("nested", Err("not a file")),
        ("nowhere", Err("missing")),
    ] {
        let found = load_directory(dir.path(), &name(&format!("ca:{store}"))).map(|certificates| certificates.len());
        assert_eq!(found.as_ref().map(|count| *count).map_err(word), expected, "{store}: {found:?}");
    }
}

// item 48, X-16
#[test]
fn only_named_stores_are_read_and_a_fault_stays_with_its_store() {
    let root = &chain(&[ca("root", None)]).der[0];
    let dir = TempDir::new().unwrap();
    for store in ["good", "unnamed"] {
        fs::create_dir_all(dir.path().join("x509/ca").join(store)).unwrap();
    }
    fs::write(dir.path().join("x509/ca/good/root.cer"), root).unwrap();
    fs::write(dir.path().join("x509/ca/unnamed/junk"), b"junk").unwrap();
    let named = [name("ca:good"), name("ca:gone"), name("ca:good")];
    let stores = TrustStores::load(&TrustStoreSource::Directory(dir.path().to_owned()), &named);
    let faults: Vec<_> = stores.faults().map(|(name, fault)| (name.to_string(), word(fault))).collect();
    assert_eq!(faults, [("ca:gone".to_owned(), "missing")]);
    assert_eq!(stores.certificates(&name("ca:good")).unwrap().len(), 1);
    assert_eq!(word(stores.certificates(&name("ca:unnamed")).unwrap_err()), "not configured");

    let listed = dir.path().join("x509/ca/good/root.cer");
    let files = [(name("ca:a"), vec![listed]), (name("ca:b"), vec![]), (name("ca:c"), vec![dir.path().to_owned()])];
    let named = ["ca:a", "ca:b", "ca:c", "ca:d"].map(name);
    let stores = TrustStores::load(&TrustStoreSource::Files(files.into_iter().collect()), &named);
    let faults: Vec<_> = stores.faults().map(|(name, fault)| (name.to_string(), word(fault))).collect();
    let expected = [("ca:b", "empty"), ("ca:c", "not a file"), ("ca:d", "not configured")];
    assert_eq!(faults, expected.map(|(name, word)| (name.to_owned(), word)));
}
