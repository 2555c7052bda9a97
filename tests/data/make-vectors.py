#!/usr/bin/env python3
"""Write the hash vectors beside this file: buckets.jsonl, md5-lengths.jsonl, md5-mod100.jsonl.

Nothing here looks at the library: MurmurHash3_x86_32 is written from its
description, MD5 is Python's. The files are committed; this shows where they
come from and adds rows when a case is missing.
"""
import hashlib
import json
import os
import random

HERE = os.path.dirname(os.path.abspath(__file__))
SALTS = ["checkout", "new_search", "s1", "a", "größe", "機能", "\U0001f6a9flag"]
WORDS = ["alice", "bob", "user", "0815", "zoë", "Ωmega", "ß", "ユーザー", "\U0001f600", "x-", "@example.com", "_"]


def murmur3(data, seed=0):
    def rotate(x, n):
        return ((x << n) | (x >> (32 - n))) & 0xFFFFFFFF

    h = seed
    for i in range(0, len(data), 4):
        word = data[i:i + 4]
        k = int.from_bytes(word, "little") * 0xCC9E2D51 & 0xFFFFFFFF
        h ^= rotate(k, 15) * 0x1B873593 & 0xFFFFFFFF
        if len(word) == 4:
            h = (rotate(h, 13) * 5 + 0xE6546B64) & 0xFFFFFFFF
    h ^= len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return h ^ h >> 16


def of_length(rng, length, salt):
    """A text `salt:user` of exactly this many bytes of UTF-8, cut short when there is no room."""
    text = salt + ":"
    while len(text.encode()) < length:
        text += rng.choice(WORDS)
    while len(text.encode()) > length:
        text = text[:-1]
    return text + "." * (length - len(text.encode()))


def write(name, rows):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def buckets():
    rng = random.Random(1)
    for length in range(41):
        texts = dict.fromkeys(of_length(rng, length, salt) for salt in SALTS)
        for text in texts:
            value = murmur3(text.encode())
            yield {"input": text, "murmur3": value, "bucket": value * 100000 >> 32}


def md5_lengths():
    """Digests of the first n bytes of the sequence i * 131 + 7 modulo 256."""
    data = bytes((i * 131 + 7) % 256 for i in range(201))
    for length in range(201):
        yield {"length": length, "digest": hashlib.md5(data[:length]).hexdigest()}


def md5_mod100():
    rng = random.Random(2)
    users = ["", "a", "user1", "user42", "zoë", "ユーザー", "\U0001f600", " ", "a\u0000b", "0"]
    users += [of_length(rng, length, "u") for length in range(1, 131)]
    users += ["%08x-%04x-%04x" % (rng.getrandbits(32), rng.getrandbits(16), rng.getrandbits(16)) for _ in range(60)]
    for user in users:
        number = int.from_bytes(hashlib.md5(user.encode()).digest(), "big")
        yield {"user": user, "bucket": number % 100}


write("buckets.jsonl", buckets())
write("md5-lengths.jsonl", md5_lengths())
write("md5-mod100.jsonl", md5_mod100())
