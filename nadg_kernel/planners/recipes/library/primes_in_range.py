# /// recipe
# name = "primes_in_range"
# title = "Find the primes of each range"
# summary = "A segmented sieve: each shard sieves its own ranges."
# stage = "alone"
# words = []
# map_source = true
# ///
import numpy as np

found = []
for start, stop in inputs["SOURCE"]:  # stop is not part of the range
    roots = np.ones(int(stop**0.5) + 2, dtype=bool)
    roots[:2] = False
    for number in range(2, int(len(roots) ** 0.5) + 1):
        if roots[number]:
            roots[number * number :: number] = False
    prime = np.ones(stop - start, dtype=bool)
    for root in np.flatnonzero(roots).tolist():
        first = max(root * root, -(-start // root) * root)
        prime[first - start :: root] = False
    numbers = np.flatnonzero(prime) + start
    found.append(
        {"start": start, "stop": stop, "count": len(numbers), "largest": int(numbers[-1]) if len(numbers) else 0}
    )
result = found
