package consensus

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"

	"github.com/edri-io/edri/event"
)

// Apply executes the commits of one committed entry, in order, and returns an
// outcome for each. An entry at or below the applied index was executed before
// and has no outcomes. The entry is kept, for its events' bytes, until they are
// flushed; the caller must not change it.
//
// An error is the node's end: it wraps ErrUndecodable, ErrPanic, store.ErrCorrupt,
// or is one of storage. The core then refuses everything, and what was not
// published is lost, to be applied again from the log.
func (c *Core) Apply(index, term uint64, entry []byte) ([]Outcome, error) {
	if c.err != nil || index <= c.meta.Index {
		return nil, c.err
	}
	outcomes, err := c.guardedEntry(entry)
	if err != nil {
		c.err = fmt.Errorf("apply entry %d: %w", index, err)
		return nil, c.err
	}
	c.endHash(index, term)
	c.advance(index, term)
	return outcomes, nil
}

// ApplyConfiguration records the configuration of the Raft cluster, in Raft's own
// bytes, and that the entry at index was applied.
func (c *Core) ApplyConfiguration(index, term uint64, configuration []byte) error {
	if c.err != nil || index <= c.meta.Index {
		return c.err
	}
	c.hashConfiguration(configuration)
	c.tx.Put(c.tables.meta, configurationKey, append(be8(index), configuration...))
	c.endHash(index, term)
	c.advance(index, term)
	return nil
}

func (c *Core) advance(index, term uint64) {
	c.meta.Index, c.meta.Term = index, term
	c.changed = true
}

// ErrPanic says that applying an entry broke an invariant. It is an error, since
// Raft would answer the caller of a goroutine that panics that all is well.
var ErrPanic = errors.New("apply panicked")

func (c *Core) guardedEntry(b []byte) (outcomes []Outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v\n%s", ErrPanic, r, debug.Stack())
		}
	}()
	return c.applyEntry(b)
}

func (c *Core) applyEntry(b []byte) ([]Outcome, error) {
	e, err := DecodeEntry(b)
	if err != nil {
		return nil, err
	}
	if e.Feature > c.featureLevel {
		return nil, tooOld(e.Feature, c.featureLevel)
	}
	c.beginHash()
	c.beginReactions()
	c.now = e.Now
	c.meta.Stamp = max(c.meta.Stamp, e.Stamp)
	c.entryEpoch = e.Epoch
	c.entryFirst = c.meta.Mark.Last + 1
	c.fingerprints = c.fingerprints[:0]
	outcomes := make([]Outcome, 0, e.Len())
	c.results = make([]byte, 0, 64*e.Len())
	for len(outcomes) < e.Len() {
		some := c.commits[:min(len(c.commits), e.Len()-len(outcomes))]
		if err := decodeSome(some, &e); err != nil {
			return nil, fmt.Errorf("commits from %d on: %w", len(outcomes), err)
		}
		c.window.prefetch(some)
		for i := range some {
			o, err := c.applyCommit(&some[i])
			if err != nil {
				return nil, fmt.Errorf("commit %d: %w", len(outcomes), err)
			}
			outcomes = append(outcomes, o)
		}
	}
	return outcomes, c.keepFingerprints()
}

// decodeSome decodes as many commits as dst has.
func decodeSome(dst []commit, e *Entry) error {
	for i := range dst {
		b, _ := e.next()
		if err := decodeSealed(&dst[i], b); err != nil {
			return fmt.Errorf("%w: %w", ErrUndecodable, err)
		}
	}
	return nil
}

