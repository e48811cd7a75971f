# /// recipe
# name = "outline"
# title = "Outline"
# summary = "The sections to write, each with the topic; change them here."
# stage = "alone"
# words = []
# texts = ["TOPIC"]
# ///
TOPIC = "the topic"  # what the text is about
SECTIONS = ["Introduction", "Background", "Main points", "Conclusion"]  # one prompt each
WORDS = 150  # of each section

result = [
    {"topic": TOPIC, "section": name, "number": n, "of": len(SECTIONS), "words": WORDS}
    for n, name in enumerate(SECTIONS, 1)
]
