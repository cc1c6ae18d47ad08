"""Ranking: the rules of what a query finds, and in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_queue_tools import ranking
from mcp_queue_tools.ranking import fold, initials, rank, rank_import, read_query, words_of

LETTERS = st.text("abAB_1é", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("query", "name", "expected"),
    [
        ("BaseModel", "BaseModel", ranking.EXACT),
        ("basemodel", "BaseModel", ranking.SAME_LETTERS),
        ("base model", "BaseModel", ranking.SAME_WORDS),
        ("base_model", "BaseModel", ranking.SAME_WORDS),
        ("basemodel", "base_model", ranking.SAME_WORDS),
        ("Base", "BaseModel", ranking.PREFIX),
        ("BM", "BaseModel", ranking.WORD_PARTS),
        ("bm", "_BaseModel", ranking.WORD_PARTS),
        ("BaMo", "BaseModel", ranking.WORD_PARTS),
        ("model", "BaseModel", ranking.WORD_PARTS),
        ("gen schema", "_GenerateJsonSchema", ranking.WORD_PARTS),
        ("odel", "BaseModel", ranking.INSIDE),
        ("model base", "BaseModel", None),
        ("xyz", "BaseModel", None),
        ("B", "Zoo", None),
        ("", "BaseModel", None),
        ("__init__", "__init__", ranking.EXACT),
        ("init", "__init__", ranking.SAME_WORDS),
        ("run()", "run", ranking.EXACT),
        ("pkg.mod.Class", "Class", ranking.EXACT),
        ("_", "_", ranking.EXACT),
    ],
)
def test_a_query_ranks_a_name(query: str, name: str, expected: int | None):
    assert rank(name, read_query(query)) == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("HTTPServer_v2", ["http", "server", "v", "2"]),
        ("BaseModel", ["base", "model"]),
        ("__repr_args__", ["repr", "args"]),
        ("utf8Decoder", ["utf", "8", "decoder"]),
        ("größe", ["gr", "öß", "e"]),
        ("", []),
    ],
)
def test_names_are_split_where_a_reader_would(name: str, words: list[str]):
    assert words_of(name) == words


@pytest.mark.parametrize(
    ("query", "owner", "name"),
    [
        ("main.BaseModel", "main", "BaseModel"),
        ("pydantic/main.py", "pydantic", "main"),
        ("pydantic/__init__.py", "", "pydantic"),
        ("BaseModel", "", "BaseModel"),
        (" .x ", "", "x"),
    ],
)
def test_what_stands_before_the_last_dot_is_the_owner(query: str, owner: str, name: str):
    assert read_query(query)[:2] == (name, owner)


@given(LETTERS)
def test_every_name_is_found_by_itself_and_by_its_letters(name: str):
    assert rank(name, read_query(name)) == ranking.EXACT
    by_letters = rank(name, read_query(name.lower()))
    assert by_letters is not None
    assert by_letters <= ranking.SAME_LETTERS


@given(LETTERS, LETTERS)
def test_whatever_ranks_passes_the_conditions_of_the_search(query: str, name: str):
    """The SQL in ``lookup`` shows ``rank`` only such names."""
    asked = read_query(query)
    step = rank(name, asked)
    if step is None:
        return
    if step <= ranking.PREFIX:
        same = name == asked.name or fold(name) == fold(asked.name)
        assert same or fold(name).startswith(asked.compact)
    else:
        contained = all(word in fold(name) for word in asked.words)
        assert contained or initials(name).startswith(asked.compact)


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_text_is_too_strange(query: str, name: str):
    step = rank(name, read_query(query))
    assert step is None or 0 <= step <= ranking.INSIDE


@pytest.mark.parametrize(
    ("module", "name", "query", "expected"),
    [
        ("json", "", "json", ranking.EXACT),
        ("json", "loads", "json", ranking.EXACT),
        ("json", "loads", "json.loads", ranking.EXACT),
        ("json.decoder", "", "json", ranking.PREFIX),
        ("json.decoder", "JSONDecoder", "jsondecoder", ranking.WORD_PARTS),
        ("simplejson", "", "json", ranking.INSIDE),
        ("os", "", "json", None),
        (".sibling", "thing", "sibling", ranking.WORD_PARTS),
    ],
)
def test_a_query_ranks_an_import(module: str, name: str, query: str, expected: int | None):
    assert rank_import(module, name, read_query(query)) == expected
