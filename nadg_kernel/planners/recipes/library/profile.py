# /// recipe
# name = "profile"
# title = "Profile of {SOURCE}"
# summary = "One row per column: dtype, values present and missing, distinct values, smallest, largest, most frequent."
# stage = "summary"
# words = ["profile", "profiling", "data quality", "quality check", "data dictionary", "column overview",
#          "which columns",
#          "what columns", "describe the table", "describe the data", "describe the dataset", "describe the columns",
#          "inspect the columns", "list the columns", "column types", "schema"]
# weak = ["analyze", "analyse", "analysis", "explore", "inspect", "overview", "understand", "look at", "show",
#
#         "describe", "examine", "check", "tell me about", "what is in",
#         "first look"]
# keeps = []
# adds = { column = "str", dtype = "str", present = "int64", missing = "int64", distinct = "int64" }
# ///
import pandas as pd

# include: as_frame


def distinct(column):
    try:
        return column.nunique()
    except TypeError:  # lists and other values without a hash
        return column.astype("string").nunique()


def extremes(column):
    present = column.dropna()
    if not len(present) or not (
        pd.api.types.is_numeric_dtype(present.dtype) or pd.api.types.is_datetime64_any_dtype(present.dtype)
    ):
        return "", ""
    return str(present.min()), str(present.max())


frame = as_frame(inputs["SOURCE"])
rows = []
for number, name in enumerate(frame.columns, 1):
    column = frame[name]
    counts = column.dropna().astype("string").value_counts()
    smallest, largest = extremes(column)
    rows.append(
        {
            "column": str(name),
            "dtype": str(column.dtype),
            "present": int(column.notna().sum()),
            "missing": int(column.isna().sum()),
            "distinct": int(distinct(column)),
            "smallest": smallest,
            "largest": largest,
            "most_frequent": str(counts.index[0])[:80] if len(counts) else "",
            "times": int(counts.iloc[0]) if len(counts) else 0,
        }
    )
    progress(number / len(frame.columns), str(name))

result = pd.DataFrame(rows)
repeated = int(frame.astype("string").duplicated().sum())
print(f"{len(frame):,} rows, {len(frame.columns)} columns, {repeated:,} duplicate rows")
display(result)
