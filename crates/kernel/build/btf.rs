//! The types of an object, as clang describes them in BTF (Documentation/bpf/btf.rst of the kernel), and in
//! Rust.

use crate::object::{text_at, u16_at, u32_at};
use std::fmt::Write as _;

const MAGIC: u16 = 0xeb9f;

/// The kinds that a member of a shared struct may have, and those that only stand between.
const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const TYPE_TAG: u32 = 18;

/// A type: its record, and what of it comes behind.
struct Type<'a> {
    name: &'a str,
    kind: u32,
    /// Its size in bytes, or the type that it refers to.
    size_or_referent: u32,
    has_bit_fields: bool,
    rest: &'a [u8],
}

struct Member<'a> {
    name: &'a str,
    id: u32,
    offset: u32,
}

/// The types of an object, of which the first is void.
pub(crate) struct Types<'a> {
    texts: &'a [u8],
    types: Vec<Type<'a>>,
}

impl<'a> Types<'a> {
    /// # Panics
    /// When the bytes are no BTF, or have a kind of type that came after the last that is known here.
    pub(crate) fn of(section: &'a [u8]) -> Self {
        assert_eq!(u16_at(section, 0), MAGIC, "BTF of this byte order");
        let part = |at: usize| {
            let begin = u32_at(section, 4) as usize + u32_at(section, at) as usize;
            &section[begin..][..u32_at(section, at + 4) as usize]
        };
        let (mut left, texts) = (part(8), part(16));
        let void = Type { name: "void", kind: 0, size_or_referent: 0, has_bit_fields: false, rest: &[] };
        let mut types = vec![void];
        while !left.is_empty() {
            let info = u32_at(left, 4);
            let (kind, members) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
            let behind = match kind {
                // Pointers, declarations, functions, floats and what qualifies a type are told by the record.
                PTR | 7..=12 | 16 | TYPE_TAG => 0,
                // An integer, a variable, a tag of a declaration.
                INT | 14 | 17 => 4,
                ARRAY => 12,
                // Structs, unions, sections of data, enumerators of 64 bits.
                STRUCT | 5 | 15 | 19 => members * 12,
                // Enumerators, parameters.
                6 | 13 => members * 8,
                other => panic!("BTF has types of kind {other}, which are not known here"),
            };
            let (record, rest) = left.split_at(12);
            let (rest, next) = rest.split_at(behind);
            types.push(Type {
                name: text_at(texts, u32_at(record, 0) as usize),
                kind,
                size_or_referent: u32_at(record, 8),
                has_bit_fields: info >> 31 == 1,
                rest,
            });
            left = next;
        }
        Self { texts, types }
    }

    /// These structs, and those that are members of them, in Rust, each with the assertion that both
    /// languages lay it out alike.
    ///
    /// # Panics
    /// When there is no struct of a name, or it has a member that has no equal in Rust.
    pub(crate) fn in_rust(&self, names: &[&str]) -> String {
        let is_named = |name: &str, other: &Type<'_>| other.kind == STRUCT && other.name == name;
        let position = |name: &&str| self.types.iter().position(|other| is_named(name, other));
        let mut wanted: Vec<usize> =
            names.iter().map(|name| position(name).unwrap_or_else(|| panic!("no struct {name}"))).collect();
        let mut written = String::new();
        let mut next = 0;
        while let Some(&id) = wanted.get(next) {
            self.write_struct(&mut written, id, &mut wanted);
            next += 1;
        }
        written
    }

    fn write_struct(&self, to: &mut String, id: usize, wanted: &mut Vec<usize>) {
        let name = self.types[id].name;
        let (mut fields, mut defaults, mut offsets) = (String::new(), String::new(), String::new());
        for Member { name: member, id, offset } in self.members(id) {
            let (spelled, default) = self.spelled(id, wanted);
            let put = writeln!(fields, "    pub {member}: {spelled},")
                .and_then(|()| writeln!(defaults, "            {member}: {default},"))
                .and_then(|()| {
                    writeln!(offsets, "    assert!(std::mem::offset_of!({name}, {member}) == {offset});")
                });
            put.expect("memory");
        }
        let size = self.types[id].size_or_referent;
        write!(
            to,
            "#[derive(Debug, Copy, Clone)]\n#[repr(C)]\npub struct {name} {{\n{fields}}}\n\
             impl Default for {name} {{\n    fn default() -> Self {{\n        Self {{\n{defaults}        }}\n    }}\n}}\n\
             const _: () = {{\n    assert!(size_of::<{name}>() == {size});\n{offsets}}};\n"
        )
        .expect("memory");
    }

    fn members(&self, id: usize) -> impl Iterator<Item = Member<'a>> {
        let structure = &self.types[id];
        assert!(!structure.has_bit_fields, "struct {} has bit fields", structure.name);
        let texts = self.texts;
        structure.rest.chunks_exact(12).map(move |member| Member {
            name: text_at(texts, u32_at(member, 0) as usize),
            id: u32_at(member, 4),
            offset: u32_at(member, 8) / 8,
        })
    }

    /// A type, and a value of it whose bytes are zero; a struct that is met is wanted.
    fn spelled(&self, id: u32, wanted: &mut Vec<usize>) -> (String, String) {
        let id = id as usize;
        let Type { name, kind, size_or_referent, rest, .. } = &self.types[id];
        match *kind {
            INT => {
                let encoding = (u32_at(rest, 0) >> 24) & 0xf;
                assert!(encoding & 4 == 0, "a bool is not valid for any bytes");
                let sign = if encoding & 1 == 1 { 'i' } else { 'u' };
                (format!("{sign}{}", size_or_referent * 8), "0".to_owned())
            }
            PTR => ("*mut std::ffi::c_void".to_owned(), "std::ptr::null_mut()".to_owned()),
            ARRAY => {
                let (spelled, default) = self.spelled(u32_at(rest, 0), wanted);
                let length = u32_at(rest, 8);
                (format!("[{spelled}; {length}]"), format!("[{default}; {length}]"))
            }
            STRUCT if !name.is_empty() => {
                if !wanted.contains(&id) {
                    wanted.push(id);
                }
                ((*name).to_owned(), format!("{name}::default()"))
            }
            TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG => self.spelled(*size_or_referent, wanted),
            other => {
                panic!("a shared struct has a member of kind {other} ({name}), which has no equal in Rust")
            }
        }
    }
}
