"""Finding commands: modules, files and entry points; and one command again, in a worker."""

# pathlib would cost a worker its quick start.

from __future__ import annotations

import os
import sys

from mcp_queue.commands.catalog import FILE_MODULE, registry
from mcp_queue.errors import (
    CommandLoadError,
    ModuleMissingError,
    QueueError,
    cause_of,
    interrupts,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from mcp_queue.commands.info import CommandInfo

ENTRY_POINT_GROUP = "mcp_queue.commands"
NOWHERE = "not found on the module search path"


def load(spec: str) -> None:
    """Register the commands of ``my_module`` or ``path/to/file.py``; loaded already is fine.

    What is ill defined in it is noted in ``registry.problems`` and left out. Raises
    CommandLoadError, which names file, line and cause; no command of the module is kept then.
    What the module prints goes wherever stdout goes: divert it before, in a server.
    """
    if _is_path(spec):
        _load_source({"file": os.path.abspath(os.path.expanduser(spec))}, spec)
    else:
        _load_source({"module": spec}, spec)


def load_entry_points(skip: set[str]) -> list[QueueError]:
    """Load the modules of the group ``mcp_queue.commands``, except those named in ``skip``.

    A command whose name is taken already is left out silently. Returns what failed, see `load_all`.
    """
    from importlib.metadata import entry_points

    # Not ``point.module``: that raises for a malformed entry point.
    values = {point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
    modules = {value.partition(":")[0].partition("[")[0].strip() for value in values}
    registry.gives_way = True
    try:
        return _load_each(sorted(modules - skip))
    finally:
        registry.gives_way = False


def load_all(specs: Iterable[str], entry_points: bool = True) -> list[QueueError]:
    """Load the ``specs``, then the entry points, and return what failed: modules that could not be
    loaded, and what is ill defined in the others. All of it stands in ``registry.problems`` too.

    What is named here wins over the entry points' commands of the same name.
    """
    wanted = list(dict.fromkeys(specs))
    errors = _load_each(wanted)
    if entry_points:
        errors += load_entry_points(set(wanted))
    return errors


def resolve(source: dict[str, str], name: str) -> CommandInfo:
    """The command ``name`` from its ``CommandInfo.source``, loaded if need be.

    Raises CommandLoadError if the source cannot be loaded, CommandNotFoundError if it no longer
    has such a command.
    """
    if not source:
        raise CommandLoadError(
            spec=name,
            cause="it was defined in an interactive session or with python -c",
            place="no file to load it from",
        )
    load_source(source)
    return registry.get(name)


def load_source(source: dict[str, str]) -> None:
    """Load what a ``CommandInfo.source`` names; raises CommandLoadError."""
    # A script that was started need not have a name that ends in .py.
    _load_source(source, source.get("file") or source["module"], any_name=True)


def resolve_class(source: dict[str, str], path: str) -> Any:
    """The class ``path`` (dotted, when it stands in another one) of a source, loaded if need be.

    Raises CommandLoadError.
    """
    load_source(source)
    name = _module_name(source["file"]) if "file" in source else source["module"]
    found: Any = sys.modules[name]
    for part in path.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):
        place = source.get("file") or source["module"]
        raise CommandLoadError(spec=place, cause=f"it has no class {path}", place=place)
    return found


def _load_each(specs: list[str]) -> list[QueueError]:
    known = len(registry.problems)
    for spec in specs:
        try:
            load(spec)
        except CommandLoadError as error:
            registry.problems.append(error)
    return registry.problems[known:]


def _is_path(spec: str) -> bool:
    separators = {"/", os.sep, os.altsep or "/"}
    return spec.endswith(".py") or any(separator in spec for separator in separators)


def _load_source(source: dict[str, str], spec: str, *, any_name: bool = False) -> None:
    outer, before = registry.source, registry.everything()
    registry.source = source
    try:
        if "file" in source:
            _import_file(source["file"], any_name)
        else:
            _import_module(source["module"])
    except BaseException as error:  # whatever the module raised
        _forget_unfinished(before)
        if interrupts(error):
            raise
        raise _load_error(spec, source, error) from error
    finally:
        registry.source = outer


def _import_module(name: str) -> None:
    if name not in sys.modules:
        __import__(name)


def _import_file(path: str, any_name: bool) -> None:
    name = _module_name(path)
    if name in sys.modules:
        return
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_file_location

    if not os.path.isfile(path):
        raise FileNotFoundError("a folder" if os.path.isdir(path) else "no such file")
    loader = SourceFileLoader(name, path) if any_name else None
    spec = spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None:
        raise ImportError("the name of a Python file ends in .py")
    folder = os.path.dirname(path)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _module_name(path: str) -> str:
    from binascii import crc32

    stem = os.path.splitext(os.path.basename(path))[0]
    plain = "".join(letter if letter.isalnum() else "_" for letter in stem)
    return f"{FILE_MODULE}{plain}_{crc32(os.fsencode(path)):08x}"


def _forget_unfinished(before: set[CommandInfo]) -> None:
    """Drop what a failed module registered, but keep what its imports did: those are complete."""
    unfinished: set[CommandInfo] = set()
    for info in registry.everything() - before:
        module = info.target.__module__
        if module in sys.modules and module.partition(".")[0] in sys.modules:
            info.source = {"module": module}
        else:
            unfinished.add(info)
    registry.forget(unfinished)


def _load_error(spec: str, source: dict[str, str], error: BaseException) -> CommandLoadError:
    place = _place(source, error)
    if place == NOWHERE and isinstance(error, ModuleNotFoundError):
        folders = ", ".join(folder or os.getcwd() for folder in sys.path) or "no folder"
        return ModuleMissingError(
            spec=spec, cause=_cause(error), place=place, folders=folders, python=sys.executable
        )
    return CommandLoadError(spec=spec, cause=_cause(error), place=place)


def _cause(error: BaseException) -> str:
    if isinstance(error, QueueError):
        return error.message.rstrip(".")
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return cause_of(error)


def _place(source: dict[str, str], error: BaseException) -> str:
    """File and line to look at: the innermost of the author's own code."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames: list[tuple[str, int]] = []
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<frozen ") and not file.startswith(_OWN_FOLDER):
            frames.append((file, trace.tb_lineno))
        trace = trace.tb_next
    if not frames:
        return source.get("file") or NOWHERE
    folder = os.path.dirname(frames[0][0])
    file, line = [place for place in frames if _is_own(place[0], folder)][-1]
    return f"{file}, line {line}"


def _is_own(file: str, folder: str) -> bool:
    """Whether the file is the author's: beside or below the one that was loaded first."""
    return file.startswith(folder) and "site-packages" not in file[len(folder) :]


_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
