import ctypes
import errno

libc = ctypes.CDLL(None, use_errno=True)
outside = inputs.get("outside")
NR = dict(
    mmap=9, rt_sigqueueinfo=129, setpriority=141, sched_setscheduler=144, sched_setaffinity=203, prlimit64=302, ioprio_set=251,
    ptrace=101, process_vm_readv=310, process_vm_writev=311, pidfd_open=434, pidfd_getfd=438, pidfd_send_signal=424, kcmp=312,
    clone=56, clone3=435, fork=57, vfork=58, execve=59, execveat=322, unshare=272, setns=308, mount=165, umount2=166, chroot=161,
    pivot_root=155, keyctl=250, add_key=248, request_key=249, bpf=321, perf_event_open=298, userfaultfd=323, personality=135,
    io_uring_setup=425, open_by_handle_at=304, name_to_handle_at=303, memfd_create=319, memfd_secret=447, shmget=29, msgget=68,
    semget=64, mq_open=240, modify_ldt=154, iopl=172, process_madvise=440, fanotify_init=300, quotactl=179, syslog=103, swapon=167,
    clock_settime=227, acct=163, tgkill=234, tkill=200, move_pages=279, open_tree=428, fsopen=430, sethostname=170, setxattr=188,
    fchmodat2=452, setxattrat=463, landlock_create_ruleset=444, reboot=169, init_module=175, kexec_load=246,
)


def call(name, *words):
    number = NR[name] if isinstance(name, str) else name
    ctypes.set_errno(0)
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in words]
    answer = libc.syscall(ctypes.c_long(number), *words)
    if answer < 0:
        raise OSError(ctypes.get_errno(), name)
    return answer


def reached(function, *words):
    """Whether the kernel got as far as its own work: it did not say no, or said no for a reason of its own."""
    try:
        function(*words)
    except OSError as error:
        return error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS)
    return True


result = False
