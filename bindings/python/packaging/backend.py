"""A build backend (PEP 517) for a package that is only files of Python: it needs nothing, so that
`pip install --no-index` works where nothing can be fetched. The metadata are those of pyproject.toml,
said once more here: Python 3.9 and 3.10 have nothing that reads TOML, and a test compares them.
"""

import base64
import hashlib
import io
import os
import tarfile
import zipfile

NAME, VERSION = "flagver", "0.1.0"
METADATA = """\
Metadata-Version: 2.1
Name: flagver
Version: 0.1.0
Summary: Feature flags and versioned records on the database an application already has
License: MIT
Requires-Python: >=3.9
Provides-Extra: openfeature
Requires-Dist: openfeature-sdk>=0.8; extra == "openfeature"
Description-Content-Type: text/markdown

"""
WHEEL = """\
Wheel-Version: 1.0
Generator: flagver-backend
Root-Is-Purelib: true
Tag: py3-none-any
"""
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INFO = "%s-%s.dist-info" % (NAME, VERSION)
# Of one date, so that the same files give the same archive.
DATE = (2020, 1, 1, 0, 0, 0)


def _read(*parts):
    with open(os.path.join(HERE, *parts), "rb") as file:
        return file.read()


def _package():
    folder = os.path.join(HERE, NAME)
    for name in sorted(os.listdir(folder)):
        if name.endswith((".py", ".pyi")) or name == "py.typed":
            yield NAME + "/" + name, _read(NAME, name)


def _metadata():
    return METADATA.encode() + _read("README.md")


def _info():
    yield INFO + "/METADATA", _metadata()
    yield INFO + "/WHEEL", WHEEL.encode()


def _row(name, content):
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return "%s,sha256=%s,%d\n" % (name, digest, len(content))


def _wheel(directory, files):
    name = "%s-%s-py3-none-any.whl" % (NAME, VERSION)
    record = ""
    with zipfile.ZipFile(os.path.join(directory, name), "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files:
            archive.writestr(zipfile.ZipInfo(path, DATE), content, zipfile.ZIP_DEFLATED)
            record += _row(path, content)
        record += INFO + "/RECORD,,\n"
        archive.writestr(zipfile.ZipInfo(INFO + "/RECORD", DATE), record, zipfile.ZIP_DEFLATED)
    return name


def get_requires_for_build_wheel(config_settings=None):
    return []


get_requires_for_build_sdist = get_requires_for_build_editable = get_requires_for_build_wheel


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = os.path.join(metadata_directory, INFO)
    os.makedirs(folder, exist_ok=True)
    for path, content in _info():
        with open(os.path.join(metadata_directory, path), "wb") as file:
            file.write(content)
    return INFO


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return _wheel(wheel_directory, [*_package(), *_info()])


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return _wheel(wheel_directory, [(NAME + ".pth", HERE.encode() + b"\n"), *_info()])


def build_sdist(sdist_directory, config_settings=None):
    stem = "%s-%s" % (NAME, VERSION)
    files = [("PKG-INFO", _metadata()), *_package()]
    for path in ("pyproject.toml", "README.md", "packaging/backend.py"):
        files.append((path, _read(*path.split("/"))))
    with tarfile.open(os.path.join(sdist_directory, stem + ".tar.gz"), "w:gz") as archive:
        for path, content in files:
            entry = tarfile.TarInfo(stem + "/" + path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stem + ".tar.gz"
