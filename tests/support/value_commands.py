"""Commands that return each kind of value, by name: one that is queued, one that is not."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import AnyUrl, BaseModel, SecretStr

from mcp_queue import command

UTC = dt.UTC
EAST = dt.timezone(dt.timedelta(hours=5, minutes=30))


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Pair(enum.Enum):
    ONE = (1, 2)


class Model(BaseModel):
    name: str = "model"
    age: dt.timedelta = dt.timedelta(hours=25)
    when: dt.datetime = dt.datetime(2024, 2, 3, tzinfo=UTC)
    inner: dict[int, decimal.Decimal] = {1: decimal.Decimal("1.50")}


@dataclass
class Point:
    x: int = 1
    at: dt.date = dt.date(2024, 2, 3)
    more: list[object] = field(default_factory=lambda: [Color.RED, Path("/a")])


Named = collections.namedtuple("Named", "first second")


class TextChild(str):
    __slots__ = ()


def numbers() -> Any:
    yield 1
    yield 2


def loop() -> Any:
    ring: list[object] = []
    ring.append({"ring": ring})
    return ring


KINDS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "true": lambda: True,
    "int": lambda: 10**30,
    "float": lambda: 0.1,
    "negative zero": lambda: -0.0,
    "text": lambda: 'ä"\u2028\0',
    "text child": lambda: TextChild("child"),
    "list": lambda: [1, [2, [3]]],
    "tuple": lambda: (1, (2,)),
    "named tuple": lambda: Named(1, 2),
    "dict": lambda: {"a": {"b": None}},
    "ordered": lambda: collections.OrderedDict(b=1, a=2),
    "counter": lambda: collections.Counter("aab"),
    "default dict": lambda: collections.defaultdict(int, a=1),
    "set": lambda: {1},
    "frozen set": lambda: frozenset(("a",)),
    "deque": lambda: collections.deque([1, 2]),
    "generator": numbers,
    "map": lambda: map(str, [1, 2]),
    "int keys": lambda: {1: "a", -2: "b"},
    "float keys": lambda: {1.5: 1, 2.0: 2},
    "bool keys": lambda: {True: 1, False: 0},
    "none key": lambda: {None: 1},
    "tuple keys": lambda: {(1, "a"): 1},
    "date keys": lambda: {dt.date(2024, 2, 3): 1},
    "uuid keys": lambda: {uuid.UUID(int=1): 1},
    "enum keys": lambda: {Color.RED: 1, Level.HIGH: 2},
    "path keys": lambda: {Path("/a/b"): 1},
    "decimal keys": lambda: {decimal.Decimal("1.0"): 1},
    "naive time": lambda: dt.datetime(2024, 2, 3, 4, 5, 6),
    "utc": lambda: dt.datetime(2024, 2, 3, tzinfo=UTC),
    "utc with microseconds": lambda: dt.datetime(2024, 2, 3, 4, 5, 6, 120000, tzinfo=UTC),
    "zone": lambda: dt.datetime(2024, 2, 3, tzinfo=EAST),
    "date": lambda: dt.date(2024, 2, 3),
    "time": lambda: dt.time(4, 5, 6, 7),
    "utc time of day": lambda: dt.time(4, tzinfo=UTC),
    "duration": lambda: dt.timedelta(days=400, hours=3, seconds=4, microseconds=500),
    "no duration": lambda: dt.timedelta(0),
    "negative duration": lambda: dt.timedelta(seconds=-1.5),
    "decimal": lambda: decimal.Decimal("1.50"),
    "fraction": lambda: fractions.Fraction(1, 2),
    "complex": lambda: 1 + 2j,
    "uuid": lambda: uuid.UUID(int=2**100),
    "path": lambda: Path("/a b/ä"),
    "enum": lambda: Color.RED,
    "enum of a tuple": lambda: Pair.ONE,
    "int enum": lambda: Level.HIGH,
    "flags": lambda: Rights.READ | Rights.WRITE,
    "address": lambda: ipaddress.ip_address("::1"),
    "network": lambda: ipaddress.ip_network("10.0.0.0/8"),
    "pattern": lambda: re.compile("a+"),
    "dataclass": Point,
    "model": Model,
    "models": lambda: [Model(name="x"), {"y": Model()}],
    "url": lambda: AnyUrl("http://example.org"),
    "secret": lambda: SecretStr("hidden"),
}

FAULTS: dict[str, tuple[Callable[[], Any], str]] = {
    "nan": (lambda: [0, float("nan")], "result[1]: nan is no JSON number"),
    "infinity": (lambda: {"a": float("-inf")}, "result['a']: -inf is no JSON number"),
    "nan in a model": (lambda: {"m": Point(more=[float("nan")])}, "result['m']['more'][0]: nan"),
    "nan as key": (lambda: {float("nan"): 1}, "result: the key nan"),
    "bytes": (lambda: {"b": b"hi"}, "result['b']: bytes is no JSON value; return mcp_queue.File"),
    "bytearray": (lambda: [bytearray(b"hi")], "result[0]: bytearray is no JSON value"),
    "memoryview": (lambda: memoryview(b"hi"), "result: memoryview is no JSON value"),
    "half a character": (lambda: ["\ud800"], "result[0]: text that is not valid Unicode"),
    "half a key": (lambda: {"\ud800": 1}, "result: the key '\\ud800' is not valid Unicode"),
    "object": (object, "result: JSON has no form for a value of type object"),
    "class": (lambda: {"c": int}, "result['c']: the class int is no JSON value"),
    "function": (lambda: [len], "result[0]: JSON has no form for a value of type builtin"),
    "range": (lambda: range(3), "result: JSON has no form for a value of type range"),
    "itself": (loop, "it contains itself"),
    "set as key": (lambda: {frozenset((1,)): 1}, "result: the key frozenset({1})"),
    "bytes as key": (lambda: {b"a": 1}, "result: the key b'a'"),
    "raises": (lambda: {"d": Raises()}, "result['d']: a value of type"),
}


class Raises:
    def to_dict(self) -> dict[str, object]:
        raise LookupError("no such thing")


def made(kind: str) -> Any:
    return KINDS[kind]() if kind in KINDS else FAULTS[kind][0]()


@command
def gives(kind: str):
    """Return a value of this kind."""
    return made(kind)


@command(use_queue=True)
def gives_queued(kind: str):
    """Return a value of this kind, from a job."""
    return made(kind)
