"""Chat's rows: conversations in every state, and everything that hangs on them."""

import time

from .auth_rows import cannot_log_in, decomposed

# Its white space, order and numbers are kept byte for byte.
METADATA = '{"b":1,  "a":[1.50, 1e3, -0], "text":"Größe \\u00e9", "deep":{"x":null}}'


def make_rows(here):
    of_ada(here)
    of_others(here)


def send(here, user, method, path, body=None, expect=200, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return here.chat.send(method, path, body, token=here.tokens[user], headers=named, expect=expect)


def create(here, user, body, **headers):
    return send(here, user, "POST", "/v1/conversations", body, 201, **headers)["id"]


def append(here, user, conversation, body, **headers):
    return send(here, user, "POST", f"/v1/conversations/{conversation}/messages", body, 201, **headers)


def repeat(here, user, path, body):
    """Done once with a key. Sent again, to whichever program, it is answered again."""
    repeats = here.facts["repeats"]
    key = f"key-{len(repeats)}"
    answer = send(here, user, "POST", path, body, 201, Idempotency_Key=key)
    repeats.append({"user": user, "path": path, "body": body, "key": key, "answer": answer.value})
    return answer


def of_ada(here):
    facts = here.facts["chat"]

    def ada(method, path, body=None, expect=200):
        return send(here, "ada", method, path, body, expect)

    main = facts["live"] = long_lived(here)
    facts["pinned"] = create(
        here,
        "ada",
        {"title": "Pinned", "slug": "notes/pinned", "visibility": "public", "messages": [said("pin")]},
    )
    ada("PATCH", f"/v1/conversations/{facts['pinned']}", {"pinned": True})
    archived = create(here, "ada", {"title": decomposed("Été à la mer"), "slug": "taken"})
    ada("PATCH", f"/v1/conversations/{archived}", {"archived": True, "archive_reason": "over"})
    facts["trashed"] = create(
        here, "ada", {"title": "In the trash", "slug": "given-back", "messages": [said("rubbish sky")]}
    )

    for conversation, tags in (
        (main, ["Work", "Straße"]),
        (facts["pinned"], ["work", decomposed("étude")]),
        (facts["trashed"], ["Work"]),
        (archived, ["soon gone"]),
    ):
        ada("PUT", f"/v1/conversations/{conversation}/tags", {"tags": tags})
    for tag in ada("GET", "/v1/tags").value["data"]:
        if tag["name"] == "soon gone":
            ada("DELETE", f"/v1/tags/{tag['id']}", expect=204)
        if tag["name"] == "Straße":
            ada("PATCH", f"/v1/tags/{tag['id']}", {"name": "STRASSE 2"})
    ada("DELETE", f"/v1/conversations/{facts['trashed']}", expect=204)

    cut = create(here, "ada", {"title": "Cut short", "messages": [said(f"line {number}") for number in range(8)]})
    ada("DELETE", f"/v1/conversations/{cut}/messages?after_seq=3")
    question = ada("GET", f"/v1/conversations/{main}/messages").value["data"][1]["id"]
    at_question = {"message_id": question, "title": "Forked"}
    facts["fork"] = ada("POST", f"/v1/conversations/{main}/fork", at_question, 201)["id"]
    gone = create(here, "ada", {"title": "Gone", "messages": [said("gone")]})
    ada("DELETE", f"/v1/conversations/{gone}?permanent=true", expect=204)

    made = repeat(here, "ada", "/v1/conversations", '{"title":"Once","messages":[{"role":"user","content":"once"}]}')
    path = f"/v1/conversations/{made['id']}"
    repeat(here, "ada", f"{path}/messages", '{"role":"assistant","content":"and once more","tokens_out":7}')
    repeat(here, "ada", f"{path}/fork", "{}")
    reservation = '{"tokens":500,"model":"model-1","expires_in":3600}'
    facts["reservation"] = repeat(here, "ada", "/v1/usage/reservations", reservation)["id"]
    settled = ada("POST", "/v1/usage/reservations", {"tokens": 100}, 201)["id"]
    ada("POST", f"/v1/usage/reservations/{settled}/settle", {"tokens_in": 40, "tokens_out": 2}, 204)
    released = ada("POST", "/v1/usage/reservations", {"tokens": 9}, 201)["id"]
    ada("DELETE", f"/v1/usage/reservations/{released}", expect=204)


def said(text, role="user"):
    return {"role": role, "content": text}


def long_lived(here):
    """A conversation with two branches, an edit, a deletion, votes, and JSON of the client's own."""
    body = (
        '{"model":"model-1","settings":{"temperature":0.70},"metadata":' + METADATA + ',"messages":['
        '{"role":"system","content":"Be brief."},{"role":"user","content":"Why is the sky blue? Größe, naïve, 東京"}]}'
    )
    main = create(here, "ada", body)
    path = f"/v1/conversations/{main}"
    usage = {"model": "model-1", "tokens_in": 12, "tokens_out": 34}
    reply = said("Air scatters short waves more.", "assistant") | usage
    answer = append(here, "ada", main, reply)
    question = send(here, "ada", "GET", f"{path}/messages").value["data"][1]["id"]
    # A second branch from the question, and back to the first.
    other = append(here, "ada", main, said("Rayleigh.", "assistant") | {"parent_id": question, "tokens_out": 5})
    send(here, "ada", "PATCH", path, {"head_message_id": answer["id"]})
    call = (
        '{"role":"assistant","type":"tool_call","status":"in_progress","parts":[{"type":"tool_call", "id":"c1",'
        '"arguments":{"q":"sky  blue"}},{"type":"text","text":"Looking it up"}],"metadata":' + METADATA + "}"
    )
    append(here, "ada", main, call)
    append(here, "ada", main, {"messages": [said("And at night?"), said("Stars.", "assistant")]})
    edited = append(here, "ada", main, said("Typo heer"))
    change = {"content": "Typo here", "metadata": {"edited": True}}
    send(here, "ada", "PATCH", f"{path}/messages/{edited['id']}", change)
    removed = append(here, "ada", main, said("Never mind") | {"tokens_in": 3})
    send(here, "ada", "DELETE", f"{path}/messages/{removed['id']}", expect=204)
    for message, value in ((answer["id"], "up"), (other["id"], "down"), (question, "up"), (question, "none")):
        vote(here, "ada", main, message, value)
    return main


def vote(here, user, conversation, message, value):
    path = f"/v1/conversations/{conversation}/messages/{message}/vote"
    send(here, user, "PUT", path, {"value": value})


def of_others(here):
    for user in ("jose", "pat", "olga", "vera", "mallory", "noor", "priya"):
        for number in range(3):
            body = {"title": f"Sky {number} of {user}", "messages": [said(f"sky of {user}")]}
            conversation = create(here, user, body, Idempotency_Key=f"{user}-{number}")
            reply = append(here, user, conversation, said("blue", "assistant") | {"tokens_in": 3, "tokens_out": 4})
            vote(here, user, conversation, reply["id"], "up")
            tags = {"tags": ["Blue", f"Tag {number}"]}
            send(here, user, "PUT", f"/v1/conversations/{conversation}/tags", tags)
        send(here, user, "POST", "/v1/usage/reservations", {"tokens": 10}, 201)


def users_that_end(here):
    """What auth says of users reaches chat by the feed: a deactivation, one taken back, and a deletion."""
    admin = here.tokens["root"]
    for user in ("mallory", "noor"):
        here.auth.send("POST", f"/v1/admin/users/{here.users[user]}/deactivate", token=admin, expect=200)
    here.auth.send("POST", f"/v1/admin/users/{here.users['noor']}/reactivate", token=admin, expect=200)
    here.auth.send("DELETE", f"/v1/admin/users/{here.users['pat']}", token=admin, expect=204)
    cannot_log_in(here, "mallory")
    cannot_log_in(here, "pat")
    done = (
        "SELECT (SELECT COUNT(*) FROM erasures WHERE completed_at IS NOT NULL) "
        "+ (SELECT COUNT(*) FROM principals WHERE deactivated_at IS NOT NULL) AS n"
    )
    while here.store.rows("chat", done)[0]["n"] < 2:
        time.sleep(0.1)


def age_changes(here):
    """Two hours pass for some changes of one user, and the cleanup takes them: the only way to a horizon without the
    wait. The hours are written past the program, all else is its own work."""
    jose = here.users["jose"]
    here.store.execute(
        "chat",
        f"UPDATE changes SET at = {here.store.earlier('at', 2)} WHERE principal_id = '{jose}' AND seq IN "
        f"(SELECT seq FROM changes WHERE principal_id = '{jose}' ORDER BY seq LIMIT 5)",
    )
    here.run("cleanup", "--service", "chat", TESSERA_CHANGE_RETENTION="1h")
    horizons = here.store.rows("chat", f"SELECT seq FROM change_horizons WHERE principal_id = '{jose}'")
    assert len(horizons) == 1, horizons
