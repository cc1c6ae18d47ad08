"""Installed packages that offer commands (plugins), and the choice of those in use.

Their entry points of the group ``mcp_queue.commands`` name modules. Only installed packages count,
since anybody may have put metadata into the working folder or an author's folder.
"""

from __future__ import annotations

import os
import re
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mcp_queue import search_path
from mcp_queue.errors import SettingIgnoredError

if TYPE_CHECKING:
    from collections.abc import Collection
    from importlib.metadata import Distribution, EntryPoint

ENTRY_POINT_GROUP = "mcp_queue.commands"
ALL, NONE = "all", "none"


class Plugin:
    """A package and its modules of commands. ``failed`` are those that could not be loaded."""

    def __init__(self, distribution: Distribution | None) -> None:
        self._distribution = distribution
        self.modules: list[str] = []
        self.failed: set[str] = set()
        self.on = True

    @cached_property
    def package(self) -> str:
        """The package's name."""
        return self._metadata("Name")

    @cached_property
    def version(self) -> str:
        """The package's version."""
        return self._metadata("Version")

    def _metadata(self, key: str) -> str:  # late, since reading it is slow
        metadata: Any = self._distribution.metadata if self._distribution is not None else {}
        return str(metadata.get(key) or "unknown")


def installed() -> list[Plugin]:
    """All plugins, in the order of the names of their modules."""
    from importlib.metadata import entry_points

    plugins: dict[int, Plugin] = {}
    untrusted = {os.path.realpath(folder) for folder in search_path.added}
    if "" in sys.path:
        untrusted.add(os.path.realpath(""))
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if _folder(point) in untrusted:
            continue
        plugin = plugins.setdefault(id(point.dist), Plugin(point.dist))
        # ``point.module`` would raise for a malformed entry point.
        module = point.value.partition(":")[0].partition("[")[0].strip()
        if module not in plugin.modules:
            plugin.modules.append(module)
    return sorted(plugins.values(), key=lambda plugin: sorted(plugin.modules))


def select(plugins: list[Plugin], allowed: str | Collection[str]) -> list[SettingIgnoredError]:
    """Set ``on`` of each plugin by the setting ``plugins``: ``all``, ``none``, or names.

    Returns the errors in the names.
    """
    if isinstance(allowed, str):
        for plugin in plugins:
            plugin.on = allowed == ALL
        return []
    names = {canonical(name): name for name in allowed}
    for plugin in plugins:
        plugin.on = names.pop(canonical(plugin.package), None) is not None
    known = ", ".join(plugin.package for plugin in plugins) or "none"
    return [_unknown_name(name, known) for name in names.values()]


def _unknown_name(name: str, known: str) -> SettingIgnoredError:
    reason = "no installed package of this name offers commands"
    advice = f"Correct the name or leave it out. Packages that do: {known}."
    if canonical(name) in (ALL, NONE):
        reason = f"{ALL} and {NONE} stand alone, not in a list of names"
        advice = f"Give {name} alone, or only names of packages. Packages that offer some: {known}."
    return SettingIgnoredError(key="plugins", value=name, reason=reason, advice=advice)


def canonical(name: str) -> str:
    """The normalized name of a package, for comparisons (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _folder(point: EntryPoint) -> str | None:
    return os.path.realpath(str(point.dist.locate_file(""))) if point.dist is not None else None
