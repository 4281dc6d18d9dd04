//! From flags and configuration to what the engine is told.

use jiff::{Timestamp, ZonedDateTime};

use super::arguments::{ForgetArguments, KeepArguments};
use crate::cli::config::ForgetConfig;
use crate::cli::error::CliError;
use crate::codec::SnapshotId;
use crate::engine::forget::{Choice, ForgetOptions, Policy, Rule};
use crate::engine::select::{SelectError, SnapshotSpec, find, refuse_unknown_users};
use crate::index::Summary;

/// All that was said. Of what is named, the configured policy says nothing.
pub fn options(
    arguments: &ForgetArguments,
    config: &ForgetConfig,
    snapshots: &[Summary],
) -> Result<ForgetOptions, CliError> {
    let choice = match &arguments.ids[..] {
        [] => Choice::Policy {
            policy: policy(&arguments.keep, config),
            grouping: arguments.keep.group_by.or(config.group_by).unwrap_or_default(),
        },
        ids => Choice::Named(ids.iter().map(|id| named(snapshots, id)).collect::<Result<_, _>>()?),
    };
    let filter = arguments.concerned.filter().filter();
    refuse_unknown_users(&filter, snapshots)?;
    Ok(ForgetOptions { choice, filter, force: arguments.force, allow_everything: arguments.allow_forget_all })
}

/// What a flag says of a rule counts, and not what the configuration says of the same; the others stay.
fn policy(flags: &KeepArguments, config: &ForgetConfig) -> Policy {
    let rules = Rule::ALL.into_iter();
    let counts = rules.filter_map(|rule| Some((rule, flags.count(rule).or_else(|| config.count(rule))?)));
    let tags = match &flags.keep_tag[..] {
        [] => config.keep_tag.as_deref().unwrap_or_default(),
        tags => tags,
    };
    let words = |tags: &String| tags.split(',').map(str::to_owned).collect();
    Policy {
        rules: counts.filter(|(_, count)| *count > 0).collect(),
        within: flags.keep_within.or(config.keep_within),
        tags: tags.iter().map(words).collect(),
    }
}

/// Only an id names what is to be forgotten: what `latest` means changes with the next backup.
fn named(snapshots: &[Summary], text: &str) -> Result<SnapshotId, CliError> {
    match SnapshotSpec::parse(text, &ZonedDateTime::now()) {
        Ok(spec @ SnapshotSpec::Id(_)) => Ok(find(snapshots, &spec, Timestamp::now())?.id),
        Ok(_) => Err(CliError::Usage(format!("{text} is no id: `homekeep snapshots` lists them"))),
        Err(_) => Err(SelectError::NoSuchId(text.into()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_decide_over_the_configuration_rule_by_rule() {
        let config = ForgetConfig {
            keep_daily: Some(7),
            keep_weekly: Some(4),
            keep_within: Some("2d".parse().unwrap()),
            keep_tag: Some(vec!["a".into()]),
            ..ForgetConfig::default()
        };
        let flags = KeepArguments {
            keep_last: Some(3),
            keep_weekly: Some(0),
            keep_tag: vec!["b,c".into(), "d".into()],
            ..KeepArguments::default()
        };
        let said = policy(&flags, &config);
        assert_eq!(said.rules, [(Rule::Last, 3), (Rule::Daily, 7)]);
        assert_eq!(said.within, config.keep_within);
        assert_eq!(said.tags, [vec!["b".to_owned(), "c".into()], vec!["d".into()]]);
        assert_eq!(policy(&KeepArguments::default(), &config).tags, [["a"]]);
        assert!(policy(&KeepArguments::default(), &ForgetConfig::default()).is_empty());
    }
}
