package consensus

import (
	"errors"

	"github.com/edri-io/edri/event"
)

// CommitInfo is what CheckCommit learned about a commit.
type CommitInfo struct {
	Epoch         event.Epoch // zero: the commit is valid in any epoch
	Session       uint64      // 0: none
	FirstSequence uint64
	Sequence      uint64
	Each          bool
	Ops           int
	Appends       int

	fingerprints []byte // 24 bytes for each append, in order
	held         bool   // has operations to be admitted, see Admitter
}

// CheckCommit validates the bytes of an edri.v1.Commit where they enter the
// cluster, without decoding events into memory. What it accepts apply can
// execute. It knows no state machines: their operations are refused, see Mux.
//
// Errors are *event.Error with code invalid or too_large. Where operations are
// at fault, a commit of one fails with its error, a longer one with check_failed
// and all violations; it was not executed and consumed no sequence.
func CheckCommit(b []byte, limits event.Limits) (CommitInfo, error) {
	return (*Mux)(nil).CheckCommit(b, limits)
}

// CheckCommit is the function CheckCommit for a node with state machines.
func (m *Mux) CheckCommit(b []byte, limits event.Limits) (CommitInfo, error) {
	if len(b) > limits.Commit {
		return CommitInfo{}, event.TooLarge("commit in bytes", int64(len(b)), int64(limits.Commit))
	}
	var few [4]op
	c := commit{ops: few[:0]}
	n, err := c.decode(b, limits.Ops)
	if n > limits.Ops {
		return CommitInfo{}, event.TooLarge("operations of a commit", int64(n), int64(limits.Ops))
	}
	if err != nil {
		return CommitInfo{}, event.Errorf(event.CodeInvalid, "decode commit: %v", err)
	}
	if err := c.checkHeader(); err != nil {
		return CommitInfo{}, err
	}
	if weight := m.weight(c.ops); weight > limits.Ops {
		return CommitInfo{}, event.TooLarge("operations of a commit, those within its operations included", int64(weight), int64(limits.Ops))
	}
	fingerprints, err := m.checkOps(&c, limits)
	if err != nil {
		return CommitInfo{}, err
	}
	info := CommitInfo{
		Session: c.session, FirstSequence: c.first, Sequence: c.sequence,
		Each: c.each, Ops: n, Appends: c.appends, fingerprints: fingerprints, held: m.holds(c.ops),
	}
	copy(info.Epoch[:], c.epoch)
	return info, nil
}

// weight counts operations, with those within them.
func (m *Mux) weight(ops []op) int {
	weight := 0
	for _, o := range ops {
		weight++
		if o.number < opMachineFirst {
			continue
		}
		if w, ok := m.find(o.number).(Weigher); ok {
			weight += max(w.Weight(o.number, o.body), 1) - 1
		}
	}
	return weight
}

func (c *commit) checkHeader() error {
	switch {
	case len(c.epoch) != 0 && len(c.epoch) != len(event.Epoch{}):
		return event.Errorf(event.CodeInvalid, "epoch has %d bytes, want %d", len(c.epoch), len(event.Epoch{}))
	case c.sealed:
		return event.Errorf(event.CodeInvalid, "fingerprints and waiter are set by the server")
	case c.session == 0 && (c.sequence != 0 || c.first != 0 || c.acked != 0):
		return event.Errorf(event.CodeInvalid, "sequence %d without a session", max(c.sequence, c.first, c.acked))
	case c.session != 0 && c.sequence == 0:
		return event.Errorf(event.CodeInvalid, "session %d without a sequence; the first is 1", c.session)
	case c.first > c.sequence:
		return event.Errorf(event.CodeInvalid, "first_sequence %d is above sequence %d", c.first, c.sequence)
	case c.session != 0 && c.acked >= c.first:
		return event.Errorf(event.CodeInvalid, "acked_through %d is not below first_sequence %d", c.acked, c.first)
	case c.sequence == 1<<64-1:
		return event.Errorf(event.CodeInvalid, "sequence %d is out of range", c.sequence)
	}
	return nil
}

