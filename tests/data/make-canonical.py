#!/usr/bin/env python3
"""Write canonical.jsonl: JSON texts and what they are in canonical JSON, form 1.

Nothing here looks at the library: texts are parsed by Python and written from
the description of the form in lib/codec/canonical.h. The file is
committed; this shows where it comes from and adds rows when a case is missing.

A row is {"label", "text", "canonical"}; a text that is refused has
"refused": true instead of "canonical".
"""
import json
import os
import random
import struct

HERE = os.path.dirname(os.path.abspath(__file__))


class Refused(Exception):
    pass


def integer(text):
    number = int(text)
    if not -2**63 <= number < 2**63:
        raise Refused(text)
    return number


def real(text):
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise Refused(text)
    return number


def members(pairs):
    if len({key for key, _ in pairs}) != len(pairs):
        raise Refused("duplicate key")
    return dict(pairs)


def constant(text):
    raise Refused(text)


def check_strings(value):
    if isinstance(value, str):
        if "\0" in value:
            raise Refused("NUL")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise Refused("half of a surrogate pair")
    elif isinstance(value, list):
        for item in value:
            check_strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_strings(key)
            check_strings(item)


def parse(text):
    try:
        value = json.loads(text, object_pairs_hook=members, parse_int=integer,
                           parse_float=real, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise Refused(str(error))
    check_strings(value)
    return value


def write_real(number):
    if number == 0:
        return "0.0"
    for digits in range(1, 18):
        text = "%.*g" % (digits, number)
        if float(text) == number:
            return text if "." in text or "e" in text else text + ".0"
    raise AssertionError(number)


def write_string(string):
    short = {"\"": "\\\"", "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r",
             "\t": "\\t"}
    return '"%s"' % "".join(
        short.get(c) or ("\\u%04x" % ord(c) if c < " " else c) for c in string)


def write(value):
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return write_real(value)
    if isinstance(value, str):
        return write_string(value)
    if isinstance(value, list):
        return "[%s]" % ",".join(map(write, value))
    keys = sorted(value, key=lambda key: key.encode("utf-8"))
    return "{%s}" % ",".join(write_string(key) + ":" + write(value[key]) for key in keys)


TEXTS = [
    ("empty object", "{}"),
    ("empty array", " [\t]\r\n"),
    ("words", "[ true , false , null ]"),
    ("spaces go", "{ \"a\" : [ 1 , 2 ] }"),
    ("spaces in strings stay", "\"a  b\""),
    ("keys by bytes", '{"b":1,"a":2,"B":3,"":4,"aa":5,"a b":6,"\u00e9":7,"\uffff":8,"\U00010000":9,"~":10}'),
    ("not by UTF-16 units", '{"\U00010000":1,"\ufb01":2}'),
    ("a prefix comes first", '{"abc":1,"ab":2,"abcd":3}'),
    ("keys are sorted at every depth", '{"z":{"b":[{"d":1,"c":2}],"a":0},"y":null}'),
    ("arrays keep their order", "[3,1,2,[2,1]]"),
    ("escaped keys sort by what they mean", '{"\\u0062":1,"a":2,"\\u0041":3}'),
    ("short escapes", '"\\"\\\\\\/\\b\\f\\n\\r\\t"'),
    ("long escapes of the same", '"\\u0022\\u005c\\u002f\\u0008\\u000c\\u000a\\u000d\\u0009"'),
    ("other controls, lower-case digits", '"\\u0001\\u000B\\u001F\\u001e\\u007f"'),
    ("letters need no escape", '"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\\u2028"'),
    ("UTF-8 stays", '"\u00e9\u20ac\U0001f600\u2028\u007f\ufffd"'),
    ("noncharacters are characters", '"\\uffff\\ufdd0\\udbff\\udfff"'),
    ("not normalised", '["\u00e9","e\u0301"]'),
    ("integers", "[0,-0,1,-1,10,100,1234567890]"),
    ("ends of int64", "[9223372036854775807,-9223372036854775808]"),
    ("beyond 2^53", "[9007199254740993,-9007199254740993]"),
    ("whole reals", "[1.0,10.0,100.0,25.0,150.0,1e0,1e1,1e2,1E3,1234.0,120000.0,1e15,1e16,123456789012345678.0]"),
    ("fractions", "[0.1,0.5,0.25,0.05,0.001,0.0001,0.00001,0.00012,0.000012,99.9,33.333]"),
    ("minus zero", "[-0.0,0.0,-0e5,0e-5,-0.0e0]"),
    ("negative reals", "[-1.5,-1e-7,-2.0,-1e300]"),
    ("seventeen digits", "[0.1000000000000000055511151231257827,0.30000000000000004,1.0000000000000002,5e-324,"
     "2.2250738585072014e-308,2.225073858507201e-308,1.7976931348623157e308,4.9e-324,1e-323]"),
    ("halfway cases", "[9007199254740993.0,9007199254740992.9999999999999999,1e23,8.5e22,9.5e22,2.5,3.5]"),
    ("too small is zero", "[1e-400,-1e-400,2e-324]"),
    ("many digits", "[1.00000000000000000000000000000000000000000000000001,"
     "100000000000000000000000000000000000000000000000000.0,0.000000000000000000000000000000000000001e40]"),
    ("exponents", "[1e+2,1E-2,1e02,1e-02,1.5e10,1e9,1e10,1e99,1e100,1e-100]"),
    ("nested", "[[[[[[{\"a\":[{}]}]]]]]]"),
    ("a string alone", "\"x\""),
    ("integer beyond int64", "9223372036854775808"),
    ("integer below int64", "[-9223372036854775809]"),
    ("huge integer", "1" + "0" * 400),
    ("real beyond double", "1e309"),
    ("real below double", "[-1.7976931348623159e308]"),
    ("duplicate key", '{"a":1,"a":1}'),
    ("duplicate key written otherwise", '{"a":1,"\\u0061":2}'),
    ("duplicate key deep inside", '[{"x":{"a":1,"b":{},"a":1}}]'),
    ("NUL in a string", '"a\\u0000"'),
    ("NUL in a key", '{"\\u0000":1}'),
    ("first half of a pair", '"\\ud83d"'),
    ("second half of a pair", '"\\ude00"'),
    ("halves in the wrong order", '"\\ude00\\ud83d"'),
    ("NaN", "NaN"),
    ("infinity", "[-Infinity]"),
    ("trailing comma", "[1,]"),
    ("two values", "1 2"),
    ("leading zero", "01"),
    ("no digits behind the point", "1."),
    ("byte order mark", "\ufeff{}"),
    ("nothing", ""),
]


def random_reals(dice):
    yield from (struct.unpack("<d", dice.randbytes(8))[0] for _ in range(150))
    yield from (round(dice.uniform(-1000, 1000), dice.randrange(6)) for _ in range(60))
    yield from (float(dice.randrange(10 ** dice.randrange(1, 19))) for _ in range(60))
    yield from (2.0 ** dice.randrange(-1074, 1024) for _ in range(40))


def rows():
    dice = random.Random(20260101)
    yield from TEXTS
    numbers = [x for x in random_reals(dice) if x == x and abs(x) != float("inf")]
    for i in range(0, len(numbers), 20):
        yield "random reals %d" % (i // 20), "[%s]" % ", ".join(
            "%.17e" % x for x in numbers[i:i + 20])


def main():
    with open(os.path.join(HERE, "canonical.jsonl"), "w", encoding="utf-8") as out:
        for label, text in rows():
            row = {"label": label, "text": text}
            try:
                row["canonical"] = write(parse(text))
            except Refused:
                row["refused"] = True
            out.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
