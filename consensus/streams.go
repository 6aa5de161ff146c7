package consensus

import (
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// maxCachedHeads bounds the stream heads that stay in memory between batches.
const maxCachedHeads = 1 << 14

// head is the end of a stream.
type head struct {
	name     string
	revision event.Revision // 0: the stream does not exist
	position event.Position // of its last event
	dirty    bool           // listed in heads.dirty
}

// heads are the streams that the current batch met and some that earlier ones
// met: a cache over the table streams, whose changed rows are written once for
// each Publish. A commit that fails takes its changes back.
type heads struct {
	byName map[string]*head
	dirty  []*head
	undo   []headChange // of the commit that is being executed
}

type headChange struct {
	head     *head
	revision event.Revision
	position event.Position
}

// get returns the head of a stream.
func (t *heads) get(tx *store.Tx, table store.Table, name []byte) (*head, error) {
	if h := t.byName[string(name)]; h != nil {
		return h, nil
	}
	row, err := tx.Get(table, name)
	if err != nil {
		return nil, fmt.Errorf("read stream %q: %w", name, err)
	}
	h := &head{name: string(name)}
	if row != nil {
		if h.revision, h.position, err = decodeHead(row); err != nil {
			return nil, fmt.Errorf("read stream %q: %w", name, err)
		}
	}
	t.byName[h.name] = h
	return h, nil
}

// advance records that the stream has one more event.
func (t *heads) advance(h *head, position event.Position) {
	t.undo = append(t.undo, headChange{h, h.revision, h.position})
	h.revision++
	h.position = position
	if !h.dirty {
		h.dirty = true
		t.dirty = append(t.dirty, h)
	}
}

// commit makes the changes since the last commit or rollback final.
func (t *heads) commit() { t.undo = t.undo[:0] }

// rollback takes them back, but for the first n.
func (t *heads) rollback(n int) {
	for i := len(t.undo) - 1; i >= n; i-- {
		u := t.undo[i]
		u.head.revision, u.head.position = u.revision, u.position
	}
	t.undo = t.undo[:n]
}

// write writes the changed rows. It returns scratch, memory to encode them in.
func (t *heads) write(tx *store.Tx, table store.Table, scratch []byte) []byte {
	for _, h := range t.dirty {
		h.dirty = false
		if h.revision > 0 { // else all its appends were taken back
			scratch = append(scratch[:0], h.name...)
			scratch = appendHead(scratch, h)
			tx.Put(table, scratch[:len(h.name)], scratch[len(h.name):])
		}
	}
	clear(t.dirty)
	t.dirty = t.dirty[:0]
	if len(t.byName) > maxCachedHeads {
		clear(t.byName)
	}
	return scratch
}

func appendHead(dst []byte, h *head) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.revision))
	return binary.BigEndian.AppendUint64(dst, uint64(h.position))
}

func decodeHead(row []byte) (event.Revision, event.Position, error) {
	if len(row) != 16 {
		return 0, 0, fmt.Errorf("%w: a stream's row has %d bytes", errRow, len(row))
	}
	revision, position := binary.BigEndian.Uint64(row), binary.BigEndian.Uint64(row[8:])
	if revision == 0 || position < revision {
		return 0, 0, fmt.Errorf("%w: a stream's revision is %d at position %d", errRow, revision, position)
	}
	return event.Revision(revision), event.Position(position), nil
}
