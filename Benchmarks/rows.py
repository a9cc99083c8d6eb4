"""The rows of `make bench`: who competes with whom, and what must come out.

A row yields its contenders, each a function that makes one run. All contenders of a row take turns (A, B, A, B, …),
so that what the machine does besides falls on all of them; a ratio is the median of the rounds' ratios.
"""

import contextlib
import http.client
import pathlib
import secrets
import time
import urllib.parse

import fixtures
import load
import reach as reaching
from cluster import BenchError, stop
from report import Goal
from service import Service

OWNERS, SHORT, LONG = 8, 10, 100_000
# A short conversation is left after so many messages, so that it stays short.
APPENDS_EACH = 10


class Stage:
    """What the rows share: the server, the binaries, and a folder for files."""

    def __init__(self, cluster, options, folder):
        self.cluster, self.options, self.folder = cluster, options, pathlib.Path(folder)
        self.tessera, self.engine = options.bin_dir / "tessera", options.bin_dir / "storage-bench"
        self.verifier = options.bin_dir / "verifier-bench"
        self.seconds, self.rounds, self.users = options.seconds, options.rounds, options.rows

    # Of the services, beside what all benchmarks set.
    settings = {}

    def service(self, kind, database, auth_url=None):
        url = database if ":" in database else self.cluster.url(database)
        return Service(self.tessera, kind, url, auth_url, self.settings)

    def counted(self, service, database, run):
        """Runs a load on a service, with its memory and the statements that a request cost."""
        self.cluster.reset_statements()
        sample = run()
        sample.statements = self.cluster.statements(database) / sample.operations
        for name, value in service.memory().items():
            setattr(sample, name, value)
        return sample

    def counters(self):
        """The table of storage-bench and pgbench: a thousand rows."""
        if not self.cluster.exists("bench"):
            self.cluster.create("bench")
            self.cluster.sql("""CREATE TABLE bench_counters (id BIGINT PRIMARY KEY, value BIGINT NOT NULL);
                INSERT INTO bench_counters SELECT i, 0 FROM generate_series(1, 1000) i""", "bench")

    def auth_rows(self):
        """A database `auth` of as many users, each with a session."""
        if self.cluster.exists("auth"):
            return
        self.cluster.create("auth")
        with self.service("auth", "auth"):
            pass
        self.cluster.sql(fixtures.users_sql(1, self.users), "auth")
        self.cluster.sql(fixtures.sessions_sql(1, self.users, 1), "auth")
        fixtures.loaded(self.cluster, "auth")

    def refresh(self, auth, seconds=None):
        tokens = fixtures.postgres_tokens(self.cluster, "auth", self.users, self.folder / "tokens")
        return load.wrk("refresh", auth.url, seconds or self.seconds, tokens, load.THREADS)

    def chat_rows(self):
        """A database `chat`: for each of some owners one long conversation and many short ones."""
        if self.cluster.exists("chat"):
            return
        self.auth_rows()
        self.cluster.create("chat")
        with self.service("auth", "auth") as auth, self.service("chat", "chat", auth.url):
            pass
        self.cluster.sql(fixtures.conversations_sql(1, OWNERS, OWNERS, LONG), "chat")
        self.cluster.sql(fixtures.conversations_sql(OWNERS + 1, 2 * OWNERS, OWNERS, 100), "chat")
        fixtures.loaded(self.cluster, "chat")

    @contextlib.contextmanager
    def chat(self):
        self.chat_rows()
        with self.service("auth", "auth") as auth, self.service("chat", "chat", auth.url) as chat:
            yield chat, [fixtures.access_token(auth, self.cluster, "auth", i + 1) for i in range(OWNERS)]


