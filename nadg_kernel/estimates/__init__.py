"""How long a plan will take, from how long the same work took before."""

from nadg_kernel.estimates.making import Estimate, code_digest, estimate, shard_count
from nadg_kernel.estimates.past import earlier, expected

__all__ = ["Estimate", "code_digest", "earlier", "estimate", "expected", "shard_count"]
