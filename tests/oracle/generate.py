"""Random definitions, contexts and batches, from a seed.

The alphabets are small on purpose: a handful of users, attributes and values, so that a condition
holds about as often as it does not, and so that bounds are met exactly. Where the design is
silent nothing is generated; README.md lists those places.
"""

import json
import random
import re

import scalars
from oracle import env_key

DAY = 86400000
USERS = ["alice", "bob", "user1", "user2", "user3", "42", "-7", "", "Ünï", "日本", "a b"]
VARIANTS = ["a", "b", "c", "B", "aa", "ä", "z-1", "ab"]
FLAG_KEYS = ["report_setup", "new_search", "checkout", "pay-fast", "ui.v2", "x y", "Größe", "F",
             "p/q", "t~1", "dark_mode", "quota", "rate", "limits", "banner", "k" * 256, "日本"]
SEGMENT_KEYS = ["staff", "beta group", "eu", "seg/ment", "ёж"]
TYPES = ["boolean", "string", "integer", "double", "json"]

STRINGS = ["DE", "de", "FR", "US", "a", "ab", "abc", "", "a.b", "1", "true", "a\nb", "line\n",
           "ba\n", "xyz1", "b\na"]
EMAILS = ["a@example.com", "b@EXAMPLE.com", "c@test.org", "@example.com", "abba@x.de"]
NAMES = ["Straße", "STRASSE", "straẞe", "Σίσυφος", "ΣΊΣΥΦΟΣ", "σίσυφοσ", "µm", "μm", "ΜM", "Ж",
         "ж", "Ünï", "ÜNÏ", "İ", "i", "I", "ı", "ǅ", "ǆ", "Größe"]
# Non-ASCII letters that fold into ASCII: kept away from `matches`, where [[:alpha:]] is ASCII and
# nobody says what (?i) adds to it. The Kelvin sign also shrinks from three bytes to one.
LABELS = ["\u212aelvin", "kelvin", "KELVIN", "ſ", "s", "S", "ma\u017fs", "MASS"]
# In clusters: what lies side by side is where a comparison goes wrong.
NUMBER_CLUSTERS = [[0, 1, 2, 0.1, 5e-324, -1, 0.0, 1.0], [17, 18, 18.0, 18.5, 1e300],
                   [-1, -1.5, -2],
                   [2**53 - 1, 2**53, 2**53 + 1, 9007199254740992.0, 9007199254740994.0],
                   [-2**53 - 1, -2**53, -9007199254740992.0],
                   [2**63 - 1, 9.223372036854775807e18, 2**63 - 513],
                   [-2**63, -9.223372036854775808e18, -2**63 + 1]]
VERSION_CLUSTERS = [["1.0.0", "v1.0.0", "1", "1.0", "1.0.0--", "1.0.0-0a", "1.0.0--1", "1.0.1"],
                    ["v2", "2.0.0", "2.0.0+b1", "2.0.0+001", "2.1.0", "2.10.0", "10.0.0", "2.9"],
                    ["2.0.0", "2-rc.1", "2.0.0-rc.1", "2.0-rc.2", "2.0.0-rc.10", "2.0.0-rc",
                     "2.0.0-rc.1.1", "2.0.0-rc.1+exp.sha-5114", "2.0.0-rc.x"],
                    ["2.0.0-RC", "2.0.0-alpha.1", "2.0.0-alpha.beta", "2.0.0-1", "2.0.0-9", "2-10",
                     "2.0.0-99999999999999999999", "2.0.0-99999999999999999998"],
                    ["99999999999999999999.0.0", "99999999999999999998.0.0", "7766279631452241919",
                     "18446744073709551616.0.0", "0.0.0", "9223372036854775808.1"]]
NUMBERS = [number for cluster in NUMBER_CLUSTERS for number in cluster]
VERSIONS = [version for cluster in VERSION_CLUSTERS for version in cluster]
LOOKALIKES = [[1, 1.0, True, "1"], [0, 0.0, False, "", "0", "false"], ["true", True],
              [-3, "-3", -3.0], ["DE", "de", "De"]]
NO_VERSIONS = ["V2", "01.0.0", "1.2.3.4", "1.0.0-01", "1.0.0-", "", "v", "1.", " 1.0.0", "1.0.0+",
               "1.0.0-a..b", "1.-1.0", "1.0.0 ", "latest", "vv1", "1.0.0-ä", "1.02", "-1", "1..0"]
ADDRESSES = ["10.0.0.1", "10.0.0.255", "10.0.1.0", "10.128.0.0", "192.168.1.7", "0.0.0.0",
             "255.255.255.255", "::1", "::", "2001:db8::1", "2001:DB8:0:0::1", "2001:db8:1::",
             "::ffff:10.0.0.1", "::ffff:a00:1", "fe80::1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::",
             "::10.0.0.1"]
