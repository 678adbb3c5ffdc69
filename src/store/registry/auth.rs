//! Who we are to a registry: challenges, realms, tokens, credentials.
//!
//! ```text
//! 401 ──► Challenge ──realm rules──► Known (by origin) ──credential──► Token (single-flight, by Key) ──► Authorization
//! ```
//! Credentials go to the origin that they are configured for and to token services allowed for it, nowhere else (R7).

pub(super) mod challenge;
pub(super) mod credentials;
mod docker_config;
mod helper;
pub(super) mod pull_secrets;
mod token;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use moka::Expiry;
use reqwest::{
    StatusCode,
    header::{HeaderValue, WWW_AUTHENTICATE},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use self::{challenge::Challenge, token::Token};
use super::{
    super::StoreError,
    metrics::Kind,
    origin::Origin,
    rule::{Role, Rule},
    transport::{Ask, Reply, Transport, redirect_target},
};
use crate::{
    json,
    oci::Digest,
    reason::{chain, printable},
};

/// Reads a JSON object into a type. Without this an array would pass as the type's members in order. The error says
/// where reading stopped, and repeats nothing.
fn read_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let value = json::parse(bytes, json::DOCUMENT_DEPTH).map_err(|error| {
        let (line, column) = error.position();
        format!("no JSON document (line {line}, column {column})")
    })?;
    if !value.is_object() {
        return Err("no JSON object".to_owned());
    }
    serde_json::from_value(value).map_err(|_| "a JSON object with other members than expected".to_owned())
}

/// What identifies us.
pub(super) enum Credential {
    /// An OAuth2 refresh token (Docker's `identitytoken`).
    Identity(SecretString),
    /// A user and a password.
    Password { username: String, password: SecretString },
}

impl Credential {
    /// Refuses control characters, and a colon in the user's name, which would shift into the password (RFC 7617).
    fn password(username: String, password: String) -> Result<Self, String> {
        if username.contains(':') || username.chars().chain(password.chars()).any(char::is_control) {
            return Err("user or password has a character that cannot be sent".to_owned());
        }
        Ok(Self::Password { username, password: password.into() })
    }

    /// Differs where the credential does, and tells nothing else about it.
    fn id(&self) -> Digest {
        let (kind, user, secret) = match self {
            Self::Identity(token) => ("identity", "", token.expose_secret()),
            Self::Password { username, password } => ("password", username.as_str(), password.expose_secret()),
        };
        Digest::sha256(format!("{kind}:{}:{user}{secret}", user.len()).as_bytes())
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Identity(_) => "Identity(…)",
            Self::Password { .. } => "Password(…)",
        })
    }
}

/// On whose behalf a request is authorized.
#[derive(Debug, Clone, Copy)]
pub(super) struct Party<'a> {
    pub(super) rule: &'a Rule,
    pub(super) origin: &'a Origin,
    /// The repository's path.
    pub(super) path: &'a str,
    pub(super) deadline: Instant,
}

/// A header to send, and the token in it, if it is one.
#[derive(Debug, Clone)]
pub(super) struct Authorization {
    pub(super) header: HeaderValue,
    token: Option<(Key, Arc<Token>)>,
}

/// How an origin wants to be asked; its realm has passed the rules.
#[derive(Debug, Clone)]
enum Known {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

/// A token is for one registry, service, repository and credential (REG-39).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    origin: Origin,
    realm: Url,
    service: Option<String>,
    scope: String,
    credential: Option<Digest>,
}

/// Why there is no token. Given to all who waited for it.
#[derive(Debug, Clone, thiserror::Error)]
enum TokenError {
    #[error("{rule}")]
    Denied { realm: String, rule: String },
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Throttled(String),
}

struct Lifetime;

impl Expiry<Key, Arc<Token>> for Lifetime {
    fn expire_after_create(&self, _: &Key, token: &Arc<Token>, _: std::time::Instant) -> Option<Duration> {
        Some(token.lifetime)
    }
}

/// Bounds of what is remembered (REG-39, requirement 9).
const MAX_TOKENS: u64 = 4096;
const MAX_ORIGINS: u64 = 4096;
/// Longest realm (REG-45).
const MAX_REALM_BYTES: usize = 2048;

/// Remembers how origins want to be asked, and tokens.
#[derive(Debug)]
pub(super) struct Authorizer {
    known: moka::sync::Cache<Origin, Known>,
    tokens: moka::future::Cache<Key, Arc<Token>>,
}

