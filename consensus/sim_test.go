package consensus_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

var (
	simSeeds = flag.Int("sim.seeds", 300, "how many seeds TestSimulation runs")
	simTrace = flag.Bool("sim.trace", false, "print what the nodes log")
	simFirst = flag.Uint64("sim.first", 1, "first seed of TestSimulation")
)

// simCluster is three nodes in a bubble of simulated time, with real files.
type simCluster struct {
	*testing.T
	net   *simNetwork
	dir   string
	names []string          // that run or will
	first []string          // with which the cluster begins; nil: all
	moved map[string]string // addresses that are not the name
	tune  func(name string, cfg *consensus.Config)

	segmentBytes int64 // of the journal
	leaving      atomic.Bool

	mu    sync.Mutex
	nodes map[string]*consensus.Node // that run
}

func newSimCluster(t *testing.T) *simCluster {
	c := &simCluster{T: t, net: newSimNetwork(), dir: simDir(t), names: []string{"n1", "n2", "n3"}, moved: map[string]string{}, segmentBytes: 32 << 10, nodes: map[string]*consensus.Node{}}
	return c
}

// simDir is on a file system in memory where there is one: what a crash of the
// machine would lose is not the subject here.
func simDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "edri-sim-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (c *simCluster) start(name string) {
	c.Helper()
	if err := c.tryStart(name); err != nil {
		c.Fatalf("open %s: %v", name, err)
	}
}

// address is where a node listens from its next start on.
func (c *simCluster) address(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return cmp.Or(c.moved[name], name)
}

func (c *simCluster) move(name, address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved[name] = address
}

// seeds are the addresses that --join comes to.
func (c *simCluster) seeds() func(context.Context) []string {
	names := slices.Clone(c.names)
	return func(context.Context) []string {
		var list []string
		for _, name := range names {
			list = append(list, c.address(name))
		}
		return list
	}
}

// startToFail starts a node that stops by itself, and returns why.
func (c *simCluster) startToFail(name string) (code int, err error) {
	c.Helper()
	type stop struct {
		code int
		err  error
	}
	stopped := make(chan stop, 1)
	tune := c.tune
	c.tune = func(name string, cfg *consensus.Config) {
		cfg.Fatal = func(code int, err error) { stopped <- stop{code, err} }
		if tune != nil {
			tune(name, cfg)
		}
	}
	defer func() { c.tune = tune }()
	c.start(name)
	select {
	case s := <-stopped:
		code, err = s.code, s.err
	case <-time.After(10 * time.Second):
		c.Errorf("%s did not stop by itself", name)
	}
	_ = c.node(name).Abandon()
	c.forget(name)
	return code, err
}

func (c *simCluster) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.nodes, name)
}

func (c *simCluster) tryStart(name string) error {
	cfg := consensus.Config{
		Name: name, Dir: filepath.Join(c.dir, name),
		RaftListen: c.address(name), LogSegmentBytes: 64 << 10, SegmentBytes: c.segmentBytes, HashInterval: 64,
		Network: c.net.join(name, c.address(name)),
		Fatal: func(code int, err error) {
			if code != consensus.ExitRemoved || !c.leaving.Load() {
				c.Errorf("%s stopped with code %d: %v", name, code, err)
			}
		},
	}
	first := c.first
	if first == nil {
		first = c.names
	}
	for _, n := range first {
		cfg.Peers = append(cfg.Peers, consensus.Peer{Name: n, Address: c.address(n)})
	}
	if !slices.Contains(first, name) {
		cfg.Peers = nil
	}
	if len(c.names) > len(first) || cfg.Peers == nil {
		cfg.Seeds = c.seeds()
	}
	if *simTrace {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("node", name)
		cfg.RaftLogger = hclog.New(&hclog.LoggerOptions{Name: name, Level: hclog.Debug, Output: os.Stderr})
	}
	if c.tune != nil {
		c.tune(name, &cfg)
	}
	node, err := consensus.Open(cfg)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.nodes[name] = node
	c.mu.Unlock()
	return nil
}

func (c *simCluster) startAll() {
	c.Helper()
	for _, name := range c.names {
		if c.node(name) == nil {
			c.start(name)
		}
	}
}

func (c *simCluster) node(name string) *consensus.Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[name]
}

// end takes a node out, by a crash or in good order.
func (c *simCluster) end(name string, crash bool) {
	c.Helper()
	c.mu.Lock()
	node := c.nodes[name]
	delete(c.nodes, name)
	c.mu.Unlock()
	if node == nil {
		return
	}
	var err error
	if crash {
		err = node.Abandon()
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = node.Close(ctx)
	}
	if err != nil {
		c.Errorf("end of %s: %v", name, err)
	}
}

func (c *simCluster) endAll() {
	c.Helper()
	for _, name := range c.names {
		c.end(name, false)
	}
}

// eventually waits, in simulated time.
func (c *simCluster) eventually(what string, ok func() bool) {
	c.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.explain()
			c.Fatalf("not within a minute: %s", what)
		}
	}
}

