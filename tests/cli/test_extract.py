"""`b2ner extract`: tables of arguments, what is printed, and the exit code."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from b2ner.inference.engine import Completion, Finish
from tests.cli.scripted import ADA, answer, scripted

pytestmark = pytest.mark.torchfree

FOUND = answer(" person: Ada Lovelace; person: Babbage", 0.9, 0.25)
SCHEMA = json.loads(
    resources.files("b2ner.cli").joinpath("schema", "document-v1.json").read_text("utf-8")
)


def entities(stdout: str) -> list[tuple[int, int, str, str]]:
    return [(e["start"], e["end"], e["label"], e["text"]) for e in json.loads(stdout)["entities"]]


@pytest.mark.parametrize(
    ("arguments", "stdin", "text"),
    [
        pytest.param([ADA], None, ADA, id="TEXT is the text"),
        pytest.param(
            ["README.md"], None, "README.md", id="TEXT is text though a file has its name"
        ),
        pytest.param(["-"], ADA, ADA, id="a dash is standard input"),
        pytest.param(["-"], f"{ADA}\n", ADA, id="one line break at the end is dropped"),
        pytest.param(["-"], f"{ADA}\n\n", f"{ADA}\n", id="only one"),
        pytest.param(["-"], f"{ADA}\r\n", ADA, id="also one of two characters"),
        pytest.param(["-"], f" {ADA}\t\r", f" {ADA}\t\r", id="nothing else is"),
        pytest.param(["-"], f"{ADA}\n{ADA}", f"{ADA}\n{ADA}", id="standard input is one text"),
        pytest.param(["-"], b"caf\xe9 Ada", "caf\udce9 Ada", id="bytes that are no UTF-8 are kept"),
        pytest.param(["-"], "", "", id="an empty text"),
        pytest.param(["--", "-1 degree"], None, "-1 degree", id="a dash in front"),
        pytest.param([""], None, "", id="an empty TEXT"),
    ],
)
def test_the_text_is_what_was_given(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], stdin: str | bytes | None, text: str
) -> None:
    command = scripted(monkeypatch, " None")
    result = command.run("extract", "-l", "person", "--json", *arguments, stdin=stdin)
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {"text": text, "entities": [], "faults": []}


def test_json_is_one_object_that_fits_its_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    result = scripted(monkeypatch, FOUND).run("extract", ADA, "-l", "person", "--json")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    found = json.loads(result.stdout)
    jsonschema.validate(found, SCHEMA)
    assert list(found) == ["text", "entities", "faults"]
    assert entities(result.stdout) == [
        (0, 12, "person", "Ada Lovelace"),
        (22, 29, "person", "Babbage"),
    ]
    assert [e["score"] for e in found["entities"]] == [pytest.approx(0.9), pytest.approx(0.25)]


def test_offsets_in_utf16(monkeypatch: pytest.MonkeyPatch) -> None:
    command = scripted(monkeypatch, " person: Ada; person: 𝒜da😀")
    result = command.run("extract", "😀 Ada 𝒜da😀", "-l", "person", "--json", "--utf16")
    found = json.loads(result.stdout)
    jsonschema.validate(found, SCHEMA)
    units = found["text"].encode("utf-16-le")
    assert found["offsets"] == "utf-16"
    assert [(e["start"], e["end"]) for e in found["entities"]] == [(3, 6), (7, 13)]
    for e in found["entities"]:
        assert units[2 * e["start"] : 2 * e["end"]].decode("utf-16-le") == e["text"]


def test_chinese_is_written_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    result = scripted(monkeypatch, " 人名: 李白").run("extract", "李白来了", "-l", "人名", "--json")
    assert '"李白来了"' in result.stdout
    assert entities(result.stdout) == [(0, 2, "人名", "李白")]


def test_lines_are_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    command = scripted(monkeypatch, " person: Ada", " None", " person: Babbage")
    stdin = b"Ada came\r\n\nno one\xff\nBabbage\x0bcame\xe2\x80\xa8too"
    result = command.run("extract", "--lines", "-l", "person", stdin=stdin)
    rows = [json.loads(line) for line in result.stdout.split("\n")[:-1]]
    for row in rows:
        jsonschema.validate(row, SCHEMA)
    assert [row["text"] for row in rows] == [
        "Ada came",
        "",
        "no one\udcff",
        "Babbage\x0bcame\u2028too",
    ]
    assert [len(row["entities"]) for row in rows] == [1, 0, 0, 1]
    assert (result.exit_code, result.stderr) == (0, "")


def test_no_lines_are_no_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    result = scripted(monkeypatch, " None").run("extract", "--lines", "-l", "person", stdin="")
    assert (result.exit_code, result.stdout) == (0, "")


def test_lines_are_read_as_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that never ends is worked on; what is found is printed at once."""
    command = scripted(monkeypatch, " None")
    printed: list[int] = []

    class Endless:
        def __init__(self) -> None:
            self.read = 0

        def __iter__(self) -> Endless:
            return self

        def __next__(self) -> bytes:
            if self.read == 1000:
                raise KeyboardInterrupt
            self.read += 1
            return b"Ada\n"

    from b2ner.cli import extract

    endless = Endless()
    monkeypatch.setattr(extract, "_open", lambda *_: endless)
    monkeypatch.setattr(extract, "_print", lambda *_, **__: printed.append(endless.read))
    result = command.run("extract", "--lines", "-l", "person")
    assert result.exit_code == 130
    assert "interrupted" in result.stderr
    assert len(printed) > 900
    assert all(read - number < 100 for number, read in enumerate(printed))


