//! The variables that decide how a workspace is reached, as they were when the provider was opened. Knows nothing of
//! what they mean.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

/// The beginnings and names of variables that matter here; no others are kept.
const PREFIXES: [&str; 1] = ["DATABRICKS_"];
const NAMES: [&str; 10] = [
    "HOME",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
];

/// Variables and their values, some of which are secret.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, Zeroizing<String>>,
}

impl Environment {
    /// This process's. Values that are no UTF-8 are none.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of the first of these that is set; an empty one is not.
    pub(super) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.variables.get(*name)).map(|value| value.as_str())
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter().map(|(name, value)| (name.into(), Zeroizing::new(value.into())));
        let matters =
            |name: &str| NAMES.contains(&name) || PREFIXES.iter().any(|start| name.starts_with(start));
        Self { variables: pairs.filter(|(name, value)| matters(name) && !value.is_empty()).collect() }
    }
}

impl fmt::Debug for Environment {
    /// Names only.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.variables.keys()).finish()
    }
}
