package engine

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/jsonwrite"
	"github.com/edri-io/edri/internal/wire"
	"github.com/edri-io/edri/workflows"
)

// Runs that wait for an event are found by its type and one of the values that they want
// it to have: so an event costs what matches it, however many runs wait.
//
//	'W'                                         how many runs wait for any event
//	'k' text(type) name                         how many wait for the type and, by this
//	                                            name, for a value
//	'w' text(type) text(name) text(value)       what a run waits for: filter, match
//	    BE8 number BE8 seq
//	'v' BE8 number BE8 seq                      the key of its 'w'
//	'l' type, name, value as in 'w'             BE8 positions of the events that have not
//	                                            reached all who wait so, each with a timer
//
// A text is as in the index, so that none is the beginning of another.

// maxMatched is how many runs one event reaches in its own transaction. The others are
// reached by a timer that is due at once.
const maxMatched = 1000

// maxMatchedBytes is the same of what it puts into their inboxes.
const maxMatchedBytes = 16 << 20

// awaited is the row of a wait: version | uvarint position | texts: filter, match, both
// JSON. It is for events behind the position.
type awaited struct {
	behind        event.Position
	filter, match []byte
}

func (a *awaited) append(dst []byte) []byte {
	dst = binary.AppendUvarint(append(dst, rowVersion), uint64(a.behind))
	return wire.AppendText(wire.AppendText(dst, a.filter), a.match)
}

func parseAwaited(row []byte) (awaited, error) {
	b := wire.ReadRow(row)
	b.Version(rowVersion)
	a := awaited{behind: event.Position(b.Uvarint()), filter: b.Text(), match: b.Text()}
	return a, b.Done(errRow, "wait for an event")
}

func wantedKey(typ []byte, name string) []byte {
	return append(appendValue([]byte{kindWanted}, string(typ)), name...)
}

func waiterPrefix(typ []byte, name, want string) []byte {
	return appendValue(appendValue(appendValue([]byte{kindWaiter}, string(typ)), name), want)
}

// parseMatch reads what values an event is to have, a JSON object of texts. The first in
// the order of names is the one by which the run is found.
func parseMatch(text []byte) (match map[string]string, name, want string, err error) {
	if noMatch(text) {
		return nil, "", "", nil
	}
	match, ok := map[string]string{}, true
	object := members(text, func(name, v jsonValue) {
		switch v.kind {
		case '"':
			match[name.text()] = v.text()
		case 'n':
			match[name.text()] = ""
		default:
			ok = false
		}
	})
	if !object || !ok {
		return nil, "", "", invalid("match: is no JSON object of texts")
	}
	for _, name := range slices.Sorted(maps.Keys(match)) {
		return match, name, match[name], nil
	}
	return nil, "", "", nil
}

// noMatch reports whether an event may have any values.
func noMatch(text []byte) bool {
	r := jsonReader{rest: text}
	return len(text) == 0 || r.value().kind == 'n' && r.ended()
}

// awaitEvent lets a run wait for an event.
func (w *work) awaitEvent(r *run, c awaitEvent) error {
	_, name, want, err := parseMatch(c.match)
	if err != nil {
		return err
	}
	own := pairKey(kindAwait, r.number, c.seq)
	if row, err := w.tx.Get(own); err != nil {
		return err
	} else if row != nil {
		return event.Errorf(event.CodeInvalid, "await_event: run %s waits by sequence number %d", r.name(), c.seq)
	}
	key := append(waiterPrefix(c.typ, name, want), pair(r.number, c.seq)...)
	w.tx.Put(key, (&awaited{behind: w.tx.Position(), filter: c.filter, match: c.match}).append(nil))
	w.tx.Put(own, key)
	if err := w.count(wantedKey(c.typ, name), 1); err != nil {
		return err
	}
	w.tx.React()
	if err := w.count([]byte{kindWants}, 1); err != nil {
		return err
	}
	return r.opens()
}

// dropAwait ends a wait, unless it has ended.
func (w *work) dropAwait(r *run, seq uint64) error {
	key, err := w.tx.Get(pairKey(kindAwait, r.number, seq))
	if key == nil || err != nil {
		return err
	}
	r.dirty = true
	r.open--
	return w.removeAwait(r.number, seq, clone(key))
}

func (w *work) removeAwait(number, seq uint64, key []byte) error {
	typ, name, _, ok := splitWaiter(key)
	if !ok {
		return fmt.Errorf("%w: wait for an event, key %x", errRow, key)
	}
	w.tx.Delete(key)
	w.tx.Delete(pairKey(kindAwait, number, seq))
	if err := w.count(wantedKey([]byte(typ), name), -1); err != nil {
		return err
	}
	return w.count([]byte{kindWants}, -1)
}

