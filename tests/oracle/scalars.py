"""The small sciences of flag evaluation: hashes, folding, versions, dates, addresses.

Everything here is written from public specifications (MurmurHash3, RFC 1321, CaseFolding.txt,
SemVer 2.0.0, RFC 3339, RFC 4291) and from the sentences of the design, on purpose without a look
at the C sources: two independent readings are what makes a difference worth reading.
"""

import datetime
import functools
import hashlib
import ipaddress
import os
import re

SCALE = 100000
EXACT_DOUBLE = 1 << 53
CASE_FOLDING_FILE = "/usr/share/unicode/CaseFolding.txt"


# ---------------------------------------------------------------- hashes


def murmur3_32(data, seed=0):
    """murmur3_x86_32 of bytes."""
    mask = 0xFFFFFFFF
    h = seed
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i:i + 4], "little")
        k = (k * 0xCC9E2D51) & mask
        k = ((k << 15) | (k >> 17)) & mask
        h ^= (k * 0x1B873593) & mask
        h = ((h << 13) | (h >> 19)) & mask
        h = (h * 5 + 0xE6546B64) & mask
    if len(data) > whole:
        k = int.from_bytes(data[whole:], "little")
        k = (k * 0xCC9E2D51) & mask
        k = ((k << 15) | (k >> 17)) & mask
        h ^= (k * 0x1B873593) & mask
    h ^= len(data)
    h ^= h >> 16
    h = (h * 0x85EBCA6B) & mask
    h ^= h >> 13
    h = (h * 0xC2B2AE35) & mask
    return h ^ (h >> 16)


@functools.lru_cache(maxsize=65536)
def murmur3_bucket(salt, value):
    """Bucket 0..99999 of salt + ":" + value."""
    return (murmur3_32((salt + ":" + value).encode("utf-8")) * SCALE) >> 32


@functools.lru_cache(maxsize=65536)
def md5_mod100_bucket(value):
    """Bucket 0..99: the digest read as one big-endian 128-bit number."""
    return int(hashlib.md5(value.encode("utf-8")).hexdigest(), 16) % 100


# ---------------------------------------------------------------- simple case folding


def folding_from_file(path):
    table = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            fields = line.split("#")[0].split(";")
            if len(fields) >= 3 and fields[1].strip() in ("C", "S"):
                table[int(fields[0], 16)] = int(fields[2], 16)
    return table


def folding_from_python():
    """str.casefold folds fully; where that grows, lower() is the simple mapping or none is."""
    table = {}
    for code in range(0x110000):
        if 0xD800 <= code <= 0xDFFF:
            continue
        char = chr(code)
        to = char.casefold()
        if len(to) != 1:
            to = char.lower()
        if len(to) == 1 and to != char:
            table[code] = ord(to)
    return table


@functools.lru_cache(maxsize=1)
def folding():
    if os.path.exists(CASE_FOLDING_FILE):
        return folding_from_file(CASE_FOLDING_FILE)
    return folding_from_python()


@functools.lru_cache(maxsize=1)
def orbits():
    """Folded code point -> every code point that folds to it, itself included."""
    classes = {}
    for code, to in folding().items():
        classes.setdefault(to, {to}).add(code)
    return classes


def fold(text):
    return text.translate(folding())


# ---------------------------------------------------------------- semantic versions

SEMVER = re.compile(
    r"v?(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*))?(?:\.(0|[1-9][0-9]*))?"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?", re.ASCII)


def parse_semver(text):
    """A key that sorts by precedence, or None."""
    found = SEMVER.fullmatch(text)
    if not found:
        return None
    numbers = tuple(int(part or 0) for part in found.group(1, 2, 3))
    if found.group(4) is None:
        return numbers + ((1,),)
    identifiers = []
    for part in found.group(4).split("."):
        if not part.isdigit():
            identifiers.append((1, 0, part))
        elif len(part) > 1 and part[0] == "0":
            return None
        else:
            identifiers.append((0, int(part), ""))
    # A release sorts after its pre-releases: (1,) > (0, ...).
    return numbers + ((0, tuple(identifiers)),)


# ---------------------------------------------------------------- dates

RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))", re.ASCII)

EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()


def parse_date(text):
    """Milliseconds since 1970, or None."""
    found = RFC3339.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    if hour > 23 or minute > 59 or second > 59:
        return None
    try:
        days = datetime.date(year, month, day).toordinal() - EPOCH_DAY
    except ValueError:
        return None
    offset = 0
    if found.group(8):
        if int(found.group(9)) > 23 or int(found.group(10)) > 59:
            return None
        offset = int(found.group(9)) * 60 + int(found.group(10))
        if found.group(8) == "-":
            offset = -offset
    millis = int(((found.group(7) or "") + "000")[:3])
    return ((days * 24 + hour) * 60 + minute - offset) * 60000 + second * 1000 + millis


def format_date(millis, offset_minutes=0, digits=3, letters="TZ"):
    """The moment in RFC 3339; with 0 digits the milliseconds must be zero."""
    local = millis + offset_minutes * 60000
    days, rest = divmod(local, 86400000)
    date = datetime.date.fromordinal(days + EPOCH_DAY)
    seconds, ms = divmod(rest, 1000)
    text = "%04d-%02d-%02d%s%02d:%02d:%02d" % (
        date.year, date.month, date.day, letters[0],
        seconds // 3600, seconds // 60 % 60, seconds % 60)
    if digits:
        text += "." + ("%03d" % ms).ljust(digits, "9")[:max(digits, 3)]
    if offset_minutes:
        sign = "+" if offset_minutes > 0 else "-"
        return text + "%s%02d:%02d" % (sign, abs(offset_minutes) // 60, abs(offset_minutes) % 60)
    return text + letters[1]


def as_date(value):
    """An attribute or an operand as milliseconds, or None."""
    if isinstance(value, str):
        return parse_date(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    # A double becomes an integer under one rule everywhere: whole and within 2^53.
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT_DOUBLE:
        return int(value)
    return None


# ---------------------------------------------------------------- addresses


def parse_address(text):
    """(4 or 6, number), or None. Zones are no addresses, a mapped IPv4 stays IPv6."""
    if "%" in text or not text.isascii():
        return None
    try:
        if ":" in text:
            return 6, int(ipaddress.IPv6Address(text))
        return 4, int(ipaddress.IPv4Address(text))
    except ValueError:
        return None


def parse_network(text):
    """(4 or 6, network number, prefix shift), or None. Host bits are masked away."""
    address, slash, length = text.partition("/")
    parsed = parse_address(address)
    if parsed is None:
        return None
    family, number = parsed
    bits = 32 if family == 4 else 128
    if not slash:
        return family, number, 0
    if not re.fullmatch(r"0|[1-9][0-9]{0,2}", length, re.ASCII) or int(length) > bits:
        return None
    shift = bits - int(length)
    return family, number >> shift, shift
