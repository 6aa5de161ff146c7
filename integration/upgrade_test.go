package integration

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/integration/cluster"
)

// A version that is to come knows a command that edri-server does not, and every
// node of it sends that all the time. See integration/trial.
func TestRollingUpgradeNeverMeetsAnUnknownCommand(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	ctx := within(t, 90*time.Second)
	w, l := load(t, c, 4)
	must(t, w.WaitFor(ctx, 100))

	nodes := c.Nodes()
	for i, n := range nodes {
		restartAs(t, ctx, n, "trial", "--trial-level", "2")
		must(t, w.WaitFor(ctx, 100))
		if i < len(nodes)-1 {
			waitLogged(t, ctx, n, "newer command refused: invalid: the commit needs feature level 2 and the cluster has 1")
			expectLevel(t, ctx, nodes, 1)
		}
	}
	for _, n := range nodes {
		waitLogged(t, ctx, n, "newer command executed")
	}
	expectLevel(t, ctx, nodes, 2)
	t.Logf("edri cluster status:\n%s", edri(t, nodes[0].URL(), nil, "cluster", "status").stdout)

	// The older binary is told what it is, as a node of before and as a new one.
	first := nodes[0]
	if code, err := first.Terminate(ctx); code != 0 || err != nil {
		t.Fatalf("stop %s: exit code %d, %v", first.Name, code, err)
	}
	first.SetProgram("edri-server")
	args := withoutTrial(first)
	expectTooOld(t, ctx, first)
	first.SetArgs(func(args []string) []string {
		return append(without(args, "--peers"), "--node-id", "n4", "--data-dir", first.DataDir+"-n4", "--join", nodes[1].URL())
	})
	expectTooOld(t, ctx, first)

	first.SetProgram("trial")
	first.SetArgs(func([]string) []string { return append(args, "--trial-level", "2") })
	must(t, first.Start())
	must(t, first.WaitReady(ctx))
	stop(t, w)
	check(t, c, l)
}

// restartAs stops a node in good order and starts another program in its place.
func restartAs(t *testing.T, ctx context.Context, n *cluster.Node, program string, args ...string) {
	t.Helper()
	if code, err := n.Terminate(ctx); code != 0 || err != nil {
		t.Fatalf("stop %s: exit code %d, %v", n.Name, code, err)
	}
	n.SetProgram(program)
	n.SetArgs(func(before []string) []string { return append(before, args...) })
	must(t, n.Start())
	must(t, n.WaitReady(ctx))
}

// withoutTrial takes the trial's flags from a node's arguments, and returns the rest.
func withoutTrial(n *cluster.Node) (rest []string) {
	n.SetArgs(func(args []string) []string {
		rest = without(args, "--trial-level")
		return rest
	})
	return append([]string(nil), rest...)
}

// without takes a flag and its value out.
func without(args []string, flag string) []string {
	var rest []string
	for i := 0; i < len(args); i++ {
		if args[i] == flag {
			i++
			continue
		}
		rest = append(rest, args[i])
	}
	return rest
}

func expectTooOld(t *testing.T, ctx context.Context, n *cluster.Node) {
	t.Helper()
	before := len(logOf(t, n))
	must(t, n.Start())
	if code, err := n.WaitExit(ctx); code != 12 || err != nil {
		t.Fatalf("the older binary ended with exit code %d, %v; want 12", code, err)
	}
	said := logOf(t, n)[before:]
	if !bytes.Contains(said, []byte("the cluster has feature level 2, this binary knows up to 1: run a newer one")) {
		t.Errorf("the older binary does not say what it is:\n%s", said)
	}
	t.Logf("%s", said[bytes.LastIndexByte(bytes.TrimSpace(said), '\n')+1:])
}

func expectLevel(t *testing.T, ctx context.Context, nodes []*cluster.Node, want uint32) {
	t.Helper()
	for _, n := range nodes {
		s, err := n.Status(ctx)
		must(t, err)
		if s.FeatureLevel != want {
			t.Errorf("%s says feature level %d, want %d", n.Name, s.FeatureLevel, want)
		}
		if got := metricOf(t, ctx, n, "edri_feature_level", ""); got != float64(want) {
			t.Errorf("%s measures feature level %v, want %d", n.Name, got, want)
		}
	}
}

// waitLogged waits until a node has logged a text.
func waitLogged(t *testing.T, ctx context.Context, n *cluster.Node, text string) {
	t.Helper()
	waitUntil(t, ctx, func() bool { return strings.Contains(string(logOf(t, n)), text) })
}

func logOf(t *testing.T, n *cluster.Node) []byte {
	t.Helper()
	b, err := os.ReadFile(n.LogPath)
	must(t, err)
	return b
}
