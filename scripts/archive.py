#!/usr/bin/env python3
"""Writes archives whose bytes depend only on what goes in, and their checksums.

    scripts/archive.py zip ARCHIVE NAME=FILE...     for AWS Lambda: functions and layers
    scripts/archive.py tar ARCHIVE NAME=FILE...     for people: .tar.gz
    scripts/archive.py sums FOLDER                  FOLDER/SHA256SUMS, as sha256sum writes and checks it

NAME is the path in the archive. A FILE that may be executed stays so. A folder as FILE stands for all that is below it.
Entries are sorted by name, belong to nobody, and carry the time SOURCE_DATE_EPOCH.

SOURCE_DATE_EPOCH  seconds since 1970; 1980-01-01 unless it is set
"""

import contextlib
import gzip
import hashlib
import os
import pathlib
import stat
import sys
import tarfile
import time
import zipfile

# The first moment that a zip can express. A time of the build would change the archive's digest, and with it
# what a deployment tool takes for a new version.
EARLIEST = 315532800
# The strongest level of deflate: an archive is written once and loaded at many cold starts.
LEVEL = 9
# Lambda runs functions as a user who owns none of the files: everybody must be able to read them.
FILE_MODE = 0o644
PROGRAM_MODE = 0o755
# The formats of the archives that SHA256SUMS lists.
SUFFIXES = (".zip", ".tar.gz")


def main(arguments):
    match arguments:
        case ["zip", archive, _, *_]:
            write_zip(archive, entries(arguments[2:]), moment())
        case ["tar", archive, _, *_]:
            write_tar(archive, entries(arguments[2:]), moment())
        case ["sums", folder]:
            write_sums(pathlib.Path(folder))
        case _:
            sys.exit(__doc__.strip())


def moment():
    text = os.environ.get("SOURCE_DATE_EPOCH") or str(EARLIEST)
    if not text.isdecimal() or int(text) < EARLIEST:
        sys.exit(f"scripts/archive.py: SOURCE_DATE_EPOCH is {text!r}. Set it to a number of seconds from {EARLIEST} (1980-01-01) on.")
    return int(text)


def entries(pairs):
    """What goes into an archive, by name, in the order in which it is written."""
    found = {}
    for pair in pairs:
        name, separator, file = pair.partition("=")
        if not (name and separator and file):
            sys.exit(f"scripts/archive.py: {pair!r} is not NAME=FILE.")
        path = pathlib.Path(file)
        if path.is_dir():
            found |= {f"{name}/{below.relative_to(path).as_posix()}": below for below in path.rglob("*")}
        elif path.is_file():
            found[name] = path
        else:
            sys.exit(f"scripts/archive.py: {file} does not exist, so {name} cannot go into the archive.")
    return sorted(found.items())


def mode(path):
    return PROGRAM_MODE if os.access(path, os.X_OK) else FILE_MODE


def content(path):
    """What a zip holds of a path: a link holds where it leads, a folder holds nothing."""
    if path.is_symlink():
        return stat.S_IFLNK | PROGRAM_MODE, os.readlink(path).encode()
    if path.is_dir():
        return stat.S_IFDIR | PROGRAM_MODE, b""
    return stat.S_IFREG | mode(path), path.read_bytes()


def write_zip(archive, found, seconds):
    with zipfile.ZipFile(archive, "w") as out:
        for name, path in found:
            kind, held = content(path)
            entry = zipfile.ZipInfo(f"{name}/" if stat.S_ISDIR(kind) else name, time.gmtime(seconds)[:6])
            entry.create_system = 3  # Unix: otherwise the kind and the permissions are not read
            entry.external_attr = kind << 16
            out.writestr(entry, held, zipfile.ZIP_DEFLATED, LEVEL)


def write_tar(archive, found, seconds):
    # The name and the time that gzip would put into its header are left out.
    with open(archive, "wb") as raw, gzip.GzipFile("", "wb", LEVEL, raw, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as out:
            for name, path in found:
                entry = out.gettarinfo(path, name)
                entry.mtime, entry.mode = seconds, PROGRAM_MODE if path.is_dir() else mode(path)
                entry.uid = entry.gid = 0
                entry.uname = entry.gname = ""
                with path.open("rb") if entry.isreg() else contextlib.nullcontext() as file:
                    out.addfile(entry, file)


def write_sums(folder):
    archives = sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in archives]
    (folder / "SHA256SUMS").write_text("".join(lines))


main(sys.argv[1:])
