package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/edriv1connect"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// verdict is what a fake node does with one commit.
type verdict int

const (
	execute      verdict = iota
	dropBefore           // cut the connection, not executed
	dropAfter            // executed, then cut the connection
	loseOutcome          // executed, answered as open outcome_unknown
	swallow              // executed, never answered
	sayNotLeader         // not executed, open
	sayUnavailable
	sayOverloaded
	sayInvalid // not executed, open, and final
	verdicts
)

// fakeCluster executes commits as consensus does: sessions in order, repeats get
// the kept result. It does not know (source, id), so that a doubled commit shows
// as a doubled event.
type fakeCluster struct {
	t     *testing.T
	nodes []*fakeNode

	mu        sync.Mutex
	epoch     []byte
	leader    int // index in nodes, -1: none
	next      uint64
	sessions  map[uint64]*fakeSession
	producers map[string]uint64
	events    []*edriv1.RecordedEvent
	revisions map[string]uint64
	changed   chan struct{}
	// judge decides about a commit that arrived at a node; nil: execute.
	judge func(n *fakeNode, c *edriv1.Commit) verdict
	// frames and commits count what CommitStreams carried.
	frames, commits int
	// asked has a token for each status request of late; hold, where set, returns
	// when the answer to a frame may be sent.
	asked chan struct{}
	hold  func(ctx context.Context)
	// readFrame is how many events one ReadResponse carries; cutReads ends a read
	// with a broken connection after so many responses, 0: never.
	readFrame, cutReads int

	// found answers the keys that a GetStream asks for at a node; nil: with themselves.
	found func(n *fakeNode, keys []string) ([]wire.KeyFound, error)
	// reads are the keys of each request.
	reads [][]string

	router fakeRouter
}

type fakeSession struct {
	last uint64
	kept map[uint64]*edriv1.CommitResult
}

type fakeNode struct {
	cluster *fakeCluster
	index   int
	behind  int // events at the end that the node has not applied; under cluster.mu
	url     string
	http    *http.Server
	done    chan struct{}
}

func newFakeCluster(t *testing.T, n int) *fakeCluster {
	t.Helper()
	c := &fakeCluster{
		t: t, epoch: []byte("0123456789abcdef"), sessions: map[uint64]*fakeSession{},
		producers: map[string]uint64{}, revisions: map[string]uint64{},
		changed: make(chan struct{}), readFrame: 10, asked: make(chan struct{}, 16),
	}
	for i := range n {
		node := &fakeNode{cluster: c, index: i}
		node.start("127.0.0.1:0")
		c.nodes = append(c.nodes, node)
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.stop()
		}
	})
	return c
}

