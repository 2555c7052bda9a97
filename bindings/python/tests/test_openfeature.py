"""The provider, with `openfeature-sdk` where that is installed and else with a stand-in."""

import os
import threading
import unittest
from datetime import datetime, timezone

try:
    import openfeature.provider  # noqa: F401

    WITH = "the SDK"
except ImportError:
    import openfeature_standin

    openfeature_standin.install()
    WITH = "a stand-in for the SDK"

from openfeature.evaluation_context import EvaluationContext  # noqa: E402
from openfeature.exception import ErrorCode, GeneralError, ProviderFatalError  # noqa: E402
from openfeature.flag_evaluation import Reason  # noqa: E402

import flagver  # noqa: E402
from flagver.openfeature import FlagverProvider  # noqa: E402
from support import FLAG, directory, loaded, store  # noqa: E402

print("OpenFeature is tested with " + WITH)

DEFINITIONS = {"flags": {
    "boolean": {"type": "boolean", "percentage": 100,
                "metadata": {"owner": "x", "n": 1.5}},
    "string": {"type": "string", "variants": {"a": "", "b": "größer"}, "default": "b",
               "rules": [{"id": "eu", "if": {"attr": "country", "op": "eq", "value": "DE"},
                          "serve": "a"}]},
    "integer": {"type": "integer", "variants": {"a": 0, "b": 42}, "default": "b"},
    "float": {"type": "double", "variants": {"a": 0.5}, "default": "a"},
    "object": {"type": "json", "variants": {"a": {"x": [1]}, "s": "text"}, "default": "a",
               "targets": {"s": ["scalar"]}},
    "plain": {"type": "boolean"},
    "split": {"type": "boolean", "percentage": 50},
    "off": {"type": "boolean", "percentage": 100, "enabled": False},
    "later": {"type": "boolean", "percentage": 0,
              "rules": [{"if": {"attr": "when", "op": "after", "value": "2026-01-01T00:00:00Z"},
                         "serve": "on"}]},
}}


class Events:
    def __init__(self, provider):
        self.seen, self.changed = [], threading.Condition()
        provider.attach(self.heard)

    def heard(self, provider, event, details):
        with self.changed:
            self.seen.append((event.value, details))
            self.changed.notify_all()

    def wait_for(self, name):
        with self.changed:
            self.changed.wait_for(lambda: any(event == name for event, _ in self.seen), 60)
            return [details for event, details in self.seen if event == name]


