"""Unpacking a stranger's zip: what is written, and what is refused before anything is."""

import stat
import zipfile

import pytest

from b2ner.corpus.unpack import Limits, members, unpack
from b2ner.errors import DataError

pytestmark = pytest.mark.torchfree


def packed(path, contents, *, compression=zipfile.ZIP_STORED):
    """A zip with (name, or a ZipInfo) -> bytes."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in contents:
            file.writestr(name, content)
    return path


def link(name):
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def device(name):
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFIFO | 0o600) << 16
    return info


def written(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def test_files_stand_below_the_folder(tmp_path):
    archive = packed(
        tmp_path / "a.zip",
        [("B/", b""), ("B/x.json", b"[]"), ("B\\y.json", b"{}"), ("__MACOSX/B/._x.json", b"mac")],
    )
    out = tmp_path / "out"
    assert list(unpack(archive, out)) == [out / "B/x.json", out / "B/y.json"]
    assert written(out) == {"B/x.json": b"[]", "B/y.json": b"{}"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../out.json", "leads out"),
        ("a/../../out.json", "leads out"),
        ("..\\out.json", "leads out"),
        ("/etc/x.json", "absolute"),
        ("\\x.json", "absolute"),
        ("C:\\x.json", "absolute"),
        ("c:x.json", "absolute"),
        ("a//b.json", "no name"),
        ("a/./b.json", "no name"),
        ("a/x.json:stream", "no name"),
        ("a/x\x1b.json", "control character"),
        (link("a/link"), "a link"),
        (device("a/pipe"), "neither a file nor a folder"),
    ],
)
def test_a_member_that_is_refused_stops_all(tmp_path, name, reason):
    archive = packed(tmp_path / "a.zip", [("good.json", b"[]"), (name, b"bad")])
    with pytest.raises(DataError, match=reason):
        list(unpack(archive, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_an_encrypted_member_is_refused(tmp_path):
    archive = packed(tmp_path / "a.zip", [("x.json", b"[]")])
    content = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        members(archive)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(members=2), "3 members, more than 2"),
        (Limits(bytes=2 << 20, ratio=10_000), "more than 2097152 bytes"),
        (Limits(member_bytes=1 << 20, ratio=10_000), "more than 1048576 bytes"),
        (Limits(ratio=100), "more than 100 times"),
    ],
)
def test_caps(tmp_path, limits, reason):
    contents = [(name, b" " * (2 << 20)) for name in ("a.json", "b.json", "c.json")]
    archive = packed(tmp_path / "a.zip", contents, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match=reason):
        members(archive, limits)


def test_two_members_of_one_place_are_refused(tmp_path):
    archive = packed(tmp_path / "a.zip", [("a/x.json", b"[]"), ("A\\X.json", b"{}")])
    with pytest.raises(DataError, match="stands there twice"):
        members(archive)
    archive = packed(tmp_path / "b.zip", [("a", b"[]"), ("a/x.json", b"{}")])
    with pytest.raises(DataError, match="a file and a folder"):
        members(archive)


def test_what_is_not_a_zip_or_is_damaged(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"no zip")
    with pytest.raises(DataError, match="no zip"):
        members(path)
    packed(path, [("x.json", b"some bytes")])
    path.write_bytes(path.read_bytes().replace(b"some bytes", b"fake bytes"))
    with pytest.raises(DataError, match="cannot be unpacked"):
        list(unpack(path, tmp_path / "out"))
    assert not list((tmp_path / "out").iterdir())


def test_it_goes_on_where_it_stopped(tmp_path):
    archive = packed(tmp_path / "a.zip", [("x.json", b"[]"), ("y.json", b"{}")])
    out = tmp_path / "out"
    next(unpack(archive, out))
    before = (out / "x.json").stat().st_mtime_ns
    assert len(list(unpack(archive, out))) == 2
    assert (out / "x.json").stat().st_mtime_ns == before
    (out / "y.json").write_bytes(b"mine")
    with pytest.raises(DataError, match="already, and is another file"):
        list(unpack(archive, out))
    assert (out / "y.json").read_bytes() == b"mine"


def test_a_link_in_the_folder_is_not_followed(tmp_path):
    archive = packed(tmp_path / "a.zip", [("a/x.json", b"[]")])
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "a").symlink_to(elsewhere)
    with pytest.raises(DataError, match="leads out"):
        list(unpack(archive, out))
    assert not list(elsewhere.iterdir())


def test_only_what_is_wanted(tmp_path):
    archive = packed(tmp_path / "a.zip", [("x.json", b"[]"), ("y.json", b"{}")])
    out = tmp_path / "out"
    list(unpack(archive, out, wanted=lambda member: member.path == "y.json"))
    assert written(out) == {"y.json": b"{}"}
