"""Numbers of the system calls that the filters name, for x86-64 and aarch64 (a test compares them with the headers)."""

from __future__ import annotations

import platform

# name, x86-64, aarch64; `-` where the architecture has no such call
_TABLE = """
ptrace 101 117; process_vm_readv 310 270; process_vm_writev 311 271; process_madvise 440 440
process_mrelease 448 448; kcmp 312 272; mount 165 40; umount2 166 39; pivot_root 155 41; chroot 161 51
setns 308 268; unshare 272 97; move_mount 429 429; open_tree 428 428; fsopen 430 430; fsconfig 431 431
fsmount 432 432; fspick 433 433; mount_setattr 442 442; bpf 321 280; perf_event_open 298 241
userfaultfd 323 282; keyctl 250 219; add_key 248 217; request_key 249 218; kexec_load 246 104
kexec_file_load 320 294; init_module 175 105; finit_module 313 273; delete_module 176 106
io_uring_setup 425 425; io_uring_enter 426 426; io_uring_register 427 427; memfd_create 319 279
memfd_secret 447 447; shmget 29 194; shmat 30 196; shmctl 31 195; msgget 68 186; msgsnd 69 189; msgrcv 70 188
msgctl 71 187; semget 64 190; semop 65 193; semctl 66 191; semtimedop 220 192; mq_open 240 180
mq_unlink 241 181; mq_timedsend 242 182; mq_timedreceive 243 183; mq_notify 244 184; mq_getsetattr 245 185
personality 135 92; open_by_handle_at 304 265; name_to_handle_at 303 264; pidfd_getfd 438 438
pidfd_send_signal 424 424; quotactl 179 60; quotactl_fd 443 443; swapon 167 224; swapoff 168 225; reboot 169 142
acct 163 89; modify_ldt 154 -; iopl 172 -; ioperm 173 -; setpriority 141 140; sched_setscheduler 144 119
sched_setparam 142 118; sched_setattr 314 274; ioprio_set 251 30; migrate_pages 256 238; move_pages 279 239
set_mempolicy_home_node 450 450; settimeofday 164 170; clock_settime 227 112; adjtimex 159 171
clock_adjtime 305 266; sethostname 170 161; setdomainname 171 162; syslog 103 116; vhangup 153 58
lookup_dcookie 212 18; nfsservctl 180 42; fanotify_init 300 262; fanotify_mark 301 263; uselib 134 -
ustat 136 -; sysfs 139 -; _sysctl 156 -; chown 92 -; fchown 93 55; lchown 94 -; fchownat 260 54; setxattr 188 5
lsetxattr 189 6; fsetxattr 190 7; removexattr 197 14; lremovexattr 198 15; fremovexattr 199 16; chmod 90 -
fchmod 91 52; fchmodat 268 53; utime 132 -; utimes 235 -; futimesat 261 -; utimensat 280 88; fork 57 -
vfork 58 -; execve 59 221; execveat 322 281; pidfd_open 434 434; socket 41 198; socketpair 53 199
connect 42 203; bind 49 200; listen 50 201; accept 43 202; accept4 288 242; sendto 44 206; sendmsg 46 211
sendmmsg 307 269; kill 62 129; tkill 200 130; tgkill 234 131; rt_sigqueueinfo 129 138; rt_tgsigqueueinfo 297 240
clone 56 220; clone3 435 435; ioctl 16 29; fcntl 72 25; prlimit64 302 261; sched_setaffinity 203 122
prctl 157 167
"""

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH of each machine that has a column."""
FIRST_UNKNOWN = 450
"""Calls from this number on, equal on all architectures, are younger than the table: they do not exist for a task."""
X32_BIT = 0x40000000


def table(machine: str) -> dict[str, int]:
    """Name -> number on `machine` (x86_64 or aarch64). Raises KeyError for any other."""
    column = list(ARCHITECTURES).index(machine) if machine in ARCHITECTURES else -1
    if column < 0:
        raise KeyError(machine)
    rows = (row.split() for line in _TABLE.strip().splitlines() for row in line.split("; "))
    return {name: int(numbers[column]) for name, *numbers in rows if numbers[column] != "-"}


def machine() -> str:
    """The architecture's name, as in `table`."""
    return platform.machine()
