"""Size, `make bench-large`: what must not become slower when there is a hundred times as much, and what must be fast then.

Two sets stand side by side on one server: 10⁴ users and conversations, and 10⁶ of each with 2·10⁶ sessions and 10⁷
messages. A third is one person's alone: 10⁵ conversations with 10⁷ messages. Each is built when a row first needs it,
into a folder that is kept. A set that was built only in part is built again.
"""

import contextlib
import random
import sys

import fixtures
import load
from report import Goal
from rows import Stage

SMALL, LARGE = 10_000, 1_000_000
PER_USER, LENGTH, PER_OWNER = 2, 10, 100
CHUNK = 20_000
READERS = 100
# The set of one person.
OWNED, OWNED_LENGTH = 100_000, 100


def folder(options):
    return options.folder.resolve() / (f"scale-{options.scale:g}" if options.scale != 1 else "full")


class Bar:
    """A line that grows on a terminal, and one line per tenth elsewhere."""

    def __init__(self, name, total):
        self.name, self.total, self.shown = name, total, -1

    def at(self, done):
        tenth = done * 10 // self.total
        if sys.stderr.isatty():
            print(f"\r  {self.name:20} [{'#' * (tenth * 3):30}] {done:,}/{self.total:,}", end="", file=sys.stderr,
                  flush=True)
            if done >= self.total:
                print(file=sys.stderr)
        elif tenth > self.shown:
            print(f"  {self.name}: {done:,} of {self.total:,}", file=sys.stderr, flush=True)
        self.shown = tenth