// applyCommit executes a commit unless its epoch or its session say otherwise.
func (c *Core) applyCommit(m *commit) (Outcome, error) {
	if err := c.checkEpoch(m); err != nil {
		return c.refuse(m, err), nil
	}
	if m.session == 0 {
		result, err := c.execute(m, nil)
		return Outcome{Waiter: m.waiter, Result: result}, err
	}
	s := c.sessions.byID[m.session]
	if s == nil {
		return c.refuse(m, event.Errorf(event.CodeSessionExpired, "session %d is not open", m.session)), nil
	}
	s.used = c.meta.Stamp
	s.acknowledge(m.acked)
	c.sessions.touch(s)
	if m.first != s.last+1 {
		return c.outOfTurn(m, s), nil
	}
	result, err := c.execute(m, s)
	if err != nil {
		return Outcome{}, err
	}
	s.last = m.sequence
	s.keep(m.first, m.sequence, result)
	return Outcome{Waiter: m.waiter, Session: m.session, Sequence: m.sequence, Result: result}, nil
}

// decodeSealed decodes a commit of an entry. What CheckCommit would refuse and
// what lacks its seal was never sent by a node of this version.
func decodeSealed(m *commit, b []byte) error {
	if _, err := m.decode(b, math.MaxInt); err != nil {
		return err
	}
	if len(m.fingerprints) != m.appends*fingerprintBytes {
		return fmt.Errorf("%d bytes of fingerprints for %d appends", len(m.fingerprints), m.appends)
	}
	if m.session != 0 && (m.first == 0 || m.first > m.sequence || m.sequence == math.MaxUint64) {
		return fmt.Errorf("sequences %d to %d", m.first, m.sequence)
	}
	for _, o := range m.ops {
		if o.solo() && (len(m.ops) > 1 || m.each) {
			return fmt.Errorf("operation %d is not alone in its commit", o.number)
		}
	}
	return nil
}

// checkSealed reports what apply could not decode in a sealed commit.
func (x *Mux) checkSealed(m *commit, b []byte) error {
	if err := decodeSealed(m, b); err != nil {
		return err
	}
	for _, o := range m.ops {
		if o.number >= opMachineFirst && o.number <= opMachineLast && x.find(o.number) == nil || o.number > opMachineLast && !isInternal(o.number) {
			return fmt.Errorf("unknown operation %d", o.number)
		}
	}
	return nil
}

// checkEpoch refuses what belongs to another lineage. The command with which a
// leader begins is what brings the epoch, and so is not held to it.
func (c *Core) checkEpoch(m *commit) *event.Error {
	if len(m.ops) == 1 && m.ops[0].number == opLead {
		return nil
	}
	if c.entryEpoch != c.meta.Epoch {
		return event.Errorf(event.CodeEpochChanged, "the entry is of epoch %s, the cluster is of %s", c.entryEpoch, c.meta.Epoch)
	}
	if len(m.epoch) > 0 && string(m.epoch) != string(c.meta.Epoch[:]) {
		return event.Errorf(event.CodeEpochChanged, "the commit is of epoch %x, the cluster is of %s", m.epoch, c.meta.Epoch)
	}
	return nil
}

// outOfTurn answers a commit that does not begin where its session ended. It is
// not executed and consumes nothing.
func (c *Core) outOfTurn(m *commit, s *session) Outcome {
	switch {
	case m.first > s.last:
		return c.refuse(m, event.Errorf(event.CodeUnavailable, "sequence %d of session %d came before %d, which is expected next", m.first, s.id, s.last+1))
	case m.sequence > s.last:
		return c.refuse(m, event.Errorf(event.CodeInvalid, "sequences %d to %d of session %d overlap those executed, up to %d", m.first, m.sequence, s.id, s.last))
	}
	r, ok := s.covering(m.sequence)
	switch {
	case !ok:
		return c.refuse(m, event.Errorf(event.CodeOutcomeUnknown, "sequence %d of session %d was executed; its result is no longer kept", m.sequence, s.id))
	case r.first != m.first || r.sequence != m.sequence:
		return c.refuse(m, event.Errorf(event.CodeInvalid, "sequences %d to %d of session %d were executed as part of %d to %d", m.first, m.sequence, s.id, r.first, r.sequence))
	}
	start := len(c.results)
	c.results = append(c.results, r.bytes...)
	return Outcome{Waiter: m.waiter, Session: m.session, Sequence: m.sequence, Result: c.resultSince(start)}
}

