package integration

import (
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
	commands := slices.DeleteFunc(tour.Commands(), func(c string) bool { return c == "make build" }) // TestMain did
	if len(commands) < 8 {
		t.Fatalf("found only %d commands in the README's tour", len(commands))
	}
	const api, raft = "127.0.0.1:7420", "127.0.0.1:7421"
	free := freeAddressesFor(t, api, raft)
	s := newShell(t)
	s.setenv("EDRI_LISTEN", free.Replace(api))
	s.setenv("EDRI_RAFT_LISTEN", free.Replace(raft))
	s.setenv("EDRI_URL", "http://"+free.Replace(api))
	s.run(t, strings.Split(free.Replace(strings.Join(commands, "\x00")), "\x00"))
}
