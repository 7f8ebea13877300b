//! An object file of clang's: ELF of 64 bits, little-endian, not linked.

/// Where the fields of the file's header lie.
const SECTION_HEADERS: usize = 0x28;
const SECTION_COUNT: usize = 0x3c;
const INDEX_OF_NAMES: usize = 0x3e;

const HEADER: usize = 64;
const SECTION_HEADER: usize = 64;
/// A section that has a size and no bytes, as zeroed variables.
const NOBITS: u32 = 8;

/// The integers of a file, by where they lie.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn usize_at(bytes: &[u8], at: usize) -> usize {
    let value = u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    value.try_into().expect("a place in a file that is in memory")
}

/// The text at this place of a table of texts that end with NUL.
pub(crate) fn text_at(table: &[u8], at: usize) -> &str {
    let text = table[at..].split(|&byte| byte == 0).next().expect("split gives one at least");
    std::str::from_utf8(text).expect("names are ASCII")
}

/// A section, as its header tells it.
struct Section<'a> {
    name: &'a str,
    header: &'a [u8],
    bytes: &'a [u8],
}

/// An object file.
pub(crate) struct Object<'a> {
    head: &'a [u8],
    sections: Vec<Section<'a>>,
}

impl<'a> Object<'a> {
    /// # Panics
    /// When the bytes are not such a file.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        assert_eq!(bytes[..6], *b"\x7fELF\x02\x01", "clang -target bpf makes ELF of 64 bits, little-endian");
        let table = usize_at(bytes, SECTION_HEADERS);
        let header = |index: usize| &bytes[table + index * SECTION_HEADER..][..SECTION_HEADER];
        let content = |header: &[u8]| match u32_at(header, 4) {
            NOBITS => &bytes[..0],
            _ => &bytes[usize_at(header, 24)..][..usize_at(header, 32)],
        };
        let names = content(header(u16_at(bytes, INDEX_OF_NAMES).into()));
        let sections = (0..u16_at(bytes, SECTION_COUNT).into()).map(header).map(|header| Section {
            name: text_at(names, u32_at(header, 0) as usize),
            header,
            bytes: content(header),
        });
        Self { head: &bytes[..HEADER], sections: sections.collect() }
    }

    /// What is in the section of this name.
    pub(crate) fn section(&self, name: &str) -> Option<&'a [u8]> {
        self.sections.iter().find(|section| section.name == name).map(|section| section.bytes)
    }

    /// The file with the sections of such names made empty: all others keep their numbers, which symbols and
    /// relocations refer to.
    pub(crate) fn without(&self, is_needless: impl Fn(&str) -> bool) -> Vec<u8> {
        let mut file = self.head.to_vec();
        let mut headers = Vec::new();
        for section in &self.sections {
            let bytes = if is_needless(section.name) { &[] } else { section.bytes };
            file.resize(file.len().next_multiple_of(usize_at(section.header, 48).max(1)), 0);
            let mut header = section.header.to_vec();
            header[24..32].copy_from_slice(&(file.len() as u64).to_le_bytes());
            if u32_at(section.header, 4) != NOBITS {
                header[32..40].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            }
            file.extend_from_slice(bytes);
            headers.extend(header);
        }
        file.resize(file.len().next_multiple_of(8), 0);
        let table = file.len() as u64;
        file[SECTION_HEADERS..SECTION_HEADERS + 8].copy_from_slice(&table.to_le_bytes());
        file.extend(headers);
        file
    }
}
