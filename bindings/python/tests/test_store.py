import gc
import os
import sqlite3
import threading
import unittest
from datetime import datetime, timedelta, timezone

import flagver
from flagver import audit
from flagver import store as stores
from flagver.errors import (
    BusyError,
    ChangedError,
    ClosedError,
    ConflictError,
    CorruptError,
    DeniedError,
    ExistsError,
    IdempotencyError,
    KeyMissingError,
    NotFoundError,
    NotSupportedError,
    ParseError,
    SelfApprovalError,
    StateError,
    TransactionTimeoutError,
)
from flagver.transaction import NOTHING
from support import FLAG, directory, store

SCOPING = {
    "approval": {"rule": {"role_in": ["owner"]}},
    "schema": {"type": "object", "required": ["attributes"]},
}


class Transactions(unittest.TestCase):
    def setUp(self):
        self.client, self.uri = store(self, background=False)

    def test_a_block_commits_at_its_end(self):
        with self.client.begin("alice") as txn:
            self.assertEqual(txn.flag_put("fresh", FLAG), 1)
            self.assertEqual(txn.flag_ramp("fresh", 100, note="all"), 2)
        self.client.refresh()
        self.assertIs(self.client.boolean("fresh", flagver.Context("u"), False), True)
        version = self.client.current("flagver.flag", "fresh")
        self.assertEqual((version.no, version.created_by, version.note), (2, "alice", "all"))
        self.assertFalse(txn.is_open)

    def test_an_exception_rolls_back_and_goes_on(self):
        with self.assertRaises(KeyError):
            with self.client.begin("alice") as txn:
                txn.flag_put("fresh", FLAG)
                raise KeyError("mine")
        with self.assertRaises(NotFoundError):
            self.client.current("flagver.flag", "fresh")

    def test_a_block_may_end_its_transaction_itself(self):
        with self.client.begin("alice") as txn:
            txn.flag_put("fresh", FLAG)
            txn.rollback()
        with self.client.begin("alice") as txn:
            txn.flag_put("other", FLAG)
            txn.commit()
        self.assertEqual([v.subject for v in self.client.versions("flagver.flag")], ["other"])

    def test_what_is_refused_leaves_the_rest(self):
        with self.client.begin("alice") as txn:
            txn.flag_put("fresh", FLAG)
            with self.assertRaises(ParseError):
                txn.flag_put("bad", {"type": "none"})
            with self.assertRaises(ConflictError):
                txn.flag_ramp("fresh", 5, expect=7)
            with self.assertRaises(ConflictError):
                txn.flag_put("fresh", FLAG, expect=NOTHING)
        self.assertEqual(self.client.current("flagver.flag", "fresh").no, 1)

    def test_an_ended_transaction_raises(self):
        txn = self.client.begin("alice")
        txn.rollback()
        txn.rollback()
        for call in (lambda: txn.flag_put("fresh", FLAG), txn.commit, txn.__enter__):
            with self.assertRaises(ClosedError):
                call()

    def test_one_that_is_forgotten_is_rolled_back_and_lets_others_write(self):
        txn = self.client.begin("alice")
        txn.flag_put("fresh", FLAG)
        del txn
        gc.collect()
        with self.client.begin("bob") as other:
            self.assertEqual(other.flag_put("fresh", FLAG), 1)

    def test_closing_the_client_rolls_back_what_is_open(self):
        txn = self.client.begin("alice")
        txn.flag_put("fresh", FLAG)
        self.client.close()
        with self.assertRaises(ClosedError):
            txn.commit()
        txn.rollback()
        self.assertFalse(txn.is_open)
        with flagver.Client(self.uri) as again:
            self.assertEqual(again.versions("flagver.flag"), [])

    def test_time_that_runs_out_ends_it(self):
        txn = self.client.begin("alice", timeout_ms=1)
        with self.assertRaises(TransactionTimeoutError):
            txn.flag_put("fresh", FLAG)
            threading.Event().wait(0.05)
            txn.flag_put("other", FLAG)
        txn.rollback()

    def test_transact_returns_what_the_function_returned(self):
        self.assertEqual(self.client.transact("alice", lambda txn: txn.flag_put("fresh", FLAG)), 1)
        kept = []
        self.client.transact("alice", kept.append)
        with self.assertRaises(ClosedError):
            kept[0].flag_put("fresh", FLAG)
        with self.assertRaises(ClosedError):
            self.client.transact("alice", lambda txn: txn.commit())

    def test_transact_passes_exceptions_on_and_rolls_back(self):
        class Mine(Exception):
            pass

        class Coded(flagver.FlagverError):
            code = -(2**32)  # of the application's own; 0 in 32 bits

        def fail(txn):
            txn.flag_put("fresh", FLAG)
            raise Mine("so \0 long " * 1000)

        def fail_coded(txn):
            txn.flag_put("fresh", FLAG)
            raise Coded("mine")

        for kind, do in ((Mine, fail), (Coded, fail_coded),
                         (ParseError, lambda txn: txn.flag_put("x", {"type": 1})),
                         (KeyboardInterrupt, lambda txn: (_ for _ in ()).throw(KeyboardInterrupt))):
            with self.assertRaises(kind):
                self.client.transact("alice", do)
        self.assertEqual(self.client.versions("flagver.flag"), [])

    def test_transact_does_not_take_an_asynchronous_function(self):
        async def do(txn):
            txn.flag_put("fresh", FLAG)

        def generator(txn):
            yield txn.flag_put("fresh", FLAG)

        for wrong in (do, generator):
            with self.assertRaisesRegex(TypeError, "an ordinary function"):
                self.client.transact("alice", wrong)

    def test_transact_runs_again_when_others_were_in_the_way(self):
        runs = []

        def busy_at_first(txn):
            runs.append(txn)
            if len(runs) < 3:
                raise BusyError("in the way")
            return txn.flag_put("fresh", FLAG)

        self.assertEqual(self.client.transact("alice", busy_at_first), 1)
        self.assertEqual(len(runs), 3)

    def test_an_idempotency_key_makes_running_again_harmless(self):
        for _ in range(2):
            done = self.client.transact(
                "alice", lambda txn: txn.flag_put("fresh", FLAG), idempotency_key="k1")
            self.assertEqual(done, 1)
        with self.assertRaises(IdempotencyError):
            self.client.transact(
                "alice", lambda txn: txn.flag_put("other", FLAG), idempotency_key="k1")

    def test_wrong_arguments_raise(self):
        with self.client.begin("alice") as txn:
            for call in (
                lambda: self.client.begin(7),
                lambda: self.client.begin(flagver.Actor("a", "admin")),
                lambda: self.client.begin(flagver.Actor("a", [7])),
                lambda: txn.flag_put(7, FLAG),
                lambda: txn.flag_put("a\0", FLAG),
                lambda: txn.flag_put("a", object()),
                lambda: txn.flag_put("a", {"x": float("nan")}),
                lambda: txn.flag_ramp("a", "much"),
                lambda: txn.flag_beta_add("a", "bob"),
                lambda: txn.flag_revert("a", -1),
                lambda: txn.flag_revert("a", True),
                lambda: txn.put("p", "s", {}, expect=2**32),
                lambda: txn.approve("p", "s", 1, content_hash=b"short"),
                lambda: txn.decide_items("p", "s", 1, [], "maybe"),
                lambda: txn.retain("p", datetime(2026, 1, 1)),
                lambda: self.client.versions(states=["odd"]),
                lambda: self.client.as_of("p", "s", "yesterday"),
                lambda: self.client.ids(7),
                lambda: self.client.tracked(by="minute"),
            ):
                with self.assertRaises((TypeError, ValueError)):
                    call()
        with flagver.Client("definitions:") as client:
            with self.assertRaises(NotSupportedError):
                client.begin("alice")

    def test_a_transaction_is_used_by_one_thread_at_a_time(self):
        inside, go_on, wrong = threading.Event(), threading.Event(), []
        txn = self.client.begin("alice")

        def use():
            try:
                while not go_on.is_set():
                    inside.set()
                    try:
                        txn.flag_put("fresh", FLAG)
                    except StateError:
                        pass
            except Exception as error:
                wrong.append(error)

        threads = [threading.Thread(target=use) for _ in range(3)]
        for thread in threads:
            thread.start()
        inside.wait(60)
        threading.Event().wait(0.2)
        go_on.set()
        for thread in threads:
            thread.join(60)
        self.assertEqual(wrong, [])
        txn.commit()
        self.assertGreater(self.client.current("flagver.flag", "fresh").no, 0)

    def test_the_end_of_transact_waits_for_another_thread_that_is_inside(self):
        inside, go_on, seen = threading.Event(), threading.Event(), []

        def authorize(actor, action, phase, subject):
            inside.set()
            go_on.wait(60)
            return flagver.ALLOW

        def do(txn):
            other = threading.Thread(
                target=lambda: seen.append(txn.flag_put("fresh", FLAG, note="elsewhere")))
            other.start()
            inside.wait(60)
            threading.Timer(0.1, go_on.set).start()
            return other

        client = flagver.Client(self.uri, authorize=authorize)
        self.addCleanup(client.close)
        client.transact("alice", do).join(60)
        self.assertEqual(seen, [1])
        self.assertEqual(client.current("flagver.flag", "fresh").note, "elsewhere")

    def test_a_waiting_writer_lets_the_one_commit_that_it_waits_for(self):
        self.client.transact("alice", lambda txn: txn.flag_put("fresh", FLAG))
        first = self.client.begin("alice")
        first.flag_ramp("fresh", 1)
        done, begun = [], threading.Barrier(9)

        def write(number):
            begun.wait()
            with self.client.begin("bob") as txn:
                done.append(txn.flag_ramp("fresh", number))

        threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        begun.wait()
        first.commit()
        for thread in threads:
            thread.join(60)
        self.assertEqual(sorted(done), list(range(3, 11)))


