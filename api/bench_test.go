package api

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// cpu returns what the process has used, in nanoseconds.
func cpu() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano() + u.Stime.Nano())
}

// batchNode answers commits without executing them, a batch at a time and every
// millisecond, as a disk does: what is left is the cost of client and api.
type batchNode struct {
	*fakeNode
	mu      sync.Mutex
	pending []func()
	session atomic.Uint64
	next    atomic.Uint64
}

func (n *batchNode) Submit(commits [][]byte, done consensus.Done) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, c := range commits {
		session, sequence, _ := wire.CommitIdentity(c)
		result := &edriv1.CommitResult{Session: session, Sequence: sequence}
		if session == 0 {
			result.Results = []*edriv1.OpResult{{Result: &edriv1.OpResult_SessionOpened{
				SessionOpened: &edriv1.SessionOpened{Session: n.session.Add(1)},
			}}}
		} else {
			position := n.next.Add(1)
			result.Position = position
			result.Results = []*edriv1.OpResult{{Result: &edriv1.OpResult_Appended{
				Appended: &edriv1.Appended{Position: position, Revision: position},
			}}}
		}
		b, _ := proto.Marshal(result)
		n.pending = append(n.pending, func() { done(i, b, nil) })
	}
}

func (n *batchNode) run(ctx context.Context) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		n.mu.Lock()
		batch := n.pending
		n.pending = nil
		n.mu.Unlock()
		for _, f := range batch {
			f()
		}
	}
}

// BenchmarkAppend is what client and api cost an event, in one process.
func BenchmarkAppend(b *testing.B) {
	for _, k := range []int{1, 64, 256, 1024} {
		b.Run(fmt.Sprintf("k=%d", k), func(b *testing.B) {
			core, err := consensus.OpenCore(b.TempDir(), consensus.CoreConfig{InitialMmap: 1 << 20})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = core.Close() })
			node := &batchNode{fakeNode: &fakeNode{core: core, changed: make(chan struct{})}}
			node.apply(consensus.LeadCommit("n1-1", testEpoch, 0))
			go node.run(b.Context())
			c := benchClient(b, node)
			e := event.Event{ID: "1", Source: "/bench", Type: "bench", Data: make([]byte, 256)}
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			var left atomic.Int64
			left.Store(int64(b.N))
			var callers sync.WaitGroup
			for range k {
				callers.Go(func() {
					e := e
					for n := left.Add(-1); n >= 0; n = left.Add(-1) {
						e.ID = fmt.Sprint(n)
						if _, err := c.Append(b.Context(), "bench", event.ExpectAny, e); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			callers.Wait()
			b.ReportMetric((cpu()-before)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func benchClient(b *testing.B, node Node) *client.Client {
	b.Helper()
	handler, err := Handler(Config{Node: node})
	if err != nil {
		b.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := NewServer(handler)
	go server.Serve(listener)
	b.Cleanup(func() { _ = server.Close() })
	c, err := client.New(client.Config{Servers: []string{"http://" + listener.Addr().String()}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c
}

// BenchmarkRead is a scan of 256-byte events, decoded in the client; an
// operation is an event.
func BenchmarkRead(b *testing.B) {
	core, err := consensus.OpenCore(b.TempDir(), consensus.CoreConfig{InitialMmap: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = core.Close() })
	node := &fakeNode{core: core, changed: make(chan struct{})}
	node.apply(consensus.LeadCommit("n1-1", testEpoch, 0))
	c := benchClient(b, node)
	const total = 200_000
	var ops []client.Op
	for i := range total {
		e := event.Event{ID: fmt.Sprint(i), Source: "/bench", Type: "bench", Data: make([]byte, 256)}
		if ops = append(ops, client.AppendOp("bench", event.ExpectAny, e)); len(ops) == 1000 {
			if _, err := c.Commit(b.Context(), ops...); err != nil {
				b.Fatal(err)
			}
			ops = ops[:0]
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	for n := 0; n < b.N; {
		for _, err := range c.Read(b.Context(), client.Query{Limit: uint64(min(total, b.N-n))}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	b.ReportMetric((cpu()-before)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
