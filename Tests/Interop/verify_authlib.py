"""Verifies an access token with Authlib, from the live JWKS.

    verify_authlib.py JWKS_URL ALGORITHM ISSUER AUDIENCE  < token

Prints header and claims as JSON and exits 0. A token that Authlib refuses exits 3, with the reason; anything else that
goes wrong (no JWKS, no Authlib) is a traceback and exits 1, so that a broken set-up never looks like a refusal.
"""

import json
import sys
import urllib.request
import warnings

from authlib.deprecate import AuthlibDeprecationWarning

# Authlib 1 says on standard error that its own JOSE will be joserfc in 2.
warnings.simplefilter("ignore", AuthlibDeprecationWarning)

from authlib.jose import JsonWebKey, JsonWebToken
from authlib.jose.errors import JoseError

jwks_url, algorithm, issuer, audience = sys.argv[1:5]
token = sys.stdin.read().strip()

with urllib.request.urlopen(jwks_url, timeout=10) as answer:
    keys = JsonWebKey.import_key_set(json.load(answer))
required = {
    "iss": {"essential": True, "value": issuer},
    "aud": {"essential": True, "value": audience},
    "sub": {"essential": True},
    "exp": {"essential": True},
    "iat": {"essential": True},
    "jti": {"essential": True},
}
try:
    claims = JsonWebToken([algorithm]).decode(token, keys, claims_options=required)
    claims.validate()
except JoseError as error:
    print(f"refused: {type(error).__name__}: {error}")
    sys.exit(3)
print(json.dumps({"header": claims.header, "claims": claims}))
