#!/usr/bin/env python3
"""Run a flagver program against the oracle on random definitions and compare every answer.

    differential.py PROGRAM [--count N] [--seed S] [--keep DIR] [--show N] [--quiet]

PROGRAM is called as `PROGRAM flag eval --batch --definitions FILE --at TIME` (quotes around
PROGRAM may hold arguments). Exit 0 when every answer agrees, 1 otherwise.
"""

import argparse
import copy
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter

import oracle
from generate import generate
from jsontext import Places, canonical_double
from malform import malform
from oracle import Malformed

LINES_PER_FILE = 200
MALFORMED_PER_FILE = 2
SHRINK_RUNS = 400
TIMEOUT = 60
FILE_NAME = "definitions.json"

# What a run of some size must have seen; printed as "never exercised" otherwise.
CATALOGUE = (
    ["op:%s:%s" % (op, held) for op in oracle.OPERATORS for held in (True, False)]
    + ["op:%s+fold:%s" % (op, held) for op, what in oracle.OPERATORS.items() if what.folds
       for held in (True, False)]
    + ["node:%s:%s" % (kind, held) for kind in ("all", "any", "not", "segment", "flag")
       for held in (True, False)]
    + ["reason:" + reason for reason in ("STATIC", "DEFAULT", "DISABLED", "TARGETING_MATCH",
                                         "SPLIT")]
    + ["error:" + code for code in ("FLAG_NOT_FOUND", "INVALID_CONTEXT", "TARGETING_KEY_MISSING",
                                    "TYPE_MISMATCH")]
    + ["env:" + what for what in ("enabled", "beta", "beta cleared", "percentage", "forced")]
    + ["rule:Constant:TARGETING_MATCH", "rule:Split:SPLIT", "rule:Split:TARGETING_MATCH",
       "rule:Percentage:SPLIT", "rule:Percentage:TARGETING_MATCH", "level:Split:SPLIT",
       "level:Split:DEFAULT", "level:Percentage:SPLIT", "level:Percentage:DEFAULT"]
    + ["bucket:murmur3", "bucket:md5-mod100", "percentage:0", "percentage:100", "percentage:in",
       "percentage:out", "segment:include", "segment:exclude", "convert:integer to double",
       "convert:double to integer", "leaf:missing", "leaf:array:True", "leaf:array:False",
       "ruleId:requires", "bad line", "malformed file"]
    + ["type:" + kind for kind in oracle.TYPES])


# ---------------------------------------------------------------- the program under test


