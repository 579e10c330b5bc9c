from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapeline_clients.http import TRANSIENT_STATUSES
from tapeline_spark.elastic.bulk import classify
from tapeline_spark.elastic.documents import Operation
from tapeline_spark.errors import WriteRefused

PASSING = sorted(TRANSIENT_STATUSES)


def operations(count):
    return [Operation("tapeline-trades-2026.11.20", f"id{i}", b"{}", "t", 0, i) for i in range(count)]


def bulk_response(statuses):
    items = [{"create": {"status": status}} for status in statuses]
    return {"errors": any(status >= 300 for status in statuses), "items": items}


@given(st.lists(st.sampled_from([201, 409, 400, *PASSING]), min_size=1))
def test_each_item_is_counted_exactly_once(statuses):
    outcome = classify(operations(len(statuses)), bulk_response(statuses))
    seen = Counter(statuses)
    assert outcome.created == seen[201]
    assert outcome.conflict == seen[409]
    assert len(outcome.unfit) == seen[400]
    assert [o.identity for o in outcome.retry] == [f"id{i}" for i, s in enumerate(statuses) if s in PASSING]


def test_an_answer_without_errors_means_all_were_created():
    assert classify(operations(3), {"errors": False}).created == 3


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_for_good_is_raised_with_its_reason(status):
    item = {"create": {"status": status, "error": {"type": "cluster_block_exception", "reason": "read-only"}}}
    with pytest.raises(WriteRefused, match="cluster_block_exception: read-only"):
        classify(operations(1), {"errors": True, "items": [item]})


def test_an_answer_for_another_number_of_documents_is_refused():
    with pytest.raises(WriteRefused, match="3 documents were sent, 2 answered"):
        classify(operations(3), bulk_response([409, 409]))


def of_kind(kind, status, error=None):
    operation = Operation("tapeline-candles-1m-2026.09", "id", b"{}", kind=kind)
    item = {kind: {"status": status, **({"error": {"type": error, "reason": "so"}} if error else {})}}
    return classify([operation], {"errors": status >= 300, "items": [item]})


@pytest.mark.parametrize("status", [200, 201])
def test_a_document_that_is_written_over_counts_as_one_that_is_new(status):
    assert of_kind("index", status).created == 1


def test_a_fuller_document_that_stands_is_left_as_it_is():
    assert of_kind("index", 409, "version_conflict_engine_exception").conflict == 1


def test_an_update_of_what_is_not_there_is_counted_and_not_tried_again():
    outcome = of_kind("update", 404, "document_missing_exception")
    assert (outcome.absent, outcome.retry) == (1, [])


def test_an_update_that_somebody_else_was_quicker_than_is_tried_again():
    assert len(of_kind("update", 409, "version_conflict_engine_exception").retry) == 1


def test_an_index_that_is_not_there_is_no_missing_document():
    with pytest.raises(WriteRefused, match="index_not_found_exception"):
        of_kind("update", 404, "index_not_found_exception")
