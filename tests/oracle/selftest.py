#!/usr/bin/env python3
"""Is the oracle itself right? Cases worked out by hand from the sentences of the design."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import differential
import generate
import oracle
import planted
import scalars
from jsontext import canonical_double
from oracle import Malformed
from pattern import Pattern, Refused

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.path.join(HERE, "..", "..", "..", "shared", "vectors", "md5-mod100.jsonl")
NOW = "2026-01-05T00:00:00Z"

# The example of the design, whole.
EXAMPLE = {
    "flags": {
        "report_setup": {
            "type": "boolean", "enabled": True, "beta": ["user1", "user2"], "percentage": 25,
            "bucketing": "md5-mod100", "description": "…", "metadata": {"owner": "reports"},
            "env": {"enabled": "REPORT_SETUP_ENABLED", "beta": "REPORT_SETUP_BETA_USERS"}},
        "new_search": {
            "type": "boolean", "salt": "s1", "schedule": {"interpolate": "step", "steps": [
                {"at": "2026-01-01T00:00:00Z", "percentage": 10},
                {"at": "2026-01-04T00:00:00Z", "percentage": 25}]}},
        "checkout": {
            "type": "string", "variants": {"a": "classic", "b": "one-page"}, "default": "a",
            "off": "a", "requires": [{"flag": "new_search", "variant": "on"}],
            "targets": {"b": ["alice"]},
            "rules": [{"id": "eu", "serve": {"split": {"a": 50, "b": 50}, "by": "companyId"},
                       "if": {"all": [
                           {"attr": "country", "op": "in", "values": ["DE", "FR"]},
                           {"not": {"attr": "app_version", "op": "semver_lt", "value": "2.1.0"}},
                           {"segment": "staff"}]}},
                      {"id": "rest", "serve": "a"}]}},
    "segments": {"staff": {"include": ["bob"], "exclude": [], "if": {
        "attr": "email", "op": "ends_with", "value": "@example.com"}}}}


def ask(document, key, context, environ=None, at=NOW, kind=None, default=None):
    definitions = oracle.load(json.dumps(document), environ or {})
    return oracle.evaluate(definitions, key, context, scalars.parse_date(at), kind, default)


def short(answer):
    """variant or error, reason, ruleId, bucket: what most cases are about."""
    return (answer.get("errorCode") or answer["variant"], answer["reason"], answer.get("ruleId"),
            answer.get("bucket"))


def flag(**members):
    return {"flags": {"AB12A": dict({"type": "boolean"}, **members)}}


def user(key, **attributes):
    return dict(attributes, targetingKey=key)


class Hashes(unittest.TestCase):
    def test_murmur3_of_published_inputs(self):
        for text, want in [("AB12A:122", 1062108722), ("AB12A:123", 1954468150),
                           ("AB12A:155", 3268232399), ("fractional-flagjack", 2682799072),
                           ("ejOoVL", 0), ("bY9fO-", 1), ("SI7p-", 2147483647),
                           ("6LvT0", 2147483648), ("ceQdGm", 4294967295), ("", 0)]:
            self.assertEqual(scalars.murmur3_32(text.encode()), want, text)
        self.assertEqual(scalars.murmur3_32(b"Feature.Variants.C:232", 86028157), 2010930785)

    def test_buckets_scale_by_multiplication(self):
        # 0.247291…, 0.455060…, 0.760944… of 2^32.
        for value, want in [("122", 24729), ("123", 45506), ("155", 76094)]:
            self.assertEqual(scalars.murmur3_bucket("AB12A", value), want)

    def test_md5_mod100_of_known_users(self):
        for value, want in [("", 66), ("a", 97), ("user1", 45), ("user2", 32), ("user3", 44)]:
            self.assertEqual(scalars.md5_mod100_bucket(value), want)

    def test_md5_mod100_of_all_vectors(self):
        if not os.path.exists(VECTORS):
            self.skipTest("SKIPPED: no %s" % os.path.normpath(VECTORS))
        with open(VECTORS, encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                self.assertEqual(scalars.md5_mod100_bucket(row["user"]), row["bucket"], row)


class Scalars(unittest.TestCase):
    def test_folding_is_simple(self):
        for a, b, same in [("DE", "de", True), ("Straße", "STRASSE", False), ("ẞ", "ß", True),
                           ("Σ", "ς", True), ("\u212a", "k", True), ("ſ", "S", True),
                           ("İ", "i", False), ("I", "ı", False), ("I", "i", True),
                           ("µ", "Μ", True), ("Ж", "ж", True), ("ǅ", "ǆ", True)]:
            self.assertEqual(scalars.fold(a) == scalars.fold(b), same, (a, b))

    def test_both_sources_of_folding_agree(self):
        if not os.path.exists(scalars.CASE_FOLDING_FILE):
            self.skipTest("SKIPPED: no %s" % scalars.CASE_FOLDING_FILE)
        from_file = scalars.folding_from_file(scalars.CASE_FOLDING_FILE)
        for code, to in scalars.folding_from_python().items():
            self.assertEqual(from_file.get(code), to, hex(code))

    def test_semver_precedence(self):
        # The chain of SemVer 2.0.0, section 11, with our liberties.
        chain = ["0.0.0", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-99999999999999999999",
                 "1.0.0-RC", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta",
                 "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2", "1.10",
                 "v2-rc.1", "2", "18446744073709551616", "99999999999999999999.0.0"]
        keys = [scalars.parse_semver(text) for text in chain]
        self.assertEqual(keys, sorted(keys))
        self.assertEqual(len(set(keys)), len(keys))
        for a, b in [("1", "v1.0.0"), ("1.0", "1.0.0+build.7"), ("2-rc.1", "2.0.0-rc.1+x")]:
            self.assertEqual(scalars.parse_semver(a), scalars.parse_semver(b))

    def test_what_is_no_version(self):
        for text in generate.NO_VERSIONS:
            self.assertIsNone(scalars.parse_semver(text), text)

    def test_dates(self):
        for text, want in [("1970-01-01T00:00:00Z", 0), ("1970-01-01t00:00:00.001z", 1),
                           ("1970-01-01T01:00:00+01:00", 0), ("1969-12-31T23:00:00-01:00", 0),
                           ("1969-12-31T23:59:59.9999Z", -1), ("1970-01-01T00:00:00-00:00", 0),
                           ("2000-02-29T00:00:00.5Z", 951782400500),
                           ("2026-01-01T00:00:00.25999Z", 1767225600259),
                           ("0001-01-01T00:00:00Z", -62135596800000),
                           ("9999-12-31T23:59:59.999Z", 253402300799999)]:
            self.assertEqual(scalars.parse_date(text), want, text)
        for text in generate.NO_DATES:
            self.assertIsNone(scalars.parse_date(text), text)
        self.assertEqual([scalars.as_date(value) for value in (5, 5.0, 5.5, True, "5", None)],
                         [5, 5, None, None, None, None])
        self.assertEqual([scalars.as_date(value) for value in (2.0**53, 2.0**53 + 2, 2**63 - 1)],
                         [2**53, None, 2**63 - 1])

    def test_formatted_dates_read_back(self):
        for millis in (0, -1, 951782400500, -62000000000000, 253402214400000):
            for offset in (0, 60, -330):
                for digits in (3, 6, 9):
                    text = scalars.format_date(millis, offset, digits)
                    self.assertEqual(scalars.parse_date(text), millis, text)

    def test_networks(self):
        for network, address, want in [
                ("10.0.0.0/8", "10.255.0.1", True), ("10.0.0.0/8", "11.0.0.0", False),
                ("10.0.0.77/24", "10.0.0.1", True), ("10.0.0.1", "10.0.0.1", True),
                ("10.0.0.1", "10.0.0.2", False), ("0.0.0.0/0", "255.255.255.255", True),
                ("0.0.0.0/0", "::1", False), ("::/0", "10.0.0.1", False),
                ("10.0.0.0/8", "::ffff:10.0.0.1", False),
                ("::ffff:0:0/96", "::ffff:10.0.0.1", True), ("::ffff:0:0/96", "10.0.0.1", False),
                ("2001:db8::/33", "2001:DB8:7fff::1", True),
                ("2001:db8::/33", "2001:db8:8000::1", False), ("0.0.0.0/31", "0.0.0.1", True),
                ("0.0.0.0/31", "0.0.0.2", False)]:
            held = oracle.OPERATORS["in_cidr"].test(scalars.parse_address(address),
                                                    scalars.parse_network(network))
            self.assertEqual(held, want, (network, address))
        for text in generate.NO_ADDRESSES:
            self.assertIsNone(scalars.parse_address(text), text)
        for text in ("10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/+8",
                     "10.0.0.0/255.0.0.0", "fe80::1%eth0/10", "10.0.0.0/8/8", ""):
            self.assertIsNone(scalars.parse_network(text), text)

    def test_canonical_doubles(self):
        for value, want in [(0.5, "0.5"), (1.0, "1.0"), (-0.0, "0.0"), (0.1, "0.1"),
                            (1e300, "1e+300"), (12.0, "12.0"), (2.0**53, "9007199254740992.0"),
                            (5e-324, "5e-324"), (-1.5, "-1.5")]:
            self.assertEqual(canonical_double(value), want)


class Patterns(unittest.TestCase):
    def test_search(self):
        for text, subject, want in [
                ("", "", True), ("b", "abc", True), ("^b", "abc", False), ("c$", "abc", True),
                ("a$", "a\n", False), ("(?m)^b$", "a\nb\nc", True), ("^b$", "a\nb", False),
                ("a.b", "a\nb", False), ("(?s)a.b", "a\nb", True), ("[^a]", "\n", True),
                ("a{2,3}", "a", False), ("^a{2,3}$", "aaaa", False), ("^(ab|a)(c|bcd)$", "abcd",
                                                                     True),
                ("^(a*)*$", "aaa", True), ("^(a?){3}$", "aa", True), ("(?i)DE", "de", True),
                ("a(?i)b|c", "C", True), ("(a(?i)b)c", "abC", False), ("(?i:a)b", "aB", False),
                ("(?i)[a-c]", "B", True), ("(?i)[^a]", "A", False), ("\\bb\\b", "a b", True),
                ("\\bb\\b", "äb", True), ("\\w", "ä", False), ("\\d", "٣", False),
                ("\\s", "\v", False), ("[[:space:]]", "\v", True), ("[]a]", "]", True),
                ("[a-]", "-", True), ("\\x61\\x{62}", "ab", True), ("^.$", "日", True),
                ("(?i)ж", "Ж", True), ("(?i)\u212a", "k", True), ("a+?$", "aaa", True),
                ("(?P<x>a)(?<y>b)", "ab", True), ("\\Aa\\z", "a", True), ("\\Ba", "a", False),
                ("x{0}", "", True), ("^a{0,2}$", "aaa", False), ("^a{2,}$", "aaaaa", True),
                ("[[:^alpha:]]", "a", False), ("(?i)[[:^upper:]]", "a", False),
                ("[\\d-]", "-", True), ("\\.", "x", False), ("a||b", "", True)]:
            self.assertEqual(Pattern(text).search(subject), want, (text, subject))
        self.assertTrue(Pattern("^sS$", True).search("Ss"))

    def test_refused(self):
        for text in ("(", ")", "[a", "[]", "a{1001}", "a{2,1}", "\\p{L}", "\\pN", "\\1", "(?=a)",
                     "(?!a)", "(?<=a)", "(?<!a)", "*a", "a|*", "[z-a]", "(?P<n", "a\\", "\\xZZ",
                     "\\x{110000}", "[[:nope:]]", "(?>a)", "(?P=n)", "\\Z", "(?i", "(?q)", "a**"):
            with self.assertRaises(Refused, msg=text):
                Pattern(text)


class Order(unittest.TestCase):
    """Who decides, and what is told about it."""

    def check(self, rows):
        for document, key, context, want in rows:
            self.assertEqual(short(ask(document, key, context)), want, (document, context))

    def test_the_example_of_the_design(self):
        self.check([
            (EXAMPLE, "report_setup", user("user1"), ("on", "TARGETING_MATCH", None, None)),
            # user3 has bucket 44 of 100, "a" 97; 25 % lets in what is below 25.
            (EXAMPLE, "report_setup", user("user3"), ("off", "SPLIT", None, 44)),
            (EXAMPLE, "report_setup", {}, ("TARGETING_KEY_MISSING", "ERROR", None, None)),
            (EXAMPLE, "nope", {}, ("FLAG_NOT_FOUND", "ERROR", None, None)),
            # Without a key new_search fails, so it serves no variant and checkout stays off.
            (EXAMPLE, "checkout", {}, ("a", "DEFAULT", "requires", None))])

    def test_a_prerequisite_is_met_by_a_forced_variant(self):
        forced = {"FLAGVER_FLAG_NEW_SEARCH": "on"}
        for context, want in [
                (user("alice"), ("b", "TARGETING_MATCH", None, None)),
                (user("zoe"), ("a", "TARGETING_MATCH", "rest", None)),
                (user("bob", country="DE"), ("TARGETING_KEY_MISSING", "ERROR", None, None)),
                (user("bob", country="DE", app_version="2.0.9"), ("a", "TARGETING_MATCH", "rest",
                                                                  None)),
                ({"country": ["US", "FR"], "email": "x@example.com", "companyId": 7},
                 # The bucket of "checkout:7" is 66576, beyond the half that gets a.
                 ("b", "SPLIT", "eu", 66576))]:
            self.assertEqual(short(ask(EXAMPLE, "checkout", context, forced)), want, context)

    def test_static_and_default(self):
        self.check([
            (flag(), "AB12A", {}, ("on", "STATIC", None, None)),
            (flag(off="on"), "AB12A", {}, ("on", "STATIC", None, None)),
            (flag(beta=[], rules=[], targets={}), "AB12A", {}, ("on", "STATIC", None, None)),
            (flag(targets={"off": []}), "AB12A", {}, ("on", "STATIC", None, None)),
            (flag(beta=["x"]), "AB12A", {}, ("off", "DEFAULT", None, None)),
            (flag(targets={"off": ["x"]}), "AB12A", {}, ("off", "DEFAULT", None, None)),
            (flag(default="on", beta=["x"]), "AB12A", {}, ("on", "DEFAULT", None, None)),
            (flag(rules=[{"if": {"attr": "x", "op": "eq", "value": 1}, "serve": "on"}]), "AB12A",
             {}, ("off", "DEFAULT", None, None)),
            (flag(variants={"on": False, "off": True}), "AB12A", {}, ("off", "STATIC", None, None)),
            (flag(enabled=False), "AB12A", {}, ("off", "DISABLED", None, None)),
            (flag(enabled=False, variants={"on": False, "off": True}), "AB12A", {},
             ("on", "DISABLED", None, None)),
            (flag(enabled=False, default="on", off="on"), "AB12A", {},
             ("on", "DISABLED", None, None))])

    def test_percentages(self):
        # 122 has bucket 24729, 123 has 45506.
        self.check([
            (flag(percentage=24.729), "AB12A", user("122"), ("off", "SPLIT", None, 24729)),
            (flag(percentage=24.73), "AB12A", user("122"), ("on", "SPLIT", None, 24729)),
            (flag(percentage=24.73), "AB12A", user(122), ("on", "SPLIT", None, 24729)),
            (flag(percentage=50, salt="AB12A", by="id"), "AB12A", {"id": 123},
             ("on", "SPLIT", None, 45506)),
            (flag(percentage=50, by="id"), "AB12A", {"id": 123.0},
             ("TARGETING_KEY_MISSING", "ERROR", None, None)),
            (flag(percentage=50, by="a.id"), "AB12A", {"a": {"id": "123"}},
             ("on", "SPLIT", None, 45506)),
            (flag(percentage=0), "AB12A", {}, ("off", "DEFAULT", None, None)),
            (flag(percentage=100), "AB12A", {}, ("on", "DEFAULT", None, None)),
            (flag(percentage=10, default="on"), "AB12A", user("122"), ("on", "SPLIT", None, 24729)),
            (flag(percentage=45, bucketing="md5-mod100"), "AB12A", user("user1"),
             ("off", "SPLIT", None, 45)),
            (flag(percentage=45.001, bucketing="md5-mod100"), "AB12A", user("user1"),
             ("on", "SPLIT", None, 45)),
            (flag(percentage=67, bucketing="md5-mod100"), "AB12A", user(""),
             ("on", "SPLIT", None, 66)),
            (flag(rules=[{"id": "r", "serve": {"percentage": 0}}]), "AB12A", {},
             ("off", "TARGETING_MATCH", "r", None)),
            (flag(rules=[{"serve": {"percentage": 24.729}}]), "AB12A", user("122"),
             ("off", "SPLIT", None, 24729))])

    def test_splits(self):
        def split(weights, **more):
            return {"flags": {"AB12A": dict({
                "type": "string", "variants": {"B": "x", "a": "y", "ä": "z"}, "default": "B",
                "split": weights}, **more)}}
        # Byte order: B < a < ä. 24729 and 45506 of 100000.
        self.check([
            (split({"a": 24729, "ä": 75271}), "AB12A", user("122"), ("ä", "SPLIT", None, 24729)),
            (split({"a": 24730, "ä": 75270}), "AB12A", user("122"), ("a", "SPLIT", None, 24729)),
            (split({"ä": 24730, "B": 24729, "a": 50541}), "AB12A", user("122"),
             ("a", "SPLIT", None, 24729)),
            # 1 * 100000 / 3 = 33333.3; the bound is floored.
            (split({"a": 1, "B": 1, "ä": 1}), "AB12A", user("123"), ("a", "SPLIT", None, 45506)),
            (split({"a": 7, "B": 0}), "AB12A", {}, ("a", "DEFAULT", None, None)),
            (split({"B": 45, "a": 55}, bucketing="md5-mod100"), "AB12A", user("user1"),
             ("a", "SPLIT", None, 45)),
            (split({"B": 46, "a": 54}, bucketing="md5-mod100"), "AB12A", user("user1"),
             ("B", "SPLIT", None, 45)),
            (split({"B": 1, "a": 1}, by="id"), "AB12A", user("u"),
             ("TARGETING_KEY_MISSING", "ERROR", None, None))])

    def test_bucketing_is_inherited(self):
        def rule(serve, **own):
            return flag(rules=[{"serve": dict({"percentage": 50}, **serve)}], **own)
        other = scalars.murmur3_bucket("s", "122")
        self.check([
            (rule({}, salt="s"), "AB12A", user("122"),
             ("on" if other < 50000 else "off", "SPLIT", None, other)),
            (rule({"salt": "AB12A"}, salt="s"), "AB12A", user("122"), ("on", "SPLIT", None, 24729)),
            (rule({"bucketing": "md5-mod100"}, salt="s"), "AB12A", user("user1"),
             ("on", "SPLIT", None, 45)),
            (rule({"salt": "s"}, bucketing="md5-mod100"), "AB12A", user("user1"),
             ("on", "SPLIT", None, 45)),
            (rule({"bucketing": "murmur3"}, bucketing="md5-mod100"), "AB12A", user("122"),
             ("on", "SPLIT", None, 24729)),
            (rule({"by": "targetingKey"}, by="id"), "AB12A", user("122"),
             ("on", "SPLIT", None, 24729))])

    def test_contexts_that_are_none(self):
        for key in (True, 1.0, 1.5, [], {}):
            self.assertEqual(short(ask(flag(enabled=False), "AB12A", user(key)))[0],
                             "INVALID_CONTEXT")
            self.assertEqual(short(ask(EXAMPLE, "nope", user(key)))[0], "FLAG_NOT_FOUND")
            forced = ask(flag(), "AB12A", user(key), {"FLAGVER_FLAG_AB12A": "off"})
            self.assertEqual(short(forced), ("off", "STATIC", None, None))
        self.assertEqual(short(ask(flag(), "AB12A", user(None)))[0], "on")


class Schedules(unittest.TestCase):
    def threshold(self, interpolate, steps, at):
        schedule = {"interpolate": interpolate,
                    "steps": [{"at": when, "percentage": percent} for when, percent in steps]}
        flag_ = oracle.load(json.dumps(flag(schedule=schedule)), {}).flags["AB12A"]
        return flag_.level.threshold(scalars.parse_date(at))

    def test_steps(self):
        steps = [("2026-01-01T00:00:00Z", 10), ("2026-01-04T00:00:00Z", 25)]
        for at, want in [("2025-12-31T23:59:59.999Z", 0), ("2026-01-01T00:00:00Z", 10000),
                         ("2026-01-03T23:59:59.999Z", 10000), ("2026-01-04T00:00:00Z", 25000),
                         ("2099-01-01T00:00:00Z", 25000)]:
            self.assertEqual(self.threshold("step", steps, at), want, at)

    def test_ramps(self):
        steps = [("2026-01-01T00:00:00Z", 10), ("2026-01-01T00:00:03Z", 10.01),
                 ("2026-01-01T00:00:06Z", 0)]
        # 10 / 3 of a thousandth per second up, 3336.67 down: floored both ways.
        for at, want in [("2025-12-31T23:59:59.999Z", 0), ("2026-01-01T00:00:00Z", 10000),
                         ("2026-01-01T00:00:01Z", 10003), ("2026-01-01T00:00:02Z", 10006),
                         ("2026-01-01T00:00:03Z", 10010), ("2026-01-01T00:00:04Z", 6673),
                         ("2026-01-01T00:00:05Z", 3336), ("2026-01-01T00:00:06Z", 0)]:
            self.assertEqual(self.threshold("linear", steps, at), want, at)

    def test_a_ramp_over_all_of_time(self):
        steps = [("0001-01-01T00:00:00Z", 0), ("9999-12-31T23:59:59.999Z", 100)]
        # 3651695 of 3652059 days.
        self.assertEqual(self.threshold("linear", steps, "9999-01-01T00:00:00Z"), 99990)

    def test_the_end_of_a_ramp_needs_no_bucket(self):
        ramp = {"interpolate": "linear", "steps": [{"at": "2026-01-01T00:00:00Z", "percentage": 0},
                                                   {"at": "2027-01-01T00:00:00Z",
                                                    "percentage": 100}]}
        for at, want in [("2026-01-01T00:00:00Z", "off"), ("2026-01-01T00:05:00Z", "off"),
                         ("2027-01-01T00:00:00Z", "on")]:
            self.assertEqual(short(ask(flag(schedule=ramp), "AB12A", {}, at=at)),
                             (want, "DEFAULT", None, None), at)
        # 0.001 % of a year is 315.36 s.
        self.assertEqual(short(ask(flag(schedule=ramp), "AB12A", {}, at="2026-01-01T00:05:16Z"))[0],
                         "TARGETING_KEY_MISSING")


class Conditions(unittest.TestCase):
    def holds(self, node, context, segments=None):
        document = flag(rules=[{"if": node, "serve": "on"}])
        document["segments"] = segments or {}
        return ask(document, "AB12A", context)["value"]

    def test_leaves(self):
        def leaf(op, value, **more):
            return dict({"attr": "x", "op": op, "value": value}, **more)
        for node, value, want in [
                (leaf("eq", 1), 1.0, True), (leaf("eq", 1), True, False),
                (leaf("eq", "1"), 1, False), (leaf("eq", True), True, True),
                (leaf("eq", 0.1), 0.1, True), (leaf("eq", 2**53), 2**53 + 1, False),
                (leaf("eq", 9007199254740992.0), 2**53 + 1, False),
                (leaf("lt", 2**53 + 1), 9007199254740992.0, True),
                (leaf("gt", 2**63 - 1), 9.223372036854775807e18, True),
                (leaf("lte", 5), 5, True), (leaf("lt", 5), 5, False), (leaf("lt", 5), "4", False),
                (leaf("eq", "De"), "dE", False), (leaf("eq", "De", fold=True), "dE", True),
                (leaf("eq", 5, fold=True), 5, True),
                (leaf("contains", "straẞe", fold=True), "Die STRAßE", True),
                (leaf("contains", "SS", fold=True), "Straße", False),
                (leaf("starts_with", ""), "", True), (leaf("ends_with", "c"), "abc", True),
                (leaf("matches", "^DE$", fold=True), "de", True),
                (leaf("eq", "a"), ["b", "a"], True), (leaf("eq", "a"), [["a"]], False),
                (leaf("eq", "a"), [], False), (leaf("eq", "a"), {"a": "a"}, False),
                (leaf("exists", True), [], True), (leaf("exists", True), None, False),
                (leaf("exists", False), None, True), (leaf("exists", True), [None], True),
                (leaf("before", NOW), "2026-01-04T23:59:59.9999Z", True),
                (leaf("before", NOW), NOW, False), (leaf("after", 0), 0.5, False),
                (leaf("after", 0), 1.0, True), (leaf("semver_gte", "1"), "v1.0.0+b", True),
                (leaf("semver_lt", "2"), 1, False), (leaf("in_cidr", "::/0"), "1.2.3.4", False)]:
            self.assertEqual(self.holds(node, {"x": value}), want, (node, value))
            self.assertEqual(self.holds({"not": node}, {"x": value}), not want, (node, value))

    def test_the_targeting_key_is_text(self):
        node = {"attr": "targetingKey", "op": "in", "values": ["42"]}
        self.assertTrue(self.holds(node, user(42)))
        self.assertFalse(self.holds(dict(node, values=[42]), user(42)))
        self.assertTrue(self.holds({"attr": "targetingKey", "op": "exists", "value": True},
                                   user("")))

    def test_paths(self):
        node = {"attr": "a.b.c", "op": "eq", "value": 1}
        for context, want in [({"a": {"b": {"c": 1}}}, True), ({"a.b.c": 1}, True),
                              ({"a.b.c": None, "a": {"b": {"c": 1}}}, False),
                              ({"a.b.c": 2, "a": {"b": {"c": 1}}}, False),
                              ({"a": {"b.c": 1}}, False), ({"a.b": {"c": 1}}, False),
                              ({"a": [{"b": {"c": 1}}]}, False), ({"a": {"b": {"c": [1]}}}, True)]:
            self.assertEqual(self.holds(node, context), want, context)

    def test_segments(self):
        segments = {"s": {"include": ["x", "both"], "exclude": ["y", "both"],
                          "if": {"attr": "n", "op": "gt", "value": 0}},
                    "outer": {"if": {"not": {"segment": "s"}}}, "empty": {}}
        for context, want in [(user("x"), True), (user("both"), True), (user("y", n=1), False),
                              (user("z", n=1), True), (user("z"), False), ({"n": 1}, True)]:
            self.assertEqual(self.holds({"segment": "s"}, context, segments), want, context)
            self.assertEqual(self.holds({"segment": "outer"}, context, segments), not want)
        self.assertFalse(self.holds({"segment": "empty"}, user("x"), segments))

    def test_a_flag_that_fails_serves_nothing(self):
        document = flag(rules=[{"if": {"flag": "other", "variant": "off"}, "serve": "on"}])
        document["flags"]["other"] = {"type": "boolean", "percentage": 50}
        self.assertFalse(ask(document, "AB12A", {})["value"])
        document["flags"]["other"] = {"type": "boolean", "enabled": False}
        self.assertTrue(ask(document, "AB12A", {})["value"])


class Getters(unittest.TestCase):
    def test_numbers_convert_without_loss(self):
        for have, value, want, expected in [
                ("integer", 5, "double", 5.0), ("double", 5.0, "integer", 5),
                ("double", 5.5, "integer", None), ("double", 3, "double", 3.0),
                ("double", 9007199254740992.0, "integer", 2**53),
                ("double", 9007199254740994.0, "integer", None),
                ("double", -9007199254740992.0, "integer", -2**53),
                ("integer", 2**53 + 1, "double", None), ("integer", 2**60, "double", 2.0**60),
                ("integer", 2**63 - 1, "double", None), ("integer", -2**63, "double", -2.0**63),
                ("integer", 5, "json", None), ("string", "5", "integer", None),
                ("json", 5, "integer", None), ("boolean", True, "string", None)]:
            document = {"flags": {"n": {"type": have, "variants": {"v": value}, "default": "v"}}}
            if have == "boolean":
                document = {"flags": {"n": {"type": have}}}
            got = ask(document, "n", {}, kind=want)
            if expected is None:
                self.assertEqual(short(got)[:2], ("TYPE_MISMATCH", "ERROR"), (have, value, want))
            else:
                self.assertEqual((got["value"], type(got["value"])), (expected, type(expected)))

    def test_another_error_comes_first(self):
        got = ask(flag(percentage=50), "AB12A", {}, kind="string", default="mine")
        self.assertEqual(got, {"flag": "AB12A", "value": "mine", "variant": None, "reason": "ERROR",
                               "errorCode": "TARGETING_KEY_MISSING"})


class Environment(unittest.TestCase):
    def answer(self, key, environ, document=EXAMPLE):
        return short(ask(document, "report_setup", user(key), environ))

    def test_s0_4_and_s0_7(self):
        off = {"REPORT_SETUP_ENABLED": "False"}
        listed = {"REPORT_SETUP_BETA_USERS": " user3 ,\tuser4,, "}
        cleared = {"REPORT_SETUP_BETA_USERS": ""}
        for key, environ, want in [
                ("user1", off, ("off", "DISABLED", None, None)),
                ("user3", listed, ("on", "TARGETING_MATCH", None, None)),
                ("user4", listed, ("on", "TARGETING_MATCH", None, None)),
                ("user1", listed, ("off", "DEFAULT", None, None)),
                ("user1", cleared, ("off", "SPLIT", None, 45)),
                ("user1", {"REPORT_SETUP_ENABLED": "2"}, ("on", "TARGETING_MATCH", None, None))]:
            self.assertEqual(self.answer(key, environ), want, (key, environ))

    def test_without_a_percentage_a_cleared_list_means_everybody(self):
        document = {"flags": {"report_setup": {
            "type": "boolean", "beta": ["user1"], "env": {"beta": "B", "percentage": "P"}}}}
        for environ, want in [({}, ("off", "DEFAULT", None, None)),
                              ({"B": ""}, ("on", "STATIC", None, None)),
                              ({"B": "x"}, ("off", "DEFAULT", None, None)),
                              ({"B": "x", "P": "100"}, ("on", "DEFAULT", None, None)),
                              ({"P": "100.1"}, ("off", "DEFAULT", None, None)),
                              ({"P": "x"}, ("off", "DEFAULT", None, None))]:
            self.assertEqual(self.answer("zoe", environ, document), want, environ)

    def test_defaults_of_s2_5_and_s4_4(self):
        off = {"flags": {"report_setup": {"type": "boolean", "enabled": False,
                                          "env": {"enabled": "FF_UUID_USERS"}}}}
        on = {"flags": {"report_setup": {"type": "boolean",
                                         "env": {"enabled": "DEAL_TYPE_AWARENESS"}}}}
        self.assertEqual(self.answer("x", {}, off)[:2], ("off", "DISABLED"))
        self.assertEqual(self.answer("x", {"FF_UUID_USERS": "true"}, off)[:2], ("on", "STATIC"))
        self.assertEqual(self.answer("x", {}, on)[:2], ("on", "STATIC"))
        self.assertEqual(self.answer("x", {"DEAL_TYPE_AWARENESS": "false"}, on)[:2],
                         ("off", "DISABLED"))

    def test_forcing(self):
        for key, name in [("report_setup", "REPORT_SETUP"), ("ui.v2", "UI_V2"), ("é", "__"),
                          ("Az-9", "AZ_9")]:
            self.assertEqual(oracle.env_key(key), "FLAGVER_FLAG_" + name)
        forced = {"FLAGVER_FLAG_REPORT_SETUP": "off", "REPORT_SETUP_ENABLED": "no"}
        self.assertEqual(self.answer("user1", forced), ("off", "STATIC", None, None))
        self.assertEqual(self.answer("user1", {"FLAGVER_FLAG_REPORT_SETUP": "maybe"})[1],
                         "TARGETING_MATCH")


class Refusals(unittest.TestCase):
    def test_the_example_is_sound(self):
        oracle.load(json.dumps(EXAMPLE), {})
        oracle.load("{}", {})

    def test_pointers(self):
        for change, pointer in [({"rules": [{"serve": "on"}, {"serve": "no"}]}, "/rules/1/serve"),
                                ({"percentage": 12.3456}, "/percentage"),
                                ({"targets": {"on": ["a"], "off": ["b", "a"]}}, "/targets/off/1"),
                                ({"requires": [{"flag": "AB12A", "variant": "on"}]},
                                 "/requires/0/flag")]:
            with self.assertRaises(Malformed) as caught:
                oracle.load(json.dumps(flag(**change)), {})
            self.assertEqual(caught.exception.pointer, "/flags/AB12A" + pointer)

    def test_escapes_in_pointers(self):
        with self.assertRaises(Malformed) as caught:
            oracle.load('{"flags": {"a/b~c": {"type": "bool"}}}', {})
        self.assertEqual(caught.exception.pointer, "/flags/a~1b~0c/type")

    def test_depths(self):
        def nested(levels):
            node = {"attr": "x", "op": "eq", "value": 1}
            for _ in range(levels):
                node = {"not": node}
            return json.dumps(flag(rules=[{"if": node, "serve": "on"}]))
        oracle.load(nested(90), {})
        self.assertRaises(Malformed, oracle.load, nested(110), {})


class Machinery(unittest.TestCase):
    def test_the_same_seed_gives_the_same_case(self):
        one, two = generate.generate(7), generate.generate(7)
        self.assertEqual((one.text, one.batch(), one.environ), (two.text, two.batch(), two.environ))

    def test_the_oracle_agrees_with_itself_and_sees_everything(self):
        summary = differential.campaign(planted.as_program(oracle), 12000, 5)
        self.assertEqual([difference.kind for difference in summary.differences], [])
        self.assertEqual(summary.never(), [])

    def test_planted_bugs_are_found(self):
        for name, stands, written in planted.BUGS:
            if name in ("bucket-seed", "disabled-serves-default", "rule-split-match", "semver-no-v",
                        "unknown-keys-accepted", "bad-line-exit", "double-format"):
                self.assertIsNotNone(planted.found_after(planted.planted(stands, written), 8000),
                                     name)

    def test_every_planted_bug_still_applies(self):
        for name, stands, written in planted.BUGS:
            planted.planted(stands, written)

    def test_it_runs_as_a_program(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        path = os.path.join(scratch.name, "definitions.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(EXAMPLE, file)
        done = subprocess.run(
            [sys.executable, os.path.join(HERE, "oracle.py"), "flag", "eval", "--batch",
             "--definitions", path, "--at", NOW], stdout=subprocess.PIPE,
            input=b'{"flag":"report_setup","context":{"targetingKey":"user1"}}\n[]')
        first, second = map(json.loads, done.stdout.splitlines())
        self.assertEqual(done.returncode, 6)
        self.assertEqual(first, {"flag": "report_setup", "value": True, "variant": "on",
                                 "reason": "TARGETING_MATCH"})
        self.assertEqual(second["line"], 2)


if __name__ == "__main__":
    unittest.main()
