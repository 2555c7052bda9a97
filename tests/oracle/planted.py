#!/usr/bin/env python3
"""Bugs planted into copies of the oracle, to see whether the differential would find them.

    planted.py [--count N] [NAME…]

Each bug replaces one piece of source text. A bug that is not found within N evaluations means
that the generator does not exercise what it breaks. Exit 1 when one is missed.
"""

import argparse
import functools
import os
import sys
import types
from collections import Counter

import differential
import oracle
import scalars
from generate import generate
from oracle import split_lines

FOLDER = os.path.dirname(os.path.abspath(__file__))
MODULES = ("scalars", "jsontext", "pattern", "model", "oracle")

BUGS = [
    # name, what stands there, what a tired programmer writes
    ('bucket-seed',
     'def murmur3_32(data, seed=0)',
     'def murmur3_32(data, seed=1)'),
    ('bucket-modulo',
     '* SCALE) >> 32',
     '% SCALE)'),
    ('bucket-separator',
     '(salt + ":" + value)',
     '(salt + value)'),
    ('bucket-tail',
     'if len(data) > whole:',
     'if len(data) > whole + 1:'),
    ('md5-little-endian',
     'int(hashlib.md5(value.encode("utf-8")).hexdigest(), 16)',
     "int.from_bytes(hashlib.md5(value.encode('utf-8')).digest(), 'little')"),
    ('md5-32-bits',
     '.hexdigest(), 16)',
     '.hexdigest()[:8], 16)'),
    ('percentage-inclusive',
     'if scaled < threshold else "out")] += 1\n'
     '        return (self.inside if scaled < threshold',
     'if scaled < threshold else "out")] += 1\n'
     '        return (self.inside if scaled <= threshold'),
    ('split-inclusive',
     'if scaled < sum_so_far * scalars.SCALE // total',
     'if scaled <= sum_so_far * scalars.SCALE // total'),
    ('split-order',
     'self.names = sorted(weights, key=lambda name: name.encode("utf-8"))',
     'self.names = list(weights)'),
    ('split-rounds',
     'sum_so_far * scalars.SCALE // total',
     'round(sum_so_far * scalars.SCALE / total)'),
    ('split-one-weight-buckets',
     'if len(positive) == 1:',
     'if len(weights) == 1:'),
    ('percentage-0-buckets',
     'if threshold <= 0 or threshold >= scalars.SCALE:',
     'if threshold >= scalars.SCALE:'),
    ('percentage-100-buckets',
     'if threshold <= 0 or threshold >= scalars.SCALE:',
     'if threshold <= 0:'),
    ('percentage-truncates',
     'exact = Decimal(repr(value)) * 1000',
     'exact = Decimal(int(value * 1000))'),
    ('out-serves-false',
     'if scaled < threshold else self.flag.default), bucket',
     'if scaled < threshold else next(n for n, v in self.flag.variants.items() if not '
     'v)), bucket'),
    ('double-keys',
     'if is_integer(value):\n'
     '            value = str(value)',
     'if is_number(value):\n'
     '            value = str(value)'),
    ('empty-key-missing',
     'if not isinstance(value, str):\n'
     '            raise KeyMissing',
     'if not value or not isinstance(value, str):\n'
     '            raise KeyMissing'),
    ('inherited-salt-lost',
     'salt if "salt" in holder else inherited.salt',
     'salt'),
    ('inherited-by-lost',
     'by if "by" in holder else inherited.by',
     'by'),
    ('inherited-bucketing-lost',
     'else inherited.md5)',
     'else False)'),
    ('empty-salt-default',
     'salt if "salt" in holder else inherited.salt',
     "salt if holder.get('salt') else inherited.salt"),
    ('step-not-reached-at',
     'if start <= now_ms]',
     'if start < now_ms]'),
    ('before-first-step',
     'return reached[-1] if reached else 0',
     'return reached[-1] if reached else steps[0][1]'),
    ('linear-truncates',
     '(high - low) * (now_ms - start) // (end - start)',
     'int((high - low) * (now_ms - start) / (end - start))'),
    ('linear-rounds',
     '(high - low) * (now_ms - start) // (end - start)',
     'round((high - low) * (now_ms - start) / (end - start))'),
    ('linear-overflows',
     'low + (high - low) * (now_ms - start) // (end - start)',
     'low + (((high - low) * (now_ms - start) + 2**63) % 2**64 - 2**63) // (end - start)'),
    ('linear-at-last',
     'return steps[-1][1]\n'
     '    return at',
     'return 100000\n'
     '    return at'),
    ('linear-before',
     'if now_ms < steps[0][0]:\n'
     '            return 0',
     'if now_ms < steps[0][0]:\n'
     '            return steps[0][1]'),
    ('disabled-before-forced',
     'if self.forced is not None:',
     'if self.forced is not None and self.enabled:'),
    ('disabled-serves-default',
     'Decision(self.off, "DISABLED")',
     'Decision(self.default, "DISABLED")'),
    ('context-before-forced',
     'if self.forced is not None:',
     'if self.forced is not None and run.valid:'),
    ('disabled-before-context',
     'if not run.valid:',
     'if not run.valid and self.enabled:'),
    ('requires-only-first',
     'for key, variant in self.requires:',
     'for key, variant in self.requires[:1]:'),
    ('requires-default',
     'Decision(self.off, "DEFAULT", "requires")',
     'Decision(self.default, "DEFAULT", "requires")'),
    ('requires-after-targets',
     'if not run.serves(key, variant):',
     'if run.key not in self.targets and not run.serves(key, variant):'),
    ('disabled-serves-none',
     'return decision.error is None and decision.variant == variant',
     "return decision.error is None and decision.reason != 'DISABLED' and "
     'decision.variant == variant'),
    ('rules-before-targets',
     'if run.key is not MISSING and run.key in self.targets:',
     'if run.key is not MISSING and run.key in self.targets and not self.rules:'),
    ('rule-split-match',
     'reason = "TARGETING_MATCH" if bucket is None else "SPLIT"',
     'reason = "TARGETING_MATCH"'),
    ('rule-constant-split',
     'reason = "TARGETING_MATCH" if bucket is None else "SPLIT"',
     'reason = "TARGETING_MATCH" if isinstance(rule.serve, Constant) else "SPLIT"'),
    ('level-without-bucket',
     'reason = "DEFAULT" if bucket is None else "SPLIT"',
     'reason = "SPLIT"'),
    ('static-despite-requires',
     'plain = not (self.requires or',
     'plain = not ('),
    ('static-despite-rules',
     'or self.targets or self.rules)',
     'or self.targets)'),
    ('static-despite-targets',
     'or self.targets or self.rules)',
     'or self.rules)'),
    ('static-never',
     '"STATIC" if plain else',
     "'DEFAULT' if plain else"),
    ('default-true-with-level',
     'bare = not (flag.targets or flag.rules) and (',
     'bare = not (flag.targets or flag.rules) or ('),
    ('default-true-with-beta',
     'bare = not (flag.targets or flag.rules)',
     'bare = not (flag.rules)'),
    ('default-true-with-rules',
     'bare = not (flag.targets or flag.rules)',
     'bare = not (flag.targets)'),
    ('default-before-environment',
     'bare = not (flag.targets or flag.rules)',
     "bare = not (flag.targets or flag.rules or definition.get('beta'))"),
    ('off-is-default',
     'flag.off = false if flag.off is None else flag.off',
     "flag.off = 'off' if flag.off is None and 'off' in flag.variants else flag.off or false"),
    ('beta-not-cleared',
     'if listed is not None:',
     'if listed:'),
    ('beta-adds',
     'beta = [user for user in (part.strip()',
     'beta = beta + [user for user in (part.strip()'),
    ('beta-not-trimmed',
     '(part.strip() for part',
     '(part for part'),
    ('beta-keeps-percentage',
     'if beta:\n'
     '                level',
     'if False:\n'
     '                level'),
    ('beta-beats-percentage',
     'if percent is not None and re',
     'if percent and not listed and re'),
    ('beta-drops-targets',
     'for user in beta:\n'
     '            flag.targets[user]',
     'if listed:\n'
     '            flag.targets = {}\n'
     '        for user in beta:\n'
     '            flag.targets[user]'),
    ('words-case',
     'words.lower() in TRUE_WORDS + FALSE_WORDS',
     'words in TRUE_WORDS + FALSE_WORDS'),
    ('bad-word-is-false',
     'if words is not None and words.lower() in TRUE_WORDS + FALSE_WORDS:',
     'if words is not None:'),
    ('percent-over-100',
     'if float(percent) <= 100 else None',
     'if float(percent) <= 100 else 100000'),
    ('force-upper',
     'else "_"\n',
     'else chr(byte)\n'),
    ('force-unknown',
     'if forced in flag.variants:',
     'if forced and forced.strip().lower() in flag.variants:'),
    ('missing-not',
     'held = not self.item.holds(run)',
     'held = not self.item.holds(run) and not (isinstance(self.item, Leaf) and '
     "run.lookup(self.item.attr, self.item.path) is MISSING and self.item.op != 'exists')"),
    ('null-is-a-value',
     'value = self.context[attr]\n'
     '            return MISSING if value is None else value',
     'value = self.context[attr]\n'
     '            return value'),
    ('null-name-then-path',
     'if attr in self.context:',
     'if self.context.get(attr) is not None:'),
    ('path-before-name',
     'if attr in self.context:\n',
     "if attr in self.context and not ('.' in attr and "
     "isinstance(self.context.get(attr.split('.')[0]), dict)):\n"),
    ('names-at-every-level',
     'if not isinstance(value, dict) or name not in value:\n'
     '                return MISSING',
     "if isinstance(value, dict) and '.'.join(path[1:]) in value:\n"
     "                return value['.'.join(path[1:])]\n"
     '            if not isinstance(value, dict) or name not in value:\n'
     '                return MISSING'),
    ('key-as-number',
     'else str(key)\n',
     'else key\n'),
    ('boolean-is-number',
     'return isinstance(a, bool) == isinstance(b, bool) and a == b',
     'return a == b'),
    ('double-compare',
     '"lt": on_numbers(lambda a, b: a < b)',
     '"lt": on_numbers(lambda a, b: float(a) < float(b))'),
    ('double-compare-gte',
     '"gte": on_numbers(lambda a, b: a >= b)',
     '"gte": on_numbers(lambda a, b: float(a) >= float(b))'),
    ('double-equality',
     'isinstance(b, bool) and a == b',
     'isinstance(b, bool) and (float(a) == float(b) if is_number(a) and is_number(b) else '
     'a == b)'),
    ('types-in-equality',
     'return isinstance(a, bool) == isinstance(b, bool) and a == b',
     'return type(a) is type(b) and a == b'),
    ('lt-is-lte',
     '"lt": on_numbers(lambda a, b: a < b)',
     '"lt": on_numbers(lambda a, b: a <= b)'),
    ('before-inclusive',
     '"before": on_dates(lambda a, b: a < b)',
     '"before": on_dates(lambda a, b: a <= b)'),
    ('after-inclusive',
     '"after": on_dates(lambda a, b: a > b)',
     '"after": on_dates(lambda a, b: a >= b)'),
    ('semver-gte',
     '"semver_gte": on_versions(lambda a, b: a >= b)',
     '"semver_gte": on_versions(lambda a, b: a > b)'),
    ('semver-lte',
     '"semver_lte": on_versions(lambda a, b: a <= b)',
     '"semver_lte": on_versions(lambda a, b: a < b)'),
    ('array-all',
     'return any(self.matches(element) for element in value)',
     'return all(self.matches(element) for element in value)'),
    ('array-nested',
     'value = self.read(value)\n',
     'if isinstance(value, list):\n'
     '            return any(self.matches(v) for v in value)\n'
     '        value = self.read(value)\n'),
    ('values-first-only',
     'for operand in self.operands)',
     'for operand in self.operands[:1])'),
    ('exists-empty-array',
     'return (value is not MISSING) in self.operands',
     'return (value is not MISSING and value != []) in self.operands'),
    ('exists-always-true',
     'return (value is not MISSING) in self.operands',
     'return value is not MISSING'),
    ('exclude-wins',
     'if run.key is not MISSING and run.key in self.include:',
     'if run.key is not MISSING and run.key in self.include and run.key not in self.exclude:'),
    ('exclude-ignored',
     'if run.key is not MISSING and run.key in self.exclude:',
     'if False:'),
    ('segment-without-if',
     'return self.condition is not None and self.condition.holds(run)',
     'return self.condition is None or self.condition.holds(run)'),
    ('any-all',
     'all(results) if self.kind == "all" else any(results)',
     'all(results)'),
    ('fold-full',
     'return text.translate(folding())',
     'return text.casefold()'),
    ('fold-ascii',
     'return text.translate(folding())',
     "return ''.join(c.lower() if c < chr(128) else c for c in text)"),
    ('fold-lower',
     'return text.translate(folding())',
     'return text.lower()'),
    ('fold-one-side',
     'value = scalars.fold(value)',
     'pass'),
    ('semver-v-upper',
     'r"v?(0|',
     'r"[vV]?(0|'),
    ('semver-no-v',
     'r"v?(0|',
     'r"(0|'),
    ('semver-strict-parts',
     '(0|[1-9][0-9]*))?(?:\\.(0|[1-9][0-9]*))?"',
     '(0|[1-9][0-9]*))?(?:\\.(0|[1-9][0-9]*))"'),
    ('semver-zeros',
     'r"v?(0|[1-9][0-9]*)(',
     'r"v?([0-9]+)('),
    ('semver-pre-zeros',
     'elif len(part) > 1 and part[0] == "0":',
     'elif False:'),
    ('semver-text-compare',
     'if not part.isdigit():',
     'if True:'),
    ('semver-numbers-last',
     'identifiers.append((0, int(part)',
     'identifiers.append((2, int(part)'),
    ('semver-release-lowest',
     'return numbers + ((1,),)',
     'return numbers + ((-1,),)'),
    ('semver-64-bits',
     'tuple(int(part or 0)',
     'tuple(int(part or 0) % 2**64'),
    ('date-space',
     '[Tt]([0-9]{2})',
     '[Tt ]([0-9]{2})'),
    ('date-lower',
     '(?:[Zz]|',
     '(?:Z|'),
    ('date-60',
     'or second > 59',
     'or second > 60'),
    ('date-24',
     'if hour > 23',
     'if hour > 24'),
    ('date-offset-sign',
     'if found.group(8) == "-":',
     'if found.group(8) == "+":'),
    ('date-no-millis',
     '+ "000")[:3])',
     '+ "000")[:3]) * 0'),
    ('date-fraction-as-number',
     '((found.group(7) or "") + "000")[:3]',
     '(found.group(7) or "0")[:3]'),
    ('date-fractional-number',
     'isinstance(value, float) and value.is_integer()',
     'isinstance(value, float)'),
    ('date-double-beyond',
     'if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT_DOUBLE',
     'if isinstance(value, float) and value.is_integer()'),
    ('date-offset-range',
     'if int(found.group(9)) > 23 or',
     'if'),
    ('cidr-mapped',
     'return 6, int(ipaddress.IPv6Address(text))',
     'mapped = ipaddress.IPv6Address(text).ipv4_mapped\n'
     '            return (4, int(mapped)) if mapped else (6, int(ipaddress.IPv6Address(text)))'),
    ('cidr-host-bits',
     'return family, number >> shift, shift',
     'return (family, number >> shift, shift) if number & ((1 << shift) - 1) == 0 else '
     '(family, -1, shift)'),
    ('cidr-zone',
     'if "%" in text or not',
     'text = text.split("%")[0]\n'
     '    if not'),
    ('cidr-family',
     'return address[0] == network[0] and address[1] >>',
     'return address[1] >>'),
    ('cidr-bytes',
     '    shift = bits - int(length)\n',
     '    shift = (bits - int(length)) // 8 * 8\n'),
    ('regex-anchored',
     'frozenset(range(len(text) + 1))',
     'frozenset([0])'),
    ('regex-dollar',
     '"end": lambda text, at: at == len(text)',
     '"end": lambda text, at: text[at:] in ("", "\\n")'),
    ('regex-dot-newline',
     'return node[1] or char != "\\n"',
     'return True'),
    ('regex-multiline',
     'return ("line-start",) if self.m else ("start",)',
     'return ("line-start",)'),
    ('regex-scope',
     'self.i, self.m, self.s = before',
     'pass'),
    ('regex-fold',
     'self.i, self.m, self.s = fold, False, False',
     'self.i, self.m, self.s = False, False, False'),
    ('regex-bounds',
     'while frontier and more != low:',
     'while frontier:'),
    ('regex-boundary',
     '"boundary": boundary',
     '"boundary": lambda text, at: True'),
    ('regex-negated',
     'return hit != self.negated',
     'return hit'),
    ('get-double-as-integer',
     'whole = value.is_integer() and abs(value) <= scalars.EXACT_DOUBLE',
     'whole = value.is_integer() and abs(value) < 2**63'),
    ('get-double-edge',
     'abs(value) <= scalars.EXACT_DOUBLE',
     'abs(value) < scalars.EXACT_DOUBLE'),
    ('get-double-truncates',
     'return int(value) if whole else MISSING',
     'return int(value) if abs(value) < 2**53 else MISSING'),
    ('get-integer-rounds',
     'return float(value) if float(value) == value else MISSING',
     'return float(value)'),
    ('get-integer-edge',
     'return float(value) if float(value) == value else MISSING',
     'return float(value) if abs(value) <= 2**53 else MISSING'),
    ('mismatch-beats-error',
     '    if decision.error is None:\n',
     '    if flag and type not in (None, flag.type) and decision.error:\n'
     "        decision = failed('TYPE_MISMATCH')\n"
     '    if decision.error is None:\n'),
    ('mismatch-keeps-rule',
     'decision, value = failed("TYPE_MISMATCH"), default',
     'decision = Decision(None, "ERROR", decision.rule_id, None, "TYPE_MISMATCH")\n'
     '            value = default'),
    ('error-keeps-variant',
     'failed("TYPE_MISMATCH"), default',
     'Decision(decision.variant, "ERROR", error="TYPE_MISMATCH"), default'),
    ('no-default-is-zero',
     'request.get("default")\n',
     'request.get("default", 0)\n'),
    ('bad-line-exit',
     '            code = 6\n',
     '            pass\n'),
    ('bad-line-number',
     'enumerate(lines, 1)',
     'enumerate(lines, 0)'),
    ('double-format',
     'range(1, 18)',
     'range(17, 18)'),
    ('cycle-by-requires-only',
     'self.refer(("segment", name), here)',
     'pass'),
    ('twice-accepted',
     'if value.twice is not None:',
     'if False:'),
    ('collision-accepted',
     '        if name in seen:',
     '        if False and name in seen:'),
    ('unknown-keys-accepted',
     '        if key not in allowed:',
     '        if False:'),
    ('four-decimals',
     'if exact != exact.to_integral_value():',
     'if False:'),
    ('depth-unlimited',
     'if depth > MAX_DEPTH:',
     'if False:'),
    ('chain-unlimited',
     'if deepest > MAX_DEPTH:',
     'if False:'),
    ('position-of-parent',
     'positions(error.pointer)[0]',
     "positions(error.pointer.rpartition('/')[0])[0]"),
    ('md5-split-unscaled',
     'if scaled < sum_so_far * scalars.SCALE // total',
     'if bucket < sum_so_far * scalars.SCALE // total'),
    ('beta-over-targets',
     'for user in beta:\n'
     '            flag.targets[user] = true',
     'if beta:\n'
     '            flag.targets = {user: name for user, name in flag.targets.items()\n'
     '                            if name != true}\n'
     '        for user in beta:\n'
     '            flag.targets[user] = true'),
]


