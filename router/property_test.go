package router

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// play draws what clients, leaders (deposed ones too) and time do.
type play struct {
	*rapid.T
	h           *hall
	m           *model
	generations []uint64 // all there ever were
}

var playNames = []string{"a", "b"}

// At every step the machine is as the model; at the end every event that matched in a
// generation is exactly one of done, pending and dead, nothing is left over, and
// retention stops exactly where something is needed.
func TestMachineDoesWhatTheModelSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "edri-router-")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		h := openHall(t, dir)
		defer func() { _ = h.core.Close() }()
		p := &play{T: t, h: h, m: newModel(h.now)}
		p.publish()
		for range rapid.IntRange(20, 120).Draw(t, "steps") {
			p.step()
			p.compare()
		}
		p.finish()
	})
}

func (p *play) compare() {
	p.Helper()
	for _, name := range playNames {
		if got, want := p.h.state(name), p.m.state(name); got != want {
			p.Fatalf("%s is\n%s, want\n%s", name, got, want)
		}
	}
}

func (p *play) step() {
	name := rapid.SampledFrom(playNames).Draw(p.T, "name")
	s := p.m.subs[name]
	if s == nil {
		p.create(name)
		return
	}
	switch rapid.IntRange(0, 26).Draw(p.T, "step") {
	case 0:
		p.publish()
	case 1:
		p.create(name)
	case 2:
		p.seek(s)
	case 3:
		p.h.must(remove(name))
		delete(p.m.subs, name)
	case 4:
		p.redrive(s)
	case 5:
		p.update(s)
	case 6:
		p.checkpoint(s)
	case 7:
		p.sweep()
	case 8:
		d := rapid.Int64Range(0, 30).Draw(p.T, "time")
		p.h.pass(time.Duration(d))
		p.m.pass(d)
	case 9:
		p.h.reopen()
	case 25:
		p.release(s)
	case 26:
		p.unpin(s)
	case 10, 11:
		p.fail(s)
	case 12, 13, 14, 15:
		p.advance(s)
	default:
		p.settle(s)
	}
}

func (p *play) publish() {
	n := rapid.IntRange(1, 5).Draw(p.T, "events")
	p.h.publish(n)
	p.m.last += event.Position(n)
}

func (p *play) start() (*edriv1.Start, event.Position) {
	switch rapid.IntRange(0, 3).Draw(p.T, "start") {
	case 0:
		return nil, p.m.last
	case 1, 2:
		return atFirst(), 0
	}
	at := rapid.Uint64Range(1, uint64(p.m.last)+1).Draw(p.T, "position")
	return atPosition(at), event.Position(at - 1)
}

func (p *play) config() (*edriv1.SubscriptionConfig, *modelSub) {
	c := &edriv1.SubscriptionConfig{
		MaxDeliver: rapid.Uint32Range(1, 4).Draw(p.T, "max deliver"),
		Backoff:    rapid.SliceOfN(rapid.Int64Range(0, 20), 1, 3).Draw(p.T, "backoff"),
	}
	return c, &modelSub{maxDeliver: int(c.MaxDeliver), backoff: c.Backoff}
}

func (p *play) create(name string) {
	config, s := p.config()
	start, cursor := p.start()
	op := create(name, config, start)
	old := p.m.subs[name]
	op.GetCreateSubscription().Ensure = old != nil && rapid.Bool().Draw(p.T, "ensure")
	r := p.h.do(op)
	switch {
	case old != nil && !op.GetCreateSubscription().Ensure:
		if code(r) != "exists" {
			p.Fatalf("create what exists: %v", r)
		}
	case old != nil:
		old.maxDeliver, old.backoff = s.maxDeliver, s.backoff
	default:
		g := r.Results[0].GetSubscriptionChanged().GetGeneration()
		s.name, s.id, s.dead = name, g, map[event.Position]int{}
		s.released = map[event.Position]bool{}
		p.began(s, g, cursor)
		p.m.subs[name] = s
	}
}

func (p *play) began(s *modelSub, generation uint64, cursor event.Position) {
	if slices.Contains(p.generations, generation) {
		p.Fatalf("generation %d was there before", generation)
	}
	p.generations = append(p.generations, generation)
	p.m.begin(s, generation, cursor)
}

func (p *play) seek(s *modelSub) {
	start, cursor := p.start()
	p.began(s, p.h.must(seekTo(s.name, start)).GetSubscriptionChanged().GetGeneration(), cursor)
}

