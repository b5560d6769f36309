"""Archives: the named member, its lines, and nothing else."""

import gzip
import zipfile

import pytest

from b2ner.corpus import archive
from b2ner.errors import DataError

pytestmark = pytest.mark.torchfree


@pytest.fixture
def zipped(tmp_path):
    path = tmp_path / "own.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("test.txt", "一\r\nb\u2028c\n\nlast".encode())
        file.writestr("../outside.txt", b"no")
        file.writestr("broken.txt", b"a\xffb\n")
        file.writestr("large.txt", b"0" * 5000)
    return path


def test_lines_keep_their_line_breaks(zipped):
    assert list(archive.lines(zipped, "test.txt")) == ["一\r\n", "b\u2028c\n", "\n", "last"]


def test_bytes_that_are_no_utf8_become_surrogates(zipped):
    assert list(archive.lines(zipped, "broken.txt")) == ["a\udcffb\n"]


def test_an_unpacked_folder_reads_the_same(zipped, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "test.txt").write_bytes("一\r\nb\u2028c\n\nlast".encode())
    assert list(archive.lines(folder, "test.txt")) == list(archive.lines(zipped, "test.txt"))


def test_the_zip_is_found_before_the_folder(zipped, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "other").mkdir()
    assert archive.find(tmp_path, "own") == zipped
    assert archive.find(tmp_path, "other") == tmp_path / "other"
    assert archive.find(tmp_path, "absent") is None


def test_what_is_too_large_is_refused(zipped):
    with pytest.raises(DataError, match="more than 4999 bytes"):
        list(archive.lines(zipped, "large.txt", max_bytes=4999))
    assert len(list(archive.lines(zipped, "large.txt", max_bytes=5000))) == 1


def test_reading_unpacks_nothing(zipped, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    list(archive.lines(zipped, "test.txt"))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("member", ["absent.txt", "Test.txt", ""])
def test_an_absent_member_is_told(zipped, member):
    with pytest.raises(DataError, match=r"own\.zip"):
        list(archive.lines(zipped, member))


def test_a_damaged_archive_is_told(zipped, tmp_path):
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(b"no zip at all")
    with pytest.raises(DataError, match=r"damaged\.zip"):
        list(archive.lines(damaged, "test.txt"))
    content = bytearray(zipped.read_bytes())
    content[40:50] = b"xxxxxxxxxx"
    damaged.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged\.zip"):
        list(archive.lines(damaged, "test.txt"))
    with pytest.raises(DataError, match=r"absent\.zip"):
        list(archive.lines(tmp_path / "absent.zip", "test.txt"))


def test_members_by_pattern_in_the_order_of_their_numbers(tmp_path):
    path = tmp_path / "own.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in ("10.txt", "9.txt", "9.ann", "deep/1.txt"):
            file.writestr(name, name)
    folder = tmp_path / "own"
    with zipfile.ZipFile(path) as file:
        file.extractall(folder)
    for place in (path, folder):
        assert archive.members(place, "*.txt") == ["9.txt", "10.txt", "deep/1.txt"]
        assert list(archive.texts(place, ["9.ann", "10.txt"])) == ["9.ann", "10.txt"]
        with pytest.raises(DataError, match="has no member that fits"):
            archive.members(place, "*.tsv")
        with pytest.raises(DataError, match=r"11\.txt"):
            list(archive.texts(place, ["10.txt", "11.txt"]))


def test_whole_texts_have_the_same_limits(zipped):
    assert list(archive.texts(zipped, ["broken.txt"])) == ["a\udcffb\n"]
    with pytest.raises(DataError, match="more than 100 bytes"):
        list(archive.texts(zipped, ["test.txt", "large.txt"], max_bytes=100))


def test_a_gzipped_member_is_read_as_what_it_holds(tmp_path):
    path = tmp_path / "own.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.gz", gzip.compress("一\nb".encode()))
        file.writestr("cut.gz", gzip.compress(b"0123456789" * 1000)[:-12])
        file.writestr("no.gz", b"plain")
        file.writestr("bomb.gz", gzip.compress(b"0" * 5000))
    assert list(archive.lines(path, "a.gz")) == ["一\n", "b"]
    with pytest.raises(DataError, match=r"own\.zip: cut\.gz cannot be read"):
        list(archive.lines(path, "cut.gz"))
    with pytest.raises(DataError, match=r"own\.zip: no\.gz cannot be read"):
        list(archive.lines(path, "no.gz"))
    with pytest.raises(DataError, match="more than 4999 bytes"):
        list(archive.lines(path, "bomb.gz", max_bytes=4999))


def test_an_encrypted_member_is_told(zipped):
    content = bytearray(zipped.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # set the bit that says so
        content[content.index(header) + flags] |= 1
    zipped.write_bytes(content)
    with pytest.raises(DataError, match=r"own\.zip: test\.txt cannot be read.*encrypted"):
        list(archive.lines(zipped, "test.txt"))
