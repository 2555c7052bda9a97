"""What the package says of the library holds; it is found, and refused; it can be installed."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
import unittest
import zipfile

import flagver
from flagver import _library, _structs, errors, evaluation, records, routing
from support import directory

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(os.path.dirname(HERE))
INCLUDE = os.path.join(ROOT, "include")
COMPILER = shutil.which(os.environ.get("CC", "cc").split()[0])
SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")

# The structs, and members whose names Python has for itself.
STRUCTS = {
    "ErrorStruct": "error", "ActorStruct": "actor", "HookStruct": "hook",
    "AlertStruct": "rollout_alert", "OptionsStruct": "options", "TxnOptionsStruct": "txn_options",
    "WriteOptionsStruct": "write_options", "VersionStruct": "version",
    "ListOptionsStruct": "list_options", "ItemContentStruct": "item_content",
    "ItemStruct": "item", "VoteStruct": "vote", "PlanStepStruct": "plan_step",
    "AuditEntryStruct": "audit_entry", "ProofStruct": "proof",
    "VerifyOptionsStruct": "verify_options", "VerifyResultStruct": "verify_result",
    "IdmapEntryStruct": "idmap_entry", "DataKeyStruct": "data_key",
    "KeyRotationStruct": "key_rotation", "MetricOptionsStruct": "metric_options",
    "MetricHoursStruct": "metric_hours", "MetricGroupStruct": "metric_group",
    "TrackOptionsStruct": "track_options", "TrackGroupStruct": "track_group",
    "SideCallStruct": "side_call", "SideRowStruct": "side_row", "SideStruct": "side",
    "SideResultStruct": "route_side_result", "RouteEventStruct": "route_event",
    "RouteAlertStruct": "route_alert", "RouteOptionsStruct": "route_options",
    "RouteCallStruct": "route_call", "RouteResultStruct": "route_result",
    "RouteChangeStruct": "route_change", "RouteProgressStruct": "route_progress",
    "DifferenceStruct": "difference", "CompareOptionsStruct": "compare_options",
    "CopyStateStruct": "copy_state", "CopyOptionsStruct": "copy_options",
    "DetailStruct": "detail",
}
# The value in a detail is written flat.
FLAT = {"type": "value.type", "boolean": "value.boolean", "integer": "value.integer",
        "real": "value.real", "string": "value.string", "length": "value.length"}


def program(test, source, *arguments):
    """Compiles a C program; its path."""
    folder = directory(test)
    path = os.path.join(folder, "program.c")
    with open(path, "w") as file:
        file.write(source)
    made = os.path.join(folder, "made")
    environ = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    subprocess.run([COMPILER, "-I", INCLUDE, "-o", made, path, *arguments], check=True, env=environ)
    return made


def run(test, code, **environment):
    environ = {key: value for key, value in os.environ.items()
               if not key.startswith(("FLAGVER_", "PKG_CONFIG", "LD_LIBRARY"))}
    environ.update(environment, PYTHONPATH=environment.get("PYTHONPATH", HERE))
    done = subprocess.run([sys.executable, "-c", code], env=environ, cwd=directory(test),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                          timeout=120)
    return done.returncode, done.stdout


class Tables(unittest.TestCase):
    def test_errors_are_those_of_the_library(self):
        classes = {1: errors.MistakeError, 2: errors.RetryError,
                   3: errors.OutcomeUnknownError, 4: errors.BrokenError}
        ask = _library.quick
        for row in errors.CODES:
            self.assertEqual(ask.error_name(-row.number).decode(), row.name)
            self.assertIs(classes[ask.error_class(-row.number)], row.category)
            self.assertTrue(issubclass(row.exception, row.category))
            self.assertEqual((row.exception.code, row.exception.name), (-row.number, row.name))
        # And there are no others.
        known = {-number for number in range(1, 1000) if ask.error_name(-number)}
        self.assertEqual(known, set(errors.BY_NUMBER))
        self.assertEqual(len({row.exception for row in errors.CODES}), len(errors.CODES))

    def test_a_code_of_a_newer_library_is_an_exception_too(self):
        unknown = errors.make(-999, "odd")
        self.assertIsInstance(unknown, errors.BrokenError)
        self.assertEqual((unknown.code, unknown.name, unknown.message), (-999, "E999", "odd"))
        self.assertEqual(errors.BrokenError.code, 0)

    def test_names_are_those_of_the_library(self):
        ask = _library.quick
        for names, function in ((evaluation.REASONS, ask.reason_name),
                                (evaluation.ERRORS, ask.error_code_name),
                                (records.STATES, ask.state_name),
                                (records.ITEM_STATES, ask.item_status_name),
                                (routing.STAGES, ask.stage_name)):
            for number, name in enumerate(names):
                self.assertEqual(flagver._convert.words(function(number)), name or "")
            after = function(len(names))
            self.assertIn(after, (None, b"UNKNOWN"))
        for name, number in evaluation.TYPES.items():
            self.assertEqual(ask.type_name(number).decode(), name)

    @unittest.skipUnless(COMPILER, "no C compiler")
    def test_structs_are_laid_out_as_in_C(self):
        lines = []
        for name, c in STRUCTS.items():
            lines.append('printf("%s . %%zu\\n", sizeof(flagver_%s));' % (name, c))
            for member, *_ in getattr(_structs, name)._fields_:
                place = member.rstrip("_") if member != "from_" else "from"
                place = FLAT.get(member, place) if name == "DetailStruct" else place
                lines.append('printf("%s %s %%zu\\n", offsetof(flagver_%s, %s));' % (
                    name, member, c, place))
        made = program(self, "#include <flagver.h>\n#include <stdio.h>\nint main(void)\n{\n%s\n"
                             "    return 0;\n}\n" % "\n".join(lines))
        for line in subprocess.check_output([made], encoding="utf-8").splitlines():
            name, member, number = line.split()
            struct = getattr(_structs, name)
            found = ctypes.sizeof(struct) if member == "." else getattr(struct, member).offset
            self.assertEqual(found, int(number), "%s.%s" % (name, member))

    def test_every_struct_is_compared(self):
        structs = {name for name, kind in vars(_structs).items() if name.endswith("Struct")}
        self.assertEqual(structs, set(STRUCTS))

    def test_every_function_is_in_the_library_and_takes_so_many_arguments(self):
        headers = ""
        for name in sorted(os.listdir(os.path.join(INCLUDE, "flagver"))):
            with open(os.path.join(INCLUDE, "flagver", name)) as file:
                headers += re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
        declared = {}
        for match in re.finditer(r"FLAGVER_API\s[^;(]*?\b(flagver_\w+)\s*\(([^;]*)\);", headers):
            bare = re.sub(r"\([^()]*\)", "", re.sub(r"\([^()]*\)", "", match.group(2)))
            declared[match.group(1)] = 0 if bare.strip() == "void" else bare.count(",") + 1
        signatures = dict(_library._QUICK, **_library._STORE)
        for name, (_, *arguments) in signatures.items():
            self.assertEqual(len(arguments), declared.get(name), name)
            getattr(_library.store, name[len("flagver_"):])


class Finding(unittest.TestCase):
    def test_one_that_is_not_there_is_a_clear_error(self):
        status, output = run(self, "import flagver", FLAGVER_LIBRARY="/nothing/libflagver.so.0")
        self.assertEqual(status, 1)
        self.assertIn("LibraryError: FLAGVER_LIBRARY=/nothing/libflagver.so.0", output)

    @unittest.skipUnless(COMPILER and not SANITIZED, "no C compiler, or a sanitizer is preloaded")
    def test_another_version_or_another_library_is_a_clear_error(self):
        shared = ("-shared", "-fPIC")
        other = "const char *flagver_version_string(void) { return \"%s\"; }\n"
        for source, words in ((other % "1.0.0", "is libflagver 1.0.0; this package is for 0.1.0"),
                              (other % "0.0.9", "is libflagver 0.0.9"),
                              (other % "", "is libflagver ;"),
                              ("int x;\n", "is not libflagver"),
                              (other % "0.2.0", "is libflagver 0.2.0; this package is for 0.1.0"),
                              (other % "0.1.7", "is libflagver 0.1.7 and has no flagver_context")):
            made = program(self, source, *shared)
            status, output = run(self, "import flagver", FLAGVER_LIBRARY=made)
            self.assertEqual(status, 1)
            self.assertIn(words, output)

    def test_it_is_found_by_a_pc_file_and_beside_the_package(self):
        folder = directory(self)
        libraries = os.path.join(folder, "my lib")
        os.mkdir(libraries)
        os.symlink(os.path.realpath(flagver.library_path),
                   os.path.join(libraries, _library.NAME))
        with open(os.path.join(folder, "flagver.pc"), "w") as file:
            file.write("prefix=%s\nlibdir=${prefix}/my lib\nName: flagver\n" % folder)
        show = "import flagver; print(flagver.library_path)"
        status, output = run(self, show, PKG_CONFIG_PATH="/nothing::" + folder)
        self.assertEqual((status, output.strip()), (0, os.path.join(libraries, _library.NAME)))
        package = os.path.join(folder, "flagver")
        shutil.copytree(os.path.join(HERE, "flagver"), package,
                        ignore=shutil.ignore_patterns("__pycache__"))
        beside = os.path.join(package, _library.NAME)
        os.symlink(os.path.realpath(flagver.library_path), beside)
        status, output = run(self, show, PYTHONPATH=folder, PKG_CONFIG_PATH=folder)
        self.assertEqual((status, output.strip()), (0, beside))


@unittest.skipIf(SANITIZED, "a sanitizer is preloaded")
class Installing(unittest.TestCase):
    def test_the_metadata_of_both_places_agree(self):
        sys.path.insert(0, os.path.join(HERE, "packaging"))
        self.addCleanup(sys.path.pop, 0)
        import backend

        with open(os.path.join(HERE, "pyproject.toml")) as file:
            project = file.read()
        for name, field in (("name", "Name"), ("version", "Version"), ("description", "Summary"),
                            ("requires-python", "Requires-Python")):
            value = re.search(r'^%s = "(.*)"$' % name, project, re.M).group(1)
            self.assertIn("%s: %s\n" % (field, value), backend.METADATA)
        self.assertEqual(backend.VERSION, flagver.__version__)
        folder = directory(self)
        wheel = os.path.join(folder, backend.build_wheel(folder))
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        for wanted in ("flagver/__init__.py", "flagver/py.typed", "flagver/aio.py"):
            self.assertIn(wanted, names)
        first = open(wheel, "rb").read()
        backend.build_wheel(folder)
        self.assertEqual(open(wheel, "rb").read(), first)
        self.assertTrue(os.path.exists(os.path.join(folder, backend.build_sdist(folder))))

    def test_it_is_installed_beside_an_installed_library_and_runs(self):
        if subprocess.call([sys.executable, "-m", "pip", "--version"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            self.skipTest("no pip")
        prefix = os.path.join(directory(self), "prefix")
        self.install_library(prefix)
        python, environ = self.install_package()
        environ["PKG_CONFIG_PATH"] = os.path.join(prefix, "lib", "pkgconfig")
        where = self.say([python, "-c", "import flagver; print(flagver.__file__);"
                          "print(flagver.library_path)"], environ).split()
        self.assertFalse(where[0].startswith(HERE))
        self.assertTrue(where[1].startswith(prefix), where[1])
        example = os.path.join(HERE, "examples", "dual_write.py")
        self.assertIn("--- complete", self.say([python, example], environ))

    def say(self, command, environ):
        done = subprocess.run(command, cwd=directory(self), env=environ, timeout=300,
                              encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def install_library(self, prefix):
        build = os.environ.get("FLAGVER_BUILD", os.path.dirname(flagver.library_path))
        environ = {key: value for key, value in os.environ.items()
                   if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
        make = ["make", "-C", ROOT, "--no-print-directory", "BUILD=" + os.path.relpath(build, ROOT)]
        built = subprocess.call([*make, "-q", "all"], env=environ, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL) == 0
        if built:
            self.say([*make, "install", "prefix=" + prefix], environ)
            return
        # Not all of it is built, and somebody may be building it now: what is asked of it is copied.
        os.makedirs(os.path.join(prefix, "lib", "pkgconfig"))
        shutil.copy(os.path.realpath(flagver.library_path),
                    os.path.join(prefix, "lib", _library.NAME))
        with open(os.path.join(prefix, "lib", "pkgconfig", "flagver.pc"), "w") as file:
            file.write("prefix=%s\nlibdir=${prefix}/lib\n" % prefix)

    def install_package(self):
        """A virtual environment with the package; or a directory, where there is no venv."""
        folder = directory(self)
        environ = {key: value for key, value in os.environ.items()
                   if not key.startswith(("FLAGVER_", "PYTHON", "LD_LIBRARY", "PIP_"))}
        environ["PYTHONDONTWRITEBYTECODE"] = "1"
        pip = ["-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--quiet", HERE]
        home = os.path.join(folder, "venv")
        if subprocess.call([sys.executable, "-m", "venv", home], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL) == 0:
            python = os.path.join(home, "bin", "python")
            self.say([python, *pip], environ)
            return python, environ
        target = os.path.join(folder, "target")
        self.say([sys.executable, *pip, "--target", target], environ)
        environ["PYTHONPATH"] = target
        return sys.executable, environ


if __name__ == "__main__":
    unittest.main()