// explain logs how all nodes stand, what they said to each other last, and what
// their goroutines wait for.
func (c *simCluster) explain() {
	c.Helper()
	for _, name := range c.names {
		if node := c.node(name); node != nil {
			status, err := node.Status()
			c.Logf("%s: %+v %v", name, status, err)
			c.Logf("%s: %s", name, node.Explain())
		}
	}
	c.Logf("last calls between the nodes:\n%s", c.net.lastCalls())
	c.Logf("goroutines:\n%s", bubbleStacks())
}

// bubbleStacks are the stacks of the goroutines in the caller's bubble.
func bubbleStacks() string {
	stacks := make([]byte, 4<<20)
	all := strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n")
	bubble := regexp.MustCompile(`synctest bubble \d+\b`).FindString(all[0]) // of the caller
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return !strings.Contains(s, bubble+"]") && !strings.Contains(s, bubble+",") }), "\n\n")
}

func (c *simCluster) leader() string {
	for _, name := range c.names {
		if node := c.node(name); node != nil && node.IsLeader() {
			return name
		}
	}
	return ""
}

// submit executes one commit on a node.
func submit(node *consensus.Node, commit *edriv1.Commit) (*edriv1.CommitResult, *event.Error) {
	b, err := proto.Marshal(commit)
	if err != nil {
		panic(err)
	}
	type outcome struct {
		result []byte
		err    *event.Error
	}
	done := make(chan outcome, 1)
	node.Submit([][]byte{b}, func(_ int, result []byte, err *event.Error) { done <- outcome{result, err} })
	got := <-done
	if got.err != nil {
		return nil, got.err
	}
	var r edriv1.CommitResult
	if err := proto.Unmarshal(got.result, &r); err != nil {
		panic(err)
	}
	if r.Error != nil {
		return nil, event.Errorf(event.Code(r.Error.Code), "%s", r.Error.Message)
	}
	return &r, nil
}

// simLedger is what clients were told.
type simLedger struct {
	mu    sync.Mutex
	acked map[string]event.Position // by event id
	last  event.Position            // highest
	reads int
}

func (l *simLedger) add(id string, p event.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[id] = p
	l.last = max(l.last, p)
}

func (l *simLedger) highest() event.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// simClient appends under one session, repeating a sequence until it knows its
// outcome, and reads.
type simClient struct {
	cluster *simCluster
	ledger  *simLedger
	name    string
	rng     *rand.Rand
	fixed   []string // nodes to call; nil: those of the cluster, which then stay the same
}

func (s *simClient) run(stop <-chan struct{}) {
	session, ok := s.until(stop, &edriv1.Commit{Ops: []*edriv1.Op{{Op: &edriv1.Op_OpenSession{OpenSession: &edriv1.OpenSession{}}}}})
	if !ok {
		return
	}
	id := session.Results[0].GetSessionOpened().GetSession()
	// Bounded, so that a cluster that does not end does not fill the memory.
	for n := uint64(1); n < 5000; n++ {
		eventID := fmt.Sprintf("%s-%d", s.name, n)
		r, ok := s.until(stop, in(id, n, add(s.name, eventID)))
		if !ok {
			return
		}
		a := r.Results[0].GetAppended()
		if a.Duplicate || a.Revision != n {
			s.cluster.Errorf("%s was appended as %v", eventID, a)
		}
		s.ledger.add(eventID, event.Position(a.Position))
		if s.rng.IntN(3) == 0 {
			s.read()
		}
		if !sleep(stop, time.Duration(s.rng.IntN(60))*time.Millisecond) {
			return
		}
	}
}

// until repeats a commit on any node until its outcome is certain.
func (s *simClient) until(stop <-chan struct{}, c *edriv1.Commit) (*edriv1.CommitResult, bool) {
	for {
		if node := s.anyNode(); node != nil {
			r, err := submit(node, c)
			if err == nil {
				return r, true
			}
			switch err.Code {
			case event.CodeNotLeader, event.CodeUnavailable, event.CodeOutcomeUnknown, event.CodeOverloaded:
			default:
				s.cluster.Errorf("%s: %v", s.name, err)
				return nil, false
			}
		}
		if !sleep(stop, 20*time.Millisecond) {
			return nil, false
		}
	}
}

// read holds a linearizable read to what was acknowledged before it began.
func (s *simClient) read() {
	node := s.anyNode()
	if node == nil {
		return
	}
	before := s.ledger.highest()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if node.Await(ctx, true, 0) != nil {
		return
	}
	v := node.View()
	defer v.Close()
	if v.Mark.Last < before {
		s.cluster.Errorf("stale read on %s: it ends at %d, %d was acknowledged before", node.ServerID(), v.Mark.Last, before)
	}
	s.ledger.mu.Lock()
	s.ledger.reads++
	s.ledger.mu.Unlock()
}

func (s *simClient) anyNode() *consensus.Node {
	names := s.fixed
	if names == nil {
		names = s.cluster.names
	}
	return s.cluster.node(names[s.rng.IntN(len(names))])
}

