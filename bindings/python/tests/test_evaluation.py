import ctypes
import gc
import unittest
from datetime import datetime, timedelta, timezone

import flagver
from flagver.errors import ClosedError, ParseError

DEFINITIONS = {
    "flags": {
        "fresh": {"type": "boolean", "percentage": 25, "metadata": {"owner": "reports"}},
        "on": {"type": "boolean", "percentage": 100},
        "text": {
            "type": "string",
            "variants": {"a": "klassisch", "b": "größer"},
            "default": "a",
            "rules": [
                {
                    "id": "eu",
                    "if": {"attr": "country", "op": "in", "values": ["DE"]},
                    "serve": "b",
                }
            ],
        },
        "number": {"type": "integer", "variants": {"big": 2**53 + 1, "small": 1}, "default": "big"},
        "ratio": {"type": "double", "variants": {"half": 0.5}, "default": "half"},
        "tree": {"type": "json", "variants": {"t": {"a": [1, 2.5, None]}}, "default": "t"},
        "off": {"type": "boolean", "percentage": 100, "enabled": False},
    }
}


def loaded(**options):
    client = flagver.Client("definitions:", **options)
    client.load(DEFINITIONS)
    return client


class Evaluating(unittest.TestCase):
    def setUp(self):
        self.client = loaded()
        self.addCleanup(self.client.close)
        self.user = flagver.Context("user42", country="DE")

    def test_each_type_is_served_by_its_getter(self):
        asked = [
            ("on", "boolean", False, True),
            ("text", "string", "?", "größer"),
            ("number", "integer", 0, 2**53 + 1),
            ("ratio", "double", 0.0, 0.5),
            ("tree", "json", None, {"a": [1, 2.5, None]}),
        ]
        for key, kind, default, wanted in asked:
            with self.subTest(key):
                flag = self.client.bind(key)
                self.assertEqual(getattr(self.client, kind)(key, self.user, default), wanted)
                self.assertEqual(getattr(flag, kind)(self.user, default), wanted)
                self.assertIs(type(getattr(flag, kind)(self.user, default)), type(wanted))
                by_key = getattr(self.client, kind + "_detail")(key, self.user, default)
                self.assertEqual(by_key, getattr(flag, kind + "_detail")(self.user, default))
                self.assertEqual((by_key.value, by_key.error), (wanted, None))

    def test_a_wrong_getter_gives_the_default_and_says_why(self):
        for key in ("text", "tree"):
            self.assertIs(self.client.boolean(key, self.user, True), True)
            self.assertIs(self.client.bind(key).boolean(self.user, True), True)
            detail = self.client.boolean_detail(key, self.user, True)
            self.assertEqual((detail.error, detail.reason), ("TYPE_MISMATCH", "ERROR"))
        self.assertEqual(self.client.bind("on").string(self.user, "x"), "x")
        self.assertEqual(self.client.bind("on").json(self.user, [1]), [1])
        self.assertEqual(self.client.bind("on").integer(self.user, -(2**63)), -(2**63))
        self.assertEqual(self.client.bind("on").double(self.user, 1.5), 1.5)

    def test_what_is_not_there_gives_the_default(self):
        detail = self.client.string_detail("nothing", self.user, "x")
        self.assertEqual((detail.flag, detail.value, detail.error), ("nothing", "x", "FLAG_NOT_FOUND"))
        self.assertIsNone(detail.variant)
        bound = self.client.bind("later")
        self.assertIs(bound.boolean(self.user, True), True)
        self.client.merge({"flags": {"later": {"type": "boolean", "percentage": 0}}})
        self.assertIs(bound.boolean(self.user, True), False)

    def test_a_detail_says_how_it_went(self):
        detail = self.client.evaluate("text", self.user)
        self.assertEqual((detail.variant, detail.rule, detail.reason), ("b", "eu", "TARGETING_MATCH"))
        detail = self.client.bind("fresh").evaluate(self.user)
        self.assertEqual(detail.reason, "SPLIT")
        self.assertIn(detail.bucket, range(100000))
        self.assertEqual(detail.metadata, {"owner": "reports"})
        self.assertEqual(self.client.evaluate("off", self.user).reason, "DISABLED")
        self.assertEqual(self.client.evaluate("fresh").error, "TARGETING_KEY_MISSING")

    def test_wrong_types_raise_and_do_not_crash(self):
        flag, user = self.client.bind("on"), self.user
        for wrong in (None, "user42", 7, b"x", object(), {"a": 1}, ctypes.c_void_p(1), flag, 1.5):
            for call in (
                lambda: flag.boolean(wrong, False),
                lambda: flag.double(wrong, 1.0),
                lambda: flag.integer(wrong, 1),
                lambda: flag.string(wrong, ""),
                lambda: flag.json(wrong, ""),
                lambda: flag.evaluate(wrong),
            ):
                with self.assertRaises((ctypes.ArgumentError, TypeError)):
                    call()
            if wrong is not None:
                with self.assertRaises(TypeError):
                    self.client.boolean("on", wrong, False)
                with self.assertRaises(TypeError):
                    self.client.evaluate_all(wrong)
        for wrong in (None, "x", 2, object(), [], b""):
            with self.assertRaises(flagver.ArgumentError):
                flag.boolean(user, wrong)
        with self.assertRaisesRegex(flagver.ArgumentError, "'x' is no bool"):
            flag.boolean(user, "x")
        for wrong in (None, "x", object(), []):
            with self.assertRaises((ctypes.ArgumentError, TypeError)):
                flag.double(user, wrong)
        for wrong in (None, "x", 1.5, 2**63):
            with self.assertRaises((TypeError, ValueError)):
                flag.integer(user, wrong)
        with self.assertRaises(TypeError):
            flag.boolean(user)
        with self.assertRaises(KeyError):
            flag.evaluate(user, "number")
        for wrong in (None, 7, b"on"):
            for ask in (self.client.explain, self.client.evaluate, self.client.snapshot().evaluate):
                with self.assertRaises(TypeError):
                    ask(wrong)
            with self.assertRaises(TypeError):
                self.client.boolean(wrong, user, False)
            with self.assertRaises(TypeError):
                self.client.bind(wrong)
        with self.assertRaises(ValueError):
            self.client.bind("a\0b")
        with self.assertRaises(TypeError):
            flagver.Client(7)

    def test_what_looks_like_a_context_does_not_reach_C(self):
        class Socket:
            _context = 5  # as objects of other packages have it: ssl.SSLSocket, for one

        flag = self.client.bind("on")
        for call in (lambda: flag.boolean(Socket(), False), lambda: flag.string(Socket(), ""),
                     lambda: flag.evaluate(Socket())):
            with self.assertRaisesRegex(flagver.ArgumentError, "argument 2: .*'Socket'"):
                call()

    def test_a_closed_client_raises_whatever_was_kept_of_it(self):
        flag, user = self.client.bind("on"), self.user
        kept = flag.boolean
        snapshot = self.client.snapshot()
        self.client.close()
        self.client.close()
        for call in (
            lambda: kept(user, False),
            lambda: flag.boolean(user, False),
            lambda: flag.double(user, 1.0),
            lambda: flag.integer(user, 1),
            lambda: flag.string(user, ""),
            lambda: flag.json(user, ""),
            lambda: flag.evaluate(user),
            lambda: self.client.boolean("on", user, False),
            lambda: self.client.evaluate("on"),
            lambda: self.client.evaluate_all(),
            lambda: self.client.explain("on"),
            lambda: self.client.bind("on"),
            lambda: self.client.generation,
            lambda: self.client.refresh(),
            lambda: self.client.load({}),
            lambda: self.client.snapshot(),
            lambda: self.client.counts(),
            lambda: self.client.health(),
            lambda: self.client.override("on", None),
            lambda: self.client.listen(print),
            lambda: self.client.tenant("x"),
        ):
            with self.assertRaises(ClosedError):
                call()
        self.assertTrue(self.client.closed)
        self.assertIs(snapshot.boolean("on", user, False), True)
        self.assertIs(snapshot.boolean("on", user, False), True)

    def test_a_forgotten_client_closes_itself_and_leaves_flags_that_raise(self):
        client = loaded()
        flag = client.bind("on")
        del client
        gc.collect()
        with self.assertRaises(ClosedError):
            flag.boolean(self.user, False)

    def test_all_flags_at_once(self):
        details = self.client.evaluate_all(self.user)
        self.assertEqual([d.flag for d in details], sorted(DEFINITIONS["flags"]))
        for detail in details:
            self.assertEqual(detail, self.client.evaluate(detail.flag, self.user))

    def test_what_was_served_is_counted(self):
        for _ in range(3):
            self.client.bind("on").boolean(self.user, False)
        self.client.boolean("text", self.user, False)
        self.assertEqual(self.client.counts(), {"on": {"on": 3}, "text": {None: 1}})

    def test_a_variant_can_be_forced(self):
        self.client.override("on", "off")
        self.assertIs(self.client.boolean("on", self.user, True), False)
        self.client.override("on", None)
        self.assertIs(self.client.boolean("on", self.user, False), True)
        with self.assertRaises(LookupError):
            self.client.override("on", "nothing")

    def test_explain_says_the_steps(self):
        self.assertIn("steps", self.client.explain("text", self.user))
        self.assertIn("steps", self.client.snapshot().explain("text", self.user))

    def test_malformed_definitions_change_nothing(self):
        generation = self.client.generation
        with self.assertRaises(ParseError) as caught:
            self.client.load(b'{"flags": {"x": {"type": "none"}}}')
        self.assertEqual((caught.exception.line, caught.exception.name), (1, "EPARSE"))
        self.assertEqual(self.client.generation, generation)
        with self.assertRaises(TypeError):
            self.client.load({"flags": object()})

    def test_a_snapshot_stays_as_it_was(self):
        snapshot = self.client.snapshot()
        self.client.load({})
        self.assertEqual(len(snapshot), len(DEFINITIONS["flags"]))
        self.assertEqual(snapshot.string("text", self.user, None), "größer")
        self.assertIsNone(self.client.string("text", self.user, None))
        self.assertIs(flagver.Snapshot.load(DEFINITIONS).boolean("on", None, False), True)
        with self.assertRaises(ParseError):
            flagver.Snapshot.load(b"[]")

    def test_the_clock_is_the_hosts(self):
        steps = [{"at": "2026-01-01T00:00:00Z", "percentage": 0},
                 {"at": "2026-01-02T00:00:00Z", "percentage": 100}]
        now = [datetime(2026, 1, 1, tzinfo=timezone.utc)]
        with flagver.Client("definitions:", clock=lambda: now[0]) as client:
            client.load({"flags": {"s": {"type": "boolean", "schedule": {"steps": steps}}}})
            flag, snapshot = client.bind("s"), client.snapshot()
            self.assertIs(flag.boolean(self.user, True), False)
            now[0] += timedelta(days=1)
            self.assertIs(flag.boolean(self.user, False), True)
            self.assertIs(client.boolean("s", self.user, False), True)
        self.assertIs(snapshot.boolean("s", self.user, False), True)  # goes by it still


