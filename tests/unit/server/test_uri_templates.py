"""Which resource an address means; no parameter leads a path out of its folder."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import quote

import pytest
from hypothesis import given, strategies

from mcp_queue.commands.catalog import Catalog
from mcp_queue.commands.resource_info import ResourceInfo
from mcp_queue.server.authored import uri_templates
from mcp_queue.server.authored.uri_templates import _is_safe, match


def give(day: str = "", path: str = "") -> str:
    return day + path


CATALOG = Catalog()
for uri in ("notes://today", "notes://{day}", "notes://{day}.txt", "notes://{day}/files/{+path}"):
    CATALOG.register_resource(ResourceInfo(uri, "give", give))


def meant(uri: str) -> tuple[str, dict[str, str]] | None:
    found = match(CATALOG, uri)
    return found and (found[0].uri, found[1])


def test_what_has_no_parameters_comes_first_then_what_was_defined_first() -> None:
    assert meant("notes://today") == ("notes://today", {})
    assert meant("notes://1") == ("notes://{day}", {"day": "1"})
    assert meant("notes://1.txt") == ("notes://{day}", {"day": "1.txt"})
    assert meant("notes://a%20b") == ("notes://{day}", {"day": "a b"})
    assert meant("notes://a%2520b") == ("notes://{day}", {"day": "a%20b"})
    files = ("notes://{day}/files/{+path}", {"day": "1", "path": "a/b c"})
    assert meant("notes://1/files/a/b%20c") == files


def test_literal_parts_are_no_patterns() -> None:
    catalog = Catalog()
    catalog.register_resource(ResourceInfo("a.b://(x)/{day}", "give", give))
    assert match(catalog, "a.b://(x)/1") is not None
    assert match(catalog, "aab://(x)/1") is None
    assert match(catalog, "a.b://x/1") is None
    assert match(catalog, "a.b://(x)/{day}") is not None


@given(strategies.text() | strategies.text(alphabet="./\\%25eEfF\x00a"))
def test_no_path_leaves_its_folder(path: str) -> None:
    for written in (path, quote(path), quote(path, safe="")):
        found = meant(f"notes://1/files/{written}")
        if found is None:
            continue
        values = found[1]
        for value in values.values():
            assert "\x00" not in value
            for separated in (value, value.replace("\\", "/")):
                joined = posixpath.normpath(posixpath.join("/folder", separated))
                assert joined.startswith("/folder/")


@given(strategies.text(min_size=1, alphabet=strategies.characters(exclude_categories=("Cc", "Cs"))))
def test_a_quoted_segment_comes_through(day: str) -> None:
    climbs = day in (".", "..") or "/" in day or "\\" in day
    found = meant(f"notes://{quote(day, safe='')}")
    if climbs:
        assert found is None
    elif day != "today":
        assert found == ("notes://{day}", {"day": day})


@given(
    strategies.lists(strategies.sampled_from(["/", "a", "aa", "?", "-", "{}", "{+}"]), max_size=6),
    strategies.text(alphabet="/a?-b\n", max_size=10),
)
def test_an_address_is_divided_as_by_a_pattern(parts: list[str], rest: str) -> None:
    """Each parameter is as long as it can be, the first before the second."""
    names = iter("abcdef")
    named = [
        "x:",
        *(part.replace("}", f"{next(names)}}}") if "{" in part else part for part in parts),
    ]
    patterns = {"{": "[^/?#]+", "{+": ".+"}
    pattern = "".join(
        f"(?P<{part[-2]}>{patterns[part[:-2]]})" if "{" in part else re.escape(part)
        for part in named
    )
    wanted = re.fullmatch(pattern, f"x:{rest}")
    found = uri_templates._split(uri_templates._pieces("".join(named)), f"x:{rest}")
    assert found == (wanted and wanted.groupdict())


def test_what_an_address_costs_grows_with_its_length() -> None:
    """By a pattern with so many parameters this takes for ever."""
    catalog = Catalog()
    catalog.register_resource(ResourceInfo("x:{+a}/{+b}/{+c}/{+d}/{+e}/{+f}!", "six", six))
    for end in ("", "!"):
        found = match(catalog, "x:" + "a/" * 4000 + "a" + end)
        assert (found is not None) == bool(end)
    assert found is not None
    assert found[1]["f"] == "a"


def six(a: str, b: str, c: str, d: str, e: str, f: str) -> None:
    del a, b, c, d, e, f


@pytest.mark.parametrize("value", ["C:secret", "NUL", "x.", "x ", "a:b", "con.md"])
def test_what_means_something_else_on_windows_leads_nowhere_there(value: str) -> None:
    assert not _is_safe(value, many=False, windows=True)
    assert not _is_safe(f"a/{value}", many=True, windows=True)
    assert _is_safe(value, many=False, windows=False)
