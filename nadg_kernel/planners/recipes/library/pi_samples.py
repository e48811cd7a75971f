# /// recipe
# name = "pi_samples"
# title = "Throw the points"
# summary = "Counts random points of the unit square that lie in the quarter circle."
# stage = "alone"
# words = []
# map_source = true
# ///
import numpy as np

AT_ONCE = 1_000_000  # points in memory

found = []
for seed, samples in inputs["SOURCE"]:
    random = np.random.default_rng(seed)
    inside = left = 0
    left = samples
    while left > 0:
        points = random.random((min(left, AT_ONCE), 2))
        inside += int(((points**2).sum(axis=1) <= 1).sum())
        left -= len(points)
    found.append({"seed": seed, "samples": samples, "inside": inside})
result = found
