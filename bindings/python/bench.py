#!/usr/bin/env python3
"""The benchmark: what an evaluation costs, next to a foreign call that does nothing.

    bench.py [--quick] [--json]

*Bare* is a ctypes call of strcmp() with two pointers, the way ctypes is quickest: without giving up
the global lock, with `c_void_p` for both arguments. Both are measured in turns, in one process; what
is shown is the median of the rounds. Times are shown and never asserted.
"""

import argparse
import ctypes
import json
import os
import statistics
import sys
import timeit

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import flagver  # noqa: E402

DEFINITIONS = {
    "flags": {
        "on": {"type": "boolean", "percentage": 100},
        "percent": {"type": "boolean", "percentage": 25},
        "text": {
            "type": "string",
            "variants": {"a": "classic", "b": "one-page"},
            "default": "a",
            "rules": [
                {
                    "if": {"attr": "country", "op": "in", "values": ["DE", "FR"]},
                    "serve": {"split": {"a": 50, "b": 50}},
                }
            ],
        },
    }
}


def bare_call():
    function = ctypes.PyDLL(None)["strcmp"]
    function.restype, function.argtypes = ctypes.c_int, (ctypes.c_void_p, ctypes.c_void_p)
    words = ctypes.create_string_buffer(b"a"), ctypes.create_string_buffer(b"b")
    names = {"call": function, "one": ctypes.cast(words[0], ctypes.c_void_p)}
    return "call(one, two)", dict(names, two=ctypes.cast(words[1], ctypes.c_void_p), words=words)


def rows(client):
    user = flagver.Context("user42", country="DE")
    on, percent, text = (client.bind(key) for key in ("on", "percent", "text"))
    names = {"user": user, "on": on, "percent": percent, "text": text, "client": client,
             "Context": flagver.Context}
    # name, statement, asked: at most so many times the bare call
    yield "boolean, bound, on or off", "on.boolean(user, False)", 1.5, names
    yield "boolean, bound, 25 %", "percent.boolean(user, False)", None, names
    yield "boolean by its key", 'client.boolean("on", user, False)', None, names
    yield "text, bound, country, then 50 %", 'text.string(user, "classic")', None, names
    yield "the same with its detail", 'text.string_detail(user, "classic")', None, names
    yield "a context of a key and 2 attributes", 'Context("u", {"a": 1, "b": "c"})', None, names


def measure(options):
    rounds, slice_ = (5, 2000) if options.quick else (41, 20000)
    statement, names = bare_call()
    bare = timeit.Timer(statement, globals=names)
    with flagver.Client("definitions:") as client:
        client.load(DEFINITIONS)
        for name, statement, asked, names in rows(client):
            timer = timeit.Timer(statement, globals=names)
            ours, theirs = [], []
            for _ in range(rounds):
                ours.append(timer.timeit(slice_) / slice_ * 1e9)
                theirs.append(bare.timeit(slice_) / slice_ * 1e9)
            library, call = statistics.median(ours), statistics.median(theirs)
            ratio = library / call
            yield {"name": name, "library": library, "bare": call, "ratio": ratio,
                   "asked": asked, "met": None if asked is None else ratio <= asked}


def show(row):
    asked, met = "", ""
    if row["asked"] is not None:
        asked, met = "<= %.2f" % row["asked"], "yes" if row["met"] else "NO"
    print("%-38s %9.0f %9.0f %7.2f  %-8s %s" % (
        row["name"], row["library"], row["bare"], row["ratio"], asked, met))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few short rounds: does it run?")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "rows": list(measure(options))}))
        return
    print("Python %s, libflagver %s, load %.1f; nanoseconds, medians" % (
        sys.version.split()[0], flagver.library_version, os.getloadavg()[0]))
    print("%-38s %9s %9s %7s  %-8s %s" % ("what", "library", "bare", "ratio", "asked", "met"))
    for row in measure(options):
        show(row)


if __name__ == "__main__":
    main()
