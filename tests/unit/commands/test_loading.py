"""Commands from modules, files and entry points, and what is said of those that fail."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from mcp_queue.commands import loading
from mcp_queue.commands.catalog import registry
from mcp_queue.commands.intake import intake
from mcp_queue.commands.plugins import ENTRY_POINT_GROUP
from mcp_queue.commands.schema import schema_of
from mcp_queue.errors import CommandLoadError, CommandNotFoundError

COMMAND = """
from mcp_queue.commands.command import command

@command
def {name}():
    return "{name} of " + __name__
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the module search path."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def entry_points_are(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    points = EntryPoints(
        EntryPoint(f"p{i}", value, ENTRY_POINT_GROUP) for i, value in enumerate(values)
    )
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda *, group: points.select(group=group)
    )


def failure(spec: str) -> CommandLoadError:
    with pytest.raises(CommandLoadError) as caught:
        loading.load(spec)
    return caught.value


def test_a_module_is_loaded_by_its_name(modules: Path) -> None:
    write(modules / "authored_a.py", COMMAND.format(name="one"))
    loading.load("authored_a")
    assert registry.get("one").source == {"module": "authored_a"}
    assert intake.source is None


def test_a_package_answers_for_its_submodules(modules: Path) -> None:
    write(modules / "authored_p/__init__.py", "import authored_p.sub")
    write(modules / "authored_p/sub.py", COMMAND.format(name="one"))
    loading.load("authored_p")
    assert registry.get("one").source == {"module": "authored_p"}


def test_a_file_is_loaded_by_its_path(tmp_path: Path) -> None:
    file = write(tmp_path / "my-tools.v2.py", COMMAND.format(name="one"))
    loading.load(str(file))
    info = registry.get("one")
    assert info.source == {"file": str(file)}
    assert info.target.__module__.startswith("mcp_queue.files.my_tools_v2_")
    assert sys.modules[info.target.__module__].__file__ == str(file)


def test_a_relative_path_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "tools.py", COMMAND.format(name="one"))
    monkeypatch.chdir(tmp_path)
    loading.load("tools.py")
    assert registry.get("one").source == {"file": str(tmp_path / "tools.py")}


def test_two_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    for name in ("one", "two"):
        loading.load(str(write(tmp_path / name / "tools.py", COMMAND.format(name=name))))
    assert registry.names() == ["one", "two"]


def test_a_file_may_import_its_siblings(tmp_path: Path) -> None:
    write(tmp_path / "authored_sibling.py", COMMAND.format(name="from_sibling"))
    file = write(tmp_path / "tools.py", "import authored_sibling\n" + COMMAND.format(name="one"))
    loading.load(str(file))
    assert registry.get("from_sibling").source == {"file": str(file)}
    assert sys.path[-1] == str(tmp_path)


def test_loading_twice_is_no_error(tmp_path: Path) -> None:
    file = str(write(tmp_path / "tools.py", COMMAND.format(name="one")))
    loading.load(file)
    first = registry.get("one")
    loading.load(file)
    assert registry.get("one") is first


def test_an_exception_is_named_with_file_line_and_cause(tmp_path: Path) -> None:
    file = write(tmp_path / "tools.py", "\ndef setup():\n    return 1 / 0\n\nsetup()\n")
    assert failure(str(file)).to_dict() == {
        "code": "import_error",
        "message": f"Cannot load commands from {str(file)!r}: "
        f"ZeroDivisionError: division by zero ({file}, line 3).",
        "hint": CommandLoadError.hint,
    }


def test_the_place_is_in_the_authors_code_not_in_a_library(tmp_path: Path) -> None:
    file = write(tmp_path / "tools.py", "import json\n\njson.loads('{')\n")
    error = failure(str(file))
    assert error.details["place"] == f"{file}, line 3"
    assert "JSONDecodeError" in str(error)


def test_an_installed_library_is_not_the_authors_code_either(tmp_path: Path) -> None:
    library = tmp_path / ".venv/site-packages/authored_library.py"
    write(library, "def fail():\n    raise OSError('no GPU')\n")
    file = write(
        tmp_path / "tools.py",
        f"import sys\nsys.path.insert(0, {str(library.parent)!r})\n"
        "import authored_library\nauthored_library.fail()\n",
    )
    assert failure(str(file)).details["place"] == f"{file}, line 4"


