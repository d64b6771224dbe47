"""Decodes every file of protocol/golden from the tables of docs/protocol.md, and from nothing else.

It proves that the document is enough: it knows how tables are written in Markdown and how the types of section
"Types" are laid out, and takes frames, fields and codes from the tables.

Run without arguments it prints what it found. With the expectations of the suite `wire` on its standard input it
compares every value, name and number with them:

    python3 tests/wire/decode.py < /dev/null
"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parent.parent.parent


class Document:
    """The tables of the document, by the heading they stand under."""

    def __init__(self, text):
        self.aliases, self.structs, self.codes, self.frames, self.kinds = {}, {}, {}, [], []
        heading, header = None, None
        for line in text.splitlines():
            if line.startswith("#"):
                heading, header = line.lstrip("#").strip().strip("`"), None
            elif not line.startswith("|"):
                header = None
            elif header is None:
                header = self.cells(line)
                self.begin(heading, header)
            elif not set(line) <= set("|-: "):
                self.row(heading, header, self.cells(line))

    @staticmethod
    def cells(line):
        return [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]

    def begin(self, heading, header):
        if header == ["field", "type", "meaning"]:
            assert heading not in self.structs, f"{heading} is described twice"
            self.structs[heading] = []
        elif header == ["number", "name", "meaning"]:
            assert heading not in self.codes, f"{heading} is described twice"
            self.codes[heading] = []

    def row(self, heading, header, cells):
        assert len(cells) == len(header), f"under {heading}: {cells} does not fit {header}"
        if header == ["field", "type", "meaning"]:
            self.structs[heading].append((cells[0], cells[1]))
        elif header == ["number", "name", "meaning"]:
            self.codes[heading].append([int(cells[0]), cells[1]])
        elif header == ["type", "is", "meaning"]:
            self.aliases[cells[0]] = cells[1]
        elif header == ["tag", "rev", "frame", "from", "meaning"]:
            self.frames.append((int(cells[0]), int(cells[1]), cells[2], cells[3]))


class Reader:
    """Bytes that are read from the front."""

    def __init__(self, document, data):
        self.document, self.data, self.at = document, data, 0

    def take(self, count):
        piece = self.data[self.at : self.at + count]
        assert len(piece) == count, f"{count} bytes wanted at {self.at}, {len(piece)} are left"
        self.at += count
        return piece

    def number(self, size):
        return int.from_bytes(self.take(size), "little")

    def flag(self):
        value = self.number(1)
        assert value in (0, 1), f"{value} is neither 0 nor 1"
        return value == 1

    def count(self, limit):
        value = self.number(4)
        assert value <= limit, f"a count of {value} beyond {limit}"
        return value

    def value(self, kind):
        if kind in ("u8", "u16", "u32", "u64"):
            return self.number(int(kind[1:]) // 8)
        if kind == "bool":
            return self.flag()
        if kind in self.document.aliases:
            return self.value(self.document.aliases[kind])
        if kind in self.document.structs:
            return self.struct(kind)
        name, inner = re.fullmatch(r"(\w+)\((.*)\)", kind).groups()
        if name == "code":
            assert inner in self.document.codes, f"there is no code set {inner}"
            return self.number(2)
        if name == "array":
            return self.take(int(inner)).hex()
        if name == "bytes":
            return self.take(self.count(int(inner))).hex()
        if name == "text":
            return self.take(self.count(int(inner))).decode("utf-8")
        if name == "option":
            return self.value(inner) if self.flag() else None
        assert name == "list", f"{kind} is no type"
        item, limit = inner.rsplit(",", 1)
        return [self.value(item) for _ in range(self.count(int(limit)))]

    def struct(self, name):
        return {field: self.value(kind) for field, kind in self.document.structs[name]}

    def end(self):
        assert self.at == len(self.data), f"{len(self.data) - self.at} bytes are left over"


def read_golden(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    title = lines[0].removeprefix("# ")
    return title, bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


def decode(document, path):
    title, data = read_golden(path)
    name, number, rev = re.fullmatch(r"(.+), (?:tag|kind) (\d+), rev (\d+)", title).groups()
    reader = Reader(document, data)
    if re.search(r", tag \d", title):
        tag, in_frame, length = reader.number(2), reader.number(2), reader.number(4)
        assert (tag, in_frame) == (int(number), int(rev)), f"the header says {tag}, {in_frame}"
        assert length == len(data) - 8, f"the header promises {length} bytes of body"
        found = [frame for frame in document.frames if frame[:2] == (tag, in_frame)]
        assert [frame[2] for frame in found] == [name], f"the document has {found} under {tag}"
        sender = found[0][3]
    else:
        kind = name.split()[0]
        assert [int(number), kind] in document.codes["TaskKind"], f"{kind} is not number {number}"
        sender = "task"
    fields = reader.struct(name)
    reader.end()
    return name, sender, fields


def compare(document, decoded, expected):
    for sample in expected["samples"]:
        name, sender, fields = decoded.pop(sample["file"])
        assert name == sample["name"], f"{sample['file']} is of {name}"
        assert sender == sample["from"], f"{name} comes from {sample['from']}, not from {sender}"
        assert fields == sample["fields"], f"{sample['file']}:\n{fields}\nis not\n{sample['fields']}"
    assert not decoded, f"nothing is expected of {sorted(decoded)}"
    for name in sorted(document.codes.keys() | expected["codes"].keys()):
        said, meant = document.codes.get(name), expected["codes"].get(name)
        assert said == meant, f"the document says of {name}:\n{said}\nand it is:\n{meant}"
    known = {sample["name"] for sample in expected["samples"]}
    surplus = {frame[2] for frame in document.frames} - known
    assert not surplus, f"the document has frames nobody sends: {surplus}"


def main():
    document = Document((ROOT / "docs/protocol.md").read_text(encoding="utf-8"))
    decoded = {}
    for path in sorted((ROOT / "protocol/golden").glob("*.hex")):
        if read_golden(path)[0].startswith("Sealed"):
            continue
        try:
            decoded[path.name] = decode(document, path)
        except Exception as error:
            sys.exit(f"{path.name}: {type(error).__name__}: {error}")
    assert decoded, "there are no golden files"
    count = len(decoded)
    expected = sys.stdin.read()
    if expected.strip():
        compare(document, decoded, json.loads(expected))
    else:
        json.dump({name: fields for name, (_, _, fields) in decoded.items()}, sys.stdout, ensure_ascii=False, indent=1)
        print()
    print(f"{count} files decoded, every byte accounted for")


if __name__ == "__main__":
    main()
