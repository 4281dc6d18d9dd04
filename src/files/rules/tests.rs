//! What users and operators may rely on when they write patterns.

use std::os::unix::ffi::OsStrExt;

use super::*;

fn rules(options: RuleOptions) -> Rules {
    Rules::new(&options).unwrap()
}

fn excludes(patterns: &[&str]) -> RuleOptions {
    RuleOptions { excludes: patterns.iter().map(|p| p.to_string()).collect(), ..RuleOptions::default() }
}

fn file(name: &str, text: &str) -> PatternFile {
    PatternFile { path: name.into(), bytes: text.into() }
}

fn home(rules: &Rules) -> Scope {
    rules.home(Path::new("/home/ann"))
}

/// Walks from the home: the verdict on the first entry of the way that is left out, or on the last.
fn walk(scope: &Scope, path: &str) -> Verdict {
    let mut scope = scope.clone();
    let mut verdict = Verdict::Keep;
    let (path, is_directory) = path.strip_suffix('/').map_or((path, false), |path| (path, true));
    let mut names = path.split('/').peekable();
    while let Some(name) = names.next() {
        verdict = scope.decide(OsStr::new(name), is_directory || names.peek().is_some());
        if verdict != Verdict::Keep {
            break;
        }
        scope = scope.enter(OsStr::new(name));
    }
    verdict
}

fn is_kept(scope: &Scope, path: &str) -> bool {
    walk(scope, path) == Verdict::Keep
}

#[test]
fn a_name_matches_anywhere_and_a_path_from_the_home() {
    let scope = home(&rules(excludes(&["*.tmp", "projects/x/*.log", "/notes", "build/", "data/**/raw"])));
    for path in ["a.tmp", "p/q/a.tmp", "projects/x/a.log", "notes", "p/build/", "data/raw", "data/a/b/raw"] {
        assert!(!is_kept(&scope, path), "{path}");
    }
    for path in ["a.tmpx", "q/projects/x/a.log", "projects/x/y/a.log", "p/notes", "p/build", "raw", "data"] {
        assert!(is_kept(&scope, path), "{path}");
    }
}

#[test]
fn an_absolute_pattern_matches_the_homes_own_path() {
    let rules =
        rules(excludes(&["/home/*/scratch", "/srv/**/big", "/home/guest*", "!/home/guest-of-honour"]));
    assert!(!is_kept(&home(&rules), "scratch"));
    assert!(is_kept(&home(&rules), "p/scratch"));
    assert!(is_kept(&home(&rules), "big"));
    assert!(!is_kept(&rules.home(Path::new("/srv/homes/ann")), "p/big"));
    assert_eq!(rules.decide_home(Path::new("/home/ann")), Verdict::Keep);
    assert_eq!(rules.decide_home(Path::new("/home/guest-of-honour")), Verdict::Keep);
    let Verdict::Exclude(reason) = rules.decide_home(Path::new("/home/guest1")) else { panic!("kept") };
    assert_eq!(reason.to_string(), "/home/guest* (--exclude)");
}

#[test]
fn a_home_is_left_out_only_by_its_whole_path() {
    let rules = rules(excludes(&["/data", "ann", "/*", "!/keep", "/**/ann"]));
    for path in ["/data/homes/bob", "/home/ann", "/ann", "/"] {
        assert_eq!(rules.decide_home(Path::new(path)), Verdict::Keep, "{path}");
    }
    assert_ne!(rules.decide_home(Path::new("/data")), Verdict::Keep);
    let scope = rules.home(Path::new("/data/homes/bob"));
    assert!(!is_kept(&scope, "x") && is_kept(&scope, "keep/homes/x"));
}

#[test]
fn the_last_match_of_a_list_decides() {
    let scope = home(&rules(excludes(&["*.csv", "!keep.csv", "old/keep.csv"])));
    assert!(is_kept(&scope, "p/keep.csv"));
    assert!(!is_kept(&scope, "p/other.csv"));
    assert!(!is_kept(&scope, "old/keep.csv"));
}

#[test]
fn the_run_decides_over_a_home_and_a_home_over_the_defaults() {
    let scope = home(&rules(excludes(&["*.iso", "!vital.log"])));
    let own = file(".homekeepignore", "!*.iso\n*.log\n!__pycache__/\n");
    let (scope, warnings) = scope.with_ignore_files(&[own]);
    assert_eq!(warnings, []);
    assert!(!is_kept(&scope, "a.iso"));
    assert!(!is_kept(&scope, "a.log"));
    assert!(is_kept(&scope, "vital.log"));
    assert!(is_kept(&scope, "p/__pycache__/"));
    assert!(!is_kept(&scope, "node_modules/"));
}

