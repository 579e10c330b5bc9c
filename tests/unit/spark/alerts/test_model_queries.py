import json

import pytest
from tapeline_spark.alerts.model_queries import ModelQueries, ServedModel

from unit.fakes.web import serving


class Inference:
    status, response_body = 200, b""

    def respond(self, method, target, headers, body):
        assert (method, target) == ("GET", "/model")
        return self.status, {}, self.response_body


@pytest.fixture
def inference():
    return Inference()


def served_model(inference):
    with serving(inference) as address:
        return ModelQueries(None, f"http://{address}/").served_model()


def test_the_served_model_is_known_by_digest_and_expiry(inference):
    inference.response_body = json.dumps({"model_digest": "ab" * 32, "expires_at_ms": 17, "kind": "forest"}).encode()
    assert served_model(inference) == ServedModel("ab" * 32, 17)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"model_digest": "a", "expires_at_ms": null}'])
def test_a_response_without_a_model_is_none(inference, body):
    inference.response_body = body
    assert served_model(inference) is None


def test_an_inference_without_a_model_or_away_has_none(inference):
    inference.status = 503
    assert served_model(inference) is None
    assert ModelQueries(None, "http://127.0.0.1:1").served_model() is None
