"""The layers one by one: what the filters decide, what the cleanup removes, what is left after many tasks and kills."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import struct
import subprocess
from pathlib import Path

import pytest

from sandbox import cleanup, identity, seccomp, syscalls, view
from sandbox.forkserver import ForkServer
from sandbox.process import Process

module_loop = pytest.mark.asyncio(loop_scope="module")
HEADERS = {
    "x86_64": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), r"#define __NR_(\w+)\s+(\d+)"),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"), r"#define __NR(?:3264)?_(\w+)\s+(\d+)"),
}
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS = ERRNO | 1, ERRNO | 38


def decide(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """What a filter answers: the part of the machine that the filters use, in twenty lines."""
    data = struct.pack("=iIQ6Q", number, arch, 0, *(arguments + (0,) * 6)[:6])
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at, value = 0, 0
    while True:
        operation, if_true, if_false, k = code[at]
        at += 1
        if operation == 0x20:
            value = struct.unpack_from("=I", data, k)[0]
        elif operation == 0x54:
            value &= k
        elif operation == 0x05:
            at += k
        elif operation == 0x06:
            return k
        else:
            taken = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[operation]
            at += if_true if taken else if_false


@pytest.mark.parametrize("name", syscalls.ARCHITECTURES)
def test_the_numbers_are_those_of_the_headers(name):
    path, pattern = HEADERS[name]
    defined = dict(re.findall(pattern, path.read_text()))
    assert {key: int(defined[key]) for key in syscalls.table(name)} == syscalls.table(name)


@pytest.mark.parametrize("name", syscalls.ARCHITECTURES)
def test_a_filter_decides_by_name_on_each_architecture(name):
    numbers, arch = syscalls.table(name), syscalls.ARCHITECTURES[name]
    policy = seccomp.Policy(machine=name).set(seccomp.NEVER, seccomp.DENY).set(["clone3"], seccomp.ABSENT)
    policy.actions[syscalls.FIRST_UNKNOWN] = seccomp.ABSENT
    program = policy.program()
    denied = {numbers[call] for call in seccomp.NEVER if call in numbers}
    for number in range(syscalls.FIRST_UNKNOWN):
        wanted = EPERM if number in denied else ENOSYS if number == numbers["clone3"] else ALLOW
        assert decide(program, arch, number) == wanted, number
    for number in (syscalls.FIRST_UNKNOWN, 463, 999):
        assert decide(program, arch, number) == ENOSYS
    for foreign in set(syscalls.ARCHITECTURES.values()) - {arch} | {0x40000003}:
        assert decide(program, foreign, 0) == KILL


def test_x32_is_killed():
    program = seccomp.Policy(machine="x86_64").program()
    assert decide(program, syscalls.ARCHITECTURES["x86_64"], syscalls.X32_BIT | 1) == KILL


def test_arguments_decide_where_a_call_has_both_uses():
    numbers, arch = syscalls.table("x86_64"), syscalls.ARCHITECTURES["x86_64"]
    plain = seccomp.child(processes=False, network=False, own_user=True, scoped=True).program()
    reaching = seccomp.child(processes=True, network=True, own_user=True, scoped=False).program()
    thread, fork = 0x3D0F00, 0x1200011
    assert decide(plain, arch, numbers["clone"], thread) == ALLOW
    assert decide(plain, arch, numbers["clone"], fork) == EPERM
    assert decide(reaching, arch, numbers["clone"], fork) == ALLOW
    assert decide(reaching, arch, numbers["clone"], fork | 0x10000000) == EPERM
    assert decide(plain, arch, numbers["socket"], 2, 1, 0) == EPERM
    assert decide(reaching, arch, numbers["socket"], 2, 0x80001, 6) == ALLOW
    assert decide(reaching, arch, numbers["socket"], 2, 2, 0) == EPERM
    assert decide(reaching, arch, numbers["socket"], 1, 1, 0) == EPERM
    assert decide(reaching, arch, numbers["socket"], 10, 1, 262) == EPERM
    assert decide(reaching, arch, numbers["kill"], os.getpid(), 9) == ALLOW
    assert decide(reaching, arch, numbers["kill"], 1, 9) == EPERM
    base = seccomp.base().program()
    assert decide(base, arch, numbers["socketpair"], 1, 0x80001) == ALLOW
    assert decide(base, arch, numbers["socketpair"], 1, 2) == EPERM
    assert decide(base, arch, numbers["prlimit64"], 0) == ALLOW
    assert decide(base, arch, numbers["prlimit64"], 1) == EPERM
    assert decide(base, arch, numbers["fcntl"], 3, 8) == EPERM
    assert decide(base, arch, numbers["fcntl"], 3, 3) == ALLOW


def test_cleanup_removes_whatever_is_there(tmp_path):
    folder, outside = tmp_path / "slot", tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "locked").mkdir()
    (folder / "locked" / "file").write_text("x")
    (folder / "locked" / "inner").mkdir()
    (folder / "locked" / "inner").chmod(0)
    (folder / "locked").chmod(0)
    os.mkfifo(folder / "pipe")
    here = os.open(folder, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    folder.chmod(0)
    cleanup.remove(folder)
    assert not folder.exists()
    assert (outside / "kept").read_text() == "x"


def test_a_folder_that_others_cannot_enter_is_found(tmp_path):
    home = tmp_path / "home"
    (home / "python" / "lib").mkdir(parents=True)
    home.chmod(0o700)
    blocked = identity.enterable(home / "python" / "lib")
    assert blocked is not None
    assert view.covered([home / "python"]) == {blocked: [home / "python"]}
    assert identity.enterable(Path("/usr/lib")) is None


def test_only_what_runs_no_more_is_exiting():
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    assert child.stdin is not None
    null = [os.open(os.devnull, os.O_RDWR) for _ in range(3)]
    process = Process(pid=child.pid, slot=0, tree=False, fds=(*null, os.pidfd_open(child.pid)))
    try:
        assert not process.exiting
        child.stdin.close()
        assert select.select([process.pidfd], [], [], 20)[0]
        assert process.exiting
    finally:
        child.wait()
        process.close()


def fds(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def resident(pid: int) -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


@module_loop
async def test_descriptors_and_folders_stay_the_same(forked):
    for _ in range(5):
        await forked.run("result = 1")
    watched = (os.getpid(), forked.sandbox.zygote_pid)
    before = [fds(pid) for pid in watched]
    for number in range(60):
        code = "open('x', 'w')" if number % 3 == 0 else "1/0" if number % 3 == 1 else "import os; os._exit(4)"
        await forked.run(code)
    await asyncio.sleep(0)
    assert all(fds(pid) <= count + 4 for pid, count in zip(watched, before, strict=True))
    assert not forked.sandbox._running


@pytest.mark.serial
@module_loop
@pytest.mark.parametrize("victim", ["zygote", "supervisors"])
async def test_kills_while_fifty_attempts_run(box_of, victim):
    sandbox = ForkServer(preload=(), capacity=50, spares=2)
    await sandbox.start()
    box = box_of(sandbox)
    permissions = {"processes": victim == "supervisors"}
    code = "print('on', flush=True)\nimport time\ntime.sleep(60)"
    jobs = [(box.job(code, permissions=permissions, timeout_s=100), box.sink()) for _ in range(50)]
    attempts = [asyncio.ensure_future(box.run_job(job, sink)) for job, sink in jobs]
    try:
        async with asyncio.timeout(60):
            for _, sink in jobs:
                await sink.wait_for("stdout")
        processes = [running.process.pid for running in sandbox._running.values()]
        for pid in [sandbox.zygote_pid] if victim == "zygote" else processes:
            os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(20):
            outcomes = {tried.outcome for tried in await asyncio.gather(*attempts)}
        assert outcomes == {"lost" if victim == "zygote" else "failed"}
        assert not [pid for pid in processes if exists(pid)]
        async with asyncio.timeout(20):
            assert (await box.run("result = 1")).result == 1
    finally:
        await sandbox.close()


@pytest.mark.soak
@module_loop
@pytest.mark.timeout(1800)
async def test_ten_thousand_tasks_leave_nothing(box_of):
    sandbox = ForkServer(capacity=8)
    await sandbox.start()
    box = box_of(sandbox)

    async def some(count: int) -> None:
        for _ in range(count):
            assert (await box.run("import os\nopen('f', 'w')\nresult = os.getpid()")).outcome == "succeeded"

    try:
        await some(200)
        first = (resident(os.getpid()), resident(sandbox.zygote_pid), fds(os.getpid()))
        await asyncio.gather(*(some(1225) for _ in range(8)))
        last = (resident(os.getpid()), resident(sandbox.zygote_pid), fds(os.getpid()))
        print("first", first, "last", last)
        assert last[2] <= first[2] + 10
        assert last[1] <= first[1] * 1.1 + 4096
        assert last[0] <= first[0] * 1.25 + 16_384
    finally:
        await sandbox.close()
