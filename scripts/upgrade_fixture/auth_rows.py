"""Auth's rows: users, sessions and the three ways to carry one, keys, clients, events, counters."""

import base64
import datetime
import json
import time
import unicodedata

from . import signing
from .installation import PASSWORD, PUBLIC_URL, basic

# RFC 6749's forms.
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def decomposed(text):
    return unicodedata.normalize("NFD", text)


# MARK: users and sessions


def sign_up(here, user, email, spellings=(), **more):
    """A user with a session. `spellings`: other ways to write the address, which mean the same user."""
    made = here.auth.send("POST", "/v1/signup", {"email": email, "password": PASSWORD, **more}, expect=201)
    note_user(here, user, made["user"]["id"], email, spellings)
    here.tokens[user] = made["access_token"]
    return made


def note_user(here, name, id, email, spellings=(), password=PASSWORD, can_log_in=True):
    here.users[name] = id
    here.facts["users"].append(
        {
            "name": name,
            "id": id,
            "email": email,
            "spellings": list(spellings),
            "password": password,
            "can_log_in": can_log_in,
        }
    )


def cannot_log_in(here, name):
    for user in here.facts["users"]:
        if user["name"] == name:
            user["can_log_in"] = False


def log_in(here, email, password=PASSWORD):
    return here.auth.send("POST", "/v1/login", {"email": email, "password": password}, expect=200)


def refresh(here, token):
    return here.auth.send("POST", "/v1/token/refresh", {"refresh_token": token}, expect=200)["refresh_token"]


def note_refresh(here, name, made, **more):
    """The token of a sign-up or login, unless `text` is another.

    `next`: what this program answered to a refresh. `code`: how it refuses one, filled in by `ask`.
    """
    token = {"name": name, "text": made["refresh_token"], "session_id": made["session"]["id"]}
    here.facts["refresh_tokens"].append(token | more)


def cookie_login(here, name, email):
    answer = here.auth.send(
        "POST",
        "/v1/login?cookie=true",
        {"email": email, "password": PASSWORD},
        headers={"Origin": PUBLIC_URL},
        expect=200,
    )
    pair = answer.headers["set-cookie"].split(";", 1)[0]
    cookie = {
        "name": name,
        "cookie": pair,
        "session_id": answer["session"]["id"],
        "user_id": answer["user"]["id"],
        "is_live": True,
    }
    here.facts["cookies"].append(cookie)
    return cookie


