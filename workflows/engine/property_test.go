package engine

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// At every step the runs are as the model says and the rows as doc.go says. When all are
// terminated and deleted nothing is left but definitions.
func TestMachineDoesWhatTheModelSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "et-engine-")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		m := &model{now: start2026}
		p := openPlant(t, dir, func() int64 { return m.now })
		defer func() { _ = p.core.Close() }()
		g := &play{T: t, p: p, m: m}
		for typ, k := range keep {
			p.must(defineOp(&edriv1.DefineWorkflow{Name: typ, Version: 1, RetentionAge: int64(k.age), RetentionCount: uint64(k.count),
				Attributes: []*edriv1.WorkflowAttribute{{Name: "customer"}}}))
		}
		for range rapid.IntRange(20, 100).Draw(t, "steps") {
			g.step()
			p.ring()
			p.check1(t)
			g.compare()
		}
		g.finish()
	})
}

// play draws what clients, workers and time do.
type play struct {
	*rapid.T
	p     *plant
	m     *model
	count int // of what was made: its ids, and its times, so that no two are alike
}

var playIDs = []string{"a", "b", "c", "d"}

func (g *play) compare() {
	g.Helper()
	if got, want := g.p.state(), g.m.String(); got != want {
		g.Fatalf("the runs are\n%swant\n%s", got, want)
	}
}

// state renders all runs.
func (p *plant) state() string {
	p.Helper()
	v := p.core.View()
	defer v.Close()
	var b strings.Builder
	it := v.Scan(machineName, []byte{kindRun}, []byte{kindRun + 1}, false)
	defer it.Close()
	for it.Next() {
		r, err := viewRun(v, second(it.Key()))
		if err != nil {
			p.Fatalf("%v", err)
		}
		entries, err := entriesOf(v, r.number, r.read+1)
		if err != nil {
			p.Fatalf("%v", err)
		}
		var inbox, open, updates []string
		for _, e := range entries {
			inbox = append(inbox, e.Kind)
		}
		for _, kind := range []byte{kindTimer, kindRequest, kindAwait, kindChild} {
			for key := range rowsOf(p, kind, r.number) {
				if seq := second([]byte(key)); seq != 0 {
					open = append(open, fmt.Sprintf("%c%d", kind, seq))
				}
			}
		}
		for key, row := range rowsOf(p, kindUpdate, r.number) {
			u, err := parseUpdate([]byte(row))
			if err != nil {
				p.Fatalf("%v", err)
			}
			updates = append(updates, key[9:]+map[bool]string{false: " open", true: " done"}[u.done])
		}
		render(&b, string(r.id), r.number, statuses[r.status], r.is(flagPaused), r.is(flagBusy), inbox, open, updates)
	}
	return b.String()
}

func rowsOf(p *plant, kind byte, number uint64) map[string]string {
	v := p.core.View()
	defer v.Close()
	lo, hi := pairsOf(kind, number)
	it := v.Scan(machineName, lo, hi, false)
	defer it.Close()
	rows := map[string]string{}
	for it.Next() {
		rows[string(it.Key())] = string(it.Value())
	}
	return rows
}

func (g *play) name() string {
	g.count++
	return fmt.Sprint("n", g.count)
}

// after is a time that nothing else has.
func (g *play) after() int64 {
	g.count++
	return int64(rapid.IntRange(1, 100).Draw(g.T, "minutes"))*int64(time.Minute) + int64(g.count)
}

func (g *play) step() {
	id := rapid.SampledFrom(playIDs).Draw(g.T, "id")
	g.pass(1) // no two runs end at the same time, but by one operation
	r := g.m.last(id)
	switch what := rapid.IntRange(0, 30).Draw(g.T, "step"); {
	case what == 0:
		g.pass(int64(rapid.IntRange(0, 90).Draw(g.T, "time")) * int64(time.Minute))
	case what == 1:
		g.p.reopen()
	case what == 2:
		typ := rapid.SampledFrom([]string{"e", "f"}).Draw(g.T, "type")
		g.p.must(appendEvent("s", cloudEvent(g.name(), typ, "", "")))
		g.m.event(typ)
	case r == nil || what == 3 || what == 4:
		g.start(id)
	case r.status != workflows.Running && what < 15:
		g.afterEnd(r)
	case r.status != workflows.Running:
		g.start(id)
	case what < 17:
		g.client(r, what)
	default:
		g.advance(r)
	}
}

