package cron

import (
	"strings"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// opTransact is the operation key_transaction of the machine of keys.
const opTransact = 46

// keysAction changes keys. Its message is the body of that operation.
type keysAction struct {
	transaction []byte
	most        int // operations of the longer of its branches
}

var _ action = (*keysAction)(nil)

func (a *keysAction) kind() actionKind { return actionKeys }

func (a *keysAction) changes() int { return max(a.most, 1) }

func (a *keysAction) decode(body []byte) error {
	a.transaction = body
	var parts [4]int // compare, then, otherwise by their fields
	f := fields{rest: body}
	for f.next() {
		if f.number > 3 {
			f.unknown()
			break
		}
		parts[f.number]++
	}
	a.most = max(parts[2], parts[3])
	return f.err
}

func (a *keysAction) check(m *Machine) error {
	switch {
	case len(a.transaction) > maxActionBytes:
		return event.TooLarge("action: its transaction in bytes", int64(len(a.transaction)), maxActionBytes)
	case a.most == 0:
		return invalid("action: its transaction changes nothing")
	}
	err := m.keys.Check(opTransact, a.transaction)
	if refused, ok := err.(*event.Error); ok {
		within := *refused
		within.Message = "action: keys: " + strings.TrimSpace(refused.Message)
		return &within
	}
	return err
}

// reasonConditions is why a transaction did what it does where conditions do not hold.
const reasonConditions = "conditions do not hold"

func (a *keysAction) do(m *Machine, tx *consensus.Tx, _ *schedule, _ fire) (done, error) {
	before := tx.Position()
	result, err := m.keys.Apply(tx.In(m.keys.Name()), opTransact, a.transaction)
	if err != nil {
		return done{}, err
	}
	var d done
	if last := tx.Position(); last > before {
		d.position = last
	}
	if !succeeded(result) {
		d.reason = reasonConditions
	}
	return d, nil
}

// succeeded reads from an edri.v1.OpResult with key_transaction_done whether the
// conditions held.
func succeeded(result []byte) (yes bool) {
	const keyTransactionDone = 22
	for f := (fields{rest: result}); f.next(); {
		if f.number != keyTransactionDone || f.varint {
			continue
		}
		for g := (fields{rest: f.bytes}); g.next(); {
			if g.number == 1 {
				g.setBool(&yes)
			}
		}
	}
	return yes
}
