# /// recipe
# name = "group"
# title = "{HOW} of {VALUES} by {GROUP_BY}"
# summary = "Groups the rows and aggregates: mean, sum, count, median, minimum or maximum per group."
# stage = "table"
# words = [
#   "group by", "grouped by", "group", "aggregate", "aggregated", "aggregation", "pivot", "breakdown",
#   "break down", "broken down", "average", "mean", "total", "sum", "sum up", "count", "number of",
#   "how many", "median", "maximum", "minimum", "highest", "lowest", "best * by", "worst * by", "top * by",
#   "compare * by", "compare * across", "compare * between", "rank * by", "rank the", "which * best",
#   "which * worst", "which * most", "which * least", "best selling", "sold the most", "bestselling",
#   "most common", "most frequent", "per product", "per region", "subtotal", "per category", "min", "max",
#   "top product", "top customer", "top seller", "top region", "top performer", "difference * between",
#   "differ * between"
# ]
# columns = { GROUP_BY = "group*", VALUES = "value*" }
# counts = ["TOP"]
# several = ["HOW"]
# keeps = ["GROUP_BY"]
# adds = { rows = "int64", "{VALUES}_{HOW}" = "float64" }
# [choices.HOW]
# mean = ["average", "mean", "avg", "typical"]
# sum = ["total", "sum", "altogether", "subtotal", "sold the most", "most revenue", "best selling",
#        "bestselling", "?overall"]
# count = ["count", "number of", "how many", "frequency", "most common", "most frequent", "total number of"]
# median = ["median"]
# max = ["maximum", "max", "?highest", "?largest"]
# min = ["minimum", "min", "?lowest", "?smallest"]
# ///
import pandas as pd

GROUP_BY = ["product"]  # the columns that make the groups; none: one row for all
VALUES = ["rating"]  # the numeric columns to aggregate
HOW = ["mean"]  # any of mean, sum, count, median, max, min
TOP = 0  # keep this many groups, the largest first; 0: all


# include: as_frame


frame = as_frame(inputs["SOURCE"])
numbers = frame[VALUES].apply(pd.to_numeric, errors="coerce").astype("float64") if VALUES else frame[[]]
keys = [frame[name].astype("string").fillna("(missing)").rename(name) for name in GROUP_BY]
keys = keys or [pd.Series("all", index=frame.index, name="group")]
grouped = numbers.groupby(keys, sort=True, observed=True)
result = grouped.size().rename("rows").to_frame()
for how in HOW if VALUES else []:
    result = result.join(getattr(grouped, how)().add_suffix(f"_{how}"))
order = f"{VALUES[0]}_{HOW[0]}" if VALUES else "rows"
result = result.sort_values(order, ascending=HOW[0] == "min", kind="stable").reset_index()
if TOP:
    result = result.head(TOP)
display(result)
