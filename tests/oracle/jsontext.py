"""JSON as text: where a pointer is in a file, and values in canonical form."""

import json
import re

WORD = re.compile(r"[-+.0-9a-zA-Z]+")


def child(pointer, step):
    """The JSON pointer (RFC 6901) of a member."""
    return "%s/%s" % (pointer, str(step).replace("~", "~0").replace("/", "~1"))


class Places:
    """Where each JSON pointer of a well-formed text is: the offsets of its key and its value."""

    def __init__(self, text):
        self.text = text
        self.at = {}
        self.value("", self.space(0), None)

    def space(self, at):
        while self.text[at] in " \t\r\n":
            at += 1
        return at

    def value(self, pointer, at, key):
        self.at[pointer] = (at if key is None else key, at)
        char = self.text[at]
        if char in "{[":
            return self.members(pointer, at, char == "{")
        if char == '"':
            return json.decoder.scanstring(self.text, at + 1)[1]
        return WORD.match(self.text, at).end()

    def members(self, pointer, at, named):
        at, index = self.space(at + 1), 0
        while self.text[at] not in "}]":
            key, name = None, index
            if named:
                key = at
                name, at = json.decoder.scanstring(self.text, at + 1)
                at = self.space(self.space(at) + 1)
            at = self.space(self.value(child(pointer, name), at, key))
            if self.text[at] == ",":
                at = self.space(at + 1)
            index += 1
        return at + 1

    def positions(self, pointer):
        """The (line, column) pairs one may print for it, columns in bytes or characters."""
        result = []
        for offset in self.at.get(pointer, ()):
            line_start = self.text.rfind("\n", 0, offset) + 1
            before = self.text[line_start:offset]
            line = self.text.count("\n", 0, offset) + 1
            result += [(line, len(before) + 1), (line, len(before.encode("utf-8")) + 1)]
        return result


def canonical_double(value):
    """Fewest digits of %.*g that read back equal, `.0` if neither point nor exponent is there."""
    value = value if value else 0.0
    text = next(text for text in ("%.*g" % (digits, value) for digits in range(1, 18))
                if float(text) == value)
    return text if any(c in text for c in ".e") else text + ".0"


def canonical(value):
    """Canonical JSON: keys in byte order, no spaces."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-8"))
        return "{%s}" % ",".join("%s:%s" % (canonical(key), canonical(value[key]))
                                 for key in keys)
    if isinstance(value, list):
        return "[%s]" % ",".join(map(canonical, value))
    if isinstance(value, float):
        return canonical_double(value)
    return json.dumps(value, ensure_ascii=False)
