"""The regular expressions of `matches`: RE2 syntax without captures, back-references and \\p.

A pattern is parsed into a tree and matched by moving a set of positions through it, which needs
no backtracking and shares nothing with Python's `re`, whose `$`, `\\d` and case rules differ.
Only what the design lists is accepted; anything doubtful raises Refused.
"""

import functools

from scalars import folding, orbits

MAX_REPEAT = 1000

DIGIT = frozenset("0123456789")
SPACE = frozenset("\t\n\f\r ")
LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
WORD = DIGIT | LETTERS | {"_"}
PERL = {"d": DIGIT, "s": SPACE, "w": WORD}
ASCII = frozenset(chr(code) for code in range(128))
PUNCT = frozenset(c for c in ASCII if c.isprintable() and c != " " and c not in DIGIT | LETTERS)
POSIX = {
    "alnum": DIGIT | LETTERS, "alpha": LETTERS, "ascii": ASCII, "blank": frozenset(" \t"),
    "cntrl": frozenset(c for c in ASCII if ord(c) < 32 or ord(c) == 127), "digit": DIGIT,
    "graph": PUNCT | DIGIT | LETTERS,
    "lower": frozenset(c for c in LETTERS if c.islower()),
    "print": PUNCT | DIGIT | LETTERS | {" "}, "punct": PUNCT,
    "space": frozenset(" \t\n\v\f\r"), "upper": frozenset(c for c in LETTERS if c.isupper()),
    "word": WORD, "xdigit": frozenset("0123456789abcdefABCDEF"),
}
ESCAPES = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Refused(Exception):
    """The pattern is not one of ours."""


@functools.lru_cache(maxsize=4096)
def same_letters(char):
    """Every character equal to this one when case is ignored."""
    code = ord(char)
    return frozenset(chr(c) for c in orbits().get(folding().get(code, code), (code,)))


class Set:
    """A class: single characters, ranges, and complements of ASCII classes (\\D, [:^alpha:])."""

    def __init__(self):
        self.chars = set()
        self.ranges = []
        self.complements = []
        self.negated = False
        self.fold = False

    def has(self, char):
        alike = same_letters(char) if self.fold else (char,)
        hit = any(c in self.chars or any(lo <= c <= hi for lo, hi in self.ranges) for c in alike)
        # A complement is taken of the folded class: (?i)[[:^upper:]] has no letters at all.
        hit = hit or any(all(c not in chars for c in alike) for chars in self.complements)
        return hit != self.negated


