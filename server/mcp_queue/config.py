"""Settings: read from a JSON file, the environment and flags, where later wins.

Each key is a field of ``Settings``; ``KINDS`` says what value it takes. A wrong value or an unknown
key is a ``ConfigurationError`` that names the key, the value, its source and what is allowed; the
key keeps the value of the source before, so that a server can say what is wrong and serve with the
rest.
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
"""What may follow ``PREFIX`` in the environment without being a setting."""
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
"""The kind of value that each key takes, in the order of docs/configuration.md."""


@dataclass(frozen=True)
class Settings(SharedSettings):
    """The settled values: those that hold for all of a registry, and those of this server."""

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
        otherwise = "give registry_path and MCP_QUEUE_KEY_FILE"
        return Path(data_folder.of_user("the registry", otherwise)) / "registry.db"


_SECTION = "queue_manager"
_BESIDE_SECTION = ("commands", "plugins")
_IN_SECTION = tuple(key for key in KINDS if key not in _BESIDE_SECTION)


def read_settings(
    file: str | None, environ: Mapping[str, str], flags: Mapping[str, object]
) -> tuple[Settings, list[ConfigurationError]]:
    """Read every source; give the settings and all that was wrong, in the order of the sources.

    ``file`` (else the variable ``MCP_QUEUE_CONFIG``) names the JSON file. ``flags`` maps keys to
    values, texts as from a command line or JSON values; ``None`` means that the flag was not given.
    """
    reader = _Reader()
    reader.read_file(file, environ)
    reader.read_environment(environ)
    reader.read_flags(flags)
    return Settings(**reader.values), reader.errors


def load_settings(
    file: str | None, environ: Mapping[str, str], flags: Mapping[str, object]
) -> Settings:
    """Like ``read_settings``, raising the first ``ConfigurationError`` if anything is wrong."""
    settings, errors = read_settings(file, environ, flags)
    if errors:
        raise errors[0]
    return settings


class _Reader:
    """Collects the values and the errors of one source after the other."""

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
        self._read_object(content, path, (_SECTION, *_BESIDE_SECTION))
        if isinstance(section, dict):
            self._read_object(cast("dict[str, object]", section), path, _IN_SECTION)
        else:
            hint = f"Its keys: {', '.join(_IN_SECTION)}."
            self._wrong(_SECTION, str(path), "expected an object", section, hint)

    def read_environment(self, environ: Mapping[str, str]) -> None:
        variables = {f"{PREFIX}{key.upper()}": key for key in KINDS}
        for variable in sorted(environ):
            if not variable.startswith(PREFIX) or variable.removeprefix(PREFIX) in RESERVED:
                continue
            text, source = environ[variable], f"environment variable {variable}"
            if variable not in variables:
                self._unknown(variable, source, text, variables)
            elif text:
                self._settle_here(variables[variable], source, text)

    def read_flags(self, flags: Mapping[str, object]) -> None:
        for key, value in flags.items():
            source = f"flag --{key.replace('_', '-')}"
            if value is not None and key not in KINDS:
                self._unknown(key, source, value, KINDS)
            elif isinstance(value, str):
                self._settle_here(key, source, value)
            elif value is not None:
                self._settle(key, source, value, KINDS[key].check)

    def _json_object(self, path: Path, source: str) -> dict[str, object]:
        import json  # only who has a file pays for it

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
        self._wrong("config", source, reason, str(path), example)
        return {}

    def _read_object(
        self, content: Mapping[str, object], path: Path, allowed: Sequence[str]
    ) -> None:
        """Keys of the file; what they hold of relative paths starts at the file's folder."""
        for key, value in content.items():
            if key not in allowed:
                self._unknown(key, str(path), value, allowed)
                continue
            check = partial(KINDS[key].check_in, path.parent)
            self._settle(key, str(path), value, check)

    def _settle_here(self, key: str, source: str, text: str) -> None:
        """A text; a relative path in it starts at the working folder, wherever we go later.

        Commands stay as they are given, until they are loaded.
        """
        if key in _BESIDE_SECTION:
            self._settle(key, source, text, KINDS[key].parse)
            return
        self._settle(key, source, text, lambda text: KINDS[key].parse_in(_here(), text))

    def _settle(self, key: str, source: str, value: T, settle: Callable[[T], object]) -> None:
        try:
            self.values[key] = settle(value)
        except ValueError:
            allowed = KINDS[key].allowed.replace("`", "")
            serves = self.values.get(key, getattr(Settings, key))
            hint = f"Correct it or leave it out; {_json(serves)} serves in its place."
            self._wrong(key, source, f"expected {allowed}", value, hint)

    def _unknown(self, key: str, source: str, value: object, known: Iterable[str]) -> None:
        self._wrong(key, source, "no setting has this name", value, _near(key, known))

    def _wrong(self, key: str, source: str, reason: str, value: object, hint: str) -> None:
        details = {"key": key, "source": source, "reason": reason, "value": _json(value)}
        self.errors.append(ConfigurationError(**details, allowed=hint))


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it is gone; what is relative cannot be found, and says so when it is opened
        return Path()


def _near(name: str, known: Iterable[str]) -> str:
    from mcp_queue.commands.near import near  # only who mistypes pays for it

    names = {key.removeprefix(PREFIX).lower(): key for key in known}
    if found := near(name.removeprefix(PREFIX).lower(), names, 3):
        return f"Did you mean {' or '.join(names[match] for match in found)}?"
    return f"Known: {', '.join(sorted(names.values()))}."


def _json(value: object) -> str:
    """A value as it stands in the file; what came as a text from elsewhere is one there, too."""
    import json  # only who has something wrong pays for it

    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
