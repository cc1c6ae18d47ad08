"""Row 38: everything at once. `python -m tests.soak` does it for as long as you like."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    RecordProperty = Callable[[str, object], None]

SOAK = Path(__file__).parents[1] / "soak.py"


def load_soak() -> Any:
    spec = importlib.util.spec_from_file_location("soak", SOAK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module
    spec.loader.exec_module(module)
    return module


async def test_row_38_soak(tmp_path: Path, record_property: RecordProperty, thorough: bool) -> None:
    soak = load_soak()
    tally = await soak.run(120 if thorough else 6, seed=38, folder=tmp_path)
    for name, value in asdict(tally).items():
        record_property(name, value)
    assert not soak.bad(tally), tally.wrong
    assert tally.jobs > 0
