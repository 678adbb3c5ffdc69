use std::time::Duration;

use futures_util::{FutureExt as _, future::join_all};
use tokio::task::yield_now;

use super::*;
use crate::tenant::Namespace;

fn limits(in_flight: usize, in_flight_per_tenant: usize) -> Limits {
    Limits { in_flight, in_flight_per_tenant, ..Limits::default() }
}

fn team(name: &str) -> Tenant {
    Tenant::Namespace(Namespace::parse(name).unwrap())
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(10)
}

fn late() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

impl Places {
    /// Places taken, waiting, tenants known.
    fn counts(&self) -> (usize, usize, usize) {
        let state = self.0.state();
        (state.taken, state.waiting, state.tenants.len())
    }
}

// TEN-08: a tenant that floods waits for its own places.
#[tokio::test]
async fn places_are_given_up_to_the_limit_and_not_one_more() {
    let places = Places::new(&limits(3, 2));
    let team = team("team");
    let first = places.take(&team, soon()).await.unwrap();
    let second = places.take(&team, soon()).await.unwrap();
    assert_eq!(places.take(&team, soon()).await.unwrap_err(), Full::Tenant);
    let third = places.take(&Tenant::Cluster, soon()).await.unwrap();
    assert_eq!(places.take(&Tenant::Cluster, soon()).await.unwrap_err(), Full::Total);
    drop(first);
    drop(places.take(&Tenant::Cluster, soon()).await.unwrap());
    assert_eq!(places.counts(), (2, 0, 2));
    drop((second, third));
    assert_eq!(places.counts(), (0, 0, 0), "nobody is remembered");
}

#[tokio::test]
async fn the_queue_is_bounded_and_told_at_once() {
    let places = Places::new(&Limits { in_flight: 1, queued: 2, ..Limits::default() });
    let held = places.take(&Tenant::Cluster, late()).await.unwrap();
    let wait = || places.take(&Tenant::Cluster, late());
    let third = async {
        let refused = wait().await;
        drop(held);
        refused.unwrap_err()
    };
    let (first, second, third) =
        tokio::join!(async { wait().await.map(drop) }, async { wait().await.map(drop) }, third);
    assert_eq!((first, second, third), (Ok(()), Ok(()), Full::Queue));
}

// TEN-08: nor does it fill the queue for the others.
#[tokio::test]
async fn a_tenant_has_a_share_of_the_queue() {
    let limits = Limits { in_flight: 4, in_flight_per_tenant: 2, queued: 6, ..Limits::default() };
    assert_eq!(limits.queued_per_tenant(), 3);
    let places = Places::new(&limits);
    let (flood, quiet) = (team("flood"), team("quiet"));
    let held = join_all((0..2).map(|_| places.take(&flood, late()))).await;
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(places.take(&flood, late()))).collect();
    for one in &mut waiting {
        assert!(one.now_or_never().is_none());
    }
    assert_eq!(places.take(&flood, late()).await.unwrap_err(), Full::TenantQueue);
    assert!(places.take(&quiet, late()).await.is_ok());
    drop((held, waiting));
    assert_eq!(places.counts(), (0, 0, 0));
}

#[tokio::test]
async fn who_holds_fewest_comes_first_and_of_one_tenant_who_came_first() {
    let places = Arc::new(Places::new(&limits(4, 4)));
    let (flood, quiet) = (team("flood"), team("quiet"));
    let mut held: Vec<Place> = Vec::new();
    for _ in 0..4 {
        held.push(places.take(&flood, late()).await.unwrap());
    }
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for (tenant, name) in [(&flood, "flood 1"), (&flood, "flood 2"), (&quiet, "quiet 1"), (&quiet, "quiet 2")] {
        let (shared, list, tenant) = (Arc::clone(&places), Arc::clone(&served), tenant.clone());
        waiting.push(tokio::spawn(async move {
            let place = shared.take(&tenant, late()).await.unwrap();
            list.lock().unwrap().push(name);
            place
        }));
        while places.counts().1 < waiting.len() {
            yield_now().await;
        }
    }
    for count in 1..=4 {
        drop(held.pop());
        while served.lock().unwrap().len() < count {
            yield_now().await;
        }
    }
    // The flood holds three, two, then one and the quiet none, one, then two.
    assert_eq!(*served.lock().unwrap(), ["quiet 1", "quiet 2", "flood 1", "flood 2"]);
    drop(join_all(waiting).await);
    assert_eq!(places.counts(), (0, 0, 0));
}

#[tokio::test]
async fn who_gives_up_leaves_nothing_behind() {
    let places = Places::new(&limits(1, 1));
    let held = places.take(&Tenant::Cluster, late()).await.unwrap();
    let mut gone = Box::pin(places.take(&Tenant::Cluster, late()));
    assert!((&mut gone).now_or_never().is_none());
    let team = team("team");
    let mut stays = Box::pin(places.take(&team, late()));
    assert!((&mut stays).now_or_never().is_none());
    assert_eq!(places.counts(), (1, 2, 2));
    // It is handed the place, and goes away before it looks.
    drop(held);
    drop(gone);
    assert!(stays.await.is_ok());
    assert_eq!(places.counts(), (0, 0, 0));
    assert_eq!(places.take(&Tenant::Cluster, soon()).await.map(drop), Ok(()));
}

// Tasks that take, hold, give up: in the end all places are free, and never were there too many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_are_neither_lost_nor_doubled() {
    let places = Arc::new(Places::new(&limits(8, 3)));
    let tasks = (0..400_u32).map(|number| {
        let places = Arc::clone(&places);
        tokio::spawn(async move {
            let tenant = match number % 5 {
                0 => Tenant::Cluster,
                other => team(&format!("team-{other}")),
            };
            let wait = Duration::from_micros(u64::from(number % 7) * 300);
            if let Ok(place) = places.take(&tenant, Instant::now() + wait).await {
                let (taken, _, _) = places.counts();
                assert!(taken <= 8, "{taken}");
                for _ in 0..number % 11 {
                    yield_now().await;
                }
                drop(place);
            }
        })
    });
    for task in join_all(tasks.collect::<Vec<_>>()).await {
        task.unwrap();
    }
    assert_eq!(places.counts(), (0, 0, 0));
}
