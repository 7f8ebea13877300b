"""Compares vmlinux.h with a kernel's BTF and rewrites its field types. Called by vmlinux.sh, which explains it.

usage: vmlinux.py [--check] BTF.json vmlinux.h compat.bpf.h
"""

import argparse
import difflib
import json
import os
import re
import sys
from collections import defaultdict

QUALIFIERS = ("CONST", "VOLATILE", "RESTRICT", "TYPE_TAG")

# BTF's names of C's integer types, where C's shorter one is usual.
INTEGERS = {
    "long unsigned int": "unsigned long",
    "long int": "long",
    "long long unsigned int": "unsigned long long",
    "long long int": "long long",
    "short unsigned int": "unsigned short",
    "short int": "short",
}

OPENING = re.compile(r"struct (\w+) \{$")
FIELD = re.compile(r"(?P<indent>\s+)(?P<type>\w[\w ]*?) ?(?P<stars>\**)(?P<name>\w+)(?P<length>\[\d+\])?;(?P<rest>\s*(/\*.*)?)$")
TYPEDEF = re.compile(r"typedef (\w[\w ]*) (\w+);$")
ENUMERATOR = re.compile(r"\b(\w+) = (\d+)")


class NoSpelling(Exception):
    """A type that a curated header cannot spell."""


class Btf:
    """A kernel's types."""

    def __init__(self, types):
        self.types = {each["id"]: each for each in types}
        self.structs = defaultdict(list)
        self.typedefs = {}
        self.enumerators = defaultdict(set)
        for each in types:
            if each["kind"] == "STRUCT":
                self.structs[each["name"]].append(each)
            elif each["kind"] == "TYPEDEF":
                self.typedefs[each["name"]] = each
            elif each["kind"] in ("ENUM", "ENUM64"):
                for value in each["values"]:
                    self.enumerators[value["name"]].add(value["val"])

    def resolved(self, type_id):
        """The type without qualifiers and typedefs; None is void."""
        kind = self.types.get(type_id)
        while kind is not None and kind["kind"] in (*QUALIFIERS, "TYPEDEF"):
            kind = self.types.get(kind["type_id"])
        return kind

    def members(self, struct):
        """Members by name, those of anonymous structs and unions inside it included."""
        found = {}
        for member in struct["members"]:
            if member["name"] != "(anon)":
                found[member["name"]] = member
                continue
            inner = self.resolved(member["type_id"])
            if inner is not None and inner["kind"] in ("STRUCT", "UNION"):
                found.update(self.members(inner))
        return found

    def struct(self, name, fields):
        """Members of the struct of that name, of several the one that has most of the fields; None if there is none."""
        candidates = [self.members(each) for each in self.structs.get(name, ())]
        return max(candidates, key=lambda members: len(members.keys() & set(fields)), default=None)

    def spelling(self, type_id, known):
        """(type, stars, length) as C declares it; `known` are the typedefs that may be used."""
        kind = self.types.get(type_id)
        if kind is None:
            return "void", "", ""
        name = kind["name"]
        if kind["kind"] in QUALIFIERS:
            return self.spelling(kind["type_id"], known)
        if kind["kind"] == "TYPEDEF":
            # The kernel's u64 is the __u64 of the headers that it shares with user space.
            for usable in (name, f"__{name}"):
                if usable in known:
                    return usable, "", ""
            return self.spelling(kind["type_id"], known)
        if kind["kind"] == "INT":
            return INTEGERS.get(name, name), "", ""
        if kind["kind"] == "PTR":
            base, stars, length = self.spelling(kind["type_id"], known)
            if length:
                raise NoSpelling("a pointer to an array")
            return base, stars + "*", ""
        if kind["kind"] == "ARRAY":
            base, stars, length = self.spelling(kind["type_id"], known)
            if length:
                raise NoSpelling("an array of arrays")
            return base, stars, f"[{kind['nr_elems']}]"
        if kind["kind"] in ("STRUCT", "UNION", "ENUM", "FWD") and name != "(anon)":
            word = kind.get("fwd_kind", kind["kind"]).lower()
            return f"{word} {name}", "", ""
        raise NoSpelling(f"an unnamed or unusual type ({kind['kind'].lower()})")


