package transport

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// blockingLog is a log store whose writes wait while it is held.
type blockingLog struct {
	*raft.InmemStore
	mu      sync.Mutex
	writing chan struct{} // gets a token when a write waits
}

func newBlockingLog() *blockingLog {
	return &blockingLog{InmemStore: raft.NewInmemStore(), writing: make(chan struct{}, 16)}
}

func (l *blockingLog) StoreLogs(logs []*raft.Log) error {
	select {
	case l.writing <- struct{}{}:
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.InmemStore.StoreLogs(logs)
}

type nullFSM struct{}

func (nullFSM) Apply(*raft.Log) any                 { return nil }
func (nullFSM) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("no snapshots") }
func (nullFSM) Restore(io.ReadCloser) error         { return nil }

// startRaft starts a node that never elects itself, in a set of three.
func startRaft(t *testing.T, trans raft.Transport, tune func(*raft.Config)) (*raft.Raft, *blockingLog) {
	t.Helper()
	conf := raft.DefaultConfig()
	conf.LocalID = "n1"
	conf.Logger = hclog.NewNullLogger()
	conf.HeartbeatTimeout, conf.ElectionTimeout = time.Hour, time.Hour
	if tune != nil {
		tune(conf)
	}
	logs := newBlockingLog()
	stable, snapshots := raft.NewInmemStore(), raft.NewInmemSnapshotStore()
	set := raft.Configuration{Servers: []raft.Server{
		{ID: "n1", Address: trans.LocalAddr()}, {ID: "n2", Address: "n2"}, {ID: "n3", Address: "n3"},
	}}
	if err := raft.BootstrapCluster(conf, logs, stable, snapshots, trans, set); err != nil {
		t.Fatal(err)
	}
	r, err := raft.NewRaft(conf, nullFSM{}, logs, stable, snapshots, trans)
	if err != nil {
		t.Fatal(err)
	}
	return r, logs
}

// A transport that hides an optional interface loses its feature without a word.
func TestOptionalInterfacesReachRaft(t *testing.T) {
	t.Parallel()
	p := openPort(t, Config{})
	var trans raft.Transport = p.Raft()
	if _, ok := trans.(raft.WithPreVote); !ok {
		t.Error("no pre-vote")
	}
	if _, ok := trans.(raft.WithClose); !ok {
		t.Error("no close")
	}
	r, _ := startRaft(t, trans, nil)
	if err := r.Shutdown().Error(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Raft().stop:
	default:
		t.Error("raft did not close its transport")
	}
}

func TestReplicationIsNotPipelined(t *testing.T) {
	t.Parallel()
	p := openPort(t, Config{})
	for name, trans := range map[string]raft.Transport{
		"wrapper":       p.Raft(),
		"inner, inward": p.Raft().Inner, // MaxRPCsInFlight 1 means what it says
	} {
		if _, err := trans.AppendEntriesPipeline("n2", "127.0.0.1:1"); !errors.Is(err, raft.ErrPipelineReplicationNotSupported) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	// The control: left out, it is 2, and a pipeline is tried.
	open := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: stream{p}, Timeout: time.Second, Logger: hclog.NewNullLogger(),
	})
	defer open.Close()
	if _, err := open.AppendEntriesPipeline("n2", "127.0.0.1:1"); err == nil || errors.Is(err, raft.ErrPipelineReplicationNotSupported) {
		t.Errorf("control: got %v", err)
	}
}

func TestAddressesAreResolvedForEachCall(t *testing.T) {
	t.Parallel()
	var address atomic.Value
	address.Store("")
	client := openPort(t, Config{Resolve: func(raft.ServerID) string { return address.Load().(string) }})
	for range 2 {
		server := openPort(t, Config{})
		go answerVotes(server.Raft())
		vote := func(configured string) error {
			var resp raft.RequestVoteResponse
			return client.Raft().RequestVote("n1", raft.ServerAddress(configured), &raft.RequestVoteRequest{}, &resp)
		}
		address.Store("")
		if err := vote(server.Addr().String()); err != nil { // the configured one
			t.Fatal(err)
		}
		address.Store(server.Addr().String())
		if err := vote("127.0.0.1:1"); err != nil {
			t.Fatal(err)
		}
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func answerVotes(r *Raft) {
	for {
		select {
		case rpc := <-r.Consumer():
			rpc.Respond(&raft.RequestVoteResponse{Granted: true}, nil)
		case <-r.stop:
			return
		}
	}
}

// counting counts the calls of an in-memory transport.
type counting struct {
	*raft.InmemTransport
	preVotes, votes *atomic.Int64
}

func (c counting) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	c.preVotes.Add(1)
	return c.InmemTransport.RequestPreVote(id, to, req, resp)
}

func (c counting) RequestVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	c.votes.Add(1)
	return c.InmemTransport.RequestVote(id, to, req, resp)
}

