package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/edri-io/edri/integration/cluster"
)

// A follower that comes back under full load fetches sealed segments in the course of
// which the leader is killed. Its successor's snapshot goes on with what is staged.
func TestCatchingUpGoesOnWhenTheLeaderIsKilled(t *testing.T) {
	t.Parallel()
	c := start(t, 3, "--snapshot-log-bytes", "1MiB", "--trailing-log-bytes", "1MiB",
		"--segment-bytes", "1MiB", "--catchup-rate", "4MiB")
	ctx := within(t, 2*time.Minute)
	w, l := load(t, c, 8)
	must(t, w.WaitFor(ctx, 100))
	leading := leader(t, c)
	away := c.Followers(leading)[0]
	must(t, away.Kill())
	appendLarge(t, c, l, "meanwhile", 300)
	waitUntil(t, ctx, func() bool { return truncations(t, leading) > 1 })
	must(t, away.Start())
	staged := func() int { return len(glob(t, away, "staging", "segments", "*.seg")) }
	waitUntil(t, ctx, func() bool { return staged() >= 3 })
	must(t, leading.Kill())
	if n := len(glob(t, away, "data-000002")); n != 1 || staged() < 3 {
		t.Fatalf("%d next generations, %d staged segments: the transfer was over before the leader was killed", n, staged())
	}
	must(t, w.WaitFor(ctx, 1)) // the two are a majority: the receiver votes and appends to its log
	must(t, leading.Start())
	must(t, away.WaitReady(ctx))
	must(t, w.WaitFor(ctx, 100))
	stop(t, w)
	must(t, c.WaitReady(ctx))
	check(t, c, l)
	got := received(t, away)
	t.Logf("received: %+v", got)
	if got.fetched >= got.segments || got.reused == 0 {
		t.Errorf("of %d segments %d were fetched again, %d bytes reused", got.segments, got.fetched, got.reused)
	}
}

// TestCatchUpMeasured prints what bringing a lagging follower of two million events
// back costs. It asserts only that nothing is lost.
func TestCatchUpMeasured(t *testing.T) {
	if !soak() {
		t.Skip("a measurement: set EDRI_SOAK")
	}
	c := start(t, 3, "--segment-bytes", "64MiB")
	ctx := within(t, 15*time.Minute)
	leading := leader(t, c)
	away := c.Followers(leading)[0]
	fill := func(to uint64) {
		for {
			s, err := leading.Status(ctx)
			must(t, err)
			if uint64(s.LastPosition) >= to {
				return
			}
			measure(t, leading, 1024, 5*time.Second)
		}
	}
	fill(1_000_000)
	must(t, away.Kill())
	fill(2_000_000)
	before := measure(t, leading, 64, 10*time.Second)
	must(t, away.Start())
	began := time.Now()
	done := make(chan time.Duration, 1)
	go func() {
		if away.WaitReady(ctx) == nil {
			done <- time.Since(began)
		}
	}()
	during := []figure{}
	for took := time.Duration(0); took == 0; {
		during = append(during, measure(t, leading, 64, 2*time.Second))
		select {
		case took = <-done:
			t.Logf("back after %v: %+v", took.Round(time.Millisecond), received(t, away))
		default:
		}
	}
	after := measure(t, leading, 64, 10*time.Second)
	t.Logf("before: %v", before)
	for _, f := range during {
		t.Logf("while it caught up: %v", f)
	}
	t.Logf("after: %v", after)
	s, err := leading.Status(ctx)
	must(t, err)
	must(t, away.WaitPosition(ctx, s.LastPosition))
	for _, n := range c.Nodes() {
		got := edri(t, n.URL(), nil, "events", "get", strconv.FormatUint(uint64(s.LastPosition), 10))
		if got.code != 0 {
			t.Errorf("%s does not have the last event: %s", n.Name, got.stderr)
		}
	}
}

// figure is what the benchmark says of one level.
type figure struct {
	PerSecond float64       `json:"per_second"`
	P50       time.Duration `json:"p50_ns"`
	P99       time.Duration `json:"p99_ns"`
}

func (f figure) String() string {
	return fmt.Sprintf("%.0f appends/s, p50 %v, p99 %v", f.PerSecond, f.P50.Round(time.Microsecond), f.P99.Round(time.Microsecond))
}

func measure(t *testing.T, n *cluster.Node, producers int, d time.Duration) figure {
	t.Helper()
	got := edri(t, n.URL(), nil, "bench", "append", "--output", "json", "--rounds", "1",
		"--producers", strconv.Itoa(producers), "--duration", d.String())
	var report struct {
		Levels []struct {
			Append figure `json:"append"`
			Errors int    `json:"errors"`
		} `json:"levels"`
	}
	if got.code != 0 {
		t.Fatalf("measure: %s", got.stderr)
	}
	must(t, json.Unmarshal([]byte(got.stdout), &report))
	if report.Levels[0].Errors != 0 {
		t.Errorf("%d appends failed", report.Levels[0].Errors)
	}
	return report.Levels[0].Append
}

// reception is what a node says of the last snapshot that it received.
type reception struct{ segments, fetched, streamed, fetchedBytes, reused int }

var receptionLine = regexp.MustCompile(`msg="received a snapshot".* segments=(\d+) fetched=(\d+) streamed_bytes=(\d+) fetched_bytes=(\d+) reused_bytes=(\d+)`)

func received(t *testing.T, n *cluster.Node) (r reception) {
	t.Helper()
	written, err := os.ReadFile(n.LogPath)
	must(t, err)
	lines := receptionLine.FindAllStringSubmatch(string(written), -1)
	if len(lines) == 0 {
		t.Fatalf("%s received no snapshot", n.Name)
	}
	for i, to := range []*int{&r.segments, &r.fetched, &r.streamed, &r.fetchedBytes, &r.reused} {
		*to, err = strconv.Atoi(lines[len(lines)-1][i+1])
		must(t, err)
	}
	return r
}

func glob(t *testing.T, n *cluster.Node, parts ...string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(append([]string{n.DataDir}, parts...)...))
	must(t, err)
	return found
}
