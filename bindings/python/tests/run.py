"""Runs the tests and counts them: `run.py [NAME…]` for those of test_NAME.py."""

import os
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]


class Result(unittest.TextTestResult):
    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main():
    loader = unittest.TestLoader()
    if len(sys.argv) > 1:
        suite = loader.loadTestsFromNames(["test_" + name for name in sys.argv[1:]])
    else:
        suite = loader.discover(HERE)
    began = time.monotonic()
    result = unittest.TextTestRunner(sys.stdout, resultclass=Result, verbosity=1).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    for test, why in result.skipped:
        print("SKIPPED: %s: %s" % (test.id(), why))
    print("%d passed, %d failed, %d skipped (%.1f s)" % (
        result.passed, failed, len(result.skipped), time.monotonic() - began))
    sys.exit(0 if failed == 0 and result.passed else 1)


if __name__ == "__main__":
    main()
