//! The calls of the Secrets API 2.0 that are used, with their fields. Knows no user and no placement.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::client::{Answer, Call, CallError, Client};
use super::fault::Meaning;

/// What cannot be written to.
const KEY_VAULT: &str = "AZURE_KEYVAULT";

/// A scope, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeListed {
    /// Its name.
    pub name: String,
    /// Whether it only shows what an Azure Key Vault has.
    pub is_read_only: bool,
}

/// A secret, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SecretListed {
    /// Its key.
    pub key: String,
    /// When it was put, in milliseconds since 1970.
    #[serde(default, rename = "last_updated_timestamp", deserialize_with = "number_or_text")]
    pub time_ms: Option<i64>,
}

/// Whom a scope lets do what.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AclListed {
    /// A user, a service principal or a group.
    pub principal: String,
    /// `READ`, `WRITE` or `MANAGE`.
    pub permission: String,
}

/// Numbers come as numbers or as text.
fn number_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

/// Of an answer that has nothing in it.
#[derive(Deserialize)]
struct Nothing {}

/// Everything there is of this kind.
fn list<T>(client: &Client, path: &'static str, query: &[(&str, &str)]) -> Result<T, CallError>
where
    T: serde::de::DeserializeOwned,
{
    Ok(client.call(&Call::Get { path, query })?.value)
}

/// Every scope of the workspace.
pub fn list_scopes(client: &Client) -> Result<Vec<ScopeListed>, CallError> {
    #[derive(Deserialize)]
    struct Scopes {
        #[serde(default)]
        scopes: Vec<Scope>,
    }
    #[derive(Deserialize)]
    struct Scope {
        name: String,
        #[serde(default)]
        backend_type: String,
        #[serde(default)]
        keyvault_metadata: Option<Value>,
    }
    let listed: Scopes = list(client, "/api/2.0/secrets/scopes/list", &[])?;
    let scopes = listed.scopes.into_iter().map(|scope| ScopeListed {
        is_read_only: scope.backend_type == KEY_VAULT || scope.keyvault_metadata.is_some(),
        name: scope.name,
    });
    Ok(scopes.collect())
}

/// Makes a scope.
pub fn create_scope(
    client: &Client,
    scope: &str,
    initial_manage_principal: Option<&str>,
) -> Result<(), CallError> {
    #[derive(Serialize)]
    struct Create<'a> {
        scope: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        initial_manage_principal: Option<&'a str>,
    }
    let body = json(&Create { scope, initial_manage_principal })?;
    client.call::<Nothing>(&Call::Post { path: "/api/2.0/secrets/scopes/create", body: &body }).map(drop)
}

/// Every secret of a scope.
pub fn list_secrets(client: &Client, scope: &str) -> Result<Vec<SecretListed>, CallError> {
    #[derive(Deserialize)]
    struct Secrets {
        #[serde(default)]
        secrets: Vec<SecretListed>,
    }
    let listed: Secrets = list(client, "/api/2.0/secrets/list", &[("scope", scope)])?;
    Ok(listed.secrets)
}

/// Whom a scope lets do what.
pub fn list_acls(client: &Client, scope: &str) -> Result<Vec<AclListed>, CallError> {
    #[derive(Deserialize)]
    struct Acls {
        #[serde(default)]
        items: Vec<AclListed>,
    }
    let listed: Acls = list(client, "/api/2.0/secrets/acls/list", &[("scope", scope)])?;
    Ok(listed.items)
}

const GET_PATH: &str = "/api/2.0/secrets/get";

#[derive(Deserialize)]
struct Gotten {
    #[serde(default)]
    value: String,
}

impl Gotten {
    fn bytes(&self) -> Result<Vec<u8>, CallError> {
        let senseless = |_| CallError::Senseless("the value of a secret is not base64".into());
        BASE64.decode(self.value.as_bytes()).map_err(senseless)
    }
}

