"""Packs a bundle as a data-only OCI image, and pulls the bundle of one.

    index      for every platform a manifest; its digest is what is deployed
    manifest   one a platform: its config and the one layer that all share
    config     os, architecture, and the sha256 of the unpacked layer
    layer      the bundle as a tar, see oci_layer.py

The same bundle yields the same bytes everywhere: every time in them comes from the bundle. It is a real
image, not an artifact without a config: only images can be mounted. No HTTP here: the caller of `pull` passes `Get`.
Source: https://github.com/opencontainers/image-spec (v1.1), https://github.com/opencontainers/distribution-spec
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ValidationError

from tapeline.model import bundle, oci_layer
from tapeline.model.bundle import BundleRefused, Manifest

INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
BLOB_TYPE: Final = "application/octet-stream"
PLATFORMS: Final = ("amd64", "arm64")
"""Architectures a node may have, all with linux: the content is the same, a node takes only its own."""
ANNOTATION: Final = "io.tapeline.model."
DOCUMENT_BYTES_MAX: Final = 1 << 20

Get = Callable[[str, str, int], bytes]
"""(path below /v2/<repository>/, accepted media types, most bytes of the response) -> its body."""

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_PART: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE: Final = re.compile(
    r"(?P<registry>(?:localhost|[A-Za-z0-9-]+\.[A-Za-z0-9.-]+|[A-Za-z0-9-]+(?=:))(?::[0-9]{1,5})?)"
    rf"/(?P<repository>{_PART}(?:/{_PART})*)@(?P<digest>sha256:[0-9a-f]{{64}})"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """Which image and where; `str` gives it as a Deployment names it.

    Attributes:
        registry: host, and port where it is not the usual one.
        repository: path below it.
        digest: `sha256:` and 64 hex digits.
    """

    registry: str
    repository: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `<registry>/<repository>@sha256:<64 hex digits>`.

        Raises:
            BundleRefused: it is not that; a tag is refused, because what it names may change.
        """
        found = _REFERENCE.fullmatch(text)
        if found is None:
            rule = "it must be <registry>/<repository>@sha256:<64 hex digits>, the registry with a dot or a port"
            raise BundleRefused("image", "model image", repr(text[:300]), rule)
        return cls(**found.groupdict())

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}@{self.digest}"


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes as a registry keeps them."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        """`sha256:` and 64 hex digits."""
        return _sha256(self.content)

    def descriptor(self) -> dict[str, Any]:
        """Return the descriptor with which a document references it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}


@dataclass(frozen=True, slots=True)
class Image:
    """What must be pushed: blobs first, then manifests, the index last.

    Attributes:
        blobs: the layer and the configs.
        manifests: one a platform.
        index: its digest is the image's.
    """

    blobs: tuple[Blob, ...]
    manifests: tuple[Blob, ...]
    index: Blob


class _Descriptor(BaseModel):
    mediaType: str  # noqa: N815 - the document's own spelling
    digest: str
    size: int


class _Document(BaseModel):
    """An index has manifests, a manifest has layers."""

    manifests: list[_Descriptor] = []
    layers: list[_Descriptor] = []


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def pack(models: Path, digest: str) -> Image:
    """Return the image of one bundle, whose `current` names it.

    Args:
        models: folder of all bundles.
        digest: the bundle; it is verified first.

    Raises:
        BundleRefused: it fails a check.
    """
    manifest = bundle.read(models, digest).manifest
    tar = oci_layer.pack(models, digest)
    wrapped = Blob(LAYER_TYPE, oci_layer.wrap(tar))
    about = annotations(manifest, digest)
    created = about["org.opencontainers.image.created"]
    configs, manifests, entries = [], [], []
    for architecture in PLATFORMS:
        fields = {
            "created": created,
            "os": "linux",
            "architecture": architecture,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [_sha256(tar)]},
            "history": [{"created": created, "created_by": "tapeline", "comment": f"model {digest}"}],
        }
        config = Blob(CONFIG_TYPE, _json(fields))
        pointing = {"config": config.descriptor(), "layers": [wrapped.descriptor()]}
        document = Blob(MANIFEST_TYPE, _written(MANIFEST_TYPE, about, pointing))
        configs.append(config)
        manifests.append(document)
        entries.append({**document.descriptor(), "platform": {"os": "linux", "architecture": architecture}})
    index = Blob(INDEX_TYPE, _written(INDEX_TYPE, about, {"manifests": entries}))
    return Image((wrapped, *configs), tuple(manifests), index)


