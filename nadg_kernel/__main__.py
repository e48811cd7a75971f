"""`python -m nadg_kernel` is `nadg`."""

import sys

from nadg_kernel.cli import main

sys.exit(main())
