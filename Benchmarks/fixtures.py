"""Rows to measure on, made by SQL in the form that the services write them (see migrations/).

Ids are text: a user's ends in its number, a refresh token's is an MD5, which is 16 bytes that look random. The
schemas are the services' own: each has migrated its database before.
"""

import base64
import hashlib
import http.client
import json
import random
import sqlite3
import time

from cluster import BenchError
from service import base64url, client_secret, refresh_token

# How much content a page of messages has (`ConversationLimits.page`).
PAGE_BYTES = 8 << 20

# What every loading session of PostgreSQL begins with: no foreign keys to check row by row, no wait for the disk.
FAST = "SET session_replication_role = replica; SET synchronous_commit = off;\n"


def user_id(number):
    return f"01940000-0000-7000-8000-{number:012x}"


def session_id(number):
    return f"01950000-0000-7000-8000-{number:012x}"


def conversation_id(number):
    return f"01960000-0000-7000-8000-{number:012x}"


def hexadecimal(prefix, expression):
    return f"'{prefix}-0000-7000-8000-' || lpad(to_hex({expression}), 12, '0')"


def users_sql(first, last):
    """Users with a password that nobody has, so that nothing but the lookup of a login can be done with it."""
    user = hexadecimal("01940000", "i")
    return FAST + f"""
        INSERT INTO users (id, email, email_key, created_at, updated_at)
        SELECT {user}, 'user' || i || '@bench.example', 'user' || i || '@bench.example', now(), now()
        FROM generate_series({first}::bigint, {last}) i;
        INSERT INTO accounts (id, user_id, provider_id, account_id, password_hash, created_at, updated_at)
        SELECT {hexadecimal("01941000", "i")}, {user}, 'password', {user},
            '$argon2id$v=19$m=19456,t=2,p=1$' || md5('salt' || i) || '$' || md5('hash' || i) || md5('more' || i),
            now(), now()
        FROM generate_series({first}::bigint, {last}) i;"""


def sessions_sql(first, last, per_user, idle_days=14, absolute_days=90):
    """Sessions with a refresh token each; session i belongs to user (i - 1) / per_user + 1."""
    user, session = hexadecimal("01940000", f"(i - 1) / {per_user} + 1"), hexadecimal("01950000", "i")
    return FAST + f"""
        INSERT INTO sessions (id, user_id, ip_address, user_agent, auth_time, created_at, updated_at, last_seen_at,
            expires_at, absolute_expires_at, required_version, global_version)
        SELECT {session}, {user}, '127.0.0.1', 'wrk', now(), now(), now(), now(),
            now() + interval '{idle_days} days', now() + interval '{absolute_days} days', 1, 1
        FROM generate_series({first}::bigint, {last}) i;
        INSERT INTO refresh_tokens (id, session_id, user_id, rotated_at, expires_at, created_at)
        SELECT md5('refresh' || i), {session}, {user}, now(), now() + interval '{absolute_days} days', now()
        FROM generate_series({first}::bigint, {last}) i;"""


def conversations_sql(first, last, owners, length):
    """Conversations of `length` messages; conversation i belongs to user (i - 1) % owners + 1."""
    owner = hexadecimal("01940000", f"(i - 1) % {owners} + 1")
    conversation = hexadecimal("01960000", "i")
    message = f"'m' || to_hex(i) || '-' || to_hex(seq)"
    return FAST + f"""
        INSERT INTO principals (id, first_seen_at, last_seen_at)
        SELECT DISTINCT {owner}, now(), now() FROM generate_series({first}::bigint, {last}) i
        ON CONFLICT DO NOTHING;
        INSERT INTO conversations (id, owner_id, title, title_source, head_message_id, last_seq, message_count,
            last_message_at, created_at, updated_at, search)
        SELECT {conversation}, {owner}, 'Conversation ' || i, 'user', 'm' || to_hex(i) || '-' || to_hex({length}),
            {length}, {length}, now(), now(), now() - i * interval '1 millisecond', to_tsvector('simple', 'Conversation ' || i)
        FROM generate_series({first}::bigint, {last}) i;
        INSERT INTO messages (id, conversation_id, seq, parent_id, author_id, role, created_at, updated_at,
            content_text, parts, search)
        SELECT {message}, {conversation}, seq,
            CASE WHEN seq > 1 THEN 'm' || to_hex(i) || '-' || to_hex(seq - 1) END, {owner}, 'user', now(), now(), text,
            '[{{"type":"text","text":"' || text || '"}}]', to_tsvector('simple', text)
        FROM generate_series({first}::bigint, {last}) i, generate_series(1, {length}) seq,
            LATERAL (SELECT 'Message ' || seq || ' says what messages of some hundred bytes say: a line of text, '
                || 'and then the same line of text again.') t(text);"""


def loaded(cluster, database):
    """After a load: statistics, visibility, and nothing left for a checkpoint to write during the first run."""
    cluster.sql("VACUUM (ANALYZE)", database)
    cluster.sql("CHECKPOINT", database)


