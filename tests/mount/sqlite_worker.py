# SPDX-License-Identifier: Apache-2.0
"""Counts in an sqlite database that others count in as well: sqlite_worker.py FILE NUMBER TRANSACTIONS."""
import sqlite3
import sys

path, number, transactions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
database = sqlite3.connect(path, timeout=600, isolation_level=None)
for _ in range(transactions):
    database.execute("BEGIN IMMEDIATE")
    count = database.execute("SELECT count FROM counter").fetchone()[0]
    database.execute("UPDATE counter SET count = ?", (count + 1,))
    database.execute("INSERT INTO entries VALUES (?, ?)", (number, count))
    database.execute("COMMIT")
database.close()
