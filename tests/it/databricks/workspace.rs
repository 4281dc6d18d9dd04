//! A workspace with secret scopes, by the documentation of the Secrets API 2.0: names, limits, access control, errors.
//! Knows no HTTP.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::script::Script;

/// The token of a workspace's administrator.
pub const ADMIN_TOKEN: &str = "dapi-canary-admin-0123456789";
/// An application and its secret.
pub const CLIENT_ID: &str = "5a5a5a5a-0000-4000-8000-5a5a5a5a5a5a";
pub const CLIENT_SECRET: &str = "dose-canary-0123456789abcdef";

/// What differs between workspaces, plans and what is not documented.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Bytes of a value.
    pub max_value_len: usize,
    pub max_secrets: usize,
    pub max_scopes: usize,
    /// Calls in a second.
    pub max_calls: Option<usize>,
    /// Whether keys that differ only in case are one.
    pub keys_fold_case: bool,
    /// Whether the plan has no access control, so that everybody must manage every scope.
    pub needs_users_principal: bool,
    /// How long a bought token lives, and whether that is told as text.
    pub token_life: Duration,
    pub expires_as_text: bool,
    /// By how much the clock is wrong.
    pub skew_ms: i64,
    /// Whether times are told as text.
    pub times_as_text: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            max_value_len: 128_000,
            max_secrets: 1000,
            max_scopes: 1000,
            max_calls: None,
            keys_fold_case: false,
            needs_users_principal: false,
            token_life: Duration::from_secs(3600),
            expires_as_text: false,
            skew_ms: 0,
            times_as_text: false,
        }
    }
}

/// A call that came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub path: String,
    pub at: Instant,
    pub status: u16,
}

#[derive(Debug, Clone)]
pub struct Secret {
    pub key: String,
    pub value: Vec<u8>,
    pub time_ms: i64,
}

#[derive(Debug, Clone)]
pub struct Scope {
    pub name: String,
    pub is_key_vault: bool,
    pub acls: BTreeMap<String, Permission>,
    /// By key, folded where the rules say so.
    pub secrets: BTreeMap<String, Secret>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    Read,
    Write,
    Manage,
}

impl Permission {
    fn parse(word: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Manage].into_iter().find(|permission| permission.word() == word)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::Manage => "MANAGE",
        }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
struct Principal {
    name: String,
    is_admin: bool,
    until: Option<Instant>,
}

/// All of it.
#[derive(Debug)]
pub struct Workspace {
    pub rules: Rules,
    pub script: Script,
    pub seen: Vec<Seen>,
    /// By name in small letters.
    pub scopes: BTreeMap<String, Scope>,
    /// As they were before the last change.
    before: BTreeMap<String, Scope>,
    tokens: HashMap<String, Principal>,
    pub tokens_sold: usize,
    last_time_ms: i64,
}

/// A status, and what goes with it.
pub type Answer = (u16, Value);

type Refusal = Answer;

fn refusal(status: u16, code: &str, message: impl Into<String>) -> Refusal {
    (status, json!({"error_code": code, "message": message.into()}))
}

impl Workspace {
    pub fn new(rules: Rules) -> Self {
        let admin = Principal { name: "admin@example.org".into(), is_admin: true, until: None };
        Self {
            rules,
            script: Script::default(),
            seen: Vec::new(),
            scopes: BTreeMap::new(),
            before: BTreeMap::new(),
            tokens: [(ADMIN_TOKEN.to_owned(), admin)].into(),
            tokens_sold: 0,
            last_time_ms: 0,
        }
    }

    /// Somebody who is no administrator.
    pub fn add_user(&mut self, name: &str, token: &str) {
        self.tokens.insert(token.into(), Principal { name: name.into(), is_admin: false, until: None });
    }

    /// All tokens that were bought are void from now on.
    pub fn revoke_bought_tokens(&mut self) {
        self.tokens.retain(|_, principal| principal.until.is_none());
    }

    /// A scope, with so many secrets of others in it.
    pub fn fill(&mut self, name: &str, secrets: usize) -> &mut Scope {
        let time_ms = self.tick();
        let secret = |n| {
            let key = format!("filler-{name}-{n}");
            (key.clone(), Secret { key, value: b"{}".to_vec(), time_ms })
        };
        let scope = Scope {
            name: name.into(),
            is_key_vault: false,
            acls: [("admin@example.org".to_owned(), Permission::Manage)].into(),
            secrets: (0..secrets).map(secret).collect(),
        };
        self.scopes.entry(name.to_ascii_lowercase()).or_insert(scope)
    }

