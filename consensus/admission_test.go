package consensus_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// doorkeeper is the state machine of one node whose operation 40 is held: "no" is not
// admitted, all else only after operation 41 with the same text, which it enqueues.
type doorkeeper struct {
	node func() *consensus.Node

	mu       sync.Mutex
	asked    []string
	observed []string
	early    []string // what was noted and not to be seen
}

func (*doorkeeper) Name() string                    { return "doorkeeper" }
func (*doorkeeper) Ops() (first, last uint32)       { return 40, 42 }
func (*doorkeeper) Check(op uint32, _ []byte) error { return nil }
func (*doorkeeper) Admits(op uint32) bool           { return op == 40 }

func (d *doorkeeper) Admit(op uint32, body []byte) *event.Error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, fmt.Sprint(op, " ", string(body)))
	if string(body) == "no" {
		return event.Errorf(event.CodeStaleToken, "told to refuse")
	}
	d.node().Enqueue(41, body, func(*event.Error) {})
	return nil
}

func (*doorkeeper) Apply(tx *consensus.Tx, op uint32, body []byte) ([]byte, error) {
	key := fmt.Sprint(op, " ", string(body))
	tx.Put([]byte(key), []byte{1})
	tx.Note(key)
	return nil, nil
}

func (d *doorkeeper) Observe(_ uint64, notes []any) {
	node := d.node()
	if node == nil {
		return // it is being ended
	}
	view := node.View()
	defer view.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range notes {
		d.observed = append(d.observed, n.(string))
		if row, err := view.Get("doorkeeper", []byte(n.(string))); row == nil || err != nil {
			d.early = append(d.early, n.(string))
		}
	}
}

func (d *doorkeeper) list(of *[]string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(*of, ", ")
}

// doorkeepers gives each node of a cluster one.
func (c *simCluster) doorkeepers() map[string]*doorkeeper {
	list := map[string]*doorkeeper{}
	for _, name := range c.names {
		list[name] = &doorkeeper{node: func() *consensus.Node { return c.node(name) }}
	}
	c.tune = func(name string, cfg *consensus.Config) {
		mux, err := consensus.NewMux(registers{}, list[name])
		if err != nil {
			c.Fatal(err)
		}
		cfg.Machines = mux
	}
	return list
}

func TestLeaderAloneAdmits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		keepers := c.doorkeepers()
		defer c.endAll()
		c.startAll()
		c.eventually("all are ready", c.allReady)
		leader := c.leader()
		var want []string
		for _, name := range c.names { // the leader and its followers, which forward
			if _, err := submit(c.node(name), alone(register(40, name), register(42, name))); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want = append(want, "41 "+name, "40 "+name, "42 "+name)
			if _, err := submit(c.node(name), alone(register(40, "no"))); err == nil || err.Code != event.CodeStaleToken {
				t.Errorf("%s: %v, want stale_token", name, err)
			}
			_, err := submit(c.node(name), alone(register(42, "y"), register(40, "no"), register(40, "never asked")))
			if err == nil || err.Code != event.CodeCheckFailed {
				t.Errorf("%s: %v, want check_failed", name, err)
			}
			if _, err := submit(c.node(name), alone(register(42, "x"))); err != nil {
				t.Errorf("%s: an operation that is not held: %v", name, err)
			}
			want = append(want, "42 x")
		}
		c.eventually("all have observed all", func() bool {
			return !slices.ContainsFunc(c.names, func(name string) bool { return keepers[name].list(&keepers[name].observed) != strings.Join(want, ", ") })
		})
		for _, name := range c.names {
			k := keepers[name]
			if early := k.list(&k.early); early != "" {
				t.Errorf("%s observed before it was to be seen: %s", name, early)
			}
			asked := ""
			if name == leader {
				asked = "40 n1, 40 no, 40 no, 40 n2, 40 no, 40 no, 40 n3, 40 no, 40 no"
			}
			if got := k.list(&k.asked); got != asked {
				t.Errorf("%s was asked %q, want %q", name, got, asked)
			}
		}
	})
}

func TestEnqueueKeepsTheOrderAndIsForTheLeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		keepers := c.doorkeepers()
		defer c.endAll()
		c.startAll()
		c.eventually("all are ready", c.allReady)
		leader := c.leader()
		const n = 500
		done := make(chan *event.Error, n)
		var want []string
		body := make([]byte, 3)
		for i := range n {
			copy(body, fmt.Sprintf("%03d", i)) // the body is the caller's again at once
			want = append(want, "41 "+string(body))
			c.node(leader).Enqueue(41, body, func(err *event.Error) { done <- err })
		}
		for range n {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if got := keepers[leader].list(&keepers[leader].observed); got != strings.Join(want, ", ") {
			t.Errorf("observed %s", got)
		}
		c.node(leader).Enqueue(41, make([]byte, 5<<20), func(err *event.Error) { done <- err })
		if err := <-done; err == nil || err.Code != event.CodeTooLarge {
			t.Errorf("5 MiB: %v", err)
		}
		for _, name := range c.names {
			if name == leader {
				continue
			}
			c.node(name).Enqueue(41, []byte("x"), func(err *event.Error) { done <- err })
			if err := <-done; err == nil || err.Code != event.CodeNotLeader {
				t.Errorf("a follower: %v", err)
			}
		}
	})
}

// noisy is an observer that panics.
type noisy struct{ *doorkeeper }

func (noisy) Observe(uint64, []any) { panic("too loud") }

// Raft would tell the callers of a goroutine that panics that all is well.
func TestObserverThatPanicsEndsTheNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.names = []string{"n1"}
		stopped := make(chan error, 1)
		c.tune = func(_ string, cfg *consensus.Config) {
			mux, err := consensus.NewMux(noisy{&doorkeeper{}})
			if err != nil {
				t.Fatal(err)
			}
			cfg.Machines = mux
			cfg.Fatal = func(_ int, err error) { stopped <- err }
		}
		c.startAll()
		c.eventually("ready", c.allReady)
		node := c.node("n1")
		go node.Submit([][]byte{{0x3a, 4, 0xd2, 2, 1, 'x'}}, func(int, []byte, *event.Error) {}) // ops: [42: "x"]
		if err := <-stopped; !errors.Is(err, consensus.ErrPanic) || !strings.Contains(err.Error(), "too loud") {
			t.Errorf("stopped with %v", err)
		}
		_ = node.Abandon()
		c.forget("n1")
	})
}
