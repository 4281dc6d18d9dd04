//! Opens a database of the local index: pragmas, version, schema, in one place.
//! Knows nothing of what the tables hold.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// Why the local index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// SQLite says so.
    #[error("cannot use the local index {path}; --cache-dir names another place for it")]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The folder cannot be used.
    #[error("cannot use the cache folder {path}; name another with --cache-dir")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What the index holds is not what was put there.
    #[error("the local index is damaged ({0})")]
    Damaged(&'static str),
}

/// The file of the catalogue in a repository's cache folder.
pub(super) const CATALOG: &str = "index.sqlite";
/// Memory for pages, per connection; a run has about ten of them.
const CACHE_KIB: i32 = 2048;

impl IndexError {
    /// Whether the database itself is at fault, and another one would do. What SQLite did not complain of, but
    /// was not found or not of its kind, was lost or changed after it was written.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Sqlite { source: rusqlite::Error::SqliteFailure(error, _), .. } => {
                let is_cut_short = error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ;
                let is_wrong = matches!(
                    error.code,
                    ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::SchemaChanged
                );
                is_cut_short || is_wrong
            }
            Self::Sqlite { source, .. } => matches!(
                source,
                rusqlite::Error::QueryReturnedNoRows
                    | rusqlite::Error::InvalidColumnType(..)
                    | rusqlite::Error::FromSqlConversionFailure(..)
                    | rusqlite::Error::IntegralValueOutOfRange(..)
            ),
            Self::Folder { .. } => false,
        }
    }

    /// Removes a database that is damaged, so that whoever opens it next makes it anew. Where it is not known which one is, those of
    /// all repositories below the folder `caches` are removed: another one costs its next user some time.
    pub fn discard_damaged(&self, caches: &Path) {
        match self {
            // What cannot be removed is complained of again by who opens it.
            Self::Sqlite { path, .. } if self.is_damage() => drop(Database::remove(path)),
            Self::Damaged(_) => {
                for folder in std::fs::read_dir(caches).into_iter().flatten().flatten() {
                    drop(Database::remove(&folder.path().join(CATALOG)));
                }
            }
            _ => {}
        }
    }
}

impl IndexError {
    /// Whether a row that was there is gone.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Sqlite { source: rusqlite::Error::QueryReturnedNoRows, .. })
    }
}

/// How long to wait for another writer.
const BUSY_WAIT: Duration = Duration::from_secs(30);
/// How often, and how long apart, the write-ahead log is asked for.
const WAL_ATTEMPTS: u32 = 500;
const WAL_PAUSE: Duration = Duration::from_millis(10);

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// A schema with the version that `user_version` must show. There are no migrations: the index can be rebuilt.
pub(super) struct Schema {
    pub version: i32,
    pub sql: &'static [&'static str],
}

/// A connection that is ready for use, to a database whose path it remembers for errors.
pub(super) struct Database {
    pub connection: Connection,
    pub path: PathBuf,
}

impl Database {
    /// Opens or creates. A database that is damaged or of another version is thrown away: it is a cache.
    pub fn open(path: &Path, schema: &Schema) -> Result<Self, IndexError> {
        match Self::try_open(path, schema) {
            Err(error) if error.is_damage() => {
                Self::remove(path)?;
                Self::try_open(path, schema)
            }
            result => result,
        }
    }

    fn try_open(path: &Path, schema: &Schema) -> Result<Self, IndexError> {
        let error = |source| IndexError::Sqlite { path: path.into(), source };
        let database = Self { connection: Connection::open(path).map_err(error)?, path: path.into() };
        database.configure()?;
        database.use_write_ahead_log()?;
        match database.version()? {
            0 => database.create(schema)?,
            version if version == schema.version => {}
            _ => return Err(IndexError::Damaged("another version")),
        }
        Ok(database)
    }

    /// Turning the log on takes a lock for which SQLite does not wait: who makes a database at the same
    /// moment as another tries again.
    fn use_write_ahead_log(&self) -> Result<(), IndexError> {
        let mut attempts = 0;
        loop {
            match self.connection.pragma_update(None, "journal_mode", "WAL") {
                Err(error) if is_busy(&error) && attempts < WAL_ATTEMPTS => {
                    attempts += 1;
                    std::thread::sleep(WAL_PAUSE);
                }
                result => return result.map_err(|e| self.error(e)),
            }
        }
    }

