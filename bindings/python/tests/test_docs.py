"""The code in README.md runs, in its order, and the example does."""

import os
import re
import subprocess
import sys
import unittest

from support import directory

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def blocks(path):
    """Each fenced block: its line, what stands behind the fence, its text."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for match in re.finditer(r"^```(.*)\n((?:.*\n)*?)```$", text, re.M):
        yield text.count("\n", 0, match.start()) + 2, match.group(1).split(), match.group(2)


class Docs(unittest.TestCase):
    def test_the_snippets_run(self):
        path, program, ran = os.path.join(HERE, "README.md"), "", 0
        for line, words, code in blocks(path):
            self.assertIn(words, (["python", "run"], ["python"], ["sh", "norun"]), line)
            if words[0] != "python":
                continue
            compile(code, "README.md:%d" % line, "exec")
            if words == ["python", "run"]:
                ran += 1
                # Errors name the document's own lines.
                program += "\n" * (line - 1 - program.count("\n")) + code
        self.assertGreater(ran, 5)
        self.run_python("-c", "exec(compile(%r, 'README.md', 'exec'), {})" % program)

    def test_the_links_lead_somewhere(self):
        with open(os.path.join(HERE, "README.md"), encoding="utf-8") as file:
            for target in re.findall(r"\]\(([^)#:]+)", file.read()):
                self.assertTrue(os.path.exists(os.path.join(HERE, target)), target)

    def test_the_example_runs(self):
        output = self.run_python(os.path.join(HERE, "examples", "dual_write.py"))
        self.assertIn("--- complete", output)

    def run_python(self, *arguments):
        done = subprocess.run(
            [sys.executable, *arguments], cwd=directory(self), timeout=120, encoding="utf-8",
            env=dict(os.environ, PYTHONPATH=HERE), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout


if __name__ == "__main__":
    unittest.main()
