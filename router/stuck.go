package router

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// A subscription whose events wait and of which none is finished for stuckAfter is an
// alarm. It ends when nothing waits any more, or events were finished for calmAfter with
// no gap as long: one that is given up every few minutes is not yet the end of it. Not
// stuck is what is paused, and what has a first attempt with a member: a handler may take
// its time.
const (
	stuckAfter = 5 * time.Minute
	calmAfter  = 1 * time.Minute
	// maxStuckTold is how many alarms there are at most; one more counts the others.
	maxStuckTold = 20
	stuckAlarm   = "backlog of " // and the subscription's name
)

// pace is what was seen of a queue's progress, look by look. Times are the cluster's.
type pace struct {
	finished uint64 // what was done; the queue counts it
	seen     uint64 // finished at the last look
	last     int64  // the last look that saw more, or that nothing waits; 0: none did
	steady   int64  // since when the looks that saw more have come without a gap
	since    int64  // 0: not stuck
}

// look judges the progress of a queue.
func (p *pace) look(now int64, waits bool, begun func() bool) {
	switch {
	case !waits || p.last == 0:
		p.last, p.since = now, 0
	case p.finished != p.seen:
		if now-p.last >= int64(calmAfter) {
			p.steady = now
		}
		p.last = now
		if now-p.steady >= int64(calmAfter) {
			p.since = 0
		}
	case p.since == 0 && now-p.last >= int64(stuckAfter) && !begun():
		p.since = p.last
	}
	p.seen = p.finished
}

// waits reports whether events wait that could be finished.
func (q *queue) waits() bool {
	return !q.Paused && (len(q.open) > 0 || q.more || len(q.ahead) > 0)
}

// begun reports whether a member has a first attempt.
func (q *queue) begun() bool {
	if q.in[stateLeased] == 0 {
		return false
	}
	for _, it := range q.open {
		if it.state == stateLeased && it.attempts == 0 {
			return true
		}
	}
	return false
}

// judge looks at the progress of all queues and raises an alarm for each that is stuck.
func (d *dispatcher) judge(now int64) error {
	var stuck []*queue
	for _, q := range d.queues {
		q.pace.look(now, q.waits(), q.begun)
		if q.pace.since != 0 {
			stuck = append(stuck, q)
		}
	}
	slices.SortFunc(stuck, func(a, b *queue) int {
		return cmp.Or(cmp.Compare(a.pace.since, b.pace.since), cmp.Compare(a.Config.Name, b.Config.Name))
	})
	var told []string
	if len(stuck) > 0 {
		v := d.node.View()
		defer v.Close()
		for _, q := range stuck[:min(len(stuck), maxStuckTold)] {
			what, err := q.tellStuck(v)
			if err != nil {
				return err
			}
			told = append(told, stuckAlarm+q.Config.Name)
			d.node.Alarm(told[len(told)-1], what)
		}
	}
	if others := len(stuck) - len(told); others > 0 {
		told = append(told, stuckAlarm) // no subscription has an empty name
		d.node.Alarm(stuckAlarm, fmt.Sprintf("%d more subscriptions finish nothing", others))
	}
	d.node.ClearAlarms(stuckAlarm, told)
	return nil
}

// tellStuck says how a queue is stuck.
func (q *queue) tellStuck(v *consensus.View) (string, error) {
	what := fmt.Sprintf("subscription %q has finished nothing since %s, and events wait", q.Config.Name,
		time.Unix(0, q.pace.since).UTC().Format(time.RFC3339))
	members := fmt.Sprintf("%d members have %d of %d pending", len(q.members), q.in[stateLeased], len(q.open))
	if len(q.members) == 0 {
		members = "it has no members"
	}
	if q.full() {
		members += ", and no more are handed out"
	}
	oldest := q.oldestOpen()
	if oldest == 0 {
		return fmt.Sprintf("%s from position %d on; %s", what, q.matched+1, members), nil
	}
	what = fmt.Sprintf("%s, the oldest at position %d", what, oldest)
	rec, err := v.Journal().Get(oldest)
	if err != nil {
		if event.CodeOf(err) == event.CodeCompacted {
			err = nil // retention or a purge ended it; it is skipped
		}
		return fmt.Sprintf("%s; %s", what, members), err
	}
	h, err := event.ScanHeader(rec.Event)
	if err != nil {
		return "", err
	}
	if key := q.order.of(&rec, &h); len(key) > 0 {
		what = fmt.Sprintf("%s, whose key %q waits for it", what, key)
	}
	return fmt.Sprintf("%s; %s", what, members), nil
}
