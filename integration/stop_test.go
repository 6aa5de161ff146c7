package integration

import (
	"testing"
	"time"
)

func TestLeaderStopsGracefullyAndHandsLeadershipOver(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	ctx := within(t, time.Minute)
	w, ledger := load(t, c, 8)
	must(t, w.WaitFor(ctx, 200))
	old := leader(t, c)

	began := time.Now()
	code, err := old.Terminate(within(t, 20*time.Second))
	must(t, err)
	if code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %v, want 5s at most", took)
	}
	// Who was handed the leadership leads before the old leader is gone: no
	// election timeout lies between.
	if next := leader(t, c); next == old {
		t.Errorf("%s still leads", old.Name)
	}
	waited, err := w.First(ctx)
	must(t, err)
	t.Logf("first acknowledgement %v after the leader's end", waited.Round(time.Millisecond))
	must(t, old.Start())
	must(t, old.WaitReady(ctx))
	stop(t, w)
	check(t, c, ledger)
}

func TestWholeClusterStopsGracefullyAndComesBack(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	ctx := within(t, time.Minute)
	w, ledger := load(t, c, 8)
	must(t, w.WaitFor(ctx, 200))
	stop(t, w)
	for _, n := range c.Nodes() {
		began := time.Now()
		code, err := n.Terminate(within(t, 20*time.Second))
		must(t, err)
		if took := time.Since(began); code != 0 || took > 5*time.Second {
			t.Errorf("node %s: exit code %d after %v, want 0 within 5s", n.Name, code, took)
		}
	}
	must(t, c.StartAll(ctx))
	must(t, c.WaitReady(ctx))
	check(t, c, ledger)
}
