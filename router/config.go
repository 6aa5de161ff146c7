package router

import (
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/edri-io/edri/event"
)

// decodeConfig reads an edri.v1.SubscriptionConfig as it came, with the filter left as
// text: apply does not need it.
func decodeConfig(b []byte) (s event.Subscription, filter []byte, err error) {
	var ordering, stream, description []byte
	var ackWait int64
	var priority uint64
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&filter)
		case 2:
			f.setBytes(&ordering)
		case 3:
			f.setInt64(&ackWait)
		case 4:
			f.setInt(&s.MaxDeliver)
		case 5:
			f.addDurations(&s.Backoff)
		case 6:
			f.setInt(&s.MaxInFlight)
		case 7:
			f.setInt(&s.MaxPending)
		case 8:
			f.setUint64(&priority)
		case 9:
			f.setBytes(&stream)
		case 10:
			f.setBytes(&description)
		case 11:
			f.setUint32(&s.Version)
		case 12:
			f.setInt64((*int64)(&s.MaxHoldAge))
		case 13:
			f.setInt64(&s.MaxHoldBytes)
		default:
			f.unknown()
		}
	}
	if f.err == nil && priority > math.MaxUint32 {
		f.err = fmt.Errorf("%w: priority is out of range", errWire)
	}
	s.OrderingKey, s.DeadLetterStream, s.Description = string(ordering), string(stream), string(description)
	s.AckWait, s.Priority = time.Duration(ackWait), int(protowire.DecodeZigZag(priority))
	return s, filter, f.err
}

// maxWaits bounds what a decoder keeps; event.Subscription has a bound that is lower.
const maxWaits = 1000

// addDurations takes a repeated number, packed or not.
func (f *fields) addDurations(dst *[]time.Duration) {
	add := func(v uint64) error {
		if len(*dst) == maxWaits {
			return fmt.Errorf("%w: more than %d waits", errWire, maxWaits)
		}
		*dst = append(*dst, time.Duration(v))
		return nil
	}
	if f.varint {
		f.err = add(f.value)
	} else {
		f.err = varints(f.bytes, add)
	}
}

// parseConfig reads and checks a config that a client sends, with defaults for what it
// leaves out. Its errors are *event.Error.
func parseConfig[T ~string | ~[]byte](name T, config []byte) (event.Subscription, error) {
	s, err := readConfig(name, config)
	if err == nil {
		err = s.Filter.CheckAttributes()
	}
	return s, err
}

// readConfig is parseConfig for a config that is stored, perhaps since before what
// parseConfig asks for more.
func readConfig[T ~string | ~[]byte](name T, config []byte) (event.Subscription, error) {
	s, filter, err := decodeConfig(config)
	if err != nil {
		return s, event.Errorf(event.CodeInvalid, "config: %v", err)
	}
	if len(filter) > 0 {
		if s.Filter, err = event.ParseFilter(filter); err != nil {
			return s, err
		}
	}
	s.Name = string(name)
	return s.Normalised()
}

// appliedConfig reads the config of a row for apply, with the defaults and without the
// filter. The defaults of max_deliver, backoff and dead_letter_stream are therefore part
// of what entries mean: they never change.
func appliedConfig(name, config []byte) (event.Subscription, error) {
	s, _, err := decodeConfig(config)
	if err != nil {
		return s, fmt.Errorf("%w: config of %q: %w", errRow, name, err)
	}
	s.Name = string(name)
	if s, err = s.Normalised(); err != nil {
		return s, fmt.Errorf("%w: config of %q: %s", errRow, name, err)
	}
	return s, nil
}
