package integration

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/edri-io/edri/integration/guide"
)

// The README's tour runs as a person would type it, in a folder with the binaries
// and the examples, except that the node listens on another port.
func TestCommandsOfTheReadmeRun(t *testing.T) {
	t.Parallel()
	chapters, err := guide.Read("../README.md")
	must(t, err)
	tour, err := guide.Find(chapters, "tour")
	must(t, err)
	handle, err := guide.Find(chapters, "Handle events")
	must(t, err)
	runs, err := guide.Find(chapters, "Run workflows")
	must(t, err)
	commands := tour.Commands()
	if len(commands) < 8 || len(handle.Commands()) < 8 || len(runs.Commands()) < 8 {
		t.Fatalf("found only %d, %d and %d commands in the README", len(commands), len(handle.Commands()), len(runs.Commands()))
	}
	if _, err := exec.LookPath("python3"); err == nil {
		commands = append(commands, handle.Commands()...)
	} else {
		t.Logf("the workers are left out: %v", err)
	}
	commands = append(commands, runs.Commands()...)
	commands = slices.DeleteFunc(commands, func(c string) bool { return c == "make build" || strings.HasPrefix(c, "go build ") }) // TestMain did
	const api, raft, payments = "127.0.0.1:7420", "127.0.0.1:7421", "127.0.0.1:7430"
	free := freeAddressesFor(t, api, raft, payments)
	s := newShell(t)
	s.setenv("EDRI_LISTEN", free.Replace(api))
	s.setenv("EDRI_RAFT_LISTEN", free.Replace(raft))
	s.setenv("EDRI_URL", "http://"+free.Replace(api))
	s.run(t, strings.Split(free.Replace(strings.Join(commands, "\x00")), "\x00"))
}

func TestProgramOfTheReadmeIsTheExample(t *testing.T) {
	t.Parallel()
	chapters, err := guide.Read("../README.md")
	must(t, err)
	handle, err := guide.Find(chapters, "Handle events")
	must(t, err)
	example, err := os.ReadFile("../examples/invoices/main.go")
	must(t, err)
	got := ""
	for _, b := range handle.Blocks {
		if b.Language == "go" {
			got = strings.Join(b.Lines, "\n") + "\n"
		}
	}
	if got != string(example) {
		t.Errorf("the README shows\n%s", got)
	}
	if n := strings.Count(got, "\n"); n >= 40 {
		t.Errorf("the program has %d lines, want fewer than 40", n)
	}
}
