package consensus_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/cron"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers/kv"
	"github.com/edri-io/edri/router"
	"github.com/edri-io/edri/timers"
)

// schedule makes every node run schedules, and one have a wrong clock.
func (c *simCluster) schedule(wrong string, clock func() time.Time) {
	c.tune = func(name string, cfg *consensus.Config) {
		logger := slog.New(slog.DiscardHandler)
		table := timers.New()
		requests := router.New(table, logger)
		keys := kv.New(table)
		scheduler := cron.New(table, requests, keys, logger)
		requests.Tell(scheduler)
		mux, err := consensus.NewMux(table, requests, keys, scheduler)
		if err != nil {
			c.Fatalf("mux: %v", err)
		}
		cfg.Machines = mux
		cfg.Leading = []func(context.Context, *consensus.Node) error{
			func(ctx context.Context, n *consensus.Node) error { return table.Run(ctx, n, logger) },
			func(ctx context.Context, n *consensus.Node) error { return scheduler.Lead(ctx, n) },
		}
		if name == wrong {
			cfg.Clock = clock
		}
	}
}

// TestNoFireIsLostOrDoubledWhoeverLeads kills 200 leaders while schedules fire: each time
// of each schedule has one event, or one change of a key, which is never early.
func TestNoFireIsLostOrDoubledWhoeverLeads(t *testing.T) {
	t.Parallel()
	kills := 200
	if testing.Short() {
		kills = 10
	}
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { runSchedules(t, seed, kills) })
		})
	}
}

func runSchedules(t *testing.T, seed uint64, kills int) {
	c := newSimCluster(t)
	defer c.endAll()
	rng := rand.New(rand.NewPCG(seed, 7))
	how, clock := wrongClock(rng)
	wrong := c.names[rng.IntN(3)]
	t.Logf("the clock of %s %s", wrong, how)
	c.schedule(wrong, clock)
	c.startAll()
	c.eventually("a leader", func() bool { return c.leader() != "" })
	time.Sleep(3 * time.Second) // the nodes know each other's clocks
	intervals := []time.Duration{time.Second, 1500 * time.Millisecond, 2 * time.Second, 7 * time.Second}
	create := func(name string, every time.Duration, action *edriv1.ScheduleAction) {
		op := &edriv1.Op{Op: &edriv1.Op_CreateSchedule{CreateSchedule: &edriv1.CreateSchedule{
			Name: name, Spec: &edriv1.ScheduleSpec{Every: int64(every), Action: action},
		}}}
		if _, err := submit(c.node(c.names[0]), &edriv1.Commit{Ops: []*edriv1.Op{op}}); err != nil {
			t.Fatalf("create: %v", err)
		}
	}
	for i, every := range intervals {
		create(fmt.Sprint(i), every, &edriv1.ScheduleAction{Action: &edriv1.ScheduleAction_Append{Append: &edriv1.AppendAction{
			Stream: fmt.Sprint("ticks/", i), Event: &edriv1.CloudEvent{SpecVersion: "1.0", Type: "tick"},
		}}})
	}
	put := &edriv1.KeyOp{Op: &edriv1.KeyOp_Put{Put: &edriv1.PutKey{Bucket: "default", Key: "k"}}}
	create("keys", time.Second, &edriv1.ScheduleAction{Action: &edriv1.ScheduleAction_Keys{
		Keys: &edriv1.KeyTransaction{Then: []*edriv1.KeyOp{put}},
	}})
	for range kills {
		time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond)
		c.eventually("a leader", func() bool { return c.leader() != "" })
		c.end(c.leader(), true)
		time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
		c.startAll()
	}
	c.eventually("a leader", func() bool { return c.leader() != "" })
	time.Sleep(10 * time.Second)
	c.verify(&simLedger{})
	for i, every := range intervals {
		c.expectEveryTick(fmt.Sprint(i), every)
	}
	c.expectEveryPut("keys", time.Second)
}

// expectEveryPut holds the changes of keys to the times of the schedule that makes them.
func (c *simCluster) expectEveryPut(name string, every time.Duration) {
	c.Helper()
	v := c.node(c.names[0]).View()
	defer v.Close()
	s, err := cron.ScheduleOf(v, name)
	if err != nil {
		c.Fatalf("schedule %s: %v", name, err)
	}
	puts := uint64(0)
	for p := event.Position(1); p <= v.Mark.Last; p++ {
		r, err := v.Journal().Get(p)
		if err != nil {
			c.Fatalf("event %d: %v", p, err)
		}
		e, err := event.DecodeEvent(r.Event)
		if err != nil {
			c.Fatalf("event %d: %v", p, err)
		}
		if e.Type != "edri.kv.put" {
			continue
		}
		if puts++; r.Stamp < s.Created+int64(puts)*int64(every) {
			c.Errorf("schedule %s: put %d is early", name, puts)
		}
	}
	if want := uint64((s.Through - s.Created) / int64(every)); puts != want || s.Fired != want {
		c.Errorf("schedule %s: %d puts of %d fires, want %d", name, puts, s.Fired, want)
	}
	c.Logf("schedule %s: %d puts, %d late", name, puts, s.Late)
}

// expectEveryTick holds the events of a schedule to its times, one after the other up
// to now.
func (c *simCluster) expectEveryTick(name string, every time.Duration) {
	c.Helper()
	v := c.node(c.names[0]).View()
	defer v.Close()
	s, err := cron.ScheduleOf(v, name)
	if err != nil {
		c.Fatalf("schedule %s: %v", name, err)
	}
	want, ticks := s.Created, 0
	for p := event.Position(1); p <= v.Mark.Last; p++ {
		r, err := v.Journal().Get(p)
		if err != nil {
			c.Fatalf("event %d: %v", p, err)
		}
		switch stream := string(r.Stream); {
		case strings.HasPrefix(stream, "schedule/"):
			c.Errorf("told at %d in %s", p, stream)
		case stream != "ticks/"+name:
			continue
		}
		e, err := event.DecodeEvent(r.Event)
		if err != nil {
			c.Fatalf("event %d: %v", p, err)
		}
		want += int64(every)
		ticks++
		if got := e.Time.UnixNano(); got != want {
			c.Fatalf("schedule %s fired for %v, want %v", name, e.Time, time.Unix(0, want).UTC())
		}
		if r.Stamp < want {
			c.Errorf("schedule %s fired for %v early, at %v", name, e.Time, time.Unix(0, r.Stamp).UTC())
		}
	}
	if left := c.node(c.leader()).Now() - want; left < 0 || left > int64(every+10*time.Second) {
		c.Errorf("schedule %s: %v are missing", name, time.Duration(left))
	}
	c.Logf("schedule %s: %d ticks, %d late", name, ticks, s.Late)
}
