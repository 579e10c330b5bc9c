import json

import pytest
from pydantic import ValidationError
from tapeline.model import features
from tapeline.model.manifest import Manifest

from unit.inference import factories

FILES = {"forest.npz": "a" * 64, "golden.npz": "b" * 64}


def manifest(**changes: object) -> Manifest:
    return Manifest.model_validate({**factories.draft().model_dump(), "files": FILES, **changes})


def test_a_manifest_comes_back_from_its_bytes_equal() -> None:
    original = manifest()
    assert Manifest.model_validate_json(original.to_bytes()) == original


def test_the_bytes_of_a_manifest_do_not_depend_on_the_order_of_its_fields() -> None:
    original = manifest(metrics={"a": 1.0, "b": 2.0})
    fields = dict(reversed(json.loads(original.to_bytes()).items()))
    again = Manifest.model_validate_json(json.dumps(fields))
    assert again.to_bytes() == original.to_bytes()


def test_a_draft_carries_the_features_of_the_library_by_default() -> None:
    draft = factories.draft()
    assert (draft.feature_names, draft.feature_hash) == (features.FEATURE_NAMES, features.schema_hash())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("expires_at_ms", 1),
        ("training_to_ms", 1),
        ("threshold", 1.5),
        ("threshold", float("nan")),
        ("metrics", {"auc": float("nan")}),
        ("kind", "pickle"),
        ("format_version", 2),
        ("parent_digest", "../../etc"),
        ("feature_hash", "A" * 64),
        ("created_at_ms", "1790000000000"),
        ("files", {"other.bin": "a" * 64}),
        ("surprise", 1),
    ],
)
def test_a_manifest_with_a_broken_field_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        manifest(**{field: value})


def test_a_manifest_does_not_change_once_it_is_made() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        manifest().threshold = 0.4