@contextlib.contextmanager
def update(stage):
    """Raw durable updates, and the refresh, which is one over HTTP."""
    stage.counters()
    stage.auth_rows()
    with stage.service("auth", "auth") as auth:
        before = {table: stage.cluster.updates("auth", table) for table in ("refresh_tokens", "sessions")}
        notes = []
        yield {
            "storage-bench postgres-update, 64 callers":
                lambda: load.storage_bench(stage.engine, "postgres-update", stage.cluster.url("bench"), stage.seconds),
            "pgbench update -M prepared -c 64 -j 2":
                lambda: load.pgbench(stage.cluster, "bench", "update", stage.seconds),
            "POST /v1/token/refresh, 64 connections":
                lambda: stage.counted(auth, "auth", lambda: stage.refresh(auth)),
        }, [
            Goal("raw transaction against pgbench", "storage-bench postgres-update, 64 callers",
                 "pgbench update -M prepared -c 64 -j 2", least=2.0, stretch=3.0),
            Goal("refresh over HTTP against pgbench", "POST /v1/token/refresh, 64 connections",
                 "pgbench update -M prepared -c 64 -j 2", least=0.5, stretch=0.7),
        ], notes
        for table, (updates, hot) in before.items():
            now, now_hot = stage.cluster.updates("auth", table)
            share = f"{(now_hot - hot) / (now - updates):.1%} HOT" if now > updates else "none"
            notes.append(f"updates of {table}: {now - updates:,}, {share}")


@contextlib.contextmanager
def read(stage):
    """Raw reads of one row."""
    stage.counters()
    yield {
        "storage-bench postgres-read, 64 callers":
            lambda: load.storage_bench(stage.engine, "postgres-read", stage.cluster.url("bench"), stage.seconds),
        "pgbench select -M prepared -c 64 -j 2":
            lambda: load.pgbench(stage.cluster, "bench", "read", stage.seconds),
    }, [Goal("raw read against pgbench", "storage-bench postgres-read, 64 callers",
             "pgbench select -M prepared -c 64 -j 2", least=1.2, stretch=1.7)], []


