import gc
import json
import os
import threading
import unittest

import flagver
from flagver import _library, routing
from flagver.errors import (
    BusyError,
    ClosedError,
    ConflictError,
    InputOutputError,
    InvalidArgumentError,
    NotFoundError,
    StateError,
    UnavailableError,
)
from support import store

ROOT = "root"


class Table:
    """A side in memory, whose functions can be made to fail."""

    def __init__(self, rows=()):
        self.rows = dict(rows)
        self.calls = []
        self.failure = None

    def _asked(self, call):
        self.calls.append(call)
        if self.failure is not None:
            raise self.failure

    def read(self, call):
        self._asked(call)
        return self.rows[call.key]  # KeyError: not found

    def write(self, call, value):
        self._asked(call)
        key = call.key
        if key is None:
            key = "made-" + call.operation_id[:8]
        self.rows[key] = value
        return key

    def remove(self, call):
        self._asked(call)
        self.rows.pop(call.key, None)

    def scan(self, call, after, limit):
        self._asked(call)
        keys = sorted(key for key in self.rows if key > after)
        if len(keys) <= limit:
            call.end()
        return ((key, self.rows[key]) for key in keys[:limit])

    def write_many(self, call, rows):
        self._asked(call)
        self.rows.update(rows)

    def deactivate(self, call):
        self._asked(call)

    def count(self, call):
        self._asked(call)
        return len(self.rows)


