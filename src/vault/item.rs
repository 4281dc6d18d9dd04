//! Names of items: a file's path below its home, as text that JSON and a command line can carry. Bytes that
//! cannot stand in it are escaped, and the way back is exact.

use std::fmt::Write;

/// The name of the item that holds a file.
pub fn item_of_path(path: &[u8]) -> String {
    let mut name = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '%' => name.push_str("%25"),
                c if c.is_control() => {
                    c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| escape(&mut name, byte));
                }
                c => name.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| escape(&mut name, *byte));
    }
    name
}

/// The path of the file that an item holds.
pub fn path_of_item(item: &str) -> Vec<u8> {
    let (mut path, mut rest) = (Vec::with_capacity(item.len()), item.as_bytes());
    while let Some((&byte, behind)) = rest.split_first() {
        let escaped = behind.first_chunk::<2>().filter(|_| byte == b'%').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            let is_escape = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            u8::from_str_radix(digits, 16).ok().filter(|_| is_escape)
        });
        path.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    path
}

fn escape(name: &mut String, byte: u8) {
    write!(name, "%{byte:02X}").expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_path_where_that_is_plain_text() {
        assert_eq!(item_of_path(b".ssh/id_rsa"), ".ssh/id_rsa");
        assert_eq!(item_of_path("Schlüssel/é".as_bytes()), "Schlüssel/é");
    }

    #[test]
    fn every_path_comes_back() {
        for path in [&b"100%/a"[..], b"a\xff\xfeb", b"a\nb\x1b[2J", b"%41", b"\xc3", "\u{85}".as_bytes()] {
            let item = item_of_path(path);
            assert!(!item.chars().any(char::is_control), "{item:?}");
            assert_eq!(path_of_item(&item), path, "{item}");
        }
    }
}
