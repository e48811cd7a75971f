"""What runs for long; these read /proc."""

from __future__ import annotations

import sys

collect_ignore = [] if sys.platform == "linux" else ["test_worker_endurance.py"]
