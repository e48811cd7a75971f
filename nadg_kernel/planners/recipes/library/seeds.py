# /// recipe
# name = "seeds"
# title = "Split {SAMPLES} samples"
# summary = "How many samples each worker throws, and with which seed."
# stage = "alone"
# words = []
# counts = ["SAMPLES"]
# ///
SAMPLES = 10_000_000  # points in all
PARTS = 8  # shares
SEED = 1  # the same seed gives the same estimate

result = [[SEED + part, SAMPLES // PARTS + (part < SAMPLES % PARTS)] for part in range(PARTS)]
