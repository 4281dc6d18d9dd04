//! Which calls an operation costs, and that every user has one place, whatever limits, crashes and other machines do.

use std::thread;

use homekeep::vault::databricks::{DatabricksProvider, DatabricksSettings};
use homekeep::vault::{Grant, Provider, ProviderError, Written};

use super::script::Fault;
use super::server::Server;
use super::workspace::{Permission, Rules};
use super::{hasty, impatient, provider, provider_as, put, settings, users, words};
use crate::vault_providers::contract::document;

#[test]
fn a_run_costs_a_listing_and_a_call_for_each_user() {
    let server = Server::start();
    let first = provider(&server);
    for n in 0..30 {
        put(&first, &format!("user{n}@example.org"), "1");
    }
    server.workspace().fill("homekeep-2", 5);
    server.workspace().fill("another", 5);
    server.workspace().take_calls();

    let second = provider(&server);
    assert_eq!(users(&second).len(), 35);
    assert_eq!(server.workspace().take_calls(), ["scopes/list", "list", "list"]);
    put(&second, "user7@example.org", "2");
    put(&second, "new@example.org", "1");
    assert_eq!(server.workspace().take_calls(), ["put", "put"]);
    assert!(second.get("new@example.org").unwrap().is_some());
    assert!(second.get("user3@example.org").unwrap().is_some());
    assert_eq!(server.workspace().take_calls(), ["get", "get"]);
}

#[test]
fn the_first_user_ever_makes_the_scope() {
    let server = Server::start();
    let provider = provider(&server);
    assert_eq!(users(&provider), Vec::<String>::new());
    assert_eq!(server.workspace().take_calls(), ["scopes/list"]);
    put(&provider, "ann@example.org", "1");
    assert_eq!(server.workspace().take_calls(), ["scopes/create", "scopes/list", "list", "put"]);
    assert_eq!(server.workspace().scopes_with("ann_40example.org"), ["homekeep"]);
    assert_eq!(server.workspace().scopes.len(), 1);
}

#[test]
fn user_1001_goes_to_the_next_scope_and_everybody_stays() {
    let server = Server::start();
    server.workspace().fill("homekeep", 998);
    let first = provider(&server);
    for user in ["a", "b", "c", "d"] {
        put(&first, user, "1");
    }
    let placed = |user: &str| server.workspace().scopes_with(user);
    assert_eq!(
        [placed("a"), placed("b"), placed("c"), placed("d")].concat(),
        ["homekeep", "homekeep", "homekeep-2", "homekeep-2"]
    );
    // Somebody leaves, and there is room again: who is in the second scope stays there.
    provider(&server).delete("a").unwrap();
    put(&first, "c", "2");
    let second = provider(&server);
    put(&second, "c", "3");
    assert_eq!(placed("c"), ["homekeep-2"]);
    put(&second, "e", "1");
    assert_eq!(placed("e"), ["homekeep"]);
    assert_eq!(users(&second).len(), 998 + 4);
}

#[test]
fn a_scope_that_is_full_against_expectation_is_told_from_a_missing_right() {
    let server = Server::with(Rules { max_secrets: 3, ..Rules::default() });
    let provider = provider(&server);
    // The workspace counts differently than the documentation; it says so with a 403.
    for n in 0..3 {
        put(&provider, &format!("u{n}"), "1");
    }
    server.workspace().fill("homekeep-2", 1);
    users(&provider);
    for n in 3..5 {
        put(&provider, &format!("u{n}"), "1");
    }
    assert_eq!(server.workspace().scopes_with("u4"), ["homekeep-2"]);
    assert_eq!(users(&provider).len(), 6);
}

#[test]
fn a_crash_between_two_calls_places_nobody_twice() {
    // Whatever call is the last of a process, the next finds its way.
    for call in ["scopes/list", "scopes/create", "secrets/list", "secrets/put"] {
        for fault in [Fault::Drop, Fault::DropAfter] {
            let server = Server::start();
            server.workspace().fill("homekeep", 1000);
            server.workspace().script.add(call, 0, 1, fault.clone());
            let dying = DatabricksProvider::new(&settings(), &server.environment(), impatient()).unwrap();
            assert!(dying.put("ann", &document("ann", "1", 0)).is_err(), "{call} {fault:?}");
            assert!(server.workspace().script.is_played());
            put(&provider(&server), "ann", "2");
            assert_eq!(server.workspace().scopes_with("ann"), ["homekeep-2"], "{call} {fault:?}");
            assert_eq!(server.workspace().scopes.len(), 2);
        }
    }
}

