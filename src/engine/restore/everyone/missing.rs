//! Accounts that are not there yet: made, or looked for again. Knows no home.

use std::collections::HashSet;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use super::Absent;
use crate::engine::Meter;
use crate::files::accounts::{self, Account, CreateError, NewAccount, check_name};

/// Between two looks at the accounts.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at whether to stop.
const MOMENT: Duration = Duration::from_millis(50);

/// Those whose account is there, and was there a look before: whoever makes an account makes its home next and puts
/// first files into it, and is not to find ours there.
pub fn those_who_came(
    absent: &[(usize, Absent)],
    seen_before: &mut HashSet<usize>,
) -> Vec<(usize, String, Account)> {
    let mut came = Vec::new();
    for (index, who) in absent {
        // One that cannot be asked for may be there next time.
        let Ok(Some(account)) = accounts::find(&who.name) else {
            seen_before.remove(index);
            continue;
        };
        if !seen_before.insert(*index) {
            came.push((*index, who.name.clone(), account));
        }
    }
    came.iter().for_each(|(index, ..)| {
        seen_before.remove(index);
    });
    came
}

/// Waits until it is worth looking again, or somebody asks to stop.
pub fn pause(meter: &Meter) {
    let mut waited = Duration::ZERO;
    while waited < PAUSE && !meter.is_interrupted() {
        thread::sleep(MOMENT);
        waited += MOMENT;
    }
}

/// Makes accounts, each with its home from `places`, and says by position what came of it. A dry run makes none.
pub fn create(
    absent: &[(usize, Absent)],
    places: &[PathBuf],
    dry_run: bool,
    meter: &Meter,
) -> Vec<(usize, Result<Option<Account>, CreateError>)> {
    let new = |number: usize| {
        let (_, who) = &absent[number];
        NewAccount { name: &who.name, was: &who.owner, home: &places[number] }
    };
    let (first, then): (Vec<_>, Vec<_>) =
        (0..absent.len()).partition(|number| new(*number).has_free_number());
    let mut done = Vec::new();
    for number in first.into_iter().chain(then) {
        if meter.is_interrupted() {
            break;
        }
        let created = match dry_run {
            true => check_name(new(number).name)
                .map(|()| None)
                .map_err(|why| CreateError::Name { name: new(number).name.into(), why }),
            false => new(number).create().map(Some),
        };
        done.push((number, created));
    }
    done
}
