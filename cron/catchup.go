package cron

import "time"

const (
	// grace is how late a fire may be and is made whatever the policy: longer than it
	// takes to elect a leader.
	grace = 10 * time.Second
	// maxCounted is up to how many missed times are counted.
	maxCounted = 10_000
)

// overdue are times that are due: nominal times in their order. more: there are others
// between the last of counted and the first of newest.
type overdue struct {
	counted []int64
	newest  []int64
	more    bool
}

// overdueAt returns which of a schedule's times from next on are due. Where there are
// too many to count it returns the first, and the newest.
func (p *plan) overdueAt(incarnation uint64, next, now int64) overdue {
	list, more := p.collect(incarnation, next-1, now, maxCounted)
	o := overdue{counted: list, more: more}
	if !more {
		return o
	}
	last := list[len(list)-1]
	for back := int64(time.Minute); ; back *= 4 {
		o.newest, _ = p.collect(incarnation, max(last, now-back), now, maxCounted)
		if len(o.newest) > p.spec.catchUpCap || now-back <= last {
			return o
		}
	}
}

// collect returns the times after another that are due, up to a number, and whether
// there are more.
func (p *plan) collect(incarnation uint64, after, now int64, most int) (list []int64, more bool) {
	for {
		t, ok := p.next(time.Unix(0, after))
		if !ok || p.due(incarnation, t.UnixNano()) > now {
			return list, false
		}
		if len(list) == most {
			return list, true
		}
		after = t.UnixNano()
		list = append(list, after)
	}
}

// decide says which times are fired for, and which are missed, by the policy.
func (s *Spec) decide(o overdue, now int64) (missed, []int64) {
	list := o.counted
	if o.more {
		list = o.newest
	}
	keep := len(list) // fired from here on
	for keep > 0 && list[keep-1] >= now-int64(grace)-s.jitter {
		keep--
	}
	most := 0
	switch {
	case s.catchUp == catchUpAll:
		most = s.catchUpCap
	case s.catchUp == catchUpLast && keep == len(list):
		most = 1
	}
	for ; most > 0 && keep > 0; most-- {
		if s.catchUpWindow != 0 && list[keep-1] < now-s.catchUpWindow {
			break
		}
		keep--
	}
	m := missed{count: uint64(keep)}
	if o.more {
		m.count += uint64(len(o.counted))
		m.more = true
	}
	if m.count > 0 {
		m.from, m.to = o.counted[0], o.counted[len(o.counted)-1]
		if keep > 0 {
			m.to = list[keep-1]
		}
	}
	return m, list[keep:]
}
