"""One file → facts: what is counted, and that no source is an error."""

from __future__ import annotations

import ast
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_queue_tools.parse import Facts, Import, Symbol, parse_source

EXAMPLE = '''"""What it is for.

More.
"""
import os.path
from . import sibling
from .deep.er import (one, two as three)
from ..above import *

class Base(abc.ABC, metaclass=Meta):
    """ A base. """

    @property
    def first(self): ...

    if True:
        async def second(self):
            def inner(x):
                return x if x else None
            return [y for y in z if y if not y]

    class Nested(Generic[T], Base.Other, key=1): pass

def busy(a, b):
    for x in a:
        while b and x or a:
            try: f()
            except (A, B): pass
            except C: pass
    match a:
        case 1: pass
        case _: lambda: [1 for _ in a]
'''


def facts_of(source: str | bytes, module: str = "pkg.mod", *, is_package: bool = False) -> Facts:
    data = source.encode() if isinstance(source, str) else source
    return parse_source(data, module, is_package=is_package)


def symbol(source: str, name: str) -> Symbol:
    (found,) = [each for each in facts_of(source).symbols if each.name == name]
    return found


def test_every_definition_is_found_with_its_kind_and_its_owners():
    found = {(each.kind, each.qualified) for each in facts_of(EXAMPLE).symbols}
    assert found == {
        ("module", "pkg.mod"),
        ("class", "pkg.mod.Base"),
        ("method", "pkg.mod.Base.first"),
        ("method", "pkg.mod.Base.second"),
        ("function", "pkg.mod.Base.second.inner"),
        ("class", "pkg.mod.Base.Nested"),
        ("function", "pkg.mod.busy"),
    }


def test_a_class_shows_its_bases_its_methods_and_its_docstring():
    base = symbol(EXAMPLE, "Base")
    assert (base.bases, base.methods, base.doc) == (("abc.ABC",), 2, "A base.")
    assert symbol(EXAMPLE, "Nested").bases == ("Generic[T]", "Base.Other")


def test_the_module_has_the_first_line_of_its_docstring():
    assert symbol(EXAMPLE, "mod").doc == "What it is for."


def test_a_decorated_function_stands_on_the_line_of_its_def():
    first = symbol(EXAMPLE, "first")
    assert EXAMPLE.splitlines()[first.line - 1].strip().startswith("def first")


def test_complexity_counts_the_ways_through_a_function_but_not_through_those_inside():
    # One, and: for, while, and, or, two excepts, two cases, a comprehension.
    assert symbol(EXAMPLE, "busy").complexity == 10
    assert symbol(EXAMPLE, "second").complexity == 4
    assert symbol(EXAMPLE, "inner").complexity == 2
    assert symbol(EXAMPLE, "first").complexity == 1


def test_imports_have_full_names():
    assert sorted(facts_of(EXAMPLE).imports) == [
        Import("..above", "*", 8),  # leads out of what is known of the packages
        Import("os.path", "", 5),
        Import("pkg", "sibling", 6),
        Import("pkg.deep.er", "one", 7),
        Import("pkg.deep.er", "two", 7),
    ]


def test_in_a_package_a_dot_is_the_package_itself():
    found = facts_of("from . import x\nfrom .y import z", "pkg.sub", is_package=True).imports
    assert sorted(each.module for each in found) == ["pkg.sub", "pkg.sub.y"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("print 'old'\n", "line 1: Missing parentheses"),
        (b"x = '\xff'\n", "utf-8"),
        (b"# coding: nonsense\n", "encoding"),
        (b"x = 1\0\n", "null byte"),
        ("x = " + "(" * 5000 + ")" * 5000, "parenthes"),
        ("x = " + "-" * 100_000 + "1", ""),
    ],
)
def test_what_python_cannot_parse_is_a_problem_with_its_reason(source: str | bytes, reason: str):
    facts = facts_of(source)
    assert facts.problem
    assert reason in facts.problem
    assert (facts.symbols, facts.imports) == ([], [])


def test_an_encoding_cookie_is_respected():
    facts = facts_of("# -*- coding: latin-1 -*-\nx = 'größe'\n".encode("latin-1"))
    assert facts.problem is None
    assert "größe" in facts.text


def test_lines_are_counted_as_python_counts_them():
    source = b"a = 1\r\nb = '''\x0c\x1c'''\rdef c(): pass"
    facts = facts_of(source)
    (c,) = [each for each in facts.symbols if each.name == "c"]
    assert (c.line, facts.lines) == (3, 3)
    assert facts.text.split("\n")[c.line - 1] == "def c(): pass"
    assert facts_of("").lines == 0


def test_warnings_about_the_source_are_not_ours_to_show():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert facts_of("x = '\\d'; y = 1 is 1\n").problem is None


def test_half_a_surrogate_pair_in_a_docstring_can_be_stored():
    facts_of("'\\ud800 doc'\nclass A(x['\\ud800']): pass\n").symbols[0].doc.encode()


def test_a_deep_expression_is_walked():
    deep = "x = " + "+".join(["a"] * 900) + "\ndef f(): pass\n"
    assert [each.name for each in facts_of(deep).symbols] == ["mod", "f"]


statements = st.recursive(
    st.sampled_from(
        ["pass", "x = [i for i in y if i]", "import a.b", "from c import d", "z and 1"]
    ),
    lambda inner: st.builds(
        lambda head, body: head + "\n" + "\n".join("    " + line for line in body.split("\n")),
        st.sampled_from(
            [
                *("class A(B):", "def f(x=lambda: 1):", "async def g() -> int:"),
                *("if x:", "for a in b:", "while x or y:", "with a as b:"),
                *("@deco\ndef h():", "try: pass\nexcept E:", "match x:\n  case 1: pass\nif z:"),
            ]
        ),
        st.lists(inner, min_size=1, max_size=3).map("\n".join),
    ),
    max_leaves=12,
)


@given(st.lists(statements, max_size=5).map("\n".join))
def test_counts_are_those_of_a_plain_walk(source: str):
    nodes = list(ast.walk(ast.parse(source)))
    kinds = [each.kind for each in facts_of(source).symbols]
    functions = sum(isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)) for n in nodes)
    assert kinds.count("class") == sum(isinstance(n, ast.ClassDef) for n in nodes)
    assert kinds.count("function") + kinds.count("method") == functions
    imported = [
        alias for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom)) for alias in n.names
    ]
    assert len(facts_of(source).imports) == len(imported)


@given(st.binary(max_size=60))
def test_no_bytes_are_an_error(data: bytes):
    facts_of(data).text.encode()
