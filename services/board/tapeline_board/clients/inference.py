"""Reads the served model from the inference service. Thin edge."""

from collections.abc import Callable
from typing import Any

import httpx
from pydantic import ValidationError

from tapeline_board.api.schemas.model import ServedModel

_TIMEOUT_S = 2.0


def parse_model(body: dict[str, Any], now_ms: int) -> ServedModel:
    """Return the served model of a response to GET /model.

    Raises:
        KeyError, ValidationError: not a response of the inference service.
    """
    return ServedModel(
        created_at=body["created_at_ms"],
        expires_at=body["expires_at_ms"],
        is_expired=now_ms >= body["expires_at_ms"],
        **{name: body[name] for name in ("model_digest", "kind", "feature_version", "label_version", "threshold")},
    )


class InferenceClient:
    """GET /model of one inference service."""

    def __init__(self, url: str | None, now_ms: Callable[[], int]) -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: base address; None: not configured.
            now_ms: the clock that decides whether a model has expired.
        """
        self._url, self._now_ms = url, now_ms
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get_model(self) -> ServedModel | str:
        """Return the served model, or the reason why none is known."""
        if self._url is None:
            return "the address of the inference service is not configured: set BOARD_INFERENCE_URL"
        try:
            response = await self._client.get(f"{self._url.rstrip('/')}/model")
            if response.status_code == httpx.codes.OK:
                return parse_model(response.json(), self._now_ms())
            # The service's own message, such as why no model is served; one line.
            return str(response.json()["message"])[:300]
        except httpx.HTTPError as error:
            return f"the inference service does not respond ({type(error).__name__})"
        except (KeyError, TypeError, ValueError, ValidationError):
            return "the response of the inference service is not a model"
