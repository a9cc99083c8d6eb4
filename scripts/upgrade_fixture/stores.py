"""Where the services keep their rows, and how this script looks into them while they do."""

import json
import os
import secrets
import sqlite3
import subprocess
import sys
import time

from . import dump


class SQLiteStore:
    engine = "sqlite"

    def __init__(self, folder):
        self.folder = folder / "data"
        self.folder.mkdir()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def path(self, service):
        return self.folder / f"{service}.sqlite"

    def url(self, service):
        return f"sqlite:{self.path(service)}"

    def rows(self, service, sql):
        database = sqlite3.connect(self.path(service), timeout=60)
        try:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(sql)]
        finally:
            database.close()

    def execute(self, service, sql):
        database = sqlite3.connect(self.path(service), timeout=60)
        try:
            with database:
                database.execute(sql)
        finally:
            database.close()

    def watching(self, service):
        """A function that reads one number, again and again, as fast as it can."""
        database = sqlite3.connect(self.path(service), timeout=60)
        return lambda sql: database.execute(sql).fetchone()[0]

    def holding(self, service, row):
        """Nothing to hold: transactions of this engine take long enough to be seen."""
        return lambda goes_on: None

    def end_sessions(self, service, read):
        """What a killed process was writing is not committed."""

    def earlier(self, column, hours):
        return f"{column} - {hours * 3_600_000_000}"

    def tables(self, service):
        names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
        return [row["name"] for row in self.rows(service, names) if not row["name"].startswith("sqlite_")]

    def counts(self, service):
        return {name: self.rows(service, f"SELECT COUNT(*) AS n FROM {name}")[0]["n"] for name in self.tables(service)}

    def script(self, service):
        return dump.sqlite_script(self.path(service))


class PostgresStore:
    engine = "postgres"

    def __init__(self, _):
        self.server = os.environ["TESSERA_TEST_POSTGRES_URL"]
        self.prefix = f"fixture_{secrets.token_hex(4)}"

    def __enter__(self):
        for service in ("auth", "chat"):
            self._administer(f"CREATE DATABASE {self.prefix}_{service} TEMPLATE template0 ENCODING 'UTF8'")
        return self

    def __exit__(self, *_):
        for service in ("auth", "chat"):
            self._administer(f"DROP DATABASE {self.prefix}_{service} WITH (FORCE)")

    def _administer(self, sql):
        subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, self.server], check=True)

    def url(self, service):
        return f"{self.server.rsplit('/', 1)[0]}/{self.prefix}_{service}"

    def _psql(self, service, sql):
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, self.url(service)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def rows(self, service, sql):
        text = self._psql(service, f"SELECT row_to_json(found) FROM ({sql}) AS found")
        return [json.loads(line) for line in text.splitlines()]

    def execute(self, service, sql):
        self._psql(service, sql)

    def watching(self, service):
        """A function that reads one number, again and again, as fast as it can: psql stays."""
        psql = subprocess.Popen(
            ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.url(service)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

        def read(sql):
            psql.stdin.write(sql.replace("\n", " ") + ";\n")
            psql.stdin.flush()
            line = psql.stdout.readline()
            if not line:
                sys.exit("make-upgrade-fixture: psql ended")
            return int(line)

        return read

    def holding(self, service, row):
        """Holds the lock of a row. A call lets one transaction pass, behind which it queues up again, or all of them.

        So the program's transactions come one by one, however fast they are.
        """
        read = self.watching(service)
        lock = f"BEGIN; SELECT COUNT(*) FROM (SELECT 1 FROM {row} FOR UPDATE) AS locked"
        read(lock)
        return lambda goes_on: read(f"COMMIT; {lock if goes_on else 'SELECT 0'}")

    def end_sessions(self, service, read):
        """A killed client has sent its COMMIT with the transaction, and the server would carry that out: as if the machine of
        both had lost its power, the server's sessions end with it."""
        others = "pg_stat_activity WHERE datname = current_database() AND application_name <> 'psql'"
        while read(f"SELECT COUNT(pg_terminate_backend(pid)) FROM {others}") > 0:
            time.sleep(0.02)

    def earlier(self, column, hours):
        return f"{column} - INTERVAL '{hours} hours'"

    def tables(self, service):
        names = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
        return [row["relname"] for row in self.rows(service, names)]

    def counts(self, service):
        return {name: self.rows(service, f"SELECT COUNT(*) AS n FROM {name}")[0]["n"] for name in self.tables(service)}

    def script(self, service):
        options = ["--no-owner", "--no-privileges", "--no-comments", f"--rows-per-insert={dump.ROWS_OF_ONE_INSERT}"]
        done = subprocess.run(["pg_dump", *options, self.url(service)], check=True, capture_output=True, text=True)
        return dump.postgres_script(done.stdout)
