package integration

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/workload"
	"github.com/edri-io/edri/internal/fault/trace"
)

const (
	exitStall = 13
	// stalledWrites is within which time clients write again after the leader's
	// disk stalled. The limit of a write, 3 s, and an election take 4 s; who waits at
	// the connections of the old leader until they are given up takes 14 s.
	stalledWrites = 5 * time.Second
)

// A disk that neither works nor fails is the worst for a leader: its heartbeats go
// on, so that nobody stands for election. It must end itself, be followed by
// another, and neither lose nor double what its clients had under way.
func TestLeaderEndsWhenItsDiskStalls(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skipf("system calls are delayed on Linux, this is %s", runtime.GOOS)
	}
	if err := trace.Available(); err != nil {
		t.Skipf("cannot delay system calls: %v", err)
	}
	rounds := 1
	if soak() {
		rounds = 20
	}
	underLoad(t, time.Duration(rounds)*time.Minute, func(ctx context.Context, c *cluster.Cluster, w *workload.Writers) {
		for range rounds {
			// The log alone, and all that a node writes.
			for _, files := range []string{"*.wal", ""} {
				must(t, w.WaitFor(ctx, 200))
				stallLeader(t, ctx, c, w, files)
			}
		}
	})
}

func stallLeader(t *testing.T, ctx context.Context, c *cluster.Cluster, w *workload.Writers, files string) {
	t.Helper()
	victim := leader(t, c)
	before := len(logOf(t, victim))
	resume := injectCalls(ctx, t, victim, files, "fsync,fdatasync", "delay_enter=600s")
	waited, err := w.First(ctx)
	must(t, err)
	atMost(t, fmt.Sprintf("first acknowledgement after %q of %s stalled", files, victim.Name), waited, stalledWrites)
	must(t, w.WaitFor(ctx, 200)) // the others go on
	if said := logOf(t, victim)[before:]; !bytes.Contains(said, []byte("raft log write is stalled")) {
		t.Errorf("%s does not say why it ends:\n%s", victim.Name, said)
	}
	// The process cannot be gone before the call that hangs returns; until then its
	// sockets are open.
	resume()
	if code, err := victim.WaitExit(ctx); err != nil || code != exitStall {
		t.Errorf("the stalled leader ended with exit code %d, %v; want %d", code, err, exitStall)
	}
	must(t, victim.Start())
	must(t, victim.WaitReady(ctx))
}
