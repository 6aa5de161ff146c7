package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func openPort(t *testing.T, cfg Config) *Port {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	p, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// dialRaw connects to a port without saying anything.
func dialRaw(t *testing.T, p *Port) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// wantClosed reads until the peer closes the connection, without an answer.
func wantClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	b, err := io.ReadAll(conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("the connection is still open")
	}
	if len(b) != 0 {
		t.Fatalf("got an answer: %q", b)
	}
}

func TestConnectionsThatBeginOtherwiseAreClosed(t *testing.T) {
	t.Parallel()
	p := openPort(t, Config{Serve: func(byte, []byte, func([]byte)) { t.Error("served") }})
	for _, first := range []string{
		"GET / HTTP/1.1\r\n\r\n", "edri\x02r\x00\x00", "edri\x01x\x00\x00",
		"edri\x01r\x00\x01", "EDRI\x01f\x00\x00", strings.Repeat("\x00", 100),
	} {
		conn := dialRaw(t, p)
		if _, err := io.WriteString(conn, first); err != nil {
			t.Fatal(err)
		}
		wantClosed(t, conn)
	}
}

func FuzzPreamble(f *testing.F) {
	greeting, _ := preamble(forRaft, "n1.0") // short enough
	f.Add(greeting[:preambleBytes])
	f.Add([]byte("edri\x01h\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != preambleBytes {
			return
		}
		purpose, err := parsePreamble([preambleBytes]byte(b))
		if err != nil {
			return
		}
		if again, err := preamble(purpose, ""); err != nil || !bytes.Equal(again[:preambleBytes], b) {
			t.Fatalf("%q is accepted as %q", b, purpose)
		}
	})
}

