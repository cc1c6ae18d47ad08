"""Import the SDK's modules without its package files. This saves a fifth of a server's start.

The packages ``mcp`` and ``mcp.server`` import the client, an HTTP stack and cryptography, which a
server over stdio never uses. `install` adds both packages to ``sys.modules`` without executing
them, so that their modules can be imported. The first use of a name that a package exports executes
the package.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType

EAGER = ("mcp", "mcp.server")


class _Package(ModuleType):
    """A package that is executed when one of its names is used."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        self.__class__ = ModuleType  # pyright: ignore[reportAttributeAccessIssue]
        spec = self.__spec__
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(self)
        return getattr(self, name)


def install() -> None:
    """Add the packages. Call this before the first import of the SDK; later it has no effect."""
    for name in EAGER:
        if name in sys.modules:
            continue
        spec = find_spec(name)
        if spec is None:
            continue
        module = module_from_spec(spec)
        module.__class__ = _Package
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
