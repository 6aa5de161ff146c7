package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edri-io/edri/workflows"
)

// model is what runs are, in the words of a reader of doc.go.
type model struct {
	now  int64
	runs []*modelRun // that are known, in the order of their numbers
}

type modelRun struct {
	id, typ   string
	number    uint64
	status    workflows.Status
	paused    bool
	blocked   bool // paused by its code
	busy      bool
	canceling bool
	ahead     int               // signals that went ahead of its end
	inbox     []string          // kinds, updates with their id
	updates   map[string]string // open, done
	open      map[uint64]*modelOpen
	own       int64 // when the run begins, where it is delayed, or its time is over
	delayed   bool
	timeout   int64
	ended     int64
	parent    *modelRun
	seq       uint64
	// root is the first of the runs that took over from each other by resets up to this one,
	// from that of the parent.
	root, from uint64
}

type modelOpen struct {
	kind    byte
	due     int64 // of a timer, a request
	typ     string
	child   *modelRun
	onClose int
}

// keep are how long ended runs are known, and how many, by type.
var keep = map[string]struct {
	age   time.Duration
	count int
}{"order": {time.Hour, 0}, "few": {2 * time.Hour, 2}}

func (m *model) last(id string) *modelRun {
	for _, r := range slices.Backward(m.runs) {
		if r.id == id {
			return r
		}
	}
	return nil
}

func (m *model) start(id, typ string, number uint64, delay, timeout int64) *modelRun {
	r := &modelRun{id: id, typ: typ, number: number, status: workflows.Running, updates: map[string]string{}, open: map[uint64]*modelOpen{}, timeout: timeout, root: number}
	m.runs = append(m.runs, r)
	if delay > 0 {
		r.delayed, r.own = true, m.now+delay
	} else {
		m.begin(r)
	}
	return r
}

func (m *model) begin(r *modelRun) {
	r.delayed, r.busy, r.own = false, true, 0
	if r.timeout > 0 {
		r.own = m.now + r.timeout
	}
}

// end ends a run; next is that which goes on in its place.
func (m *model) end(r *modelRun, s workflows.Status, next *modelRun) {
	var moved []string
	for _, e := range r.inbox {
		mail := strings.HasPrefix(e, "signal") || strings.HasPrefix(e, "update") || strings.HasPrefix(e, "cancel")
		if next != nil && mail {
			moved = append(moved, e)
		}
	}
	for id, state := range r.updates {
		if state == "open" && !slices.Contains(moved, "update "+id) {
			r.updates[id] = "done"
		}
	}
	children := map[uint64]*modelOpen{}
	for seq, o := range r.open {
		if o.kind == kindChild {
			children[seq] = o
		}
	}
	*r = modelRun{id: r.id, typ: r.typ, number: r.number, status: s, updates: r.updates, ended: m.now, parent: r.parent, seq: r.seq, timeout: r.timeout, root: r.root, from: r.from}
	if next != nil {
		for _, e := range moved {
			next.inbox = append(next.inbox, e)
			if id, ok := strings.CutPrefix(e, "update "); ok {
				next.updates[id] = "open"
			}
			next.canceling = next.canceling || strings.HasPrefix(e, "cancel")
		}
		next.parent, next.seq, next.from = r.parent, r.seq, r.from
	}
	m.tellParent(r, next)
	m.retain(r)
	// The machine does so in the next entry.
	for _, seq := range sortedKeys(children) {
		switch c := children[seq]; {
		case c.child.status != workflows.Running:
		case c.onClose == closeTerminate:
			m.end(c.child, workflows.Terminated, nil)
		case c.onClose == closeCancel:
			m.cancel(c.child)
		}
	}
}

func (m *model) tellParent(r, next *modelRun) {
	p := r.parent
	if p == nil || p.status != workflows.Running || p.open[r.seq] == nil || p.open[r.seq].child != r {
		return
	}
	if next != nil {
		p.open[r.seq].child = next
		return
	}
	delete(p.open, r.seq)
	kind := "child.failed"
	if r.status == workflows.Completed {
		kind = "child.completed"
	}
	p.inbox = append(p.inbox, kind)
}