def sources():
    result = {}
    for name in MODULES:
        with open(os.path.join(FOLDER, name + ".py"), encoding="utf-8") as file:
            result[name] = file.read()
    return result


def planted(stands, written):
    """The oracle module of a copy in which one piece of text was replaced."""
    texts = sources()
    homes = [name for name in MODULES if stands in texts[name]]
    if len(homes) != 1 or texts[homes[0]].count(stands) != 1:
        raise ValueError("not once in %s: %s" % (homes or "any module", stands))
    texts[homes[0]] = texts[homes[0]].replace(stands, written)
    saved = {name: sys.modules.pop(name, None) for name in MODULES}
    try:
        for name in MODULES:
            copy = sys.modules[name] = types.ModuleType(name)
            exec(compile(texts[name], "planted " + name, "exec"), copy.__dict__)
        return sys.modules["oracle"]
    finally:
        sys.modules.update({name: kept for name, kept in saved.items() if kept})


def as_program(module):
    """A module like oracle, in the place of a program."""
    def program(text, batch, environ, at_text):
        try:
            code, answers, error = module.run(text, split_lines(batch), environ,
                                              scalars.parse_date(at_text), differential.FILE_NAME)
        except Exception as crash:      # a planted bug may do anything
            return -6, b"", repr(crash).encode()
        return (code, "".join(answer + "\n" for answer in answers).encode("utf-8"),
                (error + "\n").encode("utf-8") if error else b"")
    return program


@functools.lru_cache(maxsize=None)
def sample(seed):
    case = generate(seed, differential.LINES_PER_FILE)
    return case, oracle.load(case.text, case.environ)


def found_after(module, limit):
    """Evaluations until the first difference and its kind, or None."""
    program, evaluations, ignored = as_program(module), 0, Counter()
    while evaluations < limit:
        seed = evaluations // differential.LINES_PER_FILE
        case, definitions = sample(seed)
        differences = differential.compare_valid(program, seed, case, definitions, ignored)
        for index in range(2 * seed, 2 * seed + 2):
            differences += differential.compare_malformed(program, index, case, ignored)
        evaluations += len(case.lines)
        if differences:
            return evaluations, differences[0].kind
    return None


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--count", type=int, default=40000)
    options = parser.parse_args(argv)
    missed = 0
    for name, stands, written in BUGS:
        if options.names and name not in options.names:
            continue
        found = found_after(planted(stands, written), options.count)
        missed += found is None
        print("%-26s %s" % (name, "MISSED" if found is None else "after %6d: %s" % found),
              flush=True)
    print("%d missed" % missed)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
