package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
	"github.com/edri-io/edri/workflows"
)

// census is what the machine's rows are, to be held to what doc.go says of them.
type census struct {
	failer
	view *consensus.View
	rows map[string][]byte
	runs map[uint64]*run
	// byRun are the keys of what runs wait for and of their updates, by kind and number.
	byRun map[string][]string
	// want are the rows that the runs and each other make necessary.
	want map[string]bool
	// timers are those of the table, by row: BE8 due, BE8 number.
	timers map[string][]byte
}

// invariants checks all that doc.go says of the rows, and that none is left over.
func invariants(t failer, v *consensus.View) {
	t.Helper()
	c := &census{failer: t, view: v, rows: map[string][]byte{}, runs: map[uint64]*run{}, byRun: map[string][]string{}, want: map[string]bool{}, timers: map[string][]byte{}}
	c.read()
	for _, r := range c.runs {
		c.run(r)
	}
	c.ids()
	c.ended()
	c.pairs()
	c.carries()
	c.waits()
	c.pins()
	c.tableOfTimers()
	for key := range c.rows {
		if !c.want[key] && key[0] != kindDefinition {
			t.Errorf("a row is left over: %c %x", key[0], key[1:])
		}
	}
	for key := range c.want {
		if c.rows[key] == nil {
			t.Errorf("a row is missing: %c %x", key[0], key[1:])
		}
	}
}

func (c *census) read() {
	c.Helper()
	it := c.view.Scan(machineName, nil, nil, false)
	for it.Next() {
		c.rows[string(it.Key())] = append([]byte{}, it.Value()...)
	}
	it.Close()
	for key := range c.rows {
		if len(key) > 9 && strings.IndexByte("tqvcu", key[0]) >= 0 {
			c.byRun[key[:9]] = append(c.byRun[key[:9]], key)
		}
	}
	for key, row := range c.rows {
		if key[0] != kindRun {
			continue
		}
		r, err := parseRun(second([]byte(key)), bytes.Clone(row))
		if err != nil {
			c.Fatalf("run %x: %v", key, err)
		}
		c.runs[r.number] = r
	}
	it = c.view.Scan("timers", nil, nil, false)
	defer it.Close()
	for it.Next() {
		size, n := binary.Uvarint(it.Value())
		if owner := string(it.Value()[n : n+int(size)]); owner == machineName {
			c.timers[string(it.Key())] = bytes.Clone(it.Value()[n+int(size):])
		}
	}
}

// of returns the keys of a kind and a run, in no order.
func (c *census) of(kind byte, number uint64) []string {
	return c.byRun[string(numberKey(kind, number))]
}

// need says that rows are as they should be there.
func (c *census) need(keys ...[]byte) {
	for _, key := range keys {
		c.want[string(key)] = true
	}
}

func (c *census) run(r *run) {
	c.Helper()
	c.need(numberKey(kindRun, r.number), indexKey(fieldStatus, r.status.String(), r.number), indexKey(fieldType, string(r.typ), r.number))
	var events uint64
	var last event.Revision
	for _, h := range r.history {
		if h.From <= last || h.To < h.From {
			c.Errorf("%s: history is %v", r.name(), r.history)
		}
		events, last = events+uint64(h.To-h.From)+1, h.To
	}
	if events != r.events {
		c.Errorf("%s: history %v has %d events, the row says %d", r.name(), r.history, events, r.events)
	}
	c.inbox(r)
	ended := r.status != statusRunning
	if !ended && r.first != r.number {
		key := numberKey(kindChain, r.first)
		c.need(key)
		if got := c.rows[string(key)]; !bytes.Equal(got, binary.BigEndian.AppendUint64(nil, r.number)) {
			c.Errorf("the last run of the chain of %d is %x, want %d", r.first, got, r.number)
		}
	}
	if ended != (r.ended != 0) || ended && r.open != 0 || ended && r.unread() || ended && r.flags&(flagBusy|flagPaused|flagDelayed|flagReady) != 0 {
		c.Errorf("%s: status %s, ended %d, open %d, unread %v, flags %b", r.name(), r.status, r.ended, r.open, r.unread(), r.flags)
	}
	ready := !ended && !r.is(flagDelayed) && (r.is(flagBusy) || r.unread())
	if ready != r.is(flagReady) {
		c.Errorf("%s: ready is %v, flags are %b, unread %v", r.name(), ready, r.flags, r.unread())
	}
	if ready {
		c.need(numberKey(kindReady, r.number))
	}
	if row := c.rows[string(numberKey(kindDetails, r.number))]; row != nil {
		c.need(numberKey(kindDetails, r.number))
		d, err := parseDetails(row)
		if err != nil {
			c.Fatalf("details of %s: %v", r.name(), err)
		}
		for name, v := range d.attributes {
			c.need(indexKey(name, v, r.number))
		}
	}
	if c.rows[string(numberKey(kindOutcome, r.number))] != nil && ended {
		c.need(numberKey(kindOutcome, r.number))
	}
	var updates, answers uint64
	for _, key := range c.of(kindUpdate, r.number) {
		u, err := parseUpdate(c.rows[key])
		if err != nil {
			c.Fatalf("update of %s: %v", r.name(), err)
		}
		if ended && !u.done && r.status != statusContinued {
			c.Errorf("%s has ended, and its update %q has no answer", r.name(), key[9:])
		}
		c.need([]byte(key))
		updates++
		answers += uint64(len(u.result) + len(u.failure))
	}
	if !r.uncounted && (updates != r.updates || answers != r.answers) {
		c.Errorf("%s: has %d updates with answers of %d bytes, the row says %d of %d", r.name(), updates, answers, r.updates, r.answers)
	}
	c.opened(r, ended)
}

