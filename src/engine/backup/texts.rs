//! Whether what a run is told to write into the snapshot record fits there. Knows the record's limits.

use super::{BackupError, BackupOptions};
use crate::format::SnapshotRecord;

/// Refuses texts that no reader would take, before anything is read or written.
pub fn check(options: &BackupOptions) -> Result<(), BackupError> {
    if options.tags.len() > SnapshotRecord::MAX_TAGS {
        return Err(BackupError::ManyTags(options.tags.len()));
    }
    let names = [("source", &options.source), ("host", &options.host)];
    let tags = options.tags.iter().map(|tag| ("tag", tag));
    match names.into_iter().chain(tags).find(|(_, text)| text.len() > SnapshotRecord::MAX_TEXT_LEN) {
        Some((what, text)) => Err(BackupError::LongText { what, length: text.len() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Meter;
    use crate::engine::backup::backup;
    use crate::engine::testing::Bench;
    use crate::store::Store;

    #[test]
    fn what_does_not_fit_into_a_record_ends_the_run_before_it_writes() {
        let mut bench = Bench::new();
        bench.home("ann").file("a", "a");
        let fitting = bench.options.clone();
        let spoil: [fn(&mut BackupOptions); 4] = [
            |o| o.source = "x".repeat(257),
            |o| o.host = "x".repeat(257),
            |o| o.tags = vec!["short".into(), "x".repeat(257)],
            |o| o.tags = vec!["t".into(); 65],
        ];
        let before = bench.store.list("").unwrap();
        for spoil in spoil {
            bench.options = fitting.clone();
            spoil(&mut bench.options);
            let refused = backup(&mut bench.repository, &bench.options, &Meter::default());
            assert!(matches!(refused, Err(BackupError::LongText { .. } | BackupError::ManyTags(65))));
        }
        assert_eq!(bench.store.list("").unwrap(), before);
        bench.options = BackupOptions { tags: vec!["x".repeat(256); 64], ..fitting };
        bench.run_backup();
        assert_eq!(bench.snapshots()[0].record.tags, bench.options.tags);
    }
}
