//! The protocol with a program of somebody else: what it gets, what its codes mean, and what a program that
//! misbehaves cannot do. The examples are run as they are.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use homekeep::vault::{Provider, ProviderError, ProviderSettings, Written, open};
use tempfile::TempDir;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/vault-command");

/// The interpreter itself: what stands in `PATH` may be a script that first looks for it.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let output =
            Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().into()
    })
}

/// A program and what it keeps.
pub struct Site {
    pub program: PathBuf,
    folder: TempDir,
}

impl Site {
    /// The example over a directory.
    pub fn example() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        fs::create_dir(&kept).unwrap();
        let text = format!(
            "VAULT_DIRECTORY='{}' exec {} {EXAMPLES}/directory.py \"$@\"",
            kept.display(),
            python().display()
        );
        Self::in_folder(folder, &text)
    }

    /// A shell script.
    fn script(text: &str) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), text)
    }

    fn in_folder(folder: TempDir, text: &str) -> Self {
        let program = folder.path().join("program");
        write_script(&program, text);
        Self { program, folder }
    }

    fn provider(&self) -> Arc<dyn Provider> {
        self.provider_within(Duration::from_secs(60))
    }

    fn provider_within(&self, timeout: Duration) -> Arc<dyn Provider> {
        open(&ProviderSettings::Command { program: self.program.clone(), timeout }).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn write_script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_program_gets_one_word_and_the_rest_on_its_standard_input() {
    let site =
        Site::script("echo \"$#:$1\" >> \"$0.seen\"; cat >> \"$0.seen\"; echo >> \"$0.seen\"; echo '{}'");
    let provider = site.provider();
    assert_eq!(provider.put("ann@x", b"{\"a\":\"\xc3\xbc\"}").unwrap(), Written::Unknown);
    provider.delete("ann@x").unwrap();
    let seen = fs::read_to_string(site.path("program.seen")).unwrap();
    let expected = "1:put\n{\"user\":\"ann@x\",\"document\":\"{\\\"a\\\":\\\"ü\\\"}\"}\n1:delete\n{\"user\":\"ann@x\"}\n";
    assert_eq!(seen, expected);
}

#[test]
fn each_code_means_what_the_protocol_says() {
    let ended = |code: u32| {
        Site::script(&format!("cat >/dev/null; echo 'my words' >&2; echo '{{\"limit\": 7}}'; exit {code}"))
    };
    let is = |code: u32, expected: fn(&ProviderError) -> bool| {
        let site = ended(code);
        let error = site.provider().put("ann", b"{\"x\":1}").unwrap_err();
        assert!(expected(&error), "{code}: {error:?}");
        error.to_string()
    };
    assert!(is(4, |e| matches!(e, ProviderError::Denied { .. })).contains("my words"));
    assert!(is(5, |e| matches!(e, ProviderError::ReadOnly { .. })).contains("my words"));
    is(6, |e| matches!(e, ProviderError::TooLarge { bytes: 7, limit: 7, .. }));
    assert!(is(7, |e| matches!(e, ProviderError::Full { .. })).contains("my words"));
    assert!(is(1, |e| matches!(e, ProviderError::Unavailable { .. })).contains("code 1: my words"));
    is(3, |e| matches!(e, ProviderError::Protocol { .. }));
    let site = ended(3);
    let nobody = site.provider();
    assert_eq!(nobody.get("ann").unwrap(), None);
    nobody.delete("ann").unwrap();
    assert!(matches!(nobody.list(), Err(ProviderError::Unavailable { .. })));
}

#[test]
fn a_program_that_asks_for_it_is_called_again_and_not_for_ever() {
    let counting = |succeeds_at: u32| {
        format!(
            "cat >/dev/null; echo x >> \"$0.calls\"; [ $(wc -l < \"$0.calls\") -ge {succeeds_at} ] || {{ echo busy >&2; exit 8; }}; echo '{{\"document\": \"d\"}}'"
        )
    };
    let site = Site::script(&counting(2));
    assert_eq!(site.provider().get("ann").unwrap(), Some(b"d".to_vec()));
    let site = Site::script(&counting(9));
    let error = site.provider().get("ann").unwrap_err();
    assert!(
        matches!(&error, ProviderError::Unavailable { reason, .. } if reason.contains("busy")),
        "{error:?}"
    );
    assert_eq!(fs::read_to_string(site.path("program.calls")).unwrap().lines().count(), 3);
}

#[test]
fn a_program_that_hangs_is_killed_with_its_children() {
    let site = Site::script("echo waiting >&2; sleep 1000 & echo $! > \"$0.child\"; wait");
    let error = site.provider_within(Duration::from_millis(700)).list().unwrap_err();
    assert!(
        matches!(&error, ProviderError::Unavailable { reason, .. } if reason.contains("waiting")),
        "{error:?}"
    );
    let child = fs::read_to_string(site.path("program.child")).unwrap();
    let state = Path::new("/proc").join(child.trim()).join("stat");
    let patience = Instant::now() + Duration::from_secs(30);
    // A process whose parent died may be a zombie for a moment.
    while fs::read_to_string(&state).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < patience, "the child lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_program_that_writes_without_end_is_stopped() {
    let site = Site::script("exec cat /dev/zero");
    assert!(matches!(site.provider().list(), Err(ProviderError::Protocol { .. })));
}

#[test]
fn words_of_the_program_are_bounded_and_cannot_steer_a_terminal() {
    let site =
        Site::script("printf '\\033[2Jred\\n' >&2; head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 4");
    let text = site.provider().list().unwrap_err().to_string();
    assert!(text.contains("\\u{1b}[2Jred") && !text.contains('\u{1b}'), "{text}");
    assert!(text.len() < 2000);
}

#[test]
fn output_that_is_not_the_protocols_is_refused_without_repeating_it() {
    for output in [
        "",
        "null",
        "[]",
        "{\"users\": [{\"user\": \"\"}]}",
        "SECRET",
        "{\"users\": [{\"user\": \"a\\u0000\"}]}",
    ] {
        let site = Site::script(&format!("cat >/dev/null; printf '%s' '{output}'"));
        let error = site.provider().list().unwrap_err();
        assert!(matches!(error, ProviderError::Protocol { .. }), "{output}: {error:?}");
        assert!(!error.to_string().contains("SECRET"));
    }
    let twice = Site::script("echo '{\"users\": [{\"user\": \"a\"}, {\"user\": \"a\"}]}'");
    assert!(twice.provider().list().unwrap_err().to_string().contains("twice"));
}

#[test]
fn a_program_that_reads_nothing_or_is_not_there_is_no_hang() {
    let site = Site::script("echo '{\"tag\": \"t\"}'");
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    let written = site.provider().put("ann", large.as_bytes()).unwrap();
    assert!(matches!(written, Written::As(stamp) if stamp.tag == "t"));
    let missing =
        ProviderSettings::Command { program: site.path("missing"), timeout: Duration::from_secs(9) };
    assert!(matches!(open(&missing).unwrap().list(), Err(ProviderError::Configuration(_))));
}

/// A stand-in for HashiCorp's program, as its documentation has it: `kv list|get|put|metadata delete`.
const STAND_IN: &str = r#"
[ "$1" = kv ] || exit 9
case "$2 $3" in
"list -mount=secret") [ -n "$(ls "$KEPT")" ] || { echo "No value found at secret/metadata/$5" >&2; exit 2; }
  ls "$KEPT" | sed 's/.*/"&"/' | paste -sd, | sed 's/.*/[&]/' ;;
