# /// recipe
# name = "ranges"
# title = "Cut 2 to {LIMIT} into ranges"
# summary = "The ranges that the workers search side by side."
# stage = "alone"
# words = []
# counts = ["LIMIT"]
# ///
import itertools

LIMIT = 1_000_000  # search up to this number
PARTS = 8  # ranges

edges = [2 + (LIMIT - 1) * part // PARTS for part in range(PARTS + 1)]
result = [[start, stop] for start, stop in itertools.pairwise(edges) if start < stop]
