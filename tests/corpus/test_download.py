"""The published release from a stand-in for the hub: whole, cut off, wrong, pinned, in part."""

import hashlib

import pytest
from tests.corpus import release_stand_in
from tests.corpus.release_stand_in import COMMIT, OLD, release

from b2ner import files
from b2ner.corpus.download import PublishedFile, download, find_release, published_file
from b2ner.errors import DataError

pytest.importorskip("huggingface_hub", reason="the extra `data` is not installed")

ROWS = [{"sentence": "Ada", "entities": [{"name": "Ada", "type": "person", "pos": [0, 3]}]}]
CONTENTS = {
    f"data/{edition}/NER_en/{name}/{file}.json": value
    for edition in ("B2NERD", "B2NERD_all")
    for name in ("CrossNER_AI", "ACE 2004")
    for file, value in (("labels", ["person"]), ("test", ROWS))
}


@pytest.fixture
def hub(monkeypatch):
    with release_stand_in.running() as stand_in:
        stand_in.files = {"README.md": b"#", "B2NERD_data.zip": release(CONTENTS)}
        template = stand_in.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", stand_in.url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        yield stand_in


def test_all_of_it(hub, tmp_path):
    found = find_release()
    assert (found.commit, found.file) == (COMMIT, "B2NERD_data.zip")
    done = download(found, tmp_path)
    assert (done.files, done.left_out) == (8, 0)
    assert done.data_sets == ("ACE 2004", "CrossNER_AI")
    place = tmp_path / "data/B2NERD/NER_en/CrossNER_AI/test.json"
    assert files.read_json(place) == ROWS
    record = files.read_json(tmp_path / "download.json")
    assert record["commit"] == COMMIT
    assert record["sha256"] == hashlib.sha256(hub.files["B2NERD_data.zip"]).hexdigest()
    assert record["files"]["data/B2NERD/NER_en/CrossNER_AI/test.json"] == files.sha256(place)
    assert {p.name for p in tmp_path.iterdir()} == {"data", "download.json"}


def test_a_part_of_it(hub, tmp_path):
    done = download(
        find_release(),
        tmp_path,
        wanted=lambda place: place == PublishedFile("B2NERD", "NER_en", "CrossNER_AI"),
    )
    assert (done.files, done.left_out, done.data_sets) == (2, 6, ("CrossNER_AI",))
    assert not (tmp_path / "data/B2NERD_all").exists()


def test_a_fetch_that_was_killed_goes_on(hub, tmp_path):
    found = find_release()
    content = hub.files["B2NERD_data.zip"]
    (tmp_path / f".{found.sha256[:16]}.part").write_bytes(content[:100])
    download(found, tmp_path)
    assert hub.ranges == ["bytes=100-"]


def test_a_fetch_that_is_cut_off_goes_on(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 20)
    hub.cut = [60]
    assert download(find_release(), tmp_path).files == 8
    assert hub.ranges == ["", "bytes=60-"]


def test_a_part_that_is_too_long_is_not_continued(hub, tmp_path):
    found = find_release()
    (tmp_path / f".{found.sha256[:16]}.part").write_bytes(b"x" * (found.bytes + 1))
    download(found, tmp_path)
    assert hub.ranges == [""]


def test_wrong_bytes_are_thrown_away(hub, tmp_path):
    hub.lies = True
    with pytest.raises(DataError, match="SHA-256"):
        download(find_release(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_pinned_revision(hub):
    assert find_release(revision=OLD).commit == OLD
    assert hub.revisions[-1] == OLD


def test_a_repository_with_another_content(hub):
    hub.files = {"README.md": b"#"}
    with pytest.raises(DataError, match="expected one zip, found none"):
        find_release()
    hub.files = {"a.zip": b"", "b.zip": b""}
    with pytest.raises(DataError, match=r"found a\.zip, b\.zip; name it by --file"):
        find_release()
    assert find_release(file="b.zip").file == "b.zip"
    with pytest.raises(DataError, match=r"has no 'c\.zip'"):
        find_release(file="c.zip")


def test_a_hub_that_refuses(hub, tmp_path):
    found = find_release()
    hub.gone = True
    with pytest.raises(DataError, match="could not be fetched"):
        find_release()
    with pytest.raises(DataError, match="could not be fetched"):
        download(found, tmp_path)


def test_an_archive_that_is_refused(hub, tmp_path):
    hub.files = {"B2NERD_data.zip": release({"../x.json": []})}
    with pytest.raises(DataError, match="leads out"):
        download(find_release(), tmp_path / "out")
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("data/B2NERD/NER_en/ACE 2004/train.json", ("B2NERD", "NER_en", "ACE 2004")),
        ("NER_zh/weibo/test.json", ("", "NER_zh", "weibo")),
        ("data/README.md", ("", "", "")),
    ],
)
def test_where_a_member_belongs(path, place):
    assert published_file(path) == PublishedFile(*place)
