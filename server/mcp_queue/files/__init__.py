"""Modules that are loaded from files by path, under names that any process can import.

``/home/me/tools.py`` becomes ``mcp_queue.files.tools_1f2e3d4c``. A process that a command starts
(``multiprocessing`` by spawn or forkserver, ``ProcessPoolExecutor``, joblib) gets only the module
search path and names of modules. Importing such a name imports this package, and its finder
searches the folders of the search path for the file with this name. So the process needs no other
information. Standard library only, with few imports at the start.
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
    """The module of the file at this absolute path; the first call executes it.

    A file in a package that imports from that package is loaded as a module of the package. Raises
    ImportError if another package of that name is found first, and every exception of the file.
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
    """The module name of a file that is in no package."""
    from binascii import crc32

    return f"{__name__}.{_stem(path)}_{crc32(os.fsencode(path)):08x}"


def _stem(path: str) -> str:
    stem = os.path.splitext(os.path.basename(path))[0]
    # Old pickle protocols support only ASCII names.
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in stem)


_known: dict[str, str] = {}


class _Finder:
    """Finds the file of a name made by `name_of`."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module of this package; None for all others."""
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
    for folder in reversed(sys.path):  # the folders of authors are at the end
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
