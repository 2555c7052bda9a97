#!/usr/bin/env python3
"""Dual write, step by step: customers move from one system to another one while both are in use.
One of them fails, one is spoiled, and no write is lost.

The two systems are dicts. They stand for whatever can be reached by a few functions and know nothing
of the library. What must not be forgotten is in the store of the migration.

Prints what the application does. Ends with an exception if anything is not as it should be.
"""

import threading
import time

import flagver

CUSTOMERS = 50
STAGES = ["dualwrite", "backfill", "shadow", "ramp", "live", "rampdown", "complete"]


class System:
    """A side: any object with `read`, `write` and what else it can do."""

    def __init__(self, name):
        self.name = name
        self.rows = {}
        self.down = False
        self.lock = threading.Lock()  # a side is called by any thread

    def _look(self):
        if self.down:
            raise ConnectionError("the %s is down" % self.name)

    def read(self, call):
        with self.lock:
            self._look()
            return self.rows.get(call.key)  # None: there is no such record

    def write(self, call, value):
        with self.lock:
            self._look()
            self.rows[call.key] = value.decode()

    def remove(self, call):
        with self.lock:
            self._look()
            self.rows.pop(call.key, None)

    def scan(self, call, after, limit):
        with self.lock:
            self._look()
            keys = sorted(key for key in self.rows if key > after)
            if len(keys) <= limit:
                call.end()  # only this says that nothing is behind them
            return [(key, self.rows[key]) for key in keys[:limit]]


old, new = System("old system"), System("new system")


def expect(what, found, wanted):
    if found != wanted:
        raise SystemExit("unexpected: %s is %r, not %r" % (what, found, wanted))


def move(route, key, city):
    """A customer moves. That the other system has not heard of it is no error, but it is told."""
    result = route.write(key, city)
    print("%-9s %s moves to %s: %s" % (
        result.stage, key, city, "to be repaired" if result.pending else "done"))
    return result


def catch_up(route):
    """Copies and repairs until nothing is left. Services let the route do it: background=True."""
    for _ in range(1000):
        progress = route.step()
        if progress.waiting == 0 and progress.copied_all:
            return
        time.sleep(0.01)
    raise SystemExit("unexpected: keys that wait")


def look_up(route, times):
    """All customers are looked up, some times."""
    answers = [route.read("c%02d" % (n % CUSTOMERS)) for n in range(times * CUSTOMERS)]
    print("%-9s %d reads, %d answered by the new system; in %d the two differed" % (
        answers[0].stage, len(answers), sum(a.side == "new" for a in answers),
        sum(a.consistent is False for a in answers)))


def verify(route, differences):
    """Compares all records, and gives the new system what the old one has, where they differ."""
    compared = route.verify(
        lambda d: print("          %s differs: old %r, new %r" % (d.key, d.old, d.new)), repair=True)
    print("          verified: %d customers, %d differ" % (compared.compared, compared.differences))
    expect("the number of differences", compared.differences, differences)


def go_to(route, stage):
    route.step()  # brings to the store what reads have shown: gates go by it
    route.stage("mia", stage, percentage=30 if stage == "ramp" else 0)
    route.step()
    print("--- " + stage)


def failures(route):
    """Either system fails. The one that is believed decides what the caller hears."""
    new.down = True
    expect("pending", move(route, "c02", "Porto").pending, True)
    new.down = False
    expect("c02", (old.rows["c02"], new.rows["c02"]), ("Porto", "Berlin"))

    old.down = True
    try:
        move(route, "c03", "Faro")
        raise SystemExit("unexpected: a write was acknowledged")
    except flagver.RetryError as error:
        print("          c03 stays: %s" % error)
    old.down = False


def tell(route):
    for n in range(CUSTOMERS):
        old.rows["c%02d" % n] = "Berlin"
    for stage in STAGES:
        go_to(route, stage)
        if stage == "dualwrite":
            move(route, "c01", "Lisbon")
            expect("c01", (old.rows["c01"], new.rows["c01"]), ("Lisbon", "Lisbon"))
            failures(route)
        elif stage == "backfill":
            catch_up(route)
            expect("the new system", new.rows, old.rows)
        elif stage == "shadow":
            new.rows["c07"] = "Atlantis"  # spoiled behind everybody's back
            look_up(route, 1)
            verify(route, 1)
            verify(route, 0)  # opens the gate to `ramp`
            look_up(route, 20)
        elif stage == "ramp":
            look_up(route, 1)
        elif stage == "rampdown":
            verify(route, 0)
    move(route, "c12", "Rome")  # the new system's alone
    expect("c12", (old.rows["c12"], new.rows["c12"]), ("Berlin", "Rome"))


def main():
    # In a service "sqlite:…" or "postgresql:…": this one is gone when the program ends.
    with flagver.Client("memory:") as client:
        client.transact(
            "mia", lambda txn: txn.put("flagver.migration", "customers", {"stage": "off"}))
        compare = lambda key, a, b: a == b  # noqa: E731
        with client.route("customers", old, new, compare=compare, background=False) as route:
            tell(route)


if __name__ == "__main__":
    main()
