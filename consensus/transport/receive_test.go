package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
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
	return installAs(p, target, installRequest(size), data)
}

func installAs(p *Port, target string, req *raft.InstallSnapshotRequest, data io.Reader) <-chan error {
	done := make(chan error, 1)
	go func() {
		var resp raft.InstallSnapshotResponse
		err := p.Raft().InstallSnapshot("n1", raft.ServerAddress(target), req, &resp, data)
		if err == nil && !resp.Success {
			err = errors.New("no success")
		}
		done <- err
	}()
	return done
}

// taker is a Receiver that reads the stream and passes it on.
type taker struct {
	taken    chan []byte
	received chan struct{} // one for each snapshot that begins
	released atomic.Int32
}

func newTaker() *taker {
	return &taker{taken: make(chan []byte, 16), received: make(chan struct{}, 16)}
}

func (k *taker) receive(_ context.Context, stream io.Reader, req *raft.InstallSnapshotRequest) (func(), error) {
	k.received <- struct{}{}
	all, err := io.ReadAll(stream)
	if err == nil && int64(len(all)) != req.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	k.taken <- all
	return func() { k.released.Add(1) }, nil
}

// serveRaft answers calls as Raft's main loop does, and passes on the sizes of
// snapshots and what else came.
func serveRaft(r *Raft) (snapshots <-chan int64, others <-chan any) {
	s, o := make(chan int64, 16), make(chan any, 16)
	go func() {
		for {
			select {
			case rpc := <-r.Consumer():
				switch req := rpc.Command.(type) {
				case *raft.InstallSnapshotRequest:
					b, err := io.ReadAll(rpc.Reader)
					s <- req.Size + int64(len(b))
					rpc.Respond(&raft.InstallSnapshotResponse{Success: err == nil}, err)
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
	k := newTaker()
	receiver, sender := openPort(t, Config{Receive: k.receive}), openPort(t, Config{})
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
	if len(snapshots) != 0 || len(k.taken) != 0 {
		t.Fatal("the main loop was given a snapshot that has not come")
	}
	if _, err := w.Write(content[300_000:]); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := <-k.taken; !bytes.Equal(got, content) {
		t.Fatalf("got %d bytes, want %d", len(got), len(content))
	}
	if left := <-snapshots; left != 0 || k.released.Load() != 1 {
		t.Fatalf("the main loop was given %d bytes, %d snapshots were released", left, k.released.Load())
	}
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
	if _, err := io.ReadFull(conn, make([]byte, preambleBytes+len("\x02n1"))); err != nil {
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

	k := newTaker()
	receiver, sender := openPort(t, Config{Receive: k.receive}), openPort(t, Config{})
	_, others := serveRaft(receiver.Raft())
	target := receiver.Addr().String()
	r, w := io.Pipe()
	first := install(sender, target, 8, r)
	if _, err := io.WriteString(w, "snap"); err != nil {
		t.Fatal(err)
	}
	<-k.received
	older := installRequest(int64(len(calls)))
	older.Term--
	if err := <-installAs(sender, target, older, bytes.NewReader(calls)); err == nil || !strings.Contains(err.Error(), errReceiving.Error()) {
		t.Fatalf("a second snapshot, of an earlier term: got %v", err)
	}
	if _, err := io.WriteString(w, "shot"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if err := <-first; err != nil {
		t.Fatalf("the first snapshot: %v", err)
	}
	if got := <-k.taken; string(got) != "snapshot" {
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
	k := newTaker()
	receiver := openPort(t, Config{callIdle: 50 * time.Millisecond, Receive: k.receive})
	sender := openPort(t, Config{})
	_, others := serveRaft(receiver.Raft())
	conn := dialRaw(t, receiver)
	if _, err := conn.Write(append(append(greet(t, forRaft), header...), "the first bytes"...)); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, conn) // and not even an answer, after which the rest might be taken for calls
	eventually(t, "another snapshot is taken", func() bool {
		return <-install(sender, receiver.Addr().String(), 8, strings.NewReader("snapshot")) == nil
	})
	if got := <-k.taken; string(got) != "snapshot" || len(others) != 0 {
		t.Fatalf("got %q, %d calls", got, len(others))
	}
}

// A receiver may be busy with segments for longer than any call may take: it is
// waited for as long as its node answers heartbeats.
func TestABusyReceiverIsWaitedForWhileItLives(t *testing.T) {
	t.Parallel()
	sender := openPort(t, Config{})
	var alive atomic.Bool
	here, there := net.Pipe()
	defer there.Close()
	calling := &callingConn{Conn: here, closed: func() {}, alive: alive.Load}
	defer calling.Close()
	alive.Store(true)
	answered := make(chan error, 1)
	read := func() {
		_ = calling.SetDeadline(time.Now().Add(20 * time.Millisecond))
		_, err := calling.Read(make([]byte, 1))
		answered <- err
	}
	go read()
	select {
	case err := <-answered:
		t.Fatalf("gave up on a node that lives: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	if _, err := there.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	alive.Store(false)
	go read()
	if err := <-answered; !isTimeout(err) {
		t.Fatalf("a node that is gone: got %v", err)
	}

	done := sender.installing("n2", "a:1")
	if sender.installAlive("a:1") {
		t.Error("a node that never answered counts as alive")
	}
	heartbeat := &raft.AppendEntriesRequest{Term: 1}
	sender.rounds.answered("n2", sender.rounds.sending(heartbeat), heartbeat, &raft.AppendEntriesResponse{Term: 1})
	if !sender.installAlive("a:1") || sender.installAlive("a:2") {
		t.Error("a node that answered counts as gone, or another as alive")
	}
	done()
	if sender.installAlive("a:1") {
		t.Error("a call without a snapshot is waited for")
	}
}

// What a leader sent and gave up must not keep the next snapshot waiting.
func TestALaterSnapshotTakesThePlace(t *testing.T) {
	t.Parallel()
	entered := make(chan context.Context, 2)
	receiver := openPort(t, Config{Receive: func(ctx context.Context, stream io.Reader, req *raft.InstallSnapshotRequest) (func(), error) {
		_, _ = io.Copy(io.Discard, stream)
		entered <- ctx
		if req.Term == 2 {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		return func() {}, nil
	}})
	serveRaft(receiver.Raft())
	sender, target := openPort(t, Config{}), receiver.Addr().String()
	first := install(sender, target, 3, strings.NewReader("abc"))
	<-entered
	later := installRequest(3)
	later.Term = 3
	if err := <-installAs(sender, target, later, strings.NewReader("abc")); err != nil {
		t.Fatal(err)
	}
	if err := <-first; err == nil || !strings.Contains(err.Error(), errSuperseded.Error()) {
		t.Fatalf("the earlier one: got %v", err)
	}
	// And closing ends what is under way.
	blocked := install(sender, target, 3, strings.NewReader("abc"))
	<-entered
	<-entered
	if err := receiver.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-blocked; err == nil {
		t.Fatal("a snapshot was installed on a closed node")
	}
}

func TestASnapshotOfNoSizeIsRefused(t *testing.T) {
	t.Parallel()
	r := receptions{lifetime: t.Context()}
	for _, size := range []int64{-1, maxSnapshotBytes + 1} {
		if got := r.take(strings.NewReader("abc"), installRequest(size), nil); !errors.Is(got.Error, errSnapshotSize) {
			t.Fatalf("%d bytes: got %v", size, got.Error)
		}
	}
}
