package main

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/server"
	"github.com/edri-io/edri/workflows"
)

// background has f run until the test ends.
func background(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// The program works for a node as for the cluster of its test.
func TestHelloOnANode(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	raft := l.Addr().String()
	_ = l.Close() // for the node
	e, err := server.Load(server.Sources{Preset: map[string]string{
		"node-id": "n1", "data-dir": filepath.Join(t.TempDir(), "data"), "peers": "n1=" + raft,
		"listen": "127.0.0.1:0", "raft-listen": raft, "advertise": "127.0.0.1:7420",
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(e.Config, server.Options{
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Exit:   func(code int) { t.Errorf("the node asks for exit code %d", code) },
	})
	if err != nil {
		t.Fatal(err)
	}
	background(t, s.Run)
	background(t, func(ctx context.Context) error { return work(ctx, s.URL()) })

	c, err := client.New(client.Config{Servers: []string{s.URL()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		run, _, err := c.StartRun(ctx, workflows.Start{ID: "hello-1", Type: "hello", Input: []byte(`"all"`)})
		if event.CodeOf(err) == event.CodeNotFound { // the worker is about to define it
			<-again.C
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		o, err := c.WaitRun(ctx, run)
		if err != nil || string(o.Result) != `"hello, all"` {
			t.Errorf("it ended as %+v, %v", o, err)
		}
		return
	}
}
