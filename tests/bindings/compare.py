#!/usr/bin/env python3
"""The same random evaluations in C, C++, Python and Node.js: do all of them answer alike?

    compare.py PROGRAM LIBRARY [--count N] [--seed S] [--only LANGUAGE]

Files, environments, contexts and lines are those of tests/oracle/generate.py, as far as every
language can say them: a number that JavaScript would not tell from another one, or not hold, is
replaced. Each language's batch program reads what `PROGRAM flag eval --batch` reads; value,
variant, reason, error code, rule and bucket have to be the same, integers and reals apart.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "oracle"))

import generate  # noqa: E402
import scalars  # noqa: E402

LINES_PER_FILE = 100
TIMEOUT = 120
SAFE = 2**53 - 1
MEMBERS = ("flag", "value", "variant", "reason", "errorCode", "ruleId", "bucket")

# What a run has to have met.
WANTED = (["reason " + reason for reason in ("STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT",
                                             "DISABLED", "ERROR")]
          + ["error " + error for error in ("FLAG_NOT_FOUND", "TYPE_MISMATCH", "INVALID_CONTEXT",
                                            "TARGETING_KEY_MISSING")]
          + ["type " + kind for kind in generate.TYPES]
          + ["attribute " + kind for kind in ("bool", "int", "float", "str", "list", "dict",
                                              "NoneType", "datetime")])


# ---------------------------------------------------------------- what every language can say


def sayable(value):
    """The value, with every number one that a double and an integer of JavaScript hold exactly."""
    if isinstance(value, dict):
        return {key: sayable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [sayable(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > SAFE:
        return value % 1000003
    if isinstance(value, float) and value.is_integer() and abs(value) <= SAFE:
        return int(value)
    return value


def default_fits(request):
    """A default is repeated as it was written: 2 for a double is 2 here and 2.0 there."""
    value, kind = request.get("default"), request.get("type")
    if isinstance(value, float):
        return not value.is_integer()
    return not (isinstance(value, int) and not isinstance(value, bool) and kind == "double")


def rewritten(line):
    """The line as every language can take it; None where it is no question."""
    try:
        request = json.loads(line.decode("utf-8"))
    except ValueError:
        return None
    good = (isinstance(request, dict) and isinstance(request.get("flag"), str)
            and isinstance(request.get("context"), dict)
            and request.get("type", "json") in generate.TYPES)
    if not good:
        return None
    if not default_fits(request):
        del request["default"]
    request["context"] = sayable(request["context"])
    request["default"] = sayable(request["default"]) if "default" in request else None
    if request["default"] is None:
        del request["default"]
    return request


def at_text(millis):
    """Any date that every language has: years of four digits, in UTC."""
    return scalars.format_date(millis, 0, 3, "TZ")


# ---------------------------------------------------------------- the programs


class Language:
    def __init__(self, name, command, missing=None):
        self.name = name
        self.command = command
        self.missing = missing
        self.answers = 0
        self.differences = 0


def languages(library):
    """Those that are here, and why the others are not."""
    build = os.path.dirname(library)
    cpp = os.path.join(build, "bindings", "cpp", "batch")
    python = os.path.join(ROOT, "bindings", "python", "tests", "batch.py")
    node = os.path.join(ROOT, "bindings", "node", "test", "batch.mjs")
    has_node = shutil.which("node") and subprocess.call(
        ["node", "-e", 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)']) == 0
    return [
        Language("C++", [cpp], None if os.path.exists(cpp) else "no C++ compiler"),
        Language("Python", [sys.executable, python]),
        Language("Node.js", ["node", node], None if has_node else "no Node.js 20"),
    ]


def run(command, folder, environ, batch):
    done = subprocess.run(command, cwd=folder, env=environ, input=batch, timeout=TIMEOUT,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise SystemExit("%s ended with %d: %s" % (command[0], done.returncode,
                                                   done.stderr.decode("utf-8", "replace")[-2000:]))
    return done.stdout.decode("utf-8").splitlines()


# ---------------------------------------------------------------- comparing


def same(a, b):
    """Equal as JSON, integers and reals apart."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def what_differs(want, got):
    """The members in which two answers differ; None: `got` is no answer."""
    try:
        got = json.loads(got)
    except ValueError:
        return None
    if not isinstance(got, dict):
        return None
    return [name for name in MEMBERS if not same(want.get(name, "nothing"), got.get(name, "nothing"))]


def kinds_in(value):
    """The kinds of values in a context's attributes."""
    if isinstance(value, str) and scalars.parse_date(value) is not None:
        yield "datetime"
    yield type(value).__name__
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    for item in items:
        yield from kinds_in(item)


def note(met, request, answer):
    met["reason " + answer["reason"]] += 1
    if "errorCode" in answer:
        met["error " + answer["errorCode"]] += 1
    met["type " + request.get("type", "any")] += 1
    for attribute in request["context"].values():
        for kind in set(kinds_in(attribute)):
            met["attribute " + kind] += 1


def compare_file(program, speaking, seed, wanted, met):
    """How many evaluations of one file were compared."""
    case = generate.generate(seed, LINES_PER_FILE)
    requests = [request for request in map(rewritten, case.lines) if request][:wanted]
    batch = "".join(json.dumps(request) + "\n" for request in requests).encode("utf-8")
    at = at_text(case.at_ms)
    with tempfile.TemporaryDirectory(prefix="flagver-bindings-") as folder:
        path = os.path.join(folder, "definitions.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(case.text)
        environ = dict({name: value for name, value in os.environ.items()
                        if not name.startswith("FLAGVER_FLAG_")}, **case.environ)
        want = run([program, "flag", "eval", "--batch", "--definitions", path, "--at", at], folder,
                   environ, batch)
        for language in speaking:
            got = run(language.command + [path, at], folder, environ, batch)
            if len(got) != len(want):
                raise SystemExit("%s gives %d answers to %d questions (seed %d)" % (
                    language.name, len(got), len(want), seed))
            for request, one, other in zip(requests, want, got):
                tell(language, seed, at, request, one, other)
    for request, one in zip(requests, want):
        note(met, request, json.loads(one))
    return len(requests)


def tell(language, seed, at, request, want, got):
    differing = what_differs(json.loads(want), got)
    language.answers += 1
    if differing == []:
        return
    language.differences += 1
    if language.differences <= 5:
        print("%s differs in %s (seed %d, at %s)" % (
            language.name, ", ".join(differing or ["everything"]), seed, at))
        print("    question: %s\n    C:        %s\n    %-9s %s" % (
            json.dumps(request, ensure_ascii=False), want, language.name + ":", got))


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("library")
    parser.add_argument("--count", type=int, default=2000, help="evaluations (2000)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", choices=("C++", "Python", "Node.js"))
    options = parser.parse_args(argv)
    program, library = os.path.abspath(options.program), os.path.abspath(options.library)
    os.environ["FLAGVER_LIBRARY"] = library

    all_languages = [language for language in languages(library)
                     if options.only in (None, language.name)]
    speaking = [language for language in all_languages if not language.missing]
    for language in all_languages:
        if language.missing:
            print("SKIPPED: %s" % language.missing)

    done, seed, met = 0, options.seed * 1000003, Counter()
    while done < options.count:
        seed += 1
        done += compare_file(program, speaking, seed, options.count - done, met)

    never = [what for what in WANTED if not met[what]]
    if never:
        print("never met: %s" % ", ".join(never))
    for language in speaking:
        print("%s: %d evaluations as in C, %d not" % (
            language.name, language.answers - language.differences, language.differences))
    return 1 if never or any(language.differences for language in speaking) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
