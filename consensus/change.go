package consensus

import (
	"fmt"
	"strings"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
)

// ChangeKind is what a change does to the members.
type ChangeKind uint8

// The kinds, whose numbers are stored.
const (
	ChangeJoin    ChangeKind = 1 // New becomes a voter
	ChangeRemove  ChangeKind = 2 // Old leaves for good
	ChangeReplace ChangeKind = 3 // New becomes a voter in the place of Old
)

// Change is a change of the members that is under way. It is in the state, so
// that whoever leads carries it on; there is one at a time. What has been done
// of it is seen from Raft's configuration alone.
type Change struct {
	Number  uint64 // distinguishes it from all others; grows
	Kind    ChangeKind
	New     string // server ids
	Old     string
	Address string // raft address of New
	Force   bool   // even where the quorum is lost by it
	Began   int64  // stamp, nanoseconds since 1970
}

// String says what is done, for people.
func (c Change) String() string {
	switch c.Kind {
	case ChangeJoin:
		return c.New + " joins"
	case ChangeRemove:
		return c.Old + " is removed"
	}
	return c.New + " replaces " + c.Old
}

// same reports whether two changes want the same.
func (c Change) same(d Change) bool {
	return c.Kind == d.Kind && c.New == d.New && c.Old == d.Old
}

// append appends the change as protobuf fields in the order of Change's.
func (c Change) append(dst []byte) []byte {
	force := uint64(0)
	if c.Force {
		force = 1
	}
	dst = wire.AppendUint(dst, 1, c.Number)
	dst = wire.AppendUint(dst, 2, uint64(c.Kind))
	dst = wire.AppendBytes(dst, 3, c.New)
	dst = wire.AppendBytes(dst, 4, c.Old)
	dst = wire.AppendBytes(dst, 5, c.Address)
	dst = wire.AppendUint(dst, 6, force)
	return wire.AppendUint(dst, 7, uint64(c.Began))
}

func decodeChange(b []byte) (Change, error) {
	var c Change
	var kind, force, began uint64
	numbers := map[uint32]*uint64{1: &c.Number, 2: &kind, 6: &force, 7: &began}
	texts := map[uint32]*string{3: &c.New, 4: &c.Old, 5: &c.Address}
	f := wire.Walk(b)
	for f.Next() && f.Once() {
		if number, text := numbers[f.Number], texts[f.Number]; number != nil && f.WantVarint() {
			*number = f.Value
		} else if text != nil && f.WantBytes() {
			*text = string(f.Bytes)
		} else {
			f.Unknown()
		}
	}
	c.Kind, c.Force, c.Began = ChangeKind(kind), force != 0, int64(began)
	if c.Kind < ChangeJoin || c.Kind > ChangeReplace {
		f.Fail(fmt.Errorf("kind of change %d", kind))
	}
	return c, f.Err()
}

// Keys of the table changes. A row expect/NAME holds the server id that the next
// node of that name replaces.
var (
	pendingChangeKey = []byte("pending") // the change that is under way
	lastChangeKey    = []byte("last")    // the one that ended last: 1 number, 2 why it was given up
)

const expectPrefix = "expect/"

// BeginChangeCommit returns the commit that begins a change. It fails with
// unavailable while another is under way; the same again succeeds.
func BeginChangeCommit(c Change, waiter uint64) []byte {
	return internalCommit(opBeginChange, wire.AppendBytes(nil, 1, c.append(nil)), waiter)
}

// EndChangeCommit returns the commit that ends a change, given up for a reason
// or, with none, done; a server that it has taken out for good is marked so.
func EndChangeCommit(number uint64, removed, reason string, waiter uint64) []byte {
	body := wire.AppendBytes(nil, 1, removed)
	body = wire.AppendUint(body, 2, number)
	body = wire.AppendBytes(body, 3, reason)
	return internalCommit(opEndChange, body, waiter)
}

// ExpectCommit returns the commit that lets the next node of a name replace a
// server; with no server it takes that back.
func ExpectCommit(name, old string, waiter uint64) []byte {
	body := wire.AppendBytes(nil, 1, name)
	body = wire.AppendBytes(body, 2, old)
	return internalCommit(opExpect, body, waiter)
}

