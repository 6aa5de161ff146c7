package consensus_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers/kv"
	"github.com/edri-io/edri/timers"
)

// withKeys makes every node have keys.
func (c *simCluster) withKeys() {
	c.tune = func(_ string, cfg *consensus.Config) {
		table := timers.New()
		mux, err := consensus.NewMux(table, kv.New(table))
		if err != nil {
			c.Fatalf("mux: %v", err)
		}
		cfg.Machines = mux
		cfg.Leading = []func(context.Context, *consensus.Node) error{
			func(ctx context.Context, n *consensus.Node) error {
				return table.Run(ctx, n, slog.New(slog.DiscardHandler))
			},
		}
	}
}

// keyUse is what a client asked of a key, and keyAnswer what it was told. Values are
// unique; 0 is a key that is not there.
type keyUse struct {
	key   string
	write bool
	// expect, where not -1, is the value that the key must have for a write to hold.
	expect, value int64
}

type keyAnswer struct {
	value   int64 // of a read
	held    bool  // of a write
	unknown bool  // it may have held
}

var keyRegister = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		byKey := map[string][]porcupine.Operation{}
		for _, o := range history {
			byKey[o.Input.(keyUse).key] = append(byKey[o.Input.(keyUse).key], o)
		}
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		is, in, out := state.(int64), input.(keyUse), output.(keyAnswer)
		if !in.write {
			return out.value == is, is
		}
		holds := in.expect < 0 || in.expect == is
		if !out.unknown && holds != out.held {
			return false, is
		}
		if holds {
			return true, in.value
		}
		return true, is
	},
}

// keyHistory is what all clients did, in the order in which it really began and ended:
// in simulated time much happens at once.
type keyHistory struct {
	clock  atomic.Int64
	values atomic.Int64

	mu      sync.Mutex
	all     []porcupine.Operation
	unknown int
	reads   int
}

func (h *keyHistory) tell(in keyUse, out keyAnswer, call int64) {
	end := h.clock.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if out.unknown {
		end = math.MaxInt64 // it may take effect at any time to come
		h.unknown++
	}
	if !in.write {
		h.reads++
	}
	h.all = append(h.all, porcupine.Operation{ClientId: len(h.all), Input: in, Output: out, Call: call, Return: end})
}

// keyClient uses keys by one node and no other, also where that is cut off.
type keyClient struct {
	cluster *simCluster
	history *keyHistory
	node    string
	reads   bool // and nothing else: a write waits 10 s at a node that is cut off
	rng     *rand.Rand
}

func (k *keyClient) run(stop <-chan struct{}) {
	for {
		if node := k.cluster.node(k.node); node != nil {
			key := fmt.Sprint("k", k.rng.IntN(3))
			if k.reads || k.rng.IntN(2) == 0 {
				k.read(node, key)
			} else {
				k.write(node, key)
			}
		}
		if !sleep(stop, time.Duration(1+k.rng.IntN(20))*time.Millisecond) {
			return
		}
	}
}

// read returns the revision that a read tells; not ok: it failed, which says nothing.
func (k *keyClient) read(node *consensus.Node, key string) (value int64, revision event.Position, ok bool) {
	call := k.history.clock.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if node.Await(ctx, true, 0) != nil {
		return 0, 0, false
	}
	v := node.View()
	defer v.Close()
	e, err := kv.Get(v, "default", key)
	switch event.CodeOf(err) {
	case "":
		if _, err := fmt.Sscan(string(e.Value), &value); err != nil {
			k.cluster.Errorf("value %q: %v", e.Value, err)
		}
	case event.CodeNotFound:
	default:
		k.cluster.Logf("read: %v", err) // the node ends
		return 0, 0, false
	}
	k.history.tell(keyUse{key: key}, keyAnswer{value: value}, call)
	return value, e.Revision, true
}

// write puts, deletes, or sets what a read has told.
func (k *keyClient) write(node *consensus.Node, key string) {
	in := keyUse{key: key, write: true, expect: -1, value: k.history.values.Add(1)}
	put := &edriv1.PutKey{Bucket: "default", Key: key, Value: fmt.Append(nil, in.value)}
	op := &edriv1.Op{Op: &edriv1.Op_PutKey{PutKey: put}}
	switch k.rng.IntN(4) {
	case 0:
		op, in.value = &edriv1.Op{Op: &edriv1.Op_DeleteKey{DeleteKey: &edriv1.DeleteKey{Bucket: "default", Key: key}}}, 0
	case 1, 2:
		value, revision, ok := k.read(node, key)
		if !ok {
			return
		}
		in.expect, put.Revision = value, (*uint64)(&revision)
	}
	call := k.history.clock.Add(1)
	_, err := submit(node, &edriv1.Commit{Ops: []*edriv1.Op{op}})
	switch {
	case err == nil:
		k.history.tell(in, keyAnswer{held: true}, call)
	case err.Code == event.CodeRevisionConflict:
		k.history.tell(in, keyAnswer{}, call)
	case err.Code == event.CodeOutcomeUnknown:
		k.history.tell(in, keyAnswer{unknown: true}, call)
	case err.Code != event.CodeUnavailable && err.Code != event.CodeNotLeader && err.Code != event.CodeOverloaded:
		k.cluster.Errorf("write: %v", err) // others say that it had no effect
	}
}

