package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/consensus/raftlog"
	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/store"
)

// freeAddress returns an address of this machine on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// single returns the configuration of a cluster of one.
func single(t *testing.T) Config {
	t.Helper()
	raft := freeAddress(t)
	e, err := Load(Sources{Preset: map[string]string{
		"node-id": "n1", "data-dir": filepath.Join(t.TempDir(), "data"), "peers": "n1=" + raft,
		"listen": "127.0.0.1:0", "raft-listen": raft, "advertise": "127.0.0.1:7420",
	}})
	if err != nil {
		t.Fatal(err)
	}
	return e.Config
}

// running is a server that runs until stop.
type running struct {
	*Server
	stop func() error
}

func start(t *testing.T, cfg Config) running {
	t.Helper()
	return startWith(t, cfg, Options{})
}

// startWith starts a server whose goroutines are labelled with the test's name.
func startWith(t *testing.T, cfg Config, opts Options) running {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	opts.Exit = func(code int) { t.Errorf("node asks for exit code %d", code) }
	var s *Server
	var err error
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	pprof.Do(ctx, pprof.Labels("test", t.Name()), func(ctx context.Context) {
		if s, err = New(cfg, opts); err == nil {
			go func() { done <- s.Run(ctx) }()
		}
	})
	if err != nil {
		cancel(err)
		t.Fatal(err)
	}
	stopped := false
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel(errors.New("the test ends it"))
		return <-done
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return running{s, stop}
}

// get polls a path until it answers as wanted.
func (r running) get(t *testing.T, path string, ok func(status int, body string) bool) string {
	t.Helper()
	var status int
	var body []byte
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for range 2000 {
		resp, err := http.Get(r.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if status = resp.StatusCode; ok(status, string(body)) {
			return string(body)
		}
		<-again.C // nothing announces what is polled for
	}
	t.Fatalf("GET %s: %d %s", path, status, body)
	return ""
}

func isOK(status int, _ string) bool { return status == http.StatusOK }

func TestNodeServesStopsAndComesBack(t *testing.T) {
	t.Parallel()
	cfg := single(t)
	for range 2 {
		s := start(t, cfg)
		s.get(t, "/readyz", isOK)
		began := time.Now()
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("stopping took %v", took)
		}
		if conn, err := net.Dial("tcp", s.cfg.Listen); err == nil {
			_ = conn.Close()
			t.Error("the API's port is still open")
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close after Run: %v", err)
		}
		if err := s.Run(t.Context()); err == nil {
			t.Error("Run twice")
		}
	}
}

// Which sink gets Raft's measurements depends on build tags and on the versions of
// three modules; if it is the wrong one there are simply none.
func TestMetricsHaveRaftsOwnSeries(t *testing.T) {
	t.Parallel()
	s := start(t, single(t))
	s.get(t, "/readyz", isOK)
	s.get(t, "/metrics", func(status int, body string) bool {
		for _, series := range []string{
			"\nraft_apply ", "\nraft_commitTime_count ", "\nraft_fsm_applyBatch_count ", "\nraft_leader_dispatchLog_count ",
			"\nraft_state_leader ", "\nraft_state_follower ", "\nraft_peers ", "\nraft_thread_main_saturation_count ",
			"\nedri_ready 1\n", "\nedri_leader 1\n", "\nedri_members 1\n", "\nedri_applied_index ", "\nedri_build_info{",
			"\ngo_goroutines ", "\nprocess_",
		} {
			if !strings.Contains(body, series) {
				return false
			}
		}
		return status == http.StatusOK
	})
}

func TestTwoNodesInOneProcessHaveMetricsBoth(t *testing.T) {
	t.Parallel()
	a, b := start(t, single(t)), start(t, single(t))
	for _, s := range []running{a, b} {
		s.get(t, "/metrics", func(status int, body string) bool {
			return status == http.StatusOK && strings.Contains(body, "edri_ready 1")
		})
	}
}

func TestStoppingNodeSaysThatItIsNotReady(t *testing.T) {
	t.Parallel()
	s := start(t, single(t))
	s.get(t, "/readyz", isOK)
	s.endStreams()
	s.get(t, "/readyz", func(status int, body string) bool {
		return status == http.StatusServiceUnavailable && strings.Contains(body, "stopping")
	})
}

func TestProfilesAreForThisMachineOnly(t *testing.T) {
	t.Parallel()
	s := start(t, single(t))
	s.get(t, "/debug/pprof/", isOK)
	for from, want := range map[string]int{"127.0.0.1:5": 200, "[::1]:5": 200, "[::ffff:127.0.0.1]:5": 200, "10.0.0.1:5": 403, "bad": 403} {
		r := httptest.NewRequest(http.MethodGet, "/debug/pprof/cmdline", nil)
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		s.http.Handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("from %s: got %d, want %d", from, w.Code, want)
		}
	}
}

func TestTakenPortFailsBeforeTheDataIsTouched(t *testing.T) {
	t.Parallel()
	s := start(t, single(t))
	cfg := single(t)
	cfg.Listen = s.cfg.Listen
	if _, err := New(cfg, Options{Exit: func(int) {}}); err == nil || ExitCode(err) != 1 {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(cfg.DataDir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the data directory is there: %v", err)
	}
}

func TestDataDirectoryServesOneNodeAtATime(t *testing.T) {
	t.Parallel()
	cfg := single(t)
	start(t, cfg)
	if _, err := New(cfg, Options{Exit: func(int) {}}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("got %v, want %v", err, store.ErrLocked)
	}
}

func TestServerThatIsNotRunIsClosed(t *testing.T) {
	t.Parallel()
	cfg := single(t)
	for range 2 {
		s, err := New(cfg, Options{Exit: func(int) {}})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestFatalErrorEndsTheProcessWithItsCode(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &Server{cfg: single(t), logger: NewLogger(&out, slog.LevelInfo, "text")}
	code := 0
	s.nodeConfig(Options{Exit: func(c int) { code = c }}).Fatal(consensus.ExitStall, errors.New("write of segment 7 hangs"))
	if code != consensus.ExitStall {
		t.Errorf("exit code %d", code)
	}
	if want := `level=ERROR msg="node stops at once" exit_code=13 error="write of segment 7 hangs"`; !strings.Contains(out.String(), want) {
		t.Errorf("log %q does not say %q", out.String(), want)
	}
}

func TestErrorsHaveTheirExitCodes(t *testing.T) {
	t.Parallel()
	for want, errs := range map[int][]error{
		0:  {nil},
		1:  {errors.New("other"), store.ErrLocked, ErrStopTooSlow},
		2:  {ErrConfig},
		10: {store.ErrIO},
		11: {store.ErrCorrupt, raftlog.ErrCorrupt, &store.CorruptError{}, &raftlog.CorruptError{}, log.ErrBehind},
		12: {consensus.ErrUndecodable},
		13: {raftlog.ErrStalled},
	} {
		for _, err := range errs {
			if err != nil {
				err = fmt.Errorf("open node: %w", err)
			}
			if got := ExitCode(err); got != want {
				t.Errorf("%v: got %d, want %d", err, got, want)
			}
		}
	}
}

func TestConfigThatLoadDidNotMakeIsCheckedToo(t *testing.T) {
	t.Parallel()
	cfg := single(t)
	cfg.Listen = "0.0.0.0:0"
	if _, err := New(cfg, Options{Exit: func(int) {}}); !errors.Is(err, ErrConfig) {
		t.Errorf("got %v", err)
	}
}
