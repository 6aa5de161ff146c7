package servertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/edri-io/edri/server"
)

// readyWithin is how long a node may take until it serves, on a machine that is busy.
const readyWithin = 20 * time.Second

// Node runs a node until the test ends, and returns its URL once it is ready. Settings are
// those of edri-server, by the names of its flags; nil: none.
func Node(t testing.TB, settings map[string]string) (url string) {
	t.Helper()
	s, err := newServer(t, settings)
	if err != nil {
		t.Fatal(err)
	}
	// The test's own context ends before its cleanups, which may still need the node.
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the node ended: %v", err)
		}
	})
	if err := awaitReady(t.Context(), s.URL()); err != nil {
		t.Fatal(err)
	}
	return s.URL()
}

func newServer(t testing.TB, settings map[string]string) (*server.Server, error) {
	raft, err := freeAddress()
	if err != nil {
		return nil, err
	}
	preset := map[string]string{
		"node-id": "n1", "peers": "n1=" + raft, "data-dir": filepath.Join(t.TempDir(), "node"),
		"listen": "127.0.0.1:0", "raft-listen": raft, "advertise": "127.0.0.1:7420",
	}
	maps.Copy(preset, settings)
	loaded, err := server.Load(server.Sources{Preset: preset})
	if err != nil {
		return nil, err
	}
	return server.New(loaded.Config, server.Options{
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Exit:   func(code int) { t.Errorf("the node asks for exit code %d", code) },
	})
}

// freeAddress is one that nobody listened on a moment ago: peers have to know the Raft
// port before there is a node.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func awaitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("the node is not ready within %v", readyWithin))
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			err = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return err
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}