def before_rotation(here):
    """With one master key and the first signing key."""
    here.run("migrate", "up")
    root = here.run(
        "users", "create", "--email", "root@example.com", "--name", "Root", "--role", "admin", "--password-stdin",
        input=PASSWORD,
        # The defaults of the hash, which a login of the next program replaces.
        TESSERA_ARGON2_MEMORY_KIB="19456",
        TESSERA_ARGON2_ITERATIONS="2",
    )
    note_user(here, "root", root.split()[0], "root@example.com", ["Root@EXAMPLE.com"])
    here.start_auth(TESSERA_CLEANUP_INTERVAL="1s")

    # All sessions end once, so that an older global version is in the rows.
    early = sign_up(here, "early", "early@example.com", name="Early")
    root_token = log_in(here, "root@example.com")["access_token"]
    here.auth.send("POST", "/v1/admin/sessions/revoke", {"all": True}, token=root_token, expect=200)
    note_refresh(here, "ended with all others", early, code=None)
    here.tokens["root"] = log_in(here, "root@example.com")["access_token"]

    ada = sign_up(
        here,
        "ada",
        "Ada.Lovelace@Example.COM",
        ["ada.lovelace@example.com", "ADA.LOVELACE@EXAMPLE.COM"],
        name="Ada Lovelace",
    )
    here.tokens["ada of the first key"] = ada["access_token"]
    profile = {
        "avatar_url": "https://pictures.example.com/ada.png",
        "first_name": "Ada",
        "metadata": {"theme": "dark", "numbers": [1, 2.5]},
    }
    here.auth.send("PATCH", "/v1/me", profile, token=ada["access_token"], expect=200)
    note_refresh(here, "never refreshed", ada)
    phone = log_in(here, "ada.lovelace@example.com")
    second = refresh(here, refresh(here, phone["refresh_token"]))
    note_refresh(here, "refreshed twice", phone, text=second)
    cookie_login(here, "ada's browser", "ada.lovelace@example.com")
    ended = cookie_login(here, "ada's closed browser", "ada.lovelace@example.com")
    headers = {"Origin": PUBLIC_URL, "Cookie": ended["cookie"]}
    here.auth.send("POST", "/v1/logout", headers=headers, expect=204)
    ended["is_live"] = False
    lost = log_in(here, "ada.lovelace@example.com")
    here.tokens["ada of a session that ended"] = lost["access_token"]
    here.auth.send("DELETE", f"/v1/me/sessions/{lost['session']['id']}", token=here.tokens["ada"], expect=204)
    note_refresh(here, "of a session that ended", lost, code=None)

    # Typed in decomposed characters, found in composed ones.
    jose = sign_up(
        here,
        "jose",
        decomposed("José.Núñez@example.com"),
        ["josé.núñez@example.com", decomposed("JOSÉ.NÚÑEZ@example.com")],
        name=decomposed("José Núñez"),
    )
    note_refresh(here, "from before the keys were rotated", jose)

    for name in ("halina", "vera", "olga", "pat"):
        sign_up(here, name, f"{name}@example.com", name=name.capitalize())

    pia = sign_up(here, "pia", "pia@example.com", name="Pia")
    change = {"current_password": PASSWORD, "password": "a new horse, a new battery"}
    here.auth.send("POST", "/v1/password/change", change, token=pia["access_token"], expect=204)
    here.facts["users"][-1]["password"] = change["password"]
    note_refresh(here, "of the session that changed the password", pia)

    priya = sign_up(here, "priya", "priya@example.com", name="Priya")
    here.tokens["priya before her role"] = priya["access_token"]
    role = {"role": "premium"}
    here.auth.send("PATCH", f"/v1/admin/users/{here.users['priya']}", role, token=here.tokens["root"], expect=200)
    note_refresh(here, "of another role since", priya)

    mallory = sign_up(here, "mallory", "mallory@example.com", name="Mallory")
    noor = sign_up(here, "noor", "noor@example.com", name="Noor")
    note_refresh(here, "of a deactivated user", mallory, code=None)
    note_refresh(here, "from before a deactivation", noor, code=None)
    here.run("users", "create", "--email", "dora@example.com", "--password-stdin", input=PASSWORD)
    # The lease of the cleanup.
    while not here.store.rows("auth", "SELECT name FROM job_leases WHERE last_run_at IS NOT NULL"):
        time.sleep(0.1)
    here.stop_auth()


def rotate_keys(here):
    """A new master key in front of the first, and a signing key that is sealed with it."""
    here.ring = f"{here.second_key},{here.first_key}"
    here.run("keys", "rotate")


def after_rotation(here):
    here.start_auth()
    for token in here.facts["refresh_tokens"]:
        if token["name"] == "from before the keys were rotated":
            token["text"] = refresh(here, token["text"])
    again = log_in(here, "ada.lovelace@example.com")
    here.tokens["ada"] = again["access_token"]
    note_refresh(here, "of the second master key", again)
    here.tokens["jose"] = log_in(here, "josé.núñez@example.com")["access_token"]
    cookie_login(here, "jose's browser", "josé.núñez@example.com")
    here.tokens["priya"] = log_in(here, "priya@example.com")["access_token"]
    here.tokens["root"] = log_in(here, "root@example.com")["access_token"]


# MARK: clients