func (p *play) update(s *modelSub) {
	config, other := p.config()
	p.h.must(update(s.name, config))
	s.maxDeliver, s.backoff = other.maxDeliver, other.backoff
}

// generation is mostly the one that is.
func (p *play) generation(s *modelSub) uint64 {
	if rapid.IntRange(0, 9).Draw(p.T, "of another") == 0 {
		return rapid.SampledFrom(p.generations).Draw(p.T, "generation")
	}
	return s.generation
}

func (p *play) advance(s *modelSub) {
	generation, from := p.generation(s), s.cursor
	if rapid.IntRange(0, 9).Draw(p.T, "from elsewhere") == 0 {
		from += event.Position(rapid.IntRange(0, 3).Draw(p.T, "off"))
	}
	// Steps of thousands, so that rows are trimmed. Nothing reads the events.
	step := rapid.SampledFrom([]int{1, 3, 3, 4000, 9000}).Draw(p.T, "size")
	to, positions := from, []event.Position{}
	for range rapid.IntRange(0, 5).Draw(p.T, "matches") {
		to += event.Position(rapid.IntRange(1, step).Draw(p.T, "gap"))
		positions = append(positions, to)
	}
	to += event.Position(rapid.IntRange(0, step).Draw(p.T, "gap"))
	p.h.advance(generation, from, to, positions...)
	p.m.advance(generation, from, to, positions)
}

// position is mostly one of an event that matched.
func (p *play) position(s *modelSub) event.Position {
	if len(s.matched) == 0 || rapid.IntRange(0, 9).Draw(p.T, "any position") == 0 {
		return event.Position(rapid.Uint64Range(1, uint64(s.cursor)+3).Draw(p.T, "position"))
	}
	return rapid.SampledFrom(s.matched).Draw(p.T, "event")
}

func (p *play) settle(s *modelSub) {
	generation, at := p.generation(s), p.position(s)
	verb := rapid.SampledFrom([]string{"ack", "ack", "nak", "nak", "park"}).Draw(p.T, "verb")
	delay := int64(-1)
	op := map[string]func() *edriv1.Op{
		"ack":  func() *edriv1.Op { return ack(s.name, generation, uint64(at)) },
		"park": func() *edriv1.Op { return park(s.name, generation, uint64(at), "why not") },
		"nak": func() *edriv1.Op {
			if delay = rapid.Int64Range(-1, 15).Draw(p.T, "delay"); delay >= 0 {
				return nakFor(s.name, generation, uint64(at), time.Duration(delay))
			}
			return nak(s.name, generation, uint64(at), "no")
		},
	}[verb]()
	r := p.h.do(op)
	want := p.m.settle(s.name, generation, at, verb, delay)
	got := code(r)
	if want == "already_acked, long ago" && strings.HasPrefix(got, "already_acked") {
		want = got
	}
	if got != want {
		p.Fatalf("%s %d of generation %d: %q, want %q", verb, at, generation, got, want)
	}
	if got == "" {
		_, dead := s.dead[at]
		if s := r.Results[0].GetSettled(); s.GetPosition() != uint64(p.m.last) || s.GetDead() != dead {
			p.Fatalf("settled %v, want %d, dead %v", s, p.m.last, dead)
		}
	}
}

func (p *play) fail(s *modelSub) {
	generation := p.generation(s)
	how := rapid.SampledFrom([]int{failLost, failSuspect}).Draw(p.T, "how")
	set := map[event.Position]bool{}
	for range rapid.IntRange(1, 4).Draw(p.T, "failures") {
		set[p.position(s)] = true
	}
	positions := slices.Sorted(maps.Keys(set))
	p.h.fails(generation, how, "lost", positions...)
	p.m.fail(generation, positions, how)
}

func (p *play) redrive(s *modelSub) {
	var positions []uint64
	if rapid.Bool().Draw(p.T, "some") {
		for range rapid.IntRange(1, 3).Draw(p.T, "redriven") {
			positions = append(positions, uint64(p.position(s)))
		}
	}
	got := p.h.must(redriveOf(s.name, positions...)).GetRedriven().GetCount()
	if want := p.m.redrive(s, positions); int(got) != want {
		p.Fatalf("%d redriven, want %d", got, want)
	}
}

