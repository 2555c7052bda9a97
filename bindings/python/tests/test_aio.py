import asyncio
import inspect
import os
import threading
import unittest
from unittest import mock

import flagver
from flagver import aio
from flagver.errors import ClosedError, NotFoundError, ParseError
from support import FLAG, directory


class Async(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.client = await aio.open("sqlite:" + os.path.join(directory(self), "store.db"))
        self.addAsyncCleanup(self.client.close)

    async def test_evaluations_are_not_awaited_and_all_else_is(self):
        async with self.client.begin("alice") as txn:
            self.assertEqual(await txn.flag_put("f", FLAG), 1)
        await self.client.refresh()
        bob = flagver.Context("bob")
        self.assertIs(self.client.boolean("f", bob, False), True)
        self.assertIs(self.client.bind("f").boolean(bob, False), True)
        self.assertEqual(self.client.evaluate("f", bob).value, True)
        self.assertEqual((await self.client.current("flagver.flag", "f")).created_by, "alice")

    async def test_an_exception_rolls_back(self):
        with self.assertRaises(KeyError):
            async with self.client.begin("alice") as txn:
                await txn.flag_put("f", FLAG)
                raise KeyError("mine")
        with self.assertRaises(NotFoundError):
            await self.client.current("flagver.flag", "f")
        with self.assertRaises(ParseError):
            async with self.client.begin("alice") as txn:
                await txn.flag_put("f", {"type": "none"})
        with self.assertRaises(TypeError):
            async with self.client.begin(7):
                pass
        self.assertEqual(await self.client.transact("a", lambda txn: txn.flag_put("f", FLAG)), 1)

    async def test_many_that_wait_do_not_starve_the_one_that_has_to_commit(self):
        async def write(number):
            async with self.client.begin("alice") as txn:
                await txn.flag_put("f%d" % number, FLAG)
                await asyncio.sleep(0)
                await txn.flag_ramp("f%d" % number, number)

        await asyncio.wait_for(asyncio.gather(*(write(n) for n in range(40))), 120)
        self.assertEqual(len(await self.client.versions("flagver.flag")), 40)

    async def test_reads_go_on_while_transactions_queue(self):
        async with self.client.begin("alice") as txn:
            await txn.flag_put("f", FLAG)
            others = [asyncio.ensure_future(
                self.client.transact("b", lambda t: t.flag_ramp("f", 1))) for _ in range(10)]
            await asyncio.sleep(0.01)
            self.assertEqual(await self.client.versions("flagver.flag"), [])
        self.assertEqual(sorted(await asyncio.gather(*others)), list(range(2, 12)))

    async def test_who_is_cancelled_leaves_the_queue_and_rolls_back(self):
        inside = asyncio.Event()

        async def write(forever):
            async with self.client.begin("alice") as txn:
                await txn.flag_put("f", FLAG)
                inside.set()
                await forever

        never, now = (asyncio.get_running_loop().create_future() for _ in range(2))
        now.set_result(None)
        first = asyncio.ensure_future(write(never))
        second = asyncio.ensure_future(write(now))
        await inside.wait()
        third = asyncio.ensure_future(write(now))
        await asyncio.sleep(0.01)
        third.cancel()
        first.cancel()
        await asyncio.wait_for(second, 60)
        for cancelled in (first, third):
            with self.assertRaises(asyncio.CancelledError):
                await cancelled
        self.assertEqual(len(await self.client.history("flagver.flag", "f")), 1)

    async def cancelled_inside(self, name, start):
        """What is left in the client when a call is cancelled while its thread is at work."""
        inside, go_on, made = threading.Event(), threading.Event(), threading.Event()
        original = getattr(flagver.Client, name)

        def slow(*arguments, **options):
            inside.set()
            go_on.wait(60)
            try:
                return original(*arguments, **options)
            finally:
                made.set()

        with mock.patch.object(flagver.Client, name, slow):
            task = asyncio.ensure_future(start())
            while not inside.is_set():
                await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.sleep(0.01)
            go_on.set()
            with self.assertRaises(asyncio.CancelledError):
                await task
            while not made.is_set():
                await asyncio.sleep(0.001)
        core = self.client.sync._core
        for _ in range(600):
            if not (core.routes or core.listeners or core.transactions):
                break
            await asyncio.sleep(0.01)
        # The task, and what its exception refers to, is there to the end.
        return task, dict(core.routes), dict(core.listeners), dict(core.transactions)

    async def test_what_is_cancelled_while_it_is_opened_is_closed(self):
        side = flagver.Side(print, print)

        async def route():
            await self.client.route(None, side, side, flag="f")

        async def changes():
            async for _ in self.client.changes():
                pass

        async def begin():
            async with self.client.begin("alice"):
                pass

        for name, start in (("route", route), ("listen", changes), ("begin", begin)):
            task, *left = await self.cancelled_inside(name, start)
            self.assertEqual(left, [{}, {}, {}], name)

    async def test_the_loop_goes_on_while_the_store_is_waited_for(self):
        inside, go_on = threading.Event(), threading.Event()

        def slow(txn):
            inside.set()
            go_on.wait(60)
            return "done"

        waiting = asyncio.ensure_future(self.client.transact("alice", slow))
        while not inside.is_set():
            await asyncio.sleep(0.001)
        go_on.set()
        self.assertEqual(await waiting, "done")

    async def test_changes_are_told_to_the_loop(self):
        changes = self.client.changes()
        heard = asyncio.ensure_future(changes.__anext__())
        while not self.client.sync._core.listeners:
            await asyncio.sleep(0.001)
        await self.client.transact("alice", lambda txn: txn.flag_put("f", FLAG))
        self.assertEqual(await asyncio.wait_for(heard, 60), ["f"])
        await changes.aclose()

    async def test_routes_are_awaited(self):
        await self.client.transact("root", lambda txn: txn.put(
            "flagver.migration", "m", {"stage": "off"}))
        rows = {}
        side = flagver.Side(lambda call: rows[call.key],
                            lambda call, value: rows.update({call.key: value}))
        async with await self.client.route("m", side, side, background=False) as route:
            await route.write("k", "v")
            self.assertEqual((await route.read("k")).value, b"v")

    async def test_a_block_may_end_after_its_client(self):
        async with self.client.begin("alice") as txn:
            await txn.flag_put("f", FLAG)
            await self.client.close()
        with self.assertRaises(KeyError):
            async with await aio.open("memory:") as client:
                side = flagver.Side(print, print)
                async with await client.route(None, side, side, flag="f"):
                    async with client.begin("alice"):
                        await client.close()
                        raise KeyError("mine")

    async def test_a_closed_client_raises(self):
        await self.client.close()
        for call in (lambda: self.client.refresh(), lambda: self.client.transact("a", print),
                     lambda: self.client.route("m", None, None),
                     lambda: self.client.changes().__anext__()):
            with self.assertRaises(ClosedError):
                await call()
        for _ in range(2):  # who was refused has left the queue
            with self.assertRaises(ClosedError):
                async with self.client.begin("alice"):
                    pass
        with self.assertRaises(ClosedError):
            self.client.boolean("f", None, False)


class Complete(unittest.TestCase):
    def test_every_method_that_may_wait_is_there(self):
        for kind, other in ((flagver.Client, aio.Client), (flagver.Transaction, aio.Transaction),
                            (flagver.Route, aio.Route)):
            names = {name for name, member in inspect.getmembers(kind, inspect.isfunction)
                     if not name.startswith("_")}
            # What never waits is asked of `sync`.
            missing = {name for name in names if not hasattr(other, name)} - {
                "tenant", "explain", "evaluate_all", "fileno", "listen", "unlisten", "snapshot"}
            self.assertEqual(missing, set(), other)


if __name__ == "__main__":
    unittest.main()
