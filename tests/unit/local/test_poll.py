from tapeline_local import poll


def test_a_check_is_made_at_once_and_again_until_it_holds():
    answers = iter([False, False, True])
    assert poll.eventually(lambda: next(answers), 5)


def test_a_check_is_made_even_when_no_time_is_left():
    assert poll.eventually(lambda: True, 0)
    assert not poll.eventually(lambda: False, 0)
