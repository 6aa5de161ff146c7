package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

func installRequest(size int64) *raft.InstallSnapshotRequest {
	return &raft.InstallSnapshotRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("n2"), Addr: []byte("n2")},
		Term:      2, Size: size,
	}
}

func install(p *Port, target string, size int64, data io.Reader) <-chan error {
	done := make(chan error, 1)
	go func() {
		var resp raft.InstallSnapshotResponse
		err := p.Raft().InstallSnapshot("n1", raft.ServerAddress(target), installRequest(size), &resp, data)
		if err == nil && !resp.Success {
			err = errors.New("no success")
		}
		done <- err
	}()
	return done
}

// serveRaft answers calls as Raft's main loop does, and passes on what came.
func serveRaft(r *Raft) (snapshots <-chan []byte, others <-chan any) {
	s, o := make(chan []byte, 16), make(chan any, 16)
	go func() {
		for {
			select {
			case rpc := <-r.Consumer():
				switch req := rpc.Command.(type) {
				case *raft.InstallSnapshotRequest:
					b, err := io.ReadAll(rpc.Reader)
					rpc.Respond(&raft.InstallSnapshotResponse{Success: err == nil}, err)
					s <- b
				case *raft.RequestVoteRequest:
					rpc.Respond(&raft.RequestVoteResponse{Granted: true}, nil)
					o <- req
				case *raft.AppendEntriesRequest:
					rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
					o <- req
				}
			case <-r.stop:
				return
			}
		}
	}()
	return s, o
}

func vote(p *Port, target string) error {
	var resp raft.RequestVoteResponse
	return p.Raft().RequestVote("n1", raft.ServerAddress(target), &raft.RequestVoteRequest{Term: 9}, &resp)
}

func TestVotesAndAppendsGoOnWhileASnapshotIsReceived(t *testing.T) {
	t.Parallel()
	staging := t.TempDir()
	receiver, sender := openPort(t, Config{Staging: staging}), openPort(t, Config{})
	snapshots, others := serveRaft(receiver.Raft())
	target := receiver.Addr().String()
	content := bytes.Repeat([]byte("snapshot"), 100_000)
	r, w := io.Pipe()
	done := install(sender, target, int64(len(content)), r)
	if _, err := w.Write(content[:300_000]); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := vote(sender, target); err != nil {
			t.Fatal(err)
		}
		<-others
		var resp raft.AppendEntriesResponse
		req := &raft.AppendEntriesRequest{Term: 2, Entries: []*raft.Log{{Index: 1}}}
		if err := sender.Raft().AppendEntries("n1", raft.ServerAddress(target), req, &resp); err != nil {
			t.Fatal(err)
		}
		<-others
	}
	if len(snapshots) != 0 {
		t.Fatal("the main loop was given a snapshot that has not come")
	}
	if _, err := w.Write(content[300_000:]); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := <-snapshots; !bytes.Equal(got, content) {
		t.Fatalf("got %d bytes, want %d", len(got), len(content))
	}
	eventually(t, "the spool file is removed", func() bool {
		entries, err := os.ReadDir(staging)
		return err == nil && len(entries) == 0
	})
	if err := <-install(sender, target, 8, strings.NewReader("snapshot")); err != nil {
		t.Fatalf("the next snapshot: %v", err)
	}
}

// callBytes are the bytes of one vote request, as they travel.
func callBytes(t *testing.T, call func(p *Port, target string)) []byte {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := openPort(t, Config{})
	go call(p, l.Addr().String())
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, preambleBytes)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64<<10) // written at once, so read at once
	n, err := conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// A snapshot may hold anything, also what looks like calls. Raft's transport goes on
