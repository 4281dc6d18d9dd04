//! `vault verify`, `rotate` and `key`.

use std::path::Path;

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::open;
use crate::cli::secret::SecretError;
use crate::cli::text;
use crate::keys::KeyFile;
use crate::vault::{Vault, VaultError};

#[derive(Serialize)]
struct VerifiedObject<'a> {
    message_type: &'static str,
    user: &'a str,
    values: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct GrantObject<'a> {
    message_type: &'static str,
    place: &'a str,
    principal: &'a str,
    permission: &'a str,
}

/// The users that are named, or all.
fn users(vault: &Vault, named: &[String]) -> Result<Vec<String>, VaultError> {
    if named.is_empty() { Ok(vault.list()?.into_keys().collect()) } else { Ok(named.to_vec()) }
}

/// Opens every value. What does not open ends nothing: the others are opened too.
pub fn verify(context: &Context, vault: &Vault, named: &[String]) -> Result<Exit, CliError> {
    let output = &context.output;
    let (mut values, mut failed) = (0, 0);
    let users = users(vault, named)?;
    for user in &users {
        let (opened, errors) = vault.verify(user).unwrap_or_else(|error| (0, vec![error]));
        let errors: Vec<String> = errors.iter().map(|error| text::chain(error)).collect();
        values += opened;
        failed += errors.len();
        if output.is_json() {
            let error = (!errors.is_empty()).then(|| errors.join("; "));
            output.object(&VerifiedObject { message_type: "vault_verified", user, values: opened, error });
        } else {
            errors.iter().for_each(|error| output.warn(error));
        }
    }
    for grant in vault.provider().grants().map_err(VaultError::from)? {
        let (place, principal) = (&grant.place, &grant.principal);
        if output.is_json() {
            let permission = &grant.permission;
            output.object(&GrantObject { message_type: "vault_grant", place, principal, permission });
        } else if !output.is_quiet() {
            let words = format!("{principal} has {} on {place}", grant.permission);
            output.line(&text::safe(&words));
        }
    }
    if !output.is_json() && !output.is_quiet() && failed == 0 {
        output.line(&format!(
            "{} of {} open",
            text::count(values as u64, "value", "values"),
            text::count(users.len() as u64, "user", "users")
        ));
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Damaged })
}

/// Seals every value anew.
pub fn rotate(context: &Context, vault: &Vault, named: &[String]) -> Result<Exit, CliError> {
    let output = &context.output;
    let mut failed = 0;
    for user in users(vault, named)? {
        match vault.rotate(&user) {
            Ok(values) if output.is_json() => {
                let (message_type, user) = ("vault_rotated", &user[..]);
                output.object(&VerifiedObject { message_type, user, values, error: None });
            }
            Ok(_) if output.is_quiet() => {}
            Ok(values) => {
                let values = text::count(values as u64, "value", "values");
                output.line(&format!("{}: {values} sealed anew", text::name(user.as_bytes())));
            }
            Err(error) => {
                failed += 1;
                output.warn(&text::chain(&error));
            }
        }
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Problems })
}

/// Writes the vault's own key to a new file.
pub fn key(context: &Context, file: &Path) -> Result<Exit, CliError> {
    let repository = open::open(context)?;
    KeyFile::create(file, repository.keys().vault_secret()).map_err(SecretError::from)?;
    context.output.warn(&format!(
        "{} opens the vault without the repository (key-file in [vault]), and nothing else. Whoever has it and can read the \
         vault can read all secrets: keep it in a safe place that is not this machine",
        file.display()
    ));
    Ok(Exit::Done)
}
