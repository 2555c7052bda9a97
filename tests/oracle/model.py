"""Compiled definitions: conditions, operators, buckets, and the order in which a flag decides.

Nothing is checked here; oracle.load() builds these objects from a file it found sound. Every
object notes what it did in a counter, so that a run can show what it never exercised.
"""

from collections import Counter

import scalars

MISSING = object()


class KeyMissing(Exception):
    """A bucket was needed and `by` gave no string or integer."""


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


# ---------------------------------------------------------------- conditions


class Run:
    """One evaluation: the context, the clock, and what was seen on the way."""

    def __init__(self, definitions, context, now_ms):
        self.definitions = definitions
        self.context = context
        self.now_ms = now_ms
        self.coverage = definitions.coverage
        self.served = {}
        key = context.get("targetingKey")
        self.valid = key is None or isinstance(key, str) or is_integer(key)
        self.key = MISSING if key is None else str(key)

    def lookup(self, attr, path):
        if attr == "targetingKey":
            return self.key
        if attr in self.context:
            value = self.context[attr]
            return MISSING if value is None else value
        if len(path) == 1:
            return MISSING
        value = self.context
        for name in path:
            if not isinstance(value, dict) or name not in value:
                return MISSING
            value = value[name]
        return MISSING if value is None else value

    def serves(self, key, variant):
        """Does that flag serve that variant here, whatever the reason?"""
        if key not in self.served:
            self.served[key] = self.definitions.flags[key].decide(self)
        decision = self.served[key]
        return decision.error is None and decision.variant == variant


class Branch:
    """all, any"""

    def __init__(self, kind, items):
        self.kind = kind
        self.items = items

    def holds(self, run):
        results = [item.holds(run) for item in self.items]
        held = all(results) if self.kind == "all" else any(results)
        run.coverage["node:%s:%s" % (self.kind, held)] += 1
        return held


class Not:
    def __init__(self, item):
        self.item = item

    def holds(self, run):
        held = not self.item.holds(run)
        run.coverage["node:not:%s" % held] += 1
        return held


class InSegment:
    def __init__(self, name):
        self.name = name

    def holds(self, run):
        held = run.definitions.segments[self.name].holds(run)
        run.coverage["node:segment:%s" % held] += 1
        return held


class FlagServes:
    def __init__(self, key, variant):
        self.key = key
        self.variant = variant

    def holds(self, run):
        held = run.serves(self.key, self.variant)
        run.coverage["node:flag:%s" % held] += 1
        return held


class Leaf:
    def __init__(self, attr, op, operands, fold):
        self.attr = attr
        self.path = attr.split(".")
        self.op = op
        self.operands = operands
        self.test = OPERATORS[op].test
        self.read = OPERATORS[op].read
        self.fold = fold

    def holds(self, run):
        value = run.lookup(self.attr, self.path)
        held = self.on(value)
        run.coverage["op:%s%s:%s" % (self.op, "+fold" if self.fold else "", held)] += 1
        if value is MISSING:
            run.coverage["leaf:missing"] += 1
        elif isinstance(value, list):
            run.coverage["leaf:array:%s" % held] += 1
        return held

    def on(self, value):
        if self.op == "exists":
            return (value is not MISSING) in self.operands
        if value is MISSING:
            return False
        if isinstance(value, list):
            return any(self.matches(element) for element in value)
        return self.matches(value)

    def matches(self, value):
        value = self.read(value)
        if value is None:
            return False
        if self.fold and isinstance(value, str) and self.op != "matches":
            value = scalars.fold(value)
        return any(self.test(value, operand) for operand in self.operands)


class Operator:
    """prepare: operand of the file -> operand or None (refused); read: attribute -> value or None
    (of another type, so false); test: does it hold?"""

    def __init__(self, prepare, read, test, folds=False):
        self.prepare = prepare
        self.read = read
        self.test = test
        self.folds = folds


