/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscalls.h: the table of system calls that the library kernel has, and nothing else.
 * The dispatcher, --strace and SYSCALLS.md are generated from it.
 *
 * UK_CALL(number, name, arguments): sys_<name> serves it. One letter an argument, for
 * --strace: d int, u unsigned, x hex, o octal, p pointer, s string, b buffer (its
 * length is the next argument), f file descriptor or AT_FDCWD, n signal.
 */

/* file.c: moving data */
UK_CALL(0, read, "fpu")
UK_CALL(1, write, "fbu")
UK_CALL(17, pread64, "fpuu")
UK_CALL(18, pwrite64, "fbuu")
UK_CALL(19, readv, "fpd")
UK_CALL(20, writev, "fpd")
UK_CALL(295, preadv, "fpdu")
UK_CALL(296, pwritev, "fpdu")
UK_CALL(327, preadv2, "fpduux")
UK_CALL(328, pwritev2, "fpduux")
UK_CALL(8, lseek, "fdd")
UK_CALL(40, sendfile, "ffpu")
UK_CALL(326, copy_file_range, "fpfpux")

/* fd.c: what else is done with descriptors */
UK_CALL(3, close, "f")
UK_CALL(436, close_range, "uux")
UK_CALL(32, dup, "f")
UK_CALL(33, dup2, "ff")
UK_CALL(292, dup3, "ffx")
UK_CALL(72, fcntl, "fdx")
UK_CALL(16, ioctl, "fxp")
UK_CALL(22, pipe, "p")
UK_CALL(293, pipe2, "px")
UK_CALL(74, fsync, "f")
UK_CALL(75, fdatasync, "f")
UK_CALL(162, sync, "")
UK_CALL(306, syncfs, "f")
UK_CALL(277, sync_file_range, "fuux")
UK_CALL(221, fadvise64, "fuud")
UK_CALL(73, flock, "fd")

/* path.c: open, the current directory */
UK_CALL(2, open, "sxo")
UK_CALL(257, openat, "fsxo")
UK_CALL(437, openat2, "fspu")
UK_CALL(85, creat, "so")
UK_CALL(79, getcwd, "pu")
UK_CALL(80, chdir, "s")
UK_CALL(81, fchdir, "f")
UK_CALL(217, getdents64, "fpu")
UK_CALL(95, umask, "o")

/* stat.c: what a name stands for */
UK_CALL(4, stat, "sp")
UK_CALL(6, lstat, "sp")
UK_CALL(5, fstat, "fp")
UK_CALL(262, newfstatat, "fspx")
UK_CALL(332, statx, "fsxxp")
UK_CALL(137, statfs, "sp")
UK_CALL(138, fstatfs, "fp")
UK_CALL(21, access, "so")
UK_CALL(269, faccessat, "fso")
UK_CALL(439, faccessat2, "fsox")

/* names.c: making, removing, renaming */
UK_CALL(83, mkdir, "so")
UK_CALL(258, mkdirat, "fso")
UK_CALL(84, rmdir, "s")
UK_CALL(87, unlink, "s")
UK_CALL(263, unlinkat, "fsx")
UK_CALL(82, rename, "ss")
UK_CALL(264, renameat, "fsfs")
UK_CALL(316, renameat2, "fsfsx")

/* links.c */
UK_CALL(86, link, "ss")
UK_CALL(265, linkat, "fsfsx")
UK_CALL(88, symlink, "ss")
UK_CALL(266, symlinkat, "sfs")
UK_CALL(89, readlink, "spu")
UK_CALL(267, readlinkat, "fspu")

/* attr.c: mode, owner, size, times */
UK_CALL(90, chmod, "so")
UK_CALL(91, fchmod, "fo")
UK_CALL(268, fchmodat, "fso")
UK_CALL(92, chown, "sdd")
UK_CALL(93, fchown, "fdd")
UK_CALL(94, lchown, "sdd")
UK_CALL(260, fchownat, "fsddx")
UK_CALL(76, truncate, "su")
UK_CALL(77, ftruncate, "fu")
UK_CALL(285, fallocate, "fxuu")
UK_CALL(280, utimensat, "fspx")
UK_CALL(132, utime, "sp")
UK_CALL(235, utimes, "sp")
UK_CALL(261, futimesat, "fsp")

/* poll.c */
UK_CALL(7, poll, "pud")
UK_CALL(271, ppoll, "pupp")
UK_CALL(23, select, "dpppp")
UK_CALL(270, pselect6, "dppppp")

/* net/socket.c */
UK_CALL(41, socket, "ddd")
UK_CALL(53, socketpair, "dddp")
UK_CALL(49, bind, "fpu")
UK_CALL(50, listen, "fd")
UK_CALL(42, connect, "fpu")
UK_CALL(43, accept, "fpp")
UK_CALL(288, accept4, "fppx")
UK_CALL(48, shutdown, "fd")
UK_CALL(51, getsockname, "fpp")
UK_CALL(52, getpeername, "fpp")

/* net/sockmsg.c */
UK_CALL(44, sendto, "fbuxpu")
UK_CALL(45, recvfrom, "fpuxpp")
UK_CALL(46, sendmsg, "fpx")
UK_CALL(47, recvmsg, "fpx")
UK_CALL(307, sendmmsg, "fpux")
UK_CALL(299, recvmmsg, "fpuxp")

