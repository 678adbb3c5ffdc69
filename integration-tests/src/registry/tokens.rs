//! A token service: the Docker token protocol, faithful; scripts make it misbehave.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{Call, Response};
use crate::shelf::to_bytes;

/// What a registry demands before it answers.
#[derive(Debug, Clone, Default)]
pub enum Access {
    /// Nothing.
    #[default]
    Anonymous,
    /// A user name and a password with every call.
    Basic(String, String),
    /// A token of its token service, which is at this realm.
    Token {
        /// The realm's URL as the challenge names it.
        realm: String,
    },
}

/// Tokens given out, each for one scope.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    given: HashMap<String, String>,
    count: usize,
    /// The user that the service demands; anonymous users are given tokens without one.
    user: Option<(String, String)>,
}

impl Tokens {
    pub(super) fn demand(&self, user: &str, password: &str) {
        self.lock().user = Some((user.to_owned(), password.to_owned()));
    }

    pub(super) fn forget(&self) {
        self.lock().given.clear();
    }

    /// Makes a token good for a scope, whoever gives it out.
    pub(super) fn accept(&self, token: &str, scope: &str) {
        self.lock().given.insert(token.to_owned(), scope.to_owned());
    }

    /// `GET /token` and `POST /token`.
    pub(super) fn answer(&self, call: &Call) -> Response {
        let mut state = self.lock();
        let scope = call.query("scope").or_else(|| call.form("scope")).unwrap_or_default();
        if let Some((user, password)) = &state.user
            && call.authorization() != Some(&basic(user, password))
            && call.form("refresh_token").as_deref() != Some(password)
        {
            return Response::new(401, "");
        }
        state.count = state.count.saturating_add(1);
        let token = format!("token-{}", state.count);
        state.given.insert(token.clone(), scope);
        let body = json!({ "token": token, "access_token": token, "expires_in": 300 });
        Response::new(200, to_bytes(&body)).with("Content-Type", "application/json")
    }

    /// The refusal of a call that does not show what is demanded.
    pub(super) fn refuse(&self, access: &Access, call: &Call) -> Option<Response> {
        match access {
            Access::Anonymous => None,
            Access::Basic(user, password) => {
                let shown = call.authorization() == Some(&basic(user, password));
                (!shown).then(|| Response::new(401, "").with("WWW-Authenticate", r#"Basic realm="fake""#))
            }
            Access::Token { realm } => {
                let scope = format!("repository:{}:pull", call.repository().unwrap_or_default());
                let token = call.authorization().and_then(|value| value.strip_prefix("Bearer "));
                let shown = token.is_some_and(|token| self.lock().given.get(token) == Some(&scope));
                let challenge = format!(r#"Bearer realm="{realm}",service="fake",scope="{scope}""#);
                (!shown).then(|| Response::new(401, "").with("WWW-Authenticate", &challenge))
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value of a basic `Authorization`.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
