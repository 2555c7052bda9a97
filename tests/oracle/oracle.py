#!/usr/bin/env python3
"""A second, independent evaluator of flag definitions.

load() reads and checks a definitions file, evaluate() answers for one flag and one context. Both
follow the sentences of the design and nothing else. Run as a program it understands
`flag eval --batch --definitions FILE --at TIME` the way `flagver` does.
"""

import json
import re
import sys
import time
from decimal import Decimal

import scalars
from jsontext import Places, canonical, child
from model import (MISSING, OPERATORS, Branch, Bucketing, Constant, Definitions, Flag, FlagServes,
                   InSegment, Leaf, Not, Percentage, Rule, Run, Segment, Split, constant_threshold,
                   failed, is_integer, is_number, linear_threshold, step_threshold)
from pattern import Pattern, Refused

MAX_DEPTH = 100
MAX_WEIGHT = 1000000
INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
TYPES = ("boolean", "string", "integer", "double", "json")
SECTIONS = ("flags", "segments", "phases", "assignments", "migrations", "records")
FORCE_PREFIX = "FLAGVER_FLAG_"
TRUE_WORDS = ("true", "1", "yes", "on")
FALSE_WORDS = ("false", "0", "no", "off")


class Malformed(Exception):
    """The file is refused; pointer is the JSON pointer of the place."""

    def __init__(self, pointer, why, json_level=False):
        super().__init__("%s: %s" % (pointer, why))
        self.pointer = pointer
        self.why = why
        self.json_level = json_level    # found by a JSON parser, which may know no pointer


class BadLine(Exception):
    """A line of a batch that is no request."""


def refuse(pointer, why):
    raise Malformed(pointer, why)


# ---------------------------------------------------------------- reading JSON


class Members(dict):
    """A JSON object that remembers a key it met twice."""

    twice = None


def members(pairs):
    result = Members()
    for key, value in pairs:
        if key in result and result.twice is None:
            result.twice = key
        result[key] = value
    return result


def no_constant(name):
    raise ValueError("%s is not JSON" % name)


def parse_json(text):
    """A JSON text as Python values, or Malformed."""
    try:
        value = json.loads(text, object_pairs_hook=members, parse_constant=no_constant)
        check_json(value, "")
        return value
    except (ValueError, RecursionError) as error:
        raise Malformed("", "not JSON: %s" % error, True)
    except Malformed as error:
        error.json_level = True
        raise


