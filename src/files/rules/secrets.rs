//! Which files are secrets, and go into the vault instead of a snapshot: by their path, or by how they begin. Pure: opens
//! nothing.

use std::ffi::OsStr;
use std::path::Path;

use super::{DefaultRule, RuleError, RuleOptions, Rules, Scope, Verdict};

/// Bytes at a file's beginning that [`looks_secret`] is asked with.
pub const LOOK_LEN: usize = 1024;
/// Keys are small. What is larger is not looked into.
pub const MAX_LOOKED_INTO: u64 = 64 << 10;

/// What counts as a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretOptions {
    /// Whether [`default_secret_rules`] hold.
    pub defaults: bool,
    /// Patterns as in a `.gitignore` in the home, after the defaults; `!` takes out what an earlier one names.
    pub rules: Vec<String>,
    /// Whether a file that begins like a private key is a secret wherever it is.
    pub by_content: bool,
}

impl Default for SecretOptions {
    fn default() -> Self {
        Self { defaults: true, rules: Vec::new(), by_content: true }
    }
}

/// What counts as a secret, compiled.
#[derive(Debug, Clone)]
pub struct SecretRules {
    rules: Rules,
    /// What a default rule names may be no secret only where somebody turned one off.
    defaults: Option<Rules>,
    by_content: bool,
    fingerprint: [u8; 16],
}

/// The rules as they stand in one directory.
#[derive(Debug, Clone)]
pub struct SecretScope {
    rules: Scope,
    defaults: Option<Scope>,
}

/// What the rules say of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// It is a secret.
    Secret,
    /// It is a secret by default, and a rule says that it is none.
    TurnedOff,
    /// No rule names it.
    Ordinary,
}

impl SecretRules {
    /// Reads the patterns. One that cannot be used is an error: what it names would be stored as ordinary data.
    pub fn new(options: &SecretOptions) -> Result<Self, RuleError> {
        let defaults: Vec<String> =
            default_secret_rules().iter().map(|rule| rule.pattern.to_string()).collect();
        let mut all = if options.defaults { defaults.clone() } else { Vec::new() };
        all.extend(options.rules.iter().cloned());
        let said = format!("{all:?} {}", options.by_content);
        let hash = blake3::hash(said.as_bytes());
        let fingerprint = *hash.as_bytes().first_chunk().expect("a hash is longer");
        let by_content = options.by_content;
        let turns_off = !options.defaults || options.rules.iter().any(|rule| rule.starts_with('!'));
        let defaults = turns_off.then(|| rules(defaults)).transpose()?;
        Ok(Self { rules: rules(all)?, defaults, by_content, fingerprint })
    }

    /// No file is a secret; what would be one by default is told apart all the same.
    pub fn none() -> Self {
        let options = SecretOptions { defaults: false, rules: Vec::new(), by_content: false };
        Self::new(&options).expect("the default rules are patterns")
    }

    /// Names these rules: others call other files secrets.
    pub fn fingerprint(&self) -> [u8; 16] {
        self.fingerprint
    }

    /// Where a walk of a home begins.
    pub fn home(&self, home_path: &Path) -> SecretScope {
        let defaults = self.defaults.as_ref().map(|rules| rules.home(home_path));
        SecretScope { rules: self.rules.home(home_path), defaults }
    }

    /// Whether a file that looks like a secret is one.
    pub fn by_content(&self) -> bool {
        self.by_content
    }
}

fn rules(patterns: Vec<String>) -> Result<Rules, RuleError> {
    Rules::new(&RuleOptions {
        excludes: patterns,
        default_excludes: false,
        ignore_file_name: None,
        ..RuleOptions::default()
    })
}

impl SecretScope {
    /// The directory `name` in this one.
    pub fn enter(&self, name: &OsStr) -> Self {
        Self {
            rules: self.rules.enter(name),
            defaults: self.defaults.as_ref().map(|scope| scope.enter(name)),
        }
    }

    /// What the rules say of the regular file `name`.
    pub fn decide(&self, name: &OsStr) -> Secrecy {
        if self.rules.decide(name, false) != Verdict::Keep {
            Secrecy::Secret
        } else if self.defaults.as_ref().is_some_and(|scope| scope.decide(name, false) != Verdict::Keep) {
            Secrecy::TurnedOff
        } else {
            Secrecy::Ordinary
        }
    }
}

/// Whether a file that begins with these bytes is a private key: PEM of any kind, OpenSSH's, PGP's, PuTTY's or age's.
/// It may have a few lines before it, as `openssl pkcs12` writes them.
pub fn looks_secret(start: &[u8]) -> bool {
    start.starts_with(b"PuTTY-User-Key-File-") || start.split(|byte| *byte == b'\n').any(is_key_line)
}

fn is_key_line(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
    let is_pem = line.starts_with(b"-----BEGIN ")
        && (line.ends_with(b"PRIVATE KEY-----") || line.ends_with(b"PRIVATE KEY BLOCK-----"));
    is_pem || line.starts_with(b"AGE-SECRET-KEY-1") || line.starts_with(b"AGE-SECRET-KEY-PQ-1")
}

/// What counts as a secret by default, in the order in which it is tried.
pub fn default_secret_rules() -> &'static [DefaultRule] {
    DEFAULTS
}

const fn rule(pattern: &'static str, reason: &'static str) -> DefaultRule {
    DefaultRule { pattern, reason }
}

const SSH: &str = "SSH private keys";
const GCLOUD: &str = "Google Cloud credentials";
const AZURE: &str = "Azure tokens";
const GPG: &str = "GnuPG private keys";

