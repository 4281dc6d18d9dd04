//! How an entry's failure is told, and which failures are the whole target's.

use super::{RestoreError, RestoreTarget};
pub use crate::engine::chain::chain;
use crate::files::place::PlaceError;

/// A full target ends the restore; anything else is the entry's own trouble.
pub fn unless_full(error: PlaceError, target: &RestoreTarget) -> Result<String, RestoreError> {
    match &error {
        PlaceError::Io { source, .. }
            if matches!(
                source.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            ) =>
        {
            Err(RestoreError::Full(target.clone()))
        }
        _ => Ok(chain(&error)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn only_a_full_target_ends_the_restore() {
        let told = |kind: ErrorKind| {
            let error = PlaceError::Io { action: "write", name: "a".into(), source: kind.into() };
            unless_full(error, &RestoreTarget::InPlace)
        };
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            assert!(matches!(told(kind), Err(RestoreError::Full(RestoreTarget::InPlace))));
        }
        assert_eq!(told(ErrorKind::PermissionDenied).unwrap(), "cannot write \"a\": permission denied");
    }
}
