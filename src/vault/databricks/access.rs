//! Which workspace, and as whom: from the settings, the environment and `~/.databrickscfg`, in this order.
//!
//! The host and what proves who we are always come from one place together, so that no token is sent to a host that it
//! is not for: a profile that is asked for by name counts alone; else what the environment has; else the default
//! profile. A host that is named besides must be the profile's.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::environment::Environment;
use super::host::Host;
use super::profile::{self, Profiles};

/// Where, and as whom.
#[derive(Debug)]
pub struct Access {
    /// The workspace.
    pub host: Host,
    /// What proves who asks.
    pub login: Login,
}

/// What proves who asks.
pub enum Login {
    /// A personal access token.
    Token(Zeroizing<String>),
    /// A service principal's id and OAuth secret.
    Client {
        /// Its application id.
        id: String,
        /// Its secret.
        secret: Zeroizing<String>,
    },
}

impl fmt::Debug for Login {
    /// Never what is secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Token(_) => "Token",
            Self::Client { .. } => "Client",
        })
    }
}

/// What one place says.
#[derive(Default)]
struct Said<'a> {
    host: Option<&'a str>,
    token: Option<&'a str>,
    client_id: Option<&'a str>,
    client_secret: Option<&'a str>,
    auth_type: Option<&'a str>,
}

impl<'a> Said<'a> {
    fn by(variables: &'a Environment) -> Self {
        let variable = |name| variables.first(&[name]);
        Self {
            host: variable("DATABRICKS_HOST"),
            token: variable("DATABRICKS_TOKEN"),
            client_id: variable("DATABRICKS_CLIENT_ID"),
            client_secret: variable("DATABRICKS_CLIENT_SECRET"),
            auth_type: variable("DATABRICKS_AUTH_TYPE"),
        }
    }

    fn proves_something(&self) -> bool {
        self.token.is_some() || self.client_secret.is_some()
    }

    /// The one way of proving that is there; two without a choice are refused, for one of them may be somebody else's.
    fn login(&self, place: &str) -> Result<Login, String> {
        let token = self.token.filter(|_| self.auth_type.is_none_or(|kind| kind == "pat"));
        let client = self.client_id.zip(self.client_secret);
        let client = client.filter(|_| self.auth_type.is_none_or(|kind| kind == "oauth-m2m"));
        match (token, client) {
            (Some(_), Some(_)) => Err(format!(
                "{place} has both a token and a service principal's secret; DATABRICKS_AUTH_TYPE (or auth_type) = pat or oauth-m2m says which counts"
            )),
            (Some(token), None) => Ok(Login::Token(header_safe(token, place)?)),
            (None, Some((id, secret))) => {
                Ok(Login::Client { id: id.to_owned(), secret: header_safe(secret, place)? })
            }
            (None, None) => Err(format!(
                "{place} has no token (token, DATABRICKS_TOKEN) and no service principal with its secret (client_id and client_secret, DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET){}",
                self.auth_type
                    .map(|kind| format!(" for the authentication {kind}; pat and oauth-m2m are known here"))
                    .unwrap_or_default()
            )),
        }
    }
}

/// What goes into a header is one line of visible characters.
fn header_safe(secret: &str, place: &str) -> Result<Zeroizing<String>, String> {
    let secret = secret.trim();
    if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "{place} has a token or secret with characters that none has; was it copied whole?"
        ));
    }
    Ok(Zeroizing::new(secret.to_owned()))
}

impl Access {
    /// What the settings' `profile` and `host` and the environment come to.
    pub fn find(
        profile: Option<&str>,
        host: Option<&str>,
        environment: &Environment,
    ) -> Result<Self, String> {
        let said = Said::by(environment);
        let named = profile.or(environment.first(&["DATABRICKS_CONFIG_PROFILE"]));
        if named.is_none() && said.proves_something() {
            let place = "the environment";
            let login = said.login(place)?;
            let host = host.or(said.host).ok_or_else(|| {
                format!("{place} has a token and nothing says for which workspace; set DATABRICKS_HOST")
            })?;
            return Ok(Self { host: parse_host(host)?, login });
        }
        // A profile asked for in the settings has nothing to do with what the environment is for.
        let besides = if profile.is_some() { host } else { host.or(said.host) };
        Self::of_profile(named, besides, environment)
    }

    fn of_profile(
        named: Option<&str>,
        besides: Option<&str>,
        environment: &Environment,
    ) -> Result<Self, String> {
        let path = file(environment)?;
        let text = fs::read_to_string(&path).map(Zeroizing::new).map_err(|error| {
            format!("no credentials for Databricks: set DATABRICKS_HOST and DATABRICKS_TOKEN, or put a profile into {} ({error})", path.display())
        })?;
        let profiles = profile::parse(&text);
        let name = named.map_or_else(|| default_profile(&profiles), str::to_owned);
        let place = format!("the profile {name} in {}", path.display());
        let values = profiles
            .get(&name)
            .filter(|_| name != profile::SETTINGS)
            .ok_or_else(|| format!("there is no profile {name} in {}", path.display()))?;
        let value = |key: &str| values.get(key).map(|value| value.as_str()).filter(|value| !value.is_empty());
        let said = Said {
            host: value("host"),
            token: value("token"),
            client_id: value("client_id"),
            client_secret: value("client_secret"),
            auth_type: value("auth_type"),
        };
        let login = said.login(&place)?;
        let own = said.host.map(parse_host).transpose()?;
        let besides = besides.map(parse_host).transpose()?;
        match (own, besides) {
            (Some(own), Some(besides)) if own != besides => {
                Err(format!("{place} is for {own}, and not for {besides}"))
            }
            (Some(host), _) | (None, Some(host)) => Ok(Self { host, login }),
            (None, None) => Err(format!("{place} has no host")),
        }
    }
}

