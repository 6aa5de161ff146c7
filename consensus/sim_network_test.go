package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/consensus/transport"
)

var errCut = errors.New("the simulated network is cut")

// simNetwork joins the nodes of one process. Every way between two nodes can be
// cut, in one direction or both.
type simNetwork struct {
	mu    sync.Mutex
	nodes map[string]*simPort // by address
	cut   map[[2]string]bool  // from, to
	slow  map[string]bool     // nodes that what is sent to or by them reaches only later
	// hold, if set, is called when an answer to an AppendEntries is about to reach
	// its sender.
	hold func(from, to string, req *raft.AppendEntriesRequest)
	// drop, if set, decides whether an AppendEntries gets lost on its way.
	drop func(from, to string, req *raft.AppendEntriesRequest) bool
	// carried, if set, is called with the bytes of segments that were carried so far.
	carried func(total int)
	bytes   int // of segments
	// calls are the last answered ones, by sender, receiver and kind.
	calls map[string]string
}

// count counts bytes of segments.
func (n *simNetwork) count(bytes int) {
	n.mu.Lock()
	n.bytes += bytes
	carried, total := n.carried, n.bytes
	n.mu.Unlock()
	if carried != nil {
		carried(total)
	}
}

func newSimNetwork() *simNetwork {
	return &simNetwork{nodes: map[string]*simPort{}, cut: map[[2]string]bool{}, slow: map[string]bool{}, calls: map[string]string{}}
}

// note keeps a call for lastCalls.
func (n *simNetwork) note(from, to string, command any, got raft.RPCResponse) {
	n.mu.Lock()
	defer n.mu.Unlock()
	way := fmt.Sprintf("%s to %s %T", from, to, command)
	if req, ok := command.(*raft.AppendEntriesRequest); ok && isHeartbeat(req) {
		way += " (heartbeat)"
	}
	n.calls[way] = fmt.Sprintf("%s: %s: %s %v", time.Now().Format("15:04:05.000"), describe(command), describe(got.Response), got.Error)
}

// describe tells what decides of a call or an answer.
func describe(message any) string {
	switch m := message.(type) {
	case *raft.AppendEntriesRequest:
		return fmt.Sprintf("term %d, previous %d of term %d, %d entries, commit %d", m.Term, m.PrevLogEntry, m.PrevLogTerm, len(m.Entries), m.LeaderCommitIndex)
	case *raft.AppendEntriesResponse:
		return fmt.Sprintf("success %v, term %d, last log %d", m.Success, m.Term, m.LastLog)
	case *raft.InstallSnapshotRequest:
		return fmt.Sprintf("term %d, last %d of term %d", m.Term, m.LastLogIndex, m.LastLogTerm)
	case *raft.InstallSnapshotResponse:
		return fmt.Sprintf("success %v, term %d", m.Success, m.Term)
	case *raft.RequestVoteRequest:
		return fmt.Sprintf("term %d, last %d of term %d", m.Term, m.LastLogIndex, m.LastLogTerm)
	case *raft.RequestVoteResponse:
		return fmt.Sprintf("granted %v, term %d", m.Granted, m.Term)
	}
	return fmt.Sprintf("%+v", message)
}

// lastCalls tells the last calls, a line for each.
func (n *simNetwork) lastCalls() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var lines []string
	for _, way := range slices.Sorted(maps.Keys(n.calls)) {
		lines = append(lines, way+" "+n.calls[way])
	}
	return strings.Join(lines, "\n")
}

// partition cuts every way between the two groups.
func (n *simNetwork) partition(a, b []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range a {
		for _, y := range b {
			n.cut[[2]string{x, y}], n.cut[[2]string{y, x}] = true, true
		}
	}
}

func (n *simNetwork) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	clear(n.slow)
}

// wait returns when what is under way between two nodes arrives.
func (n *simNetwork) wait(a, b *simPort) {
	for {
		n.mu.Lock()
		slow := n.slow[a.name] || n.slow[b.name]
		n.mu.Unlock()
		if !slow {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-a.stop:
			return
		case <-b.stop:
			return
		}
	}
}

func (n *simNetwork) hooks() (hold func(from, to string, req *raft.AppendEntriesRequest), drop func(from, to string, req *raft.AppendEntriesRequest) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hold, n.drop
}

func (n *simNetwork) setDrop(drop func(from, to string, req *raft.AppendEntriesRequest) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drop = drop
}

