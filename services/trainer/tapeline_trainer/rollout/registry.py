"""Client of the registry of model images: push, and pull by digest.

Thin edge over the OCI distribution API; oci_image.py defines the documents. Requests are retried to one
deadline: blobs and manifests are named by their content, so sending them twice changes nothing.
Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

import httpx
from tapeline.model import oci_image, oci_layer
from tapeline.model.bundle import BundleRefused
from tapeline.model.oci_image import Blob, Image, Reference
from tapeline_clients import http

from tapeline_trainer.errors import ImageMissing, RegistryFailed
from tapeline_trainer.rollout.credentials import Credentials
from tapeline_trainer.settings import Settings

T = TypeVar("T")
_NOT_FOUND: Final = 404


def is_transient(error: BaseException) -> bool:
    """Return whether the same request may succeed later."""
    if isinstance(error, httpx.HTTPStatusError):
        return http.is_transient(error.response.status_code)
    return isinstance(error, httpx.TransportError)


class Registry:
    """One repository of a registry; connects on first use."""

    def __init__(self, settings: Settings) -> None:
        """Prepare; the password is read now.

        Raises:
            OSError: a file of the credentials or authorities cannot be read.
        """
        scheme = "http" if settings.registry_insecure else "https"
        ca_file = settings.registry_ca_file
        self._client = httpx.Client(
            base_url=f"{scheme}://{settings.registry}/v2/{settings.repository}/",
            auth=Credentials.read(settings.registry_username, settings.registry_password_file),
            verify=ssl.create_default_context(cafile=None if ca_file is None else str(ca_file)),
            timeout=settings.registry_timeout_s,
        )
        self._settings = settings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def reference(self, digest: str) -> Reference:
        """Return the name under which nodes pull an image."""
        host = self._settings.registry_reference or self._settings.registry or ""
        return Reference(host, self._settings.repository, digest)

    def push(self, packed: Image, tag: str) -> Reference:
        """Push an image, referenced blobs before the manifests that reference them; return its reference by digest.

        Args:
            packed: the image.
            tag: keeps registries from garbage-collecting it; nobody pulls by it.

        Raises:
            RegistryFailed: the push did not succeed within the retries.
        """
        for blob in packed.blobs:
            self._request(f"pushing blob {blob.digest}", partial(self._push_blob, blob))
        for manifest in packed.manifests:
            self._request(
                f"pushing manifest {manifest.digest}", partial(self._push_manifest, manifest, manifest.digest)
            )
        self._request(f"pushing image {packed.index.digest}", partial(self._push_manifest, packed.index, tag))
        return self.reference(packed.index.digest)

    def pull(self, digest: str, models: Path) -> str:
        """Pull the bundle of an image into a folder of models and verify it; return the bundle's digest.

        Raises:
            ImageMissing: the registry does not have it.
            RegistryFailed: the pull did not succeed within the retries.
            BundleRefused: it is not what its digest says, or not a model that would be served.
        """
        return oci_layer.unpack(oci_image.pull(self._get, digest), models)

    def _push_blob(self, blob: Blob) -> None:
        if self._client.head(f"blobs/{blob.digest}").status_code == httpx.codes.OK:
            return
        started = self._client.post("blobs/uploads/").raise_for_status()
        # Relative or absolute, with the registry's own state in its query.
        location = started.request.url.join(started.headers["Location"]).copy_merge_params({"digest": blob.digest})
        if (location.scheme, location.netloc) != (started.request.url.scheme, started.request.url.netloc):
            # The password would be sent there too. A registry behind a proxy must be configured with its own address.
            raise RegistryFailed("beginning an upload", f"a redirect to {location.scheme}://{location.host}")
        self._client.put(
            location, content=blob.content, headers={"Content-Type": oci_image.BLOB_TYPE}
        ).raise_for_status()

    def _push_manifest(self, manifest: Blob, name: str) -> None:
        headers = {"Content-Type": manifest.media_type}
        self._client.put(f"manifests/{name}", content=manifest.content, headers=headers).raise_for_status()

    def _get(self, path: str, accept: str, limit: int) -> bytes:
        return self._request(f"pulling {path}", lambda: self._read(path, accept, limit))

    def _read(self, path: str, accept: str, limit: int) -> bytes:
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        content = bytearray()
        # Registries redirect reads to where the bytes are stored.
        with self._client.stream("GET", path, headers=headers, follow_redirects=True) as response:
            response.raise_for_status()
            for part in response.iter_bytes():
                content += part
                if len(content) > limit:
                    raise BundleRefused("image", f"size of {path}", f"above {limit} bytes", "it must be as announced")
        return bytes(content)

    def _request(self, doing: str, request: Callable[[], T]) -> T:
        try:
            return http.retrying(is_transient, self._settings.retry_deadline_s)(request)
        except httpx.HTTPStatusError as error:
            kind = ImageMissing if error.response.status_code == _NOT_FOUND else RegistryFailed
            raise kind(doing, f"{error.response.status_code} {error.response.reason_phrase}") from error
        except (httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError) as error:
            raise RegistryFailed(doing, f"{type(error).__name__}: {str(error)[:300]}") from error