func sleep(stop <-chan struct{}, d time.Duration) bool {
	select {
	case <-stop:
		return false
	case <-time.After(d):
		return true
	}
}

// disturb cuts the network and ends nodes until time is up.
func (c *simCluster) disturb(rng *rand.Rand, until time.Time) {
	for time.Now().Before(until) {
		victim := c.names[rng.IntN(len(c.names))]
		switch rng.IntN(8) {
		case 0, 1:
			c.end(victim, true)
		case 2:
			c.end(victim, false)
		case 3:
			for _, name := range c.names {
				c.end(name, true)
			}
		case 4, 5:
			if rng.IntN(2) == 0 {
				if leader := c.leader(); leader != "" {
					victim = leader
				}
			}
			c.net.partition([]string{victim}, c.others(victim))
		case 6:
			c.net.heal()
		case 7:
			if node := c.node(victim); node != nil {
				_ = node.Compact() // refused while it has nothing to do
			}
		}
		time.Sleep(time.Duration(50+rng.IntN(1200)) * time.Millisecond)
		if rng.IntN(2) == 0 {
			c.startAll()
		}
		if rng.IntN(3) == 0 {
			c.net.heal()
		}
	}
	c.net.heal()
	c.startAll()
}

func (c *simCluster) others(name string) []string {
	var list []string
	for _, n := range c.names {
		if n != name {
			list = append(list, n)
		}
	}
	return list
}

// history returns a node's whole journal, a line for each event.
func (c *simCluster) history(name string) []string {
	c.Helper()
	v := c.node(name).View()
	defer v.Close()
	var lines []string
	for p := v.Journal().First(); p <= v.Mark.Last; p++ {
		r, err := v.Journal().Get(p)
		if isCompacted(err, v.Journal().First()) {
			lines = append(lines, fmt.Sprintf("%d purged", p))
			continue
		}
		if err != nil {
			c.Fatalf("%s: event %d: %v", name, p, err)
		}
		e, err := event.DecodeEvent(r.Event)
		if err != nil {
			c.Fatalf("%s: event %d: %v", name, p, err)
		}
		lines = append(lines, fmt.Sprintf("%d %s@%d %d %s", r.Position, r.Stream, r.Revision, r.Stamp, e.ID))
	}
	return lines
}

// settle waits until all nodes have applied the same.
func (c *simCluster) settle() {
	c.Helper()
	c.eventually("all nodes are ready and equally far", func() bool {
		var index []uint64
		for _, name := range c.names {
			if node := c.node(name); node == nil || node.Ready() != nil {
				return false
			} else {
				v := node.View()
				index = append(index, v.Index)
				v.Close()
			}
		}
		return slices.Min(index) == slices.Max(index)
	})
}

// verify holds the histories of all nodes to each other and to the ledger.
func (c *simCluster) verify(l *simLedger) {
	c.Helper()
	c.settle()
	first := c.history(c.names[0])
	for _, name := range c.names[1:] {
		if got := c.history(name); strings.Join(got, "\n") != strings.Join(first, "\n") {
			c.Errorf("history of %s differs from that of %s:\n%v\n%v", name, c.names[0], got, first)
		}
	}
	seen := map[string]event.Position{}
	for i, line := range first {
		id := line[strings.LastIndexByte(line, ' ')+1:]
		if at, twice := seen[id]; twice {
			c.Errorf("event %s stands at %d and at %d", id, at, i+1)
		}
		seen[id] = event.Position(i + 1)
	}
	for id, p := range l.acked {
		if seen[id] != p {
			c.Errorf("event %s was acknowledged at %d and stands at %d", id, p, seen[id])
		}
	}
}

// TestSimulation runs a cluster through partitions, crashes of any number of
// nodes, orderly restarts and snapshots, with clients that append and read on
// any node, and finds nothing lost, doubled, reordered or stale.
func TestSimulation(t *testing.T) {
	seeds := *simSeeds
	if testing.Short() {
		seeds = 10
	}
	slots := make(chan struct{}, 4)
	for i := range seeds {
		seed := *simFirst + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
		})
	}
}

func simulate(t *testing.T, seed uint64) {
	c := newSimCluster(t)
	defer c.endAll()
	rng := rand.New(rand.NewPCG(seed, 0))
	l := &simLedger{acked: map[string]event.Position{}}
	c.startAll()
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 3 {
		s := &simClient{cluster: c, ledger: l, name: fmt.Sprintf("c%d", i), rng: rand.New(rand.NewPCG(seed, uint64(i+1)))}
		clients.Go(func() { s.run(stop) })
	}
	c.disturb(rng, time.Now().Add(15*time.Second))
	time.Sleep(3 * time.Second)
	close(stop)
	clients.Wait()
	if t.Failed() {
		return
	}
	c.verify(l)
	if len(l.acked) == 0 {
		t.Error("nothing was acknowledged")
	}
	t.Logf("%d events acknowledged, %d linearizable reads", len(l.acked), l.reads)
}
