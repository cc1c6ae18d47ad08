"""The catalog: names, similar names, and two commands of one name."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from mcp_queue.commands.catalog import Catalog, registry
from mcp_queue.commands.command import Command
from mcp_queue.commands.info import CommandInfo
from mcp_queue.commands.intake import intake
from mcp_queue.errors import CommandNotFoundError, DuplicateCommandError


def an_info(name: str, *, module: str = "some.module", qualname: str | None = None) -> CommandInfo:
    def target() -> None: ...

    target.__module__ = module
    target.__qualname__ = qualname or name
    return CommandInfo(name, target)


@pytest.fixture
def catalog() -> Catalog:
    catalog = Catalog()
    for name in ("search_code", "analyze", "search_classes"):
        catalog.register(an_info(name))
    return catalog


def test_names_are_sorted_and_iteration_is_in_order(catalog: Catalog) -> None:
    assert catalog.names() == ["analyze", "search_classes", "search_code"]
    assert [info.name for info in catalog] == ["search_code", "analyze", "search_classes"]
    assert len(catalog) == 3


def test_get_and_find(catalog: Catalog) -> None:
    assert catalog.get("analyze").name == "analyze"
    assert catalog.find("analyze") is catalog.get("analyze")
    assert catalog.find("nothing") is None
    assert "analyze" in catalog
    assert "nothing" not in catalog


def test_an_unknown_name_is_answered_with_similar_ones(catalog: Catalog) -> None:
    with pytest.raises(CommandNotFoundError, match=r"'analyse'\. Did you mean 'analyze'\?"):
        catalog.get("analyse")


def test_without_similar_names_nothing_is_suggested(catalog: Catalog) -> None:
    with pytest.raises(CommandNotFoundError) as caught:
        catalog.get("qqq")
    assert str(caught.value) == "No command is named 'qqq'."


def test_unregister_forgets_and_forgives(catalog: Catalog) -> None:
    catalog.unregister("analyze")
    catalog.unregister("analyze")
    assert "analyze" not in catalog


def test_a_catalog_may_change_while_it_is_read(catalog: Catalog) -> None:
    for info in catalog:
        catalog.unregister(info.name)
    assert catalog.names() == []


def test_two_commands_of_one_name_are_refused_naming_both(catalog: Catalog) -> None:
    with pytest.raises(DuplicateCommandError) as caught:
        catalog.register(an_info("analyze", module="another.module"))
    assert "some.module (analyze)" in str(caught.value)
    assert "another.module (analyze)" in str(caught.value)
    assert catalog.get("analyze").target.__module__ == "some.module"


def test_another_definition_of_the_same_module_is_refused(catalog: Catalog) -> None:
    with pytest.raises(DuplicateCommandError):
        catalog.register(an_info("analyze", qualname="other_function"))


def test_the_same_definition_registers_again(catalog: Catalog) -> None:
    again = an_info("analyze")
    catalog.register(again)
    assert catalog.get("analyze") is again


def test_one_file_under_two_module_names_is_one_definition(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("as_script", "as_module"):
        module: Any = types.ModuleType(name)
        module.__file__ = "/somewhere/tools.py"
        monkeypatch.setitem(sys.modules, name, module)
    catalog.register(an_info("tool", module="as_script"))
    catalog.register(an_info("tool", module="as_module"))
    assert catalog.get("tool").target.__module__ == "as_module"


def test_what_gives_way_leaves_earlier_commands_alone(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "loading_plugins", True)
    catalog.register(an_info("analyze", module="from.entry.point"))
    assert catalog.get("analyze").target.__module__ == "some.module"

    catalog.register(an_info("fresh", module="from.entry.point"))
    with pytest.raises(DuplicateCommandError):
        catalog.register(an_info("fresh", module="from.another.entry.point"))


def test_a_class_that_registered_itself_may_be_registered_again() -> None:
    """Programs written against the documented system do."""

    class Again(Command):
        name = "again"

        def execute(self) -> None: ...

    registry.register(Again, "custom")
    registry.register(Again())
    assert registry.get("again").target is Again
    assert registry.get_command("again") is Again
    with pytest.raises(CommandNotFoundError, match="Did you mean 'again'"):
        registry.get_command("agian")
