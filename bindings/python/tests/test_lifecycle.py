"""Closing, forking, collecting garbage, ending: whatever happens, an exception and never a crash."""

import gc
import os
import subprocess
import sys
import textwrap
import threading
import unittest
import weakref

import flagver
from flagver.errors import ClosedError, ForkedError, StateError
from support import FLAG, ON, directory, loaded, resident, store


def python(test, code, *arguments, **environment):
    """Runs a program of its own; gives what it printed and its status."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    environ = dict(os.environ, PYTHONPATH=root, PYTHONDONTWRITEBYTECODE="1")
    environ.update(environment)
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(code), *arguments],
        env=environ, cwd=directory(test), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=120, encoding="utf-8")
    return done.returncode, done.stdout


class Closing(unittest.TestCase):
    def test_threads_that_evaluate_while_the_client_is_closed_get_an_exception(self):
        for hook in (None, flagver.Hook()):
            client = loaded(ON, hook=hook)
            flag, user_of, wrong = client.bind("on"), flagver.Context, []
            begun = threading.Barrier(5)

            def evaluate(way):
                user = user_of("u")
                begun.wait()
                try:
                    while True:
                        if way(user) is not True:
                            wrong.append("another answer")
                            return
                except ClosedError:
                    pass
                except Exception as error:
                    wrong.append(error)

            ways = [lambda user: flag.boolean(user, True),
                    lambda user: client.boolean("on", user, True),
                    lambda user: flag.evaluate(user).value,
                    lambda user: client.evaluate_all(user)[0].value]
            threads = [threading.Thread(target=evaluate, args=(way,)) for way in ways]
            for thread in threads:
                thread.start()
            begun.wait()
            threading.Event().wait(0.05)
            client.close()
            for thread in threads:
                thread.join(60)
            self.assertEqual(wrong, [])

    def test_closing_waits_for_who_is_inside_of_a_call(self):
        client, _ = store(self)
        inside, go_on, seen = threading.Event(), threading.Event(), []

        def slow(txn):
            inside.set()
            go_on.wait(60)
            txn.flag_put("f", FLAG)
            seen.append("done")

        writer = threading.Thread(target=client.transact, args=("alice", slow))
        writer.start()
        inside.wait(60)
        closers = [threading.Thread(target=lambda: (client.close(), seen.append("closed")))
                   for _ in range(2)]
        for closer in closers:
            closer.start()
        threading.Event().wait(0.05)
        self.assertEqual(seen, [])
        go_on.set()
        for thread in (writer, *closers):
            thread.join(60)
        self.assertEqual(seen, ["done", "closed", "closed"])

    def test_what_is_just_being_opened_is_closed_with_the_client(self):
        """Between C's answer and the entry in the table by which the client closes it."""
        for table, begin in (
            ("transactions", lambda client: client.begin("alice")),
            ("routes", lambda client: client.route(
                None, flagver.Side(print, print), flagver.Side(print, print), flag="f")),
        ):
            client, _ = store(self)
            closer = threading.Thread(target=client.close)

            class Table(dict):
                def __setitem__(self, handle, value):
                    closer.start()
                    closer.join(0.05)
                    self.early = not closer.is_alive()
                    super().__setitem__(handle, value)

            entries = Table()
            setattr(client._core, table, entries)
            begin(client)
            closer.join(60)
            self.assertFalse(entries.early, table)
            self.assertEqual(entries, {}, table)

    def test_a_hook_cannot_close_its_client(self):
        caught = []

        class Closer(flagver.Hook):
            def before(self, flag):
                try:
                    client.close()
                except StateError as error:
                    caught.append(error)

        client = loaded(ON, hook=Closer())
        self.assertIs(client.bind("on").boolean(flagver.NOBODY, False), True)
        self.assertIs(client.boolean("on", None, False), True)
        self.assertEqual(len(caught), 2)
        client.close()

    def test_a_callback_cannot_close_a_tenants_client_either(self):
        """The refresher of a tenant calls what its parent was given."""
        status, output = python(self, """
            import os, threading
            import flagver
            from flagver.errors import StateError

            asked = threading.Event()

            def log(message):
                try:
                    tenant.close()
                except StateError as error:
                    print(error)
                asked.set()

            parent = flagver.Client("sqlite:store.db", log=log, poll_ms=20)
            tenant = parent.tenant("other")
            tenant.transact("alice", lambda txn: txn.flag_put("f", {"type": "boolean"}))
            parent.close()
            os.rename("store.db", "elsewhere")
            with open("store.db", "w") as file:
                file.write("another file")
            assert asked.wait(60)
            tenant.close()
            print("closed")
        """)
        self.assertEqual(status, 0, output)
        self.assertTrue(output.startswith("a client cannot be closed inside"), output)
        self.assertTrue(output.endswith("closed\n"), output)

    def test_hooks_see_evaluations_and_may_evaluate(self):
        seen = []

        class Tracer(flagver.Hook):
            def before(self, flag):
                seen.append(flag)

            def after(self, detail):
                seen.append((detail.flag, detail.value, client.boolean("on", None, False)))

        with loaded(ON, hook=Tracer()) as client:
            self.assertIs(client.bind("on").boolean(flagver.NOBODY, False), True)
            self.assertEqual(seen, ["on", ("on", True, True)])
            seen.clear()
            client.evaluate("größer")
            self.assertEqual(seen, ["größer", ("größer", None, True)])

    def test_exceptions_in_hooks_are_logged_and_change_nothing(self):
        class Broken(flagver.Hook):
            def before(self, flag):
                raise KeyboardInterrupt

            def after(self, detail):
                raise SystemExit(3)

        with loaded(ON, hook=Broken()) as client, self.assertLogs("flagver", "ERROR"):
            self.assertIs(client.bind("on").boolean(flagver.NOBODY, False), True)

    def test_a_clock_that_raises_is_replaced_by_the_systems(self):
        steps = [{"at": "2020-01-01T00:00:00Z", "percentage": 100}]
        definitions = {"flags": {"s": {"type": "boolean", "schedule": {"steps": steps}}}}
        for clock in (lambda: 1 / 0, lambda: "now", lambda: None):
            with loaded(definitions, clock=clock) as client, self.assertLogs("flagver", "ERROR"):
                self.assertIs(client.boolean("s", flagver.Context("u"), False), True)


