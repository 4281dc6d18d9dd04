//! Opens the repository that the command line means, or creates it. Knows where things are and what
//! to tell about it, not what is done with them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::context::Context;
use super::error::CliError;
use super::output::Output;
use super::secret::SecretSource;
use crate::repo::{CreateOptions, RepoError, Repository};
use crate::store::{LocalStore, Store, StoreError};

/// A new repository.
pub struct Created {
    /// It.
    pub repository: Repository,
    /// The key file that was made for it.
    pub key_file: Option<PathBuf>,
}

/// Opens the repository.
pub fn open(context: &Context) -> Result<Repository, CliError> {
    open_at(context, &context.places.repository, &context.secret)
}

/// Opens a repository in another place.
pub fn open_at(context: &Context, place: &Path, secret: &SecretSource) -> Result<Repository, CliError> {
    let store = store(place)?;
    // Before anyone is asked for a passphrase.
    if store
        .get(&crate::format::ObjectName::descriptor())
        .is_err_and(|e| matches!(e, StoreError::NotFound { .. }))
    {
        refuse_headless(place)?;
        return Err(RepoError::Absent(store.location()).into());
    }
    let secret = secret.read(&context.output)?;
    Ok(Repository::open(store, &secret, &context.places.cache)?)
}

/// Creates the repository, with its key file if that is missing.
pub fn create(context: &Context) -> Result<Created, CliError> {
    let place = &context.places.repository;
    if place.join("format").exists() {
        return Err(RepoError::Exists(place.display().to_string()).into());
    }
    refuse_headless(place)?;
    refuse_occupied(place)?;
    let store: Arc<dyn Store> = Arc::new(LocalStore::create(place).map_err(RepoError::from)?);
    let (secret, key_file) = context.secret.read_or_create(&context.output)?;
    let repository = Repository::create(store, &secret, &context.places.cache, &CreateOptions::default())?;
    Ok(Created { repository, key_file })
}

/// The plain words about a key file that was just made. Said also when quiet: it is said once.
pub fn tell_of_key(output: &Output, key_file: &Path) {
    output.warn(&format!(
        "the key to the repository is in {}. Without it nothing can be restored, and whoever has it can read \
         everything: keep a copy in a safe place that is not this machine",
        key_file.display()
    ));
}

/// A folder that is not there holds no repository; one that cannot be looked into may.
fn store(place: &Path) -> Result<Arc<dyn Store>, CliError> {
    match LocalStore::open(place) {
        Ok(store) => Ok(Arc::new(store)),
        Err(StoreError::Io { source, .. })
            if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
        {
            Err(RepoError::Absent(place.display().to_string()).into())
        }
        Err(error) => Err(RepoError::from(error).into()),
    }
}

/// Snapshots without a descriptor are a damaged repository, and no place for a new one.
fn refuse_headless(place: &Path) -> Result<(), CliError> {
    let has = |name: &str| place.join(name).exists();
    if has("config") && has("data") {
        return Err(CliError::OtherProgram(place.into()));
    }
    if has("snapshots") || has("segments") { Err(CliError::Headless(place.into())) } else { Ok(()) }
}

/// A key and a temporary file may be left of a creation that was interrupted; `lost+found` is a new file
/// system's.
fn refuse_occupied(place: &Path) -> Result<(), CliError> {
    let entries = match std::fs::read_dir(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|source| CliError::File { flag: "--repo", path: place.into(), source })?,
    };
    for entry in entries {
        let entry = entry.map_err(|source| CliError::File { flag: "--repo", path: place.into(), source })?;
        let name = entry.file_name();
        if name != "keys" && name != "lost+found" && !name.as_encoded_bytes().starts_with(b".tmp-") {
            return Err(CliError::Occupied(place.into()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_place_or_an_interrupted_creation_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        refuse_occupied(&place.join("missing")).unwrap();
        std::fs::create_dir(place.join("keys")).unwrap();
        refuse_occupied(place).unwrap();
        refuse_headless(place).unwrap();
        std::fs::create_dir(place.join("segments")).unwrap();
        assert!(matches!(refuse_headless(place), Err(CliError::Headless(_))));
        std::fs::write(place.join("thesis.tex"), "").unwrap();
        assert!(matches!(refuse_occupied(place), Err(CliError::Occupied(_))));
    }
}
