# /// recipe
# name = "correlation"
# title = "Correlation of {NUMBERS}"
# summary = "Pearson's correlation of each pair of numeric columns, as a table and a heat map."
# stage = "summary"
# words = [
#   "correlation", "correlate", "correlated", "correlation matrix", "relationship between",
#   "relation between", "related to", "depend on", "associated with", "association between", "how * relate",
#   "heat map", "heatmap", "connection between"
# ]
# columns = { NUMBERS = "number+" }
# keeps = []
# adds = { column = "str" }
# ///
import pandas as pd
import plotly.graph_objects as go

NUMBERS = ["rating"]  # the numeric columns
METHOD = "pearson"  # pearson or kendall


# include: as_frame


# include: look


frame = as_frame(inputs["SOURCE"])
numbers = frame[NUMBERS].apply(pd.to_numeric, errors="coerce").astype("float64")
matrix = numbers.corr(method=METHOD)
cells = [[None if pd.isna(value) else round(float(value), 4) for value in row] for row in matrix.to_numpy()]
figure = go.Figure(
    go.Heatmap(z=cells, x=NUMBERS, y=NUMBERS, zmin=-1, zmax=1, colorscale="RdBu", text=cells, texttemplate="%{text}")
)
result = matrix.rename_axis("column").reset_index()
display(look(figure, "Correlation", height=420))
display(result)
