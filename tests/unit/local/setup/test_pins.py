import pytest
from tapeline_local import paths
from tapeline_local.setup import pins


def test_assignments_are_read_and_comments_skipped():
    assert pins.parse("# why\n\nA=1\nB = x=y\n") == {"A": "1", "B": "x=y"}


def test_a_line_that_is_no_assignment_is_refused_with_its_number():
    with pytest.raises(ValueError, match=r"line 2 .* 'nonsense'"):
        pins.parse("A=1\nnonsense\n")


def test_the_checkout_has_pins():
    assert pins.read(paths.CHECKOUT)["KAFKA_VERSION"]