def only(accepts):
    return lambda value: value if accepts(value) else None


def string_with(parse):
    return lambda value: parse(value) if isinstance(value, str) else None


a_string = only(lambda value: isinstance(value, str))
a_number = only(is_number)
a_scalar = only(lambda value: isinstance(value, (str, bool, int, float)))


def same(a, b):
    """Equality of scalars: a boolean is no number, 1 and 1.0 are."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def in_network(address, network):
    return address[0] == network[0] and address[1] >> network[2] == network[1]


def on_strings(test):
    return Operator(a_string, a_string, test, folds=True)


def on_numbers(test):
    return Operator(a_number, a_number, test)


def on_dates(test):
    return Operator(scalars.as_date, scalars.as_date, test)


def on_versions(test):
    version = string_with(scalars.parse_semver)
    return Operator(version, version, test)


OPERATORS = {
    "eq": Operator(a_scalar, a_scalar, same, folds=True),
    "in": Operator(a_scalar, a_scalar, same, folds=True),
    "starts_with": on_strings(lambda a, b: a.startswith(b)),
    "ends_with": on_strings(lambda a, b: a.endswith(b)),
    "contains": on_strings(lambda a, b: b in a),
    "lt": on_numbers(lambda a, b: a < b),
    "lte": on_numbers(lambda a, b: a <= b),
    "gt": on_numbers(lambda a, b: a > b),
    "gte": on_numbers(lambda a, b: a >= b),
    "before": on_dates(lambda a, b: a < b),
    "after": on_dates(lambda a, b: a > b),
    "semver_eq": on_versions(lambda a, b: a == b),
    "semver_lt": on_versions(lambda a, b: a < b),
    "semver_lte": on_versions(lambda a, b: a <= b),
    "semver_gt": on_versions(lambda a, b: a > b),
    "semver_gte": on_versions(lambda a, b: a >= b),
    "matches": Operator(a_string, a_string, lambda a, b: b.search(a), folds=True),
    "in_cidr": Operator(string_with(scalars.parse_network), string_with(scalars.parse_address),
                        in_network),
    "exists": Operator(only(lambda value: isinstance(value, bool)), None, None),
}


class Segment:
    def __init__(self, include, exclude, condition):
        self.include = include
        self.exclude = exclude
        self.condition = condition

    def holds(self, run):
        if run.key is not MISSING and run.key in self.include:
            run.coverage["segment:include"] += 1
            return True
        if run.key is not MISSING and run.key in self.exclude:
            run.coverage["segment:exclude"] += 1
            return False
        return self.condition is not None and self.condition.holds(run)


# ---------------------------------------------------------------- serving


class Decision:
    def __init__(self, variant, reason, rule_id=None, bucket=None, error=None):
        self.variant = variant
        self.reason = reason
        self.rule_id = rule_id
        self.bucket = bucket
        self.error = error


def failed(error):
    return Decision(None, "ERROR", error=error)


class Bucketing:
    def __init__(self, by, salt, md5):
        self.by = by
        self.path = by.split(".")
        self.salt = salt
        self.md5 = md5

    def of(self, run):
        """(bucket as reported, bucket on the scale of thresholds)"""
        value = run.lookup(self.by, self.path)
        if is_integer(value):
            value = str(value)
        if not isinstance(value, str):
            raise KeyMissing()
        run.coverage["bucket:%s" % ("md5-mod100" if self.md5 else "murmur3")] += 1
        if self.md5:
            bucket = scalars.md5_mod100_bucket(value)
            return bucket, bucket * 1000
        bucket = scalars.murmur3_bucket(self.salt, value)
        return bucket, bucket


class Constant:
    def __init__(self, variant):
        self.variant = variant

    def choose(self, run):
        return self.variant, None


class Split:
    def __init__(self, weights, bucketing):
        self.names = sorted(weights, key=lambda name: name.encode("utf-8"))
        self.weights = [weights[name] for name in self.names]
        self.bucketing = bucketing

    def choose(self, run):
        positive = [name for name, weight in zip(self.names, self.weights) if weight]
        if len(positive) == 1:
            run.coverage["split:one positive weight"] += 1
            return positive[0], None
        bucket, scaled = self.bucketing.of(run)
        total, sum_so_far = sum(self.weights), 0
        for name, weight in zip(self.names, self.weights):
            sum_so_far += weight
            if scaled < sum_so_far * scalars.SCALE // total:
                return name, bucket
        raise AssertionError("the last bound is 100000")


class Percentage:
    """Also a schedule: threshold is a function of the clock. Out of it the flag's default."""

    def __init__(self, threshold, inside, flag, bucketing):
        self.threshold = threshold
        self.inside = inside
        self.flag = flag
        self.bucketing = bucketing

    def choose(self, run):
        threshold = self.threshold(run.now_ms)
        if threshold <= 0 or threshold >= scalars.SCALE:
            run.coverage["percentage:%s" % ("0" if threshold <= 0 else "100")] += 1
            return (self.flag.default if threshold <= 0 else self.inside), None
        bucket, scaled = self.bucketing.of(run)
        run.coverage["percentage:%s" % ("in" if scaled < threshold else "out")] += 1
        return (self.inside if scaled < threshold else self.flag.default), bucket


