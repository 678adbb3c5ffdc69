//! How a registry answers: in time or late, throttling, failing by chance under a seed.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use countersign::oci::media_type;
use serde::{Deserialize, Serialize};

use crate::{
    load::random::Random,
    registry::{Body, Call, Reply, Response},
};

/// How a registry answers. The default is faithful and immediate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Behaviour {
    /// Which host behaves so, by its place; absent: all.
    pub host: Option<usize>,
    /// Milliseconds before each answer.
    pub latency_ms: u64,
    /// Nobody listens.
    pub down: bool,
    /// What goes wrong, each so many times in a thousand; the first that happens is what happens.
    pub faults: Vec<(u16, Fault)>,
    /// Every second answer is a 503.
    pub every_second_fails: bool,
    /// Answers a second; what is above is a 429 with `Retry-After: 1`.
    pub rate_limit: Option<u32>,
    /// A token of its own service is demanded, from now on for good; absent: as before.
    pub tokens: Option<TokenService>,
}

/// How a registry's token service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TokenService {
    /// It answers 503.
    Fails,
    /// It gives tokens to anyone.
    Works,
}

/// What may go wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// The body has a byte changed.
    Corrupt,
    /// Four MiB of opening brackets.
    Deep,
    /// A body without end, as fast as it is taken.
    Endless,
    /// 404.
    NotFound,
    /// A page of a million descriptors, in an index.
    Page,
    /// The connection is reset.
    Reset,
    /// Nothing is ever said.
    Stall,
    /// 429 with `Retry-After: 1`.
    Throttle,
    /// Half the body, then the connection ends.
    Truncate,
    /// 503.
    Unavailable,
}

/// A behaviour in force.
#[derive(Debug, Clone)]
pub(super) struct Conduct(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    behaviour: Behaviour,
    random: Random,
    calls: u64,
    /// Answers that may still be given, in thousandths, and when that was so.
    allowance: (u64, Instant),
}

impl Conduct {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let behaviour = Behaviour::default();
        Self(Arc::new(Mutex::new(State {
            behaviour,
            random: Random::new(seed, stream),
            calls: 0,
            allowance: (0, Instant::now()),
        })))
    }

    pub(super) fn become_as(&self, behaviour: Behaviour) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).behaviour = behaviour;
    }

    /// What is answered to a call.
    pub(super) fn reply(&self, call: &Call) -> Reply {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if call.path() == "/token" {
            let fails = state.behaviour.tokens == Some(TokenService::Fails);
            return if fails { Reply::status(503) } else { Reply::Faithful };
        }
        if state.is_over_its_rate() {
            return Fault::Throttle.reply();
        }
        state.calls = state.calls.wrapping_add(1);
        if state.behaviour.every_second_fails && state.calls.is_multiple_of(2) {
            return Fault::Unavailable.reply();
        }
        let State { behaviour, random, .. } = &mut *state;
        let fault = behaviour.faults.iter().find(|(share, _)| random.happens(*share));
        fault.map_or(Reply::Faithful, |(_, fault)| fault.reply())
    }
}

impl State {
    /// A bucket of a tenth of a second's answers, filled at the rate.
    fn is_over_its_rate(&mut self) -> bool {
        let Some(rate) = self.behaviour.rate_limit else { return false };
        let (rate, now) = (u64::from(rate), Instant::now());
        let passed = now.saturating_duration_since(self.allowance.1);
        let gained = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX).saturating_mul(rate) / 1000;
        let full = rate.saturating_mul(100);
        let has = self.allowance.0.saturating_add(gained).min(full);
        let left = has.checked_sub(1000);
        self.allowance = (left.unwrap_or(has), now);
        left.is_none()
    }
}

impl Fault {
    fn reply(self) -> Reply {
        let in_a_second = |status| Reply::header(status, "Retry-After", "1");
        match self {
            Self::Corrupt => Reply::body(|bytes| Body::Whole(corrupted(&bytes))),
            Self::Deep => Reply::ok(media_type::IMAGE_MANIFEST, Bytes::from_static(&BRACKETS)),
            Self::Endless => Reply::body(|bytes| Body::Endless(bytes, Duration::ZERO)),
            Self::NotFound => Reply::status(404),
            Self::Page => Reply::ok(media_type::IMAGE_INDEX, Bytes::from_static(page())),
            Self::Reset => Reply::Reset(Bytes::new()),
            Self::Stall => Reply::Silent,
            Self::Throttle => in_a_second(429),
            Self::Truncate => Reply::edit(|_, response| {
                let bytes = response.body.bytes();
                let half = bytes.slice(..bytes.len() / 2);
                Response { body: Body::Declared(half, bytes.len().to_string()), ..response }
            }),
            Self::Unavailable => Reply::status(503),
        }
    }
}

static BRACKETS: [u8; 4 << 20] = [b'['; 4 << 20];

/// An index of a million descriptors, made once.
fn page() -> &'static [u8] {
    static PAGE: OnceLock<Vec<u8>> = OnceLock::new();
    PAGE.get_or_init(|| {
        let head = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":["#;
        let one = r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"artifactType":"application/vnd.cncf.notary.signature"}"#;
        let mut bytes = head.as_bytes().to_vec();
        for place in 0..1_000_000 {
            if place > 0 {
                bytes.push(b',');
            }
            bytes.extend_from_slice(one.as_bytes());
        }
        bytes.extend_from_slice(b"]}");
        bytes
    })
}

/// With the middle byte changed.
fn corrupted(bytes: &Bytes) -> Bytes {
    let mut changed = bytes.to_vec();
    let middle = changed.len() / 2;
    if let Some(byte) = changed.get_mut(middle) {
        *byte ^= 1;
    }
    changed.into()
}