def refresh_tokens(rows, path, limit=4096):
    """Writes the tokens that are valid now, of (id, generation) pairs in a random order."""
    rows = list(rows)
    if len(rows) < 128:
        raise BenchError("too few sessions for distinct ones on 64 connections")
    random.shuffle(rows)
    with open(path, "w") as file:
        for row, generation in rows[:limit]:
            file.write(refresh_token(row, int(generation)) + "\n")
    return path


def postgres_tokens(cluster, database, sessions, path, count=4096, first=1):
    """Tokens of sessions drawn over the whole table, or from `first` on."""
    numbers = random.sample(range(first, sessions + 1), min(count, sessions - first + 1))
    ids = ",".join("'" + hashlib.md5(f"refresh{number}".encode()).hexdigest() + "'" for number in numbers)
    return refresh_tokens(cluster.sql(f"SELECT id, generation FROM refresh_tokens WHERE id IN ({ids})", database), path)


def sqlite_tokens(file, path, count=4096):
    with sqlite3.connect(file, timeout=30) as database:
        rows = database.execute("SELECT id, generation FROM refresh_tokens ORDER BY random() LIMIT ?", (count,))
        return refresh_tokens(rows.fetchall(), path)


def load_sqlite(file, users):
    """The users and sessions of `users_sql` and `sessions_sql` in a file that auth has migrated."""
    now, day = time.time_ns() // 1000, 86_400_000_000
    with sqlite3.connect(file, timeout=30) as database:
        database.executemany(
            "INSERT INTO users (id, email, email_key, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
            ((user_id(i), f"user{i}@bench.example", f"user{i}@bench.example", now, now) for i in range(1, users + 1)))
        database.executemany(
            """INSERT INTO sessions (id, user_id, ip_address, user_agent, auth_time, created_at, updated_at,
                last_seen_at, expires_at, absolute_expires_at, required_version, global_version)
                VALUES (?, ?, '127.0.0.1', 'wrk', ?, ?, ?, ?, ?, ?, 1, 1)""",
            ((session_id(i), user_id(i), now, now, now, now, now + 14 * day, now + 90 * day)
             for i in range(1, users + 1)))
        database.executemany(
            """INSERT INTO refresh_tokens (id, session_id, user_id, rotated_at, expires_at, created_at)
                VALUES (?, ?, ?, ?, ?, ?)""",
            ((hashlib.md5(f"refresh{i}".encode()).hexdigest(), session_id(i), user_id(i), now, now + 90 * day, now)
             for i in range(1, users + 1)))
    database.close()


def access_token(auth, cluster, database, user, per_user=1):
    """A bearer token of a user, through a refresh of one of its sessions."""
    number = (user - 1) * per_user + 1
    row = hashlib.md5(f"refresh{number}".encode()).hexdigest()
    generation = cluster.sql(f"SELECT generation FROM refresh_tokens WHERE id = '{row}'", database)[0][0]
    body = {"refresh_token": refresh_token(row, int(generation))}
    return auth.expect(200, "POST", "/v1/token/refresh", body)["access_token"]


