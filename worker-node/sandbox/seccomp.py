"""Filters of system calls: a wide one in the zygote, a small one in each task, as balanced trees of raw cBPF."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from dataclasses import dataclass, field

from sandbox import linux, syscalls

Instruction = tuple[int, ...]
"""(code, k) or (code, k, jump if true, jump if false)."""
Program = list[Instruction]

_LOAD, _JUMP, _EQUAL, _AT_LEAST, _ANY_BIT, _MASK, _RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _ARCH = 0, 4
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_FARTHEST = 255

ALLOW: Program = [(_RETURN, _ALLOW)]
DENY: Program = [(_RETURN, _ERRNO | errno.EPERM)]
ABSENT: Program = [(_RETURN, _ERRNO | errno.ENOSYS)]
PRETEND: Program = [(_RETURN, _ERRNO)]
"""The call succeeds and does nothing."""

NAMESPACES = 0x7E020080
CLONE_THREAD = 0x10000
_MSG_FASTOPEN = 0x20000000
_TYPE_MASK = 0xF
_TIOCSTI, _TIOCLINUX, _FIOSETOWN, _SIOCSPGRP = 0x5412, 0x541C, 0x8901, 0x8902
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX = 8, 10, 15
_PR_SET_PDEATHSIG = 1


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NEVER = _names("""
ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp mount umount2 pivot_root chroot
setns unshare move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr bpf perf_event_open userfaultfd
keyctl add_key request_key kexec_load kexec_file_load init_module finit_module delete_module io_uring_setup
io_uring_enter io_uring_register memfd_create memfd_secret shmget shmat shmctl msgget msgsnd msgrcv msgctl
semget semop semctl semtimedop mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
personality open_by_handle_at name_to_handle_at pidfd_getfd pidfd_send_signal quotactl quotactl_fd swapon
swapoff reboot acct modify_ldt iopl ioperm setpriority sched_setscheduler sched_setparam sched_setattr
ioprio_set migrate_pages move_pages settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname
syslog vhangup lookup_dcookie nfsservctl fanotify_init fanotify_mark uselib ustat sysfs _sysctl chown fchown
lchown fchownat setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
""")
STARTS = ("fork", "vfork", "execve", "execveat", "pidfd_open")
MODES = ("chmod", "fchmod", "fchmodat")
TIMES = ("utime", "utimes", "futimesat", "utimensat")
SOCKET_SERVERS = ("bind", "listen", "accept", "accept4")
SIGNALS = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")


@dataclass
class Policy:
    """What becomes of each call that a filter names; all others are allowed."""

    machine: str = field(default_factory=syscalls.machine)
    actions: dict[int, Program] = field(default_factory=dict)

    def set(self, names: tuple[str, ...] | list[str], action: Program) -> Policy:
        """Name calls; those that the architecture lacks are left out."""
        numbers = syscalls.table(self.machine)
        self.actions.update({numbers[name]: action for name in names if name in numbers})
        return self

    def program(self) -> bytes:
        """The filter, as the kernel takes it."""
        body = _tree(_segments(self.actions))
        head: Program = [(_LOAD, _ARCH), (_EQUAL, syscalls.ARCHITECTURES[self.machine], 1, 0), (_RETURN, _KILL)]
        head += [(_LOAD, _NUMBER)]
        if self.machine == "x86_64":
            head += [(_AT_LEAST, syscalls.X32_BIT, 0, 1), (_RETURN, _KILL)]
        return b"".join(_raw(instruction) for instruction in head + body)


def base() -> Policy:
    """What no process below the zygote needs, the zygote included."""
    policy = Policy().set(NEVER, DENY).set(["clone3"], ABSENT)
    policy.set(["ioctl"], _unless(1, (_TIOCSTI, _TIOCLINUX, _FIOSETOWN, _SIOCSPGRP)))
    policy.set(["fcntl"], _unless(1, (_F_SETOWN, _F_SETSIG, _F_SETOWN_EX)))
    policy.set(["prlimit64", "sched_setaffinity"], [(_LOAD, _arg(0)), (_EQUAL, 0, 0, 1), *ALLOW, *DENY])
    policy.set(TIMES, PRETEND)  # whoever may write a file may touch it, wherever it lies
    policy.set(SOCKET_SERVERS, DENY).set(["socketpair"], [*_STREAM, *ALLOW, *DENY])
    policy.actions[syscalls.FIRST_UNKNOWN] = ABSENT
    return policy


def child(*, processes: bool, network: bool, own_user: bool, scoped: bool) -> Policy:
    """What a task may not do besides.

    own_user: it has a user id of its own, so that the kernel guards the modes of others' files.
    scoped: Landlock keeps its signals to itself; if not, it may signal no other process.
    """
    policy = Policy()
    if processes:
        policy.set(["clone"], [(_LOAD, _arg(0)), (_ANY_BIT, NAMESPACES, 0, 1), *DENY, *ALLOW])
    else:
        threads: Program = [(_LOAD, _arg(0)), (_ANY_BIT, NAMESPACES, 0, 1), *DENY]
        policy.set(["clone"], [*threads, (_ANY_BIT, CLONE_THREAD, 0, 1), *ALLOW, *DENY])
        policy.set(STARTS, DENY)
    policy.set(["prctl"], _unless(0, (_PR_SET_PDEATHSIG,)))
    if not own_user:
        policy.set(MODES, PRETEND)
    if not scoped:
        own = [(_LOAD, _arg(0)), (_EQUAL, os.getpid(), 0, 1), *ALLOW, *DENY]
        policy.set(SIGNALS, own).set(["tkill"], DENY)
    _sockets(policy, network=network)
    return policy


def _sockets(policy: Policy, *, network: bool) -> None:
    if not network:
        policy.set(["socket", "connect"], DENY)
        return
    # TCP only: Landlock's rule of ports knows no other protocol, and no connection made by sending.
    plain: Program = [(_LOAD, _arg(2)), (_EQUAL, 0, 1, 0), (_EQUAL, socket.IPPROTO_TCP, 0, 1), *ALLOW, *DENY]
    family: Program = [(_LOAD, _arg(0)), (_EQUAL, socket.AF_INET, 2, 0), (_EQUAL, socket.AF_INET6, 1, 0), *DENY]
    kind: Program = [*_STREAM[:-1], (_EQUAL, socket.SOCK_STREAM, 1, 0), *DENY]
    policy.set(["socket"], [*family, *kind, *plain])
    for name, argument in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        policy.set([name], [(_LOAD, _arg(argument)), (_ANY_BIT, _MSG_FASTOPEN, 0, 1), *DENY, *ALLOW])


class Filter:
    """A program where the kernel can read it; made once, installed in every task."""

    def __init__(self, program: bytes) -> None:
        self._code = ctypes.create_string_buffer(program, len(program))
        head = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(self._code))
        self._head = ctypes.create_string_buffer(head, len(head))
        self._address = ctypes.addressof(self._head)

    def install(self) -> None:
        """Put it on the calling thread and all that it starts. Raises OSError."""
        linux.prctl(linux.PR_SET_SECCOMP, 2, self._address)


def _unless(argument: int, values: tuple[int, ...]) -> Program:
    """Deny when an argument is one of the values."""
    checks: Program = [(_EQUAL, value, len(values) - place, 0) for place, value in enumerate(values)]
    return [(_LOAD, _arg(argument)), *checks, *ALLOW, *DENY]


def _arg(number: int) -> int:
    """Offset of an argument's low half in seccomp_data, on the little-endian machines that have a column."""
    return 16 + 8 * number