func (c *census) inbox(r *run) {
	c.Helper()
	var mail, size uint64
	for n := r.read + 1; n <= r.last; n++ {
		key := pairKey(kindEntry, r.number, n)
		c.need(key)
		if c.rows[string(key)] == nil {
			continue
		}
		e, err := parseEntry(c.rows[string(key)])
		if err != nil {
			c.Fatalf("entry %d of %s: %v", n, r.name(), err)
		}
		if len(e.data) > event.MaxDataBytes {
			c.Errorf("entry %d of %s has %d bytes, and can never be consumed", n, r.name(), len(e.data))
		}
		if e.mail && !e.carried {
			mail, size = mail+1, size+uint64(len(e.data))
		}
	}
	if mail != r.mail || size != r.mailBytes {
		c.Errorf("%s: has %d signals and updates of %d bytes, the row says %d of %d", r.name(), mail, size, r.mail, r.mailBytes)
	}
}

// opened checks what a run waits for.
func (c *census) opened(r *run, ended bool) {
	c.Helper()
	var open uint64
	for _, kind := range []byte{kindTimer, kindRequest, kindAwait, kindChild} {
		for _, key := range c.of(kind, r.number) {
			if second([]byte(key)) == 0 {
				continue
			}
			open++
			if !ended {
				c.need([]byte(key))
			}
		}
	}
	if !ended && open != r.open {
		c.Errorf("%s: waits for %d, the row says %d", r.name(), open, r.open)
	}
	own := c.rows[string(pairKey(kindTimer, r.number, 0))]
	if own != nil {
		c.need(pairKey(kindTimer, r.number, 0))
	}
	if (ended || r.is(flagDelayed)) && own == nil {
		c.Errorf("%s: has no timer of its own", r.name())
	}
}

// ids checks which runs of an id are found, and by which rows.
func (c *census) ids() {
	c.Helper()
	last := map[string]uint64{}
	for _, r := range c.runs {
		last[string(r.id)] = max(last[string(r.id)], r.number)
	}
	for _, r := range c.runs {
		if last[string(r.id)] != r.number {
			c.need(textKey(kindOlder, r.id, r.number))
			continue
		}
		key := nameKey(kindID, r.id)
		c.need(key)
		if got := c.rows[string(key)]; !bytes.Equal(got, binary.BigEndian.AppendUint64(nil, r.number)) {
			c.Errorf("the last run of %s is %x, want %d", r.id, got, r.number)
		}
	}
}

func (c *census) ended() {
	c.Helper()
	counts := map[string]uint64{}
	for _, r := range c.runs {
		if r.status != statusRunning {
			c.need(endedKey(r))
			counts[string(r.typ)]++
		}
	}
	for typ, n := range counts {
		key := nameKey(kindEndedCount, []byte(typ))
		c.need(key)
		if got := c.rows[string(key)]; !bytes.Equal(got, binary.BigEndian.AppendUint64(nil, n)) {
			c.Errorf("%x runs of %s have ended, want %d", got, typ, n)
		}
	}
}

// pairs checks requests and children, which have a row on both sides.
func (c *census) pairs() {
	c.Helper()
	for key, row := range c.rows {
		switch key[0] {
		case kindRequest:
			position, _, err := parsePair(row, "")
			if err != nil {
				c.Fatalf("%v", err)
			}
			back := numberKey(kindPosition, position)
			c.need(back)
			if got := c.rows[string(back)]; string(got) != key[1:] {
				c.Errorf("the request at %d is that of %x, want %x", position, got, key[1:])
			}
		case kindChild:
			number, _, err := parsePair(row, "")
			if err != nil {
				c.Fatalf("%v", err)
			}
			parent := binary.BigEndian.Uint64([]byte(key[1:9]))
			child := c.runs[number]
			if r := c.runs[parent]; r == nil || r.status != statusRunning {
				c.need([]byte(key)) // to be closed
				c.closing(parent)
				continue
			}
			if child == nil || child.status != statusRunning || child.parent != parent || child.seq != second([]byte(key)) {
				c.Errorf("run %d has the child %d, which is %+v", parent, number, child)
			}
		}
	}
}