class Parser:
    def __init__(self, text, fold):
        self.text = text
        self.at = 0
        self.i, self.m, self.s = fold, False, False

    def peek(self, ahead=0):
        at = self.at + ahead
        return self.text[at] if at < len(self.text) else ""

    def take(self, expected=None):
        char = self.peek()
        if not char or (expected and char != expected):
            raise Refused("unexpected end or character")
        self.at += 1
        return char

    def looking_at(self, literal):
        return self.text.startswith(literal, self.at)

    def parse(self):
        tree = self.alternation()
        if self.at != len(self.text):
            raise Refused("unmatched )")
        return tree

    def alternation(self):
        branches = [self.sequence()]
        while self.peek() == "|":
            self.at += 1
            branches.append(self.sequence())
        return branches[0] if len(branches) == 1 else ("alt", branches)

    def sequence(self):
        items = []
        while self.peek() and self.peek() not in "|)":
            atom = self.atom()
            if atom is not None:
                items.append(self.repeated(atom))
        return ("seq", items)

    def repeated(self, atom):
        bounds = self.bounds()
        if bounds is None:
            return atom
        low, high = bounds
        if self.peek() == "?":
            self.at += 1
        if self.bounds() is not None:
            raise Refused("repetition of a repetition")
        return ("rep", atom, low, high)

    def bounds(self):
        char = self.peek()
        if char and char in "*+?":
            self.at += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        if char != "{":
            return None
        end = self.text.find("}", self.at)
        low, comma, high = self.text[self.at + 1:max(end, self.at + 1)].partition(",")
        if end < 0 or not decimal(low) or (high and not decimal(high)):
            raise Refused("a brace that is no repetition")
        self.at = end + 1
        low, high = int(low), (int(low) if not comma else int(high) if high else None)
        if low > MAX_REPEAT or (high is not None and (high > MAX_REPEAT or high < low)):
            raise Refused("bad repetition")
        return low, high

    def atom(self):
        char = self.take()
        if char == "(":
            return self.group()
        if char == "[":
            return self.bracket()
        if char == ".":
            return ("any", self.s)
        if char == "^":
            return ("line-start",) if self.m else ("start",)
        if char == "$":
            return ("line-end",) if self.m else ("end",)
        if char == "\\":
            return self.escape()
        if char in "*+?{":
            raise Refused("nothing to repeat")
        return self.literal(char)

    def literal(self, char):
        return ("chars", same_letters(char) if self.i else frozenset(char))

    def group(self):
        before = self.i, self.m, self.s
        if self.peek() == "?":
            self.at += 1
            if self.looking_at("P<") or (self.looking_at("<") and self.peek(1) not in ("=", "!")):
                self.name()
            elif self.flags():
                return None
        tree = self.alternation()
        self.take(")")
        self.i, self.m, self.s = before
        return tree

    def name(self):
        self.at = self.text.index("<", self.at) + 1
        end = self.text.find(">", self.at)
        name = self.text[self.at:max(end, self.at)]
        if not name or any(c not in WORD for c in name):
            raise Refused("bad group name")
        self.at = end + 1

    def flags(self):
        """After "(?": True when the flags stand alone and hold until the group around ends."""
        on, seen, after_minus = True, False, False
        while True:
            char = self.take()
            if char == "-" and on:
                on, after_minus = False, True
            elif char in ("i", "m", "s"):
                setattr(self, char, on)
                seen, after_minus = True, False
            elif char in (":", ")") and not after_minus:
                if char == ")" and not seen:
                    raise Refused("empty flags")
                return char == ")"
            else:
                raise Refused("unknown group")

    def escape(self):
        char = self.take()
        if char in "AzbB":
            return ({"A": "start", "z": "end", "b": "boundary", "B": "no-boundary"}[char],)
        if char.lower() in PERL:
            members = Set()
            add_class(members, PERL[char.lower()], char.isupper())
            members.fold = self.i
            return ("set", members)
        return self.literal(self.escaped(char))

    def escaped(self, char):
        if char in ESCAPES:
            return ESCAPES[char]
        if char == "x":
            return self.hexadecimal()
        if char in PUNCT:
            return char
        raise Refused("unknown escape")

    def hexadecimal(self):
        if self.peek() == "{":
            end = self.text.find("}", self.at)
            digits = self.text[self.at + 1:max(end, self.at + 1)]
            self.at = end + 1
        else:
            digits = self.text[self.at:self.at + 2]
            self.at += 2
            if len(digits) != 2:
                raise Refused("bad \\x")
        if not digits or any(c not in POSIX["xdigit"] for c in digits):
            raise Refused("bad \\x")
        code = int(digits, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise Refused("no such code point")
        return chr(code)

    def bracket(self):
        members = Set()
        members.fold = self.i
        if self.peek() == "^":
            self.at += 1
            members.negated = True
        first = True
        while first or self.peek() != "]":
            first = False
            self.member(members)
        self.take("]")
        return ("set", members)

    def member(self, members):
        if self.looking_at("[:"):
            return self.posix(members)
        if self.peek() == "\\" and self.peek(1).lower() in PERL:
            char = self.text[self.at + 1]
            self.at += 2
            return add_class(members, PERL[char.lower()], char.isupper())
        low = self.single()
        if self.peek() != "-" or self.peek(1) in ("", "]"):
            members.chars.add(low)
            return None
        self.at += 1
        high = self.single()
        if high < low:
            raise Refused("bad range")
        members.ranges.append((low, high))
        return None

    def single(self):
        char = self.take()
        return self.escaped(self.take()) if char == "\\" else char

    def posix(self, members):
        end = self.text.find(":]", self.at)
        name = self.text[self.at + 2:max(end, self.at + 2)]
        negated = name.startswith("^")
        if end < 0 or name.lstrip("^") not in POSIX:
            raise Refused("no such class")
        self.at = end + 2
        add_class(members, POSIX[name.lstrip("^")], negated)


def decimal(text):
    return bool(text) and all(c in DIGIT for c in text)


def add_class(members, chars, negated):
    if negated:
        members.complements.append(chars)
    else:
        members.chars |= chars


# ---------------------------------------------------------------- matching


def boundary(text, at):
    before = at > 0 and text[at - 1] in WORD
    return before != (at < len(text) and text[at] in WORD)


ASSERTIONS = {
    "start": lambda text, at: at == 0,
    "end": lambda text, at: at == len(text),
    "line-start": lambda text, at: at == 0 or text[at - 1] == "\n",
    "line-end": lambda text, at: at == len(text) or text[at] == "\n",
    "boundary": boundary,
    "no-boundary": lambda text, at: not boundary(text, at),
}


def accepts(node, char):
    kind = node[0]
    if kind == "chars":
        return char in node[1]
    if kind == "any":
        return node[1] or char != "\n"
    return node[1].has(char)


def step(node, text, positions):
    """Where a match of node may end that starts at one of the positions."""
    kind = node[0]
    if not positions:
        return positions
    if kind == "seq":
        for item in node[1]:
            positions = step(item, text, positions)
        return positions
    if kind == "alt":
        return frozenset().union(*(step(branch, text, positions) for branch in node[1]))
    if kind == "rep":
        return repeat(node, text, positions)
    if kind in ASSERTIONS:
        return frozenset(at for at in positions if ASSERTIONS[kind](text, at))
    return frozenset(at + 1 for at in positions if at < len(text) and accepts(node, text[at]))


def repeat(node, text, positions):
    _, item, low, high = node
    for _ in range(low):
        positions = step(item, text, positions)
    reached, frontier, more = positions, positions, high
    while frontier and more != low:
        frontier = step(item, text, frontier) - reached
        reached |= frontier
        more = None if more is None else more - 1
    return reached


class Pattern:
    def __init__(self, text, fold=False):
        self.tree = Parser(text, fold).parse()

    def search(self, text):
        return bool(step(self.tree, text, frozenset(range(len(text) + 1))))