#[test]
fn machines_that_meet_the_same_new_users_at_a_full_scope_agree() {
    for room in [0, 1, 2, 5] {
        let server = Server::start();
        server.workspace().fill("homekeep", 1000 - room);
        let machines = [(); 4].map(|()| provider(&server));
        machines.iter().for_each(|machine| drop(users(machine)));
        thread::scope(|scope| {
            for (m, machine) in machines.iter().enumerate() {
                scope.spawn(move || {
                    for n in 0..8 {
                        put(machine, &format!("u{}", (n + m * 3) % 8), &m.to_string());
                    }
                });
            }
        });
        for n in 0..8 {
            let placed = server.workspace().scopes_with(&format!("u{n}"));
            assert_eq!(placed.len(), 1, "room {room}: u{n} is in {placed:?}");
        }
        assert_eq!(server.workspace().scopes["homekeep"].secrets.len(), 1000);
    }
}

#[test]
fn threads_of_one_machine_fill_scopes_in_order() {
    let server = Server::start();
    server.workspace().fill("homekeep", 990);
    let provider = provider(&server);
    thread::scope(|scope| {
        for t in 0..6 {
            let provider = &provider;
            scope.spawn(move || (0..10).for_each(|n| put(provider, &format!("u{t}-{n}"), "1")));
        }
    });
    let counts: Vec<_> = server.workspace().scopes.values().map(|scope| scope.secrets.len()).collect();
    assert_eq!(counts, [1000, 50]);
    let refused = server.workspace().seen.iter().filter(|seen| seen.status != 200).count();
    assert_eq!(refused, 0, "a place was given away twice");
}

/// A user in two scopes, which a deletion at the wrong moment can bring about; the second copy is the newer one.
fn placed_twice(server: &Server) {
    server.workspace().plant("homekeep", "ann", &document("ann", "older", 0));
    server.workspace().plant("homekeep-2", "ann", &document("ann", "newer", 0));
}

#[test]
fn of_two_copies_the_newer_one_counts_and_the_older_one_is_merged() {
    let server = Server::start();
    placed_twice(&server);
    let provider = provider(&server);
    assert_eq!(provider.get("ann").unwrap(), Some(document("ann", "newer", 0)));
    assert_eq!(users(&provider), ["ann"]);
    // Nobody who did not ask for the older copy takes it away.
    put(&provider, "ann", "newest");
    assert_eq!(server.workspace().scopes_with("ann").len(), 2);
    assert_eq!(provider.get("ann").unwrap(), Some(document("ann", "newest", 0)));
    assert_eq!(provider.older_copies("ann").unwrap(), [document("ann", "older", 0)]);
    put(&provider, "ann", "merged");
    assert_eq!(server.workspace().scopes_with("ann"), ["homekeep-2"]);
    assert_eq!(provider.get("ann").unwrap(), Some(document("ann", "merged", 0)));
    assert!(provider.older_copies("ann").unwrap().is_empty());
}

#[test]
fn an_older_copy_that_somebody_wrote_to_since_stays() {
    let server = Server::start();
    placed_twice(&server);
    let provider = provider(&server);
    assert_eq!(provider.older_copies("ann").unwrap().len(), 1);
    server.workspace().plant("homekeep", "ann", &document("ann", "of another machine", 0));
    put(&provider, "ann", "merged");
    assert_eq!(server.workspace().scopes_with("ann").len(), 2);
}

#[test]
fn a_user_placed_twice_is_deleted_twice() {
    let server = Server::start();
    let provider = provider(&server);
    assert!(users(&provider).is_empty());
    placed_twice(&server);
    provider.delete("ann").unwrap();
    assert_eq!(server.workspace().scopes_with("ann"), Vec::<String>::new());
    // Interrupted, it leaves the newer one.
    placed_twice(&server);
    server.workspace().script.add("secrets/delete", 1, 1, Fault::coded(400, "BAD_REQUEST", "no"));
    provider.delete("ann").unwrap_err();
    assert_eq!(server.workspace().scopes_with("ann"), ["homekeep-2"]);
}