// reach returns the node at an address, if the way to it is open.
func (n *simNetwork) reach(from *simPort, address string) (*simPort, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.nodes[address]
	if p == nil || n.cut[[2]string{from.name, p.name}] {
		return nil, fmt.Errorf("%w: %s to %s", errCut, from.name, address)
	}
	return p, nil
}

// open reports whether the way from one node to another, of this life, is open.
func (n *simNetwork) open(from, to *simPort) error {
	if p, err := n.reach(from, to.address); err != nil || p != to {
		return errors.Join(errCut, err)
	}
	return nil
}

// reachServer returns the node of a server id at the address that this one knows
// of it, as a connection does that names whom it is meant for.
func (p *simPort) reachServer(id raft.ServerID) (*simPort, error) {
	peer, err := p.net.reach(p, p.node.PeerAddress(id))
	if err == nil && peer.node.ServerID() != string(id) {
		return nil, fmt.Errorf("%w: %s is at the address of %s", errCut, peer.node.ServerID(), id)
	}
	return peer, err
}

// simPort is one life of one node on the network.
type simPort struct {
	net     *simNetwork
	name    string
	address string
	node    *consensus.Node
	calls   chan raft.RPC
	raft    *transport.Raft
	rounds  *transport.Rounds
	stop    chan struct{}
	once    sync.Once
	done    sync.WaitGroup
	heart   func(raft.RPC)

	mu    sync.Mutex
	links map[string]chan func()
}

var _ consensus.Network = (*simPort)(nil)

func (n *simNetwork) join(name, address string) func(*consensus.Node) (consensus.Network, error) {
	return func(node *consensus.Node) (consensus.Network, error) {
		p := &simPort{
			net: n, name: name, address: address, node: node, calls: make(chan raft.RPC), rounds: transport.NewRounds(),
			stop: make(chan struct{}), links: map[string]chan func(){},
		}
		p.raft = transport.WrapRaft(simRaft{p}, p.rounds, node.RaftState, node.RaftBase, node.ReceiveSnapshot)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.nodes[address] = p
		return p, nil
	}
}

func (p *simPort) Transport() raft.Transport          { return p.raft }
func (p *simPort) Begin() uint64                      { return p.rounds.Begin() }
func (p *simPort) Acked(id raft.ServerID) uint64      { return p.rounds.Acked(id) }
func (p *simPort) Changed() <-chan struct{}           { return p.rounds.Changed() }
func (p *simPort) LastAck(id raft.ServerID) time.Time { return p.rounds.LastAck(id) }
func (p *simPort) Match(id raft.ServerID) uint64      { return p.rounds.Match(id) }
func (p *simPort) Introduce(_ context.Context, to string, own consensus.Introduction) (consensus.Introduction, error) {
	peer, err := p.net.reach(p, to)
	if err != nil {
		return consensus.Introduction{}, err
	}
	return peer.node.Introduce(own)
}