func (c *fakeCluster) client(t *testing.T, cfg Config) *Client {
	t.Helper()
	if cfg.Servers == nil {
		for _, n := range c.nodes {
			cfg.Servers = append(cfg.Servers, n.url)
		}
	}
	client, err := New(cfg)
	if err != nil {
		t.Fatalf("new client: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (n *fakeNode) start(address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		n.cluster.t.Fatalf("listen: %v", err)
	}
	n.url = "http://" + listener.Addr().String()
	options := connect.WithCodec(wire.Binary{})
	mux := http.NewServeMux()
	mux.Handle(edriv1connect.EventsCommitProcedure,
		connect.NewUnaryHandler(edriv1connect.EventsCommitProcedure, n.commit, options))
	mux.Handle(edriv1connect.EventsCommitStreamProcedure,
		connect.NewBidiStreamHandler(edriv1connect.EventsCommitStreamProcedure, n.commitStream, options))
	mux.Handle(edriv1connect.EventsReadProcedure,
		connect.NewServerStreamHandler(edriv1connect.EventsReadProcedure, n.read, options))
	mux.Handle(edriv1connect.EventsTailProcedure,
		connect.NewServerStreamHandler(edriv1connect.EventsTailProcedure, n.tail, options))
	mux.Handle(edriv1connect.KeysGetStreamProcedure,
		connect.NewBidiStreamHandler(edriv1connect.KeysGetStreamProcedure, n.getStream, options))
	mux.Handle(edriv1connect.ClusterStatusProcedure,
		connect.NewUnaryHandler(edriv1connect.ClusterStatusProcedure, n.status, options))
	n.routes(mux, options)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	n.http = &http.Server{Handler: mux, Protocols: protocols, ConnContext: withConn}
	n.done = make(chan struct{})
	go func() {
		defer close(n.done)
		_ = n.http.Serve(listener)
	}()
}

// stop ends the node as SIGKILL would: every connection is cut.
func (n *fakeNode) stop() {
	_ = n.http.Close()
	<-n.done
}

func (n *fakeNode) restart() { n.start(strings.TrimPrefix(n.url, "http://")) }

type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// cut breaks the connection that the request came on.
func cut(ctx context.Context) error {
	if c, ok := ctx.Value(connKey{}).(net.Conn); ok {
		_ = c.Close()
	}
	return errors.New("connection cut")
}

func (n *fakeNode) status(context.Context, *connect.Request[edriv1.StatusRequest]) (*connect.Response[edriv1.StatusResponse], error) {
	c := n.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case c.asked <- struct{}{}:
	default:
	}
	s := &edriv1.StatusResponse{Members: n.cluster.membersLocked(), Epoch: c.epoch, NodeId: "n" + strconv.Itoa(n.index), Ready: true}
	if c.leader >= 0 {
		s.LeaderId = "n" + strconv.Itoa(c.leader)
		s.LeaderUrl = c.nodes[c.leader].url
	}
	return connect.NewResponse(s), nil
}

func (n *fakeNode) commit(_ context.Context, r *connect.Request[commitFrame]) (*connect.Response[commitResultFrame], error) {
	c, err := r.Msg.Message()
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	b, err := proto.Marshal(n.cluster.apply(c))
	return connect.NewResponse(&commitResultFrame{Bytes: b}), err
}

func (n *fakeNode) commitStream(ctx context.Context, s *connect.BidiStream[commitsFrame, resultsFrame]) error {
	for {
		frame, err := s.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		commits, err := wire.SplitCommits(nil, frame.Bytes)
		if err != nil {
			return err
		}
		answer, hold, err := n.answer(ctx, commits)
		if err != nil {
			return err
		}
		if hold != nil {
			hold(ctx)
		}
		if err := s.Send(&resultsFrame{Bytes: answer}); err != nil {
			return err
		}
	}
}

func (n *fakeNode) answer(ctx context.Context, commits [][]byte) (answer []byte, hold func(context.Context), err error) {
	c := n.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames++
	c.commits += len(commits)
	for _, b := range commits {
		commit := &edriv1.Commit{}
		if err := proto.Unmarshal(b, commit); err != nil {
			return nil, nil, err
		}
		v := execute
		if c.judge != nil {
			v = c.judge(n, commit)
		}
		var result *edriv1.CommitResult
		switch v {
		case execute:
			result = c.apply(commit)
		case dropBefore:
			return nil, nil, cut(ctx)
		case dropAfter:
			c.apply(commit)
			return nil, nil, cut(ctx)
		case swallow:
			c.apply(commit)
			continue
		case loseOutcome:
			c.apply(commit)
			result = open(commit, event.CodeOutcomeUnknown)
		case sayNotLeader:
			result = open(commit, event.CodeNotLeader)
		case sayUnavailable:
			result = open(commit, event.CodeUnavailable)
		case sayOverloaded:
			result = open(commit, event.CodeOverloaded)
		case sayInvalid:
			result = open(commit, event.CodeInvalid)
		}
		encoded, err := proto.Marshal(result)
		if err != nil {
			return nil, nil, err
		}
		answer = wire.AppendFrameResult(answer, encoded)
	}
	return answer, c.hold, nil
}

func open(c *edriv1.Commit, code event.Code) *edriv1.CommitResult {
	return &edriv1.CommitResult{
		Session: c.Session, Sequence: c.Sequence, Open: true,
		Error: &edriv1.Error{Code: string(code), Message: "fault"},
	}
}

