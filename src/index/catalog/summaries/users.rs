//! The names of all users that any snapshot mentions, by number: a snapshot's summary has numbers only.

use std::collections::HashMap;

use rusqlite::Transaction;

use crate::format::HomeRecord;

/// Names and their numbers, which count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Users {
    names: Vec<Vec<u8>>,
    numbers: HashMap<Vec<u8>, u32>,
}

impl Users {
    /// Users whose numbers are their places.
    pub fn from_names(names: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut users = Self::default();
        names.into_iter().for_each(|name| users.push(name));
        users
    }

    /// From the table's rows in order; None when one is missing.
    pub(super) fn from_rows(rows: Vec<(u32, Vec<u8>)>) -> Option<Self> {
        let is_dense = rows.iter().zip(1..).all(|((number, _), place)| *number == place);
        is_dense.then(|| Self::from_names(rows.into_iter().map(|(_, name)| name)))
    }

    fn push(&mut self, name: Vec<u8>) {
        if let std::collections::hash_map::Entry::Vacant(vacant) = self.numbers.entry(name) {
            self.names.push(vacant.key().clone());
            vacant.insert(self.names.len() as u32);
        }
    }

    /// How many there are: the highest number.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// All names, by number.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.names.iter().map(Vec::as_slice)
    }

    /// A user's number.
    pub fn number(&self, name: &[u8]) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The name behind a number.
    pub fn name(&self, number: u32) -> Option<&[u8]> {
        self.names.get((number as usize).checked_sub(1)?).map(Vec::as_slice)
    }
}

/// Gives everyone in `homes` a number who has none, and returns all users.
pub(super) fn enter(transaction: &Transaction<'_>, homes: &[HomeRecord]) -> rusqlite::Result<Users> {
    let mut select = transaction.prepare_cached("SELECT name FROM users ORDER BY user")?;
    let names = select.query_map([], |r| r.get(0))?.collect::<rusqlite::Result<Vec<Vec<u8>>>>()?;
    let mut users = Users::from_names(names);
    for home in homes {
        if users.number(&home.user).is_none() {
            users.push(home.user.clone());
            let number = users.len() as u32;
            let mut insert = transaction.prepare_cached("INSERT INTO users VALUES (?1, ?2)")?;
            insert.execute(rusqlite::params![number, home.user])?;
        }
    }
    Ok(users)
}
