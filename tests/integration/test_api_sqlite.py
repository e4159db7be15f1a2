# SPDX-License-Identifier: MIT
"""The API on SQLite."""
import pathlib
import tempfile

import api_tests
from backend import SqliteDatabase

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="weir-api-") as directory:
        api_tests.run(SqliteDatabase(pathlib.Path(directory) / "main.db"))
