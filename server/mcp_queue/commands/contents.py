"""Results beside JSON: images, audio, files and links, which may be part of another value.

The JSON of a result contains their descriptions (`Content.describe`); the client gets the contents
themselves as content blocks. Standard library only, imported by modules when they need it.
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
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
)
_RIFF_MAGIC = ((b"WAVE", "audio/wav"), (b"WEBP", "image/webp"))


class Content:
    """A result that a client gets as a content block. ``kind`` is ``image``, ``audio``, ``file`` or
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
        """Its description for the JSON of a result; ``size`` in bytes."""
        fields: dict[str, Any] = {
            "type": self.kind,
            "name": name,
            "title": self.title,
            "description": self.description,
            "mime_type": self.mime_type,
            "size": size,
            "uri": uri,
        }
        return {key: value for key, value in fields.items() if value is not None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, mime_type={self.mime_type!r})"


class _ByteContent(Content):
    """Content with bytes: given, or in a file, which is read when the command returns."""

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


class Image(_ByteContent):
    """An image: ``Image(png_bytes)`` or ``Image(path="plot.png")``.

    The name or the first bytes determine the default ``mime_type``. Raises InvalidContentError.
    """

    kind = "image"


class Audio(_ByteContent):
    """A recording: ``Audio(wav_bytes)`` or ``Audio(path="speech.wav")``; see `Image`."""

    kind = "audio"


class File(_ByteContent):
    """A file of any kind: ``File(path="report.pdf")`` or ``File("a,b\\n", name="table.csv")``.

    The name determines the default ``mime_type``. Raises InvalidContentError.
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
            mime_type = mime_type_of(name or "", b"", default="text/plain")
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


class ContentEncoder:
    """Encodes the contents of one result as JSON, each with a place and a name not in ``taken``.

    ``store`` stores a content and returns its size in bytes and its address. Call the encoder with
    any value that has no JSON form; it returns None for a value that is no content.
    """

    def __init__(
        self,
        store: Callable[[Content, str, int], tuple[int | None, str | None]],
        taken: set[str] | None = None,
    ) -> None:
        self._store = store
        self._used_names = set(taken or ())
        self._encoded: dict[int, tuple[Content, dict[str, Any]]] = {}

    def __call__(self, value: object) -> dict[str, Any] | None:
        """The description of ``value`` in JSON, the same each time for the same object."""
        if not isinstance(value, Content):
            return None
        if id(value) not in self._encoded:
            name = self._name(value)
            size, uri = self._store(value, name, len(self._encoded))
            self._encoded[id(value)] = value, value.describe(name, size, uri)
        return self._encoded[id(value)][1]

    def _name(self, content: Content) -> str:
        stem, suffix = content.name or content.kind, ""
        if content.name is None and content.source is not None:
            suffix = _extension(content.mime_type or FALLBACK)
        elif content.source is not None and "." in stem[1:]:
            stem, dot, suffix = stem.rpartition(".")
            suffix = dot + suffix
        name, count = stem + suffix, 1
        while name in self._used_names:
            count += 1
            name = f"{stem}-{count}{suffix}"
        self._used_names.add(name)
        return name


def source_of(name: str, data: object, path: object) -> Source:
    """The bytes or the path of a file that an author gave. Raises InvalidContentError."""
    if (data is None) == (path is None):
        reason = "give it data or a path" if data is None else "it has both data and a path"
    elif isinstance(data, str):
        return data.encode("utf-8", "replace")
    elif isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value := data if path is None else path, (str, PathLike)):
        return fsdecode(value)  # pyright: ignore[reportUnknownArgumentType]
    else:
        reason = f"its data are bytes, a text or a path, got {type(value).__name__}"
    raise InvalidContentError(name=name, reason=reason)


def mime_type_of(name: str, source: Source, default: str = FALLBACK) -> str:
    """The type by the ending of the name, else by the first bytes, else ``default``.

    Raises InvalidContentError if it has to read the bytes and ``source`` is no regular file.
    """
    from mimetypes import guess_type

    if guessed := guess_type(name)[0]:
        return guessed
    start = _first_bytes(name, source)
    for magic, mime_type in _MAGIC:
        if start.startswith(magic):
            return mime_type
    for magic, mime_type in _RIFF_MAGIC:
        if start.startswith(b"RIFF") and start[8:12] == magic:
            return mime_type
    return default


def _first_bytes(name: str, source: Source) -> bytes:
    if isinstance(source, bytes):
        return source[:16]
    try:
        with open_file(name, source) as file:
            return file.read(16) or b""  # None: a read would block
    except OSError:  # the full read reports the error
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
