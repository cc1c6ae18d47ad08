"""Results of a ``Command``: success with data, or an error with a code.

The envelopes are those of the system that this project re-implements, for clients of that system.
"""

from __future__ import annotations


class SuccessResult:
    """The command succeeded; ``data`` is any JSON value."""

    def __init__(self, data: object = None, message: str | None = None) -> None:
        self.data = data
        self.message = message

    def to_dict(self) -> dict[str, object]:
        """``{"success": True, "data", "message"?}``; ``message`` is left out if it is None."""
        envelope: dict[str, object] = {"success": True, "data": self.data}
        if self.message is not None:
            envelope["message"] = self.message
        return envelope

    def __repr__(self) -> str:
        return f"SuccessResult(data={self.data!r}, message={self.message!r})"


class ErrorResult:
    """The command failed; its job ends as ``failed`` with the error code ``reported``."""

    def __init__(self, message: str, code: int | str = "error", details: object = None) -> None:
        self.message = message
        self.code = code
        self.details = details

    def to_dict(self) -> dict[str, object]:
        """``{"success": False, "error": {"code", "message", "details"?}}``."""
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.details is not None:
            error["details"] = self.details
        return {"success": False, "error": error}

    def __repr__(self) -> str:
        return f"ErrorResult({self.message!r}, code={self.code!r}, details={self.details!r})"
