package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// fakeNode is a cluster of one without Raft: commits go straight into a core.
type fakeNode struct {
	core *consensus.Core

	mu      sync.Mutex
	index   uint64
	changed chan struct{}
	// refuse, where it says an error, keeps a commit from the core; hold keeps
	// all commits until it is closed.
	refuse   func(commit []byte) *event.Error
	hold     chan struct{}
	held     int
	notReady error
	awaited  []bool // linearizable or not

	backup    []byte // what a backup has
	backupErr error
	backups   []consensus.BackupRequest // that were asked for
}

var _ Node = (*fakeNode)(nil)

func (n *fakeNode) Leader() (serverID, apiURL string) { return "n1-1", "" }
func (n *fakeNode) ServerID() string                  { return "n1-1" }
func (n *fakeNode) Now() int64                        { return time.Now().UnixNano() }

var testEpoch = event.Epoch([]byte("0123456789abcdef"))

func newFakeNode(t *testing.T) *fakeNode {
	t.Helper()
	core, err := consensus.OpenCore(t.TempDir(), consensus.CoreConfig{InitialMmap: 1 << 20})
	if err != nil {
		t.Fatalf("open core: %v", err)
	}
	t.Cleanup(func() { _ = core.Close() })
	n := &fakeNode{core: core, changed: make(chan struct{})}
	n.apply(consensus.LeadCommit("n1-1", testEpoch, 0))
	return n
}

// apply executes one sealed commit in an entry of its own.
func (n *fakeNode) apply(sealed []byte) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.index++
	now := time.Now().UnixNano()
	entry := consensus.EncodeEntry(consensus.EntryHeader{Epoch: testEpoch, Now: now, Stamp: now}, [][]byte{sealed})
	outcomes, err := n.core.Apply(n.index, 1, entry)
	if err != nil {
		panic(err)
	}
	n.core.Publish()
	close(n.changed)
	n.changed = make(chan struct{})
	return bytes.Clone(outcomes[0].Result)
}

func (n *fakeNode) Submit(commits [][]byte, done consensus.Done) {
	n.mu.Lock()
	hold, refuse := n.hold, n.refuse
	n.held += len(commits)
	n.mu.Unlock()
	run := func() {
		for i, c := range commits {
			info, err := consensus.CheckCommit(c, event.DefaultLimits())
			var refused *event.Error
			errors.As(err, &refused)
			if refused == nil && refuse != nil {
				refused = refuse(c)
			}
			if refused != nil {
				done(i, nil, refused)
				continue
			}
			done(i, n.apply(consensus.SealCommit(nil, c, info, 0)), nil)
		}
	}
	if hold == nil {
		run()
		return
	}
	go func() {
		<-hold
		run()
	}()
}

func (n *fakeNode) Await(ctx context.Context, linearizable bool, min event.Position) error {
	n.mu.Lock()
	n.awaited = append(n.awaited, linearizable)
	n.mu.Unlock()
	if min == 0 {
		return nil
	}
	return n.WaitBeyond(ctx, min-1)
}

func (n *fakeNode) WaitBeyond(ctx context.Context, position event.Position) error {
	for {
		n.mu.Lock()
		changed := n.changed
		n.mu.Unlock()
		if n.core.Meta().Mark.Last > position {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *fakeNode) View() *consensus.View { return n.core.View() }

func (n *fakeNode) Status() (consensus.Status, error) {
	m := n.core.Meta()
	s := consensus.Status{
		ServerID: "n1-1", Role: "leader", Epoch: m.Epoch, LastPosition: m.Mark.Last, LastStamp: m.Stamp,
		Members: []consensus.MemberStatus{{ServerID: "n1-1", RaftAddress: "127.0.0.1:1", Voter: true, Leader: true}},
	}
	if err := n.Ready(); err != nil {
		s.NotReady = err.Error()
	}
	return s, nil
}

func (n *fakeNode) Ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.notReady
}

// Backup writes what the test says, or fails.
func (n *fakeNode) Backup(_ context.Context, r consensus.BackupRequest, w io.Writer) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.backups = append(n.backups, r)
	if n.backupErr != nil {
		return n.backupErr
	}
	_, err := w.Write(n.backup)
	return err
}

func (n *fakeNode) SetRetention(_ context.Context, change consensus.RetentionChange) error {
	if change.Events != nil {
		n.apply(consensus.SettingCommit(consensus.SettingRetentionEvents, *change.Events, 0))
	}
	if change.Bytes != nil {
		n.apply(consensus.SettingCommit(consensus.SettingRetentionBytes, *change.Bytes, 0))
	}
	if change.Age != nil {
		n.apply(consensus.SettingCommit(consensus.SettingRetentionAge, uint64(*change.Age), 0))
	}
	return nil
}

