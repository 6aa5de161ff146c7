package router

import (
	"fmt"
	"maps"
	"slices"

	"github.com/edri-io/edri/event"
)

// model is what the machine does, said in the simplest way: maps, and nothing is ever
// trimmed, swept or pinned.
type model struct {
	last event.Position // of the journal
	now  int64
	subs map[string]*modelSub
	told map[event.Position]bool // where tell appended
}

type modelSub struct {
	name           string
	generation, id uint64
	cursor         event.Position
	maxDeliver     int
	backoff        []int64
	matched        []event.Position // of this generation
	events         map[event.Position]*modelEvent
	dead           map[event.Position]int  // attempts
	released       map[event.Position]bool // dead letters that pin nothing
}

// modelEvent is a pending event or one that is done.
type modelEvent struct {
	done     bool
	by       event.Position
	attempts int
	due      int64
}

func newModel(now int64) *model {
	return &model{now: now, subs: map[string]*modelSub{}, told: map[event.Position]bool{}}
}

func (m *model) begin(s *modelSub, generation uint64, cursor event.Position) {
	s.generation, s.cursor = generation, cursor
	s.events, s.matched = map[event.Position]*modelEvent{}, nil
}

// of returns the subscription that is in a generation, nil if none is.
func (m *model) of(generation uint64) *modelSub {
	for _, s := range m.subs {
		if s.generation == generation {
			return s
		}
	}
	return nil
}

func (m *model) advance(generation uint64, from, to event.Position, positions []event.Position) {
	s := m.of(generation)
	if s == nil || s.cursor != from {
		return
	}
	for _, p := range positions {
		delete(s.dead, p)
		s.events[p] = &modelEvent{}
		s.matched = append(s.matched, p)
	}
	s.cursor = to
}

// settle returns the code of the error, with the position that belongs to it.
func (m *model) settle(name string, generation uint64, p event.Position, verb string, delay int64) string {
	s := m.subs[name]
	if s == nil || s.generation != generation {
		return "stale_token"
	}
	e := s.events[p]
	switch {
	case e == nil && p > s.cursor:
		return "unavailable"
	case e == nil:
		return "already_acked"
	case e.done && p+keptDone < s.cursor:
		return "already_acked, long ago"
	case e.done:
		return fmt.Sprint("already_acked by ", e.by)
	}
	switch verb {
	case "ack":
		*e = modelEvent{done: true, by: m.last}
	case "nak":
		if e.due == 0 {
			if e.attempts++; e.attempts >= s.maxDeliver {
				m.bury(s, p)
				break
			}
			if delay < 0 {
				delay = s.backoff[min(e.attempts, len(s.backoff))-1]
			}
			m.wait(e, delay)
		}
	case "park":
		e.attempts++
		m.bury(s, p)
	}
	return ""
}

func (m *model) wait(e *modelEvent, delay int64) {
	if e.due = 0; delay > 0 {
		e.due = m.now + delay
	}
}

// tell appends an event that says what was given up or lost. That one is itself given up
// without another.
func (m *model) tell() {
	m.last++
	m.told[m.last] = true
}

func (m *model) bury(s *modelSub, p event.Position) {
	if !m.told[p] {
		m.tell()
	}
	s.dead[p] = s.events[p].attempts
	delete(s.released, p)
	delete(s.events, p)
}

func (m *model) fail(generation uint64, positions []event.Position, how int) {
	s := m.of(generation)
	if s == nil {
		return
	}
	for _, p := range positions {
		e := s.events[p]
		if e == nil || e.done || e.due != 0 {
			continue
		}
		e.attempts++
		switch {
		case e.attempts >= s.maxDeliver:
			m.bury(s, p)
		case how == failLost && e.attempts > 1:
			m.wait(e, s.backoff[min(e.attempts, len(s.backoff))-1])
		}
	}
}

// redrive returns how many dead letters it redrives.
func (m *model) redrive(s *modelSub, positions []uint64) int {
	n := 0
	for _, p := range slices.Sorted(maps.Keys(s.dead)) {
		if p > s.cursor || len(positions) > 0 && !slices.Contains(positions, uint64(p)) {
			continue
		}
		delete(s.dead, p)
		s.events[p] = &modelEvent{}
		n++
	}
	return n
}

// release lets a generation lose what it needs before a position.
func (m *model) release(generation uint64, before event.Position) {
	s := m.of(generation)
	if s == nil {
		return
	}
	before = min(before, m.last+1)
	needs := s.cursor+1 < before
	for p, e := range s.events {
		needs = needs || !e.done && p < before
	}
	if !needs {
		return
	}
	m.tell()
	for p, e := range s.events {
		if !e.done && p < before {
			*e = modelEvent{done: true, by: m.last}
		}
	}
	s.cursor = max(s.cursor, before-1)
}

func (m *model) pass(d int64) {
	m.now += d
	for _, s := range m.subs {
		for _, e := range s.events {
			if e.due <= m.now {
				e.due = 0
			}
		}
	}
}

// state renders a subscription as hall.state does.
func (m *model) state(name string) string {
	s := m.subs[name]
	if s == nil {
		return "none"
	}
	text := fmt.Sprint("cursor ", s.cursor, ";")
	for _, p := range slices.Sorted(maps.Keys(s.events)) {
		e := s.events[p]
		switch {
		case e.done:
		case e.due != 0:
			text += fmt.Sprintf(" %d(%d until %d)", p, e.attempts, e.due-m.now)
		case e.attempts != 0:
			text += fmt.Sprintf(" %d(%d)", p, e.attempts)
		default:
			text += fmt.Sprint(" ", p)
		}
	}
	text += ";"
	for _, p := range slices.Sorted(maps.Keys(s.dead)) {
		text += fmt.Sprintf(" %d(%d)", p, s.dead[p])
	}
	return text
}

// waits counts the events that have a timer.
func (m *model) waits() int {
	n := 0
	for _, s := range m.subs {
		for _, e := range s.events {
			if e.due != 0 {
				n++
			}
		}
	}
	return n
}

// oldest is the first position that a subscription needs.
func (m *model) oldest() event.Position {
	oldest := event.Position(1<<63 - 1)
	for _, s := range m.subs {
		oldest = min(oldest, s.cursor+1)
		for p, e := range s.events {
			if !e.done {
				oldest = min(oldest, p)
			}
		}
		for p := range s.dead {
			if !s.released[p] {
				oldest = min(oldest, p)
			}
		}
	}
	return oldest
}