class Flags(unittest.TestCase):
    def setUp(self):
        self.client, self.uri = store(self, background=False)

    def test_every_change_is_a_version(self):
        with self.client.begin("alice") as txn:
            txn.segment_put("staff", {"if": {"attr": "staff", "op": "eq", "value": True}})
            changes = [
                txn.flag_put("f", FLAG),
                txn.flag_beta_add("f", ["carol"]),
                txn.flag_beta_remove("f", ["bob"]),
                txn.flag_schedule("f", {"steps": [{"at": "2020-01-01T00:00:00Z", "percentage": 5}]}),
                txn.flag_schedule("f", None),
                txn.flag_disable("f"),
                txn.flag_enable("f"),
                txn.flag_ramp("f", 12.5),
                txn.flag_release("f"),
                txn.flag_revert("f", 2),
                txn.flag_delete("f"),
            ]
            txn.segment_revert("staff", 1)
            txn.segment_delete("staff")
        self.assertEqual(changes, list(range(1, 12)))
        history = self.client.history("flagver.flag", "f")
        self.assertEqual([v.no for v in history], changes)
        self.assertTrue(history[-1].tombstone)
        self.assertEqual(history[1].payload["beta"], ["bob", "carol"])
        self.assertIn("/percentage", self.client.diff("flagver.flag", "f", 8, 9))
        self.assertIn("percentage", self.client.merge_patch("flagver.flag", "f", 8, 9))

    def test_files_are_planned_and_applied(self):
        file = {"flags": {"a": FLAG, "b": FLAG}}
        self.assertEqual([(s.action, s.key) for s in self.client.plan(file)],
                         [("create", "a"), ("create", "b")])
        self.assertEqual(self.client.transact("alice", lambda txn: txn.apply(file)), 2)
        self.assertEqual(self.client.plan(file), [])
        steps = self.client.plan({"flags": {"a": FLAG}}, prune=True)
        self.assertEqual([(s.action, s.key, s.current_no) for s in steps], [("delete", "b", 1)])
        self.assertIn('"a"', self.client.export_flags())
        self.assertEqual(stores.lint(file), [])
        # Text is JSON text, as a file has it and as it is exported.
        exported = self.client.export_flags()
        self.assertEqual((self.client.plan(exported), stores.lint(exported)), ([], []))
        self.client.transact("alice", lambda txn: txn.flag_put("c", '{"type": "boolean"}'))
        self.assertEqual(len(flagver.Snapshot.load(exported)), 2)
        with self.assertRaises(ParseError):
            stores.lint(b"{")

    def test_listeners_hear_of_changes_and_can_be_taken_off(self):
        heard = []
        listener = self.client.listen(heard.append)
        broken = self.client.listen(lambda keys: 1 / 0)
        with self.assertLogs("flagver", "ERROR"):
            self.client.transact("alice", lambda txn: txn.flag_put("f", FLAG))
            self.client.refresh()
        self.assertEqual(heard, [["f"]])
        self.client.unlisten(listener)
        self.client.unlisten(broken)
        self.client.transact("alice", lambda txn: txn.flag_ramp("f", 5))
        self.client.refresh()
        self.assertEqual(heard, [["f"]])

    def test_a_listener_cannot_close_the_client_but_may_use_it(self):
        caught = []

        def changed(keys):
            caught.append(self.client.boolean("f", flagver.Context("bob"), False))
            self.client.refresh()
            try:
                self.client.close()
            except StateError as error:
                caught.append(error)

        self.client.listen(changed)
        self.client.transact("alice", lambda txn: txn.flag_put("f", FLAG))
        self.client.refresh()
        self.assertIs(caught[0], True)
        self.assertIsInstance(caught[1], StateError)
        self.assertFalse(self.client.closed)

    def test_a_listener_can_take_itself_off(self):
        heard, listener = [], []

        def once(keys):
            heard.append(keys)
            self.client.unlisten(listener[0])
            gc.collect()

        listener.append(self.client.listen(once))
        for n in range(3):
            self.client.transact("alice", lambda txn: txn.flag_put("f", FLAG))
            self.client.refresh()
        self.assertEqual(heard, [["f"]])

    def test_the_refresher_follows_other_clients(self):
        heard = threading.Event()
        with flagver.Client(self.uri, poll_ms=20) as other:
            other.listen(lambda keys: heard.set())
            self.client.transact("alice", lambda txn: txn.flag_put("f", FLAG))
            self.assertTrue(heard.wait(60))
            self.assertIs(other.boolean("f", flagver.Context("bob"), False), True)
            with self.assertRaises(NotSupportedError):
                other.fileno()
        self.assertGreater(self.client.fileno(), 0)

    def test_the_past_can_be_asked(self):
        self.client.transact("alice", lambda txn: txn.flag_put("f", FLAG))
        then = self.client.current("flagver.flag", "f").decided_at
        self.client.transact("alice", lambda txn: txn.flag_release("f"))
        nobody = flagver.Context("nobody")
        self.assertIs(self.client.snapshot_at(then).boolean("f", nobody, True), False)
        self.assertEqual(self.client.as_of("flagver.flag", "f", then).no, 1)
        with self.assertRaises(NotFoundError):
            self.client.as_of("flagver.flag", "f", then - timedelta(days=1))

    def test_tenants_are_apart(self):
        other = self.client.tenant("staging")
        self.client.transact("alice", lambda txn: txn.flag_put("f", FLAG))
        self.assertEqual(other.versions("flagver.flag"), [])
        self.client.close()
        other.transact("alice", lambda txn: txn.flag_put("f", FLAG))
        other.refresh()
        self.assertIs(other.bind("f").boolean(flagver.Context("bob"), False), True)
        other.close()

    def test_health_is_told(self):
        self.assertEqual(self.client.health()["status"], "ok")
        self.client.generation


