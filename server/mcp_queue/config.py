"""Settings, read from a JSON file, the environment and flags. A later source wins.

Each key is a field of ``Settings``; ``KINDS`` defines the values that it takes. A wrong value or an
unknown key gives a ``ConfigurationError``, which names the key, the value, its source and the
allowed values. The key keeps the value of the earlier source, so that a server can report the error
and serve with the other settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from mcp_queue import setting_kinds as kinds
from mcp_queue.errors import ConfigurationError
from mcp_queue.jobs.shared_settings import MOST_JOBS, SharedSettings
from mcp_queue.system import data_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

T = TypeVar("T")

PREFIX = "MCP_QUEUE_"
RESERVED = frozenset(
    {
        "RUN",
        "CONFIG",
        "HTTP_TOKEN",
        "KEY_FILE",
        "TOOLS_CACHE",
        "TEST_SESSION",
        "TEST_SCHEMA",
        "CRASH_POINT",
        "CRASH_ONCE",
        "CRASH_SIGNAL",
    }
)
"""Names after ``PREFIX`` in the environment that are no settings."""
KINDS: dict[str, kinds.Kind] = {
    "enabled": kinds.boolean(),
    "in_memory": kinds.boolean(),
    "registry_path": kinds.path(),
    "shutdown_timeout": kinds.seconds(above_zero=True),
    "max_concurrent_jobs": kinds.whole("", 1, 1000),
    "max_queue_size": kinds.whole("", 1, MOST_JOBS, nullable=True),
    "queue_full_policy": kinds.choice("evict_oldest", "reject"),
    "per_job_type_limits": kinds.counts("job types", 1, MOST_JOBS),
    "completed_job_retention_seconds": kinds.seconds(),
    "max_inline_result": kinds.whole(" of bytes", 0, 16 * 1024 * 1024),
    "stop_grace_seconds": kinds.seconds(),
    "default_timeout_seconds": kinds.seconds(above_zero=True, nullable=True),
    "default_memory_limit": kinds.size(),
    "retry_backoff_seconds": kinds.seconds(),
    "log_cap_bytes": kinds.whole(" of bytes", 1 << 16, 1 << 40),
    "artifact_cap_bytes": kinds.whole(" of bytes", 0, 1 << 50, nullable=True),
    "disk_cap_bytes": kinds.whole(" of bytes", 1 << 20, 1 << 50, nullable=True),
    "queue_destructive_by_name": kinds.boolean(),
    "supervisor_linger_seconds": kinds.seconds(),
    "niceness": kinds.whole("", 0, 19),
    "commands": kinds.sources(),
    "plugins": kinds.plugins(),
}
"""The kind of value of each key, in the order of docs/configuration.md."""


@dataclass(frozen=True)
class Settings(SharedSettings):
    """The values in use: those shared by all processes of a registry, and those of this server."""

    enabled: bool = True
    registry_path: str | None = None
    max_inline_result: int = 16384
    default_timeout_seconds: float | None = None
    default_memory_limit: int | None = None
    queue_destructive_by_name: bool = False
    commands: tuple[str, ...] = ()
    plugins: str | tuple[str, ...] = "all"

    @property
    def registry_file(self) -> Path:
        """The absolute path of the persistent registry, whether or not ``in_memory`` is set."""
        if self.registry_path is not None:
            return kinds.expand(self.registry_path).absolute()
        advice = "give registry_path and MCP_QUEUE_KEY_FILE"
        return Path(data_folder.of_user("the registry", advice)) / "registry.db"


_SECTION = "queue_manager"
_TOP_LEVEL = ("commands", "plugins")
_IN_SECTION = tuple(key for key in KINDS if key not in _TOP_LEVEL)


def read_settings(
    file: str | None, environ: Mapping[str, str], flags: Mapping[str, object]
) -> tuple[Settings, list[ConfigurationError]]:
    """Read every source. Returns the settings and all errors, in the order of the sources.

    ``file``, or else the variable ``MCP_QUEUE_CONFIG``, names the JSON file. ``flags`` maps keys to
    texts of a command line or to JSON values; ``None`` means that the flag was not given.
    """
    reader = _Reader()
    reader.read_file(file, environ)
    reader.read_environment(environ)
    reader.read_flags(flags)
    return Settings(**reader.values), reader.errors


def load_settings(
    file: str | None, environ: Mapping[str, str], flags: Mapping[str, object]
) -> Settings:
    """Like ``read_settings``, but raises the first ``ConfigurationError`` if there is any."""
    settings, errors = read_settings(file, environ, flags)
    if errors:
        raise errors[0]
    return settings


class _Reader:
    """Reads one source after the other, and collects the values and the errors."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.errors: list[ConfigurationError] = []

    def read_file(self, file: str | None, environ: Mapping[str, str]) -> None:
        source = "flag --config" if file else f"environment variable {PREFIX}CONFIG"
        file = file or environ.get(f"{PREFIX}CONFIG")
        if not file:
            return
        path = kinds.expand(file).absolute()
        content = self._json_object(path, source)
        section = content.pop(_SECTION, {})
        self._read_object(content, path, (_SECTION, *_TOP_LEVEL))
        if isinstance(section, dict):
            self._read_object(cast("dict[str, object]", section), path, _IN_SECTION)
        else:
            hint = f"Its keys: {', '.join(_IN_SECTION)}."
            self._add_error(_SECTION, str(path), "expected an object", section, hint)

    def read_environment(self, environ: Mapping[str, str]) -> None:
        variables = {f"{PREFIX}{key.upper()}": key for key in KINDS}
        for variable in sorted(environ):
            if not variable.startswith(PREFIX) or variable.removeprefix(PREFIX) in RESERVED:
                continue
            text, source = environ[variable], f"environment variable {variable}"
            if variable not in variables:
                self._unknown(variable, source, text, variables)
            elif text:
                self._set_text(variables[variable], source, text)

    def read_flags(self, flags: Mapping[str, object]) -> None:
        for key, value in flags.items():
            source = f"flag --{key.replace('_', '-')}"
            if value is not None and key not in KINDS:
                self._unknown(key, source, value, KINDS)
            elif isinstance(value, str):
                self._set_text(key, source, value)
            elif value is not None:
                self._set(key, source, value, KINDS[key].check)

    def _json_object(self, path: Path, source: str) -> dict[str, object]:
        import json  # late: only settings in a file need it

        try:
            content: object = json.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            reason = f"the file cannot be read ({error.strerror})"
        except (ValueError, RecursionError) as error:
            reason = f"the file is not JSON ({error})"
        else:
            if isinstance(content, dict):
                return cast("dict[str, object]", content)
            reason = "the file holds no JSON object"
        example = f'Expected a file such as {{"{_SECTION}": {{"in_memory": false}}}}.'
        self._add_error("config", source, reason, str(path), example)
        return {}

    def _read_object(
        self, content: Mapping[str, object], path: Path, allowed: Sequence[str]
    ) -> None:
        """Read keys of the file. Relative paths start at the folder of the file."""
        for key, value in content.items():
            if key not in allowed:
                self._unknown(key, str(path), value, allowed)
                continue
            check = partial(KINDS[key].check_in, path.parent)
            self._set(key, str(path), value, check)

    def _set_text(self, key: str, source: str, text: str) -> None:
        """Set a key from a text. A relative path starts at the working folder of this moment.

        Paths of commands stay relative until the commands are loaded.
        """
        if key in _TOP_LEVEL:
            self._set(key, source, text, KINDS[key].parse)
            return
        self._set(key, source, text, lambda text: KINDS[key].parse_in(_working_folder(), text))

    def _set(self, key: str, source: str, value: T, convert: Callable[[T], object]) -> None:
        try:
            self.values[key] = convert(value)
        except ValueError:
            allowed = KINDS[key].allowed.replace("`", "")
            used = self.values.get(key, getattr(Settings, key))
            hint = f"Correct it or leave it out; {_json(used)} serves in its place."
            self._add_error(key, source, f"expected {allowed}", value, hint)

    def _unknown(self, key: str, source: str, value: object, known: Iterable[str]) -> None:
        self._add_error(key, source, "no setting has this name", value, _name_hint(key, known))

    def _add_error(self, key: str, source: str, reason: str, value: object, hint: str) -> None:
        details = {"key": key, "source": source, "reason": reason, "value": _json(value)}
        self.errors.append(ConfigurationError(**details, allowed=hint))


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except OSError:  # the folder was removed: opening a relative path will fail with its own error
        return Path()


def _name_hint(name: str, known: Iterable[str]) -> str:
    from mcp_queue.commands.near import near  # late: only a mistyped name needs it

    names = {key.removeprefix(PREFIX).lower(): key for key in known}
    if similar := near(name.removeprefix(PREFIX).lower(), names, 3):
        return f"Did you mean {' or '.join(names[match] for match in similar)}?"
    return f"Known: {', '.join(sorted(names.values()))}."


def _json(value: object) -> str:
    """A value as in a JSON file. A text of a flag or a variable becomes a JSON string."""
    import json  # late: only errors need it

    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
