package trace

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseCall(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, args string
		want       Call
	}{
		{"pwrite64", `3</d/state.db>, "\0\1\3777\n\\\"x"..., 4096, 8192`, Call{Path: "/d/state.db", Data: "\x00\x01\xff7\n\\\"x", Size: 4096, Offset: 8192}},
		{"fdatasync", `3</d/a b>`, Call{Path: "/d/a b"}},
		{"ftruncate", `3</d/f>, 65536`, Call{Path: "/d/f", Offset: 65536}},
		{"write", `1<pipe:[7]>, "done\n", 5`, Call{Path: "pipe:[7]", Data: "done\n", Size: 5}},
		{"openat", `AT_FDCWD</d>, "/d/f.tmp", O_RDWR|O_CREAT|O_CLOEXEC, 0600`, Call{Path: "/d/f.tmp", Flags: "O_RDWR|O_CREAT|O_CLOEXEC"}},
		{"renameat", `AT_FDCWD</d>, "/d/a", AT_FDCWD</d>, "/d/b"`, Call{Path: "/d/a", To: "/d/b"}},
	} {
		tc.want.Name, tc.want.Result = tc.name, "0"
		if got := parseCall(tc.name, tc.args, "0"); got != tc.want {
			t.Errorf("%s(%s):\ngot  %+v\nwant %+v", tc.name, tc.args, got, tc.want)
		}
	}
}

func TestParseJoinsCallsThatWereInterrupted(t *testing.T) {
	t.Parallel()
	calls, err := parse(strings.NewReader(`7  pwrite64(3</d/f>, "a (b) = c", 9, 4096 <unfinished ...>
8  write(4<anon_inode:[eventfd]>, "\1\0\0\0\0\0\0\0", 8) = 8
7  <... pwrite64 resumed>)               = 9
7  fdatasync(3</d/f>)                = 0
8  +++ exited with 0 +++
`))
	if err != nil || len(calls) != 3 {
		t.Fatalf("got %+v, %v; want three calls", calls, err)
	}
	want := Call{Name: "pwrite64", Path: "/d/f", Data: "a (b) = c", Size: 9, Offset: 4096, Result: "9"}
	if calls[1] != want {
		t.Errorf("got %+v, want %+v", calls[1], want)
	}
}

func TestRunSeesAndInjects(t *testing.T) {
	t.Parallel()
	if err := Available(); err != nil {
		t.Skipf("cannot trace: %v", err)
	}
	path := filepath.Join(t.TempDir(), "f")
	script := `echo hello > "$0"; echo after`
	calls, result, err := Run(context.Background(), nil, "sh", nil, "-c", script, path)
	if err != nil || result.Stdout != "after\n" || result.Code != 0 {
		t.Fatalf("got %+v, %v; want stdout after", result, err)
	}
	if !slices.ContainsFunc(calls, func(c Call) bool {
		return c.Name == "write" && c.Path == path && c.Data == "hello\n" && c.Result == "6"
	}) {
		t.Errorf("the write to %s is not among %+v", path, calls)
	}

	inject := &Injection{Call: "write", Nth: 1, Kill: true}
	if _, result, err = Run(context.Background(), inject, "sh", nil, "-c", script, path); err != nil || result.Stdout != "" {
		t.Errorf("killed: got %+v, %v; want no output", result, err)
	}
	if b, err := os.ReadFile(path); err != nil || len(b) != 0 {
		t.Errorf("killed: got %q, %v; want an empty file", b, err)
	}
	inject.Kill = false
	if _, result, err = Run(context.Background(), inject, "sh", nil, "-c", script, path); err != nil || result.Stdout != "after\n" {
		t.Errorf("failed write: got %+v, %v; want only the second echo", result, err)
	}
}
