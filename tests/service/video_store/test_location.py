from pathlib import Path

import pytest

from service.video_store import BadLocation, open_store


@pytest.mark.parametrize(
    ("location", "folder"),
    [
        ("published", "/base/published"),
        ("./a b/c", "/base/a b/c"),
        ("/srv/videos", "/srv/videos"),
        ("file:///srv/videos", "/srv/videos"),
        ("file:///srv/a%20b", "/srv/a b"),
        ("file://localhost/srv", "/srv"),
        ("a%20b?c#d", "/base/a%20b?c#d"),
        ("./s3:/videos", "/base/s3:/videos"),
        ("s3/videos", "/base/s3/videos"),
        ("c:/videos", "/base/c:/videos"),
    ],
)
def test_folders(location, folder):
    store = open_store(location, base=Path("/base"))
    assert store.location == folder
    assert store.incoming == Path(folder) / ".incoming"
    assert store.local_path("x") == Path(folder) / "x"


def test_a_folder_is_not_touched_before_it_is_used(tmp_path):
    store = open_store("kept", base=tmp_path)
    assert store.clear_incoming(0) == 0
    assert store.stat("x") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "location", ["s3://bucket/a/b", "s3a://bucket", "gs://bucket/x", "az://account/container/x"]
)
def test_object_stores_keep_temporary_files_in_the_base(location, tmp_path):
    store = open_store(location, base=tmp_path)
    assert store.location == location
    assert store.incoming == tmp_path / ".incoming"
    assert store.local_path("x") is None


def test_the_folder_for_temporary_files_can_be_named(tmp_path):
    assert open_store("s3://bucket", base=tmp_path, incoming=tmp_path / "tmp").incoming == tmp_path / "tmp"


def test_secrets_in_the_location_are_not_shown(tmp_path):
    store = open_store("s3://bucket/p/?access_key_id=AK&secret_access_key=hush", base=tmp_path)
    assert store.location == "s3://bucket/p"
    assert "hush" not in repr(store)


@pytest.mark.parametrize(
    ("location", "options", "said"),
    [
        ("", {}, "empty"),
        ("file://", {}, "empty"),
        ("file://srv/videos", {}, "three slashes"),
        ("https://example.com/x", {}, "https:// is no kind of store"),
        ("ftp://example.com/x", {}, "s3://"),
        ("s3://", {}, "bucket/prefix"),
        ("s3:///prefix", {}, "bucket/prefix"),
        ("s3://key:hush@bucket", {}, "into the options"),
        ("s3://bucket?endpont=http://x", {}, "did you mean endpoint"),
        ("s3://bucket", {"secret": "hush"}, "no option 'secret'"),
        ("s3://bucket?allow_http=maybe", {}, "true or false"),
        ("gs://bucket?region=x", {}, "no option 'region'"),
        ("published", {"region": "x"}, "takes no options"),
        (
            "s3:/bucket/hush",
            {},
            "should be s3://bucket/prefix, and not begin with s3:; a folder of that name is ./s3:…",
        ),
        ("S3:bucket", {}, "should be s3://bucket/prefix"),
        ("s3//bucket", {}, "should be s3://bucket/prefix"),
        ("gs:/bucket", {}, "should be gs://bucket/prefix"),
        ("az:bucket", {}, "should be az://bucket/prefix"),
        ("file:/srv/videos", {}, "should be file:///folder, with three slashes"),
        ("file:videos", {}, "three slashes"),
    ],
)
def test_what_cannot_be_meant_is_said(location, options, said, tmp_path):
    with pytest.raises(BadLocation, match=said) as caught:
        open_store(location, base=tmp_path, options=options)
    assert "hush" not in str(caught.value)
