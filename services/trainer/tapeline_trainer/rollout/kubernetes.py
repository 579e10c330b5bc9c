"""Client of the API server: reads the Deployment of inference, patches its model, lists its replica sets.

Thin edge, and the only module that imports the Kubernetes client. Responses stay documents: deployment.py parses them.
A read is retried to a deadline. A patch whose response is lost is sent again only where the Deployment, read again,
still names the old image.
Rights that it needs: get and patch on this Deployment, list on replica sets of its namespace.
"""

import json
from collections.abc import Callable
from typing import Any, Final, Self, TypeVar

from kubernetes.client import ApiClient, ApiException, AppsV1Api, Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from tapeline_clients import http
from urllib3.exceptions import HTTPError

from tapeline_trainer.errors import ClusterFailed, ReferenceChanged
from tapeline_trainer.rollout import deployment
from tapeline_trainer.rollout.deployment import FIELD_MANAGER, DeploymentState, Document
from tapeline_trainer.settings import Settings

T = TypeVar("T")
_LONGEST_PAUSE_S: Final = 5.0


def is_transient(error: BaseException) -> bool:
    """Return whether the same request may succeed later."""
    if isinstance(error, ApiException):
        return http.is_transient(error.status)
    return isinstance(error, HTTPError)


class DeploymentClient:
    """Client for the Deployment that serves the model; connects on first use."""

    def __init__(self, settings: Settings) -> None:
        """Prepare.

        Raises:
            ClusterFailed: there is neither a service account nor a usable kubeconfig.
        """
        configuration = Configuration()
        try:
            if settings.kubeconfig is None:
                load_incluster_config(client_configuration=configuration)
            else:
                load_kube_config(config_file=str(settings.kubeconfig), client_configuration=configuration)
        except (ConfigException, OSError) as error:
            raise ClusterFailed("looking for credentials", f"none ({error})") from error
        # The client's own retries know neither our deadline nor which requests may be repeated.
        configuration.retries = False
        self._client = ApiClient(configuration)
        self._apps = AppsV1Api(self._client)
        self._settings = settings
        self._name = f"Deployment {settings.namespace}/{settings.deployment}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def read(self) -> Document:
        """Return the Deployment.

        Raises:
            ClusterFailed: the API server did not return it within the retries.
        """
        return self._request(f"reading {self._name}", self._read)

    def read_state(self) -> DeploymentState:
        """Return the Deployment, parsed.

        Raises:
            ClusterFailed: the API server did not return it within the retries.
            UnmanagedReference: it names no model image.
        """
        return deployment.parse_state(self.read(), self._settings.volume)

    def list_replica_sets(self) -> list[Document]:
        """Return the replica sets of the namespace.

        Raises:
            ClusterFailed: the API server did not return them within the retries.
        """
        request = lambda: self._apps.list_namespaced_replica_set(  # noqa: E731
            self._settings.namespace, _preload_content=False, _request_timeout=self._settings.cluster_timeout_s
        )
        items: list[Document] = self._request(f"listing replica sets beside {self._name}", request)["items"]
        return items

    def patch_model(self, old: DeploymentState, reference: str, model_digest: str | None) -> DeploymentState:
        """Replace the model image that was read by another. Return the Deployment after that.

        Args:
            old: what was read.
            reference: the image.
            model_digest: of its bundle, None where it is not known.

        Raises:
            ReferenceChanged: somebody else changed it first; nothing was changed.
            ClusterFailed: the patch was refused, or the API server did not respond within the retries.
        """
        operations = deployment.build_patch(old, reference, model_digest)
        doing = f"changing the model of {self._name}"
        try:
            return self._retry(
                lambda error: isinstance(error, _PatchNotApplied),
                lambda: self._send_patch(operations, old, reference, doing),
            )
        except _PatchNotApplied as error:
            raise ClusterFailed(doing, str(error)) from error

    def _send_patch(
        self, operations: list[Document], old: DeploymentState, reference: str, doing: str
    ) -> DeploymentState:
        try:
            response = self._apps.patch_namespaced_deployment(
                self._settings.deployment,
                self._settings.namespace,
                operations,
                field_manager=FIELD_MANAGER,
                _content_type="application/json-patch+json",
                _preload_content=False,
                _request_timeout=self._settings.cluster_timeout_s,
            )
            return deployment.parse_state(_document(response), self._settings.volume)
        except (ApiException, HTTPError) as error:
            state = self.read_state()
            if state.reference == reference:
                return state
            if state.reference != old.reference:
                raise ReferenceChanged(state.reference, old.reference) from error
            if is_transient(error):
                raise _PatchNotApplied(_reason(error)) from error
            raise ClusterFailed(doing, _reason(error)) from error

    def _read(self) -> Any:
        return self._apps.read_namespaced_deployment(
            self._settings.deployment,
            self._settings.namespace,
            _preload_content=False,
            _request_timeout=self._settings.cluster_timeout_s,
        )

    def _request(self, doing: str, request: Callable[[], Any]) -> Document:
        try:
            return self._retry(is_transient, lambda: _document(request()))
        except (ApiException, HTTPError) as error:
            raise ClusterFailed(doing, _reason(error)) from error

    def _retry(self, is_transient_error: Callable[[BaseException], bool], request: Callable[[], T]) -> T:
        deadline_s = self._settings.retry_deadline_s
        return http.retrying(is_transient_error, deadline_s, longest_pause_s=_LONGEST_PAUSE_S)(request)


class _PatchNotApplied(Exception):
    """The patch was not applied, and may be sent again."""


def _document(response: Any) -> Document:
    document: Document = json.loads(response.data)
    return document


def _reason(error: ApiException | HTTPError) -> str:
    """Return the message of the API server, without the headers and bodies that the client's own text holds."""
    if not isinstance(error, ApiException):
        return f"{type(error).__name__}: {str(error)[:300]}"
    try:
        message = json.loads(error.body or "")["message"]
    except (ValueError, KeyError, TypeError):
        message = error.reason
    return f"{error.status} ({str(message)[:500]})"
