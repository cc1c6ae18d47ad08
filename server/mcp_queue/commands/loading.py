"""Loading commands from modules, files and entry points, and one command in a worker."""

# No pathlib: it would slow down the start of workers.

from __future__ import annotations

import os
import sys

from mcp_queue import forked, search_path
from mcp_queue.commands.catalog import registry as catalog
from mcp_queue.commands.definition import FILE_MODULE
from mcp_queue.commands.intake import intake
from mcp_queue.errors import (
    CommandLoadError,
    ModuleMissingError,
    QueueError,
    cause_of,
    interrupts,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from types import ModuleType
    from typing import Any

    from mcp_queue.commands.definition import Definition
    from mcp_queue.commands.info import CommandInfo
    from mcp_queue.commands.plugins import Plugin

NOT_ON_PATH = "not found on the module search path"


def load(spec: str) -> None:
    """Register the commands of ``my_module`` or ``path/to/file.py``, if it is not loaded yet.

    Faulty definitions in it are left out and recorded in ``intake.problems``. Raises
    CommandLoadError, which names file, line and cause, and then registers no command of the
    module. The module may print to stdout, so a server has to redirect stdout before.
    """
    _load_source(_source_of(spec), spec)


def load_entry_points(skip: set[str], allowed: str | Collection[str] = "all") -> list[QueueError]:
    """Load the modules of installed packages that offer commands, except those in ``skip``.

    ``allowed``: the setting ``plugins``. A command whose name is taken is left out. Returns the
    errors, as `load_all` does.
    """
    from mcp_queue.commands import plugins

    earlier = len(intake.problems)
    intake.plugins = plugins.installed()
    intake.problems += plugins.select(intake.plugins, allowed)
    intake.loading_plugins = True
    try:
        for plugin in intake.plugins:
            if plugin.on:
                _load_plugin(plugin, skip)
    finally:
        intake.loading_plugins = False
    return intake.problems[earlier:]


def _load_plugin(plugin: Plugin, skip: set[str]) -> None:
    for module in sorted(set(plugin.modules) - skip):
        if any(
            isinstance(error, CommandLoadError)
            for error in _load_each({module: {"module": module}})
        ):
            plugin.failed.add(module)


def load_all(specs: Iterable[str], entry_points: bool = True) -> list[QueueError]:
    """Load the ``specs``, then the entry points. Returns the errors: modules that could not be
    loaded, and faulty definitions in the others. They are also in ``intake.problems``.

    Commands of ``specs`` win over entry points' commands of the same name. Modules that are nowhere
    else are searched in the working folder. Paths are resolved before anything is loaded, since
    loaded code may change the working folder.
    """
    sources = {spec: _source_of(spec) for spec in specs}
    if any("module" in source and not _is_found(source["module"]) for source in sources.values()):
        search_path.append_working_folder()
    errors = _load_each(sources)
    if entry_points:
        errors += load_entry_points(set(sources))
    return errors


def resolve(source: dict[str, str], name: str) -> CommandInfo:
    """The command ``name`` from its ``CommandInfo.source``, which is loaded if necessary.

    Raises CommandLoadError if the source cannot be loaded, and CommandNotFoundError if it has no
    such command.
    """
    if not source:
        raise CommandLoadError(
            spec=name,
            cause="it was defined in an interactive session or with python -c",
            place="no file to load it from",
        )
    load_source(source)
    return catalog.get(name)


def load_source(source: dict[str, str]) -> None:
    """Load the module or file of a ``CommandInfo.source``. Raises CommandLoadError."""
    # The name of a script that was started may have any ending.
    _load_source(source, _name_of(source), any_name=True)


def resolve_class(source: dict[str, str], path: str) -> Any:
    """The class ``path`` of a source, which is loaded if necessary. The path of a nested class has
    dots.

    Raises CommandLoadError.
    """
    target: Any = _load_source(source, _name_of(source), any_name=True)
    for part in path.split("."):
        target = getattr(target, part, None)
    if not isinstance(target, type):
        place = _name_of(source)
        raise CommandLoadError(spec=place, cause=f"it has no class {path}", place=place)
    return target


def _load_each(sources: dict[str, dict[str, str]]) -> list[QueueError]:
    earlier = len(intake.problems)
    for spec, source in sources.items():
        try:
            _load_source(source, spec)
        except CommandLoadError as error:
            intake.problems.append(error)
    return intake.problems[earlier:]


def _is_found(module: str) -> bool:
    """Whether the module, or its top package, is on the module search path.

    A package without ``__init__.py`` does not count, since it may have further parts elsewhere.
    """
    from importlib.util import find_spec

    try:
        spec = find_spec(module.partition(".")[0])
        return spec is not None and spec.origin is not None
    except (ImportError, ValueError):
        return False


def _is_path(spec: str) -> bool:
    separators = {"/", os.sep, os.altsep or "/"}
    return spec.endswith(".py") or any(separator in spec for separator in separators)


def _source_of(spec: str) -> dict[str, str]:
    if not _is_path(spec):
        return {"module": spec}
    path = os.path.expanduser(spec)
    try:
        return {"file": os.path.abspath(path)}
    except OSError:  # the working folder was removed
        return {"file": path}


def _name_of(source: dict[str, str]) -> str:
    return source.get("file") or source["module"]


def _load_source(source: dict[str, str], spec: str, *, any_name: bool = False) -> ModuleType:
    outer_source, before, process = intake.source, catalog.everything(), os.getpid()
    intake.source = source
    try:
        if "file" in source:
            module = _import_file(source["file"], any_name)
        else:
            module = _import_module(source["module"])
        if os.getpid() != process:
            forked.leave(None)
        return module
    except BaseException as error:  # the module may raise anything
        if os.getpid() != process:
            forked.leave(error)
        _forget_unfinished(before)
        if interrupts(error):
            raise
        raise _load_error(spec, source, error) from error
    finally:
        intake.source = outer_source


def _import_module(name: str) -> ModuleType:
    if name not in sys.modules:
        __import__(name)
    return sys.modules[name]


def _import_file(path: str, any_name: bool) -> ModuleType:
    if not os.path.isfile(path):
        raise FileNotFoundError(_why_no_file(path))
    if not any_name and not path.endswith((".py", ".pyw", ".pyc")):
        raise ImportError("the name of a Python file ends in .py")
    from mcp_queue import files

    return files.load(path)


def _why_no_file(path: str) -> str:
    if os.path.isdir(path):
        return "it is a folder; name a file in it, or a package by its module's name"
    return "it is no regular file" if os.path.exists(path) else "no such file"


def _forget_unfinished(before: set[Definition]) -> None:
    """Remove the definitions of a failed module, but not those of modules that it imported."""
    unfinished: set[Definition] = set()
    for info in catalog.everything() - before:
        module = info.target.__module__
        if module in sys.modules and module.partition(".")[0] in sys.modules:
            info.source = {"module": module}
        else:
            unfinished.add(info)
    catalog.forget(unfinished)


def _load_error(spec: str, source: dict[str, str], error: BaseException) -> CommandLoadError:
    place, cause = _place(source, error), _cause(error)
    if "," in spec and isinstance(error, (FileNotFoundError, ModuleNotFoundError)):
        cause += "; of several sources, give each a --commands of its own"
    if place == NOT_ON_PATH and isinstance(error, ModuleNotFoundError):
        folders = ", ".join(folder or os.getcwd() for folder in sys.path) or "no folder"
        return ModuleMissingError(
            spec=spec, cause=cause, place=place, folders=folders, python=sys.executable
        )
    return CommandLoadError(spec=spec, cause=cause, place=place)


def _cause(error: BaseException) -> str:
    if isinstance(error, QueueError):
        return error.message.rstrip(".")
    if isinstance(error, ImportError) and f"{error.name}.".startswith(FILE_MODULE):
        return f"{error.msg}: a relative import, but no __init__.py stands beside the file"
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return cause_of(error)


def _place(source: dict[str, str], error: BaseException) -> str:
    """File and line of the innermost frame of the author's own code."""
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
        return source.get("file") or NOT_ON_PATH
    folder = os.path.dirname(frames[0][0])
    file, line = [place for place in frames if _is_own(place[0], folder)][-1]
    return f"{file}, line {line}"


def _is_own(file: str, folder: str) -> bool:
    """Whether the file is the author's: in the folder of the file that was loaded, or below it."""
    return file.startswith(folder) and "site-packages" not in file[len(folder) :]


_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