#[test]
fn a_deeper_ignore_file_decides_first_and_only_for_its_directory() {
    let top = home(&rules(RuleOptions::default())).with_ignore_files(&[file("top", "*.o\n/p/x\n")]).0;
    let files = [file(".gitignore", "y\nz\n"), file(".homekeepignore", "!*.o\n!z\n/x\n")];
    let below = top.enter(OsStr::new("p")).with_ignore_files(&files).0;
    assert!(!is_kept(&top, "a.o") && is_kept(&below, "a.o") && is_kept(&below, "q/a.o"));
    assert!(!is_kept(&top, "p/x") && !is_kept(&below, "x") && is_kept(&below, "q/x"));
    assert!(!is_kept(&below, "y") && is_kept(&below, "z"));
    assert!(!is_kept(&top.enter(OsStr::new("q")), "a.o"));
}

#[test]
fn what_git_never_ignores_a_gitignore_does_not_leave_out() {
    let home = home(&rules(RuleOptions::default()));
    let git = home.clone().with_ignore_files(&[file("ann/.gitignore", "*\n!*.R\n")]).0;
    assert!(is_kept(&git, ".git/objects/ab/cd") && is_kept(&git, "a.R") && !is_kept(&git, "a"));
    let files = [file("ann/.gitignore", "*\n"), file("ann/.homekeepignore", ".git\n")];
    assert!(!is_kept(&home.clone().with_ignore_files(&files).0, ".git/"));
    let own = home.with_ignore_files(&[file("ann/.homekeepignore", "*\n!*.R\n")]).0;
    assert!(!is_kept(&own, ".git/") && is_kept(&own, "a.R"));
}

#[test]
fn a_line_that_is_no_pattern_is_a_warning_and_the_others_hold() {
    let scope = home(&rules(RuleOptions::default()));
    let (scope, warnings) = scope.with_ignore_files(&[file("ann/.homekeepignore", "*.o\n[a\n*.p\n")]);
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].to_string(), "\"[a\" (ann/.homekeepignore:2) is not a usable pattern");
    assert!(std::error::Error::source(&warnings[0]).is_some_and(|source| source.to_string().contains(']')));
    assert!(!is_kept(&scope, "a.o") && !is_kept(&scope, "a.p"));
}

#[test]
fn ignore_files_are_heeded_up_to_a_length_and_leave_nothing_out_beyond() {
    let half = file("half", &format!("#{}\n*.o\n", "x".repeat(MAX_IGNORE_BYTES / 2)));
    let more = PatternFile { path: "more".into(), bytes: half.bytes.repeat(1) };
    let small = file("small", "*.p");
    let (scope, warnings) = home(&rules(RuleOptions::default())).with_ignore_files(&[half, more, small]);
    assert_eq!(warnings, [RuleError::TooLong { file: "more".into() }]);
    assert!(!is_kept(&scope, "a.o") && !is_kept(&scope, "a.p"));
}

#[test]
fn a_pattern_of_the_run_that_is_none_names_itself_and_its_origin() {
    let error = Rules::new(&excludes(&["ok", "{a"])).unwrap_err();
    assert_eq!(error.to_string(), "\"{a\" (--exclude) is not a usable pattern");
    let files = vec![file("/etc/excludes", "# all\n\na\\\n")];
    let error = Rules::new(&RuleOptions { exclude_files: files, ..RuleOptions::default() }).unwrap_err();
    let origin = Origin::Line("/etc/excludes".into(), 3);
    assert_eq!(
        error,
        RuleError::Pattern { pattern: "a\\".into(), origin, source: PatternError::DanglingEscape }
    );
}

#[test]
fn a_hash_is_a_comment_in_a_file_and_a_name_in_a_flag() {
    let options = RuleOptions { exclude_files: vec![file("f", "#a#\n")], ..excludes(&["#b#"]) };
    let scope = home(&rules(options));
    assert!(is_kept(&scope, "#a#") && !is_kept(&scope, "#b#"));
}

#[test]
fn case_is_ignored_where_that_is_asked_for() {
    let iexcludes = vec!["*.JPG".into(), "Photos/Übung".into()];
    let scope = home(&rules(RuleOptions { iexcludes, ..excludes(&["*.Png"]) }));
    assert!(!is_kept(&scope, "a.jpg") && !is_kept(&scope, "A.JpG") && !is_kept(&scope, "photos/ÜBUNG"));
    assert!(is_kept(&scope, "a.png") && !is_kept(&scope, "a.Png"));
}

#[test]
fn names_are_bytes() {
    let scope = home(&rules(excludes(&["*.tmp", "caf?"])));
    let decide = |name: &[u8]| scope.decide(OsStr::from_bytes(name), false);
    assert_ne!(decide(b"\xff\xfe.tmp"), Verdict::Keep);
    assert_ne!(decide(b"caf\xe9"), Verdict::Keep);
    assert_ne!(decide("café".as_bytes()), Verdict::Keep);
    assert_eq!(decide(b"\xff"), Verdict::Keep);
    let latin = PatternFile { path: "f".into(), bytes: b"caf\xe9/x*".to_vec() };
    let scope = scope.with_ignore_files(&[latin]).0.enter(OsStr::from_bytes(b"caf\xe9"));
    assert_ne!(scope.decide(OsStr::new("x1"), false), Verdict::Keep);
}

