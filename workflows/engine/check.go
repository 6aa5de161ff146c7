package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

const (
	// maxIDBytes leaves room for what is before a run's id in the name of its stream.
	maxIDBytes = 200
	// maxPayload is what an input or result may have, which becomes the data of an event
	// with some more.
	maxPayload = event.MaxDataBytes - 4096
	// maxMemo and maxAttributeBytes are what a run that continues as new may take along, so
	// that there is room for its input. All attributes that a workflow may declare fit.
	maxMemo           = 32 << 10
	maxAttributeBytes = 32 << 10
	maxNote           = 8 << 10
	// maxWaited is what a wait for an event may have, which is read at each of its type.
	maxWaited   = 64 << 10
	maxDuration = int64(100 * 365 * 24 * 3600 * 1e9)
)

func invalid(format string, args ...any) *event.Error {
	return event.Errorf(event.CodeInvalid, format, args...)
}

// Check implements consensus.StateMachine.
func (m *Machine) Check(op uint32, body []byte) error {
	switch op {
	case opAdvance:
		return check(body, decodeAdvance, func(o advanceOp) error { return refuses(o.id, m.checkAdvance(o)) })
	case opStart:
		return check(body, decodeStart, checkStart)
	case opSignal:
		return check(body, decodeSignalOp, func(o signalOp) error {
			if o.signal == nil {
				return invalid("signal: is missing")
			}
			return first(checkTarget(o.target), checkSignal(o.signal))
		})
	case opUpdate:
		return check(body, decodeUpdateOp, checkUpdate)
	case opCancel, opTerminate, opRetry, opDelete:
		return check(body, decodeNote, func(o noteOp) error { return first(checkTarget(o.target), checkNote("reason", o.note)) })
	case opPause:
		return check(body, decodePause, func(o pauseOp) error { return first(checkTarget(o.target), checkNote("note", o.note)) })
	case opReset:
		return check(body, decodeReset, checkReset)
	case opDefine:
		return check(body, decodeDefinition, checkDefinition)
	case opLose:
		return invalid("operation %d is the cluster's own", op)
	}
	return invalid("unknown operation %d", op)
}

// within says of an error where it is, and keeps its code.
func within(what string, err error) error {
	return event.Errorf(event.CodeOf(err), "%s: %v", what, err)
}

func check[T any](body []byte, decode func([]byte) (T, error), holds func(T) error) error {
	o, err := decode(body)
	if err != nil {
		return invalid("decode operation: %v", err)
	}
	return holds(o)
}

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkTarget(t target) error { return checkID(t.id) }

func checkID(id []byte) error {
	if err := event.CheckName("id", id); err != nil {
		return err
	}
	if len(id) > maxIDBytes {
		return event.TooLarge("id in bytes", int64(len(id)), maxIDBytes)
	}
	return nil
}

func checkNote(what string, note []byte) error { return event.CheckText(what, note, maxNote) }

// checkJSON refuses what is neither empty nor JSON, or too much.
func checkJSON(what string, b []byte) error {
	if len(b) > maxPayload {
		return event.TooLarge(what+" in bytes", int64(len(b)), maxPayload)
	}
	if len(b) > 0 {
		return checkText(what, b)
	}
	return nil
}

// maxNesting is how deep JSON may nest. Readers have their limits, and what comes is put
// into other JSON before it is read.
const maxNesting = 500

// checkText refuses what is no JSON that every reader takes.
func checkText(what string, b []byte) error {
	r := jsonReader{rest: b}
	r.value()
	switch {
	case !utf8.Valid(b):
		return invalid("%s: is not UTF-8", what)
	case !r.ended():
		return invalid("%s: is no JSON", what)
	case r.deepest > maxNesting:
		return invalid("%s: arrays and objects nest deeper than %d", what, maxNesting)
	}
	return nil
}