// FetchSegment copies in pieces, so that a cut or a crash may come between two.
func (p *simPort) FetchSegment(ctx context.Context, id raft.ServerID, _ raft.ServerAddress, s transport.Segment, w io.Writer) (total int64, err error) {
	peer, err := p.reachServer(id)
	if err != nil {
		return 0, err
	}
	file, err := peer.node.OpenSegment(s)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	for piece := make([]byte, 16<<10); ; {
		time.Sleep(simLatency)
		if now, err := p.reachServer(id); err != nil || now != peer {
			return total, errors.Join(errCut, err)
		}
		if ctx.Err() != nil {
			return total, context.Cause(ctx)
		}
		n, err := file.Read(piece)
		if _, err := w.Write(piece[:n]); err != nil {
			return total, err
		}
		total += int64(n)
		p.net.count(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func (p *simPort) FetchImage(_ context.Context, id raft.ServerID, _ string, w io.Writer) error {
	peer, err := p.reachServer(id)
	if err != nil {
		return err
	}
	stream, _, err := peer.node.Image()
	if err != nil {
		return err
	}
	_, err = io.Copy(w, stream)
	return errors.Join(err, stream.Close())
}

func (p *simPort) Close() error {
	p.once.Do(func() {
		p.net.mu.Lock()
		if p.net.nodes[p.address] == p {
			delete(p.net.nodes, p.address)
		}
		p.net.mu.Unlock()
		close(p.stop)
		_ = p.raft.Close()
		p.done.Wait()
	})
	return nil
}

// Go keeps the order of requests to one peer.
func (p *simPort) Go(id raft.ServerID, kind byte, payload []byte, done func([]byte, error)) {
	to := string(id)
	call := func() {
		peer, err := p.reachServer(id)
		if err != nil {
			done(nil, fmt.Errorf("%w: %w", transport.ErrNotSent, err))
			return
		}
		p.net.wait(p, peer)
		var once sync.Once
		peer.node.Serve(kind, payload, func(answer []byte) {
			once.Do(func() {
				p.net.wait(p, peer)
				if err := p.net.open(peer, p); err != nil {
					done(nil, err)
					return
				}
				done(answer, nil)
			})
		})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	queue := p.links[to]
	if queue == nil {
		queue = make(chan func(), 1024)
		p.links[to] = queue
		p.done.Add(1)
		go func() {
			defer p.done.Done()
			for {
				select {
				case f := <-queue:
					f()
				case <-p.stop:
					return
				}
			}
		}()
	}
	select {
	case queue <- call:
	default:
		done(nil, fmt.Errorf("%w: queue is full", transport.ErrNotSent))
	}
}

// simRaft is the inner transport: it hands calls from node to node.
type simRaft struct{ p *simPort }

var _ transport.Inner = simRaft{}

const (
	simLatency = time.Millisecond
	simTimeout = 5 * time.Second
)

func (t simRaft) call(to raft.ServerAddress, command any, body io.Reader) (any, error) {
	time.Sleep(simLatency)
	peer, err := t.p.reachServer(raft.ServerID(to))
	if err != nil {
		return nil, err
	}
	t.p.net.wait(t.p, peer)
	hold, drop := t.p.net.hooks()
	if req, ok := command.(*raft.AppendEntriesRequest); ok && drop != nil && drop(t.p.name, peer.name, req) {
		return nil, errCut
	}
	answer := make(chan raft.RPCResponse, 1)
	rpc := raft.RPC{Command: command, Reader: body, RespChan: answer}
	if req, ok := command.(*raft.AppendEntriesRequest); ok && isHeartbeat(req) && peer.heart != nil {
		peer.heart(rpc)
	} else {
		select {
		case peer.calls <- rpc:
		case <-time.After(simTimeout):
			return nil, errCut
		case <-peer.stop:
			return nil, errCut
		case <-t.p.stop:
			return nil, errCut
		}
	}
	select {
	case <-time.After(simTimeout):
		return nil, errCut
	case got := <-answer:
		t.p.net.note(t.p.name, peer.name, command, got)
		t.p.net.wait(t.p, peer)
		if req, ok := command.(*raft.AppendEntriesRequest); ok && hold != nil {
			hold(t.p.name, peer.name, req)
		}
		if err := t.p.net.open(peer, t.p); err != nil && hold == nil {
			return nil, err
		}
		return got.Response, got.Error
	case <-peer.stop:
		return nil, errCut
	case <-t.p.stop:
		return nil, errCut
	}
}

func isHeartbeat(r *raft.AppendEntriesRequest) bool {
	return r.PrevLogEntry == 0 && r.PrevLogTerm == 0 && len(r.Entries) == 0 && r.LeaderCommitIndex == 0
}

func (t simRaft) Consumer() <-chan raft.RPC                               { return t.p.calls }
func (t simRaft) LocalAddr() raft.ServerAddress                           { return raft.ServerAddress(t.p.node.ServerID()) }
func (t simRaft) SetHeartbeatHandler(cb func(raft.RPC))                   { t.p.heart = cb }
func (t simRaft) EncodePeer(_ raft.ServerID, a raft.ServerAddress) []byte { return []byte(a) }
func (t simRaft) DecodePeer(b []byte) raft.ServerAddress                  { return raft.ServerAddress(b) }
func (t simRaft) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

func (t simRaft) AppendEntries(_ raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	copied := *req
	return answerTo(resp)(t.call(to, &copied, nil))
}

func (t simRaft) RequestVote(_ raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return answerTo(resp)(t.call(to, req, nil))
}

func (t simRaft) RequestPreVote(_ raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return answerTo(resp)(t.call(to, req, nil))
}

func (t simRaft) InstallSnapshot(_ raft.ServerID, to raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	return answerTo(resp)(t.call(to, req, data))
}

func (t simRaft) TimeoutNow(_ raft.ServerID, to raft.ServerAddress, req *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return answerTo(resp)(t.call(to, req, nil))
}

// answerTo stores an answer of the type that was asked for.
func answerTo[T any](resp *T) func(any, error) error {
	return func(got any, err error) error {
		if err != nil {
			return err
		}
		if typed, ok := got.(*T); ok && typed != nil {
			*resp = *typed
			return nil
		}
		return fmt.Errorf("answered with %T", got)
	}
}