// apply executes a commit by the rules of consensus.
func (c *fakeCluster) apply(m *edriv1.Commit) *edriv1.CommitResult {
	failure := func(code event.Code) *edriv1.CommitResult {
		return &edriv1.CommitResult{Session: m.Session, Sequence: m.Sequence, Error: &edriv1.Error{Code: string(code)}}
	}
	if len(m.Epoch) > 0 && string(m.Epoch) != string(c.epoch) {
		return failure(event.CodeEpochChanged)
	}
	if m.Session == 0 {
		return c.run(m)
	}
	s := c.sessions[m.Session]
	if s == nil {
		return failure(event.CodeSessionExpired)
	}
	first := m.FirstSequence
	if first == 0 {
		first = m.Sequence
	}
	for sequence := range s.kept {
		if sequence <= m.AckedThrough || sequence+256 <= s.last {
			delete(s.kept, sequence)
		}
	}
	switch {
	case first > s.last+1:
		return failure(event.CodeUnavailable)
	case first <= s.last:
		if kept := s.kept[m.Sequence]; kept != nil {
			return kept
		}
		return failure(event.CodeOutcomeUnknown)
	}
	result := c.run(m)
	s.last = m.Sequence
	s.kept[m.Sequence] = result
	return result
}

func (c *fakeCluster) run(m *edriv1.Commit) *edriv1.CommitResult {
	result := &edriv1.CommitResult{Session: m.Session, Sequence: m.Sequence}
	for _, op := range m.Ops {
		r := &edriv1.OpResult{}
		switch {
		case op.GetAppend() != nil:
			if e := c.append(op.GetAppend(), r); e != nil {
				return &edriv1.CommitResult{Session: m.Session, Sequence: m.Sequence, Error: e}
			}
		case op.GetOpenSession() != nil:
			c.next++
			c.sessions[c.next] = &fakeSession{kept: map[uint64]*edriv1.CommitResult{}}
			r.Result = &edriv1.OpResult_SessionOpened{SessionOpened: &edriv1.SessionOpened{Session: c.next}}
		case op.GetOpenProducer() != nil:
			id, ok := c.producers[op.GetOpenProducer().Name]
			if !ok {
				c.next++
				id = c.next
				c.producers[op.GetOpenProducer().Name] = id
				c.sessions[id] = &fakeSession{kept: map[uint64]*edriv1.CommitResult{}}
			}
			r.Result = &edriv1.OpResult_ProducerOpened{ProducerOpened: &edriv1.ProducerOpened{
				Session: id, LastSequence: c.sessions[id].last,
			}}
		case op.GetRespond() != nil:
			c.router.respond(op.GetRespond())
		case op.GetCloseSession() != nil:
			delete(c.sessions, m.Session)
		}
		result.Results = append(result.Results, r)
	}
	result.Position = uint64(len(c.events))
	return result
}

func (c *fakeCluster) append(a *edriv1.Append, r *edriv1.OpResult) *edriv1.Error {
	if x, ok := a.Expected.(*edriv1.Append_Revision); ok && x.Revision != c.revisions[a.Stream] {
		return &edriv1.Error{
			Code: string(event.CodeRevisionConflict), Stream: a.Stream,
			Expected: int64(x.Revision), Actual: c.revisions[a.Stream],
		}
	}
	c.revisions[a.Stream]++
	recorded := &edriv1.RecordedEvent{
		Position: uint64(len(c.events) + 1), Revision: c.revisions[a.Stream],
		Stream: a.Stream, Stamp: time.Now().UnixNano(), Event: a.Event,
	}
	c.events = append(c.events, recorded)
	close(c.changed)
	c.changed = make(chan struct{})
	r.Result = &edriv1.OpResult_Appended{Appended: &edriv1.Appended{Position: recorded.Position, Revision: recorded.Revision}}
	return nil
}

func (n *fakeNode) read(ctx context.Context, r *connect.Request[edriv1.ReadRequest], s *connect.ServerStream[responseFrame]) error {
	return n.serveRead(ctx, r.Msg, s, false)
}