// PurgeStream is for streams that have all events: revisions are positions.
func (n *fakeNode) PurgeStream(_ context.Context, stream string, before event.Revision) error {
	result := n.apply(consensus.PurgeCommit(stream, before, event.Position(before)-1, 0))
	if failed, err := consensus.DecodeResultError(result); failed != nil {
		return failed
	} else if err != nil {
		return err
	}
	return nil
}

// retain ends the history before a position.
func (n *fakeNode) retain(first event.Position) { n.apply(consensus.RetainCommit(first, 0)) }

// with runs f while nothing else reads or sets the node's fields.
func (n *fakeNode) with(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// fixture is a node that is served.
type fixture struct {
	t       *testing.T
	node    *fakeNode
	service *service
	url     string
	client  *client.Client
	logged  *syncBuffer
}

// syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func serve(t *testing.T, cfg Config) *fixture {
	t.Helper()
	return serveSaying(t, cfg, 20*time.Millisecond)
}

// serveSaying is serve with another interval of progress.
func serveSaying(t *testing.T, cfg Config, progress time.Duration) *fixture {
	t.Helper()
	f := &fixture{t: t, node: newFakeNode(t), logged: &syncBuffer{}}
	cfg.Node = f.node
	cfg.Logger = slog.New(slog.NewTextHandler(f.logged, nil))
	var err error
	if f.service, err = newService(cfg); err != nil {
		t.Fatalf("new service: %v", err)
	}
	f.service.progress = progress
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	calls := &countedCalls{handler: f.service.handler()}
	server := NewServer(calls)
	server.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close() // it does not wait for what it has begun to answer
		<-done
		calls.end()
	})
	f.url = "http://" + listener.Addr().String()
	f.client, err = client.New(client.Config{Servers: []string{f.url}, GiveUpAfter: 5 * time.Second})
	if err != nil {
		t.Fatalf("new client: %v", err)
	}
	t.Cleanup(func() { _ = f.client.Close() })
	return f
}

// countedCalls is a handler that can be waited for.
type countedCalls struct {
	handler http.Handler
	mu      sync.Mutex
	ended   bool
	running sync.WaitGroup
}

func (c *countedCalls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.running.Add(1)
	c.mu.Unlock()
	defer c.running.Done()
	c.handler.ServeHTTP(w, r)
}

// end returns when no call runs any more, nor will.
func (c *countedCalls) end() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.running.Wait()
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func testEvent(id string) event.Event {
	return event.Event{ID: id, Source: "/test", Type: "test.event", Data: []byte("data of " + id)}
}

// fill appends n events to stream s, with ids from 1.
func (f *fixture) fill(n int) {
	f.t.Helper()
	var ops []client.Op
	for i := 1; i <= n; i++ {
		ops = append(ops, client.AppendOp("s", event.ExpectAny, testEvent(event.Position(i).String())))
		if len(ops) == 1000 || i == n {
			if _, err := f.client.Commit(testContext(f.t), ops...); err != nil {
				f.t.Fatalf("fill: %v", err)
			}
			ops = ops[:0]
		}
	}
}

// do sends a request over HTTP/1.1, as curl does.
func (f *fixture) do(method, path string, header map[string]string, body string) (*http.Response, string) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(testContext(f.t), method, f.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		f.t.Fatalf("new request: %v", err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	var answer bytes.Buffer
	_, err = answer.ReadFrom(response.Body)
	if err != nil {
		f.t.Logf("%s %s: body ended with %v", method, path, err)
	}
	return response, answer.String()
}

func wantCode(t *testing.T, err error, code event.Code) *event.Error {
	t.Helper()
	var e *event.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got error %v, want code %q", err, code)
	}
	return e
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for ctx := testContext(t); !holds(); {
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}

// RemoveMember and the others say what they were asked.
func (n *fakeNode) RemoveMember(_ context.Context, server string, force bool) (string, error) {
	if server == "last" {
		return "", event.Errorf(event.CodeCheckFailed, "the last voter")
	}
	return fmt.Sprintf("%s removed, forced %v", server, force), nil
}

func (n *fakeNode) ExpectReplacement(_ context.Context, server, name string) (string, error) {
	return fmt.Sprintf("%s by %q", server, name), nil
}

func (n *fakeNode) ForgetReplacement(_ context.Context, server, name string) (string, error) {
	return fmt.Sprintf("%s not by %q", server, name), nil
}