    /// Puts a secret as another machine would.
    pub fn plant(&mut self, scope: &str, key: &str, value: &[u8]) {
        let secret = Secret { key: key.into(), value: value.into(), time_ms: self.tick() };
        self.fill(scope, 0).secrets.insert(key.into(), secret);
    }

    /// Every scope in which there is this key.
    pub fn scopes_with(&self, key: &str) -> Vec<String> {
        self.scopes
            .values()
            .filter(|scope| scope.secrets.contains_key(key))
            .map(|scope| scope.name.clone())
            .collect()
    }

    /// The ends of the paths of the calls since the last time.
    pub fn take_calls(&mut self) -> Vec<String> {
        let end = |seen: Seen| seen.path.trim_start_matches("/api/2.0/secrets/").to_owned();
        std::mem::take(&mut self.seen).into_iter().map(end).collect()
    }

    fn tick(&mut self) -> i64 {
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64 + self.rules.skew_ms;
        self.last_time_ms = now.max(self.last_time_ms + 1);
        self.last_time_ms
    }

    /// Whether one more call is one too many in this second.
    pub fn is_too_fast(&self, now: Instant) -> bool {
        let recent = |seen: &&Seen| now.duration_since(seen.at) < Duration::from_secs(1);
        self.rules.max_calls.is_some_and(|max| self.seen.iter().rev().take_while(recent).count() >= max)
    }

    /// A token for whoever shows the application's secret.
    pub fn sell_token(&mut self, basic: Option<&str>, form: &[(String, String)]) -> Answer {
        let expected = BASE64.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
        if basic != Some(expected.as_str()) {
            return (
                401,
                json!({"error": "invalid_client", "error_description": "Client authentication failed"}),
            );
        }
        let has = |name: &str, value: &str| form.iter().any(|(n, v)| n == name && v == value);
        if !has("grant_type", "client_credentials") || !has("scope", "all-apis") {
            return (400, json!({"error": "invalid_request"}));
        }
        self.tokens_sold += 1;
        let token = format!("eyJ-canary-{}", self.tokens_sold);
        let until = Some(Instant::now() + self.rules.token_life);
        let principal = Principal { name: CLIENT_ID.into(), is_admin: true, until };
        self.tokens.insert(token.clone(), principal);
        let seconds = self.rules.token_life.as_secs();
        let expires_in = if self.rules.expires_as_text { json!(seconds.to_string()) } else { json!(seconds) };
        (
            200,
            json!({"access_token": token, "token_type": "Bearer", "scope": "all-apis", "expires_in": expires_in}),
        )
    }

    /// One call of the API. `is_stale`: it is answered from before the last change.
    pub fn call(
        &mut self,
        token: Option<&str>,
        method: &str,
        path: &str,
        input: &Map<String, Value>,
        is_stale: bool,
    ) -> Answer {
        let who = match token.map(|token| self.tokens.get(token)) {
            None => {
                return refusal(
                    401,
                    "401",
                    "Credential was not sent or was of an unsupported type for this API.",
                );
            }
            Some(Some(who)) if who.until.is_none_or(|until| Instant::now() < until) => who.clone(),
            // As workspaces do, with the token in the words, which is worse than what they do.
            Some(_) => {
                return refusal(403, "403", format!("Invalid access token. {}", token.unwrap_or_default()));
            }
        };
        if method == "POST" {
            self.before = self.scopes.clone();
        }
        let current = is_stale.then(|| std::mem::replace(&mut self.scopes, self.before.clone()));
        let answered = self.route(&who, method, path, input);
        if let Some(current) = current {
            self.scopes = current;
        }
        answered.unwrap_or_else(|refused| refused)
    }