def test_input_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("Ada\nBabbage\n", encoding="utf-8")
    command = scripted(monkeypatch, " person: Ada; person: Babbage", " person: Ada", " None")
    arguments = ["extract", "-l", "person", "--json", "--input", str(path)]
    assert json.loads(command.run(*arguments).stdout)["text"] == "Ada\nBabbage"
    rows = command.run(*arguments, "--lines").stdout.splitlines()
    assert [json.loads(row)["text"] for row in rows] == ["Ada", "Babbage"]


@pytest.mark.parametrize(
    ("text", "label", "found", "line"),
    [
        pytest.param(ADA, "person", "Babbage", "22\t29\tperson\tBabbage\t0.5000", id="plain"),
        pytest.param("李白来了", "人名", "李白", "0\t2\t人名\t李白\t0.5000", id="code points"),
        pytest.param("a\tb", "x", "a\tb", "0\t3\tx\ta\\tb\t0.5000", id="a tab inside"),
        pytest.param("a\nb\\", "x", "a\nb\\", "0\t4\tx\ta\\nb\\\\\t0.5000", id="a line break"),
    ],
)
def test_plain_lines(
    monkeypatch: pytest.MonkeyPatch, text: str, label: str, found: str, line: str
) -> None:
    command = scripted(monkeypatch, answer(f" {label}: {found}", 0.5))
    result = command.run("extract", text, "-l", label)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{line}\n", "")


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        pytest.param([], ["Ada Lovelace", "Babbage"], id="none"),
        pytest.param(["--threshold", "0.5"], ["Ada Lovelace"], id="one for all"),
        pytest.param(["--threshold", "person=.95"], [], id="one for a label"),
        pytest.param(["--threshold", "place=1"], ["Ada Lovelace", "Babbage"], id="another label"),
        pytest.param(
            ["--threshold", "1", "--threshold", "person=0.5"], ["Ada Lovelace"], id="both"
        ),
    ],
)
def test_thresholds(monkeypatch: pytest.MonkeyPatch, options: list[str], kept: list[str]) -> None:
    command = scripted(monkeypatch, FOUND)
    result = command.run("extract", ADA, "-l", "person", "-l", "place", "--json", *options)
    assert [e[3] for e in entities(result.stdout)] == kept


def test_overlap_and_every_occurrence(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "New York Times of New York Times"
    written = answer(" paper: New York Times; place: New York", 0.9, 0.8)
    command = scripted(monkeypatch, written)
    ask = ["extract", text, "-l", "paper", "-l", "place", "--json"]
    assert entities(command.run(*ask, "--overlap", "flat").stdout) == [
        (0, 14, "paper", "New York Times"),
        (18, 26, "place", "New York"),
    ]
    everywhere = entities(command.run(*ask, "--every-occurrence").stdout)
    assert [e[:3] for e in everywhere if e[2] == "paper"] == [(0, 14, "paper"), (18, 32, "paper")]


def test_labels_from_flags_and_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("\ufeffplace\n\n date or period \r\n", encoding="utf-8")
    (tmp_path / "list.json").write_text('["place", "a;b: c"]', encoding="utf-8")
    (tmp_path / "object.JSON").write_text('{" place ": "where: {text}"}', encoding="utf-8")

    def head(*options: str) -> str:
        command = scripted(monkeypatch, " None")
        result = command.run("extract", ADA, "-l", "person", *options)
        assert result.exit_code == 0, result.stderr
        return command.engine.requests[0].prompt.head

    assert "person, place, date or period \n" in head("--labels-file", str(tmp_path / "lines.txt"))
    assert "person, place, a;b: c \n" in head("--labels-file", str(tmp_path / "list.json"))
    assert "where: {text}" in head("--labels-file", str(tmp_path / "object.JSON"))
    assert "by name = whole" in head("--describe", "person=by name = whole")
    assert "Label Set: person, a=b" in head("-l", "a=b", "--describe", "a=b=c")


def test_the_model_is_loaded_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    command = scripted(monkeypatch, " None")
    command.run("extract", ADA, "-l", "person")
    command.run(
        *("extract", ADA, "-l", "person", "--base", "b", "--adapter", "a", "--template", "t"),
        *("--device", "cpu", "--dtype", "float32", "--threads", "1", "--batch-size", "4"),
        "--trust-remote-code",
    )
    assert command.loaded == [
        (
            (None,),
            {
                "adapter": None,
                "template": None,
                "device": None,
                "dtype": None,
                "threads": None,
                "batch_size": 32,
                "trust_remote_code": False,
            },
        ),
        (
            ("b",),
            {
                "adapter": "a",
                "template": "t",
                "device": "cpu",
                "dtype": "float32",
                "threads": 1,
                "batch_size": 4,
                "trust_remote_code": True,
            },
        ),
    ]


def test_unconstrained_and_language(monkeypatch: pytest.MonkeyPatch) -> None:
    command = scripted(monkeypatch, " person: Bob; person: Ada")
    result = command.run(
        *("extract", ADA, "-l", "person", "--unconstrained", "--language", "zh", "--json")
    )
    (request,) = command.engine.requests
    assert request.space is None
    assert "文本:" in request.prompt.head
    found = json.loads(result.stdout)
    jsonschema.validate(found, SCHEMA)
    assert [fault["kind"] for fault in found["faults"]] == ["not-in-text"]
    assert entities(result.stdout) == [(0, 3, "person", "Ada")]
    assert result.exit_code == 0  # the text was read and answered to its end


@pytest.mark.parametrize(
    "completion",
    [
        pytest.param(answer(" person: Ada Lovelace", finish=Finish.LENGTH), id="cut short"),
        pytest.param(Completion("", finish=Finish.ERROR, error="out of memory"), id="no answer"),
    ],
)
def test_an_incomplete_answer_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, completion: Completion
) -> None:
    command = scripted(monkeypatch, " person: Ada", completion, " None")
    result = command.run("extract", "--lines", "-l", "person", stdin="Ada\nAda Lovelace\nno one")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [len(row["faults"]) for row in rows] == [0, 1, 0]
    assert result.exit_code == 1
    assert result.stderr == ""


