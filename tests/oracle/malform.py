"""Files that must be refused: a valid one, changed in one place.

Every defect knows the JSON pointer of its place. Where a reasonable reader might point one level
higher or lower the differential accepts that too.
"""

import copy
import json
import random

from generate import render

BOOLEAN = {"type": "boolean"}
STRING = {"type": "string", "variants": {"a": "x", "b": "y"}, "default": "a"}
INTEGER = {"type": "integer", "variants": {"a": 1, "b": 2}, "default": "a"}
DOUBLE = {"type": "double", "variants": {"a": 1.5, "b": 2}, "default": "a"}
GOOD_LEAF = {"attr": "country", "op": "eq", "value": "DE"}

# (a sound flag, what is set on it, where it hurts); None as a value removes the member.
FLAG_DEFECTS = [
    (BOOLEAN, {"colour": 1}, "/colour"),
    (BOOLEAN, {"type": None}, ""),
    (BOOLEAN, {"type": "bool"}, "/type"),
    (BOOLEAN, {"type": 1}, "/type"),
    (BOOLEAN, {"enabled": "true"}, "/enabled"),
    (BOOLEAN, {"enabled": 1}, "/enabled"),
    (BOOLEAN, {"description": 5}, "/description"),
    (BOOLEAN, {"metadata": []}, "/metadata"),
    (BOOLEAN, {"beta": "alice"}, "/beta"),
    (BOOLEAN, {"beta": ["alice", True]}, "/beta/1"),
    (STRING, {"beta": ["alice"]}, "/beta"),
    (BOOLEAN, {"percentage": -1}, "/percentage"),
    (BOOLEAN, {"percentage": 100.001}, "/percentage"),
    (BOOLEAN, {"percentage": 12.3456}, "/percentage"),
    (BOOLEAN, {"percentage": 0.0001}, "/percentage"),
    (BOOLEAN, {"percentage": "25"}, "/percentage"),
    (BOOLEAN, {"percentage": True}, "/percentage"),
    (STRING, {"percentage": 10}, "/percentage"),
    (BOOLEAN, {"percentage": 10, "split": {"on": 1}}, ""),
    (BOOLEAN, {"percentage": 10, "schedule": {"steps": [
        {"at": "2026-01-01T00:00:00Z", "percentage": 1}]}}, ""),
    (BOOLEAN, {"split": {"maybe": 1}}, "/split/maybe"),
    (BOOLEAN, {"split": {}}, "/split"),
    (BOOLEAN, {"split": {"on": 0, "off": 0}}, "/split"),
    (BOOLEAN, {"split": {"on": -1, "off": 2}}, "/split/on"),
    (BOOLEAN, {"split": {"on": 1.5, "off": 2}}, "/split/on"),
    (BOOLEAN, {"split": {"on": 1.0, "off": 2}}, "/split/on"),
    (BOOLEAN, {"split": {"on": 1000001}}, "/split/on"),
    (BOOLEAN, {"split": {"on": "1"}}, "/split/on"),
    (BOOLEAN, {"split": [1, 2]}, "/split"),
    (BOOLEAN, {"percentage": 10, "by": 1}, "/by"),
    (BOOLEAN, {"percentage": 10, "salt": 1}, "/salt"),
    (BOOLEAN, {"percentage": 10, "bucketing": "md5"}, "/bucketing"),
    (BOOLEAN, {"percentage": 10, "bucketing": "md5-mod100", "salt": "s"}, "/salt"),
    (BOOLEAN, {"default": "maybe"}, "/default"),
    (BOOLEAN, {"default": True}, "/default"),
    (BOOLEAN, {"off": "maybe"}, "/off"),
    (STRING, {"default": None}, ""),
    (STRING, {"variants": None}, ""),
    (STRING, {"variants": {}}, "/variants"),
    (STRING, {"variants": {"a": 1}}, "/variants/a"),
    (STRING, {"variants": {"a": None, "b": "x"}}, "/variants/a"),
    (STRING, {"variants": {"a": "x", "": "x"}}, "/variants/"),
    (STRING, {"variants": {"a": "x", "v" * 129: "x"}}, "/variants/" + "v" * 129),
    (STRING, {"variants": {"a": "x", "tab\t": "x"}}, "/variants/tab\t"),
    (INTEGER, {"variants": {"a": 1.0}}, "/variants/a"),
    (INTEGER, {"variants": {"a": 1e3}}, "/variants/a"),
    (INTEGER, {"variants": {"a": "1"}}, "/variants/a"),
    (INTEGER, {"variants": {"a": True}}, "/variants/a"),
    (INTEGER, {"variants": {"a": 2**63}}, "/variants/a"),
    (INTEGER, {"variants": {"a": -2**63 - 1}}, "/variants/a"),
    (DOUBLE, {"variants": {"a": "1.5"}}, "/variants/a"),
    (BOOLEAN, {"variants": {"yes": True}}, "/variants"),
    (BOOLEAN, {"variants": {"yes": True, "also": True}}, "/variants"),
    (BOOLEAN, {"variants": {"yes": True, "no": False, "never": False}}, "/variants"),
    (BOOLEAN, {"variants": {"yes": True, "no": 0}}, "/variants/no"),
    (BOOLEAN, {"targets": {"maybe": ["alice"]}}, "/targets/maybe"),
    (BOOLEAN, {"targets": ["alice"]}, "/targets"),
    (BOOLEAN, {"targets": {"on": "alice"}}, "/targets/on"),
    (BOOLEAN, {"targets": {"on": [1.5]}}, "/targets/on/0"),
    (BOOLEAN, {"targets": {"on": ["zoe"], "off": ["bob", "zoe"]}, "beta": None}, "/targets/off/1"),
    (BOOLEAN, {"targets": {"off": ["zoe"]}, "beta": ["bob", "zoe"]}, "/beta/1"),
    (BOOLEAN, {"requires": {"flag": "x", "variant": "on"}}, "/requires"),
    (BOOLEAN, {"requires": ["x"]}, "/requires/0"),
    (BOOLEAN, {"requires": [{"flag": "no such flag", "variant": "on"}]}, "/requires/0/flag"),
    (BOOLEAN, {"requires": [{"flag": "quiet"}]}, "/requires/0"),
    (BOOLEAN, {"requires": [{"variant": "on"}]}, "/requires/0"),
    (BOOLEAN, {"requires": [{"flag": "quiet", "variant": "no such"}]}, "/requires/0/variant"),
    (BOOLEAN, {"requires": [{"flag": "quiet", "variant": "on", "x": 1}]}, "/requires/0/x"),
    (BOOLEAN, {"requires": [{"flag": "SELF", "variant": "on"}]}, "*"),
    (BOOLEAN, {"env": "X"}, "/env"),
    (BOOLEAN, {"env": {"variant": "X"}}, "/env/variant"),
    (BOOLEAN, {"env": {"enabled": True}}, "/env/enabled"),
    (STRING, {"env": {"beta": "X"}}, "/env/beta"),
    (STRING, {"env": {"percentage": "X"}}, "/env/percentage"),
    (BOOLEAN, {"rules": {}}, "/rules"),
    (BOOLEAN, {"rules": ["on"]}, "/rules/0"),
    (BOOLEAN, {"rules": [{}]}, "/rules/0"),
    (BOOLEAN, {"rules": [{"if": GOOD_LEAF}]}, "/rules/0"),
    (BOOLEAN, {"rules": [{"serve": "on", "then": 1}]}, "/rules/0/then"),
    (BOOLEAN, {"rules": [{"serve": "on", "id": 1}]}, "/rules/0/id"),
    (BOOLEAN, {"rules": [{"serve": "on", "id": "x"}, {"serve": "off", "id": "x"}]}, "/rules/1/id"),
    (BOOLEAN, {"rules": [{"serve": "maybe"}]}, "/rules/0/serve"),
    (BOOLEAN, {"rules": [{"serve": True}]}, "/rules/0/serve"),
    (BOOLEAN, {"rules": [{"serve": {}}]}, "/rules/0/serve"),
    (BOOLEAN, {"rules": [{"serve": {"by": "x"}}]}, "/rules/0/serve"),
    (BOOLEAN, {"rules": [{"serve": {"variant": "on"}}]}, "/rules/0/serve/variant"),
    (BOOLEAN, {"rules": [{"serve": {"split": {"on": 1}, "percentage": 5}}]}, "/rules/0/serve"),
    (BOOLEAN, {"rules": [{"serve": {"split": {"maybe": 1}}}]}, "/rules/0/serve/split/maybe"),
    (BOOLEAN, {"rules": [{"serve": {"split": {"on": 0}}}]}, "/rules/0/serve/split"),
    (BOOLEAN, {"rules": [{"serve": {"percentage": 101}}]}, "/rules/0/serve/percentage"),
    (STRING, {"rules": [{"serve": {"percentage": 10}}]}, "/rules/0/serve/percentage"),
    (BOOLEAN, {"rules": [{"serve": {"percentage": 9, "salt": "s", "bucketing": "md5-mod100"}}]},
     "/rules/0/serve/salt"),
    (BOOLEAN, {"rules": [{"serve": {"schedule": {"steps": [
        {"at": "2026-01-01T00:00:00Z", "percentage": 1}]}}}]}, "/rules/0/serve/schedule"),
]

