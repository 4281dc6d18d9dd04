//! Rows of figures, and how they are shown: as a table for people, as objects or as CSV for programs, all from the
//! same cells. Knows no figure's meaning.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::cli::error::CliError;
use crate::cli::json::{lossy, raw, rfc3339};
use crate::cli::lines::Lines;
use crate::cli::table::{self, Align};
use crate::cli::text;

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// What programs call it.
    pub key: &'static str,
    /// What people read; nothing if they don't.
    pub title: Option<&'static str>,
    /// On which side.
    pub align: Align,
}

/// A column of words.
pub fn words(key: &'static str, title: &'static str) -> Column {
    Column { key, title: Some(title), align: Align::Left }
}

/// A column of numbers.
pub fn numbers(key: &'static str, title: &'static str) -> Column {
    Column { key, title: Some(title), align: Align::Right }
}

impl Column {
    /// The same, not shown to people.
    pub fn hidden(self) -> Self {
        Self { title: None, ..self }
    }

    /// The same, shown to people only if it matters.
    pub fn shown_if(self, matters: bool) -> Self {
        if matters { self } else { self.hidden() }
    }
}

/// What stands in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// A word of ours, or an id.
    Text(String),
    /// Several ids.
    Ids(Vec<String>),
    /// A name from outside.
    Name(Vec<u8>),
    /// Bytes.
    Size(u64),
    /// By how many bytes something grew.
    Growth(Option<i64>),
    /// How many.
    Count(u64),
    /// Milliseconds since 1970.
    Time(Option<i64>),
    /// Not known, or none.
    None,
}

/// Rows under columns.
pub struct Rows {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
    /// What an object of a row says it is.
    pub message_type: &'static str,
}

impl Rows {
    /// Sorts by the column that is called `key`: numbers and times from the largest down, words up.
    pub fn sort(&mut self, key: &str) -> Result<(), CliError> {
        let Some(column) = self.columns.iter().position(|column| column.key == key) else {
            let known: Vec<_> = self.columns.iter().map(|column| column.key).collect();
            return Err(CliError::Usage(format!("--sort takes one of {}", known.join(", "))));
        };
        self.rows.sort_by(|a, b| compare(&a[column], &b[column]));
        Ok(())
    }

    /// For people.
    pub fn table(&self, total: Option<Vec<Cell>>) -> String {
        let shown = |row: &Vec<Cell>| {
            let cells = row.iter().zip(&self.columns).filter(|(_, column)| column.title.is_some());
            cells.map(|(cell, _)| cell.shown()).collect()
        };
        let header: Vec<_> = self.columns.iter().filter_map(|c| Some((c.title?, c.align))).collect();
        table::render(&header, self.rows.iter().chain(&total).map(shown).collect())
    }

    /// For programs, an object a row.
    pub fn objects(&self, lines: &mut Lines) -> Result<(), CliError> {
        for row in &self.rows {
            let mut object = Map::new();
            object.insert("message_type".into(), self.message_type.into());
            for (cell, column) in row.iter().zip(&self.columns) {
                object.insert(column.key.into(), cell.value());
                if let Cell::Name(name) = cell
                    && let Some(bytes) = raw(name)
                {
                    object.insert(format!("{}_bytes", column.key), bytes.into());
                }
            }
            lines.object(&object)?;
        }
        Ok(())
    }

    /// For spreadsheets: a header, and a record a row. Names have exactly their bytes.
    pub fn csv(&self) -> Result<Vec<u8>, CliError> {
        let failed = |error: csv::Error| CliError::Output(error.into());
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns.iter().map(|column| column.key)).map_err(failed)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(Cell::field)).map_err(failed)?;
        }
        writer.into_inner().map_err(|error| CliError::Output(error.into_error()))
    }
}

impl Cell {
    /// As people read it.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Ids(ids) => ids.join(" "),
            Self::Name(name) => text::name(name),
            Self::Size(bytes) => text::size(*bytes),
            Self::Growth(Some(bytes)) if *bytes < 0 => format!("-{}", text::size(bytes.unsigned_abs())),
            Self::Growth(Some(bytes)) => format!("+{}", text::size(bytes.unsigned_abs())),
            Self::Count(count) => count.to_string(),
            Self::Time(Some(time)) => {
                text::local_time(jiff::Timestamp::from_millisecond(*time).unwrap_or_default())
            }
            Self::Growth(None) | Self::Time(None) | Self::None => "-".into(),
        }
    }

    /// What the words leave out.
    pub fn exact(&self) -> Option<String> {
        match self {
            Self::Size(bytes) => Some(format!("{bytes} bytes")),
            Self::Growth(Some(bytes)) => Some(format!("{bytes:+} bytes")),
            _ => None,
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Text(text) => text.clone().into(),
            Self::Ids(ids) => ids.clone().into(),
            Self::Name(name) => lossy(name).into(),
            Self::Size(number) | Self::Count(number) => (*number).into(),
            Self::Growth(growth) => (*growth).into(),
            Self::Time(time) => time.map(rfc3339).into(),
            Self::None => Value::Null,
        }
    }

    fn field(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Ids(ids) => ids.join(" ").into_bytes(),
            Self::Name(name) => name.clone(),
            Self::Size(number) | Self::Count(number) => number.to_string().into_bytes(),
            Self::Growth(Some(growth)) => growth.to_string().into_bytes(),
            Self::Time(Some(time)) => rfc3339(*time).into_bytes(),
            Self::Growth(None) | Self::Time(None) | Self::None => Vec::new(),
        }
    }
}

fn compare(a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
        (Cell::Name(a), Cell::Name(b)) => a.cmp(b),
        (Cell::Size(a), Cell::Size(b)) | (Cell::Count(a), Cell::Count(b)) => b.cmp(a),
        (Cell::Growth(a), Cell::Growth(b)) | (Cell::Time(a), Cell::Time(b)) => b.cmp(a),
        (Cell::None, Cell::None) => Ordering::Equal,
        (Cell::None, _) => Ordering::Greater,
        (_, Cell::None) => Ordering::Less,
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let columns = vec![words("user", "user"), numbers("bytes", "size"), numbers("id", "").hidden()];
        let row = |name: &[u8], size| vec![Cell::Name(name.to_vec()), Cell::Size(size), Cell::None];
        Rows { columns, rows: vec![row(b"b,\"x", 5), row(b"a\xff", 2048)], message_type: "user" }
    }

    #[test]
    fn rows_are_sorted_by_any_column() {
        let mut rows = rows();
        let first = |rows: &Rows| rows.rows[0][0].clone();
        rows.sort("bytes").unwrap();
        assert_eq!(first(&rows), Cell::Name(b"a\xff".to_vec()));
        rows.rows.reverse();
        rows.sort("user").unwrap();
        assert_eq!(first(&rows), Cell::Name(b"a\xff".to_vec()));
        assert!(matches!(rows.sort("bites"), Err(CliError::Usage(_))));
    }

    #[test]
    fn a_table_has_what_people_read_and_csv_has_every_byte() {
        let rows = rows();
        assert_eq!(rows.table(None), "user      size\nb,\"x       5 B\na\\xff  2.0 KiB");
        assert_eq!(rows.csv().unwrap(), b"user,bytes,id\n\"b,\"\"x\",5,\na\xff,2048,\n");
    }
}