impl Authorizer {
    pub(super) fn new() -> Self {
        let known = moka::sync::Cache::builder();
        let tokens = moka::future::Cache::builder();
        Self {
            known: known.max_capacity(MAX_ORIGINS).time_to_live(Duration::from_mins(10)).build(),
            tokens: tokens.max_capacity(MAX_TOKENS).expire_after(Lifetime).build(),
        }
    }

    /// What to send unasked: what the origin wanted last time.
    pub(super) async fn usual(
        &self,
        transport: &Transport,
        party: Party<'_>,
    ) -> Result<Option<Authorization>, StoreError> {
        match self.known.get(party.origin) {
            Some(known) => self.authorize(transport, party, known).await.map(Some),
            None => Ok(None),
        }
    }

    /// What to send after `reply` refused `used`. The one refresh of an operation (REG-37).
    pub(super) async fn answer(
        &self,
        transport: &Transport,
        party: Party<'_>,
        reply: &Reply,
        used: Option<Authorization>,
    ) -> Result<Authorization, StoreError> {
        if let Some((key, token)) = used.and_then(|used| used.token)
            && self.tokens.get(&key).await.is_some_and(|kept| Arc::ptr_eq(&kept, &token))
        {
            // Another call may have put a fresh one there meanwhile; that one stays.
            self.tokens.invalidate(&key).await;
        }
        party.rule.credentials.forget();
        if reply.status != StatusCode::UNAUTHORIZED
            && let Some(known) = self.known.get(party.origin)
        {
            return self.authorize(transport, party, known).await;
        }
        let values = reply.headers.get_all(WWW_AUTHENTICATE).iter().map(HeaderValue::as_bytes);
        let challenge = challenge::parse(values).map_err(|detail| refused(party, detail))?;
        let known = match challenge {
            Challenge::Basic => Known::Basic,
            Challenge::Bearer { realm, service } => {
                let realm = check_realm(party, &realm).inspect_err(|_| transport.metrics.realm_denied())?;
                Known::Bearer { realm, service }
            }
        };
        self.known.insert(party.origin.clone(), known.clone());
        self.authorize(transport, party, known).await
    }

    async fn authorize(
        &self,
        transport: &Transport,
        party: Party<'_>,
        known: Known,
    ) -> Result<Authorization, StoreError> {
        let credential = party.rule.credentials.find(party.origin, party.path).await;
        let credential = credential.map_err(|detail| refused(party, &detail))?;
        let (realm, service) = match known {
            Known::Basic => {
                let credential =
                    credential.ok_or_else(|| refused(party, "it asks for a password, and none is configured"))?;
                let header = basic(&credential).map_err(|detail| refused(party, detail))?;
                return Ok(Authorization { header, token: None });
            }
            Known::Bearer { realm, service } => (realm, service),
        };
        let key = Key {
            origin: party.origin.clone(),
            realm,
            service,
            scope: format!("repository:{}:pull", party.path),
            credential: credential.as_ref().map(|credential| credential.id()),
        };
        let token = if let Some(token) = self.tokens.get(&key).await {
            Ok(token)
        } else {
            let fetch = Box::pin(fetch(transport, party, &key, credential.as_deref()));
            Box::pin(self.tokens.try_get_with_by_ref(&key, fetch)).await
        };
        let token = token.map_err(|error: Arc<TokenError>| match &*error {
            TokenError::Denied { realm, rule } => {
                transport.metrics.realm_denied();
                StoreError::RealmDenied { registry: party.origin.to_string(), realm: realm.clone(), rule: rule.clone() }
            }
            TokenError::Failed(detail) => refused(party, detail),
            TokenError::Throttled(detail) => {
                StoreError::RateLimited { registry: party.origin.to_string(), detail: detail.clone() }
            }
        })?;
        let text = SecretString::from(format!("Bearer {}", token.secret.expose_secret()));
        let header = header(&text).map_err(|detail| refused(party, detail))?;
        Ok(Authorization { header, token: Some((key, token)) })
    }
}

/// The error for credentials that were refused, or could not be had.
pub(super) fn refused(party: Party<'_>, detail: &str) -> StoreError {
    StoreError::Auth {
        registry: party.origin.to_string(),
        repository: party.path.to_owned(),
        detail: printable(detail, 300),
    }
}