class Routing(unittest.TestCase):
    def setUp(self):
        self.client, self.uri = store(self)
        self.client.transact(ROOT, lambda txn: txn.put(
            "flagver.migration", "m", {"stage": "off"}))
        self.old, self.new = Table(), Table()
        self.route = self.open()

    def open(self, **options):
        options.setdefault("background", False)
        route = self.client.route("m", self.old, self.new, **options)
        self.addCleanup(route.close)
        return route

    def go(self, *stages):
        for stage in stages:
            self.route.stage(ROOT, stage, forced="a test")
            self.route.step()

    def test_values_go_where_the_stage_says(self):
        self.route.write("k", "off")
        self.assertEqual((self.old.rows, self.new.rows), ({"k": b"off"}, {}))
        self.go("dualwrite")
        result = self.route.write("k", b"both\0bytes", operation_id="op-1")
        self.assertEqual((result.stage, result.side, result.pending), ("dualwrite", "old", False))
        self.assertTrue(result.old.invoked and result.new.invoked)
        self.assertEqual(self.new.rows, {"k": b"both\0bytes"})
        self.assertEqual({call.operation_id for call in self.new.calls[-1:]}, {"op-1"})
        read = self.route.read("k", payload=b"passed on")
        self.assertEqual((read.value, read.side, read.consistent), (b"both\0bytes", "old", None))
        self.assertEqual(self.old.calls[-1].payload, b"passed on")
        self.route.remove("k")
        self.assertEqual((self.old.rows, self.new.rows), ({}, {}))
        self.route.write("empty", "")
        self.assertEqual(self.route.read("empty").text, "")

    def test_what_is_not_there_is_not_found(self):
        with self.assertRaises(NotFoundError) as caught:
            self.route.read("nothing")
        self.assertIsInstance(caught.exception.__cause__, KeyError)
        self.assertEqual(caught.exception.result.stage, "off")
        self.old.read = None
        none = self.client.route("m", flagver.Side(lambda call: None, self.old.write), self.new,
                                 background=False)
        with none, self.assertRaises(NotFoundError):
            none.read("nothing")

    def test_exceptions_of_the_authority_come_out_with_their_cause(self):
        class Odd(Exception):
            def __str__(self):
                raise RuntimeError("no words")

        for failure, kind in ((ConnectionError("away"), UnavailableError),
                              (TimeoutError("slow"), UnavailableError),
                              (ValueError("größer \0 " * 500), InputOutputError),
                              (KeyError("k"), InputOutputError),
                              (MemoryError(), InputOutputError),
                              (ConflictError("mine"), ConflictError)):
            with self.subTest(repr(failure)[:40]):
                self.old.failure = failure
                with self.assertRaises(kind) as caught:
                    self.route.write("k", "v")
                self.assertIs(caught.exception.__cause__, failure)
                self.assertIsInstance(caught.exception.result.old.error, kind)
        self.old.failure = Odd()
        with self.assertRaises(InputOutputError):
            self.route.write("k", "v")
        self.old.failure = None
        self.route.write("k", "v")

    def test_a_code_of_the_applications_own_is_no_success(self):
        for code in (-(2**32), -999, 5, "E42", None, []):
            self.old.failure = flagver.FlagverError("mine")
            self.old.failure.code = code
            with self.subTest(repr(code)), self.assertRaises(InputOutputError):
                self.route.write("k", "v")
        self.assertEqual(self.old.rows, {})

    def test_an_interrupt_in_a_side_comes_out_as_it_is(self):
        for stop in (KeyboardInterrupt(), SystemExit(3)):
            self.old.failure = stop
            with self.assertRaises(type(stop)):
                self.route.write("k", "v")
        self.old.failure = None
        self.go("dualwrite")
        self.new.failure = KeyboardInterrupt()
        with self.assertRaises(KeyboardInterrupt):
            self.route.write("k", "v")
        self.assertEqual(self.old.rows, {"k": b"v"})

    def test_a_failure_of_the_other_side_is_told_and_repaired(self):
        self.go("dualwrite")
        self.new.failure = ConnectionError("away")
        result = self.route.write("k", "v")
        self.assertTrue(result.pending)
        self.assertIsInstance(result.new.error, UnavailableError)
        self.assertIn("away", str(result.new.error))
        self.assertEqual(self.route.status()["waiting"], 1)
        self.new.failure = None
        for _ in range(1000):
            if self.route.step().waiting == 0:
                break
            threading.Event().wait(0.01)
        self.assertEqual(self.new.rows, {"k": b"v"})

    def test_sides_that_return_nonsense_are_errors(self):
        for name, answer in (("read", 7), ("read", object()), ("write", 7), ("scan", 7),
                             ("scan", [("k", 7)]), ("scan", [7]), ("scan", [(7, b"")])):
            with self.subTest("%s %r" % (name, answer)):
                side = flagver.Side(**{function: getattr(self.old, function)
                                       for function in ("read", "write", "remove", "scan")})
                side = side._replace(**{name: lambda *_: answer})
                with self.client.route("m", side, self.new, background=False) as route:
                    with self.assertRaises((InputOutputError, InvalidArgumentError)):
                        if name == "read":
                            route.read("k")
                        elif name == "write":
                            route.write(None, "v")
                        else:
                            route.verify()

    def test_wrong_arguments_raise(self):
        for call in (
            lambda: self.client.route("m", None, self.new),
            lambda: self.client.route("m", object(), self.new),
            lambda: self.client.route("m", flagver.Side(7, 8), self.new),
            lambda: self.client.route(7, self.old, self.new),
            lambda: self.client.route("m", self.old, self.new, order="odd"),
            lambda: self.client.route("m", self.old, self.new, workers=2**40),
            lambda: self.route.write("k", 7),
            lambda: self.route.write("k\0", b""),
            lambda: self.route.read(None),
            lambda: self.route.read("k", context="user"),
            lambda: self.route.stage(ROOT, "odd"),
            lambda: self.route.step("long"),
            lambda: self.route.write("x" * 256, ""),
        ):
            with self.assertRaises((TypeError, ValueError)):
                call()
        with self.assertRaises(NotFoundError):
            self.client.route("nothing", self.old, self.new)
        with self.assertRaises(StateError):
            self.route.stage(ROOT, "live")

    def test_the_whole_way_and_back(self):
        self.old.rows = {"k%03d" % n: b"%d" % n for n in range(300)}
        self.go("dualwrite", "backfill")
        while not self.route.step().copied_all:
            pass
        progress = self.route.step()
        self.assertEqual((progress.copied_so_far, progress.stage), (300, "backfill"))
        self.assertEqual(self.new.rows, self.old.rows)
        self.new.rows["k007"] = b"spoiled"
        self.new.rows["more"] = b"x"
        del self.new.rows["k008"]
        found = []
        compared = self.route.verify(found.append, confirm_ms=1, chunk=50)
        self.assertEqual((compared.compared, compared.differences, compared.left_out), (301, 3, 0))
        self.assertEqual([(d.kind, d.key, d.old, d.new) for d in found], [
            ("value", "k007", b"7", b"spoiled"),
            ("missing_in_new", "k008", b"8", None),
            ("extra_in_new", "more", None, b"x")])
        self.assertEqual(self.route.verify(confirm_ms=1, repair=True).differences, 3)
        self.assertEqual(self.route.verify(confirm_ms=1).differences, 0)
        self.go("shadow", "ramp", "live")
        self.assertEqual(self.route.read("k001").side, "new")
        self.route.rollback(ROOT, "changed our minds")
        self.assertEqual(self.route.status()["stage"], "off")
        self.assertEqual(self.client.migration_status("m")["asked"], "off")

    def test_steps_compare_and_repair(self):
        found = []
        self.old.rows = {"k%03d" % n: b"%d" % n for n in range(300)}
        self.go("dualwrite")
        while not self.route.step().copied_all:
            pass
        self.new.rows["k007"] = b"spoiled"
        route = self.open(verify="repair", difference=found.append)
        progress = route.step(10000)
        self.assertEqual((progress.compared_so_far, progress.differences, progress.left_out),
                         (300, 1, 0))
        self.assertFalse(progress.verified)
        self.assertEqual(found, [routing.Difference("value", "k007", b"7", b"spoiled")])
        self.assertEqual(self.new.rows, self.old.rows)
        self.assertEqual(route.status()["comparing"]["differences"], 1)
        for options in ({"verify": "odd"}, {"verify": 1}):
            with self.assertRaises(ValueError):
                self.open(**options)

    def test_a_count_that_is_none_is_not_known(self):
        self.old.count = lambda call: -1
        self.old.rows = {"k": b"v"}
        self.route = self.open()
        self.go("dualwrite")
        self.route.stage(ROOT, "backfill", forced="a test")
        for _ in range(2):
            self.assertEqual(self.route.step().copy_total, 0)
        self.assertEqual(self.new.rows, {"k": b"v"})

    def test_a_scan_that_is_over_cannot_be_ended(self):
        self.old.rows = {"k": b"v"}
        self.go("dualwrite", "backfill")
        self.route.verify()
        scans = [call for call in self.old.calls if call.operation == "scan"]
        self.assertTrue(scans)
        for call in scans:
            with self.assertRaises(ValueError):
                call.end()

    def test_a_visitor_that_raises_ends_the_comparison(self):
        self.old.rows = {"a": b"1"}
        with self.assertRaises(ZeroDivisionError):
            self.route.verify(lambda difference: 1 / 0, confirm_ms=1)

    def test_reads_are_compared_and_told(self):
        events = []
        self.go("dualwrite", "backfill", "shadow")
        route = self.open(event=events.append, workers=2, shadow_timeout_ms=-1,
                          compare=lambda key, old, new: {"same": True, "odd": None}.get(key, False))
        for key in ("same", "odd", "differs"):
            route.write(key, "v")
        answers = {key: route.read(key).consistent for key in ("same", "odd", "differs")}
        self.assertEqual(answers, {"same": True, "odd": None, "differs": False})
        self.assertEqual([(e.operation, e.key) for e in events[-1:]], [("read", "differs")])
        self.assertTrue(events[-1].old.invoked and events[-1].new.invoked)

    def test_events_and_differences_are_written_as_JSON(self):
        events, told = [], []

        def event(e):
            events.append(e)
            told.append(json.loads(e.json()))

        self.go("dualwrite")
        with self.open(event=event) as route:
            route.write("k", "v")
            route.write("k2", "v", context=flagver.Context("bob"))
        self.assertEqual([t["operation"] for t in told], ["write", "write"])
        self.assertIn("bob", json.dumps(told[1]))
        with self.assertRaises(StateError):
            events[0].json()

        lines = []
        self.old.rows = {"a": b"Ada", "b": b"\xff", "c\"": b""}
        self.new.rows = {"a": b"Adah"}
        self.route.verify(lambda d: lines.append((d, json.loads(d.json()))), confirm_ms=1)
        self.assertEqual([line for _, line in lines], [
            {"key": "a", "kind": "value", "old": "Ada", "new": "Adah"},
            {"key": "b", "kind": "missing_in_new", "old_hex": "ff"},
            {"key": "c\"", "kind": "missing_in_new", "old": ""}])
        self.assertEqual(json.loads(lines[1][0].json())["kind"], "missing_in_new")

    def test_callbacks_that_raise_are_logged(self):
        self.go("dualwrite", "backfill", "shadow")
        bad = lambda *_: 1 / 0  # noqa: E731
        with self.assertLogs("flagver", "ERROR") as logged:
            with self.open(event=bad, compare=bad) as route:
                route.write("k", "v")
                self.assertIsNone(route.read("k").consistent)
        self.assertTrue(any("event raised" in line for line in logged.output))
        self.assertTrue(any("compare raised" in line for line in logged.output))

    def test_a_side_that_makes_keys_is_given_none(self):
        result = self.route.write(None, "v", operation_id="12345678")
        self.assertEqual(result.key, "made-12345678")
        self.assertEqual(self.old.rows, {"made-12345678": b"v"})

    def test_a_route_by_a_flag_goes_by_its_context(self):
        self.client.transact(ROOT, lambda txn: txn.flag_put("stage", {
            "type": "string", "variants": {"o": "off", "c": "complete"}, "default": "o",
            "targets": {"c": ["new-user"]}}))
        self.client.refresh()
        with self.client.route(None, self.old, self.new, flag="stage") as route:
            route.write("a", "1", context=flagver.Context("new-user"))
            route.write("b", "2")
        self.assertEqual((self.old.rows, self.new.rows), ({"b": b"2"}, {"a": b"1"}))

    def test_a_closed_route_raises(self):
        self.route.close()
        self.route.close()
        for call in (lambda: self.route.read("k"), lambda: self.route.step(),
                     lambda: self.route.status(), lambda: self.route.stage(ROOT, "dualwrite")):
            with self.assertRaises(ClosedError):
                call()
        self.assertTrue(self.route.closed)

    def test_neither_route_nor_client_can_be_closed_by_a_side(self):
        caught = []

        def read(call):
            for thing in (self.route, self.client):
                try:
                    thing.close()
                except StateError as error:
                    caught.append(error)
            return b"v"

        self.old.read = read
        self.route.close()
        self.route = self.open()
        self.route.read("k")
        self.assertEqual(len(caught), 2)

    def hanging(self, client):
        """A route whose new side is inside of a read until the event that comes with it is set."""
        inside, go_on = threading.Event(), threading.Event()
        self.go("dualwrite", "backfill", "shadow")
        self.route.write("k", "v")

        def slow(call):
            inside.set()
            go_on.wait(60)
            return b"v"

        side = flagver.Side(slow, self.new.write)
        route = client.route("m", self.old, side, workers=1, shadow_timeout_ms=1)
        for _ in range(600):  # a worker that is late is not waited for
            route.read("k")
            if inside.wait(0.1):
                break
        return route, go_on

    def test_a_route_that_waits_for_a_side_says_that_it_is_busy(self):
        route, go_on = self.hanging(self.client)
        with self.assertRaises(BusyError):
            route.close(1)
        with self.assertRaises(ClosedError):
            route.read("k")
        go_on.set()
        route.close()

    def test_a_client_whose_route_hangs_stays_with_it(self):
        client = flagver.Client(self.uri)
        route, go_on = self.hanging(client)
        patience, routing._CLOSE_MS = routing._CLOSE_MS, 1
        self.addCleanup(setattr, routing, "_CLOSE_MS", patience)
        with self.assertLogs("flagver", "ERROR"):
            client.close()
        del client
        gc.collect()
        go_on.set()
        route.close()
        with self.assertRaises(ClosedError):
            route.read("k")

    def test_a_client_waits_for_a_route_that_is_being_closed(self):
        from flagver import _core

        client = flagver.Client(self.uri)
        route, go_on = self.hanging(client)
        self.route.close()
        closer = threading.Thread(target=route.close, args=(60000,))
        closer.start()
        while not route.closed:
            threading.Event().wait(0.01)
        threading.Timer(0.1, go_on.set).start()
        client.close()
        closer.join(60)
        self.assertNotIn(client._core, _core._stuck)

    def test_an_open_transaction_does_not_hold_up_closing_a_route(self):
        client = flagver.Client(self.uri)
        route = client.route("m", self.old, self.new)
        route.write("k", "v")
        txn = client.begin("alice", timeout_ms=-1)
        txn.flag_put("f", {"type": "boolean"})
        closer = threading.Thread(target=client.close)
        closer.start()
        closer.join(20)  # a route ends with a transaction of its own
        ended = not closer.is_alive()
        if not ended:
            client._core.transactions.clear()
            _library.store.txn_free(txn._handle)
            closer.join()
        self.assertTrue(ended)

    def test_closing_the_client_closes_routes(self):
        with flagver.Client(self.uri) as client:
            route = client.route("m", self.old, self.new, workers=2)
            route.write("k", "v")
        with self.assertRaises(ClosedError):
            route.read("k")

    def test_callbacks_live_as_long_as_the_route_and_garbage_is_collected_inside_of_them(self):
        def read(call):
            gc.collect()
            return b"v"

        def forgotten():
            client = flagver.Client(self.uri)
            cycle = [client]
            cycle.append(cycle)
            client.listen(lambda keys: cycle)
            client.begin("nobody")

        route = self.client.route(
            "m", flagver.Side(read, lambda call, value: forgotten()), Table(), background=False)
        gc.collect()
        for n in range(20):
            route.write("k%d" % n, "v")
            self.assertEqual(route.read("k").value, b"v")
        del route
        gc.collect()

    def test_many_threads_use_one_route(self):
        self.go("dualwrite", "backfill", "shadow")
        route = self.open(workers=4, compare=lambda key, a, b: a == b)
        failures = []

        def work(number):
            try:
                for n in range(30):
                    key = "k%d-%d" % (number, n % 5)
                    route.write(key, "%d" % n)
                    if route.read(key).value != b"%d" % n:
                        failures.append(key)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        self.assertEqual(failures, [])

    def test_in_a_child_of_fork_a_route_says_so(self):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                try:
                    self.route.read("k")
                except flagver.errors.ForkedError:
                    self.route.close()
                    self.client.reopen()
                    with self.client.route("m", self.old, self.new, background=False) as route:
                        route.write("k", "v")
                    status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(child, 0)[1], 0)


if __name__ == "__main__":
    unittest.main()
