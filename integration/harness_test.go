package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/ledger"
	"github.com/edri-io/edri/integration/workload"
)

// binaries is the folder of edri and edri-server, built once for all tests.
var binaries string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if run := otherRole(); run != nil {
		if err := run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	dir, err := os.MkdirTemp("", "edri-integration-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := cluster.Build(ctx, dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binaries = dir
	return m.Run()
}

// otherRole returns what this process is to do if it is not to test.
func otherRole() func() error {
	for _, role := range []struct {
		env string
		run func(string) error
	}{{sleeperEnv, runSleeper}, {workerEnv, runWorker}, {mortalEnv, runMortal}, {memberEnv, runMember}, {flowEnv, runFlows}} {
		if value := os.Getenv(role.env); value != "" {
			return func() error { return role.run(value) }
		}
	}
	return nil
}

// soak says whether to run the long campaigns.
func soak() bool { return os.Getenv("EDRI_SOAK") != "" }

// within returns a context that ends after d, or a moment before the test binary's
// own limit.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, fmt.Errorf("not done within %v", d))
	t.Cleanup(cancel)
	return ctx
}

// start starts nodes and waits until they are ready. Whatever happens they are
// gone at the end of the test; if it failed, the ends of their logs are shown.
func start(t *testing.T, nodes int, args ...string) *cluster.Cluster {
	t.Helper()
	c := prepare(t, nodes, args...)
	ctx := within(t, 30*time.Second)
	if err := c.StartAll(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

func prepare(t *testing.T, nodes int, args ...string) *cluster.Cluster {
	t.Helper()
	c, err := cluster.New(cluster.Config{Dir: t.TempDir(), Binaries: binaries, Nodes: nodes, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close cluster: %v", err)
		}
		if t.Failed() {
			for _, n := range c.Nodes() {
				t.Logf("end of the log of %s:\n%s", n.Name, tail(n.LogPath))
			}
		}
	})
	return c
}

// tail returns the end of a file.
func tail(path string) []byte {
	const enough = 4000
	b, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	return b[max(0, len(b)-enough):]
}

// load starts writers whose every act is in the ledger that is returned.
func load(t *testing.T, c *cluster.Cluster, writers int) (*workload.Writers, *ledger.Ledger) {
	t.Helper()
	return loadAtPace(t, c, writers, 0)
}

// loadAtPace is load with this much time at least between two events of a writer.
func loadAtPace(t *testing.T, c *cluster.Cluster, writers int, pace time.Duration) (*workload.Writers, *ledger.Ledger) {
	t.Helper()
	l := ledger.New()
	w, err := workload.Start(t.Context(), workload.Config{Servers: c.URLs(), Writers: writers, Pace: pace, Ledger: l})
	if err != nil {
		t.Fatal(err)
	}
	return w, l
}

// stop ends the writers, who must have been refused nothing.
func stop(t *testing.T, w *workload.Writers) workload.Stopped {
	t.Helper()
	done, err := w.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if len(done.Refused) > 0 {
		t.Errorf("%d appends were refused, the first: %v", len(done.Refused), done.Refused[0])
	}
	if done.Acknowledged == 0 {
		t.Error("nothing was acknowledged")
	}
	return done
}

// check holds the histories of all nodes to the ledger.
func check(t *testing.T, c *cluster.Cluster, l *ledger.Ledger) {
	t.Helper()
	histories, err := workload.Histories(within(t, time.Minute), c.Nodes())
	if err != nil {
		t.Fatal(err)
	}
	if report := l.Check(histories...); !report.OK() {
		t.Errorf("the histories do not hold:\n%s", report)
	} else {
		t.Logf("%d sent, %d acknowledged, %d stored", report.Sent, report.Acknowledged, report.Nodes[0].Stored)
	}
}

// atMost holds a time to the limit that the cluster promises on a machine of its
// own, which is that of the long campaigns, run alone; beside other tests to twice
// that.
func atMost(t *testing.T, what string, got, promised time.Duration) {
	t.Helper()
	limit := promised
	if !soak() {
		limit *= 2
	}
	t.Logf("%s: %v, promised %v", what, got.Round(time.Millisecond), promised)
	if got > limit {
		t.Errorf("%s: %v, want %v at most", what, got.Round(time.Millisecond), limit)
	}
}

// must ends the test at the first error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// leader waits for the node that leads.
func leader(t *testing.T, c *cluster.Cluster) *cluster.Node {
	t.Helper()
	n, err := c.Leader(within(t, 30*time.Second))
	must(t, err)
	return n
}

// output is what a run of the command line left.
type output struct {
	stdout, stderr string
	code           int
}

// edri runs the command line against servers; stdin may be nil.
func edri(t *testing.T, servers string, stdin []byte, args ...string) output {
	t.Helper()
	cmd := exec.CommandContext(within(t, time.Minute), binaries+"/edri", args...)
	cmd.Env = append(os.Environ(), "EDRI_URL="+servers)
	cmd.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("run edri %q: %v", args, err)
	}
	return output{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}
