"""A registry: the part of the OCI distribution API that push and pull need, as strict as a real one.

A blob must have the digest it is sent under, and a manifest may only point at what is already there.
"""

import hashlib
import json
from urllib.parse import parse_qs, urlsplit

from unit.fakes.web import Answer

NOTHING: Answer = (404, {}, b'{"errors":[]}')


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class FakeRegistry:
    """One repository.

    Attributes:
        blobs, manifests: content by digest; manifests with their media type.
        tags: digest by tag.
        failures: statuses that the next requests get instead of an answer.
    """

    def __init__(self, repository: str = "tapeline/models") -> None:
        self.prefix = f"/v2/{repository}/"
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.tags: dict[str, str] = {}
        self.failures: list[int] = []
        self.elsewhere: str | None = None

    def respond(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        if self.failures:
            return self.failures.pop(0), {}, b""
        parts = urlsplit(target)
        if not parts.path.startswith(self.prefix):
            return NOTHING
        kind, _, name = parts.path.removeprefix(self.prefix).partition("/")
        if kind == "manifests":
            return self._manifest(method, name, headers.get("Content-Type", ""), body)
        if name == "uploads/" and method == "POST":
            where = f"{self.elsewhere or ''}{self.prefix}blobs/uploads/1?_state=x"
            return 202, {"Location": where}, b""
        if name.startswith("uploads/") and method == "PUT":
            query = parse_qs(parts.query)
            return self._upload(query["digest"][0] if query["_state"] == ["x"] else "", body)
        found = self.blobs.get(name)
        return NOTHING if found is None else (200, {}, found)

    def _upload(self, digest: str, body: bytes) -> Answer:
        if digest != sha256(body):
            return 400, {}, b'{"errors":[{"code":"DIGEST_INVALID"}]}'
        self.blobs[digest] = body
        return 201, {"Docker-Content-Digest": digest}, b""

    def _manifest(self, method: str, name: str, media_type: str, body: bytes) -> Answer:
        if method == "PUT":
            fields = json.loads(body)
            pointed = [fields.get("config"), *fields.get("layers", []), *fields.get("manifests", [])]
            digests = {entry["digest"] for entry in pointed if entry}
            wrong_name = name.startswith("sha256:") and name != sha256(body)
            if wrong_name or fields["mediaType"] != media_type or digests - self.blobs.keys() - self.manifests.keys():
                return 400, {}, b'{"errors":[{"code":"MANIFEST_INVALID"}]}'
            self.manifests[sha256(body)] = (media_type, body)
            self.tags[name] = sha256(body)
            return 201, {"Docker-Content-Digest": sha256(body)}, b""
        found = self.manifests.get(self.tags.get(name, name))
        return NOTHING if found is None else (200, {"Content-Type": found[0]}, found[1])
