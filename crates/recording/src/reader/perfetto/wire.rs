//! Walking over protobuf without taking it in: a hostile file must not make a reader allocate more than it
//! holds.

/// What stands in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// A fixed width, 4 or 8 bytes.
    Fixed(u64),
}

/// The fields of a message, in order. It ends at the first thing that is no protobuf, and says so.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    pub(super) is_broken: bool,
}

/// Something that is no protobuf, or is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, is_broken: false }
    }

    /// Where the next field begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn field(&mut self) -> Result<(u32, Value<'a>), Broken> {
        let tag = varint(self.bytes, &mut self.at)?;
        let number = u32::try_from(tag >> 3).map_err(|_| Broken)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(self.bytes, &mut self.at)?),
            1 => Value::Fixed(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| Broken)?)),
            2 => {
                let length = varint(self.bytes, &mut self.at)?;
                Value::Bytes(self.take(usize::try_from(length).map_err(|_| Broken)?)?)
            }
            5 => Value::Fixed(u64::from(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| Broken)?))),
            _ => return Err(Broken),
        };
        if number == 0 { Err(Broken) } else { Ok((number, value)) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Broken> {
        let end = self.at.checked_add(length).ok_or(Broken)?;
        let taken = self.bytes.get(self.at..end).ok_or(Broken)?;
        self.at = end;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() || self.is_broken {
            return None;
        }
        let field = self.field().ok();
        self.is_broken = field.is_none();
        field
    }
}

/// A number of variable length at `at`, which moves behind it.
pub(super) fn varint(bytes: &[u8], at: &mut usize) -> Result<u64, Broken> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let byte = *bytes.get(*at).ok_or(Broken)?;
        *at += 1;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Broken)
}

/// A repeated field of numbers, packed or not, read one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    bytes: Vec<u8>,
    at: usize,
}

impl Column {
    pub(super) fn add(&mut self, value: Value<'_>) {
        match value {
            Value::Bytes(packed) => self.bytes.extend_from_slice(packed),
            Value::Number(number) => prost::encoding::encode_varint(number, &mut self.bytes),
            Value::Fixed(_) => {}
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next number, `None` behind the last.
    pub(super) fn next(&mut self) -> Option<u64> {
        varint(&self.bytes, &mut self.at).ok()
    }

    /// The next number of a type that may be negative.
    pub(super) fn signed(&mut self) -> Option<i64> {
        self.next().map(u64::cast_signed)
    }

    /// The next number of a type that keeps the sign in the lowest bit.
    pub(super) fn zigzag(&mut self) -> Option<i64> {
        self.next().map(|n| (n >> 1).cast_signed() ^ -(n & 1).cast_signed())
    }
}
