package cron

import (
	"container/heap"
	"time"
)

// job is something that the leader does at a time: a schedule, or a backfill of one.
type job struct {
	name        string
	incarnation uint64
	revision    uint64
	plan        *plan
	// wake is when to look at it, in cluster time.
	wake int64
	// at is its index in the queue, -1: not there.
	at int
	// busy: an advance of it is on its way.
	busy bool

	// Of a schedule.
	through, next, due int64
	left               uint64
	backfills          map[uint64]*job

	// Of a backfill.
	batch    uint64
	backfill backfillRow
}

// advance works out what is to be done at a time.
func (j *job) advance(now int64) advance {
	if j.batch != 0 {
		return j.advanceBackfill()
	}
	a := advance{incarnation: j.incarnation, revision: j.revision, from: j.next, through: j.through}
	if j.next != 0 {
		a.missed, a.fires = j.plan.spec.decide(j.plan.overdueAt(j.incarnation, j.next, now), now)
		if j.left != 0 && uint64(len(a.fires)) > j.left {
			a.fires = a.fires[:j.left]
		}
		a.fires = a.fires[:min(len(a.fires), j.most(maxFires))]
		if a.missed.count > 0 {
			a.through = a.missed.to
		}
		if n := len(a.fires); n > 0 {
			a.through = a.fires[n-1]
		}
	}
	next, ok := j.plan.next(time.Unix(0, a.through))
	if !ok {
		a.ended = true
		return a
	}
	a.next = next.UnixNano()
	a.due = j.plan.due(j.incarnation, a.next)
	return a
}

// most is how many of so many fires are made in one operation, each of which may have
// several changes.
func (j *job) most(fires int) int { return max(1, fires/j.plan.spec.action.changes()) }

// maxBackfilled is how many fires of a backfill an operation has, so that what is due
// now has its turn.
const maxBackfilled = 50

func (j *job) advanceBackfill() advance {
	a := advance{incarnation: j.incarnation, revision: j.revision, batch: j.batch, from: j.backfill.cursor, through: j.backfill.to}
	after := j.backfill.cursor
	for len(a.fires) < j.most(maxBackfilled) {
		t, ok := j.plan.next(time.Unix(0, after))
		if after = t.UnixNano(); !ok || after > j.backfill.to {
			a.ended = true
			return a
		}
		a.fires = append(a.fires, after)
	}
	a.through = after
	return a
}

// queue has the jobs, the one that is to be looked at first at the top. It implements
// heap.Interface.
type queue []*job

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].wake < q[j].wake }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	j := x.(*job) // only jobs are pushed
	j.at = len(*q)
	*q = append(*q, j)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	j := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	j.at = -1
	return j
}

// put has a job looked at at a time.
func (q *queue) put(j *job, wake int64) {
	j.wake = wake
	if j.at < 0 {
		heap.Push(q, j)
	} else {
		heap.Fix(q, j.at)
	}
}

func (q *queue) remove(j *job) {
	if j.at >= 0 {
		heap.Remove(q, j.at)
	}
}