class Program:
    """The program in a scratch folder, with nothing of ours in its environment but the case's."""

    def __init__(self, command, scratch):
        self.command = shlex.split(command)
        if os.sep in self.command[0]:
            self.command[0] = os.path.abspath(self.command[0])
        self.scratch = scratch
        self.environ = {name: value for name, value in os.environ.items()
                        if not name.startswith(("FLAGVER_", "REPORT_"))}

    def arguments(self, at_text):
        return ["flag", "eval", "--batch", "--definitions", FILE_NAME, "--at", at_text]

    def __call__(self, text, batch, environ, at_text):
        """(exit code, stdout, stderr) as bytes; a code below 0 is a signal, None a time-out."""
        with open(os.path.join(self.scratch, FILE_NAME), "wb") as file:
            file.write(text)
        try:
            done = subprocess.run(self.command + self.arguments(at_text), cwd=self.scratch,
                                  env=dict(self.environ, **environ), timeout=TIMEOUT,
                                  input=batch, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except subprocess.TimeoutExpired:
            return None, b"", b"no answer within %d s" % TIMEOUT
        return done.returncode, done.stdout, done.stderr


# ---------------------------------------------------------------- comparing


class Real(float):
    """A number that remembers its digits."""

    raw = ""


def real(text):
    number = Real(text)
    number.raw = text
    return number


def same_json(a, b):
    """Equal as JSON values, integers and reals apart."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_json(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_json, a, b))
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b
    if isinstance(a, float) != isinstance(b, float):
        return False
    return a == b


def compare_answer(want, raw):
    """None, or what is wrong with this line of output."""
    try:
        got = json.loads(raw.decode("utf-8"), parse_float=real)
    except ValueError:
        return "no JSON"
    if not isinstance(got, dict):
        return "no object"
    if "error" in want:
        good = set(got) == {"line", "error"} and got["line"] == want["line"] and got["error"]
        return None if good else "bad line"
    got.pop("version", None)
    if not same_json(want, got):
        wrong = [key for key in ("reason", "errorCode", "variant", "value", "ruleId", "bucket")
                 if not same_json(want.get(key), got.get(key))]
        return "other " + ", ".join(wrong or ["members"])
    value = got["value"]
    if isinstance(value, Real) and "errorCode" not in got and value.raw != canonical_double(value):
        return "a double not in canonical form"
    return None


class Difference:
    def __init__(self, seed, kind, case, text, line=None, want=None, got=None, stderr=b""):
        self.seed = seed
        self.kind = kind
        self.case = case
        self.text = text
        self.line = line
        self.want = want
        self.got = got
        self.stderr = stderr

    def signature(self):
        want = self.want if isinstance(self.want, dict) else {}
        return self.kind, want.get("reason"), want.get("errorCode")


def compare_valid(program, seed, case, definitions, coverage):
    """Differences on a file the oracle accepts."""
    want, want_code = oracle.answer_batch(definitions, case.lines, case.at_ms)
    text = case.text.encode("utf-8")
    code, stdout, stderr = program(text, case.batch(), case.environ, case.at_text)
    count(coverage, definitions, case, want)
    got = stdout.split(b"\n")
    if got and not got[-1]:
        got.pop()
    found = []
    if code != want_code:
        found.append(Difference(seed, "exit %s instead of %d" % (code, want_code), case, text,
                                stderr=stderr))
    if len(got) != len(want):
        found.append(Difference(seed, "%d lines instead of %d" % (len(got), len(want)), case, text,
                                stderr=stderr))
        return found
    for line, expected, raw in zip(case.lines, want, got):
        kind = compare_answer(expected, raw)
        if kind:
            found.append(Difference(seed, kind, case, text, line, expected, raw, stderr))
    return found


def count(coverage, definitions, case, answers):
    coverage.update(definitions.coverage)
    definitions.coverage.clear()
    for answer in answers:
        if "error" in answer:
            coverage["bad line"] += 1
        elif "errorCode" in answer:
            coverage["error:" + answer["errorCode"]] += 1
        else:
            coverage["reason:" + answer["reason"]] += 1
            coverage["type:" + definitions.flags[answer["flag"]].type] += 1
            if answer.get("ruleId") == "requires":
                coverage["ruleId:requires"] += 1


# ---------------------------------------------------------------- refused files


def near(pointer, other):
    """The same place, or one level above or below."""
    return (pointer == other or pointer.rpartition("/")[0] == other
            or other.rpartition("/")[0] == pointer)


def compare_refusal(stderr, text, error, pointer):
    """None, or what is wrong with the message about a malformed file."""
    head = re.escape("flagver: %s:" % FILE_NAME)
    lines = [line for line in stderr.decode("utf-8", "replace").split("\n")
             if re.match(head, line)]
    if len(lines) != 1:
        return "%d error lines that name the file" % len(lines)
    found = re.match(head + r"([1-9][0-9]*):([1-9][0-9]*): (.+)$", lines[0])
    if not found:
        return "no line and column, or no reason"
    if error.json_level:
        return None
    told = re.match(r"((?:/.*?)?|\(root\)): .", found.group(3))
    if not told:
        return "no pointer"
    told_pointer = printable(told.group(1).replace("(root)", ""))
    # Control characters do not reach the terminal as they are.
    places = Places(text)
    pointers = [other for other in places.at if printable(other) == told_pointer]
    if not pointers:
        return "the pointer, which points nowhere,"
    # A ring has no first link, and too deep has no one place.
    if pointer != "*" and not any(near(pointers[0], other) for other in (error.pointer, pointer)):
        return "the pointer"
    if (int(found.group(1)), int(found.group(2))) not in places.positions(pointers[0]):
        return "line and column of the pointer"
    return None


def printable(pointer):
    return "".join("?" if ord(char) < 32 or ord(char) == 127 else char for char in pointer)


def compare_malformed(program, seed, case, coverage):
    text, pointer, what = malform(case, seed)
    raw = text if isinstance(text, bytes) else text.encode("utf-8")
    coverage["malformed file"] += 1
    try:
        oracle.load(raw, case.environ)
        raise AssertionError("the oracle accepts a file with %s (seed %d)" % (what, seed))
    except Malformed as malformed:
        error = malformed
    code, stdout, stderr = program(raw, b'{"flag": "quiet", "context": {}}\n', case.environ,
                                   case.at_text)
    if code != 6 or stdout:
        kind = "a malformed file is accepted" if code == 0 else "exit %s instead of 6" % code
    else:
        kind = compare_refusal(stderr, raw.decode("utf-8", "replace"), error, pointer)
        kind = kind and "refused, but %s is wrong" % kind
    if not kind:
        return []
    coverage["refused: " + kind] += 1
    return [Difference(seed, kind, case, raw, None, "%s: %s (%s)" % (pointer, error, what), stdout,
                       stderr)]


# ---------------------------------------------------------------- a small reproduction


def places_of(value, path=()):
    """Every removable member, larger ones first."""
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    steps = [(step, item) for step, item in steps]
    for step, _ in steps:
        yield path + (step,)
    for step, item in steps:
        if isinstance(item, (dict, list)):
            yield from places_of(item, path + (step,))


def without(value, path):
    value = copy.copy(value)
    if len(path) == 1:
        del value[path[0]]
    else:
        value[path[0]] = without(value[path[0]], path[1:])
    return value


class Shrinker:
    """Takes members away as long as program and oracle still differ in the same way."""

    def __init__(self, program, difference):
        self.program = program
        self.difference = difference
        self.runs = 0
        self.state = {"document": json.loads(difference.text), "environ": difference.case.environ}
        if difference.line is not None:
            self.state["line"] = json.loads(difference.line)

    def outcome(self, state):
        """(what kind of difference is left or None, the oracle's answer, the program's)"""
        self.runs += 1
        text = json.dumps(state["document"], ensure_ascii=False).encode("utf-8")
        lines = [json.dumps(state["line"]).encode("utf-8")] if "line" in state else []
        case = self.difference.case
        code, stdout, stderr = self.program(text, b"".join(lines), state["environ"], case.at_text)
        try:
            definitions = oracle.load(text, state["environ"])
        except Malformed as error:
            kind = "exit %s" % code
            if code == 6 and not stdout:
                kind = compare_refusal(stderr, text.decode("utf-8"), error, error.pointer)
            return kind, str(error), stderr
        if code == 6 and not stdout:
            return "refused", "valid", stderr
        want, want_code = oracle.answer_batch(definitions, lines, case.at_ms)
        if code != want_code:
            return "exit %s" % code, want_code, stderr
        got = stdout.split(b"\n")[:1]
        return (compare_answer(want[0], got[0]) if want else None), want, got

    def shrink(self):
        kind, self.want, self.got = self.outcome(self.state)
        if kind is None:
            return False
        again = True
        while again and self.runs < SHRINK_RUNS:
            again = False
            for path in list(places_of(self.state)):
                if len(path) > 1 and self.runs < SHRINK_RUNS and self.try_without(path, kind):
                    again = True
        return True

    def try_without(self, path, kind):
        try:
            smaller = without(self.state, path)
        except (KeyError, IndexError, TypeError):
            return False
        now, want, got = self.outcome(smaller)
        if now != kind:
            return False
        self.state, self.want, self.got = smaller, want, got
        return True


def show(program, difference, out):
    print("\n--- seed %d: %s" % (difference.seed, difference.kind), file=out)
    case = difference.case
    try:
        shrinker = Shrinker(program, difference)
        shrunk = shrinker.shrink()
    except ValueError:
        shrunk = False
    if shrunk:
        print("definitions: " + json.dumps(shrinker.state["document"], ensure_ascii=False,
                                           indent=1), file=out)
        print("environment: %s" % json.dumps(shrinker.state["environ"]), file=out)
        print("at:          %s" % case.at_text, file=out)
        if "line" in shrinker.state:
            line = json.dumps(shrinker.state["line"], ensure_ascii=False)
            print("line:        " + line, file=out)
        print("oracle:      %s" % json.dumps(shrinker.want), file=out)
        print("program:     %s" % shown(shrinker.got), file=out)
        return
    print("line:        %s" % shown(difference.line), file=out)
    print("oracle:      %s" % json.dumps(difference.want), file=out)
    print("program:     %s" % shown(difference.got), file=out)
    if difference.want is None or isinstance(difference.want, str):
        print("file:        %s" % shown(difference.text[:2000]), file=out)
        print("stderr:      %s" % shown(difference.stderr[:2000]), file=out)


def shown(raw):
    if isinstance(raw, list):
        return " ".join(shown(item) for item in raw)
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)


def keep(folder, difference):
    """The whole case, to be run again by hand."""
    place = os.path.join(folder, "seed-%d" % difference.seed)
    os.makedirs(place, exist_ok=True)
    case = difference.case
    with open(os.path.join(place, FILE_NAME), "wb") as file:
        file.write(difference.text)
    with open(os.path.join(place, "batch.jsonl"), "wb") as file:
        file.write(case.batch())
    variables = ["%s=%s" % (name, shlex.quote(value)) for name, value in case.environ.items()]
    with open(os.path.join(place, "run.sh"), "w", encoding="utf-8") as file:
        file.write("# %s: sh run.sh PROGRAM\n" % difference.kind)
        file.write("env %s \"$@\" flag eval --batch --definitions %s --at %s <batch.jsonl\n" % (
            " ".join(variables), FILE_NAME, case.at_text))


# ---------------------------------------------------------------- the run


class Summary:
    def __init__(self):
        self.files = self.evaluations = self.refused = 0
        self.coverage = Counter()
        self.differences = []

    def never(self):
        return [item for item in CATALOGUE if not self.coverage[item]]


def campaign(program, count_wanted, first_seed):
    """Run files of LINES_PER_FILE lines until so many evaluations were compared."""
    summary = Summary()
    seed = first_seed * 1000003
    while summary.evaluations < count_wanted:
        seed += 1
        case = generate(seed, min(LINES_PER_FILE, count_wanted - summary.evaluations))
        definitions = oracle.load(case.text, case.environ)
        summary.files += 1
        summary.evaluations += len(case.lines)
        summary.differences += compare_valid(program, seed, case, definitions, summary.coverage)
        for index in range(MALFORMED_PER_FILE):
            summary.refused += 1
            summary.differences += compare_malformed(program, seed * MALFORMED_PER_FILE + index,
                                                     case, summary.coverage)
    return summary


def report(summary, program, options, out):
    if not options.quiet:
        for item, number in sorted(summary.coverage.items()):
            print("%8d  %s" % (number, item), file=out)
    never = summary.never()
    print("never exercised: %s" % (", ".join(never) or "nothing of the catalogue"), file=out)
    shown_signatures = Counter()
    for difference in summary.differences:
        shown_signatures[difference.signature()] += 1
        if (shown_signatures[difference.signature()] == 1
                and len(shown_signatures) <= options.show):
            show(program, difference, out)
        if options.keep:
            keep(options.keep, difference)
    if summary.differences:
        print("\nkinds of differences:", file=out)
        for (kind, reason, error), number in shown_signatures.most_common():
            print("%8d  %s%s" % (number, kind, " (oracle: %s)" % (error or reason)
                                 if reason else ""), file=out)


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=40000, help="evaluations (40000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", metavar="DIR", help="keep every case that differs")
    parser.add_argument("--show", type=int, default=8, help="reproductions to print (8)")
    parser.add_argument("--quiet", action="store_true", help="no histogram")
    options = parser.parse_args(argv)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="flagver-oracle-") as scratch:
        program = Program(options.program, scratch)
        summary = campaign(program, options.count, options.seed)
        report(summary, program, options, sys.stdout)
    print("seed %d: %d files, %d evaluations, %d refused files, %d differences (%.1f s)" % (
        options.seed, summary.files, summary.evaluations, summary.refused,
        len(summary.differences), time.monotonic() - started))
    return 1 if summary.differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
