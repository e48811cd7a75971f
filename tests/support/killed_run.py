"""A process to be killed: starts or resumes a run whose attempts leave a line in a file outside the system under test.

python -m tests.support.killed_run FOLDER SHARDS
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from nadg_kernel import values
from nadg_kernel.engines.client import WorkerEndpoint
from nadg_kernel.engines.http import HttpEngine
from nadg_kernel.errors import StoreError
from nadg_kernel.model import DataSchema, Map, Plan, Subtask
from nadg_kernel.runner import Runner
from nadg_kernel.stores.blobs import BlobStore
from nadg_kernel.stores.owners import this_owner
from nadg_kernel.stores.sqlite import SqliteStore
from nadg_kernel.wire import INLINE_BYTES
from tests.support.fake_engine import Act, FakeEngine, worker


def plan(shards):
    code = "import time\ntime.sleep(0.05)\nresult = sum(inputs['rows'])"
    many = Subtask(id="m", code=code, inputs=("rows",), map=Map(over="rows", shards=shards))
    end = Subtask(id="end", code="result = sum(inputs['m'])", inputs=("m",), depends_on=("m",))
    return Plan(command="kill me", subtasks=(many, end), data={"rows": DataSchema(kind="json")}).approve(by="ada")


class Counting(FakeEngine):
    """Executions are counted in a file, by lines that one write makes whole."""

    log: int

    def _outcome(self, spec, act):
        os.write(self.log, f"{spec.subtask} {spec.shard} {spec.attempt_id}\n".encode())
        return super()._outcome(spec, act)


def counting_engine(folder, blobs):
    total = Act(value=lambda inputs, spec: sum(inputs["m"]))
    piece = Act(value=lambda inputs, spec: sum(inputs["rows"]), seconds=0.02)
    workers = [worker("w1", capacity=3), worker("w2", capacity=3)]
    engine = Counting(blobs, workers=workers, script={"m": [piece], "end": [total]})
    engine.log = os.open(folder / "executions", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    return engine


async def main(folder, shards, urls):
    blobs, store = BlobStore(folder / "blobs"), SqliteStore(folder / "nadg.db")
    await store.open()
    if urls:
        engine = HttpEngine([WorkerEndpoint(worker_id=f"w{n}", url=url) for n, url in enumerate(urls)], blobs)
        await engine.start()
    else:
        engine = counting_engine(folder, blobs)
    rows = values.to_ref(values.encode(list(range(shards))), INLINE_BYTES, lambda _sha, data: blobs.put(data))
    given = {"run_id": "r1", "data": {"rows": rows}, "engine": engine, "store": store, "blobs": blobs}
    if await store.get_run("r1") is None:
        runner = Runner(plan=plan(shards), owner=this_owner(), **given)
    else:
        epoch = await store.claim("r1", this_owner())
        history = [event async for event in store.read("r1")]
        runner = Runner(plan=await store.get_plan("r1"), owner=this_owner(), epoch=epoch, history=history, **given)
    print(await runner.run(), flush=True)
    await engine.close()
    await store.close()


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
    except StoreError as error:
        sys.exit(f"refused: {error}")
