//! The head of one member of a tar archive, with the records that go before it. Knows an entry and
//! its name, not its bytes.
//!
//! Names too long for the header stand in GNU's `L` and `K` members, which hold any bytes; PAX records
//! hold what the header has no field for. A PAX path would have to be UTF-8.

use std::io;

use tar::{EntryType, Header};

use crate::format::Entry;

/// Everything in an archive is padded to this many bytes.
pub(super) const BLOCK_LEN: u64 = 512;

/// One member.
pub(super) struct Member<'m> {
    entry: &'m Entry,
    name: &'m [u8],
    kind: EntryType,
    target: &'m [u8],
    size: u64,
    device: Option<u64>,
}

impl<'m> Member<'m> {
    /// A member that has no bytes and points nowhere.
    pub(super) fn new(entry: &'m Entry, name: &'m [u8], kind: EntryType) -> Self {
        Self { entry, name, kind, target: b"", size: 0, device: None }
    }

    /// Pointing to `target`.
    pub(super) fn linked(self, target: &'m [u8]) -> Self {
        Self { target, ..self }
    }

    /// Followed by `size` bytes.
    pub(super) fn sized(self, size: u64) -> Self {
        Self { size, ..self }
    }

    /// Being the device with this number.
    pub(super) fn device(self, number: u64) -> Self {
        Self { device: Some(number), ..self }
    }

    /// All that goes before the member's bytes.
    pub(super) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut header = self.header();
        let mut records = Records::default();
        self.owner_names(&mut header, &mut records);
        if self.entry.mtime_ns != 0 || self.entry.mtime_s < 0 {
            records.push("mtime", seconds(self.entry.mtime_s, self.entry.mtime_ns).as_bytes());
        }
        // A link's attributes are those of the file it leads to, which has them already.
        let xattrs = if self.kind == EntryType::Link { &[][..] } else { &self.entry.attributes.xattrs };
        for xattr in xattrs {
            records.push_bytes(&xattr_key(&xattr.name), &xattr.value);
        }
        if !records.0.is_empty() {
            extension(&mut bytes, EntryType::XHeader, b"PaxHeaders", &records.0);
        }
        if let Some(gnu) = header.as_gnu_mut() {
            fit(&mut bytes, EntryType::GNULongName, &mut gnu.name, self.name);
            fit(&mut bytes, EntryType::GNULongLink, &mut gnu.linkname, self.target);
        }
        if let Some(device) = self.device {
            header.set_device_major(rustix::fs::major(device))?;
            header.set_device_minor(rustix::fs::minor(device))?;
        }
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        Ok(bytes)
    }

    fn header(&self) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(self.kind);
        header.set_mode(u32::from(self.entry.mode));
        header.set_uid(u64::from(self.entry.owner.uid));
        header.set_gid(u64::from(self.entry.owner.gid));
        header.set_mtime(u64::try_from(self.entry.mtime_s).unwrap_or(0));
        header.set_size(self.size);
        header
    }

    /// A name that the header has no room for goes into a record.
    fn owner_names(&self, header: &mut Header, records: &mut Records) {
        let owner = &self.entry.owner;
        if header.set_username(&owner.user).is_err() {
            records.push("uname", owner.user.as_bytes());
        }
        if header.set_groupname(&owner.group).is_err() {
            records.push("gname", owner.group.as_bytes());
        }
    }
}

/// Writes `text` into a header's field, or before it where it is too long for that.
fn fit(bytes: &mut Vec<u8>, kind: EntryType, field: &mut [u8; 100], text: &[u8]) {
    let shown = text.len().min(field.len());
    field[..shown].copy_from_slice(&text[..shown]);
    if text.len() > field.len() {
        let terminated = [text, b"\0"].concat();
        extension(bytes, kind, b"././@LongLink", &terminated);
    }
}

/// A member that says something of the one after it.
fn extension(bytes: &mut Vec<u8>, kind: EntryType, name: &[u8], content: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    header.set_cksum();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK_LEN as usize), 0);
}

/// The name of an extended attribute's record; `=` would end it.
fn xattr_key(name: &[u8]) -> Vec<u8> {
    let mut key = b"SCHILY.xattr.".to_vec();
    for byte in name {
        match byte {
            b'=' => key.extend_from_slice(b"%3D"),
            b'%' => key.extend_from_slice(b"%25"),
            byte => key.push(*byte),
        }
    }
    key
}

/// A time as a decimal number. The nanoseconds count forward, before 1970 too.
fn seconds(seconds: i64, nanoseconds: u32) -> String {
    match (seconds < 0, nanoseconds) {
        (true, 1..) => format!("-{}.{:09}", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanoseconds),
        _ => format!("{seconds}.{nanoseconds:09}"),
    }
}

/// PAX records: `LENGTH KEY=VALUE\n`, where the length counts itself.
#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    fn push(&mut self, key: &str, value: &[u8]) {
        self.push_bytes(key.as_bytes(), value);
    }

    fn push_bytes(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + " =\n".len();
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.0.extend_from_slice(length.to_string().as_bytes());
        self.0.extend_from_slice(&[b" ", key, b"=", value, b"\n"].concat());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        let mut records = Records::default();
        records.push("a", b"1");
        records.push("key", &[b'x'; 92]);
        let text = String::from_utf8(records.0).unwrap();
        let (first, second) = text.split_once('\n').unwrap();
        assert_eq!(first, "6 a=1");
        assert!(second.starts_with("101 key=") && second.len() == 101, "{second}");
    }

    #[test]
    fn times_before_1970_are_below_zero() {
        assert_eq!(seconds(5, 7), "5.000000007");
        assert_eq!(seconds(-5, 0), "-5.000000000");
        assert_eq!(seconds(-5, 750_000_000), "-4.250000000");
        assert_eq!(seconds(-1, 750_000_000), "-0.250000000");
    }
}
