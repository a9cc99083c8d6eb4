"""A client's own key and what it signs, by the program openssl: Python's library has no signatures."""

import base64
import json
import subprocess


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A key for ES256 (RFC 7518 §3.4)."""

    def __init__(self, folder):
        self.file = folder / "client-key.pem"
        command = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.file]
        subprocess.run(command, check=True, capture_output=True)

    def _openssl(self, *arguments, input=None):
        return subprocess.run(["openssl", *arguments], input=input, check=True, capture_output=True).stdout

    @property
    def pkcs8(self):
        der = self._openssl("pkcs8", "-topk8", "-nocrypt", "-in", self.file, "-outform", "DER")
        return base64.b64encode(der).decode()

    def jwk(self, kid):
        # The uncompressed point is the end of the public key's encoding (RFC 5480 §2.2).
        point = self._openssl("pkey", "-in", self.file, "-pubout", "-outform", "DER")[-64:]
        x, y = base64url(point[:32]), base64url(point[32:])
        return {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": x, "y": y}

    def jws(self, header, claims):
        text = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        der = self._openssl("dgst", "-sha256", "-sign", self.file, input=text.encode())
        return f"{text}.{base64url(raw_signature(der))}"


def raw_signature(der):
    """r and s side by side, of a sequence of two integers (RFC 3279 §2.2.3)."""
    numbers, place = [], 2
    for _ in range(2):
        length = der[place + 1]
        numbers.append(int.from_bytes(der[place + 2 : place + 2 + length], "big"))
        place += 2 + length
    return b"".join(number.to_bytes(32, "big") for number in numbers)
