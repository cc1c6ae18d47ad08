"""The modules of files that are loaded by their path, under names that any process can import.

``/home/me/tools.py`` becomes ``mcp_queue.files.tools_1f2e3d4c``. A process that a command starts
(``multiprocessing`` by spawn or forkserver, ``ProcessPoolExecutor``, joblib) is handed the module
search path and names of modules, no more. Importing such a name imports this package, whose finder
looks through the folders of the search path for the file that has it: nothing else has to be handed
on. Standard library only, and next to nothing at import.
"""

from __future__ import annotations

import os
import sys

from mcp_queue import search_path
from mcp_queue.files import packages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def load(path: str) -> ModuleType:
    """The module of the file at this absolute path, run at the first call.

    A file that belongs to a package, and says so by importing from it, is the package's module;
    raises ImportError if another package of that name is found first. Raises whatever the file
    raises.
    """
    folder = os.path.dirname(path)
    if os.path.isfile(os.path.join(folder, "__init__.py")):
        home = packages.home_of(path)
        if home is not None:
            return packages.load(path, *home)
    name = name_of(path)
    if name not in sys.modules:
        search_path.append(folder)
        _known[name] = path
        __import__(name)
    return sys.modules[name]


def name_of(path: str) -> str:
    """The module's name of a file that stands alone."""
    from binascii import crc32

    return f"{__name__}.{_stem(path)}_{crc32(os.fsencode(path)):08x}"


def _stem(path: str) -> str:
    stem = os.path.splitext(os.path.basename(path))[0]
    # Old forms of pickle write no name that is not ASCII.
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in stem)


_known: dict[str, str] = {}


class _Finder:
    """Finds the file of a name that `name_of` gives."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Of a module that stands in this package; None for all others."""
        if not name.startswith(__name__ + "."):
            return None
        path = _known.get(name) or _search(name)
        if path is None:
            return None
        from importlib.machinery import ModuleSpec, SourceFileLoader, SourcelessFileLoader

        kind = SourcelessFileLoader if path.endswith(".pyc") else SourceFileLoader
        spec = ModuleSpec(name, kind(name, path), origin=path)
        spec.has_location = True
        return spec


def _search(name: str) -> str | None:
    stem = name.removeprefix(__name__ + ".").rpartition("_")[0]
    for folder in reversed(sys.path):  # those of authors come last
        for path in _files_called(stem, folder):
            if name_of(path) == name and os.path.isfile(path):
                return path
    return None


def _files_called(stem: str, folder: str) -> Iterator[str]:
    try:
        names = os.listdir(folder or os.curdir)
    except OSError:
        return
    for name in names:
        if _stem(name) == stem:
            yield os.path.join(folder, name)


sys.meta_path.append(_Finder())
