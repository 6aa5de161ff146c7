package client_test

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/client/clienttest"
	"github.com/edri-io/edri/managers/managerstest"
	"github.com/edri-io/edri/server"
)

// node runs a cluster of one until the test ends, and returns its URL.
func node(t *testing.T) string {
	t.Helper()
	return nodeWith(t, nil)
}

func nodeWith(t *testing.T, settings map[string]string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	raft := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	preset := map[string]string{
		"node-id": "n1", "peers": "n1=" + raft, "data-dir": filepath.Join(t.TempDir(), "node"),
		"listen": "127.0.0.1:0", "raft-listen": raft, "advertise": "127.0.0.1:7420",
	}
	maps.Copy(preset, settings)
	loaded, err := server.Load(server.Sources{Preset: preset})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(loaded.Config, server.Options{
		Logger: slog.New(slog.DiscardHandler), Exit: func(code int) { t.Errorf("the node exits with %d", code) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx) // what it did not do is seen by the test
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for range 2000 {
		if response, err := http.Get(s.URL() + "/readyz"); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return s.URL()
			}
		}
		<-again.C
	}
	t.Fatal("the node does not get ready")
	return ""
}

func TestClientIsAClusterForManagers(t *testing.T) {
	t.Parallel()
	url := node(t)
	managerstest.Run(t, func(t *testing.T) managerstest.Harness {
		c, err := client.New(client.Config{Servers: []string{url}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return clienttest.Harness(c)
	})
}