// The place of TLS: nothing of a connection is read before Wrap, and a connection
// that Wrap refuses reaches no decoder.
func TestWrapSeesConnectionsFirst(t *testing.T) {
	t.Parallel()
	const secret = "let me in"
	var refused atomic.Int32
	wrap := func(conn net.Conn, server bool) (net.Conn, error) {
		if !server {
			_, err := io.WriteString(conn, secret)
			return conn, err
		}
		b := make([]byte, len(secret))
		if _, err := io.ReadFull(conn, b); err != nil || string(b) != secret {
			refused.Add(1)
			return nil, errors.New("not authenticated")
		}
		return conn, nil
	}
	var served atomic.Int32
	serve := func(_ byte, payload []byte, reply func([]byte)) { served.Add(1); reply(payload) }
	server := openPort(t, Config{Wrap: wrap, Serve: serve, Hello: func([]byte) ([]byte, error) { return []byte("n1"), nil }})
	resolve := func(raft.ServerID) string { return server.Addr().String() }

	conn := dialRaw(t, server)
	if _, err := conn.Write(append(greet(t, forForward), make([]byte, frameHeaderBytes)...)); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, conn)
	if refused.Load() != 1 || served.Load() != 0 {
		t.Fatalf("%d refused, %d served", refused.Load(), served.Load())
	}
	client := openPort(t, Config{Wrap: wrap, Resolve: resolve})
	if got, err := client.Hello(t.Context(), server.Addr().String(), nil); err != nil || string(got) != "n1" {
		t.Fatalf("got %q, %v", got, err)
	}
	if got, err := call(client, "n1", 1, []byte("x")); err != nil || string(got) != "x" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestHello(t *testing.T) {
	t.Parallel()
	var answer atomic.Value
	answer.Store([]byte(`{"server_id":"n1"}`))
	hello := func(from []byte) ([]byte, error) {
		if string(from) != "me" {
			return nil, fmt.Errorf("asked by %q", from)
		}
		return answer.Load().([]byte), nil
	}
	server := openPort(t, Config{Hello: hello})
	client := openPort(t, Config{})
	address := server.Addr().String()
	for range 3 {
		if got, err := client.Hello(t.Context(), address, []byte("me")); err != nil || string(got) != `{"server_id":"n1"}` {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	answer.Store(bytes.Repeat([]byte("x"), maxHelloBytes))
	if got, err := client.Hello(t.Context(), address, []byte("me")); err == nil {
		t.Fatalf("got %d bytes", len(got))
	}
	if got, err := client.Hello(t.Context(), closedAddress(t), nil); err == nil {
		t.Fatalf("nobody answered %q", got)
	}
}

func TestHelloEndsWithItsContext(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	client := openPort(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := client.Hello(ctx, silent.Addr().String(), nil)
		done <- err
	}()
	conn, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func FuzzReadLine(f *testing.F) {
	f.Add([]byte("{}\n"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		line, err := readLine(bytes.NewReader(b))
		if err == nil && (len(line) >= len(b) || b[len(line)] != '\n') {
			t.Fatalf("got %q of %q", line, b)
		}
	})
}

// closedAddress is an address where nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// greet is the preamble of a node without an id.
func greet(t *testing.T, purpose byte) []byte {
	t.Helper()
	b, err := preamble(purpose, "")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRaftSeesServerIDsForAddresses(t *testing.T) {
	t.Parallel()
	p := openPort(t, Config{ID: "n1.5"})
	if got := p.Raft().LocalAddr(); got != "n1.5" {
		t.Fatalf("got %q", got)
	}
	if got := string(p.Raft().EncodePeer("n2.7", "n2.7")); got != "n2.7" {
		t.Fatalf("got %q", got)
	}
}

// The address of one node may have become another's. What is meant for the first
// must not be taken by the second, as Raft would.
func TestCallsForAnotherNodeAreRefused(t *testing.T) {
	t.Parallel()
	server := openPort(t, Config{ID: "n2.b", Serve: func(_ byte, _ []byte, reply func([]byte)) { reply([]byte("served")) }})
	go answerVotes(server.Raft())
	client := openPort(t, Config{ID: "n1.a", Resolve: to(server)})
	for id, want := range map[raft.ServerID]bool{"n2.b": true, "n3.c": false, "n2.x": false} {
		var resp raft.RequestVoteResponse
		if err := client.Raft().RequestVote(id, raft.ServerAddress(id), &raft.RequestVoteRequest{}, &resp); (err == nil) != want {
			t.Errorf("vote of %s at the address of n2.b: %v", id, err)
		}
		served := make(chan error, 1)
		client.Go(id, 1, nil, func(_ []byte, err error) { served <- err })
		if err := <-served; (err == nil) != want {
			t.Errorf("request to %s at the address of n2.b: %v", id, err)
		}
	}
}

func TestCloseEndsConnectionsThatRaftKeeps(t *testing.T) {
	t.Parallel()
	server, client := openPort(t, Config{}), openPort(t, Config{})
	go answerVotes(server.Raft())
	if err := vote(client, server.Addr().String()); err != nil {
		t.Fatal(err)
	}
	open := func() int {
		server.mu.Lock()
		defer server.mu.Unlock()
		return len(server.conns)
	}
	if open() != 1 {
		t.Fatalf("%d connections, want the one in raft's pool", open())
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is closed", func() bool { return open() == 0 })
}

// Not parallel: it looks at all goroutines of the process.
func TestCloseWaitsForEveryGoroutine(t *testing.T) {
	server, client := openPort(t, Config{}), openPort(t, Config{})
	client.cfg.Resolve = func(raft.ServerID) string { return server.Addr().String() }
	for range 3 { // of each kind, connections in use and idle ones
		go func() { _, _ = client.Hello(context.Background(), server.Addr().String(), nil) }()
		client.Go("n1", 1, []byte("x"), func([]byte, error) {})
		go func() {
			var resp raft.RequestVoteResponse
			_ = client.Raft().RequestVote("n1", raft.ServerAddress(server.Addr().String()), &raft.RequestVoteRequest{}, &resp)
		}()
	}
	<-server.Raft().Consumer() // a call that nobody answers
	for range 2 {
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := server.Raft().LocalAddr(); got == "" {
		t.Fatal("a closed port has no address")
	}
	eventually(t, "no goroutine is left", func() bool {
		b := make([]byte, 1<<20)
		b = b[:runtime.Stack(b, true)]
		for _, stack := range strings.Split(string(b), "\n\n") {
			if strings.Contains(stack, "edri/consensus/transport.(*") || strings.Contains(stack, "raft.(*NetworkTransport)") {
				return false
			}
		}
		return true
	})
}
