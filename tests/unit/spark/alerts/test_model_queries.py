import json

import pytest
from tapeline_spark.alerts.model_queries import ModelQueries, ServedModel

from unit.fakes.web import serving


class Inference:
    status, told = 200, b""

    def answer(self, method, target, headers, body):
        assert (method, target) == ("GET", "/model")
        return self.status, {}, self.told


@pytest.fixture
def inference():
    return Inference()


def asked(inference):
    with serving(inference) as address:
        return ModelQueries(None, f"http://{address}/").served_model()


def test_the_served_model_is_known_by_digest_and_expiry(inference):
    inference.told = json.dumps({"model_digest": "ab" * 32, "expires_at_ms": 17, "kind": "forest"}).encode()
    assert asked(inference) == ServedModel("ab" * 32, 17)


@pytest.mark.parametrize("told", [b"", b"[]", b"{}", b'{"model_digest": "a", "expires_at_ms": null}'])
def test_an_answer_that_says_nothing_is_none(inference, told):
    inference.told = told
    assert asked(inference) is None


def test_an_inference_without_a_model_or_away_has_none(inference):
    inference.status = 503
    assert asked(inference) is None
    assert ModelQueries(None, "http://127.0.0.1:1").served_model() is None
