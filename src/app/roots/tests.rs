use std::fs;

use serde_json::json;
use time::macros::datetime;

use super::{
    http::tests::{Served, source},
    *,
};
use crate::{
    app::{App, AppError, Look},
    config::Process,
    reason,
    store::registry::Outside,
    telemetry::{DecisionLog, Telemetry},
    verifier::cosign::root::tuf::testing::Plan,
};

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

fn plan() -> Plan {
    Plan::of(sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT.as_bytes())
}

fn text(roots: &str) -> String {
    format!(
        "server: {{ plainHttp: true, address: '127.0.0.1:0' }}
stores: [{{ name: hosts, type: registry, hosts: {{ r.example: {{}} }} }}]
verifiers:
  - name: cosign
    type: cosign
    trustPolicies:
      - name: all
        scopes: ['**']
        trustedRoot: {roots}
        identities: [{{ issuer: https://i.test, subject: a@b.test }}]
policies: [{{ scopes: ['**'], require: cosign }}]
"
    )
}

fn configuration(roots: &str, base: &Path) -> Config {
    Config::parse(&text(roots), base, &Process::default()).unwrap_or_else(|faults| panic!("{faults:?}"))
}

#[tokio::test]
async fn a_refresh_asks_verifies_and_writes_what_the_next_generation_reads() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(None);
    served.publish(&plan().publish());
    fs::write(folder.path().join("root.json"), plan().initial_root()).unwrap();
    let roots = format!(
        "[github, {{ tuf: {{ url: 'http://{}/tuf', plainHttp: true, root: root.json, cacheDir: cache, maxAge: 48h }} }}]",
        served.address
    );
    let config = configuration(&roots, folder.path());
    let sources = tuf_sources(&config);
    assert_eq!(unusable(&config).await, sources);
    assert_eq!(in_use(&config), [], "one that cannot be read is its verifier's fault to say");

    let origin = refresh(&sources[0], folder.path(), Clock::Fixed(NOW)).await.unwrap();
    assert_eq!(unusable(&config).await, []);
    let [github, own] = &in_use(&config)[..] else { panic!("{:?}", in_use(&config)) };
    assert_eq!((github.name.as_str(), github.origin.kind(), github.max_age), ("github", "embedded", None));
    assert_eq!((&own.origin, own.age(NOW)), (&origin, Some(time::Duration::ZERO)));
    // `maxAge`: both sides of it.
    assert!(!own.is_too_old(NOW + time::Duration::hours(48)) && own.is_too_old(NOW + time::Duration::hours(49)));
    assert!(!github.is_too_old(NOW + time::Duration::days(9999)));

    // A refresh that fails changes nothing.
    let before = fs::read(folder.path().join(sources[0].cache_file())).unwrap();
    served.answers.lock().unwrap().clear();
    let fault = refresh(&sources[0], folder.path(), Clock::Fixed(NOW + time::Duration::days(1))).await.unwrap_err();
    assert!(reason::chain(&fault).contains("timestamp.json not found"), "{}", reason::chain(&fault));
    assert_eq!(fs::read(folder.path().join(sources[0].cache_file())).unwrap(), before);
    assert!(fs::read_dir(folder.path().join("cache")).unwrap().count() == 1, "nothing is left lying about");
}

#[test]
fn what_grows_old_is_said() {
    let of = |origin: Origin| RootInUse { name: "r".to_owned(), origin, max_age: None };
    let embedded = of(Origin::Embedded { date: NOW.date() });
    assert_eq!(embedded.concern(NOW + time::Duration::days(179)), None);
    assert!(embedded.concern(NOW + time::Duration::days(181)).unwrap().contains("days old"));
    let expires = NOW + time::Duration::days(7);
    let tuf = of(Origin::Tuf { url: "u".to_owned(), refreshed_at: NOW, expires });
    assert_eq!(tuf.concern(expires), None);
    assert!(tuf.concern(expires + time::Duration::seconds(1)).unwrap().contains("vouched for until"));
    for origin in [Origin::File("f".into()), Origin::Inline, Origin::OwnAuthority] {
        assert_eq!(of(origin).concern(NOW + time::Duration::days(9999)), None);
    }
}

#[test]
fn each_repository_has_its_turn_once_an_interval_and_sooner_after_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let members = |url: &str| json!({"instance": "public-good", "url": url, "cacheDir": "c", "refresh": "6h"});
    let sources = [source(&members("https://a.test")), source(&members("https://b.test"))];
    let mut schedule = Schedule::default();
    let start = Instant::now();
    let due = |schedule: &mut Schedule, after: Duration| schedule.due(&sources, folder.path(), start + after, NOW);
    assert_eq!(due(&mut schedule, Duration::ZERO), sources, "nothing is cached");
    schedule.succeeded(&sources[0], start);
    schedule.failed(&sources[1], start);
    assert_eq!(due(&mut schedule, Duration::from_secs(20)), []);
    assert_eq!(due(&mut schedule, FIRST_RETRY), sources[1..]);
    schedule.failed(&sources[1], start + FIRST_RETRY);
    assert_eq!(due(&mut schedule, FIRST_RETRY * 2), [], "the second wait is longer");
    for _ in 0..100 {
        schedule.failed(&sources[1], start);
    }
    assert_eq!(due(&mut schedule, Duration::from_mins(50)), []);
    assert_eq!(due(&mut schedule, LAST_RETRY), sources[1..], "and has an end");
    schedule.succeeded(&sources[1], start);
    assert_eq!(due(&mut schedule, Duration::from_hours(5)), []);
    assert_eq!(due(&mut schedule, Duration::from_hours(6)), sources);
}

#[tokio::test]
async fn after_a_restart_a_fresh_cache_is_not_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(None);
    served.publish(&plan().publish());
    fs::write(folder.path().join("root.json"), plan().initial_root()).unwrap();
    let url = format!("http://{}/tuf", served.address);
    let own = source(&json!({"url": url, "plainHttp": true, "root": "root.json", "cacheDir": "c", "refresh": "6h"}));
    refresh(&own, folder.path(), Clock::Fixed(NOW)).await.unwrap();
    let start = Instant::now();
    for (after, turns) in [(0, 0), (5, 0), (7, 1)] {
        let wall = NOW + time::Duration::hours(after);
        let due = Schedule::default().due(std::slice::from_ref(&own), folder.path(), start, wall);
        assert_eq!(due.len(), turns, "{after} h");
    }
    // A clock that went back makes it ask rather than wait.
    let before = NOW - time::Duration::hours(1);
    assert_eq!(Schedule::default().due(std::slice::from_ref(&own), folder.path(), start, before).len(), 1);
}