NO_ADDRESSES = ["10.0.0", "10.0.0.256", "10.0.0.1.2", "fe80::1%eth0", "10.0.0.1/32", "::g", "",
                "1:2:3:4:5:6:7:8:9", "1::2::3", " 10.0.0.1", "10.0.0.1 ", "0x0a.0.0.1", "12345::",
                ":::", "1:2:3", "10.0.0.-1", "::ffff:10.0.0.256", "localhost", "1:2:3:4:5:6:7:8::"]
NETWORKS = ["10.0.0.0/8", "10.0.0.0/24", "10.0.0.77/24", "10.0.0.1", "10.0.0.1/32", "0.0.0.0/0",
            "::/0", "2001:db8::/32", "2001:db8::/33", "2001:db8::1/128", "::1", "::ffff:0:0/96",
            "::ffff:10.0.0.0/104", "10.128.0.0/9", "192.168.0.0/16", "128.0.0.0/1", "fe80::/10",
            "1:2:3:4::/64", "::/127", "0.0.0.0/31"]
NO_DATES = ["2026-01-01", "2026-01-01T00:00:00", "2026-01-01 00:00:00Z", "2026-01-01T00:00:60Z",
            "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "", "now",
            "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+0100", "2026-01-01T00:00Z",
            "0000-01-01T00:00:00Z", "2026-1-01T00:00:00Z", "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+01:60", "2026-01-01T00:00:00Zz", "12026-01-01T00:00:00Z",
            "2026-00-10T00:00:00Z", "2026-04-31T00:00:00Z", "1900-02-29T00:00:00Z", "1767225600000"]
PATTERNS = ["", "^DE$", "^(?:a|b)+$", "@example\\.com$", "(?i)@EXAMPLE", "^[a-c]{2,3}$", "\\d+",
            "^\\D*$", "\\bde\\b", "[[:upper:]]", "^[^@]+@", "a.b", "(?s)a.b", "(?m)^b$", "a$", "^$",
            "^\\s*$", "(?P<who>a+)b", "(?<who>b+)a", "^(?i:de)$", "a(?i)B|C", "\\x61b", "\\x{44}E",
            "[\\x{44}-\\x{46}]", "^.{3}$", "(a?){3}b", "^\\w+$", "\\.", "[.]", "[]a]", "[a-]",
            "a{1000}|b", "(?:)", "\\Aa\\z", "\\Ba", "[^[:^alpha:]]", "(a|ab)(c|bcd)?$", "x*?",
            "a+?b", "(?i)ünï", "^(?i:d)e", "^((?i)d)E", "(?:(?m)^b)|^E$", "^(?i)ж$", "(?-s).",
            "(?ms)^b.?$", "[[:digit:]x]", "ab??c", "b{0}"]

KINDS = {
    "country": STRINGS, "email": EMAILS, "name": NAMES, "label": LABELS, "age": NUMBERS,
    "app_version": VERSIONS, "when": None, "ip": ADDRESSES, "vip": [True, False],
    "companyId": ["acme", "globex", "", 1, 2, -3, "1", 2**63 - 1],
    "device.os": ["linux", "mac", "DE"], "device.net.ip": ADDRESSES, "device.version": VERSIONS,
    "account.id": ["acme", "globex", 1, "1", -3],
}
TEXT_ATTRS = ["country", "email", "name", "label", "device.os", "targetingKey"]
OP_ATTRS = {
    "eq": ["country", "age", "vip", "companyId", "targetingKey", "name", "account.id"],
    "in": ["country", "age", "vip", "companyId", "targetingKey", "name", "device.os"],
    "starts_with": TEXT_ATTRS, "ends_with": TEXT_ATTRS, "contains": TEXT_ATTRS,
    "matches": ["country", "country", "email", "email", "name", "device.os", "targetingKey"],
    "lt": ["age"], "lte": ["age"], "gt": ["age"], "gte": ["age"],
    "before": ["when"], "after": ["when"],
    "semver_eq": ["app_version", "device.version"], "semver_lt": ["app_version", "device.version"],
    "semver_lte": ["app_version"], "semver_gt": ["app_version"],
    "semver_gte": ["app_version", "device.version"],
    "in_cidr": ["ip", "device.net.ip"], "exists": list(KINDS) + ["targetingKey", "device", "nope"],
}
FOLDING_OPS = ("eq", "in", "starts_with", "ends_with", "contains", "matches")
STRING_OPS = ("starts_with", "ends_with", "contains")
VERSION_OPS = [op for op in OP_ATTRS if op.startswith("semver")]
PROBES = (list(OP_ATTRS) + ["matches"] * 8 + ["before", "after", "in_cidr", "in_cidr"] * 2
          + ["eq", "in", "starts_with", "ends_with", "contains"] * 2 + ["segment"])
