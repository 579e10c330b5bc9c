from tapeline_local import waiting


def test_a_check_is_made_at_once_and_again_until_it_holds():
    answers = iter([False, False, True])
    assert waiting.eventually(lambda: next(answers), 5)


def test_a_check_is_made_even_when_no_time_is_left():
    assert waiting.eventually(lambda: True, 0)
    assert not waiting.eventually(lambda: False, 0)