const DEFAULTS: &[DefaultRule] = &[
    rule("/.ssh/id_*", SSH),
    rule("/.ssh/identity", SSH),
    rule("/.ssh/*.pem", SSH),
    rule("/.ssh/*.key", SSH),
    rule("!/.ssh/*.pub", "kept: a public key is no secret"),
    rule("!/.ssh/*-cert.pub", "kept: a certificate is no secret"),
    rule(".Renviron", "R's environment, which is where tokens are put"),
    rule(".httr-oauth", "OAuth tokens of R's httr"),
    rule("/.databrickscfg", "Databricks tokens"),
    rule("/.databricks/token-cache.json", "Databricks tokens"),
    rule("/.netrc", "passwords for hosts"),
    rule("/.git-credentials", "passwords for Git"),
    rule("/.config/git/credentials", "passwords for Git"),
    rule("/.config/gh/hosts.yml", "GitHub tokens"),
    rule("/.pgpass", "PostgreSQL passwords"),
    rule("/.my.cnf", "MySQL passwords"),
    rule("/.aws/credentials", "AWS keys"),
    rule("/.aws/sso/cache/*.json", "AWS tokens"),
    rule("/.aws/cli/cache/*.json", "AWS tokens"),
    rule("/.config/gcloud/credentials.db", GCLOUD),
    rule("/.config/gcloud/access_tokens.db", GCLOUD),
    rule("/.config/gcloud/application_default_credentials.json", GCLOUD),
    rule("/.config/gcloud/legacy_credentials/**", GCLOUD),
    rule("/.azure/msal_token_cache.*", AZURE),
    rule("/.azure/service_principal_entries.*", AZURE),
    rule("/.azure/accessTokens.json", AZURE),
    rule("/.config/rclone/rclone.conf", "rclone's credentials"),
    rule("/.gnupg/private-keys-v1.d/*", GPG),
    rule("/.gnupg/secring.gpg", GPG),
    rule("/.docker/config.json", "passwords for image registries"),
    rule("/.kube/config", "Kubernetes credentials"),
    rule("/.npmrc", "npm tokens"),
    rule("/.pypirc", "PyPI tokens"),
    rule("/.cargo/credentials.toml", "crates.io tokens"),
    rule("/.huggingface/token", "Hugging Face tokens"),
    rule("/.kaggle/kaggle.json", "Kaggle tokens"),
    rule("/.vault-token", "a HashiCorp Vault token"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(options: &SecretOptions, path: &str) -> Secrecy {
        let mut scope = SecretRules::new(options).unwrap().home(Path::new("/home/ann"));
        let path = Path::new(path);
        for directory in path.parent().into_iter().flat_map(Path::components) {
            scope = scope.enter(directory.as_os_str());
        }
        scope.decide(path.file_name().unwrap())
    }

    #[test]
    fn credentials_are_secrets_and_what_lies_beside_them_is_not() {
        let defaults = SecretOptions::default();
        for path in [
            ".ssh/id_rsa",
            ".ssh/id_ed25519",
            ".ssh/work.pem",
            ".Renviron",
            "project/deep/.Renviron",
            ".databrickscfg",
            ".config/gcloud/legacy_credentials/ann@example.org/adc.json",
            ".gnupg/private-keys-v1.d/0123.key",
        ] {
            assert_eq!(decide(&defaults, path), Secrecy::Secret, "{path}");
        }
        for path in [
            ".ssh/id_rsa.pub",
            ".ssh/config",
            ".ssh/known_hosts",
            ".ssh/authorized_keys",
            "project/.netrc",
            "Renviron",
            ".gnupg/pubring.kbx",
            ".aws/config",
            "id_rsa",
        ] {
            assert_eq!(decide(&defaults, path), Secrecy::Ordinary, "{path}");
        }
    }

    #[test]
    fn an_admin_adds_rules_and_takes_them_out() {
        let rules = vec![".env".into(), "!/.npmrc".into(), "!.Renviron".into(), "/office/.Renviron".into()];
        let options = SecretOptions { rules, ..SecretOptions::default() };
        assert_eq!(decide(&options, "a/b/.env"), Secrecy::Secret);
        assert_eq!(decide(&options, ".npmrc"), Secrecy::TurnedOff);
        assert_eq!(decide(&options, "office/.Renviron"), Secrecy::Secret);
        assert_eq!(decide(&options, ".Renviron"), Secrecy::TurnedOff);
        let off = SecretOptions { defaults: false, ..SecretOptions::default() };
        assert_eq!(decide(&off, ".ssh/id_rsa"), Secrecy::TurnedOff);
        assert!(SecretRules::new(&SecretOptions { rules: vec!["[".into()], ..off }).is_err());
    }

    #[test]
    fn private_keys_are_known_by_how_they_begin() {
        for start in [
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r",
            "-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n",
            "-----BEGIN PRIVATE KEY-----\n",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
            "-----BEGIN EC PRIVATE KEY-----\n",
            "Bag Attributes\n    friendlyName: x\nKey Attributes: <No Attributes>\n-----BEGIN PRIVATE KEY-----\n",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\n",
            "PuTTY-User-Key-File-3: ssh-ed25519\n",
            "# created: 2026-11-24\n# public key: age1xyz\nAGE-SECRET-KEY-1QQQ\n",
            "\u{feff}-----BEGIN PRIVATE KEY-----\n",
        ] {
            assert!(looks_secret(start.as_bytes()), "{start}");
        }
        for start in [
            "-----BEGIN PUBLIC KEY-----\n",
            "-----BEGIN CERTIFICATE-----\n",
            "ssh-rsa AAAA ann@host\n",
            "if line == \"-----BEGIN RSA PRIVATE KEY-----\":\n",
            "",
        ] {
            assert!(!looks_secret(start.as_bytes()), "{start}");
        }
    }
}
