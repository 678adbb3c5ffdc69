//! What is kept, joined, asked for again, and read from disk.

use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::sync::Barrier;

use super::*;

fn pass(revocation: &Revocation, time: Duration) {
    let evidence = &revocation.online.as_ref().unwrap().evidence;
    evidence.ocsp.pass(time);
    evidence.crls.pass(time);
}

fn pki() -> Pki {
    Pki::naming(vec![responders(&[OCSP]), distribution(&[&[CRL]])])
}

/// A list whose truth begins at this time.
fn list_of(pki: &Pki, this_update: &'static str) -> Vec<u8> {
    pki.crl(1).with(|draft| draft.this_update = this_update).der(&pki.keys[1])
}

// Item 102, REV-15: a hit; the promise that warm evidence needs no network.
#[tokio::test]
async fn what_is_at_hand_is_not_asked_for_and_what_many_want_is_asked_for_once() {
    let (pki, web) = (pki(), Arc::new(Web::default()));
    web.set(CRL, body(&pki, "good crl"));
    let revocation = online(&web, &RevocationConfig::default());
    let found = join_all((0..20).map(|_| revocation.check(&pki.chain, ask()))).await;
    assert!(found.iter().all(|found| code(found).is_none()));
    // The responder that fails is not asked again at once either.
    let taken = web.taken();
    assert!(taken.len() == 2 && taken[0].starts_with(OCSP) && taken[1] == CRL, "{taken:?}");
    assert_eq!(code(&revocation.check(&pki.chain, ask()).await), None);
    assert_eq!(web.taken().len(), 0);
}

#[tokio::test]
async fn a_fetch_outlives_who_asked_for_it() {
    let (pki, web) = (Pki::naming(vec![distribution(&[&[CRL]])]), Arc::new(Web::default()));
    let gate = Arc::new(Barrier::new(2));
    web.set(CRL, Reply::Together(Arc::clone(&gate), pki.crl(1).der(&pki.keys[1])));
    let revocation = online(&web, &RevocationConfig::default());
    // Polled once, and gone.
    assert!(tokio::time::timeout(Duration::ZERO, revocation.check(&pki.chain, ask())).await.is_err());
    gate.wait().await;
    assert_eq!(code(&revocation.check(&pki.chain, ask()).await), None);
    assert_eq!(web.taken(), [CRL], "the first fetch is the only one");
}

// Item 102: expiry
#[tokio::test]
async fn old_evidence_is_asked_for_again_and_used_where_that_fails() {
    let (pki, web) = (Pki::naming(vec![distribution(&[&[CRL]])]), Arc::new(Web::default()));
    web.serve(CRL, list_of(&pki, "300601110000Z"));
    let config = RevocationConfig::default();
    let revocation = online(&web, &config);
    assert_eq!(code(&revocation.check(&pki.chain, ask()).await), None);
    pass(&revocation, config.refresh_interval);
    // Revoked meanwhile.
    let entry = lists::entry(&pki.chain[0], "300601100000Z", &[]);
    let revoked = pki.crl(1).with(|draft| draft.entries = vec![entry]).der(&pki.keys[1]);
    web.serve(CRL, revoked);
    assert_eq!(code(&revocation.check(&pki.chain, ask()).await), REVOKED);
    assert_eq!(web.taken(), [CRL, CRL]);
    pass(&revocation, config.refresh_interval);
    web.set(CRL, body(&pki, "404"));
    assert_eq!(code(&revocation.check(&pki.chain, ask()).await), REVOKED, "until its nextUpdate");
}

// REV-05: plain HTTP can be answered with what was true once.
#[tokio::test]
async fn an_older_answer_does_not_take_the_place_of_a_younger() {
    let (pki, web) = (Pki::naming(vec![distribution(&[&[CRL]])]), Arc::new(Web::default()));
    let entry = lists::entry(&pki.chain[0], "300601100000Z", &[]);
    web.serve(CRL, pki.crl(1).with(|draft| draft.entries = vec![entry]).der(&pki.keys[1]));
    let config = RevocationConfig::default();
    let revocation = online(&web, &config);
    assert_eq!(code(&revocation.check(&pki.chain, ask()).await), REVOKED);
    pass(&revocation, config.refresh_interval);
    web.serve(CRL, list_of(&pki, "300601100000Z"));
    assert_eq!(code(&revocation.check(&pki.chain, ask()).await), REVOKED);
}