_STREAM: Program = [(_LOAD, _arg(1)), (_MASK, _TYPE_MASK), (_EQUAL, socket.SOCK_STREAM, 0, 1)]


def _raw(instruction: Instruction) -> bytes:
    code, k, if_true, if_false = (*instruction, 0, 0)[:4]
    return struct.pack("HBBI", code, if_true, if_false, k & 0xFFFFFFFF)


def _segments(actions: dict[int, Program]) -> list[tuple[int, Program]]:
    """(first number, what becomes of the calls from it up to the next entry), neighbours merged."""
    found: list[tuple[int, Program]] = [(0, ALLOW)]
    for number in sorted(actions):
        action = actions[number]
        if found[-1][0] == number:
            found.pop()
        if not found or found[-1][1] is not action:
            found.append((number, action))
        if number + 1 not in actions and number != syscalls.FIRST_UNKNOWN:
            found.append((number + 1, ALLOW))
    return found


def _tree(segments: list[tuple[int, Program]]) -> Program:
    if len(segments) == 1:
        return list(segments[0][1])
    middle = len(segments) // 2
    low, high = _tree(segments[:middle]), _tree(segments[middle:])
    if len(low) <= _FARTHEST:
        return [(_AT_LEAST, segments[middle][0], len(low), 0), *low, *high]
    return [(_AT_LEAST, segments[middle][0], 0, 1), (_JUMP, len(low)), *low, *high]
