package transport

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// leaderOf is a peer that calls a node as its leader.
type leaderOf struct {
	t      *testing.T
	trans  *raft.NetworkTransport
	target raft.ServerAddress
}

func (l leaderOf) header() raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("n2"), Addr: []byte("n2")}
}

func (l leaderOf) heartbeat(term uint64) (raft.AppendEntriesResponse, error) {
	var resp raft.AppendEntriesResponse
	err := l.trans.AppendEntries("n1", l.target, &raft.AppendEntriesRequest{RPCHeader: l.header(), Term: term}, &resp)
	return resp, err
}

// appendEntry sends entry index, whose predecessor has this term.
func (l leaderOf) appendEntry(term, index, previousTerm uint64) (raft.AppendEntriesResponse, error) {
	var resp raft.AppendEntriesResponse
	err := l.trans.AppendEntries("n1", l.target, &raft.AppendEntriesRequest{
		RPCHeader: l.header(), Term: term, PrevLogEntry: index - 1, PrevLogTerm: previousTerm,
		Entries: []*raft.Log{{Index: index, Term: term, Type: raft.LogNoop}},
	}, &resp)
	return resp, err
}

// blocked makes the node's main loop wait for its log in term 2, and returns what ends
// that and then waits for the append to be answered.
func (l leaderOf) blocked(logs *blockingLog) (release func()) {
	if resp, err := l.heartbeat(2); err != nil || !resp.Success {
		l.t.Fatalf("first heartbeat: %+v, %v", resp, err)
	}
	for len(logs.writing) > 0 {
		<-logs.writing
	}
	logs.mu.Lock()
	done := make(chan error, 1)
	go func() {
		_, err := l.appendEntry(2, 2, 1)
		done <- err
	}()
	<-logs.writing
	return func() {
		logs.mu.Unlock()
		if err := <-done; err != nil {
			l.t.Errorf("append: %v", err)
		}
	}
}

func callFromOutside(t *testing.T, wrapped bool, target raft.ServerAddress) leaderOf {
	t.Helper()
	conf := &raft.NetworkTransportConfig{MaxPool: 3, MaxRPCsInFlight: 1, Timeout: 10 * time.Second, Logger: hclog.NewNullLogger()}
	if wrapped {
		p := openPort(t, Config{})
		return leaderOf{t, p.Raft().Inner.(resolving).NetworkTransport, target}
	}
	trans, err := raft.NewTCPTransportWithConfig("127.0.0.1:0", nil, conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = trans.Close() })
	return leaderOf{t, trans, target}
}