#[test]
fn a_proven_marker_leaves_itself_and_nothing_else() {
    let exclude_if_present = vec![".nobackup".into(), "TAG:please skip".into()];
    let rules = rules(RuleOptions { exclude_caches: true, exclude_if_present, ..RuleOptions::default() });
    let [cache, bare, tag] = rules.markers() else { panic!("three markers") };
    assert!(cache.is_proven_by(b"Signature: 8a477f597d28d172789f06886806bc55") && !cache.is_proven_by(b""));
    assert!(bare.is_proven_by(b"") && bare.header.is_empty());
    assert!(tag.is_proven_by(b"please skip") && !tag.is_proven_by(b"please"));
    let scope = home(&rules).marked(cache);
    assert!(is_kept(&scope, "CACHEDIR.TAG"));
    let Verdict::Exclude(reason) = walk(&scope, "data") else { panic!("kept") };
    assert_eq!(reason.to_string(), "CACHEDIR.TAG is beside it");
    assert!(is_kept(&home(&rules).enter(OsStr::new("x")), "data"));
}

#[test]
fn a_file_at_the_limit_is_kept() {
    let rules = rules(RuleOptions { exclude_larger_than: Some(100), ..RuleOptions::default() });
    assert!(rules.too_large(101) && !rules.too_large(100));
    assert!(!super::Rules::new(&RuleOptions::default()).unwrap().too_large(u64::MAX));
}

#[test]
fn file_names_that_are_paths_are_refused() {
    for name in ["a/b", "..", "", "/a", "a/"] {
        let options = RuleOptions { ignore_file_name: Some(name.into()), ..RuleOptions::default() };
        assert!(matches!(Rules::new(&options), Err(RuleError::FileName { .. })), "{name}");
        let options = RuleOptions { exclude_if_present: vec![format!("{name}:x")], ..RuleOptions::default() };
        assert!(matches!(Rules::new(&options), Err(RuleError::FileName { .. })), "{name}");
    }
    let options = RuleOptions { git_ignore: true, ..RuleOptions::default() };
    assert_eq!(rules(options).ignore_file_names(), [".gitignore", ".homekeepignore"]);
}

#[test]
fn the_defaults_leave_out_what_programs_make_again() {
    let scope = home(&rules(RuleOptions::default()));
    for path in [
        ".cache/R/renv/x",
        ".local/share/rstudio/log/rsession.log",
        ".local/share/rstudio/sources/session-1a2b/lock_file",
        "p/.Rproj.user/1A2B/sources/session-1a2b/lock_file",
        "p/renv/library/",
        "p/packrat/lib-R/",
        "p/q/__pycache__/",
        "site/node_modules/",
        ".local/share/Trash/",
        "p/core.31337",
        "p/.nfs00000000012345670000001a",
    ] {
        assert!(!is_kept(&scope, path), "{path}");
    }
}

#[test]
fn the_defaults_keep_whatever_may_be_work() {
    let scope = home(&rules(RuleOptions::default()));
    for path in [
        "p/.git/objects/ab/cd",
        "p/.Rproj.user/1A2B/sources/session-1a2b/1A2B3C4D-contents",
        ".local/share/rstudio/sources/session-1a2b/1A2B3C4D",
        ".local/share/rstudio/sessions/active/session-1/suspended-session-data/environment",
        "R/x86_64-pc-linux-gnu-library/4.4/dplyr/DESCRIPTION",
        "p/.cache/x",
        "p/renv/local/pkg.tar.gz",
        "p/renv/activate.R",
        "renv/library",
        "p/library/renv/",
        "p/report_cache/html/fit_1.RData",
        "p/.venv/bin/python",
        "p/.ipynb_checkpoints/a.ipynb",
        "p/core.R",
        "p/core.001",
        "p/core.2024",
        "p/core.31337/",
        "p/core.12.R",
        "p/.nfs-notes",
        "p/lock_file",
        ".RData",
    ] {
        assert!(is_kept(&scope, path), "{path}");
    }
}

#[test]
fn the_defaults_can_be_turned_off_and_each_says_why_it_is_there() {
    let scope = home(&rules(RuleOptions { default_excludes: false, ..RuleOptions::default() }));
    assert!(is_kept(&scope, ".cache/R/x"));
    assert!(default_rules().iter().all(|rule| !rule.reason.is_empty()));
    let Verdict::Exclude(reason) = walk(&home(&rules(RuleOptions::default())), ".cache/") else {
        panic!("kept")
    };
    assert_eq!(reason.to_string(), "/.cache/ (default: caches, by the XDG rules)");
}
