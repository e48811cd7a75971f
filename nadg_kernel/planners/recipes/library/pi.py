# /// recipe
# name = "pi"
# title = "Estimate pi"
# summary = "Monte Carlo: the share of random points in a quarter circle, with its standard error."
# stage = "alone"
# words = [
#   "estimate pi", "monte carlo pi", "value of pi", "approximate pi", "compute pi", "calculate pi",
#   "monte carlo", "number pi", "digits of pi", "pi with"
# ]
# chain = ["seeds", "pi_samples"]
# ///
parts = [part for shard in inputs["SOURCE"] for part in shard]
samples, inside = sum(part["samples"] for part in parts), sum(part["inside"] for part in parts)
share = inside / samples
result = {"pi": 4 * share, "standard_error": 4 * (share * (1 - share) / samples) ** 0.5, "samples": samples}
print(f"pi is about {result['pi']:.6f} ± {result['standard_error']:.6f} from {samples:,} samples")
