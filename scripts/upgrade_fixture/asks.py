"""What the program answers about everything it has, for the next one to answer the same."""

import urllib.parse

from .auth_rows import decomposed
from .installation import basic


def of_auth(here):
    """Reads everything there is to read, through every way in."""
    for refresh_token in here.facts["refresh_tokens"]:
        if "code" in refresh_token:
            body = {"refresh_token": refresh_token["text"]}
            refresh_token["code"] = here.auth.send("POST", "/v1/token/refresh", body, expect=401)["code"]
    gateway = basic("gateway", here.facts["clients"]["gateway"]["secret"])
    for name, token in sorted(here.tokens.items()):
        here.ask("auth", "GET", "/v1/me", token=name)
        here.ask("auth", "GET", "/v1/validate", token=name)
        here.ask("auth", "POST", "/oauth2/introspect", {"token": token}, headers=gateway)
    for refresh_token in here.facts["refresh_tokens"]:
        here.ask("auth", "POST", "/oauth2/introspect", {"token": refresh_token["text"]}, headers=gateway)
    for cookie in here.facts["cookies"]:
        here.ask("auth", "GET", "/v1/validate", headers={"Cookie": cookie["cookie"]})
    pages(here, "auth", "/v1/me/sessions?limit=2", "ada")
    pages(here, "auth", "/v1/admin/users?limit=4", "root")
    for query in ("q=ada.l", "q=JOS%C3%89", "q=jose%CC%81%20nu", "role=premium", "active=false"):
        here.ask("auth", "GET", f"/v1/admin/users?{query}", token="root")
    for id in here.users.values():
        here.ask("auth", "GET", f"/v1/admin/users/{id}", token="root")
        here.ask("auth", "GET", f"/v1/admin/users/{id}/sessions", token="root")
    pages(here, "auth", "/v1/admin/sessions?limit=5", "root")
    here.ask("auth", "GET", "/v1/admin/keys", token="root")
    here.ask("auth", "GET", "/v1/admin/clients", token="root")
    here.ask("auth", "GET", "/.well-known/jwks.json")
    pages(here, "auth", "/v1/events?limit=20", "the client chat")
    here.ask("auth", "GET", "/v1/events?kinds=user.deleted,keys.rotated", token="the client chat")


def of_chat(here):
    facts = here.facts["chat"]
    for user in ("ada", "jose", "ada of the first key"):
        for path in ("/v1/conversations?limit=3", "/v1/tags?limit=2", "/v1/changes?limit=7"):
            pages(here, "chat", path, user)
        for path in ("conversations?trash=true", "usage", "usage?period=month&group=model", "search?q=sky"):
            here.ask("chat", "GET", f"/v1/{path}", token=user)
    main = f"/v1/conversations/{facts['live']}"
    pages(here, "chat", f"{main}/messages?limit=3", "ada")
    for path in ("?include=messages", "/messages?include=siblings", "/votes", "/tags"):
        here.ask("chat", "GET", main + path, token="ada")
    for name in ("pinned", "trashed", "fork"):
        here.ask("chat", "GET", f"/v1/conversations/{facts[name]}", token="ada")
        here.ask("chat", "GET", f"/v1/conversations/{facts[name]}/messages", token="ada")
    for query in ("tag=work", "pinned=true", "archived=true", "q=e%CC%81te%CC%81", "count=true"):
        here.ask("chat", "GET", f"/v1/conversations?{query}", token="ada")
    # Größe in two spellings, 東京, the beginning of a word, a phrase, what is in the trash, what was edited.
    for words in ("größe", decomposed("GRÖSSE"), "東京", "nai*", '"short waves"', "rubbish", "typo"):
        here.ask("chat", "GET", f"/v1/search?q={urllib.parse.quote(words)}", token="ada")
    pages(here, "chat", "/v1/search?q=sky&limit=1", "ada")
    for name in ("ada", "jose", "pat", "mallory"):
        path = f"/v1/chat/admin/users/{here.users[name]}/data"
        here.ask("chat", "GET", path, token="root")
        here.ask("chat", "GET", f"{path}/erasure", token="root")
    export = here.chat.send("GET", "/v1/chat/export", token=here.tokens["ada"], expect=200)
    # Without the header, which says when it was made.
    facts["export"] = {"user": "ada", "lines": [line for line in export.value if line["entity"] != "header"]}


def pages(here, service, path, token):
    """Every page, so that cursors of this program are in the fixture."""
    cursor = ""
    while True:
        page = here.ask(service, "GET", path + cursor, token=token).value
        if not page.get("next_cursor") or not page["data"]:
            return
        cursor = f"&after={page['next_cursor']}"
