//! Sets of small numbers in about a byte each: the steps between them in ascending order, seven bits a byte, the
//! lowest first; all but the last byte of a step have the top bit set.

/// Encodes numbers that come in ascending order.
pub fn encode(ascending: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let (mut bytes, mut next) = (Vec::new(), 0);
    for number in ascending {
        let mut step = number - next;
        while step >= 0x80 {
            bytes.push(step as u8 | 0x80);
            step >>= 7;
        }
        bytes.push(step as u8);
        next = number.saturating_add(1);
    }
    bytes
}

/// Shows each number below `end`. Says whether the bytes are such a set, and of nothing else.
pub fn decode(bytes: &[u8], end: usize, visit: &mut dyn FnMut(usize)) -> bool {
    let (mut next, mut step, mut shift) = (0u64, 0u64, 0);
    for byte in bytes {
        step |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 != 0 {
            shift += 7;
            if shift > 28 {
                return false;
            }
            continue;
        }
        let number = next + step;
        if number >= end as u64 {
            return false;
        }
        visit(number as usize);
        (next, step, shift) = (number + 1, 0, 0);
    }
    shift == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_reads_back_and_what_is_none_is_refused() {
        for set in [vec![], vec![0], vec![0, 1, 2, 127, 128, 300, 70_000, u32::MAX - 1]] {
            let (bytes, mut read) = (encode(set.iter().copied()), Vec::new());
            assert!(decode(&bytes, u32::MAX as usize, &mut |number| read.push(number as u32)));
            assert_eq!(read, set);
        }
        assert_eq!(encode(5..1005).len(), 1000);
        let is_set = |bytes: &[u8], end| decode(bytes, end, &mut |_| {});
        assert!(is_set(&[4], 5) && !is_set(&[5], 5) && !is_set(&[0, 0, 0], 2));
        assert!(!is_set(&[0x80], 5) && !is_set(&[0x80, 0x80, 0x80, 0x80, 0x80, 0], 5));
    }
}
