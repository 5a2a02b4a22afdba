from service.domain.notice_words import WORDS, in_words
from service.domain.notices import KINDS


def test_every_kind_has_words_of_its_own() -> None:
    assert set(WORDS) == set(KINDS)
    assert len(set(WORDS.values())) == len(WORDS)
    assert in_words("disk_low") == "Disk nearly full"


def test_a_kind_of_a_newer_version_is_shown_as_it_is_written() -> None:
    assert in_words("moon_gone") == "moon gone"