// splitWaiter takes the texts of a 'w' key apart.
func splitWaiter(key []byte) (typ, name, want string, ok bool) {
	if len(key) < 17 {
		return "", "", "", false
	}
	rest := key[1 : len(key)-16]
	for _, dst := range []*string{&typ, &name, &want} {
		text, after, found := splitText(rest)
		if !found {
			return "", "", "", false
		}
		*dst, rest = text, after
	}
	return typ, name, want, len(rest) == 0
}

// splitText reads a text as appendValue writes it.
func splitText(b []byte) (text string, rest []byte, ok bool) {
	var out []byte
	for i := 0; i+1 < len(b); i++ {
		switch {
		case b[i] != 0:
			out = append(out, b[i])
		case b[i+1] == 1:
			return string(out), b[i+2:], true
		default:
			out = append(out, 0)
			i++
		}
	}
	return "", nil, false
}

// count changes a row that is a number, and is not there when it is 0.
func (w *work) count(key []byte, by int64) error {
	row, err := w.tx.Get(key)
	if err != nil {
		return err
	}
	n := uint64(by)
	if row != nil {
		b := wire.ReadRow(row)
		n += b.BE8()
		if err := b.Done(errRow, "number of waits"); err != nil {
			return err
		}
	}
	if n == 0 {
		w.tx.Delete(key)
	} else {
		w.tx.Put(key, binary.BigEndian.AppendUint64(nil, n))
	}
	return nil
}

// Reacts implements consensus.Reactor.
func (m *Machine) Reacts(tx *consensus.Tx) (bool, error) {
	row, err := tx.Get([]byte{kindWants})
	return row != nil, err
}

// Appended implements consensus.Reactor: the runs that wait for an event have it, in the
// commit that appended it.
func (m *Machine) Appended(tx *consensus.Tx, e consensus.Appended) error {
	h, err := event.ScanHeader(e.Event)
	if err != nil {
		return fmt.Errorf("%w: event: %v", consensus.ErrUndecodable, err)
	}
	return m.within(tx, func(w *work) error { return w.appended(e, h) })
}

func (w *work) appended(e consensus.Appended, h event.Header) error {
	prefix := appendValue([]byte{kindWanted}, string(h.Type))
	names, err := w.keysIn(prefix, prefixEnd(prefix), math.MaxInt)
	if err != nil {
		return err
	}
	for _, key := range names {
		name := string(key[len(prefix):])
		want, ok := "", true
		if name != "" {
			want, ok = valueOf(&e, &h, name)
		}
		if !ok {
			continue
		}
		if err := w.match(&e, &h, waiterPrefix(h.Type, name, want)); err != nil {
			return err
		}
	}
	return nil
}

// match gives an event to the runs whose waits begin with a prefix, behind those events
// that have not reached all of them yet.
func (w *work) match(e *consensus.Appended, h *event.Header, prefix []byte) error {
	late, err := w.late(prefix)
	if err != nil {
		return err
	}
	if len(late) > 0 {
		w.matchLater(e, prefix, nil)
		w.putLate(prefix, append(late, uint64(e.Position)))
		return nil
	}
	more, err := w.matchFrom(e, h, prefix, nil)
	if more {
		w.putLate(prefix, []uint64{uint64(e.Position)})
	}
	return err
}

// late returns the positions of the events that have not reached all waits of a prefix.
func (w *work) late(prefix []byte) ([]uint64, error) {
	row, err := w.tx.Get(lateKey(prefix))
	if row == nil || err != nil {
		return nil, err
	}
	if len(row) == 0 || len(row)%8 != 0 {
		return nil, fmt.Errorf("%w: late events of %d bytes", errRow, len(row))
	}
	var list []uint64
	for ; len(row) > 0; row = row[8:] {
		list = append(list, binary.BigEndian.Uint64(row))
	}
	return list, nil
}

func (w *work) putLate(prefix []byte, list []uint64) {
	if len(list) == 0 {
		w.tx.Delete(lateKey(prefix))
		return
	}
	var row []byte
	for _, position := range list {
		row = binary.BigEndian.AppendUint64(row, position)
	}
	w.tx.Put(lateKey(prefix), row)
}

// lateKey is the row of late events for the waits of a prefix, which is of 'w'.
func lateKey(prefix []byte) []byte { return nameKey(kindLate, prefix[1:]) }

// matchLater sets a timer by which an event reaches waits behind a key, that is due at once.
func (w *work) matchLater(e *consensus.Appended, prefix, after []byte) {
	// The event's bytes go along: apply does not read the journal.
	payload := wire.AppendText([]byte{timerMatch}, prefix)
	payload = wire.AppendText(payload, after)
	payload = wire.AppendText(payload, e.Stream)
	payload = binary.AppendUvarint(payload, uint64(e.Position))
	w.m.timers.Set(w.tx, w.m, w.now(), append(payload, e.Event...))
}

