//! The file `~/.databrickscfg`: sections of keys and values. Knows no key's meaning.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

/// The section that counts where none is named.
pub const DEFAULT: &str = "DEFAULT";
/// A section that is no profile, and its key that names one.
pub const SETTINGS: &str = "__settings__";

/// Sections by name. None of them inherits from another: a token must not travel to another section's host.
pub type Profiles = BTreeMap<String, BTreeMap<String, Zeroizing<String>>>;

/// What stands before the first section belongs to [`DEFAULT`]. A comment begins with `#` or `;` at the beginning of a
/// line or after a space.
pub fn parse(text: &str) -> Profiles {
    let mut profiles = Profiles::new();
    let mut section = DEFAULT.to_owned();
    for line in text.lines() {
        let line = without_comment(line.trim_start_matches('\u{feff}').trim());
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.trim().to_owned();
            profiles.entry(section.clone()).or_default();
        } else if let Some((key, value)) = line.split_once(['=', ':']) {
            let value = Zeroizing::new(value.trim().to_owned());
            profiles.entry(section.clone()).or_default().insert(key.trim().to_ascii_lowercase(), value);
        }
    }
    profiles
}

fn without_comment(line: &str) -> &str {
    if line.starts_with(['#', ';']) {
        return "";
    }
    let end = [" #", "\t#", " ;", "\t;"].iter().filter_map(|start| line.find(start)).min();
    line[..end.unwrap_or(line.len())].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_hold_keys_and_no_comments() {
        let text = "host = https://a.example.com\n# token = x\n[two]\ntoken=dapi#1 # mine\nHost: b ; c\n\n[ three ]\nnonsense\n";
        let profiles = parse(text);
        assert_eq!(profiles.keys().collect::<Vec<_>>(), [DEFAULT, "three", "two"]);
        assert_eq!(profiles[DEFAULT]["host"].as_str(), "https://a.example.com");
        assert_eq!(profiles["two"]["token"].as_str(), "dapi#1");
        assert_eq!(profiles["two"]["host"].as_str(), "b");
        assert!(profiles["three"].is_empty());
    }
}