def test_a_failing_sibling_is_the_place(tmp_path: Path) -> None:
    sibling = write(tmp_path / "authored_sibling.py", "x = 1\nraise RuntimeError\n")
    file = write(tmp_path / "tools.py", "import authored_sibling\n")
    error = failure(str(file))
    assert error.details["place"] == f"{sibling}, line 2"
    assert error.details["cause"] == "RuntimeError"


def test_a_syntax_error_is_named_with_its_own_line(tmp_path: Path, modules: Path) -> None:
    for spec, file in (
        (str(tmp_path / "tools.py"), tmp_path / "tools.py"),
        ("authored_broken", modules / "authored_broken.py"),
    ):
        write(file, "x = 1\ny = (\n")
        error = failure(spec)
        assert error.details["place"] == f"{file}, line 2"
        assert error.details["cause"] == "SyntaxError: '(' was never closed"


def test_a_module_that_is_missing(modules: Path) -> None:
    error = failure("authored_nowhere")
    assert "No module named 'authored_nowhere'" in str(error)
    assert error.details["place"] == "not found on the module search path"
    assert str(modules) in error.hint
    assert "./authored_nowhere.py" in error.hint


def test_an_import_that_is_missing(modules: Path) -> None:
    file = write(modules / "authored_a.py", "\nimport authored_nowhere\n")
    error = failure("authored_a")
    assert "No module named 'authored_nowhere'" in str(error)
    assert error.details["place"] == f"{file}, line 2"


@pytest.mark.parametrize("spec", ["", "..", "a b", "x\0y"])
def test_what_names_no_module(spec: str) -> None:
    assert failure(spec).code == "import_error"


def test_a_file_that_is_missing_or_a_folder(tmp_path: Path) -> None:
    assert "no such file" in str(failure(str(tmp_path / "nowhere.py")))
    assert "a folder" in str(failure(str(tmp_path)))


def test_a_file_that_is_no_python(tmp_path: Path) -> None:
    file = write(tmp_path / "tools.txt", "x = 1\n")
    assert "ends in .py" in str(failure(str(file)))


def test_a_module_that_exits(tmp_path: Path) -> None:
    file = write(tmp_path / "tools.py", "import sys\nsys.exit(2)\n")
    error = failure(str(file))
    assert (error.details["cause"], error.details["place"]) == ("SystemExit: 2", f"{file}, line 2")


def test_a_wrong_definition_is_noted_with_its_place_and_the_rest_is_taken_in(
    tmp_path: Path,
) -> None:
    text = COMMAND.format(name="one").replace("@command", "@command(timeout=-1)")
    file = write(tmp_path / "tools.py", text + COMMAND.format(name="two"))
    (error,) = loading.load_all([str(file)], entry_points=False)
    assert intake.problems == [error]
    assert error.code == "invalid_command"
    assert "timeout is a positive number" in str(error)
    assert error.place == f"{file}, line 4"
    assert error.text.startswith(f"{file}, line 4: 'one' is not well defined: ")
    assert registry.names() == ["two"]


def test_a_duplicate_is_noted_naming_both(tmp_path: Path) -> None:
    first = write(tmp_path / "a.py", COMMAND.format(name="one"))
    second = write(tmp_path / "b.py", COMMAND.format(name="one") + COMMAND.format(name="two"))
    loading.load(str(first))
    (error,) = loading.load_all([str(second)], entry_points=False)
    assert f"{first}, line 4" in str(error)
    assert f"{second}, line 4" in str(error)
    assert error.place == f"{second}, line 4"
    assert registry.get("one").source == {"file": str(first)}
    assert registry.names() == ["one", "two"]


def test_a_module_that_fails_leaves_none_of_its_commands(tmp_path: Path) -> None:
    failing = COMMAND.format(name="one") + "\nraise RuntimeError('late')\n"
    failure(str(write(tmp_path / "tools.py", failing)))
    assert registry.names() == []
    assert intake.source is None


