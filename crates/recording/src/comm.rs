//! The name of a task.

use std::fmt;
use std::ops::Deref;

/// The name of a task as the kernel keeps it (`comm`): up to 15 bytes, any but NUL. Empty where it is not
/// told.
///
/// It is held in place, because every event has one or two of them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Comm([u8; 16]);

const LOW: u128 = u128::from_ne_bytes([0x01; 16]);
const HIGH: u128 = u128::from_ne_bytes([0x80; 16]);

impl Comm {
    /// From 16 bytes of which the name goes up to the first NUL; `None` where there is none, which no kernel
    /// writes.
    #[inline]
    pub fn padded(bytes: [u8; 16]) -> Option<Self> {
        let word = u128::from_le_bytes(bytes);
        // Borrows go upwards from a NUL, so the lowest mark is right.
        let nul = word.wrapping_sub(LOW) & !word & HIGH;
        let bits = nul.trailing_zeros() & !7;
        (nul != 0).then(|| Self((word & ((1u128 << bits) - 1)).to_le_bytes()))
    }

    fn len(&self) -> usize {
        (128 - u128::from_le_bytes(self.0).leading_zeros()).div_ceil(8) as usize
    }
}

impl Deref for Comm {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0[..self.len()]
    }
}

/// Takes up to 15 bytes, up to the first NUL.
impl From<&[u8]> for Comm {
    #[inline]
    fn from(name: &[u8]) -> Self {
        let mut bytes = [0; 16];
        let length = name.len().min(15);
        bytes[..length].copy_from_slice(&name[..length]);
        Self::padded(bytes).unwrap_or_default()
    }
}

impl From<&str> for Comm {
    fn from(name: &str) -> Self {
        name.as_bytes().into()
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_bytes_before_the_first_nul(bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0x80), any::<u8>()], 0..40)) {
            let name: Vec<u8> = bytes.iter().copied().take(15).take_while(|byte| *byte != 0).collect();
            prop_assert_eq!(&*Comm::from(&bytes[..]), &name[..]);
        }
    }

    #[test]
    fn sixteen_bytes_without_a_nul_are_no_name() {
        assert_eq!(Comm::padded([b'a'; 16]), None);
        assert_eq!(Comm::padded(*b"migration/0\0junk").as_deref(), Some(&b"migration/0"[..]));
    }
}
