#!/usr/bin/env python3
"""Reads homekeep repositories of format 1; written from docs/format.md alone, to prove that this can be done.

    read_homekeep.py --repo DIR --key-file FILE snapshots
    read_homekeep.py --repo DIR --key-file FILE extract ID|latest TARGET [--user NAME]
    read_homekeep.py vectors tests/vectors/format-1.json

With --passphrase-file instead of --key-file, the passphrase is the file's bytes without a newline at the end.
The packages it needs are in requirements.txt beside it. Numbers in comments are sections of docs/format.md.
It extracts into a directory that nobody else changes meanwhile.
"""

import argparse
import collections
import datetime
import hmac
import json
import os
import re
import struct
import sys

import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAX_OBJECT = 64 << 20
MAX_TOC = 48 << 20
MAX_BLOCK = 16 << 20
U32, U64, I64 = (1 << 32) - 1, (1 << 64) - 1, (1 << 63) - 1
NEWER = "use a newer program"


class Damage(Exception):
    """Bytes are not what the format says."""


def require(condition, what):
    if not condition:
        raise Damage(what)


# 1: hashes and the cipher


def plain_hash(data):
    return blake3(data).digest()


def keyed(key, data, length=32):
    return blake3(data, key=key).digest(length=length)


def derive(context, data, length=32):
    return blake3(data, derive_key_context=context).digest(length=length)


def open_sealed(key, nonce, associated, sealed, what):
    try:
        return AESGCM(key).decrypt(nonce, sealed, associated)
    except InvalidTag:
        raise Damage(f"{what}: authentication failed") from None


