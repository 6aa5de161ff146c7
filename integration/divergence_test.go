package integration

import (
	"os"
	"strings"
	"testing"
	"time"
)

// One node executes a command otherwise than its peers, and stores what it decided
// with sound checksums. See integration/trial.
func TestANodeWhoseStateDiffersStopsAndIsReplaced(t *testing.T) {
	t.Parallel()
	// A checkpoint in a second or so; in a second at most 16, or nodes could not
	// find one that they have both kept.
	c := prepare(t, 3, "--trial-level", "2", "--trial-hash-interval", "500")
	wrong := c.Nodes()[2]
	for _, n := range c.Nodes() {
		n.SetProgram("trial")
	}
	wrong.SetArgs(func(args []string) []string { return append(args, "--trial-wrong") })
	ctx := within(t, 90*time.Second)
	must(t, c.StartAll(ctx))
	w, l := load(t, c, 4)

	if code, err := wrong.WaitExit(ctx); code != 11 || err != nil {
		t.Fatalf("the node that is wrong ended with exit code %d, %v; want 11", code, err)
	}
	waitLogged(t, ctx, wrong, "the state differs from that of a majority")

	// The others go on, and say why.
	must(t, w.WaitFor(ctx, 200))
	for _, n := range c.Followers(wrong) {
		waitAlarm(t, ctx, n, "the states differ at entry")
		if got := metricOf(t, ctx, n, "edri_state_diverged", ""); got != 1 {
			t.Errorf("%s measures state_diverged %v, want 1", n.Name, got)
		}
	}
	if status := edri(t, c.Nodes()[0].URL(), nil, "cluster", "status").stdout; !strings.Contains(status, "ALARM: the states differ") {
		t.Errorf("cluster status does not tell:\n%s", status)
	}

	// It stays wrong, also with a sound binary: what it has stored differs.
	wrong.SetArgs(func(args []string) []string { return args[:len(args)-1] })
	must(t, wrong.Start())
	if code, err := wrong.WaitExit(ctx); code != 11 || err != nil {
		t.Fatalf("started again it ended with exit code %d, %v; want 11", code, err)
	}
	must(t, w.WaitFor(ctx, 200))

	// So the alarm stays, however long ago it was, and when the others are started
	// again: they have no checkpoint of then any more.
	restart(t, ctx, c.Nodes()[0])
	for _, n := range c.Nodes()[:2] {
		waitAlarm(t, ctx, n, "the states differ at entry")
	}

	// Replaced, it is one of the cluster again.
	must(t, os.RemoveAll(wrong.DataDir))
	if replace := edri(t, c.Nodes()[0].URL(), nil, "cluster", "replace", wrong.Name); replace.code != 0 {
		t.Fatalf("replace: exit code %d: %s", replace.code, replace.stderr)
	}
	must(t, wrong.Start())
	must(t, c.WaitReady(ctx))
	must(t, w.WaitFor(ctx, 2000)) // checkpoints of the new node, too
	for _, n := range c.Nodes() {
		waitUntil(t, ctx, func() bool {
			s, err := n.Status(ctx)
			return err == nil && len(s.Alarms) == 0 && !s.Diverged
		})
	}
	stop(t, w)
	check(t, c, l)
}