/// A folder with a configuration of one TUF repository of one's own.
struct Stage {
    folder: tempfile::TempDir,
    served: Served,
    telemetry: Telemetry,
}

/// The application reads the machine's clock; these metadata outlive it.
fn lasting(content: &str) -> Plan {
    Plan { expires: ["2999-01-01T00:00:00Z"; 4], ..Plan::of(content.as_bytes()) }
}

impl Stage {
    fn set() -> Self {
        let (folder, served) = (tempfile::tempdir().unwrap(), Served::start(None));
        let telemetry = Telemetry::detached(DecisionLog::None, std::io::sink()).unwrap();
        fs::write(folder.path().join("root.json"), lasting("").initial_root()).unwrap();
        let roots = format!(
            "{{ tuf: {{ url: 'http://{}/tuf', plainHttp: true, root: root.json, cacheDir: cache, maxAge: 48h }} }}",
            served.address
        );
        fs::write(folder.path().join("config.yaml"), text(&roots)).unwrap();
        Self { folder, served, telemetry }
    }

    async fn start(&self) -> Result<App, AppError> {
        let outside = Outside { meter: Some(self.telemetry.meter()), ..Outside::default() };
        let file = self.folder.path().join("config.yaml");
        App::start(&file, Process::default(), outside, tokio::runtime::Handle::current()).await
    }

    fn counts(&self, result: &str, number: u32) {
        let text = self.telemetry.prometheus_text().unwrap();
        let line = format!("countersign_trusted_root_refreshes_total{{result=\"{result}\"}} {number}");
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

// R97, R100
#[tokio::test]
async fn what_a_repository_newly_says_is_a_new_generation_and_a_failure_keeps_the_last_good_one() {
    let stage = Stage::set();
    let error = stage.start().await.unwrap_err();
    let said = reason::chain(&error);
    assert!(said.contains("trustPolicies[0].trustedRoot.tuf") && said.contains("nothing is cached"), "{said}");
    stage.counts("failure", 1);

    let first = lasting(sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT);
    stage.served.publish(&first.publish());
    let mut app = stage.start().await.unwrap();
    let began = app.clock.now();
    assert_eq!(app.current().engine.roots.len(), 1);
    stage.counts("success", 1);
    let mut schedule = Schedule::default();
    app.refresh_due(&mut schedule).await;
    stage.counts("success", 1);

    let content = sigstore_trust_root::SIGSTORE_STAGING_TRUSTED_ROOT.as_bytes().to_vec();
    let second = Plan { versions: [2, 2, 2], content, ..first.clone() };
    stage.served.publish(&second.publish());
    app.clock = Clock::Fixed(began + time::Duration::hours(25));
    app.refresh_due(&mut Schedule::default()).await;
    stage.counts("success", 2);
    assert_eq!((app.look().await, app.current().number), (Look::Renewed, 2));
    let renewed = app.current().engine.roots.clone();
    assert_eq!(renewed[0].age(app.clock.now()), Some(time::Duration::ZERO));

    // An older answer, and then none at all.
    stage.served.publish(&first.publish());
    app.clock = Clock::Fixed(began + time::Duration::hours(50));
    app.refresh_due(&mut Schedule::default()).await;
    stage.served.answers.lock().unwrap().clear();
    app.refresh_due(&mut Schedule::default()).await;
    stage.counts("failure", 3);
    assert_eq!((app.look().await, app.current().number), (Look::Unchanged, 2));
    assert_eq!(app.current().engine.roots, renewed);
    let now = Instant::now();
    assert!(!app.is_stale(now), "25 hours");
    let text = stage.telemetry.prometheus_text().unwrap();
    assert!(text.contains("countersign_trusted_root_age_seconds{origin=\"tuf\"} 90000"), "{text}");
    app.clock = Clock::Fixed(began + time::Duration::hours(25 + 49));
    assert!(app.is_stale(now), "past maxAge");

    // A damaged cache is no new generation; a restart without a network starts from a good one.
    let cache = stage.folder.path().join(tuf_sources(&app.current().config)[0].cache_file());
    let good = fs::read(&cache).unwrap();
    fs::write(&cache, &good[..100]).unwrap();
    assert_eq!((app.look().await, app.current().number), (Look::Broken, 2));
    assert!(stage.start().await.is_err());
    fs::write(&cache, good).unwrap();
    let again = stage.start().await.unwrap();
    assert_eq!(again.current().engine.roots, renewed);
}
