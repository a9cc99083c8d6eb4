"""What a process leaves that dies in the middle.

Nothing here is written past the program: a request is sent, the rows are watched, and chat is killed as soon as they
are half done. Where it was too late, what was made is taken away and the next attempt begins.
"""

import http.client
import sys
import threading
import time

from .auth_rows import sign_up
from .chat_rows import create, append, send

# A little more than one transaction of 500 rows (`MessageBatch.rows`): the rest after the first is in the fixture.
MESSAGES = 600
ATTEMPTS = 60


def long_conversation(here, user, title):
    messages = [{"role": "user", "content": f"w{number}"} for number in range(MESSAGES)]
    conversation = create(here, user, {"title": title, "messages": messages[:100]})
    for start in range(100, MESSAGES, 100):
        append(here, user, conversation, {"messages": messages[start : start + 100]})
    return conversation


def interrupt(here, user, method, path, lock, watched):
    """Sends a request and kills chat when the watched number is neither nothing nor all.

    `lock`: the row that each transaction of the request locks first.
    Returns the number as it is afterwards.
    """

    def ask():
        try:
            here.chat.send(method, path, token=here.tokens[user])
        except (OSError, http.client.HTTPException):
            pass

    read = here.store.watching("chat")
    let_pass = here.store.holding("chat", lock)
    request = threading.Thread(target=ask)
    request.start()
    while request.is_alive() and not 0 < read(watched) < MESSAGES:
        let_pass(goes_on=True)
    here.kill_chat(read)
    let_pass(goes_on=False)
    request.join()
    return read(watched)


def lock_of(here, user):
    return f"principals WHERE id = '{here.users[user]}'"


def attempts(what):
    """Chat runs at the beginning of each; the loop ends with `break`."""
    for _ in range(ATTEMPTS):
        yield
        print(f"{what}: too late, again", file=sys.stderr)
    sys.exit(f"make-upgrade-fixture: chat was never killed in time: {what}")


def half_forked(here):
    owner = here.users["halina"]
    source = long_conversation(here, "halina", "To be forked")
    here.facts["chat"]["half_removed"] = source
    copied = (
        "SELECT COUNT(*) FROM messages m JOIN conversations c ON c.id = m.conversation_id "
        f"WHERE c.version = 0 AND c.owner_id = '{owner}'"
    )
    for _ in attempts("fork"):
        path = f"/v1/conversations/{source}/fork"
        count = interrupt(here, "halina", "POST", path, lock_of(here, "halina"), copied)
        forks = here.store.rows("chat", f"SELECT id FROM conversations WHERE version = 0 AND owner_id = '{owner}'")
        if len(forks) == 1 and 0 < count < MESSAGES:
            break
        here.start_chat()
        for fork in here.store.rows("chat", f"SELECT id FROM conversations WHERE owner_id = '{owner}'"):
            if fork["id"] != source:
                here.chat.send("DELETE", f"/v1/conversations/{fork['id']}?permanent=true", token=here.tokens["halina"])
    here.facts["chat"]["half_forked"] = forks[0]["id"]
    here.start_chat()


def half_removed(here):
    """The conversation that was forked, so that only what is left of it is in the fixture."""
    source = here.facts["chat"]["half_removed"]
    for _ in attempts("removal"):
        left = (
            f"SELECT COUNT(*) FROM messages m JOIN conversations c ON c.id = m.conversation_id "
            f"WHERE c.version = -1 AND c.id = '{source}'"
        )
        path = f"/v1/conversations/{source}?permanent=true"
        count = interrupt(here, "halina", "DELETE", path, lock_of(here, "halina"), left)
        if 0 < count < MESSAGES:
            break
        here.start_chat()
        source = here.facts["chat"]["half_removed"] = long_conversation(here, "halina", "To be removed")
    here.start_chat()


# Whose rows an erasure counts, by the names in its receipt.
OWNED = {
    "votes": "votes WHERE user_id",
    "conversation_tags": "conversation_tags ct JOIN tags t ON t.id = ct.tag_id WHERE t.owner_id",
    "tags": "tags WHERE owner_id",
    "idempotency_keys": "idempotency_keys WHERE principal_id",
    "messages": "messages m JOIN conversations c ON c.id = m.conversation_id WHERE c.owner_id",
    "conversations": "conversations WHERE owner_id",
    "usage_events": "usage_events WHERE user_id",
    "usage_totals": "usage_totals WHERE user_id",
    "quota_reservations": "quota_reservations WHERE user_id",
}


def owned(here, user):
    return {
        entity: here.store.rows("chat", f"SELECT COUNT(*) AS n FROM {rows} = '{here.users[user]}'")[0]["n"]
        for entity, rows in OWNED.items()
    }


def half_erased(here):
    """Messages go in transactions of 500. Chat stays dead: it would finish the erasure within a second."""
    here.facts["chat"]["behind_cursor"] = {"user": "olga", "rows": owned(here, "olga")}
    user = "vera"
    for _ in attempts("erasure"):
        long_conversation(here, user, "To be erased")
        rows = owned(here, user)
        removed = (
            "SELECT COALESCE(SUM(n.removed), 0) FROM erasure_counts n JOIN erasures e ON e.id = n.erasure_id "
            f"WHERE e.completed_at IS NULL AND n.entity = 'messages' AND e.principal_id = '{here.users[user]}'"
        )
        lock = f"erasures WHERE principal_id = '{here.users[user]}'"
        count = interrupt(here, user, "DELETE", "/v1/chat/data", lock, removed)
        open_erasures = here.store.rows("chat", "SELECT principal_id FROM erasures WHERE completed_at IS NULL")
        if 0 < count < MESSAGES and open_erasures:
            break
        # An erasure is for ever, so the next attempt needs another user.
        here.start_chat()
        user = f"vera{time.monotonic_ns()}"
        sign_up(here, user, f"{user}@example.com", name="Vera")
    here.facts["chat"]["half_erased"] = {"user": user, "rows": rows}