STEP = {"at": "2026-01-01T00:00:00Z", "percentage": 10}
SCHEDULE_DEFECTS = [
    ([], ""), ({}, ""), ({"steps": []}, "/steps"), ({"steps": {}}, "/steps"),
    ({"steps": [STEP], "interpolate": "cubic"}, "/interpolate"),
    ({"steps": [STEP], "interpolate": 1}, "/interpolate"),
    ({"steps": [STEP], "until": 1}, "/until"),
    ({"steps": [STEP, STEP]}, "/steps/1/at"),
    ({"steps": [STEP, {"at": "2025-12-31T23:59:59Z", "percentage": 20}]}, "/steps/1/at"),
    ({"steps": [STEP, {"at": "2026-01-01T01:00:00+02:00", "percentage": 20}]}, "/steps/1/at"),
    ({"steps": [{"at": "2026-01-01", "percentage": 20}]}, "/steps/0/at"),
    ({"steps": [{"at": 1767225600000, "percentage": 20}]}, "/steps/0/at"),
    ({"steps": [{"at": "2026-01-01T00:00:00Z"}]}, "/steps/0"),
    ({"steps": [{"percentage": 5}]}, "/steps/0"),
    ({"steps": [dict(STEP, by="x")]}, "/steps/0/by"),
    ({"steps": [dict(STEP, percentage=101)]}, "/steps/0/percentage"),
    ({"steps": [dict(STEP, percentage=1.2345)]}, "/steps/0/percentage"),
    ({"steps": [10]}, "/steps/0"),
    ({"steps": [STEP], "guards": {}}, "/guards"),
    ({"steps": [STEP], "guards": 1}, "/guards"),
    ({"steps": [STEP], "guards": {"samples": 5}}, "/guards"),
    ({"steps": [STEP], "guards": {"error_rate": 0}}, "/guards/error_rate"),
    ({"steps": [STEP], "guards": {"error_rate": 101}}, "/guards/error_rate"),
    ({"steps": [STEP], "guards": {"p95_ms": 0}}, "/guards/p95_ms"),
    ({"steps": [STEP], "guards": {"p95_ratio": 0.5}}, "/guards/p95_ratio"),
    ({"steps": [STEP], "guards": {"p95_ms": 1, "samples": 0}}, "/guards/samples"),
    ({"steps": [STEP], "guards": {"p95_ms": 1, "samples": 1.5}}, "/guards/samples"),
    ({"steps": [STEP], "guards": {"p95_ms": 1, "back": "off"}}, "/guards/back"),
    ({"steps": [STEP], "guards": {"p95_ms": 1, "p99_ms": 1}}, "/guards/p99_ms"),
]