@contextlib.contextmanager
def page(stage):
    """A page of 20 messages that begins anywhere in a conversation."""
    with stage.chat() as (chat, tokens):
        owner, long, short = fixtures.user_id(1), fixtures.conversation_id(1), fixtures.conversation_id(OWNERS + 1)
        pages = fixtures.message_pages(long, LONG, tokens[0], stage.folder / "pages-long")
        few = fixtures.message_pages(short, 100, tokens[0], stage.folder / "pages-short")
        stage.cluster.reset_statements()
        chat.expect(200, "GET", f"/v1/conversations/{long}/messages", token=tokens[0])
        stage.cluster.same_statement("chat", load.HERE / "pgbench" / "page.sql")
        yield {
            "GET 20 messages of 100,000": lambda: stage.counted(
                chat, "chat", lambda: load.wrk("get", chat.url, stage.seconds, pages)),
            "GET /healthz": lambda: stage.counted(
                chat, "chat", lambda: load.wrk("plain", chat.url + "/healthz", stage.seconds)),
            "pgbench, the same select -c 64 -j 2": lambda: load.pgbench(
                stage.cluster, "chat", "page", stage.seconds, conversation=long, owner=owner, length=LONG,
                bytes=fixtures.PAGE_BYTES // 21),
            "GET 20 messages of 100": lambda: stage.counted(
                chat, "chat", lambda: load.wrk("get", chat.url, stage.seconds, few)),
        }, [
            Goal("page against /healthz", "GET 20 messages of 100,000", "GET /healthz", least=0.25),
            Goal("page against pgbench", "GET 20 messages of 100,000", "pgbench, the same select -c 64 -j 2",
                 least=0.5),
            Goal("p99 of 100,000 against 100", "GET 20 messages of 100,000", "GET 20 messages of 100", most=1.5),
        ], []


@contextlib.contextmanager
def append(stage):
    """One message onto conversations of two lengths: as many owners, as many growing at a time, on both sides."""
    with stage.chat() as (chat, tokens):
        made = 2 * OWNERS
        # As many as appends of a run can fill: 6,000 a second.
        wanted = max(OWNERS, 6000 * stage.seconds // APPENDS_EACH // OWNERS * OWNERS)

        def fresh():
            """Conversations of ten messages, new for each run, made outside the measured time."""
            nonlocal made
            first, last = made + 1, made + wanted
            stage.cluster.sql(fixtures.conversations_sql(first, last, OWNERS, SHORT), "chat")
            stage.cluster.sql("VACUUM (ANALYZE) conversations; CHECKPOINT", "chat")
            made = last
            return [range(first + owner, last + 1, OWNERS) for owner in range(OWNERS)]

        def run(conversations, name):
            path = stage.folder / name
            with open(path, "w") as file:
                for own, token in zip(conversations, tokens):
                    paths = ",".join(f"/v1/conversations/{fixtures.conversation_id(i)}/messages" for i in own)
                    file.write(f"{paths}\t{token}\n")
            return stage.counted(
                chat, "chat",
                lambda: load.wrk("append", chat.url, stage.seconds, path, load.THREADS, APPENDS_EACH))

        yield {
            "POST a message, length 10": lambda: run(fresh(), "append-short"),
            "POST a message, length 100,000": lambda: run([[i + 1] for i in range(OWNERS)], "append-long"),
        }, [Goal("100,000 against 10", "POST a message, length 100,000", "POST a message, length 10", least=0.9)], [
            f"{OWNERS} owners with one growing conversation each; a short one is left after {APPENDS_EACH} appends"]


@contextlib.contextmanager
def search(stage):
    """200 queries, rare, common and phrases, over a million messages of which one owner has a tenth."""
    file = stage.folder / "search.sqlite"
    stage.auth_rows()
    with stage.service("auth", "auth") as auth:
        if not stage.cluster.exists("search"):
            stage.cluster.create("search")
            with stage.service("chat", "search", auth.url), stage.service("chat", f"sqlite:{file}", auth.url):
                pass
            stage.cluster.sql(fixtures.searched_sql(fixtures.SEARCHED), "search")
            fixtures.loaded(stage.cluster, "search")
            fixtures.load_searched(file, fixtures.SEARCHED)
        token = fixtures.access_token(auth, stage.cluster, "auth", 1)
        paths = ["/v1/search?q=" + urllib.parse.quote(query) for query in fixtures.search_queries()]
        with stage.service("chat", "search", auth.url) as postgres, \
                stage.service("chat", f"sqlite:{file}", auth.url) as sqlite:
            yield {
                "GET /v1/search, PostgreSQL": lambda: load.queries(postgres.url, paths, token),
                "GET /v1/search, SQLite": lambda: load.queries(sqlite.url, paths, token),
                "50 ms": lambda: load.Sample(20, 50_000, 50_000),
            }, [
                Goal("p95, PostgreSQL", "GET /v1/search, PostgreSQL", "50 ms", most=1.0),
                Goal("p95, SQLite", "GET /v1/search, SQLite", "50 ms", most=1.0),
            ], [f"{fixtures.SEARCHED:,} messages of {fixtures.WORDS} words; the p99 column holds the p95"]


@contextlib.contextmanager
def sqlite(stage):
    """The same durable writes on one SQLite file."""
    file = stage.folder / "auth.sqlite"
    with stage.service("auth", f"sqlite:{file}"):
        pass
    fixtures.load_sqlite(file, stage.users)
    with stage.service("auth", f"sqlite:{file}") as auth:
        def refresh():
            tokens = fixtures.sqlite_tokens(file, stage.folder / "tokens-sqlite")
            sample = load.wrk("refresh", auth.url, stage.seconds, tokens, load.THREADS)
            for name, value in auth.memory().items():
                setattr(sample, name, value)
            return sample

        yield {
            "storage-bench sqlite-unit, 64 callers":
                lambda: load.storage_bench(stage.engine, "sqlite-unit", file, stage.seconds),
            "GRDB, a transaction per write, 64 callers":
                lambda: load.storage_bench(stage.engine, "grdb-write", file, stage.seconds),
            "POST /v1/token/refresh, 64 connections": refresh,
        }, [
            Goal("raw transaction against GRDB", "storage-bench sqlite-unit, 64 callers",
                 "GRDB, a transaction per write, 64 callers", least=4.0),
            Goal("refresh over HTTP against GRDB", "POST /v1/token/refresh, 64 connections",
                 "GRDB, a transaction per write, 64 callers", least=1.5),
        ], []


@contextlib.contextmanager
def duplicates(stage):
    """Refreshes beside a stream of signups, of which 5 in 100 are of an address that is taken."""
    stage.auth_rows()
    with stage.service("auth", "auth") as auth:
        person = {"email": "taken@bench.example", "password": "correct horse battery staple"}
        auth.call("POST", "/v1/signup", person)

        def run(share):
            stream = load.wrk_beside("signup", auth.url, stage.seconds + 1, f"s{secrets.token_hex(4)}", share,
                                     connections=4, threads=1)
            try:
                sample = stage.refresh(auth)
                output, _ = stream.communicate(timeout=60)
            finally:
                stop(stream)
            signups = load.wrk_sample(output, "signup", may_refuse=share > 0)
            sample.note = f"{signups.per_second:.1f} signups a second beside, {signups.refused} of them refused"
            for name, value in auth.memory().items():
                setattr(sample, name, value)
            return sample

        yield {
            "refresh beside signups, 5 % duplicates": lambda: run(5),
            "refresh beside signups, no duplicates": lambda: run(0),
        }, [Goal("with duplicates against without", "refresh beside signups, 5 % duplicates",
                 "refresh beside signups, no duplicates", least=0.8)], []


def read_export(chat, token, messages):
    """Reads an export to its trailer; messages a second, and the service's memory at its highest."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", chat.port, timeout=120)
    try:
        connection.request("GET", "/v1/chat/export", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        size, last = 0, b""
        while chunk := answer.read(1 << 20):
            size, last = size + len(chunk), (last + chunk)[-1000:]
    finally:
        connection.close()
    if answer.status != 200 or b'"trailer"' not in last or f'"message":{messages}'.encode() not in last:
        raise BenchError(f"the export ended with {answer.status} and {last!r}")
    seconds = time.monotonic() - began
    sample = load.Sample(messages / seconds, None, None, 1, note=f"{size >> 20} MiB in {seconds:.1f} s")
    for name, value in chat.memory().items():
        setattr(sample, name, value)
    return sample


@contextlib.contextmanager
def export(stage):
    """A million messages of one person as NDJSON, in short conversations and in one, each by a fresh process."""
    stage.auth_rows()
    messages = 1_000_000
    if not stage.cluster.exists("export"):
        stage.cluster.create("export")
        with stage.service("auth", "auth") as auth, stage.service("chat", "export", auth.url):
            pass
        # All of user 1, and then one of user 2: the even ones are, where there are two owners.
        chunk = 20_000
        for first in range(1, 100_000, chunk):
            stage.cluster.sql(fixtures.conversations_sql(first, first + chunk - 1, 1, messages // 100_000), "export")
        stage.cluster.sql(fixtures.conversations_sql(100_002, 100_002, 2, messages), "export")
        fixtures.loaded(stage.cluster, "export")

    def run(user):
        with stage.service("auth", "auth") as auth, stage.service("chat", "export", auth.url) as chat:
            return read_export(chat, fixtures.access_token(auth, stage.cluster, "auth", user), messages)

    yield {
        "export, 100,000 conversations of 10": lambda: run(1),
        "export, one conversation of 1,000,000": lambda: run(2),
        "100 MB": lambda: load.Sample(None, None, None, hwm_kib=100_000_000 // 1024),
    }, [
        Goal("memory of short conversations", "export, 100,000 conversations of 10", "100 MB", most=1.0,
             figure="hwm_kib"),
        Goal("memory of a long one", "export, one conversation of 1,000,000", "100 MB", most=1.0, figure="hwm_kib"),
    ], []


@contextlib.contextmanager
def verify(stage):
    """Access tokens (ES256) verified by one thread: never seen before, and seen before."""
    weight = load.verifier_bench(stage.verifier, "memory", 1)
    yield {
        "verifier-bench cold": lambda: load.verifier_bench(stage.verifier, "cold", stage.seconds),
        "openssl speed ecdsap256, verify": lambda: load.openssl_speed("ecdsap256", stage.seconds),
        "verifier-bench warm": lambda: load.verifier_bench(stage.verifier, "warm", stage.seconds),
        "a million a second": lambda: load.Sample(1_000_000, None, None),
    }, [
        Goal("cold against OpenSSL", "verifier-bench cold", "openssl speed ecdsap256, verify", least=0.9),
        Goal("warm against a million a second", "verifier-bench warm", "a million a second", least=1.0),
    ], [weight.note, f"{weight.rss_kib / 1024:.0f} MiB resident with them"]


TOKENS = 1000
TEN_MILLISECONDS = "ten milliseconds"


def asked(stage, auth, what, least, full, half):
    """Contenders and goals of a question about tokens: at full load, at half of it, and `/healthz` of the same server."""
    peak = []

    def measured():
        sample = stage.counted(auth, "auth", full)
        peak[:] = [sample.per_second]
        return sample

    return {
        what: measured,
        "GET /healthz": lambda: load.wrk("plain", auth.url + "/healthz", stage.seconds),
        # Of the rate of the same round.
        f"{what}, half the load": lambda: half(peak[0]),
        TEN_MILLISECONDS: lambda: load.Sample(1, None, 10_000),
    }, [
        Goal("against /healthz", what, "GET /healthz", least=least),
        Goal("p99 at half the load against 10 ms", f"{what}, half the load", TEN_MILLISECONDS, most=1.0),
    ]


@contextlib.contextmanager
def validate(stage):
    """A gateway asks about 1,000 tokens, over and over: GET /v1/validate."""
    stage.auth_rows()
    with stage.service("auth", "auth") as auth:
        path = stage.folder / "validate"
        with open(path, "w") as file:
            for token in fixtures.access_tokens(auth, stage.cluster, "auth", TOKENS):
                file.write(f"/v1/validate\t{token}\n")
        load.wrk("get", auth.url, 2, path)
        yield *asked(
            stage, auth, "GET /v1/validate", 0.85,
            lambda: load.wrk("get", auth.url, stage.seconds, path),
            lambda peak: load.wrk_half("get", auth.url, stage.seconds, peak, path),
        ), []


@contextlib.contextmanager
def introspect(stage):
    """A service asks about 1,000 tokens, over and over: POST /oauth2/introspect."""
    stage.auth_rows()
    with stage.service("auth", "auth") as auth:
        credentials = fixtures.make_client(stage.cluster, "auth", "bench", "introspect", "tessera chat")
        tokens = fixtures.access_tokens(auth, stage.cluster, "auth", TOKENS)
        path = stage.folder / "introspect"
        path.write_text("".join(f"{token}\n" for token in tokens))
        fixtures.introspected(auth, tokens, credentials)
        yield *asked(
            stage, auth, "POST /oauth2/introspect", 0.65,
            lambda: load.wrk("introspect", auth.url, stage.seconds, path, credentials),
            lambda peak: load.wrk_half("introspect", auth.url, stage.seconds, peak, path, credentials),
        ), []
        fixtures.introspected(auth, tokens, credentials)
@contextlib.contextmanager
def reach(stage):
    """From the answer of what ends a token to its first refusal elsewhere, beside refreshes at half their greatest rate."""
    with reaching.Fleet(stage) as fleet:
        measured, latest = [], {}

        def first():
            measured.append(fleet.measure(len(measured)))
            latest.update(measured[-1].samples())
            return latest[reaching.JUDGES[0]]

        contenders = {reaching.JUDGES[0]: first}
        for judge in reaching.JUDGES[1:]:
            contenders[judge] = lambda judge=judge: latest[judge]
        contenders["100 ms"] = lambda: load.Sample(None, None, 100_000)
        notes = [fleet.silence, fleet.load_note()]
        yield contenders, [Goal(f"p99 at the {judge} against 100 ms", judge, "100 ms", most=1.0)
                           for judge in reaching.JUDGES], notes
        notes += reaching.table(measured)


@contextlib.contextmanager
def log(stage):
    """`/healthz` with a line of log for each request, and without."""
    with contextlib.ExitStack() as stack:
        urls = {}
        for level in ("info", "error"):
            database = f"sqlite:{stage.folder}/log-{level}.sqlite"
            service = Service(stage.tessera, "auth", database, settings={"TESSERA_LOG_LEVEL": level})
            urls[level] = stack.enter_context(service).url + "/healthz"
        yield {
            "with the log": lambda: load.wrk("plain", urls["info"], stage.seconds),
            "without": lambda: load.wrk("plain", urls["error"], stage.seconds),
        }, [Goal("with the log against without", "with the log", "without", least=0.9)], []


def named(*rows):
    return {row.__name__: row for row in rows}


# What is measured together: make bench, make bench-trust, make bench-chat.
GROUPS = {
    "storage": named(update, read, page, append, sqlite, duplicates, log),
    "trust": named(verify, validate, introspect, reach),
    "chat": named(export, search),
}
ROWS = {name: row for group in GROUPS.values() for name, row in group.items()}
