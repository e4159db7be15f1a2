#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Remove what `make install` puts below a prefix: tools/uninstall.py BUILD [DESTDIR], BUILD configured for that prefix.

What else lies there stays. Folders that are empty then go too, but not those that /usr and /usr/local have anyway.
"""
import json
import os
import pathlib
import sys


def installed(build):
    """Where each installed file goes."""
    for source, place in json.loads((build / "meson-info/intro-installed.json").read_text()).items():
        source, place = pathlib.Path(source), pathlib.Path(place)
        if source.is_absolute() and source.is_dir():
            yield from (place / file.relative_to(source) for file in source.rglob("*") if not file.is_dir())
        else:
            yield place


def below(destdir, place):
    return pathlib.Path(f"{destdir}{place}")


def main():
    build, destdir = pathlib.Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    options = json.loads((build / "meson-info/intro-buildoptions.json").read_text())
    prefix = pathlib.Path(next(option["value"] for option in options if option["name"] == "prefix"))
    is_system = not destdir and str(prefix) in ("/usr", "/usr/local")
    folders, removed = set(), 0

    for place in set(installed(build)):
        try:
            below(destdir, place).unlink()
            removed += 1
        except FileNotFoundError:
            pass
        except OSError as error:
            sys.exit(f"cannot remove {below(destdir, place)}: {error.strerror}")
        folders.update(folder for folder in place.parents if folder.name and (destdir or folder == prefix or prefix in folder.parents))
    # The deepest first.
    for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
        is_own = prefix in folder.parents and "weir" in folder.relative_to(prefix).parts
        if (is_own or not is_system) and below(destdir, folder).is_dir() and not os.listdir(below(destdir, folder)):
            below(destdir, folder).rmdir()
    print(f"{removed} files removed from {below(destdir, prefix)}")


if __name__ == "__main__":
    main()
