package cron

import (
	"fmt"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// load makes the jobs of all schedules from the state, as a new leader.
func (l *leader) load() error {
	v := l.node.View()
	defer v.Close()
	l.inbox.begin(v.Index)
	for s, err := range Schedules(v, "", "") {
		if err != nil {
			return err
		}
		if err := l.open(v, &s); err != nil {
			return err
		}
	}
	return nil
}

// open makes the jobs of a schedule.
func (l *leader) open(v *consensus.View, s *Schedule) error {
	p, err := newPlan(&s.spec, time.Unix(0, s.Created))
	if err != nil {
		// It was checked when it came, by a node that knows the zone.
		l.logger.Error("schedule cannot be read by this node, and does not fire while it leads", "schedule", s.Name, "error", err)
		return nil
	}
	j := &job{
		name: s.Name, incarnation: s.Incarnation, revision: s.Revision, plan: p, at: -1,
		through: s.Through, next: s.Next, due: s.Due, left: s.Left, backfills: map[uint64]*job{},
	}
	l.byName[j.name], l.byIncarnation[j.incarnation] = j, j
	if !s.Paused && !s.Ended {
		l.queue.put(j, j.due)
	}
	backfills, err := backfillsOf(v, s.Incarnation)
	if err != nil {
		return err
	}
	for batch, row := range backfills {
		b := &job{name: s.Name, incarnation: s.Incarnation, revision: s.Revision, plan: p, at: -1, batch: batch, backfill: row}
		j.backfills[batch] = b
		l.queue.put(b, 0)
	}
	return nil
}

// close forgets the jobs of a schedule.
func (l *leader) close(j *job) {
	l.queue.remove(j)
	for _, b := range j.backfills {
		l.queue.remove(b)
	}
	delete(l.byName, j.name)
	delete(l.byIncarnation, j.incarnation)
}

// reload takes over how a schedule is now.
func (l *leader) reload(name string) error {
	if old := l.byName[name]; old != nil {
		l.close(old)
	}
	v := l.node.View()
	defer v.Close()
	s, err := ScheduleOf(v, name)
	if event.CodeOf(err) == event.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return l.open(v, &s)
}

// note takes over what was applied. A note may be older than what a view showed
// meanwhile: then it changes nothing.
func (l *leader) note(notes []any) error {
	for _, n := range notes {
		switch n := n.(type) {
		case noteSchedule:
			if err := l.reload(n.name); err != nil {
				return err
			}
		case noteAdvanced:
			l.advanced(n)
		case noteBackfilled:
			l.backfilled(n)
		case noteCounted: // of the tally
		case outcome:
			if err := l.ended(n.jobs); err != nil {
				return err
			}
		default:
			panic(fmt.Sprintf("cron: note %T", n))
		}
	}
	return nil
}

func (l *leader) advanced(n noteAdvanced) {
	j := l.byIncarnation[n.incarnation]
	if j == nil || j.revision != n.revision || j.through > n.through {
		return
	}
	j.through, j.next, j.due, j.left, j.busy = n.through, n.next, n.due, n.left, false
	if n.next == 0 {
		l.queue.remove(j)
	} else {
		l.queue.put(j, j.due)
	}
}

func (l *leader) backfilled(n noteBackfilled) {
	j := l.byIncarnation[n.incarnation]
	if j == nil || j.backfills[n.batch] == nil {
		return
	}
	b := j.backfills[n.batch]
	if b.backfill.cursor > n.cursor {
		return
	}
	b.backfill.cursor, b.busy = n.cursor, false
	if n.ended {
		delete(j.backfills, n.batch)
		l.queue.remove(b)
	} else {
		l.queue.put(b, 0)
	}
}

// ended takes up again the jobs whose advance had no effect: no note of it came before
// the outcome.
func (l *leader) ended(jobs []*job) error {
	for _, j := range jobs {
		if !j.busy || !l.current(j) {
			continue
		}
		if err := l.reload(j.name); err != nil {
			return err
		}
		if again := l.byName[j.name]; again != nil {
			wake := l.node.Now() + int64(retryPause)
			if again.at >= 0 {
				l.queue.put(again, max(again.wake, wake))
			}
			for _, b := range again.backfills {
				l.queue.put(b, wake)
			}
		}
	}
	return nil
}

// current reports whether a job is one of those that there are now.
func (l *leader) current(j *job) bool {
	s := l.byIncarnation[j.incarnation]
	return s == j || s != nil && s.backfills[j.batch] == j
}