def test_faults_go_to_standard_error_where_lines_are_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = scripted(monkeypatch, Completion("", finish=Finish.ERROR, error="out of\nmemory"))
    result = command.run("extract", ADA, "-l", "person")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "b2ner extract: engine: out of\\nmemory (engine)\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "give one text", id="no text"),
        pytest.param([ADA], "no labels", id="no labels"),
        pytest.param([ADA, "-l", "a", "-l", "a"], "given twice", id="a label twice"),
        pytest.param([ADA, "-l", " "], "empty", id="an empty label"),
        pytest.param([ADA, "-l", "a\nb"], "line break", id="a label of two lines"),
        pytest.param([ADA, "-l", "a", "--describe", "b=c"], "--describe", id="unknown description"),
        pytest.param([ADA, "-l", "a", "--threshold", "b=1"], "--threshold", id="unknown threshold"),
        pytest.param([ADA, "-l", "a", "--threshold", "a=x"], "not a number", id="no number"),
        pytest.param([ADA, "-l", "a", "--threshold", "2"], "between 0 and 1", id="too high"),
        pytest.param([ADA, "-l", "a", "--threshold", "nan"], "between 0 and 1", id="not a number"),
        pytest.param([ADA, "-l", "a", "--lines"], "not TEXT", id="TEXT with --lines"),
        pytest.param([ADA, "-l", "a", "--input", __file__], "one text", id="TEXT with --input"),
        pytest.param([ADA, "-l", "a", "--utf16"], "--json", id="--utf16 without JSON"),
        pytest.param([ADA, "-l", "a", "--overlap", "some"], "--overlap", id="unknown choice"),
        pytest.param([ADA, "-l", "a", "--input", "nowhere"], "nowhere", id="no such file"),
        pytest.param([ADA, "-l", "a", "--threads", "0"], "--threads", id="no threads"),
        pytest.param([ADA, "-l", "a", "--frobnicate"], "--frobnicate", id="unknown option"),
    ],
)
def test_unusable_input_is_exit_code_2_before_a_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    command = scripted(monkeypatch, " None")
    result = command.run("extract", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    if "between" not in message:  # the extractor knows what a threshold is
        assert command.loaded == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("a.txt", b"\n \n", "no labels", id="nothing in it"),
        pytest.param("a.txt", b"\xff", "not UTF-8", id="not UTF-8"),
        pytest.param("a.json", b"[", "a.json", id="no JSON"),
        pytest.param("a.json", b"3", "list of labels", id="a number"),
        pytest.param("a.json", b"[1]", "list of labels", id="a list of numbers"),
        pytest.param("a.json", b'{"a": null}', "list of labels", id="no description"),
    ],
)
def test_unusable_label_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    command = scripted(monkeypatch, " None")
    result = command.run("extract", ADA, "--labels-file", str(tmp_path / name))
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_the_schema_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    result = scripted(monkeypatch, " None").run("extract", "--schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == SCHEMA
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == "urn:b2ner:document:1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"entities": [], "faults": []},
        {"text": "a", "entities": [{"start": 0, "end": 1}], "faults": []},
        {"text": "a", "entities": [], "faults": [{"kind": "x"}]},
        {"text": "a", "entities": [], "faults": [], "offsets": "bytes"},
    ],
)
def test_the_schema_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)
