package consensus_test

import (
	"fmt"
	"net"
	"sort"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// BenchmarkCluster appends 256-byte events on three nodes of one process, over
// TCP on loopback, with k commits in flight in one session: the node without the
// API and its client.
func BenchmarkCluster(b *testing.B) {
	for _, k := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("k=%d", k), func(b *testing.B) { benchmarkCluster(b, k) })
	}
}

func benchmarkCluster(b *testing.B, k int) {
	nodes := benchNodes(b)
	var leader *consensus.Node
	for deadline := time.Now().Add(10 * time.Second); leader == nil; time.Sleep(10 * time.Millisecond) {
		for _, n := range nodes {
			if n.IsLeader() {
				leader = n
			}
		}
		if time.Now().After(deadline) {
			b.Fatal("no leader")
		}
	}
	r, err := submit(leader, &edriv1.Commit{Ops: []*edriv1.Op{{Op: &edriv1.Op_OpenSession{OpenSession: &edriv1.OpenSession{}}}}})
	if err != nil {
		b.Fatal(err)
	}
	session := r.Results[0].GetSessionOpened().GetSession()
	content := string(make([]byte, 256))
	commits := make([][]byte, b.N)
	for i := range commits {
		c := in(session, uint64(i+1), addContent(fmt.Sprintf("stream-%d", i%k), fmt.Sprint("event-", i), content))
		if i >= k {
			c.AckedThrough = uint64(i + 1 - k)
		}
		commits[i], _ = proto.Marshal(c)
	}
	took := make([]time.Duration, b.N)
	free := make(chan struct{}, k)
	var left sync.WaitGroup
	left.Add(b.N)
	b.ResetTimer()
	for i := 0; i < b.N; {
		free <- struct{}{}
		n := 1
	gather:
		for i+n < b.N && n < k {
			select {
			case free <- struct{}{}:
				n++
			default:
				break gather
			}
		}
		first, at := i, time.Now()
		leader.Submit(commits[i:i+n], func(j int, _ []byte, err *event.Error) {
			if err != nil {
				b.Error(err)
			}
			took[first+j] = time.Since(at)
			<-free
			left.Done()
		})
		i += n
	}
	left.Wait()
	b.StopTimer()
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(took[b.N/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds()), "p99-µs")
}

func benchNodes(b *testing.B) []*consensus.Node {
	names := []string{"n1", "n2", "n3"}
	var peers []consensus.Peer
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		peers = append(peers, consensus.Peer{Name: name, Address: l.Addr().String()})
		_ = l.Close()
	}
	var nodes []*consensus.Node
	for i, name := range names {
		n, err := consensus.Open(consensus.Config{
			Name: name, Dir: b.TempDir(), Peers: peers, RaftListen: peers[i].Address,
			Fatal: func(code int, err error) { b.Errorf("%s: code %d: %v", name, code, err) },
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = n.Abandon() })
		nodes = append(nodes, n)
	}
	return nodes
}