def unpack(frame, length, what):
    """One zstd frame that must give exactly `length` bytes."""
    try:
        declared = zstandard.get_frame_parameters(frame).content_size
        require(declared in (length, zstandard.CONTENTSIZE_UNKNOWN), f"{what}: unpacks to another length")
        raw = zstandard.ZstdDecompressor().decompress(frame, max_output_size=length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Damage(f"{what}: {error}") from None
    require(len(raw) == length, f"{what}: unpacks to another length")
    return raw


# 2: CBOR


class Text(str):
    """A text string; byte strings are `bytes`."""


def decode_cbor(data):
    value, end = decode_item(data, 0)
    require(end == len(data), "something behind the CBOR item")
    return value


def decode_item(data, at):
    require(at < len(data), "CBOR ends early")
    major, value, at = decode_head(data, at)
    if major == 0:
        return value, at
    if major == 1:
        return -1 - value, at
    if major in (2, 3):
        require(value <= len(data) - at, "CBOR string ends early")
        raw = bytes(data[at : at + value])
        if major == 2:
            return raw, at + value
        try:
            return Text(raw.decode("utf-8")), at + value
        except UnicodeDecodeError:
            raise Damage("text is not UTF-8") from None
    require(value <= len(data) - at, "CBOR count exceeds what is left")
    if major == 4:
        items = []
        for _ in range(value):
            item, at = decode_item(data, at)
            items.append(item)
        return items, at
    if major == 5:
        pairs = {}
        for _ in range(value):
            key, at = decode_item(data, at)
            require(type(key) is int and (not pairs or key > max(pairs)), "map keys do not ascend")
            pairs[key], at = decode_item(data, at)
        return pairs, at
    return None, at


def decode_head(data, at):
    """Major type, argument, and where the next byte is. Shortest forms only."""
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        require(info == 22, "only null of the simple values occurs")
        return major, 0, at
    require(major != 6, "tags do not occur")
    if info < 24:
        return major, info, at
    require(info <= 27, "indefinite or reserved length")
    width = 1 << (info - 24)
    require(at + width <= len(data), "CBOR ends early")
    value = int.from_bytes(data[at : at + width], "big")
    least = {1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}[width]
    require(value >= least, "not the shortest form")
    return major, value, at + width


def integer(value, low=0, high=U64, what="number"):
    require(type(value) is int and low <= value <= high, f"{what} out of range")
    return value


def array(value, length=None, what="array"):
    require(type(value) is list and length in (None, len(value)), f"{what} of another shape")
    return value


def byte_string(value, length=None, what="bytes"):
    require(type(value) is bytes and length in (None, len(value)), f"{what} of another shape")
    return value


def text(value, what="text", limit=None):
    require(type(value) is Text, f"{what} is no text")
    require(limit is None or len(value.encode()) <= limit, f"{what} is longer than {limit} bytes")
    return value


def check_hints(hints, count, total):
    """Hints are ignored, but not without bounds."""
    require(len(hints) <= count, "more hints than there may be")
    require(sum(len(byte_string(value)) for value in hints.values()) <= total, "more hints than there may be")


def split_bytes(value, width, what="ids"):
    require(len(byte_string(value)) % width == 0, f"{what} of odd length")
    return [value[n : n + width] for n in range(0, len(value), width)]


def ascends(values):
    return all(a < b for a, b in zip(values, values[1:]))


def versioned(data, what):
    """Decodes an array that begins with its version, which is looked at before the rest."""
    item = decode_cbor(data)
    require(type(item) is list and item and type(item[0]) is int, f"{what} of another shape")
    require(item[0] == 1, f"{what} of version {item[0]}: {NEWER}")
    return item


# 3: objects

COMPONENT = re.compile(r"[a-z0-9.-]+\Z")
COMMIT = re.compile(
    r"snapshots/(\d{4})-(\d\d)-(\d\d)/(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)\.(\d{3})z"
    r"-([0-9a-f]{32})\.(0|[1-9]\d*)-([0-9a-f]{64})\Z",
    re.ASCII,
)
FORGOTTEN = re.compile(r"forgotten/([0-9a-f]{32})(-.*)?\Z", re.ASCII)
EPOCH = datetime.datetime(1970, 1, 1)
CommitName = collections.namedtuple("CommitName", "name time_ms id supersession hash")


def parse_commit_name(name):
    """None for what is not a commit's name."""
    match = COMMIT.match(name)
    if not match or match.group(1, 2, 3) != match.group(4, 5, 6):
        return None
    try:
        second = datetime.datetime(*map(int, match.group(4, 5, 6, 7, 8, 9)))
    except ValueError:
        return None
    time_ms = (second - EPOCH) // datetime.timedelta(milliseconds=1) + int(match.group(10))
    return CommitName(name, time_ms, bytes.fromhex(match.group(11)), int(match.group(12)), bytes.fromhex(match.group(13)))


class Store:
    """Objects in a directory."""

    def __init__(self, root):
        self.root = root

    def list(self, prefix):
        names = []
        for folder, _, files in os.walk(os.path.join(self.root, prefix)):
            for file in files:
                name = os.path.relpath(os.path.join(folder, file), self.root)
                parts = name.split("/")
                if len(name) <= 255 and all(COMPONENT.match(p) and p not in (".", "..") for p in parts):
                    names.append(name)
        return sorted(names)

    def length(self, name):
        return os.stat(os.path.join(self.root, name)).st_size

    def get(self, name, start=0, length=None):
        require(self.length(name) <= MAX_OBJECT, f"{name} is longer than any object")
        with open(os.path.join(self.root, name), "rb") as file:
            file.seek(start)
            data = file.read() if length is None else file.read(length)
        require(length in (None, len(data)), f"{name} is cut short")
        return data


# 4: keys

PURPOSES = {
    "chunk": "chunk id",
    "tree": "tree id",
    "gear": "gear table",
    "segment": "segment",
    "salt": "segment salt",
    "descriptor": "descriptor",
    "link": "hard link group",
    "vault": "vault",
}
KEY_LINE = b"homekeep-key-1-"


def parse_key_file(data):
    for line in data[: 64 << 10].decode("utf-8").splitlines():
        line = line.strip().encode()
        if line.startswith(KEY_LINE):
            digits = line[len(KEY_LINE) :]
            require(re.fullmatch(rb"[0-9a-fA-F]{72}", digits), "the key line is damaged")
            key = bytes.fromhex(digits.decode())
            checksum = derive("homekeep 2026-11-24 key file checksum", key[:32])[:4]
            require(checksum == key[32:], "the key's checksum is wrong")
            return key[:32]
    raise Damage("the file has no key line")


def stretch(kind, cost, salt, secret):
    memory, passes, lanes = cost
    if kind == 0:
        require(cost == [0, 0, 0], "a key file's slot has no cost")
        return secret["key"]
    require(8192 <= memory <= 1 << 20 and 1 <= passes <= 16 and 1 <= lanes <= 16, "absurd cost")
    from argon2.low_level import Type, hash_secret_raw

    return hash_secret_raw(secret["passphrase"], salt, passes, memory, lanes, 32, Type.ID, 0x13)


def open_slot(data, secret):
    """The master key; None if the slot takes another kind of secret."""
    require(data[:8] == b"HKEEPKEY", "not a key slot")
    slot = array(versioned(data[8:], "key slot"), 8)
    _, kind, cost, salt, commitment, wrapped, created, label = slot
    integer(kind, 0, 1, "kind of slot")
    for number in array(cost, 3, "cost"):
        integer(number, 0, U32, "cost")
    byte_string(salt, 32), byte_string(commitment, 32), byte_string(wrapped, 48)
    integer(created, -I64 - 1, I64), text(label, "label", 256)
    if ("key", "passphrase")[kind] not in secret:
        return None
    k = derive("homekeep 2026-11-24 format 1 key slot", stretch(kind, cost, salt, secret) + salt, 64)
    require(hmac.compare_digest(k[32:], commitment), "the slot is for another secret")
    # The fields before have fixed places from the end: wrapped, created and label follow the commitment.
    at = data.index(b"\x58\x20" + commitment) + 2
    associated = bytearray(data)
    associated[at : at + 32] = bytes(32)
    associated[at + 34 : at + 82] = bytes(48)
    return open_sealed(k[:32], bytes(12), bytes(associated), wrapped, "key slot")


def derive_keys(master):
    return {name: derive(f"homekeep 2026-11-24 format 1 {purpose}", master) for name, purpose in PURPOSES.items()}


# 5: the descriptor


def parse_descriptor(data):
    """The fields; the tag is checked when there is a key."""
    require(data[:8] == b"HOMEKEEP", "not a homekeep repository")
    require(len(data) >= 40, "the descriptor is too short")
    item = array(versioned(data[8:-32], "the repository"), 5, "descriptor")
    _, repository_id, chunker, block_len, features = item
    byte_string(repository_id, 16)
    low, average, high = (integer(n, 0, U32) for n in array(chunker, 3))
    require(1 << 10 <= low <= 1 << 20 and 1 << 12 <= average <= 1 << 22 and high <= 1 << 23, "chunker out of range")
    require(low < average < high and not (low | high) & 1 and not average & (average - 1), "chunker out of range")
    integer(block_len, 1 << 16, 8 << 20, "block length")
    for feature in array(features):
        raise Damage(f"unknown feature {text(feature)!r}: {NEWER}")
    return item


# 6: segments

Header = collections.namedtuple("Header", "raw kind key")
Block = collections.namedtuple("Block", "kind codec start stored_len raw_len chunks")


def parse_header(raw, keys):
    require(len(raw) == 80 and raw[:7] == b"HKSEGMT", "not a segment")
    require(raw[7:8] == b"1", f"segment of another version: {NEWER}")
    kind, mechanism = raw[8], raw[9]
    require(kind in (1, 2, 3), "unknown kind of segment")
    require(mechanism == 0, f"unknown key mechanism: {NEWER}")
    require(raw[10:16] == bytes(6), "reserved bytes are not zero")
    k = keyed(keys["segment"], raw[8:9] + raw[16:48], 64)
    require(hmac.compare_digest(k[32:], raw[48:80]), "sealed with another key")
    return Header(raw, kind, k[:32])


def nonce(domain, position):
    return bytes([domain, 0, 0, 0]) + struct.pack("<Q", position)


def parse_trailer(end, object_len):
    toc_len, reserved, magic = struct.unpack("<II8s", end)
    require(magic == b"HKSEGEND" and reserved == 0, "the end is missing: the object is torn")
    start = object_len - 16 - toc_len
    require(object_len <= MAX_OBJECT and start >= 80 and toc_len > 24, "the table of contents does not fit")
    return start, toc_len


def open_toc(header, start, sealed):
    """The blocks and the record of a segment."""
    plain = open_sealed(header.key, nonce(1, 0), header.raw + struct.pack("<Q", start), sealed, "table of contents")
    packed_len, raw_len = struct.unpack_from("<II", plain)
    require(raw_len <= MAX_TOC and 8 + packed_len <= len(plain), "lengths of the table do not fit")
    require(not any(plain[8 + packed_len :]), "padding is not zero")
    raw = unpack(plain[8 : 8 + packed_len], raw_len, "table of contents")
    _, described, record = array(versioned(raw, "table of contents"), 3)
    blocks, at = [], 80
    for block in array(described):
        blocks.append(parse_block(block, at))
        at += blocks[-1].stored_len
    require(at == start, "blocks do not fill the segment")
    require(all(a.kind <= b.kind for a, b in zip(blocks, blocks[1:])), "a data block behind a tree block")
    require(record is None or type(record) is bytes, "a record of another type")
    return blocks, record


def parse_block(item, start):
    kind, codec, stored_len, ids, lengths = array(item, 5, "block")
    integer(kind, 0, 1, "kind of block"), integer(codec, 0, 1, "codec"), integer(stored_len, 16, MAX_OBJECT)
    ids = split_bytes(ids, 32)
    require(ids and len(array(lengths)) == len(ids), "as many ids as lengths, and some")
    raw_len = sum(integer(length, 1, U32) for length in lengths)
    require(raw_len <= MAX_BLOCK, "a block too long")
    return Block(kind, codec, start, stored_len, raw_len, list(zip(ids, lengths)))


def open_block(header, number, block, stored):
    associated = header.raw + bytes([block.kind, block.codec]) + struct.pack("<I", block.raw_len)
    packed = open_sealed(header.key, nonce(0, number), associated, stored, f"block {number}")
    if block.codec == 1:
        return unpack(packed, block.raw_len, f"block {number}")
    require(len(packed) == block.raw_len, f"block {number} has another length")
    return packed


# 7: snapshot records

Record = collections.namedtuple(
    "Record", "version id supersession time finished source host program tags homes parents gc_seen deps hints"
)
HomeRecord = collections.namedtuple("HomeRecord", "user path root files directories bytes new_bytes problems attention")


def parse_record(data):
    record = Record(*array(versioned(data, "snapshot record"), 14))
    byte_string(record.id, 16), integer(record.supersession, 0, U32)
    integer(record.time, -I64 - 1, I64), integer(record.finished, -I64 - 1, I64)
    require(len(array(record.tags)) <= 64 and len(array(record.gc_seen)) <= 4096, "too many tags or gc records")
    for words in (record.source, record.host, record.program, *record.tags, *record.gc_seen):
        text(words, "a text of the record", 256)
    require(type(record.hints) is dict, "hints are no map")
    check_hints(record.hints, 64, 1 << 20)
    homes = [parse_home(home) for home in array(record.homes)]
    parents, deps = split_bytes(record.parents, 32), split_bytes(record.deps, 8)
    require(ascends(deps) and ascends([home.user for home in homes]), "deps or homes out of order")
    return record._replace(homes=homes, parents=parents, deps=deps)


def parse_home(item):
    home = HomeRecord(*array(item, 9, "home"))
    require(is_component(home.user), "a user's name leads elsewhere")
    byte_string(home.path)
    for number in home[3:8]:
        integer(number)
    integer(home.attention, 0, 3, "attention")
    require((home.root is None) == (home.attention in (2, 3)), "a home without a tree, or a tree without a home")
    if home.root is None:
        return home
    kind, entries = parse_tree(byte_string(home.root))
    require(kind == "page" and len(entries) == 1, "a home's root is not one entry")
    require(entries[0].kind == 1 and entries[0].name == home.user, "a home's root is another directory")
    return home._replace(root=entries[0])


# 8: trees

Owner = collections.namedtuple("Owner", "uid gid user group")
Entry = collections.namedtuple("Entry", "name kind mode owner seconds nanoseconds special attributes")


def is_component(name):
    return type(name) is bytes and name not in (b"", b".", b"..") and b"/" not in name and b"\0" not in name


def parse_tree(data):
    """`("page", entries)` or `("index", [(id, count), …])`."""
    item = array(decode_cbor(data), 3, "tree object")
    if item[0] == 0 and type(item[0]) is int:
        return "page", parse_page(item)
    require(item[0] == 1, f"unknown tree object: {NEWER}")
    ids, counts = split_bytes(item[1], 32), array(item[2])
    require(len(ids) == len(counts) >= 2, "an index of too few pages")
    return "index", [(id, integer(count, 1, 2048)) for id, count in zip(ids, counts)]


def parse_page(item):
    _, fields, entries = item
    require(len(array(fields)) % 4 == 0, "an owner has 4 fields")
    owners = [Owner(*fields[n : n + 4]) for n in range(0, len(fields), 4)]
    for owner in owners:
        integer(owner.uid, 0, U32), integer(owner.gid, 0, U32), text(owner.user), text(owner.group)
    require(len(array(entries)) <= 2048, "a page too long")
    page = [parse_entry(entry, owners) for entry in entries]
    used = dict.fromkeys(entry[3] for entry in entries)
    require(list(used) == list(range(len(owners))), "owners not in the order of use")
    require(len(set(owners)) == len(owners), "an owner twice")
    require(ascends([entry.name for entry in page]), "names out of order")
    return page


def parse_entry(item, owners):
    require(len(array(item)) in (7, 8), "an entry has 7 or 8 fields")
    name, kind, mode, owner, seconds, nanoseconds, special = item[:7]
    require(is_component(name), "a name leads elsewhere")
    integer(kind, 0, 5, "kind"), integer(mode, 0, 0o7777, "mode"), integer(owner)
    require(owner < len(owners), "no such owner")
    integer(seconds, -I64 - 1, I64), integer(nanoseconds, 0, 999_999_999)
    if kind == 0:
        special = parse_content(special)
    elif kind == 1:
        byte_string(special, 32)
    elif kind == 2:
        byte_string(special)
    elif kind == 3:
        require(special is None, "a pipe has nothing special")
    else:
        integer(special)
    attributes = parse_attributes(item[7]) if len(item) == 8 else {}
    return Entry(name, kind, mode, owners[owner], seconds, nanoseconds, special, attributes)


def parse_attributes(item):
    require(type(item) is dict and item, "attributes of another shape")
    require(all(key >= 128 or key in (0, 1, 2, 3) for key in item), f"unknown attribute: {NEWER}")
    check_hints({key: value for key, value in item.items() if key >= 128}, 16, 4096)
    if 0 in item:
        pairs = array(item[0])
        require(pairs and len(pairs) % 2 == 0, "extended attributes of odd number")
        names = [byte_string(name) for name in pairs[::2]]
        require(all(names) and not any(b"\0" in name for name in names) and ascends(names), "attributes' names")
        item[0] = list(zip(names, map(byte_string, pairs[1::2])))
    if 1 in item:
        byte_string(item[1], 16)
    if 2 in item:
        require(integer(item[2], 1, U64, "flags") & U32 <= 15, f"unknown flag: {NEWER}")
    if 3 in item:
        name, version = array(item[3], 2)
        text(name), integer(version)
    return item


# 9: content

Content = collections.namedtuple("Content", "depth extents size")


def parse_content(item):
    """Extents are `(id, length)`, holes `(None, length)`."""
    depth, ids, lengths = array(item, 3, "content")
    integer(depth, 0, 8, "depth")
    ids = split_bytes(ids, 32)
    require(len(array(lengths)) <= 512, "too many extents")
    extents, remaining = [], iter(ids)
    for length in lengths:
        integer(length, -I64, I64)
        require(length != 0 and (length > 0 or depth == 0), "an extent of no bytes, or a hole among lists")
        id = next(remaining, None) if length > 0 else None
        require(length < 0 or id is not None, "fewer ids than extents")
        extents.append((id, abs(length)))
    require(next(remaining, None) is None, "more ids than extents")
    size = sum(length for _, length in extents)
    require(size <= I64, "larger than a file can be")
    return Content(depth, extents, size)


def parse_list(data):
    item = array(decode_cbor(data), 2, "content list")
    require(item[0] == 2 and type(item[0]) is int, "not a content list")
    return parse_content(item[1])


# 10: cuts, which no reader needs; the vectors are checked with it

MASKS = {
    11: 0x0000D90003530000, 12: 0x0000D90103530000, 13: 0x0000D90303530000, 14: 0x0000D90313530000,
    15: 0x0000D90F03530000, 16: 0x0000D90303537000, 17: 0x0000D90703537000, 18: 0x0000D90707537000,
    19: 0x0000D91707537000, 20: 0x0000D91747537000, 21: 0x0000D91767537000, 22: 0x0000D93767537000,
    23: 0x0000D93777537000,
}  # fmt: skip


def gear_table(keys):
    return struct.unpack("<256Q", keyed(keys["gear"], b"", 2048))


def cut(data, gear, low, average, high):
    n = len(data)
    if n <= low:
        return n
    n = min(n, high)
    center, end = min(n, average) & ~1, n & ~1
    bits = average.bit_length() - 1
    small, large = MASKS[bits + 1], MASKS[bits - 1]
    h = 0
    for i in range(low, end):
        h = (2 * h + gear[data[i]]) & U64
        if h & (small if i < center else large) == 0:
            return i
    return n


# The repository

Snapshot = collections.namedtuple("Snapshot", "name record")
Location = collections.namedtuple("Location", "name header number block start length")


class Repository:
    """An open repository."""

    def __init__(self, root, secret):
        self.store = Store(root)
        data = self.store.get("format")
        parse_descriptor(data)
        self.keys = derive_keys(self.unlock(secret))
        tag = keyed(self.keys["descriptor"], data[:-32])
        require(hmac.compare_digest(tag, data[-32:]), "the descriptor was not written with this key")
        self.snapshots = self.read_snapshots()
        self.locations = {}
        self.indexed = set()
        self.cached = collections.OrderedDict()

    def unlock(self, secret):
        problems = []
        for name in self.store.list("keys"):
            try:
                data = self.store.get(name)
                require(plain_hash(data).hex() == name.split("/")[-1], "its hash is wrong")
                master = open_slot(data, secret)
                if master is not None:
                    return master
            except Damage as problem:
                problems.append(f"{name}: {problem}")
        raise Damage("no key slot opens: " + ("; ".join(problems) or "none takes this kind of secret"))

    def read_segment(self, name):
        length = self.store.length(name)
        require(96 <= length <= MAX_OBJECT, f"{name}: impossible length")
        header = parse_header(self.store.get(name, 0, 80), self.keys)
        require(header.kind == (2 if name.startswith("snapshots/") else 1), f"{name}: another kind of segment")
        start, toc_len = parse_trailer(self.store.get(name, length - 16, 16), length)
        return header, *open_toc(header, start, self.store.get(name, start, toc_len))

    def read_snapshots(self):
        """The newest form of each snapshot that is not forgotten, oldest first."""
        forms = {}
        marks = filter(None, map(FORGOTTEN.match, self.store.list("forgotten")))
        forgotten = {bytes.fromhex(mark.group(1)) for mark in marks}
        for name in filter(None, map(parse_commit_name, self.store.list("snapshots"))):
            if name.id in forgotten:
                continue
            try:
                _, _, record = self.read_segment(name.name)
                require(record is not None, "a commit without a record")
                record = parse_record(record)
                named = (name.id, name.supersession, name.time_ms)
                require(named == (record.id, record.supersession, record.time), "name and record disagree")
            except Damage as problem:
                warn(f"{name.name}: {problem}")
                continue
            forms.setdefault(record.id, []).append((record.supersession, name.hash, Snapshot(name.name, record)))
        newest = [self.newest(commits) for commits in forms.values()]
        return sorted(newest, key=lambda s: (s.record.time, s.record.id))

    def newest(self, commits):
        """Of the commits of one snapshot the newest of which all deps are there; the newest, if there is none."""
        commits.sort(key=lambda commit: commit[:2], reverse=True)
        hashes = [re.split("[/-]", n)[-1] for n in self.store.list("segments") + self.store.list("snapshots")]
        present = {h[:16] for h in hashes}
        whole = [s for _, _, s in commits if all(dep.hex() in present for dep in s.record.deps)]
        return whole[0] if whole else commits[0][2]

    def use(self, snapshot):
        """Finds out where everything lies that a snapshot needs."""
        names = self.store.list("segments") + self.store.list("snapshots")
        for dep in (None, *snapshot.record.deps):
            matching = [n for n in names if re.split("[/-]", n)[-1].startswith(dep.hex())] if dep else [snapshot.name]
            for name in matching:
                if name not in self.indexed:
                    self.index(name)

    def index(self, name):
        self.indexed.add(name)
        try:
            header, blocks, _ = self.read_segment(name)
        except Damage as problem:
            return warn(f"{name}: {problem}")
        for number, block in enumerate(blocks):
            start = 0
            for id, length in block.chunks:
                self.locations[id] = Location(name, header, number, block, start, length)
                start += length

    def get(self, purpose, id):
        """The bytes of an id, verified."""
        require(id in self.locations, f"{id.hex()} is in no segment")
        name, header, number, block, start, length = self.locations[id]
        raw = self.cached.get((name, number))
        if raw is None:
            stored = self.store.get(name, block.start, block.stored_len)
            raw = self.cached[name, number] = open_block(header, number, block, stored)
            if len(self.cached) > 8:
                self.cached.popitem(last=False)
        data = raw[start : start + length]
        require(hmac.compare_digest(keyed(self.keys[purpose], data), id), f"{id.hex()}: other bytes")
        return data

    def entries(self, id):
        kind, listed = parse_tree(self.get("tree", id))
        if kind == "page":
            yield from listed
            return
        last = b""
        for page, count in listed:
            kind, entries = parse_tree(self.get("tree", page))
            require(kind == "page" and len(entries) == count and entries[0].name > last, "pages out of order")
            yield from entries
            last = entries[-1].name

    def extents(self, content):
        for id, length in content.extents:
            if content.depth == 0:
                yield id, length
                continue
            inner = parse_list(self.get("tree", id))
            require(inner.depth + 1 == content.depth and inner.size == length, "a list of another depth or size")
            yield from self.extents(inner)

    def select(self, spec, user):
        """`(snapshot, home)` pairs: of one snapshot, or the newest state of every home."""
        if spec != "latest":
            matching = [s for s in self.snapshots if s.record.id.hex().startswith(spec)]
            require(len(matching) == 1, f"{len(matching)} snapshots begin with {spec}")
            pairs = [(matching[0], home) for home in matching[0].record.homes if home.root is not None]
        else:
            pairs = [pair for pair in self.newest_states().values() if pair is not None]
        return [pair for pair in pairs if user is None or pair[1].user == os.fsencode(user)]

    def newest_states(self):
        states, shrunk = {}, {}
        for snapshot in reversed(self.snapshots):
            for home in snapshot.record.homes:
                key = (snapshot.record.source, home.user)
                if key in states:
                    continue
                if home.attention == 0:
                    states[key] = (snapshot, home)
                elif home.attention == 3:
                    states[key] = None
                elif home.attention == 1:
                    shrunk.setdefault(key, (snapshot, home))
        return {**shrunk, **states}


# 11: extraction


class Extractor:
    """Writes trees of one snapshot below a directory."""

    def __init__(self, repository):
        self.repository = repository
        self.links = {}

    def directory(self, path, entry):
        os.mkdir(path, 0o700)
        for child in self.repository.entries(entry.special):
            try:
                self.entry(os.path.join(path, child.name), child)
            except (Damage, OSError) as problem:
                warn(f"{os.fsdecode(path)}/{os.fsdecode(child.name)}: {problem}")
        self.metadata(path, entry)

    def entry(self, path, entry):
        group = entry.attributes.get(1)
        if entry.attributes.get(2, 0) & 4 or 3 in entry.attributes:
            return warn(f"{os.fsdecode(path)}: its content is not in this repository")
        if group in self.links and group is not None:
            return os.link(self.links[group], path, follow_symlinks=False)
        if entry.kind == 0:
            self.file(path, entry)
        elif entry.kind == 1:
            return self.directory(path, entry)
        elif entry.kind == 2:
            os.symlink(entry.special, path)
        elif entry.kind == 3:
            os.mkfifo(path, 0o600)
        else:
            self.device(path, entry)
        self.metadata(path, entry)
        if group is not None:
            self.links[group] = path
        return None

    def file(self, path, entry):
        with open(path, "xb") as file:
            for id, length in self.repository.extents(entry.special):
                if id is None:
                    file.seek(length, os.SEEK_CUR)
                    continue
                data = self.repository.get("chunk", id)
                require(len(data) == length, "a chunk of another length")
                file.write(data)
            file.truncate(entry.special.size)

    def device(self, path, entry):
        import stat

        kind = stat.S_IFCHR if entry.kind == 4 else stat.S_IFBLK
        number = entry.special
        major = (number >> 32 & 0xFFFFF000) | (number >> 8 & 0xFFF)
        minor = (number >> 12 & 0xFFFFFF00) | (number & 0xFF)
        os.mknod(path, kind | 0o600, os.makedev(major, minor))

    def metadata(self, path, entry):
        if os.geteuid() == 0:
            os.chown(path, *local_ids(entry.owner), follow_symlinks=False)
        if entry.kind != 2:
            os.chmod(path, entry.mode)
        for name, value in entry.attributes.get(0, []):
            os.setxattr(path, name, value, follow_symlinks=False)
        time = entry.seconds * 1_000_000_000 + entry.nanoseconds
        os.utime(path, ns=(time, time), follow_symlinks=False)


def local_ids(owner):
    """Names decide where they exist here; numbers are the fallback."""
    import grp
    import pwd

    try:
        uid = pwd.getpwnam(owner.user).pw_uid if owner.user else owner.uid
    except KeyError:
        uid = owner.uid
    try:
        gid = grp.getgrnam(owner.group).gr_gid if owner.group else owner.gid
    except KeyError:
        gid = owner.gid
    return uid, gid


# The vectors


def check_vectors(path):
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)
    raw = lambda *keys: bytes.fromhex(pick(vectors, keys))
    master = raw("master_key")
    keys = derive_keys(master)
    for name, purpose in PURPOSES.items():
        same(keys[name], raw("derived_keys", purpose), purpose)
    same(keyed(keys["chunk"], raw("chunk_id", "bytes")), raw("chunk_id", "id"), "chunk id")
    same(keyed(keys["tree"], raw("tree_id", "bytes")), raw("tree_id", "id"), "tree id")
    inode = vectors["link_group"]
    packed = struct.pack("<QQ", inode["device"], inode["inode"]) + inode["changed_ns"].to_bytes(16, "little", signed=True)
    same(keyed(keys["link"], packed)[:16], raw("link_group", "group"), "link group")
    check_cuts(vectors, keys)
    same(parse_key_file(vectors["key_file"]["text"].encode()), raw("key_file", "secret"), "key file")
    same(open_slot(raw("slot_key_file", "bytes"), {"key": raw("slot_key_file", "secret")}), master, "slot")
    passphrase = vectors["slot_passphrase"]["passphrase"].encode()
    same(open_slot(raw("slot_passphrase", "bytes"), {"passphrase": passphrase}), master, "slot")
    descriptor = raw("descriptor", "bytes")
    parse_descriptor(descriptor)
    same(keyed(keys["descriptor"], descriptor[:-32]), descriptor[-32:], "descriptor's tag")
    for name, parse in [("page", parse_tree), ("page_index", parse_tree), ("content_list", parse_list)]:
        same(keyed(keys["tree"], raw(name, "bytes")), raw(name, "id"), name)
        parse(raw(name, "bytes"))
    check_segment(vectors, keys)
    parsers = {"tree": parse_tree, "content list": parse_list, "record": parse_record, "slot": check_slot}
    for case in vectors["refused"]:
        parse = parsers[case["what"]]
        try:
            parse(bytes.fromhex(case["bytes"]))
        except Damage:
            continue
        raise Damage(f"accepted: {case['why']}")
    print("all vectors are right")


