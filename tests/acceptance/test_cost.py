"""What a server costs an agent stays within its bounds; the figures stand in the test's report."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

COST = Path(__file__).parents[1] / "benchmarks" / "cost.py"


@pytest.mark.needs("schemas")
def test_what_an_agent_pays(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    spec = importlib.util.spec_from_file_location("benchmark_cost", COST)
    assert spec is not None
    assert spec.loader is not None
    cost: Any = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = cost
    spec.loader.exec_module(cost)
    for figure in cost.measure(tmp_path):
        record_property(figure.name, figure.found)
        assert figure.found <= figure.bound, str(figure)