fn parse_host(text: &str) -> Result<Host, String> {
    Host::parse(text)
        .map_err(|reason| format!("the host of the Databricks workspace cannot be used: {reason}"))
}

fn default_profile(profiles: &Profiles) -> String {
    let chosen = profiles.get(profile::SETTINGS).and_then(|settings| settings.get("default_profile"));
    chosen.map_or_else(|| profile::DEFAULT.to_owned(), |name| name.as_str().to_owned())
}

fn file(environment: &Environment) -> Result<PathBuf, String> {
    let home = environment.first(&["HOME"]).map(PathBuf::from);
    match (environment.first(&["DATABRICKS_CONFIG_FILE"]), home) {
        (Some(path), Some(home)) if path.starts_with("~/") => Ok(home.join(&path[2..])),
        (Some(path), _) => Ok(path.into()),
        (None, Some(home)) => Ok(home.join(".databrickscfg")),
        (None, None) => Err("no credentials for Databricks: set DATABRICKS_HOST and DATABRICKS_TOKEN".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[__settings__]\ndefault_profile = prod\n[prod]\nhost = https://prod.example.com\ntoken = dapi-prod\n[m2m]\nhost = m2m.example.com\nclient_id = id\nclient_secret = dose\n[both]\nhost = b.example.com\ntoken = dapi-both\nclient_id = id\nclient_secret = dose\n[cli]\nhost = c.example.com\nauth_type = databricks-cli\n[open]\ntoken = dapi-open\n";

    fn find(profile: Option<&str>, host: Option<&str>, variables: &[(&str, &str)]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".databrickscfg"), FILE).unwrap();
        let home = ("HOME", folder.path().to_str().unwrap());
        let environment = variables.iter().copied().chain([home]).collect();
        let access = Access::find(profile, host, &environment)?;
        let shown = format!("{access:?}");
        assert!(!shown.contains("dapi") && !shown.contains("dose"), "{shown}");
        Ok(match access.login {
            Login::Token(token) => format!("{} {}", access.host, *token),
            Login::Client { id, secret } => format!("{} {id}:{}", access.host, *secret),
        })
    }

    #[test]
    fn host_and_credentials_come_from_one_place() {
        let env = [("DATABRICKS_HOST", "https://env.example.com/"), ("DATABRICKS_TOKEN", "dapi-env")];
        assert_eq!(find(None, None, &env).unwrap(), "https://env.example.com dapi-env");
        assert_eq!(find(None, Some("x.example.com"), &env).unwrap(), "https://x.example.com dapi-env");
        assert_eq!(find(Some("prod"), None, &env).unwrap(), "https://prod.example.com dapi-prod");
        assert_eq!(find(None, None, &[]).unwrap(), "https://prod.example.com dapi-prod");
        assert_eq!(find(Some("m2m"), None, &[]).unwrap(), "https://m2m.example.com id:dose");
        let named = [env[1], ("DATABRICKS_CONFIG_PROFILE", "m2m")];
        assert_eq!(find(None, None, &named).unwrap(), "https://m2m.example.com id:dose");
        assert_eq!(
            find(Some("open"), Some("o.example.com"), &[]).unwrap(),
            "https://o.example.com dapi-open"
        );
        let both = [("DATABRICKS_CLIENT_ID", "i"), ("DATABRICKS_CLIENT_SECRET", "dose-env"), env[0]];
        assert_eq!(find(None, None, &both).unwrap(), "https://env.example.com i:dose-env");
        let chosen = [env[0], env[1], both[0], both[1], ("DATABRICKS_AUTH_TYPE", "oauth-m2m")];
        assert_eq!(find(None, None, &chosen).unwrap(), "https://env.example.com i:dose-env");
    }

    #[test]
    fn what_would_send_a_token_elsewhere_is_refused() {
        let token = ("DATABRICKS_TOKEN", "dapi-env");
        let refused = [
            (find(None, None, &[token]), "DATABRICKS_HOST"),
            (find(None, None, &[("DATABRICKS_HOST", "other.example.com")]), "not for https://other"),
            (find(Some("prod"), Some("other.example.com"), &[]), "not for https://other"),
            (find(None, Some("http://x.example.com"), &[token]), "https only"),
            (find(Some("both"), None, &[]), "both a token"),
            (find(Some("cli"), None, &[]), "databricks-cli"),
            (find(Some("none"), None, &[]), "no profile none"),
            (find(Some("__settings__"), None, &[]), "no profile"),
            (find(Some("open"), None, &[]), "no host"),
            (find(None, Some("x.example.com"), &[("DATABRICKS_TOKEN", "dapi\nX: y")]), "copied whole"),
            (find(None, None, &[("DATABRICKS_CONFIG_FILE", "/nonexistent")]), "DATABRICKS_TOKEN"),
        ];
        for (found, words) in refused {
            let text = found.unwrap_err();
            assert!(text.contains(words) && !text.contains("dapi") && !text.contains("dose"), "{text}");
        }
    }
}