// pass lets time pass from one thing that is due to the next.
func (g *play) pass(d int64) {
	end := g.m.now + d
	for due := g.m.next(); due > 0 && due <= end; due = g.m.next() {
		g.m.now = due
		g.m.fire()
		g.p.ring()
	}
	g.m.now = end
}

func (g *play) start(id string) {
	s := &edriv1.StartRun{
		Id: id, Type: rapid.SampledFrom([]string{"order", "few"}).Draw(g.T, "type"),
		Reuse:    edriv1.StartRun_Reuse(rapid.IntRange(0, 2).Draw(g.T, "reuse")),
		Conflict: edriv1.StartRun_Conflict(rapid.IntRange(0, 2).Draw(g.T, "conflict")),
	}
	if rapid.Bool().Draw(g.T, "delays") {
		s.Delay = g.after()
	}
	if rapid.Bool().Draw(g.T, "times out") {
		s.Timeout = g.after()
	}
	if rapid.Bool().Draw(g.T, "signals") {
		s.Signal = &edriv1.RunSignal{Name: "s"}
	}
	if rapid.Bool().Draw(g.T, "is found") {
		s.Attributes = `{"customer":"` + g.name() + `"}`
	}
	result := g.p.do(startRunOp(s))
	r := g.m.last(id)
	switch {
	case r != nil && r.status == workflows.Running && s.Conflict == edriv1.StartRun_FAIL,
		r != nil && r.status != workflows.Running && (s.Reuse == edriv1.StartRun_NEVER || s.Reuse == edriv1.StartRun_IF_FAILED && r.status == workflows.Completed):
		if got := result.GetError().GetCode(); got != "exists" {
			g.Fatalf("start: %q", got)
		}
		return
	case result.Error != nil:
		g.Fatalf("start: %v", result.Error)
	case r != nil && r.status == workflows.Running && s.Conflict == edriv1.StartRun_USE:
	default:
		before := r
		number := result.Results[0].GetRunStarted().GetNumber()
		if before != nil && before.status == workflows.Running {
			g.m.end(before, workflows.Terminated, nil)
		}
		r = g.m.start(id, s.Type, number, s.Delay, s.Timeout)
	}
	if s.Signal != nil {
		r.inbox = append(r.inbox, "signal.received")
	}
}

// afterEnd does what may be done to a run that has ended.
func (g *play) afterEnd(r *modelRun) {
	if rapid.Bool().Draw(g.T, "delete") {
		g.p.must(deleteRun(r.id, r.number))
		g.m.forget(r)
		return
	}
	g.reset(r)
}

func (g *play) reset(r *modelRun) {
	history := g.p.runOf(r.id, r.number).History
	h := rapid.SampledFrom(history).Draw(g.T, "range")
	to := rapid.Uint64Range(uint64(h.From), uint64(h.To)).Draw(g.T, "revision")
	op := resetRun(r.id, r.number, to)
	var signals []string
	if rapid.Bool().Draw(g.T, "keep") {
		op.GetResetRun().DropSignals, op.GetResetRun().Through = false, uint64(history[len(history)-1].To)
		for _, kind := range r.inbox {
			if kind == "signal.received" {
				signals = append(signals, kind)
			}
		}
	}
	number := g.p.must(op).GetRunStarted().GetNumber()
	var own *modelOpen
	if p := r.parent; p != nil && p.status == workflows.Running && p.open[r.seq] != nil && p.open[r.seq].child == r {
		own = p.open[r.seq]
	}
	parent, seq, timeout, root, from := r.parent, r.seq, r.timeout, r.root, r.from
	next := &modelRun{}
	if own != nil {
		own.child = next
	}
	if r.status == workflows.Running {
		g.m.end(r, workflows.Terminated, nil)
	}
	*next = *g.m.start(r.id, r.typ, number, 0, timeout)
	g.m.runs[len(g.m.runs)-1] = next
	next.parent, next.seq, next.inbox, next.root, next.from = parent, seq, signals, root, from
	if slices.Contains(g.m.runs, r) && rapid.Bool().Draw(g.T, "delete the one before") {
		g.p.must(deleteRun(r.id, r.number))
		g.m.forget(r)
	}
}

