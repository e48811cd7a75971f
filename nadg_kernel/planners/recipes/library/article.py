# /// recipe
# name = "article"
# title = "Put the text together"
# summary = "A text, section by section through a worker's model, put together in order."
# stage = "alone"
# words = ["write * article", "write * essay", "write * blog post", "write * story", "generate text", "text generation",
#          "write * text", "draft * article", "write * chapter", "generate * article", "blog post", "essay"]
# chain = ["outline", "section"]
# also = "outline"
# ///
# include: markdown


titles = [item["section"] for item in inputs["ALSO"]]
texts = [str(text).strip() for text in inputs["SOURCE"]]
result = "\n\n".join(f"## {title}\n\n{text}" for title, text in zip(titles, texts, strict=False)) + "\n"
display(Markdown(result))
