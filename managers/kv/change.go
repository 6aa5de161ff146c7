package kv

import (
	"errors"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// changed is what a put or a delete did.
type changed struct {
	revision event.Position // 0: nothing
	previous event.Position // 0: the key was not there
}

// put executes put_key.
func (m *Machine) put(tx *consensus.Tx, o putOp) (changed, error) {
	p, err := m.placeToPut(tx, o.bucket)
	if err != nil {
		return changed{}, err
	}
	if len(o.value) > p.config.MaxValueBytes {
		return changed{}, event.TooLarge("value in bytes", int64(len(o.value)), int64(p.config.MaxValueBytes))
	}
	was, ok, err := p.entry(o.key)
	if err != nil {
		return changed{}, err
	}
	if err := p.expect(o.key, o.expected, was.revision); err != nil {
		return changed{}, err
	}
	if !ok && p.config.MaxKeys != 0 && p.keys >= p.config.MaxKeys {
		return changed{}, event.Errorf(event.CodeQuotaExceeded, "bucket %q has %d keys, as many as may be", p.name, p.keys)
	}
	is := entry{kind: KindPut, created: was.created, stamp: tx.Stamp(), contentType: o.contentType, value: o.value}
	ttl := o.ttl
	if !o.ttlGiven {
		ttl = int64(p.config.TTL)
	}
	if ttl > 0 {
		is.due = max(tx.Now(), 0) + ttl
	}
	if is.revision, err = p.announce(typePut, o.key, &is); err != nil {
		return changed{}, err
	}
	if !ok {
		is.created = is.revision
		p.keys++
	}
	p.bytes += uint64(len(is.value)) - uint64(len(was.value))
	if err := m.supersede(&p, o.key, &was, ok, &is); err != nil {
		return changed{}, err
	}
	if is.due > 0 {
		t := m.timers.Set(tx, m, is.due, timerPayload(timerExpire, p.id, o.key))
		is.due, is.timer = t.Due, t.Number
	}
	tx.Put(entryKey(p.id, o.key), is.append(nil))
	p.save()
	return changed{is.revision, was.revision}, nil
}

// placeToPut returns a bucket, which the default one becomes by that.
func (m *Machine) placeToPut(tx *consensus.Tx, name []byte) (place, error) {
	p, err := at(tx, name)
	if string(name) != DefaultBucket || !isNoBucket(err) {
		return p, err
	}
	if _, err := m.makeBucket(tx, name, nil); err != nil {
		return place{}, err
	}
	return at(tx, name)
}

// isNoBucket tells a bucket that is not there from damage.
func isNoBucket(err error) bool {
	var e *event.Error
	return errors.As(err, &e) && e.Code == event.CodeNotFound
}

// delete executes delete_key.
func (m *Machine) delete(tx *consensus.Tx, o deleteOp) (changed, error) {
	p, err := at(tx, o.bucket)
	if string(o.bucket) == DefaultBucket && isNoBucket(err) {
		p.name = o.bucket
		return changed{}, p.expect(o.key, o.expected, 0)
	}
	if err != nil {
		return changed{}, err
	}
	was, ok, err := p.entry(o.key)
	if err != nil {
		return changed{}, err
	}
	if err := p.expect(o.key, o.expected, was.revision); err != nil {
		return changed{}, err
	}
	var revision event.Position
	if ok {
		if revision, err = m.remove(&p, o.key, &was, KindDeleted); err != nil {
			return changed{}, err
		}
	}
	if o.purge {
		if err := m.purge(&p, o.key); err != nil {
			return changed{}, err
		}
	}
	p.save()
	return changed{revision, was.revision}, nil
}

// remove takes a key that is there away and leaves what its history is to keep. The
// caller saves the place.
func (m *Machine) remove(p *place, key []byte, was *entry, kind Kind) (event.Position, error) {
	is := entry{kind: kind, created: was.created, stamp: p.tx.Stamp()}
	typ := typeDeleted
	if kind == KindExpired {
		typ = typeExpired
	}
	var err error
	if is.revision, err = p.announce(typ, key, &is); err != nil {
		return 0, err
	}
	p.keys--
	p.bytes -= uint64(len(was.value))
	if err := m.supersede(p, key, was, true, &is); err != nil {
		return 0, err
	}
	p.tx.Delete(entryKey(p.id, key))
	if p.config.History == 1 {
		p.floor = is.revision
		return is.revision, nil
	}
	t := m.timers.Set(p.tx, m, max(p.tx.Now(), 0)+int64(p.config.KeepDeleted), timerPayload(timerForget, p.id, key))
	is.due, is.timer = t.Due, t.Number
	is.kept++ // itself
	p.tx.Put(historyKey(p.id, key, is.revision), is.append(nil))
	return is.revision, nil
}

// expect holds a key to the revision that is expected.
func (p *place) expect(key []byte, expected int64, actual event.Position) error {
	if expected == revisionAny || event.Position(expected) == actual {
		return nil
	}
	return conflict(p.name, key, event.Position(expected), actual)
}

func conflict(bucket, key []byte, expected, actual event.Position) *event.Error {
	e := event.Errorf(event.CodeRevisionConflict, "key %q of bucket %q is at revision %d, expected %d", key, bucket, actual, expected)
	e.Stream, e.Expected, e.Actual = StreamPrefix+string(bucket), event.Expected(expected), event.Revision(actual)
	return e
}