/// Checks the token service that a registry names (REG-40 to REG-45). Nothing was sent to it, and nothing is on an error.
fn check_realm(party: Party<'_>, text: &str) -> Result<Url, StoreError> {
    let check = || {
        if text.len() > MAX_REALM_BYTES {
            return Err(format!("longer than {MAX_REALM_BYTES} bytes"));
        }
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        if url.fragment().is_some() {
            return Err("a URL with a fragment".to_owned());
        }
        let target = redirect_target(&url)?;
        if target.plain && !party.origin.plain {
            return Err("plain http, while the registry has TLS".to_owned());
        }
        party.rule.check(party.origin, &target, Role::Realm)?;
        Ok(url)
    };
    check().map_err(|rule| StoreError::RealmDenied {
        registry: party.origin.to_string(),
        realm: realm_text(text),
        rule,
    })
}

/// Its scheme and host: all that an operator lists. The rest may be anything that the registry saw of us (OPS-14).
fn realm_text(text: &str) -> String {
    match Url::parse(text).ok().and_then(|url| Some(format!("{}://{}", url.scheme(), url.host_str()?))) {
        Some(realm) => printable(&realm, 200),
        None => "(no URL with a host)".to_owned(),
    }
}

/// Fetches a token for exactly `key.scope`, whatever the challenge asked for.
async fn fetch(
    transport: &Transport,
    party: Party<'_>,
    key: &Key,
    credential: Option<&Credential>,
) -> Result<Arc<Token>, TokenError> {
    let mut url = key.realm.clone();
    let (mut form, mut authorization) = (None, None);
    match credential {
        Some(Credential::Identity(refresh)) => {
            let mut body = form_urlencoded::Serializer::new(String::new());
            body.append_pair("grant_type", "refresh_token").append_pair("client_id", "countersign");
            body.append_pair("scope", &key.scope).append_pair("refresh_token", refresh.expose_secret());
            if let Some(service) = &key.service {
                body.append_pair("service", service);
            }
            form = Some(SecretString::from(body.finish()));
        }
        Some(password @ Credential::Password { username, .. }) => {
            url.query_pairs_mut().append_pair("account", username);
            authorization = Some(basic(password).map_err(|detail| TokenError::Failed(detail.to_owned()))?);
        }
        None => {}
    }
    if form.is_none() {
        let mut query = url.query_pairs_mut();
        if let Some(service) = &key.service {
            query.append_pair("service", service);
        }
        query.append_pair("scope", &key.scope);
    }
    let ask = Ask {
        rule: party.rule,
        registry: party.origin,
        url,
        role: Role::Realm,
        kind: Kind::Token,
        accept: "application/json",
        authorization,
        form: form.as_ref(),
        limit: transport.limits.token_bytes,
        descriptor: None,
        what: "a token",
        deadline: party.deadline,
    };
    let reply = transport.send(&ask).await.map_err(|error| token_error(&error))?;
    match reply.status {
        StatusCode::OK => Token::parse(&reply.body).map(Arc::new).map_err(|detail| failed(&key.realm, detail)),
        StatusCode::TOO_MANY_REQUESTS => Err(TokenError::Throttled("its token service answers 429".to_owned())),
        status => Err(failed(&key.realm, &format!("it answers {}", status.as_u16()))),
    }
}

fn failed(realm: &Url, detail: &str) -> TokenError {
    TokenError::Failed(format!("token service {}: {detail}", realm.host_str().unwrap_or_default()))
}

fn token_error(error: &StoreError) -> TokenError {
    let text = format!("no token: {}", chain(error));
    if let StoreError::RealmDenied { realm, rule, .. } = error {
        TokenError::Denied { realm: realm.clone(), rule: rule.clone() }
    } else if matches!(error, StoreError::RateLimited { .. }) {
        TokenError::Throttled(text)
    } else {
        TokenError::Failed(text)
    }
}

fn basic(credential: &Credential) -> Result<HeaderValue, &'static str> {
    match credential {
        Credential::Identity(_) => Err("it asks for a password, and an identity token is configured"),
        Credential::Password { username, password } => {
            let pair = SecretString::from(format!("{username}:{}", password.expose_secret()));
            header(&SecretString::from(format!("Basic {}", STANDARD.encode(pair.expose_secret()))))
        }
    }
}

fn header(text: &SecretString) -> Result<HeaderValue, &'static str> {
    let mut value =
        HeaderValue::from_str(text.expose_secret()).map_err(|_| "its token or password could not stand in a header")?;
    value.set_sensitive(true);
    Ok(value)
}