// reading after it answered an error, and would take the rest of the stream for them.
func TestWhatIsLeftOfARefusedSnapshotIsNotTakenForCalls(t *testing.T) {
	t.Parallel()
	calls := bytes.Repeat(callBytes(t, func(p *Port, target string) { _ = vote(p, target) }), 1000)

	// The control: raft's transport alone.
	trap, err := raft.NewTCPTransportWithConfig("127.0.0.1:0", nil, &raft.NetworkTransportConfig{
		MaxPool: 1, Timeout: 10 * time.Second, Logger: hclog.NewNullLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	outside := callFromOutside(t, false, trap.LocalAddr())
	go func() {
		var resp raft.InstallSnapshotResponse
		_ = outside.trans.InstallSnapshot("n1", outside.target, installRequest(int64(len(calls))), &resp, bytes.NewReader(calls))
	}()
	(&raft.RPC{RespChan: (<-trap.Consumer()).RespChan}).Respond(nil, errors.New("refused"))
	if _, ok := (<-trap.Consumer()).Command.(*raft.RequestVoteRequest); !ok {
		t.Error("control: a snapshot's bytes are not taken for calls any more")
	}

	receiver, sender := openPort(t, Config{}), openPort(t, Config{})
	snapshots, others := serveRaft(receiver.Raft())
	target := receiver.Addr().String()
	r, w := io.Pipe()
	first := install(sender, target, 8, r)
	if _, err := io.WriteString(w, "snap"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first snapshot is being received", func() bool { return len(receiver.Raft().spool.place) == 1 })
	if err := <-install(sender, target, int64(len(calls)), bytes.NewReader(calls)); err == nil || !strings.Contains(err.Error(), errSpoolBusy.Error()) {
		t.Fatalf("a second snapshot: got %v", err)
	}
	if _, err := io.WriteString(w, "shot"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if err := <-first; err != nil {
		t.Fatalf("the first snapshot: %v", err)
	}
	if got := <-snapshots; string(got) != "snapshot" {
		t.Fatalf("got %q", got)
	}
	if err := vote(sender, target); err != nil {
		t.Fatal(err)
	}
	if <-others; len(others) != 0 {
		t.Fatal("bytes of a snapshot were taken for calls")
	}
}

func TestSnapshotWhoseSenderFallsSilentGivesItsPlace(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	header := callBytes(t, func(p *Port, target string) { <-install(p, target, size, strings.NewReader("")) })
	receiver := openPort(t, Config{callIdle: 50 * time.Millisecond})
	sender := openPort(t, Config{})
	snapshots, others := serveRaft(receiver.Raft())
	conn := dialRaw(t, receiver)
	if _, err := conn.Write(append(append(preamble(forRaft), header...), "the first bytes"...)); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, conn) // and not even an answer, after which the rest might be taken for calls
	eventually(t, "another snapshot is taken", func() bool {
		return <-install(sender, receiver.Addr().String(), 8, strings.NewReader("snapshot")) == nil
	})
	if got := <-snapshots; string(got) != "snapshot" || len(others) != 0 {
		t.Fatalf("got %q, %d calls", got, len(others))
	}
}

func TestSpoolFailsWithoutItsDirectory(t *testing.T) {
	t.Parallel()
	s := newSpool(t.TempDir() + "/missing")
	if _, err := s.take(strings.NewReader("abc"), installRequest(3)); err == nil {
		t.Fatal("got a file")
	}
	s.dir = t.TempDir()
	for _, size := range []int64{-1, maxSnapshotBytes + 1} {
		if _, err := s.take(strings.NewReader("abc"), installRequest(size)); !errors.Is(err, errSpoolSize) {
			t.Fatalf("%d bytes: got %v", size, err)
		}
	}
	for _, content := range []string{"ab", "abc"} {
		file, err := s.take(strings.NewReader(content), installRequest(3))
		if (err == nil) != (content == "abc") {
			t.Fatalf("%q: got %v", content, err)
		}
		if err == nil {
			s.release(file)
		}
		if entries, err := os.ReadDir(s.dir); err != nil || len(entries) != 0 || len(s.place) != 0 {
			t.Fatalf("%q: left %v, %v", content, entries, err)
		}
	}
}
