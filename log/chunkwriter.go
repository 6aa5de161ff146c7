package log

import "github.com/edri-io/edri/event"

// chunkWriter packs consecutive records into rows and counts the rows that are
// complete into a digest.
type chunkWriter struct {
	put    func(key, value []byte) error
	buffer *buffer // nil: rows are allocated
	digest digest  // of the rows before the one that was begun
	first  event.Position
	value  []byte // with room for the hash; nil: no row begun
	hash   uint64 // of the row as it stands in the file
	grown  bool   // value is not what stands in the file
}

// resume goes on with the row c.
func (w *chunkWriter) resume(c *chunk) {
	w.first, w.hash = c.first, c.hash
	w.value = append(w.buffer.take(maxChunkBytes)[:hashBytes], c.body...)
}

func (w *chunkWriter) add(r *Record) error {
	if w.value != nil && int64(len(w.value))+r.size() > maxChunkBytes {
		if err := w.flush(); err != nil {
			return err
		}
		w.digest = w.digest.next(w.first, w.hash)
		w.value = nil
	}
	if w.value == nil {
		w.first = r.Position
		w.value = w.buffer.take(max(maxChunkBytes, hashBytes+int(r.size())))[:hashBytes]
	}
	w.value, w.grown = appendRecord(w.value, r), true
	return nil
}

// flush writes the row that was begun. It may go on growing only in a later
// transaction: bbolt keeps the slice until the commit.
func (w *chunkWriter) flush() error {
	if !w.grown {
		return nil
	}
	w.grown = false
	w.hash = sealChunk(w.first, w.value)
	return w.put(positionKey(w.first), w.value)
}
