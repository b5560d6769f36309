"""Files: what goes in comes out, whole or not at all, and broken lines are told."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner import files
from b2ner.errors import DataError
from b2ner.files import BrokenLine, JsonLine

pytestmark = pytest.mark.torchfree

LONE = "half \ud83d of a pair"
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(anything)
def test_what_is_encoded_reads_back(value):
    line = files.encode(value)
    assert b"\n" not in line
    assert json.loads(line) == value


def test_text_stays_readable_and_lone_surrogates_survive():
    assert files.encode({"a": "北京 é"}) == '{"a": "北京 é"}'.encode()
    assert json.loads(files.encode([LONE])) == [LONE]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"", [], id="empty"),
        pytest.param(b"1\n2", [JsonLine(1, 1), JsonLine(2, 2)], id="no final line break"),
        pytest.param(b"1\r\n2\r\n", [JsonLine(1, 1), JsonLine(2, 2)], id="CRLF"),
        pytest.param(b"\xef\xbb\xbf1\n", [JsonLine(1, 1)], id="byte order mark"),
        pytest.param(b"1\n\n2\n", [JsonLine(1, 1), "a blank line", JsonLine(3, 2)], id="blank"),
        pytest.param(b'"\xff"\n1\n', ["not UTF-8", JsonLine(2, 1)], id="bytes that are no UTF-8"),
        pytest.param(b"{1}\n", ["not JSON"], id="no JSON"),
        pytest.param(b"[" * 100_000, ["not JSON"], id="too deep"),
        pytest.param('"a\u2028b"\n'.encode(), [JsonLine(1, "a\u2028b")], id="U+2028 ends no line"),
    ],
)
def test_lines(content, expected, tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_bytes(content)
    read = list(files.read_jsonl(path))
    assert len(read) == len(expected)
    for number, (line, wanted) in enumerate(zip(read, expected, strict=True), start=1):
        if isinstance(wanted, str):
            assert isinstance(line, BrokenLine)
            assert line.number == number
            assert line.problem.startswith(wanted)
        else:
            assert line == wanted


@given(st.lists(anything), st.integers(1, 9))
def test_an_array_reads_the_same_in_blocks_of_any_size(values, size):
    text = json.dumps(values, indent=1)
    blocks = (text[at : at + size] for at in range(0, len(text), size))
    assert list(files._array_elements(blocks, "array.json")) == values


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("", "ends after element 0", id="empty"),
        pytest.param('{"a": 1}', "found '{'", id="an object"),
        pytest.param("[1, 2", "ends after element 2", id="cut off"),
        pytest.param("[1 2]", "found '2' after element 1", id="no comma"),
        pytest.param("[1,]", "element 2 of the array is no JSON", id="a comma too many"),
        pytest.param("[1] x", "found 'x'", id="more behind it"),
        pytest.param("[1, nope]", "element 2 of the array is no JSON", id="no JSON inside"),
    ],
)
def test_what_is_no_array_is_refused(content, message, tmp_path):
    path = tmp_path / "array.json"
    path.write_text(content, "utf-8")
    with pytest.raises(DataError, match="array") as refused:
        list(files.read_json_array(path))
    assert message in str(refused.value)


def test_arrays_are_written_an_element_a_line(tmp_path):
    path = tmp_path / "deep" / "array.json"
    digest = files.write_json_array(path, [{"a": "北京"}, LONE])
    assert path.read_text("utf-8") == '[\n{"a": "北京"},\n"half \\ud83d of a pair"\n]\n'
    assert digest == files.sha256(path)
    assert list(files.read_json_array(path)) == [{"a": "北京"}, LONE]
    files.write_json_array(path, [])
    assert files.read_json(path) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "kept.json"
    files.write_json(path, "old")

    def parts():
        yield b"half"
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        files.write_atomic(path, parts())
    assert files.read_json(path) == "old"
    assert os.listdir(tmp_path) == ["kept.json"]  # noqa: PTH208


def test_what_cannot_be_read_or_written_is_said_with_its_path(tmp_path):
    for call in (files.read_json, files.sha256, lambda p: list(files.read_jsonl(p))):
        with pytest.raises(DataError, match="absent"):
            call(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        files.write_json(tmp_path / "file" / "below.json", 1)