// refuse makes the outcome of a commit that was not executed.
func (c *Core) refuse(m *commit, err *event.Error) Outcome {
	start := len(c.results)
	c.results = c.appendResult(c.results, m.session, m.sequence, c.meta.Mark.Last, nil, err)
	return Outcome{Waiter: m.waiter, Session: m.session, Sequence: m.sequence, Result: c.resultSince(start)}
}

// resultSince returns what was appended to c.results. The outcomes of an entry
// share that memory; nothing is ever written to the same place twice.
func (c *Core) resultSince(start int) []byte {
	return c.results[start:len(c.results):len(c.results)]
}

// execute runs the operations of a commit in its turn and returns its result.
func (c *Core) execute(m *commit, s *session) ([]byte, error) {
	c.opResults = c.opResults[:0]
	began := c.savepoint()
	var violations []event.Violation
	appends := 0
	for i, o := range m.ops {
		var r opResult
		var err error
		if o.number == opAppend {
			f := event.ParseFingerprint(m.fingerprints[appends*fingerprintBytes:])
			appends++
			r, err = c.applyAppend(o.body, &f)
		} else {
			r, err = c.applyOp(o, s, len(m.ops) == 1 && !m.each)
		}
		if err != nil {
			var failed *event.Error
			if !errors.As(err, &failed) {
				return nil, fmt.Errorf("operation %d: %w", i, err)
			}
			if m.each {
				r = opResult{kind: resultError, err: failed}
			} else {
				violations = append(violations, event.Violation{Op: i, Err: failed})
			}
		}
		c.opResults = append(c.opResults, r)
	}
	failed := failure(violations, len(m.ops))
	if failed == nil {
		c.merge()
	} else {
		c.discard(began)
	}
	start := len(c.results)
	c.results = c.appendResult(c.results, m.session, m.sequence, c.meta.Mark.Last, c.opResults, failed)
	return c.resultSince(start), nil
}

// applyOp executes an operation that is no append. alone: if it fails, its whole commit
// does.
func (c *Core) applyOp(o op, s *session, alone bool) (opResult, error) {
	switch {
	case o.number > opMachineLast:
		return opResult{}, c.applyInternal(o)
	case o.number >= opMachineFirst:
		return c.applyMachine(o, alone)
	case o.number == opOpenSession:
		return c.openSession()
	case o.number == opOpenProducer:
		return c.openProducer(o.body)
	case o.number == opCloseSession:
		return c.closeSession(s)
	}
	return opResult{}, fmt.Errorf("%w: unknown operation %d", ErrUndecodable, o.number)
}

// applyMachine executes an operation of a state machine in a layer of its own
// over the commit's, so that a failure leaves nothing behind. One that is alone works in
// the commit's, which then is dropped.
func (c *Core) applyMachine(o op, alone bool) (opResult, error) {
	machine := c.mux.find(o.number)
	if machine == nil {
		return opResult{}, fmt.Errorf("%w: unknown operation %d", ErrUndecodable, o.number)
	}
	if c.overlay == nil {
		c.overlay = c.tx.Scratch()
	}
	began := c.savepoint()
	name := machine.Name()
	tx := Tx{core: c, tx: c.overlay, machine: name, table: c.tables.machines[name]}
	if alone {
		raw, err := machine.Apply(&tx, o.number, o.body)
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return opResult{kind: resultRaw, raw: raw}, err
	}
	tx.tx = c.overlay.Scratch()
	raw, err := machine.Apply(&tx, o.number, o.body)
	if err != nil {
		tx.tx.Discard()
		c.rollback(began)
		return opResult{}, fmt.Errorf("%s: %w", machine.Name(), err)
	}
	tx.tx.Merge()
	return opResult{kind: resultRaw, raw: raw}, nil
}

func (c *Core) nextIncarnation() uint64 {
	c.meta.Incarnation++
	return c.meta.Incarnation
}