class Contexts(unittest.TestCase):
    def setUp(self):
        self.client = flagver.Client("definitions:")
        self.addCleanup(self.client.close)

    def matches(self, context, condition):
        self.client.load({"flags": {"f": {
            "type": "boolean", "percentage": 0,
            "rules": [{"if": condition, "serve": "on"}]}}})
        return self.client.boolean("f", context, False)

    def test_each_kind_of_value_arrives(self):
        when = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))
        user = flagver.Context("u", {
            "flag": True, "age": 42, "big": 2**63 - 1, "share": 0.5, "name": "Zoë", "raw": b"abc",
            "none": None, "when": when, "list": ["a", 7], "tuple": ("b",),
            "deep": {"er": {"est": "x"}}})
        for condition in (
            {"attr": "flag", "op": "eq", "value": True},
            {"attr": "age", "op": "eq", "value": 42},
            {"attr": "big", "op": "eq", "value": 2**63 - 1},
            {"attr": "share", "op": "lt", "value": 0.6},
            {"attr": "name", "op": "eq", "value": "Zoë"},
            {"attr": "raw", "op": "eq", "value": "abc"},
            {"attr": "none", "op": "exists", "value": False},
            {"attr": "when", "op": "before", "value": "2026-03-01T10:00:00.001Z"},
            {"attr": "when", "op": "after", "value": "2026-03-01T09:59:59.999Z"},
            {"attr": "deep.er.est", "op": "eq", "value": "x"},
        ):
            with self.subTest(condition["attr"]):
                self.assertIs(self.matches(user, condition), True)
                self.assertIs(self.matches(flagver.Context("u"), condition),
                              condition["op"] == "exists")

    def test_what_is_no_value_is_refused_and_leaves_the_context_as_it_was(self):
        loop = []
        loop.append(loop)
        user = flagver.Context("u", a={"b": [1]})
        for wrong in (object(), 2**63, -(2**63) - 1, 1j, {1}, datetime(2026, 1, 1), loop, [object()],
                      {"x": {"y": 2**64}}, {"": 1}, {5: 1}, {"a\0": 1}, {"n" * 256: 1}, "\ud800"):
            with self.assertRaises((TypeError, ValueError)):
                user["a"] = wrong
        for name in ("", "n" * 256, "targetingKey", "a\0b", 7, None, "\ud800"):
            for value in (1, [1]):
                with self.assertRaises((TypeError, ValueError)) as caught:
                    user[name] = value
                self.assertNotEqual(str(caught.exception), "invalid argument")
        self.assertIs(self.matches(user, {"attr": "a.b", "op": "exists", "value": True}), True)
        for key in (True, 1.5, b"x", object()):
            with self.assertRaises(TypeError):
                flagver.Context(key)

    def test_a_mapping_that_changes_meanwhile_spoils_nothing_else(self):
        class Changing(dict):
            def __init__(self, looks):
                self.looks = looks

            def items(self):
                yield "a", 1
                self.looks -= 1
                if self.looks < 0:
                    raise RuntimeError("dictionary changed size during iteration")

        for looks in (0, 1):
            for wrap in (lambda value: value, lambda value: [value], lambda value: {"x": [1, value]}):
                user = flagver.Context("u", m="before")
                expected = {"attr": "m", "op": "eq", "value": "before"}
                try:
                    user["m"] = wrap(Changing(looks))
                    expected = {"attr": "m", "op": "exists", "value": True}
                except RuntimeError:
                    pass
                user["staff"] = True
                for condition in (expected, {"attr": "staff", "op": "eq", "value": True}):
                    self.assertIs(self.matches(user, condition), True)

    def test_the_key_may_be_a_number(self):
        self.client.load(DEFINITIONS)
        buckets = {
            self.client.evaluate("fresh", context).bucket
            for context in (flagver.Context(42), flagver.Context("42"),
                            flagver.Context.from_dict({"targetingKey": 42}),
                            flagver.Context.from_json('{"targetingKey": 42}'))
        }
        self.assertEqual(len(buckets), 1)

    def test_a_dict_with_a_key_that_is_none_is_an_invalid_context(self):
        self.client.load(DEFINITIONS)
        for key, error in ((True, "INVALID_CONTEXT"), (1.5, "INVALID_CONTEXT"),
                           ([], "INVALID_CONTEXT"), (None, "TARGETING_KEY_MISSING"),
                           ("", None), (0, None)):
            context = flagver.Context.from_dict({"targetingKey": key, "a": 1})
            self.assertEqual(self.client.evaluate("fresh", context).error, error, key)

    def test_a_context_is_used_again(self):
        self.client.load(DEFINITIONS)
        user = flagver.Context("user42", country="DE")
        user.clear("user43")
        self.assertEqual(self.client.string("text", user, None), "klassisch")
        user.update({"country": "DE"})
        self.assertEqual(self.client.string("text", user, None), "größer")

    def test_nobody_cannot_be_changed(self):
        for change in (lambda: flagver.NOBODY.clear("x"),
                       lambda: flagver.NOBODY.targeting_key("x"),
                       lambda: flagver.NOBODY.update({"a": 1})):
            with self.assertRaises(TypeError):
                change()

    def test_malformed_json_is_refused(self):
        for text in ("", "[]", "{", '{"a": 1, "a": 2}', b"\xff"):
            with self.assertRaises(ParseError):
                flagver.Context.from_json(text)
        for wrong in (7, None, {"a": 1}):
            with self.assertRaises(TypeError):
                flagver.Context.from_json(wrong)


if __name__ == "__main__":
    unittest.main()