    fn version(&self) -> Result<i32, IndexError> {
        self.connection.pragma_query_value(None, "user_version", |r| r.get(0)).map_err(|e| self.error(e))
    }

    /// Makes the tables, unless another process or thread did so first.
    fn create(&self, schema: &Schema) -> Result<(), IndexError> {
        let execute = |sql: &str| self.connection.execute_batch(sql).map_err(|e| self.error(e));
        execute("BEGIN IMMEDIATE")?;
        if self.version()? == 0 {
            schema.sql.iter().copied().try_for_each(execute)?;
            execute(&format!("PRAGMA user_version = {}", schema.version))?;
        }
        execute("COMMIT")
    }

    /// Another connection to the same database, for writing.
    pub fn writer(&self) -> Result<Self, IndexError> {
        let connection = Connection::open(&self.path).map_err(|e| self.error(e))?;
        let database = Self { connection, path: self.path.clone() };
        database.configure()?;
        Ok(database)
    }

    /// Replaces the database by an empty one. No other connection to it may be open.
    pub fn recreate(&mut self, schema: &Schema) -> Result<(), IndexError> {
        // Closing removes the journal of that name, so it comes before there is a new one.
        self.connection = Connection::open_in_memory().map_err(|e| self.error(e))?;
        Self::remove(&self.path)?;
        *self = Self::open(&self.path, schema)?;
        Ok(())
    }

    /// Removes a database with its journal.
    pub fn remove(path: &Path) -> Result<(), IndexError> {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut file = path.as_os_str().to_owned();
            file.push(suffix);
            match std::fs::remove_file(&file) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(IndexError::Folder { path: path.into(), source: e });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Another connection to the same database, for reading in another thread.
    pub fn reader(&self) -> Result<Self, IndexError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(|e| self.error(e))?;
        let database = Self { connection, path: self.path.clone() };
        database.configure()?;
        Ok(database)
    }

    /// Reads from one moment until [`Database::see_newest`]: a transaction around many small reads saves each
    /// of them taking and giving back a lock.
    pub fn hold_moment(&self) -> Result<(), IndexError> {
        self.connection.execute_batch("BEGIN").map_err(|e| self.error(e))
    }

    /// Moves on to what has been written meanwhile.
    pub fn see_newest(&self) -> Result<(), IndexError> {
        self.connection.execute_batch("COMMIT; BEGIN").map_err(|e| self.error(e))
    }

    /// Bytes of the write-ahead log.
    pub fn log_len(&self) -> u64 {
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        std::fs::metadata(log).map_or(0, |metadata| metadata.len())
    }

    /// Moves what stands in the write-ahead log to its place in the database, and empties the log. Says whether it did: not
    /// while somebody reads from it, for whom it does not wait.
    pub fn empty_log(&self) -> Result<bool, IndexError> {
        self.connection.busy_timeout(Duration::ZERO).map_err(|e| self.error(e))?;
        let is_busy_there =
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |r| r.get::<_, bool>(0));
        self.connection.busy_timeout(BUSY_WAIT).map_err(|e| self.error(e))?;
        match is_busy_there {
            Err(error) if is_busy(&error) => Ok(false),
            is_busy_there => is_busy_there.map(|is_busy| !is_busy).map_err(|e| self.error(e)),
        }
    }

    /// Losing the last transactions at a power cut costs a little work, never data: no fsync per commit.
    fn configure(&self) -> Result<(), IndexError> {
        let connection = &self.connection;
        connection
            .busy_timeout(BUSY_WAIT)
            .and_then(|()| connection.pragma_update(None, "synchronous", "NORMAL"))
            .and_then(|()| connection.pragma_update(None, "cache_size", -CACHE_KIB))
            .and_then(|()| connection.pragma_update(None, "temp_store", "MEMORY"))
            .map_err(|e| self.error(e))?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(())
    }

    pub fn error(&self, source: rusqlite::Error) -> IndexError {
        IndexError::Sqlite { path: self.path.clone(), source }
    }
}