// noPreVote is what a careless wrapper is.
type noPreVote struct{ raft.Transport }

// cluster starts three nodes on in-memory transports and returns them when one leads.
func cluster(t *testing.T, careless bool) (nodes []*raft.Raft, inner []*raft.InmemTransport, preVotes *atomic.Int64) {
	preVotes = &atomic.Int64{}
	var set raft.Configuration
	for i := range 3 {
		address, trans := raft.NewInmemTransport(raft.ServerAddress(fmt.Sprint("node", i)))
		inner = append(inner, trans)
		set.Servers = append(set.Servers, raft.Server{ID: raft.ServerID(address), Address: address})
	}
	connect(inner)
	for i, trans := range inner {
		var node atomic.Pointer[raft.Raft]
		state := func() (raft.RaftState, uint64) {
			if r := node.Load(); r != nil {
				return r.State(), r.CurrentTerm()
			}
			return raft.Shutdown, 0
		}
		var wrapped raft.Transport = WrapRaft(counting{trans, preVotes, &atomic.Int64{}}, NewRounds(), state, nil, nil)
		if careless {
			wrapped = noPreVote{wrapped}
		}
		conf := raft.DefaultConfig()
		conf.LocalID = set.Servers[i].ID
		conf.Logger = hclog.NewNullLogger()
		store := raft.NewInmemStore()
		if err := raft.BootstrapCluster(conf, store, store, raft.NewInmemSnapshotStore(), wrapped, set); err != nil {
			t.Fatal(err)
		}
		r, err := raft.NewRaft(conf, nullFSM{}, store, store, raft.NewInmemSnapshotStore(), wrapped)
		if err != nil {
			t.Fatal(err)
		}
		node.Store(r)
		nodes = append(nodes, r)
		t.Cleanup(func() {
			_ = r.Shutdown().Error()
			if c, ok := wrapped.(noPreVote); ok {
				_ = c.Transport.(*Raft).Close()
			}
		})
	}
	for leader(nodes) < 0 {
		time.Sleep(100 * time.Millisecond) // of the bubble's clock
	}
	return nodes, inner, preVotes
}

func connect(inner []*raft.InmemTransport) {
	for _, a := range inner {
		for _, b := range inner {
			if a != b {
				a.Connect(b.LocalAddr(), b)
			}
		}
	}
}

func leader(nodes []*raft.Raft) int {
	for i, r := range nodes {
		if r.State() == raft.Leader {
			return i
		}
	}
	return -1
}

// isolate cuts a follower off for 20 s of the bubble's clock and lets it come back.
func isolate(nodes []*raft.Raft, inner []*raft.InmemTransport) (termBefore, termAfter uint64) {
	time.Sleep(5 * time.Second)
	led := leader(nodes)
	away := (led + 1) % 3
	termBefore = nodes[led].CurrentTerm()
	inner[away].DisconnectAll()
	for i, trans := range inner {
		if i != away {
			trans.Disconnect(inner[away].LocalAddr())
		}
	}
	time.Sleep(20 * time.Second)
	termAfter = nodes[away].CurrentTerm()
	connect(inner)
	time.Sleep(5 * time.Second)
	return termBefore, termAfter
}

func TestPreVoteIsInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		nodes, inner, preVotes := cluster(t, false)
		led := leader(nodes)
		before, away := isolate(nodes, inner)
		if preVotes.Load() == 0 {
			t.Error("nobody asked for a pre-vote")
		}
		if after := nodes[led].CurrentTerm(); away != before || after != before || leader(nodes) != led {
			t.Errorf("term %d, in isolation %d, after it %d: the leader was disturbed", before, away, after)
		}
	})
}

// The control: without the interface a node that was away comes back with a newer
// term and ends the leader's office.
func TestControlWithoutPreVoteTheLeaderIsDisturbed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		nodes, inner, preVotes := cluster(t, true)
		before, away := isolate(nodes, inner)
		if preVotes.Load() != 0 || away <= before {
			t.Errorf("term %d, in isolation %d, %d pre-votes: raft finds pre-vote otherwise now", before, away, preVotes.Load())
		}
	})
}
