"""The envelopes of SuccessResult and ErrorResult."""

from __future__ import annotations

from mcp_queue.commands.results import ErrorResult, SuccessResult


def test_success_carries_its_data() -> None:
    assert SuccessResult(data={"files": 3}).to_dict() == {"success": True, "data": {"files": 3}}


def test_success_without_data_says_null() -> None:
    assert SuccessResult().to_dict() == {"success": True, "data": None}


def test_a_message_is_shown_only_if_there_is_one() -> None:
    assert SuccessResult([1], "done").to_dict() == {
        "success": True,
        "data": [1],
        "message": "done",
    }


def test_error_has_code_and_message() -> None:
    assert ErrorResult("no such folder").to_dict() == {
        "success": False,
        "error": {"code": "error", "message": "no such folder"},
    }


def test_error_takes_numeric_codes_and_details() -> None:
    assert ErrorResult("no such folder", -32000, {"path": "x"}).to_dict() == {
        "success": False,
        "error": {"code": -32000, "message": "no such folder", "details": {"path": "x"}},
    }


def test_both_show_what_they_hold() -> None:
    assert "7" in repr(SuccessResult(7))
    assert "no such folder" in repr(ErrorResult("no such folder"))