func (g *play) client(r *modelRun, what int) {
	switch what {
	case 5, 6, 7:
		g.p.must(signalRun(r.id, "s", ""))
		r.inbox = append(r.inbox, "signal.received")
	case 8, 9:
		id := rapid.SampledFrom([]string{"u", "v"}).Draw(g.T, "update")
		g.p.must(updateRun(r.id, id, "n", ""))
		if r.updates[id] == "" {
			r.updates[id] = "open"
			r.inbox = append(r.inbox, "update "+id)
		}
	case 10, 11:
		g.p.must(cancelRunOp(r.id, ""))
		g.m.cancel(r)
	case 12:
		g.p.must(pauseRun(r.id, true, "why"))
		r.paused = true // and blocked, if it was
	case 13:
		if g.p.code(retryRun(r.id)) == "" != r.blocked {
			g.Fatalf("retry of one that is blocked: %v", r.blocked)
		}
		if r.blocked {
			r.paused, r.blocked = false, false
			r.inbox = append(r.inbox, "retry.requested")
		}
	case 14:
		g.p.must(pauseRun(r.id, false, ""))
		if r.blocked {
			r.inbox = append(r.inbox, "retry.requested")
		}
		r.paused, r.blocked = false, false
	case 15:
		g.p.must(terminateRun(r.id, "why"))
		g.m.end(r, workflows.Terminated, nil)
	case 16:
		g.reset(r)
	}
}

// advance draws what a worker does.
func (g *play) advance(r *modelRun) {
	a := &edriv1.AdvanceRun{Id: r.id, Number: r.number, Advance: g.p.run(r.id).Advance + 1, Nonce: 1, Busy: rapid.Bool().Draw(g.T, "busy")}
	entry := g.p.run(r.id).Entry
	add := func(records ...*edriv1.RunRecord) { a.Records = append(a.Records, records...) }
	r.busy = a.Busy
	for range rapid.IntRange(0, min(3, len(r.inbox))).Draw(g.T, "entries") {
		entry++
		id, update := strings.CutPrefix(r.inbox[0], "update ")
		r.inbox = r.inbox[1:]
		if update && rapid.Bool().Draw(g.T, "reject") {
			add(rejectRecord(entry, `{"message":"no"}`))
			r.updates[id] = "done"
			continue
		}
		add(entryRecord(entry))
		if update && rapid.Bool().Draw(g.T, "answer") {
			add(finishRecord(id, "1"))
			r.updates[id] = "done"
		}
	}
	for range rapid.IntRange(0, 3).Draw(g.T, "records") {
		g.do(r, add)
	}
	end := rapid.IntRange(0, 9).Draw(g.T, "end")
	switch end {
	case 0, 1:
		record := completeRecord("1")
		record.GetEnd().Insist = true
		add(record)
	case 2:
		record := continueRecord(&edriv1.StartRun{})
		if rapid.Bool().Draw(g.T, "void") {
			r.ahead = 0
		}
		record.GetEnd().Carried = uint64(r.ahead)
		add(record)
	case 3:
		a.Block = &edriv1.RunBlock{Reason: "b"}
	case 4, 5:
		if rapid.Bool().Draw(g.T, "anew") {
			r.ahead = 0
		}
		a.CarryFrom = uint64(r.ahead)
		for range rapid.IntRange(1, 3).Draw(g.T, "carry") {
			a.Carry = append(a.Carry, &edriv1.RunSignal{Name: "s"})
			r.ahead++
		}
	default:
		add(ownRecord(workflows.KindStepCompleted, "1"))
	}
	g.p.must(advanceRunOp(a))
	for seq, o := range r.open { // children that were started have a number now
		if o.kind == kindChild && o.child == nil {
			number, _, err := parsePair([]byte(rowsOf(g.p, kindChild, r.number)[string(pairKey(kindChild, r.number, seq))]), "")
			if err != nil {
				g.Fatalf("child: %v", err)
			}
			o.child = g.m.start(o.typ, "order", number, 0, 0)
			o.child.parent, o.child.seq, o.child.from = r, seq, r.root
		}
	}
	slices.SortFunc(g.m.runs, byNumber)
	switch end {
	case 0, 1:
		g.m.end(r, workflows.Completed, nil)
	case 2:
		next := g.m.start(r.id, r.typ, g.p.run(r.id).Number, 0, r.timeout)
		next.inbox = slices.Repeat([]string{"signal.received"}, r.ahead)
		slices.SortFunc(g.m.runs, byNumber) // which was taken when the first signals went ahead
		g.m.end(r, workflows.Continued, next)
	case 3:
		r.paused, r.blocked = true, true
	}
}

