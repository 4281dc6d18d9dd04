//! `usage --prometheus`: the account as metrics. docs/usage.md lists them.

use super::users::{store_lines, used};
use crate::cli::json;
use crate::cli::metrics::{Gauge, Metrics, Number, label};
use crate::cli::quota::QuotaConfig;
use crate::cli::report_file::Kind;
use crate::engine::usage::{HomeState, UsageReport, UserUsage};

/// The file.
pub const METRICS: Kind = Kind { name: "file of usage metrics", mark: "# homekeep usage\n", mode: 0o644 };

type Of<T> = fn(&T) -> Number;

/// Of every home.
const OF_HOMES: [(Gauge, Of<UserUsage>); 4] = [
    (Gauge { name: "homekeep_home_snapshots", help: "Snapshots that hold the home." }, |user| {
        Number::Whole(user.snapshots)
    }),
    (
        Gauge {
            name: "homekeep_home_stored_own_bytes",
            help: "Bytes in the store that only this home needs.",
        },
        |user| Number::Whole(user.stored.own()),
    ),
    (
        Gauge {
            name: "homekeep_home_stored_shared_bytes",
            help: "Bytes in the store that this home and others need; they do not add up over homes.",
        },
        |user| Number::Whole(user.stored.shared()),
    ),
    (
        Gauge {
            name: "homekeep_home_stored_fair_bytes",
            help: "Bytes in the store that only this home needs, and its part of what is shared; they add up to what is needed.",
        },
        |user| Number::Whole(user.stored.fair()),
    ),
];

/// Of every home that a restore would bring back.
const OF_STATES: [(Gauge, Of<HomeState>); 6] = [
    (
        Gauge {
            name: "homekeep_home_last_snapshot_timestamp_seconds",
            help: "When the snapshot was taken that a restore of the home would read. A run in which nothing changed takes none.",
        },
        |state| Number::Milliseconds(state.time_ms),
    ),
    (
        Gauge { name: "homekeep_home_files", help: "Regular files in the newest state of the home." },
        |state| Number::Whole(state.files),
    ),
    (
        Gauge { name: "homekeep_home_directories", help: "Directories in the newest state of the home." },
        |state| Number::Whole(state.directories),
    ),
    (
        Gauge { name: "homekeep_home_bytes", help: "Bytes of the files in the newest state of the home." },
        |state| Number::Whole(state.bytes),
    ),
    (
        Gauge {
            name: "homekeep_home_problems",
            help: "Files and directories of the newest state that could not be saved as they are.",
        },
        |state| Number::Whole(state.problems),
    ),
    (
        Gauge {
            name: "homekeep_home_vault_items",
            help: "Files of the newest state that are kept in the vault.",
        },
        |state| Number::Whole(state.vault_items),
    ),
];

const ATTENTION: Gauge = Gauge {
    name: "homekeep_home_attention",
    help: "What the newest snapshot says of the home, as a label; always 1.",
};
const QUOTA: Gauge = Gauge { name: "homekeep_home_quota_bytes", help: "What the home should take at most." };
const OVER: Gauge =
    Gauge { name: "homekeep_home_over_quota", help: "Whether the home takes more than that." };
const STORE: Gauge = Gauge {
    name: "homekeep_store_bytes",
    help: "Bytes in the store by what they are for; they add up to all of the store.",
};
const OBJECTS: Gauge = Gauge { name: "homekeep_store_objects", help: "Objects in the store." };
const SNAPSHOTS: Gauge =
    Gauge { name: "homekeep_snapshots", help: "Snapshots that are there and not forgotten." };
const LOST: Gauge =
    Gauge { name: "homekeep_damage_lost_chunks", help: "Chunks that snapshots need and that are nowhere." };
const UNREADABLE: Gauge = Gauge {
    name: "homekeep_damage_unreadable_trees",
    help: "Directories and lists of snapshots that cannot be read.",
};
const TAKEN: Gauge =
    Gauge { name: "homekeep_usage_timestamp_seconds", help: "When these figures were asked for." };

/// The metrics.
pub fn metrics(report: &UsageReport, users: &[&UserUsage], quota: &QuotaConfig) -> String {
    let mut metrics = Metrics::begin(METRICS);
    let alone = |number| [(Vec::new(), number)];
    metrics.gauge(TAKEN, alone(Number::Milliseconds(report.taken_ms)));
    metrics.gauge(SNAPSHOTS, alone(Number::Whole(report.snapshots as u64)));
    metrics.gauge(OBJECTS, alone(Number::Whole(report.store.objects)));
    let lines = store_lines(&report.store);
    metrics.gauge(STORE, lines.iter().map(|line| (vec![("kind", line.key)], Number::Whole(line.bytes))));
    metrics.gauge(LOST, alone(Number::Whole(report.damage.lost)));
    metrics.gauge(UNREADABLE, alone(Number::Whole(report.damage.unreadable)));
    homes(&mut metrics, users, quota);
    metrics.finish()
}

fn homes(metrics: &mut Metrics, users: &[&UserUsage], quota: &QuotaConfig) {
    let homes: Vec<_> =
        users.iter().map(|user| (label(user.source.as_bytes()), label(&user.user), *user)).collect();
    let homes =
        || homes.iter().map(|(source, name, user)| (vec![("source", &**source), ("user", &**name)], *user));
    for (gauge, of) in OF_STATES {
        metrics.gauge(gauge, homes().filter_map(|(labels, user)| Some((labels, of(&user.state?)))));
    }
    for (gauge, of) in OF_HOMES {
        metrics.gauge(gauge, homes().map(|(labels, user)| (labels, of(user))));
    }
    metrics.gauge(
        ATTENTION,
        homes().map(|(mut labels, user)| {
            labels.push(("attention", json::attention(user.attention)));
            (labels, Number::Whole(1))
        }),
    );
    let limited = || homes().filter_map(|(labels, user)| Some((labels, user, quota.limit(&user.user)?)));
    metrics.gauge(QUOTA, limited().map(|(labels, _, limit)| (labels, Number::Whole(limit))));
    metrics.gauge(OVER, limited().map(|(labels, user, limit)| (labels, (used(quota, user) > limit).into())));
}
