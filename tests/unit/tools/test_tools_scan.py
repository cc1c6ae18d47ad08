"""Which files belong to a project, and what they are called."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_queue_tools.errors import FolderNotFoundError
from mcp_queue_tools.scan import Listing, find_root, scan

Project = Callable[[dict[str, str | bytes]], Path]
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")


def scanned(root: Path) -> Listing:
    return scan(find_root(str(root)), lambda: False)


def paths(root: Path) -> list[str]:
    return [file.path for file in scanned(root).files]


def test_only_the_projects_own_python_files_are_found(project: Project):
    root = project(
        {
            "a.py": "",
            "deep/er/b.py": "",
            "c.txt": "",
            ".hidden/x.py": "",
            "__pycache__/x.py": "",
            "node_modules/m/x.py": "",
            "environment/pyvenv.cfg": "",
            "environment/lib/x.py": "",
            "lib/site-packages/p/x.py": "",
        }
    )
    assert paths(root) == ["a.py", "deep/er/b.py"]


def test_a_root_may_lie_where_below_a_root_would_be_skipped(project: Project):
    root = project({".env/site-packages/pkg/__init__.py": "", ".env/pyvenv.cfg": ""})
    assert paths(root / ".env" / "site-packages" / "pkg") == ["__init__.py"]
    assert paths(root / ".env" / "site-packages") == ["pkg/__init__.py"]


def test_modules_have_the_names_under_which_they_are_imported(project: Project):
    root = project(
        {
            "setup.py": "",
            "src/pkg/__init__.py": "",
            "src/pkg/mod.py": "",
            "src/pkg/sub/__init__.py": "",
            "src/pkg/sub/deep.py": "",
            "src/pkg/data/script.py": "",
        }
    )
    names = {file.path: (file.module, file.is_package) for file in scanned(root).files}
    assert names == {
        "setup.py": ("setup", False),
        "src/pkg/__init__.py": ("pkg", True),
        "src/pkg/mod.py": ("pkg.mod", False),
        "src/pkg/sub/__init__.py": ("pkg.sub", True),
        "src/pkg/sub/deep.py": ("pkg.sub.deep", False),
        "src/pkg/data/script.py": ("script", False),
    }
    inside = {file.module for file in scanned(root / "src" / "pkg" / "sub").files}
    assert inside == {"pkg.sub", "pkg.sub.deep"}


@posix
def test_links_to_folders_are_not_followed_and_links_to_files_are(project: Project):
    root = project({"pkg/a.py": ""})
    (root / "pkg" / "loop").symlink_to(root)
    (root / "pkg" / "b.py").symlink_to(root / "pkg" / "a.py")
    (root / "pkg" / "folder.py").symlink_to(root)
    assert paths(root) == ["pkg/a.py", "pkg/b.py"]


@posix
def test_links_that_lead_out_are_problems(project: Project, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.py").write_text("KEY = 1")
    root = project({"a.py": "", "deep/b.py": ""})
    (root / "key.py").symlink_to(secret / "key.py")
    (root / "deep" / "key.py").symlink_to("../../secret/key.py")
    (root / "folder").symlink_to(secret)
    (root / "node_modules").symlink_to(secret)
    assert paths(root) == ["a.py", "deep/b.py"]
    problems = {problem.path: problem.reason for problem in scanned(root).problems}
    assert problems.keys() == {"key.py", "deep/key.py", "folder"}
    assert set(problems.values()) == {"a link leads out of the folder"}


@posix
def test_a_root_may_be_a_link(project: Project, tmp_path: Path):
    (tmp_path / "link").symlink_to(project({"a.py": ""}))
    assert paths(tmp_path / "link") == ["a.py"]


@posix
def test_what_cannot_be_read_is_a_problem(project: Project):
    assert sys.platform != "win32"  # for the type checker
    root = project({"a.py": ""})
    (root / "broken.py").symlink_to(root / "nowhere")
    (root / "self.py").symlink_to(root / "self.py")
    os.mkfifo(root / "pipe.py")
    problems = {problem.path: problem.reason for problem in scanned(root).problems}
    assert problems.keys() == {"broken.py", "self.py", "pipe.py"}
    assert "No such file" in problems["broken.py"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are always text")
def test_a_name_that_is_not_text_is_a_problem_that_json_can_carry(project: Project):
    root = project({"a.py": ""})
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.py")).touch()
    ((path, _),) = scanned(root).problems
    assert path == "\\udcff.py"


def test_a_closed_folder_is_a_problem(project: Project, monkeypatch: pytest.MonkeyPatch):
    root = project({"a.py": "", "closed/b.py": ""})
    open_folder = os.scandir

    def refuse(folder: str | int) -> object:
        if os.path.samestat(os.stat(folder), (root / "closed").stat()):
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_folder(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = scanned(root)
    assert [file.path for file in listing.files] == ["a.py"]
    assert listing.problems == [("closed/", "Permission denied")]


def test_a_stop_ends_the_scan(project: Project):
    listing = scan(project({"a.py": ""}), lambda: True)
    assert (listing.files, listing.complete) == ([], False)


@pytest.mark.parametrize("folder", ["/no/such/folder", "", "\0", __file__])
def test_a_root_that_is_no_folder_is_an_error_that_names_it(folder: str):
    if folder == "":
        folder = "~nobody-of-this-name/x"
    with pytest.raises(FolderNotFoundError) as raised:
        find_root(folder)
    assert repr(folder) in raised.value.message
    assert "root_dir" in raised.value.hint
