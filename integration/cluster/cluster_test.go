package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const fakeExitCode = 7

// TestMain makes the test binary a stand-in for edri-server when it is started as
// one: it answers as a leader would and ends with fakeExitCode on SIGTERM.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "edri-server" {
		os.Exit(fakeServer(os.Args))
	}
	os.Exit(m.Run())
}

func fakeServer(args []string) int {
	flag := func(name string) string { return args[slices.Index(args, name)+1] }
	fmt.Println("fake", flag("--node-id"), "with peers", flag("--peers"))
	role := "follower"
	if flag("--node-id") == "n1" {
		role = "leader"
	}
	first, _, _ := strings.Cut(os.Getenv("FAKE_LEADER"), ",")
	http.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/edri.v1.Cluster/Status", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"nodeId":%q,"role":%q,"term":"3","lastPosition":"42","leaderUrl":%q}`, flag("--node-id"), role, first)
	})
	go http.ListenAndServe(flag("--listen"), nil)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	return fakeExitCode
}

func startFake(t *testing.T) *Cluster {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binaries := t.TempDir()
	if err := os.Symlink(self, filepath.Join(binaries, "edri-server")); err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Dir: t.TempDir(), Binaries: binaries})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range c.nodes {
		n.env = append(n.env, "FAKE_LEADER="+c.nodes[0].URL())
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		for _, n := range c.nodes {
			if n.Running() {
				t.Errorf("node %s still runs", n.Name)
			}
		}
	})
	if err := c.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestNodesComeUpAgreeAndAreTold(t *testing.T) {
	t.Parallel()
	c, ctx := startFake(t), deadline(t)
	if err := c.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	leader, err := c.Leader(ctx)
	if err != nil || leader.Name != "n1" {
		t.Fatalf("leader: %v, %v", leader, err)
	}
	if got := len(c.Followers(leader)); got != 2 {
		t.Errorf("%d followers, want 2", got)
	}
	if err := c.Nodes()[1].WaitPosition(ctx, 42); err != nil {
		t.Error(err)
	}
	written, err := os.ReadFile(c.Nodes()[2].LogPath)
	if err != nil || !strings.Contains(string(written), "fake n3 with peers n1=127.0.0.1:") {
		t.Errorf("log of n3: %q, %v", written, err)
	}
}

func TestKilledNodeIsGoneAndComesBack(t *testing.T) {
	t.Parallel()
	c, ctx := startFake(t), deadline(t)
	n := c.Nodes()[0]
	if err := n.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	before := n.Pid()
	if err := n.Kill(); err != nil {
		t.Fatal(err)
	}
	if n.Running() || n.Ready(ctx) == nil {
		t.Error("still there after Kill")
	}
	if err := n.Kill(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("second Kill: %v, want %v", err, ErrNotRunning)
	}
	if code, err := n.WaitExit(ctx); code != -1 || err != nil {
		t.Errorf("exit code %d, %v; want -1 after a signal", code, err)
	}
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	if err := n.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if n.Pid() == before {
		t.Error("the same process id after a restart")
	}
	if err := n.Start(); err == nil {
		t.Error("started twice")
	}
}

func TestTerminateReturnsTheExitCode(t *testing.T) {
	t.Parallel()
	c, ctx := startFake(t), deadline(t)
	n := c.Nodes()[0]
	if err := n.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if code, err := n.Terminate(ctx); code != fakeExitCode || err != nil {
		t.Errorf("exit code %d, %v; want %d", code, err, fakeExitCode)
	}
	if err := n.WaitReady(ctx); err == nil || !strings.Contains(err.Error(), "exit code 7") {
		t.Errorf("waiting for an ended node: %v", err)
	}
}

func TestPausedNodeDoesNotAnswerUntilResumed(t *testing.T) {
	t.Parallel()
	c, ctx := startFake(t), deadline(t)
	n := c.Nodes()[1]
	if err := n.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := n.Ready(ctx); err == nil {
		t.Error("a paused node answered")
	}
	if !n.Running() || !n.Paused() {
		t.Error("a paused node counts as ended")
	}
	if err := n.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := n.WaitReady(ctx); err != nil {
		t.Error(err)
	}
}