INTEGERS = [0, 1, -1, 42, 2**53, 2**53 + 1, -2**53 - 1, 2**63 - 1, -2**63, 2**53 + 2]
DOUBLES = [0.5, 1.0, 3, -2, 0.1, 9007199254740992.0, 9007199254740994.0, -9007199254740992.0, 1e300,
           5e-324, 1.7976931348623157e308, -0.0, 1e15, 1e16, 1e17, 123456789.125, 1e-5, 1e22, 100]
JSONS = [{"a": 1}, {"b": [1, 2.5, "x", None, True], "a": {}}, [], [1, "ä"], "text", 5, 2.5, True,
         {"": {"nested": [[]]}}, {"esc": "\"\\\n\t\u0001\u007f/€😀"}, 1.0]
TEXTS = ["classic", "one-page", "", "ä\n\"q\"", "DE", "😀"]
PERCENTAGES = [0, 100, 50, 25, 12.5, 0.001, 99.999, 33.333, 10, 0.0, 100.0, 1, 75.5, 66.667]
WEIGHTS = [0, 0, 1, 50, 50, 100, 3, 7, 1000000]


class Case:
    """One file with its surroundings and its batch."""

    def __init__(self, document, text, environ, at_ms, at_text, lines, ending):
        self.document = document
        self.text = text
        self.environ = environ
        self.at_ms = at_ms
        self.at_text = at_text
        self.lines = lines
        self.ending = ending    # of the last line: a newline or nothing

    def batch(self):
        return b"\n".join(self.lines) + self.ending


