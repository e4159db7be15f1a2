# SPDX-License-Identifier: MIT
"""The API on PostgreSQL; run by tests/with_postgres.sh."""
import api_tests
from backend import PostgresDatabase

if __name__ == "__main__":
    api_tests.run(PostgresDatabase("weir_api"))