"get -mount=secret") f="$KEPT/${5#homekeep/}"; [ -e "$f" ] || { echo "No value found at secret/data/$5" >&2; exit 2; }
  printf '{"data":{"data":%s}}' "$(cat "$f")" ;;
"put -mount=secret") [ "$5" = - ] || exit 9; cat > "$KEPT/${4#homekeep/}" ;;
"metadata delete") rm -f "$KEPT/${5#homekeep/}" ;;
*) exit 9 ;;
esac"#;

#[test]
fn the_example_for_hashicorp_vault_keeps_documents_through_its_program() {
    let folder = tempfile::tempdir().unwrap();
    let [kept, tools] = ["kept", "tools"].map(|name| folder.path().join(name));
    fs::create_dir(&kept).unwrap();
    fs::create_dir(&tools).unwrap();
    write_script(&tools.join("vault"), STAND_IN);
    let text = format!(
        "export KEPT='{}' PATH='{}':\"$PATH\"; exec {EXAMPLES}/hashicorp.py \"$@\"",
        kept.display(),
        tools.display()
    );
    let site = Site::in_folder(folder, &text);
    let provider = site.provider();
    assert_eq!(provider.list().unwrap().len(), 0);
    assert_eq!(provider.get("ann@x/y").unwrap(), None);
    provider.put("ann@x/y", b"{\"a\": \"1\"}").unwrap();
    provider.put("Bob", b"{}").unwrap();
    assert_eq!(provider.get("ann@x/y").unwrap(), Some(b"{\"a\": \"1\"}".to_vec()));
    assert_eq!(provider.list().unwrap().into_keys().collect::<Vec<_>>(), ["Bob", "ann@x/y"]);
    provider.delete("Bob").unwrap();
    assert_eq!(provider.list().unwrap().into_keys().collect::<Vec<_>>(), ["ann@x/y"]);
    write_script(&site.path("tools/vault"), "echo '* permission denied' >&2; exit 2");
    assert!(matches!(provider.get("ann@x/y"), Err(ProviderError::Denied { .. })));
}
