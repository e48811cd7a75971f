# /// recipe
# name = "report"
# title = "Summary report"
# summary = "A Markdown report: size, statistics of the numbers, shares of the labels, groups, examples, other tables."
# stage = "view"
# words = ["report", "summary report", "summary", "summarize", "summarise", "summarizing", "summarising",
#          "write-up", "write up", "executive summary",
#          "findings", "key findings", "recap", "briefing", "key takeaway",
#          "takeaway", "insight", "conclusion", "reporting",
#          "sum up the result", "sum up the finding", "digest"]
# covers = ["statistics"]
# shows = ["rows", "table", "summary"]
# [columns]
# LABEL = "label?"
# GROUPS = "category*"
# VALUE = "value?"
# NUMBERS = "number*"
# DATE = "date?"
# TEXT = "text?"
# ///
import pandas as pd

LABEL = ""  # a column with few values, reported as shares (such as a sentiment)
GROUPS = ["product"]  # columns to compare groups by
VALUE = "rating"  # the numeric column that ranks rows and groups
NUMBERS = ["rating"]  # numeric columns to describe
DATE = "date"  # the column with the time
TEXT = "review"  # the column that examples are quoted from
EXAMPLES = 3  # quotes from each end
MEANS = 3  # numbers averaged per group
MOST = 15  # rows of a table


# include: as_frame


# include: as_time


# include: markdown


frame = as_frame(inputs["SOURCE"])
extras = {}  # tables of other subtasks, each shown as it is
parts = []
findings = [f"- {len(frame):,} rows, {len(frame.columns)} columns."]
value = pd.to_numeric(frame[VALUE], errors="coerce").astype("float64") if VALUE else None

if DATE:
    when = as_time(frame[DATE]).dropna()
    if len(when):
        findings.append(f"- {cell(DATE)} runs from {when.min():%Y-%m-%d} to {when.max():%Y-%m-%d}.")
if LABEL:
    counts = frame[LABEL].astype("string").fillna("(missing)").value_counts().head(MOST)
    shares = [f"{100 * count / len(frame):.1f}%" for count in counts]
    if len(counts):
        findings.append(f"- Most frequent {cell(LABEL)}: **{cell(counts.index[0])}** ({shares[0]} of the rows).")
    table = pd.DataFrame({LABEL: counts.index.tolist(), "rows": counts.tolist(), "share": shares})
    parts += [f"## Rows by {cell(LABEL)}", as_table(table)]
if NUMBERS:
    numbers = frame[NUMBERS].apply(pd.to_numeric, errors="coerce").astype("float64")
    table = pd.DataFrame(
        {
            "column": NUMBERS,
            "count": [int(numbers[name].count()) for name in NUMBERS],
            "mean": numbers.mean().tolist(),
            "std": numbers.std().tolist(),
            "min": numbers.min().tolist(),
            "median": numbers.median().tolist(),
            "max": numbers.max().tolist(),
        }
    )
    parts += ["## Numbers", as_table(table)]
progress(0.4, "numbers described")
for name in GROUPS:
    keys = frame[name].astype("string").fillna("(missing)")
    table = keys.value_counts().rename_axis(name).reset_index(name="rows")
    for shown in dict.fromkeys([*([VALUE] if VALUE else []), *NUMBERS[:MEANS]]):
        each = pd.to_numeric(frame[shown], errors="coerce").astype("float64")
        table[f"mean {shown}"] = table[name].map(each.groupby(keys).mean()).astype("float64")
    if VALUE:
        table = table.sort_values(f"mean {VALUE}", ascending=False, kind="stable")
        ranked = table.dropna(subset=f"mean {VALUE}")
        if len(ranked) > 1:
            best, worst = ranked[[name, f"mean {VALUE}"]].to_numpy()[[0, -1]].tolist()
            findings.append(
                f"- By {cell(name)}, mean {cell(VALUE)} is highest for **{cell(best[0])}** ({cell(best[1])})"
                f" and lowest for **{cell(worst[0])}** ({cell(worst[1])})."
            )
    note = f" (the first {MOST} of {len(table):,})" if len(table) > MOST else ""
    parts += [f"## By {cell(name)}{note}", as_table(table.head(MOST))]
if value is not None and value.notna().any():
    findings.append(f"- Mean {cell(VALUE)}: {cell(float(value.mean()))}.")
if TEXT and value is not None and value.notna().any():
    ranked = frame.assign(_value=value).dropna(subset="_value").sort_values("_value", kind="stable")
    quotes = ranked[[TEXT, "_value"]].set_axis(["text", VALUE], axis=1)
    parts += [f"## Highest {cell(VALUE)}", as_table(quotes.tail(EXAMPLES).iloc[::-1])]
    parts += [f"## Lowest {cell(VALUE)}", as_table(quotes.head(EXAMPLES))]
for title, extra in extras.items():
    table = as_frame(extra)
    note = f" (the first {MOST} of {len(table):,} rows)" if len(table) > MOST else ""
    parts += [f"## {cell(title)}{note}", as_table(table.head(MOST))]
missing = frame.isna().sum()
missing = missing[missing > 0].rename_axis("column").reset_index(name="missing values")
parts += ["## Missing values", as_table(missing) if len(missing) else "None."]

result = "\n\n".join(["# Summary report", "\n".join(findings), *parts]) + "\n"
display(Markdown(result))