#[test]
fn a_listing_behind_the_times_places_nobody_twice() {
    let server = Server::start();
    server.workspace().fill("homekeep", 1000);
    let provider = provider(&server);
    put(&provider, "ann", "1");
    server.workspace().scopes.get_mut("homekeep").unwrap().secrets.pop_first();
    // It shows the scope before ann came.
    server.workspace().script.add("secrets/list", 1, 1, Fault::Stale);
    assert!(!users(&provider).contains(&"ann".to_owned()));
    put(&provider, "ann", "2");
    assert_eq!(server.workspace().scopes_with("ann"), ["homekeep-2"]);
    assert_eq!(provider.get("ann").unwrap(), Some(document("ann", "2", 0)));
}

#[test]
fn a_scope_that_was_deleted_is_made_again() {
    let server = Server::start();
    let provider = provider(&server);
    put(&provider, "ann", "1");
    server.workspace().scopes.clear();
    assert_eq!(provider.get("ann").unwrap(), None);
    put(&provider, "ann", "2");
    server.workspace().scopes.clear();
    put(&provider, "ann", "3");
    assert_eq!(provider.get("ann").unwrap(), Some(document("ann", "3", 0)));
}

#[test]
fn a_scope_of_an_azure_key_vault_is_refused_in_words() {
    let server = Server::start();
    server.workspace().plant("homekeep", "ann", b"{}");
    server.workspace().scopes.get_mut("homekeep").unwrap().is_key_vault = true;
    let provider = provider(&server);
    for user in ["ann", "bob"] {
        let error = provider.put(user, &document(user, "1", 0)).unwrap_err();
        assert!(matches!(error, ProviderError::ReadOnly { .. }), "{error:?}");
        assert!(words(&error).contains("Azure Key Vault"));
    }
    assert!(matches!(provider.delete("ann"), Err(ProviderError::ReadOnly { .. })));
    assert_eq!(provider.get("ann").unwrap(), Some(b"{}".to_vec()));
    assert_eq!(server.workspace().scopes.len(), 1);
}

#[test]
fn a_workspace_with_too_many_scopes_says_so_and_harms_nobody() {
    let server = Server::with(Rules { max_scopes: 2, ..Rules::default() });
    server.workspace().fill("homekeep", 999);
    server.workspace().fill("another", 0);
    let provider = provider(&server);
    put(&provider, "ann", "1");
    let error = provider.put("bob", &document("bob", "1", 0)).unwrap_err();
    assert!(matches!(error, ProviderError::Full { .. }), "{error:?}");
    assert!(words(&error).contains("homekeep-2") && words(&error).contains("RESOURCE_LIMIT_EXCEEDED"));
    put(&provider, "ann", "2");
    assert_eq!(users(&provider).len(), 1000);
}

#[test]
fn the_manager_of_new_scopes_is_named_where_the_plan_demands_it() {
    let server = Server::with(Rules { needs_users_principal: true, ..Rules::default() });
    let error = provider(&server).put("ann", &document("ann", "1", 0)).unwrap_err();
    assert!(words(&error).contains("initial_manage_principal"), "{error:?}");
    let with = |principal: &str| {
        let settings = DatabricksSettings { initial_manage_principal: Some(principal.into()), ..settings() };
        DatabricksProvider::new(&settings, &server.environment(), hasty())
    };
    assert!(matches!(with("ann@example.org"), Err(ProviderError::Configuration(_))));
    put(&with("users").unwrap(), "ann", "1");
    let expected = Grant { place: "homekeep".into(), principal: "users".into(), permission: "MANAGE".into() };
    assert_eq!(provider(&server).grants().unwrap(), [expected]);
}

#[test]
fn who_can_read_is_told_for_every_scope() {
    let server = Server::start();
    server.workspace().fill("homekeep", 0).acls.insert("readers".into(), Permission::Read);
    server.workspace().fill("homekeep-2", 0);
    server.workspace().fill("another", 0);
    let grants = provider(&server).grants().unwrap();
    let shown: Vec<_> =
        grants.iter().map(|g| format!("{} {} {}", g.place, g.principal, g.permission)).collect();
    assert_eq!(
        shown,
        ["homekeep admin@example.org MANAGE", "homekeep readers READ", "homekeep-2 admin@example.org MANAGE"]
    );
}