// carries checks what went ahead of the ends of runs: it is that of a run which has not
// ended, or is removed by a timer.
func (c *census) carries() {
	c.Helper()
	for key, row := range c.rows {
		if key[0] != kindCarry {
			continue
		}
		got, err := parseCarry(row)
		if err != nil {
			c.Fatalf("%v", err)
		}
		var bytes uint64
		for n := range got.signals {
			key := pairKey(kindEntry, got.heir, n+1)
			c.need(key)
			e, err := parseEntry(c.rows[string(key)])
			if err != nil || !e.mail || !e.carried || string(e.kind) != workflows.KindSignal {
				c.Errorf("entry %d of the run %d to come: %+v, %v", n+1, got.heir, e, err)
			}
			bytes += uint64(len(e.data))
		}
		if r := c.runs[second([]byte(key))]; r == nil || r.status != statusRunning || c.runs[got.heir] != nil || bytes != got.bytes {
			c.Errorf("of run %x %d bytes went ahead, the row says %+v", key[1:], bytes, got)
		}
		c.need([]byte(key))
	}
	for _, payload := range c.timers {
		if payload[0] != timerVoid {
			continue
		}
		number := binary.BigEndian.Uint64(payload[1:9])
		if c.runs[number] != nil {
			c.Errorf("the inbox of run %d is to be removed, which is there", number)
		}
		for key := range c.rows {
			if key[0] == kindEntry && binary.BigEndian.Uint64([]byte(key[1:9])) == number {
				c.need([]byte(key))
			}
		}
	}
}

// closing checks that the children of a run which has ended will be closed.
func (c *census) closing(parent uint64) {
	c.Helper()
	for _, payload := range c.timers {
		if string(payload) == string(timerClose)+string(pair(parent, 0)) {
			return
		}
	}
	c.Errorf("run %d has ended, and nothing closes its children", parent)
}

func (c *census) waits() {
	c.Helper()
	late := map[string]int{} // by position
	for _, payload := range c.timers {
		if payload[0] == timerMatch {
			b := wire.ReadRow(payload[1:])
			prefix, _, _ := b.Text(), b.Text(), b.Text()
			key := lateKey(prefix)
			c.need(key)
			late[string(key)]++
		}
	}
	for key, row := range c.rows {
		if key[0] == kindLate && late[key]*8 != len(row) {
			c.Errorf("%q has %d late events, and %d timers", key, len(row)/8, late[key])
		}
	}
	wants := map[string]uint64{}
	all := uint64(0)
	for key, row := range c.rows {
		if key[0] != kindAwait {
			continue
		}
		c.need(row)
		typ, name, _, ok := splitWaiter(row)
		if !ok || string(row[len(row)-16:]) != key[1:] {
			c.Errorf("the wait %x is found by %x", key, row)
			continue
		}
		wants[string(wantedKey([]byte(typ), name))]++
		all++
	}
	if all > 0 {
		wants[string(rune(kindWants))] = all
	}
	for key, n := range wants {
		c.need([]byte(key))
		if got := c.rows[key]; !bytes.Equal(got, binary.BigEndian.AppendUint64(nil, n)) {
			c.Errorf("%q counts %x, want %d", key, got, n)
		}
	}
}

// pins checks that each run's history is pinned from its first event, and nothing else is.
func (c *census) pins() {
	c.Helper()
	want := map[string]bool{}
	for _, r := range c.runs {
		want[fmt.Sprintf("%d %x", r.pin, numberKey(kindRun, r.number))] = true
	}
	for pin, err := range c.view.Pins(machineName, consensus.Pin{}, math.MaxUint64) {
		if err != nil {
			c.Fatalf("pins: %v", err)
		}
		key := fmt.Sprintf("%d %x", pin.Position, pin.Name)
		if !want[key] {
			c.Errorf("a pin is left over: %s", key)
		}
		delete(want, key)
	}
	for key := range want {
		c.Errorf("a pin is missing: %s", key)
	}
}

// tableOfTimers checks that the table has the timers of the rows 't', and none else of runs.
func (c *census) tableOfTimers() {
	c.Helper()
	of := map[string]bool{}
	for key, row := range c.rows {
		if key[0] != kindTimer {
			continue
		}
		of[string(row)] = true
		payload := c.timers[string(row)]
		r := c.runs[binary.BigEndian.Uint64([]byte(key[1:9]))]
		if r == nil {
			continue // told already
		}
		kind := byte(timerStep)
		switch {
		case second([]byte(key)) != 0:
		case r.status != statusRunning:
			kind = timerForget
		case r.is(flagDelayed):
			kind = timerDelay
		default:
			kind = timerTimeout
		}
		if string(payload) != string(rune(kind))+key[1:] {
			c.Errorf("%s: the timer %x is %q in the table, want %c", r.name(), key, payload, kind)
		}
	}
	for timer, payload := range c.timers {
		if payload[0] != timerClose && payload[0] != timerMatch && payload[0] != timerVoid && !of[timer] {
			c.Errorf("a timer is left over: %q", payload)
		}
	}
}
