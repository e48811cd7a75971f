def look(figure, title, height=380):
    """Let a figure stand on a light page and on a dark one: no background of its own, greys that show on both."""
    figure.update_layout(title=title, height=height, template="none", font={"color": "#767676"})
    figure.update_layout(paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
    line = "rgba(128,128,128,0.25)"
    axis = {"gridcolor": line, "zerolinecolor": line, "linecolor": line, "tickcolor": line, "automargin": True}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure
