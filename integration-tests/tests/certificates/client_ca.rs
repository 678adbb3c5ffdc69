//! Gatekeeper's client CA, from its Secret: followed when it is rotated, the name pinned all along.

use countersign::kubernetes::client_ca::{ClientCaError, Follower, OVERLAP};
use integration_tests::pki::{Authority, Identity};

use super::*;

const GATEKEEPER: &str = "gatekeeper-webhook-service.gatekeeper-system.svc";
const CA_SECRET: &str = "gatekeeper-webhook-server-cert";

/// A server with a certificate from files, and a follower of its client CA.
struct Stand {
    cluster: FakeCluster,
    serving: Authority,
    follower: Follower,
    provider: Provider,
    _stage: Stage,
    at: Instant,
}

impl Stand {
    async fn set() -> Self {
        let cluster = FakeCluster::start().await;
        let telemetry = Telemetry::detached(DecisionLog::None, std::io::sink()).unwrap();
        let follower =
            Follower::new(Cluster::new(cluster.client(), Some(NAMESPACE)), CA_SECRET.to_owned(), &telemetry.meter());
        let (stage, serving) = (Stage::set(), Authority::new("serving"));
        let identity = serving.server(&[HOST]);
        stage.write("tls.crt", &identity.certificate_pem);
        stage.write("tls.key", &identity.key_pem);
        let mut configuration = configuration(["127.0.0.1:1"]);
        let server = configuration["server"].as_object_mut().unwrap();
        server.remove("plainHttp");
        server
            .insert("tls".to_owned(), json!({ "certificate": "tls.crt", "key": "tls.key", "clientName": GATEKEEPER }));
        configuration["kubernetes"] = json!({ "clientCaSecret": CA_SECRET });
        stage.configure(&configuration);
        let handed = Handed { certificate: None, client_ca: Some(follower.accepted()) };
        let provider = stage.start_handed(client(), handed, Clock::System).await.unwrap();
        Self { cluster, serving, follower, provider, _stage: stage, at: Instant::now() }
    }

    fn put(&self, text: &str) {
        self.cluster.put_secret(NAMESPACE, CA_SECRET, "Opaque", &[("ca.crt", text), ("ca.key", "not looked at")]);
    }

    async fn look(&mut self) -> Result<(), ClientCaError> {
        self.follower.look(self.at).await
    }

    async fn lets_in(&self, client: &Identity) -> bool {
        talk(self.provider.address(), self.serving.client_config(Some(client))).await.is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_client_ca_is_followed_and_the_former_one_has_ten_minutes() {
    let mut stand = Stand::set().await;
    let (old, new, stranger) = (Authority::new("old"), Authority::new("new"), Authority::new("stranger"));
    let [by_old, by_new] = [&old, &new].map(|authority| authority.client(GATEKEEPER));
    assert_eq!(stand.provider.admin("/readyz").await, (503, "the client CA has not been read yet\n".to_owned()));
    assert!(!stand.lets_in(&by_old).await, "nobody is let in before it was read");
    stand.put(&old.pem());
    stand.look().await.unwrap();
    assert_eq!(stand.provider.admin("/readyz").await.0, 200);
    assert!(stand.lets_in(&by_old).await);
    assert!(!stand.lets_in(&by_new).await);
    stand.put(&new.pem());
    stand.look().await.unwrap();
    assert!(stand.lets_in(&by_old).await && stand.lets_in(&by_new).await, "the overlap");
    stand.at += OVERLAP.checked_sub(Span::from_millis(1)).unwrap();
    stand.look().await.unwrap();
    assert!(stand.lets_in(&by_old).await, "a moment before its end");
    for authority in [&old, &new] {
        assert!(!stand.lets_in(&authority.client("somebody-else")).await, "the name is pinned for both");
    }
    assert!(!stand.lets_in(&stranger.client(GATEKEEPER)).await);
    stand.at += Span::from_millis(1);
    stand.look().await.unwrap();
    assert!(!stand.lets_in(&by_old).await, "its time is over");
    assert!(stand.lets_in(&by_new).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_says_nothing_keeps_the_last_good_client_ca() {
    let mut stand = Stand::set().await;
    let (authority, other) = (Authority::new("gatekeeper"), Authority::new("other"));
    let (client, stranger) = (authority.client(GATEKEEPER), other.client(GATEKEEPER));
    let half = other.pem();
    stand.put(&authority.pem());
    stand.look().await.unwrap();
    for (name, text) in [
        ("empty", ""),
        ("garbage", "garbage"),
        ("half-written", &half[..half.len() / 2]),
        ("whole and half", &format!("{half}{}", &half[..half.len() / 2])),
    ] {
        stand.put(text);
        assert!(matches!(stand.look().await, Err(ClientCaError::Content { .. })), "{name}");
        stand.at += OVERLAP;
        assert!(stand.lets_in(&client).await && !stand.lets_in(&stranger).await, "{name}");
    }
    stand.cluster.remove("secrets", NAMESPACE, CA_SECRET);
    assert!(matches!(stand.look().await, Err(ClientCaError::Absent { .. })));
    stand.cluster.script_always("* *", Fault::status(500));
    assert!(matches!(stand.look().await, Err(ClientCaError::Call { .. })));
    stand.at += OVERLAP;
    assert!(stand.look().await.is_err());
    assert!(stand.lets_in(&client).await && !stand.lets_in(&stranger).await, "the API server is away");
    assert_eq!(stand.provider.admin("/readyz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_returns_is_a_former_one_no_more() {
    let mut stand = Stand::set().await;
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    for text in [one.pem(), two.pem(), format!("{}{}", two.pem(), one.pem())] {
        stand.put(&text);
        stand.look().await.unwrap();
    }
    stand.at += OVERLAP * 2;
    stand.look().await.unwrap();
    assert!(stand.lets_in(&one.client(GATEKEEPER)).await && stand.lets_in(&two.client(GATEKEEPER)).await);
}
