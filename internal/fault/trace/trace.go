package trace

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Calls are the system calls that change files, as far as our programs make
// them. fsync of a directory is among them.
var Calls = []string{
	"openat", "write", "pwrite64", "fdatasync", "fsync", "ftruncate",
	"rename", "renameat", "renameat2", "unlink", "unlinkat",
}

// Call is one system call.
type Call struct {
	Name   string
	Path   string // of the file or file descriptor, "" if unknown
	To     string // the new name, of a rename
	Flags  string // of openat
	Data   string // what is written: the first 64 bytes, or all with RunFull
	Size   int64  // of write, pwrite64
	Offset int64  // of pwrite64; the length, of ftruncate
	Result string // "0", "4096", "-1 EIO (Input/output error) (INJECTED)"
}

// Available returns why programs cannot be traced here, or nil.
var Available = sync.OnceValue(func() error {
	path, err := exec.LookPath("strace")
	if err != nil {
		return fmt.Errorf("strace is not installed: %w", err)
	}
	if out, err := exec.Command(path, "-f", "-qq", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		return fmt.Errorf("strace may not trace: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
})

// Injection makes one system call go wrong. strace counts each kind of call by
// itself and by thread, so the program must make those that count on one
// thread (runtime.LockOSThread).
type Injection struct {
	Call string // the kind, by name
	Nth  int    // which of them, from 1
	Kill bool   // kill the program there; else the call fails with EIO
}

// Run runs a command under strace and returns its calls of those named in
// Calls. The command's own exit is not an error: see cmd.ProcessState.
func Run(ctx context.Context, inject *Injection, name string, env []string, args ...string) ([]Call, *Result, error) {
	return run(ctx, inject, 64, name, env, args)
}

// RunFull is Run without a fault, with all bytes that are written up to 1 MiB a
// call: enough to make from the calls what a power failure leaves.
func RunFull(ctx context.Context, name string, env []string, args ...string) ([]Call, *Result, error) {
	return run(ctx, nil, 1<<20, name, env, args)
}

func run(ctx context.Context, inject *Injection, data int, name string, env, args []string) ([]Call, *Result, error) {
	log, err := os.CreateTemp("", "trace")
	if err != nil {
		return nil, nil, fmt.Errorf("create trace file: %w", err)
	}
	defer func() { _ = errors.Join(log.Close(), os.Remove(log.Name())) }()

	options := []string{"-f", "-qq", "-y", "-s", strconv.Itoa(data), "-o", log.Name(), "-e", "trace=?" + strings.Join(Calls, ",?")} // ?: not on every architecture
	if inject != nil {
		what := "error=EIO"
		if inject.Kill {
			what = "signal=KILL"
		}
		options = append(options, "-e", fmt.Sprintf("inject=?%s:%s:when=%d", inject.Call, what, inject.Nth))
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "strace", append(append(options, name), args...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, nil, fmt.Errorf("run strace: %w", err)
	}
	calls, err := parse(log)
	if err != nil {
		return nil, nil, err
	}
	return calls, &Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}, nil
}

// Result is how a program ended.
type Result struct {
	Stdout, Stderr string
	Code           int // -1: by a signal
}

var (
	line       = regexp.MustCompile(`^(\d+) +(\w+)\((.*)\) += (.*)$`)
	unfinished = regexp.MustCompile(`^(\d+) +(\w+\(.*) <unfinished \.\.\.>$`)
	resumed    = regexp.MustCompile(`^(\d+) +<\.\.\. \w+ resumed>(.*)$`)
	fd         = regexp.MustCompile(`^(?:\d+|AT_FDCWD)<(.*?)>(?:, )?(.*)$`)
	quoted     = regexp.MustCompile(`^"((?:[^"\\]|\\.)*)"(?:\.\.\.)?(?:, )?(.*)$`)
)

// parse reads strace's lines. A call during which another thread made one is in
// two of them; it counts where it ended.
func parse(r io.Reader) ([]Call, error) {
	var calls []Call
	begun := make(map[string]string) // by thread
	in := bufio.NewScanner(r)
	in.Buffer(nil, 8<<20)
	for in.Scan() {
		text := in.Text()
		if m := unfinished.FindStringSubmatch(text); m != nil {
			begun[m[1]] = m[2]
			continue
		}
		if m := resumed.FindStringSubmatch(text); m != nil {
			text = m[1] + " " + begun[m[1]] + m[2]
		}
		if m := line.FindStringSubmatch(text); m != nil {
			calls = append(calls, parseCall(m[2], m[3], m[4]))
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	return calls, nil
}

// parseCall takes the arguments of one call apart.
func parseCall(name, args, result string) Call {
	c := Call{Name: name, Result: result}
	if m := fd.FindStringSubmatch(args); m != nil {
		c.Path, args = m[1], m[2]
	}
	switch name {
	case "write", "pwrite64":
		if m := quoted.FindStringSubmatch(args); m != nil {
			c.Data, args = unquote(m[1]), m[2]
		}
		size, offset, _ := strings.Cut(args, ", ")
		c.Size, c.Offset = number(size), number(offset)
	case "ftruncate":
		c.Offset = number(args)
	case "openat", "unlinkat", "unlink", "rename", "renameat", "renameat2":
		if m := quoted.FindStringSubmatch(args); m != nil {
			c.Path, args = unquote(m[1]), m[2]
		}
		if m := fd.FindStringSubmatch(args); m != nil {
			args = m[2]
		}
		if m := quoted.FindStringSubmatch(args); m != nil {
			c.To, args = unquote(m[1]), m[2]
		}
		c.Flags, _, _ = strings.Cut(args, ",")
	}
	return c
}

// unquote decodes strace's strings: C escapes, octal ones with one to three
// digits.
func unquote(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if j := i; s[i] >= '0' && s[i] <= '7' {
			n := 0
			for ; i < len(s) && i < j+3 && s[i] >= '0' && s[i] <= '7'; i++ {
				n = n*8 + int(s[i]-'0')
			}
			b.WriteByte(byte(n))
			i--
			continue
		}
		if at := strings.IndexByte(escapes, s[i]); at >= 0 {
			b.WriteByte(byte(7 + at))
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// escapes are the letters for the bytes 7 to 13.
const escapes = "abtnvfr"

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
