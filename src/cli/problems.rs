//! How problems with single files are told, to people and to programs. Knows no command.

use serde::Serialize;

use super::json::{lossy, raw};
use super::output::{Output, Verbosity, complain};
use super::text;
use crate::engine::Problem;

/// So many problems are printed unless all are asked for.
const PROBLEMS_SHOWN: usize = 20;

/// Tells people the first of them, or all.
pub fn tell(output: &Output, problems: &[Problem]) {
    // When only problems are to be said, a note about something intended is none.
    let wanted = |problem: &&Problem| !output.is_quiet() || problem.kind.is_loss();
    let wanted: Vec<_> = problems.iter().filter(wanted).collect();
    let shown = if output.verbosity == Verbosity::Verbose { wanted.len() } else { PROBLEMS_SHOWN };
    wanted.iter().take(shown).for_each(|problem| complain(&line(problem)));
    if let Some(more) = wanted.len().checked_sub(shown).filter(|more| *more > 0) {
        complain(&format!("homekeep: and {more} more; --verbose shows all"));
    }
}

/// Some problems are no file's.
fn line(problem: &Problem) -> String {
    let what = problem.kind.to_string();
    let what = text::safe(&what);
    match (&problem.user[..], &problem.path[..]) {
        ([], []) => format!("homekeep: {what}"),
        (user, path) => format!("homekeep: {}: {what}", text::place(user, path)),
    }
}

/// Tells programs all of them.
pub fn tell_programs(output: &Output, problems: &[Problem]) {
    problems.iter().for_each(|problem| output.object(&ProblemObject::new(problem)));
}

#[derive(Serialize)]
struct ProblemObject {
    /// `error`, or `note` for what is intended or harmless.
    message_type: &'static str,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_bytes: Option<String>,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    code: &'static str,
    message: String,
}

impl ProblemObject {
    fn new(problem: &Problem) -> Self {
        Self {
            message_type: if problem.kind.is_loss() { "error" } else { "note" },
            user: lossy(&problem.user),
            user_bytes: raw(&problem.user),
            path: lossy(&problem.path),
            path_bytes: raw(&problem.path),
            code: problem.kind.code(),
            message: problem.kind.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ProblemKind;

    #[test]
    fn a_problem_names_its_file_if_it_has_one() {
        let problem =
            |user: &[u8], path: &[u8], kind| line(&Problem { user: user.into(), path: path.into(), kind });
        let lookup = ProblemKind::AccountLookup("cannot look up the user \"x\"".into());
        assert_eq!(
            problem(b"ann", b"a\nb", ProblemKind::Unrestored("no".into())),
            "homekeep: ann:a\\nb: not restored: no"
        );
        assert!(problem(b"", b"", lookup).starts_with("homekeep: cannot look up"));
    }
}
