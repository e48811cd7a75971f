# /// recipe
# name = "time_series"
# title = "{HOW} of {VALUES} per {EVERY} by {GROUP_BY}"
# summary = "Aggregates by hour, day, week, month, quarter or year, with the change from the period before."
# stage = "table"
# words = [
#   "time series", "trend", "monthly", "daily", "weekly", "yearly", "hourly", "quarterly", "annual",
#   "annually", "per month", "per day", "per week", "per year", "per hour", "per quarter", "by month",
#   "by day", "by week", "by year", "by hour", "by quarter", "each month", "each day", "each week",
#   "each year", "each hour", "every month", "every day", "every week", "every hour",
#   "and month", "and day", "and week", "and quarter", "and year",
#   "and hour", "month over month", "year over year", "seasonality", "resample", "per calendar month"
# ]
# words_without_view = ["over time", "change over", "develop over"]
# covers = ["group"]
# columns = { DATE = "date", GROUP_BY = "series*", VALUES = "value*" }
# keeps = ["GROUP_BY"]
# adds = { period = "datetime64[ns]", rows = "int64", "{VALUES}_{HOW}" = "float64" }
# [choices.HOW]
# mean = ["average", "mean", "avg", "typical"]
# sum = ["total", "sum"]
# count = ["count", "number of", "how many"]
# median = ["median"]
# max = ["maximum", "max", "highest", "peak"]
# min = ["minimum", "min", "lowest"]
# [choices.EVERY]
# hour = ["hour", "hourly"]
# day = ["day", "daily"]
# week = ["week", "weekly"]
# quarter = ["quarter", "quarterly"]
# month = ["month", "monthly"]
# year = ["year", "yearly", "annual", "annually"]
# ///
import pandas as pd
import plotly.graph_objects as go

DATE = "date"  # the column with the time
GROUP_BY = []  # columns that make separate series
VALUES = ["rating"]  # the numeric columns to aggregate; none: rows are counted
HOW = "mean"  # mean, sum, count, median, max or min
EVERY = "month"  # hour, day, week, month, quarter or year
STARTS = {"hour": "h", "day": "D", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}


# include: as_frame


# include: as_time


# include: look


frame = as_frame(inputs["SOURCE"])
when = as_time(frame[DATE]).dt.tz_localize(None)
frame = frame.assign(_when=when)[when.notna()]
numbers = frame[VALUES].apply(pd.to_numeric, errors="coerce").astype("float64")
period = frame["_when"].dt.to_period(STARTS[EVERY]).rename("period")
keys = [frame[name].astype("string").fillna("(missing)").rename(name) for name in GROUP_BY]
grouped = numbers.groupby([*keys, period], sort=True, observed=True)
result = grouped.size().rename("rows").to_frame()
if VALUES:
    result = result.join(getattr(grouped, HOW)().add_suffix(f"_{HOW}"))
result = result.reset_index()
shown = f"{VALUES[0]}_{HOW}" if VALUES else "rows"
change = result.groupby(GROUP_BY, observed=True)[shown] if GROUP_BY else result[shown]
result["change"] = change.diff().astype("float64")
result["period"] = result["period"].dt.start_time
names = result[GROUP_BY].agg(" / ".join, axis=1) if GROUP_BY else pd.Series(shown, index=result.index)
figure = go.Figure()
for name, part in result.groupby(names, sort=False):
    values = [None if pd.isna(value) else float(value) for value in part[shown]]
    figure.add_scatter(x=part["period"].astype(str).tolist(), y=values, name=str(name), mode="lines+markers")
display(look(figure, f"{shown} per {EVERY}"))
display(result)
