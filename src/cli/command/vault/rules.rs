//! `vault rules`: what counts as a secret.

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::table::{self, Align};
use crate::cli::text;
use crate::engine::backup::BackupError;
use crate::files::rules::{SecretRules, default_secret_rules};

#[derive(Serialize)]
struct RuleObject<'a> {
    pattern: &'a str,
    /// `default` or `configuration`.
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct RulesObject<'a> {
    rules: Vec<RuleObject<'a>>,
    by_content: bool,
}

/// Shows the rules in the order in which they are tried; the last that matches decides.
pub fn run(context: &Context) -> Result<Exit, CliError> {
    let options = context.config.vault.secrets();
    // A rule that cannot be used is told here as well.
    SecretRules::new(&options).map_err(|error| CliError::Backup(BackupError::Rule(error)))?;
    let defaults = default_secret_rules().iter().filter(|_| options.defaults).map(|rule| RuleObject {
        pattern: rule.pattern,
        origin: "default",
        reason: Some(rule.reason),
    });
    let configured =
        options.rules.iter().map(|rule| RuleObject { pattern: rule, origin: "configuration", reason: None });
    let rules: Vec<RuleObject<'_>> = defaults.chain(configured).collect();
    let output = &context.output;
    if output.is_json() {
        output.object(&RulesObject { rules, by_content: options.by_content });
        return Ok(Exit::Done);
    }
    let header = ["pattern", "why"].map(|title| (title, Align::Left));
    let row = |rule: &RuleObject<'_>| {
        vec![text::safe(rule.pattern).into_owned(), rule.reason.unwrap_or("the configuration says so").into()]
    };
    output.line(&table::render(&header, rules.iter().map(row).collect()));
    output.line(match options.by_content {
        true => {
            "\nand every file that begins like a private key (PEM, OpenSSH, PGP, PuTTY, age), wherever it is"
        }
        false => "\nFiles are not looked into: look-at-content is false.",
    });
    output.note("the last pattern that matches decides; rules in [vault] of the configuration come after the defaults");
    Ok(Exit::Done)
}
