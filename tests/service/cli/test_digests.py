"""`storyrelay digest` prints, and sends nothing."""


def test_people_read_it_and_programs_take_its_numbers(home):
    printed = home.done("digest", "--day", "2026-03-01").stdout
    assert printed.startswith("Sunday, 1 March 2026: a quiet day\n\nNo story came in, nothing failed,")
    told = home.json("digest", "--day", "2026-03-01")
    assert (told["day"], told["timezone"]) == ("2026-03-01", "UTC")
    assert told["numbers"]["results"] == {}
    assert told["numbers"]["troubles"] == []


def test_a_day_that_is_none_is_refused(home):
    result = home.run("digest", "--day", "yesterday")
    assert result.exit_code == 2
    assert "'yesterday' does not match the format '%Y-%m-%d'" in result.stderr