// matchFrom gives an event to the runs whose waits begin with a prefix, those after a key
// alone where one is given, and reports whether there are more, for which it has set a timer.
func (w *work) matchFrom(e *consensus.Appended, h *event.Header, prefix, after []byte) (more bool, err error) {
	lo := prefix
	if len(after) > 0 {
		lo = append(clone(after), 0)
	}
	keys, err := w.keysIn(lo, prefixEnd(prefix), maxMatched)
	if err != nil {
		return false, err
	}
	var data, failed []byte
	spent := 0
	for i, key := range keys {
		if spent > maxMatchedBytes {
			keys = keys[:i]
			break
		}
		row, err := w.tx.Get(key)
		if err != nil {
			return false, err
		}
		a, err := parseAwaited(row)
		if err != nil {
			return false, err
		}
		if ok, err := a.wants(e, h); err != nil {
			return false, err
		} else if !ok {
			continue
		}
		if data == nil && failed == nil {
			if data, err = eventJSON(e.Event); err != nil {
				return false, err
			}
			if size := len(data); size > maxEventJSON {
				data, failed = nil, tooLargeEvent(e, h, size)
			}
		}
		number, seq := binary.BigEndian.Uint64(key[len(key)-16:]), second(key)
		r, err := w.run(number)
		if err != nil {
			return false, err
		}
		if r == nil || r.status != statusRunning {
			return false, fmt.Errorf("%w: run %d, which has ended, waits for an event", errRow, number)
		}
		r.open--
		if err := w.removeAwait(number, seq, key); err != nil {
			return false, err
		}
		var received jsonwrite.Object
		received.Number("seq", seq).Number("position", uint64(e.Position)).Text("stream", []byte(e.Stream)).JSON("event", data).JSON("error", failed)
		w.deliver(r, workflows.KindEvent, received.Done())
		spent += len(data) + len(failed)
	}
	if spent <= maxMatchedBytes && len(keys) < maxMatched {
		return false, nil
	}
	w.matchLater(e, prefix, keys[len(keys)-1])
	return true, nil
}

// matchOn goes on where matchFrom left.
func (w *work) matchOn(payload []byte) error {
	b := wire.ReadRow(clone(payload))
	prefix, after := b.Text(), b.Text()
	e := consensus.Appended{Stream: string(b.Text()), Position: event.Position(b.Uvarint())}
	e.Event = b.Rest()
	if err := b.Done(errRow, "timer of a wait for an event"); err != nil {
		return err
	}
	h, err := event.ScanHeader(e.Event)
	if err != nil {
		return fmt.Errorf("%w: event: %v", consensus.ErrUndecodable, err)
	}
	late, err := w.late(prefix)
	if err != nil {
		return err
	}
	if len(late) == 0 {
		return fmt.Errorf("%w: the event at %d is not late", errRow, e.Position)
	}
	if late[0] != uint64(e.Position) { // it is not its turn
		w.matchLater(&e, prefix, after)
		return nil
	}
	more, err := w.matchFrom(&e, &h, prefix, after)
	if err == nil && !more {
		w.putLate(prefix, late[1:])
	}
	return err
}

// wants reports whether an event is what is waited for.
func (a *awaited) wants(e *consensus.Appended, h *event.Header) (bool, error) {
	if e.Position <= a.behind {
		return false, nil
	}
	match, _, _, err := parseMatch(a.match)
	if err != nil {
		return false, errRow
	}
	for name, want := range match {
		if got, ok := valueOf(e, h, name); !ok || got != want {
			return false, nil
		}
	}
	if len(a.filter) == 0 {
		return true, nil
	}
	f, err := event.ParseFilter(a.filter)
	if err != nil {
		return false, errRow
	}
	return f.Matches(h), nil
}

// valueOf returns what an event has by a name: "subject", "source", "id", "stream", an
// extension, or a JSON pointer into the data.
func valueOf(e *consensus.Appended, h *event.Header, name string) (string, bool) {
	switch {
	case name == "stream":
		return e.Stream, true
	case strings.HasPrefix(name, "/"):
		return pointed(h.Data, name)
	}
	return h.Attribute(name)
}

// pointed returns the text, number or truth value that a JSON pointer (RFC 6901) leads to.
// What is behind the first value of the data does not matter.
func pointed(data []byte, pointer string) (string, bool) {
	path := strings.Split(pointer[1:], "/")
	for i, token := range path {
		path[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	}
	r := jsonReader{rest: data}
	switch v := r.at(path); v.kind {
	case '"':
		return v.text(), true
	case '0', 't', 'f':
		return string(v.raw), true
	}
	return "", false
}

// prefixEnd returns the first key after all that begin with prefix.
func prefixEnd(prefix []byte) []byte {
	end := clone(prefix)
	for len(end) > 0 && end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	if len(end) == 0 {
		return nil
	}
	end[len(end)-1]++
	return end
}