def access_tokens(auth, cluster, database, count):
    """Bearer tokens of the first users, through a refresh of each one's session."""
    rows = [hashlib.md5(f"refresh{number}".encode()).hexdigest() for number in range(1, count + 1)]
    ids = ",".join(f"'{row}'" for row in rows)
    found = cluster.sql(f"SELECT id, generation FROM refresh_tokens WHERE id IN ({ids})", database)
    connection, tokens = http.client.HTTPConnection("127.0.0.1", auth.port, timeout=30), []
    try:
        for row, generation in found:
            body = json.dumps({"refresh_token": refresh_token(row, int(generation))})
            connection.request("POST", "/v1/token/refresh", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise BenchError(f"a refresh answered {answer.status}: {content[:300]}")
            tokens.append(json.loads(content)["access_token"])
    finally:
        connection.close()
    if len(tokens) != count:
        raise BenchError(f"{len(tokens)} sessions where {count} were wanted")
    return tokens


def make_client(cluster, database, client, scopes, audiences):
    """A client as `tessera clients create` would make it; its credentials as HTTP Basic has them."""
    secret = client_secret(client)
    cluster.sql(f"""INSERT INTO clients (id, name, scopes, audiences, secret_hash, secret_created_at, created_at, updated_at)
        VALUES ('{client}', '{client}', '{scopes}', '{audiences}',
            decode('{hashlib.sha256(secret.encode()).hexdigest()}', 'hex'), now(), now(), now())
        ON CONFLICT (id) DO NOTHING""", database)
    return base64.b64encode(f"{client}:{secret}".encode()).decode()


def introspected(auth, tokens, credentials):
    """Asks about each token once, and ends the run unless all are active: a wrong answer has the status of a right one."""
    connection = http.client.HTTPConnection("127.0.0.1", auth.port, timeout=30)
    headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"}
    try:
        for token in tokens:
            connection.request("POST", "/oauth2/introspect", f"token={token}", headers)
            content = connection.getresponse().read()
            if json.loads(content).get("active") is not True:
                raise BenchError(f"an introspection answered {content[:300]}")
    finally:
        connection.close()


def message_pages(conversation, length, token, path, count=500):
    """GETs of pages of 20 that begin anywhere in a conversation."""
    with open(path, "w") as file:
        for _ in range(count):
            cursor = base64url(f"messages {random.randint(0, length - 21)} ".encode())
            file.write(f"/v1/conversations/{conversation}/messages?limit=20&after={cursor}\t{token}\n")
    return path


# Messages to search: words drawn log-uniformly, which is Zipf's law, from 50,000; over three years, a tenth of them one
# owner's. Common words are in nine of ten messages.
SEARCHED, VOCABULARY, WORDS, OTHERS = 1_000_000, 50_000, 40, 900


def searched_sql(count):
    """The messages for PostgreSQL. Conversation i has every 5,000th message, owner 1 the first tenth of conversations."""
    owner = hexadecimal("01940000", "CASE WHEN i % 10 = 0 THEN 1 ELSE 2 + i % 900 END")
    conversation = hexadecimal("01980000", "i")
    # With triggers: they make the index's words complete.
    return "SET synchronous_commit = off;" + f"""
        INSERT INTO principals (id, first_seen_at, last_seen_at)
        SELECT {hexadecimal("01940000", "i")}, now(), now() FROM generate_series(1::bigint, {OTHERS} + 2) i
        ON CONFLICT DO NOTHING;
        INSERT INTO conversations (id, owner_id, title, title_source, last_seq, message_count, created_at, updated_at,
            search)
        SELECT {conversation}, {owner}, 'Conversation ' || i, 'user', {count} / 5000, {count} / 5000,
            now() - interval '3 years', now(), to_tsvector('simple', 'Conversation ' || i)
        FROM generate_series(0::bigint, 4999) i;
        INSERT INTO messages (id, conversation_id, seq, role, created_at, updated_at, content_text, parts, search)
        SELECT 's' || n, {hexadecimal("01980000", "n % 5000")}, n / 5000 + 1, 'user',
            now() - interval '3 years' + n * (interval '3 years' / {count}), now(), text,
            '[{{"type":"text","text":"' || text || '"}}]', to_tsvector('simple', text)
        FROM generate_series(0::bigint, {count} - 1) n, LATERAL (
            SELECT string_agg('w' || floor(exp(random() * ln({VOCABULARY})))::bigint, ' ') AS text
            FROM generate_series(1, {WORDS}) WHERE n IS NOT NULL
        ) t;"""


def load_searched(file, count):
    """The same for SQLite, through the triggers of its schema."""
    draw, now, years = random.Random(7), int(time.time() * 1_000_000), 3 * 365 * 86_400_000_000
    owner = lambda i: user_id(1 if i % 10 == 0 else 2 + i % OTHERS)
    conversation = lambda i: f"01980000-0000-7000-8000-{i:012x}"
    database = sqlite3.connect(file)
    database.execute("PRAGMA synchronous = OFF")
    with database:
        database.executemany("INSERT OR IGNORE INTO principals (id, first_seen_at, last_seen_at) VALUES (?, ?, ?)",
                             ((user_id(i), now, now) for i in range(1, OTHERS + 3)))
        database.executemany(
            """INSERT INTO conversations (id, owner_id, title, title_source, last_seq, message_count, created_at,
                updated_at, search) VALUES (?, ?, ?, 'user', ?, ?, ?, ?, ?)""",
            ((conversation(i), owner(i), f"Conversation {i}", count // 5000, count // 5000, now - years, now,
              f"conversation {i}") for i in range(5000)))
    for start in range(0, count, 20_000):
        rows = []
        for n in range(start, min(count, start + 20_000)):
            text = " ".join(f"w{int(VOCABULARY ** draw.random())}" for _ in range(WORDS))
            rows.append((f"s{n}", conversation(n % 5000), n // 5000 + 1, now - years + n * (years // count), now, text,
                         f'[{{"type":"text","text":"{text}"}}]', text))
        with database:
            database.executemany(
                """INSERT INTO messages (id, conversation_id, seq, role, created_at, updated_at, content_text, parts,
                    search) VALUES (?, ?, ?, 'user', ?, ?, ?, ?, ?)""", rows)
    database.close()


def search_queries():
    """200 queries, always the same: 80 of a common word, 60 of a rare one, 60 of a phrase."""
    draw = random.Random(11)
    common = lambda: f"w{int(40 ** draw.random())}"
    rare = lambda: f"w{draw.randint(5000, VOCABULARY - 1)}"
    phrase = lambda: f'"{common()} w{int(400 ** draw.random())}"'
    return [common() for _ in range(80)] + [rare() for _ in range(60)] + [phrase() for _ in range(60)]
