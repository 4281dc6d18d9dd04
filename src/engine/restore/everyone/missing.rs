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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::format::Owner;

    fn absent(names: &[&str]) -> Vec<(usize, Absent)> {
        let who = |name: &&str| Absent { name: (*name).into(), owner: Arc::new(Owner::default()) };
        names.iter().map(who).enumerate().collect()
    }

    #[test]
    fn an_account_counts_when_it_was_there_twice() {
        let absent = absent(&["no such user, ever", "root"]);
        let mut seen_before = HashSet::new();
        assert!(those_who_came(&absent, &mut seen_before).is_empty());
        assert_eq!(seen_before, HashSet::from([1]));
        let came = those_who_came(&absent, &mut seen_before);
        assert_eq!(
            came.iter().map(|(index, name, _)| (*index, name.as_str())).collect::<Vec<_>>(),
            [(1, "root")]
        );
        assert!(seen_before.is_empty());
    }

    #[test]
    fn one_that_is_gone_again_begins_anew() {
        let mut seen_before = HashSet::from([0]);
        assert!(those_who_came(&absent(&["no such user, ever"]), &mut seen_before).is_empty());
        assert!(seen_before.is_empty());
    }

    #[test]
    fn a_dry_run_says_which_accounts_could_be_made() {
        let absent = absent(&["ann", "-x"]);
        let places = vec![PathBuf::from("/home/ann"), PathBuf::from("/home/x")];
        let mut done = create(&absent, &places, true, &Meter::default());
        done.sort_by_key(|(number, _)| *number);
        assert!(matches!(&done[..], [(0, Ok(None)), (1, Err(CreateError::Name { .. }))]));
    }
}
