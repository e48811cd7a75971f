# /// recipe
# name = "primes"
# title = "Count the primes"
# summary = "Primes up to a limit: ranges, searched side by side, added up."
# stage = "alone"
# words = ["prime", "prime number", "count prime", "find prime", "compute prime", "count the prime", "primes up to"]
# chain = ["ranges", "primes_in_range"]
# ///
import pandas as pd

parts = [part for shard in inputs["SOURCE"] for part in shard]
table = pd.DataFrame(parts)
result = {"primes": int(table["count"].sum()), "largest": int(table["largest"].max())}
print(f"{result['primes']:,} primes below {int(table['stop'].max()):,}; the largest is {result['largest']:,}")
display(table)