class Generator:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.environ = {}
        self.flags = {}
        self.segments = {}
        self.done = []      # what may be referred to without a cycle
        self.now = self.moment()
        self.dates = self.date_pool()

    # -- small choices

    def chance(self, probability):
        return self.rng.random() < probability

    def pick(self, items):
        return self.rng.choice(items)

    def some(self, items, low, high):
        items = list(items)
        return self.rng.sample(items, min(len(items), self.rng.randint(low, high)))

    def moment(self):
        base = self.pick([scalars.parse_date("2026-01-04T00:00:00Z"), 0, -1, 951782400000,
                          scalars.parse_date("2026-06-30T23:59:59.999Z"), -62000000000000,
                          scalars.parse_date("9000-02-28T12:00:00Z")])
        return base + self.rng.choice([0, 0, 1, 999, 123456789])

    def date_text(self, millis):
        offset = self.pick([0, 0, 0, 60, -330, 14 * 60, -1])
        digits = self.pick([3, 3, 6, 9]) if millis % 1000 or self.chance(0.3) else 0
        text = scalars.format_date(millis, offset, digits, self.pick(["TZ", "TZ", "tz", "Tz"]))
        if text.endswith("Z") and self.chance(0.2):
            text = text[:-1] + self.pick(["+00:00", "-00:00"])
        if digits == 3 and self.chance(0.5):
            text = re.sub(r"(\.[0-9]+?)0+(?=\D)", r"\1", text)
        return text

    def date_pool(self):
        pool = []
        for delta in (-DAY, -1, 0, 0, 0, 1, 500, 450, DAY):
            millis = self.now + delta
            pool += [millis, self.date_text(millis), float(millis)]
        return pool

    # -- values of attributes

    def value(self, attr, wild=0.1):
        if attr == "targetingKey":
            return self.pick(USERS)
        if self.chance(wild):
            return self.wild_value(attr)
        if attr == "when":
            return self.pick(self.dates)
        return self.pick(KINDS[attr])

    def wild_value(self, attr):
        if attr in ("ip", "device.net.ip") and self.chance(0.6):
            return self.pick(NO_ADDRESSES)
        if attr in ("app_version", "device.version") and self.chance(0.6):
            return self.pick(NO_VERSIONS)
        if attr == "when" and self.chance(0.6):
            return self.pick(NO_DATES)
        if attr in ("companyId", "account.id") and self.chance(0.6):
            return self.pick([1.0, 2.5, True, -3.0, ["acme"], [1], {}, 9007199254740993.0])
        other = self.pick([key for key in KINDS if key not in ("when", "label")])
        return self.pick([self.pick(KINDS[other]), self.pick(KINDS[other]), {}, {"x": 1}, True,
                          1.5, [], "true", 0])

    def attribute(self, attr):
        if self.chance(0.05):
            return None
        if self.chance(0.12):
            items = [self.value(attr) for _ in range(self.rng.randint(0, 3))]
            if self.chance(0.25):
                items.insert(0, self.pick([None, [self.value(attr, 0)], {"a": self.value(attr)}]))
            return items
        return self.value(attr)

    def context(self):
        context = {}
        if not self.chance(0.08):
            context["targetingKey"] = self.pick(USERS)
        if self.chance(0.12):
            context["targetingKey"] = self.pick([42, -7, 0, 2**63 - 1, None, True, 1.5, 42.0, [],
                                                 {}, ["alice"], 42, -7])
        if self.chance(0.05):
            # Around the block sizes of the hashes.
            context["targetingKey"] = "u" * self.pick([3, 4, 55, 56, 63, 64, 65, 119, 120, 1000])
        for attr in KINDS:
            if self.chance(0.35):
                continue
            if "." in attr and not self.chance(0.2):
                self.put_path(context, attr.split("."), self.attribute(attr))
            else:
                context[attr] = self.attribute(attr)
            if "." in attr and self.chance(0.1):
                # The exact name counts before the path, even when it holds null.
                context[attr] = self.pick([None, None, self.attribute(attr)])
        items = list(context.items())
        self.rng.shuffle(items)
        return dict(items)

    def put_path(self, context, path, value):
        for name in path[:-1]:
            context = context.setdefault(name, {})
            if not isinstance(context, dict):
                return
        if self.chance(0.05):
            context[path[-1]] = {path[-1]: value}
        elif self.chance(0.05):
            context[".".join(path[1:])] = value
        else:
            context[path[-1]] = value

    # -- conditions

    def operand(self, op, attr):
        if op == "exists":
            return self.chance(0.5)
        if op == "matches":
            return self.pick(PATTERNS) if self.chance(0.7) else self.random_pattern(3)
        if op == "in_cidr":
            return self.pick(NETWORKS)
        if op.startswith("semver"):
            return self.pick(VERSIONS)
        if op in ("before", "after"):
            return self.pick(self.dates)
        if op in ("lt", "lte", "gt", "gte"):
            return self.pick(NUMBERS)
        if op in ("eq", "in"):
            value = self.value(attr if attr != "when" else "age", 0)
            return value
        text = self.value(attr, 0) if attr in TEXT_ATTRS else self.pick(STRINGS)
        start, end = sorted((self.rng.randint(0, len(text)), self.rng.randint(0, len(text))))
        cut = {"starts_with": text[:end], "ends_with": text[start:]}.get(op, text[start:end])
        return self.swap_case(cut) if self.chance(0.3) else cut

    def swap_case(self, text):
        return "".join(c.swapcase() if len(c.swapcase()) == 1 else c for c in text)

    def leaf(self):
        op = self.pick(list(OP_ATTRS))
        attr = self.pick(OP_ATTRS[op])
        if self.chance(0.07):
            attr = self.pick([key for key in KINDS if key != "label"])
        if attr in ("device", "nope") or (attr == "when" and op in ("eq", "in", "contains",
                                                                    "starts_with", "ends_with")):
            attr = attr if op == "exists" else "country"
        node = {"attr": attr, "op": op}
        operands = [self.operand(op, attr) for _ in range(self.rng.randint(1, 3))]
        if op != "exists" and self.chance(0.45 if op != "in" else 0.85):
            if op in ("eq", "in") and self.chance(0.2):
                operands.append(self.pick([1, 1.0, True, "1", "DE"]))
            if op == "in" and self.chance(0.15):
                operands += self.crowd() + self.some(NUMBERS, 0, 20)
                self.rng.shuffle(operands)
            node["values"] = operands
        else:
            node["value"] = operands[0]
            operands = operands[:1]
        if op in FOLDING_OPS and any(isinstance(item, str) for item in operands):
            if self.chance(0.45):
                node["fold"] = self.chance(0.9)
        return node

    def crowd(self):
        """Many names, some the beginning of others, to be searched among."""
        return ["user%d" % self.rng.randint(4, 5000) for _ in range(self.rng.randint(10, 80))]

    def random_pattern(self, depth):
        """Small patterns over letters that occur in the values; \\w stays away from (?i)."""
        letters = "abcdeDE.@1"
        if depth == 0:
            return self.pick(["a", "b", "c", "e", "D", "E", "\\.", "@", "1", ".", "[a-e]", "[^a]",
                              "[DE1]", "\\d", "[[:alpha:]]", "^", "$", "\\b", "é"])
        kind = self.rng.randint(0, 6)
        if kind <= 2:
            return "".join(self.random_pattern(depth - 1) for _ in range(self.rng.randint(1, 3)))
        inner = self.random_pattern(depth - 1)
        if kind == 3:
            return "(%s|%s)" % (inner, self.random_pattern(depth - 1))
        if kind == 4:
            group = self.pick(["(?:%s)", "(%s)", "(?i:%s)", "(?s:%s)", "(?m:%s)", "(?P<n>%s)"])
            return group % inner
        if kind == 5:
            low = self.rng.randint(0, 2)
            return "(?:%s){%d,%d}" % (inner, low, low + self.rng.randint(0, 2))
        return "[%s]%s" % (self.pick(letters), self.pick(["*", "+", "?", "*?", "{2}", "{1,}"]))

    def condition(self, depth=3):
        roll = self.rng.random()
        if depth == 0 or roll < 0.4:
            return self.leaf()
        if roll < 0.55:
            return {"not": self.condition(depth - 1)}
        if roll < 0.8:
            return {self.pick(["all", "any"]): [self.condition(depth - 1)
                                                for _ in range(self.rng.randint(1, 3))]}
        return self.reference() or self.leaf()

    def reference(self):
        if not self.done:
            return None
        kind, name = self.pick(self.done)
        return {"segment": name} if kind == "segment" else self.flag_reference(name)

    def flag_reference(self, key):
        return {"flag": key, "variant": self.pick(list(self.variants_of(self.flags[key])))}

    def variants_of(self, flag):
        return flag.get("variants", {"on": True, "off": False})

    def segment(self):
        segment = {}
        if self.chance(0.6):
            segment["include"] = self.some(USERS, 0, 3)
        if self.chance(0.5):
            both = self.some(segment.get("include", []), 0, 1)
            segment["exclude"] = both + self.some(USERS, 0, 3)
        if self.chance(0.8):
            segment["if"] = self.condition()
        return segment

    # -- serving

    def bucketing(self, likely):
        members = {}
        if self.chance(likely):
            members["by"] = self.pick(["companyId", "account.id", "targetingKey", "companyId",
                                       "device.os", "country"])
        if self.chance(likely):
            members["salt"] = self.pick(["s1", "", "ä:", "checkout"])
        if self.chance(likely) and (self.chance(0.3) or "salt" not in members):
            members["bucketing"] = "murmur3" if "salt" in members else self.pick(
                ["murmur3", "md5-mod100", "md5-mod100"])
        return members

    def bucket_for(self, key, flag, serve):
        """The bucket of somebody likely to ask, and whether it is one of a hundred."""
        by = serve.get("by", flag.get("by", "targetingKey"))
        salt = serve.get("salt", flag.get("salt", key))
        value = str(self.pick(USERS if by == "targetingKey" else KINDS[by]))
        if serve.get("bucketing", flag.get("bucketing")) == "md5-mod100":
            return scalars.md5_mod100_bucket(value), True
        return scalars.murmur3_bucket(salt, value), False

    def threshold(self, key, flag, serve):
        """A threshold that somebody's bucket just meets or just misses."""
        bucket, hundred = self.bucket_for(key, flag, serve)
        if hundred:
            return bucket * 1000 + self.pick([0, 1, 1000])
        return bucket + self.pick([0, 1])

    def percentage(self, key, flag, serve):
        if self.chance(0.6):
            return self.pick(PERCENTAGES)
        value = self.threshold(key, flag, serve) / 1000
        return int(value) if value.is_integer() and self.chance(0.5) else value

    def split(self, key, flag, serve):
        names = self.some(self.variants_of(flag), 1, 8)
        if self.chance(0.6) or len(names) < 2:
            weights = {name: self.pick(WEIGHTS) for name in names}
        else:
            weights = self.edge_weights(names, key, flag, serve)
        if not sum(weights.values()):
            weights[names[0]] = 1
        return weights

    def edge_weights(self, names, key, flag, serve):
        """Weights whose first bound is exactly at a bucket, or half a bucket above."""
        bound = min(self.threshold(key, flag, serve), scalars.SCALE)
        total = scalars.SCALE
        if self.chance(0.6):
            total = self.rng.randint(300000, 1000000)
            bound = (1000 * bound + self.rng.randint(500, 999)) * total // (1000 * scalars.SCALE)
            bound = min(bound, total)
        names = sorted(names, key=lambda name: name.encode("utf-8"))
        weights = dict.fromkeys(names, 0)
        weights[names[0]], weights[names[-1]] = bound, total - bound
        return weights

    def schedule(self, key, flag):
        if self.chance(0.3):
            return self.edge_ramp(key, flag)
        times, at = [], self.now + self.pick([-3 * DAY, -DAY - 1, -1, 0, 1, DAY, -1000])
        for _ in range(self.rng.randint(1, 4)):
            times.append(at)
            at += self.pick([1, 2, 3, 1000, DAY, DAY + 1, 1001])
        if self.chance(0.6 if self.now > 2**47 else 0.1):
            # A ramp over all of time: its milliseconds times 100000 exceed 64 bits.
            times = [scalars.parse_date("0001-01-02T00:00:00Z"),
                     scalars.parse_date("9999-12-30T23:59:59.999Z")]
        schedule = {"steps": [{"at": self.date_text(at), "percentage": self.pick(PERCENTAGES)}
                              for at in times]}
        if self.chance(0.7):
            schedule["interpolate"] = self.pick(["step", "linear", "linear"])
        if self.chance(0.2):
            schedule["guards"] = self.pick([{"error_rate": 1}, {"p95_ms": 0.5, "samples": 1},
                                            {"p95_ratio": 1.2, "error_rate": 0.001, "back": "zero"}])
        return schedule

    def edge_ramp(self, key, flag):
        """A linear ramp whose threshold now is a bucket and some thirds: floored, or not."""
        bucket, hundred = self.bucket_for(key, flag, {})
        bucket = bucket * 1000 if hundred else bucket
        step = self.rng.randint(0, 300)
        low, high = bucket - step, bucket + 2 * step + 2
        if self.chance(0.5):
            low, high = bucket + 1 + step, bucket - 2 * step
        low, high = (min(max(bound, 0), scalars.SCALE) for bound in (low, high))
        unit = self.pick([1, 1000, DAY])
        return {"interpolate": "linear", "steps": [
            {"at": self.date_text(self.now - unit), "percentage": low / 1000},
            {"at": self.date_text(self.now + 2 * unit), "percentage": high / 1000}]}

    def serve(self, key, flag):
        roll = self.rng.random()
        if roll < 0.4:
            return self.pick(list(self.variants_of(flag)))
        serve = self.bucketing(0.25)
        if flag["type"] == "boolean" and roll < 0.75:
            serve["percentage"] = self.percentage(key, flag, serve)
        else:
            serve["split"] = self.split(key, flag, serve)
        return serve

    # -- flags

    def variants(self, kind):
        names = self.some(VARIANTS, 1, 5)
        pool = {"string": TEXTS, "integer": INTEGERS, "double": DOUBLES, "json": JSONS}[kind]
        return {name: self.pick(pool) for name in names}

    def flag(self, key):
        kind = self.pick(["boolean"] * 5 + TYPES)
        flag = {"type": kind}
        self.flags[key] = flag
        if kind != "boolean":
            flag["variants"] = self.variants(kind)
        elif self.chance(0.2):
            flag["variants"] = self.pick([{"yes": True, "no": False}, {"on": False, "off": True},
                                          {"control": False, "treatment": True}])
        names = list(self.variants_of(flag))
        if self.chance(0.2):
            flag["enabled"] = self.chance(0.4)
        flag.update(self.bucketing(0.2))
        if kind != "boolean" or self.chance(0.25):
            flag["default"] = self.pick(names)
        if self.chance(0.3):
            flag["off"] = self.pick(names)
        flags = [name for what, name in self.done if what == "flag"]
        if flags and self.chance(0.15):
            flag["requires"] = [self.flag_reference(name) for name in self.some(flags, 0, 2)]
        self.targeting(flag, names)
        if self.chance(0.6):
            flag["rules"] = self.rules(key, flag)
        self.level(key, flag)
        self.environment(key, flag)
        if self.chance(0.1):
            flag["description"] = "ä description"
        if self.chance(0.1):
            flag["metadata"] = {"owner": "reports", "n": 1, "b": True}
        self.done.append(("flag", key))

    def targeting(self, flag, names):
        users = USERS + ["zoe"]
        self.rng.shuffle(users)
        if self.chance(0.3):
            flag["targets"] = {name: [users.pop() for _ in range(self.rng.randint(0, 2))]
                               for name in self.some(names, 0, 2)}
            for listed in flag["targets"].values():
                if listed and self.chance(0.1):
                    listed.append(listed[0])
            if self.chance(0.2) and flag["targets"]:
                self.pick(list(flag["targets"].values())).extend(sorted(set(self.crowd())))
        self.free_users = users
        if flag["type"] == "boolean" and self.chance(0.3):
            true = next(name for name, value in self.variants_of(flag).items() if value)
            both = flag.get("targets", {}).get(true, [])
            flag["beta"] = self.some(users, 0, 3) + self.some(both, 0, 1)

    def rules(self, key, flag):
        rules = []
        for index in range(self.rng.randint(0, 3)):
            rule = {"serve": self.serve(key, flag)}
            if self.chance(0.92):
                rule["if"] = self.condition()
            if self.chance(0.7):
                rule["id"] = "%s%d" % (self.pick(["eu", "rest ", "ä"]), index)
            rules.append(rule)
        return rules

    def level(self, key, flag):
        roll = self.rng.random()
        if roll < 0.15:
            flag["split"] = self.split(key, flag, {})
        elif flag["type"] == "boolean" and roll < 0.4:
            flag["percentage"] = self.percentage(key, flag, {})
        elif flag["type"] == "boolean" and roll < 0.6:
            flag["schedule"] = self.schedule(key, flag)

    def environment(self, key, flag):
        if self.chance(0.08):
            self.environ[env_key(key)] = self.pick(list(self.variants_of(flag)) * 2
                                                   + ["nonsense", "", "ON "])
        number = len(self.flags)
        env = {}
        if self.chance(0.25):
            env["enabled"] = "REPORT_%d_ENABLED" % number
            self.set(env["enabled"], ["true", "1", "YES", "oN", "false", "0", "no", "OFF", "2", "",
                                      "enabled", "t"])
        if flag["type"] == "boolean" and self.chance(0.3):
            env["beta"] = "REPORT_%d_BETA_USERS" % number
            self.set(env["beta"], ["", self.env_list(), self.env_list(), self.env_list()])
        if flag["type"] == "boolean" and self.chance(0.3):
            env["percentage"] = "REPORT_%d_PERCENTAGE" % number
            self.set(env["percentage"], ["0", "100", "25", "12.5", "33.333", "101", "-1", "abc", "",
                                         "1.2345", "50", "99.999"])
        if env or self.chance(0.03):
            flag["env"] = env

    def env_list(self):
        """Users not targeted otherwise: who wins is nowhere said."""
        users = [user for user in self.some(self.free_users, 1, 3) if user] or ["alice2"]
        return self.pick([",", ", ", " ,", "\t, "]).join(users) + self.pick(["", "", " ", "\t"])

    def set(self, name, values):
        if self.chance(0.7):
            self.environ[name] = self.pick(values)

    # -- probes: one condition, and values that just meet or just miss it

    def probe(self, index):
        """A flag that says whether one condition holds, and contexts to ask it about."""
        op = self.pick(PROBES)
        if op == "segment":
            node = {"segment": self.pick(list(self.segments))}
            contexts = [{"targetingKey": user} for user in self.some(USERS, 8, 8)]
        else:
            attr = self.pick(OP_ATTRS[op])
            node = {"attr": attr, "op": op}
            operands = [self.operand(op, attr) for _ in range(1 if self.chance(0.7) else 2)]
            node.update({"value": operands[0]} if len(operands) == 1 and self.chance(0.8)
                        else {"values": operands})
            if op in FOLDING_OPS and any(isinstance(item, str) for item in operands):
                node.update({"fold": True} if self.chance(0.4) else {})
            contexts = [self.probe_context(op, attr, operands) for _ in range(8)]
        if self.chance(0.15):
            node = {"not": node}
        key = "probe%d" % index
        self.flags[key] = {"type": "boolean", "rules": [{"if": node, "serve": "on"}]}
        return [{"flag": key, "context": context} for context in contexts]

    def probe_context(self, op, attr, operands):
        value = self.value_near(op, attr, self.pick(operands))
        if attr == "targetingKey":
            return {"targetingKey": value} if isinstance(value, str) else {}
        if self.chance(0.08):
            value = self.pick([[value], [0, value], [None, "x", value], [[value]], {"a": value}, [],
                               None])
        if "." not in attr or self.chance(0.2):
            return {attr: value}
        context = {}
        self.put_path(context, attr.split("."), value)
        return context

    def value_near(self, op, attr, operand):
        if op == "exists":
            return self.pick(["", 0, False, [], {}, [None], None, "x"])
        if op in ("lt", "lte", "gt", "gte"):
            return self.pick(self.cluster(NUMBER_CLUSTERS, operand) + ["1", True])
        if op in VERSION_OPS:
            wrong = NO_VERSIONS + [2, 1.0]
            return self.pick(self.cluster(VERSION_CLUSTERS, operand) if self.chance(0.7) else wrong)
        if op in ("before", "after"):
            return self.pick(self.dates if self.chance(0.6) else NO_DATES + [self.now + 0.5, True])
        if op == "in_cidr":
            return self.pick(ADDRESSES if self.chance(0.7) else NO_ADDRESSES + [1])
        if op == "matches":
            return self.pick(self.pick([STRINGS, STRINGS, EMAILS, NAMES, USERS]))
        if op in STRING_OPS:
            text = self.pick(["", "x", "ä"]) + operand + self.pick(["", "x", "ß"])
            return self.pick([text, operand, self.swap_case(text), operand[:-1],
                              self.value(attr), self.pick(NAMES + LABELS)])
        if op in ("eq", "in") and self.chance(0.6):
            return self.pick(self.cluster(LOOKALIKES + NUMBER_CLUSTERS, operand) + [operand])
        if op in ("eq", "in") and attr in ("name", "label"):
            return self.pick(NAMES if attr == "name" else LABELS)
        return self.value(attr)

    def cluster(self, clusters, operand):
        """Those around the operand; any, when it is in none."""
        homes = [cluster for cluster in clusters
                 if any(type(item) is type(operand) and item == operand for item in cluster)]
        return self.pick(homes or clusters)

    # -- the file

    def document(self):
        names = ([("flag", key) for key in self.some(FLAG_KEYS, 6, 14)]
                 + [("segment", name) for name in self.some(SEGMENT_KEYS, 1, 4)])
        self.rng.shuffle(names)
        for kind, name in names:
            if kind == "segment":
                self.segments[name] = self.segment()
                self.done.append((kind, name))
            else:
                self.flag(name)
        if self.chance(0.05):
            self.deep_condition()
        if self.chance(0.03):
            self.long_chain()
        return {"flags": self.flags, "segments": self.shuffled(self.segments)}

    def deep_condition(self):
        node = self.leaf()
        for _ in range(self.rng.randint(60, 95)):
            node = self.pick([{"not": node}, {"all": [node]}, {"any": [node]}])
        self.flags["deep"] = {"type": "boolean", "rules": [{"if": node, "serve": "on"}]}

    def long_chain(self):
        names = ["chain%d" % index for index in range(self.rng.randint(60, 95))]
        for name, below in zip(names, names[1:]):
            self.flags[name] = {"type": "boolean", "requires": [{"flag": below, "variant": "on"}]}
        self.flags[names[-1]] = {"type": "boolean", "beta": self.some(USERS, 1, 5)}

    def shuffled(self, members):
        items = list(members.items())
        self.rng.shuffle(items)
        return dict(items)

    def lines(self, contexts, probes, count):
        """Lines about everything, and the probes among them."""
        requests = probes[:count // 2]
        requests += [self.request(contexts) for _ in range(count - len(requests))]
        self.rng.shuffle(requests)
        return [self.bad_line() if self.chance(0.02) else self.line(request)
                for request in requests]

    def request(self, contexts):
        keys = list(self.flags)
        key = self.pick(keys) if self.chance(0.97) else self.pick(["unknown", "", "REPORT_SETUP"])
        request = {"flag": key, "context": self.pick(contexts)}
        kind = self.flags[key]["type"] if key in self.flags else "boolean"
        if self.chance(0.4):
            numeric = ["integer", "double"] * (5 if kind in ("integer", "double") else 1)
            kind = self.pick([kind] * 9 + TYPES + numeric)
            request["type"] = kind
        if self.chance(0.5):
            request["default"] = self.pick({"boolean": [True, False], "string": TEXTS,
                                            "integer": INTEGERS, "double": [0.5, 2.0, -1e300, 0.1],
                                            "json": JSONS}[kind])
        return request

    def line(self, request):
        items = list(request.items())
        self.rng.shuffle(items)
        line = json.dumps(dict(items), ensure_ascii=self.chance(0.5)).encode("utf-8")
        if self.chance(0.05):
            line = self.pick([b"  ", b"\t"]) + line + self.pick([b" ", b"\r"])
        return line

    def bad_line(self):
        good = {"flag": self.pick(list(self.flags)), "context": {}}
        changed = dict(good)
        changed.update(self.pick([{"flag": 1}, {"flag": None}, {"context": []}, {"context": "x"},
                                  {"context": None}, {"type": "bool"}, {"type": 1},
                                  {"type": "String"}]))
        text = json.dumps(good)
        if self.chance(0.4):
            return json.dumps(changed).encode()
        return self.pick([b"[]", b"5", b'"text"', b"null", b"{", b"{}", b"not json", b"true",
                          b'{"context":{}}', b'{"flag":"%s"}' % b"checkout",
                          text.encode() + b"}", text[:-1].encode(), text.encode() + b" {}",
                          b'{"flag": "\xff\xfe", "context": {}}'])

    def case(self, lines=100):
        document = self.document()
        keys = list(self.flags)
        probes = [request for index in range(lines // 16) for request in self.probe(index)]
        document["flags"] = self.shuffled(self.flags)
        text = render(document, self.rng)
        contexts = [self.context() for _ in range(30)]
        self.flags = {key: self.flags[key] for key in keys}
        batch = self.lines(contexts, probes, lines)
        return Case(document, text, self.environ, self.now, self.date_text(self.now), batch,
                    self.pick([b"\n", b"\n", b""]))


def render(document, rng):
    """The document as text, its percentages spelled in any way JSON knows."""
    text = json.dumps(document, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1, 2]))

    def spelled(found):
        whole = int(found.group(1))
        return '"percentage": ' + rng.choice([
            "%d" % whole, "%d.0" % whole, "%d.000" % whole, "%de0" % whole, "%d.00E+00" % whole,
            "%de-1" % (whole * 10), repr(whole / 10) + "e1"])
    if rng.random() < 0.3:
        text = re.sub(r'"percentage": ([0-9]+)(?:\.0)?(?=[,}\n])', spelled, text)
    return text


def generate(seed, lines=100):
    return Generator(seed).case(lines)
