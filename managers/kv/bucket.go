package kv

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
)

// createBucket executes create_bucket.
func (m *Machine) createBucket(tx *consensus.Tx, o bucketOp) ([]byte, error) {
	row, err := tx.Get(bucketKey(o.name))
	switch {
	case err != nil:
		return nil, err
	case row != nil && !o.ensure:
		return nil, event.Errorf(event.CodeExists, "bucket %q exists", o.name)
	case row != nil:
		return m.configure(tx, o.name, row, o.config)
	}
	id, err := m.makeBucket(tx, o.name, o.config)
	if err != nil {
		return nil, err
	}
	return bucketChanged(id, true), nil
}

func (m *Machine) makeBucket(tx *consensus.Tx, name, config []byte) (id uint64, err error) {
	if err := count(tx, +1); err != nil {
		return 0, err
	}
	id = tx.Incarnation()
	b := bucket{id: id, config: config}
	tx.Put(bucketKey(name), b.append(nil))
	c := content{name: name}
	tx.Put(idKey(kindContent, id), c.append(nil))
	return id, announceBucket(tx, name, typeBucketCreated, config)
}

// updateBucket executes update_bucket.
func (m *Machine) updateBucket(tx *consensus.Tx, o bucketOp) ([]byte, error) {
	row, err := tx.Get(bucketKey(o.name))
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, noBucket(o.name)
	}
	return m.configure(tx, o.name, row, o.config)
}

// configure gives a bucket another config.
func (m *Machine) configure(tx *consensus.Tx, name, row, config []byte) ([]byte, error) {
	b, err := parseBucket(row)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(b.config, config) {
		return bucketChanged(b.id, false), nil
	}
	b.config = config
	tx.Put(bucketKey(name), b.append(nil))
	return bucketChanged(b.id, false), announceBucket(tx, name, typeBucketUpdated, config)
}

// deleteBucket executes delete_bucket. Its rows are swept later.
func (m *Machine) deleteBucket(tx *consensus.Tx, name []byte) ([]byte, error) {
	p, err := at(tx, name)
	if err != nil {
		return nil, err
	}
	tx.Delete(bucketKey(name))
	tx.Delete(idKey(kindContent, p.id))
	m.sweepSoon(tx, p.id)
	if err := count(tx, -1); err != nil {
		return nil, err
	}
	return bucketChanged(p.id, false), announceBucket(tx, name, typeBucketDeleted, nil)
}

// sweepRows is how many rows one timer sweeps.
const sweepRows = 256

func (m *Machine) sweepSoon(tx *consensus.Tx, id uint64) {
	m.timers.Set(tx, m, max(tx.Now(), 0), timerPayload(timerSweep, id, nil))
}

// sweep deletes some of the rows of a bucket that is gone, and their timers, and has the
// rest swept in the next entry.
func (m *Machine) sweep(tx *consensus.Tx, id uint64) error {
	left := sweepRows
	for _, kind := range []byte{kindKey, kindHistory} {
		it := tx.Scan(idKey(kind, id), idEnd(kind, id), false)
		for ; left > 0 && it.Next(); left-- {
			e, err := parseEntry(it.Value())
			if err != nil {
				it.Close()
				return err
			}
			if e.timer != 0 {
				m.timers.Cancel(tx, e.timerOf())
			}
			tx.Delete(it.Key())
		}
		err := it.Err()
		it.Close()
		if err != nil {
			return fmt.Errorf("sweep bucket %d: %w", id, err)
		}
	}
	if left == 0 {
		m.sweepSoon(tx, id)
	}
	return nil
}

// count keeps the number of buckets within what may be.
func count(tx *consensus.Tx, by int) error {
	row, err := tx.Get(countKey)
	if err != nil {
		return err
	}
	n := 0
	if row != nil {
		r := wire.ReadRow(row)
		n = int(r.Uvarint())
		if err := r.Done(errRow, "number of buckets"); err != nil {
			return err
		}
	}
	if n += by; n > maxBuckets {
		return event.Errorf(event.CodeQuotaExceeded, "there are %d buckets, as many as may be", maxBuckets)
	}
	tx.Put(countKey, binary.AppendUvarint(nil, uint64(n)))
	return nil
}