NODE_DEFECTS = [
    ({}, ""), ([], ""), ("staff", ""), (True, ""), ({"none": []}, ""),
    ({"all": []}, "/all"), ({"any": []}, "/any"), ({"all": GOOD_LEAF}, "/all"),
    ({"any": [GOOD_LEAF, 1]}, "/any/1"), ({"not": [GOOD_LEAF]}, "/not"),
    ({"all": [GOOD_LEAF], "any": [GOOD_LEAF]}, ""), ({"not": GOOD_LEAF, "fold": True}, "/fold"),
    ({"segment": "no such segment"}, "/segment"), ({"segment": 1}, "/segment"),
    ({"segment": ["staff"]}, "/segment"),
    ({"flag": "quiet"}, ""), ({"variant": "on"}, ""),
    ({"flag": "no such flag", "variant": "on"}, "/flag"),
    ({"flag": "quiet", "variant": "no such"}, "/variant"),
    ({"flag": "quiet", "variant": "on", "fold": True}, "/fold"),
    ({"attr": "x", "op": "eq"}, ""), ({"attr": "x", "value": 1}, ""),
    ({"op": "eq", "value": 1}, ""),
    ({"attr": 1, "op": "eq", "value": 1}, "/attr"),
    ({"attr": "x", "op": "neq", "value": 1}, "/op"), ({"attr": "x", "op": 5, "value": 1}, "/op"),
    ({"attr": "x", "op": "EQ", "value": 1}, "/op"),
    ({"attr": "x", "op": "eq", "value": 1, "values": [1]}, ""),
    ({"attr": "x", "op": "eq", "values": []}, "/values"),
    ({"attr": "x", "op": "eq", "values": "x"}, "/values"),
    ({"attr": "x", "op": "eq", "value": ["x"]}, "/value"),
    ({"attr": "x", "op": "eq", "value": None}, "/value"),
    ({"attr": "x", "op": "in", "values": ["x", None]}, "/values/1"),
    ({"attr": "x", "op": "in", "values": ["x", {}]}, "/values/1"),
    ({"attr": "x", "op": "in", "values": [["x"]]}, "/values/0"),
    ({"attr": "x", "op": "eq", "value": 1, "negate": True}, "/negate"),
    ({"attr": "x", "op": "eq", "value": "x", "fold": 1}, "/fold"),
    ({"attr": "x", "op": "lt", "value": 1, "fold": True}, "/fold"),
    ({"attr": "x", "op": "in_cidr", "value": "10.0.0.1", "fold": True}, "/fold"),
    ({"attr": "x", "op": "exists", "value": True, "fold": True}, "/fold"),
]

