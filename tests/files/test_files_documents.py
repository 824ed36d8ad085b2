"""Documents from outside: whatever they hold, the answer is a document or one sentence."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dacse_cli.files.documents import (
    DocumentError,
    Limits,
    finite_number,
    parse_json,
    parse_toml,
    read_json,
    whole_number,
)

NESTED = b"[" * 10_000 + b"]" * 10_000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"a": ' + b"9" * 400 + b"}", "400 digits"),
        (b'{"a": 1e999}', "not finite"),
        (b'{"a": NaN}', "not finite"),
        (b'{"a": -Infinity}', "not finite"),
        (NESTED, "not valid JSON|nests deeper"),
        (b"[" * 40 + b"]" * 40, "nests deeper than 32"),
        (b'{"a": "' + b"x" * 70_000 + b'"}', "text of 70,000"),
        (b'{"' + b"x" * 70_000 + b'": 1}', "text of 70,000"),
        (b"[" + b"1," * 600_000 + b"1]", "far too large"),
        (b"\xff\xfe", "not valid JSON"),
        (b"", "not valid JSON"),
    ],
)
def test_json_that_would_break_something(text, says):
    with pytest.raises(DocumentError, match=says):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"a = " + NESTED, "nests deeper"),
        (b"a = " + b"9" * 400, "more than 20 digits"),
        (b"a = " + b"9" * 5000, "not valid TOML"),
        (b"a = nan", "not finite"),
        (b"a = 1e999", "not finite"),
        (b"a = ", "not valid TOML"),
        (b"a = '\xff'", "not valid TOML"),
    ],
)
def test_toml_that_would_break_something(text, says):
    with pytest.raises(DocumentError, match=says):
        parse_toml(text)


def test_ordinary_documents_come_back():
    assert parse_json(b'{"a": [1, -2.5, null, true, "x"]}') == {"a": [1, -2.5, None, True, "x"]}
    assert parse_toml("a = 1\n[b]\nc = [0.5, 'x']") == {"a": 1, "b": {"c": [0.5, "x"]}}
    assert parse_json(b"[[1]]", Limits(depth=2)) == [[1]]


@given(st.binary(max_size=300))
def test_any_bytes_end_as_a_document_or_as_a_sentence(data):
    for parse in (parse_json, parse_toml):
        try:
            parse(data)
        except DocumentError as error:
            says = str(error)
        else:
            continue
        assert "\n" not in says and len(says) < 200


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_fifo_is_refused_at_once(tmp_path):
    """A model card that is a FIFO stopped a run for ever."""
    os.mkfifo(tmp_path / "dacse.json")
    start = time.monotonic()
    with pytest.raises(DocumentError, match="not a regular file"):
        read_json(tmp_path / "dacse.json")
    assert time.monotonic() - start < 1


def test_what_is_not_there_is_another_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none.json")


def test_a_sparse_file_is_not_read(tmp_path):
    with (tmp_path / "big.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DocumentError, match="far too large"):
        read_json(tmp_path / "big.json")


@pytest.mark.parametrize("value", [7, "7", "+7", "007"])
def test_whole_numbers(value):
    assert whole_number(value, 1, 10) == 7


@pytest.mark.parametrize("value", [True, None, "", "7.0", "٧", "9" * 400, 10**400, 11, 0, [7], 7.0, " 7"])
def test_what_is_no_whole_number_in_range(value):
    with pytest.raises(DocumentError) as caught:
        whole_number(value, 1, 10)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), float("inf"), 10**400, 3])
def test_what_is_no_finite_number_in_range(value):
    assert finite_number(1, 0, 2) == 1.0
    with pytest.raises(DocumentError):
        finite_number(value, 0, 2)
