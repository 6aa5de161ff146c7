package engine

import (
	"encoding/binary"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
	"github.com/edri-io/edri/workflows"
)

// A run that continues as new takes the signals along that its code did not receive. They
// stand in its history, which apply does not read, and only its worker knows which they
// are. The first of them go with the end (EndRun.signals), into the first event of the run
// that is to come. The others go ahead of it, by advances, straight into that run's inbox: so
// the commit that continues moves none of them, however many there are.
//
// What went ahead is void where the run ends otherwise, or another worker begins anew. It
// is nobody's then, and goes by a timer.

// maxVoided and maxVoidedBytes are how much of it goes in one transaction.
const (
	maxVoided      = 1000
	maxVoidedBytes = 4 << 20
)

// carry is what went ahead of a run's end: version | BE8 number of the run to come |
// uvarints: signals, their bytes.
type carry struct {
	heir, signals, bytes uint64
}

func (c *carry) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, rowVersion), c.heir)
	return binary.AppendUvarint(binary.AppendUvarint(dst, c.signals), c.bytes)
}

func parseCarry(row []byte) (carry, error) {
	if row == nil {
		return carry{}, nil // nothing did
	}
	b := wire.ReadRow(row)
	b.Version(rowVersion)
	c := carry{heir: b.BE8(), signals: b.Uvarint(), bytes: b.Uvarint()}
	return c, b.Done(errRow, "carry of a run")
}

func (w *work) carryOf(r *run) (carry, error) {
	row, err := w.tx.Get(numberKey(kindCarry, r.number))
	if err != nil {
		return carry{}, err
	}
	return parseCarry(row)
}

// carry lets signals go ahead of a run's end, behind those that did.
func (w *work) carry(r *run, signals []signal, from uint64) error {
	c, err := w.carryOf(r)
	switch {
	case err != nil:
		return err
	case r.status != statusRunning:
		return event.Errorf(event.CodeInvalid, "carry: run %s ends in the same advance", r.name())
	case from == 0:
		w.void(c)
		c = carry{heir: w.tx.Incarnation()}
	case from != c.signals:
		return event.Errorf(event.CodeInvalid, "carry_from: %d signals of run %s went ahead, not %d", c.signals, r.name(), from)
	}
	for i := range signals {
		e := entry{mail: true, carried: true, time: w.now(), kind: []byte(workflows.KindSignal), data: signalData(&signals[i])}
		c.signals++
		c.bytes += uint64(len(e.data))
		w.tx.Put(pairKey(kindEntry, c.heir, c.signals), e.append(nil))
	}
	w.tx.Put(numberKey(kindCarry, r.number), c.append(nil))
	return nil
}

// carryTo puts a signal of the run before into the inbox of one that begins.
func (w *work) carryTo(next *run, data []byte) {
	next.unreceived++
	next.unreceivedBytes += uint64(len(data))
	w.enter(next, entry{mail: true, carried: true, kind: []byte(workflows.KindSignal), data: data})
}

// endCarry returns what goes on of what went ahead of a run's end, of which it says how much
// that is.
func (w *work) endCarry(r *run, signals uint64) (carry, error) {
	c, err := w.carryOf(r)
	if err != nil {
		return carry{}, err
	}
	if signals != 0 && signals != c.signals {
		return carry{}, event.Errorf(event.CodeInvalid, "carried: %d signals of run %s went ahead, not %d", c.signals, r.name(), signals)
	}
	if c.heir != 0 {
		w.tx.Delete(numberKey(kindCarry, r.number))
	}
	if signals == 0 {
		w.void(c)
		c = carry{}
	}
	return c, nil
}

// void has removed what went ahead, if anything did.
func (w *work) void(c carry) {
	if c.heir != 0 {
		w.setTimer(w.now(), timerVoid, c.heir, 0)
	}
}

// removeVoid removes the inbox of a run that never came.
func (w *work) removeVoid(number uint64) error {
	keys, more, err := w.voided(number)
	if err != nil {
		return err
	}
	for _, key := range keys {
		w.tx.Delete(key)
	}
	if more {
		w.setTimer(w.now(), timerVoid, number, 0)
	}
	return nil
}

func (w *work) voided(number uint64) (keys [][]byte, more bool, err error) {
	lo, hi := pairsOf(kindEntry, number)
	it := w.tx.Scan(lo, hi, false)
	defer it.Close()
	for size := 0; it.Next(); size += len(it.Value()) {
		if len(keys) == maxVoided || size > maxVoidedBytes {
			return keys, true, nil
		}
		keys = append(keys, clone(it.Key()))
	}
	return keys, false, it.Err()
}
