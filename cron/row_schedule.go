package cron

import (
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// definition is the row of a schedule that changes with its spec:
//
//	version | uvarint incarnation | BE8 created | spec
//
// The spec is the edri.v1.ScheduleSpec as it came.
type definition struct {
	incarnation uint64
	created     int64
	spec        []byte
}

func (d *definition) append(dst []byte) []byte {
	dst = binary.AppendUvarint(append(dst, rowVersion), d.incarnation)
	return append(binary.BigEndian.AppendUint64(dst, uint64(d.created)), d.spec...)
}

// parseDefinition reads a row, which the spec aliases.
func parseDefinition(row []byte) (definition, error) {
	r := reader{rest: row}
	r.version()
	d := definition{incarnation: r.uvarint(), created: int64(r.be8())}
	d.spec, r.rest = r.rest, nil
	return d, r.done("schedule")
}

// state is the row of a schedule that changes with each fire:
//
//	version | flags | uvarint revision | BE8 through | BE8 next | BE8 due |
//	uvarints left, fired, skipped, missed, late, failed, buffered |
//	uvarint length, note | name
//
// Bit 0 of the flags: paused; bit 1: ended. next is 0 until the leader has worked it
// out, and where the schedule has ended.
type state struct {
	paused, ended bool
	revision      uint64 // of spec and pauses
	through       int64  // its times up to here are dealt with
	next, due     int64
	left          uint64 // 0: without a bound
	Counters
	buffered uint64 // fires that wait for the end of another
	note     []byte
	name     []byte
}

// Counters count what became of a schedule's times.
type Counters struct {
	Fired, Skipped, Missed, Late, Failed uint64
}

func (s *state) append(dst []byte) []byte {
	flags := byte(flag(s.paused) | flag(s.ended)<<1)
	dst = binary.AppendUvarint(append(dst, rowVersion, flags), s.revision)
	for _, t := range []int64{s.through, s.next, s.due} {
		dst = binary.BigEndian.AppendUint64(dst, uint64(t))
	}
	for _, n := range []uint64{s.left, s.Fired, s.Skipped, s.Missed, s.Late, s.Failed, s.buffered} {
		dst = binary.AppendUvarint(dst, n)
	}
	return append(appendText(dst, s.note), s.name...)
}

// parseState reads a row, which note and name alias.
func parseState(row []byte) (state, error) {
	r := reader{rest: row}
	r.version()
	flags := r.byte()
	s := state{paused: flags&1 != 0, ended: flags&2 != 0, revision: r.uvarint()}
	for _, t := range []*int64{&s.through, &s.next, &s.due} {
		*t = int64(r.be8())
	}
	for _, n := range []*uint64{&s.left, &s.Fired, &s.Skipped, &s.Missed, &s.Late, &s.Failed, &s.buffered} {
		*n = r.uvarint()
	}
	s.note = r.text()
	s.name, r.rest = r.rest, nil
	if flags > 3 {
		r.bad = true
	}
	return s, r.done("state of a schedule")
}

// schedule is a schedule while an operation changes it. Its bytes are its own.
type schedule struct {
	definition
	state
	spec Spec
	// counted are the counters up to which noteCounted were made.
	counted Counters
}

// load reads the schedule of an incarnation, false if there is none.
func load(tx *consensus.Tx, incarnation uint64) (*schedule, bool, error) {
	row, err := tx.Get(numberKey(kindState, incarnation))
	if row == nil || err != nil {
		return nil, false, err
	}
	s, err := parseState(append([]byte(nil), row...))
	if err != nil {
		return nil, false, err
	}
	found, err := loadDefinition(tx, s)
	return found, err == nil, err
}

func loadDefinition(tx *consensus.Tx, s state) (*schedule, error) {
	row, err := tx.Get(nameKey(s.name))
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, fmt.Errorf("%w: no schedule %q for its state", errRow, s.name)
	}
	d, err := parseDefinition(append([]byte(nil), row...))
	if err != nil {
		return nil, err
	}
	out := &schedule{definition: d, state: s, counted: s.Counters}
	out.spec, err = storedSpec(d.spec)
	return out, err
}

// storedSpec reads a spec that was checked when it came.
func storedSpec(b []byte) (Spec, error) {
	s, err := decodeSpec(b)
	if err != nil {
		return s, fmt.Errorf("%w: spec: %v", errRow, err)
	}
	return s, nil
}

// byName reads the schedule of a name, or returns not_found.
func byName(tx *consensus.Tx, name []byte) (*schedule, error) {
	row, err := tx.Get(nameKey(name))
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, event.Errorf(event.CodeNotFound, "schedule %q does not exist", name)
	}
	d, err := parseDefinition(row)
	if err != nil {
		return nil, err
	}
	s, found, err := load(tx, d.incarnation)
	if err == nil && !found {
		err = fmt.Errorf("%w: no state of schedule %q", errRow, name)
	}
	return s, err
}

// put writes the state, and notes by how much its counters grew.
func (s *schedule) put(tx *consensus.Tx) {
	if grown := s.Counters.minus(s.counted); grown != (Counters{}) {
		s.counted = s.Counters
		tx.Note(noteCounted{kind: s.spec.action.kind(), Counters: grown})
	}
	tx.Put(numberKey(kindState, s.incarnation), s.state.append(nil))
}

func (s *schedule) putDefinition(tx *consensus.Tx) {
	tx.Put(nameKey(s.name), s.definition.append(nil))
}
