//! What goes wrong between us and a workspace: what passes is waited for, what landed is not done twice, and what
//! cannot be is said in words that have nothing secret in them.

use std::time::Instant;

use homekeep::vault::databricks::{DatabricksProvider, DatabricksSettings};
use homekeep::vault::{Provider, ProviderError};

use super::script::Fault;
use super::server::Server;
use super::workspace::{ADMIN_TOKEN, Rules};
use super::{hasty, impatient, provider, put, settings, users, words};
use crate::vault_providers::contract::document;

fn passing() -> Vec<Fault> {
    let unavailable = |status| Fault::Instead(status, &[], String::new());
    vec![
        Fault::Drop,
        Fault::DropAfter,
        unavailable(502),
        unavailable(503),
        unavailable(504),
        Fault::page(503, "Upstream is away"),
        Fault::coded(503, "TEMPORARILY_UNAVAILABLE", "busy"),
        Fault::coded(400, "REQUEST_LIMIT_EXCEEDED", "slow down"),
        Fault::coded(500, "INTERNAL_ERROR", "Please try again later"),
        Fault::Instead(429, &[], "plain".into()),
        Fault::After(503, String::new()),
        Fault::After(504, "<html><title>Gateway</title></html>".into()),
    ]
}

#[test]
fn what_passes_is_waited_for_in_every_call() {
    for fault in passing() {
        for call in [
            "scopes/list",
            "scopes/create",
            "secrets/list",
            "secrets/put",
            "secrets/get",
            "secrets/delete",
            "acls/list",
        ] {
            let server = Server::start();
            // A put that landed is not made again, so it cannot fail twice.
            let times = if call == "secrets/put" { 1 } else { 2 };
            server.workspace().script.add(call, 0, times, fault.clone());
            let provider = provider(&server);
            put(&provider, "ann", "1");
            assert_eq!(provider.get("ann").unwrap(), Some(document("ann", "1", 0)), "{call} {fault:?}");
            assert_eq!(users(&provider), ["ann"]);
            assert_eq!(provider.grants().unwrap().len(), 1);
            provider.delete("ann").unwrap();
            assert_eq!(server.workspace().scopes_with("ann"), Vec::<String>::new());
            assert!(server.workspace().script.is_played(), "{call} {fault:?}");
        }
    }
}

#[test]
fn what_does_not_pass_is_told_with_its_kind() {
    type Kind = fn(&ProviderError) -> bool;
    let unavailable: Kind = |error| matches!(error, ProviderError::Unavailable { .. });
    let denied: Kind = |error| matches!(error, ProviderError::Denied { .. });
    let senseless: Kind = |error| matches!(error, ProviderError::Protocol { .. });
    let full: Kind = |error| matches!(error, ProviderError::Full { .. });
    let echo =
        format!("{{\"error_code\": \"BAD_REQUEST\", \"message\": \"Bearer {ADMIN_TOKEN} \\u001b[2J\"}}");
    let cases: Vec<(&'static str, Fault, Kind, &str)> = vec![
        ("scopes/list", Fault::Drop, unavailable, "asked"),
        ("scopes/list", Fault::Instead(503, &[], String::new()), unavailable, "503"),
        ("secrets/list", Fault::coded(403, "PERMISSION_DENIED", "no"), denied, "READ"),
        ("secrets/list", Fault::Instead(302, &[], String::new()), senseless, "private link"),
        ("secrets/list", Fault::page(200, "Sign in"), senseless, "Sign in"),
        ("secrets/list", Fault::Instead(200, &[], "{\"secrets\": 7}".into()), senseless, "JSON"),
        ("secrets/list", Fault::Instead(200, &[], "{\"secrets\": [".into()), senseless, "JSON"),
        (
            "secrets/put",
            Fault::Instead(404, &[], "<html><pre>no such page</pre></html>".into()),
            senseless,
            "no such page",
        ),
        (
            "secrets/put",
            Fault::Instead(400, &[], "MALFORMED_REQUEST: what is this".into()),
            senseless,
            "what is this",
        ),
        ("secrets/put", Fault::Instead(400, &[], echo), senseless, "Bearer …"),
        ("secrets/put", Fault::coded(500, "INTERNAL_ERROR", "oops"), senseless, "oops"),
        ("secrets/put", Fault::coded(403, "PERMISSION_DENIED", "no"), denied, "WRITE"),
        ("scopes/create", Fault::coded(403, "RESOURCE_LIMIT_EXCEEDED", "1000"), full, "homekeep"),
        ("scopes/create", Fault::coded(403, "CUSTOMER_UNAUTHORIZED", "reserved"), denied, "reserved"),
    ];
    for (call, fault, kind, expected) in cases {
        let server = Server::start();
        if call != "scopes/create" {
            server.workspace().fill("homekeep", 1);
        }
        server.workspace().script.add(call, 0, 1_000_000, fault.clone());
        let patience =
            homekeep::vault::databricks::Patience { budget: std::time::Duration::from_millis(50), ..hasty() };
        let provider = DatabricksProvider::new(&settings(), &server.environment(), patience).unwrap();
        let error = provider.put("ann", &document("ann", "1", 0)).unwrap_err();
        assert!(kind(&error), "{call} {fault:?}: {error:?}");
        let text = words(&error);
        assert!(text.contains(expected) && !text.contains('\u{1b}') && !text.contains("secret=1"), "{text}");
        assert!(!format!("{provider:?}").contains("canary"));
    }
}