class Garbage(unittest.TestCase):
    def test_a_client_in_a_cycle_with_its_callbacks_is_collected_and_closed(self):
        class Host:
            def __init__(self, uri):
                self.client = flagver.Client(uri, log=self.heard, hook=None)
                self.client.listen(self.heard)
                self.flag = self.client.bind("f")

            def heard(self, keys):
                self.keys = keys

        _, uri = store(self)
        host = Host(uri)
        gone, flag = weakref.ref(host), host.flag
        del host
        gc.collect()
        self.assertIsNone(gone())
        with self.assertRaises(ClosedError):
            flag.boolean(flagver.NOBODY, False)

    def test_a_client_that_is_collected_inside_of_its_own_listener_is_closed_elsewhere(self):
        _, uri = store(self)
        collected = threading.Event()

        def forgotten():
            client = flagver.Client(uri, poll_ms=10)
            cycle = [client]
            cycle.append(cycle)

            def changed(keys):
                cycle.clear()
                gc.collect()
                collected.set()

            cycle.append(changed)
            client.listen(changed)
            return weakref.ref(client)

        gone = forgotten()
        with flagver.Client(uri, background=False) as client:
            client.transact("alice", lambda txn: txn.flag_put("f", FLAG))
            # It may be collected before it hears of that: then there is nothing to see.
            for _ in range(600):
                if collected.wait(0.1) or gone() is None:
                    break
        gc.collect()
        for _ in range(600):
            if gone() is None:
                break
            gc.collect()
            threading.Event().wait(0.1)
        self.assertIsNone(gone())

    def test_garbage_is_collected_in_the_middle_of_everything(self):
        client, uri = store(self)
        gc.set_threshold(1)
        self.addCleanup(gc.set_threshold, 700, 10, 10)

        class Collector(flagver.Hook):
            def before(self, flag):
                gc.collect()

        with flagver.Client(uri, hook=Collector(), log=lambda line: gc.collect()) as other:
            other.listen(lambda keys: gc.collect())
            for n in range(10):
                cycle = [other.begin("alice"), flagver.Context("u", a=[n])]
                cycle.append(cycle)
                other.transact("alice", lambda txn: (gc.collect(), txn.flag_put("f", FLAG)))
                other.refresh()
                other.bind("f").boolean(flagver.Context("bob"), False)
                other.evaluate_all(flagver.Context("bob"))
                other.history("flagver.flag", "f")
        client.close()