def test_what_a_failed_module_imported_stays_and_is_found(tmp_path: Path) -> None:
    write(tmp_path / "authored_sibling.py", COMMAND.format(name="fine"))
    failing = "import authored_sibling\n" + COMMAND.format(name="one") + "\n1 / 0\n"
    failure(str(write(tmp_path / "tools.py", failing)))
    assert registry.names() == ["fine"]
    assert registry.get("fine").source == {"module": "authored_sibling"}


def test_load_all_loads_what_can_be_loaded(
    tmp_path: Path, modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_points_are(monkeypatch, "authored_e", "authored_gone", "not a module!")
    write(modules / "authored_e.py", COMMAND.format(name="from_entry_point"))
    broken = str(write(tmp_path / "broken.py", "1 / 0\n"))
    good = str(write(tmp_path / "good.py", COMMAND.format(name="one")))
    errors = loading.load_all([broken, good, good])
    assert [error.details["spec"] for error in errors] == [
        broken,
        "authored_gone",
        "not a module!",
    ]
    assert registry.names() == ["from_entry_point", "one"]


def test_entry_points_can_be_left_out(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry_points_are(monkeypatch, "authored_e")
    write(modules / "authored_e.py", COMMAND.format(name="one"))
    assert loading.load_all([], entry_points=False) == []
    assert loading.load_entry_points({"authored_e"}) == []
    assert registry.names() == []


def test_what_is_named_wins_over_an_entry_point(
    tmp_path: Path, modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_points_are(monkeypatch, "authored_e:main [extra]")
    text = COMMAND.format(name="one") + COMMAND.format(name="two")
    write(modules / "authored_e.py", text)
    file = str(write(tmp_path / "tools.py", COMMAND.format(name="one")))
    assert loading.load_all([file]) == []
    assert registry.get("one").source == {"file": file}
    assert registry.get("two").source == {"module": "authored_e"}
    assert not intake.loading_plugins


def test_two_entry_points_of_one_name_are_reported(
    modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_points_are(monkeypatch, "authored_e", "authored_f")
    for name in ("authored_e", "authored_f"):
        write(modules / f"{name}.py", COMMAND.format(name="one"))
    (error,) = loading.load_all([])
    assert "Two commands are named 'one'" in str(error)


def test_resolve_finds_a_command_again(tmp_path: Path, modules: Path) -> None:
    file = str(write(tmp_path / "tools.py", COMMAND.format(name="one")))
    write(modules / "authored_a.py", COMMAND.format(name="two"))
    assert loading.resolve({"file": file}, "one").target().startswith("one of mcp_queue.files")
    assert loading.resolve({"module": "authored_a"}, "two").target() == "two of authored_a"


def test_resolve_says_why_it_cannot(tmp_path: Path) -> None:
    file = str(write(tmp_path / "tools.py", COMMAND.format(name="one")))
    with pytest.raises(CommandNotFoundError, match=r"'ones'.*'one'"):
        loading.resolve({"file": file}, "ones")
    with pytest.raises(CommandLoadError, match="no such file"):
        loading.resolve({"file": str(tmp_path / "gone.py")}, "one")
    with pytest.raises(CommandLoadError, match="interactive session"):
        loading.resolve({}, "one")


JOBS = """
from mcp_queue import QueueJobBase
print("loaded as", __name__)

class Top(QueueJobBase):
    class Nested(QueueJobBase):
        pass
"""


def test_a_class_is_found_by_the_path_of_its_module(tmp_path: Path, modules: Path) -> None:
    write(modules / "authored_jobs.py", JOBS)
    found = loading.resolve_class({"module": "authored_jobs"}, "Top.Nested")
    assert (found.__module__, found.__qualname__) == ("authored_jobs", "Top.Nested")


@pytest.mark.parametrize("name", ["script.py", "script"])
def test_a_script_is_loaded_once_under_another_name(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = {"file": str(write(tmp_path / name, JOBS))}
    found = loading.resolve_class(source, "Top")
    assert loading.resolve_class(source, "Top") is found
    assert capsys.readouterr().out.startswith("loaded as mcp_queue.files.script_")
    assert sys.modules[found.__module__].Top is found


@pytest.mark.parametrize("path", ["Missing", "Top.Missing", "JOBS", "Top.run"])
def test_a_class_that_is_gone_is_named(tmp_path: Path, path: str) -> None:
    source = {"file": str(write(tmp_path / "script.py", JOBS))}
    with pytest.raises(CommandLoadError, match=f"it has no class {path}"):
        loading.resolve_class(source, path)


def test_paths_are_those_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, elsewhere = tmp_path / "start", tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(start / "a.py", f"import os\nos.chdir({str(elsewhere)!r})\n")
    write(start / "b.py", COMMAND.format(name="two"))
    write(start / "authored_c.py", COMMAND.format(name="three"))
    monkeypatch.chdir(start)
    errors = loading.load_all(["./a.py", "b.py", "authored_c"], entry_points=False)
    assert (errors, registry.names()) == ([], ["three", "two"])
    assert registry.get("two").source == {"file": str(start / "b.py")}


def test_a_relative_import_outside_of_a_package_is_explained(tmp_path: Path) -> None:
    write(tmp_path / "authored_sibling.py", "x = 1\n")
    file = write(tmp_path / "tools.py", "\nfrom . import authored_sibling\n")
    error = failure(str(file))
    assert "no __init__.py stands beside the file" in str(error)
    assert error.details["place"] == f"{file}, line 2"
    file = write(tmp_path / "more.py", "from .authored_sibling import x\n")
    assert "no __init__.py stands beside the file" in str(failure(str(file)))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from . import helper", "authored_pack.tools"),
        ("import os; from.helper import x", "authored_pack.tools"),
        ("try:\n    from authored_pack.helper import x\nfinally: pass", "authored_pack.tools"),
        ("import authored_pack.helper", "authored_pack.tools"),
        ("import helper", "mcp_queue.files.tools_"),
        ("from authored_pack_of_others import x", "mcp_queue.files.tools_"),
    ],
)
def test_what_imports_from_its_package_is_its_module(
    tmp_path: Path, modules: Path, text: str, name: str
) -> None:
    write(tmp_path / "authored_pack/__init__.py", "")
    write(tmp_path / "authored_pack/helper.py", "x = 1\n")
    write(modules / "authored_pack_of_others.py", "x = 1\n")
    file = write(tmp_path / "authored_pack/tools.py", text + COMMAND.format(name="one"))
    loading.load(str(file))
    info = registry.get("one")
    assert info.target.__module__.startswith(name)
    assert info.source == {"file": str(file)}
    assert loading.resolve(info.source, "one") is info
    sys.modules.pop("helper", None)


def test_the_init_file_of_a_package_is_the_package(tmp_path: Path) -> None:
    file = write(
        tmp_path / "authored_whole/__init__.py", "from . import sub" + COMMAND.format(name="one")
    )
    write(tmp_path / "authored_whole/sub.py", "")
    loading.load(str(file))
    assert registry.get("one").target.__module__ == "authored_whole"


def test_a_package_that_is_found_elsewhere_first(tmp_path: Path, modules: Path) -> None:
    first = write(modules / "authored_twice/__init__.py", "raise AssertionError('must not run')")
    second = write(tmp_path / "authored_twice/__init__.py", "")
    file = write(tmp_path / "authored_twice/tools.py", "from . import helper\n")
    error = str(failure(str(file)))
    assert str(first) in error
    assert str(second) in error


def test_several_files_in_one_value_are_explained(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, "") for name in ("a.py", "b.py"))
    for spec in (f"{first},{second}", "authored_a,authored_b"):
        assert "give each a --commands of its own" in str(failure(spec))


def test_an_authors_class_may_be_called_like_ours(tmp_path: Path) -> None:
    text = (
        "from mcp_queue import command\nimport enum\nclass QueueManager(enum.Enum):\n    A = 'a'\n"
        "@command\ndef one(which: QueueManager): return which.value\n"
    )
    loading.load(str(write(tmp_path / "tools.py", text)))
    assert "which" in schema_of(registry.get("one")).input_schema["properties"]