// The trap (raft issue 695): raft's own heartbeat handler changes term and state on a
// goroutine of the transport, while the main loop is in the middle of something.
func TestControlRaftHandlesHeartbeatsBesideItsMainLoop(t *testing.T) {
	t.Parallel()
	trans, err := raft.NewTCPTransport("127.0.0.1:0", nil, 3, 10*time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, logs := startRaft(t, trans, nil)
	defer func() { _ = r.Shutdown().Error() }()
	peer := callFromOutside(t, false, trans.LocalAddr())
	release := peer.blocked(logs)
	defer release()
	if resp, err := peer.heartbeat(3); err != nil || !resp.Success {
		t.Fatalf("heartbeat of term 3: %+v, %v", resp, err)
	}
	if got := r.CurrentTerm(); got != 3 {
		t.Fatalf("term %d while the main loop waits: heartbeats wait for it now, and heartbeats.go need not", got)
	}
}

func TestHeartbeatOfANewerTermWaitsForTheMainLoop(t *testing.T) {
	t.Parallel()
	var node atomic.Pointer[raft.Raft]
	p := openPort(t, Config{State: func() (raft.RaftState, uint64) {
		if r := node.Load(); r != nil {
			return r.State(), r.CurrentTerm()
		}
		return raft.Shutdown, 0
	}})
	r, logs := startRaft(t, p.Raft(), nil)
	node.Store(r)
	defer func() { _ = r.Shutdown().Error() }()
	peer := callFromOutside(t, true, p.Raft().LocalAddr())
	release := peer.blocked(logs)
	// Of the same term: answered though the main loop waits.
	for range 10 {
		if resp, err := peer.heartbeat(2); err != nil || !resp.Success || resp.Term != 2 {
			t.Fatalf("heartbeat of term 2: %+v, %v", resp, err)
		}
	}
	if got := len(p.Raft().queue); got != 1 {
		t.Fatalf("%d calls wait for the main loop, want 1 copy of 10 heartbeats", got)
	}
	contact := r.LastContact()
	newer := make(chan raft.AppendEntriesResponse, 1)
	go func() {
		resp, _ := peer.heartbeat(3)
		newer <- resp
	}()
	eventually(t, "the heartbeat of term 3 waits", func() bool { return len(p.Raft().queue) == 2 })
	if len(newer) != 0 || r.CurrentTerm() != 2 {
		t.Fatalf("term %d while the main loop waits", r.CurrentTerm())
	}
	release()
	if resp := <-newer; !resp.Success || resp.Term != 3 || r.CurrentTerm() != 3 {
		t.Fatalf("got %+v, term %d", resp, r.CurrentTerm())
	}
	if !r.LastContact().After(contact) {
		t.Fatal("the main loop did not note the contact")
	}
	// And the leader of an older term is told of the newer one.
	if resp, err := peer.heartbeat(2); err != nil || resp.Success || resp.Term != 3 {
		t.Fatalf("heartbeat of an old term: %+v, %v", resp, err)
	}
}

func TestOnlyAFollowerOfTheTermIsAnsweredFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state   raft.RaftState
		term    uint64
		version raft.ProtocolVersion
		own     bool
	}{
		{raft.Follower, 5, raft.ProtocolVersionMax, true},
		{raft.Follower, 4, raft.ProtocolVersionMax, false},
		{raft.Follower, 6, raft.ProtocolVersionMax, false},
		{raft.Candidate, 5, raft.ProtocolVersionMax, false},
		{raft.Leader, 5, raft.ProtocolVersionMax, false},
		{raft.Shutdown, 5, raft.ProtocolVersionMax, false},
		{raft.Follower, 5, raft.ProtocolVersionMax + 1, false},
	} {
		queue := make(chan raft.RPC, 2)
		h := newHeartbeats(func() (raft.RaftState, uint64) { return c.state, c.term }, queue)
		answer := make(chan raft.RPCResponse, 1)
		rpc := raft.RPC{RespChan: answer, Command: &raft.AppendEntriesRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: c.version, Addr: []byte("n2")}, Term: 5,
		}}
		if !isHeartbeat(rpc) {
			t.Fatal("not a heartbeat")
		}
		h.handle(rpc)
		if own := len(answer) == 1; own != c.own || len(queue) != 1 {
			t.Errorf("%v of term %d: answered %v, %d queued", c.state, c.term, own, len(queue))
		}
	}
}

func TestHeartbeatsNeverBlockTheTransport(t *testing.T) {
	t.Parallel()
	for _, state := range []raft.RaftState{raft.Follower, raft.Candidate} {
		queue := make(chan raft.RPC, 3) // nobody reads it
		h := newHeartbeats(func() (raft.RaftState, uint64) { return state, 5 }, queue)
		refused := 0
		for range 10 {
			answer := make(chan raft.RPCResponse, 1)
			h.handle(raft.RPC{RespChan: answer, Command: &raft.AppendEntriesRequest{
				RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}, Term: 5,
			}})
			if len(answer) == 1 && (<-answer).Error != nil {
				refused++
			}
		}
		if want := map[raft.RaftState]int{raft.Follower: 0, raft.Candidate: 7}[state]; refused != want {
			t.Errorf("%v: %d refused, want %d", state, refused, want)
		}
	}
}
