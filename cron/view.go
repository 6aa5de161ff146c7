package cron

import (
	"bytes"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// Schedule is a schedule as the state has it. Times are in nanoseconds since 1970.
type Schedule struct {
	Name        string
	Wire        []byte // the edri.v1.ScheduleSpec as it came
	Incarnation uint64
	Revision    uint64
	Created     int64
	Paused      bool
	Note        string
	Ended       bool
	Next, Due   int64 // 0: not worked out, or none
	Through     int64
	Left        uint64
	Counters
	Running, Buffered int

	spec Spec
}

// ScheduleOf returns the schedule of a name, or *event.Error not_found.
func ScheduleOf(v *consensus.View, name string) (Schedule, error) {
	row, err := v.Get(machineName, nameKey(name))
	if err != nil {
		return Schedule{}, err
	}
	if row == nil {
		return Schedule{}, event.Errorf(event.CodeNotFound, "schedule %q does not exist", name)
	}
	return readSchedule(v, name, row)
}

// Schedules yields the schedules whose names begin with prefix and come after the name
// after, in the order of their bytes. The sequence ends with an error.
func Schedules(v *consensus.View, prefix, after string) iter.Seq2[Schedule, error] {
	lo := nameKey(prefix)
	if after >= prefix && after != "" {
		lo = append(nameKey(after), 0)
	}
	return func(yield func(Schedule, error) bool) {
		it := v.Scan(machineName, lo, []byte{kindSchedule + 1}, false)
		defer it.Close()
		for it.Next() {
			name := string(it.Key()[1:])
			if !strings.HasPrefix(name, prefix) {
				break
			}
			s, err := readSchedule(v, name, it.Value())
			if !yield(s, err) || err != nil {
				return
			}
		}
		if err := it.Err(); err != nil {
			yield(Schedule{}, err)
		}
	}
}

func readSchedule(v *consensus.View, name string, row []byte) (Schedule, error) {
	d, err := parseDefinition(bytes.Clone(row))
	if err != nil {
		return Schedule{}, err
	}
	row, err = v.Get(machineName, numberKey(kindState, d.incarnation))
	if err != nil {
		return Schedule{}, err
	}
	s, err := parseState(row)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %q: %w", name, err)
	}
	out := Schedule{
		Name: name, Wire: d.spec, Incarnation: d.incarnation, Revision: s.revision, Created: d.created,
		Paused: s.paused, Note: string(s.note), Ended: s.ended, Next: s.next, Due: s.due, Through: s.through,
		Left: s.left, Counters: s.Counters, Buffered: int(s.buffered),
	}
	if out.spec, err = storedSpec(d.spec); err != nil {
		return Schedule{}, err
	}
	it := v.Scan(machineName, numberKey(kindRunning, d.incarnation), numberKey(kindRunning, d.incarnation+1), false)
	defer it.Close()
	for it.Next() {
		out.Running++
	}
	return out, it.Err()
}

// backfillsOf returns the backfills of a schedule that are under way, by their batches.
func backfillsOf(v *consensus.View, incarnation uint64) (map[uint64]backfillRow, error) {
	it := v.Scan(machineName, numberKey(kindBackfill, incarnation), numberKey(kindBackfill, incarnation+1), false)
	defer it.Close()
	list := map[uint64]backfillRow{}
	for it.Next() {
		b, err := parseBackfill(it.Value())
		if err != nil {
			return nil, err
		}
		list[second(it.Key())] = b
	}
	return list, it.Err()
}

// Preview returns the times after another at which the schedule fires, up to n. Its
// limit is not counted.
func (s *Schedule) Preview(after int64, n int) ([]int64, error) {
	return preview(&s.spec, s.Created, after, n)
}

// Preview returns the times after another at which a schedule of this spec would fire
// that is made at that time, up to n.
func (s *Spec) Preview(after int64, n int) ([]int64, error) { return preview(s, after, after, n) }

func preview(s *Spec, created, after int64, n int) ([]int64, error) {
	p, err := newPlan(s, time.Unix(0, created))
	if err != nil {
		return nil, err
	}
	var list []int64
	for t := time.Unix(0, after); len(list) < n; {
		next, ok := p.next(t)
		if !ok {
			break
		}
		list = append(list, next.UnixNano())
		t = next
	}
	return list, nil
}
