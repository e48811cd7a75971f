# /// recipe
# name = "test_files"
# title = "List the test files of {SOURCE}"
# summary = "The files that pytest would collect, one shard each."
# stage = "alone"
# words = []
# data_kinds = ["folder"]
# ///
from fnmatch import fnmatch

PATTERNS = ["test_*.py", "*_test.py"]

result = sorted(path for path in inputs["SOURCE"] if any(fnmatch(path.rsplit("/", 1)[-1], p) for p in PATTERNS))
if not result:
    raise ValueError(f"no file of the folder is called {' or '.join(PATTERNS)}")
print(f"{len(result)} test files")