class LargeStage(Stage):
    # A kept set must not age: its sessions last ten years, idle or not, so that none ends and none is due to slide.
    DAYS = 3650
    settings = {"TESSERA_SESSION_IDLE": f"{DAYS}d", "TESSERA_SESSION_ABSOLUTE": f"{DAYS}d"}

    def __init__(self, cluster, options, files):
        super().__init__(cluster, options, files)
        self.sizes = {"small": SMALL, "large": max(SMALL, int(LARGE * options.scale))}
        self.owned = max(1000, int(OWNED * options.scale))

    def grown(self):
        """Sees that the two sets are there."""
        for name, size in self.sizes.items():
            if not self.is_built(name):
                self.build(name, size)

    def is_built(self, name):
        return self.cluster.exists(f"chat_{name}") and bool(self.cluster.sql(
            "SELECT 1 FROM pg_tables WHERE tablename = 'bench_built'", f"chat_{name}"))

    def build(self, name, size):
        auth_database, chat_database = f"auth_{name}", f"chat_{name}"
        for database in (auth_database, chat_database):
            self.cluster.sql(f"DROP DATABASE IF EXISTS {database}")
            self.cluster.create(database)
        with self.service("auth", auth_database) as auth, self.service("chat", chat_database, auth.url):
            pass
        self.chunks(f"users ({name})", size, auth_database, fixtures.users_sql)
        self.chunks(f"sessions ({name})", size * PER_USER, auth_database,
                    lambda first, last: fixtures.sessions_sql(first, last, PER_USER, self.DAYS, self.DAYS))
        owners = max(1, size // PER_OWNER)
        self.chunks(f"conversations ({name})", size, chat_database,
                    lambda first, last: fixtures.conversations_sql(first, last, owners, LENGTH))
        for database in (auth_database, chat_database):
            print(f"  vacuum {database}", file=sys.stderr, flush=True)
            fixtures.loaded(self.cluster, database)
        self.cluster.sql("CREATE TABLE bench_built AS SELECT now() AS at", chat_database)

    def build_owned(self):
        """The set of one person. Its index of words is made at the end: a row at a time it would take hours."""
        for database in ("auth_owned", "chat_owned"):
            self.cluster.sql(f"DROP DATABASE IF EXISTS {database}")
            self.cluster.create(database)
        with self.service("auth", "auth_owned") as auth, self.service("chat", "chat_owned", auth.url):
            pass
        self.cluster.sql(fixtures.users_sql(1, 1) + fixtures.sessions_sql(1, 1, 1, self.DAYS, self.DAYS), "auth_owned")
        index = self.cluster.sql("SELECT indexdef FROM pg_indexes WHERE indexname = 'messages_search'", "chat_owned")[0][0]
        self.cluster.sql("DROP INDEX messages_search", "chat_owned")
        bar = Bar("conversations (owned)", self.owned)
        for first in range(1, self.owned + 1, CHUNK // 10):
            last = min(self.owned, first + CHUNK // 10 - 1)
            self.cluster.sql(fixtures.conversations_sql(first, last, 1, OWNED_LENGTH), "chat_owned")
            bar.at(last)
        print("  index of words", file=sys.stderr, flush=True)
        self.cluster.sql(f"SET maintenance_work_mem = '1GB'; {index}", "chat_owned")
        fixtures.loaded(self.cluster, "chat_owned")
        self.cluster.sql("CREATE TABLE bench_built AS SELECT now() AS at", "chat_owned")

    @contextlib.contextmanager
    def owned_chat(self):
        """chat on the set of one person, and a token of theirs."""
        if not self.is_built("owned"):
            self.build_owned()
        with self.service("auth", "auth_owned") as auth, self.service("chat", "chat_owned", auth.url) as chat:
            yield chat, fixtures.access_token(auth, self.cluster, "auth_owned", 1)

    def chunks(self, name, total, database, sql):
        bar = Bar(name, total)
        for first in range(1, total + 1, CHUNK):
            last = min(total, first + CHUNK - 1)
            self.cluster.sql(sql(first, last), database)
            bar.at(last)

    @contextlib.contextmanager
    def auths(self):
        """auth on each of the two sets."""
        self.grown()
        with contextlib.ExitStack() as stack:
            yield {name: stack.enter_context(self.service("auth", f"auth_{name}")) for name in self.sizes}


def contender(name, size):
    return f"{name}, {size:,} rows"


def goal(what, sizes):
    return [Goal(f"p99 of {what}", contender(what, sizes["large"]), contender(what, sizes["small"]), most=1.5)]


@contextlib.contextmanager
def refresh(stage):
    """Refreshes of sessions drawn over the whole table."""
    with stage.auths() as auths:
        def run(name, size):
            database = f"auth_{name}"
            tokens = fixtures.postgres_tokens(stage.cluster, database, size * PER_USER, stage.folder / "tokens")
            return stage.counted(auths[name], database,
                                 lambda: load.wrk("refresh", auths[name].url, stage.seconds, tokens, load.THREADS))

        yield {contender("refresh", size): lambda name=name, size=size: run(name, size)
               for name, size in stage.sizes.items()}, goal("refresh", stage.sizes), []


@contextlib.contextmanager
def conversations(stage):
    """The first page of the conversations of an owner who has a hundred."""
    with stage.auths() as auths, contextlib.ExitStack() as stack:
        paths, chats = {}, {}
        for name, size in stage.sizes.items():
            chats[name] = stack.enter_context(stage.service("chat", f"chat_{name}", auths[name].url))
            owners = random.sample(range(1, max(1, size // PER_OWNER) + 1), min(READERS, size // PER_OWNER))
            paths[name] = stage.folder / f"lists-{name}"
            with open(paths[name], "w") as file:
                for owner in owners:
                    token = fixtures.access_token(auths[name], stage.cluster, f"auth_{name}", owner, PER_USER)
                    file.write(f"/v1/conversations?limit=20\t{token}\n")
        yield {contender("list conversations", size): lambda name=name: stage.counted(
            chats[name], f"chat_{name}", lambda: load.wrk("get", chats[name].url, stage.seconds, paths[name]))
            for name, size in stage.sizes.items()}, goal("list conversations", stage.sizes), []


@contextlib.contextmanager
def login(stage):
    """The lookup of a login, by pgbench: over HTTP the hash of the password would hide it."""
    with stage.auths() as auths:
        stage.cluster.reset_statements()
        nobody = {"email": "nobody@bench.example", "password": "correct horse battery staple"}
        auths["small"].expect(401, "POST", "/v1/login", nobody)
        stage.cluster.same_statement("auth_small", load.HERE / "pgbench" / "login_lookup.sql")
    yield {contender("login's lookup", size): lambda name=name, size=size: load.pgbench(
        stage.cluster, f"auth_{name}", "login_lookup", stage.seconds, users=size)
        for name, size in stage.sizes.items()}, goal("login's lookup", stage.sizes), [
            "the statement accounts.credentials_by_email, 64 clients"]


def beside(stage, chat, what, paths, script, variables):
    """A GET at 64 connections, `/healthz` of the same server, and its select by pgbench."""
    stage.cluster.reset_statements()
    path, token = random.choice(paths.read_text().splitlines()).split("\t")
    chat.expect(200, "GET", path, token=token)
    stage.cluster.same_statement("chat_owned", load.HERE / "pgbench" / f"{script}.sql")
    select, deadline = f"pgbench, the same select -c {load.CONNECTIONS} -j {load.THREADS}", "25 ms"
    return {
        what: lambda: stage.counted(chat, "chat_owned", lambda: load.wrk("get", chat.url, stage.seconds, paths)),
        "GET /healthz": lambda: load.wrk("plain", chat.url + "/healthz", stage.seconds),
        select: lambda: load.pgbench(stage.cluster, "chat_owned", script, stage.seconds, **variables),
        deadline: lambda: load.Sample(1, None, 25_000),
    }, [
        Goal(f"{what} against /healthz", what, "GET /healthz", least=0.15),
        Goal(f"{what} against pgbench", what, select, least=0.4),
        Goal(f"p99 of {what} against 25 ms", what, deadline, most=1.0),
    ]


@contextlib.contextmanager
def latest(stage):
    """The latest 50 messages of any of 100,000 conversations with 10,000,000 messages."""
    with stage.owned_chat() as (chat, token):
        paths = stage.folder / "latest"
        with open(paths, "w") as file:
            for number in random.sample(range(1, stage.owned + 1), 1000):
                file.write(f"/v1/conversations/{fixtures.conversation_id(number)}/messages?last=50\t{token}\n")
        yield *beside(stage, chat, "GET the latest 50 messages", paths, "latest",
                      {"owner": fixtures.user_id(1), "conversations": stage.owned, "seq": (1 << 63) - 1,
                       "bytes": fixtures.PAGE_BYTES // 51}), [
            "published elsewhere: 4,325/s, p99 7.4 ms at 16 connections, on a laptop"]


@contextlib.contextmanager
def owned(stage):
    """The first page of 50 conversations of a person who has 100,000."""
    with stage.owned_chat() as (chat, token):
        paths = stage.folder / "owned"
        paths.write_text(f"/v1/conversations?limit=50\t{token}\n")
        yield *beside(stage, chat, "GET 50 conversations", paths, "owned",
                      {"owner": fixtures.user_id(1), "none": 0, "at": "2100-01-01", "after": "~"}), []


ROWS = {row.__name__: row for row in (conversations, refresh, login, latest, owned)}