func (p *play) checkpoint(s *modelSub) {
	o := move{generation: p.generation(s), from: s.cursor}
	o.to = o.from + event.Position(rapid.IntRange(0, 3).Draw(p.T, "gap"))
	p.h.lead(opCheckpoint, encodeCheckpoint([]move{o}))
	p.m.advance(o.generation, o.from, o.to, nil)
}

func (p *play) release(s *modelSub) {
	generation := p.generation(s)
	before := p.position(s) + event.Position(rapid.IntRange(0, 5).Draw(p.T, "beyond"))
	p.h.lead(opRelease, encodeRelease(generation, before, maxRelease))
	p.m.release(generation, before)
}

func (p *play) unpin(s *modelSub) {
	at := p.position(s)
	p.h.lead(opRelease, encodeUnpin([]pinned{{s.id, at}}))
	if _, dead := s.dead[at]; dead {
		s.released[at] = true
	}
}

func (p *play) sweep() {
	p.h.lead(opSweep, encodeSweep(rapid.SampledFrom(p.generations).Draw(p.T, "number"), rapid.IntRange(0, 3).Draw(p.T, "limit")))
}

func (p *play) finish() {
	for _, number := range p.generations {
		p.h.lead(opSweep, encodeSweep(number, maxSweep))
	}
	p.compare()
	if n := p.h.rows(kindGarbage); n != 0 {
		p.Fatalf("%d garbage rows are left", n)
	}
	if got, want := p.h.timers(), p.m.waits(); got != want {
		p.Fatalf("%d timers, %d events wait", got, want)
	}
	if got, want := p.h.rows(kindProgress), len(p.m.subs); got != want {
		p.Fatalf("%d rows of progress, %d subscriptions", got, want)
	}
	p.checkTrimmed()
	for _, s := range p.m.subs {
		p.h.lead(opCheckpoint, encodeCheckpoint([]move{{s.generation, s.cursor, s.cursor}}))
	}
	want := min(p.m.oldest(), p.m.last+1)
	if got := p.h.retain(p.m.last + 1); got != want {
		p.Fatalf("the first is %d, want %d", got, want)
	}
	for _, name := range slices.Sorted(maps.Keys(p.m.subs)) {
		p.finishSubscription(p.m.subs[name])
	}
}

// checkTrimmed holds that rows below what is trimmed are of pending events.
func (p *play) checkTrimmed() {
	v := p.h.core.View()
	defer v.Close()
	for _, s := range p.m.subs {
		row, err := v.Get(machineName, numberKey(kindProgress, s.generation))
		if err != nil {
			p.Fatalf("read: %v", err)
		}
		g, err := parseProgress(row)
		if err != nil {
			p.Fatalf("read: %v", err)
		}
		it := v.Scan(machineName, eventKey(kindPending, s.generation, 0), eventKey(kindPending, s.generation, g.trimmed), false)
		for it.Next() {
			if !isPending(it.Value()) {
				p.Fatalf("%d of %s has row %x below %d", positionOf(it.Key()), s.name, it.Value(), g.trimmed)
			}
		}
		it.Close()
	}
}

// finishSubscription settles all that matched, by which each tells what it was.
func (p *play) finishSubscription(s *modelSub) {
	for _, at := range slices.Compact(slices.Sorted(slices.Values(s.matched))) {
		_, dead := s.dead[at]
		e := s.events[at]
		want := "pending"
		switch {
		case dead == (e != nil):
			p.Fatalf("the model lost count of %d: dead %v, %+v", at, dead, e)
		case dead:
			want = "dead"
		case e.done:
			want = "done"
		}
		if got := p.fate(s, at); got != want {
			p.Fatalf("%d of %s is %s, want %s", at, s.name, got, want)
		}
		if got := code(p.h.do(ack(s.name, s.generation, uint64(at)))); (got == "") != (want == "pending") {
			p.Fatalf("ack of %d, which is %s: %q", at, want, got)
		}
	}
}

// fate says what the rows say of an event that matched.
func (p *play) fate(s *modelSub, at event.Position) string {
	v := p.h.core.View()
	defer v.Close()
	get := func(key []byte) []byte {
		row, err := v.Get(machineName, key)
		if err != nil {
			p.Fatalf("read: %v", err)
		}
		return row
	}
	row, dead := get(eventKey(kindPending, s.generation, at)), get(eventKey(kindDead, s.id, at))
	switch {
	case row != nil && dead != nil:
		return fmt.Sprintf("dead and %x", row)
	case dead != nil:
		return "dead"
	case isPending(row):
		return "pending"
	}
	return "done"
}
