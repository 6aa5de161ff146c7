package log

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/edri-io/edri/event"
)

// cut removes the records after last from a segment, with what posting lists say
// of them, in one synced transaction. A segment that was sealed is active again:
// the merged run becomes its first. At most a flush is cut, so it goes by the
// names of the records that go, not through all lists.
func cut(s *segment, h *header, last event.Position) error {
	return s.update(func(tx *bbolt.Tx) error {
		c := cutter{segment: s, tx: tx, last: last}
		return c.cut(h)
	})
}

type cutter struct {
	*segment
	tx   *bbolt.Tx
	last event.Position
}

func (c *cutter) cut(h *header) error {
	if h.sealed {
		if err := c.unseal(h); err != nil {
			return err
		}
	} else if err := deleteBuckets(c.tx, kindMerged); err != nil {
		return err
	}
	if h.last != c.last {
		if err := c.shortenTo(h); err != nil {
			return err
		}
	}
	return c.finish(h)
}

// shortenTo removes what is after last from lists, rows and the header's counts.
func (c *cutter) shortenTo(h *header) error {
	names, err := c.measure(h)
	if err != nil {
		return err
	}
	if err := c.cutRuns(h, names); err != nil {
		return err
	}
	return c.cutRecords()
}

// finish writes the header. The digest of the rows that are left cannot be had
// from that of more of them, so they are read once.
func (c *cutter) finish(h *header) (err error) {
	if _, h.digest, err = c.writerFile(c.tx).digests(h.first, h.last); err != nil {
		return err
	}
	return writeHeader(c.tx, h)
}

// unseal makes the merged run one like others. bbolt cannot rename a bucket, so
// the rows are copied.
func (c *cutter) unseal(h *header) error {
	r := run{h.first, h.last}
	from := c.tx.Bucket(r.name(kindMerged))
	if from == nil {
		return corrupt(c.path, "", r.name(kindMerged), "the merged run is missing")
	}
	to, err := c.tx.CreateBucket(r.name(kindRun))
	if err != nil {
		return fmt.Errorf("create run: %w", err)
	}
	to.FillPercent = 1
	cursor := from.Cursor()
	for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
		if err := to.Put(key, value); err != nil {
			return fmt.Errorf("copy run: %w", err)
		}
	}
	h.sealed, h.digest = false, digest{} // cut makes it anew
	return deleteBuckets(c.tx, kindMerged)
}

// measure takes what is cut out of the header and returns the lists that the
// records are in which runs cover.
func (c *cutter) measure(h *header) (map[string]struct{}, error) {
	lists := make(map[string]struct{})
	f := c.writerFile(c.tx)
	var gone, goneIndexed int64
	err := f.scanRecords(c.last+1, h.last, func(r *Record, frame []byte) error {
		gone += int64(len(frame))
		if r.Position > h.indexed {
			return nil
		}
		goneIndexed += int64(len(frame))
		n := namesOf(r)
		n.each(func(name []byte, set attribute) {
			lists[string(appendListKey(nil, name, set))] = struct{}{}
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	newest, err := f.record(c.last)
	if err != nil {
		return nil, err
	}
	h.last, h.lastStamp = c.last, newest.Stamp
	h.bytes -= gone
	h.indexedBytes -= goneIndexed
	return lists, nil
}

// cutRuns removes the positions after last from the runs.
func (c *cutter) cutRuns(h *header, lists map[string]struct{}) error {
	runs, err := runsOf(c.tx, kindRun, h.first, h.indexed)
	if err != nil {
		return corrupt(c.path, "", nil, err.Error())
	}
	for _, r := range runs {
		if r.hi <= c.last {
			continue
		}
		if r.lo <= c.last {
			if err := c.shorten(r, lists); err != nil {
				return err
			}
		}
		if err := c.tx.DeleteBucket(r.name(kindRun)); err != nil {
			return fmt.Errorf("delete run: %w", err)
		}
	}
	h.indexed = min(h.indexed, c.last)
	return nil
}

// shorten copies a run up to last.
func (c *cutter) shorten(r run, lists map[string]struct{}) error {
	from := c.tx.Bucket(r.name(kindRun))
	to, err := c.tx.CreateBucket(run{r.lo, c.last}.name(kindRun))
	if err != nil {
		return fmt.Errorf("create run: %w", err)
	}
	to.FillPercent = 1
	cursor := from.Cursor()
	for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
		list, first, err := splitPostingKey(key)
		if err != nil {
			return corrupt(c.path, "run", key, err.Error())
		}
		if _, affected := lists[string(list)]; !affected {
			if err := to.Put(key, value); err != nil {
				return fmt.Errorf("copy run: %w", err)
			}
			continue
		}
		if first > c.last {
			continue
		}
		positions, err := decodePostings(nil, key, value)
		if err != nil {
			return corrupt(c.path, "run", key, err.Error())
		}
		if _, err := putPostings(to.Put, nil, list, upTo(positions, c.last)); err != nil {
			return fmt.Errorf("cut run: %w", err)
		}
	}
	return nil
}

func upTo(positions []event.Position, last event.Position) []event.Position {
	for len(positions) > 0 && positions[len(positions)-1] > last {
		positions = positions[:len(positions)-1]
	}
	return positions
}

// cutRecords removes the rows after last and shortens the one that it stands in.
func (c *cutter) cutRecords() error {
	bucket := c.tx.Bucket(bucketRecords)
	bucket.FillPercent = 1
	f := c.writerFile(c.tx)
	if err := f.load(c.last); err != nil {
		return err
	}
	var drop [][]byte
	for key, _ := f.cursor.Next(); key != nil; key, _ = f.cursor.Next() {
		drop = append(drop, bytes.Clone(key))
	}
	if f.chunk.last() > c.last {
		key := positionKey(f.chunk.first)
		value := append(make([]byte, hashBytes), f.chunk.body[:f.chunk.ends[c.last-f.chunk.first]]...)
		sealChunk(f.chunk.first, value)
		if err := bucket.Put(key, value); err != nil {
			return fmt.Errorf("shorten row: %w", err)
		}
	}
	for _, key := range drop {
		if binary.BigEndian.Uint64(key) <= uint64(c.last) {
			return corrupt(c.path, string(bucketRecords), key, "rows are out of order")
		}
		if err := bucket.Delete(key); err != nil {
			return fmt.Errorf("delete row: %w", err)
		}
	}
	return nil
}