#[test]
fn rights_are_told_by_what_is_missing() {
    let server = Server::start();
    server.workspace().plant("homekeep", "ann", b"{}");
    server.workspace().add_user("bob@example.org", "dapi-canary-bob");
    let environment = [("DATABRICKS_HOST", server.url()), ("DATABRICKS_TOKEN", "dapi-canary-bob".into())]
        .into_iter()
        .collect();
    let bob = provider_as(&environment);
    let denied = |error: ProviderError, right: &str| {
        assert!(matches!(error, ProviderError::Denied { .. }), "{error:?}");
        assert!(words(&error).contains(right), "{error}");
    };
    denied(bob.list().unwrap_err(), "READ on the scope homekeep");
    let grant = |permission| {
        let mut workspace = server.workspace();
        workspace.scopes.get_mut("homekeep").unwrap().acls.insert("bob@example.org".into(), permission);
    };
    grant(Permission::Read);
    assert_eq!(users(&bob), ["ann"]);
    denied(bob.put("ann", &document("ann", "", 0)).unwrap_err(), "WRITE on the scope homekeep");
    denied(bob.delete("ann").unwrap_err(), "WRITE on the scope homekeep");
    denied(bob.grants().unwrap_err(), "MANAGE");
    grant(Permission::Write);
    put(&bob, "ann", "1");
}

#[test]
fn keys_are_told_apart_where_the_workspace_folds_their_case() {
    let server = Server::with(Rules { keys_fold_case: true, times_as_text: true, ..Rules::default() });
    let provider = provider(&server);
    for user in ["ann", "Ann", "ANN"] {
        put(&provider, user, user);
    }
    assert_eq!(users(&provider).len(), 3);
    for user in ["ann", "Ann", "ANN"] {
        assert_eq!(provider.get(user).unwrap(), Some(document(user, user, 0)));
    }
    assert!(provider.list().unwrap()["ann"].time_ms.is_some());
}

#[test]
fn a_put_is_recognised_by_the_workspaces_clock_and_not_by_ours() {
    let server = Server::with(Rules { skew_ms: -7_200_000, ..Rules::default() });
    let provider = provider(&server);
    put(&provider, "bob", "1");
    let written = provider.put("ann", &document("ann", "1", 0)).unwrap();
    let listing = provider.list().unwrap();
    assert!(written.is(&listing["ann"]), "{written:?} {listing:?}");
    let Written::Within(range) = &written else { panic!("{written:?}") };
    assert!(range.end() - range.start() < 60_000);
    server.workspace().rules.skew_ms = 0;
    put(&super::provider(&server), "ann", "2");
    assert!(!written.is(&provider.list().unwrap()["ann"]));
}

#[test]
fn a_document_of_any_bytes_comes_back_within_the_limit() {
    let server = Server::start();
    let provider = provider(&server);
    let exact = document("ann", "ü", 128_000);
    assert_eq!(exact.len(), 128_000);
    provider.put("ann", &exact).unwrap();
    assert_eq!(provider.get("ann").unwrap(), Some(exact));
    let bytes: Vec<u8> = (0..=255).cycle().take(96_000).collect();
    provider.put("bob", &bytes).unwrap();
    assert_eq!(provider.get("bob").unwrap(), Some(bytes.clone()));
    let error = provider.put("bob", &[&bytes[..], b"1"].concat()).unwrap_err();
    assert!(matches!(error, ProviderError::TooLarge { bytes: 128_004, limit: 128_000, .. }), "{error:?}");
}

#[test]
fn secrets_of_others_in_the_scope_are_left_alone() {
    let server = Server::start();
    server.workspace().plant("homekeep", "Deploy_Token", b"x");
    server.workspace().plant("homekeep", &format!("_h{}", "0".repeat(64)), b"no document");
    let provider = provider(&server);
    assert_eq!(users(&provider), Vec::<String>::new());
    put(&provider, "ann", "1");
    assert_eq!(users(&provider), ["ann"]);
}