/// A secret's bytes; none if there is no such secret or scope.
pub fn get_secret(client: &Client, scope: &str, key: &str) -> Result<Option<Vec<u8>>, CallError> {
    let query = [("scope", scope), ("key", key)];
    match client.call::<Gotten>(&Call::Get { path: GET_PATH, query: &query }) {
        Ok(gotten) => gotten.value.bytes().map(Some),
        Err(CallError::Refused(fault)) if fault.meaning() == Meaning::Absent => Ok(None),
        Err(error) => Err(error),
    }
}

/// How a value travels.
#[derive(Serialize)]
struct Put<'a> {
    scope: &'a str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_value: Option<&'a str>,
}

/// A document that is text goes as text.
fn as_text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| !text.contains('\0'))
}

/// As many bytes as the workspace counts for a value.
pub fn stored_len(value: &[u8]) -> usize {
    if as_text(value).is_some() { value.len() } else { value.len().div_ceil(3) * 4 }
}

/// Puts a secret in place of what is there.
///
/// A try that broke off may have done it. Before the next, it is looked at what is there: what was put is not put
/// again, for somebody may have read it meanwhile, and be about to put what builds on it.
pub fn put_secret(client: &Client, scope: &str, key: &str, value: &[u8]) -> Result<Answer<()>, CallError> {
    let string_value = as_text(value);
    let encoded = if string_value.is_none() { Some(BASE64.encode(value)) } else { None };
    let body = json(&Put { scope, key, string_value, bytes_value: encoded.as_deref() })?;
    let put = Call::Post { path: "/api/2.0/secrets/put", body: &body };
    let query = [("scope", scope), ("key", key)];
    let look = Call::Get { path: GET_PATH, query: &query };
    let mut tries = client.tries();
    let mut may_be_done = false;
    loop {
        if may_be_done {
            match client.try_once::<Gotten>(&look, tries.began_at) {
                Ok(found) if found.value.bytes()? == value => {
                    return Ok(Answer { value: (), within_ms: found.within_ms });
                }
                Err(CallError::Passing(passing)) => {
                    tries.wait(passing)?;
                    continue;
                }
                // Whoever may write may still not read; what the try to put says counts.
                Ok(_) | Err(_) => {}
            }
        }
        match client.try_once::<Nothing>(&put, tries.began_at) {
            Ok(done) => return Ok(Answer { value: (), within_ms: done.within_ms }),
            Err(CallError::Passing(passing)) => {
                may_be_done |= passing.may_be_done;
                tries.wait(passing)?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Removes a secret. That there is none, also because a try that broke off removed it, is no error.
pub fn delete_secret(client: &Client, scope: &str, key: &str) -> Result<(), CallError> {
    #[derive(Serialize)]
    struct Delete<'a> {
        scope: &'a str,
        key: &'a str,
    }
    let body = json(&Delete { scope, key })?;
    match client.call::<Nothing>(&Call::Post { path: "/api/2.0/secrets/delete", body: &body }) {
        Err(CallError::Refused(fault)) if fault.meaning() == Meaning::Absent => Ok(()),
        deleted => deleted.map(drop),
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, CallError> {
    serde_json::to_vec(value).map_err(|error| CallError::Senseless(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_as_numbers_or_as_text() {
        for text in
            [r#"{"key": "k", "last_updated_timestamp": 5}"#, r#"{"key": "k", "last_updated_timestamp": "5"}"#]
        {
            assert_eq!(serde_json::from_str::<SecretListed>(text).unwrap().time_ms, Some(5));
        }
        assert_eq!(serde_json::from_str::<SecretListed>(r#"{"key": "k"}"#).unwrap().time_ms, None);
    }

    #[test]
    fn what_is_no_text_counts_as_it_travels() {
        assert_eq!(stored_len("ü".as_bytes()), 2);
        assert_eq!(stored_len(b"\xff\xff\xff\xff"), 8);
        assert_eq!(stored_len(b"a\0b"), 4);
    }
}
