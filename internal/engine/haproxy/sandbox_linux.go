package haproxy

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nobody owns no file that matters.
const nobody = 65534

// limits of the judge. 10,000 backends with 100,000 servers take 491 MB and
// 0.6 s of processor time (reliability.md §1.4). HAProxy keeps its start-up log
// in a file on memory, hence the file size.
var limits = []struct {
	resource int
	most     uint64
}{
	{unix.RLIMIT_CPU, 10},
	{unix.RLIMIT_AS, 4 << 30},
	{unix.RLIMIT_FSIZE, 1 << 20},
	{unix.RLIMIT_CORE, 0},
	{unix.RLIMIT_NOFILE, 1024},
}

// Judge turns the calling process into "binary -c -f config" without
// privileges, network or means: it returns only if that failed.
func Judge(binary, config string) error {
	// Filter and exec must be of the same thread.
	runtime.LockOSThread()
	for _, l := range limits {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.most, Max: l.most}); err != nil {
			return fmt.Errorf("judge: limit resource %d: %w", l.resource, err)
		}
	}
	if os.Geteuid() == 0 {
		if err := becomeNobody(); err != nil {
			return err
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("judge: give up new privileges: %w", err)
	}
	if err := refuseSockets(); err != nil {
		return err
	}
	err := syscall.Exec(binary, []string{binary, "-c", "-f", config}, nil)
	return fmt.Errorf("judge: run %s: %w", binary, err)
}

func becomeNobody() error {
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("judge: leave groups: %w", err)
	}
	if err := syscall.Setgid(nobody); err != nil {
		return fmt.Errorf("judge: leave group: %w", err)
	}
	if err := syscall.Setuid(nobody); err != nil {
		return fmt.Errorf("judge: leave user: %w", err)
	}
	return nil
}

// Offsets in struct seccomp_data (linux/seccomp.h).
const (
	offNumber = 0
	offArch   = 4
	offArg0   = 16
)

// x32 system calls have this bit; they would pass by their other numbers.
const x32Bit = 0x40000000

// refuseSockets lets this thread, and what it executes, make no socket but a
// unix one. A container lacks the capability for a network namespace.
func refuseSockets() error {
	deny := uint32(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM))
	filter := []unix.SockFilter{
		load(offArch),
		jump(unix.BPF_JEQ, auditArch, 1, 0),
		ret(unix.SECCOMP_RET_KILL_PROCESS),
		load(offNumber),
		jump(unix.BPF_JGE, x32Bit, 4, 0), // to deny
		jump(unix.BPF_JEQ, unix.SYS_IO_URING_SETUP, 3, 0),
		jump(unix.BPF_JEQ, unix.SYS_SOCKET, 0, 3), // to allow
		load(offArg0),
		jump(unix.BPF_JEQ, unix.AF_UNIX, 1, 0),
		ret(deny),
		ret(unix.SECCOMP_RET_ALLOW),
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return fmt.Errorf("judge: filter system calls: %w", errno)
	}
	return nil
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func jump(op uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | op, Jt: yes, Jf: no, K: k}
}

func ret(k uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k}
}