def check_slot(data):
    """Only what can be said of a slot without a secret."""
    open_slot(data, {})


def pick(value, keys):
    for key in keys:
        value = value[key]
    return value


def same(found, expected, what):
    require(found == expected, f"{what}: {found!r}, expected {expected!r}")


def check_cuts(vectors, keys):
    gear = gear_table(keys)
    same([f"{word:016x}" for word in gear[:4]], vectors["gear_table"]["first_words"], "gear table")
    same(plain_hash(struct.pack("<256Q", *gear)).hex(), vectors["gear_table"]["hash"], "gear table")
    noise = blake3(b"").digest(length=1 << 20)
    for case in vectors["cuts"]:
        data, lengths = noise[: case["input_len"]], []
        while data:
            lengths.append(cut(data, gear, case["min"], case["average"], case["max"]))
            data = data[lengths[-1] :]
        same(lengths, case["lengths"], "cuts")


def check_segment(vectors, keys):
    vector = vectors["segment"]
    data = bytes.fromhex(vector["bytes"])
    name = parse_commit_name(vector["name"])
    same(plain_hash(data), name.hash, "the segment's hash")
    header = parse_header(data[:80], keys)
    start, _ = parse_trailer(data[-16:], len(data))
    blocks, record = open_toc(header, start, data[start:-16])
    same(record.hex(), vectors["record"]["bytes"], "record")
    record = parse_record(record)
    same((record.id, record.supersession, record.time), (name.id, name.supersession, name.time_ms), "name")
    ids = b"".join(id for block in blocks for id, _ in block.chunks)
    salt = keyed(keys["salt"], bytes.fromhex(vector["random"]) + ids + bytes.fromhex(vectors["record"]["bytes"]))
    same(header.raw[16:48], salt, "salt")
    for number, (block, raw, described) in enumerate(zip(blocks, vector["blocks"], vector["toc"])):
        same([[id.hex(), length] for id, length in block.chunks], described["chunks"], "chunks")
        same([block.kind, block.codec, block.start], [described["kind"], described["codec"], described["start"]], "block")
        stored = data[block.start : block.start + block.stored_len]
        same(open_block(header, number, block, stored).hex(), raw, f"block {number}")