def constant_threshold(threshold):
    return lambda now_ms: threshold


def step_threshold(steps):
    def at(now_ms):
        reached = [threshold for start, threshold in steps if start <= now_ms]
        return reached[-1] if reached else 0
    return at


def linear_threshold(steps):
    def at(now_ms):
        if now_ms < steps[0][0]:
            return 0
        for (start, low), (end, high) in zip(steps, steps[1:]):
            if now_ms < end:
                # // floors towards minus infinity, on a falling ramp too.
                return low + (high - low) * (now_ms - start) // (end - start)
        return steps[-1][1]
    return at


class Rule:
    def __init__(self, rule_id, condition, serve):
        self.id = rule_id
        self.condition = condition
        self.serve = serve


class Flag:
    """Filled by the loader; level is the flag's own percentage, schedule or split, or None."""

    key = type = variants = default = off = level = forced = None
    enabled = True

    def __init__(self):
        self.requires = []
        self.targets = {}
        self.rules = []

    def decide(self, run):
        if self.forced is not None:
            return Decision(self.forced, "STATIC")
        if not run.valid:
            return failed("INVALID_CONTEXT")
        if not self.enabled:
            return Decision(self.off, "DISABLED")
        for key, variant in self.requires:
            if not run.serves(key, variant):
                return Decision(self.off, "DEFAULT", "requires")
        if run.key is not MISSING and run.key in self.targets:
            return Decision(self.targets[run.key], "TARGETING_MATCH")
        try:
            return self.decide_by_rules(run)
        except KeyMissing:
            return failed("TARGETING_KEY_MISSING")

    def decide_by_rules(self, run):
        for rule in self.rules:
            if rule.condition is None or rule.condition.holds(run):
                variant, bucket = rule.serve.choose(run)
                reason = "TARGETING_MATCH" if bucket is None else "SPLIT"
                run.coverage["rule:%s:%s" % (type(rule.serve).__name__, reason)] += 1
                return Decision(variant, reason, rule.id, bucket)
        if self.level:
            variant, bucket = self.level.choose(run)
            reason = "DEFAULT" if bucket is None else "SPLIT"
            run.coverage["level:%s:%s" % (type(self.level).__name__, reason)] += 1
            return Decision(variant, reason, None, bucket)
        plain = not (self.requires or self.targets or self.rules)
        return Decision(self.default, "STATIC" if plain else "DEFAULT")


class Definitions:
    def __init__(self):
        self.flags = {}
        self.segments = {}
        self.coverage = Counter()
