"""What the scanner says of JSON, against Python's parser."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_queue.server.transport.framing import MalformedError, decode
from mcp_queue.server.transport.json_scan import DEPTH, DIGITS, scan

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["id", '"', "\\", "{[", "]}"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "i", 'id"', "method"]) | st.text(), inner, max_size=4
        )
    ),
    max_leaves=12,
)
SPACE = st.sampled_from(["", " ", "\t", "\r", "  "])


def identifier(value: Any) -> Any:
    """The model: the id of a message."""
    found = value.get("id") if isinstance(value, dict) else None
    return found if isinstance(found, int | str) and not isinstance(found, bool) else None


@given(JSON, SPACE, st.booleans(), st.sampled_from([None, 1]))
def test_json_is_read_as_python_reads_it(value: Any, space: str, ascii_: bool, indent: Any) -> None:
    text = json.dumps(value, ensure_ascii=ascii_, indent=indent).replace("\n", "")
    found = scan(f"{space}{text}{space}".encode("utf-8", "surrogatepass"))
    if found is None:
        assert not text.isascii()  # half of a pair, which is no UTF-8
        return
    assert (found.request_id, found.fault) == (identifier(value), None)
    parts = [json.loads(part) for part in found.parts]
    assert parts == (value if isinstance(value, list) else [])


@given(JSON.map(json.dumps), st.data())
def test_what_is_no_json_is_seen(text: str, data: Any) -> None:
    place = data.draw(st.integers(0, len(text)))
    new = data.draw(st.sampled_from([*list('[]{},:"\\0 1e.-tn\x00\x1f'), ""]))
    changed = text[:place] + new + text[place + data.draw(st.integers(0, 2)) :]
    try:
        value = json.loads(changed, parse_constant=lambda word: 1 / 0)
    except (ValueError, ZeroDivisionError):
        assert scan(changed.encode("utf-8", "surrogatepass")) is None
    else:
        found = scan(changed.encode())
        assert found is not None
        assert found.request_id == identifier(value)


def message(params: str, request_id: str = "7") -> bytes:
    return f'{{"jsonrpc":"2.0","params":{{"a":{params}}},"method":"m","id":{request_id}}}'.encode()


DEEP = "[" * 100_000 + "]" * 100_000
LONG = "9" * 5_000


@pytest.mark.parametrize(
    ("line", "request_id", "words"),
    [
        (message(LONG), 7, f"more than {DIGITS} digits"),
        (message(f"-{LONG}", '"x"'), "x", f"more than {DIGITS} digits"),
        (message(DEEP), 7, f"more than {DEPTH} deep"),
        (message('{"id":' * 5_000 + "1" + "}" * 5_000), 7, f"more than {DEPTH} deep"),
        (message("[" * 300 + "]" * 300), 7, f"more than {DEPTH} deep"),
        (message(DEEP, rf'"\"{chr(233)}"'), '"é', f"more than {DEPTH} deep"),
        (message(DEEP, "null"), None, f"more than {DEPTH} deep"),
        (message(DEEP, "1.0"), None, f"more than {DEPTH} deep"),
        (message(DEEP, LONG), None, f"more than {DEPTH} deep"),
        (message(DEEP, r'"\ud800"'), None, f"more than {DEPTH} deep"),
        (message("1", LONG), None, f"more than {DIGITS} digits"),
        (message(DEEP).replace(b'"id"', rb'"\u0069d"'), 7, f"more than {DEPTH} deep"),
        (message(DEEP).replace(b"{", b'{"id":[5],', 1), 7, f"more than {DEPTH} deep"),
        (message(DEEP, '7,"id":{}'), None, f"more than {DEPTH} deep"),
    ],
)
def test_a_message_that_no_parser_takes_is_answered_under_its_id(
    line: bytes, request_id: Any, words: str
) -> None:
    with pytest.raises(MalformedError) as caught:
        decode(line)
    answer = caught.value.answer
    assert (answer.error.code, answer.id) == (-32600, request_id)
    assert words in answer.error.message


@pytest.mark.parametrize("line", [message(DEEP)[:-1], message(DEEP + "]"), message(LONG + "x")])
def test_what_is_no_json_besides_has_no_id(line: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        decode(line)
    assert (caught.value.answer.error.code, caught.value.answer.id) == (-32700, None)


def test_more_than_is_looked_at_is_no_json() -> None:
    assert scan(b"[" + b"1," * 300_000 + b"1]") is None


def test_a_long_text_costs_no_more_than_itself() -> None:
    line = message('"' + "x\\n" * 1_000_000 + '"')
    tracemalloc.start()
    try:
        assert scan(line) is not None
        assert tracemalloc.get_traced_memory()[1] < 5 * len(line)
    finally:
        tracemalloc.stop()