# The command line

problems = 0


def warn(message):
    global problems
    problems += 1
    print(f"warning: {message}", file=sys.stderr)


def read_secret(arguments):
    if arguments.key_file:
        with open(arguments.key_file, "rb") as file:
            return {"key": parse_key_file(file.read())}
    require(arguments.passphrase_file, "give --key-file or --passphrase-file")
    with open(arguments.passphrase_file, "rb") as file:
        return {"passphrase": file.read().removesuffix(b"\n")}


def list_snapshots(repository):
    names = ("normal", "shrunk", "missing", "removed")
    for snapshot in repository.snapshots:
        record = snapshot.record
        homes = [f"{os.fsdecode(h.user)} ({names[h.attention]}, {h.files} files)" for h in record.homes]
        print(record.id.hex(), record.time, record.source, ", ".join(homes))


def extract(repository, arguments):
    pairs = repository.select(arguments.snapshot, arguments.user)
    require(pairs, "no such home")
    extractors = {}
    for snapshot, home in pairs:
        repository.use(snapshot)
        extractor = extractors.setdefault(snapshot.name, Extractor(repository))
        extractor.directory(os.path.join(os.fsencode(arguments.target), home.user), home.root)


def main():
    parser = argparse.ArgumentParser(description="Reads homekeep repositories of format 1.")
    parser.add_argument("--repo")
    parser.add_argument("--key-file")
    parser.add_argument("--passphrase-file")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("snapshots")
    extracting = commands.add_parser("extract")
    extracting.add_argument("snapshot", help="an id, the beginning of one, or latest")
    extracting.add_argument("target", help="an existing directory; each home goes below it")
    extracting.add_argument("--user")
    commands.add_parser("vectors").add_argument("file")
    arguments = parser.parse_args()
    try:
        if arguments.command == "vectors":
            check_vectors(arguments.file)
        else:
            repository = Repository(arguments.repo, read_secret(arguments))
            if arguments.command == "snapshots":
                list_snapshots(repository)
            else:
                extract(repository, arguments)
    except Damage as problem:
        sys.exit(f"error: {problem}")
    sys.exit(3 if problems else 0)


if __name__ == "__main__":
    main()