class Records(unittest.TestCase):
    def setUp(self):
        self.client, self.uri = store(self, background=False)
        self.owner = flagver.Actor("olga", ["owner"])
        self.client.transact("admin", lambda txn: txn.put_policy("scoping", SCOPING))

    def test_a_record_is_written_approved_and_read(self):
        with self.client.begin("tina") as txn:
            draft = txn.create("scoping", "cycle-7/report-12", {"attributes": ["rate"]}, note="one")
            edited = txn.edit("scoping", "cycle-7/report-12", 1, {"attributes": ["rate", "term"]})
            waits = txn.submit("scoping", "cycle-7/report-12", 1)
        self.assertEqual((draft.state, edited.rev, waits.state), ("draft", 2, "submitted"))
        self.assertEqual([v.subject for v in self.client.due(self.owner)], ["cycle-7/report-12"])
        self.assertEqual(self.client.due("tina"), [])
        with self.assertRaises(DeniedError):
            self.client.transact("tina", lambda t: t.approve("scoping", "cycle-7/report-12", 1))
        with self.assertRaises(ChangedError):
            self.client.transact(self.owner, lambda t: t.approve(
                "scoping", "cycle-7/report-12", 1, content_hash=bytes(32)))
        approved = self.client.transact(self.owner, lambda t: t.approve(
            "scoping", "cycle-7/report-12", 1, content_hash=waits.content_hash, note="as agreed"))
        self.assertEqual((approved.state, approved.decided_by), ("approved", "olga"))
        current = self.client.current("scoping", "cycle-7/report-12")
        self.assertEqual(current.payload, {"attributes": ["rate", "term"]})
        self.assertEqual(self.client.by_id(current.id), current)
        self.assertEqual(self.client.version("scoping", "cycle-7/report-12", 1), current)
        self.assertEqual([v.actor for v in self.client.votes("scoping", "cycle-7/report-12", 1)],
                         ["olga"])
        self.assertEqual(self.client.authors("scoping", "cycle-7/report-12", 1), ["tina"])
        self.assertEqual(current.created_at.tzinfo, timezone.utc)
        self.assertEqual(self.client.policy("scoping")["approval"]["min"], 1)
        self.assertEqual(self.client.metrics("scoping", parts=1)[0].states, {"approved": 1})

    def test_every_other_way_of_a_version(self):
        with self.client.begin(self.owner) as txn:
            txn.create("scoping", "a", {"attributes": []})
            txn.submit("scoping", "a", 1)
            self.assertEqual(txn.send_back("scoping", "a", 1).state, "draft")
            txn.rebase("scoping", "a", 1)
            self.assertEqual(txn.withdraw("scoping", "a", 1).state, "withdrawn")
            txn.create("scoping", "a", {"attributes": []})
            with self.assertRaises(SelfApprovalError):
                txn.approve("scoping", "a", 2, submit=True)
        with self.client.begin(flagver.Actor("otto", ["owner"])) as txn:
            self.assertEqual(txn.approve("scoping", "a", 2, submit=True).state, "approved")
            self.assertEqual(txn.put("scoping", "b", {"attributes": [1]}).state, "submitted")
        with self.client.begin(self.owner) as txn:
            self.assertEqual(txn.reject("scoping", "b", 1).state, "rejected")
            self.assertEqual(txn.revert("scoping", "a", 2).no, 3)
            self.assertEqual(txn.remove("scoping", "a").no, 4)
        states = self.client.versions("scoping", states=["withdrawn", "rejected"], payload=False)
        self.assertEqual({(v.subject, v.state) for v in states},
                         {("a", "withdrawn"), ("b", "rejected")})
        self.assertIsNone(states[0].payload)

    def test_items_are_decided_one_by_one(self):
        with self.client.begin("tina") as txn:
            txn.create("scoping", "a", {"attributes": []})
            txn.put_items("scoping", "a", 1, {"x": {"n": 1}, "y": [2], "z": None})
            txn.remove_items("scoping", "a", 1, ["z"])
            txn.submit("scoping", "a", 1)
        with self.client.begin(self.owner) as txn:
            txn.decide_items("scoping", "a", 1, ["x"], "approved")
        items = self.client.items("scoping", "a", 1)
        self.assertEqual([(i.key, i.status, i.payload) for i in items],
                         [("x", "approved", {"n": 1}), ("y", "pending", [2])])

    def test_JSON_does_not_end_at_a_NUL(self):
        with self.client.begin("tina") as txn:
            txn.create("scoping", "a", {"attributes": []})
            for call in (lambda: txn.put_items("scoping", "a", 1, {"x": b"1\x00, 2"}),
                         lambda: txn.create("scoping", "b", b"{}\x00{}"),
                         lambda: txn.flag_put("f", b'{"type": "boolean"}\x00')):
                with self.assertRaises(ParseError):
                    call()

    def test_roles_are_assigned(self):
        with self.client.begin("admin") as txn:
            self.assertEqual(txn.assign("report_owner", "cycle-7/*", "olga"), 1)
            self.assertEqual(txn.unassign("report_owner", "cycle-7/*", "olga"), 2)

    def test_the_hosts_own_rules_are_asked_and_an_exception_denies(self):
        asked = []

        def authorize(actor, action, phase, subject):
            asked.append((actor.id, list(actor.roles), action, phase, subject))
            if actor.id == "eve":
                raise RuntimeError("mine")
            return flagver.ALLOW if actor.id == "root" else flagver.ASK_RULES

        with flagver.Client(self.uri, background=False, authorize=authorize) as client:
            client.transact(flagver.Actor("root", ["r"]),
                            lambda t: t.put("scoping", "a", {"attributes": []}))
            with self.assertLogs("flagver", "ERROR"), self.assertRaises(DeniedError):
                client.transact("eve", lambda t: t.create("scoping", "b", {"attributes": []}))
        self.assertIn(("root", ["r"], "create", "scoping", "a"), asked)
        # What is no answer denies as well; C would see the lower bits of a number, as ALLOW.
        for answer in (2**32 + flagver.ALLOW, 1.5, "1", None, 3, -1):
            with flagver.Client(self.uri, background=False, authorize=lambda *_: answer) as client:
                with self.assertLogs("flagver", "ERROR"), self.assertRaises(DeniedError):
                    client.transact("root", lambda t: t.create("scoping", "c", {"attributes": []}))

    def test_payloads_are_sealed_without_their_key(self):
        def key(wanted):
            return ("k1", bytes(range(32))) if wanted in (None, "k1") else None

        with flagver.Client(self.uri, background=False, key=key) as client:
            with client.begin("admin") as txn:
                txn.put_policy("secret", {"encrypt": True, "approval": {"required": False},
                                          "shred": "anyone"})
                txn.put("secret", "s", {"pin": 1234})
            self.assertEqual(client.current("secret", "s").payload, {"pin": 1234})
            self.assertEqual([(k.no, k.key_id, k.opens) for k in client.data_keys()],
                             [(1, "k1", True)])
            with client.begin("admin") as txn:
                self.assertEqual(txn.rotate_keys().data_keys, 2)
                txn.put("secret", "s", {"pin": 5678})
                txn.shred("secret", "s", 1)
                later = datetime.now(timezone.utc) + timedelta(days=1)
                self.assertEqual(txn.retain("secret", later), 0)
            self.assertEqual(client.version("secret", "s", 1).payload_state, "shredded")
        self.assertEqual(self.client.current("secret", "s").payload_state, "sealed")
        with self.assertRaises(KeyMissingError):
            self.client.transact("admin", lambda t: t.put("secret", "s", {}))

    def test_only_audit_phases_record(self):
        with self.client.begin("admin") as txn:
            txn.put_policy("run", {"versioning": "audit_only"})
            self.assertEqual(txn.record("run", "r1", [1, "two"]).state, "recorded")

    def test_several_records_can_be_locked_first(self):
        with self.client.begin("tina") as txn:
            txn.lock("scoping", ["b", "a"])
            txn.create("scoping", "b", {"attributes": []})
            txn.create("scoping", "a", {"attributes": []})

    def test_a_visit_that_fails_raises_its_exception(self):
        from flagver import client as module

        original = module.version_of
        module.version_of = lambda struct: 1 / 0
        try:
            with self.assertRaises(ZeroDivisionError):
                self.client.versions()
        finally:
            module.version_of = original

    def test_ids_are_mapped(self):
        with self.client.begin("admin") as txn:
            txn.map_id("users", "17", "u-17")
            txn.map_ids("users", [("18", "u-18"), ("19", "u-19")])
            made = txn.new_id("users", "20")
            self.assertEqual(txn.id_of("users", "20"), made)
            self.assertEqual(txn.old_id_of("users", "u-17"), "17")
            with self.assertRaises(ExistsError):
                txn.map_id("users", "17", "other")
            txn.unmap_id("users", "19")
        self.assertEqual(self.client.id_of("users", "17"), "u-17")
        self.assertEqual(self.client.old_id_of("users", made), "20")
        self.assertIsNone(self.client.id_of("users", "19"))
        self.assertEqual([m.old_id for m in self.client.ids("users", after="17")], ["18", "20"])
        self.assertEqual([m.new_id for m in self.client.ids(limit=1)], ["u-17"])


