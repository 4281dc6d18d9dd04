//! Who asks: tokens as they are given, bought and renewed, and profiles.

use std::fs;
use std::time::Duration;

use homekeep::vault::databricks::{DatabricksProvider, DatabricksSettings};
use homekeep::vault::{Provider, ProviderError};

use super::script::Fault;
use super::server::Server;
use super::workspace::{ADMIN_TOKEN, Rules};
use super::{hasty, provider_as, put, settings, users, words};

#[test]
fn a_service_principal_buys_one_token_for_all_calls() {
    for expires_as_text in [false, true] {
        let server = Server::with(Rules { expires_as_text, ..Rules::default() });
        let provider = provider_as(&server.client_variables().into_iter().collect());
        std::thread::scope(|scope| {
            for t in 0..4 {
                let provider = &provider;
                scope.spawn(move || (0..5).for_each(|n| put(provider, &format!("u{t}-{n}"), "1")));
            }
        });
        assert_eq!(users(&provider).len(), 20);
        assert_eq!(server.workspace().tokens_sold, 1);
        let discovered =
            server.workspace().seen.iter().filter(|seen| seen.path.contains("well-known")).count();
        assert_eq!(discovered, 1);
        assert!(!format!("{provider:?}").contains("canary"));
    }
}

#[test]
fn a_token_is_renewed_before_it_expires() {
    let server = Server::with(Rules { token_life: Duration::from_secs(2), ..Rules::default() });
    let provider = provider_as(&server.client_variables().into_iter().collect());
    put(&provider, "ann", "1");
    std::thread::sleep(Duration::from_millis(1100));
    put(&provider, "ann", "2");
    std::thread::sleep(Duration::from_millis(2100));
    put(&provider, "ann", "3");
    assert_eq!(server.workspace().tokens_sold, 3);
    assert!(server.workspace().seen.iter().all(|seen| seen.status == 200), "an expired token was sent");
}

#[test]
fn a_token_that_is_void_before_its_time_is_exchanged_once() {
    let server = Server::start();
    let provider = provider_as(&server.client_variables().into_iter().collect());
    put(&provider, "ann", "1");
    server.workspace().revoke_bought_tokens();
    put(&provider, "ann", "2");
    assert_eq!(server.workspace().tokens_sold, 2);
    // One that is refused for ever is no reason to buy for ever.
    server.workspace().script.add("secrets/put", 0, 100, Fault::coded(401, "UNAUTHENTICATED", "no"));
    let error = provider.put("ann", b"{}").unwrap_err();
    assert!(matches!(error, ProviderError::Denied { .. }), "{error:?}");
    assert_eq!(server.workspace().tokens_sold, 3);
}

#[test]
fn a_token_endpoint_that_is_busy_is_asked_again() {
    let server = Server::start();
    let throttled =
        r#"{"error": "invalid_request", "error_description": "Temporarily throttled, too many requests"}"#;
    server.workspace().script.add("/oidc/v1/token", 0, 2, Fault::Instead(400, &[], throttled.into()));
    server.workspace().script.add("oauth-authorization-server", 0, 1, Fault::Drop);
    let provider = provider_as(&server.client_variables().into_iter().collect());
    put(&provider, "ann", "1");
    assert_eq!(server.workspace().tokens_sold, 1);
}

#[test]
fn who_is_not_known_is_told_so_without_what_was_sent() {
    let server = Server::start();
    let mut wrong = server.client_variables();
    wrong[2].1 = "dose-canary-wrong".into();
    let error = provider_as(&wrong.into_iter().collect()).list().unwrap_err();
    assert!(matches!(error, ProviderError::Denied { .. }), "{error:?}");
    assert!(words(&error).contains("Client authentication failed"));
    let wrong = [("DATABRICKS_HOST", server.url()), ("DATABRICKS_TOKEN", "dapi-canary-wrong".into())];
    let error = provider_as(&wrong.into_iter().collect()).list().unwrap_err();
    assert!(matches!(error, ProviderError::Denied { .. }), "{error:?}");
    assert!(words(&error).contains("Invalid access token. …"), "{error}");
}

#[test]
fn an_endpoint_for_tokens_without_tls_gets_no_secret() {
    let server = Server::start();
    let elsewhere = r#"{"token_endpoint": "http://login.example.com/token"}"#;
    server.workspace().script.add(
        "oauth-authorization-server",
        0,
        1,
        Fault::Instead(200, &[], elsewhere.into()),
    );
    let error = provider_as(&server.client_variables().into_iter().collect()).list().unwrap_err();
    assert!(words(&error).contains("https only"), "{error}");
    assert_eq!(server.workspace().seen.len(), 1);
}

#[test]
fn a_profile_in_the_configuration_file_is_enough() {
    let server = Server::start();
    let home = tempfile::tempdir().unwrap();
    let text = format!("[prod]\nhost = {}/\ntoken = {ADMIN_TOKEN}\n", server.url());
    fs::write(home.path().join(".databrickscfg"), text).unwrap();
    let environment = [("HOME", home.path().to_str().unwrap())].into_iter().collect();
    let settings = DatabricksSettings { profile: Some("prod".into()), ..settings() };
    let provider = DatabricksProvider::new(&settings, &environment, hasty()).unwrap();
    put(&provider, "ann", "1");
    assert_eq!(provider.location(), format!("the Databricks scope \"homekeep\" at {}", server.url()));
    let settings = DatabricksSettings { profile: None, ..settings };
    let error = DatabricksProvider::new(&settings, &environment, hasty()).unwrap_err();
    assert!(words(&error).contains("no profile DEFAULT"), "{error}");
}

#[test]
fn what_cannot_work_is_said_before_any_call() {
    let server = Server::start();
    let wrong = [
        DatabricksSettings { scope: "a b".into(), ..settings() },
        DatabricksSettings { scope: "homekeep-2".into(), ..settings() },
        DatabricksSettings { calls_per_second: 0, ..settings() },
        DatabricksSettings { host: Some("http://example.com".into()), ..settings() },
        DatabricksSettings { profile: Some("none".into()), ..settings() },
    ];
    for settings in wrong {
        let opened = DatabricksProvider::new(&settings, &server.environment(), hasty());
        assert!(matches!(opened, Err(ProviderError::Configuration(_))), "{settings:?}");
    }
    assert!(server.workspace().seen.is_empty());
}