// checkMembers refuses an object that apply reads, but that other readers of JSON may read
// differently: with a name that comes twice, half of a surrogate pair, or a number beyond
// float64.
func checkMembers(what string, b []byte) error {
	var err error
	names := map[string]bool{}
	object := members(b, func(name, v jsonValue) {
		text := name.text()
		switch {
		case err != nil:
		case names[text]:
			err = invalid("%s: the name %+q comes twice", what, text)
		case name.hasHalfPair() || v.kind == '"' && v.hasHalfPair():
			err = invalid("%s: %+q has half of a surrogate pair", what, text)
		case v.kind == '0' && !isFloat(v.raw):
			err = invalid("%s: the number %+q is beyond what one can be", what, text)
		}
		names[text] = true
	})
	if !object {
		return invalid("%s: is no JSON object", what)
	}
	return err
}

func isFloat(number []byte) bool {
	_, err := strconv.ParseFloat(string(number), 64)
	return err == nil
}

func checkSignal(s *signal) error {
	return first(event.CheckName("signal", s.name), checkJSON("input", s.input))
}

func checkSignals(list []signal) error {
	if len(list) > maxUnreceived {
		return event.TooLarge("number of signals", int64(len(list)), maxUnreceived)
	}
	for i := range list {
		if err := checkSignal(&list[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkDuration(what string, d int64) error {
	if d < 0 || d > maxDuration {
		return invalid("%s: %d ns is not within 0 and 100 years", what, d)
	}
	return nil
}

func checkStart(o startOp) error {
	switch {
	case o.reuse > reuseNever:
		return invalid("reuse: there is no %d", o.reuse)
	case o.conflict > conflictTerminate:
		return invalid("conflict: there is no %d", o.conflict)
	case len(o.memo) > maxMemo:
		return event.TooLarge("memo in bytes", int64(len(o.memo)), maxMemo)
	case len(o.input)+len(o.memo)+len(o.attributes) > maxPayload:
		return event.TooLarge("input, memo and attributes in bytes", int64(len(o.input)+len(o.memo)+len(o.attributes)), maxPayload)
	}
	err := first(
		checkID(o.id), checkType(o.typ), checkJSON("input", o.input), checkJSON("memo", o.memo),
		checkAttributes(o.attributes), checkDuration("delay", o.delay), checkDuration("timeout", o.timeout),
		event.CheckText("correlation", o.correlation, event.MaxNameBytes),
	)
	if err == nil && o.signal != nil {
		err = checkSignal(o.signal)
	}
	return err
}

func checkType(typ []byte) error {
	if err := event.CheckName("type", typ); err != nil {
		return err
	}
	return event.CheckName("source of the events of type "+string(typ), string(appendSource(nil, typ)))
}

func checkAttributes(b []byte) error {
	switch {
	case len(b) == 0:
		return nil
	case len(b) > maxAttributeBytes:
		return event.TooLarge("attributes in bytes", int64(len(b)), maxAttributeBytes)
	}
	return first(checkText("attributes", b), checkMembers("attributes", b))
}

func checkUpdate(o updateOp) error {
	return first(checkTarget(o.target), event.CheckName("update_id", o.updateID), event.CheckName("name", o.name), checkJSON("input", o.input))
}

func checkReset(o resetOp) error {
	switch {
	case o.revision == 0:
		return invalid("revision: is missing")
	case o.drop && len(o.signals) > 0:
		return invalid("signals: are to be dropped")
	case !o.drop && o.through < o.revision:
		return invalid("through: is missing: Workflows.Reset collects the signals")
	}
	if err := checkSignals(o.signals); err != nil {
		return err
	}
	return first(checkTarget(o.target), checkNote("reason", o.reason))
}

func checkDefinition(d definition) error {
	switch {
	case d.version == 0:
		return invalid("version: is missing")
	case d.retentionAge < 0 || d.retentionAge > maxDuration:
		return invalid("retention_age: %d ns is not within 0 and 100 years", d.retentionAge)
	case len(d.attributes) > maxAttributes:
		return event.TooLarge("number of attributes", int64(len(d.attributes)), maxAttributes)
	}
	names := map[string]bool{}
	for _, a := range d.attributes {
		if err := checkAttributeName(string(a.name)); err != nil {
			return err
		}
		if names[string(a.name)] {
			return invalid("attributes: %s is declared twice", a.name)
		}
		names[string(a.name)] = true
	}
	return first(checkType(d.name), checkNote("description", d.description))
}

// reserved are the names that filters have for what every run has.
var reserved = []string{"id", "type", "status", "started", "ended", "version", "paused", "and", "or", "not", "in", "prefix"}

func checkAttributeName(name string) error {
	ok := name != "" && len(name) <= 64 && (name[0] < '0' || name[0] > '9') &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
	if !ok || slices.Contains(reserved, name) {
		return invalid("attributes: the name %q is reserved, or not letters, digits and _ with a letter first", name)
	}
	return nil
}

// kinds are those of the records that workers make.
var kinds = map[string]doing{
	workflows.KindStepStarted: doNothing, workflows.KindStepHeartbeat: doNothing, workflows.KindStepCompleted: doNothing, workflows.KindStepFailed: doSetTimer,
	workflows.KindTimerSet: doSetTimer, workflows.KindTimerCanceled: doCancelTimer,
	workflows.KindRequestSent: doSendRequest, workflows.KindRequestDropped: doDropRequest,
	workflows.KindEventAwaited: doAwaitEvent, workflows.KindEventDropped: doDropEvent,
	workflows.KindChildStarted: doStartChild, workflows.KindChildCanceled: doCancelChild,
	workflows.KindUpdateCompleted: doFinishUpdate, workflows.KindVersionMarked: doNothing,
	workflows.KindAttributesSet: doSetAttributes,
	workflows.KindCompleted:     doEnd, workflows.KindFailed: doEnd, workflows.KindCanceled: doEnd, workflows.KindContinued: doEnd,
}

func (m *Machine) checkAdvance(o advanceOp) error {
	switch {
	case o.advance == 0:
		return invalid("advance: is missing")
	case o.unreceived > 1<<32 || o.unreceivedBytes > 1<<48:
		return invalid("unreceived: no history has %d signals of %d bytes", o.unreceived, o.unreceivedBytes)
	}
	for i := range o.records {
		if err := m.checkRecord(&o.records[i]); err != nil {
			return within(fmt.Sprintf("record %d", i), err)
		}
	}
	if o.block != nil {
		if err := first(checkNote("block", o.block.reason), checkJSON("block", o.block.details)); err != nil {
			return err
		}
		if size := 2*len(o.block.reason) + len(o.block.details); size > maxPayload {
			return event.TooLarge("block in bytes", int64(size), maxPayload)
		}
	}
	return first(checkTarget(o.target), checkSignals(o.carry))
}

func (m *Machine) checkRecord(r *record) error {
	if r.entry != 0 {
		if len(r.kind) > 0 || len(r.data) > 0 || r.do != doNothing {
			return invalid("an entry says by itself what it is")
		}
		return checkJSON("reject", r.reject)
	}
	does, ok := kinds[string(r.kind)]
	switch {
	case !ok:
		return invalid("kind: workers record no %q", r.kind)
	case r.do != does && (r.do != doNothing || does != doSetTimer || string(r.kind) != workflows.KindStepFailed):
		return invalid("kind: %s does not go with %d", r.kind, r.do)
	case r.time <= 0:
		return invalid("time: is missing")
	case len(r.data) > event.MaxDataBytes:
		return event.TooLarge("data in bytes", int64(len(r.data)), event.MaxDataBytes)
	}
	if err := checkText("data", r.data); err != nil {
		return err
	}
	return m.checkCommand(r)
}

func (m *Machine) checkCommand(r *record) error {
	switch r.do {
	case doCancelTimer, doDropRequest, doDropEvent:
		if r.seq == 0 {
			return invalid("sequence numbers begin at 1")
		}
	case doSetTimer:
		return check(r.command, decodeSetTimer, func(c setTimer) error { return first(checkSeq(c.seq), checkDuration("after", c.after)) })
	case doSendRequest:
		return check(r.command, decodeSendRequest, m.checkRequest)
	case doAwaitEvent:
		return check(r.command, decodeAwaitEvent, checkAwait)
	case doStartChild:
		return check(r.command, decodeStartChild, func(c startChild) error {
			if c.onClose > closeAbandon {
				return invalid("on_close: there is no %d", c.onClose)
			}
			return first(checkSeq(c.seq), checkStart(c.start))
		})
	case doCancelChild:
		return check(r.command, decodeCancelChild, func(c cancelChild) error { return first(checkSeq(c.seq), checkNote("reason", c.reason)) })
	case doFinishUpdate:
		return check(r.command, decodeFinishUpdate, func(c finishUpdate) error {
			return first(event.CheckName("id", c.id), checkJSON("result", c.result), checkJSON("error", c.failure))
		})
	case doSetAttributes:
		return checkAttributes(r.command)
	case doEnd:
		return check(r.command, decodeEnd, func(c endRun) error { return checkEnd(string(r.kind), &c) })
	}
	return nil
}

func checkSeq(seq uint64) error {
	if seq == 0 {
		return invalid("seq: sequence numbers begin at 1")
	}
	return nil
}

func (m *Machine) checkRequest(c sendRequest) error {
	h, err := event.CheckEncoded(c.event, m.Limits.EventData)
	if err != nil {
		return err
	}
	if string(h.Kind) != event.KindRequest {
		return invalid("event: is no request")
	}
	stream := c.stream
	if len(stream) == 0 {
		stream = h.DefaultStream()
	}
	if c.timeout < 1e6 || c.timeout > 30*24*3600*1e9 {
		return invalid("timeout: %d ns is not within 1 ms and 30 days", c.timeout)
	}
	return first(checkSeq(c.seq), event.CheckName("stream", stream), event.CheckUnreserved(stream, h.Type))
}

func checkAwait(c awaitEvent) error {
	if size := len(c.filter) + len(c.match); size > maxWaited {
		return event.TooLarge("filter and match in bytes", int64(size), maxWaited)
	}
	if len(c.filter) > 0 {
		if _, err := event.ParseFilter(c.filter); err != nil {
			return err
		}
	}
	if !noMatch(c.match) {
		if err := first(checkText("match", c.match), checkMembers("match", c.match)); err != nil {
			return err
		}
	}
	match, _, _, err := parseMatch(c.match)
	if err != nil {
		return err
	}
	for name, want := range match {
		if err := first(event.CheckName("match", name), event.CheckText("match", want, event.MaxNameBytes)); err != nil {
			return err
		}
	}
	return first(checkSeq(c.seq), event.CheckName("type", c.typ))
}

var endings = map[string]status{
	workflows.KindCompleted: statusCompleted, workflows.KindFailed: statusFailed,
	workflows.KindCanceled: statusCanceled, workflows.KindContinued: statusContinued,
}

func checkEnd(kind string, c *endRun) error {
	switch {
	case endings[kind] != c.status:
		return invalid("status: %s does not go with %d", kind, c.status)
	case (c.status == statusContinued) != (c.next != nil):
		return invalid("next: goes with what is continued, and that alone")
	case c.carried > 0 && c.next == nil:
		return invalid("carried: goes with what is continued")
	}
	if err := checkSignals(c.signals); err != nil {
		return err
	}
	if c.next != nil {
		if err := checkNext(*c.next); err != nil {
			return within("next", err)
		}
	}
	if size := len(c.outcome.result) + len(c.outcome.failure); size > maxPayload {
		return event.TooLarge("result and error in bytes", int64(size), maxPayload)
	}
	return first(checkJSON("result", c.outcome.result), checkJSON("error", c.outcome.failure))
}

// checkNext checks how a run goes on, as the start that it is. Id and type are the run's.
func checkNext(o startOp) error {
	if o.signal != nil {
		return invalid("signal: signals go with the end")
	}
	o.id, o.typ = []byte("id"), []byte("type")
	return checkStart(o)
}