class Audit(unittest.TestCase):
    def setUp(self):
        self.client, self.uri = store(self, background=False)
        for n in range(5):
            self.client.transact("alice", lambda txn: txn.flag_put("f", FLAG))

    def test_the_log_is_read_in_pages(self):
        first, following = self.client.audit_log(limit=4)
        rest, end = self.client.audit_log(following)
        self.assertEqual([e.no for e in first + rest], list(range(end)))
        self.assertEqual(first[0].action, "create")
        self.assertEqual((first[0].actor, first[0].subject), ("alice", "f"))
        self.assertEqual((first[1].from_state, first[1].to_state), ("draft", "approved"))

    def test_proofs_prove_and_forged_ones_do_not(self):
        head = self.client.audit_head()
        old = audit.read_checkpoint(self.client.checkpoint(origin="example.com/x"))
        self.assertEqual(old, head)
        self.client.transact("alice", lambda txn: txn.flag_put("f", FLAG))
        new = self.client.audit_head()
        proof = self.client.prove_inclusion(3)
        audit.check_inclusion(proof, new.root)
        audit.check_consistency(self.client.prove_consistency(old.size), old.root, new.root)
        forged = proof._replace(leaf=bytes(32))
        with self.assertRaises(CorruptError):
            audit.check_inclusion(forged, new.root)
        for first in (proof.first + 2**64, proof.first - 2**64):  # C would see the lower 64 bits
            with self.assertRaises(ValueError):
                audit.check_inclusion(proof._replace(first=first), new.root)
        with self.assertRaises(ValueError):
            audit.check_inclusion(proof, b"short")
        with self.assertRaises(ValueError):
            audit.check_inclusion(proof._replace(hashes=(bytes(32),) * 129), new.root)
        with self.assertRaises(ValueError):
            self.client.prove_inclusion(10**6)

    def test_checkpoints_are_signed(self):
        signer, verifier = audit.keygen("example.com/records")
        checkpoint = self.client.checkpoint(signer)
        self.assertEqual(audit.read_checkpoint(checkpoint, verifier), self.client.audit_head())
        with self.assertRaises(KeyMissingError):
            audit.read_checkpoint(checkpoint, audit.keygen("example.com/records")[1])
        verified = self.client.verify(checkpoint, verifier)
        self.assertEqual((verified.findings, verified.leaves), ([], 10))

    def test_what_was_tampered_with_is_found(self):
        path = self.uri.split(":", 1)[1]
        self.client.close()
        database = sqlite3.connect(path)
        with database:
            names = [r[0] for r in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'")]
            for name in names:
                database.execute('DROP TRIGGER "%s"' % name)
            database.execute("UPDATE flagver_payload SET body = "
                             "CAST(replace(CAST(body AS TEXT), 'bob', 'eve') AS BLOB)")
        database.close()
        with flagver.Client(self.uri, background=False) as client:
            self.assertTrue(client.verify().findings)


class Stores(unittest.TestCase):
    def test_a_store_is_looked_after(self):
        client, uri = store(self, background=False)
        client.transact("alice", lambda txn: txn.flag_put("f", FLAG))
        client.close()
        there, wanted = stores.schema_version(uri)
        self.assertEqual(there, wanted)
        stores.schema_up(uri)
        self.assertEqual(stores.schema_verify(uri), [])
        self.assertNotIn("error", [finding.level for finding in stores.doctor(uri)])
        folder = directory(self)
        dump, second, third = (os.path.join(folder, n) for n in ("dump", "2.db", "3.db"))
        stores.export(uri, dump)
        self.assertEqual(audit.verify_file(dump).findings, [])
        stores.load("sqlite:" + second, dump)
        states = []
        self.assertIs(stores.copy(uri, "sqlite:" + third, tell=states.append), True)
        self.assertEqual(states[-1].stage, "equal")
        for path in (second, third):
            with flagver.Client("sqlite:" + path, background=False) as copy:
                self.assertEqual(copy.current("flagver.flag", "f").created_by, "alice")

    def test_errors_of_opening_name_what_is_wrong(self):
        for uri, kind in (("file:/nothing/there", flagver.errors.InputOutputError),
                          ("odd:x", NotSupportedError),
                          ("sqlite:/nothing/there/x.db", flagver.FlagverError)):
            with self.assertRaises(kind) as caught:
                flagver.Client(uri)
            self.assertTrue(str(caught.exception))

    def test_a_definitions_file_is_followed(self):
        path = os.path.join(directory(self), "flags.json")
        with open(path, "w") as file:
            file.write('{"flags": {"f": {"type": "boolean", "percentage": 100}}}')
        with flagver.Client("file:" + path) as client:
            self.assertIs(client.boolean("f", None, False), True)

    def test_warnings_go_to_the_logger_or_the_host(self):
        definitions = {"flags": {"f": {"type": "boolean", "env": {"percentage": "FLAGVER_T_P"}}}}
        os.environ["FLAGVER_T_P"] = "much"
        self.addCleanup(os.environ.pop, "FLAGVER_T_P")
        with flagver.Client("definitions:") as client, self.assertLogs("flagver", "WARNING"):
            client.load(definitions)
        heard = []
        with flagver.Client("definitions:", log=heard.append) as client:
            client.load(definitions)
        self.assertIn("FLAGVER_T_P", heard[0])
        heard.clear()
        with flagver.Client("definitions:", log=heard.append, environment=False) as client:
            client.load(definitions)
        self.assertEqual(heard, [])


class Tracking(unittest.TestCase):
    def setUp(self):
        self.client, _ = store(self, background=False)
        self.client.transact("alice", lambda txn: txn.flag_put(
            "f", {"type": "boolean", "percentage": 100, "metadata": {"events": "bought"}}))
        self.client.refresh()

    def test_outcomes_and_events_are_counted_by_variant(self):
        user = flagver.Context("u")
        detail = self.client.boolean_detail("f", user, False)
        self.client.track_outcome("f", detail.variant, False, 0.25)
        with self.client.outcome("f", detail.variant):
            pass
        with self.assertRaises(KeyError), self.client.outcome("f", detail.variant):
            raise KeyError("broken")
        self.client.track("bought", user, 9.5)
        self.client.track("bought", user)
        self.client.flush_tracked()
        for own in (True, False):
            rows = {(t.variant, t.event): t for t in self.client.tracked("f", own=own)}
            paths, event = rows["on", None], rows["on", "bought"]
            self.assertEqual((paths.evaluations, paths.succeeded, paths.failed), (1, 2, 1))
            self.assertAlmostEqual(paths.error_rate, 1 / 3)
            self.assertEqual((event.count, event.sum), (2, 10.5))
        self.assertIsNotNone(self.client.tracked("f", by="day")[0].from_time)
        self.assertIn("flagver_outcomes_total", self.client.openmetrics())
        self.client.forget_tracked(datetime.now(timezone.utc) + timedelta(days=1))
        self.assertEqual(self.client.tracked("f"), [])

    def test_wrong_arguments_raise(self):
        for call in (
            lambda: self.client.track(7),
            lambda: self.client.track("x", "user"),
            lambda: self.client.track("x", None, "much"),
            lambda: self.client.track("x", None, float("nan")),
            lambda: self.client.track(""),
            lambda: self.client.track_outcome("f", 7, False),
        ):
            with self.assertRaises((TypeError, ValueError)):
                call()

    def test_guards_take_flags_back(self):
        steps = [{"at": "2020-01-01T00:00:00Z", "percentage": 10},
                 {"at": "2020-02-01T00:00:00Z", "percentage": 100}]
        guards = {"error_rate": 5, "samples": 10}
        self.client.transact("alice", lambda txn: txn.flag_put("g", {
            "type": "boolean", "schedule": {"steps": steps, "guards": guards}}))
        self.client.refresh()
        for _ in range(50):
            self.client.track_outcome("g", "on", True, 0.01)
        self.client.flush_tracked()
        alerts = []
        self.assertEqual(self.client.guard("warden", alerts.append), 1)
        self.assertEqual((alerts[0].flag, alerts[0].guard, alerts[0].acted), ("g", "error_rate", True))
        self.assertEqual(self.client.guard("warden"), 0)


if __name__ == "__main__":
    unittest.main()
