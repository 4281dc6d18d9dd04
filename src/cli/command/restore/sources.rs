//! Which trees are brought back, of which snapshots, and what to say about the choice. Knows records
//! and single entries, nothing of how they are written.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use jiff::Timestamp;

use super::arguments::RestoreArguments;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::json::home::{AbsentObject, StateObject};
use crate::cli::output::Output;
use crate::cli::synced::Synced;
use crate::cli::{state, text};
use crate::engine::lookup::{Located, lookup};
use crate::engine::restore::{RestoreOptions, RestoreSource, RestoreTarget};
use crate::engine::select::{
    AbsentHome, Chosen, Filter, HomeState, SelectError, Selected, SelectedPlace, refuse_unknown_users,
};
use crate::engine::{HomePath, Meter};
use crate::format::Attention;

/// What is brought back.
pub struct Sources<'s> {
    states: Vec<HomeState<'s>>,
    absent: Vec<AbsentHome<'s>>,
    /// The place in the one home, if not whole homes.
    place: Option<Located>,
}

impl<'s> Sources<'s> {
    /// Finds the snapshots that the command line means.
    pub fn choose(
        synced: &Synced,
        arguments: &RestoreArguments,
        filter: &Filter,
    ) -> Result<Chosen, CliError> {
        let latest = OsStr::new("latest");
        let spec = arguments.filter.spec(arguments.spec.as_deref().unwrap_or(latest))?;
        refuse_unknown_users(filter, &synced.summaries)?;
        synced.choose(&spec, filter, Timestamp::now())
    }

    /// What is meant of them.
    pub fn of(synced: &Synced, chosen: &'s Chosen, filter: &Filter) -> Result<Self, CliError> {
        match chosen.place()? {
            SelectedPlace::InHome { state, path } => {
                let place = lookup(&mut synced.repository.reader()?, state.root, &path)?;
                Ok(Self { states: vec![state], absent: Vec::new(), place: Some(place) })
            }
            SelectedPlace::Homes(selected) => Self::homes(selected, &filter.users),
        }
    }

    /// Whole homes: each user who was asked for, and none twice.
    fn homes(selected: Selected<'s>, users: &[Vec<u8>]) -> Result<Self, CliError> {
        let Selected { snapshot, homes: states, absent } = selected;
        let is_known = |user: &Vec<u8>| {
            states.iter().any(|s| s.home.user == *user) || absent.iter().any(|a| a.home.user == *user)
        };
        if let Some(unknown) = users.iter().find(|user| !is_known(user)) {
            let only = Filter { users: vec![unknown.clone()], ..Filter::default() };
            refuse_unknown_users(&only, std::slice::from_ref(snapshot))?;
        }
        if let (true, Some(AbsentHome { snapshot, home })) = (states.is_empty(), absent.first()) {
            let (user, attention) = (home.user.clone(), home.attention);
            return Err(SelectError::Absent { user, snapshot: snapshot.record.id, attention }.into());
        }
        if let Some(twice) = states.windows(2).find(|pair| pair[0].home.user == pair[1].home.user) {
            let sources = twice.iter().map(|state| state.snapshot.record.source.clone()).collect();
            return Err(SelectError::SeveralSources { user: twice[0].home.user.clone(), sources }.into());
        }
        Ok(Self { states, absent, place: None })
    }

    /// The homes, in the order of their trees, if all are of one logical machine.
    pub fn states(&self) -> &[HomeState<'s>] {
        &self.states
    }

    /// Says of each home what a person should know of the state that was chosen.
    pub fn tell(&self, output: &Output, options: &RestoreOptions) {
        if output.is_json() {
            let is_told = !output.is_quiet();
            self.states.iter().filter(|_| is_told).for_each(|state| output.object(&StateObject::new(state)));
            self.absent.iter().for_each(|absent| output.object(&AbsentObject::new(absent)));
            return;
        }
        self.states.iter().for_each(|state| state::tell(output, state));
        self.absent.iter().for_each(|absent| state::tell_absent(output, absent));
        let is_told = options.target == RestoreTarget::InPlace && options.dry_run;
        for state in self.states.iter().filter(|_| is_told) {
            let (user, path) = (text::name(&state.home.user), text::name(&state.home.path));
            output.note(&format!("the home of {user} would come back to {path}"));
        }
    }

    /// Owners are root's to give: whoever restores somebody else's files without root gets them.
    pub fn tell_of_owners(&self, context: &Context, options: &RestoreOptions) {
        let me = rustix::process::geteuid().as_raw();
        if !options.owners && self.states.iter().any(|state| state.root.owner.uid != me) {
            context.output.note("owners do not come back: everything will belong to whoever runs this");
        }
    }

    /// Where it comes back to.
    pub fn target(&self, arguments: &RestoreArguments) -> RestoreTarget {
        match (&arguments.target, &self.place) {
            (None, _) => RestoreTarget::InPlace,
            (Some(target), None) => RestoreTarget::PerUser(target.clone()),
            (Some(target), Some(_)) => RestoreTarget::Contents(target.clone()),
        }
    }

    /// Tells the meter what to expect, where the records say it.
    pub fn expect(&self, meter: &Meter, options: &RestoreOptions) {
        let is_part = self.place.as_ref().is_some_and(|place| !place.path.is_home());
        if is_part || !options.includes.is_empty() || !options.excludes.is_empty() {
            return;
        }
        for HomeState { home, .. } in &self.states {
            Meter::add(&meter.files_expected, home.files);
            Meter::add(&meter.bytes_expected, home.bytes);
        }
    }

    /// The trees, each logical machine's for itself.
    pub fn by_machine(&self) -> BTreeMap<&str, Vec<RestoreSource>> {
        let mut machines: BTreeMap<&str, Vec<RestoreSource>> = BTreeMap::new();
        for state in &self.states {
            machines.entry(&state.snapshot.record.source).or_default().push(self.tree(state));
        }
        machines
    }

    fn tree(&self, state: &HomeState<'_>) -> RestoreSource {
        let (path, entry) = match &self.place {
            Some(place) => (place.path.as_bytes().to_vec(), place.entry.clone()),
            None => (Vec::new(), state.root.clone()),
        };
        RestoreSource {
            user: state.home.user.clone(),
            path,
            entry,
            home: state.root.clone(),
            home_path: Path::new(OsStr::from_bytes(&state.home.path)).into(),
            commit: state.snapshot.hash,
            time_ms: state.snapshot.record.time_ms,
        }
    }

    /// The directory that paths of changes begin at.
    pub fn above(&self) -> HomePath {
        let mut above = self.place.as_ref().map(|place| place.path.clone()).unwrap_or_default();
        if self.place.as_ref().is_some_and(|place| !place.entry.is_directory()) {
            above.pop();
        }
        above
    }

    /// Homes that were to be there and are in no snapshot; one that was removed is not missed.
    pub fn missing(&self) -> usize {
        self.absent.iter().filter(|absent| absent.home.attention != Attention::Removed).count()
    }

    /// The ids of the snapshots, newest first.
    pub fn snapshots(&self) -> Vec<String> {
        let used: BTreeSet<_> =
            self.states.iter().map(|s| (s.snapshot.record.time_ms, s.snapshot.record.id.to_hex())).collect();
        used.into_iter().rev().map(|(_, id)| id).collect()
    }
}