def check_json(value, pointer):
    if isinstance(value, dict):
        if value.twice is not None:
            refuse(child(pointer, value.twice), "a key twice")
        for key, item in value.items():
            check_text(key, pointer)
            check_json(item, child(pointer, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_json(item, child(pointer, index))
    elif isinstance(value, str):
        check_text(value, pointer)
    elif is_integer(value) and not INT64_MIN <= value <= INT64_MAX:
        refuse(pointer, "an integer beyond int64")
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        refuse(pointer, "a number beyond double")


def check_text(text, pointer):
    if "\0" in text:
        refuse(pointer, "a NUL in a string")
    if any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        refuse(pointer, "half a surrogate pair")


# ---------------------------------------------------------------- checking definitions


def expect(value, kind, pointer, what):
    good = is_integer(value) if kind is int else isinstance(value, kind)
    if not good:
        refuse(pointer, "%s expected" % what)
    return value


def check_members(value, pointer, allowed, required=()):
    expect(value, dict, pointer, "an object")
    for key in value:
        if key not in allowed:
            refuse(child(pointer, key), "unknown key")
    for key in required:
        if key not in value:
            refuse(pointer, "%s is missing" % key)


def check_name(name, pointer, limit):
    size = len(name.encode("utf-8"))
    if not 1 <= size <= limit:
        refuse(pointer, "name is %d bytes; 1 to %d allowed" % (size, limit))
    if any(ord(char) < 32 or ord(char) == 127 for char in name):
        refuse(pointer, "control character in a name")


def string_list(value, pointer):
    expect(value, list, pointer, "an array")
    for index, item in enumerate(value):
        expect(item, str, child(pointer, index), "a string")
    return value


def threshold_of(value, pointer):
    if not is_number(value) or not 0 <= value <= 100:
        refuse(pointer, "a percentage from 0 to 100 expected")
    exact = Decimal(repr(value)) * 1000
    if exact != exact.to_integral_value():
        refuse(pointer, "more than three decimals")
    return int(exact)


def env_key(key):
    """FLAGVER_FLAG_<KEY>: byte by byte, a-z upper-cased, whatever is no letter or digit `_`."""
    return FORCE_PREFIX + "".join(
        chr(byte).upper() if chr(byte).isalnum() and byte < 128 else "_"
        for byte in key.encode("utf-8"))


def fits(value, kind):
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "string":
        return isinstance(value, str)
    if kind == "integer":
        return is_integer(value)
    if kind == "double":
        return is_number(value)
    return True


class Loader:
    """Two passes: first what every flag is called and serves, then what refers to it."""

    FLAG_KEYS = ("type", "enabled", "variants", "default", "off", "requires", "targets", "beta",
                 "rules", "percentage", "split", "schedule", "by", "salt", "bucketing", "env",
                 "description", "metadata")
    BUCKETING_KEYS = ("by", "salt", "bucketing")
    NODE_KINDS = ("all", "any", "not", "segment", "flag", "attr")

    def __init__(self, environ):
        self.environ = environ
        self.result = Definitions()
        self.edges = {}     # ("flag", key) or ("segment", name) -> [(referred, pointer)]
        self.owner = None

    def load(self, text):
        document = parse_json(text)
        check_members(document, "", SECTIONS)
        for section in SECTIONS:
            if section in document and section != "records":
                expect(document[section], dict, "/" + section, "an object")
        flags, segments = document.get("flags", {}), document.get("segments", {})
        for key, definition in flags.items():
            self.declare(key, definition, child("/flags", key))
        self.check_collisions(flags)
        for name in segments:
            check_name(name, child("/segments", name), 256)
            self.result.segments[name] = None
        for name, definition in segments.items():
            self.owner = ("segment", name)
            self.result.segments[name] = self.segment(definition, child("/segments", name))
        for key, definition in flags.items():
            self.owner = ("flag", key)
            self.complete(self.result.flags[key], definition, child("/flags", key))
        self.check_references()
        return self.result

    def check_collisions(self, flags):
        seen = {}
        for key in flags:
            name = env_key(key)
            if name in seen:
                refuse(child("/flags", key), "%s also stands for %s" % (name, seen[name]))
            seen[name] = key

    # -- first pass: type, variants

    def declare(self, key, definition, pointer):
        check_name(key, pointer, 256)
        check_members(definition, pointer, self.FLAG_KEYS, ("type",))
        flag = Flag()
        flag.key = key
        flag.type = definition["type"]
        if flag.type not in TYPES:
            refuse(pointer + "/type", "unknown type")
        flag.variants = self.variants(flag.type, definition, pointer)
        self.result.flags[key] = flag

    def variants(self, kind, definition, pointer):
        if "variants" not in definition:
            if kind == "boolean":
                return {"on": True, "off": False}
            refuse(pointer, "variants is missing")
        pointer += "/variants"
        variants = expect(definition["variants"], dict, pointer, "an object")
        if not variants:
            refuse(pointer, "no variants")
        for name, value in variants.items():
            check_name(name, child(pointer, name), 128)
            if not fits(value, kind):
                refuse(child(pointer, name), "not of the flag's type")
        if kind == "boolean" and sorted(variants.values()) != [False, True]:
            refuse(pointer, "exactly one true and one false expected")
        if kind == "double":
            return {name: float(value) for name, value in variants.items()}
        return dict(variants)

    # -- second pass: everything that refers to something

    def complete(self, flag, definition, pointer):
        def given(key, kind, what):
            if key in definition:
                return expect(definition[key], kind, child(pointer, key), what)
            return None

        given("description", str, "a string")
        given("metadata", dict, "an object")
        if "enabled" in definition:
            flag.enabled = given("enabled", bool, "a boolean")
        boolean = flag.type == "boolean"
        true = next((n for n, v in flag.variants.items() if v is True), None) if boolean else None
        inherited = self.bucketing(flag, definition, pointer, None)
        self.defaults(flag, definition, pointer)
        flag.requires = self.requires(definition, pointer)
        flag.targets = self.targets(flag, definition, pointer)
        beta = self.beta(flag, definition, pointer, true)
        flag.rules = self.rules(flag, definition, pointer, true, inherited)
        level = self.level(flag, definition, pointer, true, inherited)
        self.apply(flag, definition, pointer, true, beta, level, inherited)

    def bucketing(self, flag, holder, pointer, inherited):
        """The Bucketing of an object that may carry by, salt and bucketing of its own."""
        by = expect(holder.get("by", "targetingKey"), str, pointer + "/by", "a string")
        salt = expect(holder.get("salt", flag.key), str, pointer + "/salt", "a string")
        name = holder.get("bucketing", "murmur3")
        if name not in ("murmur3", "md5-mod100"):
            refuse(pointer + "/bucketing", "unknown bucketing")
        if "salt" in holder and name == "md5-mod100":
            refuse(pointer + "/salt", "md5-mod100 has no salt")
        if inherited:
            by = by if "by" in holder else inherited.by
            salt = salt if "salt" in holder else inherited.salt
            return Bucketing(by, salt, name == "md5-mod100" if "bucketing" in holder
                             else inherited.md5)
        return Bucketing(by, salt, name == "md5-mod100")

    def variant(self, flag, name, pointer):
        expect(name, str, pointer, "a variant's name")
        if name not in flag.variants:
            refuse(pointer, "no such variant")
        return name

    def defaults(self, flag, definition, pointer):
        for key in ("default", "off"):
            if key in definition:
                setattr(flag, key, self.variant(flag, definition[key], child(pointer, key)))
        if flag.type != "boolean" and flag.default is None:
            refuse(pointer, "default is missing")

    def requires(self, definition, pointer):
        pointer += "/requires"
        listed = expect(definition.get("requires", []), list, pointer, "an array")
        return [self.flag_reference(item, child(pointer, index))
                for index, item in enumerate(listed)]

    def flag_reference(self, item, pointer):
        check_members(item, pointer, ("flag", "variant"), ("flag", "variant"))
        key = expect(item["flag"], str, pointer + "/flag", "a flag's key")
        if key not in self.result.flags:
            refuse(pointer + "/flag", "no such flag")
        self.refer(("flag", key), pointer + "/flag")
        variant = self.variant(self.result.flags[key], item["variant"], pointer + "/variant")
        return key, variant

    def refer(self, node, pointer):
        self.edges.setdefault(self.owner, []).append((node, pointer))

    def targets(self, flag, definition, pointer):
        pointer += "/targets"
        result = {}
        listed = expect(definition.get("targets", {}), dict, pointer, "an object")
        for name, users in listed.items():
            here = child(pointer, name)
            self.variant(flag, name, here)
            for index, user in enumerate(string_list(users, here)):
                if result.setdefault(user, name) != name:
                    refuse(child(here, index), "targeted to two variants")
        return result

    def beta(self, flag, definition, pointer, true):
        pointer += "/beta"
        if "beta" not in definition:
            return []
        if true is None:
            refuse(pointer, "only a boolean flag has beta users")
        for index, user in enumerate(string_list(definition["beta"], pointer)):
            if flag.targets.get(user, true) != true:
                refuse(child(pointer, index), "targeted to two variants")
        return definition["beta"]

    def rules(self, flag, definition, pointer, true, inherited):
        pointer += "/rules"
        rules, ids = [], set()
        for index, rule in enumerate(expect(definition.get("rules", []), list, pointer,
                                            "an array")):
            here = child(pointer, index)
            check_members(rule, here, ("id", "if", "serve"), ("serve",))
            if "id" in rule:
                expect(rule["id"], str, here + "/id", "a string")
                if rule["id"] in ids:
                    refuse(here + "/id", "id twice")
                ids.add(rule["id"])
            condition = self.condition(rule["if"], here + "/if", 1) if "if" in rule else None
            rules.append(Rule(rule.get("id"), condition,
                              self.serve(flag, rule["serve"], here + "/serve", true, inherited)))
        return rules

    def serve(self, flag, serve, pointer, true, inherited):
        if isinstance(serve, str):
            return Constant(self.variant(flag, serve, pointer))
        check_members(serve, pointer, ("split", "percentage") + self.BUCKETING_KEYS)
        if ("split" in serve) == ("percentage" in serve):
            refuse(pointer, "split or percentage expected")
        bucketing = self.bucketing(flag, serve, pointer, inherited)
        if "split" in serve:
            return self.split(flag, serve["split"], pointer + "/split", bucketing)
        return self.percentage(flag, serve["percentage"], pointer + "/percentage", true, bucketing)

    def split(self, flag, weights, pointer, bucketing):
        expect(weights, dict, pointer, "an object")
        for name, weight in weights.items():
            here = child(pointer, name)
            self.variant(flag, name, here)
            if not is_integer(weight) or not 0 <= weight <= MAX_WEIGHT:
                refuse(here, "a weight from 0 to %d expected" % MAX_WEIGHT)
        if sum(weights.values()) == 0:
            refuse(pointer, "the weights add up to nothing")
        return Split(weights, bucketing)

    def percentage(self, flag, value, pointer, true, bucketing):
        if true is None:
            refuse(pointer, "only a boolean flag has a percentage")
        return Percentage(constant_threshold(threshold_of(value, pointer)), true, flag, bucketing)

    def level(self, flag, definition, pointer, true, inherited):
        present = [key for key in ("percentage", "split", "schedule") if key in definition]
        if len(present) > 1:
            refuse(pointer, "%s stand side by side" % " and ".join(present))
        if not present:
            return None
        value, here = definition[present[0]], child(pointer, present[0])
        if present[0] == "split":
            return self.split(flag, value, here, inherited)
        if present[0] == "percentage":
            return self.percentage(flag, value, here, true, inherited)
        if true is None:
            refuse(here, "only a boolean flag has a schedule")
        return Percentage(self.schedule(value, here), true, flag, inherited)

    def schedule(self, schedule, pointer):
        check_members(schedule, pointer, ("interpolate", "steps", "guards"), ("steps",))
        interpolate = schedule.get("interpolate", "step")
        if interpolate not in ("step", "linear"):
            refuse(pointer + "/interpolate", "step or linear expected")
        listed = expect(schedule["steps"], list, pointer + "/steps", "an array")
        if not listed:
            refuse(pointer + "/steps", "no steps")
        steps = []
        for index, item in enumerate(listed):
            here = child(pointer + "/steps", index)
            check_members(item, here, ("at", "percentage"), ("at", "percentage"))
            at = scalars.parse_date(expect(item["at"], str, here + "/at", "a date"))
            if at is None or (steps and at <= steps[-1][0]):
                refuse(here + "/at", "no date, or none after the one before")
            steps.append((at, threshold_of(item["percentage"], here + "/percentage")))
        if "guards" in schedule:
            self.guards(schedule["guards"], pointer + "/guards")
        return step_threshold(steps) if interpolate == "step" else linear_threshold(steps)

    def guards(self, guards, pointer):
        """Well-formed or not: they change nothing about an evaluation."""
        limits = ("error_rate", "p95_ms", "p95_ratio")
        check_members(guards, pointer, limits + ("samples", "back"))
        if not any(limit in guards for limit in limits):
            refuse(pointer, "no limit")
        if "error_rate" in guards and not threshold_of(guards["error_rate"], pointer + "/error_rate"):
            refuse(pointer + "/error_rate", "more than 0 expected")
        for key, low, high in ("p95_ms", 0, 86400000), ("p95_ratio", 1, 1000):
            value = guards.get(key, high)
            if not is_number(value) or not low <= value <= high or value == 0:
                refuse(child(pointer, key), "out of range")
        samples = guards.get("samples", 100)
        if not is_integer(samples) or not 1 <= samples <= 10**9:
            refuse(pointer + "/samples", "out of range")
        if guards.get("back", "step") not in ("step", "zero"):
            refuse(pointer + "/back", "step or zero expected")

    # -- the environment, and what depends on it

    def apply(self, flag, definition, pointer, true, beta, level, inherited):
        env = definition.get("env", {})
        pointer += "/env"
        check_members(env, pointer, ("enabled", "beta", "percentage"))
        for key, name in env.items():
            expect(name, str, child(pointer, key), "a variable's name")
            if key != "enabled" and true is None:
                refuse(child(pointer, key), "only a boolean flag has one")
        words = self.variable(env, "enabled")
        if words is not None and words.lower() in TRUE_WORDS + FALSE_WORDS:
            flag.enabled = words.lower() in TRUE_WORDS
            self.note("env:enabled")
        listed = self.variable(env, "beta")
        if listed is not None:
            beta = [user for user in (part.strip() for part in listed.split(",")) if user]
            self.note("env:beta" if beta else "env:beta cleared")
            if beta:
                level = Percentage(constant_threshold(0), true, flag, inherited)
        percent = self.variable(env, "percentage")
        if percent is not None and re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", percent, re.ASCII):
            threshold = threshold_of(float(percent), pointer) if float(percent) <= 100 else None
            if threshold is not None:
                self.note("env:percentage")
                level = Percentage(constant_threshold(threshold), true, flag, inherited)
        for user in beta:
            flag.targets[user] = true
        self.finish(flag, true, level)
        forced = self.environ.get(env_key(flag.key))
        if forced in flag.variants:
            self.note("env:forced")
            flag.forced = forced

    def variable(self, env, key):
        return self.environ.get(env[key]) if key in env else None

    def note(self, what):
        self.result.coverage[what] += 1

    def finish(self, flag, true, level):
        if flag.type == "boolean":
            false = next(name for name in flag.variants if name != true)
            flag.off = false if flag.off is None else flag.off
            if flag.default is None:
                bare = not (flag.targets or flag.rules) and (level is None
                                                             or isinstance(level, Split))
                flag.default = true if bare else false
        elif flag.off is None:
            flag.off = flag.default
        flag.level = level

    # -- segments and conditions

    def segment(self, definition, pointer):
        check_members(definition, pointer, ("include", "exclude", "if"))
        include = string_list(definition.get("include", []), pointer + "/include")
        exclude = string_list(definition.get("exclude", []), pointer + "/exclude")
        condition = None
        if "if" in definition:
            condition = self.condition(definition["if"], pointer + "/if", 1)
        return Segment(set(include), set(exclude), condition)

    def condition(self, node, pointer, depth):
        expect(node, dict, pointer, "an object")
        kinds = [kind for kind in self.NODE_KINDS if kind in node]
        if len(kinds) != 1:
            refuse(pointer, "one of %s expected" % ", ".join(self.NODE_KINDS))
        if depth > MAX_DEPTH:
            refuse(pointer, "nested deeper than %d" % MAX_DEPTH)
        kind = kinds[0]
        if kind == "flag":
            return FlagServes(*self.flag_reference(node, pointer))
        if kind == "attr":
            return self.leaf(node, pointer)
        check_members(node, pointer, (kind,))
        here = child(pointer, kind)
        if kind == "not":
            return Not(self.condition(node[kind], here, depth + 1))
        if kind == "segment":
            name = expect(node[kind], str, here, "a segment's name")
            if name not in self.result.segments:
                refuse(here, "no such segment")
            self.refer(("segment", name), here)
            return InSegment(name)
        if not expect(node[kind], list, here, "an array"):
            refuse(here, "empty")
        return Branch(kind, [self.condition(item, child(here, index), depth + 1)
                             for index, item in enumerate(node[kind])])

    def leaf(self, node, pointer):
        check_members(node, pointer, ("attr", "op", "value", "values", "fold"), ("op",))
        attr = expect(node["attr"], str, pointer + "/attr", "a string")
        if not attr:
            refuse(pointer + "/attr", "empty")
        if not isinstance(node["op"], str) or node["op"] not in OPERATORS:
            refuse(pointer + "/op", "unknown operator")
        operator = OPERATORS[node["op"]]
        fold = expect(node.get("fold", False), bool, pointer + "/fold", "a boolean")
        if "fold" in node and not operator.folds:
            refuse(pointer + "/fold", "only for strings")
        if ("value" in node) == ("values" in node):
            refuse(pointer, "value or values expected")
        if "value" in node:
            places = [(node["value"], pointer + "/value")]
        else:
            listed = expect(node["values"], list, pointer + "/values", "an array")
            if not listed:
                refuse(pointer + "/values", "empty")
            places = [(item, child(pointer + "/values", i)) for i, item in enumerate(listed)]
        operands = [self.operand(operator, item, here, fold) for item, here in places]
        if node["op"] == "matches":
            operands = [self.pattern(text, here, fold)
                        for text, (_, here) in zip(operands, places)]
        elif fold:
            operands = [scalars.fold(item) if isinstance(item, str) else item
                        for item in operands]
        return Leaf(attr, node["op"], operands, fold)

    def operand(self, operator, item, pointer, fold):
        prepared = operator.prepare(item)
        if prepared is None:
            refuse(pointer, "not an operand of this operator")
        return prepared

    def pattern(self, text, pointer, fold):
        try:
            return Pattern(text, fold)
        except (Refused, ValueError) as error:
            return refuse(pointer, "regular expression: %s" % error)

    # -- cycles and depth of references

    def check_references(self):
        depth = {}
        for node in list(self.edges):
            self.descend(node, [], depth)

    def descend(self, node, above, depth):
        if node in depth:
            return depth[node]
        deepest = 0
        for other, pointer in self.edges.get(node, ()):
            if other == node or other in above:
                refuse(pointer, "a cycle")
            deepest = max(deepest, 1 + self.descend(other, above + [node], depth))
            if deepest > MAX_DEPTH:
                refuse(pointer, "references nest deeper than %d" % MAX_DEPTH)
        depth[node] = deepest
        return deepest


def load(text, environ):
    """Definitions of a file (str or bytes), or Malformed."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("", "not UTF-8", True)
    return Loader(environ).load(text)


# ---------------------------------------------------------------- answers


def convert(value, have, want):
    """The value for a getter of another type, or MISSING."""
    if have == want:
        return value
    if have == "integer" and want == "double":
        # Python compares integers and doubles exactly.
        return float(value) if float(value) == value else MISSING
    if have == "double" and want == "integer":
        whole = value.is_integer() and abs(value) <= scalars.EXACT_DOUBLE
        return int(value) if whole else MISSING
    return MISSING


def evaluate(definitions, flag_key, context, now_ms, type=None, default=None):
    """The answer as the batch prints it."""
    flag = definitions.flags.get(flag_key)
    if flag is None:
        decision = failed("FLAG_NOT_FOUND")
    else:
        decision = flag.decide(Run(definitions, context, now_ms))
    value = default
    if decision.error is None:
        value = flag.variants[decision.variant]
        if type is not None:
            value = convert(value, flag.type, type)
        if value is MISSING:
            decision, value = failed("TYPE_MISMATCH"), default
        elif type not in (None, flag.type):
            definitions.coverage["convert:%s to %s" % (flag.type, type)] += 1
    answer = {"flag": flag_key, "value": value, "variant": decision.variant,
              "reason": decision.reason}
    if decision.error is not None:
        answer["errorCode"] = decision.error
    if decision.rule_id is not None:
        answer["ruleId"] = decision.rule_id
    if decision.bucket is not None:
        answer["bucket"] = decision.bucket
    return answer


def parse_line(line):
    """(flag, context, type, default) of a line of a batch (bytes), or BadLine."""
    try:
        request = parse_json(line.decode("utf-8"))
    except (UnicodeDecodeError, Malformed) as error:
        raise BadLine(str(error))
    if not isinstance(request, dict) or not isinstance(request.get("flag"), str):
        raise BadLine("an object with a flag expected")
    if any(key not in ("flag", "context", "type", "default") for key in request):
        raise BadLine("unknown key")
    if not isinstance(request.get("context"), dict):
        raise BadLine("context is no object")
    if "type" in request and request["type"] not in TYPES:
        raise BadLine("unknown type")
    return request["flag"], request["context"], request.get("type"), request.get("default")


def answer_batch(definitions, lines, now_ms):
    """(answers, exit code) of lines of bytes."""
    answers, code = [], 0
    for number, line in enumerate(lines, 1):
        try:
            flag, context, kind, default = parse_line(line)
            answers.append(evaluate(definitions, flag, context, now_ms, kind, default))
        except BadLine as error:
            answers.append({"line": number, "error": str(error)})
            code = 6
    return answers, code


def split_lines(batch):
    """The lines of bytes; the last one needs no newline."""
    lines = batch.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def run(text, lines, environ, now_ms, name):
    """A whole batch: (exit code, lines of output, error line or None)."""
    try:
        definitions = load(text, environ)
    except Malformed as error:
        line, column = 1, 1
        if not error.json_level:
            line, column = Places(text.decode("utf-8")).positions(error.pointer)[0]
        return 6, [], "flagver: %s:%d:%d: %s: %s" % (name, line, column, error.pointer, error.why)
    answers, code = answer_batch(definitions, lines, now_ms)
    return code, [canonical(answer) for answer in answers], None


def main(argv, environ):
    options = dict(zip(argv[3::2], argv[4::2]))
    if argv[:3] != ["flag", "eval", "--batch"] or set(options) - {"--at"} != {"--definitions"}:
        print("usage: oracle.py flag eval --batch --definitions FILE [--at TIME]", file=sys.stderr)
        return 2
    now_ms = int(time.time() * 1000)
    if "--at" in options:
        now_ms = scalars.parse_date(options["--at"])
    with open(options["--definitions"], "rb") as file:
        text = file.read()
    lines = split_lines(sys.stdin.buffer.read())
    code, answers, error = run(text, lines, environ, now_ms, options["--definitions"])
    for answer in answers:
        sys.stdout.buffer.write(answer.encode("utf-8") + b"\n")
    if error:
        print(error, file=sys.stderr)
    return code


if __name__ == "__main__":
    import os
    sys.exit(main(sys.argv[1:], os.environ))
