"""An inference service of which a test decides what it answers."""

import json
from collections.abc import Callable

from unit.fakes.web import Answer


class FakeService:
    """One replica.

    Attributes:
        digest: gives the model it serves.
        counts: requests by outcome.
        status: of every answer.
    """

    def __init__(self, digest: Callable[[], str]) -> None:
        self.digest = digest
        self.counts: dict[str, int] = {"ok": 100}
        self.status = 200

    def respond(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        digest = self.digest()
        if target == "/model":
            return self.status, {}, json.dumps({"model_digest": digest}).encode()
        lines = ["# TYPE tapeline_model_info gauge", f'tapeline_model_info{{digest="{digest}",kind="forest"}} 1.0']
        lines.append("# TYPE tapeline_predict_requests counter")
        for outcome, count in self.counts.items():
            lines.append(f'tapeline_predict_requests_total{{format="arrow",outcome="{outcome}"}} {count}')
        return self.status, {}, ("\n".join(lines) + "\n").encode()