func (c *Core) beginChange(b []byte) error {
	change, err := decodeChange(b)
	if err != nil {
		return fmt.Errorf("%w: change: %w", ErrUndecodable, err)
	}
	pending, err := c.pendingChange()
	if err != nil {
		return err
	}
	if pending != nil {
		if pending.same(change) {
			return nil
		}
		return event.Errorf(event.CodeUnavailable, "one change of the members at a time: %s", pending)
	}
	if change.New != "" {
		m, err := c.member([]byte(change.New))
		if err != nil {
			return err
		}
		if m.Removed {
			return event.Errorf(event.CodeDenied, "%s was removed from the cluster", change.New)
		}
		m.RaftAddress = change.Address
		c.put(c.tables.members, []byte(change.New), m.appendRow(nil))
	}
	change.Number, change.Began = c.nextIncarnation(), c.meta.Stamp
	c.put(c.tables.changes, pendingChangeKey, change.append(nil))
	return nil
}

func (c *Core) endChange(in internalOp) error {
	pending, err := c.pendingChange()
	if err != nil || pending == nil || pending.Number != in.value {
		return err // ended before
	}
	c.delete(c.tables.changes, pendingChangeKey)
	last := wire.AppendUint(nil, 1, in.value)
	c.put(c.tables.changes, lastChangeKey, wire.AppendBytes(last, 2, in.more))
	if len(in.text) == 0 {
		return nil
	}
	c.put(c.tables.members, in.text, Member{Removed: true}.appendRow(nil))
	return c.dropExpectations(string(in.text))
}

// dropExpectations deletes what was to replace a server that is gone.
func (c *Core) dropExpectations(old string) error {
	it := c.tx.Scan(c.tables.changes, []byte(expectPrefix), prefixEnd(expectPrefix), false)
	var keys []string
	for it.Next() {
		if string(it.Value()) == old {
			keys = append(keys, string(it.Key()))
		}
	}
	err := it.Err()
	it.Close()
	if err != nil {
		return fmt.Errorf("read expectations: %w", err)
	}
	for _, key := range keys {
		c.delete(c.tables.changes, []byte(key))
	}
	return nil
}

func (c *Core) expect(in internalOp) error {
	if len(in.text) == 0 {
		return event.Errorf(event.CodeInvalid, "no name of the node that is to come")
	}
	key := append([]byte(expectPrefix), in.text...)
	if len(in.bytes) == 0 {
		c.delete(c.tables.changes, key)
		return nil
	}
	c.put(c.tables.changes, key, in.bytes)
	return nil
}

func (c *Core) pendingChange() (*Change, error) {
	row, err := c.tx.Get(c.tables.changes, pendingChangeKey)
	if err != nil {
		return nil, fmt.Errorf("read change: %w", err)
	}
	return decodeChangeRow(row)
}

func decodeChangeRow(row []byte) (*Change, error) {
	if row == nil {
		return nil, nil
	}
	change, err := decodeChange(row)
	if err != nil {
		return nil, fmt.Errorf("%w: change: %w", errRow, err)
	}
	return &change, nil
}

// PendingChange returns the change of the members that is under way, nil if none
// is.
func (v *View) PendingChange() (*Change, error) {
	row, err := v.state.Get(v.core.tables.changes, pendingChangeKey)
	if err != nil {
		return nil, fmt.Errorf("read change: %w", err)
	}
	return decodeChangeRow(row)
}

// lastChange returns the number of the change that ended last, 0 for none, and
// why it was given up, if it was.
func (v *View) lastChange() (number uint64, reason string, err error) {
	row, err := v.state.Get(v.core.tables.changes, lastChangeKey)
	if err != nil {
		return 0, "", fmt.Errorf("read last change: %w", err)
	}
	f := wire.Walk(row)
	for f.Next() && f.Once() {
		switch {
		case f.Number == 1 && f.WantVarint():
			number = f.Value
		case f.Number == 2 && f.WantBytes():
			reason = string(f.Bytes)
		default:
			f.Unknown()
		}
	}
	return number, reason, f.Err()
}

// expected returns the server that the next node of a name replaces, empty if
// none is named.
func (v *View) expected(name string) (string, error) {
	row, err := v.state.Get(v.core.tables.changes, []byte(expectPrefix+name))
	if err != nil {
		return "", fmt.Errorf("read expectation: %w", err)
	}
	return string(row), nil
}

// Expectations returns the servers that are to be replaced, by the name of the
// node that is to come.
func (v *View) Expectations() (map[string]string, error) {
	it := v.state.Scan(v.core.tables.changes, []byte(expectPrefix), prefixEnd(expectPrefix), false)
	defer it.Close()
	var found map[string]string
	for it.Next() {
		if found == nil {
			found = map[string]string{}
		}
		found[strings.TrimPrefix(string(it.Key()), expectPrefix)] = string(it.Value())
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read expectations: %w", err)
	}
	return found, nil
}