def make_clients(here):
    clients = here.facts["clients"]
    admin = here.tokens["root"]

    def create(id, **draft):
        made = here.auth.send("POST", "/v1/admin/clients", {"id": id, "name": id, **draft}, token=admin, expect=201)
        clients[id] = {"secret": json.loads(made.text).get("secret"), "is_enabled": True}
        return clients[id]

    def change(id, **change):
        here.auth.send("PATCH", f"/v1/admin/clients/{id}", change, token=admin, expect=200)

    def token_of(id):
        form = {"grant_type": "client_credentials"}
        return here.auth.send(
            "POST", "/oauth2/token", form, headers=FORM | basic(id, clients[id]["secret"]), expect=200
        )["access_token"]

    create("chat", scopes=["events"])
    here.chat_client = {"TESSERA_CHAT_CLIENT_ID": "chat", "TESSERA_CHAT_CLIENT_SECRET": clients["chat"]["secret"]}
    here.tokens["the client chat"] = token_of("chat")

    gateway = create("gateway", scopes=["introspect"], audiences=["tessera", "chat"])
    gateway["previous_secret"] = gateway["secret"]
    path = "/v1/admin/clients/gateway/rotate-secret"
    rotated = here.auth.send("POST", path, {"overlap_seconds": 7_776_000}, token=admin, expect=200)
    gateway["secret"] = rotated["secret"]
    gateway["previous_secret_expires_at"] = rotated["previous_secret_expires_at"]
    here.tokens["the client gateway"] = token_of("gateway")

    key = signing.Key(here.folder)
    create("signer", scopes=["events"], jwks={"keys": [key.jwk("signer-1")]})["private_key"] = key.pkcs8
    here.signer = key

    create("closed", scopes=["events"])
    here.tokens["the client closed"] = token_of("closed")
    change("closed", disabled=True)
    clients["closed"]["is_enabled"] = False

    # Taken back: its tokens from before stay refused, by `tokens_valid_from`.
    create("reopened", scopes=["events"])
    here.tokens["the client reopened, before"] = token_of("reopened")
    change("reopened", disabled=True)
    change("reopened", disabled=False)


def use_assertion(here):
    """An assertion works once, and the next program must know that it did. Its five minutes have just begun."""
    claims = {
        "iss": "signer",
        "sub": "signer",
        "aud": PUBLIC_URL,
        "jti": base64.urlsafe_b64encode(here.users["ada"].encode()).decode(),
        "exp": int(time.time()) + 290,
    }
    assertion = here.signer.jws({"alg": "ES256", "kid": "signer-1"}, claims)
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": assertion,
    }
    here.auth.send("POST", "/oauth2/token", form, headers=FORM, expect=200)
    here.facts["clients"]["signer"]["used_assertion"] = assertion


# MARK: the end


def delete_behind_chat(here):
    """Chat is gone by now and has not heard of it: the next one finds the event behind its cursor."""
    here.auth.send("DELETE", "/v1/me", token=here.tokens["olga"], expect=204)
    cannot_log_in(here, "olga")


def rotate_a_token(here):
    """Its successor was answered a moment ago, and may have been lost on the way."""
    made = log_in(here, "pia@example.com", "a new horse, a new battery")
    successor = refresh(here, made["refresh_token"])
    session = made["session"]["id"]
    row = here.store.rows("auth", f"SELECT rotated_at FROM refresh_tokens WHERE session_id = '{session}'")[0]
    note_refresh(here, "rotated", made, next=successor, rotated_at=instant(row["rotated_at"]))


def block_an_account(here):
    """Ten free attempts, then delays of 1, 4, 15 and 60 seconds: three are waited for, the last one stays."""
    sign_up(here, "beatriz", "beatriz@example.com", name="Beatriz")
    for attempt in range(13):
        if attempt > 9:
            time.sleep([1.1, 4.1, 15.1][attempt - 10])
        wrong = {"email": "beatriz@example.com", "password": "wrong"}
        here.auth.send("POST", "/v1/login", wrong, expect=401)
    row = here.store.rows("auth", "SELECT blocked_until FROM rate_counters WHERE blocked_until IS NOT NULL")[0]
    here.facts["blocked"] = {"user": "beatriz", "until": instant(row["blocked_until"])}


def instant(value):
    """A column as the engines have it: microseconds since 1970, or text with an offset."""
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    if isinstance(value, str):
        moment = datetime.datetime.fromisoformat(value).astimezone(datetime.UTC)
    else:
        moment = epoch + datetime.timedelta(microseconds=value)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
