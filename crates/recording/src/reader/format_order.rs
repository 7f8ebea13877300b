//! Numbers out of bytes whose order a recording tells.

/// The byte order of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// The `N` bytes at `at`, if they are there.
#[inline]
fn bytes<const N: usize>(of: &[u8], at: usize) -> Option<[u8; N]> {
    of.get(at..at.checked_add(N)?)?.try_into().ok()
}

impl Order {
    /// The 16-bit number at `at`; `None` where `of` ends before it.
    #[inline]
    pub fn u16(self, of: &[u8], at: usize) -> Option<u16> {
        let of = bytes(of, at)?;
        Some(if self == Self::Little { u16::from_le_bytes(of) } else { u16::from_be_bytes(of) })
    }

    /// The 32-bit number at `at`; `None` where `of` ends before it.
    #[inline]
    pub fn u32(self, of: &[u8], at: usize) -> Option<u32> {
        let of = bytes(of, at)?;
        Some(if self == Self::Little { u32::from_le_bytes(of) } else { u32::from_be_bytes(of) })
    }

    /// The 64-bit number at `at`; `None` where `of` ends before it.
    #[inline]
    pub fn u64(self, of: &[u8], at: usize) -> Option<u64> {
        let of = bytes(of, at)?;
        Some(if self == Self::Little { u64::from_le_bytes(of) } else { u64::from_be_bytes(of) })
    }

    /// The number of 1, 2, 4 or 8 bytes at `at`, extended by its sign if it has one; `None` for another size,
    /// or where `of` ends before it.
    #[inline]
    #[allow(clippy::cast_possible_wrap)] // the sign is what is wanted
    pub fn int(self, of: &[u8], at: usize, size: usize, signed: bool) -> Option<i64> {
        Some(match (size, signed) {
            (4, true) => i64::from(self.u32(of, at)? as i32),
            (4, false) => i64::from(self.u32(of, at)?),
            (8, _) => self.u64(of, at)? as i64,
            (2, true) => i64::from(self.u16(of, at)? as i16),
            (2, false) => i64::from(self.u16(of, at)?),
            (1, true) => i64::from(*of.get(at)? as i8),
            (1, false) => i64::from(*of.get(at)?),
            _ => return None,
        })
    }
}
