# /// recipe
# name = "tests"
# title = "Test results of {SOURCE}"
# summary = "A project's pytest suite, its files side by side: what passed, what failed and why."
# stage = "alone"
# words = ["run the test", "pytest", "test suite", "unit test", "run test", "run all test", "test the project",
#          "run * test"]
# chain = ["test_files", "test_run"]
# data_kinds = ["folder"]
# ///
import pandas as pd

rows = [row for shard in inputs["SOURCE"] for row in shard]
result = pd.DataFrame(rows, columns=["file", "test", "outcome", "seconds", "message"])
counts = result["outcome"].value_counts()
print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no tests ran")
for row in result[result["outcome"].isin(["failed", "error"])].to_dict("records"):
    print(f"\n{row['test']}\n{row['message']}")
