"""One rule for values as JSON: what pydantic's JSON mode gives, where that is JSON."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid
from pathlib import Path
from typing import Any

import pydantic_core
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_queue.errors import InvalidParamsError
from mcp_queue.manager import job_params
from mcp_queue.values import DEPTH, NotJsonError, depth, exact_json, to_json
from support.value_commands import FAULTS, KINDS

OURS_ALONE = ("fraction",)  # pydantic has no form for it


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in OURS_ALONE])
def test_a_value_is_written_as_pydantic_writes_it(kind: str) -> None:
    expected = pydantic_core.to_json(KINDS[kind](), inf_nan_mode="strings")
    assert json.loads(to_json(KINDS[kind](), "result")) == json.loads(expected)


@pytest.mark.parametrize("kind", FAULTS)
def test_what_is_no_json_is_refused_with_its_place(kind: str) -> None:
    make, reason = FAULTS[kind]
    with pytest.raises(NotJsonError) as refused:
        to_json(make(), "result")
    assert reason in str(refused.value)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.datetimes(timezones=st.sampled_from([None, dt.UTC])),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.uuids(),
    st.text("ab/", min_size=1).map(Path),
)
KEYS = st.one_of(st.text(), st.integers(), st.booleans(), st.dates(), st.uuids(), st.none())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner), st.tuples(inner, inner), st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_any_nesting_is_written_as_pydantic_writes_it(value: Any) -> None:
    try:
        expected = pydantic_core.to_json(value)
    except ValueError:  # half a character
        with pytest.raises(NotJsonError):
            to_json(value, "result")
        return
    assert json.loads(to_json(value, "result")) == json.loads(expected)


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner)))
def test_params_stay_as_they_are_or_are_refused(value: Any) -> None:
    changed = json_changes(value)
    if changed:
        with pytest.raises(NotJsonError, match=r"^params"):
            exact_json(value, "params")
    else:
        assert json.loads(exact_json(value, "params")) == value


def json_changes(value: Any) -> bool:
    try:
        return json.loads(json.dumps(value)) != value
    except TypeError:
        return True


def test_an_iterator_is_read_once() -> None:
    assert to_json({(1, 2): iter([1, 2])}, "result") == '{"1,2":[1,2]}'


def test_depths() -> None:
    value: Any = 1
    for _ in range(DEPTH):
        value = [value]
    assert depth(exact_json(value, "params")) == DEPTH
    assert depth('["[[", {"a": []}]') == 3
    with pytest.raises(NotJsonError, match="deep"):
        exact_json([value], "params")
    assert depth(to_json([value], "result")) == DEPTH + 1
    for _ in range(5000):
        value = [value]
    with pytest.raises(NotJsonError, match="deep"):
        to_json(value, "result")


def test_params_that_json_cannot_hold_name_command_and_place() -> None:
    with pytest.raises(InvalidParamsError, match=r"params\['a'\]\[0\].*UUID"):
        job_params.to_json("x", {"a": [uuid.UUID(int=1)]})
    with pytest.raises(InvalidParamsError, match="the key 1 is of type int"):
        job_params.to_json("x", {"a": {1: decimal.Decimal(1)}})