const slowClock = "both ways, of a slow clock"

// A way to cut the network, of a victim that often leads.
var keyCuts = map[string]func(c *simCluster, rng *rand.Rand, victim string){
	"both ways": func(c *simCluster, _ *rand.Rand, victim string) { c.net.partition([]string{victim}, c.others(victim)) },
	"nothing arrives": func(c *simCluster, _ *rand.Rand, victim string) {
		for _, other := range c.others(victim) {
			c.net.cutWay(other, victim)
		}
	},
	"nothing leaves": func(c *simCluster, _ *rand.Rand, victim string) {
		for _, other := range c.others(victim) {
			c.net.cutWay(victim, other)
		}
	},
	"one pair": func(c *simCluster, rng *rand.Rand, victim string) {
		other := c.others(victim)[rng.IntN(2)]
		c.net.partition([]string{victim}, []string{other})
	},
	"a ring": func(c *simCluster, _ *rand.Rand, _ string) {
		for i, name := range c.names {
			c.net.cutWay(name, c.names[(i+1)%len(c.names)])
		}
	},
	"flapping": func(c *simCluster, rng *rand.Rand, victim string) {
		for range 20 {
			c.net.partition([]string{victim}, c.others(victim))
			time.Sleep(time.Duration(20+rng.IntN(400)) * time.Millisecond)
			c.net.heal()
			time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
		}
	},
	"late": func(c *simCluster, _ *rand.Rand, victim string) {
		c.net.mu.Lock()
		defer c.net.mu.Unlock()
		c.net.slow[victim] = true
	},
	// A leader that does not notice for a minute that nobody hears it: what it knows then
	// only its read rounds tell, as with a process that was paused.
	slowClock: func(c *simCluster, _ *rand.Rand, _ string) {
		n3 := c.node("n3")
		for range 100 {
			if leader := c.leader(); leader == "n3" {
				break
			} else if leader != "" && n3.Ready() == nil {
				_ = c.node(leader).TransferTo(n3) // or the next time
			}
			time.Sleep(20 * time.Millisecond)
		}
		c.net.partition([]string{"n3"}, c.others("n3"))
	},
	"a crash": func(c *simCluster, _ *rand.Rand, victim string) { c.end(victim, true) },
}

func (n *simNetwork) cutWay(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]string{from, to}] = true
}

// TestKeysAreLinearizableWhateverIsCut has a client at each node, which stays there when
// that is cut off, and holds what they were told to one order of all operations.
func TestKeysAreLinearizableWhateverIsCut(t *testing.T) {
	t.Parallel()
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	for how := range keyCuts {
		for seed := range seeds {
			t.Run(fmt.Sprint(how, "/", seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { cutKeys(t, how, seed) })
			})
		}
	}
}

func cutKeys(t *testing.T, how string, seed uint64) {
	c := newSimCluster(t)
	defer c.endAll()
	c.withKeys()
	if keys := c.tune; how == slowClock {
		c.tune = func(name string, cfg *consensus.Config) {
			if keys(name, cfg); name == "n3" {
				cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaseTimeout = time.Minute, time.Minute, time.Minute
			}
		}
	}
	c.startAll()
	c.eventually("a leader", func() bool { return c.leader() != "" })
	rng := rand.New(rand.NewPCG(seed, 11))
	h := &keyHistory{}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i, name := range append(c.names, c.names...) {
		k := &keyClient{cluster: c, history: h, node: name, reads: i >= 3, rng: rand.New(rand.NewPCG(seed, uint64(i)))}
		clients.Go(func() { k.run(stop) })
	}
	for range 5 {
		time.Sleep(time.Duration(200+rng.IntN(500)) * time.Millisecond)
		victim := c.names[rng.IntN(3)]
		if leader := c.leader(); leader != "" && rng.IntN(3) > 0 {
			victim = leader
		}
		keyCuts[how](c, rng, victim)
		time.Sleep(time.Duration(300+rng.IntN(2000)) * time.Millisecond)
		c.net.heal()
		c.startAll()
	}
	time.Sleep(2 * time.Second)
	close(stop)
	clients.Wait()
	t.Logf("%d operations, %d of them reads, %d with an unknown outcome", len(h.all), h.reads, h.unknown)
	if len(h.all) < 200 || h.reads < 100 {
		t.Error("little was done")
	}
	if got := porcupine.CheckOperationsTimeout(keyRegister, h.all, 0); got != porcupine.Ok {
		t.Errorf("the history is %s, not linearizable", got)
	}
}