# Operands an operator cannot take, one value each.
OPERAND_DEFECTS = (
    [("lt", v) for v in ("1", True, None, [1])] + [("gte", v) for v in ("x", False, {})]
    + [("starts_with", v) for v in (1, True, None)] + [("contains", v) for v in (1.5, ["a"])]
    + [("ends_with", 0), ("exists", "yes"), ("exists", 1), ("exists", None)]
    + [("before", v) for v in ("2026-01-01", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00",
                               "2026-01-01T00:00:60Z", "2026-02-29T00:00:00Z", True, 1.5, "",
                               "0000-12-31T00:00:00Z", "2026-01-01T00:00:00.Z",
                               "2026-01-01T00:00:00+24:00", "2026-01-01T00:00Z")]
    + [("semver_lt", v) for v in ("1.2.3.4", "01.2.3", "V2", "", "1.0.0-01", "1.0.0-", "x", 2,
                                  "1.0.0-a..b", "1.0.0+", "1.", " 1", "1.0.0-ä")]
    + [("in_cidr", v) for v in ("10.0.0.0/33", "10.0.0/8", "::/129", "fe80::1%eth0", "10.0.0.0/",
                                "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/255.0.0.0", "", "host", 1,
                                "10.0.0.256/8", "1:2:3:4:5:6:7:8:9", "10.0.0.0/ 8")]
    + [("matches", v) for v in ("(", ")", "[a", "a{1001}", "a{2,1}", "\\p{L}", "\\pN", "(a)\\1",
                                "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "*a", "+", "[z-a]", "(?P<n",
                                "(?P<>a)", "a\\", "\\xZZ", "\\x{110000}", "[[:nope:]]", "(?>a)",
                                "a|*", "(?P=n)", "\\Z", "(?i", 1, None)])

SEGMENT_DEFECTS = [
    ([], ""), ({"includes": []}, "/includes"), ({"include": "bob"}, "/include"),
    ({"include": [1.5]}, "/include/0"), ({"exclude": {}}, "/exclude"),
    ({"exclude": ["a", None]}, "/exclude/1"), ({"if": []}, "/if"),
    ({"if": {"segment": "no such segment"}}, "/if/segment"),
]

NOT_JSON = ["", "   ", "[]", "5", "null", '"flags"', "{", '{"flags": {}', '{"flags": {},}',
            '{"flags": {}} x', "{'flags': {}}", '{"flags": nul}', '{"flags": {"a\x01b": {}}}',
            '{"flags": {}}{}', '{"flags" {}}',
            '{"flags": {"x": {"type": "boolean", "percentage": 01}}}',
            '{"flags": {"x": {"type": "boolean", "description": "\\ud800"}}}',
            '{"flags": {"x": {"type": "boolean", "description": "\\u0000"}}}',
            '{"flags": {"x": {"type": "boolean", "percentage": NaN}}}',
            '{"flags": {"x": {"type": "boolean", "percentage": 1e999}}}',
            '{"flags": {"x": {"type": "boolean", "description": "\\x"}}}']


def escaped(key):
    return key.replace("~", "~0").replace("/", "~1")


class Malformer:
    """malformed() gives (text or bytes, pointer, what was done); pointer "*" = anywhere."""

    def __init__(self, rng, case):
        self.rng = rng
        self.case = case
        self.document = copy.deepcopy(case.document)
        self.document["flags"]["quiet"] = {"type": "boolean"}
        self.flags = self.document["flags"]
        self.segments = self.document["segments"]

    def malformed(self):
        ways = [self.flag_defect] * 6 + [self.schedule_defect, self.node_defect, self.node_defect,
                                         self.operand_defect, self.operand_defect,
                                         self.segment_defect, self.cycle, self.key_defect,
                                         self.top_level, self.twice, self.not_json, self.too_deep,
                                         self.number_too_big]
        made = self.rng.choice(ways)()
        if len(made) == 3:
            return made
        pointer, what = made
        return render(self.document, self.rng), pointer, what

    def sound_flag(self, like):
        """A flag of that type from the file, without what could hide the defect, or a new one."""
        keys = [key for key, flag in self.flags.items()
                if flag["type"] == like["type"] and like["type"] == "boolean"
                and "variants" not in flag and key != "quiet" and key not in self.referred()]
        if keys and self.rng.random() < 0.7:
            key = self.rng.choice(keys)
            for member in ("percentage", "split", "schedule", "salt", "bucketing"):
                self.flags[key].pop(member, None)
            return key
        key = self.rng.choice(["broken", "bro/ken", "bro~ken", "bröken"])
        self.flags[key] = copy.deepcopy(like)
        return key

    def referred(self):
        """Flags that others refer to: changing their variants would be two defects."""
        text = json.dumps(self.document)
        return {key for key in self.flags if '"flag": %s' % json.dumps(key) in text}

    def flag_defect(self):
        like, change, where = self.rng.choice(FLAG_DEFECTS)
        key = self.sound_flag(like)
        flag = self.flags[key]
        if "variants" in change or "type" in change:
            # Served variants would be reported first, or as well.
            flag = self.flags[key] = copy.deepcopy(like)
        if "beta" in change or "targets" in change:
            flag.pop("targets", None)
            flag.pop("beta", None)
        for member, value in copy.deepcopy(change).items():
            if value is None:
                flag.pop(member, None)
            else:
                flag[member] = value
        if where == "*":
            flag["requires"][0]["flag"] = key
            flag["requires"][0]["variant"] = next(iter(flag.get("variants", {"on": 0})))
            return "*", "requires itself"
        return self.at(key, where), "flag defect %s" % json.dumps(change, ensure_ascii=False)

    def at(self, key, where):
        return "/flags/" + escaped(key) + where

    def schedule_defect(self):
        schedule, where = copy.deepcopy(self.rng.choice(SCHEDULE_DEFECTS))
        key = self.sound_flag(BOOLEAN)
        self.flags[key]["schedule"] = schedule
        return self.at(key, "/schedule" + where), "schedule %s" % json.dumps(schedule)

    def node_defect(self, defect=None):
        node, where = copy.deepcopy(defect or self.rng.choice(NODE_DEFECTS))
        bad = json.dumps(node, ensure_ascii=False)
        for _ in range(self.rng.randint(0, 3)):
            node, where = self.rng.choice([
                ({"not": node}, "/not" + where), ({"all": [node]}, "/all/0" + where),
                ({"any": [GOOD_LEAF, node]}, "/any/1" + where)])
        if self.rng.random() < 0.3:
            self.segments["broken"] = {"if": node}
            return "/segments/broken/if" + where, "node %s" % bad
        key = self.sound_flag(BOOLEAN)
        rules = self.flags[key].setdefault("rules", [])
        rules.append({"serve": "on", "if": node})
        return self.at(key, "/rules/%d/if%s" % (len(rules) - 1, where)), "node %s" % bad

    def operand_defect(self):
        op, value = self.rng.choice(OPERAND_DEFECTS)
        if self.rng.random() < 0.5 and op != "exists":
            good = {"lt": 1, "gte": 1, "before": 0, "semver_lt": "1.0.0", "in_cidr": "::/0"}
            values = [good.get(op, "a"), value]
            return self.node_defect(({"attr": "x", "op": op, "values": values}, "/values/1"))
        return self.node_defect(({"attr": "x", "op": op, "value": value}, "/value"))

    def segment_defect(self):
        segment, where = self.rng.choice(SEGMENT_DEFECTS)
        self.segments["broken"] = copy.deepcopy(segment)
        return "/segments/broken" + where, "segment %s" % json.dumps(segment)

    def cycle(self):
        """A ring through requires, flag conditions and segments."""
        size = self.rng.randint(1, 5)
        kinds = [self.rng.choice(["requires", "flag", "segment"]) for _ in range(size)]
        for index, kind in enumerate(kinds):
            after = (index + 1) % size
            name, below = "ring%d" % index, "ring%d" % after
            serves = {"flag": below, "variant": "on"}
            node = {"segment": below} if kinds[after] == "segment" else serves
            node = self.rng.choice([node, {"not": node}, {"any": [GOOD_LEAF, node]}])
            if kind == "segment":
                self.segments[name] = {"if": node}
            elif kind == "requires" and kinds[after] != "segment":
                self.flags[name] = {"type": "boolean", "requires": [serves]}
            else:
                self.flags[name] = {"type": "boolean", "rules": [
                    {"serve": "off"}, {"serve": "on", "if": node}]}
        return "*", "cycle through %s" % ", ".join(kinds)

    def key_defect(self):
        defect = self.rng.randint(0, 5)
        if defect == 0:
            self.flags["same_name"] = {"type": "boolean"}
            self.flags["same-NAME"] = {"type": "string", "variants": {"a": "x"}, "default": "a"}
            return "/flags/same-NAME", "FLAGVER_FLAG_SAME_NAME twice"
        if defect == 1:
            self.flags["é"], self.flags["__"] = {"type": "boolean"}, {"type": "boolean"}
            return "/flags/__", "FLAGVER_FLAG___ twice"
        key = ["", "k" * 257, "ä" * 129, "tab\tkey"][defect - 2]
        if self.rng.random() < 0.5:
            self.flags[key] = {"type": "boolean"}
            return "/flags/" + key, "flag key %r" % key
        self.segments[key] = {"include": ["bob"]}
        return "/segments/" + key, "segment key %r" % key

    def top_level(self):
        member, value = self.rng.choice([("flag", {}), ("Flags", {}), ("$comment", "x"),
                                         ("version", 1)])
        self.document[member] = value
        if self.rng.random() < 0.3:
            self.document.pop(member)
            section = self.rng.choice(["flags", "segments"])
            self.document[section] = self.rng.choice([[], "x", 1])
            return "*", "%s is no object" % section
        return "/" + member, "unknown section"

    def twice(self):
        place = self.rng.choice(["flag", "member", "leaf"])
        mark = {"flag": ('"MARK": {"type": "boolean"}', '"quiet": {"type": "boolean"}'),
                "member": ('"enabled": "MARK"', '"type": "boolean"'),
                "leaf": ('"op": "MARK"', '"attr": "x"')}[place]
        self.flags.pop("quiet")
        self.flags["MARK" if place == "flag" else "late"] = {"type": "boolean"}
        if place == "member":
            self.flags["late"]["enabled"] = "MARK"
        if place == "leaf":
            self.flags["late"]["rules"] = [{"serve": "on", "if": {
                "attr": "x", "value": 1, "op": "MARK"}}]
        text = json.dumps(self.document)
        if place == "flag":
            self.flags["quiet"] = {"type": "boolean"}
            text = json.dumps(self.document)
        assert mark[0] in text
        return text.replace(mark[0], mark[1], 1), "*", "a key twice (%s)" % place

    def not_json(self):
        roll = self.rng.random()
        if roll < 0.3:
            text = json.dumps(self.document)
            return text[:self.rng.randint(0, len(text) - 1)], "*", "cut off"
        if roll < 0.4:
            return (b'{"flags": {"x": {"type": "boolean", "description": "\xc3("}}}', "*",
                    "invalid UTF-8")
        text = self.rng.choice(NOT_JSON)
        return text, "*", "not a document: %s" % text

    def too_deep(self):
        count = self.rng.randint(110, 300)
        if self.rng.random() < 0.5:
            node = GOOD_LEAF
            for _ in range(count):
                node = self.rng.choice([{"not": node}, {"all": [node]}])
            self.flags["deep"] = {"type": "boolean", "rules": [{"serve": "on", "if": node}]}
            return "*", "conditions %d deep" % count
        for index in range(count):
            self.segments["chain%d" % index] = {"if": {"segment": "chain%d" % (index + 1)}}
        self.segments["chain%d" % count] = {}
        return "*", "references %d deep" % count

    def number_too_big(self):
        big = self.rng.choice([2**63, -2**63 - 1, 10**40])
        key = self.sound_flag(BOOLEAN)
        self.flags[key].setdefault("rules", []).append(
            {"serve": "on", "if": {"attr": "x", "op": "lt", "value": big}})
        where = "/rules/%d/if/value" % (len(self.flags[key]["rules"]) - 1)
        return self.at(key, where), "integer %d" % big


def malform(case, seed):
    return Malformer(random.Random(seed), case).malformed()
