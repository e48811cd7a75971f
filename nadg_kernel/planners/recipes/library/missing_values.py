# /// recipe
# name = "missing_values"
# title = "Missing values of {SOURCE}"
# summary = "How many values each column lacks, and how many rows are complete."
# stage = "summary"
# words = [
#   "missing value", "are missing", "is missing", "missing", "missing data", "missing cell",
#   "missing entries", "null", "nulls", "null value", "gap", "incomplete", "completeness", "nan",
#   "empty cell", "empty value", "what is missing", "blank", "na value"
# ]
# keeps = []
# adds = { column = "str", missing = "int64", share = "float64" }
# ///
import pandas as pd

BLANK = True  # whether empty text counts as missing


# include: as_frame


def lacks(column):
    found = column.isna()
    if BLANK and (pd.api.types.is_string_dtype(column.dtype) or column.dtype == object):
        found = found | column.astype("string").str.strip().eq("").astype("boolean").fillna(value=False)
    return found.astype("bool")


frame = as_frame(inputs["SOURCE"])
missing = frame.apply(lacks) if len(frame.columns) else frame
counts = [int(missing[name].sum()) for name in frame.columns]
result = pd.DataFrame(
    {
        "column": [str(name) for name in frame.columns],
        "missing": pd.Series(counts, dtype="int64"),
        "share": pd.Series([count / max(1, len(frame)) for count in counts], dtype="float64"),
    }
).sort_values("missing", ascending=False, kind="stable", ignore_index=True)
complete = int((~missing.any(axis=1)).sum()) if len(frame.columns) else 0
print(f"{complete:,} of {len(frame):,} rows are complete")
display(result)
