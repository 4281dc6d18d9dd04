//! What `usage` and `backup` write for others to read: the page in a real browser where there is one, the metrics
//! through a strict parser, and the examples that go by them.

mod browser;
mod exposition;
mod html;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::program::Program;
use crate::support::{noise, write_old};

/// Names that try to be markup, to reorder text or to end a label.
const HOSTILE: [&str; 4] = ["<script>alert(1)<", "\u{202e}gpj.exe", "a&b\"c'd", "line\nbreak\\n"];

/// Homes of some users, hostile ones among them, two snapshots, a quota that one is over.
fn world(more: &[&str]) -> Program {
    let mut program = Program::new();
    for (at, user) in ["ann", "bob"].iter().chain(more).enumerate() {
        let home = program.home(user);
        fs::create_dir_all(home.join("work/<b>deep")).unwrap();
        write_old(&home.join("all.dat"), noise(1, 10_000));
        write_old(&home.join("work/<b>deep/own"), noise(at as u64 + 10, 2000));
    }
    fs::write(program.path("homekeep.toml"), "[quota]\nusers = { bob = \"5K\", ann = \"1G\" }\n").unwrap();
    program.set("HOMEKEEP_CONFIG", program.path("homekeep.toml").to_str().unwrap());
    program.run(&["init"]).expect(0);
    program.backup(&[]).expect(0);
    write_old(&program.home("ann").join("later"), noise(5, 5000));
    program.backup(&[]).expect(0);
    program
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Has the program write a page or metrics, and reads them.
fn written(program: &Program, arguments: &[&str]) -> String {
    let path = program.path("written");
    let _ = fs::remove_file(&path);
    program.run(&[arguments, &[path.to_str().unwrap()]].concat()).expect(0);
    fs::read_to_string(&path).unwrap()
}

#[test]
fn a_page_has_everything_in_it_and_names_stay_names() {
    let program = world(&HOSTILE);
    let page = written(&program, &["usage", "--html"]);
    html::check(&page);
    for part in [
        "<bdi>ann</bdi>",
        "Over quota (1)",
        "11.7 KiB of 5.0 KiB",
        "&lt;script&gt;alert(1)&lt;",
        "\\u{202e}gpj.exe",
        "a&amp;b&quot;c&#39;d",
        "line\\nbreak\\\\n",
        "&lt;b&gt;deep/",
        "title=\"17000 bytes\"",
        "data that several users need",
        "<svg viewBox",
        "prefers-color-scheme: dark",
        "@media print",
    ] {
        assert!(page.contains(part), "{part} is not in it:\n{page}");
    }
    assert!(!page.contains('\u{202e}') && !page.contains("<script"), "{page}");
    assert_eq!(page.matches(">all.dat</bdi>").count(), 6, "each home as if it were alone: {page}");
    let few = written(&program, &["usage", "--user", "bob", "--top", "0", "--html"]);
    html::check(&few);
    assert!(few.contains("<bdi>bob</bdi>") && !few.contains("<bdi>ann</bdi>"));
    assert!(!few.contains("largest homes"));
}

#[test]
fn a_page_of_nothing_is_a_page() {
    let program = Program::new();
    program.run(&["init"]).expect(0);
    let page = written(&program, &["usage", "--html"]);
    html::check(&page);
    assert!(page.contains("There is no snapshot yet") && page.contains("Nothing does"), "{page}");
}

#[test]
fn the_line_of_growth_leaves_out_what_was_saved_of_a_few_homes() {
    let program = world(&["cem", "dora"]);
    let titles = |page: &str| {
        let of_line = page.split("class=\"hit\"").skip(1).map(|rest| rest.split("</title>").next().unwrap());
        of_line.map(|title| title.split(": ").last().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = titles(&written(&program, &["usage", "--html"]));
    assert_eq!(before, ["46.9 KiB (48000 bytes)", "51.8 KiB (53000 bytes)"]);
    program.run(&["backup", "--always", program.home("bob").to_str().unwrap()]).expect(0);
    program.backup(&["--always"]).expect(0);
    let after = titles(&written(&program, &["usage", "--html"]));
    assert_eq!((after.len(), &after[..2]), (4, &before[..]));
    assert_eq!((&after[2], &after[3]), (&before[1], &before[1]));
}

#[test]
fn a_thousand_users_fit_on_a_page() {
    let names: Vec<String> = (0..1000).map(|n| format!("somebody-{n}")).collect();
    let program = world(&names.iter().map(|name| &name[..]).collect::<Vec<_>>());
    let page = written(&program, &["usage", "--html"]);
    html::check(&page);
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!(names.iter().all(|name| page.contains(&format!("<bdi>{name}</bdi>"))));
    assert!(page.contains("972 other users"));
}

#[test]
fn a_page_looks_right_in_a_browser() {
    let page = written(&world(&HOSTILE), &["usage", "--html"]);
    let Some(browser) = browser::find() else {
        eprintln!("there is no Chromium here: other tests parse the page, and nobody looks at it");
        return;
    };
    browser::look(&browser, &page);
}

#[test]
fn a_report_is_for_its_owner_and_replaces_only_a_report() {
    let program = world(&[]);
    let path = program.path("report.html");
    let write = || program.run(&["usage", "--html", path.to_str().unwrap()]);
    let said = write().expect(0);
    assert_eq!(said.out, format!("wrote {}\n", path.display()));
    assert_eq!(mode(&path), 0o600);
    write().expect(0);
    fs::write(&path, "<!DOCTYPE html>\nmine").unwrap();
    let refused = write().expect(1);
    assert!(refused.err.contains("is there and is no report on usage of homekeep's"), "{}", refused.err);
    assert_eq!(fs::read_to_string(&path).unwrap(), "<!DOCTYPE html>\nmine");
    for arguments in [&["usage", "ann", "--html", "x"][..], &["usage", "--csv", "--prometheus", "x"]] {
        program.run(arguments).expect(2);
    }
}

#[test]
fn metrics_of_usage_are_well_formed_and_say_what_the_table_says() {
    let program = world(&HOSTILE);
    let text = written(&program, &["usage", "--prometheus"]);
    assert_eq!(mode(&program.path("written")), 0o644);
    let samples = exposition::parse(&text);
    let of = |name: &str, user: &str| {
        let is_it = |sample: &&exposition::Sample| {
            sample.name == name && (user.is_empty() || sample.labels.contains(&("user".into(), user.into())))
        };
        let found: Vec<_> = samples.iter().filter(is_it).map(|sample| sample.value).collect();
        assert!(!found.is_empty(), "{name} of {user}:\n{text}");
        found
    };
    assert_eq!(of("homekeep_home_bytes", "ann"), [17_000.0]);
    assert_eq!(of("homekeep_home_files", "line\\nbreak\\\\n"), [2.0]);
    assert_eq!(
        (of("homekeep_home_over_quota", "bob"), of("homekeep_home_over_quota", "ann")),
        (vec![1.0], vec![0.0])
    );
    assert_eq!(of("homekeep_snapshots", ""), [2.0]);
    let listed = walkdir::WalkDir::new(&program.repository).into_iter().map(Result::unwrap);
    let stored: u64 = listed.filter(|e| e.file_type().is_file()).map(|e| e.metadata().unwrap().len()).sum();
    assert_eq!(of("homekeep_store_bytes", "").iter().sum::<f64>(), stored as f64);
    exposition::check_with_promtool(&text);
}

#[test]
fn metrics_of_a_run_are_there_after_each_backup() {
    let program = world(&HOSTILE);
    let path = program.path("backup.prom");
    let config = format!("[backup]\nprometheus = {path:?}\n");
    fs::write(program.path("homekeep.toml"), &config).unwrap();
    program.backup(&["--dry-run"]).expect(0);
    assert!(!path.exists());
    let metrics = || {
        let text = fs::read_to_string(&path).unwrap();
        exposition::check_with_promtool(&text);
        exposition::parse(&text)
    };
    let of = |samples: &[exposition::Sample], name: &str, user: &str| {
        let is_it = |sample: &&exposition::Sample| {
            sample.name == name && (user.is_empty() || sample.labels.contains(&("user".into(), user.into())))
        };
        samples.iter().find(is_it).map(|sample| sample.value)
    };
    const SUCCESS: &str = "homekeep_backup_home_last_success_timestamp_seconds";
    program.backup(&[]).expect(0);
    let first = metrics();
    assert_eq!(mode(&path), 0o644);
    assert_eq!(of(&first, "homekeep_backup_saved", ""), Some(0.0), "nothing had changed");
    assert_eq!(of(&first, SUCCESS, "ann"), of(&first, "homekeep_backup_finish_timestamp_seconds", ""));
    fs::remove_dir_all(program.home("bob")).unwrap();
    program.backup(&[]).expect(3);
    let second = metrics();
    assert_eq!(of(&second, "homekeep_backup_complete", ""), Some(0.0));
    assert!(of(&second, SUCCESS, "ann") > of(&first, SUCCESS, "ann"));
    let bob = of(&second, SUCCESS, "bob");
    assert!(
        bob.is_some() && bob < of(&first, SUCCESS, "bob"),
        "the time of the snapshot that has it: {bob:?}"
    );
    assert_eq!(of(&second, "homekeep_backup_home_files", "bob"), None);

    // What is not ours is not replaced, and the snapshot stands.
    program.backup(&["--confirm", "bob"]).expect(0);
    fs::write(&path, "# homekeep usage\n").unwrap();
    write_old(&program.home("ann").join("more"), "x");
    let ended = program.backup(&[]).expect(3);
    assert!(
        ended.out.contains("saved snapshot") && ended.err.contains("no metrics of this run"),
        "{ended:?}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "# homekeep usage\n");
}

/// All words in a text that look like a metric's name.
fn names(text: &str) -> BTreeSet<String> {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c| !is_of_name(c)).filter(|word| word.starts_with("homekeep_"));
    words.map(str::to_owned).collect()
}

#[test]
fn examples_and_documents_know_the_metrics_that_there_are() {
    let program = world(&[]);
    let usage = written(&program, &["usage", "--prometheus"]);
    let path = program.path("backup.prom");
    program.backup(&["--prometheus", path.to_str().unwrap()]).expect(0);
    let all = usage + &fs::read_to_string(path).unwrap();
    let there: BTreeSet<String> = exposition::parse(&all).into_iter().map(|sample| sample.name).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("examples/monitoring");
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let unknown: Vec<_> = names(&text).difference(&there).cloned().collect();
        assert!(unknown.is_empty() && !names(&text).is_empty(), "{}: {unknown:?}", path.display());
    }
    let dashboard = fs::read_to_string(folder.join("grafana-dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(
        dashboard["panels"].as_array().unwrap().iter().all(|panel| panel["targets"][0]["expr"].is_string())
    );
    exposition::check_rules_with_promtool(&folder.join("alerts.yml"));
    let documented = names(&fs::read_to_string(root.join("docs/usage.md")).unwrap());
    assert_eq!(documented, there, "docs/usage.md lists each metric");
}
