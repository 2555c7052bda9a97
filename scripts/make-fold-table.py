#!/usr/bin/env python3
"""Write lib/model/fold_table.inc from Unicode's CaseFolding.txt.

    scripts/make-fold-table.py [/usr/share/unicode/CaseFolding.txt] > lib/model/fold_table.inc

Simple case folding takes the statuses C and S. The file comes with Debian's
package unicode-data, or from https://www.unicode.org/Public/UCD/latest/ucd/.
"""
import re
import sys

NOTICE = """\
 * COPYRIGHT AND PERMISSION NOTICE
 *
 * Copyright (c) 1991-{year} Unicode, Inc. All rights reserved.
 * Distributed under the Terms of Use in https://www.unicode.org/copyright.html.
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy
 * of the Unicode data files and any associated documentation (the "Data Files")
 * or Unicode software and any associated documentation (the "Software") to deal
 * in the Data Files or Software without restriction, including without
 * limitation the rights to use, copy, modify, merge, publish, distribute,
 * and/or sell copies of the Data Files or Software, and to permit persons to
 * whom the Data Files or Software are furnished to do so, provided that either
 * (a) this copyright and permission notice appear with all copies of the Data
 * Files or Software, or (b) this copyright and permission notice appear in
 * associated Documentation.
 *
 * THE DATA FILES AND SOFTWARE ARE PROVIDED "AS IS", WITHOUT WARRANTY OF ANY
 * KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
 * MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT OF
 * THIRD PARTY RIGHTS. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR HOLDERS
 * INCLUDED IN THIS NOTICE BE LIABLE FOR ANY CLAIM, OR ANY SPECIAL INDIRECT OR
 * CONSEQUENTIAL DAMAGES, OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE,
 * DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER
 * TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE
 * OF THE DATA FILES OR SOFTWARE.
 *
 * Except as contained in this notice, the name of a copyright holder shall not
 * be used in advertising or otherwise to promote the sale, use or other
 * dealings in these Data Files or Software without prior written authorization
 * of the copyright holder.
"""


def read(path):
    folds = {}
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    version = re.fullmatch(r"# CaseFolding-([0-9.]+)\.txt", lines[0]).group(1)
    year = re.fullmatch(r"# Date: (\d{4})-.*", lines[1]).group(1)
    for line in lines:
        fields = [field.strip() for field in line.split("#")[0].split(";")]
        if len(fields) > 2 and fields[1] in ("C", "S"):
            folds[int(fields[0], 16)] = int(fields[2], 16)
    return version, year, folds


def rows(words, per_row):
    for i in range(0, len(words), per_row):
        yield "    " + ", ".join(words[i:i + per_row]) + ","


def split_blocks(folds, bits):
    """Blocks of 2^bits differences, each kept once; the first is the one of zeros."""
    size = 1 << bits
    blocks = [(0,) * size]
    index = []
    for start in range(0, max(folds) + 1, size):
        block = tuple((folds.get(c, c) - c) & 0xFFFF for c in range(start, start + size))
        if block not in blocks:
            blocks.append(block)
        index.append(blocks.index(block))
    return index, blocks


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/unicode/CaseFolding.txt"
    version, year, folds = read(path)
    bits = min(range(3, 9), key=lambda b: sum(map(len, split_blocks(folds, b)[1])) * 2 + len(split_blocks(folds, b)[0]))
    index, blocks = split_blocks(folds, bits)

    # What the 16-bit differences and the 8-bit index take for granted.
    assert all(a >> 16 == b >> 16 for a, b in folds.items())
    assert len(blocks) <= 256
    assert not set(folds) & set(folds.values())

    print("/*")
    print(" * Made by scripts/make-fold-table.py; do not edit.")
    print(" *")
    print(" * Derived from CaseFolding.txt of the Unicode Character Database %s, the" % version)
    print(" * entries of status C and S. SPDX-License-Identifier: Unicode-DFS-2016")
    print(" *")
    print(NOTICE.format(year=year), end="")
    print(" */")
    print("#define FOLD_BITS %d" % bits)
    print("#define FOLD_END 0x%Xu" % (len(index) << bits))
    print("#define FOLD_COUNT %d" % len(folds))
    print()
    print("/* The block of each %d code points. */" % (1 << bits))
    print("static const uint8_t fold_index[] = {")
    print("\n".join(rows(["%d" % i for i in index], 24)))
    print("};")
    print()
    print("/* What to add to the lower 16 bits; a code point folds within its plane. */")
    print("static const uint16_t fold_blocks[][1 << FOLD_BITS] = {")
    for block in blocks:
        print("    {")
        print("\n".join("    " + row for row in rows(["%d" % i for i in block], 16)))
        print("    },")
    print("};")
    print()
    print("/* Every code point that folds to another. */")
    print("static const uint32_t fold_from[FOLD_COUNT] = {")
    print("\n".join(rows(["0x%04X" % c for c in sorted(folds)], 11)))
    print("};")


main()
