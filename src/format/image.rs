//! The record in an index image's parts: which image, which part of how many.
//!
//! An image is a convenience: whoever cannot use it rebuilds the index from the segments' ends.

use minicbor::{Decoder, Encoder};

use super::cbor::{self, Cbor, FormatError, INFALLIBLE};

/// Stands in the table of contents of a segment of kind `Index`, whose blocks hold the part's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecord {
    /// Equal for all parts of an image.
    pub image: [u8; 16],
    /// This part, from 0.
    pub part: u32,
    /// How many there are.
    pub parts: u32,
    /// Version of the database's schema; a program that has another cannot use the image.
    pub schema: u32,
    /// Segments that the image knows.
    pub segments: u64,
}

impl ImageRecord {
    /// The record's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        Cbor::to_bytes(self)
    }

    /// Reads a record; refuses anything that [`ImageRecord::to_bytes`] would not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        Cbor::from_bytes(bytes)
    }
}

impl Cbor for ImageRecord {
    const WHAT: &'static str = "index image record";

    /// `[1, image, part, parts, schema, segments]`.
    fn encode(&self, to: &mut Encoder<Vec<u8>>) {
        to.array(6).expect(INFALLIBLE).u8(1).expect(INFALLIBLE);
        to.bytes(&self.image).expect(INFALLIBLE);
        to.u32(self.part).expect(INFALLIBLE).u32(self.parts).expect(INFALLIBLE);
        to.u32(self.schema).expect(INFALLIBLE).u64(self.segments).expect(INFALLIBLE);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, minicbor::decode::Error> {
        cbor::array_of(from, 6)?;
        if from.u8()? != 1 {
            return Err(cbor::message("another version"));
        }
        let record = Self {
            image: cbor::bytes_of(from)?,
            part: from.u32()?,
            parts: from.u32()?,
            schema: from.u32()?,
            segments: from.u64()?,
        };
        if record.part >= record.parts {
            return Err(cbor::message("a part beyond the last"));
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_a_part_beyond_the_last_is_refused() {
        let record = ImageRecord { image: [1; 16], part: 2, parts: 3, schema: 1, segments: 70_000 };
        assert_eq!(ImageRecord::from_bytes(&record.to_bytes()), Ok(record.clone()));
        let beyond = ImageRecord { part: 3, ..record };
        assert!(ImageRecord::from_bytes(&beyond.to_bytes()).is_err());
    }
}
