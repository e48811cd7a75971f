"""Named data on its way to the workers: read from files, encoded, proved to arrive as it is, split into shards."""

from nadg_kernel.data.attached import Attached, attach
from nadg_kernel.data.files import FILE_KINDS, read_file
from nadg_kernel.data.shards import split_value

__all__ = ["FILE_KINDS", "Attached", "attach", "read_file", "split_value"]
