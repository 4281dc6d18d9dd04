//! From flags and configuration to what the engine is told. Knows no snapshot.

use std::collections::{BTreeMap, BTreeSet};

use super::arguments::{OverwriteArgument, RestoreArguments};
use crate::cli::config::Caller;
use crate::cli::context::Context;
use crate::cli::effort;
use crate::cli::error::CliError;
use crate::engine::restore::{RestoreOptions, RestoreTarget};
use crate::files::owners::{OwnerMap, OwnerMatch};

/// All that was said. Target and source wait for what is brought back.
pub fn options(context: &Context, arguments: &RestoreArguments) -> Result<RestoreOptions, CliError> {
    let (config, how) = (&context.config.restore, &arguments.how);
    let overwrite = how.overwrite.or_else(|| config.overwrite.map(Into::into));
    let is_numeric = how.numeric_ids || config.numeric_ids == Some(true);
    Ok(RestoreOptions {
        vault: None,
        secrets: how.secrets(),
        target: RestoreTarget::InPlace,
        overwrite: overwrite.unwrap_or(OverwriteArgument::UnlessModified).into(),
        delete: how.delete,
        dry_run: how.dry_run,
        verify: how.verify || config.verify == Some(true),
        includes: arguments.include.clone(),
        excludes: arguments.exclude.clone(),
        owner_map: owner_map(&how.owner_map, config.owner_map.as_ref())?,
        owner_match: if is_numeric { OwnerMatch::Number } else { OwnerMatch::Name },
        owners: !how.no_owner && context.caller == Caller::Root,
        setuid: how.setuid.map(Into::into).unwrap_or_default(),
        devices: how.devices,
        source: String::new(),
        threads: effort::threads(how.jobs),
    })
}

/// What a flag says of an account counts, and not what the configuration says of the same.
fn owner_map(flags: &[String], config: Option<&BTreeMap<String, String>>) -> Result<OwnerMap, CliError> {
    let said: BTreeSet<&str> = flags.iter().filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
    let configured = config.into_iter().flatten().filter(|(old, _)| !said.contains(old.as_str()));
    let pairs: Vec<String> =
        configured.map(|(old, new)| format!("{old}={new}")).chain(flags.iter().cloned()).collect();
    if pairs.is_empty() {
        return Ok(OwnerMap::default());
    }
    pairs.join(",").parse().map_err(|error| CliError::Usage(format!("--owner-map: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::owners::{Owners, resolve};
    use crate::format::Owner;

    #[test]
    fn flags_decide_over_the_configuration_account_by_account() {
        let config = BTreeMap::from([("ann".to_owned(), "1".to_owned()), ("bob".to_owned(), "2".to_owned())]);
        let map = owner_map(&["ann=3".into()], Some(&config)).unwrap();
        let by = |name: &str| {
            let owner = Owner { uid: 9, gid: 9, user: name.into(), group: String::new() };
            resolve(&owner, &map, &Owners::new(), OwnerMatch::Number).ids.uid
        };
        assert_eq!((by("ann"), by("bob")), (3, 2));
        assert!(matches!(owner_map(&["ann".into()], None), Err(CliError::Usage(_))));
        assert!(matches!(owner_map(&["a=1".into(), "a=2".into()], None), Err(CliError::Usage(_))));
        owner_map(&[], None).unwrap();
    }
}
