"""A PostgreSQL of our own, as durable as it comes.

Only what a modest server would set is changed; fsync, full_page_writes and synchronous_commit stay on. Both sides of
every comparison use this one server. pg_stat_statements is loaded for both, because it tells how many statements a
request costs.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 256MB
max_wal_size = 2GB
fsync = on
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.track_utility = off
"""


class BenchError(Exception):
    """Something did not work; the message is for the person at the terminal."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def programs():
    """The folder of the server's programs, which Debian keeps off PATH: 15 if it is there, else the newest."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    for path in found:
        if path.parts[-3] == "15":
            return path.parent
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    if not initdb:
        raise BenchError("no PostgreSQL server found: install postgresql (15 or later)")
    return pathlib.Path(initdb).resolve().parent


class Cluster:
    """A server in `folder`, or in a temporary one that goes away with it."""

    def __init__(self, folder=None):
        self.bin = programs()
        self.kept = folder is not None
        self.folder = pathlib.Path(folder) if self.kept else pathlib.Path(tempfile.mkdtemp(prefix="tessera-bench."))
        self.data = self.folder / "data"
        self.port = None
        # PostgreSQL refuses to run as root.
        self.as_owner = []
        if os.geteuid() == 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            shutil.chown(self.folder, "postgres")
            self.as_owner = ["runuser", "-u", "postgres", "--"]

    def _server(self, program, *arguments):
        command = [*self.as_owner, "env", "LC_ALL=C.UTF-8", str(self.bin / program), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if done.returncode != 0:
            log = self.folder / "server.log"
            tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise BenchError(f"{program} failed: {done.stderr}{tail}")

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            if not (self.data / "PG_VERSION").exists():
                self._server("initdb", f"--pgdata={self.data}", "--username=tessera", "--auth=trust",
                             "--encoding=UTF8", "--locale=C.UTF-8")
                with open(self.data / "postgresql.conf", "a") as conf:
                    conf.write(SETTINGS)
            self.port = free_port()
            # The server inherits pg_ctl's files, so its output must not be a pipe with a reader.
            command = [*self.as_owner, "env", "LC_ALL=C.UTF-8", str(self.bin / "pg_ctl"), f"--pgdata={self.data}",
                       f"--log={self.folder}/server.log", f"--options=-p {self.port}", "--timeout=300", "--wait",
                       "--silent", "start"]
            if subprocess.run(command, cwd=self.folder, stdout=subprocess.DEVNULL).returncode != 0:
                raise BenchError(f"PostgreSQL did not start; see {self.folder}/server.log")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if (self.data / "postmaster.pid").exists():
            # A kept folder is closed properly, the other one has nothing to lose.
            mode = "fast" if self.kept else "immediate"
            self._server("pg_ctl", f"--pgdata={self.data}", f"--mode={mode}", "--timeout=300", "--wait", "--silent",
                         "stop")
        if not self.kept:
            shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database):
        return f"postgres://tessera@127.0.0.1:{self.port}/{database}"

    def sql(self, text, database="postgres"):
        """Runs SQL and returns the rows, each a list of strings."""
        command = ["psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", self.url(database)]
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"SQL failed in {database}: {done.stderr.strip()}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def create(self, database):
        self.sql(f'CREATE DATABASE "{database}"')

    def exists(self, database):
        return bool(self.sql(f"SELECT 1 FROM pg_database WHERE datname = '{database}'"))

    def version(self):
        return self.sql("SHOW server_version")[0][0]

    # What the server counted. Queries about it are made in another database, so that they are not in the count.

    def reset_statements(self):
        self.sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset()")

    def statements(self, database):
        return int(self.sql(f"""
            SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
            WHERE d.datname = '{database}'""")[0][0])

    def same_statement(self, database, script):
        """Fails unless a service has just sent the statement of a pgbench script: the copy must not fall behind."""
        def shape(text):
            # pg_stat_statements writes constants as parameters; the scripts compute an address, an id, and a NULL.
            text = re.sub(r"'user' \|\| :id::int \|\| '@bench.example'", "?", text)
            text = re.sub(r"\('[\w-]+' \|\| lpad\(to_hex\(:number::bigint\), 12, '0'\)\)|nullif\(:none, 0\)::boolean", "?", text)
            text = re.sub(r"(?<!:):\w+|\$\d+|'[^']*'|\b\d+\b", "?", text)
            return " ".join(re.sub(r"([()])", r" \1 ", text).split())
        lines = script.read_text().splitlines()
        copy = shape("\n".join(line for line in lines if not line.startswith(("--", "\\")))).rstrip(";")
        sent = self.sql(f"""
            SELECT replace(query, E'\\n', ' ') FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
            WHERE d.datname = '{database}'""")
        if copy not in [shape(row[0]) for row in sent]:
            raise BenchError(f"{script.name} is not what the service sends any more: {copy}")

    def updates(self, database, table):
        """How many rows of a table were updated so far, and how many of them without touching an index."""
        # A backend reports its counts at most once a second.
        time.sleep(1.1)
        row = self.sql(f"SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = '{table}'", database)
        return int(row[0][0]), int(row[0][1])


def stop(process):
    """Ends a process that we started, and waits for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
