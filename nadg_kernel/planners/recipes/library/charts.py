# /// recipe
# name = "charts"
# title = "Charts"
# summary = "Interactive charts (plotly): how a value is distributed, how it differs between groups, how it moves."
# stage = "view"
# words = ["chart", "plot", "graph", "visualization", "visualisation", "visualize", "visualise", "visual", "diagram",
#          "histogram", "distribution", "data visualization", "figure",
#          "dashboard", "draw", "infographic", "visually", "graphically", "graphic", "plotting", "visualizing",
#          "visualising", "charting", "picture"]
# shows = ["table"]
# columns = { LABEL = "label?", GROUPS = "category*", VALUE = "value?", DATE = "date?", TEXT = "text?" }
# ///
import pandas as pd
import plotly.graph_objects as go

LABEL = ""  # a column with few values, counted in the first chart (such as a sentiment)
GROUPS = ["product"]  # columns to compare groups by
VALUE = "rating"  # the numeric column that is averaged
DATE = "date"  # the column with the time
TEXT = ""  # a column with text; its lengths are shown when there is nothing else
MOST = 20  # groups in one chart
COLORS = {"positive": "#2a9d8f", "neutral": "#8d99ae", "negative": "#d1495b"}


# include: as_frame


# include: as_time


# include: look


def titled(figure, title, x="", y=""):
    figure.update_layout(xaxis_title=x, yaxis_title=y, margin={"l": 60, "r": 20, "t": 60, "b": 50})
    return look(figure, title)


def bars(names, values, **options):
    return go.Figure(go.Bar(x=[str(name) for name in names], y=[float(value) for value in values], **options))


def counted(column, name):
    counts = column.astype("string").fillna("(missing)").value_counts().head(MOST)
    figure = bars(counts.index, counts, marker={"color": [COLORS.get(str(key), "#457b9d") for key in counts.index]})
    return titled(figure, f"Rows by {name}", name, "rows")


frame = as_frame(inputs["SOURCE"])
extras = {}  # tables of other subtasks, each shown as it is
value = pd.to_numeric(frame[VALUE], errors="coerce").astype("float64") if VALUE else None
result = {}

if LABEL:
    result[f"rows by {LABEL}"] = counted(frame[LABEL], LABEL)
for name in GROUPS:
    keys = frame[name].astype("string").fillna("(missing)")
    if value is None:
        result[f"rows by {name}"] = counted(frame[name], name)
        continue
    means = value.groupby(keys).mean().dropna().sort_values(ascending=False).head(MOST)
    result[f"mean {VALUE} by {name}"] = titled(
        bars(means.index, means), f"Mean {VALUE} by {name}", name, f"mean {VALUE}"
    )
    if LABEL:
        shares = pd.crosstab(keys, frame[LABEL].astype("string"), normalize="index").loc[means.index]
        stack = [
            go.Bar(
                name=str(key),
                x=[str(k) for k in shares.index],
                y=shares[key].tolist(),
                marker={"color": COLORS.get(str(key))},
            )
            for key in shares.columns
        ]
        figure = go.Figure(stack).update_layout(barmode="stack", yaxis_tickformat=".0%")
        result[f"{LABEL} by {name}"] = titled(figure, f"Share of each {LABEL} by {name}", name, "share of rows")
progress(0.5, "groups drawn")

when = as_time(frame[DATE]) if DATE else pd.Series(dtype="datetime64[ns, UTC]")
if when.notna().any():
    days = (when.max() - when.min()).days
    every = "h" if days < 3 else "D" if days < 60 else "W" if days < 200 else "MS"
    amounts = value if value is not None else pd.Series(1.0, index=frame.index)
    points = pd.DataFrame({"when": when.dt.tz_localize(None), "amount": amounts}).dropna()
    series = points.set_index("when")["amount"].resample(every).agg(["mean", "count"])
    moved = series["mean"] if value is not None else series["count"]
    name = f"mean {VALUE}" if value is not None else "rows"
    line = go.Scatter(x=[str(t) for t in moved.index], y=[None if pd.isna(v) else float(v) for v in moved])
    result[f"{name} over time"] = titled(go.Figure(line), f"{name.capitalize()} over time", DATE, name)
if value is not None:
    spread = go.Figure(go.Histogram(x=value.dropna().tolist(), nbinsx=30))
    result[f"distribution of {VALUE}"] = titled(spread, f"Distribution of {VALUE}", VALUE, "rows")
if TEXT and len(result) < 2:
    lengths = frame[TEXT].astype("string").fillna("").str.split().str.len()
    spread = go.Figure(go.Histogram(x=[int(n) for n in lengths]))
    result[f"length of {TEXT}"] = titled(spread, f"Words in {TEXT}", "words", "rows")
for title, extra in extras.items():
    table = as_frame(extra)
    numbers = [name for name in table.columns if pd.api.types.is_numeric_dtype(table[name].dtype) and name != "rows"]
    others = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name].dtype)]
    shown = (numbers or ["rows"])[0]
    if not others or shown not in table.columns:
        continue
    times = [name for name in others if pd.api.types.is_datetime64_any_dtype(table[name].dtype)]
    if times:
        groups = [name for name in others if name not in times]
        names = (
            table[groups].astype("string").fillna("(missing)").agg(" / ".join, axis=1) if groups else table.index * 0
        )
        lines = go.Figure()
        for name, part in list(table.groupby(names, sort=False))[:MOST]:
            values = [None if pd.isna(v) else float(v) for v in part[shown]]
            lines.add_scatter(x=part[times[0]].astype(str).tolist(), y=values, name=str(name) if groups else shown)
        result[title] = titled(lines, title, times[0], shown)
    else:
        few = table.head(MOST)
        names = few[others].astype("string").fillna("(missing)").agg(" / ".join, axis=1)
        result[title] = titled(bars(names, few[shown]), title, " / ".join(map(str, others)), shown)
if len(result) < 2:
    missing = frame.isna().sum()
    result["missing values"] = titled(bars(missing.index, missing), "Missing values by column", "column", "rows")
    distinct = frame.astype("string").nunique()
    result["distinct values"] = titled(bars(distinct.index, distinct), "Distinct values by column", "column", "values")

for figure in result.values():
    display(figure)