func byNumber(a, b *modelRun) int { return cmp.Compare(a.number, b.number) }

// do draws one thing that a worker asks for.
func (g *play) do(r *modelRun, add func(...*edriv1.RunRecord)) {
	g.count++
	seq := uint64(g.count)
	switch rapid.IntRange(0, 5).Draw(g.T, "do") {
	case 0:
		after := g.after()
		add(timerRecord(seq, time.Duration(after)))
		r.open[seq] = &modelOpen{kind: kindTimer, due: g.m.now + after}
	case 1:
		after := g.after()
		add(requestRecord(seq, cloudEvent(g.name(), "ask", event.KindRequest, ""), time.Duration(after)))
		r.open[seq] = &modelOpen{kind: kindRequest, due: g.m.now + after}
	case 2:
		typ := rapid.SampledFrom([]string{"e", "f"}).Draw(g.T, "type")
		add(awaitRecord(seq, typ, "", ""))
		r.open[seq] = &modelOpen{kind: kindAwait, typ: typ}
	case 3:
		id := g.name()
		if made := g.m.madeBefore(r); len(made) > 0 && rapid.Bool().Draw(g.T, "again") {
			id = rapid.SampledFrom(made).Draw(g.T, "child")
			if c := g.m.last(id); c.status == workflows.Running {
				g.m.end(c, workflows.Terminated, nil)
			}
		}
		onClose := rapid.IntRange(0, 2).Draw(g.T, "on close")
		add(childRecord(seq, &edriv1.StartRun{Id: id, Type: "order"}, edriv1.StartChildRun_OnClose(onClose)))
		r.open[seq] = &modelOpen{kind: kindChild, typ: id, onClose: onClose}
	case 4:
		g.drop(r, add)
	case 5:
		g.respond(r)
	}
}

func (g *play) drop(r *modelRun, add func(...*edriv1.RunRecord)) {
	seqs := sortedKeys(r.open)
	if len(seqs) == 0 {
		return
	}
	seq := rapid.SampledFrom(seqs).Draw(g.T, "drop")
	record := &edriv1.RunRecord{Time: start2026, Data: "1"}
	switch o := r.open[seq]; o.kind {
	case kindTimer:
		record.Kind, record.Do = workflows.KindTimerCanceled, &edriv1.RunRecord_CancelTimer{CancelTimer: seq}
	case kindRequest:
		record.Kind, record.Do = workflows.KindRequestDropped, &edriv1.RunRecord_DropRequest{DropRequest: seq}
	case kindAwait:
		record.Kind, record.Do = workflows.KindEventDropped, &edriv1.RunRecord_DropEvent{DropEvent: seq}
	default:
		if o.child != nil { // else it is started by the same advance
			record.Kind, record.Do = workflows.KindChildCanceled, &edriv1.RunRecord_CancelChild{CancelChild: &edriv1.CancelChildRun{Seq: seq}}
			add(record)
			g.m.cancel(o.child)
		}
		return
	}
	add(record)
	delete(r.open, seq)
}

// respond answers a request that is open since before.
func (g *play) respond(r *modelRun) {
	for _, seq := range sortedKeys(r.open) {
		row := rowsOf(g.p, kindRequest, r.number)[string(pairKey(kindRequest, r.number, seq))]
		if r.open[seq].kind != kindRequest || row == "" {
			continue
		}
		position, _, err := parsePair([]byte(row), "")
		if err != nil {
			g.Fatalf("%v", err)
		}
		g.p.must(respondOp(position, cloudEvent(g.name(), "answer", event.KindResponse, "")))
		delete(r.open, seq)
		r.inbox = append(r.inbox, "request.completed")
		return
	}
}

// finish ends and deletes everything.
func (g *play) finish() {
	for _, r := range slices.Clone(g.m.runs) {
		g.p.do(terminateRun(r.id, "")) // may have ended by its parent
		g.p.ring()
	}
	g.p.check1(g.T)
	for range 3 { // the last of an id, then those before it
		for _, id := range idsOf(g.m.runs) {
			for g.p.code(deleteRun(id, 0)) == "" {
				g.p.check1(g.T)
			}
		}
	}
	if rows := g.p.rows(); rows != "" {
		g.Fatalf("rows are left: %s", rows)
	}
}

func idsOf(runs []*modelRun) []string {
	var ids []string
	for _, r := range runs {
		ids = append(ids, r.id)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
