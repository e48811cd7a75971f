# /// recipe
# name = "outliers"
# title = "Outliers of {VALUES}"
# summary = "Marks rows that lie far outside the middle half of the values (Tukey's fences); adds outlier and distance."
# stage = "rows"
# words = [
#   "outlier", "anomaly", "anomalies", "anomalous", "unusual", "abnormal", "extreme value",
#   "anomaly detection", "suspicious", "strange value", "spike", "odd value"
# ]
# columns = { VALUES = "value+" }
# adds = { outlier = "bool", distance = "float64" }
# ///
import pandas as pd

VALUES = ["rating"]  # the numeric columns to look at
FENCE = 1.5  # how many times the middle half (Tukey: 1.5; 3 for far out)


# include: as_frame


frame = as_frame(inputs["SOURCE"])
numbers = frame[VALUES].apply(pd.to_numeric, errors="coerce").astype("float64")
low, high = numbers.quantile(0.25), numbers.quantile(0.75)
middle = (high - low).replace(0, float("nan"))
beyond = (numbers - high).clip(lower=0) + (low - numbers).clip(lower=0)
distance = (beyond / middle).max(axis=1).fillna(0.0)
result = frame.assign(outlier=(distance > FENCE).astype("bool"), distance=distance.astype("float64"))
found = result[result["outlier"]].sort_values("distance", ascending=False, kind="stable")
print(f"{len(found):,} of {len(result):,} rows are outliers in {', '.join(VALUES)}")
display(found.head(20))
