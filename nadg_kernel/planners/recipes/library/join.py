# /// recipe
# name = "join"
# title = "Join with {SECOND} on {ON}"
# summary = "Joins two tables on a column that both have."
# stage = "rows"
# second = true
# words = [
#   "join", "merge", "combine * with", "combine * and", "match * with", "enrich * with", "link * with", "look up in",
#   "lookup", "inner join", "left join", "outer join", "joined", "merged",
# ]
# columns = { ON = "shared+" }
# [choices.HOW]
# left = ["left join", "keep all", "left"]
# outer = ["outer join", "full join", "outer"]
# inner = ["inner join", "inner", "matching"]
# ///
import pandas as pd

ON = ["product"]  # columns that both tables have
HOW = "inner"  # inner: rows with a partner; left: all rows of the first table; outer: all rows of both


# include: as_frame


left, right = as_frame(inputs["SOURCE"]), as_frame(inputs["SECOND"])
mixed = [name for name in ON if left[name].dtype != right[name].dtype]
for name in mixed:  # 7 and "7" would never meet
    left, right = (
        left.assign(**{name: left[name].astype("string")}),
        right.assign(**{name: right[name].astype("string")}),
    )
result = left.merge(right, on=ON, how=HOW, suffixes=("", "_2"))
print(f"{len(left):,} rows and {len(right):,} rows give {len(result):,} rows on {', '.join(ON)}")
