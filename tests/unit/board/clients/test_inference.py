import pytest
from pydantic import ValidationError
from tapeline_board.clients.inference import parse_model

from unit.board import factories

MODEL_BODY = {
    **{"model_digest": factories.DIGEST, "kind": "forest", "created_at_ms": 1_000, "expires_at_ms": 2_000},
    **{"feature_version": "1", "label_version": "2", "threshold": 0.5, "metrics": {}},
}


@pytest.mark.parametrize(("now_ms", "expired"), [(1_999, False), (2_000, True)])
def test_a_model_expires_at_expires_at(now_ms, expired):
    assert parse_model(MODEL_BODY, now_ms).is_expired is expired


def test_a_response_of_another_service_is_no_model():
    with pytest.raises(KeyError):
        parse_model({"hello": 1}, 0)
    with pytest.raises(ValidationError):
        parse_model(MODEL_BODY | {"threshold": "high"}, 0)
