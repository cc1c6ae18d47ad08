"""Install ahead what the tests need of PyPI and npm: ``python -m tests.hosts.install``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import needs

if __name__ == "__main__":
    missing = needs.prepare(needs.NEEDS)
    for name, reason in missing.items():
        print(f"{needs.NEEDS[name].what} could not be had: {reason}", file=sys.stderr)
    sys.exit(1 if missing else 0)
