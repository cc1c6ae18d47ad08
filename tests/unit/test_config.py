"""Settings: three sources, later wins, and nothing wrong passes in silence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_queue.config import KINDS, RESERVED, Settings, load_settings, read_settings
from mcp_queue.errors import ConfigurationError

KEYS = list(KINDS)
TABLE = Path(__file__).parents[2] / "docs" / "configuration.md"


def write(folder: Path, content: object) -> str:
    file = folder / "config.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(file)


def one_error(file: str | None, environ: dict[str, str], **flags: object) -> ConfigurationError:
    settings, errors = read_settings(file, environ, flags)
    assert settings == Settings(), "a key with a bad value keeps its default"
    assert len(errors) == 1
    with pytest.raises(ConfigurationError) as raised:
        load_settings(file, environ, flags)
    assert raised.value.to_dict() == errors[0].to_dict()
    return errors[0]


def test_without_any_source_every_key_has_its_default():
    assert load_settings(None, {"PATH": "/bin"}, {}) == Settings()


def test_settings_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Settings().enabled = False  # pyright: ignore[reportAttributeAccessIssue]


def test_environment_wins_over_file_and_flags_win_over_both(tmp_path: Path):
    section = {"niceness": 1, "max_concurrent_jobs": 2, "shutdown_timeout": 3}
    file = write(tmp_path, {"queue_manager": section})
    environ = {"MCP_QUEUE_NICENESS": "11", "MCP_QUEUE_MAX_CONCURRENT_JOBS": "12"}
    settings = load_settings(file, environ, {"niceness": 19})
    assert (settings.niceness, settings.max_concurrent_jobs) == (19, 12)
    assert settings.shutdown_timeout == 3.0


def test_every_key_is_read_from_every_source(tmp_path: Path):
    given: dict[str, Any] = {
        "enabled": False,
        "in_memory": False,
        "registry_path": str(tmp_path / "r.db"),
        "shutdown_timeout": 1.5,
        "max_concurrent_jobs": 3,
        "max_queue_size": 20,
        "queue_full_policy": "reject",
        "per_job_type_limits": {"train": 2, "My.Job": 1},
        "completed_job_retention_seconds": 0.0,
        "max_inline_result": 100,
        "stop_grace_seconds": 0.0,
        "default_timeout_seconds": 60.0,
        "default_memory_limit": 2**20,
        "retry_backoff_seconds": 0.5,
        "log_cap_bytes": 100_000,
        "artifact_cap_bytes": 100_001,
        "disk_cap_bytes": 1 << 21,
        "queue_destructive_by_name": True,
        "supervisor_linger_seconds": 1.0,
        "niceness": 0,
        "commands": ["first", str(tmp_path / "second.py")],
        "plugins": ["mcp-queue", "other"],
    }
    assert list(given) == KEYS
    beside = {key: given[key] for key in ("commands", "plugins")}
    expected = Settings(**{**given, **{key: tuple(value) for key, value in beside.items()}})
    section = {key: value for key, value in given.items() if key not in beside}
    file = write(tmp_path, {"queue_manager": section, **beside})
    texts = {key: str(value) for key, value in section.items()}
    texts["per_job_type_limits"] = json.dumps(section["per_job_type_limits"])
    texts |= {key: ",".join(value) for key, value in beside.items()}
    environ = {f"MCP_QUEUE_{key.upper()}": text for key, text in texts.items()}
    assert load_settings(file, {}, {}) == expected
    assert load_settings(None, {"MCP_QUEUE_CONFIG": file}, {}) == expected
    assert load_settings(None, environ, {}) == expected
    assert load_settings(None, {}, given) == expected
    assert load_settings(None, {}, texts) == expected


@pytest.mark.parametrize(("text", "value"), [("True", True), ("YES", True), ("1", True)])
def test_words_that_switch_on(text: str, value: bool):
    assert load_settings(None, {"MCP_QUEUE_ENABLED": text}, {}).enabled is value


@pytest.mark.parametrize("text", ["false", "No", "0"])
def test_words_that_switch_off(text: str):
    assert load_settings(None, {"MCP_QUEUE_ENABLED": text}, {}).enabled is False


def test_null_is_the_absence_of_a_value(tmp_path: Path):
    section = {
        "registry_path": "r.db",
        "default_timeout_seconds": 5,
        "max_queue_size": 5,
        "per_job_type_limits": {"train": 5},
    }
    file = write(tmp_path, {"queue_manager": section})
    environ = {f"MCP_QUEUE_{key.upper()}": "null" for key in section}
    assert load_settings(file, environ, {}) == Settings()


def test_an_empty_variable_and_an_absent_flag_count_as_not_given():
    assert load_settings(None, {"MCP_QUEUE_ENABLED": ""}, {"niceness": None}) == Settings()


@pytest.mark.parametrize("name", sorted(RESERVED - {"CONFIG"}))
def test_reserved_variables_are_no_settings(name: str):
    assert load_settings(None, {f"MCP_QUEUE_{name}": "x"}, {}) == Settings()


@pytest.mark.parametrize("separator", [",", os.pathsep])
def test_commands_in_the_environment(separator: str):
    environ = {"MCP_QUEUE_COMMANDS": f"first{separator} second.py {separator}"}
    assert load_settings(None, environ, {}).commands == ("first", "second.py")


def test_commands_of_the_environment_are_not_divided_within_a_file(tmp_path: Path):
    files: list[str] = []
    for name in ("Smith, John", f"a{os.pathsep}b", "[list]"):
        (tmp_path / name).mkdir()
        files.append(str(tmp_path / name / "cmds.py"))
        (tmp_path / name / "cmds.py").touch()
    for value, expected in (
        *((file, (file,)) for file in files),
        (f"module{os.pathsep}{files[0]}", ("module", files[0])),
        (json.dumps([*files, "module"]), (*files, "module")),
    ):
        settings = load_settings(None, {"MCP_QUEUE_COMMANDS": value}, {})
        assert settings.commands == expected


@pytest.mark.parametrize("value", ["[", '["a", 1]', "[]x"])
def test_a_bad_list_of_commands_in_the_environment(value: str):
    assert "a list of modules" in one_error(None, {"MCP_QUEUE_COMMANDS": value}).message


def test_a_flag_of_commands_is_not_divided():
    settings = load_settings(None, {}, {"commands": ["a,b.py", "c:d.py"]})
    assert settings.commands == ("a,b.py", "c:d.py")


def test_relative_paths_in_the_file_start_at_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    content = {
        "queue_manager": {"registry_path": "jobs/r.db"},
        "commands": ["own.py", "package.module"],
    }
    settings = load_settings(write(tmp_path, content), {}, {})
    assert settings.registry_file == tmp_path / "jobs" / "r.db"
    assert settings.commands == (str(tmp_path / "own.py"), "package.module")


def test_other_relative_paths_start_at_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    settings = load_settings(None, {"MCP_QUEUE_REGISTRY_PATH": "r.db"}, {})
    assert settings.registry_file == tmp_path / "r.db"


def test_the_registry_lies_in_the_users_data_folder_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    in_data_folder = Settings(in_memory=False).registry_file
    assert (in_data_folder.name, in_data_folder.parent.name) == ("registry.db", "mcp-queue")
    at_home = Settings(in_memory=False, registry_path=os.path.join("~", "r.db"))
    assert at_home.registry_file == tmp_path / "r.db"
    nobody = Settings(in_memory=False, registry_path="~no-such-user/r.db")
    assert nobody.registry_file == Path.cwd() / "~no-such-user" / "r.db"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("enabled", "maybe"),
        ("enabled", 1),
        ("in_memory", None),
        ("registry_path", 7),
        ("registry_path", ""),
        ("registry_path", "a\0b"),
        ("shutdown_timeout", 0),
        ("shutdown_timeout", float("nan")),
        ("shutdown_timeout", float("inf")),
        ("shutdown_timeout", True),
        ("shutdown_timeout", 10**400),
        ("max_concurrent_jobs", 0),
        ("max_concurrent_jobs", 1001),
        ("max_concurrent_jobs", 2.5),
        ("max_concurrent_jobs", True),
        ("max_queue_size", 0),
        ("max_queue_size", True),
        ("queue_full_policy", "drop"),
        ("queue_full_policy", None),
        ("queue_full_policy", ["reject"]),
        ("per_job_type_limits", 3),
        ("per_job_type_limits", {"train": 0}),
        ("per_job_type_limits", {"train": None}),
        ("per_job_type_limits", {"": 1}),
        ("completed_job_retention_seconds", -1),
        ("completed_job_retention_seconds", None),
        ("max_inline_result", -1),
        ("stop_grace_seconds", -0.1),
        ("default_timeout_seconds", 0),
        ("default_timeout_seconds", [1]),
        ("niceness", -1),
        ("niceness", 20),
        ("niceness", {"is": "no number"}),
    ],
)
def test_a_bad_value_is_named_with_key_value_source_and_what_is_allowed(
    tmp_path: Path, key: str, value: object
):
    file = write(tmp_path, {"queue_manager": {key: value}})
    error = one_error(file, {})
    allowed = KINDS[key].allowed.replace("`", "")
    for part in (repr(key), file, f"expected {allowed}"):
        assert part in error.message
    shown = json.dumps(value)[:200]  # as it stands in the file
    assert shown in error.message
    assert "serves in its place" in error.hint


def test_a_bad_flag_and_a_bad_variable_name_their_source():
    assert "flag --max-concurrent-jobs" in one_error(None, {}, max_concurrent_jobs="0").message
    error = one_error(None, {"MCP_QUEUE_NICENESS": "nice"})
    assert "environment variable MCP_QUEUE_NICENESS" in error.message
    assert 'got "nice"' in error.message


def test_a_bad_value_leaves_the_value_of_the_source_before(tmp_path: Path):
    file = write(tmp_path, {"queue_manager": {"niceness": 5}})
    settings, errors = read_settings(file, {"MCP_QUEUE_NICENESS": "99"}, {})
    assert settings.niceness == 5
    assert errors[0].hint == "Correct it or leave it out; 5 serves in its place."


@pytest.mark.parametrize("value", ["all", "none", ["a", "b-c"], []])
def test_plugins_in_the_file(tmp_path: Path, value: str | list[str]):
    expected = value if isinstance(value, str) else tuple(value)
    assert load_settings(write(tmp_path, {"plugins": value}), {}, {}).plugins == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("ALL", "all"), (" none ", "none"), ("a", ("a",)), (" a, B_c ", ("a", "B_c"))),
        *(('["a", "all"]', ("a", "all")), ("[]", ())),
    ],
)
def test_plugins_in_the_environment(text: str, expected: object):
    assert load_settings(None, {"MCP_QUEUE_PLUGINS": text}, {}).plugins == expected


@pytest.mark.parametrize("value", ["some", [1], [""], {"a": 1}, None, True])
def test_bad_plugins_in_the_file(tmp_path: Path, value: object):
    error = one_error(write(tmp_path, {"plugins": value}), {})
    assert "'plugins'" in error.message
    assert "names of packages" in error.message


@pytest.mark.parametrize("commands", ["module", [1], [""], {"a": 1}, None])
def test_bad_commands_in_the_file(tmp_path: Path, commands: object):
    error = one_error(write(tmp_path, {"commands": commands}), {})
    assert "'commands'" in error.message


def test_an_unknown_key_names_near_ones(tmp_path: Path):
    error = one_error(write(tmp_path, {"queue_manager": {"max_concurent_jobs": 3}}), {})
    assert "'max_concurent_jobs'" in error.message
    assert error.hint.startswith("Did you mean max_concurrent_jobs")
    error = one_error(None, {"MCP_QUEUE_IN_MEMMORY": "1"})
    assert "MCP_QUEUE_IN_MEMMORY" in error.message
    assert error.hint == "Did you mean MCP_QUEUE_IN_MEMORY?"
    assert one_error(None, {}, nicenes=1).hint == "Did you mean niceness?"


def test_an_unknown_key_without_near_ones_names_all(tmp_path: Path):
    error = one_error(write(tmp_path, {"zzz": {}}), {})
    assert error.hint == "Known: commands, plugins, queue_manager."


def test_keys_stand_where_they_belong(tmp_path: Path):
    assert (
        "'commands'" in one_error(write(tmp_path, {"queue_manager": {"commands": []}}), {}).message
    )
    assert "'niceness'" in one_error(write(tmp_path, {"niceness": 3}), {}).message
    assert "'queue_manager'" in one_error(write(tmp_path, {"queue_manager": []}), {}).message


def test_everything_wrong_is_reported_and_the_rest_serves(tmp_path: Path):
    content = {"queue_manager": {"niceness": 99, "unknown": 1, "in_memory": False}, "other": 2}
    environ = {"MCP_QUEUE_ENABLED": "perhaps", "MCP_QUEUE_MAX_CONCURRENT_JOBS": "7"}
    settings, errors = read_settings(write(tmp_path, content), environ, {"shutdown_timeout": -1})
    assert settings == Settings(in_memory=False, max_concurrent_jobs=7)
    wrong = [error.details["key"] for error in errors]
    assert wrong == ["other", "niceness", "unknown", "enabled", "shutdown_timeout"]


@pytest.mark.parametrize("content", ["{", "[1]", "[" * 100_000, '"text"', "\ufeff"])
def test_a_file_that_is_no_json_object(tmp_path: Path, content: str):
    file = write(tmp_path, content)
    error = one_error(file, {})
    assert error.details["key"] == "config"
    assert file in error.message
    assert "queue_manager" in error.hint


def test_a_file_that_cannot_be_read(tmp_path: Path):
    missing = str(tmp_path / "missing.json")
    error = one_error(missing, {})
    assert missing in error.message
    assert "flag --config" in error.message
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    assert "not JSON" in one_error(str(binary), {}).message
    error = one_error(None, {"MCP_QUEUE_CONFIG": missing})
    assert "environment variable MCP_QUEUE_CONFIG" in error.message


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path):
    file = write(tmp_path, '\ufeff{"queue_manager": {"niceness": 4}}')
    assert load_settings(file, {}, {}).niceness == 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(key=st.sampled_from(KEYS), value=JSON)
def test_any_value_is_either_taken_as_it_is_or_an_error(key: str, value: object):
    settings, errors = read_settings(None, {}, {key: value})
    if errors:
        assert settings == Settings()
        assert errors[0].details["key"] == key
    elif value is not None and not isinstance(value, str):
        taken = getattr(settings, key)
        assert (list(taken) if isinstance(taken, tuple) else taken) == (
            [name.strip() for name in value] if isinstance(value, list) else value
        )


@given(name=st.text(), text=st.text())
def test_no_variable_of_ours_passes_in_silence(name: str, text: str):
    settings, errors = read_settings(None, {f"MCP_QUEUE_{name}": text}, {})
    if name not in RESERVED and name.lower() not in KEYS:
        assert len(errors) == 1
        assert settings == Settings()


def test_a_long_value_is_shortened_in_the_message():
    error = one_error(None, {"MCP_QUEUE_NICENESS": "9" * 10_000})
    assert len(error.message) < 500


def test_the_documented_table_is_the_truth():
    rows = [line.strip("| ").split(" | ") for line in TABLE.read_text().splitlines() if "|" in line]
    documented = {row[0].strip("`"): row for row in rows if row[0].startswith("`")}
    assert list(documented) == KEYS
    assert {key.name for key in fields(Settings)} == set(KEYS)
    for key in fields(Settings):
        _, default, allowed, meaning = documented[key.name]
        assert json.loads(default.strip("`")) == json.loads(json.dumps(key.default))
        assert allowed == KINDS[key.name].allowed
        assert meaning.endswith(".")


def test_reading_settings_needs_no_pydantic():
    code = (
        "import sys; from mcp_queue.config import read_settings; read_settings(None, {}, {});"
        "print(sorted({'pydantic', 'mcp', 'json', 'platformdirs'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