def _written(media_type: str, about: dict[str, str], fields: dict[str, Any]) -> bytes:
    return _json({"schemaVersion": 2, "mediaType": media_type, "annotations": about, **fields})


def annotations(manifest: Manifest, digest: str) -> dict[str, str]:
    """Return the annotations that describe the model, all from the bundle's manifest."""
    own = {
        "digest": digest,
        "kind": manifest.kind,
        "training-from": _time(manifest.training_from_ms),
        "training-to": _time(manifest.training_to_ms),
        "training-rows": str(manifest.training_rows),
        "expires": _time(manifest.expires_at_ms),
        "data-digest": manifest.data_digest,
        "feature-version": manifest.feature_version,
        "label-version": manifest.label_version,
        "metrics": _json(dict(manifest.metrics)).decode(),
        "scikit-learn": manifest.libraries.get("scikit-learn"),
        "parent-digest": manifest.parent_digest,
    }
    return {
        "org.opencontainers.image.created": _time(manifest.created_at_ms),
        "org.opencontainers.image.title": "Tapeline model",
        "org.opencontainers.image.version": digest,
        **{f"{ANNOTATION}{name}": value for name, value in own.items() if value is not None},
    }


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC).isoformat(timespec="milliseconds")


def pull(get: Get, digest: str) -> bytes:
    """Return the layer of an image, every step on the way checked against the digest before it.

    Args:
        get: requests from the repository of the registry.
        digest: `sha256:` and 64 hex digits, of an index or of a manifest.

    Raises:
        BundleRefused: something is not what its digest says, or is no model image.
    """
    document = _document(get, digest, f"{INDEX_TYPE}, {MANIFEST_TYPE}")
    if document.manifests:
        # All platforms share the layer; any will do.
        one = _only_descriptor(document.manifests[:1], MANIFEST_TYPE, "manifest", DOCUMENT_BYTES_MAX)
        document = _document(get, one.digest, MANIFEST_TYPE)
    wrapped = _only_descriptor(document.layers, LAYER_TYPE, "layer", oci_layer.SIZE_MAX)
    return _checked(get(f"blobs/{wrapped.digest}", BLOB_TYPE, wrapped.size), wrapped.digest)


def _document(get: Get, digest: str, kinds: str) -> _Document:
    content = _checked(get(f"manifests/{digest}", kinds, DOCUMENT_BYTES_MAX), digest)
    try:
        return _Document.model_validate_json(content)
    except ValidationError as error:
        found = f"not readable ({error.errors()[0]['msg']})"
        raise BundleRefused("image", "manifest of the image", found, "push it with oci_image.pack") from None


def _checked(content: bytes, digest: str) -> bytes:
    actual = _sha256(content)
    if actual != digest:
        raise BundleRefused("image", "sha256 of what the registry gave", actual, f"it must be {digest}")
    return content


def _only_descriptor(found: list[_Descriptor], kind: str, what: str, limit: int) -> _Descriptor:
    if len(found) != 1:
        raise BundleRefused("image", f"number of {what}s", len(found), "it must be 1")
    one = found[0]
    if one.mediaType != kind or not _DIGEST.fullmatch(one.digest):
        raise BundleRefused("image", what, f"{one.mediaType[:80]} {one.digest[:80]}", f"it must be {kind}, by sha256")
    if not 0 < one.size <= limit:
        raise BundleRefused("image", f"size of the {what}", f"{one.size} bytes", f"{limit} is the most")
    return one