    fn route(
        &mut self,
        who: &Principal,
        method: &str,
        path: &str,
        input: &Map<String, Value>,
    ) -> Result<Answer, Refusal> {
        let Some(path) = path.strip_prefix("/api/2.0/secrets/") else { return Err(no_endpoint(path)) };
        match (method, path) {
            ("GET", "scopes/list") => Ok(self.list_scopes()),
            ("POST", "scopes/create") => self.create_scope(who, input),
            ("POST", "scopes/delete") => {
                let name = self.scope(who, input, Permission::Manage)?.name.to_ascii_lowercase();
                self.scopes.remove(&name);
                Ok((200, json!({})))
            }
            ("GET", "list") => {
                let as_text = self.rules.times_as_text;
                let scope = self.scope(who, input, Permission::Read)?;
                let listed = scope.secrets.values().map(|secret| {
                    let time =
                        if as_text { json!(secret.time_ms.to_string()) } else { json!(secret.time_ms) };
                    json!({"key": secret.key, "last_updated_timestamp": time})
                });
                let listed: Vec<_> = listed.collect();
                Ok((200, if listed.is_empty() { json!({}) } else { json!({"secrets": listed}) }))
            }
            ("GET", "get") => {
                let folded = self.folded(text(input, "key")?);
                let scope = self.scope(who, input, Permission::Read)?;
                let secret = scope.secrets.get(&folded).ok_or_else(|| no_secret(input))?;
                Ok((200, json!({"key": secret.key, "value": BASE64.encode(&secret.value)})))
            }
            ("POST", "put") => self.put(who, input),
            ("POST", "delete") => {
                let folded = self.folded(text(input, "key")?);
                let scope = self.writable(who, input)?;
                scope.secrets.remove(&folded).map(|_| (200, json!({}))).ok_or_else(|| no_secret(input))
            }
            ("POST", "acls/put") => {
                let principal = text(input, "principal")?.to_owned();
                let permission = Permission::parse(text(input, "permission")?)
                    .ok_or_else(|| refusal(400, "INVALID_PARAMETER_VALUE", "Invalid permission"))?;
                self.scope(who, input, Permission::Manage)?.acls.insert(principal, permission);
                Ok((200, json!({})))
            }
            ("POST", "acls/delete") => {
                let principal = text(input, "principal")?.to_owned();
                self.scope(who, input, Permission::Manage)?.acls.remove(&principal);
                Ok((200, json!({})))
            }
            ("GET", "acls/list") => {
                let scope = self.scope(who, input, Permission::Manage)?;
                let items = scope.acls.iter().map(|(principal, permission)| {
                    json!({"principal": principal, "permission": permission.word()})
                });
                Ok((200, json!({"items": items.collect::<Vec<_>>()})))
            }
            ("GET", "acls/get") => {
                let principal = text(input, "principal")?.to_owned();
                let scope = self.scope(who, input, Permission::Manage)?;
                let permission = scope.acls.get(&principal);
                let permission =
                    permission.ok_or_else(|| refusal(404, "RESOURCE_DOES_NOT_EXIST", "No such ACL"))?;
                Ok((200, json!({"principal": principal, "permission": permission.word()})))
            }
            _ => Err(no_endpoint(path)),
        }
    }

    fn list_scopes(&self) -> Answer {
        let listed = self.scopes.values().map(|scope| match scope.is_key_vault {
            false => json!({"name": scope.name, "backend_type": "DATABRICKS"}),
            true => json!({
                "name": scope.name,
                "backend_type": "AZURE_KEYVAULT",
                "keyvault_metadata": {"resource_id": "/subscriptions/x", "dns_name": "https://x.vault.azure.net/"},
            }),
        });
        let listed: Vec<_> = listed.collect();
        (200, if listed.is_empty() { json!({}) } else { json!({"scopes": listed}) })
    }

    fn create_scope(&mut self, who: &Principal, input: &Map<String, Value>) -> Result<Answer, Refusal> {
        let name = text(input, "scope")?;
        check_name(name, "-_@.", "scope")?;
        let principal = input.get("initial_manage_principal").and_then(Value::as_str);
        match principal {
            None if self.rules.needs_users_principal => {
                let text = "Premium Tier is disabled in this workspace. Secret scopes can only be created with initial_manage_principal \"users\".";
                return Err(refusal(400, "BAD_REQUEST", text));
            }
            Some(other) if other != "users" => {
                return Err(refusal(
                    400,
                    "INVALID_PARAMETER_VALUE",
                    "Only users can be initial_manage_principal",
                ));
            }
            _ => {}
        }
        if self.scopes.contains_key(&name.to_ascii_lowercase()) {
            return Err(refusal(400, "RESOURCE_ALREADY_EXISTS", format!("Scope {name} already exists!")));
        }
        if self.scopes.len() >= self.rules.max_scopes {
            let text =
                format!("The maximum number of secret scopes in a workspace is {}", self.rules.max_scopes);
            return Err(refusal(403, "RESOURCE_LIMIT_EXCEEDED", text));
        }
        let manager = principal.unwrap_or(&who.name).to_owned();
        let scope = Scope {
            name: name.into(),
            is_key_vault: false,
            acls: [(manager, Permission::Manage)].into(),
            secrets: BTreeMap::new(),
        };
        self.scopes.insert(name.to_ascii_lowercase(), scope);
        Ok((200, json!({})))
    }