#[test]
fn only_the_workspace_makes_a_document_absent() {
    let server = Server::start();
    put(&provider(&server), "ann", "1");
    for fault in [
        Fault::page(404, "it does not exist"),
        Fault::Instead(404, &[], String::new()),
        Fault::coded(404, "ENDPOINT_NOT_FOUND", "x"),
    ] {
        server.workspace().script.add("secrets/get", 0, 1, fault.clone());
        assert!(provider(&server).get("ann").is_err(), "{fault:?}");
    }
}

#[test]
fn a_secret_that_is_for_notebooks_only_is_told_so() {
    let server = Server::start();
    put(&provider(&server), "ann", "1");
    server.workspace().script.add(
        "secrets/get",
        0,
        1,
        Fault::coded(400, "BAD_REQUEST", "outside of a notebook"),
    );
    let error = provider(&server).get("ann").unwrap_err();
    assert!(words(&error).contains("cluster"), "{error}");
}

#[test]
fn a_put_whose_answer_was_lost_does_not_overwrite_what_came_after_it() {
    let server = Server::start();
    put(&provider(&server), "ann", "0");
    let first = provider(&server);
    users(&first);
    server.workspace().take_calls();
    server.workspace().script.add("secrets/put", 0, 1, Fault::DropAfter);
    put(&first, "ann", "1");
    assert_eq!(server.workspace().take_calls(), ["put", "get"], "it was put twice");
    // Where it did not land, it is put again.
    server.workspace().script.add("secrets/put", 0, 1, Fault::Drop);
    put(&first, "ann", "2");
    assert_eq!(server.workspace().take_calls(), ["put", "get", "put"]);
    assert_eq!(first.get("ann").unwrap(), Some(document("ann", "2", 0)));
    // Nor is a workspace that only counts calls asked what it has done.
    server.workspace().take_calls();
    server.workspace().script.add("secrets/put", 0, 1, Fault::Instead(429, &[], String::new()));
    put(&first, "ann", "3");
    assert_eq!(server.workspace().take_calls(), ["put", "put"]);
}

#[test]
fn a_put_that_cannot_be_confirmed_may_be_repeated_at_the_same_place() {
    let server = Server::start();
    server.workspace().fill("homekeep", 1000);
    let dying = DatabricksProvider::new(&settings(), &server.environment(), impatient()).unwrap();
    users(&dying);
    server.workspace().script.add("secrets/put", 0, 1, Fault::DropAfter);
    assert!(matches!(dying.put("ann", &document("ann", "1", 0)), Err(ProviderError::Unavailable { .. })));
    server.workspace().scopes.get_mut("homekeep").unwrap().secrets.pop_first();
    put(&dying, "ann", "2");
    assert_eq!(server.workspace().scopes_with("ann"), ["homekeep-2"]);
}

#[test]
fn a_workspace_that_asks_for_quiet_gets_it_from_every_thread() {
    let server = Server::start();
    let provider = provider(&server);
    users(&provider);
    put(&provider, "ann", "0");
    server.workspace().take_calls();
    server.workspace().script.add("secrets/put", 3, 1, Fault::throttled());
    std::thread::scope(|scope| {
        for t in 0..3 {
            let provider = &provider;
            scope.spawn(move || (0..20).for_each(|n| put(provider, &format!("u{t}"), &n.to_string())));
        }
    });
    let workspace = server.workspace();
    let turned_away = workspace.seen.iter().find(|seen| seen.status == 429).unwrap().at;
    let later: Vec<_> = workspace
        .seen
        .iter()
        .filter(|seen| seen.at > turned_away)
        .map(|seen| seen.at - turned_away)
        .collect();
    // Those that were on their way already still come.
    let early = later.iter().filter(|after| after.as_millis() < 990).count();
    assert!(early <= 3 && later.len() >= 50, "{early} of {}", later.len());
}

#[test]
fn the_own_limit_keeps_all_threads_below_the_workspaces() {
    let server = Server::with(Rules { max_calls: Some(41), ..Rules::default() });
    let settings = DatabricksSettings { calls_per_second: 40, ..settings() };
    let provider = DatabricksProvider::new(&settings, &server.environment(), hasty()).unwrap();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for t in 0..4 {
            let provider = &provider;
            scope.spawn(move || (0..15).for_each(|n| put(provider, &format!("u{t}-{n}"), "1")));
        }
    });
    assert!(began.elapsed().as_millis() >= 1400, "60 puts at 40 a second");
    let calls = server.workspace().take_calls();
    assert!(calls.len() <= 64, "{} calls: some were turned away", calls.len());
    assert_eq!(users(&provider).len(), 60);
}

#[test]
fn nobody_there_is_told_soon() {
    let server = Server::start();
    let environment = server.environment();
    drop(server);
    let error = super::provider_as(&environment).list().unwrap_err();
    assert!(matches!(&error, ProviderError::Unavailable { .. }), "{error:?}");
    assert!(words(&error).contains("asked 3 times"));
}
