//! What a flow carries: numbered records with a checksum of their own, so that each can be missed, and none mistaken.

use crate::way::Direction;

const HEADER: usize = 9; // flow, direction, number, length of the filling
const CHECKSUM: usize = 4;
const OVERHEAD: usize = HEADER + CHECKSUM;

/// Bytes of filling, one after the other: small and large packets, none that has to be cut.
const FILLINGS: [u16; 5] = [0, 260, 1300, 40, 700];

/// The largest record.
pub(crate) const LARGEST: usize = OVERHEAD + 1300;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) flow: u16,
    pub(crate) direction: Direction,
    pub(crate) number: u32,
}

impl Record {
    pub(crate) fn encode(self) -> Vec<u8> {
        let filling = FILLINGS[self.number as usize % FILLINGS.len()];
        let mut bytes = Vec::with_capacity(OVERHEAD + usize::from(filling));
        bytes.extend(self.flow.to_be_bytes());
        bytes.push(self.direction as u8);
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(filling.to_be_bytes());
        bytes.extend((0..filling).map(|place| (u32::from(place) + self.number).to_le_bytes()[0]));
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        bytes
    }

    /// The record that these bytes are, whole; `None` if they are not one as it was sent.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM>()?;
        if bytes.len() != length(bytes)? || u32::from_be_bytes(*checksum) != crc32fast::hash(content) {
            return None;
        }
        Some(Self {
            flow: u16::from_be_bytes([bytes[0], bytes[1]]),
            direction: Direction::from_byte(bytes[2])?,
            number: u32::from_be_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]),
        })
    }
}

/// How long the record is that begins here, once its header is.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    let header = bytes.get(..HEADER)?;
    Some(OVERHEAD + usize::from(u16::from_be_bytes([header[7], header[8]])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u32) -> Record {
        Record { flow: 7, direction: Direction::ToCe, number }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for number in [0, 1, 2, 3, 4, 70_000, u32::MAX] {
            let bytes = record(number).encode();
            assert_eq!(Record::decode(&bytes), Some(record(number)));
            assert!(bytes.len() <= LARGEST);
        }
    }

    #[test]
    fn any_bit_that_is_wrong_is_noticed() {
        let whole = record(1).encode();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::decode(&damaged), None, "bit {bit}");
        }
    }

    #[test]
    fn a_part_is_no_record() {
        let whole = record(3).encode();
        for end in 0..whole.len() {
            assert_eq!(Record::decode(&whole[..end]), None, "{end} bytes");
        }
    }
}
