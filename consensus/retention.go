package consensus

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
	"github.com/edri-io/edri/store"
)

// RetainCommit returns the commit that ends the history before a position. Apply
// stops at the lowest pin.
func RetainCommit(first event.Position, waiter uint64) []byte {
	return internalCommit(opRetain, wire.AppendUint(nil, 2, uint64(first)), waiter)
}

// retain moves the journal's first position, which never goes back. Files are
// deleted later: see RemoveRetained.
func (c *Core) retain(first event.Position) error {
	mark := &c.meta.Mark
	if first > mark.Last+1 {
		return event.Errorf(event.CodeInvalid, "nothing before position %d: the journal ends at %d", first, mark.Last)
	}
	pin, err := lowestPin(c.tx.Scan(c.tables.pins, nil, nil, false))
	if err != nil {
		return err
	}
	if first = min(first, pin); first <= mark.First || mark.Last == 0 {
		return nil
	}
	mark.First, c.bounded = first, true
	for _, stream := range c.purges.Forget(first) {
		c.delete(c.tables.purges, []byte(stream))
	}
	return nil
}

// Retention is how much of the history stays. What is 0 sets no bound.
type Retention struct {
	Age    time.Duration // of an event, by the time of its commit
	Bytes  uint64        // of records in whole segments
	Events uint64
}

// Retention returns the replicated settings of retention.
func (v *View) Retention() (Retention, error) {
	var values [3]uint64
	for i, name := range retentionSettings {
		value, _, err := v.Setting(name)
		if err != nil {
			return Retention{}, err
		}
		values[i] = value
	}
	return Retention{Age: time.Duration(values[0]), Bytes: values[1], Events: values[2]}, nil
}

// retentionSettings names the fields of Retention in their order.
var retentionSettings = [3]string{SettingRetentionAge, SettingRetentionBytes, SettingRetentionEvents}

// Wanted returns the first position that retention would leave of the history at a
// time in nanoseconds since 1970 if nothing were pinned: at least the one that is
// first now. *event.Error compacted says that a file went while it was looked at.
func (v *View) Wanted(now int64) (event.Position, error) {
	r, err := v.Retention()
	if err != nil || r == (Retention{}) || v.Mark.Last == 0 {
		return v.Mark.First, err
	}
	first, err := v.Bound(now, r.Age, r.Bytes)
	if r.Events > 0 && uint64(v.Mark.Last) > r.Events {
		first = max(first, v.Mark.Last-event.Position(r.Events)+1)
	}
	return first, err
}

// Bound returns the first position of what is at most of an age and within so many
// bytes of the end, in whole segments. What is 0 sets no bound.
func (v *View) Bound(now int64, age time.Duration, bytes uint64) (event.Position, error) {
	first, journal := v.Mark.First, v.Journal()
	if bytes > 0 {
		first = max(first, journal.Within(int64(bytes)))
	}
	if age > 0 {
		since, err := journal.Since(now - int64(age))
		if err != nil {
			return 0, fmt.Errorf("find the first event that is young enough: %w", err)
		}
		first = max(first, since)
	}
	return first, nil
}

// firstRetained is Wanted as far as pins allow.
func (v *View) firstRetained(now int64) (event.Position, error) {
	first, err := v.Wanted(now)
	if err != nil || first == v.Mark.First {
		return first, err
	}
	pin, err := lowestPin(v.state.Scan(v.core.tables.pins, nil, nil, false))
	return max(min(first, pin), v.Mark.First), err
}

// retain proposes, on the leader, what ends by the settings. The position is part
// of the commit, so that no node decides by its own clock or files.
func (n *Node) retain() {
	if !n.leads() {
		return
	}
	view := n.View()
	first, err := view.firstRetained(n.clocks.now())
	view.Close()
	switch {
	case isCompacted(err):
		return // a file went while it was looked at; again at the next tick
	case err != nil:
		n.fail(err)
		return
	case first <= view.Mark.First:
		return
	}
	n.submitInternal(func(waiter uint64) []byte {
		return RetainCommit(first, waiter)
	}, n.logRefusal("retain"))
}

func isCompacted(err error) bool {
	var e *event.Error
	return errors.As(err, &e) && e.Code == event.CodeCompacted
}

// lowestPin returns the position of the first of a scan's pins, or one above all
// there are. It closes the scan.
func lowestPin(it *store.Iterator) (event.Position, error) {
	defer it.Close()
	if it.Next() {
		if len(it.Key()) < 8 {
			return 0, fmt.Errorf("%w: a pin's key has %d bytes", errRow, len(it.Key()))
		}
		return event.Position(be64(it.Key())), nil
	}
	if err := it.Err(); err != nil {
		return 0, fmt.Errorf("read pins: %w", err)
	}
	return math.MaxUint64, nil
}
