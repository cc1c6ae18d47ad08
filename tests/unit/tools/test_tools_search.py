"""search_classes and search_code: what is found, in which order, and how honest it is on age."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_queue_tools import search_classes, search_code
from mcp_queue_tools.errors import FolderNotFoundError, NotAnalyzedError, WrongValueError
from mcp_queue_tools.ranking import rank, read_query

Analyze = Callable[..., Any]
Project = Callable[[dict[str, str | bytes]], Path]

SHOP: dict[str, str | bytes] = {
    "shop/__init__.py": '"""The shop."""\n',
    "shop/models.py": (
        "import json\n"
        "from decimal import Decimal\n"
        "class BaseModel:\n"
        '    """What all models share.\n\n    More."""\n'
        "    def save(self, *, force: bool = False) -> None:\n"
        "        raise NotImplementedError('100% of_it')\n"
        "class base_model(BaseModel): ...\n"
        "class BaseModelMeta(type): ...\n"
        "class MyBaseModel(BaseModel): ...\n"
    ),
    "shop/views/__init__.py": "",
    "shop/views/orders.py": (
        "from shop.models import BaseModel\n"
        "class Order(BaseModel):\n"
        "    async def save(self, force=False, *args,\n"
        "                   later=None):  # like BaseModel\n"
        "        import json.decoder\n"
        "        return Größe\n"
    ),
}


@pytest.fixture
def shop(project: Project, analyze: Analyze) -> Path:
    root = project(SHOP)
    analyze(root)
    return root


def hits(result: dict[str, Any]) -> list[dict[str, Any]]:
    json.dumps(result)
    return result["hits"]


def names(result: dict[str, Any]) -> list[str]:
    return [hit["qualified_name"] for hit in hits(result)]


def lines(result: dict[str, Any]) -> list[tuple[str, int]]:
    return [(hit["file"], hit["line"]) for hit in hits(result)]


def test_a_class_is_shown_with_all_that_one_asks_next(shop: Path):
    assert hits(search_classes("basemodel"))[0] == {
        "kind": "class",
        "name": "BaseModel",
        "qualified_name": "shop.models.BaseModel",
        "file": "shop/models.py",
        "line": 3,
        "path": str(shop.resolve() / "shop/models.py"),
        "bases": [],
        "methods": 1,
        "doc": "What all models share.",
    }


def test_classes_come_exact_then_by_prefix_then_by_part(shop: Path):
    everything = ["BaseModel", "base_model", "BaseModelMeta", "MyBaseModel"]
    for query in ("BaseModel", "basemodel", "base model"):
        found = search_classes(query)["hits"]
        assert isinstance(found, list)
        assert sorted(hit["name"] for hit in found[:2]) == sorted(everything[:2])
        assert [hit["name"] for hit in found[2:]] == everything[2:]
    assert names(search_classes("BMM")) == ["shop.models.BaseModelMeta"]
    assert names(search_classes("ord")) == ["shop.views.orders.Order"]
    assert names(search_classes("save")) == []


def test_an_owner_limits_the_search(shop: Path):
    assert names(search_code("Order.save", kind="function")) == ["shop.views.orders.Order.save"]
    assert names(search_code("models.basemodel.save")) == ["shop.models.BaseModel.save"]
    assert names(search_code("shop/views/orders.py", kind="module")) == ["shop.views.orders"]
    assert names(search_code("er.save", kind="function")) == []


def test_functions_have_their_signatures(shop: Path):
    found = {hit["qualified_name"]: hit for hit in hits(search_code("save", kind="function"))}
    assert {name: hit["signature"] for name, hit in found.items()} == {
        "shop.models.BaseModel.save": "def save(self, *, force: bool=False) -> None",
        "shop.views.orders.Order.save": "async def save(self, force=False, *args, later=None)",
    }


def test_imports_of_a_module_are_found_with_their_lines(shop: Path):
    found = search_code("json", kind="import")
    assert lines(found) == [("shop/models.py", 1), ("shop/views/orders.py", 5)]
    assert hits(found)[0]["text"] == "import json"
    found = search_code("basemodel", kind="import")
    assert [hit["text"] for hit in hits(found)] == ["from shop.models import BaseModel"]
    assert (hits(found)[0]["module"], hits(found)[0]["name"]) == ("shop.models", "BaseModel")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RAISE NOTimpl", [("shop/models.py", 8)]),
        ("100% of_it", [("shop/models.py", 8)]),
        ("100%_of", []),
        ("größe", [("shop/views/orders.py", 6)]),
        ("# like", [("shop/views/orders.py", 4)]),
        ("  return  ", [("shop/views/orders.py", 6)]),
    ],
)
def test_text_is_found_as_it_is_whatever_its_case(
    shop: Path, text: str, expected: list[tuple[str, int]]
):
    assert lines(search_code(text, kind="text")) == expected


def test_a_line_of_text_comes_with_the_function_around_it(shop: Path):
    (hit,) = hits(search_code("return", kind="text"))
    assert (hit["text"], hit["within"]) == ("return Größe", "shop.views.orders.Order.save")
    (hit,) = hits(search_code("import Decimal", kind="text"))
    assert "within" not in hit


def test_any_shows_definitions_then_imports_then_text_and_each_line_once(shop: Path):
    found = hits(search_code("BaseModel"))
    kinds = [hit["kind"] for hit in found]
    assert kinds == ["class"] * 4 + ["import"] + ["text"] * 2
    places = [(hit["file"], hit["line"]) for hit in found]
    assert len(set(places)) == len(places)


def test_long_lines_are_cut_around_the_match(project: Project, analyze: Analyze):
    analyze(project({"a.py": f"x = '{'a' * 500}needle{'b' * 500}'\n"}))
    (hit,) = hits(search_code("needle", kind="text"))
    assert "needle" in hit["text"]
    assert len(hit["text"]) <= 200


def test_a_limit_is_kept_and_said(shop: Path):
    found = search_code("save", limit=1)
    assert (len(hits(found)), found["more"]) == (1, True)
    assert search_code("save", kind="function", limit=2)["more"] is False
    assert len(hits(search_code("save", limit=-5))) == 1


def test_hits_in_changed_or_missing_files_are_stale(shop: Path, analyze: Analyze):
    assert not any("stale" in hit for hit in hits(search_code("save")))
    os.utime(shop / "shop/models.py", ns=(0, 0))
    (shop / "shop/views/orders.py").unlink()
    assert all(hit["stale"] is True for hit in hits(search_code("save")))
    analyze(shop)
    assert not any("stale" in hit for hit in hits(search_code("save")))


def test_the_age_of_the_map_is_shown(shop: Path, analyze: Analyze, recorder: Any):
    found = search_classes("Order")
    assert str(found["analyzed_at"]).endswith("Z")
    assert (found["complete"], found["roots"]) == (True, [str(shop.resolve())])
    analyze(shop, force=True, recorder=recorder(stop_after=1))
    assert search_classes("Order")["complete"] is False


def test_a_folder_in_an_analysed_project_is_searched_alone(shop: Path):
    inside = str(shop / "shop" / "views")
    assert names(search_code("save", inside, kind="function")) == ["shop.views.orders.Order.save"]
    assert lines(search_code("BaseModel", inside, kind="import")) == [("shop/views/orders.py", 1)]
    assert lines(search_code("100%", inside, kind="text")) == []


def test_without_a_root_all_projects_that_still_exist_are_searched(
    shop: Path, analyze: Analyze, tmp_path: Path
):
    other = tmp_path / "other"
    other.mkdir()
    (other / "more.py").write_text("class Order: ...\n")
    analyze(other)
    assert sorted(names(search_classes("Order"))) == ["more.Order", "shop.views.orders.Order"]
    assert names(search_classes("Order", str(shop))) == ["shop.views.orders.Order"]
    shutil.rmtree(other)
    assert names(search_classes("Order")) == ["shop.views.orders.Order"]


def test_a_file_of_two_maps_is_shown_once(shop: Path, analyze: Analyze):
    analyze(shop / "shop")
    assert names(search_classes("Order")) == ["shop.views.orders.Order"]


@pytest.mark.parametrize("search", [search_classes, search_code])
def test_before_any_analysis_the_error_says_what_to_call(
    search: Callable[..., Any], project: Project
):
    with pytest.raises(NotAnalyzedError) as raised:
        search("x")
    assert "analyze_project" in raised.value.hint
    root = str(project(SHOP))
    with pytest.raises(NotAnalyzedError) as raised:
        search("x", root)
    assert repr(root) in raised.value.message
    assert raised.value.to_dict()["code"] == "not_analyzed"


def test_a_query_has_so_many_characters(shop: Path):
    for query in ("a " * 500, "ab" * 500, "é" * 1000):
        assert search_code(query, root_dir=str(shop))["more"] is False
        with pytest.raises(WrongValueError, match="1,000 at most"):
            search_code(query + "abcdef" * 100_000, root_dir=str(shop))


def test_wrong_values_are_clear_errors(shop: Path):
    with pytest.raises(WrongValueError, match="'query' cannot be '  '"):
        search_code("  ")
    with pytest.raises(FolderNotFoundError, match="no/such"):
        search_code("x", "/no/such/folder")


def test_a_damaged_map_counts_as_none(shop: Path, cache: Path):
    for path in cache.iterdir():
        path.write_bytes(b"damaged" * 1000)
    with pytest.raises(NotAnalyzedError):
        search_code("x")


NAMES = st.from_regex(r"\A[aAbB_]{1,5}\Z").filter(lambda name: name.strip("_"))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(defined=st.sets(NAMES, min_size=1, max_size=12), query=NAMES)
def test_a_search_finds_what_ranking_every_name_finds(
    tmp_path: Path, analyze: Analyze, defined: set[str], query: str
):
    root = tmp_path / "ranked"
    root.mkdir(exist_ok=True)
    (root / "m.py").write_text("".join(f"class {name}: ...\n" for name in sorted(defined)))
    analyze(root)
    asked = read_query(query)
    steps = {name: rank(name, asked) for name in defined}
    found = [hit["name"] for hit in hits(search_classes(query, str(root)))]
    assert sorted(found) == sorted(name for name, step in steps.items() if step is not None)
    ordered = [(steps[name] or 0, len(name), name) for name in found]
    assert ordered == sorted(ordered)