/* net/sockopt.c */
UK_CALL(54, setsockopt, "fddpu")
UK_CALL(55, getsockopt, "fddpp")

/* epoll.c */
UK_CALL(213, epoll_create, "d")
UK_CALL(291, epoll_create1, "x")
UK_CALL(233, epoll_ctl, "fdfp")
UK_CALL(232, epoll_wait, "fpdd")
UK_CALL(281, epoll_pwait, "fpddpu")
UK_CALL(441, epoll_pwait2, "fpdppu")

/* eventfd.c */
UK_CALL(284, eventfd, "u")
UK_CALL(290, eventfd2, "ux")

/* signalfd.c */
UK_CALL(282, signalfd, "dpu")
UK_CALL(289, signalfd4, "dpux")

/* timerfd.c */
UK_CALL(283, timerfd_create, "dx")
UK_CALL(286, timerfd_settime, "fxpp")
UK_CALL(287, timerfd_gettime, "fp")

/* mmap.c: the address space */
UK_CALL(9, mmap, "pudxfu")
UK_CALL(11, munmap, "pu")
UK_CALL(10, mprotect, "pux")
UK_CALL(25, mremap, "puuxp")

/* brk.c */
UK_CALL(12, brk, "p")

/* madvise.c: what is said of memory and asked about it */
UK_CALL(28, madvise, "pud")
UK_CALL(26, msync, "pux")
UK_CALL(27, mincore, "pup")
UK_CALL(149, mlock, "pu")
UK_CALL(150, munlock, "pu")
UK_CALL(151, mlockall, "x")
UK_CALL(152, munlockall, "")
UK_CALL(325, mlock2, "pux")

/* signal.c */
UK_CALL(13, rt_sigaction, "nppu")
UK_CALL(14, rt_sigprocmask, "dppu")
UK_CALL(127, rt_sigpending, "pu")
UK_CALL(130, rt_sigsuspend, "pu")
UK_CALL(128, rt_sigtimedwait, "pppu")
UK_CALL(62, kill, "dn")
UK_CALL(200, tkill, "dn")
UK_CALL(234, tgkill, "ddn")
UK_CALL(34, pause, "")

/* sigframe.c */
UK_CALL(15, rt_sigreturn, "")
UK_CALL(131, sigaltstack, "pp")

/* timer.c */
UK_CALL(37, alarm, "u")
UK_CALL(36, getitimer, "dp")
UK_CALL(38, setitimer, "dpp")

/* time.c */
UK_CALL(228, clock_gettime, "dp")
UK_CALL(229, clock_getres, "dp")
UK_CALL(230, clock_nanosleep, "dxpp")
UK_CALL(35, nanosleep, "pp")
UK_CALL(96, gettimeofday, "pp")
UK_CALL(201, time, "p")
UK_CALL(100, times, "p")
UK_CALL(98, getrusage, "dp")

/* process.c: who and where the program is, and its end */
UK_CALL(60, exit, "d")
UK_CALL(231, exit_group, "d")
UK_CALL(158, arch_prctl, "xp")
UK_CALL(157, prctl, "dxxxx")
UK_CALL(218, set_tid_address, "p")
UK_CALL(63, uname, "p")
UK_CALL(99, sysinfo, "p")
UK_CALL(39, getpid, "")
UK_CALL(186, gettid, "")
UK_CALL(110, getppid, "")
UK_CALL(102, getuid, "")
UK_CALL(104, getgid, "")
UK_CALL(107, geteuid, "")
UK_CALL(108, getegid, "")
UK_CALL(113, setreuid, "dd")
UK_CALL(114, setregid, "dd")
UK_CALL(117, setresuid, "ddd")
UK_CALL(119, setresgid, "ddd")
UK_CALL(118, getresuid, "ppp")
UK_CALL(120, getresgid, "ppp")
UK_CALL(115, getgroups, "dp")
UK_CALL(105, setuid, "d")
UK_CALL(106, setgid, "d")
UK_CALL(111, getpgrp, "")
UK_CALL(121, getpgid, "d")
UK_CALL(109, setpgid, "dd")
UK_CALL(124, getsid, "d")
UK_CALL(112, setsid, "")
UK_CALL(318, getrandom, "pux")

/* sched.c: threads and scheduling, where there is one of each */
UK_CALL(273, set_robust_list, "pu")
UK_CALL(274, get_robust_list, "dpp")
UK_CALL(334, rseq, "pudx")
UK_CALL(202, futex, "pduppu")
UK_CALL(24, sched_yield, "")
UK_CALL(204, sched_getaffinity, "dup")
UK_CALL(203, sched_setaffinity, "dup")
UK_CALL(145, sched_getscheduler, "d")
UK_CALL(140, getpriority, "dd")
UK_CALL(141, setpriority, "ddd")
UK_CALL(309, getcpu, "ppp")
UK_CALL(144, sched_setscheduler, "ddp")
UK_CALL(142, sched_setparam, "dp")
UK_CALL(143, sched_getparam, "dp")
UK_CALL(146, sched_get_priority_max, "d")
UK_CALL(147, sched_get_priority_min, "d")

/* limits.c */
UK_CALL(97, getrlimit, "dp")
UK_CALL(160, setrlimit, "dp")
UK_CALL(302, prlimit64, "ddpp")