#[tokio::test]
async fn what_is_in_use_is_fetched_ahead_of_time() {
    let (pki, web) = (pki(), Arc::new(Web::default()));
    web.set(OCSP, body(&pki, "good"));
    let config = RevocationConfig::default();
    let revocation = online(&web, &config);
    revocation.check(&pki.chain, ask()).await;
    assert_eq!(web.taken(), [OCSP]);
    revocation.refresh(NOW).await;
    assert_eq!(web.taken().len(), 0, "it is young");
    pass(&revocation, config.refresh_interval.mul_f32(0.9));
    web.set(OCSP, body(&pki, "revoked"));
    revocation.refresh(NOW).await;
    assert_eq!(web.taken(), [OCSP]);
    pass(&revocation, config.refresh_interval / 2);
    assert_eq!(code(&revocation.check(&pki.chain, ask()).await), REVOKED);
    assert_eq!(web.taken().len(), 0, "no request waited for it");
    // What nobody uses is left alone.
    pass(&revocation, Duration::from_hours(7));
    revocation.refresh(NOW).await;
    assert_eq!(web.taken().len(), 0);
}

// Item 102: disk. CCH-10: what was changed there is a miss. CCH-12: no name from outside is a file's. CCH-14: what cannot be written changes
// no verdict.
#[tokio::test]
async fn what_is_on_disk_is_verified_again_and_never_trusted() {
    let dir = TempDir::new().unwrap();
    let config = RevocationConfig { cache_dir: Some(dir.path().join("kept")), ..RevocationConfig::default() };
    // The clock of the file system, a moment later.
    let made = OffsetDateTime::from(std::fs::metadata(dir.path()).unwrap().modified().unwrap());
    let now = made + Duration::from_mins(2);
    let year = |pki: &Pki| {
        pki.crl(1).with(|draft| {
            draft.this_update = "200101000000Z";
            draft.next_update = Some("490101000000Z");
        })
    };
    let pki = Pki::naming(vec![distribution(&[&[CRL]])]);
    let fresh = || async {
        let web = Arc::new(Web::default());
        let found = online(&web, &config).check(&pki.chain, ask_at(now)).await;
        (code(&found), web.taken().len())
    };
    let web = Arc::new(Web::default());
    web.serve(CRL, year(&pki).der(&pki.keys[1]));
    assert_eq!(code(&online(&web, &config).check(&pki.chain, ask_at(now)).await), None);
    let files: Vec<_> = std::fs::read_dir(dir.path().join("kept")).unwrap().map(|file| file.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let stem = file.file_stem().unwrap().to_str().unwrap();
    assert!(stem.len() >= 32 && stem.chars().all(|c| c.is_ascii_hexdigit() || c == '-'), "CCH-12: {stem}");
    assert_eq!(fresh().await, (None, 0), "kept across a restart");
    // Poisoned: another authority's list at the same address, properly signed.
    let good = std::fs::read(file).unwrap();
    let other = Pki::naming(vec![distribution(&[&[CRL]])]);
    web.serve(CRL, year(&other).der(&other.keys[1]));
    assert_eq!(code(&online(&web, &config).check(&other.chain, ask_at(now)).await), None);
    assert_ne!(std::fs::read(file).unwrap(), good);
    assert_eq!(fresh().await, (OPEN, 1), "another authority's");
    for (name, content) in [("junk", b"{".to_vec()), ("cut", good[..good.len() / 2].to_vec()), ("empty", Vec::new())] {
        std::fs::write(file, content).unwrap();
        assert_eq!(fresh().await, (OPEN, 1), "{name}");
    }
    // A cache that cannot be written changes no verdict.
    std::fs::remove_dir_all(dir.path().join("kept")).unwrap();
    let revocation = online(&web, &config);
    std::fs::remove_dir_all(dir.path().join("kept")).unwrap();
    web.serve(CRL, year(&pki).der(&pki.keys[1]));
    assert_eq!(code(&revocation.check(&pki.chain, ask_at(now)).await), None);
    // F15: nor does one in whose place there is something else, as where nothing may be written.
    std::fs::create_dir(dir.path().join("kept")).unwrap();
    let revocation = online(&web, &config);
    std::fs::remove_dir(dir.path().join("kept")).unwrap();
    std::fs::write(dir.path().join("kept"), "no directory").unwrap();
    assert_eq!(code(&revocation.check(&pki.chain, ask_at(now)).await), None);
}

#[tokio::test]
async fn evidence_outlives_a_generation_that_asks_in_the_same_way() {
    let (pki, web) = (pki(), Arc::new(Web::default()));
    web.set(OCSP, body(&pki, "good"));
    let outside = outside(&web);
    let of = |config: &RevocationConfig| Revocation::default().asking(config, Path::new("/"), outside.clone()).unwrap();
    let same = RevocationConfig::default();
    let first = of(&same);
    assert_eq!(code(&first.check(&pki.chain, ask()).await), None);
    let second = of(&same);
    drop(first);
    assert_eq!(code(&second.check(&pki.chain, ask()).await), None);
    assert_eq!(web.taken(), [OCSP]);
    let other = of(&RevocationConfig { allow_hosts: vec!["pki.test".to_owned()], ..same });
    assert_eq!(code(&other.check(&pki.chain, ask()).await), None);
    assert_eq!(web.taken(), [OCSP], "another way out is another authority on what was asked");
}