func (n *fakeNode) tail(ctx context.Context, r *connect.Request[edriv1.ReadRequest], s *connect.ServerStream[responseFrame]) error {
	return n.serveRead(ctx, r.Msg, s, true)
}

// serveRead knows stream, to, limit, min position and cursor; a cursor is a position
// in decimal.
func (n *fakeNode) serveRead(ctx context.Context, q *edriv1.ReadRequest, s *connect.ServerStream[responseFrame], tail bool) error {
	at, _ := strconv.Atoi(q.Cursor)
	left := q.Limit
	last := n.lastToRead(q, tail)
	for sent := 1; ; sent++ {
		n.cluster.mu.Lock()
		there := min(len(n.cluster.events)-n.behind, last)
		var response edriv1.ReadResponse
		for ; at < there && len(response.Events) < n.cluster.readFrame; at++ {
			if e := n.cluster.events[at]; q.Stream == "" || q.Stream == e.Stream {
				response.Events = append(response.Events, e)
				if left--; left == 0 {
					at++
					break
				}
			}
		}
		changed, cutReads := n.cluster.changed, n.cluster.cutReads
		n.cluster.mu.Unlock()
		response.Cursor = strconv.Itoa(at)
		if sent == 1 && !tail {
			response.End = uint64(last)
		}
		b, err := proto.Marshal(&response)
		if err != nil {
			return err
		}
		if err := s.Send(&responseFrame{Bytes: b}); err != nil {
			return err
		}
		switch {
		case q.Limit > 0 && left == 0, at >= last:
			return nil
		case cutReads > 0 && sent%cutReads == 0:
			return cut(ctx)
		case at >= there:
			select {
			case <-changed:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// lastToRead returns the position at which a read ends. A node that is behind
// what the request asks for catches up first.
func (n *fakeNode) lastToRead(q *edriv1.ReadRequest, tail bool) int {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	if int(q.MinPosition) > len(n.cluster.events)-n.behind {
		n.behind = 0
	}
	last := math.MaxInt
	if !tail {
		last = len(n.cluster.events) - n.behind
	}
	if q.To != 0 {
		last = min(last, int(q.To))
	}
	return last
}

// with runs f while nothing else touches the cluster.
func (c *fakeCluster) with(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// count returns how often each event id is in the history.
func (c *fakeCluster) count() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := map[string]int{}
	for _, e := range c.events {
		ids[e.Event.Id]++
	}
	return ids
}

// randomly returns a judge that is faulty for one commit in every n. It does not
// say invalid, and does not swallow, which would take the stall timeout. It ends
// after 200 faults: a frame of a whole window would hardly ever pass otherwise.
func randomly(seed uint64, n int) func(*fakeNode, *edriv1.Commit) verdict {
	r := rand.New(rand.NewPCG(seed, 0))
	faults := 0
	return func(*fakeNode, *edriv1.Commit) verdict {
		if faults == 200 || r.IntN(n) != 0 {
			return execute
		}
		faults++
		for {
			if v := verdict(r.IntN(int(verdicts))); v != swallow && v != sayInvalid {
				return v
			}
		}
	}
}

func testEvent(id string) event.Event {
	return event.Event{ID: id, Source: "/test", Type: "test.event", Data: []byte("data of " + id)}
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func wantCode(t *testing.T, err error, code event.Code) {
	t.Helper()
	if got := event.CodeOf(err); got != code {
		t.Fatalf("got error %v of code %q, want code %q", err, got, code)
	}
}

func mustAppend(t *testing.T, c *Client, stream, id string) Appended {
	t.Helper()
	a, err := c.Append(testContext(t), stream, event.ExpectAny, testEvent(id))
	if err != nil {
		t.Fatalf("append %s: %v", id, err)
	}
	return a
}

func name(prefix string, n int) string { return fmt.Sprintf("%s-%d", prefix, n) }

func (c *fakeCluster) membersLocked() []*edriv1.Member {
	var members []*edriv1.Member
	for _, n := range c.nodes {
		members = append(members, &edriv1.Member{ApiUrl: n.url})
	}
	return members
}