// checkOps checks every operation and returns the fingerprints of the appends.
func (m *Mux) checkOps(c *commit, limits event.Limits) ([]byte, error) {
	var fingerprints []byte
	if c.appends > 0 {
		fingerprints = make([]byte, 0, c.appends*fingerprintBytes)
	}
	var violations []event.Violation
	for i, o := range c.ops {
		var err *event.Error
		switch {
		case o.solo() && (len(c.ops) > 1 || c.each):
			err = event.Errorf(event.CodeInvalid, "operation %d must be alone in its commit", o.number)
		case o.number == opAppend:
			fingerprints, err = checkAppend(fingerprints, o.body, limits)
		default:
			err = m.checkOp(c, o, limits)
		}
		if err != nil {
			violations = append(violations, event.Violation{Op: i, Err: err})
		}
	}
	if err := failure(violations, len(c.ops)); err != nil {
		return nil, err
	}
	return fingerprints, nil
}

func checkAppend(fingerprints, body []byte, limits event.Limits) ([]byte, *event.Error) {
	a, err := decodeAppend(body)
	if err != nil {
		return fingerprints, event.Errorf(event.CodeInvalid, "decode append: %v", err)
	}
	if a.event == nil {
		return fingerprints, event.Errorf(event.CodeInvalid, "an append without an event")
	}
	h, err := event.CheckEncoded(a.event, limits.EventData)
	if err != nil {
		return fingerprints, asEventError(err)
	}
	stream := a.stream
	if len(stream) == 0 {
		stream = h.DefaultStream()
	}
	if err := checkName("stream", stream, limits); err != nil {
		return fingerprints, err
	}
	if err := event.CheckUnreserved(stream, h.Type); err != nil {
		return fingerprints, asEventError(err)
	}
	return h.Fingerprint().AppendTo(fingerprints), nil
}

func (m *Mux) checkOp(c *commit, o op, limits event.Limits) *event.Error {
	switch {
	case o.number == opOpenSession:
		if c.session != 0 {
			return event.Errorf(event.CodeInvalid, "open_session in a commit of session %d", c.session)
		}
		return invalidWire("open_session", decodeEmpty(o.body))
	case o.number == opOpenProducer:
		name, err := decodeProducer(o.body)
		if err != nil {
			return invalidWire("open_producer", err)
		}
		if c.session != 0 {
			return event.Errorf(event.CodeInvalid, "open_producer in a commit of session %d", c.session)
		}
		return checkName("producer", name, limits)
	case o.number == opCloseSession:
		if c.session == 0 {
			return event.Errorf(event.CodeInvalid, "close_session in a commit without session")
		}
		return invalidWire("close_session", decodeEmpty(o.body))
	case o.number > opMachineLast:
		return event.Errorf(event.CodeInvalid, "operation %d is the cluster's own", o.number)
	}
	machine := m.find(o.number)
	if machine == nil {
		return event.Errorf(event.CodeInvalid, "unknown operation %d", o.number)
	}
	err := asEventError(machine.Check(o.number, o.body))
	if err == nil && len(c.ops) > 1 && !c.each {
		if s, ok := machine.(Solitary); ok {
			err = s.Alone(o.number, o.body)
		}
	}
	return err
}

// checkName checks a name against the configured limit and the rules of names.
func checkName(what string, name []byte, limits event.Limits) *event.Error {
	if len(name) > limits.Name {
		return event.TooLarge(what+" name in bytes", int64(len(name)), int64(limits.Name))
	}
	return asEventError(event.CheckName(what, name))
}

func invalidWire(what string, err error) *event.Error {
	if err == nil {
		return nil
	}
	return event.Errorf(event.CodeInvalid, "decode %s: %v", what, err)
}

// asEventError returns the error of a function whose errors are all *event.Error.
func asEventError(err error) *event.Error {
	if err == nil {
		return nil
	}
	var e *event.Error
	if !errors.As(err, &e) {
		e = event.Errorf(event.CodeInvalid, "%v", err)
	}
	return e
}

// failure makes one error of a commit's violations: nil without any.
func failure(violations []event.Violation, ops int) *event.Error {
	switch {
	case len(violations) == 0:
		return nil
	case ops == 1:
		return violations[0].Err
	}
	err := event.Errorf(event.CodeCheckFailed, "%d of %d operations do not hold", len(violations), ops)
	err.Violations = violations
	return err
}
