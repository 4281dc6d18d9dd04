//! `backup --list-excludes`: what would be left out, and why.

use serde::Serialize;

use super::arguments::RuleArguments;
use super::options;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::table::{self, Align};
use crate::cli::text;
use crate::files::rules::{RuleOptions, Rules, default_rules};

/// One rule.
#[derive(Debug, PartialEq, Serialize)]
struct Excluded {
    message_type: &'static str,
    pattern: String,
    origin: String,
    reason: String,
}

/// Lists the rules in the order in which lists decide: what the run was told, then the defaults.
pub fn list(context: &Context, arguments: &RuleArguments) -> Result<Exit, CliError> {
    let options = options::rules(arguments, &context.config.backup)?;
    // Patterns that a run would refuse are refused here as well.
    Rules::new(&options).map_err(crate::engine::backup::BackupError::from)?;
    let rules = all(&options);
    if context.output.is_json() {
        rules.iter().for_each(|rule| context.output.object(rule));
        return Ok(Exit::Done);
    }
    let row = |rule: &Excluded| {
        [&rule.pattern, &rule.origin, &rule.reason].map(|text| text::safe(text).into()).to_vec()
    };
    let header = [("pattern", Align::Left), ("from", Align::Left), ("why", Align::Left)];
    context.output.line(&table::render(&header, rules.iter().map(row).collect()));
    Ok(Exit::Done)
}

fn all(options: &RuleOptions) -> Vec<Excluded> {
    let rule = |pattern: &str, origin: &str, reason: &str| Excluded {
        message_type: "exclude",
        pattern: pattern.into(),
        origin: origin.into(),
        reason: reason.into(),
    };
    let mut rules: Vec<_> = options.iexcludes.iter().map(|p| rule(p, "--iexclude", "in any case")).collect();
    rules.extend(options.excludes.iter().map(|p| rule(p, "--exclude", "")));
    let files = options.exclude_files.iter();
    rules.extend(files.map(|f| rule("", "--exclude-file", &format!("patterns in {}", f.path.display()))));
    if options.exclude_caches {
        rules.push(rule("CACHEDIR.TAG", "--exclude-caches", "directories marked as caches"));
    }
    let markers = options.exclude_if_present.iter();
    rules.extend(markers.map(|name| rule(name, "--exclude-if-present", "directories with such a file")));
    if let Some(size) = options.exclude_larger_than {
        rules.push(rule("", "--exclude-larger-than", &format!("files larger than {}", text::size(size))));
    }
    let git = options.git_ignore.then_some(".gitignore");
    let ignore_files = options.ignore_file_name.as_deref().into_iter().chain(git);
    rules.extend(ignore_files.map(|name| rule("", name, "patterns in such a file hold for its directory")));
    if options.default_excludes {
        rules.extend(default_rules().iter().map(|default| rule(default.pattern, "default", default.reason)));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_leaves_something_out_is_listed() {
        let options = RuleOptions {
            excludes: vec!["*.tmp".into()],
            exclude_larger_than: Some(1 << 30),
            git_ignore: true,
            ..RuleOptions::default()
        };
        let rules = all(&options);
        assert_eq!(rules[0].pattern, "*.tmp");
        assert_eq!(rules[1].reason, "files larger than 1.0 GiB");
        let origins: Vec<_> = rules[2..4].iter().map(|rule| rule.origin.as_str()).collect();
        assert_eq!(origins, [".homekeepignore", ".gitignore"]);
        assert_eq!(rules.len(), 4 + default_rules().len());
    }
}
