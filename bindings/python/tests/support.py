"""What several tests need."""

import os
import shutil
import tempfile

import flagver

FLAG = {"type": "boolean", "percentage": 0, "beta": ["bob"]}


def directory(test):
    """A fresh directory that is gone after the test."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    made = tempfile.mkdtemp(prefix="flagver-python-", dir=place)
    test.addCleanup(shutil.rmtree, made, ignore_errors=True)
    return made


def store(test, **options):
    """A client with a store of its own, and its URI."""
    uri = "sqlite:" + os.path.join(directory(test), "store.db")
    client = flagver.Client(uri, **options)
    test.addCleanup(client.close)
    return client, uri


ON = {"flags": {"on": {"type": "boolean", "percentage": 100}}}


def loaded(definitions, **options):
    """A client of definitions alone."""
    client = flagver.Client("definitions:", **options)
    client.load(definitions)
    return client


def resident():
    """What this process has in memory, in KiB."""
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0