// retain forgets the runs that ended first, where there are more than are kept.
func (m *model) retain(r *modelRun) {
	limit := keep[r.typ].count
	for limit > 0 {
		var ended []*modelRun
		for _, other := range m.runs {
			if other.typ == r.typ && other.status != workflows.Running {
				ended = append(ended, other)
			}
		}
		first := slices.MinFunc(ended, func(a, b *modelRun) int {
			return cmp.Or(cmp.Compare(a.ended, b.ended), cmp.Compare(a.number, b.number))
		})
		if len(ended) <= limit || first == r {
			return
		}
		m.forget(first)
	}
}

func (m *model) forget(r *modelRun) {
	m.runs = slices.DeleteFunc(m.runs, func(other *modelRun) bool { return other == r })
}

// madeBefore returns the ids whose last runs are children of runs that r took over from by a
// reset, and that it has not asked for again.
func (m *model) madeBefore(r *modelRun) (ids []string) {
	for _, id := range idsOf(m.runs) {
		c := m.last(id)
		made := c.parent != nil && c.parent.number != r.number && c.from == r.root
		for _, o := range r.open {
			made = made && (o.kind != kindChild || o.typ != id)
		}
		if made {
			ids = append(ids, id)
		}
	}
	return ids
}

func (m *model) cancel(r *modelRun) {
	if !r.canceling {
		r.canceling = true
		r.inbox = append(r.inbox, "cancel.requested")
	}
}

func (m *model) event(typ string) {
	for _, r := range m.runs {
		for seq, o := range r.open {
			if o.kind == kindAwait && o.typ == typ {
				delete(r.open, seq)
				r.inbox = append(r.inbox, "event.received")
			}
		}
	}
}

// next returns when something is due, 0 if nothing is.
func (m *model) next() (due int64) {
	for _, r := range m.runs {
		list := []int64{r.own}
		if r.status != workflows.Running {
			list[0] = r.ended + int64(keep[r.typ].age)
		}
		for _, o := range r.open {
			list = append(list, o.due)
		}
		for _, at := range list {
			if at > 0 && (due == 0 || at < due) {
				due = at
			}
		}
	}
	return due
}

// fire does what is due now.
func (m *model) fire() {
	for _, r := range slices.Clone(m.runs) {
		if r.status != workflows.Running {
			if r.ended+int64(keep[r.typ].age) == m.now {
				m.forget(r)
			}
			continue
		}
		for seq, o := range r.open {
			if o.due == m.now {
				delete(r.open, seq)
				r.inbox = append(r.inbox, map[byte]string{kindTimer: "timer.fired", kindRequest: "request.expired"}[o.kind])
			}
		}
		if r.own == m.now {
			if r.delayed {
				m.begin(r)
			} else {
				m.end(r, workflows.TimedOut, nil)
			}
		}
	}
}

// String renders all runs, as plant.state does.
func (m *model) String() string {
	var b strings.Builder
	for _, r := range m.runs {
		var open []string
		for seq, o := range r.open {
			open = append(open, fmt.Sprintf("%c%d", o.kind, seq))
		}
		updates := []string{}
		for id, state := range r.updates {
			updates = append(updates, id+" "+state)
		}
		inbox := []string{}
		for _, kind := range r.inbox {
			if strings.HasPrefix(kind, "update") {
				kind = "update.accepted"
			}
			inbox = append(inbox, kind)
		}
		render(&b, r.id, r.number, r.status, r.paused, r.busy, inbox, open, updates)
	}
	return b.String()
}

func render(b *strings.Builder, id string, number uint64, s workflows.Status, paused, busy bool, inbox, open, updates []string) {
	slices.Sort(inbox)
	slices.Sort(open)
	slices.Sort(updates)
	fmt.Fprintf(b, "%s/%d %s paused=%v busy=%v inbox=%v open=%v updates=%v\n", id, number, s, paused, busy, inbox, open, updates)
}

func sortedKeys[V any](m map[uint64]V) []uint64 {
	var keys []uint64
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
