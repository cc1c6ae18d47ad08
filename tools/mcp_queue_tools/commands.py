"""The definitions of the commands. The other modules of the package do their work."""

from __future__ import annotations

from typing import Literal

from mcp_queue import Job, command


@command(use_queue=True, destructive=False)
def analyze_project(
    root_dir: str, force: bool = False, *, job: Job, **kwargs: object
) -> dict[str, object]:
    """Map a Python project: totals, imports, the most complex functions, the largest modules.
    Do this once before search_classes and search_code, which then beat grep; a repeated call
    reads only what changed.

    Never changes the project. For demonstrations, ``duration`` (seconds) makes the run last at
    least so long and ``steps`` (10 unless given) is the number of progress reports meanwhile.

    Args:
        root_dir: Folder of the project, absolute.
        force: Read unchanged files again, too.
    """
    from mcp_queue_tools.analysis import analyze
    from mcp_queue_tools.pace import read_pace

    return analyze(root_dir, force=force, job=job, pace=read_pace(job, kwargs))


@command(read_only=True)
def search_classes(query: str, root_dir: str | None = None, limit: int = 20) -> dict[str, object]:
    """Find Python classes by name when grep would need the exact spelling: part of a name,
    "base model" or "BM" for BaseModel, package.module.Class. Gives place, bases, first line of
    the docstring, number of methods. Needs analyze_project first.

    Args:
        query: Name, part of a name, its words or its initials.
        root_dir: An analysed project or a folder in one; all analysed projects if left out.
        limit: Most hits to return, at most 200.
    """
    from mcp_queue_tools.search import search_classes as search

    return search(query, root_dir, limit)


@command(read_only=True)
def search_code(
    query: str,
    root_dir: str | None = None,
    kind: Literal["any", "function", "class", "module", "import", "text"] = "any",
    limit: int = 20,
) -> dict[str, object]:
    """Find where Python code is defined, imported or mentioned; unlike grep, definitions come
    first, with signatures, and a line of text comes with the function it stands in. Needs
    analyze_project first.

    Args:
        query: Name, part of a name, its words or its initials; a piece of a line for text.
        root_dir: An analysed project or a folder in one; all analysed projects if left out.
        kind: What to look for: "function" includes methods, "import" finds who imports a module
            or a name, "text" any source line, "any" all of these in this order.
        limit: Most hits to return, at most 200.
    """
    from mcp_queue_tools.search import search_code as search

    return search(query, root_dir, kind, limit)
