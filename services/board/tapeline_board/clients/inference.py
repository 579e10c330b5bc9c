"""What the inference service says of the model that it serves. Thin edge."""

import time
from collections.abc import Callable

import httpx
from pydantic import ValidationError

from tapeline_board.api.schemas.judgement import ServedModel
from tapeline_board.panels import model

_TIMEOUT_S = 2.0


def clock_ms() -> int:
    """Return the time of our clock, ms UTC."""
    return time.time_ns() // 1_000_000


class Inference:
    """GET /model of one inference service."""

    def __init__(self, url: str | None, now_ms: Callable[[], int]) -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: base address; None where it is not known.
            now_ms: the clock that decides whether a model has expired.
        """
        self._url, self._now_ms = url, now_ms
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def served(self) -> ServedModel | str:
        """Return the served model, or in words why none is known."""
        if self._url is None:
            return "the board was not told where the inference service is: set BOARD_INFERENCE_URL"
        try:
            answer = await self._client.get(f"{self._url.rstrip('/')}/model")
            if answer.status_code == httpx.codes.OK:
                return model.served(answer.json(), self._now_ms())
            # Its own words, such as why no model is served; one line of them.
            return str(answer.json()["message"])[:300]
        except httpx.HTTPError as error:
            return f"the inference service does not answer ({type(error).__name__})"
        except (KeyError, TypeError, ValueError, ValidationError):
            return "the inference service answers with something that is no model"