class Provider(unittest.TestCase):
    def setUp(self):
        self.client = loaded(DEFINITIONS)
        self.addCleanup(self.client.close)
        self.provider = FlagverProvider(self.client)
        self.provider.initialize(EvaluationContext())
        self.addCleanup(self.provider.shutdown)
        self.user = EvaluationContext("user42", {"country": "FR"})

    def resolve(self, kind, key, default, context=None):
        return getattr(self.provider, "resolve_%s_details" % kind)(key, default, context)

    def test_each_type_is_resolved(self):
        for kind, key, default, wanted in (
                ("boolean", "boolean", False, True), ("string", "string", "?", "größer"),
                ("integer", "integer", 7, 42), ("float", "float", 7.0, 0.5),
                ("float", "integer", 7.0, 42.0), ("object", "object", {}, {"x": [1]})):
            details = self.resolve(kind, key, default, self.user)
            self.assertEqual((details.value, details.error_code), (wanted, None), key)
            self.assertIs(type(details.value), type(wanted))
            self.assertIsNotNone(details.variant)

    def test_wrong_types_give_the_default_and_TYPE_MISMATCH(self):
        for kind, key, default in (
                ("boolean", "string", False), ("string", "boolean", "x"), ("integer", "float", 7),
                ("float", "string", 1.5), ("object", "boolean", {"d": 1}),
                ("string", "object", "x")):
            details = self.resolve(kind, key, default, self.user)
            self.assertEqual((details.value, details.error_code, details.reason),
                             (default, ErrorCode.TYPE_MISMATCH, Reason.ERROR), key)
            self.assertTrue(details.error_message)
        scalar = self.resolve("object", "object", {"d": 1}, EvaluationContext("scalar"))
        self.assertEqual((scalar.value, scalar.error_code), ({"d": 1}, ErrorCode.TYPE_MISMATCH))

    def test_reasons_and_errors_are_OpenFeatures(self):
        for key, context, reason, error in (
                ("plain", None, Reason.STATIC, None),
                ("boolean", None, Reason.DEFAULT, None),
                ("split", self.user, Reason.SPLIT, None),
                ("off", self.user, Reason.DISABLED, None),
                ("split", None, Reason.ERROR, ErrorCode.TARGETING_KEY_MISSING),
                ("nothing", self.user, Reason.ERROR, ErrorCode.FLAG_NOT_FOUND)):
            details = self.resolve("boolean", key, True, context)
            self.assertEqual((details.reason, details.error_code), (reason, error), key)
        matched = self.resolve("string", "string", "x", EvaluationContext("u", {"country": "DE"}))
        self.assertEqual((matched.value, matched.reason, matched.variant),
                         ("", Reason.TARGETING_MATCH, "a"))
        self.assertEqual(matched.flag_metadata, {"ruleId": "eu"})

    def test_metadata_are_told(self):
        details = self.resolve("boolean", "boolean", False)
        self.assertEqual(details.flag_metadata, {"owner": "x", "n": 1.5})

    def test_contexts_are_taken_natively_and_malformed_ones_are_told(self):
        when = EvaluationContext("u", {"when": datetime(2026, 3, 1, tzinfo=timezone.utc),
                                       "deep": {"list": [1, None, {"a": True}]}})
        self.assertIs(self.resolve("boolean", "later", False, when).value, True)
        for attributes in ({"when": datetime(2026, 3, 1)}, {"x": object()}, {"x": 2**70},
                           {"": 1}):
            details = self.resolve("boolean", "boolean", False, EvaluationContext("u", attributes))
            self.assertEqual((details.value, details.error_code),
                             (False, ErrorCode.INVALID_CONTEXT))
        details = self.resolve("boolean", "boolean", False, EvaluationContext(1.5))
        self.assertEqual(details.error_code, ErrorCode.INVALID_CONTEXT)

    def test_before_and_after_its_life_it_is_not_ready(self):
        for provider in (FlagverProvider(self.client), self.provider):
            provider.shutdown()
            provider.shutdown()
            details = provider.resolve_boolean_details("boolean", False)
            self.assertEqual((details.value, details.error_code),
                             (False, ErrorCode.PROVIDER_NOT_READY))
        self.provider.initialize(EvaluationContext())
        self.provider.initialize(EvaluationContext())
        self.assertIs(self.provider.resolve_boolean_details("boolean", False).value, True)
        self.client.close()
        details = self.provider.resolve_boolean_details("boolean", False)
        self.assertEqual(details.error_code, ErrorCode.PROVIDER_NOT_READY)
        self.provider.shutdown()

    def test_a_store_that_cannot_be_opened_is_an_error_or_fatal(self):
        with self.assertRaises(ProviderFatalError):
            FlagverProvider("odd:x").initialize(EvaluationContext())
        with self.assertRaises(GeneralError):
            FlagverProvider("file:/nothing/there").initialize(EvaluationContext())
        with self.assertRaises(TypeError):
            FlagverProvider(self.client, tenant="x")

    def test_changes_are_told_with_their_keys(self):
        other, uri = store(self)
        provider = FlagverProvider(uri, poll_ms=20)
        events = Events(provider)
        provider.initialize(EvaluationContext())
        self.addCleanup(provider.shutdown)
        other.transact("alice", lambda txn: txn.flag_put("f", FLAG))
        changed = events.wait_for("PROVIDER_CONFIGURATION_CHANGED")
        self.assertEqual(list(changed[0].flags_changed), ["f"])
        details = provider.resolve_boolean_details("f", False, EvaluationContext("bob"))
        self.assertEqual((details.value, details.flag_metadata), (True, {"version": 1}))

    def test_a_handler_of_events_may_shut_it_down(self):
        other, uri = store(self)
        provider, done = FlagverProvider(uri, poll_ms=20), threading.Event()

        def heard(provider, event, details):
            provider.shutdown()
            done.set()

        provider.attach(heard)
        provider.initialize(EvaluationContext())
        other.transact("alice", lambda txn: txn.flag_put("f", FLAG))
        self.assertTrue(done.wait(60))
        self.assertEqual(provider.resolve_boolean_details("f", False).error_code,
                         ErrorCode.PROVIDER_NOT_READY)

    def test_a_store_that_is_lost_makes_it_stale_and_its_return_ready(self):
        path = os.path.join(directory(self), "store.db")
        flagver.Client("sqlite:" + path).close()
        provider = FlagverProvider("sqlite:" + path, poll_ms=20)
        events = Events(provider)
        provider.initialize(EvaluationContext())
        self.addCleanup(provider.shutdown)
        os.rename(path, path + ".away")
        with self.assertLogs("flagver", "WARNING"):
            stale = events.wait_for("PROVIDER_STALE")
            os.rename(path + ".away", path)
            ready = events.wait_for("PROVIDER_READY")
        self.assertTrue(stale and stale[0].message)
        self.assertTrue(ready)

    def test_a_store_that_is_away_from_the_beginning_makes_it_stale(self):
        place = directory(self)
        home = os.path.join(place, "home")
        os.mkdir(home)
        uri, cache = "sqlite:%s/store.db" % home, os.path.join(place, "cache")
        flagver.Client(uri, cache_file=cache).close()
        os.rename(home, home + ".away")
        provider = FlagverProvider(uri, cache_file=cache, poll_ms=20)
        events = Events(provider)
        with self.assertLogs("flagver", "WARNING"):
            provider.initialize(EvaluationContext())
            self.addCleanup(provider.shutdown)
            self.assertTrue(events.wait_for("PROVIDER_STALE"))
            os.rename(home + ".away", home)
            self.assertTrue(events.wait_for("PROVIDER_READY"))

    def test_what_is_tracked_is_counted(self):
        class Details:
            value = 9.5

        self.provider.track("bought", self.user, Details())
        self.provider.track("bought")
        tracked = self.client.tracked(own=True)
        sums = [(t.event, t.count, t.sum) for t in tracked if t.event]
        self.assertEqual(sums, [("bought", 2, 10.5)])
        with self.assertLogs("flagver", "WARNING"):
            self.provider.track("")


if __name__ == "__main__":
    unittest.main()