class Header:
    """The header's lines, and where its fields are."""

    def __init__(self, text):
        self.lines = text.splitlines()
        self.fields = []  # (line number, struct, match of FIELD)
        self.typedefs = {}  # name: type
        self.enumerators = {}
        self.unread = []
        struct = None
        for number, line in enumerate(self.lines):
            if struct is not None:
                if line == "};":
                    struct = None
                elif field := FIELD.match(line):
                    self.fields.append((number, struct, field))
                elif line.strip() and not line.lstrip().startswith(("/*", "*")):
                    self.unread.append(f"line {number + 1}: not a declaration of one field: {line.strip()}")
            elif opening := OPENING.match(line):
                struct = opening[1]
            elif typedef := TYPEDEF.match(line):
                self.typedefs[typedef[2]] = typedef[1]
            else:
                self.enumerators.update((name, int(value)) for name, value in ENUMERATOR.findall(line))

    def structs(self):
        """Names of the fields of each struct."""
        found = defaultdict(list)
        for _, struct, field in self.fields:
            found[struct].append(field["name"])
        return found

    def guarded_structs(self, guarded):
        """Structs that are reached through guarded fields only."""
        roads = defaultdict(list)
        for _, struct, field in self.fields:
            if target := re.fullmatch(r"struct (\w+)", field["type"].strip()):
                roads[target[1]].append((struct, field["name"]))
        found = set()
        while True:
            more = {
                target
                for target, ways in roads.items()
                if all(name in guarded or struct in found for struct, name in ways)
            }
            if more == found:
                return found
            found = more


def guarded_fields(compat):
    """Names of the fields whose presence compat.bpf.h asks for."""
    names = set()
    for argument in re.split(r"\bbpf_core_field_exists\(", compat)[1:]:
        open_brackets, end = 1, 0
        while open_brackets and end < len(argument):
            open_brackets += {"(": 1, ")": -1}.get(argument[end], 0)
            end += 1
        names.add(re.split(r"->|\.", argument[: end - 1])[-1])
    return names


def declared(indent, spelling, name, rest):
    kind, stars, length = spelling
    return f"{indent}{kind} {stars}{name}{length};{rest}"


def compare(btf, header, guarded):
    """The header's lines as they should be, and what is wrong: (problems, tolerated)."""
    lines = list(header.lines)
    problems, tolerated = list(header.unread), []
    guarded_structs = header.guarded_structs(guarded)
    members = {struct: btf.struct(struct, fields) for struct, fields in header.structs().items()}
    for number, struct, field in header.fields:
        name = field["name"]
        where = f"struct {struct}, {name}"
        if members[struct] is None or name not in members[struct]:
            if members[struct] is None:
                what, is_guarded = "struct", struct in guarded_structs
            else:
                what, is_guarded = "field", name in guarded
            (tolerated if is_guarded else problems).append(f"{where}: this kernel has no such {what}")
            continue
        member = members[struct][name]
        if member.get("bitfield_size"):
            problems.append(f"{where}: a bit field, which needs BPF_CORE_READ_BITFIELD and a place in compat.bpf.h")
            continue
        try:
            spelling = btf.spelling(member["type_id"], header.typedefs)
        except NoSpelling as reason:
            problems.append(f"{where}: {reason}, which this header cannot spell")
            continue
        now = (field["type"].strip(), field["stars"], field["length"] or "")
        if now != spelling:
            lines[number] = declared(field["indent"], spelling, name, field["rest"])
    for name, kind in header.typedefs.items():
        if name not in btf.typedefs:
            continue
        # Both sides down to an integer: the header's through its own typedefs, the kernel's through all.
        while kind in header.typedefs:
            kind = header.typedefs[kind]
        kernel = btf.spelling(btf.typedefs[name]["type_id"], {})[0]
        if INTEGERS.get(kind, kind) != kernel:
            problems.append(f"typedef {name}: {kernel} in the kernel, {kind} in the header")
    for name, value in header.enumerators.items():
        if btf.enumerators[name] and value not in btf.enumerators[name]:
            problems.append(f"enumerator {name}: {min(btf.enumerators[name])} in the kernel, {value} in the header")
    return lines, problems, tolerated


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("btf")
    parser.add_argument("header")
    parser.add_argument("compat")
    args = parser.parse_args()
    with open(args.btf, encoding="utf-8") as file:
        btf = Btf(json.load(file)["types"])
    with open(args.header, encoding="utf-8") as file:
        text = file.read()
    with open(args.compat, encoding="utf-8") as file:
        guarded = guarded_fields(file.read())

    header = Header(text)
    if not header.fields:
        sys.exit(f"vmlinux: no struct in {args.header}")
    lines, problems, tolerated = compare(btf, header, guarded)
    new = "\n".join(lines) + "\n"
    name = os.path.basename(args.header)
    for each in tolerated:
        print(f"tolerated, compat.bpf.h asks first: {each}")
    for each in problems:
        print(f"WRONG: {each}")
    sys.stdout.writelines(difflib.unified_diff(
        text.splitlines(True), new.splitlines(True), f"{name} (now)", f"{name} (of this kernel)", n=1))
    differs = new != text
    if differs and not args.check:
        # Beside it and renamed: never half a header.
        beside = f"{args.header}.new"
        with open(beside, "w", encoding="utf-8") as file:
            file.write(new)
        os.replace(beside, args.header)
        print(f"{name}: rewritten")
    elif not differs and not problems:
        structs = len(header.structs())
        print(f"{name}: {len(header.fields)} fields of {structs} structs agree with this kernel")
    sys.exit(1 if problems or (differs and args.check) else 0)


if __name__ == "__main__":
    main()
