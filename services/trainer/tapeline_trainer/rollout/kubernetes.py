"""Every request to the API server: read the one Deployment, change its model, list its replica sets.

Thin edge, and the only module that imports the Kubernetes client. Answers stay documents: rollout.py reads them.
A read is repeated to a deadline. A change is sent, and where the answer got lost the Deployment is looked at
instead of sending it blindly again.
Needs of the API server: get and patch on this Deployment, list on replica sets of its namespace.
"""

import json
from collections.abc import Callable
from typing import Any, Final, Self

import tenacity
from kubernetes.client import ApiClient, ApiException, AppsV1Api, Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from urllib3.exceptions import HTTPError

from tapeline_trainer.errors import ClusterFailed, ReferenceChanged
from tapeline_trainer.rollout import deployment
from tapeline_trainer.rollout.deployment import FIELD_MANAGER, Document, State
from tapeline_trainer.settings import Settings

_RETRYABLE_STATUS: Final = frozenset({429, 500, 502, 503, 504})


def is_retryable(error: BaseException) -> bool:
    """Return whether the same request may succeed later."""
    if isinstance(error, ApiException):
        return error.status in _RETRYABLE_STATUS
    return isinstance(error, HTTPError)


class Cluster:
    """The Deployment that serves the model; connects on first use."""

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
        # Retries are ours: the client's own know neither our deadline nor which requests may be repeated.
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
            ClusterFailed: the API server did not give it within the retries.
        """
        return self._do(f"reading {self._name}", self._read)

    def state(self) -> State:
        """Return what rollout.py knows of the Deployment.

        Raises:
            ClusterFailed: the API server did not give it within the retries.
            NotOurs: it names no model image.
        """
        return deployment.state(self.read(), self._settings.volume)

    def replica_sets(self) -> list[Document]:
        """Return the replica sets of the namespace.

        Raises:
            ClusterFailed: the API server did not give them within the retries.
        """
        request = lambda: self._apps.list_namespaced_replica_set(  # noqa: E731
            self._settings.namespace, _preload_content=False, _request_timeout=self._settings.cluster_timeout_s
        )
        items: list[Document] = self._do(f"listing replica sets beside {self._name}", request)["items"]
        return items

    def change(self, old: State, reference: str, model_digest: str | None) -> State:
        """Put another model image in the place of the one that was read; return the Deployment after that.

        Args:
            old: what was read.
            reference: the image.
            model_digest: of its bundle, None where it is not known.

        Raises:
            ReferenceChanged: somebody else changed it first; nothing was done.
            ClusterFailed: the change was refused, or the API server did not answer within the retries.
        """
        operations = deployment.change(old, reference, model_digest)
        retry = self._retrying(tenacity.retry_if_exception_type(_Unheard))
        doing = f"changing the model of {self._name}"
        try:
            return retry(lambda: self._attempt(operations, old, reference, doing))
        except _Unheard as error:
            raise ClusterFailed(doing, str(error)) from error

    def _attempt(self, operations: list[Document], old: State, reference: str, doing: str) -> State:
        try:
            answer = self._apps.patch_namespaced_deployment(
                self._settings.deployment,
                self._settings.namespace,
                operations,
                field_manager=FIELD_MANAGER,
                _content_type="application/json-patch+json",
                _preload_content=False,
                _request_timeout=self._settings.cluster_timeout_s,
            )
            return deployment.state(_document(answer), self._settings.volume)
        except (ApiException, HTTPError) as error:
            now = self.state()
            if now.reference == reference:
                return now
            if now.reference != old.reference:
                raise ReferenceChanged(now.reference, old.reference) from error
            if is_retryable(error):
                raise _Unheard(_reason(error)) from error
            raise ClusterFailed(doing, _reason(error)) from error

    def _read(self) -> Any:
        return self._apps.read_namespaced_deployment(
            self._settings.deployment,
            self._settings.namespace,
            _preload_content=False,
            _request_timeout=self._settings.cluster_timeout_s,
        )

    def _do(self, doing: str, request: Callable[[], Any]) -> Document:
        try:
            return self._retrying(tenacity.retry_if_exception(is_retryable))(lambda: _document(request()))
        except (ApiException, HTTPError) as error:
            raise ClusterFailed(doing, _reason(error)) from error

    def _retrying(self, when: Any) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=when,
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=5),
            stop=tenacity.stop_after_delay(self._settings.retry_deadline_s),
            reraise=True,
        )


class _Unheard(Exception):
    """The change is not there, and may be sent again."""


def _document(answer: Any) -> Document:
    document: Document = json.loads(answer.data)
    return document


def _reason(error: ApiException | HTTPError) -> str:
    """Return what the API server said, without the headers and bodies that the client's own text holds."""
    if not isinstance(error, ApiException):
        return f"{type(error).__name__}: {str(error)[:300]}"
    try:
        said = json.loads(error.body or "")["message"]
    except (ValueError, KeyError, TypeError):
        said = error.reason
    return f"{error.status} ({str(said)[:500]})"