class Forking(unittest.TestCase):
    def in_child(self, run):
        """Runs it in a child; whether it went well."""
        child = os.fork()
        if child == 0:
            status = 1
            try:
                run()
                status = 0
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        return os.waitpid(child, 0)[1] == 0

    def setUp(self):
        self.client, self.uri = store(self)
        self.client.transact("alice", lambda txn: txn.flag_put("f", FLAG))
        self.client.refresh()
        self.bob = flagver.Context("bob")

    def test_the_child_goes_on_evaluating_and_reopens_for_the_store(self):
        flag = self.client.bind("f")

        def child():
            assert flag.boolean(self.bob, False) is True
            assert self.client.boolean("f", self.bob, False) is True
            assert self.client.health()["status"] == "forked"
            for call in (lambda: self.client.current("flagver.flag", "f"),
                         lambda: self.client.begin("alice"), self.client.refresh):
                try:
                    call()
                    raise AssertionError("no ForkedError")
                except ForkedError:
                    pass
            self.client.reopen()
            assert self.client.transact("child", lambda txn: txn.flag_release("f")) == 2
            self.client.close()

        self.assertTrue(self.in_child(child))
        self.assertEqual(self.client.current("flagver.flag", "f").created_by, "child")

    def test_the_child_may_close_without_reopening(self):
        self.assertTrue(self.in_child(self.client.close))
        self.assertEqual(self.client.current("flagver.flag", "f").no, 1)

    def test_threads_of_the_parent_that_were_inside_do_not_hold_up_the_child(self):
        inside, go_on = threading.Event(), threading.Event()

        def slow(txn):
            inside.set()
            go_on.wait(60)

        thread = threading.Thread(target=self.client.transact, args=("alice", slow))
        thread.start()
        inside.wait(60)
        try:
            self.assertTrue(self.in_child(self.client.close))
        finally:
            go_on.set()
            thread.join(60)

    def test_a_transaction_that_was_open_can_only_be_ended_in_the_child(self):
        txn = self.client.begin("alice")

        def child():
            try:
                txn.flag_put("g", FLAG)
                raise AssertionError("no ForkedError")
            except ForkedError:
                pass
            txn.rollback()

        self.assertTrue(self.in_child(child))
        txn.flag_put("g", FLAG)
        txn.commit()

    def test_processes_of_multiprocessing_use_it(self):
        import multiprocessing

        context = multiprocessing.get_context("fork")
        with context.Pool(2) as pool:
            answers = pool.map(_ask, [(self.uri, "bob")] * 4)
        self.assertEqual(answers, [True] * 4)


def _ask(question):
    uri, user = question
    with flagver.Client(uri) as client:
        return client.boolean("f", flagver.Context(user), False)


class Ending(unittest.TestCase):
    def test_an_interpreter_that_ends_with_everything_open_ends_well(self):
        status, output = python(self, """
            import flagver, threading
            clients = []
            for n in range(3):
                client = flagver.Client("sqlite:store.db", poll_ms=1, hook=flagver.Hook())
                client.listen(lambda keys: None)
                clients.append((client, client.bind("f"), client.begin("alice")))
            client.transact("a", lambda txn: txn.put("flagver.migration", "m", {"stage": "off"}))
            side = flagver.Side(lambda call: b"v", lambda call, value: None)
            route = client.route("m", side, side, workers=2)
            route.write("k", "v")
            print("end")
            """)
        self.assertEqual((status, output), (0, "end\n"))

    def test_a_daemon_thread_that_never_returns_does_not_hold_up_the_end(self):
        status, output = python(self, """
            import flagver, flagver._core, threading
            flagver._core._PATIENCE = 0.1
            client = flagver.Client("sqlite:store.db")
            inside = threading.Event()
            def stuck(txn):
                inside.set()
                threading.Event().wait()
            threading.Thread(target=client.transact, args=("a", stuck), daemon=True).start()
            inside.wait()
            """)
        self.assertEqual(status, 0, output)
        self.assertIn("has not returned", output)

    def test_daemon_threads_that_evaluate_to_the_end_do_no_harm(self):
        status, output = python(self, """
            import flagver, threading, time
            client = flagver.Client("definitions:")
            client.load({"flags": {"on": {"type": "boolean", "percentage": 100}}})
            flag, user = client.bind("on"), flagver.Context("u")
            def forever():
                own = flagver.Context("u")
                try:
                    while True:
                        flag.boolean(own, False)
                except flagver.errors.ClosedError:
                    pass
            for n in range(3):
                threading.Thread(target=forever, daemon=True).start()
            time.sleep(0.1)
            """)
        self.assertEqual((status, output), (0, ""))


class Memory(unittest.TestCase):
    def test_it_stays_flat(self):
        """A million evaluations; FLAGVER_CAMPAIGN=1 makes them ten."""
        sanitized = "asan" in os.environ.get("LD_PRELOAD", "")  # which keeps what was freed
        count = 10_000_000 if os.environ.get("FLAGVER_CAMPAIGN") else 1_000_000
        count = 100_000 if sanitized else count
        definitions = {"flags": {
            "on": {"type": "boolean", "percentage": 50},
            "text": {"type": "string", "variants": {"a": "x" * 100}, "default": "a"}}}
        with loaded(definitions) as client:
            flag, text = client.bind("on"), client.bind("text")
            boolean, user = flag.boolean, flagver.Context("user", country="DE")

            def evaluate(times):
                for _ in range(times // 20):
                    for _ in range(17):
                        boolean(user, False)
                    text.string(user, None)
                    text.string_detail(user, "")
                    flagver.Context("user", {"groups": ["a", {"b": 1.5}]})

            evaluate(count // 10)
            gc.collect()
            before = resident()
            evaluate(count)
            gc.collect()
            grown = resident() - before
        print("%d evaluations: %+d KiB of %d" % (count, grown, before))
        if not sanitized:
            self.assertLess(grown, 4096)


if __name__ == "__main__":
    unittest.main()