    fn put(&mut self, who: &Principal, input: &Map<String, Value>) -> Result<Answer, Refusal> {
        let key = text(input, "key")?.to_owned();
        let field = |name| input.get(name).and_then(Value::as_str);
        let value = match (field("string_value"), field("bytes_value")) {
            (Some(text), None) => text.as_bytes().to_vec(),
            (None, Some(encoded)) => BASE64
                .decode(encoded)
                .map_err(|_| refusal(400, "INVALID_PARAMETER_VALUE", "bytes_value is not base64"))?,
            _ => {
                return Err(refusal(
                    400,
                    "MALFORMED_REQUEST",
                    "Exactly one of string_value and bytes_value must be given",
                ));
            }
        };
        let encoded_len = field("bytes_value").map_or(value.len(), str::len);
        let (max_value_len, max_secrets) = (self.rules.max_value_len, self.rules.max_secrets);
        let (folded, time_ms) = (self.folded(&key), self.tick());
        let scope = self.writable(who, input)?;
        check_name(&key, "-_.", "key")?;
        if encoded_len > max_value_len {
            return Err(refusal(400, "INVALID_PARAMETER_VALUE", "The value of the secret exceeds 128 KB"));
        }
        if scope.secrets.len() >= max_secrets && !scope.secrets.contains_key(&folded) {
            let text = format!("The scope {} has the maximum of {max_secrets} secrets", scope.name);
            return Err(refusal(403, "RESOURCE_LIMIT_EXCEEDED", text));
        }
        scope.secrets.insert(folded, Secret { key, value, time_ms });
        Ok((200, json!({})))
    }

    fn folded(&self, key: &str) -> String {
        if self.rules.keys_fold_case { key.to_ascii_lowercase() } else { key.to_owned() }
    }

    fn scope(
        &mut self,
        who: &Principal,
        input: &Map<String, Value>,
        needed: Permission,
    ) -> Result<&mut Scope, Refusal> {
        let name = text(input, "scope")?;
        let scope = self.scopes.get_mut(&name.to_ascii_lowercase());
        let absent = || refusal(404, "RESOURCE_DOES_NOT_EXIST", format!("Scope {name} does not exist!"));
        let scope = scope.ok_or_else(absent)?;
        let granted = ["users", &who.name].into_iter().filter_map(|name| scope.acls.get(name)).max();
        if who.is_admin || granted.is_some_and(|granted| *granted >= needed) {
            return Ok(scope);
        }
        let text = format!("User {} does not have {} permission on scope {name}", who.name, needed.word());
        Err(refusal(403, "PERMISSION_DENIED", text))
    }

    fn writable(&mut self, who: &Principal, input: &Map<String, Value>) -> Result<&mut Scope, Refusal> {
        let scope = self.scope(who, input, Permission::Write)?;
        if scope.is_key_vault {
            return Err(refusal(400, "BAD_REQUEST", "Scopes backed by Azure KeyVault are read-only"));
        }
        Ok(scope)
    }
}

fn text<'a>(input: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refusal> {
    let missing = || refusal(400, "MALFORMED_REQUEST", format!("Missing required field: {name}"));
    input.get(name).and_then(Value::as_str).ok_or_else(missing)
}

fn check_name(name: &str, punctuation: &str, what: &str) -> Result<(), Refusal> {
    let is_known = |c: char| c.is_ascii_alphanumeric() || punctuation.contains(c);
    if name.is_empty() || name.len() > 128 || !name.chars().all(is_known) {
        return Err(refusal(400, "INVALID_PARAMETER_VALUE", format!("Invalid {what} name: {name}")));
    }
    Ok(())
}

fn no_secret(input: &Map<String, Value>) -> Refusal {
    let name = |field: &str| input.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let text = format!("Failed to get secret {} for scope {}.", name("key"), name("scope"));
    refusal(404, "RESOURCE_DOES_NOT_EXIST", text)
}

fn no_endpoint(path: &str) -> Refusal {
    refusal(404, "ENDPOINT_NOT_FOUND", format!("No API found for {path}"))
}
