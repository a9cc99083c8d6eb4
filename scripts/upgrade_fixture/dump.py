"""Databases as SQL that loads into an empty one, and how the files are written."""

import gzip
import sqlite3

ROWS_OF_ONE_INSERT = 50


def write(path, script):
    """The same script gives the same bytes: no name and no time in the header."""
    with open(path, "wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=9, mtime=0) as out:
        out.write(script.encode())


def sqlite_script(path):
    """Tables, then rows, then indexes and triggers, so that no trigger sees a row.

    A table of FTS5 is made as such, which makes its shadow tables; their rows are put in the place of those that it
    makes. The statistics of the query planner are left out.
    """
    database = sqlite3.connect(path)
    objects = database.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY rowid"
    ).fetchall()
    virtual = {name for kind, name, _, sql in objects if (sql or "").startswith("CREATE VIRTUAL TABLE")}
    lines = ["BEGIN;"]
    for kind, name, _, sql in objects:
        if kind != "table":
            continue
        shadows = [table for table in virtual if name.startswith(table + "_")]
        is_own = not shadows and name != "sqlite_sequence"
        if is_own:
            lines.append(f"{sql};")
        if name in virtual:
            continue
        if not is_own:
            lines.append(f"DELETE FROM {name};")
        lines += sqlite_rows(database, name)
    lines += [f"{sql};" for kind, _, _, sql in objects if kind in ("index", "trigger") and sql]
    database.close()
    return "\n".join(lines + ["COMMIT;", ""])


def sqlite_rows(database, table):
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(f'quote("{column}")' for column in columns)
    rows = ["(" + ", ".join(row) + ")" for row in database.execute(f"SELECT {values} FROM {table}")]
    names = ", ".join(f'"{column}"' for column in columns)
    for start in range(0, len(rows), ROWS_OF_ONE_INSERT):
        yield f"INSERT INTO {table} ({names}) VALUES\n" + ",\n".join(rows[start : start + ROWS_OF_ONE_INSERT]) + ";"


def postgres_script(text):
    """What pg_dump writes, without what it sets for its own session and what only psql understands."""
    # Functions come before the tables that they name.
    lines = ["SET check_function_bodies = false;"]
    is_preamble = True
    for line in text.splitlines():
        if line.startswith("CREATE "):
            is_preamble = False
        if line.startswith(("\\restrict", "\\unrestrict")):
            continue
        if is_preamble and (not line or line.startswith(("SET ", "SELECT pg_catalog.set_config(", "--"))):
            continue
        if line in ("SET default_tablespace = '';", "SET default_table_access_method = heap;"):
            continue
        lines.append(line)
    return "\n".join(lines + [""])
