"""The commands, prompts and resources that this process knows."""

from __future__ import annotations

import sys

from mcp_queue.commands.intake import define, intake
from mcp_queue.errors import CommandNotFoundError, DuplicateCommandError, InvalidCommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mcp_queue.commands.definition import Definition
    from mcp_queue.commands.info import CommandInfo
    from mcp_queue.commands.resource_info import ResourceInfo

BUILTIN_PROMPTS = ("diagnose_job", "summarize_jobs")


class Catalog:
    """Commands by name, ``prompts`` by name and ``resources`` by URI, in the order of registration.

    ``left_out`` are definitions of plugins whose name was taken already (`intake`).
    """

    def __init__(self) -> None:
        self.left_out: list[Definition] = []
        self.prompts: dict[str, Definition] = {}
        self.resources: dict[str, ResourceInfo] = {}
        self._commands: dict[str, CommandInfo] = {}
        self._of_plugins: set[Definition] = set()

    def register(self, command: CommandInfo | Any, kind: str | None = None) -> None:
        """Add a command, given as such or by its class or function; it may be registered already.

        The same definition again replaces the earlier one. ``kind`` is accepted for programs that
        were written for the documented system, and has no effect. Raises DuplicateCommandError if
        another command has the name, and InvalidCommandError for an object that is no command.
        While a module is loaded for its commands, the error is recorded instead.
        """
        info: Any = getattr(command, "__mcp_queue__", command)
        define(lambda: self.register_command(info))

    def register_command(self, info: CommandInfo) -> None:
        """Add a command. Raises the errors of `register`."""
        if not hasattr(info, "parameters_of"):
            name = getattr(info, "__name__", repr(info))
            reason = "it is registered, but is no command, or none that is well defined"
            raise InvalidCommandError(command=name, reason=reason)
        self._add(self._commands, "commands", info.name, info)

    def register_prompt(self, info: Definition) -> None:
        """Add a prompt.

        Raises DuplicateCommandError if another prompt has the name, and InvalidCommandError if a
        built-in prompt has it.
        """
        if info.name in BUILTIN_PROMPTS:
            reason = "the queue has a prompt of this name; choose another"
            raise InvalidCommandError(command=info.name, reason=reason)
        self._add(self.prompts, "prompts", info.name, info)

    def register_resource(self, info: ResourceInfo) -> None:
        """Add a resource. Raises DuplicateCommandError if another resource has the address."""
        self._add(self.resources, "resources", info.uri, info)

    def unregister(self, name: str) -> None:
        """Remove the command, if there is one.

        While plugins are loaded, only commands of plugins can be removed.
        """
        if not intake.loading_plugins or self._commands.get(name) in self._of_plugins:
            self._commands.pop(name, None)

    def everything(self) -> set[Definition]:
        """All commands, prompts and resources."""
        return {info for table in self._tables() for info in table.values()}

    def forget(self, unwanted: set[Definition]) -> None:
        """Remove these commands, prompts and resources."""
        for table in self._tables():
            for key in [key for key, info in table.items() if info in unwanted]:
                del table[key]

    def find(self, name: str) -> CommandInfo | None:
        """The command, or None."""
        return self._commands.get(name)

    def get(self, name: str) -> CommandInfo:
        """The command. Raises CommandNotFoundError, which names similar commands."""
        info = self._commands.get(name)
        if info is None:
            raise CommandNotFoundError(command=name, near=self._hint(name))
        return info

    def get_command(self, name: str) -> Any:
        """The class or function of a command. Raises CommandNotFoundError."""
        return self.get(name).target

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._commands)

    def __iter__(self) -> Iterator[CommandInfo]:
        return iter(list(self._commands.values()))

    def __contains__(self, name: object) -> bool:
        return name in self._commands

    def __len__(self) -> int:
        return len(self._commands)

    def _tables(self) -> tuple[dict[str, Any], ...]:
        return self._commands, self.prompts, self.resources

    def _add(self, table: dict[str, Any], kind: str, name: str, info: Definition) -> None:
        known = table.get(name)
        if known is not None and not _same_definition(known, info):
            if intake.loading_plugins and known not in self._of_plugins:
                self.left_out.append(info)
                return
            raise DuplicateCommandError(
                what=kind, command=name, first=_place(known), second=_place(info)
            )
        table[name] = info
        if intake.loading_plugins:
            self._of_plugins.add(info)

    def _hint(self, name: str) -> str:
        from mcp_queue.commands.near import near

        similar = near(name, self.names(), 3)
        return f" Did you mean {' or '.join(map(repr, similar))}?" if similar else ""


def _same_definition(known: Definition, info: Definition) -> bool:
    if known.target is info.target:
        return True
    if known.target.__qualname__ != info.target.__qualname__:
        return False
    return known.target.__module__ == info.target.__module__ or _file(known) == _file(info)


def _file(info: Definition) -> str:
    """The file of the definition, or the name of the module if it has no file."""
    module = sys.modules.get(info.target.__module__)
    return getattr(module, "__file__", None) or info.target.__module__


def _place(info: Definition) -> str:
    file, code = _file(info), getattr(info.parameters_of, "__code__", None)
    line = f", line {code.co_firstlineno}" if code and code.co_filename == file else ""
    return f"{file}{line} ({info.target.__qualname__})"


registry = Catalog()
