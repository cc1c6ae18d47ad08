"""What a command may return beside JSON: images, audio, files and links, alone or within a value.

In the JSON of a result stands what they are (`Content.describe`); a client gets the thing itself as
a content block beside it. Standard library only, and imported by who uses it.
"""

from __future__ import annotations

from os import PathLike, fsdecode
from os.path import basename

from mcp_queue.commands.source_files import open_file
from mcp_queue.errors import InvalidContentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from typing import Any

    Source = bytes | str  # a str is the path of a file

TEXT_LIMIT = 4096  # characters of a title, a description, an address
FALLBACK = "application/octet-stream"
_EXTENSIONS = {"audio/wav": ".wav", "audio/mpeg": ".mp3", "audio/ogg": ".ogg"}
_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
)
_BEGINNINGS_OF_RIFF = ((b"WAVE", "audio/wav"), (b"WEBP", "image/webp"))


class Content:
    """One thing that a client is shown as itself. ``kind`` is ``image``, ``audio``, ``file`` or
    ``link``."""

    kind = ""
    source: Source | None = None
    uri: str | None = None
    description: str | None = None

    def __init__(self, mime_type: str | None, name: str | None, title: str | None) -> None:
        self.mime_type = _text("mime_type", mime_type)
        self.name = _text("name", name)
        self.title = _text("title", title)

    def describe(self, name: str, size: int | None, uri: str | None) -> dict[str, Any]:
        """What stands for it in the JSON of a result; ``size`` in bytes."""
        said: dict[str, Any] = {
            "type": self.kind,
            "name": name,
            "title": self.title,
            "description": self.description,
            "mime_type": self.mime_type,
            "size": size,
            "uri": uri,
        }
        return {key: value for key, value in said.items() if value is not None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, mime_type={self.mime_type!r})"


class _Stored(Content):
    """Content with bytes, which are given or in a file that is read when the command returns."""

    def __init__(
        self,
        data: bytes | None = None,
        *,
        path: str | PathLike[str] | None = None,
        mime_type: str | None = None,
        name: str | None = None,
        title: str | None = None,
    ) -> None:
        source = source_of(type(self).__name__, data, path)
        if name is None and isinstance(source, str):
            name = basename(source) or None
        kind = mime_type or mime_type_of(name or "", source)
        if self.kind != "file" and not kind.startswith(f"{self.kind}/"):
            raise InvalidContentError(
                name=type(self).__name__,
                reason=f"its type begins with '{self.kind}/', but this is {kind!r}",
            )
        super().__init__(kind, name, title)
        self.source = source


class Image(_Stored):
    """An image: ``Image(png_bytes)`` or ``Image(path="plot.png")``.

    ``mime_type`` is found by the name or the first bytes, unless given. Raises InvalidContentError.
    """

    kind = "image"


class Audio(_Stored):
    """A recording: ``Audio(wav_bytes)`` or ``Audio(path="speech.wav")``; see `Image`."""

    kind = "audio"


class File(_Stored):
    """A file of any kind: ``File(path="report.pdf")`` or ``File("a,b\\n", name="table.csv")``.

    Its type is found by its name, unless ``mime_type`` is given. Raises InvalidContentError.
    """

    kind = "file"

    def __init__(
        self,
        data: bytes | str | None = None,
        *,
        path: str | PathLike[str] | None = None,
        mime_type: str | None = None,
        name: str | None = None,
        title: str | None = None,
    ) -> None:
        raw = data.encode() if isinstance(data, str) else data
        if isinstance(data, str) and mime_type is None:
            mime_type = mime_type_of(name or "", b"", otherwise="text/plain")
        super().__init__(raw, path=path, mime_type=mime_type, name=name, title=title)


class Link(Content):
    """An address that the client may open: ``Link("https://example.org/", name="docs")``."""

    kind = "link"

    def __init__(
        self,
        uri: str,
        *,
        name: str | None = None,
        title: str | None = None,
        description: str | None = None,
        mime_type: str | None = None,
    ) -> None:
        super().__init__(mime_type, name, title)
        self.uri = _text("uri", uri)
        self.description = _text("description", description)
        scheme, colon, rest = (self.uri or "").partition(":")
        if not colon or not rest or not scheme.replace("+", "").replace("-", "").isalnum():
            raise InvalidContentError(name="Link", reason=f"{uri!r:.200} is no absolute address")


class Shown:
    """Gives each content of a result its place and a name that is not ``taken``.

    ``keep`` stores one and returns its size in bytes and its address. Call it with whatever JSON
    has no form for; None says that this is no content.
    """

    def __init__(
        self,
        keep: Callable[[Content, str, int], tuple[int | None, str | None]],
        taken: set[str] | None = None,
    ) -> None:
        self._keep = keep
        self._taken = set(taken or ())
        self._seen: dict[int, tuple[Content, dict[str, Any]]] = {}

    def __call__(self, value: object) -> dict[str, Any] | None:
        """What stands for ``value`` in JSON; the same each time for the same object."""
        if not isinstance(value, Content):
            return None
        if id(value) not in self._seen:
            name = self._name(value)
            size, uri = self._keep(value, name, len(self._seen))
            self._seen[id(value)] = value, value.describe(name, size, uri)
        return self._seen[id(value)][1]

    def _name(self, content: Content) -> str:
        stem, suffix = content.name or content.kind, ""
        if content.name is None and content.source is not None:
            suffix = _extension(content.mime_type or FALLBACK)
        elif content.source is not None and "." in stem[1:]:
            stem, dot, suffix = stem.rpartition(".")
            suffix = dot + suffix
        name, count = stem + suffix, 1
        while name in self._taken:
            count += 1
            name = f"{stem}-{count}{suffix}"
        self._taken.add(name)
        return name


def source_of(name: str, data: object, path: object) -> Source:
    """Bytes, or the path of a file, of what an author gave. Raises InvalidContentError."""
    if (data is None) == (path is None):
        reason = "give it data or a path" if data is None else "it has both data and a path"
    elif isinstance(data, str):
        return data.encode("utf-8", "replace")
    elif isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(given := data if path is None else path, (str, PathLike)):
        return fsdecode(given)  # pyright: ignore[reportUnknownArgumentType]
    else:
        reason = f"its data are bytes, a text or a path, got {type(given).__name__}"
    raise InvalidContentError(name=name, reason=reason)


def mime_type_of(name: str, source: Source, otherwise: str = FALLBACK) -> str:
    """By the name's ending, else by the first bytes, else ``otherwise``.

    Raises InvalidContentError if these are to be read from what is no file.
    """
    from mimetypes import guess_type

    if found := guess_type(name)[0]:
        return found
    beginning = _beginning(name, source)
    for magic, mime_type in _BEGINNINGS:
        if beginning.startswith(magic):
            return mime_type
    for magic, mime_type in _BEGINNINGS_OF_RIFF:
        if beginning.startswith(b"RIFF") and beginning[8:12] == magic:
            return mime_type
    return otherwise


def _beginning(name: str, source: Source) -> bytes:
    if isinstance(source, bytes):
        return source[:16]
    try:
        with open_file(name, source) as file:
            return file.read(16) or b""  # None: it would wait
    except OSError:  # said when it is read in full
        return b""


def _extension(mime_type: str) -> str:
    from mimetypes import guess_extension

    return _EXTENSIONS.get(mime_type) or guess_extension(mime_type) or ""


def _text(what: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value or len(value) > TEXT_LIMIT:
        reason = f"{what} is a text of 1 to {TEXT_LIMIT} characters, got {value!r:.80}"
        raise InvalidContentError(name="the result", reason=reason)
    return value.encode("utf-8", "replace").decode()
